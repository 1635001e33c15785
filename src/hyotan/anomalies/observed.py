"""How far rows are off in what is observed of them: value by value, or column by column of a table.

What is not observed is no evidence: a row is compared with what a usual one has in the same values, so that the number
of its missing values alone makes it neither anomalous nor usual.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hyotan.estimators.estimator import LatentEstimator
from hyotan.preprocessing.encoded import EncodedRows


def value_errors(model: LatentEstimator, rows: EncodedRows) -> np.ndarray:
    """How far each part is off, (n, *parts), float64, NaN where it is missing: none is negative, 0 is as expected.

    Of numbers the squared error in the model's range. A table's columns are of several kinds: there it is by how much
    less likely the value is than the likeliest one, log p(mode|code) - log p(x|code), in nats, which of a Gaussian is
    half the squared error in standard deviations.
    """
    preprocessor, network = model.preprocessor_, model.model_
    if preprocessor.has_one_scale:
        return np.square(rows.numbers.astype(np.float64) - model.inference_.reconstruct(rows))

    def beyond_mode(x: Tensor) -> Tensor:
        p = network.explanation(x)
        each = p.log_prob_per_feature  # pyrefly: ignore[missing-attribute]
        return each(p.mode) - each(x)

    each = model.inference_.batched(beyond_mode, rows).astype(np.float64)
    errors = preprocessor.by_part(each)  # a category's own number holds both log-probabilities, or another one does
    return np.where(preprocessor.observed(rows.numbers), np.maximum(errors, 0.0), np.nan)


def observed_parts(model: LatentEstimator, rows: EncodedRows, loss: np.ndarray) -> np.ndarray:
    """A loss of each of the model's numbers, (n, *features), by part, (n, *parts): NaN where it is missing."""
    preprocessor = model.preprocessor_
    return np.where(preprocessor.observed(rows.numbers), preprocessor.by_part(loss), np.nan)


def total_error(parts: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """The sum of each row's errors, (n, *parts) to (n,), as large as that of a whole row would be.

    Where values are missing, it is taken in units of what a usual row has in the parts that are observed, ``usual``,
    (*parts), and then of all parts; a row of which nothing is observed is a usual one.
    """
    flat, of_all = parts.reshape(len(parts), -1), usual.reshape(-1)
    missing = np.isnan(flat)
    found, expected = np.where(missing, 0.0, flat).sum(axis=1), np.where(missing, 0.0, of_all).sum(axis=1)
    whole = of_all.sum()
    filled = np.where(expected > 0, found / np.where(expected > 0, expected, 1.0) * whole, whole)
    return np.where(missing.any(axis=1), filled, found)
