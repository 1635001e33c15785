"""Trainings whose models are stacked: the steps of one loop, for trainers that go on as if each had taken them alone.

Each training keeps its own rows, their order, its random numbers, losses, best state and checkpoints; what differs from
training alone is the rounding of batched products. Why, and when a study does so: docs/decisions/0010.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hyotan.errors import DivergenceError
from hyotan.training import draws
from hyotan.training.callbacks import ReconstructionTracker
from hyotan.training.checkpoint import CheckpointStore, Snapshot
from hyotan.training.interruption import StopRequests, TrainingInterrupted
from hyotan.training.objective import Labels, Progress
from hyotan.training.optimizers import Stepper
from hyotan.training.products import fast_products
from hyotan.training.resident import ResidentRows, batch_bounds, epoch_order
from hyotan.training.stacking import Stack, stack_key
from hyotan.training.sums import Sums, parts_of
from hyotan.training.trainer import VALIDATION_ROWS, Trainer


def grouped_by_stack(trainers: Sequence[Trainer]) -> list[list[Trainer]]:
    """Trainings in groups that can share a loop, in their order; what fits with no other is a group of its own."""
    groups: dict[Hashable, list[Trainer]] = {}
    for trainer in trainers:
        key = training_key(trainer)
        groups.setdefault(id(trainer) if key is None else key, []).append(trainer)
    return list(groups.values())


def training_key(trainer: Trainer) -> Hashable | None:
    """Trainings of which this is equal can share a loop; None for one that can share none.

    They have models of one :func:`stack_key`, as many rows, the same settings but the seed, and stand at the same step.
    """
    how, rows = trainer.settings, [part for part in (trainer.train, trainer.validation) if part is not None]
    alone = (
        trainer.device.type != "cpu",
        trainer.is_finished,
        how.bf16,
        trainer.is_compiled,
        # The norm of a stack's gradient is none of its models'.
        how.grad_clip is not None,
        # One may have to stop before the others.
        how.early_stopping is not None,
        # Callbacks would see a model whose weights are in the stack; this one asks for them at an epoch's end alone.
        any(type(callback) is not ReconstructionTracker for callback in trainer.callbacks),
        not all(isinstance(part, ResidentRows) and _has_own_labels(part, trainer) for part in rows),
    )
    model = None if any(alone) else stack_key(trainer.model)
    if model is None:
        return None
    lengths = tuple((len(part), part.binarise) for part in rows if isinstance(part, ResidentRows))
    stands = trainer.epoch, trainer.step_in_epoch, tuple(trainer.cycles)
    return model, replace(how, seed=0), lengths, stands, trainer.store is None


def _has_own_labels(rows: ResidentRows, trainer: Trainer) -> bool:
    """Whether what is known of the rows' classes asks nothing that would hang on a batch as a whole."""
    return rows.companions is None and rows.beliefs is None and trainer.model.stacks_with(rows.classes)


def save_each(stores: Sequence[CheckpointStore], snapshots: Sequence[Snapshot]) -> None:
    """Keep each snapshot in its store."""
    for store, snapshot in zip(stores, snapshots, strict=True):
        store.save(snapshot)


