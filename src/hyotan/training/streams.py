"""Rows that do not fit in memory, in an order that is as good as shuffled and that can be taken up anywhere.

Blocks of rows that lie side by side are shuffled; so many of them as make a buffer are read, while the buffer before
it is trained on; the rows of a buffer are shuffled. The order is a function of seed and epoch alone, and the place in
it one of the step: a run that is resumed in the middle of an epoch meets the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hyotan.data.stored import StoredRows
from hyotan.training.resident import Batches, ResidentRows, Steps, as_tensor, batch_at, batch_count, epoch_order

BLOCK_BYTES = 2**19
"""Rows that are read in one piece: as much as a disk gives at its full speed wherever it lies."""

BUFFER_BYTES = 2**26
"""Rows that are shuffled together; two such buffers are held, the one trained on and the one being read."""

Prepare = Callable[[np.ndarray, int], np.ndarray]
"""From a block's rows as they are in the file, and the block's number, to what a buffer holds of them."""


@dataclass(frozen=True)
class StreamedRows:
    """Rows in their file, read ahead of training.

    Attributes
    ----------
    source : the rows, (n, *features).
    device : where batches go.
    prepare : makes of a block what a buffer holds: uint8, or float32 in the model's range.
    dtype : of that.
    offset, factor, binarise : as of :class:`~hyotan.training.resident.ResidentRows`.
    """

    source: StoredRows
    device: torch.device
    prepare: Prepare
    dtype: np.dtype
    offset: float = 0.0
    factor: float = 1.0
    binarise: bool = False

    def __len__(self) -> int:
        return len(self.source)

    def batches(self, steps: Steps) -> Batches:
        """The batches of an epoch from a step on; nothing is known of classes."""
        plan = BufferPlan.of(self, steps)
        if steps.first >= plan.total:
            return
        with closing(self._buffers(plan, steps.first // plan.steps)) as buffers:
            for number, buffer in buffers:
                order = plan.order_in(number, len(buffer)).to(self.device)
                begin = number * plan.steps
                for step in range(max(steps.first, begin), min(begin + plan.steps, plan.total)):
                    start, end = (place - begin * steps.batch_size for place in plan.bounds(step))
                    yield buffer.take(order[start:end]), None
                del buffer  # or three would be held while the next one comes

    def _buffers(self, plan: BufferPlan, first: int) -> Generator[tuple[int, ResidentRows], None, None]:
        """The buffers from one on, each read while the one before it is in use."""
        with ThreadPoolExecutor(1, "read-ahead") as reader:
            coming = reader.submit(self._read, plan, first)
            for number in range(first, plan.buffers):
                values = coming.result()
                if number + 1 < plan.buffers:
                    coming = reader.submit(self._read, plan, number + 1)
                yield number, ResidentRows(values, self.offset, self.factor, self.binarise)
                del values

    def _read(self, plan: BufferPlan, number: int) -> Tensor:
        pieces = plan.pieces(number)
        for block, _, _ in pieces:
            self.source.expect(*plan.block(block))
        values = np.empty((sum(end - start for _, start, end in pieces), *self.source.shape[1:]), self.dtype)
        done = 0
        for block, start, end in pieces:
            rows = self.prepare(self.source.read(*plan.block(block)), block)
            values[done : done + end - start] = rows[start:end]
            done += end - start
        return as_tensor(values).to(self.device)


class BufferPlan:
    """Which rows meet in which buffer of an epoch.

    Parameters
    ----------
    n, block_rows, buffer_rows : rows in all, of a block, and at most of a buffer, unless a single batch is larger.
    steps_to_come : the epoch.

    Attributes
    ----------
    total : steps of the epoch.
    steps : of a buffer; batches never reach over its ends.
    buffers : of the epoch.
    """

    def __init__(self, n: int, block_rows: int, buffer_rows: int, steps_to_come: Steps) -> None:
        self.n, self.block_rows, self._come = n, block_rows, steps_to_come
        self.total = batch_count(n, steps_to_come.batch_size)
        self.steps = max(1, buffer_rows // steps_to_come.batch_size)
        self.buffers = -(-self.total // self.steps)
        blocks = -(-n // block_rows)
        shuffled = epoch_order(blocks, steps_to_come.seed, steps_to_come.epoch) if steps_to_come.shuffle else None
        self._blocks = np.arange(blocks) if shuffled is None else shuffled.numpy()
        sizes = np.where(self._blocks == blocks - 1, n - (blocks - 1) * block_rows, block_rows)
        self._ends = np.cumsum(sizes)

    @staticmethod
    def of(rows: StreamedRows, steps: Steps) -> BufferPlan:
        """The plan for blocks and buffers of the usual sizes."""
        held = int(np.prod(rows.source.shape[1:], dtype=np.int64)) * rows.dtype.itemsize
        block_rows = max(1, BLOCK_BYTES // rows.source.row_bytes)
        return BufferPlan(len(rows), block_rows, BUFFER_BYTES // held, steps)

    def bounds(self, step: int) -> tuple[int, int]:
        """Where in the epoch's order a batch starts and ends."""
        return batch_at(step, self.n, self._come.batch_size)

    def block(self, number: int) -> tuple[int, int]:
        """Where in the file a block starts and ends."""
        return number * self.block_rows, min(self.n, (number + 1) * self.block_rows)

    def pieces(self, buffer: int) -> list[tuple[int, int, int]]:
        """Of a buffer, which part of which block: (block, start, end) each."""
        begin = self.bounds(buffer * self.steps)[0]
        stop = self.bounds(min((buffer + 1) * self.steps, self.total) - 1)[1]
        found = []
        at = int(np.searchsorted(self._ends, begin, side="right"))
        while begin < stop:
            number, end = int(self._blocks[at]), int(self._ends[at])
            low, high = self.block(number)
            first = end - (high - low)
            found.append((number, begin - first, min(stop, end) - first))
            begin, at = end, at + 1
        return found

    def order_in(self, buffer: int, rows: int) -> Tensor:
        """The order of a buffer's rows, (rows,)."""
        if not self._come.shuffle:
            return torch.arange(rows)
        # Mixed by numpy, so that no two buffers of any epochs have the same seed by a coincidence of sums.
        mixed = np.random.SeedSequence((self._come.seed, self._come.epoch, buffer)).generate_state(1, np.uint64)
        return torch.randperm(rows, generator=torch.Generator().manual_seed(int(mixed[0] >> 1)))
