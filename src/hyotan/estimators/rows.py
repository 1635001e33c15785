"""Which rows a fit trains on, and rows in the pieces in which they are computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hyotan.training.rows import Rows, as_tensor

CHUNK = 4096
"""Rows computed at once outside training."""

ROW_MULTIPLE = 32
"""Batches outside training are padded to a multiple of this: matrix products of a few rows take other kernels, and
vector instructions, up to 32 values at once, leave a remainder to slower ones that round differently. A row's result
would depend, in its last bits, on how many rows came with it."""


@dataclass(frozen=True)
class Split:
    """The rows of a fit: which are trained on and which are held out, (n_train,) and (n_held_out,)."""

    train: np.ndarray
    validation: np.ndarray


def split_rows(n: int, fraction: float, rows: str, random: np.random.RandomState) -> Split:
    """Hold out a share of the rows; none where the share would be empty or everything.

    Parameters
    ----------
    n : number of rows.
    fraction : share to hold out, rounded down.
    rows : ``random``, ``first`` or ``last``.
    random : draws the rows, and is drawn from in any case, so that later draws do not depend on this choice.
    """
    order = random.permutation(n)
    held = int(n * fraction + 1e-9)
    if held == 0 or held == n:
        return Split(np.arange(n), np.arange(0))
    if rows != "random":
        order = np.arange(n)
    if rows == "last":
        return Split(order[:-held], order[-held:])
    return Split(np.sort(order[held:]), np.sort(order[:held]))


def padded_chunks(values: np.ndarray) -> Iterator[tuple[Tensor, int]]:
    """Chunks of rows, the last padded with zeros to a multiple of ROW_MULTIPLE, and how many rows of each are real."""
    for start in range(0, len(values), CHUNK):
        chunk = as_tensor(values[start : start + CHUNK])
        missing = -len(chunk) % ROW_MULTIPLE
        yield (torch.cat([chunk, chunk.new_zeros(missing, *chunk.shape[1:])]) if missing else chunk), len(chunk)


def binarised(rows: Rows, seed: int) -> Rows:
    """Black and white, drawn once: each value is 1 with its own grey value as probability."""
    generator = torch.Generator(device=rows.values.device).manual_seed(seed)
    return Rows(torch.bernoulli(rows.take(slice(None)), generator=generator))


def dynamically_binarised(rows: Rows) -> Rows:
    """Black and white, drawn anew at each batch."""
    return Rows(rows.values, rows.offset, rows.factor, binarise=True)
