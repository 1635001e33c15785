"""From the data's range to the model's and back: one affine map, fitted on the training rows, kept in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

SATURATED = 0.1
"""Share of values at exactly 0 or 1 from which a table in [0, 1] is taken for pictures or for yes and no."""


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
        return ((X - self.offset) * self.factor).astype(np.float32)

    def to_data(self, X: np.ndarray) -> np.ndarray:
        """Undo :meth:`to_model`, to float32."""
        if self.is_identity:
            return X.astype(np.float32, copy=False)
        return (X / self.factor + self.offset).astype(np.float32)

    @property
    def is_of_pixels(self) -> bool:
        """Whether 0..255 becomes the model's range."""
        return self.factor.ndim == 0 and float(self.factor) in (1 / 255, 2 / 255)

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return bool(np.all(self.offset == 0) and np.all(self.factor == 1))


def is_pixels(X: np.ndarray) -> bool:
    """Whether values are 0..255 by their type: image-shaped uint8. A table's small integers are numbers."""
    return X.dtype == np.uint8 and X.ndim > 2


def _scaling(offset: np.ndarray | float, factor: np.ndarray | float) -> Scaling:
    return Scaling(np.asarray(offset, dtype=np.float64), np.asarray(factor, dtype=np.float64))


def _span(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offset and width of the values: of the type for pixels, of all values for images, else of each column."""
    if is_pixels(X):
        return np.asarray(0.0), np.asarray(255.0)
    axis = None if X.ndim > 2 else 0
    low = np.min(X, axis=axis).astype(np.float64)
    width = np.max(X, axis=axis) - low
    return low, np.where(width > 0, width, 1.0)


def none(X: np.ndarray) -> Scaling:
    """Leave the values as they are."""
    return _scaling(0.0, 1.0)


def unit(X: np.ndarray) -> Scaling:
    """To [0, 1]: pixels by 255, other images by their lowest and highest value, tables by column."""
    low, width = _span(X)
    return _scaling(low, 1 / width)


def symmetric(X: np.ndarray) -> Scaling:
    """To [-1, 1], as :func:`unit` finds the range."""
    low, width = _span(X)
    return _scaling(low + width / 2, 2 / width)


def standard(X: np.ndarray) -> Scaling:
    """To mean 0 and standard deviation 1, by feature; a constant feature keeps its scale."""
    rows = X.astype(np.float64, copy=False)
    deviation = rows.std(axis=0)
    # A deviation at rounding level is that of a constant: dividing by it would blow rounding up to unit variance.
    constant = deviation <= 1e-7 * np.maximum(1.0, np.abs(rows.mean(axis=0)))
    return _scaling(rows.mean(axis=0), 1 / np.where(constant, 1.0, deviation))


SCALINGS: Mapping[str, Callable[[np.ndarray], Scaling]] = {
    "none": none,
    "unit": unit,
    "symmetric": symmetric,
    "standard": standard,
}


def suits_bernoulli(X: np.ndarray) -> bool:
    """Whether values in [0, 1] are shares of black and white, as in pictures, and not a table's scaled numbers.

    Images are; of a table, those where at least a tenth of the values are exactly 0 or 1: flattened pictures, yes and
    no. On a column of numbers that someone scaled to [0, 1] the cross-entropy hardly tells rows apart.
    """
    return X.ndim > 2 or float(np.mean((X == 0) | (X == 1))) >= SATURATED


def automatic(X: np.ndarray, low: float, high: float, bounded: bool) -> Callable[[np.ndarray], Scaling]:
    """The scaling that suits the data: pixels to [0, 1]; images in [0, 1] as they are; all else standardised,
    unless the likelihood is bounded: then it is left as it is, and refused by name where it leaves [0, 1].
    """
    if is_pixels(X):
        return unit
    inside = low >= 0 and high <= 1 and X.ndim > 2
    return none if bounded or inside else standard
