"""A run is trained, from the start or on from its checkpoint, then evaluated; all of it is written to its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyotan.analysis.evaluation import Evaluation, evaluate
from hyotan.data import Dataset
from hyotan.errors import DivergenceError, SettingsError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.preprocessing.scaling import has_missing
from hyotan.runs.checkpoints import FolderStore, save_together
from hyotan.runs.run_folder import METRICS, MODEL, RunFolder
from hyotan.training.callbacks import Callback, ReconstructionTracker
from hyotan.training.checkpoint import Snapshot
from hyotan.training.stacked_trainer import StackedTrainer, grouped_by_stack
from hyotan.training.trainer import Trainer

TRACKED_ROWS = 10
MAX_FRAME_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run that has come to its end: just fitted, or opened again.

    Attributes
    ----------
    folder : the run's.
    estimator : with its best weights.
    train, test : the rows it was trained on, and held-out rows.
    encoded : the held-out rows, checked and encoded once for all figures.
    metrics : what ``metrics.json`` says.
    history : one mapping per epoch.
    frames : originals (m, …), epochs, and reconstructions (epochs, m, …) in the model's range, where they were kept.
    """

    folder: RunFolder
    estimator: LatentEstimator
    train: Dataset
    test: Dataset
    encoded: EncodedRows
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    frames: tuple[np.ndarray, list[int], np.ndarray] | None = None

    @property
    def kl_per_dimension(self) -> Sequence[float] | None:
        """Nats of each latent dimension; None for a code that has no prior."""
        return self.metrics.get("kl_per_dimension")


@dataclass(frozen=True, eq=False)
class FittedRun(FinishedRun):
    """What a fit leaves: the run, and its evaluation."""

    evaluation: Evaluation = field(kw_only=True)


def fit(
    folder: RunFolder,
    callbacks: list[Callback] | None = None,
    interval: float = 5.0,
    data: tuple[Dataset, Dataset] | None = None,
    max_epochs: int | None = None,
) -> FittedRun:
    """Train a run from the start, or on from its checkpoint, to its end; then evaluate it.

    Parameters
    ----------
    folder : as :meth:`RunFolder.create <hyotan.runs.run_folder.RunFolder.create>` made it.
    callbacks : watch the training.
    interval : least time between two checkpoints, in seconds.
    data : training and test rows, where the caller has read and split them already.
    max_epochs : a later last epoch than the checkpoint's.
    """
    with folder.locked():
        run = RunTraining(folder, *(data or folder.split_data()), FolderStore(folder.path, interval), callbacks or [])
        try:
            with run.training(max_epochs) as trainer:
                trainer.fit()
        except DivergenceError as error:
            folder.write_metrics({"diagnosis": [{"code": error.code, "level": "warning", "text": str(error)}]})
            raise
        return run.finished()


def fit_together(
    folders: Sequence[RunFolder], data: tuple[Dataset, Dataset], interval: float = 5.0
) -> Iterator[FittedRun]:
    """Train several runs as :func:`fit` does each, those that can share a loop in one; then evaluate one by one.

    Every run folder ends as if its run had been trained alone, up to the rounding of batched products.

    Parameters
    ----------
    folders : of runs on the same data.
    data : training and test rows.
    interval : least time between two checkpoints, in seconds.

    Raises
    ------
    DivergenceError
        One of them diverged; trained alone, from their checkpoints, the others go on.
    """
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(folder.locked())
        runs = [RunTraining(folder, *data, FolderStore(folder.path, interval)) for folder in folders]
        with ExitStack() as trainings:
            for group in grouped_by_stack([trainings.enter_context(run.training()) for run in runs]):
                trainer = group[0] if len(group) == 1 else StackedTrainer(group, save_together)
                trainer.fit()
        for run in runs:
            yield run.finished()


def resume(
    folder: RunFolder, max_epochs: int | None = None, callbacks: list[Callback] | None = None, interval: float = 5.0
) -> FittedRun:
    """Go on with a run, to the same bits as one that was never stopped; or, with a later last epoch, beyond its end.

    Raises
    ------
    SettingsError
        The run is finished, or ``max_epochs`` is not later than its end.
    """
    snapshot = folder.read_snapshot()
    if max_epochs is None:
        if snapshot is not None and (folder.path / METRICS).is_file() and _is_finished(snapshot):
            end = _end_of(snapshot)
            raise SettingsError(
                f"{folder.path} is finished (epoch {snapshot.settings['epoch']} of {end}).",
                f"To train it longer, type: hyotan resume {folder.path} --max-epochs {2 * end}",
            )
    elif _is_planned(snapshot, max_epochs):
        max_epochs = None  # The same words again, after a stop on the way: the run is told no more than it knows.
    else:
        _end_before(folder, snapshot, max_epochs)
    return fit(folder, callbacks, interval, max_epochs=max_epochs)


def _end_of(snapshot: Snapshot) -> int:
    """The last epoch of the run as it is planned."""
    return snapshot.settings["cycles"][-1][1]


def _is_finished(snapshot: Snapshot) -> bool:
    return snapshot.settings["stopped_early"] or snapshot.settings["epoch"] >= _end_of(snapshot)


def _is_planned(snapshot: Snapshot | None, max_epochs: int | None) -> bool:
    """Whether the run is on its way to this very epoch."""
    return snapshot is not None and max_epochs == _end_of(snapshot) and not _is_finished(snapshot)


