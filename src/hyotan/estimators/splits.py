"""Which rows a fit trains on, which it holds out, and how they come to the trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hyotan.data import arrays
from hyotan.data.stored import Array, RowRanges, first, held_out_rows, last, spread, stored
from hyotan.errors import DataError
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.training.resident import ResidentRows, TrainingRows, as_tensor
from hyotan.training.streams import Prepare, StreamedRows


@dataclass(frozen=True)
class Split:
    """The rows of a fit: which are trained on and which are held out, (n_train,) and (n_held_out,)."""

    train: np.ndarray | RowRanges
    validation: np.ndarray | RowRanges


def split_of(X: Array, fraction: float, rows: str, random: np.random.RandomState) -> Split:
    """Hold out a share of the rows, as :func:`split_rows` or, of those in their file, :func:`split_stored` does."""
    if (rows_in_file := stored(X)) is not None:
        return split_stored(rows_in_file, fraction, rows, random)
    return split_rows(len(X), fraction, rows, random)


def count_held_out(X: Array, fraction: float, rows: str) -> int:
    """How many rows are held out: see :func:`split_of`."""
    return len(split_of(X, fraction, rows, np.random.RandomState(0)).validation)


def split_stored(X: Any, fraction: float, rows: str, random: np.random.RandomState) -> Split:
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


def in_memory(X: Any, what: str) -> Any:
    """Rows in memory, for what cannot do with a part of them at a time.

    Raises
    ------
    DataError
        They are too many.
    """
    rows = stored(X)
    if rows is not None and rows.nbytes > arrays.LARGEST_BYTES:
        raise DataError(
            f"A {what} keeps its rows in memory: {len(rows):,} rows take {rows.nbytes:,} bytes, "
            f"the limit is {arrays.LARGEST_BYTES:,}.",
            "Pass some of them: X[:100_000] (--limit 100000).",
        )
    return X if rows is None else np.asarray(rows)


def training_rows(
    rows: EncodedRows, split: Split, binarise: str | None, seed: int, device: torch.device
) -> tuple[TrainingRows, ResidentRows | None]:
    """The rows that are trained on, and those that are held out, which are in memory in any case.

    Parameters
    ----------
    rows, split : all rows, and which are which.
    binarise, seed : ``static``, ``dynamic`` or None, and the seed of its draws.
    device : where they go.
    """
    own = rows.take(split.train) if len(split.validation) else rows
    validation = None
    if len(split.validation):
        validation = resident(rows.take(split.validation[:]), device)
        validation = validation if binarise is None else binarised(validation, seed + 1)
    if own.is_lazy:
        return streamed(own, device, binarise, seed), validation
    train = resident(own, device)
    if binarise is None:
        return train, validation
    return binarised(train, seed) if binarise == "static" else dynamically_binarised(train), validation


def resident(rows: EncodedRows, device: torch.device) -> ResidentRows:
    """Rows on the device: pixels as they are, to be scaled there; everything else scaled once, here."""
    scale = rows.preprocessor.pixel_scale(rows.original)
    values, (offset, factor) = (rows.numbers, (0.0, 1.0)) if scale is None else (rows.original, scale)
    return ResidentRows(as_tensor(values).to(device), offset, factor)


def streamed(rows: EncodedRows, device: torch.device, binarise: str | None, seed: int) -> StreamedRows:
    """Rows that are read ahead of training: pixels as they are, or black and white; everything else scaled.

    Parameters
    ----------
    rows : in their file.
    device : where batches go.
    binarise : ``static``, ``dynamic`` or None.
    seed : of the draws of ``static``: a row is drawn the same way in every epoch.
    """
    byte, to_model, X = np.dtype(np.uint8), rows.preprocessor.to_model, rows.original
    if binarise == "static":
        return StreamedRows(X, device, _drawn_once(to_model, seed), byte)
    drawn_anew = binarise == "dynamic"
    if (scale := rows.preprocessor.pixel_scale(X)) is not None:
        return StreamedRows(X, device, lambda rows, block: rows, byte, *scale, drawn_anew)
    return StreamedRows(X, device, lambda rows, block: to_model(rows), np.dtype(np.float32), binarise=drawn_anew)


def _drawn_once(to_model: Any, seed: int) -> Prepare:
    def draw(rows: np.ndarray, block: int) -> np.ndarray:
        grey = to_model(rows)
        return np.random.default_rng((seed, block)).random(grey.shape, dtype=np.float32) < grey

    return draw


def binarised(rows: ResidentRows, seed: int) -> ResidentRows:
    """Black and white, drawn once: each value is 1 with its own grey value as probability."""
    generator = torch.Generator(device=rows.values.device).manual_seed(seed)
    return ResidentRows(torch.bernoulli(rows.take(slice(None)), generator=generator))


def dynamically_binarised(rows: ResidentRows) -> ResidentRows:
    """Black and white, drawn anew at each batch."""
    return ResidentRows(rows.values, rows.offset, rows.factor, binarise=True)
