"""How well a code predicts values that it has not seen: what codes of different sizes can be compared by.

A longer code always reconstructs better, noise included: with one number more it can repeat one value more. What a
value's reconstruction owes to that value itself is its *leverage*, the derivative of the one by the other; divided by
one minus the leverage, the residual becomes what it would be had the value been left out. For a linear map that is
exact (Allen 1974's PRESS; for principal components Josse & Husson 2012), and a code that lies on a curved surface is
linear close by. The leverages of all values add up to the numbers that the code uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy import ndarray

from hyotan.metrics import row_errors, trimmed_mean

PROBED_ROWS = 5_000
"""Rows to probe in all, so that a leverage has a standard error below 0.01."""

STEP = 0.01
"""Length of a probe, in standard deviations of the values."""

OWN = 0.95
"""Leverage beyond which a value is told by nothing but itself, and so not predicted: the mean is all there is."""


def leverages(reconstruct: Callable[[ndarray], ndarray], X: ndarray, seed: int = 0) -> ndarray:
    """How much each value's reconstruction owes to the value itself, the mean over the rows, (values,).

    All values are moved at once, each up or down at random: over many rows the others' parts cancel (Hutchinson 1990).

    Parameters
    ----------
    reconstruct : rows to rows.
    X : (n, *features), in the model's range; NaN is a missing value.
    seed : of the directions.
    """
    missing = np.isnan(X)
    known = X[~missing]
    random, spread = np.random.default_rng(seed), float(known.std())
    repeats, step = math.ceil(PROBED_ROWS / len(X)), STEP * (spread if spread > 0 else 1.0)
    X = X.clip(known.min() + step, known.max() - step)  # what is moved past the end of a range may be cut off there
    total = np.zeros(X.shape[1:])
    for _ in range(repeats):
        signs = random.choice(np.array([-1, 1], dtype=np.float32), X.shape)
        moved = reconstruct(X + np.float32(step) * signs) - reconstruct(X - np.float32(step) * signs)
        moved[missing] = 0.0  # what is missing was not moved
        total += (signs * moved).sum(axis=0, dtype=np.float64) / np.maximum(len(X) - missing.sum(axis=0), 1)
    return total.ravel() / (2 * step * repeats)


def predicted(reconstruct: Callable[[ndarray], ndarray], X: ndarray, mean: ndarray, seed: int = 0) -> float | None:
    """Q²: the share of the variance that is predicted, of all but the tenth of the rows that come out worst.

    It grows with the size of the code up to the dimension of the data and falls beyond it; on noise it is at most 0.
    A sheet that was torn where it was unrolled has large errors along the tear, which is why some rows are left aside.

    Parameters
    ----------
    reconstruct : rows to rows.
    X : (n, *features), rows that were not trained on, in the model's range.
    mean : (*features), of the training rows: what a code of size 0 answers.
    seed : of the probes.

    Returns
    -------
    None where the rows do not vary.
    """
    deviations, residuals, leverage = X - mean, X - reconstruct(X), leverages(reconstruct, X, seed).reshape(X.shape[1:])
    left_out = np.where(leverage > OWN, deviations, residuals / (1 - np.clip(leverage, 0, OWN)))
    error, alone = (trimmed_mean(row_errors(rows, np.zeros_like(rows))) for rows in (left_out, deviations))
    return 1 - error / alone if alone > 0 else None
