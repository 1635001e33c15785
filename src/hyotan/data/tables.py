"""Tables: pick the columns, take the label, see that numbers are numbers, deal with missing values."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyotan.data import arrays, decoded
from hyotan.data.dataset import Dataset
from hyotan.data.delimited import read_table
from hyotan.data.frames import Frame, is_number, is_text
from hyotan.data.request import Request
from hyotan.data.stored import ends
from hyotan.errors import DataError, did_you_mean
from hyotan.words.phrases import counted, flag, listed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

FEW_CATEGORIES = 10
"""Text with more different values, most of which are numbers, is a spoilt column of numbers."""

EXACT_IN_FLOAT32 = 2**24
EXACT_IN_FLOAT64 = 2**53
UNLABELLED = -1
ROW_ID_NAMES = ("", "id", "index", "row", "unnamed: 0", "__index_level_0__")


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
    refuse_empty([name for name in features.column_names if features[name].null_count == features.num_rows], request)
    numbers = matrix(features)
    ids = row_ids(table, request, _whole_rows(numbers, y, request))
    X, y, of_missing = _without_missing(numbers, y, features.column_names, request)
    _refuse_infinite(X, features.column_names)
    X, precision = _narrowed(X, features)
    counting = [name for name in features.column_names if _counts_rows(name, features[name])]
    all_notes = [*notes, *renamed, *row_id_notes(counting), *of_missing, *precision]
    kept = request.missing == "keep"
    named_rows = {"ids": ids, "id_name": request.id or "row"}
    return replace(
        Dataset.from_arrays(X, y, feature_names=features.column_names, notes=all_notes, missing_allowed=kept),
        **named_rows,
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
    is_missing = label_missing(y, features.num_rows)
    said, kept = [], None
    if request.missing == "drop":
        whole = ~is_missing
        for column in features.columns:
            whole &= ~column.is_null(nan_is_null=True).to_numpy()
        if not whole.all():
            said.append(dropped_note(int(whole.sum()), features.num_rows))
            features, y, kept = features.filter(whole), None if y is None else settled(y[whole]), whole
    elif y is not None and is_missing.any():
        y, unlabelled = marked(y, is_missing)
        said.append(unlabelled)
    counting = [name for name in features.column_names if _counts_rows(name, features[name])]
    labels = None if y is None else arrays.checked_labels(y, features.num_rows)
    all_notes = (*notes, *row_id_notes(counting), *said)
    names, ids = tuple(features.column_names), row_ids(table, request, kept)
    called = {"ids": ids, "id_name": request.id or "row"}
    return Dataset("table", Frame(features), labels, feature_names=names, notes=all_notes, **called)


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
    """Bytes of the features in float32, if all columns but those left out are numbers."""
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
        values = [value for value in _decoded(column).unique().to_pylist() if value is not None]
        strange = [value for value in values if not _reads_as_number(value)]
        if len(values) > FEW_CATEGORIES and len(strange) < len(values) / 2:
            every = [*request.ignore, name]
            what = f"numbers, but also '{strange[0]}'" if strange else f"numbers stored as text, such as '{values[0]}'"
            raise DataError(
                f"Column '{name}' holds {what}.",
                f"Mend the values, or leave the column out with {flag('ignore', every)} (in Python: ignore={every!r}).",
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
        every = [*request.ignore, *names]
        return f"Leave out with {flag('ignore', every)} (in Python: ignore={every!r})."
    first, every = names[0], [*request.ignore, *names[1:]]
    label = f"{flag('label', [first])}"
    if len(names) == 1:
        alone = [*request.ignore, first]
        return (
            f"Name it as the label with {label}, or leave it out with {flag('ignore', alone)} "
            f"(in Python: label={first!r} or ignore={alone!r})."
        )
    return (
        f"Name one as the label with {label}, and leave out the others with {flag('ignore', every)} "
        f"(in Python: label={first!r}, ignore={every!r})."
    )


def _example(column: pa.ChunkedArray) -> str:
    """The first value that is no number: in a column of numbers it is the one to mend."""
    values = [value for value in _decoded(column).to_pylist() if value is not None]
    stored_as_text = f"'{values[0]}', stored as text" if values else "nothing"
    return next((f"'{value}'" for value in values if not _reads_as_number(value)), stored_as_text)


def _reads_as_number(value: object) -> bool:
    try:
        float(value)  # pyrefly: ignore[bad-argument-type]
    except (TypeError, ValueError):
        return False
    return True


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of categories as the values that they stand for."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def refuse_empty(names: Sequence[str], request: Request) -> None:
    """Refuse columns without any value."""
    if names:
        every = [*request.ignore, *names]
        raise DataError(
            f"No value at all stands in {listed(names)}.",
            f"Leave out with {flag('ignore', every)} (in Python: ignore={every!r}).",
        )


def matrix(features: pa.Table) -> np.ndarray:
    """(rows, columns) float64; a missing value is NaN."""
    import pyarrow as pa

    X = np.empty((features.num_rows, features.num_columns))
    for place, column in enumerate(features.columns):
        numbers = _decoded(column).cast(pa.float64(), safe=False)
        X[:, place] = numbers.to_numpy(zero_copy_only=False)
    return X


def label_column(column: pa.ChunkedArray) -> np.ndarray:
    """The label column, shape (rows,): numbers as they are, all else as text, missing values as NaN or ``None``."""
    import pyarrow as pa

    column = _decoded(column)
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


def _without_missing(
    X: np.ndarray, y: np.ndarray | None, names: Sequence[str], request: Request
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Missing values dealt with as asked for. A row without a label can still be learned from: only ``drop`` leaves it
    out.
    """
    empty, unlabelled = np.isnan(X), label_missing(y, len(X))
    if request.missing == "drop" and (empty.any() or unlabelled.any()):
        return _dropped(X, y, empty, unlabelled)
    notes = []
    if y is not None and unlabelled.any():
        y, said = marked(y, unlabelled)
        notes.append(said)
    if empty.any():
        counts = empty.sum(axis=0).tolist()
        if request.missing == "error":
            refuse_missing(counts, int(empty.any(axis=1).sum()), len(X), names)
        if request.missing == "keep":
            return X, y, [kept_note(counts, names), *notes]
        X, notes = np.where(empty, np.nanmean(X, axis=0), X), [filled_note(counts, names), *notes]
    return X, y, notes


