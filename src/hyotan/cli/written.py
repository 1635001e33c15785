"""Rows to a file in the format that its name asks for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from hyotan.cli.uses import ROWS
from hyotan.data.frames import Frame, as_frame
from hyotan.errors import DataError, SettingsError
from hyotan.files.atomic import write_bytes_atomically

RowIds: TypeAlias = tuple[str, np.ndarray]
"""What ids are, and the ids, (n,)."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def refuse_unwritable(path: Path, endings: Sequence[str]) -> None:
    """Refuse a file whose name ends in none of the endings, where there are any, or whose folder does not exist.

    Raises
    ------
    SettingsError, DataError : the one or the other.
    """
    if endings and path.suffix not in endings:
        raise SettingsError(
            f"{path.name} cannot be written: its ending is not known.", f"Choose from: {', '.join(endings)}."
        )
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", f"Type: mkdir -p {path.parent}")


def write_rows(path: Path, array: np.ndarray | Frame, names: Sequence[str], ids: RowIds | None = None) -> Path:
    """Write (n, …) as ``.npy``, or flat as ``.csv``, ``.tsv`` or ``.parquet`` with a column a feature.

    A table keeps its own columns, and cannot become ``.npy``.

    Parameters
    ----------
    path : the file, whose ending names the format.
    array : (n, …)
    names : of the columns, where there are as many.
    ids : the first column of a table; a ``.npy`` goes without.

    Raises
    ------
    SettingsError, DataError
        The path's ending is none of these; its folder does not exist.
    """
    refuse_unwritable(path, ROWS)
    if as_frame(array) is not None and path.suffix == ".npy":
        raise SettingsError(
            f"{path.name} cannot be written: columns of several kinds are no array.",
            f"Choose another ending: {path.with_suffix('.csv').name} or {path.with_suffix('.parquet').name}.",
        )
    sink: Any = pa.BufferOutputStream()
    if path.suffix == ".npy":
        np.save(sink, array)
    elif path.suffix == ".parquet":
        parquet.write_table(arrow_table(array, names, ids), sink)
    else:
        csv.write_csv(arrow_table(array, names, ids), sink, csv.WriteOptions(delimiter=DELIMITERS[path.suffix]))
    write_bytes_atomically(path, sink.getvalue().to_pybytes())
    return path


def arrow_table(array: Any, names: Sequence[str], ids: RowIds | None = None) -> pa.Table:
    """Rows as a table: its own, or a column a feature, after the ids where there are any."""
    if (frame := as_frame(array)) is not None:
        table = frame.table
    else:
        flat = array.reshape(len(array), -1)
        named = names if len(names) == flat.shape[1] else [f"x{i}" for i in range(flat.shape[1])]
        table = pa.table([pa.array(column) for column in flat.T], names=list(named))
    return table if ids is None else table.add_column(0, ids[0], pa.array(ids[1].tolist()))
