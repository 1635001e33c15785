"""Run folders: made atomically, locked while in use, fitted, resumed, evaluated.

A run folder holds ``config.toml`` (all settings; can be fed back), ``model.hyotan`` (the best weights),
``checkpoint.hyotan`` (the last state, to go on from), ``history.jsonl``, ``metrics.json`` and ``figures/``.
"""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomli_w

from hyotan.analysis.evaluation import Evaluation, evaluate
from hyotan.data import Dataset
from hyotan.data import load as load_data
from hyotan.errors import DataError, DivergenceError, RunFolderError, SettingsError, did_you_mean
from hyotan.estimators import ESTIMATORS, load_model
from hyotan.estimators.contract import LatentEstimator
from hyotan.files.container import read, write, write_text_atomically
from hyotan.files.folders import FolderKind, finite, made, write_json
from hyotan.files.lock import held
from hyotan.parameters import check_settings, current_names
from hyotan.preprocessing.scaling import has_missing
from hyotan.training.callbacks import Callback, Fitting, ReconstructionTracker
from hyotan.training.checkpoint import Snapshot, from_json_array
from hyotan.training.together import Together, together
from hyotan.training.trainer import Trainer

CONFIG, MODEL, CHECKPOINT = "config.toml", "model.hyotan", "checkpoint.hyotan"
HISTORY, METRICS, FIGURES = "history.jsonl", "metrics.json", "figures"
RUN = FolderKind("run", CONFIG, (CHECKPOINT, MODEL, HISTORY, METRICS), (FIGURES,))

TEST_FRACTION = 0.1
TRACKED_ROWS = 10
MAX_FRAME_BYTES = 32 * 2**20


class Ready(Exception):
    """Training would begin now."""


class Rehearsal(Callback):
    """Ends a training where it would begin."""

    def on_fit_start(self, fitting: Fitting) -> None:
        """Stop."""
        raise Ready


