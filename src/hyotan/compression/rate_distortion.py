"""Bits a row against error: codes of a model beside those of PCA, and beside files that lose nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hyotan.compression import quantisation
from hyotan.errors import DataError
from hyotan.metrics import fit_pca

STEPS = 28
"""Grids that PCA is tried with, each with every number of components."""

MOST_COMPONENTS = 256


@dataclass(frozen=True)
class Rate:
    """What some bits a row buy.

    Attributes
    ----------
    bits : a row.
    mse : mean squared error a feature, in the model's range.
    size : values of the code.
    """

    bits: float
    mse: float
    size: int


def pca_rates(train: np.ndarray, rows: np.ndarray, bounded: bool = False, most: int = 40) -> list[Rate]:
    """The best that PCA does, over numbers of components and steps, from few bits to many.

    It is spared what an entropy coder loses: the bits are the entropies, which no coder of single values falls below.

    Parameters
    ----------
    train : (n, *features), in the model's range, to fit on.
    rows : (m, *features), to encode.
    bounded : clip what is reconstructed to [0, 1].
    most : rates to give, spread evenly over what was found.
    """
    principal = _Principal.of(train, rows)
    found = [(rate, step) for step in principal.steps() for rate in principal.unclipped(step)]
    kept = [found[place] for place in _frontier([rate for rate, _ in found])]
    if len(kept) > most:
        kept = [kept[round(place)] for place in np.linspace(0, len(kept) - 1, most)]
    measured = [principal.measured(rate, step, bounded) for rate, step in kept]
    return [measured[place] for place in _frontier(measured)]


def mse_at(rates: Sequence[Rate], bits: float) -> float | None:
    """The least error for at most so many bits a row, along the straight lines between rates; None for too few bits."""
    return _along([(rate.bits, rate.mse) for rate in rates], bits)


def bits_at(rates: Sequence[Rate], mse: float) -> float | None:
    """The least bits a row for an error, along the straight lines between rates; None where none is as small."""
    return _along([(rate.mse, rate.bits) for rate in rates], mse)


def _along(points: Sequence[tuple[float, float]], at: float) -> float | None:
    """A value on the line through points, beyond the last one that one's; None before the first."""
    x, y = zip(*sorted(points), strict=True) if points else ((), ())
    return float(np.interp(at, x, y)) if x and at >= x[0] else None


def lossless_bits(X: np.ndarray) -> dict[str, float]:
    """Bits a row of files that lose nothing, by their name: PNG, one image each, where the rows are images of uint8.

    Parameters
    ----------
    X : (n, *features)
    """
    if not len(X):
        raise DataError("There are no rows to write.", "Give at least one.")
    writers: dict[str, Callable[[np.ndarray], int]] = {"Parquet (zstd)": _parquet_bytes, ".npz": _npz_bytes}
    if X.dtype == np.uint8 and (X.ndim == 3 or (X.ndim == 4 and X.shape[1] == 3)):
        writers = {"PNG": _png_bytes, **writers}
    return {name: 8 * write(X) / len(X) for name, write in writers.items()}


@dataclass(frozen=True, eq=False)
class _Principal:
    """Rows and their coordinates along the principal components of others.

    Attributes
    ----------
    flat : (n, values)
    coordinates : (n, components)
    components : (components, values)
    mean : (values,)
    """

    flat: np.ndarray
    coordinates: np.ndarray
    components: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, train: np.ndarray, rows: np.ndarray) -> _Principal:
        flat = rows.reshape(len(rows), -1)
        pca = fit_pca(train.reshape(len(train), -1), MOST_COMPONENTS)
        return cls(flat, pca.transform(flat).astype(np.float64), pca.components_, pca.mean_)

    def steps(self) -> list[float]:
        spread = float(self.coordinates.std(axis=0).max()) or 1.0
        return np.geomspace(2 * spread, spread / 128, STEPS).tolist()

    def unclipped(self, step: float) -> list[Rate]:
        """With this step, what every number of components comes to before anything is clipped."""
        left = self.coordinates - self._quantised(step)
        kept = np.cumsum((np.square(self.coordinates) - np.square(left)).mean(axis=0))
        errors = (np.square(self.flat - self.mean).sum(axis=1, dtype=np.float64).mean() - kept) / self.flat.shape[1]
        bits = np.cumsum(quantisation.entropies(quantisation.on_grid(self.coordinates, step)))
        return [Rate(float(b), float(e), k + 1) for k, (b, e) in enumerate(zip(bits, errors, strict=True))]

    def measured(self, rate: Rate, step: float, bounded: bool) -> Rate:
        """The same with the error of the rows as they come out."""
        quantised = self._quantised(step)[:, : rate.size].astype(np.float32)
        restored = quantised @ self.components[: rate.size].astype(np.float32) + self.mean
        restored = restored.clip(0, 1) if bounded else restored
        return replace(rate, mse=float(np.square(restored - self.flat).mean(dtype=np.float64)))

    def _quantised(self, step: float) -> np.ndarray:
        """What the whole numbers stand for, each column's gain chosen for the least squared error, (n, components)."""
        numbers = quantisation.on_grid(self.coordinates, step)
        squares = np.square(numbers).sum(axis=0)
        return numbers * ((numbers * self.coordinates).sum(axis=0) / np.maximum(squares, 1))


def _frontier(rates: Sequence[Rate]) -> list[int]:
    """The places of the rates that no other beats in both bits and error, from few bits to many."""
    kept: list[int] = []
    for place in sorted(range(len(rates)), key=lambda place: (rates[place].bits, rates[place].mse)):
        if not kept or rates[place].mse < rates[kept[-1]].mse:
            kept.append(place)
    return kept


def _png_bytes(X: np.ndarray) -> int:
    from PIL import Image

    total = 0
    for row in X:
        buffer = io.BytesIO()
        Image.fromarray(row if row.ndim == 2 else row.transpose(1, 2, 0)).save(buffer, format="PNG", optimize=True)
        total += buffer.tell()
    return total


def _parquet_bytes(X: np.ndarray) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    flat = X.reshape(len(X), -1)
    sink = pa.BufferOutputStream()
    table = pa.table({f"x{column}": flat[:, column] for column in range(flat.shape[1])})
    parquet.write_table(table, sink, compression="zstd", compression_level=19)
    return sink.getvalue().size


def _npz_bytes(X: np.ndarray) -> int:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, X=X)
    return buffer.tell()
