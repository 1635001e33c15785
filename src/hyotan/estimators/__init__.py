"""scikit-learn's face of the models."""

from hyotan.estimators.autoencoder import Autoencoder, DenoisingAutoencoder
from hyotan.estimators.cvae import CVAE
from hyotan.estimators.detector import AnomalyDetector
from hyotan.estimators.files import ESTIMATORS, load, load_detector, load_model
from hyotan.estimators.imputer import VAEImputer
from hyotan.estimators.vae import VAE

__all__ = [
    "CVAE",
    "ESTIMATORS",
    "VAE",
    "AnomalyDetector",
    "Autoencoder",
    "DenoisingAutoencoder",
    "VAEImputer",
    "load",
    "load_detector",
    "load_model",
]
