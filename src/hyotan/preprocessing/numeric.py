"""Rows of numbers: vectors, images and sequences, which share one affine map to the model's range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from hyotan.data.stored import Numbers, ends
from hyotan.errors import DataError
from hyotan.preprocessing.checks import RANGE_SLACK, refuse_other_range
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.preprocessing.scaling import SCALINGS, Scaling, automatic, has_missing, is_pixels, suits_bernoulli

SCALING = ("scaling/offset", "scaling/factor")
"""The arrays that hold the scaling in a model file."""


@dataclass(frozen=True, eq=False)
class NumericPreprocessor(Preprocessor):
    """Numbers of one scale, or of one scale a feature.

    Attributes
    ----------
    feature_shape : (features,), or the shape of an image.
    scaling : from the data's range to the model's.
    likelihood : its name.
    range : ends of the model's range.
    is_bounded : whether the likelihood takes values of an interval alone.
    """

    feature_shape: tuple[int, ...]
    scaling: Scaling
    likelihood: str
    range: tuple[float, float]
    is_bounded: bool = False

    @property
    def layout(self) -> str:  # pyrefly: ignore[bad-override]
        """A vector has one dimension, an image more."""
        return "vector" if len(self.feature_shape) == 1 else "image"

    @classmethod
    def fit(
        cls, X: Numbers, train: Numbers, settings: Mapping[str, Any], default: str, likelihoods: Mapping[str, Any]
    ) -> Self:
        """Find out which likelihood and scaling suit the values, and what range they have then.

        Parameters
        ----------
        X, train : all rows, (n, *features), and those trained on.
        settings : of the estimator.
        default : the name of the likelihood of values that are no shares of black and white.
        likelihoods : by name; each knows the interval of its values.

        Raises
        ------
        DataError
            Values that the likelihood cannot explain, or that cannot be binarised.
        """
        low, high = (0.0, 1.0) if is_pixels(X) else map(float, ends(X))
        name, scaling = settings["likelihood"], settings["scaling"]
        if name == "auto":
            kept = scaling == "auto" or (scaling == "none" and not is_pixels(X))
            is_unit = scaling == "unit" or (low >= 0 and high <= 1 and kept)
            name = "bernoulli" if is_unit and suits_bernoulli(X) else default
        is_bounded = math.isfinite(likelihoods[name].low)
        make = automatic(X, low, high, is_bounded) if scaling == "auto" else SCALINGS[scaling]
        scale = make(train)
        low, high = scaled_ends(X, scale)
        if is_bounded and scaling == "unit":
            # Held-out rows may leave the range of the training rows by a little: clipped, not refused.
            low, high = max(low, 0.0), min(high, 1.0)
        likelihoods[name].check_support(low, high)
        _refuse_not_binary(X, settings["binarise"], low, high)
        return cls(tuple(int(size) for size in X.shape[1:]), scale, name, (low, high), is_bounded)

    def encode(self, X: Any, slack: float = RANGE_SLACK) -> EncodedRows:
        """Rows for the model; those of a bounded likelihood may leave [0, 1] by ``slack``."""
        if self.is_bounded:
            refuse_other_range(X, self.scaling, slack)
        return super().encode(X)

    def to_model(self, X: np.ndarray) -> np.ndarray:
        """Numbers, float32; a bounded likelihood with another scaling than none clips what lies outside."""
        scaled = self.scaling.to_model(X)
        return scaled.clip(0.0, 1.0) if self.is_bounded and not self.scaling.is_identity else scaled

    def to_data(self, numbers: np.ndarray, like: Any = None) -> np.ndarray:
        """Values in the data's own units, float32."""
        return self.scaling.to_data(numbers)

    def with_values(self, X: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The rows with numbers in the place of NaN, in the dtype in which they came."""
        if not has_missing(X):
            return X.copy()
        if self.is_bounded:  # a linear guess, or a shifted sample, may lie beyond black and white
            numbers = np.clip(numbers, 0.0, 1.0)
        return np.where(np.isnan(X), self.to_data(numbers).astype(X.dtype), X)

    @property
    def is_scaled_by_feature(self) -> bool:
        """Of standardised values."""
        return self.scaling.factor.ndim > 0

    def pixel_scale(self, X: Numbers) -> tuple[float, float] | None:
        """Of images in bytes, which stay bytes until they are on the device."""
        if is_pixels(X) and self.scaling.factor.ndim == 0:
            return float(self.scaling.offset), float(self.scaling.factor)
        return None

    def to_settings(self) -> dict[str, Any]:
        """The likelihood and the range; shapes and scales are arrays."""
        return {
            "table": None,
            "feature_shape": list(self.feature_shape),
            "likelihood": self.likelihood,
            "range": list(self.range),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The scaling."""
        return dict(zip(SCALING, (self.scaling.offset, self.scaling.factor), strict=True))


def _refuse_not_binary(X: Numbers, binarise: str | None, low: float, high: float) -> None:
    if binarise and has_missing(X):
        raise DataError(
            "binarise draws every value anew, and X has missing values (NaN).",
            "Leave it out, or fill the missing values first.",
        )
    if binarise and not (low >= 0 and high <= 1):
        raise DataError(
            f"binarise needs values in [0, 1]; got [{low:g}, {high:g}] after scaling.", "Pass scaling='unit'."
        )


def scaled_ends(X: Numbers, scaling: Scaling) -> tuple[float, float]:
    """The least and the greatest value in the model's range, before any clipping: what would be cut off is to be seen.

    Scaling keeps order, so that the ends of each feature are enough.
    """
    axis = None if scaling.factor.ndim == 0 else 0
    low, high = ends(scaling.to_model(np.stack(ends(X, axis))))
    return float(low), float(high)
