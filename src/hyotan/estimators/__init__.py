"""scikit-learn's face of the models."""

from hyotan.estimators.autoencoder import Autoencoder, DenoisingAutoencoder
from hyotan.estimators.cvae import CVAE
from hyotan.estimators.files import ESTIMATORS, load
from hyotan.estimators.imputer import VAEImputer
from hyotan.estimators.vae import VAE

__all__ = ["CVAE", "ESTIMATORS", "VAE", "Autoencoder", "DenoisingAutoencoder", "VAEImputer", "load"]
