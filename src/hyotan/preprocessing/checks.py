"""What arrives as X: checked, and refused with the place and the fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data  # pyrefly: ignore[missing-module-attribute]

from hyotan.data.arrays import blocks
from hyotan.data.frames import Frame, mixed_frame
from hyotan.data.stored import Array, Numbers, StoredRows, stored
from hyotan.errors import DataError, HyotanError, SettingsError
from hyotan.parameters import Integer
from hyotan.preprocessing.scaling import Scaling, ends
from hyotan.preprocessing.tabular import TableScaling
from hyotan.words.phrases import listed

CHANNEL_COUNTS = (1, 3, 4)

RANGE_SLACK = 0.5
"""How far new rows may leave [0, 1]: noise does, pixels of 0..255 go further."""

NOISE_SLACK = 10.0
"""The same of rows that are to be denoised: their noise need not have been clipped as that of training is."""

LARGEST = np.float64(np.finfo(np.float32).max)
"""The largest value that float32 holds."""


def check_rows(estimator: Any, X: Any, reset: bool) -> Array:
    """X as a numeric array of 2, 3 or 4 dimensions; image-shaped uint8 stays uint8. NaN is a missing value: not
    observed.

    A memory map that is too large to be copied stays in its file, and has no missing values; a table with other columns
    than numbers stays one.

    Parameters
    ----------
    estimator : whose ``n_features_in_`` (and ``feature_names_in_``) are set, or compared with.
    X : (n, features), (n, height, width) or (n, channels, height, width); anything that NumPy can read.
    reset : whether this is ``fit``.

    Raises
    ------
    DataError (a ValueError)
        Infinity (with the first place), missing values where the estimator can do nothing with them, a feature that is
        never observed, more than 4 dimensions, channels last, another shape than fitted.
    """
    if (rows := stored(X)) is not None:
        return _checked_in_file(estimator, rows, reset)
    if (table := _checked_table(estimator, X, reset)) is not None:
        return table
    X = X if hasattr(X, "shape") else np.asarray(X) if not np.iterable(X) else _as_array(X)
    refuse_not_dense(X, "X")
    refuse_not_real(X, "X")
    try:
        X = _checked_by_sklearn(estimator, X, reset)
    except HyotanError:
        raise
    except ValueError as error:
        raise DataError(str(error)) from None
    if not reset:
        _check_shape(estimator, X)
    if refuse_not_finite(X, missing_allowed=True):
        _check_missing(estimator, X, reset)
    return X


def _checked_table(estimator: Any, X: Any, reset: bool) -> Frame | None:
    """A table with columns of several kinds; None for everything else that may arrive."""
    if not reset:
        fitted = getattr(estimator, "scaling_", None)
        if not isinstance(fitted, TableScaling):
            return None
        frame = fitted.checked(X)
        if not estimator.handles_missing_ and np.isnan(fitted.to_model(frame)).any():
            raise DataError(
                f"The table has missing values, or categories never seen; this {type(estimator).__name__} was fitted "
                f"without.",
                "Fit it with handle_missing='always' (--handle-missing always), or fill them first.",
            )
        return frame
    frame = X if isinstance(X, Frame) else mixed_frame(X)
    if frame is not None and not estimator.takes_tables:
        raise DataError(
            f"The table has columns of several kinds ({listed(frame.names, 4)}); an {type(estimator).__name__} takes "
            "numbers alone.",
            "Keep the columns that are numbers, or score the rows by a model: VAE().fit(X).score_samples(X).",
        )
    if frame is not None:
        estimator.n_features_in_, estimator.feature_names_in_ = len(frame.names), np.array(frame.names, dtype=object)
        if len(frame) == 0:
            raise DataError("The table has no rows.", "Pass at least one.")
        if frame.has_missing and not estimator.supports_missing:
            raise DataError(
                f"The table has missing values; a {type(estimator).__name__} cannot handle missing values.",
                "Leave out rows with missing values (--missing drop), or train another model: VAE (--model vae).",
            )
        if frame.has_missing and estimator.handle_missing == "never":
            raise DataError(
                "The table has missing values, which handle_missing='never' refuses.",
                "Leave it out: handle_missing='auto' (--handle-missing auto).",
            )
    return frame


def _check_missing(estimator: Any, X: np.ndarray, reset: bool) -> None:
    """Refuse missing values where the estimator can do nothing with them, and features that are never observed."""
    first = tuple(map(int, np.argwhere(np.isnan(X))[0]))
    found = f"X holds {int(np.isnan(X).sum()):,} missing values (NaN), the first in {_place(first)}"
    name = type(estimator).__name__
    if not estimator.supports_missing:
        raise DataError(
            f"{found}; a {name} cannot handle missing values.", "Fill them first: VAEImputer().fit_transform(X)."
        )
    if reset and estimator.handle_missing == "never":
        raise DataError(
            f"{found}, which handle_missing='never' refuses.",
            "Leave it out: handle_missing='auto' (--handle-missing auto).",
        )
    if not reset and not estimator.handles_missing_:
        raise DataError(
            f"{found}; this {name} was fitted on rows without missing values.",
            getattr(
                estimator,
                "missing_fix",
                "Fit it with handle_missing='always' (--handle-missing always), or fill them first.",
            ),
        )
    if reset:
        _refuse_never_observed(estimator, X)


def _refuse_never_observed(estimator: Any, X: np.ndarray) -> None:
    if np.isnan(X).all():
        raise DataError("X holds no value: all are missing values (NaN).", "Pass rows of which something is known.")
    empty_columns = np.flatnonzero(np.isnan(X).all(axis=0)) if X.ndim == 2 else np.empty(0, dtype=int)
    if len(empty_columns):
        raise DataError(
            f"{len(empty_columns)} of {X.shape[1]} columns of X are never observed: "
            f"{_columns(estimator, empty_columns)}.",
            "Leave them out: nothing can be learned of them.",
        )


def refuse_rare_features(estimator: Any, X: np.ndarray, subsets: Sequence[np.ndarray]) -> None:
    """Refuse columns of a table, (n, features), of which some subset of the rows has no value.

    Raises
    ------
    DataError
        Names the columns.
    """
    if X.ndim != 2:
        return
    observed = ~np.isnan(X)
    rare = np.flatnonzero(~np.all([observed[rows].any(axis=0) for rows in subsets], axis=0))
    if len(rare):
        raise DataError(
            f"{len(rare)} of {X.shape[1]} columns of X are observed in so few of {len(X):,} rows that a part of them "
            f"has none: {_columns(estimator, rare)}.",
            "Leave them out: hardly anything can be learned of them.",
        )


def _columns(estimator: Any, places: np.ndarray) -> str:
    """The names of some columns, or their places where they have none; the first eight."""
    names = getattr(estimator, "feature_names_in_", None)
    shown = ", ".join(str(at) if names is None else f"'{names[at]}'" for at in places[:8])
    return shown + (", …" if len(places) > 8 else "")


def _checked_in_file(estimator: Any, X: StoredRows, reset: bool) -> StoredRows:
    refuse_channels_last(X)
    if reset:
        _note_features(estimator, X)
    else:
        _check_shape(estimator, X)
    refuse_not_finite(X)
    return X


def _checked_by_sklearn(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    if getattr(X, "ndim", 2) <= 2:
        return validate_data(estimator, X, reset=reset, dtype="numeric", ensure_all_finite=False)
    options: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False, "estimator": estimator}
    X = check_array(X, allow_nd=True, **options)
    refuse_channels_last(X)
    if 0 in X.shape:
        raise DataError(f"X has shape {X.shape}: there are no values in it.", "Pass images of at least 1 × 1 pixel.")
    if reset:
        _note_features(estimator, X)
    return X


def _note_features(estimator: Any, X: Numbers) -> None:
    estimator.n_features_in_ = int(np.prod(X.shape[1:]))
    # A frame's column names from an earlier fit do not belong to images.
    vars(estimator).pop("feature_names_in_", None)


def _as_array(X: Any) -> Any:
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
            f"X has {X.ndim} dimensions {X.shape}; expected 2 (a table), 3 (grey images) or 4 (channels first).",
            "Reshape it: X.reshape(len(X), -1) makes a table.",
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
        f"the first is {value} in {_place(first)}.",
        "Leave such rows out, or fill the missing values first.",
    )


def _place(at: tuple[int, ...]) -> str:
    """Where a value stands, in words."""
    return f"row {at[0]}, " + (f"column {at[1]}" if len(at) == 2 else f"position {at[1:]}")


def refuse_other_range(X: Numbers, scaling: Scaling | TableScaling, slack: float = RANGE_SLACK) -> None:
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


def _check_shape(estimator: Any, X: Numbers) -> None:
    expected = estimator.feature_shape_
    if X.shape[1:] != tuple(expected):
        raise DataError(
            f"X has samples of shape {X.shape[1:]}; {type(estimator).__name__} was fitted on samples of shape "
            f"{tuple(expected)}.",
            "Pass rows of the shape that it was fitted on.",
        )


def check_codes(Z: Any, latent_dim: int, smallest: int | None = None) -> np.ndarray:
    """Codes as a finite float32 array, (n, latent_dim); from (n, smallest) on where they can be cut."""
    refuse_not_dense(Z, "Z")
    try:
        given = np.asarray(Z)
    except ValueError:
        raise DataError(
            "Z is ragged: its rows have different lengths.", f"Give every row {latent_dim} numbers."
        ) from None
    refuse_not_real(given, "Z")
    sizes = range(latent_dim if smallest is None else smallest, latent_dim + 1)
    if given.ndim != 2 or given.shape[1] not in sizes or len(given) == 0:
        one_size = f"(n, {latent_dim}): one code of size {latent_dim} a row"
        raise DataError(
            f"Z has shape {given.shape}; expected "
            + (
                one_size
                if len(sizes) == 1
                else f"(n, k): the first k values of a code a row, {sizes[0]} to {latent_dim}"
            )
            + ".",
            "For a single code pass Z[None].",
        )
    try:
        codes = given.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(f"Z holds {given.dtype} values; expected numbers.", "Pass what transform gives.") from None
    refuse_not_finite(codes, "Z")
    return codes.astype(np.float32)


def check_count(name: str, value: Any, low: int = 1) -> int:
    """A number of things to make; SettingsError where it is none."""
    try:
        return Integer(low).check(value)
    except ValueError:
        raise SettingsError(f"{name} cannot be {value!r}.", f"Expected {Integer(low).describe()}.") from None
