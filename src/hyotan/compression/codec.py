"""Rows in few bytes: their codes on a grid that suits the decoder, entropy-coded, in a file that is checked whole.

The file is one of :mod:`hyotan.files.container`'s: nothing in it is executed, every changed byte is noticed. It holds
codes alone, so the model is needed to get the rows back; another model is refused.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from hyotan.compression import quantisation
from hyotan.compression.quantisation import Basis, Packed
from hyotan.data.arrays import LARGEST_BYTES, digest
from hyotan.data.stored import Array, evenly, stored
from hyotan.errors import DataError, ModelFileError, SettingsError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.store import saved_arrays
from hyotan.files.container import AGAIN, Contents, parse, read, serialise
from hyotan.preprocessing.scaling import has_missing

KIND = "compressed"

BITS = 6.0
"""Bits of a value of the code, unless asked otherwise."""

MOST_BITS = 20.0

TYPICAL_ROWS = 1000
"""Of fewer rows, the step for a rate comes from codes that are drawn where those of the training rows lie."""

RATE_ROWS, ERROR_ROWS, METRIC_ROWS = 20_000, 2000, 256
"""How many rows, evenly spread, say what a step costs in bits, what in errors, and what the decoder makes of errors."""

FINER, MOST_TRIES = 0.97, 200
"""By so much a step is made finer where it just misses an error, and how often."""

CHUNK = 4096

DTYPES = (
    "bool",
    *(f"float{size}" for size in (16, 32, 64)),
    *(f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)),
)
"""Of rows that can go in and come out."""


@dataclass(frozen=True)
class Description:
    """What a compressed file says of itself.

    Attributes
    ----------
    model : SHA-256 of the model that is needed, see :func:`model_digest`.
    run : where the run or model file lay, for a person to find it; None where that is not known.
    rows : how many.
    shape : of a row.
    dtype : of the rows that went in, and that come out.
    step : of the grid, in units of the square root of a row's sum of squared errors, in the model's range.
    lows, levels : of each column of whole numbers: the least one, and how many values it spans.
    coded_bytes : of the entropy-coded part; what the file holds beside does not grow with the rows.
    mse : mean squared error a feature, in the model's range, of the rows as they come out.
    mse_of_model : the same without a grid.
    """

    model: str
    run: str | None
    rows: int
    shape: list[int]
    dtype: str
    step: float
    lows: list[int]
    levels: list[int]
    coded_bytes: int
    mse: float
    mse_of_model: float

    @property
    def coded_bits(self) -> float:
        """Bits a row of the entropy-coded part."""
        return 8 * self.coded_bytes / self.rows


def compress(
    estimator: LatentEstimator,
    X: ArrayLike,
    *,
    bits: float | None = None,
    mse: float | None = None,
    run: str | None = None,
) -> bytes:
    """Rows as the bytes of a compressed file.

    Parameters
    ----------
    estimator : fitted.
    X : (n, *features)
    bits : of entropy a value of the code, in the mean over its dimensions; 6 by default. Directions that the decoder
        does not heed get none.
    mse : instead of bits, the mean squared error a feature, in the model's range, that the coarsest grid may reach.
    run : where the model lies, to be written down.

    Raises
    ------
    SettingsError
        Both were given, a value is none, or the model itself does not reach that error.
    """
    _check(bits, mse)
    compressor = Compressor(estimator, X)
    compressed = compressor.at_rate(bits or BITS) if mse is None else compressor.at_error(mse)
    return compressed.to_bytes(run)


def decompress(estimator: LatentEstimator, source: bytes | str | os.PathLike[str]) -> np.ndarray:
    """The rows of a compressed file, (n, *features), as near as its grid allows, in the dtype that they had.

    Parameters
    ----------
    estimator : the model that they were compressed with.
    source : the file, or its bytes.

    Raises
    ------
    ModelFileError
        The file is damaged or foreign, or was made with another model.
    """
    name, contents, described = _opened(source)
    if described.model != (here := model_digest(estimator)):
        fix = "Take the model that it was made with" + (f": it lay in {described.run}." if described.run else ".")
        raise ModelFileError(
            f"{name} was compressed with another model, {described.model[:12]}…; this one is {here[:12]}….", fix
        )
    synthesis, payload = (contents.tensors[tensor] for tensor in ("synthesis", "payload"))
    if synthesis.shape[1] != estimator.model_code_size:
        raise ModelFileError(f"{name}: its tensors are of another shape than the model's code.", AGAIN)
    packed = Packed(payload.tobytes(), described.lows, described.levels)
    try:
        numbers = quantisation.unpack(packed, described.rows)
    except DataError as error:
        raise ModelFileError(f"{name}: {error.message}", error.fix) from error
    codes = CodeGrid(numbers, synthesis).codes(estimator.code_mean_)
    parts = [_restored(estimator, codes[at : at + CHUNK], described.dtype) for at in range(0, len(codes), CHUNK)]
    return np.concatenate(parts)


def describe(source: bytes | str | os.PathLike[str]) -> Description:
    """What a compressed file says of itself, every byte checked; ModelFileError where it is damaged or foreign."""
    return _opened(source)[2]


def model_digest(estimator: LatentEstimator) -> str:
    """SHA-256, in hex, of what a model makes of a code: weights, scaling, likelihood. Not of how it was trained."""
    arrays = saved_arrays(estimator)
    # In this order always: the digest of a model must not change with the order in which its file is written.
    needed = [name for part in ("model/", "scaling/", "codes/mean") for name in arrays if name.startswith(part)]
    kept = {name: np.atleast_1d(arrays[name]) for name in needed}
    return digest({"likelihood": np.array([estimator.likelihood_]), **kept})


def error_of(estimator: LatentEstimator, X: Array, codes: np.ndarray) -> float:
    """Mean squared error a feature, in the model's range, of rows as they come out of these codes, (n, latent)."""
    total, known = 0.0, 0
    for start in range(0, len(codes), CHUNK):
        rows = X[start : start + CHUNK]
        restored = _restored(estimator, codes[start : start + CHUNK], rows.dtype.name)
        errors = np.square(estimator.preprocessor_.to_model(rows) - estimator.preprocessor_.to_model(restored))
        # A value that is missing is no error, whatever comes out in its place.
        total += float(np.nansum(errors, dtype=np.float64))
        known += int(np.isfinite(errors).sum())
    return total / max(known, 1)


