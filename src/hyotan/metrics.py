"""Numbers from arrays: pure functions that know no model."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array

ACTIVE_VARIANCE = 0.01
"""A unit is active when the variance of its code over the rows is above this."""


def mse(a: Float[Array, "n *features"], b: Float[Array, "n *features"]) -> float:
    """Mean squared error a feature."""
    return float(np.mean(np.square(a - b, dtype=np.float32), dtype=np.float64))


def standard_error(values: Float[Array, " n"]) -> float:
    """Standard error of the mean; 0 for a single value."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def bits_per_dimension(nats: float, features: int) -> float:
    """Nats a sample as bits a feature."""
    return nats / (features * math.log(2))


def are_active(variance: Float[Array, " latent"], threshold: float = ACTIVE_VARIANCE) -> Bool[Array, " latent"]:
    """Which dimensions of the code are active, by their variance over the rows.  Burda et al. 2016, section 4."""
    return variance > threshold


def active_units(codes: Float[Array, "n latent"], threshold: float = ACTIVE_VARIANCE) -> int:
    """How many dimensions of the code are active."""
    return int(are_active(codes.var(axis=0), threshold).sum())


def row_errors(a: Float[Array, "n *features"], b: Float[Array, "n *features"]) -> Float[Array, " n"]:
    """Mean squared error a feature of each row."""
    return np.square(a - b).reshape(len(a), -1).mean(axis=1, dtype=np.float64)


def mean_image_errors(train: Float[Array, "n *features"], test: Float[Array, "m *features"]) -> Float[Array, " m"]:
    """Errors of answering every test row with the mean of the training rows: what a code of size 0 reaches."""
    return row_errors(np.broadcast_to(train.mean(axis=0), test.shape), test)


def pca_errors(train: Float[Array, "n *features"], test: Float[Array, "m *features"], size: int) -> Float[Array, " m"]:
    """Errors on test rows of PCA with ``size`` components, fitted on the training rows."""
    from sklearn.decomposition import PCA

    flat, flat_test = train.reshape(len(train), -1), test.reshape(len(test), -1)
    size = min(size, *flat.shape)
    with np.errstate(invalid="ignore"):  # constant rows have no variance of which a share could be explained
        pca = PCA(size, random_state=0).fit(flat)
    return row_errors(pca.inverse_transform(pca.transform(flat_test)), flat_test)
