"""Model files: a fitted estimator to one file and back, with no code in it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.mixed import MixedLikelihood
from hyotan.errors import DataError, ModelFileError, SettingsError
from hyotan.estimators.autoencoder import Autoencoder, DenoisingAutoencoder
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.cvae import CVAE
from hyotan.estimators.vae import VAE
from hyotan.files.container import Contents, read
from hyotan.imputation.filling import Filling
from hyotan.parameters import PARAMETERS, current_names
from hyotan.preprocessing.scaling import Scaling
from hyotan.preprocessing.tabular import TableScaling
from hyotan.sampling.conditionals import Conditionals
from hyotan.sampling.densities import Mixture
from hyotan.training.checkpoint import below, check_weights, from_json_array, load_weights

SCHEMA = "table/schema"
"""The tensor that holds the names and types of a table's columns."""

ESTIMATORS: Mapping[str, type[LatentEstimator]] = {
    family.kind: family for family in (Autoencoder, DenoisingAutoencoder, VAE, CVAE)
}
"""The closed list of kinds that a model file can name."""


DETECTOR = "detector.hyotan"
"""The file of a detector in a folder of its own."""

DENSITY, TREES = "density/", "trees/"
"""Before the names of a density's tensors, and of those of the trees that draw rows again."""


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
    classes: list[str | int | float | bool] | None = None
    table: dict[str, Any] | None = None
    has_missing: bool = False
    had_missing: bool = False


def load_model(path: str | os.PathLike[str], device: str = "auto") -> LatentEstimator:
    """Like :func:`hyotan.load`, but a detector's file is refused: for what needs a model's code."""
    return from_contents(read(file_of(path), kinds=ESTIMATORS.keys()), str(path), device=device)


def file_of(path: str | os.PathLike[str]) -> Path:
    """The file itself; of a folder the detector's or the model's file in it."""
    place = Path(path)
    if not place.is_dir():
        return place
    return place / DETECTOR if (place / DETECTOR).is_file() else place / "model.hyotan"


def from_contents(
    contents: Contents,
    source: str,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    device: str = "auto",
) -> LatentEstimator:
    """The fitted estimator that a file's contents describe; ``source`` is named in errors."""
    PARAMETERS["device"].check(device)
    try:
        saved = msgspec.convert(current_names(contents.settings), Saved, strict=True)
        own = {"encoder": encoder, "decoder": decoder}
        given = {name: network for name, network in own.items() if network is not None}
        estimator = ESTIMATORS[contents.kind](**current_names(saved.parameters), **given)  # pyrefly: ignore[unexpected-keyword]
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
    estimator.handles_missing_, estimator.had_missing_ = saved.has_missing, saved.had_missing
    if saved.classes is not None:
        estimator.classes_ = np.array(saved.classes)
    is_table = saved.table is not None
    estimator.scaling_ = _scaling(saved, arrays, source)
    if saved.feature_names:
        estimator.feature_names_in_ = np.array(saved.feature_names, dtype=object)
    estimator.n_features_in_ = len(saved.feature_names) if is_table else math.prod(saved.feature_shape)
    check_weights(_blueprint(estimator, settings, len(arrays), source), below(arrays, "model"), source)
    _check_arrays(arrays, settings["latent_dim"], estimator.feature_shape_, saved.has_missing, source)
    estimator._build(settings)
    load_weights(estimator.model_, below(arrays, "model"), source)
    estimator.model_.eval()
    estimator.code_mean_, estimator.code_covariance_ = arrays["codes/mean"].copy(), arrays["codes/covariance"].copy()
    estimator._density = _density(estimator, arrays, source)
    estimator._conditionals = _conditionals(estimator, arrays, source)
    estimator.history_ = _history(arrays["history"], source)
    if saved.has_missing:
        estimator.filling_ = Filling.from_arrays(arrays)
    estimator.n_iter_, estimator.best_epoch_ = saved.n_iter, saved.best_epoch
    estimator.train_seconds_ = saved.train_seconds
    return estimator


def _scaling(saved: Saved, arrays: Mapping[str, np.ndarray], source: str) -> Scaling | TableScaling:
    """From the data's range to the model's, as the file has it."""
    if saved.table is None:
        for name in ("scaling/offset", "scaling/factor"):
            _refuse_missing(arrays, name, source)
        return Scaling(arrays["scaling/offset"].copy(), arrays["scaling/factor"].copy())
    _refuse_missing(arrays, SCHEMA, source)
    try:
        scaling = TableScaling.from_settings(saved.table, arrays[SCHEMA])
        if (scaling.width,) != tuple(saved.feature_shape) or not set(scaling.names) <= set(saved.feature_names):
            raise ValueError(f"{scaling.width} numbers a row, where the network takes {saved.feature_shape}")
        MixedLikelihood(scaling)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{source}: the table's columns cannot be read ({error}).", "") from error
    return scaling


def _refuse_missing(arrays: Mapping[str, np.ndarray], name: str, source: str) -> None:
    if name not in arrays:
        raise ModelFileError(f"{source}: tensor '{name}' is missing.", "Is it a model file?")


