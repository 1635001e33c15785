"""scikit-learn's face of the models."""

from hyotan.estimators.autoencoder import Autoencoder, DenoisingAutoencoder
from hyotan.estimators.cvae import CVAE
from hyotan.estimators.imputer import VAEImputer
from hyotan.estimators.model_files import ESTIMATORS, load_model
from hyotan.estimators.vae import VAE

__all__ = ["CVAE", "ESTIMATORS", "VAE", "Autoencoder", "DenoisingAutoencoder", "VAEImputer", "load_model"]
