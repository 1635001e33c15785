"""Which rows a fit trains on and how they come to the trainer, and rows in the pieces in which they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from hyotan.data import arrays
from hyotan.data.frames import Frame
from hyotan.data.stored import Array, Resident, Runs, StoredRows, first, held_out_rows, last, spread
from hyotan.errors import DataError
from hyotan.preprocessing.scaling import Scaling, is_pixels
from hyotan.preprocessing.tabular import TableScaling
from hyotan.training.resident import ResidentRows, TrainingRows, as_tensor
from hyotan.training.streams import Prepare, StreamedRows

CHUNK, CHUNK_BYTES = 4096, 2**26
"""Rows computed at once outside training, and what they may take in float32."""

ROW_MULTIPLE = 32
"""Batches outside training are padded to a multiple of this: matrix products of a few rows take other kernels, and
vector instructions, up to 32 values at once, leave a remainder to slower ones that round differently. A row's result
would depend, in its last bits, on how many rows came with it."""


@dataclass(frozen=True)
class Split:
    """The rows of a fit: which are trained on and which are held out, (n_train,) and (n_held_out,)."""

    train: np.ndarray | Runs
    validation: np.ndarray | Runs

    def trained(self, X: Array) -> Array:
        """The rows of X that are trained on, in memory or in their file as X is."""
        return X[self.train] if isinstance(X, StoredRows) else X[self.train[:]]


def split_of(X: Array, fraction: float, rows: str, random: np.random.RandomState) -> Split:
    """Hold out a share of the rows, as :func:`split_rows` or, of those in their file, :func:`split_stored` does."""
    if isinstance(X, StoredRows):
        return split_stored(X, fraction, rows, random)
    return split_rows(len(X), fraction, rows, random)


def count_held_out(X: Array, fraction: float, rows: str) -> int:
    """How many rows are held out: see :func:`split_of`."""
    return len(split_of(X, fraction, rows, np.random.RandomState(0)).validation)


def split_stored(X: StoredRows, fraction: float, rows: str, random: np.random.RandomState) -> Split:
    """Hold out a share of rows that stay in their file, and no more of them than memory can keep.

    Parameters
    ----------
    X : the rows.
    fraction : share to hold out, rounded down, but no more than :data:`~hyotan.data.stored.HELD_OUT_ROWS`.
    rows : ``random`` for short runs that are spread evenly from a place drawn at random, ``first`` or ``last``.
    random : draws, in any case.
    """
    start, n, held = random.random_sample(), len(X), held_out_rows(X, fraction)
    if held == 0:
        return Split(first(n, n), np.arange(0))
    out = {"random": lambda: spread(n, held, start), "first": lambda: first(n, held), "last": lambda: last(n, held)}
    chosen = out[rows]()
    return Split(chosen.others, chosen)


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


@dataclass(frozen=True)
class ScaledRows:
    """Rows in the model's range, float32, scaled and read as they are taken.

    Attributes
    ----------
    rows : (n, *features), as the data are.
    to_model : scales some of them.
    """

    rows: Array
    to_model: Callable[[Any], np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of them."""
        return self.rows.shape

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: slice) -> np.ndarray:
        return self.to_model(self.rows[places])

    def whole(self) -> np.ndarray:
        """All of them, in memory."""
        if not isinstance(self.rows, StoredRows):
            return self.to_model(self.rows)
        scaled, done = np.empty(self.rows.shape, dtype=np.float32), 0
        for block in self.rows.blocks():
            scaled[done : done + len(block)] = self.to_model(block)
            done += len(block)
        return scaled


def in_memory(X: Array, what: str) -> Resident:
    """Rows in memory, for what cannot do with a part of them at a time.

    Raises
    ------
    DataError
        They are too many.
    """
    if isinstance(X, StoredRows) and X.nbytes > arrays.LARGEST_BYTES:
        raise DataError(
            f"A {what} keeps its rows in memory: {len(X):,} rows take {X.nbytes:,} bytes, "
            f"the limit is {arrays.LARGEST_BYTES:,}.",
            "Pass some of them: X[:100_000] (--limit 100000).",
        )
    return X if isinstance(X, Frame) else np.asarray(X)