def _end_before(folder: RunFolder, snapshot: Snapshot | None, max_epochs: int) -> int:
    """The epoch at which the run ends as it is, if ``max_epochs`` is a later one."""
    if snapshot is None:
        raise SettingsError(
            f"{folder.path} has no checkpoint yet, so nothing could be trained longer.",
            f"Train it first: hyotan resume {folder.path}",
        )
    end = _end_of(snapshot)
    if max_epochs <= end:
        raise SettingsError(
            f"--max-epochs {max_epochs} is not later than the run's end, epoch {end}.", f"Take {end + 1} or more."
        )
    return end


def schedule_after(folder: RunFolder, max_epochs: int) -> str:
    """What going on to ``max_epochs`` does to the learning rate, in a sentence.

    Raises
    ------
    SettingsError
        ``max_epochs`` is not later than the run's end, or the run has no checkpoint yet.
    """
    snapshot = folder.read_snapshot()
    if _is_planned(snapshot, max_epochs):
        return f"The run goes on to its end, epoch {max_epochs}, as planned."
    end = _end_before(folder, snapshot, max_epochs)
    schedule = folder.config.parameters.get("schedule", "one-cycle")
    if schedule == "constant":
        return f"Epochs {end + 1} to {max_epochs} are added at the same constant learning rate."
    return (
        f"The {schedule} schedule runs to its end at epoch {end} as planned; epochs {end + 1} to {max_epochs} are a "
        "new cycle, so the learning rate rises again and the loss may rise before it falls."
    )


class RunTraining:
    """The training of one run, and what surrounds it.

    Parameters
    ----------
    folder : locked.
    train, test : its rows.
    store : where its checkpoints go.
    callbacks : watch the training.
    """

    def __init__(
        self, folder: RunFolder, train: Dataset, test: Dataset, store: FolderStore, callbacks: Sequence[Callback] = ()
    ) -> None:
        self.folder, self.train, self.test, self.store = folder, train, test, store
        self.tracker = ReconstructionTracker(test.X[tracked_rows(test)], max_bytes=MAX_FRAME_BYTES)
        self.estimator = folder.config.make_estimator(callbacks=[self.tracker, *callbacks])

    def training(self, max_epochs: int | None = None) -> AbstractContextManager[Trainer]:
        """Its trainer, from the last checkpoint on where there is one; to be trained within the ``with`` block."""
        return self.estimator.training(
            self.train.X, self.train.y, store=self.store, snapshot=self.folder.read_snapshot(), max_epochs=max_epochs
        )

    def finished(self) -> FittedRun:
        """Write down what was trained, and how good it is."""
        estimator = self.estimator
        estimator.callbacks = None
        estimator.save(self.folder.path / MODEL)
        rows = estimator.encode_rows(self.test.X)
        evaluation = evaluate(estimator, rows, self.train.X, y=self.test.y)
        metrics = metrics_of(estimator, evaluation)
        self.folder.write_metrics(metrics)
        parts = self.folder, estimator, self.train, self.test, rows, metrics, estimator.history_, self._frames(rows)
        return FittedRun(*parts, evaluation=evaluation)

    def _frames(self, rows: EncodedRows) -> tuple[np.ndarray, list[int], np.ndarray] | None:
        if not self.tracker.frames:
            return None
        tracked = rows.take(tracked_rows(self.test))
        if np.isnan(tracked.numbers).any():
            tracked = self.estimator.encode_rows(self.estimator.impute(tracked))  # pyrefly: ignore[missing-attribute]
        return tracked.numbers, self.tracker.epochs, np.stack(self.tracker.frames)


def tracked_rows(test: Dataset) -> np.ndarray:
    """Ten test rows to watch, (≤ 10,): the labels in turn where there are labels, else the first rows."""
    if test.y is None:
        return np.arange(min(TRACKED_ROWS, len(test.X)))
    _, label = np.unique(test.y.astype(str), return_inverse=True)
    by_label = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[by_label], label)
    turn = np.empty(len(label), dtype=int)
    turn[by_label] = np.arange(len(label)) - starts[by_label]
    chosen = np.lexsort((label, turn))[:TRACKED_ROWS]
    return chosen[np.argsort(label[chosen], kind="stable")]


def without_missing(estimator: Any, X: Any) -> Any:
    """Rows as they are, or with their missing values filled by the estimator."""
    return estimator.impute(X) if has_missing(X) else X


def metrics_of(estimator: LatentEstimator, evaluation: Evaluation) -> dict[str, Any]:
    """What ``metrics.json`` says of a finished run."""
    record = evaluation.to_dict()
    test = {name: record[name] for name in ("mse", "loss", "reconstruction", "kl") if record[name] is not None}
    return {
        "schema": 1,
        "test": test,
        "active_units": evaluation.active_units,
        "latent_dim": evaluation.latent_dim,
        "train_seconds": round(estimator.train_seconds_, 3),
        "epochs": estimator.n_iter_,
        "best_epoch": estimator.best_epoch_,
        "validation_fraction": estimator.validation_fraction,
        "parameters": sum(p.numel() for p in estimator.model_.parameters()),
        "effective_beta": getattr(estimator, "beta", None),
        "likelihood_name": estimator.likelihood_,
        **{name: record[name] for name in record if name not in (*test, "active_units", "latent_dim", "diagnosis")},
        "diagnosis": record["diagnosis"],
    }
