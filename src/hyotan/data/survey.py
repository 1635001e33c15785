"""What one look at all rows of a table of numbers finds: missing values, infinite ones, ranges, row numbers.

A table in memory and one that is read batch by batch are surveyed alike, so that the same is refused and noted of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hyotan.data.frames import value_type
from hyotan.data.request import Request
from hyotan.errors import DataError
from hyotan.words.phrases import counted, flag, listed

if TYPE_CHECKING:
    import pyarrow as pa

EXACT_IN_FLOAT32 = 2**24
EXACT_IN_FLOAT64 = 2**53
ROW_ID_NAMES = ("", "id", "index", "row", "unnamed: 0", "__index_level_0__")


class Survey:
    """A look at all rows, some at a time.

    Parameters
    ----------
    schema : of the columns, all of them numbers.
    total : rows.
    request : says what missing values mean.
    """

    def __init__(self, schema: pa.Schema, total: int, request: Request) -> None:
        from pyarrow import types

        self.names, self.total, self._wish = schema.names, total, request.missing
        n = len(self.names)
        self._rows = self._holed = self._infinite = self._left = 0
        self._first_infinite = 0, 0
        self._missing, self._sums = np.zeros(n, np.int64), np.zeros(n)
        self._low, self._high = np.full(n, np.inf), np.full(n, -np.inf)
        self._whole = np.array([types.is_integer(value_type(kind)) for kind in schema.types])
        self._counting = self._whole & np.array([may_count_rows(name) for name in self.names]) & (total > 1)
        self._first = np.zeros(n)
        self._keeps: list[np.ndarray] = []

    def add(self, X: np.ndarray, unlabelled: np.ndarray) -> None:
        """Look at the rows that follow.

        Parameters
        ----------
        X : (rows, columns), float64, NaN for a missing value.
        unlabelled : (total,), which of all rows have no label.
        """
        is_missing, n = np.isnan(X), len(X)
        self._look_for_counts(X)
        self._missing += is_missing.sum(axis=0)
        self._holed += int(is_missing.any(axis=1).sum())
        if self._wish == "drop":
            kept = ~(is_missing.any(axis=1) | unlabelled[self._rows : self._rows + n])
            self._keeps.append(kept)
            X, is_missing = X[kept], is_missing[kept]
        self._rows += n
        if len(X):
            self._measure(X, is_missing)
        self._left += len(X)

    def empty_columns(self) -> list[str]:
        """Columns without any value."""
        return self._named(self._missing == self.total)

    @property
    def has_missing(self) -> bool:
        """Whether a value is missing."""
        return bool(self._missing.any())

    @cached_property
    def kept(self) -> np.ndarray | None:
        """Which rows stay, (total,); None for all."""
        return np.concatenate(self._keeps) if self._left < self.total else None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows that stay, and columns."""
        return self._left, len(self.names)

    @cached_property
    def dtype(self) -> np.dtype:
        """float32, or float64 where float32 would change what a column holds."""
        return np.dtype(np.float64 if self._changed.any() else np.float32)

    def completed(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """All rows again, some at a time, as they are learned from: missing values dealt with as asked for."""
        means, start = self._sums / np.maximum(1, self.total - self._missing), 0
        for X in blocks:
            rows = X if self.kept is None else X[self.kept[start : start + len(X)]]
            start += len(X)
            if self._wish == "mean" and self.has_missing:
                rows = np.where(np.isnan(rows), means, rows)
            yield rows.astype(self.dtype, copy=False)

    def notes(self) -> list[str]:
        """What there is to say; refuses infinite values, and missing ones where that was asked for."""
        notes = [*row_id_notes(self._named(self._counting)), *self._missing_notes()]
        if self._infinite:
            row, column = self._first_infinite
            raise DataError(
                f"{counted(self._infinite, 'infinite value')}, the first in row {row + 1} "
                f"of column '{self.names[column]}'.",
                "Mend those rows, or leave the cells empty and use --missing.",
            )
        if self._changed.any():
            wide = listed(self._named(self._changed))
            notes.append(f"The numbers stay float64, since float32 cannot hold those in {wide}.")
            if (self._whole & (self._largest >= EXACT_IN_FLOAT64)).any():
                notes.append(f"Whole numbers from {EXACT_IN_FLOAT64:,} on were rounded to what float64 can hold.")
        return notes

    @property
    def _largest(self) -> np.ndarray:
        return np.maximum(np.abs(self._low), np.abs(self._high))

    @cached_property
    def _changed(self) -> np.ndarray:
        """Which columns hold what float32 would change, (columns,)."""
        with np.errstate(over="ignore"):
            low, high = self._low.astype(np.float32), self._high.astype(np.float32)
        changed = (self._whole & (self._largest > EXACT_IN_FLOAT32)) | ~np.isfinite(low) | ~np.isfinite(high)
        return changed | ((low == high) & (self._low < self._high))

    def _named(self, chosen: np.ndarray) -> list[str]:
        return [name for name, is_chosen in zip(self.names, chosen, strict=True) if is_chosen]

    def _missing_notes(self) -> list[str]:
        if self._wish == "drop":
            return [] if self.kept is None else [dropped_note(self._left, self.total)]
        if not self.has_missing:
            return []
        if self._wish == "error":
            self._refuse_missing()
        missing, holed = counted(int(self._missing.sum()), "missing value"), listed(self._named(self._missing > 0))
        if self._wish == "keep":
            return [f"{missing} in {holed}; the model learns from those that are there (--missing keep)."]
        return [f"The column's mean was filled in for {missing} in {holed} (--missing mean)."]

    def _refuse_missing(self) -> None:
        holed = [f"'{name}' ({n:,})" for name, n in zip(self.names, self._missing.tolist(), strict=True) if n]
        shown = ", ".join(holed[:8]) + (f" and {len(holed) - 8} more" if len(holed) > 8 else "")
        missing, rows = counted(int(self._missing.sum()), "value"), counted(self.total, "row")
        raise DataError(
            f"{missing} missing in {self._holed:,} of {rows}: {shown}.",
            "Keep them as they are with --missing keep, ignore those rows with --missing drop, or fill in the "
            "column's mean with --missing mean (in Python: missing='keep', missing='drop' or missing='mean').",
        )

    def _measure(self, X: np.ndarray, is_missing: np.ndarray) -> None:
        places = np.argwhere(np.isinf(X))
        if len(places) and not self._infinite:
            self._first_infinite = self._left + int(places[0][0]), int(places[0][1])
        self._infinite += len(places)
        self._sums += np.where(is_missing, 0, X).sum(axis=0)
        self._low = np.fmin(self._low, np.fmin.reduce(X, axis=0))
        self._high = np.fmax(self._high, np.fmax.reduce(X, axis=0))

    def _look_for_counts(self, X: np.ndarray) -> None:
        if self._rows == 0:
            self._first = X[0]
            self._counting &= (self._first == 0) | (self._first == 1)
        for place in np.flatnonzero(self._counting):
            expected = np.arange(self._rows, self._rows + len(X)) + self._first[place]
            self._counting[place] = np.array_equal(X[:, place], expected)


def may_count_rows(name: str) -> bool:
    """Whether a column has the name of one that only counts the rows."""
    return name.lower() in ROW_ID_NAMES or name.startswith("unnamed_")


def row_id_notes(names: Sequence[str]) -> list[str]:
    """A note on columns that only count the rows: they carry no information that a model should learn."""
    if not names:
        return []
    return [f"{listed(names)} only counts the rows; ignore it with {flag('ignore', names)}."]


def dropped_note(kept: int, rows: int) -> str:
    """A sentence on rows that are ignored; refuses to ignore all of them."""
    if not kept:
        raise DataError("Every row has a missing value, so none is left.", "Fill them in with --missing mean.")
    return f"{rows - kept:,} of {counted(rows, 'row')} had missing values and were ignored (--missing drop)."
