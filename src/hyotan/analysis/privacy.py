"""Whether synthetic rows give training rows away: their distance to the closest one, beside that of other real rows.

>>> import numpy as np
>>> random = np.random.default_rng(0)
>>> def draw(n):
...     return {"kind": random.choice(["a", "b"], n), "size": random.normal(size=n), "age": random.normal(size=n)}
>>> train, held_out, fresh = draw(1000), draw(500), draw(1000)
>>> check_privacy(train, held_out, fresh).passed, check_privacy(train, held_out, train).passed
(True, False)
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from hyotan.analysis.fidelity import ComparedTable, Encoder, deviation

MOST_QUERIES = 5_000
"""Held-out and synthetic rows, of each so many at most, whose closest training row is looked for among all of them."""
CLOSE = 0.05
"""Share of the held-out rows that counts as close to a training row."""
DEVIATIONS = 1.959964
"""Half the width of a 95 % interval, in standard deviations."""
_AT_ONCE = 2**22


@dataclass(frozen=True)
class Privacy:
    """Whether synthetic rows lie closer to the training rows than other real rows do.

    Close is what the closest 5 % of the held-out rows are: at most ``threshold`` from their closest training row.

    Attributes
    ----------
    threshold : distance; see :func:`closest_distances`.
    close, expected : share of the synthetic rows, and of the held-out ones, that are close. Where many real rows are
        equal, more than 5 % of these are.
    low, high : 95 % interval of ``close - expected`` (Newcombe 1998, method 10).
    copies, expected_copies : share of the synthetic, and of the held-out rows, that equal a training row.
    median, expected_median : of the distances.
    rows, held_out_rows : how many were looked at.
    """

    threshold: float
    close: float
    expected: float
    low: float
    high: float
    copies: float
    expected_copies: float
    median: float
    expected_median: float
    rows: int
    held_out_rows: int

    @property
    def passed(self) -> bool:
        """Whether nothing shows that more synthetic rows are close than chance makes: the interval reaches 0.

        With few held-out rows the interval is wide, and only gross copying shows.
        """
        return self.low <= 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return asdict(self) | {"passed": self.passed}


def check_privacy(
    train: Any, held_out: Any, synthetic: Any, categories: Collection[str] = (), random_state: int = 0
) -> Privacy:
    """Compare the synthetic rows' distances to their closest training row with those of rows that were held out.

    A model that draws from the distribution gives rows as far from the training rows as other real rows are; one that
    repeats its rows gives closer ones.

    Parameters
    ----------
    train : the rows that the synthetic ones were made from.
    held_out : real rows that had no part in it.
    synthetic : the rows to check.
    categories : columns of numbers that are categories.
    random_state : seed of which rows are looked at where there are more than 5,000.

    Raises
    ------
    DataError
        The tables do not have the same columns, or no rows.
    """
    own = ComparedTable.of(train, categories)
    tables = [own.like(held_out, "held-out"), own.like(synthetic, "synthetic")]
    others, ours = (closest_distances(own, table.some(MOST_QUERIES, random_state)) for table in tables)
    threshold = float(np.quantile(others, CLOSE, method="higher"))
    close, expected = float(np.mean(ours <= threshold)), float(np.mean(others <= threshold))
    low, high = _difference_interval(close, len(ours), expected, len(others))
    return Privacy(
        threshold=threshold,
        close=close,
        expected=expected,
        low=low,
        high=high,
        copies=float(np.mean(ours == 0)),
        expected_copies=float(np.mean(others == 0)),
        median=float(np.median(ours)),
        expected_median=float(np.median(others)),
        rows=len(ours),
        held_out_rows=len(others),
    )


def closest_distances(train: ComparedTable, rows: ComparedTable) -> ndarray:
    """Each row's distance to its closest training row, (rows,).

    The root of the sum over the columns of squared differences: of numbers, in standard deviations of the training
    rows; 1 for two categories that differ, and for a missing value beside a value (HEOM, Wilson & Martinez 1997,
    equation 9, with deviations for ranges, which one odd row can stretch).

    Parameters
    ----------
    train, rows : tables with the same columns.
    """
    deviations = [deviation(column) for column in train.numbers.values()]
    numbers = [_scaled(table, deviations) for table in (rows, train)]
    kinds = Encoder.of(train, rows).numbered
    codes = [np.nan_to_num(kinds(table), nan=-1.0) for table in (rows, train)]
    closest, size = np.empty(rows.rows), max(1, _AT_ONCE // train.rows)
    for at in range(0, rows.rows, size):
        part = slice(at, at + size)
        squares = _squares(numbers[0][part], numbers[1])
        for ours, theirs in zip(codes[0][part].T, codes[1].T, strict=True):
            squares += ours[:, None] != theirs
        closest[part] = np.sqrt(squares.min(axis=1))
    return closest


def _scaled(table: ComparedTable, deviations: list[float]) -> ndarray:
    """The columns of numbers, (rows, columns), in so many units each."""
    columns = [column / unit for column, unit in zip(table.numbers.values(), deviations, strict=True)]
    return np.stack(columns, axis=1) if columns else np.empty((table.rows, 0))


def _squares(a: ndarray, b: ndarray) -> ndarray:
    """Squared distances, (n, m), between rows of numbers, (n, columns) and (m, columns); some may be missing."""
    from scipy.spatial.distance import cdist

    whole = ~(np.isnan(a).any(axis=0) | np.isnan(b).any(axis=0))
    squares = cdist(a[:, whole], b[:, whole], "sqeuclidean") if whole.any() else np.zeros((len(a), len(b)))
    for ours, theirs in zip(a[:, ~whole].T, b[:, ~whole].T, strict=True):
        apart = np.square(ours[:, None] - theirs)
        squares += np.where(np.isnan(apart), np.isnan(ours)[:, None] != np.isnan(theirs), apart)
    return squares


def _difference_interval(share: float, n: int, other: float, m: int) -> tuple[float, float]:
    """95 % interval of the difference of two shares, of n and of m rows.  Newcombe 1998, method 10."""
    (low, high), (other_low, other_high) = _wilson(share, n), _wilson(other, m)
    down, up = math.hypot(share - low, other_high - other), math.hypot(high - share, other - other_low)
    return share - other - down, share - other + up


def _wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n.  Wilson 1927."""
    z2 = DEVIATIONS**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = DEVIATIONS / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return middle - half, middle + half
