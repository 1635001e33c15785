"""What users pass, checked: rows, codes and counts, under scikit-learn's contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array, validate_data  # pyrefly: ignore[missing-module-attribute]

from hyotan.data.frames import Frame, as_frame, mixed_frame
from hyotan.data.stored import Array, Numbers, StoredRows, stored
from hyotan.errors import DataError, HyotanError, SettingsError
from hyotan.parameters.domains import Integer
from hyotan.preprocessing.checks import (
    as_array,
    place_of,
    refuse_channels_last,
    refuse_not_dense,
    refuse_not_finite,
    refuse_not_real,
)
from hyotan.preprocessing.encoded import EncodedRows

MISSING_FIX = "Fit it with handle_missing='always' (--handle-missing always), or fill them first."


def check_rows(estimator: Any, X: Any, reset: bool) -> Any:
    """X as a numeric array of 2, 3 or 4 dimensions; image-shaped uint8 stays uint8. NaN is a missing value.

    A memory map that is too large to be copied stays in its file, and has no missing values; a table with other columns
    than numbers stays one. Rows that are encoded already come back as they are.

    Parameters
    ----------
    estimator : whose ``n_features_in_`` (and ``feature_names_in_``) are set, or compared with.
    X : (n, features), (n, height, width) or (n, channels, height, width); anything that NumPy can read.
    reset : whether this is ``fit``.

    Raises
    ------
    DataError (a ValueError)
        Infinity (with the first place), missing values where the estimator cannot handle them, a feature that is never
        observed, more than 4 dimensions, channels last, another shape than fitted.
    """
    if isinstance(X, EncodedRows):
        if reset:
            _note_features(estimator, X.original, None if X.preprocessor.has_one_scale else X.original.names)
        return X
    if (rows := stored(X)) is not None:
        return _checked_in_file(estimator, rows, reset)
    if reset and (table := _new_table(estimator, X)) is not None:
        return table
    if not reset and not estimator.preprocessor_.has_one_scale:
        return X  # whatever it is, its columns are looked for when it is encoded
    X = X if hasattr(X, "shape") else np.asarray(X) if not np.iterable(X) else as_array(X)
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


def _new_table(estimator: Any, X: Any) -> Frame | None:
    """A table with columns of several kinds, to fit to; None for everything else that may arrive."""
    frame = mixed_frame(X)
    if frame is None:
        return None
    _note_features(estimator, frame, frame.names)
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


def refuse_new_missing(estimator: Any, rows: EncodedRows) -> None:
    """Refuse what became a missing value when it was encoded, such as a new category, for one fitted without any.

    Raises
    ------
    DataError
        The rows are a table's, have missing values, and ``estimator`` has not learned to handle them.
    """
    if rows.preprocessor.meets_new_values and not estimator.handles_missing_ and np.isnan(rows.numbers).any():
        raise DataError(
            f"The table has missing values, or categories never seen; this {type(estimator).__name__} was fitted "
            "without.",
            MISSING_FIX,
        )


def _check_missing(estimator: Any, X: np.ndarray, reset: bool) -> None:
    """Refuse missing values where the estimator can do nothing with them, and features that are never observed."""
    first = tuple(map(int, np.argwhere(np.isnan(X))[0]))
    found = f"X holds {int(np.isnan(X).sum()):,} missing values (NaN), the first in {place_of(first)}"
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
            estimator.missing_fix,
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
    """Refuse columns of numbers, (n, features), of which some subset of the rows has no value.

    Raises
    ------
    DataError
        Names the columns.
    """
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


def _note_features(estimator: Any, X: Array, names: Sequence[str] | None = None) -> None:
    estimator.n_features_in_ = int(np.prod(X.shape[1:]))
    # A table's column names from an earlier fit do not belong to images.
    vars(estimator).pop("feature_names_in_", None)
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)


def _check_shape(estimator: Any, X: Numbers) -> None:
    expected = estimator.preprocessor_.feature_shape
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
        expected = f"(n, {latent_dim}): one code of size {latent_dim} a row"
        if len(sizes) > 1:
            expected = f"(n, k): the first k values of a code a row, {sizes[0]} to {latent_dim}"
        raise DataError(f"Z has shape {given.shape}; expected {expected}.", "For a single code pass Z[None].")
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


def paired(a: ArrayLike, b: ArrayLike) -> Any:
    """Two samples as rows, in that order.

    Raises
    ------
    DataError
        They differ in shape, or in their columns.
    """
    if (frame := as_frame(a)) is not None:
        return frame.joined(as_frame(b))
    ends = np.asarray(a), np.asarray(b)
    if ends[0].shape != ends[1].shape:
        raise DataError(
            f"a has shape {ends[0].shape}, b {ends[1].shape}; expected two samples of one shape.",
            "Pass single rows, such as X[0] and X[1].",
        )
    return np.stack(ends)
