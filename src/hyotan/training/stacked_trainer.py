"""Trainings whose models are stacked: the steps of one loop, for trainers that go on as if each had taken them alone.

Each training keeps its own rows, their order, its random numbers, losses, best state and checkpoints; what differs from
training alone is the rounding of batched products. Why, and when a study does so: docs/decisions/0010.
"""

from __future__ import annotations

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
from hyotan.training.objective import Labels
from hyotan.training.resident import ResidentRows, StackedRows
from hyotan.training.stacking import Stack, stack_key
from hyotan.training.sums import Parts, Sums, parts_of
from hyotan.training.trainer import Trainer


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


class StackedTrainer(Trainer):
    """Train several models in one loop.

    Parameters
    ----------
    trainers : at least two of one :func:`training_key`. After :meth:`fit` each is as if it had trained alone; of the
        time that the loop took each is given an equal part.
    save : writes a snapshot of each to the trainers' stores.

    Notes
    -----
    :meth:`fit` raises DivergenceError where a loss left the finite numbers. Which model's it is, and what becomes of
    the others, training them one by one from their checkpoints tells.
    """

    def __init__(
        self,
        trainers: Sequence[Trainer],
        save: Callable[[Sequence[Any], Sequence[Snapshot]], None] = save_each,
    ) -> None:
        self.trainers, self.save = list(trainers), save
        self.stack = Stack([trainer.model for trainer in trainers])
        self.stack.take()
        first, seeds = self.trainers[0], [trainer.settings.seed for trainer in trainers]
        sources = _first_of_same_batches(trainers)
        train, validation = (
            StackedRows([part for part in parts if isinstance(part, ResidentRows)], seeds, sources)
            for parts in ([t.train for t in trainers], [t.validation for t in trainers])
        )
        held_out = None if first.validation is None else validation
        super().__init__(self.stack.model, train, held_out, first.settings, store=first.store)
        self.stack.take_optimizer(self.optimizer, [trainer.optimizer for trainer in trainers])
        self.epoch, self.step_in_epoch, self.cycles = first.epoch, first.step_in_epoch, first.cycles
        self.generators = [trainer.generator() for trainer in trainers]
        self.sums = self._sums_so_far()

    def fit(self) -> None:
        """Train to the end, from wherever the trainings stand; then load each one's best state into its model."""
        with draws.by_model(self.generators, self.stack.code_sizes):
            super().fit()

    def backward(self, x: Tensor, labels: Labels | None = None) -> Parts:
        """Leave each parameter the gradient of its own model's mean loss; give back sums over the batch of each."""
        self.optimizer.zero_grad(set_to_none=True)
        terms, models = self.loss(x, self._progress(), labels), self.model.stack_size
        # The sum over models of their means: each weight gets the gradient of its own model's loss.
        terms.loss.view(models, -1).mean(1).sum().backward()
        return parts_of(terms, models)

    def validate(self) -> Sums:
        """Sums over the validation rows of each, as :meth:`Trainer.validate` gives them."""
        generators = [torch.Generator().manual_seed(trainer.settings.seed) for trainer in self.trainers]
        with draws.by_model(generators, self.stack.code_sizes):
            return super().validate()

    def begin(self) -> None:
        """Trainings start, or go on."""
        for trainer in self.trainers:
            trainer.begin()

    def end_epoch(self, validated: Sums) -> None:
        """Note an epoch of each."""
        self._give()
        for i, trainer in enumerate(self.trainers):
            trainer.end_epoch(self._sums_of(validated, i))
        self.sums, self.epoch, self.step_in_epoch = Sums(), self.epoch + 1, 0

    def end(self) -> None:
        """Trainings end; each model gets its best state."""
        for trainer in self.trainers:
            trainer.end()

    # -- what the rungs stand on -------------------------------------------------------------------------------------

    def _refuse_divergence(self, loss: Tensor, rows: int) -> None:
        super()._refuse_divergence(loss.sum(), rows)

    def _divergence(self, what: str, where: str = "") -> DivergenceError:
        return DivergenceError(f"A training of {len(self.trainers)} in one loop diverged.", "Train them one by one.")

    def _sums_so_far(self) -> Sums:
        """What trainings that go on within an epoch have added up, as sums of all models."""
        each, widest = [trainer.sums.values for trainer in self.trainers], max(self.stack.code_sizes)
        joined: Parts = {}
        for name, value in each[0].items():
            parts = [values[name] for values in each]
            padded = [part if part.ndim == 0 else F.pad(part, (0, widest - len(part))) for part in parts]
            joined[name] = value if name == "count" else torch.stack(padded)
        return Sums(joined)

    def _sums_of(self, sums: Sums, i: int) -> Sums:
        """One model's part of the sums of all."""
        size = self.stack.code_sizes[i]
        parts = {
            name: value if name == "count" else value[i] if value.ndim == 1 else value[i, :size]
            for name, value in sums.values.items()
        }
        return Sums(parts)

    def _give(self) -> None:
        """Bring every trainer to where the stack stands; its optimizer follows when it is saved."""
        self.stack.give()
        for i, trainer in enumerate(self.trainers):
            trainer.stand(self.step_in_epoch, self._sums_of(self.sums, i), self.epoch_seconds / len(self.trainers))
        self.epoch_seconds = 0.0

    def _save(self, store: CheckpointStore) -> None:
        self._give()
        self.stack.give_optimizer(self.optimizer, [trainer.optimizer for trainer in self.trainers])
        pairs = zip(self.trainers, self.generators, strict=True)
        snapshots = [trainer.snapshot_with(generator) for trainer, generator in pairs]
        self.save([trainer.store for trainer in self.trainers], snapshots)


def _first_of_same_batches(trainers: Sequence[Trainer]) -> list[int]:
    """For each training, the first one whose batches are the same: those of one repeat, unless they are drawn."""
    found: list[int] = []
    for i, trainer in enumerate(trainers):
        found.append(next((j for j in set(found) if _has_same_batches(trainers[j], trainer)), i))
    return found


def _has_same_batches(one: Trainer, other: Trainer) -> bool:
    pairs = zip((one.train, one.validation), (other.train, other.validation), strict=True)
    return one.settings.seed == other.settings.seed and all(_are_same(a, b) for a, b in pairs)


def _are_same(a: Any, b: Any) -> bool:
    """Whether rows, or no rows, give the same batches."""
    if a is b or a is None or b is None:
        return a is b
    same = (a.offset, a.factor) == (b.offset, b.factor) and not a.binarise and torch.equal(a.values, b.values)
    if a.classes is None or b.classes is None:
        return same and a.classes is b.classes
    return same and torch.equal(a.classes, b.classes)
