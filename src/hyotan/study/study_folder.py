"""A study's folder: made, locked while in use, read back; what of it is done and what is left to do."""

from __future__ import annotations

import io
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import numpy as np

from hyotan.data import Dataset
from hyotan.data.frames import Frame, as_frame
from hyotan.files.atomic import write_bytes_atomically, write_text_atomically
from hyotan.files.folders import Folder, read_json, write_json
from hyotan.runs.run_folder import CONFIG, HISTORY, TEST_FRACTION, RunFolder
from hyotan.runs.settings import DataOptions, RunConfig, refuse_changed
from hyotan.study.cells import Cell
from hyotan.study.choices import Recommendation
from hyotan.study.classes import UNKNOWN, Classes
from hyotan.study.plan import CellPlan, StudyConfig

SETTINGS, RECORD, CELLS = "study.toml", "study.json", "cells"
CELL, FAILURE, ROWS, TABLE = "cell.json", "failure.json", "rows.npz", "rows.parquet"
DATA, FIGURES, REPORT = "data", "figures", "report.html"
SCHEMA = 1

NO_LABEL = "no label"
"""What a conditional model takes for "no label" where -1 is a label."""


@dataclass(frozen=True)
class CellFailure:
    """A cell that could not be trained or measured: which, and why.

    Attributes
    ----------
    cell : the name of its run folder.
    model, latent_dim, repeat : of its plan.
    code, message, fix, exit_code : as the error has them.
    """

    cell: str
    model: str
    latent_dim: int
    repeat: int
    code: str
    message: str
    fix: str = ""
    exit_code: int = 2


class StudyFolder(Folder):
    """One study's folder.

    Parameters
    ----------
    path : the folder; it must exist (:meth:`create` makes one).
    """

    owner: ClassVar[str] = "study"
    noun: ClassVar[str] = "study"
    mark: ClassVar[str] = SETTINGS
    files: ClassVar[tuple[str, ...]] = (SETTINGS, RECORD, ROWS, TABLE, REPORT)
    subfolders: ClassVar[tuple[str, ...]] = (CELLS, DATA, FIGURES)
    hint: ClassVar[str] = "Make one: hyotan study SOURCE"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        settings = self.path / SETTINGS
        self.config = StudyConfig.from_toml(settings.read_text(encoding="utf-8"), str(settings))
        self.plans = self.config.cells()

    @classmethod
    def create(
        cls,
        config: StudyConfig,
        name: str,
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        rows: Dataset | None = None,
    ) -> Self:
        """Make a study's folder: ``out`` itself, or the next free ``runs/<name>-<n>``.

        Parameters
        ----------
        config : the settings.
        name : of the folder, without its number.
        out, overwrite : a folder of the caller's choice, and whether a study that it holds is replaced.
        rows : data that are in no file: kept in the folder, so that the study can go on with them.

        Raises
        ------
        RunFolderError
            ``out`` exists and is not empty, without ``overwrite``; or it is not a study at all.
        ResourceError
            The folder cannot be written to.
        """
        with cls.making(name, out, overwrite) as path:
            (path / CELLS).mkdir(exist_ok=True)
            if rows is not None:
                config = _with_rows(config, path, rows)
            write_text_atomically(path / SETTINGS, config.to_toml())
        return cls(path)

    def load_data(self) -> tuple[Dataset, Dataset]:
        """Training and test rows: the source's own test split, or its first rows, or a held-out tenth.

        Raises
        ------
        DataError
            The data are not those that the study was made with.
        """
        config, command = self.config, "study with: hyotan study"
        dataset = refuse_changed(config.load_data(), config.source, config.fingerprint, self.path, command)
        return split(config, dataset)

    # -- cells -------------------------------------------------------------------------------------------------------

    def plan(self, name: str) -> CellPlan:
        """The plan of the cell with this name."""
        return next(plan for plan in self.plans if plan.name == name)

    def run_path(self, plan: CellPlan) -> Path:
        """The run folder of a cell."""
        return self.path / CELLS / plan.name

    def open_run(self, plan: CellPlan, train: Dataset) -> RunFolder:
        """The run folder of a cell, made where there is none yet, with every default written out."""
        path = self.run_path(plan)
        if not RunFolder.is_at(path):
            shutil.rmtree(path, ignore_errors=True)  # what a killed process left before there was anything to keep
            path.mkdir(parents=True)
            write_text_atomically(path / CONFIG, run_config(self.config, plan, train).to_toml())
        return RunFolder(path)

    def read_cells(self, plan: CellPlan) -> list[Cell]:
        """What was measured of one training; nothing where it is not measured yet, or the file is damaged."""
        found = _read_records(self.run_path(plan) / CELL)
        return found if [cell.latent_dim for cell in found] == list(plan.sizes) else []

    def write_cells(self, plan: CellPlan, cells: list[Cell]) -> None:
        """Write down what was measured of one training: a record, or of an ordered code one for each size."""
        records = [cell.to_dict() for cell in cells]
        write_json(self.run_path(plan) / CELL, records if plan.nested else records[0])
        (self.run_path(plan) / FAILURE).unlink(missing_ok=True)

    def read_failure(self, plan: CellPlan) -> CellFailure | None:
        """Why a cell failed; None where it did not."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode((self.run_path(plan) / FAILURE).read_bytes(), type=CellFailure)
        return None

    def write_failure(self, failure: CellFailure) -> None:
        """Write down why a cell failed."""
        path = self.path / CELLS / failure.cell
        path.mkdir(parents=True, exist_ok=True)
        write_json(path / FAILURE, asdict(failure))

    def baselines_path(self, repeat: int) -> Path:
        """The file with the baselines of one repeat."""
        return self.path / CELLS / f"baselines-{repeat}.json"

    def read_baselines(self, repeat: int) -> list[Cell]:
        """The baselines of one repeat; nothing where they are not measured yet."""
        return _read_records(self.baselines_path(repeat))

    def write_baselines(self, repeat: int, cells: list[Cell]) -> None:
        """Write down the baselines of one repeat."""
        write_json(self.baselines_path(repeat), [cell.to_dict() for cell in cells])

    def cells(self) -> list[Cell]:
        """Every record there is: models in the plan's order, then baselines."""
        trained = [cell for plan in self.plans for cell in self.read_cells(plan)]
        return trained + [cell for repeat in range(self.config.repeats) for cell in self.read_baselines(repeat)]

    def failures(self) -> list[CellFailure]:
        """Every cell that failed."""
        found = (self.read_failure(plan) for plan in self.plans if not self.read_cells(plan))
        return [failure for failure in found if failure is not None]

    def load_run(self, plan: CellPlan) -> RunFolder | None:
        """The run folder of a cell that has its model; None where training has not ended."""
        path = self.run_path(plan)
        return run if RunFolder.is_at(path) and (run := RunFolder(path)).is_trained else None

    def epochs_done(self, plan: CellPlan) -> int:
        """Epochs that a cell's training has behind it, as of its last checkpoint."""
        with suppress(OSError):
            return (self.run_path(plan) / HISTORY).read_bytes().count(b"\n")
        return 0

    # -- the whole ---------------------------------------------------------------------------------------------------

    def read_record(self) -> dict[str, Any]:
        """What ``study.json`` says; empty where it is not written yet."""
        return read_json(self.path / RECORD)

    def recommendation(self) -> Recommendation | None:
        """What the study recommends; None before it has come to its end."""
        found = self.read_record().get("recommendation")
        return None if found is None else Recommendation.from_dict(found)

    def recommended_run(self, recommendation: Recommendation | None) -> RunFolder | None:
        """The run of the best trained model to compress with, the first repeat's; None where nothing is recommended, or
        there is nothing to compress.
        """
        ours = None if recommendation is None else recommendation.headline.ours
        if ours is None:
            return None
        fitting = (plan for plan in self.plans if plan.model == ours.model and ours.latent_dim in plan.sizes)
        return next((run for plan in fitting if (run := self.load_run(plan)) is not None), None)


