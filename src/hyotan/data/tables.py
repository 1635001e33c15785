"""Tables: pick the columns, take the label, see that numbers are numbers, deal with missing values."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyotan.data import arrays, decoded
from hyotan.data.dataset import Dataset
from hyotan.data.delimited import read_table, reads_as_number
from hyotan.data.frames import Frame, is_number, is_text, plain_values
from hyotan.data.request import Request
from hyotan.data.survey import Survey, dropped_note, may_count_rows, row_id_notes
from hyotan.errors import DataError, did_you_mean
from hyotan.words.phrases import counted, flag, listed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

FEW_CATEGORIES = 10
"""Text with more different values, most of which are numbers, is a spoilt column of numbers."""

UNLABELLED = -1


def read_delimited(path: Path, request: Request, delimiter: str) -> Dataset:
    """A text table whose usual delimiter is given."""
    # What names a row stays as it is written: 007 is no 7.
    table, notes = read_table(path.read_bytes(), delimiter, [] if request.id is None else [request.id])
    return as_dataset(table, request, notes)


read_csv = functools.partial(read_delimited, delimiter=",")
read_tsv = functools.partial(read_delimited, delimiter="\t")


def read_parquet(path: Path, request: Request) -> Dataset:
    """A Parquet file, read as a text table with the same columns would be."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            if _decoded_bytes(file, request) > decoded.DECODED_BYTES:
                from hyotan.data.parquet import read_large

                return read_large(file, path, request)
            _check_size(file.metadata)
            return as_dataset(file.read(), request, [])
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"The Parquet file cannot be read ({str(error).splitlines()[0]}).", "Write it again."
        ) from error


def as_dataset(table: pa.Table, request: Request, notes: Sequence[str]) -> Dataset:
    """A table's columns as rows, `request.label` as y.

    Numbers alone become float32 (float64 where float32 would change them); columns of several kinds stay a table.
    """
    table, renamed = named(table)
    check_names(table, request)
    if table.num_rows == 0:
        raise DataError("The table has column names but no rows.", "Add at least one row.")
    features = feature_columns(table, request)
    y = None if request.label is None else label_column(table[request.label])
    _refuse_spoilt(features, request)
    if request.as_table or not all(is_number(kind) for kind in features.schema.types):
        return _of_several_kinds(table, features, y, request, [*notes, *renamed])
    unlabelled = label_missing(y, features.num_rows)
    X, survey = matrix(features), Survey(features.schema, features.num_rows, request)
    survey.add(X, unlabelled)
    refuse_empty(survey.empty_columns(), request)
    y, said = labelled(y, unlabelled, survey.kept)
    said = [*notes, *renamed, *survey.notes(), *said]
    (rows,) = survey.completed([X])
    return Dataset.from_arrays(
        rows,
        y,
        feature_names=features.column_names,
        notes=said,
        missing_allowed=request.missing == "keep",
        ids=row_ids(table, request, survey.kept),
        id_name=request.id or "row",
    )


def _of_several_kinds(
    table: pa.Table, features: pa.Table, y: np.ndarray | None, request: Request, notes: Sequence[str]
) -> Dataset:
    """Rows that stay a table: the model learns what its columns are."""
    if request.missing == "mean":
        raise DataError(
            "Columns that are no numbers have no mean to fill in (--missing mean).",
            "Leave it out: missing values are kept, and the model learns from what is there. Or type: --missing drop",
        )
    is_missing, dropped, kept = label_missing(y, features.num_rows), [], None
    if request.missing == "drop":
        kept = ~np.any([is_missing, *(column.is_null(nan_is_null=True) for column in features.columns)], axis=0)
        if kept.all():
            kept = None
        else:
            dropped, features = [dropped_note(int(kept.sum()), len(kept))], features.filter(kept)
    y, said = labelled(y, is_missing, kept)
    counting = [name for name in features.column_names if _counts_rows(name, features[name])]
    return Dataset.from_arrays(
        Frame(features),
        y,
        notes=[*notes, *row_id_notes(counting), *dropped, *said],
        ids=row_ids(table, request, kept),
        id_name=request.id or "row",
    )