def rows_of(
    X: Array,
    split: Split,
    binarise: str | None,
    seed: int,
    *,
    scaling: Scaling | TableScaling,
    to_model: ToModel,
    device: torch.device,
) -> tuple[TrainingRows, ResidentRows | None]:
    """The rows that are trained on, and those that are held out, which are in memory in any case.

    Parameters
    ----------
    X, split : all rows, and which are which.
    binarise, seed : ``static``, ``dynamic`` or None, and the seed of its draws.
    scaling, to_model, device : to the model's range, and where.
    """
    own = split.trained(X) if len(split.validation) else X
    validation = None
    if len(split.validation):
        validation = resident(X[split.validation[:]], scaling, to_model, device)
        validation = validation if binarise is None else binarised(validation, seed + 1)
    if isinstance(own, StoredRows):
        return streamed(own, scaling, to_model, device, binarise, seed), validation
    train = resident(own, scaling, to_model, device)
    if binarise is None:
        return train, validation
    return binarised(train, seed) if binarise == "static" else dynamically_binarised(train), validation


ToModel: TypeAlias = Callable[[Any], np.ndarray]
"""Scales rows, (n, *features), to float32 in the model's range."""


def resident(X: Resident, scaling: Scaling | TableScaling, to_model: ToModel, device: torch.device) -> ResidentRows:
    """Rows on the device: pixels as they are, to be scaled there; everything else scaled once, here."""
    if isinstance(X, np.ndarray) and is_pixels(X) and scaling.factor.ndim == 0:
        return ResidentRows(as_tensor(X).to(device), float(scaling.offset), float(scaling.factor))
    return ResidentRows(as_tensor(to_model(X)).to(device))


def streamed(
    X: StoredRows,
    scaling: Scaling | TableScaling,
    to_model: ToModel,
    device: torch.device,
    binarise: str | None,
    seed: int,
) -> StreamedRows:
    """Rows that are read ahead of training: pixels as they are, or black and white; everything else scaled.

    Parameters
    ----------
    X : the rows.
    scaling, to_model : to the model's range.
    device : where batches go.
    binarise : ``static``, ``dynamic`` or None.
    seed : of the draws of ``static``: a row is drawn the same way in every epoch.
    """
    byte = np.dtype(np.uint8)
    if binarise == "static":
        return StreamedRows(X, device, _drawn_once(to_model, seed), byte)
    drawn_anew = binarise == "dynamic"
    if is_pixels(X) and scaling.factor.ndim == 0:
        ends = float(scaling.offset), float(scaling.factor)
        return StreamedRows(X, device, lambda rows, block: rows, byte, *ends, drawn_anew)
    return StreamedRows(X, device, lambda rows, block: to_model(rows), np.dtype(np.float32), binarise=drawn_anew)


def _drawn_once(to_model: ToModel, seed: int) -> Prepare:
    def draw(rows: np.ndarray, block: int) -> np.ndarray:
        grey = to_model(rows)
        return np.random.default_rng((seed, block)).random(grey.shape, dtype=np.float32) < grey

    return draw


def padded_chunks(values: np.ndarray | ScaledRows, size: int | None = None) -> Iterator[tuple[Tensor, int]]:
    """Chunks of rows, the last padded with zeros to a multiple of ROW_MULTIPLE, and how many rows of each are real."""
    size = chunk_rows(values.shape[1:]) if size is None else size
    for start in range(0, len(values), size):
        chunk = as_tensor(values[start : start + size])
        missing = -len(chunk) % ROW_MULTIPLE
        yield (torch.cat([chunk, chunk.new_zeros(missing, *chunk.shape[1:])]) if missing else chunk), len(chunk)


def chunk_rows(feature_shape: tuple[int, ...]) -> int:
    """How many rows are computed at once: :data:`CHUNK`, fewer of large ones, a multiple of :data:`ROW_MULTIPLE`."""
    fitting = CHUNK_BYTES // max(1, 4 * int(np.prod(feature_shape, dtype=np.int64)))
    return max(1, min(CHUNK, fitting) // ROW_MULTIPLE) * ROW_MULTIPLE


def binarised(rows: ResidentRows, seed: int) -> ResidentRows:
    """Black and white, drawn once: each value is 1 with its own grey value as probability."""
    generator = torch.Generator(device=rows.values.device).manual_seed(seed)
    return ResidentRows(torch.bernoulli(rows.take(slice(None)), generator=generator))


def dynamically_binarised(rows: ResidentRows) -> ResidentRows:
    """Black and white, drawn anew at each batch."""
    return ResidentRows(rows.values, rows.offset, rows.factor, binarise=True)
