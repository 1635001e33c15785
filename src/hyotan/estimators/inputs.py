"""What arrives as X: checked, and refused with the place and the fix."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data  # pyrefly: ignore[missing-module-attribute]

from hyotan.errors import DataError

CHANNEL_COUNTS = (1, 3, 4)


def check_rows(estimator: Any, X: Any, reset: bool) -> np.ndarray:
    """X as a finite numeric array of 2, 3 or 4 dimensions; image-shaped uint8 stays uint8.

    Parameters
    ----------
    estimator : whose ``n_features_in_`` (and ``feature_names_in_``) are set, or compared with.
    X : (n, features), (n, height, width) or (n, channels, height, width); anything that NumPy can read.
    reset : whether this is ``fit``.

    Raises
    ------
    DataError (a ValueError)
        NaN or infinity (with the first place), more than 4 dimensions, channels last, another shape than fitted.
    """
    options: dict[str, Any] = {"dtype": "numeric", "ensure_all_finite": False, "estimator": estimator}
    X = X if hasattr(X, "shape") else np.asarray(X) if not np.iterable(X) else _as_array(X)
    if getattr(X, "ndim", 2) <= 2:
        X = validate_data(estimator, X, reset=reset, **{k: v for k, v in options.items() if k != "estimator"})
    else:
        X = check_array(X, allow_nd=True, **options)
        refuse_channels_last(X)
        if reset:
            estimator.n_features_in_ = int(np.prod(X.shape[1:]))
            # A frame's column names from an earlier fit do not belong to images.
            vars(estimator).pop("feature_names_in_", None)
    if not reset:
        _check_shape(estimator, X)
    refuse_not_finite(X)
    return X


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


def refuse_channels_last(X: np.ndarray) -> None:
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


def refuse_not_finite(X: np.ndarray) -> None:
    """Refuse NaN and infinity, naming how many and where the first stands."""
    if X.dtype.kind != "f":
        return
    # A sum is finite when all values are: one fast pass, and the slow search only where it is needed.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(X, dtype=np.float64)):
            return
    bad = ~np.isfinite(X)
    if not bad.any():
        return
    first = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), X.shape))
    kind = "NaN" if np.isnan(X[first]) else "inf"
    place = f"row {first[0]}, " + (f"column {first[1]}" if X.ndim == 2 else f"position {first[1:]}")
    raise DataError(
        f"X holds {int(bad.sum()):,} values that are NaN or infinity (inf); the first is {kind} in {place}.",
        "Leave such rows out, or fill the gaps first.",
    )


def _check_shape(estimator: Any, X: np.ndarray) -> None:
    expected = estimator.feature_shape_
    if X.shape[1:] != tuple(expected):
        raise DataError(
            f"X has samples of shape {X.shape[1:]}; {type(estimator).__name__} was fitted on samples of shape "
            f"{tuple(expected)}.",
            "Pass rows of the shape that it was fitted on.",
        )


def check_codes(Z: Any, latent_dim: int) -> np.ndarray:
    """Codes as a finite float32 array, (n, latent_dim)."""
    codes = np.asarray(Z, dtype=np.float32)
    if codes.ndim != 2 or codes.shape[1] != latent_dim:
        raise DataError(
            f"Z has shape {codes.shape}; expected (n, {latent_dim}): one code of size {latent_dim} a row.",
            "For a single code pass Z[None].",
        )
    refuse_not_finite(codes)
    return codes