class StackedTrainer:
    """Train several models in one loop.

    Parameters
    ----------
    trainers : at least two of one :func:`training_key`. After :meth:`fit` each is as if it had trained alone; of the
        time that the loop took each is given an equal part.
    save : writes a snapshot of each to the trainers' stores.
    """

    def __init__(
        self,
        trainers: Sequence[Trainer],
        save: Callable[[Sequence[Any], Sequence[Snapshot]], None] = save_each,
    ) -> None:
        self.trainers, self.save = list(trainers), save
        self.first = self.trainers[0]
        self.rows = [trainer.train for trainer in trainers if isinstance(trainer.train, ResidentRows)]  # all of them
        self.stack = Stack([trainer.model for trainer in trainers])
        self.model, settings = self.stack.model, self.first.settings
        self.optimizer = settings.optimizer(self.model, settings.learning_rate, settings.weight_decay)
        self.stack.take()
        self.stack.take_optimizer(self.optimizer, [trainer.optimizer for trainer in trainers])
        self.stepper = Stepper(self.optimizer)
        self.generators = [trainer.generator() for trainer in trainers]
        self.sums = self._sums_so_far()
        self.sources = self._first_of_same_batches()

    # -- the ladder --------------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train to the end, from wherever the trainings stand; then load each one's best state into its model.

        Raises
        ------
        DivergenceError
            A loss left the finite numbers. Which model's it is, and what becomes of the others, training them one by
            one from their checkpoints tells.
        TrainingInterrupted
            Ctrl-C or SIGTERM; the checkpoints hold the step that was reached, the models their best states.
        """
        stops = StopRequests(terminate=self.first.store is not None)
        with fast_products(self.first.device), stops as requests:
            for trainer in self.trainers:
                trainer.begin()
            try:
                while not self.first.is_finished:
                    self.run_epoch(requests)
                    if self.first.is_finished or self._is_due():
                        self._save()
                self._leave_if_asked(requests)  # it came with the last validation
            finally:
                for trainer in self.trainers:
                    trainer.end()

    def run_epoch(self, requests: StopRequests) -> None:
        """Take the steps that are left of this epoch, validate, and note the results."""
        started = time.perf_counter()
        self.model.train()
        orders = self._orders()
        bounds = batch_bounds(len(self.first.train), self.first.settings.batch_size)
        for start, end in bounds[self.first.step_in_epoch :]:
            indices = [slice(start, end) if order is None else order[start:end] for order in orders]
            self.train_step(*self._batch(self.rows, indices, self.generators))
            for trainer in self.trainers:
                trainer.step_in_epoch += 1
            if requests.received is not None or self._is_due():
                self._give(time.perf_counter() - started)
                self._save()
                self._leave_if_asked(requests)
                started = time.perf_counter()
        validation = self.validate()
        self._give(time.perf_counter() - started)
        for trainer, means in zip(self.trainers, validation, strict=True):
            trainer.end_epoch(means)
        self.sums = Sums()

    def train_step(self, x: Tensor, labels: Labels | None = None) -> None:
        """One step of the optimizer on a batch of every model, (models * batch, *features)."""
        self.optimizer.zero_grad(set_to_none=True)
        progress = Progress(self.first.step / self.first.steps_per_epoch, self.first.max_epochs)
        with draws.by_model(self.generators, self.stack.code_sizes):
            terms = self.model.objective(x, progress, labels)
        # The sum over models of their means: each weight gets the gradient of its own model's loss.
        loss = terms.loss.view(len(self.trainers), -1).mean(1).sum()
        if not math.isfinite(loss.item()):
            raise DivergenceError(f"A training of {len(self.trainers)} in one loop diverged.", "Train them one by one.")
        loss.backward()
        self.stepper.step(self.first.learning_rate)
        self.sums.add(parts_of(terms, self._by_model), len(x) // len(self.trainers))

    @torch.no_grad()
    def validate(self) -> list[dict[str, Any]]:
        """Each model's means over its validation rows, as :meth:`Trainer.validate` gives them."""
        rows = [trainer.validation for trainer in self.trainers if trainer.validation is not None]
        if not rows:
            return [{} for _ in self.trainers]
        self.model.eval()
        generators = [torch.Generator().manual_seed(trainer.settings.seed) for trainer in self.trainers]
        sums = Sums()
        for start in range(0, len(rows[0]), VALIDATION_ROWS):
            indices = [slice(start, start + VALIDATION_ROWS)] * len(rows)
            x, labels = self._batch(rows, indices, generators)
            with draws.by_model(generators, self.stack.code_sizes):
                terms = self.model.objective(x, labels=labels)
            error = self.model.squared_errors(self.model.reconstruct(x), x)
            sums.add(parts_of(terms, self._by_model, mse=self._by_model(error)), len(x) // len(rows))
        return [self._sums_of(sums, i).means() for i in range(len(rows))]

    # -- what the rungs stand on -------------------------------------------------------------------------------------

    def _by_model(self, values: Tensor) -> Tensor:
        """Sums over the rows of each model, (models, ...), of (models * rows, ...)."""
        return values.unflatten(0, (len(self.trainers), -1)).sum(1)

    def _orders(self) -> list[Tensor | None]:
        if not self.first.settings.shuffle:
            return [None] * len(self.trainers)
        n, epoch = len(self.first.train), self.first.epoch
        seeds = [trainer.settings.seed for trainer in self.trainers]
        orders = {seed: epoch_order(n, seed, epoch) for seed in set(seeds)}
        return [orders[seed] for seed in seeds]

    def _batch(
        self, rows: Sequence[ResidentRows], indices: Sequence[Tensor | slice], generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Labels | None]:
        """Rows of every model by its own indices, (models * batch, *features), and their classes."""
        parts: list[Tensor] = []
        for i, source in enumerate(self.sources):
            if source < i:
                parts.append(parts[source])
                continue
            with draws.by_model([generators[i]], [self.stack.code_sizes[i]]):
                parts.append(rows[i].take(indices[i]))
        classes = [r.classes[index] for r, index in zip(rows, indices, strict=True) if r.classes is not None]
        return torch.cat(parts), Labels(torch.cat(classes)) if classes else None

    def _first_of_same_batches(self) -> list[int]:
        """For each training, the first one whose batches are the same: those of one repeat, unless they are drawn."""
        found: list[int] = []
        for i, trainer in enumerate(self.trainers):
            same = (j for j in set(found) if _has_same_batches(self.trainers[j], trainer))
            found.append(next(same, i))
        return found

    def _sums_so_far(self) -> Sums:
        """What trainings that go on within an epoch have added up, as sums of all models."""
        each, widest = [trainer.sums.values for trainer in self.trainers], max(self.stack.code_sizes)
        joined = {
            name: value
            if name == "count"
            else torch.stack([v if v.ndim == 0 else F.pad(v, (0, widest - len(v))) for v in (e[name] for e in each)])
            for name, value in each[0].items()
        }
        return Sums(joined)

    def _sums_of(self, sums: Sums, i: int) -> Sums:
        """One model's part of the sums of all."""
        size = self.stack.code_sizes[i]
        parts = {
            name: value if name == "count" else value[i] if value.ndim == 1 else value[i, :size]
            for name, value in sums.values.items()
        }
        return Sums(parts)

    def _give(self, seconds: float) -> None:
        """Bring every trainer to where the stack stands; its optimizer follows when it is saved."""
        self.stack.give()
        for i, trainer in enumerate(self.trainers):
            trainer.stand(trainer.step_in_epoch, self._sums_of(self.sums, i), seconds / len(self.trainers))

    def _is_due(self) -> bool:
        return self.first.store is not None and self.first.store.is_due()

    def _save(self) -> None:
        if self.first.store is None:
            return
        self.stack.give_optimizer(self.optimizer, [trainer.optimizer for trainer in self.trainers])
        pairs = zip(self.trainers, self.generators, strict=True)
        snapshots = [trainer.snapshot_with(generator) for trainer, generator in pairs]
        self.save([trainer.store for trainer in self.trainers], snapshots)

    def _leave_if_asked(self, requests: StopRequests) -> None:
        if requests.received is not None:
            reached = min(self.first.epoch + 1, self.first.max_epochs), self.first.step
            raise TrainingInterrupted(requests.received, *reached)


def _has_same_batches(one: Trainer, other: Trainer) -> bool:
    if one.settings.seed != other.settings.seed:
        return False
    pairs = zip((one.train, one.validation), (other.train, other.validation), strict=True)
    return all(
        a is b or (isinstance(a, ResidentRows) and isinstance(b, ResidentRows) and _are_same(a, b)) for a, b in pairs
    )


def _are_same(a: ResidentRows, b: ResidentRows) -> bool:
    scaled = (a.offset, a.factor) == (b.offset, b.factor)
    return scaled and not a.binarise and torch.equal(a.values, b.values)
