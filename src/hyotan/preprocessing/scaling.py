"""From the data's range to the model's and back: one affine map, fitted on the training rows, kept in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyotan.data.stored import Numbers, ends, sample_of

SATURATED = 0.1
"""Share of values at exactly 0 or 1 from which a table in [0, 1] is taken for pictures or for yes and no."""

ROWS_AT_ONCE = 4096
"""Rows whose values stand in float64 at a time while they are scaled."""


@dataclass(frozen=True)
class Scaling:
    """``(x - offset) * factor`` is the model's range.

    Attributes
    ----------
    offset, factor : (), or (*features), float64.
    """

    offset: np.ndarray
    factor: np.ndarray

    def to_model(self, X: np.ndarray) -> np.ndarray:
        """Scale, (n, *features), to float32."""
        if self.is_identity:
            return X.astype(np.float32, copy=False)
        if X.dtype == np.uint8 and self.factor.ndim == 0:  # 256 values, each computed once
            return ((np.arange(256) - self.offset) * self.factor).astype(np.float32)[X]
        return _by_rows(X, lambda rows: (rows - self.offset) * self.factor)

    def to_data(self, X: np.ndarray) -> np.ndarray:
        """Undo :meth:`to_model`, to float32."""
        if self.is_identity:
            return X.astype(np.float32, copy=False)
        return _by_rows(X, lambda rows: rows / self.factor + self.offset)

    @property
    def is_of_pixels(self) -> bool:
        """Whether 0..255 becomes the model's range."""
        return self.factor.ndim == 0 and float(self.factor) in (1 / 255, 2 / 255)

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return bool(np.all(self.offset == 0) and np.all(self.factor == 1))


def _by_rows(X: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of each value, to float32, some rows at a time: float64 of all of them would be twice their size."""
    if len(X) <= ROWS_AT_ONCE:
        return compute(X).astype(np.float32)
    result = np.empty(X.shape, dtype=np.float32)
    for start in range(0, len(X), ROWS_AT_ONCE):
        result[start : start + ROWS_AT_ONCE] = compute(X[start : start + ROWS_AT_ONCE])
    return result


def is_pixels(X: Numbers) -> bool:
    """Whether values are 0..255 by their type: image-shaped uint8. A table's small integers are numbers."""
    return X.dtype == np.uint8 and X.ndim > 2


def _scaling(offset: np.ndarray | float, factor: np.ndarray | float) -> Scaling:
    return Scaling(np.asarray(offset, dtype=np.float64), np.asarray(factor, dtype=np.float64))


def has_missing(X: Any) -> bool:
    """Whether a value is NaN: not observed."""
    if X.dtype.kind == "O":  # a table with several kinds of columns knows of its own
        return bool(getattr(X, "has_missing", False))
    return X.dtype.kind == "f" and bool(np.isnan(X.min()))


def _span(X: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Offset and width of the values: of the type for pixels, of all values for images, else of each column."""
    if is_pixels(X):
        return np.asarray(0.0), np.asarray(255.0)
    axis = None if X.ndim > 2 else 0
    low, high = ends(X, axis)
    low = np.nan_to_num(np.asarray(low, dtype=np.float64))  # a feature without a value keeps its scale
    width = high - low
    return low, np.where(width > 0, width, 1.0)


def none(X: Numbers) -> Scaling:
    """Leave the values as they are."""
    return _scaling(0.0, 1.0)


def unit(X: Numbers) -> Scaling:
    """To [0, 1]: pixels by 255, other images by their lowest and highest value, tables by column."""
    low, width = _span(X)
    return _scaling(low, 1 / width)


def symmetric(X: Numbers) -> Scaling:
    """To [-1, 1], as :func:`unit` finds the range."""
    low, width = _span(X)
    return _scaling(low + width / 2, 2 / width)


def standard(X: Numbers) -> Scaling:
    """To mean 0 and standard deviation 1, by feature; a constant feature keeps its scale."""
    mean, deviation = _moments(X)
    # A deviation at rounding level is that of a constant: dividing by it would blow rounding up to unit variance.
    constant = deviation <= 1e-7 * np.maximum(1.0, np.abs(mean))
    return _scaling(mean, 1 / np.where(constant, 1.0, deviation))


def _moments(X: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, float64."""
    if not isinstance(X, np.ndarray):
        return X.moments
    rows = X.astype(np.float64, copy=False)
    mean = rows.mean(axis=0)
    return (mean, rows.std(axis=0)) if np.isfinite(mean).all() else observed_moments(rows)


def observed_moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature's observed values; 0 and 0 of one that has none."""
    observed = ~np.isnan(rows)
    count = np.maximum(observed.sum(axis=0), 1)
    mean = np.where(observed, rows, 0.0).sum(axis=0) / count
    squares = np.where(observed, rows - mean, 0.0) ** 2
    return mean, np.sqrt(squares.sum(axis=0) / count)


SCALINGS: Mapping[str, Callable[[Numbers], Scaling]] = {
    "none": none,
    "unit": unit,
    "symmetric": symmetric,
    "standard": standard,
}


def suits_bernoulli(X: Numbers) -> bool:
    """Whether values in [0, 1] are shares of black and white, as in pictures, and not a table's scaled numbers.

    Images are; of a table, those where at least a tenth of the values are exactly 0 or 1: flattened pictures, yes and
    no. On a column of numbers that someone scaled to [0, 1] the cross-entropy hardly tells rows apart.
    """
    if X.ndim > 2:
        return True
    X = sample_of(X)
    observed = 1.0 if not has_missing(X) else float(np.mean(~np.isnan(X)))
    return float(np.mean((X == 0) | (X == 1))) >= SATURATED * observed


def automatic(X: Numbers, low: float, high: float, bounded: bool) -> Callable[[Numbers], Scaling]:
    """The scaling that suits the data: pixels to [0, 1]; images in [0, 1] as they are; all else standardised,
    unless the likelihood is bounded: then it is left as it is, and refused by name where it leaves [0, 1].
    """
    if is_pixels(X):
        return unit
    inside = low >= 0 and high <= 1 and X.ndim > 2
    return none if bounded or inside else standard
