"""Tables: pick the columns, take the label, see that numbers are numbers, deal with gaps."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyotan.data import arrays
from hyotan.data.dataset import Dataset
from hyotan.data.delimited import read_table
from hyotan.data.request import Request
from hyotan.data.words import counted, flag, listed
from hyotan.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

EXACT_IN_FLOAT32 = 2**24
EXACT_IN_FLOAT64 = 2**53
UNLABELLED = -1
ROW_ID_NAMES = ("", "id", "index", "row", "unnamed: 0", "__index_level_0__")


def read_delimited(path: Path, request: Request, delimiter: str) -> Dataset:
    """A text table whose usual delimiter is given."""
    table, notes = read_table(path.read_bytes(), delimiter)
    return as_dataset(table, request, notes)


read_csv = functools.partial(read_delimited, delimiter=",")
read_tsv = functools.partial(read_delimited, delimiter="\t")


def read_parquet(path: Path, request: Request) -> Dataset:
    """A Parquet file, read as a text table with the same columns would be."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _check_size(file.metadata)
            return as_dataset(file.read(), request, [])
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"The Parquet file cannot be read ({str(error).splitlines()[0]}).", "Write it again."
        ) from error


def as_dataset(table: pa.Table, request: Request, notes: Sequence[str]) -> Dataset:
    """A table's number columns as float32 rows (float64 where float32 would change them), `request.label` as y."""
    table, renamed = _named(table)
    _check_names(table, request)
    if table.num_rows == 0:
        raise DataError("The table has column names but no rows.", "Add at least one row.")
    features = _feature_columns(table, request)
    _refuse_text(features, request)
    _refuse_hollow(features, request)
    y = None if request.label is None else _label(table[request.label])
    X, y, gaps = _without_gaps(_matrix(features), y, features.column_names, request)
    _refuse_infinite(X, features.column_names)
    X, precision = _narrowed(X, features)
    all_notes = [*notes, *renamed, *_row_id(features), *gaps, *precision]
    return Dataset.from_arrays(X, y, feature_names=features.column_names, notes=all_notes)