@dataclass(frozen=True)
class DataOptions:
    """How the source is read: the options of :func:`hyotan.data.load`."""

    label: str | None = None
    ignore: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    missing: str = "keep"
    size: tuple[int, int] | None = None
    limit: int | None = None
    id: str | None = None


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made from; written to ``config.toml`` and read back from it.

    Attributes
    ----------
    source : name or path of the data.
    kind : the estimator's kind.
    parameters : of the estimator.
    data : how the source is read.
    recipe : the recipe that it started from, for the record.
    fingerprint : SHA-256 of the data, noted when the run is made, so that a resumed run meets the same data.
    """

    source: str
    kind: str
    parameters: dict[str, Any] = field(default_factory=dict)
    data: DataOptions = field(default_factory=DataOptions)
    recipe: str | None = None
    fingerprint: str | None = None

    def to_toml(self) -> str:
        """As TOML, which has no word for None: a parameter that is None reads ``"none"``, the rest is left out."""
        parameters = {name: "none" if value is None else value for name, value in self.parameters.items()}
        return tomli_w.dumps(_without_none({**asdict(self), "parameters": parameters}))

    @staticmethod
    def from_toml(text: str, where: str) -> RunConfig:
        """Read a configuration; unknown keys and bad values are named.

        Raises
        ------
        SettingsError
            Not TOML, an unknown key, or a value outside its domain; ``where`` names the file.
        """
        try:
            content = tomllib.loads(text)
            config = msgspec.convert(content, RunConfig, strict=True)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise SettingsError(
                f"{where} is not a configuration: {error}.", "Compare it with a run's config.toml."
            ) from error
        _refuse_unknown(content, RunConfig, where)
        _refuse_unknown(content.get("data", {}), DataOptions, where)
        if config.kind not in ESTIMATORS:
            raise SettingsError(
                f"{where}: kind '{config.kind}' is not known.", f"Choose from: {', '.join(ESTIMATORS)}."
            )
        parameters = check_settings(config.kind, current_names(config.parameters), where)
        return replace(config, parameters=parameters)

    def load_data(self) -> Dataset:
        """Read the source."""
        return load_data(self.source, **asdict(self.data))

    def make_estimator(self, **more: Any) -> LatentEstimator:
        """An unfitted estimator with these parameters."""
        return ESTIMATORS[self.kind](**{**self.parameters, **more})

    def rehearse(self, train: Dataset) -> None:
        """Refuse what training would refuse before its first step.

        Raises
        ------
        SettingsError, DataError : settings that cannot work, or not with these rows.
        """
        with suppress(Ready):
            self.make_estimator(callbacks=[Rehearsal()]).fit(train.X, train.y)


def _refuse_unknown(content: Mapping[str, Any], owner: type[RunConfig | DataOptions], where: str) -> None:
    known = [member.name for member in fields(owner)]
    for key in content:
        if key not in known:
            raise SettingsError(f"{where}: '{key}' is not a setting.", did_you_mean(key, known))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return list(value) if isinstance(value, tuple) else value


class RunFolder:
    """One run's folder.

    Parameters
    ----------
    path : the folder; it must exist (:func:`create` makes one).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / CONFIG).is_file():
            what = "holds no config.toml" if self.path.is_dir() else "does not exist"
            raise RunFolderError(f"{self.path} is not a run folder: it {what}.", "Type: ls runs")
        self.config = RunConfig.from_toml((self.path / CONFIG).read_text(encoding="utf-8"), str(self.path / CONFIG))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the lock ends with the process, however it ends.

        Raises
        ------
        RunFolderError
            Another process holds it; names its PID.
        """
        with held(self.path):
            yield

    def load_model(self, device: str = "auto") -> LatentEstimator:
        """The fitted estimator with the best weights.

        Raises
        ------
        RunFolderError
            Training has not ended yet.
        """
        if not (self.path / MODEL).is_file():
            raise RunFolderError(
                f"{self.path} has no finished model yet.", f"Go on with its training: hyotan resume {self.path}"
            )
        return load_model(self.path / MODEL, device=device)

    def read_snapshot(self) -> Snapshot | None:
        """The last checkpoint; None where there is none yet."""
        if not (self.path / CHECKPOINT).is_file():
            return None
        contents = read(self.path / CHECKPOINT, kinds=["checkpoint"])
        return Snapshot(contents.settings, contents.tensors)

    def read_metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` says; empty where it is not written yet."""
        path = self.path / METRICS
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``; what is not finite becomes null."""
        write_json(self.path / METRICS, metrics)

    def split_data(self) -> tuple[Dataset, Dataset]:
        """Training and test rows: the source's own test split, else a held-out tenth.

        Raises
        ------
        DataError
            The data are not those that the run was made with.
        """
        dataset = self.config.load_data()
        noted = self.config.fingerprint
        if noted is not None and dataset.fingerprint() != noted:
            raise DataError(
                f"The data under '{self.config.source}' have changed since {self.path} was made.",
                "Put the old data back, or start a new run with: hyotan fit",
            )
        return dataset.split(TEST_FRACTION)


def create(
    config: RunConfig, name: str, out: str | os.PathLike[str] | None = None, overwrite: bool = False
) -> RunFolder:
    """Make a run folder: ``out`` itself, or the next free ``runs/<name>-<n>``.

    Raises
    ------
    RunFolderError
        ``out`` exists and is not empty, without ``overwrite``; or it is not a run folder at all.
    ResourceError
        The folder cannot be written to.
    """
    with made(RUN, name, out, overwrite) as path:
        write_text_atomically(path / CONFIG, config.to_toml())
    return RunFolder(path)


@dataclass
class FolderStore:
    """Checkpoints into a run folder, when enough time has gone for their cost not to matter.

    Attributes
    ----------
    folder : the run folder.
    interval : least time between two checkpoints, in seconds; the first is written as soon as it can be.
    share : a checkpoint waits until the last one's time is at most this share of the time since.
    """

    folder: Path
    interval: float = 5.0
    share: float = 0.03

    def __post_init__(self) -> None:
        self._last, self._cost = -float("inf"), 0.0

    def is_due(self) -> bool:
        """Whether enough time has gone since the last one."""
        return time.monotonic() - self._last >= max(self.interval, self._cost / self.share)

    def save(self, snapshot: Snapshot) -> None:
        """Write ``checkpoint.hyotan`` and ``history.jsonl``, each old or new, never half."""
        save_together([self], [snapshot])

    def write_checkpoint(self, snapshot: Snapshot) -> None:
        """Write ``checkpoint.hyotan``."""
        write(self.folder / CHECKPOINT, kind="checkpoint", settings=snapshot.settings, tensors=snapshot.arrays)

    def write_history(self, snapshot: Snapshot) -> None:
        """Write ``history.jsonl``."""
        rows = from_json_array(snapshot.arrays["history"])
        lines = "".join(json.dumps(finite(row), ensure_ascii=False) + "\n" for row in rows)
        write_text_atomically(self.folder / HISTORY, lines)

    def note_time(self, started: float) -> None:
        """Note when the last checkpoint was written, and what it has cost."""
        self._last = time.monotonic()
        self._cost = self._last - started


def save_together(stores: Sequence[FolderStore], snapshots: Sequence[Snapshot]) -> None:
    """Write the checkpoints of trainings that stand at one step, one right after the other, then their histories."""
    started = time.monotonic()
    for store, snapshot in zip(stores, snapshots, strict=True):
        store.write_checkpoint(snapshot)
    for store, snapshot in zip(stores, snapshots, strict=True):
        store.write_history(snapshot)
    for store in stores:
        store.note_time(started)


@dataclass(frozen=True)
class FittedRun:
    """What a fit leaves: the folder, the estimator, the data, and how good it is."""

    folder: RunFolder
    estimator: LatentEstimator
    train: Dataset
    test: Dataset
    evaluation: Evaluation
    frames: tuple[np.ndarray, list[int], np.ndarray] | None
    """Originals (m, …), epochs, and reconstructions (epochs, m, …), in the model's range."""

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """One mapping an epoch."""
        return self.estimator.history_

    @property
    def kl_per_dimension(self) -> Sequence[float] | None:
        """Nats of each latent dimension; None for a code that has no prior."""
        return self.evaluation.kl_per_dimension


