"""scikit-learn's face of the models."""

from hyotan.estimators.autoencoder import Autoencoder, DenoisingAutoencoder
from hyotan.estimators.files import ESTIMATORS, load
from hyotan.estimators.vae import VAE

__all__ = ["ESTIMATORS", "VAE", "Autoencoder", "DenoisingAutoencoder", "load"]
