"""One bundle of cells at a time, in whatever process: train or go on, measure, note."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from hyotan.analysis.evaluation import Evaluation, evaluate
from hyotan.data import Dataset
from hyotan.errors import HyotanError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.runs import run_training
from hyotan.runs.run_folder import RunFolder
from hyotan.study.cells import Cell
from hyotan.study.measures import Measured, baselines, measure_model, measure_prefix
from hyotan.study.plan import CellPlan
from hyotan.study.repeat_rows import RepeatRows, rows_of_repeat
from hyotan.study.study_folder import CellFailure, StudyFolder
from hyotan.training.interruption import TrainingInterrupted

PARENT_POLL = 0.2
"""Seconds between a worker's looks at whether the study that it works for is still there."""

INTERNAL, OUR_BUG = "INTERNAL", 70


@dataclass(frozen=True)
class Outcome:
    """What came of one task.

    Attributes
    ----------
    name : the cell's, or ``baselines-<repeat>``.
    cells : records; none where it failed or was stopped.
    failure : why it failed.
    stopped : by which signal, 0 where it was not stopped.
    seconds : that it took.
    """

    name: str
    cells: list[Cell] = field(default_factory=list)
    failure: CellFailure | None = None
    stopped: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Order:
    """What a worker is told.

    Attributes
    ----------
    folder : the study's.
    stamp : changes when a study of other settings takes the same folder.
    threads : for the arithmetic of this task.
    study_pid : the process that the study runs in.
    """

    folder: str
    stamp: str
    threads: int
    study_pid: int


def train_and_measure(order: Order, names: Sequence[str]) -> list[Outcome]:
    """Bring cells to their records: train them in one loop, on from their checkpoints, then measure one by one."""
    started = time.monotonic()
    _end_with(order.study_pid)
    with threads_limited(order.threads):
        study = opened(order.folder, order.stamp)
        plans = [study.folder.plan(name) for name in names]
        try:
            fitted = study.fitted_together(plans)
        except KeyboardInterrupt as stop:
            return [Outcome(names[0], stopped=_signal_of(stop))]
        shared = (time.monotonic() - started) / len(names)
        outcomes = []
        for plan in plans:
            outcomes.append(_outcome_of(study, plan, fitted.get(plan.name), shared))
            if outcomes[-1].stopped:
                break
    return outcomes


def _outcome_of(study: OpenStudy, plan: CellPlan, fitted: run_training.FittedRun | None, seconds: float) -> Outcome:
    started = time.monotonic() - seconds
    try:
        cells = study.cells_of(plan, fitted)
    except KeyboardInterrupt as stop:
        return Outcome(plan.name, stopped=_signal_of(stop))
    except Exception as error:  # one cell's failure is noted; the others go on
        failure = _failure_of(plan, error)
        study.folder.write_failure(failure)
        return Outcome(plan.name, failure=failure, seconds=time.monotonic() - started)
    return Outcome(plan.name, cells, seconds=time.monotonic() - started)


def measure_baselines(order: Order, repeat: int) -> Outcome:
    """Measure what no model has learned, on the rows of one repeat that has a trained model."""
    started, name = time.monotonic(), f"baselines-{repeat}"
    _end_with(order.study_pid)
    with threads_limited(order.threads):
        try:
            cells = opened(order.folder, order.stamp).baselines_of(repeat)
        except KeyboardInterrupt as stop:
            return Outcome(name, stopped=_signal_of(stop))
    return Outcome(name, cells, seconds=time.monotonic() - started)


