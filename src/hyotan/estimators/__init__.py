"""scikit-learn's face of the models."""

from __future__ import annotations

from collections.abc import Mapping

from hyotan.estimators.autoencoder import Autoencoder, DenoisingAutoencoder
from hyotan.estimators.cvae import CVAE
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.imputer import VAEImputer
from hyotan.estimators.store import load_model
from hyotan.estimators.vae import VAE
from hyotan.models.families import FAMILIES

ESTIMATORS: Mapping[str, type[LatentEstimator]] = {family.kind: family.estimator for family in FAMILIES}
"""Every family's estimator, by the kind that a model file names."""

__all__ = [
    "CVAE",
    "ESTIMATORS",
    "VAE",
    "Autoencoder",
    "DenoisingAutoencoder",
    "LatentEstimator",
    "VAEImputer",
    "load_model",
]
