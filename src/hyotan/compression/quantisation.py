"""Codes on a grid of whole numbers, and whole numbers in few bytes; knows no model.

An error dz of a code costs a reconstruction dz' G dz in its sum of squared errors, where G is the mean of J' J over
codes and J the decoder's Jacobian. In the basis in which G is the identity and the codes are uncorrelated, one step for
all directions is the best choice: each then gets bits by how far it varies in the reconstruction, and none where that
is less than a step ("reverse water-filling", Cover & Thomas 2006, section 10.3.3). A uniform grid with entropy coding
is 0.25 bits a value from the bound, where steps are small (Gish & Pierce 1968).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from hyotan.errors import DataError, MissingExtraError

PERTURBED = 0.1
"""How far a code is moved to see what the decoder makes of it, in standard deviations."""

VALUES_AT_ONCE = 2**22
"""Values of reconstructions that the metric looks at at once."""

FINEST, HALVINGS = 2.0**-24, 14
"""The finest grid, as a share of one that has a single cell; and halvings between both: to a thousandth of a step."""

BYTE = 256


@dataclass(frozen=True, eq=False)
class Basis:
    """Directions of the code in which one step serves all, the one that varies most first.

    Attributes
    ----------
    centre : (latent,)
    analysis : (latent, latent), ``(codes - centre) @ analysis`` are coordinates, in units of the reconstruction.
    synthesis : (latent, latent), back.
    """

    centre: ndarray
    analysis: ndarray
    synthesis: ndarray

    @classmethod
    def of(cls, centre: ndarray, covariance: ndarray, metric: ndarray) -> Basis:
        """Of codes with this mean and covariance, where errors cost what the metric says, (latent, latent)."""
        sizes, axes = np.linalg.eigh(metric)
        root = (axes * np.sqrt(sizes.clip(min=0))) @ axes.T
        directions = np.linalg.eigh(root @ covariance @ root)[1][:, ::-1]
        analysis = root @ directions
        return cls(centre, analysis, np.linalg.pinv(analysis))

    def coordinates(self, codes: ndarray) -> ndarray:
        """(n, latent) codes as coordinates, (n, latent)."""
        return (codes - self.centre) @ self.analysis


def metric_of(decode: Callable[[ndarray], ndarray], codes: ndarray) -> ndarray:
    """What errors of a code cost a reconstruction, (latent, latent): the mean of J' J, by central differences.

    Parameters
    ----------
    decode : (n, latent) float32 to (n, *features).
    codes : (n, latent), around which the decoder is looked at.
    """
    size = codes.shape[1]
    moves = np.diag(PERTURBED * codes.std(axis=0))
    alive = np.flatnonzero(moves.any(axis=1))
    metric = np.zeros((size, size))
    done = 0
    while done < len(codes) and len(alive):
        features = decode(codes[:1].astype(np.float32)).size
        some = codes[done : done + max(1, VALUES_AT_ONCE // (features * len(alive)))]
        slopes = np.stack([_slope(decode, some, moves[axis]) / moves[axis, axis] for axis in alive])
        metric[np.ix_(alive, alive)] += np.einsum("iv,jv->ij", slopes, slopes)
        done += len(some)
    return metric / len(codes)


def _slope(decode: Callable[[ndarray], ndarray], codes: ndarray, move: ndarray) -> ndarray:
    """Half the difference that a move of the codes makes, all values in one row."""
    ends = [np.asarray(decode((codes + sign * move).astype(np.float32)), dtype=np.float64) for sign in (1, -1)]
    return ((ends[0] - ends[1]) / 2).ravel()


def on_grid(coordinates: ndarray, step: float) -> ndarray:
    """Whole numbers of steps, (n, latent) int64."""
    return np.rint(coordinates / step).astype(np.int64)


def entropies(numbers: ndarray) -> ndarray:
    """Empirical entropy of each column of whole numbers, (columns,), in bits a row."""
    return np.array([_entropy(np.unique(column, return_counts=True)[1]) for column in numbers.T])


def _entropy(counts: ndarray) -> float:
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def step_for_rate(coordinates: ndarray, bits: float) -> float:
    """The finest step at which the coordinates, (n, latent), have at most so many bits of entropy a row."""
    return bisected(coordinates, lambda step: float(entropies(on_grid(coordinates, step)).sum()) <= bits)[1]


def bisected(coordinates: ndarray, is_coarse: Callable[[float], bool]) -> tuple[float, float]:
    """Two steps close to each other: the finer is not too coarse for the condition, the coarser is.

    Parameters
    ----------
    coordinates : (n, latent); the coarsest step that is looked at makes all of them zero.
    is_coarse : of a step; once it holds, it holds for larger ones too.
    """
    coarsest = 2.5 * float(np.abs(coordinates).max(initial=0)) or 1.0
    fine, coarse = np.log(coarsest * FINEST), np.log(coarsest)
    for _ in range(HALVINGS):
        middle = (fine + coarse) / 2
        if is_coarse(float(np.exp(middle))):
            coarse = middle
        else:
            fine = middle
    return float(np.exp(fine)), float(np.exp(coarse))


def best_synthesis(numbers: ndarray, offsets: ndarray, expected: ndarray) -> ndarray:
    """The matrix, (columns, latent), that leads from whole numbers back to codes with the least squared error.

    At coarse steps the mean of what lies in a cell is nearer to the centre than the cell's middle is. Where rows are
    too few to say, it stays near what is expected.

    Parameters
    ----------
    numbers : (n, columns)
    offsets : (n, latent), codes less their centre.
    expected : (columns, latent), of fine steps.
    """
    left = offsets - numbers @ expected
    return expected + np.linalg.solve(numbers.T @ numbers + np.eye(numbers.shape[1]), numbers.T @ left)


@dataclass(frozen=True)
class Packed:
    """Columns of whole numbers in few bytes.

    Attributes
    ----------
    payload : compressed.
    lows : the least number of each column.
    levels : how many values each column spans; a column of one needs no bytes.
    """

    payload: bytes
    lows: list[int]
    levels: list[int]


def pack(numbers: ndarray) -> Packed:
    """Whole numbers, (n, columns), column after column, entropy-coded.

    Raises
    ------
    MissingExtraError
        This build of pyarrow lacks Brotli.
    """
    lows = numbers.min(axis=0)
    levels = numbers.max(axis=0) - lows + 1
    plain = b"".join(_joined(*pair) for pair in zip((numbers - lows).T, levels.tolist(), strict=True))
    payload = _codec().compress(plain, asbytes=True) if plain else b""
    return Packed(payload, lows.tolist(), levels.tolist())


def unpack(packed: Packed, rows: int) -> ndarray:
    """The whole numbers, (rows, columns) int64.

    Raises
    ------
    DataError
        The bytes are not those of so many rows.
    """
    sizes = [_joined_size(rows, levels) for levels in packed.levels]
    plain = _decompressed(packed.payload, sum(sizes))
    numbers = np.empty((rows, len(sizes)), dtype=np.int64)
    at = 0
    for column, (size, levels) in enumerate(zip(sizes, packed.levels, strict=True)):
        numbers[:, column] = _parted(plain[at : at + size], rows, levels)
        at += size
    return numbers + np.array(packed.lows, dtype=np.int64)


def _decompressed(payload: bytes, size: int) -> bytes:
    import pyarrow as pa

    name = _codec().name
    try:
        with pa.CompressedInputStream(pa.BufferReader(payload), name) as stream:
            plain = stream.read(size + 1) if size else b""
    except (OSError, ValueError) as error:
        raise DataError(f"The entropy-coded part cannot be read ({error}).", "Use another copy of it.") from error
    if len(plain) != size:
        raise DataError("The entropy-coded part is not as long as its rows need.", "Use another copy of it.")
    return plain


@functools.cache
def _codec() -> Any:
    import pyarrow as pa

    if not pa.Codec.is_available("brotli"):
        raise MissingExtraError("This build of pyarrow lacks Brotli.", "Type: pip install --force-reinstall pyarrow")
    return pa.Codec("brotli", compression_level=11)


def _joined(column: ndarray, levels: int) -> bytes:
    """One column: of few levels as many values a byte as fit, of many the leading eight bits apart from the others.

    Brotli's symbols take whole bits; several values that share a byte lose less of that. What follows eight leading
    bits is even, so that nothing is lost by parting them.
    """
    if levels > BYTE:
        shift = _shift(levels)
        leading = _joined(column >> shift, ((levels - 1) >> shift) + 1)
        return leading + _joined(column & ((1 << shift) - 1), 1 << shift)
    shared = _shared(levels)
    if shared == 0:
        return b""
    padded = np.pad(column, (0, -len(column) % shared)).reshape(-1, shared)
    return (padded @ levels ** np.arange(shared)).astype(np.uint8).tobytes()


def _parted(plain: bytes, rows: int, levels: int) -> ndarray:
    """The column that :func:`_joined` made these bytes of."""
    if levels > BYTE:
        shift = _shift(levels)
        leading = ((levels - 1) >> shift) + 1
        at = _joined_size(rows, leading)
        return (_parted(plain[:at], rows, leading) << shift) + _parted(plain[at:], rows, 1 << shift)
    shared = _shared(levels)
    if shared == 0:
        return np.zeros(rows, dtype=np.int64)
    read = np.frombuffer(plain, dtype=np.uint8).astype(np.int64)
    return (read[:, None] // levels ** np.arange(shared) % levels).reshape(-1)[:rows]


def _joined_size(rows: int, levels: int) -> int:
    if levels > BYTE:
        shift = _shift(levels)
        return _joined_size(rows, ((levels - 1) >> shift) + 1) + _joined_size(rows, 1 << shift)
    shared = _shared(levels)
    return -(-rows // shared) if shared else 0


def _shift(levels: int) -> int:
    """How many bits follow the leading eight of a number of so many levels."""
    return (levels - 1).bit_length() - 8


def _shared(levels: int) -> int:
    """How many values of so many levels share a byte; 0 where there is nothing to write."""
    if levels == 1:
        return 0
    shared = 1
    while levels ** (shared + 1) <= BYTE:
        shared += 1
    return shared
