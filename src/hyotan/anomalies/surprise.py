"""Scores of different units on one scale: how rarely a row has as high a score, in nats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

LEAST = 1e-12
"""What a score of zero counts for where its logarithm is taken."""

LEAST_SPREAD = 1e-3
"""Floor of a logarithm's spread: where rows hardly differ, rounding alone would seem rare."""

QUARTILE = 0.6744897501960817
"""The upper quartile of the standard normal distribution."""


@dataclass(frozen=True)
class Gauge:
    """What is usual of a positive score: the median of its logarithm, and its spread between the quartiles.

    Neither follows the oddest quarter of the rows, which may be the anomalies that are looked for. The logarithm, for a
    row far away must not drown what the other scores say of it.

    Attributes
    ----------
    centre, spread : of the logarithm, as mean and standard deviation are of a normal distribution's.
    """

    centre: float
    spread: float

    @classmethod
    def of(cls, scores: np.ndarray) -> Gauge:
        """The gauge of the scores of usual rows, (n,)."""
        low, middle, high = np.percentile(_logarithm(scores), [25, 50, 75])
        return cls(float(middle), max(float(high - low) / (2 * QUARTILE), LEAST_SPREAD))

    def surprise(self, scores: np.ndarray) -> np.ndarray:
        """-log of the probability that a usual row's score is as high, (n,), in nats."""
        return -log_ndtr(-(_logarithm(scores) - self.centre) / self.spread)


def _logarithm(scores: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(scores, dtype=np.float64), LEAST))
