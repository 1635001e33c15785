"""Parquet files that are too large for memory: looked at once, batch by batch, then decoded into a file.

What is refused and what is noted is the same as of a table in memory (:mod:`hyotan.data.tables`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyotan.data import tables
from hyotan.data.dataset import Dataset
from hyotan.data.decoded import Decoded, key_of
from hyotan.data.request import Request
from hyotan.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

BATCH_ROWS = 2**16
BATCH_VALUES = 2**21
"""Rows, and values, that are decoded at once, at most."""


def read_large(file: parquet.ParquetFile, path: Path, request: Request) -> Dataset:
    """The table's number columns, decoded into the cache, and the label column in memory.

    Raises
    ------
    DataError
        What :func:`~hyotan.data.tables.as_dataset` refuses.
    ResourceError
        The disk has no room for the decoded rows.
    """
    source = Columns(file, request)
    place = Decoded(key_of(path, [path], names=source.names, label=request.label, missing=request.missing))
    y = None if request.label is None else tables.label_column(source.table([request.label])[request.label])
    unlabelled = tables.label_missing(y, file.metadata.num_rows)
    if not place.exists():
        tables.refuse_text(source.first(), request)
        survey = source.survey(unlabelled)
        tables.refuse_empty(survey.empty_columns(), request)
        notes = [*source.renamed, *tables.row_id_notes(survey.counting()), *survey.missing_notes(request)]
        survey.refuse_infinite()
        wide, rounded = survey.wide()
        notes += tables.wide_notes(source.names, wide, rounded) if wide.any() else []
        dtype = np.dtype(np.float64 if wide.any() else np.float32)
        kept, means = survey.kept(), survey.means()
        rows = file.metadata.num_rows if kept is None else int(kept.sum())
        place.write((rows, len(source.names)), dtype, source.filled(kept, means), kept, notes)
    y, more = _labelled(y, unlabelled, place.kept())
    ids = tables.row_ids(source.table([] if request.id is None else [request.id]), request, place.kept())
    dataset = Dataset.from_arrays(place.rows(), y, feature_names=source.names, notes=[*place.notes(), *more])
    return replace(dataset, ids=ids, id_name=request.id or "row")


def _labelled(
    y: np.ndarray | None, unlabelled: np.ndarray, kept: np.ndarray | None
) -> tuple[np.ndarray | None, list[str]]:
    if y is None or kept is not None:
        return None if y is None else tables.settled(y[kept]), []
    if not unlabelled.any():
        return y, []
    y, note = tables.marked(y, unlabelled)
    return y, [note]


class Columns:
    """The columns of a Parquet file that are features, some rows at a time.

    Parameters
    ----------
    file : open.
    request : which columns are features.
    """

    def __init__(self, file: parquet.ParquetFile, request: Request) -> None:
        self._file, self._request = file, request
        none, self.renamed = tables.named(file.schema_arrow.empty_table())
        tables.check_names(none, request)
        self._schema = tables.feature_columns(none, request).schema
        self.names: list[str] = self._schema.names
        # Columns that had to be renamed cannot be asked for by name.
        self._in_file = {} if self.renamed else dict(zip(none.column_names, file.schema_arrow.names, strict=True))

    def first(self) -> pa.Table:
        """The first rows: of a column that is no number they hold an example."""
        return next(self._tables(self.names))

    def table(self, names: list[str]) -> pa.Table:
        """Some columns, whole."""
        import pyarrow as pa

        return pa.concat_tables(self._tables(names)) if names else pa.table({})

    def survey(self, unlabelled: np.ndarray) -> Survey:
        """One look at all rows.

        Parameters
        ----------
        unlabelled : (rows,), which of them have no label.
        """
        survey = Survey(
            self.names, tables.whole_columns(self._schema), len(unlabelled), self._request.missing == "drop"
        )
        for table in self._tables(self.names):
            survey.add(tables.matrix(table), unlabelled[survey.rows : survey.rows + table.num_rows])
        return survey

    def filled(self, kept: np.ndarray | None, means: np.ndarray) -> Iterator[np.ndarray]:
        """All rows as numbers, some at a time: those that are kept, the column's mean in place of a missing value."""
        seen = 0
        for table in self._tables(self.names):
            rows = tables.matrix(table)
            if kept is not None:
                rows = rows[kept[seen : seen + len(rows)]]
            seen += table.num_rows
            yield np.where(np.isnan(rows), means, rows)

    def _tables(self, names: list[str]) -> Iterator[pa.Table]:
        import pyarrow as pa

        wanted = [self._in_file[name] for name in names] if self._in_file else None
        size = max(1, min(BATCH_ROWS, BATCH_VALUES // len(names)))
        for batch in self._file.iter_batches(size, columns=wanted, use_threads=False):
            yield tables.named(pa.Table.from_batches([batch]))[0].select(names)


class Survey:
    """What one look at all rows of a table finds, column by column.

    Parameters
    ----------
    names, whole : the columns, and which of them hold whole numbers.
    total : rows.
    drops : whether rows with a missing value are left out.
    """

    def __init__(self, names: list[str], whole: np.ndarray, total: int, drops: bool) -> None:
        self.names, self.whole, self.total, self.drops = names, whole, total, drops
        n = len(names)
        self.rows = self._holed = self._infinite = self._left = 0
        self._first_infinite = 0, 0
        self._missing, self._sums = np.zeros(n, np.int64), np.zeros(n)
        self._low, self._high = np.full(n, np.inf), np.full(n, -np.inf)
        self._counting = whole & np.array([tables.may_count_rows(name) for name in names]) & (total > 1)
        self._first = np.zeros(n)
        self._keeps: list[np.ndarray] = []

    def add(self, X: np.ndarray, unlabelled: np.ndarray) -> None:
        """Look at the rows that follow, (rows, columns) float64, NaN for a missing value; ``unlabelled`` says
        which have no label.
        """
        empty = np.isnan(X)
        self._look_for_counts(X)
        self._missing += empty.sum(axis=0)
        self._holed += int(empty.any(axis=1).sum())
        self.rows += len(X)
        if self.drops:
            kept = ~(empty.any(axis=1) | unlabelled)
            self._keeps.append(kept)
            X, empty = X[kept], empty[kept]
        if len(X):
            self._measure(X, empty)
        self._left += len(X)

    def empty_columns(self) -> list[str]:
        """Columns without any value."""
        return [name for name, missing in zip(self.names, self._missing, strict=True) if missing == self.total]

    def counting(self) -> list[str]:
        """Columns that only count the rows."""
        return [name for name, counts in zip(self.names, self._counting, strict=True) if counts]

    def missing_notes(self, request: Request) -> list[str]:
        """What was done about missing values; refuses them where that was asked for."""
        if self.drops:
            return [tables.dropped_note(self._left, self.total)] if self._left < self.total else []
        if not self._missing.any():
            return []
        if request.missing == "keep":
            raise DataError(
                "The rows stay on disk, and such rows cannot have missing values (--missing keep).",
                "Take some of them with --limit, or fill in the column's mean with --missing mean.",
            )
        if request.missing == "error":
            tables.refuse_missing(self._missing.tolist(), self._holed, self.total, self.names)
        return [tables.filled_note(self._missing.tolist(), self.names)]

    def refuse_infinite(self) -> None:
        """Refuse infinite values."""
        if self._infinite:
            row, column = self._first_infinite
            raise tables.infinite(self._infinite, row, self.names[column])

    def wide(self) -> tuple[np.ndarray, bool]:
        """Which columns hold what float32 would change, and whether even float64 had to round."""
        largest = np.maximum(np.abs(self._low), np.abs(self._high))
        with np.errstate(over="ignore"):
            low, high = self._low.astype(np.float32), self._high.astype(np.float32)
        changed = (self.whole & (largest > tables.EXACT_IN_FLOAT32)) | ~np.isfinite(low) | ~np.isfinite(high)
        changed |= (low == high) & (self._low < self._high)
        return changed, bool((self.whole & (largest >= tables.EXACT_IN_FLOAT64)).any())

    def kept(self) -> np.ndarray | None:
        """Which rows stay, (rows,); None for all."""
        return np.concatenate(self._keeps) if self.drops and self._left < self.total else None

    def means(self) -> np.ndarray:
        """The mean of each column, (columns,)."""
        return self._sums / np.maximum(1, self.total - self._missing)

    def _measure(self, X: np.ndarray, empty: np.ndarray) -> None:
        places = np.argwhere(np.isinf(X))
        if len(places) and not self._infinite:
            self._first_infinite = self._left + int(places[0][0]), int(places[0][1])
        self._infinite += len(places)
        self._sums += np.where(empty, 0, X).sum(axis=0)
        self._low = np.fmin(self._low, np.where(empty, np.inf, X).min(axis=0))
        self._high = np.fmax(self._high, np.where(empty, -np.inf, X).max(axis=0))

    def _look_for_counts(self, X: np.ndarray) -> None:
        if self.rows == 0:
            self._first = X[0]
            self._counting &= (self._first == 0) | (self._first == 1)
        if self._counting.any():
            self._counting &= (X - self._first == np.arange(self.rows, self.rows + len(X))[:, None]).all(axis=0)
