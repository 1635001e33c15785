"""What the commands that use a model share: reading a model and rows, writing arrays in the format asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyotan.container import write_bytes_atomically
from hyotan.data import Dataset
from hyotan.data import load as load_data
from hyotan.errors import DataError, RunFolderError, SettingsError, did_you_mean
from hyotan.estimators import load
from hyotan.estimators.contract import LatentEstimator
from hyotan.runs import CONFIG, RunFolder

TABLES = (".csv", ".tsv", ".parquet")


class Used:
    """A model and, where it is known, the run that it came from.

    Parameters
    ----------
    place : a run folder, or a model file.
    """

    def __init__(self, place: str) -> None:
        path = Path(place)
        self.run = RunFolder(path) if (path / CONFIG).is_file() else None
        if self.run is None and not path.is_file():
            raise RunFolderError(f"{place} is neither a run folder nor a model file.", _nearest_run(path))
        self.estimator: LatentEstimator = self.run.load_model() if self.run else load(path)
        self.folder = path if self.run else path.parent

    def rows(self, source: str | None, options: dict[str, Any]) -> Dataset:
        """The rows of a source, their columns put in the model's order; the run's own test rows where none is given."""
        if source is None:
            if self.run is None:
                raise SettingsError("A model file alone has no rows.", "Name a SOURCE behind it.")
            return self.run.split_data()[1]
        given = {name: value for name, value in options.items() if value not in (None, [], (), "error")}
        return load_data(source, **{**self._known(source), **given})

    def _known(self, source: str) -> dict[str, Any]:
        """What the run knows of how such a source is to be read: the columns in order, the size of images."""
        if self.run is None:
            return {}
        data = self.run.config.data
        if Path(source).is_dir():
            return {"size": data.size} if data.size is not None else {}
        if Path(source).suffix not in TABLES:
            return {}
        return {"columns": data.columns} | ({"missing": data.missing} if data.missing != "error" else {})

    def output(self, out: str | None, default: str) -> Path:
        """Where a result goes: the path given, else a file in the run folder."""
        return Path(out) if out is not None else self.folder / default


def _nearest_run(path: Path) -> str:
    runs = sorted(p.parent for p in Path("runs").glob(f"*/{CONFIG}")) if Path("runs").is_dir() else []
    if not runs:
        return "Train a model first: hyotan fit digits"
    return did_you_mean(str(path), [str(run) for run in runs])


def write_rows(path: Path, array: np.ndarray, names: Sequence[str]) -> Path:
    """Write (n, …) as ``.npy``, or flat as ``.csv``, ``.tsv`` or ``.parquet`` with a column a feature.

    Raises
    ------
    SettingsError
        The path's ending is none of these.
    """
    if path.suffix not in WRITERS:
        raise SettingsError(
            f"{path.name} cannot be written: its ending is not known.", f"Choose from: {', '.join(WRITERS)}."
        )
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", f"Type: mkdir -p {path.parent}")
    write_bytes_atomically(path, WRITERS[path.suffix](array, names))
    return path


def _npy(array: np.ndarray, names: Sequence[str]) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _arrow(array: np.ndarray, names: Sequence[str]) -> Any:
    import pyarrow as pa

    flat = array.reshape(len(array), -1)
    named = names if len(names) == flat.shape[1] else [f"x{i}" for i in range(flat.shape[1])]
    return pa.table({name: flat[:, i] for i, name in enumerate(named)})


def _delimited(delimiter: str) -> Callable[[np.ndarray, Sequence[str]], bytes]:
    def write(array: np.ndarray, names: Sequence[str]) -> bytes:
        import pyarrow as pa
        from pyarrow import csv

        sink = pa.BufferOutputStream()
        csv.write_csv(_arrow(array, names), sink, csv.WriteOptions(delimiter=delimiter))
        return sink.getvalue().to_pybytes()

    return write


def _parquet(array: np.ndarray, names: Sequence[str]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(_arrow(array, names), sink)
    return sink.getvalue().to_pybytes()


WRITERS: dict[str, Callable[[np.ndarray, Sequence[str]], bytes]] = {
    ".npy": _npy,
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".parquet": _parquet,
}


def code_names(size: int) -> list[str]:
    """Column names of codes: z0, z1, …"""
    return [f"z{i}" for i in range(size)]


def feature_names(used: Used, dataset: Dataset | None = None) -> list[str]:
    """Column names of rows, where they are known."""
    if dataset is not None and dataset.feature_names is not None:
        return list(dataset.feature_names)
    return [str(name) for name in getattr(used.estimator, "feature_names_in_", ())]