def _check_size(metadata: parquet.FileMetaData) -> None:
    groups = (metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    if (total := sum(groups)) > arrays.LARGEST_BYTES:
        raise DataError(
            f"Unpacked, the table would take {total:,} bytes; the limit is {arrays.LARGEST_BYTES:,}.",
            "Save its numbers with np.save: a .npy of any size is read from disk as it is needed.",
        )


def _named(table: pa.Table) -> tuple[pa.Table, list[str]]:
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


def _check_names(table: pa.Table, request: Request) -> None:
    asked = [("label", request.label)] if request.label is not None else []
    asked += [("ignore", name) for name in request.ignore] + [("columns", name) for name in request.columns]
    for option, name in asked:
        if name not in table.column_names:
            raise DataError(f"No column is named '{name}' (--{option}).", did_you_mean(name, table.column_names))


def _feature_columns(table: pa.Table, request: Request) -> pa.Table:
    wanted = request.columns or table.column_names
    names = [name for name in wanted if name != request.label and name not in request.ignore]
    if not names:
        raise DataError("No column is left as a feature.", f"The table has {listed(table.column_names)}.")
    return table.select(names)


def _refuse_text(features: pa.Table, request: Request) -> None:
    names = [name for name in features.column_names if not _is_number(features[name].type)]
    if not names:
        return
    shown = ", ".join(f"'{name}' (such as {_example(features[name])})" for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    verb = "1 column is not a number" if len(names) == 1 else f"{len(names)} columns are not numbers"
    raise DataError(f"{verb}: {shown}{more}.", _text_fix(names, request))


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


def _is_number(kind: pa.DataType) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_number(kind.value_type)
    kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(is_kind(kind) for is_kind in kinds)


def _refuse_hollow(features: pa.Table, request: Request) -> None:
    names = [name for name in features.column_names if features[name].null_count == features.num_rows]
    if names:
        every = [*request.ignore, *names]
        raise DataError(
            f"No value at all stands in {listed(names)}.",
            f"Leave out with {flag('ignore', every)} (in Python: ignore={every!r}).",
        )


def _matrix(features: pa.Table) -> np.ndarray:
    """(rows, columns) float64; a gap is NaN."""
    import pyarrow as pa

    X = np.empty((features.num_rows, features.num_columns))
    for place, column in enumerate(features.columns):
        numbers = _decoded(column).cast(pa.float64(), safe=False)
        X[:, place] = numbers.to_numpy(zero_copy_only=False)
    return X


def _label(column: pa.ChunkedArray) -> np.ndarray:
    """The label column, shape (rows,): numbers as they are, all else as text, gaps as NaN or ``None``."""
    import pyarrow as pa

    column = _decoded(column)
    if _is_number(column.type) and not pa.types.is_decimal(column.type):
        return column.to_numpy(zero_copy_only=False)
    return np.array([value if value is None else str(value) for value in column.to_pylist()], dtype=object)


def _gaps(y: np.ndarray | None, rows: int) -> np.ndarray:
    if y is None:
        return np.zeros(rows, dtype=bool)
    if y.dtype.kind == "O":
        return np.array([value is None for value in y.tolist()])
    return np.isnan(y) if y.dtype.kind == "f" else np.zeros(rows, dtype=bool)


def _without_gaps(
    X: np.ndarray, y: np.ndarray | None, names: Sequence[str], request: Request
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Gaps dealt with as asked for. A row without a label can still be learned from: only ``drop`` leaves it out."""
    empty, unlabelled = np.isnan(X), _gaps(y, len(X))
    if request.missing == "drop" and (empty.any() or unlabelled.any()):
        return _dropped(X, y, empty, unlabelled)
    notes = []
    if y is not None and unlabelled.any():
        y = _unlabelled(y, unlabelled)
        notes.append(f"{counted(int(unlabelled.sum()), 'row')} without a label, now {y[unlabelled][0]}.")
    if empty.any():
        X, filled = (_refuse_gaps if request.missing == "error" else _filled)(X, empty, names)
        notes = [*filled, *notes]
    return X, y, notes


def _refuse_gaps(X: np.ndarray, empty: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    counts = empty.sum(axis=0).tolist()
    holed = [f"'{name}' ({count:,})" for name, count in zip(names, counts, strict=True) if count]
    shown = ", ".join(holed[:8]) + (f" and {len(holed) - 8} more" if len(holed) > 8 else "")
    rows = int(empty.any(axis=1).sum())
    raise DataError(
        f"{counted(sum(counts), 'value')} missing in {rows:,} of {counted(len(X), 'row')}: {shown}.",
        "Leave those rows out with --missing drop, or fill in the column's mean with --missing mean "
        "(in Python: missing='drop' or missing='mean').",
    )


def _dropped(
    X: np.ndarray, y: np.ndarray | None, empty: np.ndarray, unlabelled: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    whole = ~(empty.any(axis=1) | unlabelled)
    if not whole.any():
        raise DataError("Every row misses a value, so none is left.", "Fill them in with --missing mean.")
    note = (
        f"{len(X) - int(whole.sum()):,} of {counted(len(X), 'row')} missed a value and were left out (--missing drop)."
    )
    return X[whole], None if y is None else _settled(y[whole]), [note]


def _filled(X: np.ndarray, empty: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    holed = [name for name, hole in zip(names, empty.sum(axis=0).tolist(), strict=True) if hole]
    filled = counted(int(empty.sum()), "missing value")
    note = f"The column's mean was filled in for {filled} in {listed(holed)} (--missing mean)."
    return np.where(empty, np.nanmean(X, axis=0), X), [note]


def _settled(y: np.ndarray) -> np.ndarray:
    """Whole numbers that stood in for a gap as floats, whole again; so also true and false."""
    if y.dtype.kind == "f" and np.all(y == np.round(y)):
        return y.astype(np.int64)
    return y


def _unlabelled(y: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Gaps as scikit-learn marks them: -1 among whole numbers, ``None`` among text."""
    if y.dtype.kind == "O":
        return y
    if np.any(y == UNLABELLED):
        raise DataError(
            f"The label has gaps, and the value {UNLABELLED}, which would mark them, is taken.",
            "Leave those rows out with --missing drop.",
        )
    return _settled(np.where(gaps, UNLABELLED, y))


def _refuse_infinite(X: np.ndarray, names: Sequence[str]) -> None:
    places = np.argwhere(np.isinf(X))
    if len(places):
        row, column = places[0]
        raise DataError(
            f"{counted(len(places), 'infinite value')}, the first in row {row + 1} of column '{names[column]}'.",
            "Mend those rows, or leave the cells empty and use --missing.",
        )


def _narrowed(X: np.ndarray, features: pa.Table) -> tuple[np.ndarray, list[str]]:
    """float32, unless that would change what the numbers say."""
    from pyarrow import types

    whole = np.array([types.is_integer(_decoded(column).type) for column in features.columns])
    with np.errstate(over="ignore"):
        narrow = X.astype(np.float32)
    changed = (whole & (np.abs(X) > EXACT_IN_FLOAT32).any(axis=0)) | ~np.isfinite(narrow).all(axis=0)
    changed |= (np.ptp(narrow, axis=0) == 0) & (np.ptp(X, axis=0) > 0)
    if not changed.any():
        return narrow, []
    names = [name for name, is_changed in zip(features.column_names, changed, strict=True) if is_changed]
    notes = [f"The numbers stay float64, since float32 cannot hold those in {listed(names)}."]
    if (whole & (np.abs(X) >= EXACT_IN_FLOAT64).any(axis=0)).any():
        notes.append(f"Whole numbers from {EXACT_IN_FLOAT64:,} on were rounded to what float64 can hold.")
    return X, notes


def _row_id(features: pa.Table) -> list[str]:
    """A note on columns that only count the rows: they carry no information that a model should learn."""
    names = [name for name in features.column_names if _counts_rows(name, features[name])]
    if not names:
        return []
    return [f"{listed(names)} only counts the rows; leave it out with {flag('ignore', names)}."]


def _counts_rows(name: str, column: pa.ChunkedArray) -> bool:
    from pyarrow import types

    if not types.is_integer(column.type) or column.null_count or len(column) < 2:
        return False
    if name.lower() not in ROW_ID_NAMES and not name.startswith("unnamed_"):
        return False
    values = column.to_numpy()
    return values[0] in (0, 1) and bool(np.all(np.diff(values) == 1))
