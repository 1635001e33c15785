"""What the data are, by their values: which likelihood and scaling suit them, and what range they have then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyotan.data.frames import Frame
from hyotan.data.stored import Array, Numbers, StoredRows
from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.mixed import MixedLikelihood
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.build import build_likelihood
from hyotan.preprocessing.scaling import SCALINGS, Scaling, automatic, ends, has_missing, is_pixels, suits_bernoulli
from hyotan.preprocessing.tabular import EncodedFrame, TableScaling, fit_table


@dataclass(frozen=True)
class Ranges:
    """What a fit makes of the values that it is given.

    Attributes
    ----------
    likelihood : its name, ``auto`` resolved.
    scaling : from the data's range to the model's.
    low, high : ends of the model's range.
    """

    likelihood: str
    scaling: Scaling | TableScaling
    low: float
    high: float


def is_bounded(likelihood: str) -> bool:
    """Whether a likelihood takes values of an interval alone."""
    return likelihood in LIKELIHOODS and math.isfinite(LIKELIHOODS[likelihood].low)


def resolve(X: Array, train: Array, settings: Mapping[str, Any], gaussian: str) -> Ranges:
    """Likelihood, scaling and range for rows; refuses what does not fit together.

    Parameters
    ----------
    X, train : all rows, (n, *features), and those trained on.
    settings : of the estimator.
    gaussian : the Gaussian likelihood that the family takes by default.

    Raises
    ------
    DataError
        Values that the likelihood cannot explain, or that cannot be binarised.
    """
    if isinstance(X, Frame) or isinstance(train, Frame):
        return _of_table(X, train, settings)
    low, high = (0.0, 1.0) if is_pixels(X) else map(float, ends(X))
    name, scaling = settings["likelihood"], settings["scaling"]
    if name == "auto":
        kept = scaling == "auto" or (scaling == "none" and not is_pixels(X))
        unit = scaling == "unit" or (low >= 0 and high <= 1 and kept)
        name = "bernoulli" if unit and suits_bernoulli(_some(X)) else gaussian
    bounded = is_bounded(name)
    make = automatic(X, low, high, bounded) if scaling == "auto" else SCALINGS[scaling]
    scale = make(train)
    low, high = scaled_ends(X, scale)
    if bounded and scaling == "unit":
        # Held-out rows may leave the range of the training rows by a little: clipped, not refused.
        low, high = max(low, 0.0), min(high, 1.0)
    if bounded:
        build_likelihood(name, settings, X.shape[1:]).check_support(low, high)
    if settings["binarise"] and has_missing(X):
        raise DataError(
            "binarise draws every value anew, and X has missing values (NaN).",
            "Leave it out, or fill the missing values first.",
        )
    if settings["binarise"] and not (low >= 0 and high <= 1):
        raise DataError(
            f"binarise needs values in [0, 1]; got [{low:g}, {high:g}] after scaling.", "Pass scaling='unit'."
        )
    return Ranges(name, scale, low, high)


TABLE_SETTINGS = {"likelihood": "auto", "scaling": "auto", "binarise": None, "output_activation": None}
"""What a table with columns of several kinds decides column by column."""


def _of_table(X: Any, train: Any, settings: Mapping[str, Any]) -> Ranges:
    for name, left in TABLE_SETTINGS.items():
        if settings[name] != left:
            raise SettingsError(
                f"{name}={settings[name]!r} is for numbers alone; of these columns each has a likelihood of its own.",
                f"Leave {name} out, or keep the columns that are numbers.",
            )
    scaling = X.scaling if isinstance(X, EncodedFrame) else fit_table(X, train, settings["column_kinds"])
    rows = scaling.to_model(train)
    return Ranges(MixedLikelihood.name, scaling, float(np.nanmin(rows)), float(np.nanmax(rows)))


def scaled_ends(X: Numbers, scaling: Scaling) -> tuple[float, float]:
    """The least and the greatest value in the model's range, before any clipping: what would be cut off is to be seen.

    Scaling keeps order, so that the ends of each feature are enough.
    """
    axis = None if scaling.factor.ndim == 0 else 0
    low, high = ends(scaling.to_model(np.stack(ends(X, axis))))
    return float(low), float(high)


def _some(X: Numbers) -> np.ndarray:
    return X.sample() if isinstance(X, StoredRows) else X
