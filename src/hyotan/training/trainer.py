"""The training loop, as a ladder of short verbs: fit > run_epoch > train_step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hyotan.errors import DivergenceError
from hyotan.files.tensors import below
from hyotan.training.callbacks import Callback
from hyotan.training.checkpoint import (
    Arrays,
    CheckpointStore,
    Snapshot,
    from_json_array,
    json_array,
    load_weights,
    optimizer_arrays,
    random_arrays,
    restore_optimizer,
    restore_random,
    to_arrays,
    torch_below,
)
from hyotan.training.compiling import compiled, pays, refuse_without_compiler, warn_of_no_effect, warn_unrecorded
from hyotan.training.interruption import StopRequests, TrainingInterrupted
from hyotan.training.objective import Labels, Progress, Terms, TrainableModel
from hyotan.training.optimizers import OptimizerMaker, Stepper
from hyotan.training.products import fast_products, warn_of_slow_bf16
from hyotan.training.recording import DEVICES, LEAST_STEPS, Backward, record
from hyotan.training.resident import ResidentRows, StackedRows, Steps, TrainingRows, as_tensor, batch_count
from hyotan.training.schedules import Schedule
from hyotan.training.sums import Parts, Sums, parts_of, row_sums

VALIDATION_ROWS = 2048
"""Rows evaluated at once: large enough to keep the products busy, small enough to stay in the cache."""

STANDING = "epoch step_in_epoch best_epoch train_seconds epoch_seconds stopped_early patient_since".split()
"""Where training stands, as checkpoints name it."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train: every value resolved, every name already the thing it names."""

    max_epochs: int
    batch_size: int
    optimizer: OptimizerMaker
    schedule: Schedule
    learning_rate: float
    weight_decay: float
    seed: int
    grad_clip: float | None = None
    shuffle: bool = True
    early_stopping: int | None = None
    bf16: bool = False
    compile: bool = False


def as_float32(x: np.ndarray) -> np.ndarray:
    """The rows as they are, in float32."""
    return x.astype(np.float32)


