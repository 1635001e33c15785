"""Bits a row against error: codes of a model beside those of PCA, and beside files that lose nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    found = [candidate for step in principal.steps() for candidate in principal.candidates(step)]
    kept = [found[place] for place in _frontier([(candidate.bits, candidate.mse) for candidate in found])]
    if len(kept) > most:
        kept = [kept[round(place)] for place in np.linspace(0, len(kept) - 1, most)]
    measured = [principal.measured(candidate, bounded) for candidate in kept]
    return [measured[place] for place in _frontier([(rate.bits, rate.mse) for rate in measured])]


def mse_at(rates: Sequence[Rate], bits: float) -> float | None:
    """The least error for at most so many bits a row, along the straight lines between rates; None for too few bits."""
    ordered = sorted(rates, key=lambda rate: rate.bits)
    if not ordered or bits < ordered[0].bits:
        return None
    return float(np.interp(bits, [rate.bits for rate in ordered], [rate.mse for rate in ordered]))


def bits_at(rates: Sequence[Rate], mse: float) -> float | None:
    """The least bits a row for an error, along the straight lines between rates; None where none is as small."""
    ordered = sorted(rates, key=lambda rate: rate.mse)
    if not ordered or mse < ordered[0].mse:
        return None
    return float(np.interp(mse, [rate.mse for rate in ordered], [rate.bits for rate in ordered]))


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


@dataclass(frozen=True)
class _Candidate:
    """A step, a number of components, and what they come to before anything is clipped."""

    bits: float
    mse: float
    step: float
    size: int


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

    def candidates(self, step: float) -> list[_Candidate]:
        """With this step, every number of components."""
        left = self.coordinates - self._quantised(step)
        kept = np.cumsum((np.square(self.coordinates) - np.square(left)).mean(axis=0))
        errors = (np.square(self.flat - self.mean).sum(axis=1, dtype=np.float64).mean() - kept) / self.flat.shape[1]
        bits = np.cumsum(quantisation.entropies(quantisation.on_grid(self.coordinates, step)))
        return [_Candidate(float(b), float(e), step, k + 1) for k, (b, e) in enumerate(zip(bits, errors, strict=True))]

    def measured(self, candidate: _Candidate, bounded: bool) -> Rate:
        """What rows come out as, looked at."""
        quantised = self._quantised(candidate.step)[:, : candidate.size].astype(np.float32)
        restored = quantised @ self.components[: candidate.size].astype(np.float32) + self.mean
        restored = restored.clip(0, 1) if bounded else restored
        mse = float(np.square(restored - self.flat).mean(dtype=np.float64))
        return Rate(candidate.bits, mse, candidate.size)

    def _quantised(self, step: float) -> np.ndarray:
        """What the whole numbers stand for, each column's gain chosen for the least squared error, (n, components)."""
        numbers = quantisation.on_grid(self.coordinates, step)
        squares = np.square(numbers).sum(axis=0)
        return numbers * ((numbers * self.coordinates).sum(axis=0) / np.maximum(squares, 1))


def _frontier(pairs: Sequence[tuple[float, float]]) -> list[int]:
    """The places of pairs (bits, error) that no other beats in both, from few bits to many."""
    kept: list[int] = []
    for place in sorted(range(len(pairs)), key=lambda place: pairs[place]):
        if not kept or pairs[place][1] < pairs[kept[-1]][1]:
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
