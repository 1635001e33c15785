"""Refusals of rows that no model can use: sparse, complex, text, infinite, channels last, another range."""

from __future__ import annotations

from typing import Any

import numpy as np

from hyotan.data.arrays import blocks
from hyotan.data.stored import Numbers
from hyotan.errors import DataError
from hyotan.preprocessing.scaling import Scaling, ends

CHANNEL_COUNTS = (1, 3, 4)

RANGE_SLACK = 0.5
"""How far new rows may leave [0, 1]: noise does, pixels of 0..255 go further."""

NOISE_SLACK = 10.0
"""The same of rows that are to be denoised: their noise need not have been clipped as that of training is."""

LARGEST = np.float64(np.finfo(np.float32).max)
"""The largest value that float32 holds."""


def as_array(X: Any) -> Any:
    """Lists as arrays, so that nested ones show their dimensions; what NumPy cannot read is left to the checks."""
    if hasattr(X, "__array__") or hasattr(X, "__dataframe__"):
        return X
    try:
        return np.asarray(X)
    except ValueError:
        raise DataError(
            "X is ragged: its rows have different lengths.", "Give every row the same number of values."
        ) from None


def refuse_not_dense(X: Any, name: str) -> None:
    """Refuse sparse matrices, which would be read as one object."""
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise DataError(
            f"{name} is sparse ({type(X).__name__}, {X.shape[0]:,} rows); sparse data cannot be used.",
            f"Pass {name}.toarray().",
        )


def refuse_not_real(X: Any, name: str) -> None:
    """Refuse complex numbers, dates and text, naming the first text and its place."""
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind == "c":
        raise DataError(
            f"Complex data not supported: {name} is {X.dtype}.", f"Pass {name}.real, {name}.imag or np.abs({name})."
        )
    if kind in ("m", "M"):
        raise DataError(f"{name} holds dates or durations ({X.dtype}); expected numbers.", "Pass seconds or days.")
    if kind != "O":
        return
    for place, value in np.ndenumerate(np.asarray(X)):
        if isinstance(value, str) and not _is_number(value):
            raise DataError(
                f"could not convert string to float: {value!r} at {place} of {name}.",
                "Leave out columns of text, or turn them into numbers (sklearn.preprocessing.OneHotEncoder).",
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_channels_last(X: Numbers) -> None:
    """Refuse more than 4 dimensions, and images whose channels come last."""
    if X.ndim > 4:
        raise DataError(
            f"X has {X.ndim} dimensions {X.shape}; expected 2 (a table), 3 (grey images, or with "
            "layout='sequence' sequences) or 4 (channels first).",
            "Reshape it: X.reshape(len(X), -1) makes a table; volumes as images: their slices as channels.",
        )
    if X.ndim == 4 and X.shape[-1] in CHANNEL_COUNTS and X.shape[1] not in CHANNEL_COUNTS:
        raise DataError(
            f"X looks like images with the channels last, {X.shape}; expected (n, channels, height, width).",
            "Pass X.transpose(0, 3, 1, 2).",
        )


def refuse_not_finite(X: Numbers, name: str = "X", missing_allowed: bool = False) -> bool:
    """Refuse NaN, infinity and what float32 cannot hold, naming how many and where the first stands.

    With ``missing_allowed`` NaN is a missing value, and no reason to refuse. Says whether there are missing values.
    """
    if X.dtype.kind != "f":
        return False
    # Two fast passes that NaN and infinity do not get through; the slow search only where it is needed.
    low, high = X.min(), X.max()
    if low >= -LARGEST and high <= LARGEST:
        return False
    if missing_allowed and not (np.abs(ends(X)) > LARGEST).any():
        return True
    total, seen, first = 0, 0, None
    for block in blocks(X):
        bad = np.abs(block) > LARGEST if missing_allowed else ~(np.abs(block) <= LARGEST)
        total += int(bad.sum())
        if first is None and bad.any():
            row, *rest = np.unravel_index(int(np.argmax(bad)), bad.shape)
            first = (seen + int(row), *map(int, rest))
        seen += len(block)
    first = first or (0,) * X.ndim
    found = X[first[0]][first[1:]]
    value = "NaN" if np.isnan(found) else f"{found:g}"
    raise DataError(
        f"{name} holds {total:,} values that are NaN or infinity (inf) or too large for float32; "
        f"the first is {value} in {place_of(first)}.",
        "Leave such rows out, or fill the missing values first.",
    )


def place_of(at: tuple[int, ...]) -> str:
    """Where a value stands, in words."""
    return f"row {at[0]}, " + (f"column {at[1]}" if len(at) == 2 else f"position {at[1:]}")


def refuse_other_range(X: Numbers, scaling: Scaling, slack: float = RANGE_SLACK) -> None:
    """Refuse pixels of 0..255 where the model was fitted on [0, 1], and the other way round: a bounded likelihood would
    answer either with numbers that mean nothing.
    """
    low, high = map(float, ends(X))
    if scaling.is_identity and (low < -slack or high > 1 + slack):
        raise DataError(
            f"X has values in [{low:g}, {high:g}]; the model was fitted on values in [0, 1].",
            "Scale X as it was for fit: pixels of 0..255 by X / 255.",
        )
    if scaling.is_of_pixels and high <= 1 and X.dtype.kind == "f" and _has_fractions(X):
        raise DataError(
            f"X has fractions in [{low:g}, {high:g}]; the model was fitted on pixels of 0..255.",
            "Pass the pixels as they were for fit: X * 255, or as uint8.",
        )


def _has_fractions(X: Numbers) -> bool:
    return any(bool((np.nan_to_num(block) % 1 != 0).any()) for block in blocks(X))
