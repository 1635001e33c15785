"""A study at work: its cells in parallel, the longest first, on from where they were; then what they add up to."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import joblib
import msgspec
import torch

from hyotan.data import Dataset
from hyotan.errors import DivergenceError, HyotanError, ResourceError
from hyotan.estimators.build import choose_device
from hyotan.files.folders import write_json
from hyotan.study.agenda import Agenda
from hyotan.study.cells import Cell
from hyotan.study.choices import Recommendation
from hyotan.study.plan import StudyConfig
from hyotan.study.progress import StudyProgress
from hyotan.study.recommendation import recommend
from hyotan.study.replications import Experiments, Replication, findings
from hyotan.study.study_folder import RECORD, SCHEMA, SETTINGS, CellFailure, StudyFolder, run_config, split
from hyotan.study.worker import Order, Outcome, measure_baselines, opened, train_and_measure

Result = TypeVar("Result")


class StudyInterrupted(KeyboardInterrupt):
    """A study was asked to stop; its finished cells stay, the others go on from their checkpoints.

    Attributes
    ----------
    exit_code : 130 after Ctrl-C, 143 after SIGTERM.
    fix : how to go on.
    """

    def __init__(self, number: int, done: int, total: int, folder: Path) -> None:
        super().__init__(f"{done} of {total} cells are finished in {folder}.")
        self.exit_code = 128 + number
        self.fix = f"Go on with: hyotan resume {folder}"


@dataclass(frozen=True)
class Finished:
    """A study that has come to its end.

    Attributes
    ----------
    folder : the study's.
    cells : every record, baselines last.
    failures : the cells that have none, and why.
    recommendation, findings : what the records say.
    seconds : of this run of it.
    """

    folder: StudyFolder
    cells: list[Cell]
    failures: list[CellFailure]
    recommendation: Recommendation
    findings: tuple[Replication, ...]
    seconds: float


def create_study(
    config: StudyConfig,
    dataset: Dataset,
    name: str,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    keep_rows: bool = False,
) -> StudyFolder:
    """Make a study's folder, after every model has been refused that would be refused before its first step.

    Parameters
    ----------
    config : the settings.
    dataset : the data behind them.
    name : of the folder, without its number.
    out, overwrite : a folder of the caller's choice, and whether a study that it holds is replaced.
    keep_rows : whether the data lie in no file, and are kept in the folder.

    Raises
    ------
    SettingsError, DataError
        Settings that cannot work, or not with these rows.
    RunFolderError, ResourceError
        The folder cannot be made.
    """
    train, _ = split(config, dataset)
    for plan in config.cells()[: len(config.models)]:
        run_config(config, plan, train).rehearse(train)
    return StudyFolder.create(config, name, out, overwrite, dataset if keep_rows else None)


def run(folder: StudyFolder, jobs: int | None = None, progress: StudyProgress | None = None) -> Finished:
    """Bring a study to its end, from wherever it stands: what is finished is not done again.

    Parameters
    ----------
    folder : as :func:`create_study` made it, or as an earlier run left it.
    jobs : cells, or bundles of small ones, at a time; by default one a core, on a GPU one.
    progress : what shows how far it is.

    Raises
    ------
    RunFolderError
        Another process is at work in the folder.
    StudyInterrupted
        Ctrl-C or SIGTERM.
    DivergenceError, HyotanError
        No cell could be trained; the first one's error.
    """
    started = time.monotonic()
    with folder.locked():
        train, _ = folder.load_data()
        team = Team.of(folder, jobs)
        agenda = Agenda(folder, len(train.X))
        bundles = agenda.bundles(train.X.shape[1:], team.jobs)
        with _stoppable(folder) as stops:
            with nullcontext() if progress is None else progress.watching(agenda):
                for outcome in itertools.chain.from_iterable(team.outcomes(train_and_measure, bundles)):
                    _refuse_stop(outcome, stops, folder)
                    agenda.note(outcome.name)
                    if progress is not None:
                        progress.finished(outcome, agenda.done, agenda.total)
                _refuse_fruitless(folder)
                without_baselines = [n for n in range(folder.config.repeats) if not folder.read_baselines(n)]
                for outcome in team.outcomes(measure_baselines, without_baselines):
                    _refuse_stop(outcome, stops, folder)
            opened.cache_clear()
            return conclude(folder, time.monotonic() - started, progress)


def conclude(folder: StudyFolder, seconds: float, progress: StudyProgress | None = None) -> Finished:
    """Say what the records add up to, do the experiments, and write ``study.json``."""
    if progress is not None:
        progress.concluding()
    cells, failures, recommendation = folder.cells(), folder.failures(), recommend(folder.cells())
    record = {
        "schema": SCHEMA,
        "config": asdict(folder.config),
        "cells": [cell.to_dict() for cell in cells],
        "failures": [asdict(failure) for failure in failures],
        "recommendation": recommendation.to_dict(),
        "findings": [],
        "seconds": round(seconds + folder.read_record().get("seconds", 0.0), 1),
    }
    write_json(folder.path / RECORD, record)
    found = findings(cells, experiments(folder))
    write_json(folder.path / RECORD, {**record, "findings": msgspec.to_builtins(found)})
    return Finished(folder, cells, failures, recommendation, found, seconds)


def experiments(folder: StudyFolder) -> Experiments:
    """Do the experiments of a study: figures, and the numbers behind them."""
    from hyotan.study.four_experiments import run_experiments  # loads what draws

    return run_experiments(folder.path)


# -- who does it -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Team:
    """Worker processes, and what each is told.

    Attributes
    ----------
    order : the study's folder, and the threads of each.
    jobs : how many at a time; 1 works in this process.
    """

    order: Order
    jobs: int

    @classmethod
    def of(cls, folder: StudyFolder, jobs: int | None) -> Team:
        """As many as there are cores, unless told otherwise; they share the cores evenly.

        The threads follow from the jobs asked for and never from the cells that are left: sums round otherwise on
        other numbers of threads.
        """
        cores = joblib.cpu_count()
        on_cpu = all(choose_device(plan.settings["device"]).type == "cpu" for plan in folder.plans)
        jobs = jobs or (cores if on_cpu else 1)
        stamp = hashlib.sha256((folder.path / SETTINGS).read_bytes()).hexdigest()
        threads = min(max(1, cores // jobs), torch.get_num_threads())  # never more than this process was given
        return cls(Order(str(folder.path.resolve()), stamp, threads, os.getpid()), jobs)

    def outcomes(self, task: Callable[[Order, Any], Result], items: Sequence[Any]) -> Iterator[Result]:
        """What comes of a task for each item, as soon as it is there."""
        if not items:
            return
        jobs = min(self.jobs, len(items))
        tasks = (joblib.delayed(task)(self.order, item) for item in items)
        team = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch=jobs)
        with _kept_from_children(signal.SIGINT) if jobs > 1 else nullcontext():
            found = team(tasks)
        try:
            yield from found
        finally:
            found.close()  # what is under way is ended, not waited for


@contextmanager
def _kept_from_children(number: signal.Signals) -> Iterator[None]:
    """Processes that are started while this is entered never get the signal.

    A terminal sends Ctrl-C to all of them, and whoever is just starting would answer with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- what stops it -----------------------------------------------------------------------------------------------------


