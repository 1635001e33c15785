"""Model files: a fitted estimator to one file and back, with no code in it.

Each part of the estimator writes and reads its own arrays; this module puts them together and checks every one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from torch import nn

from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.mixed import MixedLikelihood
from hyotan.errors import DataError, ModelFileError, SettingsError
from hyotan.estimators.build import build_likelihood
from hyotan.estimators.learning import assemble, build, input_mask
from hyotan.files.container import Contents, read, write
from hyotan.files.tensors import below, check_tensors
from hyotan.imputation.filler import MissingValueFiller
from hyotan.imputation.filling import Filling
from hyotan.models.families import BY_KIND
from hyotan.parameters.table import PARAMETERS, current_names
from hyotan.preprocessing.layouts import layout_by_dimensions
from hyotan.preprocessing.numeric import SCALING
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.preprocessing.scaling import Scaling
from hyotan.preprocessing.tabular import SCHEMA, TablePreprocessor
from hyotan.sampling.code_sampler import CodeSampler
from hyotan.sampling.conditionals import Conditionals
from hyotan.sampling.densities import Mixture
from hyotan.sampling.refinement import Refiner
from hyotan.training.checkpoint import (
    check_weights,
    from_json_array,
    json_array,
    load_weights,
    to_arrays,
    torch_below,
)

if TYPE_CHECKING:
    from hyotan.estimators.estimator import LatentEstimator

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
    handles_missing: bool = False
    had_missing: bool = False


def save_model(estimator: LatentEstimator, path: Path) -> None:
    """Write a fitted estimator to one file, atomically."""
    write(path, kind=estimator.kind, settings=saved_settings(estimator), tensors=saved_arrays(estimator))


def saved_settings(estimator: LatentEstimator) -> dict[str, Any]:
    """What the file says of an estimator, beside its tensors."""
    settings = estimator.settings()
    if not isinstance(settings["random_state"], int):
        settings["random_state"] = None  # a generator's state is past: what it drew is in the weights
    classes = vars(estimator).get("classes_")
    return {
        "parameters": {name: value for name, value in settings.items() if PARAMETERS[name].on_command_line},
        "own_modules": [name for name in ("encoder", "decoder") if settings.get(name) is not None],
        "feature_names": [str(name) for name in getattr(estimator, "feature_names_in_", ())],
        "n_iter": estimator.n_iter_,
        "best_epoch": estimator.best_epoch_,
        "train_seconds": estimator.train_seconds_,
        "handles_missing": estimator.handles_missing_,
        "had_missing": estimator.had_missing_,
        **({} if classes is None else {"classes": classes.tolist()}),
        **estimator.preprocessor_.to_settings(),
    }


def saved_arrays(estimator: LatentEstimator) -> dict[str, np.ndarray]:
    """What the file holds: weights, preprocessing, where codes lie, their density, trees, the history as JSON."""
    refiner = estimator.refiner_
    parts = {DENSITY: estimator.density_.to_arrays(), TREES: {} if refiner is None else refiner.trees.to_arrays()}
    return to_arrays(estimator.model_.state_dict(), "model") | {
        "codes/mean": estimator.code_mean_,
        "codes/covariance": estimator.code_covariance_,
        "history": json_array(estimator.history_),
        **estimator.preprocessor_.arrays(),
        **(estimator.filler_.arrays() if estimator.handles_missing_ else {}),
        **{f"{prefix}{name}": array for prefix, part in parts.items() for name, array in part.items()},
    }


def load_model(path: str | os.PathLike[str], device: str = "auto") -> LatentEstimator:
    """Like :func:`hyotan.load`, but a detector's file is refused: for what needs a model's code."""
    return from_contents(read(file_of(path), kinds=BY_KIND.keys()), str(path), device=device)


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
        estimator = BY_KIND[contents.kind].estimator(**current_names(saved.parameters), **given)  # pyrefly: ignore[unexpected-keyword]
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
    estimator.handles_missing_, estimator.had_missing_ = saved.handles_missing, saved.had_missing
    if saved.classes is not None:
        estimator.classes_ = np.array(saved.classes)
    preprocessor = estimator.preprocessor_ = _preprocessor(saved, settings["layout"], arrays, source)
    if saved.feature_names:
        estimator.feature_names_in_ = np.array(saved.feature_names, dtype=object)
    is_table = saved.table is not None
    estimator.n_features_in_ = len(saved.feature_names) if is_table else math.prod(saved.feature_shape)
    check_weights(_blueprint(estimator, settings, len(arrays), source), torch_below(arrays, "model"), source)
    _check_arrays(arrays, settings["latent_dim"], preprocessor, saved.handles_missing, source)
    build(estimator, settings)
    load_weights(estimator.model_, torch_below(arrays, "model"), source)
    estimator.model_.eval()
    estimator.code_mean_, estimator.code_covariance_ = arrays["codes/mean"].copy(), arrays["codes/covariance"].copy()
    estimator.sampler_ = CodeSampler(estimator.prior(), density=_density(estimator, arrays, source))
    estimator.refiner_ = _refiner(preprocessor, arrays, source)
    estimator.history_ = _history(arrays["history"], source)
    if saved.handles_missing:
        estimator.filler_ = MissingValueFiller.from_arrays(estimator.inference_, preprocessor, arrays)
    estimator.n_iter_, estimator.best_epoch_ = saved.n_iter, saved.best_epoch
    estimator.train_seconds_ = saved.train_seconds
    return estimator


def _preprocessor(saved: Saved, layout: str, arrays: Mapping[str, np.ndarray], source: str) -> Preprocessor:
    """What kind of rows, as the file has it."""
    if saved.table is None:
        for name in SCALING:
            _refuse_missing(arrays, name, source)
        scaling = Scaling(*(arrays[name].copy() for name in SCALING))
        is_bounded = math.isfinite(LIKELIHOODS[saved.likelihood].low)
        shape, kind = tuple(saved.feature_shape), layout_by_dimensions(layout, 1 + len(saved.feature_shape))
        return kind.preprocessor_class(shape, scaling, saved.likelihood, saved.range, is_bounded)
    _refuse_missing(arrays, SCHEMA, source)
    try:
        found = TablePreprocessor.from_settings(saved.table, arrays[SCHEMA], saved.range)
        if found.feature_shape != tuple(saved.feature_shape) or not set(found.names) <= set(saved.feature_names):
            raise ValueError(f"{found.width} numbers a row, where the network takes {saved.feature_shape}")
        MixedLikelihood(found)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelFileError(f"{source}: the table's columns cannot be read ({error}).", "") from error
    return found


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
            likelihood = build_likelihood(estimator.preprocessor_, settings)
            return assemble(estimator, likelihood, settings, estimator.feature_shape_, input_mask(estimator))
    except SettingsError as error:
        raise ModelFileError(f"{source}: {error.message}", error.fix) from error
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{source}: the settings describe a network that cannot be built ({str(error).splitlines()[0]}).",
            "The file belongs to another network.",
        ) from error


def _check_arrays(
    arrays: Mapping[str, np.ndarray], latent: int, preprocessor: Preprocessor, has_missing: bool, source: str
) -> None:
    features = preprocessor.feature_shape
    shapes: dict[str, Sequence[tuple[int, ...]]] = {
        "codes/mean": [(latent,)],
        "codes/covariance": [(latent, latent)],
        # Tables of earlier versions have such arrays too, of zeros and ones.
        **{name: [(), features] for name in SCALING if name in arrays},
        **(Filling.shapes(features, arrays) if has_missing else {}),
    }
    known = {*shapes, "history", SCHEMA}
    if strange := [name for name in arrays if name not in known and not name.startswith(("model/", DENSITY, TREES))]:
        raise ModelFileError(f"{source}: tensor '{strange[0]}' is not expected.", "Is it a model file?")
    _refuse_missing(arrays, "history", source)
    with _named(source):
        check_tensors(arrays, shapes, "a model's")


@contextmanager
def _named(source: str, part: str = "") -> Iterator[None]:
    """Say which file, and what of it, cannot be used where reading it finds out."""
    try:
        yield
    except DataError as error:
        fix = error.fix or "The file belongs to another model."
        raise ModelFileError(f"{source}: {part}{error.message}", fix) from error


def _density(estimator: LatentEstimator, arrays: Mapping[str, np.ndarray], source: str) -> Mixture:
    """The density of the codes; of a file from before there were such, what its model sampled from then."""
    own = below(arrays, DENSITY)
    if not own:
        return estimator.prior()
    with _named(source, "the density of the codes cannot be used: "):
        density = Mixture.from_arrays(own)
        if (size := density.means.shape[1]) != estimator.model_code_size:
            raise DataError(f"it is of codes of size {size}, the code has {estimator.model_code_size}.")
        kinds = len(vars(estimator).get("classes_", ()))
        if density.groups is not None and not np.array_equal(np.unique(density.groups), np.arange(kinds)):
            raise DataError(f"its groups are not those of {kinds} classes.")
    return density


def _refiner(preprocessor: Preprocessor, arrays: Mapping[str, np.ndarray], source: str) -> Refiner | None:
    """The trees that give a table's columns by the others; None of a file from before there were such."""
    own = below(arrays, TREES)
    if not own:
        return None
    with _named(source, "the trees of the columns cannot be used: "):
        return Refiner(preprocessor, trees=Conditionals.from_arrays(own, preprocessor.is_category or []))


def _history(array: np.ndarray, source: str) -> list[dict[str, Any]]:
    try:
        return msgspec.convert(from_json_array(array), list[dict[str, Any]], strict=True)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{source}: tensor 'history' is not a history ({error}).", "") from error
