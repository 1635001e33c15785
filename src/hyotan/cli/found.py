"""What lies at the place that was typed, and what to type instead where it is not what a command needs."""

from __future__ import annotations

from pathlib import Path

from hyotan.anomalies import AnomalyDetector
from hyotan.data import FORMATS, NAMES
from hyotan.errors import RunNotFoundError, did_you_mean
from hyotan.estimators.store import DETECTOR
from hyotan.files.container import read_settings
from hyotan.runs.run_folder import CONFIG, RunFolder
from hyotan.study.study_folder import CELLS, StudyFolder

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
    raise no_run(place, f"hyotan {command} works on a run: train one with hyotan fit {place}")


def no_run(place: str, fix: str) -> RunNotFoundError:
    """The error that says what lies at a place where a run is expected; ``fix`` is the advice where it is data."""
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
    return path.is_file() and path.name.lower().endswith(tuple(FORMATS))


def is_detector(path: Path) -> bool:
    """Whether a path is that of a detector's folder, or of a detector's file."""
    if path.is_file() and path.suffix == ".hyotan":
        return read_settings(path).kind == AnomalyDetector.kind
    return (path / DETECTOR).is_file()


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
