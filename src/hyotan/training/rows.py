"""Data that fits in memory: one tensor on the device, batches by index, never a per-sample loader."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hyotan import draws
from hyotan.objective import Labels


@dataclass(frozen=True)
class Rows:
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
    companions: Rows | None = None
    companions_a_batch: int = 0
    beliefs: Callable[[], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.values)

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


def batch_bounds(n: int, batch_size: int) -> list[tuple[int, int]]:
    """Where each batch starts and ends; a last batch of one row joins the one before it.

    One row alone breaks batch normalisation and gives a step of pure noise.

    >>> batch_bounds(7, 3)
    [(0, 3), (3, 7)]
    """
    starts = list(range(0, n, batch_size))
    if len(starts) > 1 and n - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


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