def _check_saved(saved: Saved, own: Mapping[str, nn.Module | None]) -> None:
    missing = [name for name in saved.own_modules if own.get(name) is None]
    if missing:
        asked = ", ".join(f"{name}=…" for name in missing)
        raise SettingsError(
            f"The model was fitted with your own {' and '.join(missing)}; the file holds their weights only.",
            f"Type: load(path, {asked})",
        )
    if objects := [name for name in saved.parameters if name in PARAMETERS and not PARAMETERS[name].on_command_line]:
        raise SettingsError(f"the parameter '{objects[0]}' cannot stand in a file.", "Is it a model file?")
    if saved.table is None and saved.feature_names and len(saved.feature_names) != math.prod(saved.feature_shape):
        raise SettingsError(f"{len(saved.feature_names)} names for {math.prod(saved.feature_shape)} features.", "")
    sizes_are_good = 1 <= len(saved.feature_shape) <= 3 and all(size >= 1 for size in saved.feature_shape)
    known = saved.likelihood in LIKELIHOODS if saved.table is None else saved.likelihood == MixedLikelihood.name
    if not known or not sizes_are_good:
        raise SettingsError(f"likelihood '{saved.likelihood}' on samples of {saved.feature_shape} is not known.", "")


def _blueprint(estimator: LatentEstimator, settings: dict[str, Any], n_arrays: int, source: str) -> nn.Module:
    """The model without memory for its weights: what a file claims is compared before it is believed."""
    # Each layer has a tensor of its own; a longer list of sizes would only cost time.
    if max(len(settings["hidden_dims"]), len(settings["channels"])) > max(n_arrays, 100):
        raise ModelFileError(f"{source}: the settings name more layers than the file has tensors.", "")
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            likelihood = estimator._likelihood(settings)
            return estimator._assemble(likelihood, settings, estimator.feature_shape_)
    except SettingsError as error:
        raise ModelFileError(f"{source}: {error.message}", error.fix) from error
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{source}: the settings describe a network that cannot be built ({str(error).splitlines()[0]}).",
            "The file belongs to another network.",
        ) from error


def _check_arrays(
    arrays: Mapping[str, np.ndarray], latent: int, features: tuple[int, ...], has_missing: bool, source: str
) -> None:
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        "codes/mean": ((latent,),),
        "codes/covariance": ((latent, latent),),
        "scaling/offset": ((), features),
        "scaling/factor": ((), features),
    }
    if has_missing:
        shapes |= Filling.shapes(features, arrays)
    for name in (*shapes, "history"):
        _refuse_missing(arrays, name, source)
    for name in arrays:
        if name not in shapes and name not in ("history", SCHEMA) and not name.startswith(("model/", DENSITY, TREES)):
            raise ModelFileError(f"{source}: tensor '{name}' is not expected.", "Is it a model file?")
    for name, allowed in shapes.items():
        array = arrays[name]
        if array.shape not in allowed or array.dtype != np.float64:
            expected = " or ".join(str(shape) for shape in allowed)
            raise ModelFileError(
                f"{source}: tensor '{name}' is {array.dtype} {array.shape}, expected float64 {expected}.",
                "The file belongs to another network.",
            )


def _density(estimator: LatentEstimator, arrays: Mapping[str, np.ndarray], source: str) -> Mixture:
    """The density of the codes; of a file from before there were such, what its model sampled from then."""
    own = {name.removeprefix(DENSITY): array for name, array in arrays.items() if name.startswith(DENSITY)}
    if not own:
        return estimator._prior()
    try:
        density = Mixture.from_arrays(own)
        if (size := density.means.shape[1]) != estimator.model_code_size:
            raise DataError(f"it is of codes of size {size}, the code has {estimator.model_code_size}.")
        kinds = len(vars(estimator).get("classes_", ()))
        if density.groups is not None and not np.array_equal(np.unique(density.groups), np.arange(kinds)):
            raise DataError(f"its groups are not those of {kinds} classes.")
    except DataError as error:
        raise ModelFileError(
            f"{source}: the density of the codes cannot be used: {error.message}",
            "The file belongs to another network.",
        ) from error
    return density


def _conditionals(estimator: LatentEstimator, arrays: Mapping[str, np.ndarray], source: str) -> Conditionals | None:
    """The trees that give a table's columns by the others; None of a file from before there were such."""
    own = {name.removeprefix(TREES): array for name, array in arrays.items() if name.startswith(TREES)}
    if not own:
        return None
    try:
        kinds = estimator.scaling_.is_category if isinstance(estimator.scaling_, TableScaling) else []
        return Conditionals.from_arrays(own, kinds)
    except DataError as error:
        raise ModelFileError(
            f"{source}: the trees of the columns cannot be used: {error.message}",
            "The file belongs to another network.",
        ) from error


def _history(array: np.ndarray, source: str) -> list[dict[str, Any]]:
    try:
        return msgspec.convert(from_json_array(array), list[dict[str, Any]], strict=True)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{source}: tensor 'history' is not a history ({error}).", "") from error
