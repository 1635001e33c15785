"""What an array must be on its way into a Dataset: the checks, and walks that keep memory flat."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hyotan.data.frames import Frame
from hyotan.data.stored import Array, Numbers, StoredRows, dtype_in_memory, ends, stored
from hyotan.errors import DataError
from hyotan.words.phrases import counted

LARGEST_BYTES = 8 * 2**30
"""No reader unpacks or decodes more than this; larger arrays belong in a ``.npy``, which is mapped, not read."""

BLOCK_BYTES = 2**23
SHUFFLED_ROWS = 2**23
"""Of more rows than this, some are drawn without numbering all of them."""

AXES = {2: ("row", "column"), 3: ("image", "row", "column"), 4: ("image", "channel", "row", "column")}
LABEL_TYPES = (str, int, float, bool, type(None), np.generic)


def checked_features(X: ArrayLike | StoredRows, what: str = "X", missing_allowed: bool = False) -> Numbers:
    """`X` as an array of finite numbers with 2, 3 or 4 axes; booleans become 0 and 1 in float32.

    With `missing_allowed`, NaN says that a value is missing, and may stand in an array that is in memory. A large
    memory map stays in its file. Raises :class:`~hyotan.errors.DataError` for anything else, with the fix.
    """
    in_file = stored(X)
    rows = _numbers(_as_array(X, what), what) if in_file is None else in_file
    _check_axes(rows, what)
    _check_finite(rows, what, missing_allowed and in_file is None)
    return rows


def checked_labels(y: ArrayLike, rows: int, what: str = "y", features: str = "X") -> np.ndarray:
    """`y` as one label a row, shape (rows,). Text becomes a ``str`` array; text with ``None`` stays ``object``."""
    y = _as_array(y, what)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(
            f"{what} must hold one label a row; its shape is {y.shape}.",
            "Turn one-hot rows into labels with y.argmax(axis=1).",
        )
    if len(y) != rows:
        raise DataError(
            f"{features} has {counted(rows, 'row')}, but {what} has {counted(len(y), 'label')}.",
            "Give one label for each row.",
        )
    return _plain_labels(y, what)


def blocks(X: Numbers) -> Iterator[np.ndarray]:
    """Runs of rows of about 8 MiB, in order."""
    step = max(1, BLOCK_BYTES // max(1, X.nbytes // max(1, len(X))))
    for start in range(0, len(X), step):
        yield X[start : start + step]


def value_range(X: Any) -> tuple[float, float]:
    """The least and the greatest value that is not missing."""
    low, high = ends(X)
    return float(low), float(high)


def drawn_rows(rows: int, count: int, seed: int = 0) -> np.ndarray:
    """`count` of `rows` row numbers, drawn without replacement, ascending."""
    random = np.random.default_rng(seed)
    if rows > SHUFFLED_ROWS:
        return np.sort(random.choice(rows, count, replace=False, shuffle=False))
    return np.sort(random.permutation(rows)[:count])


def drawn_note(count: int, total: int, noun: str) -> str:
    """A sentence on rows that were drawn."""
    return f"{count:,} of {counted(total, noun)} were drawn at random (--limit {count})."


def as_rows(X: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """An array of one axis as one column, with a note; any other one as it is."""
    return (X.reshape(-1, 1), ["The array has one axis and was read as one column."]) if X.ndim == 1 else (X, [])


def digest(arrays: Mapping[str, Array | None]) -> str:
    """SHA-256, in hex, over names, dtypes, shapes and values; the same on machines of either byte order."""
    total = hashlib.sha256()
    for name, array in arrays.items():
        total.update(f"{name}=".encode())
        for piece in _pieces(array):
            total.update(piece)
    return total.hexdigest()


def _pieces(array: Array | None) -> Iterable[bytes | memoryview]:
    if array is None:
        yield b"none;"
    elif isinstance(array, Frame):
        yield from array.pieces()
    elif array.dtype.kind in "OU":
        # The width of a str array, or its being an object array, says nothing about the labels in it.
        yield f"text{array.shape};".encode()
        yield from (f"{type(v).__name__}:{len(str(v))}:{v};".encode() for v in np.asarray(array).tolist())
    else:
        little = array.dtype.newbyteorder("<")
        yield f"{little.str}{array.shape};".encode()
        yield from (np.ascontiguousarray(block, dtype=little).data.cast("B") for block in blocks(array))


def _as_array(X: Any, what: str) -> np.ndarray:
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise DataError(f"{what} is a masked array with hidden values.", f"Fill them first: {what}.filled(value).")
    if hasattr(X, "toarray"):
        raise DataError(f"{what} is a sparse matrix.", f"Give the full array: {what}.toarray().")
    try:
        return np.asarray(X)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{what} cannot be read as an array ({error}).", "Give a numpy array, all rows of one length."
        ) from error


def _numbers(X: np.ndarray, what: str) -> np.ndarray:
    kind = X.dtype.kind
    if kind not in "biuf":
        names = {"O": "Python objects", "U": "text", "S": "text", "c": "complex numbers", "M": "dates", "V": "records"}
        raise DataError(
            f"{what} holds {names.get(kind, 'no numbers')} (dtype {X.dtype}); features must be real numbers.",
            f"Keep the columns that are numbers, then {what}.astype('float32').",
        )
    return X.astype(dtype_in_memory(X.dtype), copy=False)


def _check_axes(X: Numbers, what: str) -> None:
    if X.ndim == 1:
        raise DataError(
            f"{what} has one axis, of length {len(X)}; rows and features are two.",
            f"For one feature: {what}.reshape(-1, 1); for one row: {what}.reshape(1, -1).",
        )
    if X.ndim not in AXES:
        raise DataError(
            f"{what} has {X.ndim} axes, shape {X.shape}; expected (n, features), (n, height, width) or "
            "(n, channels, height, width).",
            f"Flatten what is not an image: {what}.reshape(len({what}), -1).",
        )
    if 0 in X.shape:
        empty = "rows" if X.shape[0] == 0 else "features"
        raise DataError(f"{what} holds no {empty}: its shape is {X.shape}.", f"Give at least one of the {empty}.")
    if X.ndim == 4 and X.shape[3] in (1, 3, 4) and X.shape[1] not in (1, 3, 4):
        raise DataError(
            f"{what} of shape {X.shape} has its channels last; expected (n, channels, height, width).",
            f"Use {what}.transpose(0, 3, 1, 2).",
        )


def _check_finite(X: Numbers, what: str, missing_allowed: bool) -> None:
    if X.dtype.kind != "f" or (np.isfinite(X.min()) and np.isfinite(X.max())):
        return
    nans = infinite = before = 0
    first: tuple[int, ...] = ()
    for block in blocks(X):
        nans += int(np.isnan(block).sum())
        infinite += int(np.isinf(block).sum())
        if not first and len(places := np.argwhere(~np.isfinite(block))):
            row, *rest = places[0].tolist()
            first = (before + row, *rest)
        before += len(block)
    if missing_allowed and not infinite:
        return
    place = ", ".join(f"{axis} {at}" for axis, at in zip(AXES[X.ndim], first, strict=True))
    both = f"{nans:,} NaN and {counted(infinite, 'infinite value')}"
    only = counted(nans, "NaN value") if nans else counted(infinite, "infinite value")
    raise DataError(
        f"{what} holds {both if nans and infinite else only}, the first in {place}.",
        f"Fill or remove them (counted from 0: {what}[{', '.join(map(str, first))}]).",
    )


def _plain_labels(y: np.ndarray, what: str) -> np.ndarray:
    kind = y.dtype.kind
    if kind == "S":
        return np.char.decode(y, "utf-8")
    if kind == "O":
        return _object_labels(y, what)
    if kind not in "biufU":
        raise DataError(f"{what} has dtype {y.dtype}; labels are whole numbers or text.", "Use y.astype(str).")
    return y.astype(y.dtype.newbyteorder("="), copy=False)


def _object_labels(y: np.ndarray, what: str) -> np.ndarray:
    values = y.tolist()
    strange = next((v for v in values if not isinstance(v, LABEL_TYPES)), None)
    if strange is not None:
        raise DataError(
            f"{what} holds a {type(strange).__name__}; labels are whole numbers or text.", "Use y.astype(str)."
        )
    if all(isinstance(v, str) for v in values):
        return np.array(values, dtype=str)
    if all(type(v) in (int, bool) for v in values):
        return np.array(values)
    return y
