"""Rows that stay in their file: an array to those who ask for its shape, some rows or a block, never read whole.

A memory map would do, were it not for three things: reductions and conversions of one make copies of its size, rows
taken from it by number need an array of numbers, and every page that was looked at stays in the process.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias, overload

import numpy as np

from hyotan.data.frames import Frame
from hyotan.errors import DataError

STREAMED_BYTES = 2**27
"""A memory map larger than this stays in its file; a smaller one is copied, as arrays are."""

HELD_OUT_ROWS, HELD_OUT_BYTES = 50_000, 2**27
"""Of rows that stay in their file, no more than this is held out, or taken as a sample: rows, and bytes in float32."""

RUN_ROWS = 64
"""Rows that are held out side by side: few enough to be spread over the file, enough to leave the others in blocks."""

SCATTERED_ROWS = 256
"""Of rows here and there, so many are read before their pages are given back: each brings up to a large page along."""

AROUND_BYTES = 2**21
"""Pages about those that were read are given back too: the system maps some along, as far as a large page reaches."""

BLOCK_BYTES = 2**22
"""Of rows in their file, so much is looked at at once: conversions to float64 of it stay small."""


COMPARED_ROWS, COMPARED_BYTES = 100_000, 2**29
"""Where rows in a file have to come into memory after all, for models to be compared on them: so many of them."""


class RowRanges:
    """Row numbers in closed form: evenly spread runs of ``n`` rows, or what lies between the runs.

    Parameters
    ----------
    n : rows that are numbered.
    count : runs, each in a period of ``n // count`` rows.
    length : rows of a run, fewer than a period has.
    start : where in its period a run begins.
    inside : whether the rows of the runs are meant, or the others.
    """

    def __init__(self, n: int, count: int, length: int, start: int, inside: bool = True) -> None:
        self.n, self.count, self.length, self.start, self.inside = n, count, length, start, inside
        self._period = n // count

    def __len__(self) -> int:
        held = self.count * self.length
        return held if self.inside else self.n - held

    def __getitem__(self, places: slice | np.ndarray) -> np.ndarray:
        """The numbers of the rows at some places of this sequence, int64."""
        return self.numbers(_places(places, len(self)))

    @property
    def others(self) -> RowRanges:
        """The rows that are not among these."""
        return RowRanges(self.n, self.count, self.length, self.start, not self.inside)

    def numbers(self, places: Any) -> Any:
        """The numbers of the rows at some places of this sequence, an array or a single one."""
        if self.inside:
            return places // self.length * self._period + self.start + places % self.length
        gap = self._period - self.length
        # Behind the last period lie fewer rows than it has runs; none of them is in a run.
        period = np.minimum(places // gap, self.count)
        within = places - period * gap
        jumped = (within >= self.start) & (period < self.count)
        return period * self._period + within + jumped * self.length

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The rows at the places from ``start`` to ``stop``, as ranges of numbers that follow each other."""
        while start < stop:
            first = int(self.numbers(start))
            taken = min(stop - start, self._until_jump(start))
            yield first, first + taken
            start += taken

    def _until_jump(self, place: int) -> int:
        """Rows from here on that may be read in one piece."""
        if self.inside:
            return self.length - place % self.length
        gap = self._period - self.length
        if place >= self.count * gap:
            return len(self) - place
        within = place % gap
        return self.start - within if within < self.start else gap - within


