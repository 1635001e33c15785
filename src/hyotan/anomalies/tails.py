"""Columns with their tails drawn in, so that rows far outside neither lead the training nor drown other columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LINEAR = 4.0
"""Spreads from the middle within which a value hardly moves; beyond, its logarithm counts."""

SAME = 1e-9
"""Of a column's middle, what counts as no spread at all but rounding."""

QUARTILES = 1.3489795003921634
"""What lies between the quartiles of the standard normal distribution."""


@dataclass(frozen=True, eq=False)
class Tails:
    """The middle and the spread of each column, and with them x -> 4 asinh((x - middle) / (4 spread)).

    Neither follows the oddest quarter of the rows, unless most values of a column are one and the same. Order is kept,
    and so is what lies near the middle; a value of 1,000 spreads becomes one of 25.

    Attributes
    ----------
    middle, spread : (features,)
    """

    middle: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray) -> Tails:
        """The tails of rows, (n, features): by their quartiles, by the deviation where those are the same."""
        low, middle, high = np.nanpercentile(X.astype(np.float64), [25, 50, 75], axis=0)
        deviation, spread = np.nanstd(X, axis=0, dtype=np.float64), (high - low) / QUARTILES
        least = SAME * np.abs(middle)
        spread = np.where(spread > least, spread, deviation)
        return cls(middle, np.where(spread > least, spread, 1.0))

    def draw_in(self, X: np.ndarray) -> np.ndarray:
        """Rows, (n, features), float64, in spreads from the middle."""
        return LINEAR * np.arcsinh((X.astype(np.float64) - self.middle) / (LINEAR * self.spread))
