"""Trainings of one kin in one loop: the steps of a stack, for trainers that go on as if each had taken them alone.

A small model's step is bound by Python and by torch's way to each product, not by arithmetic; one loop over a stack
takes that way once for all of its cells. Each cell keeps its own rows, their order, its random numbers, losses, best
state and checkpoints; what differs from training alone is the rounding of batched products.
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
from hyotan.models import draws
from hyotan.models.objective import Labels, Progress
from hyotan.training.callbacks import ReconstructionTracker
from hyotan.training.checkpoint import CheckpointStore, Snapshot
from hyotan.training.interruption import StopRequests, TrainingInterrupted
from hyotan.training.optimizers import Stepper
from hyotan.training.products import fast_products
from hyotan.training.resident import Rows, batch_bounds, epoch_order
from hyotan.training.stack import Stack, kin
from hyotan.training.sums import Parts, Sums, parts_of
from hyotan.training.trainer import VALIDATION_ROWS, Trainer


def together(trainers: Sequence[Trainer]) -> list[list[Trainer]]:
    """Trainings in groups that can share a loop, in their order; what fits with no other is a group of its own."""
    groups: dict[Hashable, list[Trainer]] = {}
    for trainer in trainers:
        company = company_of(trainer)
        groups.setdefault(id(trainer) if company is None else company, []).append(trainer)
    return list(groups.values())


def company_of(trainer: Trainer) -> Hashable | None:
    """Trainings of which this is equal can share a loop; None for one that can share none.

    They have models of one kin, as many rows, the same settings but the seed, and stand at the same step.
    """
    how, rows = trainer.settings, (trainer.train, trainer.validation)
    alone = (
        trainer.device.type != "cpu",
        trainer.is_finished,
        how.bf16,
        trainer.is_compiled,
        how.grad_clip is not None,
        how.early_stopping is not None,
        any(type(callback) is not ReconstructionTracker for callback in trainer.callbacks),
        not all(isinstance(part, Rows) and _is_labelled_as_one(part, trainer) for part in rows if part is not None),
    )
    model = None if any(alone) else kin(trainer.model)
    if model is None:
        return None
    lengths = tuple((len(part), part.binarise) if isinstance(part, Rows) else None for part in rows)
    stands = trainer.epoch, trainer.step_in_epoch, tuple(trainer.cycles)
    return model, replace(how, seed=0), lengths, stands, trainer.store is None


def _is_labelled_as_one(rows: Rows, trainer: Trainer) -> bool:
    """Whether what is known of the rows' classes asks nothing that would hang on a batch as a whole."""
    if rows.companions is not None or rows.beliefs is not None:
        return False
    classifier = getattr(trainer.model, "classifier", None)
    return classifier is None or (rows.classes is not None and bool((rows.classes >= 0).all()))


def save_each(stores: Sequence[CheckpointStore], snapshots: Sequence[Snapshot]) -> None:
    """Keep each snapshot in its store."""
    for store, snapshot in zip(stores, snapshots, strict=True):
        store.save(snapshot)


