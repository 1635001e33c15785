"""What the commands that use a model share: reading a model and rows, writing arrays in the format asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from hyotan.anomalies import AnomalyDetector
from hyotan.cli.flags import given_data
from hyotan.data import FORMATS, NAMES, Dataset
from hyotan.data import load as load_data
from hyotan.data.frames import Frame
from hyotan.errors import DataError, RunNotFoundError, SettingsError, did_you_mean
from hyotan.estimators import CVAE, load_model
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.store import DETECTOR
from hyotan.files.atomic import write_bytes_atomically
from hyotan.files.container import read_settings
from hyotan.runs.run_folder import CONFIG, RunFolder
from hyotan.runs.settings import DataOptions
from hyotan.study.study_folder import CELLS, StudyFolder

TABLES = (".csv", ".tsv", ".parquet")
ROW_FILES = ("reconstructed.npy", "samples.npy", "decoded.npy", "interpolation.npy")
"""Results that are rows of data: those of a table with several kinds of columns are written as CSV."""

RUNS_NAMED = 8
"""How many runs an error names at most, the newest."""


def open_run(place: str, command: str) -> RunFolder:
    """The run folder that was typed.

    Raises
    ------
    RunNotFoundError
        There is none; says what lies there instead, or which run is meant.
    """
    path = Path(place)
    if RunFolder.is_at(path):
        return RunFolder(path)
    if path.is_file() and RunFolder.is_at(path.parent):
        fix = f"Name its run folder: hyotan {command} {path.parent}"
        raise RunNotFoundError(f"{place} is a file of a run; hyotan {command} needs the whole run.", fix)
    raise _no_run(place, f"hyotan {command} works on a run: train one with hyotan fit {place}")


def _no_run(place: str, fix: str) -> RunNotFoundError:
    path = Path(place)
    if StudyFolder.is_at(path):
        return RunNotFoundError(f"{place} is a study, where one of its runs is expected.", _run_of_study(path))
    if place.lower() in NAMES or is_data(path):
        return RunNotFoundError(f"{place} is a SOURCE of data, where a run is expected.", fix)
    if is_detector(path):
        what = f"{place} is a detector of anomalies, where a run is expected."
        return RunNotFoundError(what, f"Score rows by it: hyotan score {place} NEW.csv")
    if path.is_dir():
        return RunNotFoundError(f"{place} is not a run folder: it holds no {CONFIG}.", _nearest_run(path))
    what = "is neither a run folder nor a model file" if path.is_file() else "does not exist"
    return RunNotFoundError(f"The run {place} {what}.", _nearest_run(path))


def is_data(path: Path) -> bool:
    """Whether a path is that of a file that can be read as data."""
    return path.is_file() and any(path.name.lower().endswith(ending) for ending in FORMATS)


def is_detector(path: Path) -> bool:
    """Whether a path is that of a detector's folder, or of a detector's file."""
    if (path / DETECTOR).is_file():
        return True
    if not path.is_file() or path.suffix != ".hyotan":
        return False
    return read_settings(path).kind == AnomalyDetector.kind


class Used:
    """A model and, where it is known, the run that it came from.

    Parameters
    ----------
    place : a run folder, or a model file.
    """

    def __init__(self, place: str) -> None:
        self.path = path = Path(place)
        self.run = RunFolder(path) if RunFolder.is_at(path) else None
        if self.run is None and (is_data(path) or not path.is_file()):
            raise _no_run(place, f"Name the run first, then the data: RUN {place}")
        self.estimator: Any = self.run.load_model() if self.run else load_model(path)
        self.folder = path if self.run else path.parent
        self._take(self.estimator)
        # Rows come in the order of these columns, as plain arrays: scikit-learn's word on missing names would mislead.
        vars(self.estimator).pop("feature_names_in_", None)

    def _take(self, fitted: LatentEstimator | AnomalyDetector) -> None:
        """Note what rows the fitted one takes."""
        noted = self.run.config.data.columns if self.run else getattr(fitted, "feature_names_in_", ())
        self.columns = [str(name) for name in noted]
        # Of a table the names of the columns that the model needs; empty where rows come as plain arrays.
        self.table_columns = list(fitted.preprocessor_.names)
        self.feature_shape = tuple(fitted.feature_shape_)

    def rows(self, source: str | None, options: dict[str, Any]) -> Dataset:
        """The rows of a source, their columns put in the model's order; the run's own test rows where none is given."""
        if source is None:
            if self.run is None:
                raise SettingsError("A model file alone has no rows.", f"Name the data behind it: {self.path} SOURCE")
            return self.run.split_data()[1]
        given = given_data(options)
        known = {name: value for name, value in self._known(source).items() if name not in given}
        dataset = self._read(source, known, given)
        self._refuse_other_shape(source, dataset)
        return dataset

    def _read(self, source: str, known: dict[str, Any], given: dict[str, Any]) -> Dataset:
        try:
            return load_data(source, **known, **given)
        except DataError as error:
            if "columns" in known and error.message.endswith("(--columns)."):
                message = error.message.replace(" (--columns)", ", which the model needs")
                raise DataError(message, f"The model was fitted on: {', '.join(self.columns)}.") from error
            raise

    def _known(self, source: str) -> dict[str, Any]:
        """What the run knows of how such a source is to be read: the columns in order, the size of images."""
        data = self.run.config.data if self.run is not None else DataOptions()
        if Path(source).is_dir():
            return {} if data.size is None else {"size": data.size}
        if Path(source).suffix.lower() not in TABLES or not self.columns:
            return {}
        if self.table_columns:
            return {"columns": self.table_columns, "as_table": True}
        return {"columns": self.columns} | ({"missing": data.missing} if data.missing != "keep" else {})

    def _refuse_other_shape(self, source: str, dataset: Dataset) -> None:
        if self.table_columns:  # which says itself what it needs
            return
        needed = self.feature_shape
        if dataset.feature_shape != needed:
            size = "x".join(map(str, needed[-2:]))
            resize = Path(source).is_dir() and dataset.feature_shape[:-2] == needed[:-2]
            fix = f"Bring them to its size: --size {size}" if resize else f"See what it needs: hyotan info {self.path}"
            raise DataError(
                f"{source} has rows of shape {dataset.feature_shape}; the model was fitted on rows of shape {needed}.",
                fix,
            )

    def label(self, text: str | None, flag: str) -> dict[str, Any]:
        """The label that was typed, as ``y`` of a conditional model; nothing where none was.

        Raises
        ------
        SettingsError
            The model takes no labels, or knows no such label.
        """
        if text is None:
            return {}
        if not isinstance(self.estimator, CVAE):
            fix = f"Leave it out, or train one that does: hyotan fit {self._source()} --model cvae"
            raise SettingsError(f"{flag} {text}: a {self.estimator.kind} takes no labels.", fix)
        known = {str(label): label for label in self.estimator.classes_.tolist()}
        if text not in known:
            raise SettingsError(f"{flag} {text}: the model knows no such label.", did_you_mean(text, known))
        return {"y": known[text]}

    def _source(self) -> str:
        return self.run.config.source if self.run is not None else "SOURCE"

    def output(self, out: str | None, default: str, source: str | None = None) -> Path:
        """Where a result goes: the path given, else a file in the run folder; never over the data themselves."""
        if self.table_columns and default in ROW_FILES:
            default = str(Path(default).with_suffix(".csv"))
        path = Path(out) if out is not None else self.folder / default
        if source is not None and path.exists() and Path(source).exists() and path.samefile(source):
            raise SettingsError(f"--out {out} is the file that is read.", "Choose another name for the result.")
        return path


def _run_of_study(path: Path) -> str:
    folder = StudyFolder(path)
    run = folder.recommended_run(folder.recommendation())
    if run is None:
        return f"Name a folder below {path / CELLS}."
    return f"Name the run: the model to compress with is in {run.path}, the others lie beside it."


def _nearest_run(path: Path) -> str:
    runs = [found.parent for found in Path("runs").glob(f"*/{CONFIG}")]
    if not runs:
        return "Train a model first: hyotan fit digits"
    newest = sorted(runs, key=lambda run: run.stat().st_mtime)[-RUNS_NAMED:]
    return did_you_mean(str(path), [str(run) for run in newest])


RowIds: TypeAlias = tuple[str, np.ndarray]
"""What ids are, and the ids, (n,)."""


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
    SettingsError
        The path's ending is none of these.
    """
    if path.suffix not in WRITERS:
        raise SettingsError(
            f"{path.name} cannot be written: its ending is not known.", f"Choose from: {', '.join(WRITERS)}."
        )
    if isinstance(array, Frame) and path.suffix == ".npy":
        raise SettingsError(
            f"{path.name} cannot be written: columns of several kinds are no array.",
            f"Choose another ending: {path.with_suffix('.csv').name} or {path.with_suffix('.parquet').name}.",
        )
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", f"Type: mkdir -p {path.parent}")
    write_bytes_atomically(path, WRITERS[path.suffix](array, names, ids))
    return path


