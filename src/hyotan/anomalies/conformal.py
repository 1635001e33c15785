"""From scores to false alarms: conformal p-values, the threshold of a rate of alarms, and discoveries in a batch.

Scores are of oddness here: higher is odder. Rows that were scored but not trained on are the measure. Where a new row
is exchangeable with them, its p-value is at most a with probability at most a, whatever the model (Vovk et al. 2005).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def p_values(calibration: ArrayLike, scores: ArrayLike) -> np.ndarray:
    """The share of rows as odd as each one, itself counted: (n,), float64, in [1 / (m + 1), 1].

    Parameters
    ----------
    calibration : (m,), scores of rows that the model was not trained on.
    scores : (n,), of the rows in question.
    """
    ordered = np.sort(np.asarray(calibration, dtype=np.float64))
    as_odd = len(ordered) - np.searchsorted(ordered, np.asarray(scores, dtype=np.float64), side="left")
    return (1 + as_odd) / (len(ordered) + 1)


def threshold(calibration: ArrayLike, rate: float) -> float:
    """The score above which a row's p-value is at most ``rate``; infinite where there are too few rows for that.

    Parameters
    ----------
    calibration : (m,), scores of rows that the model was not trained on.
    rate : of false alarms, below 1.
    """
    ordered = np.sort(np.asarray(calibration, dtype=np.float64))
    odder = alarms_allowed(len(ordered), rate)
    return float(ordered[-odder]) if odder else np.inf


def alarms_allowed(rows: int, rate: float) -> int:
    """Which of ``rows`` scores, counted from the oddest, is the threshold of a rate; 0 where there are too few."""
    return int(rate * (rows + 1) + 1e-9)


def discoveries(p: ArrayLike, rate: float) -> np.ndarray:
    """The rows that can be called odd together, (n,), bool: at most a share ``rate`` of them is expected to be false.

    Benjamini & Hochberg 1995. Conformal p-values hang together through the rows that they share, in a way that leaves
    the bound as it is (Bates et al. 2023, theorem 2).

    Parameters
    ----------
    p : (n,), p-values of a batch.
    rate : of false discoveries.
    """
    values = np.asarray(p, dtype=np.float64)
    ordered = np.sort(values)
    passing = np.flatnonzero(ordered <= rate * np.arange(1, len(values) + 1) / len(values) + 1e-12)
    return values <= ordered[passing[-1]] if len(passing) else np.zeros(len(values), dtype=bool)