class Together:
    """Train several models in one loop.

    Parameters
    ----------
    trainers : at least two of one company, see :func:`company_of`. After :meth:`fit` each is as if it had trained
        alone; of the time that the loop took each is given an equal part.
    save : writes a snapshot of each to the trainers' stores.
    """

    def __init__(
        self,
        trainers: Sequence[Trainer],
        save: Callable[[Sequence[Any], Sequence[Snapshot]], None] = save_each,
    ) -> None:
        self.trainers, self.save = list(trainers), save
        self.first = self.trainers[0]
        self.rows = [trainer.train for trainer in trainers if isinstance(trainer.train, Rows)]  # all of them
        self.stack = Stack([trainer.model for trainer in trainers])
        self.model, settings = self.stack.model, self.first.settings
        self.optimizer = settings.optimizer(self.model, settings.learning_rate, settings.weight_decay)
        self.stack.take()
        self.stack.take_optimizer(self.optimizer, [trainer.optimizer for trainer in trainers])
        self.stepper = Stepper(self.optimizer)
        self.generators = [trainer.generator() for trainer in trainers]
        self.sums = self._sums_so_far()
        self.like = self._first_of_same_rows()

    # -- the ladder --------------------------------------------------------------------------------------------------

    def fit(self) -> None:
        """Train to the end, from wherever the trainings stand; then load each one's best state into its model.

        Raises
        ------
        DivergenceError
            A loss left the finite numbers. Which cell's it is, and what becomes of the others, training them one by one
            from their checkpoints tells.
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
                if requests.received is not None:  # it came with the last validation
                    self._leave(requests.received)
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
                if requests.received is not None:
                    self._leave(requests.received)
                started = time.perf_counter()
        validation = self.validate()
        self._give(time.perf_counter() - started)
        for trainer, means in zip(self.trainers, validation, strict=True):
            trainer.end_epoch(means)
        self.sums = Sums()

    def train_step(self, x: Tensor, labels: Labels | None = None) -> None:
        """One step of the optimizer on a batch of every cell, (cells * batch, *features)."""
        self.optimizer.zero_grad(set_to_none=True)
        progress = Progress(self.first.step / self.first.steps_per_epoch, self.first.max_epochs)
        with draws.by_cell(self.generators, self.stack.code_sizes):
            terms = self.model.objective(x, progress, labels)
        # The sum over cells of their means: each weight gets the gradient of its own cell's loss.
        loss = terms.loss.view(len(self.trainers), -1).mean(1).sum()
        if not math.isfinite(loss.item()):
            raise DivergenceError(f"A training of {len(self.trainers)} in one loop diverged.", "Train them one by one.")
        loss.backward()
        self.stepper.step(self.first.learning_rate)
        self.sums.add(parts_of(terms, self._by_cell), len(x) // len(self.trainers))

    @torch.no_grad()
    def validate(self) -> list[dict[str, Any]]:
        """Each cell's means over its validation rows, as :meth:`Trainer.validate` gives them."""
        rows = [trainer.validation for trainer in self.trainers if trainer.validation is not None]
        if not rows:
            return [{} for _ in self.trainers]
        self.model.eval()
        generators = [torch.Generator().manual_seed(trainer.settings.seed) for trainer in self.trainers]
        sums = Sums()
        for start in range(0, len(rows[0]), VALIDATION_ROWS):
            indices = [slice(start, start + VALIDATION_ROWS)] * len(rows)
            x, labels = self._batch(rows, indices, generators)
            with draws.by_cell(generators, self.stack.code_sizes):
                terms = self.model.objective(x, labels=labels)
            error = self.model.squared_errors(self.model.reconstruct(x), x)
            parts = parts_of(terms, self._by_cell, mse=self._by_cell(error))
            sums.add(parts, len(x) // len(rows))
        return [self._sums_of(sums, i).means() for i in range(len(rows))]

    # -- what the rungs stand on -------------------------------------------------------------------------------------

    def _by_cell(self, values: Tensor) -> Tensor:
        """Sums over the rows of each cell, (cells, ...), of (cells * rows, ...)."""
        return values.unflatten(0, (len(self.trainers), -1)).sum(1)

    def _orders(self) -> list[Tensor | None]:
        if not self.first.settings.shuffle:
            return [None] * len(self.trainers)
        n, epoch = len(self.first.train), self.first.epoch
        seeds = [trainer.settings.seed for trainer in self.trainers]
        orders = {seed: epoch_order(n, seed, epoch) for seed in set(seeds)}
        return [orders[seed] for seed in seeds]

    def _batch(
        self, rows: Sequence[Rows], indices: Sequence[Tensor | slice], generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, Labels | None]:
        """Rows of every cell by its own indices, (cells * batch, *features), and their classes."""
        parts: list[Tensor] = []
        for i, (of_cell, index) in enumerate(zip(rows, indices, strict=True)):
            if self.like[i] < i:
                parts.append(parts[self.like[i]])
                continue
            with draws.by_cell([generators[i]], [self.stack.code_sizes[i]]):
                parts.append(of_cell.take(index))
        classes = [r.classes[index] for r, index in zip(rows, indices, strict=True) if r.classes is not None]
        return torch.cat(parts), Labels(torch.cat(classes)) if classes else None

    def _first_of_same_rows(self) -> list[int]:
        """For each cell, the first one whose batches are the same: those of one repeat, unless batches are drawn."""
        found: list[int] = []
        for i, trainer in enumerate(self.trainers):
            same = (j for j in set(found) if _has_same_batches(self.trainers[j], trainer))
            found.append(next(same, i))
        return found

    def _sums_so_far(self) -> Sums:
        """What trainings that go on within an epoch have added up, as sums of all cells."""
        each, widest = [trainer.sums.values for trainer in self.trainers], max(self.stack.code_sizes)
        joined: Parts = {}
        for name, value in each[0].items():
            parts = [values[name] for values in each]
            padded = [part if part.ndim == 0 else F.pad(part, (0, widest - len(part))) for part in parts]
            joined[name] = value if name == "count" else torch.stack(padded)
        return Sums(joined)

    def _sums_of(self, sums: Sums, i: int) -> Sums:
        """One cell's part of the sums of all."""
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

    def _leave(self, received: int) -> None:
        reached = min(self.first.epoch + 1, self.first.max_epochs), self.first.step
        raise TrainingInterrupted(received, *reached)


def _has_same_batches(one: Trainer, other: Trainer) -> bool:
    if one.settings.seed != other.settings.seed:
        return False
    pairs = zip((one.train, one.validation), (other.train, other.validation), strict=True)
    return all(a is b or (isinstance(a, Rows) and isinstance(b, Rows) and _are_same(a, b)) for a, b in pairs)


def _are_same(a: Rows, b: Rows) -> bool:
    scaled = (a.offset, a.factor) == (b.offset, b.factor)
    return scaled and not a.binarise and torch.equal(a.values, b.values)