class Trainer:
    """Train a model on rows, and keep the best and the last state apart.

    Parameters
    ----------
    model : on its device.
    train, validation : rows on the same device; validation may be None.
    settings : how to train.
    callbacks : called after steps and epochs.
    store : where checkpoints go; None keeps everything in memory.
    to_model : scales rows that callbacks hold, as the data are, to float32 in the model's range.

    Attributes
    ----------
    history : one dict an epoch: ``loss``, ``reconstruction``, ``kl``, ``val_…`` and more, in nats a sample.
    best_epoch : the epoch with the lowest validation loss (without validation, the last one).
    train_seconds : time in the loop alone: steps and validation.
    steps_per_epoch : steps in an epoch.
    """

    def __init__(
        self,
        model: TrainableModel,
        train: TrainingRows,
        validation: ResidentRows | StackedRows | None,
        settings: TrainingSettings,
        callbacks: Sequence[Callback] = (),
        store: CheckpointStore | None = None,
        to_model: Callable[[np.ndarray], np.ndarray] = as_float32,
    ) -> None:
        self.model, self.train, self.validation, self.settings = model, train, validation, settings
        self.callbacks, self.store, self.to_model = list(callbacks), store, to_model
        self.device = train.device
        self.steps_per_epoch = batch_count(len(train), settings.batch_size)
        self.optimizer = settings.optimizer(model, settings.learning_rate, settings.weight_decay)
        self.stepper = Stepper(self.optimizer)
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._recorded: dict[tuple[torch.Size, bool], Backward | None] = {}
        self.epoch, self.step_in_epoch = 0, 0
        self.cycles = [(0, settings.max_epochs)]
        self.history: list[dict[str, Any]] = []
        self.sums = Sums()
        self.best_loss, self.best_epoch = math.inf, 0
        self.best_state: dict[str, Tensor] = {}
        self._start_state: dict[str, Tensor] = {}
        self.train_seconds = self.epoch_seconds = 0.0
        self.stopped_early, self.patient_since = False, 0
        self._resumed = False
        self._random_state: Arrays = {}

    # -- where training stands ---------------------------------------------------------------------------------------

    @property
    def max_epochs(self) -> int:
        """The epoch after which training ends."""
        return self.cycles[-1][1]

    @property
    def step(self) -> int:
        """Steps taken since the start."""
        return self.epoch * self.steps_per_epoch + self.step_in_epoch

    @property
    def is_finished(self) -> bool:
        """Whether the last epoch is done, or early stopping has ended it."""
        return self.stopped_early or self.epoch >= self.max_epochs

    @property
    def learning_rate(self) -> float:
        """The learning rate of the step to come: the schedule over the cycle of epochs that the step lies in."""
        start, end = self._cycle
        done = (self.step - start * self.steps_per_epoch) / max(1, (end - start) * self.steps_per_epoch)
        return self.settings.learning_rate * self.settings.schedule(min(1.0, done))

    @property
    def is_compiled(self) -> bool:
        """Whether steps are compiled where they can be.

        It hangs on the settings and on the cycle of epochs that the step lies in, never on how many steps this process
        has still to take: a training that is stopped and resumed has the bits of one that was not.
        """
        start, end = self._cycle
        return self.settings.compile and self._is_recordable and pays((end - start) * self.steps_per_epoch, self.device)

    @cached_property
    def _is_recordable(self) -> bool:
        """Whether, by the end at the latest, each step does the same."""
        return self.model.is_same_each_step(Progress(self.max_epochs, self.max_epochs))

    @property
    def _cycle(self) -> tuple[int, int]:
        """First epoch of the cycle that the step to come lies in, and the one after its last."""
        return next((cycle for cycle in self.cycles if self.epoch < cycle[1]), self.cycles[-1])

    def extend(self, max_epochs: int) -> None:
        """Go on to a later last epoch: the epochs added form a new cycle of the schedule."""
        if max_epochs > self.max_epochs:
            self.cycles.append((self.max_epochs, max_epochs))
            # Who goes on after an early stop has new patience.
            self.stopped_early, self.patient_since = False, self.epoch

    # -- the ladder --------------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train to the end, from wherever training stands; then load the best state into the model.

        Raises
        ------
        SettingsError
            Steps are to be compiled, and there is no compiler.
        DivergenceError
            The loss left the finite numbers; the model holds the best state before that.
        TrainingInterrupted
            Ctrl-C or SIGTERM; the checkpoint holds the step that was reached, the model its best state.
        """
        devices = [self.device] if self.device.type == "cuda" else []
        if self.is_compiled:
            refuse_without_compiler()
        stops = StopRequests(terminate=self.store is not None)
        with torch.random.fork_rng(devices=devices), fast_products(self.device), stops as requests:
            self._seed()
            self.begin()
            try:
                while not self.is_finished:
                    self.run_epoch(requests)
                    self._checkpoint(due=self.is_finished)
                if requests.received is not None:  # it came with the last validation
                    self._leave_or_save(requests)
            finally:
                self.end()

    def run_epoch(self, requests: StopRequests) -> None:
        """Take the steps that are left of this epoch, validate, and note the result."""
        started = time.perf_counter()
        self.model.train()
        with closing(self.train.batches(self._steps_to_come())) as batches:
            for x, labels in batches:
                self.train_step(x, labels)
                self.step_in_epoch += 1
                self._tell("on_step_end")
                if requests.received is not None or self._is_due():
                    self.epoch_seconds += time.perf_counter() - started
                    self._leave_or_save(requests)
                    started = time.perf_counter()
        validated = self.validate()
        self.epoch_seconds += time.perf_counter() - started
        self.end_epoch(validated)

    def train_step(self, x: Tensor, labels: Labels | None = None) -> None:
        """One step of the optimizer on one batch, (batch, *features), and what is known of its classes."""
        parts = self.backward(x, labels)
        self._refuse_divergence(parts["loss"], len(x))
        if self.settings.grad_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.grad_clip)
        self.stepper.step(self.learning_rate)
        self.sums.add(parts, len(x) // self.model.stack_size)

    def backward(self, x: Tensor, labels: Labels | None = None) -> Parts:
        """Leave each parameter the gradient of the batch's mean loss; give back sums over the batch."""
        recorded = self._recording(x) if labels is None else None
        if recorded is not None:
            parts, gradients = recorded(x)
            for parameter, gradient in zip(self.trained, gradients, strict=True):
                parameter.grad = gradient
            return parts
        self.optimizer.zero_grad(set_to_none=True)
        terms = self.loss(x, self._progress(), labels)
        terms.loss.mean().backward()
        return parts_of(terms)

    def _recording(self, x: Tensor) -> Backward | None:
        """The recorded step of batches like this one, where it is worth making or made already."""
        key = x.shape, self.is_compiled
        if key not in self._recorded:
            to_come = self.max_epochs * self.steps_per_epoch - self.step
            is_full = len(x) == min(self.settings.batch_size, len(self.train))
            is_long = self.is_compiled or to_come >= LEAST_STEPS
            is_worth_it = is_full and is_long and x.device.type in DEVICES
            if not is_worth_it or not self.model.is_same_each_step(self._progress()):
                return None
            improve = compiled if self.is_compiled else None
            self._recorded[key] = record(self.model, x, self._progress(), self._autocast, improve)
            if improve is not None and self._recorded[key] is None:
                warn_unrecorded()
        return self._recorded[key]

    def loss(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """The objective, under autocast where bf16 was asked for."""
        with self._autocast():
            return self.model.objective(x, progress, labels)

    @torch.no_grad()
    def validate(self) -> Sums:
        """Sums over the validation rows, at the objective's final weights and with the same noise at each epoch."""
        sums, models = Sums(), self.model.stack_size
        if self.validation is None:
            return sums
        self.model.eval()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.settings.seed)
            for start in range(0, len(self.validation), VALIDATION_ROWS):
                index = slice(start, start + VALIDATION_ROWS)
                x = self.validation.take(index)
                terms = self.loss(x, labels=self.validation.labels(index))
                with self._autocast():
                    mean = self.model.reconstruct(x)
                errors = row_sums(self.model.squared_errors(mean, x), models)
                sums.add(parts_of(terms, models, mse=errors), len(x) // models)
        return sums

    # -- for stacked_trainer.py, which takes the steps of several trainings ------------------------------------------

    def begin(self) -> None:
        """Training starts, or goes on."""
        self._start_state = self._state()
        self._tell("on_fit_start")
        if self.settings.bf16 and not self.is_finished:
            warn_of_slow_bf16(self.device)
        if self.settings.compile and not self.is_finished:
            start, end = self._cycle
            warn_of_no_effect((end - start) * self.steps_per_epoch, self.device, self._is_recordable)

    def generator(self) -> torch.Generator:
        """What draws the same numbers, on the CPU, as the global generator would for this training alone."""
        if not self._resumed:
            return torch.Generator().manual_seed(self.settings.seed)
        generator = torch.Generator()
        generator.set_state(torch.from_numpy(self._random_state["random/cpu"].copy()))
        return generator

    def stand(self, step_in_epoch: int, sums: Sums, seconds: float) -> None:
        """Steps were taken elsewhere: so many of this epoch are done, with these sums, and took so much more time."""
        self.step_in_epoch, self.sums = step_in_epoch, sums
        self.epoch_seconds += seconds

    def end_epoch(self, validated: Sums) -> None:
        """Note an epoch whose steps are done, with what the validation rows gave.

        Raises
        ------
        DivergenceError
            The loss or the weights have left the finite numbers.
        """
        row = {"epoch": self.epoch + 1, "step": self.step, **self.sums.means(), "learning_rate": self.learning_rate}
        row |= {f"val_{name}": value for name, value in validated.means().items()}
        row["seconds"] = round(self.epoch_seconds, 4)
        watched = row.get("val_loss", row["loss"])
        if not math.isfinite(watched):
            self._refuse_divergence(torch.tensor(watched), len(self.train))
        self._refuse_broken_weights()
        self.train_seconds += self.epoch_seconds
        self.epoch_seconds, self.sums = 0.0, Sums()
        self.epoch, self.step_in_epoch = self.epoch + 1, 0
        # Without held-out rows there is nothing to choose by: the last state is the best one.
        if self.validation is None or watched < self.best_loss:
            self.best_loss, self.best_epoch = watched, self.epoch
            self.best_state = self._state()
        self.history.append(row)
        patience = self.settings.early_stopping
        self.stopped_early = patience is not None and self.epoch - max(self.best_epoch, self.patient_since) >= patience
        self._tell("on_epoch_end")

    def snapshot_with(self, generator: torch.Generator) -> Snapshot:
        """A snapshot from which this training goes on with the numbers of a generator.

        Raises
        ------
        DivergenceError
            The weights have left the finite numbers.
        """
        self._refuse_broken_weights()
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(generator.get_state())
            return self.snapshot()

    def end(self) -> None:
        """Training ends; the model gets its best state."""
        self._tell("on_fit_end")
        self._load_best()

    # -- what the rungs stand on -------------------------------------------------------------------------------------

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.settings.bf16 else nullcontext()

    def _steps_to_come(self) -> Steps:
        s = self.settings
        return Steps(s.batch_size, s.seed, self.epoch, self.step_in_epoch, s.shuffle)

    def _progress(self) -> Progress:
        return Progress(self.step / self.steps_per_epoch, self.max_epochs)

    def _tell(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def _seed(self) -> None:
        if not self._resumed:
            torch.manual_seed(self.settings.seed)
        else:
            restore_random(self._random_state, self.device)

    def _refuse_divergence(self, loss: Tensor, rows: int) -> None:
        if not math.isfinite(loss.item()):
            raise self._divergence(f"the loss became {loss.item()} at step {self.step + 1}", f"batch of {rows} rows, ")

    def _divergence(self, what: str, where: str = "") -> DivergenceError:
        return DivergenceError(
            f"Training diverged: {what} (epoch {self.epoch + 1}, {where}learning rate {self.learning_rate:.3g}).",
            f"The last good state is kept. Lower the learning rate (now {self.settings.learning_rate:g}), "
            "set grad_clip, or look for extreme values in the data.",
        )

    def _refuse_broken_weights(self) -> None:
        """The loss looks back at the weights before a step; a gradient may have broken them since."""
        if not self._is_finite():
            raise self._divergence(f"weights became NaN or infinite by step {self.step}")

    def _is_finite(self) -> bool:
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.model.state_dict().values())

    def _state(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def _load_best(self) -> None:
        if self.best_state:
            self.model.load_state_dict(self.best_state)
        elif not self._is_finite():
            self.model.load_state_dict(self._start_state)
        self.model.eval()

    def _leave_or_save(self, requests: StopRequests) -> None:
        self._checkpoint(due=True)
        if requests.received is not None:
            raise TrainingInterrupted(requests.received, min(self.epoch + 1, self.max_epochs), self.step)

    def _is_due(self) -> bool:
        return self.store is not None and self.store.is_due()

    def _checkpoint(self, due: bool) -> None:
        if self.store is not None and (due or self.store.is_due()):
            self._save(self.store)

    def _save(self, store: CheckpointStore) -> None:
        self._refuse_broken_weights()
        store.save(self.snapshot())

    # -- to and from disk --------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything that a later process needs to go on with the same bits."""
        settings = {name: getattr(self, name) for name in STANDING} | {
            "cycles": [list(cycle) for cycle in self.cycles],
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
        }
        arrays: Arrays = to_arrays(self.model.state_dict(), "model") | to_arrays(self.best_state, "best")
        arrays["history"] = json_array(self.history)
        arrays |= to_arrays(self.sums.values, "sums") | optimizer_arrays(self.optimizer) | random_arrays(self.device)
        for number, callback in enumerate(self.callbacks):
            arrays |= {f"callback/{number}/{name}": array for name, array in callback.state().items()}
        return Snapshot(settings, arrays)

    def restore(self, snapshot: Snapshot) -> None:
        """Stand where the snapshot was taken; the next ``fit`` goes on from there."""
        s, arrays = snapshot.settings, snapshot.arrays
        load_weights(self.model, torch_below(arrays, "model"), "checkpoint")
        restore_optimizer(self.optimizer, arrays)
        self.stepper.forget()
        self.best_state = {name: tensor.to(self.device) for name, tensor in torch_below(arrays, "best").items()}
        self.sums = Sums({name: tensor.to(self.device) for name, tensor in torch_below(arrays, "sums").items()})
        for name in STANDING:
            setattr(self, name, s[name])
        self.cycles = [(start, end) for start, end in s["cycles"]]
        self.history = from_json_array(arrays["history"])
        self.best_loss = math.inf if s["best_loss"] is None else s["best_loss"]
        self._random_state = {name: array for name, array in arrays.items() if name.startswith("random/")}
        self._resumed = True
        for number, callback in enumerate(self.callbacks):
            callback.restore({name: array.copy() for name, array in below(arrays, f"callback/{number}/").items()})

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """Reconstruct rows given as the data were, (n, *features), in the model's range; for callbacks."""
        rows = as_tensor(self.to_model(x)).to(self.device)
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            mean = self.model.reconstruct(rows)
        self.model.train(was_training)
        return mean.float().cpu().numpy()