def split(config: StudyConfig, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Training and test rows of the data of a study."""
    train, test = dataset.split(TEST_FRACTION)
    return train, test if config.test_rows is None else test.take(slice(config.test_rows))


def run_config(study: StudyConfig, plan: CellPlan, train: Dataset) -> RunConfig:
    """The settings of one cell's run, every default written out, so that it stays what it was when defaults change."""
    config = RunConfig(study.source, plan.kind, plan.parameters, study.data, fingerprint=study.fingerprint)
    complete = config.with_defaults()
    if "unlabelled" in complete.parameters and "unlabelled" not in plan.parameters:
        complete.parameters["unlabelled"] = unlabelled_marker(train)
    return complete


def unlabelled_marker(train: Dataset) -> int | str:
    """What says "no label" in these data: -1, unless that is one of the labels; an empty text, where there is one."""
    classes = Classes.of(train.y)
    if classes is not None and UNKNOWN in classes.names:
        return NO_LABEL
    return "" if train.y is not None and "" in train.y.tolist() else UNKNOWN


def _with_rows(config: StudyConfig, place: Path, rows: Dataset) -> StudyConfig:
    """Keep data that lie in no file; the settings then name the file that they lie in now."""
    options = DataOptions()
    if (frame := as_frame(rows.X)) is not None:
        path = place / TABLE
        options = _keep_table(frame, rows.y, path)
    else:
        path = place / ROWS
        _keep_arrays(rows, path)
    kept = replace(config, source=str(path.resolve()), data=options)
    return replace(kept, fingerprint=kept.load_data().fingerprint())


def _keep_table(frame: Frame, y: np.ndarray | None, path: Path) -> DataOptions:
    """Write a table and its labels; how to read them comes back."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    table, label = frame.table, None
    if y is not None:
        label = "label"
        while label in frame.names:
            label += "_"
        table = table.append_column(label, pa.array(_plain(np.asarray(y))))
    buffer = io.BytesIO()
    write_table(table, buffer)
    write_bytes_atomically(path, buffer.getvalue())
    return DataOptions(label=label, columns=frame.names)


def _keep_arrays(rows: Dataset, path: Path) -> None:
    given = {"X": rows.X, "y": rows.y, "X_test": rows.X_test, "y_test": rows.y_test}
    arrays: dict[str, Any] = {name: _plain(np.asarray(array)) for name, array in given.items() if array is not None}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes_atomically(path, buffer.getvalue())


def _plain(array: np.ndarray) -> np.ndarray:
    """Labels with missing values as an array that holds no Python objects: missing values among text are empty, among
    numbers NaN.
    """
    if array.dtype.kind != "O":
        return array
    has_text = any(isinstance(value, str) for value in array.tolist())
    missing_value: Any = "" if has_text else np.nan
    filled = [missing_value if value is None else value for value in array.tolist()]
    return np.array([str(value) for value in filled] if has_text else filled)


def _read_records(path: Path) -> list[Cell]:
    with suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
        content = msgspec.json.decode(path.read_bytes())
        return [Cell.from_dict(record) for record in (content if isinstance(content, list) else [content])]
    return []