Writer: TypeAlias = Callable[[Any, Sequence[str], RowIds | None], bytes]


def write_labels(path: Path, labels: np.ndarray, probabilities: np.ndarray) -> Path:
    """Write the label of each row, (n,), and its probability, (n,), as ``.csv`` or ``.tsv``.

    Raises
    ------
    SettingsError
        The path's ending is neither.
    """
    delimiters = {".csv": ",", ".tsv": "\t"}
    if path.suffix not in delimiters:
        raise SettingsError(f"{path.name} cannot be written: its ending is not known.", "Choose from: .csv, .tsv.")
    import io

    import pyarrow as pa
    from pyarrow import csv

    buffer = io.BytesIO()
    columns = pa.table({"label": pa.array(labels.tolist()), "probability": probabilities})
    csv.write_csv(columns, buffer, csv.WriteOptions(delimiter=delimiters[path.suffix]))
    write_bytes_atomically(path, buffer.getvalue())
    return path


def _npy(array: Any, names: Sequence[str], ids: RowIds | None) -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _arrow(array: Any, names: Sequence[str], ids: RowIds | None) -> Any:
    import pyarrow as pa

    if isinstance(array, Frame):
        own = array.table
        return own if ids is None else own.add_column(0, ids[0], pa.array(ids[1].tolist()))
    flat = array.reshape(len(array), -1)
    named = names if len(names) == flat.shape[1] else [f"x{i}" for i in range(flat.shape[1])]
    columns = [pa.array(flat[:, i]) for i in range(flat.shape[1])]
    if ids is None:
        return pa.table(columns, names=list(named))
    return pa.table([pa.array(ids[1].tolist()), *columns], names=[ids[0], *named])


def _delimited(delimiter: str) -> Writer:
    def write(array: Any, names: Sequence[str], ids: RowIds | None) -> bytes:
        import pyarrow as pa
        from pyarrow import csv

        sink = pa.BufferOutputStream()
        csv.write_csv(_arrow(array, names, ids), sink, csv.WriteOptions(delimiter=delimiter))
        return sink.getvalue().to_pybytes()

    return write


def _parquet(array: Any, names: Sequence[str], ids: RowIds | None) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(_arrow(array, names, ids), sink)
    return sink.getvalue().to_pybytes()


WRITERS: dict[str, Writer] = {
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
    return used.columns
