"""How far rows are off in what is observed of them: value by value, or column by column of a table.

What is not observed is no evidence: a row is compared with what a usual one has in the same values, so that the number
of its missing values alone makes it neither odd nor usual.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hyotan.data.stored import Array
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.rows import ScaledRows
from hyotan.preprocessing.tabular import TableScaling


def is_partial(model: LatentEstimator) -> bool:
    """Whether rows are judged by what is observed of them: those of tables, and where there may be missing values."""
    return model.handles_missing_ or model.is_of_table


def parts_of(model: LatentEstimator) -> tuple[int, ...]:
    """The shape of a row's parts: its values, (*features), or of a table its columns, (columns,)."""
    scaling = model.scaling_
    return (len(scaling.columns),) if isinstance(scaling, TableScaling) else model.feature_shape_


def value_errors(model: LatentEstimator, X: Array) -> np.ndarray:
    """How far each part is off, (n, *parts), float64, NaN at missing values: none is negative, and 0 is as expected.

    Of numbers the squared error in the model's range. A table's columns are of several kinds: there it is by how much
    less likely the value is than the likeliest one, log p(mode|code) - log p(x|code), in nats, which of a Gaussian is
    half the squared error in standard deviations.
    """
    scaling = model.scaling_
    if not isinstance(scaling, TableScaling):
        scaled, mean = model.reconstruct_in_range(X)
        return np.square(scaled.astype(np.float64) - mean)

    def beyond_mode(x: Tensor) -> Tensor:
        p = model.model_.explanation(x)
        each = p.log_prob_per_feature  # pyrefly: ignore[missing-attribute]
        return each(p.mode) - each(x)

    each = model._batched(beyond_mode, ScaledRows(X, model._to_model)).astype(np.float64)
    errors = scaling.by_column(each)  # a category's own number holds both log-probabilities, or another one does
    return np.where(scaling.observed(model.in_range(X)), np.maximum(errors, 0.0), np.nan)


def observed_parts(model: LatentEstimator, X: Array, loss: np.ndarray) -> np.ndarray:
    """A loss of each of the model's numbers, (n, *features), by part, (n, *parts): NaN at missing values."""
    scaled, scaling = model.in_range(X), model.scaling_
    if isinstance(scaling, TableScaling):
        return np.where(scaling.observed(scaled), scaling.by_column(loss), np.nan)
    return np.where(np.isnan(scaled), np.nan, loss)


def total(parts: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The sum of each row's errors, (n, *parts) to (n,), as large as that of a whole row would be.

    Where there are missing values, it is taken in units of what a usual row has in the parts that are observed,
    ``usual``, (*parts), and then of all parts; a row of which nothing is observed is a usual one.
    """
    flat, of_all = parts.reshape(len(parts), -1), usual.reshape(-1)
    missing = np.isnan(flat)
    found, expected = np.where(missing, 0.0, flat).sum(axis=1), np.where(missing, 0.0, of_all).sum(axis=1)
    whole = of_all.sum()
    filled = np.where(expected > 0, found / np.where(expected > 0, expected, 1.0) * whole, whole)
    return np.where(missing.any(axis=1), filled, found)