def row_ids(table: pa.Table, request: Request, kept: np.ndarray | None) -> np.ndarray | None:
    """What the rows that are kept are called, (rows,); None where all of them have nothing but their numbers.

    Parameters
    ----------
    table : all rows.
    request : names the column.
    kept : (rows,), which of them stay; None for all.
    """
    if request.id is None:
        return None if kept is None else np.flatnonzero(kept)
    ids = label_column(_as_numbers(table[request.id]))
    return ids if kept is None else ids[kept]


def _as_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text as whole numbers, where each number says all that the text says."""
    import pyarrow as pa

    if not pa.types.is_string(column.type) or column.null_count:
        return column
    try:
        numbers = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column
    return numbers if numbers.cast(pa.string()).equals(column) else column


def _decoded_bytes(file: parquet.ParquetFile, request: Request) -> int:
    """Bytes of the features in float32, if all columns but the ignored ones are numbers."""
    columns = len(request.columns) or len(file.schema_arrow.names) - len(request.ignore) - (request.id is not None)
    return 4 * file.metadata.num_rows * max(1, columns - (request.label is not None))


def _check_size(metadata: parquet.FileMetaData) -> None:
    groups = (metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    if (total := sum(groups)) > arrays.LARGEST_BYTES:
        raise DataError(
            f"Unpacked, the table would take {total:,} bytes; the limit is {arrays.LARGEST_BYTES:,}.",
            "Save its numbers with np.save: a .npy of any size is read from disk as it is needed.",
        )


def named(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Every column under a name of its own: blanks get their position, repeated names a number."""
    names: list[str] = []
    changed: list[str] = []
    for position, raw in enumerate(table.column_names, start=1):
        wanted = raw.strip() or f"unnamed_{position}"
        name = _free_name(wanted, names)
        names.append(name)
        if name != raw.strip():
            changed.append(name)
    note = f"Columns without a name, or with the name of another, are now {listed(changed)}."
    return table.rename_columns(names), [note] if changed else []


