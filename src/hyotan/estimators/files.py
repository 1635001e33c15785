"""Model files: a fitted estimator to one file and back, with no code in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from torch import nn

from hyotan.container import Contents, read
from hyotan.distributions import LIKELIHOODS
from hyotan.errors import ModelFileError, SettingsError
from hyotan.estimators.autoencoder import Autoencoder, DenoisingAutoencoder
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.vae import VAE
from hyotan.scaling import Scaling
from hyotan.training.checkpoint import below, from_json_array, load_weights

ESTIMATORS: Mapping[str, type[LatentEstimator]] = {
    family.kind: family for family in (Autoencoder, DenoisingAutoencoder, VAE)
}
"""The closed list of kinds that a model file can name."""


@dataclass(frozen=True)
class Saved:
    """The settings of a model file, as :meth:`LatentEstimator.saved_settings` writes them."""

    parameters: dict[str, Any]
    own_modules: list[str]
    feature_shape: list[int]
    feature_names: list[str]
    likelihood: str
    range: tuple[float, float]
    n_iter: int
    best_epoch: int
    train_seconds: float


def load(
    path: str | os.PathLike[str],
    *,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    device: str = "auto",
) -> LatentEstimator:
    """Read a fitted estimator from a model file, checking every byte.

    Parameters
    ----------
    path : the file, or a run folder, whose ``model.hyotan`` is read.
    encoder, decoder : your own modules, for a model that was fitted with such: the file holds their weights only.
    device : where to compute.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, foreign, newer than this version, or belongs to another network.
    """
    place = Path(path)
    place = place / "model.hyotan" if place.is_dir() else place
    return from_contents(read(place, kinds=ESTIMATORS.keys()), str(path), encoder, decoder, device)


def from_contents(
    contents: Contents,
    source: str,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    device: str = "auto",
) -> LatentEstimator:
    """The fitted estimator that a file's contents describe; ``source`` is named in errors."""
    try:
        saved = msgspec.convert(contents.settings, Saved, strict=True)
        own = {"encoder": encoder, "decoder": decoder}
        estimator = ESTIMATORS[contents.kind](**saved.parameters, **own)  # pyrefly: ignore[unexpected-keyword]
        estimator.device = device
        settings = estimator.settings()
        _check_saved(saved, own)
    except (msgspec.ValidationError, TypeError) as error:
        raise ModelFileError(
            f"{source}: the settings are not those of a model: {error}.", "Is it a model file?"
        ) from error
    except SettingsError as error:
        raise ModelFileError(f"{source}: {error.message}", error.fix) from error
    arrays = contents.tensors
    estimator.feature_shape_ = tuple(saved.feature_shape)
    estimator.likelihood_, estimator.range_ = saved.likelihood, saved.range
    if saved.feature_names:
        estimator.feature_names_in_ = np.array(saved.feature_names, dtype=object)
    estimator.n_features_in_ = int(np.prod(saved.feature_shape))
    estimator._build(settings)
    load_weights(estimator.model_, below(arrays, "model"), source)
    estimator.model_.eval()
    latent = settings["latent_dim"]
    _check_arrays(arrays, {"codes/mean": (latent,), "codes/covariance": (latent, latent)}, source)
    estimator.scaling_ = Scaling(arrays["scaling/offset"].copy(), arrays["scaling/factor"].copy())
    estimator.code_mean_, estimator.code_covariance_ = arrays["codes/mean"].copy(), arrays["codes/covariance"].copy()
    estimator.history_ = from_json_array(arrays["history"])
    estimator.n_iter_, estimator.best_epoch_ = saved.n_iter, saved.best_epoch
    estimator.train_seconds_ = saved.train_seconds
    return estimator


def _check_saved(saved: Saved, own: Mapping[str, nn.Module | None]) -> None:
    missing = [name for name in saved.own_modules if own.get(name) is None]
    if missing:
        asked = ", ".join(f"{name}=…" for name in missing)
        raise SettingsError(
            f"The model was fitted with your own {' and '.join(missing)}; the file holds their weights only.",
            f"Type: load(path, {asked})",
        )
    sizes_are_good = 1 <= len(saved.feature_shape) <= 3 and all(size >= 1 for size in saved.feature_shape)
    if saved.likelihood not in LIKELIHOODS or not sizes_are_good:
        raise SettingsError(f"likelihood '{saved.likelihood}' on samples of {saved.feature_shape} is not known.", "")


def _check_arrays(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], source: str) -> None:
    for name in ("scaling/offset", "scaling/factor", "history", *shapes):
        if name not in arrays:
            raise ModelFileError(f"{source}: tensor '{name}' is missing.", "Is it a model file?")
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ModelFileError(f"{source}: tensor '{name}' is {arrays[name].shape}, expected {shape}.", "")
