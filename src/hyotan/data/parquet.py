"""Parquet files that are too large for memory: looked at once, batch by batch, then decoded into a file.

What is refused and what is noted is the same as of a table in memory (:mod:`hyotan.data.tables`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyotan.data import tables
from hyotan.data.dataset import Dataset
from hyotan.data.decoded import Decoded, key_of
from hyotan.data.request import Request
from hyotan.data.survey import Survey
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
    source = FeatureColumns(file, request)
    place = Decoded(key_of(path, [path], names=source.names, label=request.label, missing=request.missing))
    y = None if request.label is None else tables.label_column(source.table([request.label])[request.label])
    unlabelled = tables.label_missing(y, file.metadata.num_rows)
    if not place.exists():
        _write(place, source, unlabelled, request)
    kept = place.kept()
    y, said = tables.labelled(y, unlabelled, kept)
    return Dataset.from_arrays(
        place.rows(),
        y,
        feature_names=source.names,
        notes=[*place.notes(), *said],
        ids=tables.row_ids(source.table([] if request.id is None else [request.id]), request, kept),
        id_name=request.id or "row",
    )


def _write(place: Decoded, source: FeatureColumns, unlabelled: np.ndarray, request: Request) -> None:
    """Survey all rows, then decode them into a file."""
    tables.refuse_text(source.first(), request)
    survey = Survey(source.schema, len(unlabelled), request)
    for X in source.rows():
        survey.add(X, unlabelled)
    tables.refuse_empty(survey.empty_columns(), request)
    if survey.has_missing and request.missing == "keep":
        raise DataError(
            "The rows stay on disk, and such rows cannot have missing values (--missing keep).",
            "Take some of them with --limit, or fill in the column's mean with --missing mean.",
        )
    notes = [*source.renamed, *survey.notes()]
    place.write(survey.shape, survey.dtype, survey.completed(source.rows()), survey.kept, notes)


class FeatureColumns:
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
        self.schema = tables.feature_columns(none, request).schema
        self.names: list[str] = self.schema.names
        # Columns that had to be renamed cannot be asked for by name.
        self._in_file = {} if self.renamed else dict(zip(none.column_names, file.schema_arrow.names, strict=True))

    def first(self) -> pa.Table:
        """The first rows: of a column that is no number they hold an example."""
        return next(self._tables(self.names))

    def table(self, names: list[str]) -> pa.Table:
        """Some columns, whole."""
        import pyarrow as pa

        return pa.concat_tables(self._tables(names)) if names else pa.table({})

    def rows(self) -> Iterator[np.ndarray]:
        """All rows of the features, (some, columns) float64 at a time, NaN for a missing value."""
        yield from map(tables.matrix, self._tables(self.names))

    def _tables(self, names: list[str]) -> Iterator[pa.Table]:
        import pyarrow as pa

        wanted = [self._in_file[name] for name in names] if self._in_file else None
        size = max(1, min(BATCH_ROWS, BATCH_VALUES // len(names)))
        for batch in self._file.iter_batches(size, columns=wanted, use_threads=False):
            yield tables.named(pa.Table.from_batches([batch]))[0].select(names)