@dataclass(frozen=True, eq=False)
class CodeGrid:
    """Codes as whole numbers, and the way back.

    Attributes
    ----------
    numbers : (n, columns) int64, of the directions that are not zero everywhere.
    synthesis : (columns, latent) float32
    """

    numbers: np.ndarray
    synthesis: np.ndarray

    @classmethod
    def of(cls, basis: Basis, codes: np.ndarray, step: float) -> CodeGrid:
        """Of codes, (n, latent), with a step."""
        numbers = quantisation.on_grid(basis.coordinates(codes), step)
        kept = numbers.any(axis=0)
        numbers = numbers[:, kept]
        matrix = quantisation.best_synthesis(numbers, codes - basis.centre, step * basis.synthesis[kept])
        return cls(numbers, matrix.astype(np.float32))

    def codes(self, centre: np.ndarray) -> np.ndarray:
        """(n, latent) float32."""
        return (centre + self.numbers @ self.synthesis.astype(np.float64)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Compressed:
    """Rows that were compressed, and what that cost.

    Attributes
    ----------
    description : what the file will say.
    synthesis : (columns, latent) float32
    payload : the entropy-coded whole numbers.
    """

    description: Description
    synthesis: np.ndarray
    payload: bytes

    @property
    def bits(self) -> float:
        """Bits a row of the entropy-coded part alone."""
        return self.description.coded_bits

    def to_bytes(self, run: str | None = None) -> bytes:
        """The file; ``run`` is where the model lies."""
        tensors = {"synthesis": self.synthesis, "payload": np.frombuffer(self.payload, dtype=np.uint8)}
        settings = asdict(replace(self.description, run=run))
        return serialise(kind=KIND, settings=settings, tensors=tensors)


class Compressor:
    """Rows, their codes and the directions in which these are quantised: for one file, or for many rates.

    Parameters
    ----------
    estimator : fitted.
    X : (n, *features)
    """

    def __init__(self, estimator: LatentEstimator, X: ArrayLike) -> None:
        self.estimator = estimator
        if estimator.preprocessor_.draws_rows or (isinstance(X, np.ndarray) and has_missing(X)):
            raise DataError(
                "Tables with several kinds of columns, and rows with missing values, cannot be compressed.",
                "Keep the columns that are numbers, and fill the missing values first.",
            )
        self.codes = np.asarray(estimator.transform(X), dtype=np.float64)
        self.rows = _as_rows(X)
        if len(self.codes) < TYPICAL_ROWS:  # too few to have an entropy
            self._typical = np.asarray(estimator.sample_codes(TYPICAL_ROWS, random_state=0), dtype=np.float64)
        else:
            self._typical = self.codes[evenly(len(self.codes), RATE_ROWS)]
        some = self._typical[evenly(len(self._typical), METRIC_ROWS)]
        metric = quantisation.metric_of(
            lambda z: estimator.preprocessor_.to_model(estimator.inverse_transform(z)), some
        )
        self.basis = Basis.of(estimator.code_mean_, estimator.code_covariance_, metric)
        self.own_error = error_of(estimator, self.rows, self.codes.astype(np.float32))

    def at_rate(self, bits: float) -> Compressed:
        """With so many bits a value of the code."""
        coordinates = self.basis.coordinates(self._typical)
        return self.at_step(quantisation.step_for_rate(coordinates, bits * coordinates.shape[1]))

    def at_error(self, mse: float) -> Compressed:
        """On the coarsest grid whose error is at most this, on all rows; SettingsError where there is none."""
        if mse <= self.own_error:
            raise _out_of_reach(mse, self.own_error)
        some, coordinates = evenly(len(self.codes), ERROR_ROWS), self.basis.coordinates(self.codes)
        step = quantisation.bisected(coordinates, lambda step: self._error(step, some) > mse)[0]
        # What some of the rows say of all is not exact, so the last word is that of all.
        for _ in range(MOST_TRIES):
            if self._error(step) <= mse:
                return self.at_step(step)
            step *= FINER
        raise _out_of_reach(mse, self.own_error)

    def at_step(self, step: float) -> Compressed:
        """On the grid of a step."""
        grid = self._grid(step)
        packed = quantisation.pack(grid.numbers)
        described = Description(
            model=model_digest(self.estimator),
            run=None,
            rows=len(self.rows),
            shape=[int(size) for size in self.rows.shape[1:]],
            dtype=self.rows.dtype.name,
            step=step,
            lows=packed.lows,
            levels=packed.levels,
            coded_bytes=len(packed.payload),
            mse=error_of(self.estimator, self.rows, grid.codes(self.basis.centre)),
            mse_of_model=self.own_error,
        )
        return Compressed(described, grid.synthesis, packed.payload)

    def _grid(self, step: float, some: np.ndarray | slice = slice(None)) -> CodeGrid:
        return CodeGrid.of(self.basis, self.codes[some], step)

    def _error(self, step: float, some: np.ndarray | slice = slice(None)) -> float:
        rows = self.rows if isinstance(some, slice) else self.rows[some]
        return error_of(self.estimator, rows, self._grid(step, some).codes(self.basis.centre))


def _out_of_reach(mse: float, own: float) -> SettingsError:
    return SettingsError(
        f"mse={mse:g} cannot be reached: the model's own error on these rows is {own:.3g}.",
        "Ask for more than that, or train a model with a larger code.",
    )


def _check(bits: float | None, mse: float | None) -> None:
    if bits is not None and mse is not None:
        raise SettingsError(f"bits={bits} and mse={mse} were both given: one follows from the other.", "Give one.")
    if bits is not None and not 0 < bits <= MOST_BITS:
        raise SettingsError(f"bits cannot be {bits}.", f"Expected a number above 0, up to {MOST_BITS:g}.")
    if mse is not None and not mse > 0:
        raise SettingsError(f"mse cannot be {mse}.", "Expected a number above 0.")


def _as_rows(X: ArrayLike) -> Array:
    """The rows as an array that can be cut, or as they lie in their file."""
    if (rows := stored(X)) is not None:
        return rows
    rows = np.asarray(X)
    return rows.astype(np.float64) if rows.dtype.kind == "O" else rows


def _restored(estimator: LatentEstimator, codes: np.ndarray, dtype: str) -> np.ndarray:
    """Decoded, in the data's own units and dtype."""
    rows, kind = estimator.inverse_transform(codes), np.dtype(dtype)
    if kind.kind == "b":
        return rows >= 0.5
    if kind.kind in "iu":
        ends = np.iinfo(kind)
        return np.rint(rows).clip(ends.min, ends.max).astype(kind)
    return rows.astype(kind)


def _opened(source: bytes | str | os.PathLike[str]) -> tuple[str, Contents, Description]:
    """What errors call a file, what it holds, and what it says of itself, if that agrees with its tensors."""
    is_read = isinstance(source, bytes)
    name = "The file" if is_read else str(source)
    contents = parse(source, kinds=[KIND]) if is_read else read(source, kinds=[KIND])
    try:
        described = msgspec.convert(contents.settings, Description, strict=True)
    except msgspec.ValidationError as error:
        raise ModelFileError(
            f"{name}: the settings are not those of compressed rows: {error}.", "Is it such a file?"
        ) from error
    if wrong := _disagreement(described, contents.tensors):
        raise ModelFileError(f"{name}: {wrong}.", AGAIN)
    return name, contents, described


def _disagreement(described: Description, tensors: dict[str, Any]) -> str:
    """What in a file cannot be, in words; nothing where all is well."""
    columns = len(described.levels)
    if described.rows < 1 or not described.shape or min(described.shape) < 1:
        return f"it claims {described.rows} rows of shape {tuple(described.shape)}"
    if described.dtype not in DTYPES:
        return f"it claims rows of dtype '{described.dtype}'"
    if len(described.lows) != columns or any(not 1 <= levels <= 2**40 for levels in described.levels):
        return "its columns cannot be"
    if described.rows * max(8 * columns, int(np.prod(described.shape, dtype=object)) * 8) > LARGEST_BYTES:
        return f"it claims {described.rows:,} rows of shape {tuple(described.shape)}, which is more than is unpacked"
    synthesis, payload = tensors.get("synthesis"), tensors.get("payload")
    if synthesis is None or payload is None or len(tensors) != 2:
        return "it lacks a tensor, or has one too many"
    if synthesis.ndim != 2 or len(synthesis) != columns or synthesis.dtype != np.float32:
        return "its tensors are of another shape than its columns"
    if payload.shape != (described.coded_bytes,) or payload.dtype != np.uint8:
        return "its payload is no row of as many bytes as it claims"
    return ""