def marked(y: np.ndarray, is_missing: np.ndarray) -> tuple[np.ndarray, str]:
    """Labels with their missing values marked, and a sentence on them."""
    y = _unlabelled(y, is_missing)
    return y, f"{counted(int(is_missing.sum()), 'row')} without a label, now {y[is_missing][0]}."


def refuse_missing(counts: Sequence[int], holed_rows: int, rows: int, names: Sequence[str]) -> None:
    """Refuse missing values, of which so many stand in each column."""
    holed = [f"'{name}' ({count:,})" for name, count in zip(names, counts, strict=True) if count]
    shown = ", ".join(holed[:8]) + (f" and {len(holed) - 8} more" if len(holed) > 8 else "")
    raise DataError(
        f"{counted(sum(counts), 'value')} missing in {holed_rows:,} of {counted(rows, 'row')}: {shown}.",
        "Learn from them as they are with --missing keep, leave those rows out with --missing drop, or fill in the "
        "column's mean with --missing mean (in Python: missing='keep', missing='drop' or missing='mean').",
    )


def _whole_rows(X: np.ndarray, y: np.ndarray | None, request: Request) -> np.ndarray | None:
    """Which rows stay where those with missing values are left out, (rows,); None where all do."""
    if request.missing != "drop":
        return None
    whole = ~(np.isnan(X).any(axis=1) | label_missing(y, len(X)))
    return None if whole.all() else whole