def spread(n: int, held: int, start: float) -> RowRanges:
    """Some ``held`` of ``n`` rows, in short runs that are spread evenly.

    Parameters
    ----------
    n, held : numbers of rows, ``0 < held < n``.
    start : where in its period each run begins: from 0, less than 1.
    """
    length = min(RUN_ROWS, max(1, held // 16))
    count = min(held // length, n // (length + 1))
    return RowRanges(n, count, length, int(start * (n // count - length + 1)))


def first(n: int, held: int) -> RowRanges:
    """The first ``held`` of ``n`` rows."""
    return RowRanges(n, 1, held, 0)


def last(n: int, held: int) -> RowRanges:
    """The last ``held`` of ``n`` rows."""
    return RowRanges(n, 1, held, n - held)


class StoredRows:
    """Rows of a memory map, or some of them.

    ``X[5:9]``, ``X[numbers]`` and ``X[7]`` are arrays in memory; ``X[runs]`` are stored rows again. Pages that were
    read are given back to the system, so that the process stays as small as what it works on.

    Parameters
    ----------
    mapped : (n, *features), real numbers.
    dtype : of the rows that are read; by default that of the file, in the machine's byte order.
    picked : which rows, one pattern within the other.
    """

    def __init__(self, mapped: np.memmap, dtype: np.dtype | None = None, picked: tuple[RowRanges, ...] = ()) -> None:
        self._mapped, self._picked = mapped, picked
        self.dtype = dtype_in_memory(mapped.dtype) if dtype is None else dtype
        self.shape = (len(picked[-1]) if picked else len(mapped), *mapped.shape[1:])
        self.ndim = mapped.ndim

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes that the rows would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.nbytes // len(self)

    @overload
    def __getitem__(self, rows: RowRanges) -> StoredRows: ...

    @overload
    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray: ...

    def __getitem__(self, rows: int | slice | np.ndarray | RowRanges) -> np.ndarray | StoredRows:
        """Some rows, read into memory; of :class:`RowRanges`, as they are in the file."""
        if isinstance(rows, RowRanges):
            return StoredRows(self._mapped, self.dtype, (*self._picked, rows))
        if isinstance(rows, int | np.integer):
            return self.read(rows % len(self), rows % len(self) + 1)[0]
        if isinstance(rows, slice) and rows.step in (None, 1):
            start, stop, _ = rows.indices(len(self))
            return self.read(start, max(start, stop))
        return self._at(_places(rows, len(self)))

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """All rows, in memory."""
        return self.read(0, len(self)).astype(self.dtype if dtype is None else dtype, copy=False)

    def read(self, start: int, stop: int) -> np.ndarray:
        """The rows from ``start`` to ``stop``, in memory."""
        rows = np.empty((stop - start, *self.shape[1:]), dtype=self.dtype)
        done = 0
        for begin, end in self._pieces(start, stop):
            rows[done : done + end - begin] = self._mapped[begin:end]
            self._release(begin, end)
            done += end - begin
        return rows

    def expect(self, start: int, stop: int) -> None:
        """Have the system fetch rows that will be read soon, while others are."""
        for begin, end in self._pieces(start, stop) if self._is_by_row else ():
            self._advise("MADV_WILLNEED", begin, end)

    def blocks(self) -> Iterator[np.ndarray]:
        """All rows, in order, some megabytes at a time."""
        step = max(1, BLOCK_BYTES // self.row_bytes)
        for start in range(0, len(self), step):
            yield self.read(start, min(start + step, len(self)))

    def some(self, rows: int = HELD_OUT_ROWS, size: int = HELD_OUT_BYTES) -> np.ndarray:
        """The numbers of at most so many rows, evenly spread, that take no more than so many bytes in float32."""
        return evenly(len(self), min(rows, self.fitting(size)))

    def sample(self, rows: int = HELD_OUT_ROWS) -> np.ndarray:
        """At most so many rows, evenly spread, in memory, and no more than :data:`HELD_OUT_BYTES`."""
        return self._at(self.some(rows))

    def fitting(self, size: int) -> int:
        """How many rows take so many bytes in float32; at least one."""
        return max(1, size // (4 * int(np.prod(self.shape[1:], dtype=np.int64))))

    # -- what one look at all rows tells -------------------------------------------------------------------------------

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest value of each feature, (*features); NaN where there is one."""
        low = high = None
        for block in self.blocks():
            below, above = block.min(axis=0), block.max(axis=0)
            low = below if low is None else np.minimum(low, below)
            high = above if high is None else np.maximum(high, above)
        if low is None or high is None:
            raise DataError("X holds no rows.", "Give at least one of the rows.")
        return low, high

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each feature, (*features), float64."""
        seen, mean, squares = 0, np.zeros(self.shape[1:]), np.zeros(self.shape[1:])
        for block in self.blocks():
            rows = block.astype(np.float64)
            here = rows.mean(axis=0)
            total, away = seen + len(rows), here - mean
            # Squares about the mean of all that was seen: a sum of squares would lose the digits of a large mean.
            squares += np.square(rows - here).sum(axis=0) + np.square(away) * (seen * len(rows) / total)
            mean += away * (len(rows) / total)
            seen = total
        return mean, np.sqrt(squares / seen)

    def min(self, axis: int | None = None) -> np.ndarray:
        """The least value, of all or (``axis=0``) of each feature."""
        return self.ends[0] if axis == 0 else self.ends[0].min()

    def max(self, axis: int | None = None) -> np.ndarray:
        """The greatest value, of all or (``axis=0``) of each feature."""
        return self.ends[1] if axis == 0 else self.ends[1].max()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _pieces(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Places from ``start`` to ``stop`` as ranges of the file's own rows."""
        pieces = [(start, stop)]
        for runs in reversed(self._picked):
            pieces = [piece for begin, end in pieces for piece in runs.pieces(begin, end)]
        return pieces

    def _at(self, places: np.ndarray) -> np.ndarray:
        for runs in reversed(self._picked):
            places = runs.numbers(places)
        rows = np.empty((len(places), *self.shape[1:]), dtype=self.dtype)
        for start in range(0, len(places), SCATTERED_ROWS):
            here = places[start : start + SCATTERED_ROWS]
            rows[start : start + len(here)] = self._mapped[here]
            self._release(int(here.min()), int(here.max()) + 1)
        return rows

    def _release(self, begin: int, end: int) -> None:
        # Of a map that keeps changes to itself (mode "c"), giving pages back would undo the changes.
        if self._mapped.mode != "c":
            self._advise("MADV_DONTNEED", begin, end, AROUND_BYTES)

    def _advise(self, advice: str, begin: int, end: int, around: int = 0) -> None:
        """Tell the system about rows of the file, where it listens: pages are its own, so nothing hangs on it."""
        pages = _pages(self._mapped)
        if pages is None or not hasattr(mmap, advice) or begin >= end:
            return
        first, last = 0, len(pages)
        if self._is_by_row:
            first, last = (self._offset + row * self._mapped.strides[0] for row in (begin, end))
            first, last = max(0, first - around), min(last + around, len(pages))
        page = first - first % mmap.PAGESIZE
        pages.madvise(getattr(mmap, advice), page, last - page)

    @cached_property
    def _is_by_row(self) -> bool:
        """Whether a row lies in one piece, and rows in their order; in a file written by column they do not."""
        return self._mapped.strides[0] > 0 and self._mapped.strides[0] == max(map(abs, self._mapped.strides))

    @cached_property
    def _offset(self) -> int:
        """Where in the map's pages the first row lies: of part of a map, not where numpy says that the map begins."""
        return self._mapped.ctypes.data - np.frombuffer(vars(self._mapped)["_mmap"], np.uint8).ctypes.data


Numbers: TypeAlias = "np.ndarray | StoredRows"
"""Rows of numbers, in memory or in their file."""

Resident: TypeAlias = "np.ndarray | Frame"
"""Rows in memory, of numbers or of several kinds of columns."""

Array: TypeAlias = "np.ndarray | StoredRows | Frame"
"""Rows of any kind."""


def stored(X: object) -> StoredRows | None:
    """The rows of a memory map that is too large to be copied; None for everything else."""
    if isinstance(X, StoredRows):
        return X
    if not isinstance(X, np.memmap) or X.nbytes <= STREAMED_BYTES or X.ndim < 2 or X.dtype.kind not in "biuf":
        return None
    return None if _pages(X) is None else StoredRows(X)


def sample_of(X: Any, rows: int = HELD_OUT_ROWS) -> Any:
    """Rows in memory that stand for all: of a file's at most so many, evenly spread; all others as they are."""
    return X if (in_file := stored(X)) is None else in_file.sample(rows)


def held_out_rows(X: StoredRows, fraction: float) -> int:
    """How many rows to hold out for a share of them, fewer than there are: see :data:`HELD_OUT_ROWS`."""
    wanted = int(len(X) * fraction + 1e-9)
    return min(wanted, HELD_OUT_ROWS, X.fitting(HELD_OUT_BYTES), len(X) - 1)


def evenly(n: int, count: int) -> np.ndarray:
    """At most ``count`` of ``n`` row numbers, evenly spread, ascending, int64."""
    return np.arange(n) if n <= count else np.arange(count) * n // count


def _pages(mapped: np.memmap) -> mmap.mmap | None:
    """What a memory map reads; None where it is one by type alone: what numpy takes from a map lies in memory."""
    return vars(mapped).get("_mmap")


def dtype_in_memory(dtype: np.dtype) -> np.dtype:
    """The dtype that numbers get in memory: this machine's byte order, at most 8 bytes, float32 for booleans."""
    if dtype.kind == "b":
        return np.dtype(np.float32)
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    return dtype.newbyteorder("=")


def _places(rows: slice | np.ndarray, n: int) -> np.ndarray:
    """Places as whole numbers from 0, whichever way NumPy lets them be written."""
    if isinstance(rows, slice):
        return np.arange(*rows.indices(n))
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype.kind == "b" else np.where(rows < 0, rows + n, rows)


def ends(X: Numbers, axis: int | None = None) -> tuple[Any, Any]:
    """The least and the greatest value, of all or (``axis=0``) of each feature; NaN, a gap, is none.

    NaN alone for a feature that has no value.
    """
    low, high = X.min(axis=axis), X.max(axis=axis)
    # NaN comes through a minimum: rows without gaps are gone through once for each end.
    if not isinstance(X, np.ndarray) or not np.isnan(low).any():
        return low, high
    return np.fmin.reduce(X, axis=axis), np.fmax.reduce(X, axis=axis)