def _free_name(wanted: str, taken: Sequence[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def check_names(table: pa.Table, request: Request) -> None:
    """Refuse names that no column has."""
    asked = [(option, name) for option, name in (("label", request.label), ("id", request.id)) if name is not None]
    asked += [("ignore", name) for name in request.ignore] + [("columns", name) for name in request.columns]
    for option, name in asked:
        if name not in table.column_names:
            raise DataError(f"No column is named '{name}' (--{option}).", did_you_mean(name, table.column_names))


def feature_columns(table: pa.Table, request: Request) -> pa.Table:
    """The columns that are learned from, in the order asked for."""
    wanted = request.columns or table.column_names
    names = [name for name in wanted if name not in (request.label, request.id, *request.ignore)]
    if not names:
        raise DataError("No column is left as a feature.", f"The table has {listed(table.column_names)}.")
    return table.select(names)


def _refuse_spoilt(features: pa.Table, request: Request) -> None:
    """Refuse columns of numbers that were read as text, for one value is none, or all are stored as text."""
    for name, column in zip(features.column_names, features.columns, strict=True):
        if not is_text(column.type):
            continue
        values = [value for value in plain_values(column).unique().to_pylist() if value is not None]
        strange = [value for value in values if not reads_as_number(value)]
        if len(values) > FEW_CATEGORIES and len(strange) < len(values) / 2:
            what = f"numbers, but also '{strange[0]}'" if strange else f"numbers stored as text, such as '{values[0]}'"
            raise DataError(
                f"Column '{name}' holds {what}.",
                f"Mend the values, or ignore the column with {_ignoring([name], request)}.",
            )


def refuse_text(features: pa.Table, request: Request) -> None:
    """Refuse columns that are no numbers, with an example of each, in a table that memory cannot hold."""
    names = [name for name in features.column_names if not is_number(features[name].type)]
    if not names:
        return
    shown = ", ".join(f"'{name}' (such as {_example(features[name])})" for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    verb = "1 column is not a number" if len(names) == 1 else f"{len(names)} columns are not numbers"
    raise DataError(
        f"Tables as large as this are read as numbers alone, and {verb}: {shown}{more}.", _text_fix(names, request)
    )


def _text_fix(names: list[str], request: Request) -> str:
    if request.label is not None:
        return f"Ignore them with {_ignoring(names, request)}."
    first, every = names[0], [*request.ignore, *names[1:]]
    label = f"{flag('label', [first])}"
    if len(names) == 1:
        alone = [*request.ignore, first]
        return (
            f"Name it as the label with {label}, or ignore it with {flag('ignore', alone)} "
            f"(in Python: label={first!r} or ignore={alone!r})."
        )
    return (
        f"Name one as the label with {label}, and ignore the others with {flag('ignore', every)} "
        f"(in Python: label={first!r}, ignore={every!r})."
    )


def _example(column: pa.ChunkedArray) -> str:
    """The first value that is no number: in a column of numbers it is the one to mend."""
    values = [value for value in plain_values(column).to_pylist() if value is not None]
    stored_as_text = f"'{values[0]}', stored as text" if values else "nothing"
    return next((f"'{value}'" for value in values if not reads_as_number(value)), stored_as_text)


def _ignoring(names: Sequence[str], request: Request) -> str:
    """How to ignore more columns, on the command line and in Python."""
    every = [*request.ignore, *names]
    return f"{flag('ignore', every)} (in Python: ignore={every!r})"


def refuse_empty(names: Sequence[str], request: Request) -> None:
    """Refuse columns without any value."""
    if names:
        raise DataError(f"Every value is missing in {listed(names)}.", f"Type: {_ignoring(names, request)}.")


def matrix(features: pa.Table) -> np.ndarray:
    """(rows, columns) float64; a missing value is NaN."""
    import pyarrow as pa

    X = np.empty((features.num_rows, features.num_columns))
    for place, column in enumerate(features.columns):
        numbers = plain_values(column).cast(pa.float64(), safe=False)
        X[:, place] = numbers.to_numpy(zero_copy_only=False)
    return X


def label_column(column: pa.ChunkedArray) -> np.ndarray:
    """The label column, shape (rows,): numbers as they are, all else as text, missing values as NaN or ``None``."""
    import pyarrow as pa

    column = plain_values(column)
    if is_number(column.type) and not pa.types.is_decimal(column.type):
        return column.to_numpy(zero_copy_only=False)
    return np.array([value if value is None else str(value) for value in column.to_pylist()], dtype=object)


def label_missing(y: np.ndarray | None, rows: int) -> np.ndarray:
    """Which labels are missing, (rows,)."""
    if y is None:
        return np.zeros(rows, dtype=bool)
    if y.dtype.kind == "O":
        return np.array([value is None for value in y.tolist()])
    return np.isnan(y) if y.dtype.kind == "f" else np.zeros(rows, dtype=bool)


def labelled(
    y: np.ndarray | None, is_missing: np.ndarray, kept: np.ndarray | None
) -> tuple[np.ndarray | None, list[str]]:
    """The labels of the rows that are kept, missing ones marked, and a sentence on these.

    A row without a label can still be learned from: only ``drop`` ignores it.
    """
    if y is None or kept is not None:
        return None if y is None else _settled(y[kept]), []
    if not is_missing.any():
        return y, []
    y = _unlabelled(y, is_missing)
    return y, [f"{counted(int(is_missing.sum()), 'row')} without a label, now {y[is_missing][0]}."]


def _settled(y: np.ndarray) -> np.ndarray:
    """Whole numbers that stood in for a missing value as floats, whole again; so also true and false."""
    if y.dtype.kind == "f" and np.all(y == np.round(y)):
        return y.astype(np.int64)
    return y


def _unlabelled(y: np.ndarray, is_missing: np.ndarray) -> np.ndarray:
    """Missing values as scikit-learn marks them: -1 among whole numbers, ``None`` among text."""
    if y.dtype.kind == "O":
        return y
    if np.any(y == UNLABELLED):
        raise DataError(
            f"The label has missing values, but {UNLABELLED}, which would mark them, is itself a label.",
            "Ignore those rows with --missing drop.",
        )
    return _settled(np.where(is_missing, UNLABELLED, y))


def _counts_rows(name: str, column: pa.ChunkedArray) -> bool:
    from pyarrow import types

    if not types.is_integer(column.type) or column.null_count or len(column) < 2 or not may_count_rows(name):
        return False
    values = column.to_numpy()
    return values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))