@dataclass(frozen=True, eq=False)
class OpenStudy:
    """A study's folder with its data, read once a process."""

    folder: StudyFolder
    train: Dataset
    test: Dataset

    def fitted_together(self, plans: Sequence[CellPlan]) -> dict[str, run_training.FittedRun]:
        """Those of some cells that are not trained yet, trained in one loop, by name; nothing where that cannot be."""
        left = [plan for plan in plans if self._trained(plan) is None]
        if len(left) < 2:
            return {}
        try:
            folders = [self.folder.open_run(plan, self.train) for plan in left]
            fitted = run_training.fit_together(folders, (self.train, self.test))
            return {plan.name: run for plan, run in zip(left, fitted, strict=True)}
        except Exception:  # which cell's fault it is shows when each is trained alone, from its last checkpoint
            return {}

    def cells_of(self, plan: CellPlan, fitted: run_training.FittedRun | None = None) -> list[Cell]:
        """The records of one cell; each step is taken only where the one before it left nothing."""
        run = None if fitted is not None else self._trained(plan)
        if run is not None:
            estimator = run.load_model()
            evaluation = evaluate(estimator, self.test.X, self.train.X)
        else:
            fitted = fitted or run_training.fit(self.folder.open_run(plan, self.train), data=(self.train, self.test))
            estimator, evaluation = fitted.estimator, fitted.evaluation
        cells = self.measured(plan, estimator, evaluation)
        self.folder.write_cells(plan, cells)
        return cells

    def _trained(self, plan: CellPlan) -> RunFolder | None:
        """The run of a cell that is trained and evaluated."""
        run = self.folder.load_run(plan)
        return run if run is not None and "test" in run.read_metrics() else None

    def measured(self, plan: CellPlan, estimator: LatentEstimator, evaluation: Evaluation) -> list[Cell]:
        """The records of a trained model: one, or of an ordered code one for each size."""
        parts = self.parts(plan)
        whole = measure_model(estimator, parts, evaluation)
        found = {plan.latent_dim: whole}
        for size in plan.sizes:
            if size not in found:
                found[size] = measure_prefix(estimator, size, parts)
        return [self._record(plan, size, found[size], estimator) for size in plan.sizes]

    def baselines_of(self, repeat: int) -> list[Cell]:
        """The baselines of a repeat, in the range of one of its models; none where none was trained."""
        plans = [plan for plan in self.folder.plans if plan.repeat == repeat]
        trained = ((plan, self.folder.load_run(plan)) for plan in plans if self.folder.read_cells(plan))
        plan, run = next(((plan, run) for plan, run in trained if run is not None), (None, None))
        if plan is None or run is None:
            return []
        sizes, parts = self.folder.config.sizes, self.parts(plan)
        cells = list(baselines(run.load_model(), sizes, parts, repeat, plan.seed))
        self.folder.write_baselines(repeat, cells)
        return cells

    def parts(self, plan: CellPlan) -> RepeatRows:
        """The rows of a cell's repeat."""
        settings = plan.settings
        return _rows_of(self, settings["validation_fraction"], settings["validation_rows"], plan.seed)

    def _record(self, plan: CellPlan, size: int, found: Measured, estimator: LatentEstimator) -> Cell:
        return Cell(
            model=plan.model,
            latent_dim=size,
            repeat=plan.repeat,
            seed=plan.seed,
            selection=found.selection,
            test=found.test,
            n_features=int(torch.Size(estimator.feature_shape_).numel()),
            parameters=sum(p.numel() for p in estimator.model_.parameters()),
            epochs=estimator.n_iter_,
            best_epoch=estimator.best_epoch_,
            train_seconds=round(estimator.train_seconds_, 3),
            nested=plan.nested,
            run=str(self.folder.run_path(plan).relative_to(self.folder.path)),
            clusterings=found.clusterings,
            warnings=found.warnings,
        )


@functools.lru_cache(maxsize=1)
def opened(folder: str, stamp: str) -> OpenStudy:
    """A study's folder and data; a process that gets many cells of a study reads them once."""
    study = StudyFolder(folder)
    return OpenStudy(study, *study.load_data())


@functools.lru_cache(maxsize=1)
def _rows_of(study: OpenStudy, fraction: float, rows: str, seed: int) -> RepeatRows:
    return rows_of_repeat(study.train, study.test, fraction, rows, seed)


def _signal_of(stop: KeyboardInterrupt) -> int:
    return stop.exit_code - 128 if isinstance(stop, TrainingInterrupted) else signal.SIGINT


def _failure_of(plan: CellPlan, error: Exception) -> CellFailure:
    where = plan.name, plan.model, plan.latent_dim, plan.repeat
    if isinstance(error, HyotanError):
        return CellFailure(*where, error.code, error.message, error.fix, error.exit_code)
    if isinstance(error, MemoryError):
        return CellFailure(
            *where, "RESOURCES", "Memory ran out.", "Lower --batch-size or --jobs, or use fewer rows.", 4
        )
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return CellFailure(*where, INTERNAL, f"{type(error).__name__}: {error} ({place})", "Please report it.", OUR_BUG)


@contextmanager
def threads_limited(threads: int) -> Iterator[None]:
    """Let torch and the BLAS use so many threads, and no more than these, while entered."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def _end_with(study_pid: int) -> None:
    """In a process of its own: end when the study's process has, however it ended; nobody else would stop this one."""
    if os.getppid() == study_pid:
        _watch(study_pid)


@functools.cache
def _watch(study_pid: int) -> None:
    def look() -> None:
        while os.getppid() == study_pid:
            time.sleep(PARENT_POLL)
        os._exit(1)  # files are replaced whole: at every moment they can be left as they are

    threading.Thread(target=look, daemon=True).start()
