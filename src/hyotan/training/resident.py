"""Data that fits in memory: one tensor on the device, batches by index, never a per-sample loader.

Data that do not are in :mod:`hyotan.training.streams`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from hyotan.training import draws
from hyotan.training.objective import Labels

Batches: TypeAlias = Generator[tuple[Tensor, Labels | None], None, None]
"""Batches, (batch, *features), and what is known of their classes; closing them ends what reads ahead."""


@dataclass(frozen=True)
class Steps:
    """Which batches are to come: all that their order hangs on.

    Attributes
    ----------
    batch_size : rows a batch.
    seed, epoch, shuffle : say the order of the rows.
    first : the step of this epoch to begin with.
    """

    batch_size: int
    seed: int
    epoch: int = 0
    first: int = 0
    shuffle: bool = True


class TrainingRows(Protocol):
    """What training asks of the rows that it trains on."""

    @property
    def device(self) -> torch.device:
        """Where batches lie."""
        ...

    def __len__(self) -> int: ...

    def batches(self, steps: Steps) -> Batches:
        """The batches of an epoch from a step on."""
        ...


@dataclass(frozen=True)
class ResidentRows:
    """Rows on the device, and how a batch of them becomes the network's input.

    Attributes
    ----------
    values : (n, *features), uint8 as it arrived, or float32 in the model's range already.
    offset, factor : for uint8, ``(values - offset) * factor`` is the model's range.
    binarise : whether each batch is drawn anew from Bernoulli(values).
    classes : (n,), int64, -1 where unknown; None where the model uses no labels.
    companions : rows whose classes are known, of which some join each batch; None where each batch has enough.
    companions_a_batch : how many.
    beliefs : gives what each row's neighbours say of its class, (n, classes); None where they are not asked. Called at
        the first step, for asking takes as long as an epoch does.
    """

    values: Tensor
    offset: float = 0.0
    factor: float = 1.0
    binarise: bool = False
    classes: Tensor | None = None
    companions: ResidentRows | None = None
    companions_a_batch: int = 0
    beliefs: Callable[[], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def device(self) -> torch.device:
        """Where the rows lie."""
        return self.values.device

    def batches(self, steps: Steps) -> Batches:
        """The batches of an epoch from a step on."""
        n, total = len(self), batch_count(len(self), steps.batch_size)
        order = epoch_order(n, steps.seed, steps.epoch).to(self.device) if steps.shuffle else None
        for step in range(steps.first, total):
            start, end = batch_at(step, n, steps.batch_size)
            index = slice(start, end) if order is None else order[start:end]
            labels = self.labels(index, steps.epoch * total + step, steps.seed)
            yield self.take(index), labels

    def take(self, index: Tensor | slice) -> Tensor:
        """Rows by index, (batch, *features), float32, in the model's range."""
        picked = self.values[index] if isinstance(index, slice) else self.values.index_select(0, index)
        if picked.dtype == torch.uint8:
            picked = picked.float()
            if self.offset:
                picked = picked.sub_(self.offset)
            picked = picked.mul_(self.factor)
        return draws.bernoulli(picked) if self.binarise else picked

    def labels(self, index: Tensor | slice, step: int | None = None, seed: int = 0) -> Labels | None:
        """What is known of the classes of some rows.

        Parameters
        ----------
        index : the rows.
        step, seed : say which companions join them; none without a step.
        """
        if self.classes is None:
            return None
        classes = self.classes[index]
        beliefs = None if self.beliefs is None or step is None else self.beliefs()[index]
        if self.companions is None or self.companions.classes is None or step is None:
            return Labels(classes, beliefs=beliefs)
        chosen = cycled(len(self.companions), self.companions_a_batch, step, seed).to(classes.device)
        return Labels(classes, (self.companions.take(chosen), self.companions.classes[chosen]), beliefs)


def as_tensor(values: np.ndarray) -> Tensor:
    """An array as a tensor on the CPU that shares its memory where it can; it may be read only, as memory maps are."""
    values = np.ascontiguousarray(values)
    if values.flags.writeable:
        return torch.from_numpy(values)
    with warnings.catch_warnings():
        # torch warns of writing to such a tensor; rows are only ever read.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(values)


def batch_count(n: int, batch_size: int) -> int:
    """How many batches n rows make; a last batch of one row joins the one before it.

    One row alone breaks batch normalisation and gives a step of pure noise.

    >>> batch_count(7, 3), batch_count(8, 3)
    (2, 3)
    """
    whole, left = divmod(n, batch_size)
    return max(1, whole + (left > 1 or (left == 1 and batch_size == 1))) if n else 0


def batch_at(step: int, n: int, batch_size: int) -> tuple[int, int]:
    """Where a batch starts and ends.

    >>> [batch_at(step, 7, 3) for step in range(batch_count(7, 3))]
    [(0, 3), (3, 7)]
    """
    start = step * batch_size
    return start, n if step == batch_count(n, batch_size) - 1 else start + batch_size


def batch_bounds(n: int, batch_size: int) -> list[tuple[int, int]]:
    """Where each batch starts and ends."""
    return [batch_at(step, n, batch_size) for step in range(batch_count(n, batch_size))]


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """The order of the rows in one epoch, (n,): a function of seed and epoch alone, so that it need not be saved."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(n, generator=generator)


def cycled(n: int, count: int, step: int, seed: int) -> Tensor:
    """Which of n rows take part in a step, (count,), when ``count`` at a time go round and round, shuffled each time.

    A function of seed and step alone, so that it need not be saved.
    """
    first, last = step * count // n, (step * count + count - 1) // n
    rounds = torch.cat([epoch_order(n, seed, number) for number in range(first, last + 1)])
    start = step * count - first * n
    return rounds[start : start + count]