def _refuse_fruitless(folder: StudyFolder) -> None:
    """End a study in which nothing could be trained with the error that most says why."""
    failures = folder.failures()
    if len(failures) < len(folder.plans):
        return
    first = next((failure for failure in failures if failure.code != DivergenceError.code), failures[0])
    message = f"None of the {len(failures)} cells could be trained; {first.cell}: {first.message}"
    if first.code == DivergenceError.code:
        raise DivergenceError(message, first.fix)
    error = ResourceError(message, first.fix) if first.code == ResourceError.code else HyotanError(message, first.fix)
    error.code, error.exit_code = first.code, first.exit_code
    raise error


@contextmanager
def _stoppable(folder: StudyFolder) -> Iterator[list[int]]:
    """Turn Ctrl-C and SIGTERM, while entered, into a word on what is finished; off the main thread do nothing."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    handled: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not None:  # a handler set from C could not be put back
                handled[number] = signal.signal(number, stop)
    try:
        yield received
    except KeyboardInterrupt as error:
        raise _interrupted(folder, received) from error
    finally:
        for number, before in handled.items():
            signal.signal(number, before)


def _refuse_stop(outcome: Outcome, received: list[int], folder: StudyFolder) -> None:
    if outcome.stopped:
        raise _interrupted(folder, [*received, outcome.stopped])


def _interrupted(folder: StudyFolder, received: list[int]) -> StudyInterrupted:
    done = sum(bool(folder.read_cells(plan)) for plan in folder.plans)
    return StudyInterrupted([*received, signal.SIGINT][0], done, len(folder.plans), folder.path)