def _dropped(
    X: np.ndarray, y: np.ndarray | None, empty: np.ndarray, unlabelled: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    whole = ~(empty.any(axis=1) | unlabelled)
    note = dropped_note(int(whole.sum()), len(X))
    return X[whole], None if y is None else settled(y[whole]), [note]


def dropped_note(kept: int, rows: int) -> str:
    """A sentence on rows that were left out; refuses to leave out all of them."""
    if not kept:
        raise DataError("Every row misses a value, so none is left.", "Fill them in with --missing mean.")
    return f"{rows - kept:,} of {counted(rows, 'row')} missed a value and were left out (--missing drop)."


def filled_note(counts: Sequence[int], names: Sequence[str]) -> str:
    """A sentence on missing values that were filled in, of which so many stood in each column."""
    holed = [name for name, count in zip(names, counts, strict=True) if count]
    filled = counted(sum(counts), "missing value")
    return f"The column's mean was filled in for {filled} in {listed(holed)} (--missing mean)."


def kept_note(counts: Sequence[int], names: Sequence[str]) -> str:
    """A sentence on missing values that stay missing, of which so many stand in each column."""
    holed = [name for name, count in zip(names, counts, strict=True) if count]
    missing = counted(sum(counts), "missing value")
    return f"{missing} in {listed(holed)}; the model learns from those that are there (--missing keep)."


def settled(y: np.ndarray) -> np.ndarray:
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
            f"The label has missing values, and the value {UNLABELLED}, which would mark them, is taken.",
            "Leave those rows out with --missing drop.",
        )
    return settled(np.where(is_missing, UNLABELLED, y))


def _refuse_infinite(X: np.ndarray, names: Sequence[str]) -> None:
    places = np.argwhere(np.isinf(X))
    if len(places):
        row, column = places[0]
        raise infinite(len(places), row, names[column])


def infinite(count: int, row: int, name: str) -> DataError:
    """The error for infinite values, the first in a row (counted from 0) of a column."""
    return DataError(
        f"{counted(count, 'infinite value')}, the first in row {row + 1} of column '{name}'.",
        "Mend those rows, or leave the cells empty and use --missing.",
    )


def _narrowed(X: np.ndarray, features: pa.Table) -> tuple[np.ndarray, list[str]]:
    """float32, unless that would change what the numbers say."""
    whole = whole_columns(features.schema)
    with np.errstate(over="ignore"):
        narrow = X.astype(np.float32)
    changed = (whole & (np.abs(X) > EXACT_IN_FLOAT32).any(axis=0)) | np.isinf(narrow).any(axis=0)
    changed |= (_spread(narrow) == 0) & (_spread(X) > 0)
    if not changed.any():
        return narrow, []
    rounded = bool((whole & (np.abs(X) >= EXACT_IN_FLOAT64).any(axis=0)).any())
    return X, wide_notes(features.column_names, changed, rounded)


def _spread(X: np.ndarray) -> np.ndarray:
    """The greatest value less the least of each column, (columns,), over those that are not missing."""
    low, high = ends(X, axis=0)
    return high - low


def whole_columns(schema: pa.Schema) -> np.ndarray:
    """Which columns hold whole numbers, (columns,)."""
    from pyarrow import types

    kinds = [kind.value_type if types.is_dictionary(kind) else kind for kind in schema.types]
    return np.array([types.is_integer(kind) for kind in kinds])


def wide_notes(names: Sequence[str], changed: np.ndarray, rounded: bool) -> list[str]:
    """Notes on numbers that stay float64, for some columns hold what float32 would change."""
    wide = [name for name, is_changed in zip(names, changed, strict=True) if is_changed]
    notes = [f"The numbers stay float64, since float32 cannot hold those in {listed(wide)}."]
    if rounded:
        notes.append(f"Whole numbers from {EXACT_IN_FLOAT64:,} on were rounded to what float64 can hold.")
    return notes


def row_id_notes(names: Sequence[str]) -> list[str]:
    """A note on columns that only count the rows: they carry no information that a model should learn."""
    if not names:
        return []
    return [f"{listed(names)} only counts the rows; leave it out with {flag('ignore', names)}."]


def may_count_rows(name: str) -> bool:
    """Whether a column has the name of one that only counts the rows."""
    return name.lower() in ROW_ID_NAMES or name.startswith("unnamed_")


def _counts_rows(name: str, column: pa.ChunkedArray) -> bool:
    from pyarrow import types

    if not types.is_integer(column.type) or column.null_count or len(column) < 2 or not may_count_rows(name):
        return False
    values = column.to_numpy()
    return values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))