def fit(
    folder: RunFolder,
    callbacks: list[Callback] | None = None,
    interval: float = 5.0,
    data: tuple[Dataset, Dataset] | None = None,
) -> FittedRun:
    """Train a run from the start, or on from its checkpoint, to its end; then evaluate it.

    Parameters
    ----------
    folder : as :func:`create` made it.
    callbacks : watch the training.
    interval : least time between two checkpoints, in seconds.
    data : training and test rows, where the caller has read and split them already.
    """
    return _train(folder, None, callbacks, interval, data)


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
    with ExitStack() as held_until_the_end:
        works = []
        for folder in folders:
            held_until_the_end.enter_context(folder.locked())
            works.append(Work(folder, *data, store=FolderStore(folder.path, interval)))
        with ExitStack() as trainings:
            trainers = [trainings.enter_context(work.training()) for work in works]
            for group in together(trainers):
                if len(group) > 1:
                    Together(group, save_together).fit()
                else:
                    group[0].fit()
        for work in works:
            yield work.finished()


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
    if _is_planned(snapshot, max_epochs):
        max_epochs = None  # The same words again, after a stop on the way: the run is told no more than it knows.
    if max_epochs is not None:
        _end_before(folder, snapshot, max_epochs)
    elif snapshot is not None and (folder.path / METRICS).is_file():
        end = snapshot.settings["cycles"][-1][1]
        if _is_finished(snapshot):
            raise SettingsError(
                f"{folder.path} is finished (epoch {snapshot.settings['epoch']} of {end}).",
                f"To train it longer, type: hyotan resume {folder.path} --max-epochs {2 * end}",
            )
    return _train(folder, max_epochs, callbacks, interval)


def _is_finished(snapshot: Snapshot) -> bool:
    state = snapshot.settings
    return state["stopped_early"] or state["epoch"] >= state["cycles"][-1][1]


def _is_planned(snapshot: Snapshot | None, max_epochs: int | None) -> bool:
    """Whether the run is on its way to this very epoch."""
    return snapshot is not None and max_epochs == snapshot.settings["cycles"][-1][1] and not _is_finished(snapshot)


def _end_before(folder: RunFolder, snapshot: Snapshot | None, max_epochs: int) -> int:
    """The epoch at which the run ends as it is, if ``max_epochs`` is a later one."""
    if snapshot is None:
        raise SettingsError(
            f"{folder.path} has no checkpoint yet, so nothing could be trained longer.",
            f"Train it first: hyotan resume {folder.path}",
        )
    end = snapshot.settings["cycles"][-1][1]
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


def _train(
    folder: RunFolder,
    max_epochs: int | None,
    callbacks: list[Callback] | None,
    interval: float,
    data: tuple[Dataset, Dataset] | None = None,
) -> FittedRun:
    with folder.locked():
        train, test = folder.split_data() if data is None else data
        work = Work(folder, train, test, FolderStore(folder.path, interval), callbacks or [])
        try:
            with work.training(max_epochs) as trainer:
                trainer.fit()
        except DivergenceError as error:
            _note_divergence(folder, error)
            raise
        return work.finished()


class Work:
    """A run at work: what surrounds its training.

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
        evaluation = evaluate(estimator, self.test.X, self.train.X, y=self.test.y)
        self.folder.write_metrics(metrics_of(estimator, evaluation))
        return FittedRun(self.folder, estimator, self.train, self.test, evaluation, _frames(estimator, self.tracker))


def _note_divergence(folder: RunFolder, error: DivergenceError) -> None:
    finding = {"code": error.code, "level": "warning", "text": str(error)}
    folder.write_metrics({"diagnosis": [finding]})


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


def _frames(
    estimator: LatentEstimator, tracker: ReconstructionTracker
) -> tuple[np.ndarray, list[int], np.ndarray] | None:
    if not tracker.frames:
        return None
    return estimator.in_range(without_missing(estimator, tracker.X)), tracker.epochs, np.stack(tracker.frames)


def without_missing(estimator: LatentEstimator, X: Any) -> Any:
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
