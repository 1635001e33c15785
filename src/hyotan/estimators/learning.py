"""How an estimator is fitted: rows read, a preprocessor, a model built, and what is noted once it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import check_random_state  # pyrefly: ignore[missing-module-attribute]

from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.likelihoods import Likelihood
from hyotan.errors import SettingsError
from hyotan.estimators.build import (
    build_likelihood,
    choose_device,
    refuse_lone_rows,
    training_settings,
)
from hyotan.estimators.inputs import check_rows
from hyotan.estimators.splits import Split, in_memory, split_of, training_rows
from hyotan.imputation.filler import MissingValueFiller
from hyotan.metrics import some_rows
from hyotan.models.inference import Inference, rows_at_once
from hyotan.models.latent_model import LatentModel
from hyotan.models.noise import RandomMask
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.preprocessing.layouts import fit_preprocessor
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.preprocessing.scaling import has_missing
from hyotan.sampling.code_sampler import CodeSampler
from hyotan.sampling.conditionals import fitted_rows
from hyotan.sampling.refinement import Refiner
from hyotan.training.callbacks import Callback, ProgressReporter
from hyotan.training.checkpoint import CheckpointStore, Snapshot
from hyotan.training.trainer import Trainer

if TYPE_CHECKING:
    from hyotan.estimators.estimator import LatentEstimator

MAX_MASKED, MAX_MASKED_COMPLETE = 0.5, 0.2
"""In training, from none to so large a share of each row's observed values is masked; the second of a table without
missing values, whose rows to come may have categories that it has not."""

DESCRIBED_ROWS = 20_000
"""Training rows, at most, whose codes are described by their mean and covariance."""


class Learned:
    """What an estimator's ``fit`` learns; no parameters, and so not among the fields of the estimators."""

    preprocessor_: Preprocessor
    inference_: Inference
    sampler_: CodeSampler
    filler_: MissingValueFiller
    refiner_: Refiner | None
    handles_missing_: bool
    had_missing_: bool
    code_mean_: np.ndarray
    code_covariance_: np.ndarray
    history_: list[dict[str, Any]]
    n_iter_: int
    best_epoch_: int
    train_seconds_: float
    n_features_in_: int
    feature_names_in_: np.ndarray
    classes_: np.ndarray


@contextmanager
def training(
    estimator: LatentEstimator,
    X: Any,
    y: Any = None,
    *,
    store: CheckpointStore | None = None,
    snapshot: Snapshot | None = None,
    max_epochs: int | None = None,
    refine: bool = True,
) -> Iterator[Trainer]:
    """Everything about :meth:`~hyotan.estimators.estimator.LatentEstimator.fit` but the training itself, which belongs
    into the ``with`` block. It is a method of the estimators.

    Parameters
    ----------
    estimator : not fitted yet.
    X, y : as in ``fit``; to go on with the same bits, the same data. Rows that are encoded keep their preprocessor.
    store : where checkpoints go.
    snapshot : where to go on from.
    max_epochs : a later last epoch than the snapshot's.
    refine : whether to note what the columns of new rows are drawn again from.

    Yields
    ------
    Trainer
        Ready to train this estimator's model; what it has learned when the block ends, the estimator has learned.
    """
    settings = estimator.settings()
    X = check_rows(estimator, X, reset=True)
    X = X if "rows in a file" in estimator.family.traits else in_memory(X, type(estimator).__name__)
    random = check_random_state(estimator.random_state)
    split = split_of(X, settings["validation_fraction"], settings["validation_rows"], random)
    seed = int(random.randint(2**31))
    if settings["early_stopping"] is not None and len(split.validation) == 0:
        raise SettingsError(
            f"early_stopping needs held-out rows; of {len(X)} rows none are held out.",
            "Raise validation_fraction, or pass early_stopping=None.",
        )
    classes = estimator.read_labels(y, len(X), settings, seed)
    rows = _encoded(estimator, X, split, settings)
    build(estimator, settings, seed)
    train, validation = training_rows(rows, split, settings["binarise"], seed, estimator.device_)
    how = training_settings(settings, len(train), seed)
    refuse_lone_rows(estimator.model_, len(train), how.batch_size)
    if classes is not None:
        train, validation = estimator.with_classes(rows, classes, split, train, validation, how.batch_size)
    to_model = estimator.preprocessor_.to_model
    trainer = Trainer(estimator.model_, train, validation, how, _callbacks(settings), store, to_model)
    if snapshot is not None:
        trainer.restore(snapshot)
    if max_epochs is not None:
        trainer.extend(max_epochs)
    # What an earlier fit left must not make this one count as fitted, should it end before its first epoch does.
    vars(estimator).pop("code_mean_", None)
    try:
        yield trainer
    finally:
        estimator.history_, estimator.train_seconds_ = trainer.history, trainer.train_seconds
        estimator.n_iter_, estimator.best_epoch_ = trainer.epoch, trainer.best_epoch
        if trainer.best_state:  # stopped or diverged after an epoch, it is still a model that can be used
            _describe_codes(estimator, rows, split, refine)
            if estimator.handles_missing_:
                fitted = MissingValueFiller.fit(estimator.inference_, rows, split.train, split.validation)
                estimator.filler_ = fitted


def build(estimator: LatentEstimator, settings: dict[str, Any], seed: int = 0) -> None:
    """Make the model, its weights drawn from the seed; torch's global generator is left as it was."""
    device = choose_device(settings["device"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        likelihood = build_likelihood(estimator.preprocessor_, settings)
        model = assemble(estimator, likelihood, settings, estimator.feature_shape_, input_mask(estimator))
    estimator.inference_ = Inference(model.to(device), device)


def assemble(
    estimator: LatentEstimator,
    likelihood: Likelihood,
    settings: dict[str, Any],
    shape: tuple[int, ...],
    input_mask: RandomMask | None,
) -> LatentModel:
    """The family's model with new networks, for samples of a shape."""
    model = estimator.make_model(likelihood, settings, shape, with_missing=input_mask is not None)
    model.input_mask = input_mask
    return model


def input_mask(estimator: LatentEstimator) -> RandomMask | None:
    """What training masks of each row, for a model that learns to handle missing values; None for another."""
    if not estimator.handles_missing_:
        return None
    columns = estimator.preprocessor_.column_of_feature
    is_complete = columns is not None and not estimator.had_missing_
    return RandomMask(MAX_MASKED_COMPLETE if is_complete else MAX_MASKED, columns)


def _encoded(estimator: LatentEstimator, X: Any, split: Split, settings: dict[str, Any]) -> EncodedRows:
    """The rows in the model's range, with a preprocessor that is fitted to those trained on."""
    handle = settings.get("handle_missing", "never")
    rows = X
    if not isinstance(X, EncodedRows):
        preprocessor = fit_preprocessor(X, X[split.train], settings, estimator.family.likelihood, LIKELIHOODS)
        rows = EncodedRows.of(preprocessor, X)
    estimator.preprocessor_ = rows.preprocessor
    estimator.had_missing_ = handle == "always" or has_missing(rows.original)
    # Rows to come may have what none of these has, such as a new category: to a model it is a missing value.
    estimator.handles_missing_ = estimator.had_missing_ or (rows.preprocessor.meets_new_values and handle == "auto")
    return rows


def _callbacks(settings: dict[str, Any]) -> list[Callback]:
    own = settings["callbacks"] or []
    if not isinstance(own, Sequence) or not all(isinstance(callback, Callback) for callback in own):
        raise SettingsError(
            f"callbacks cannot be {own!r}: expected a list of hyotan.training.callbacks.Callback.",
            "Pass instances, in a list: callbacks=[MyCallback()].",
        )
    own = list(own)
    return [*own, ProgressReporter()] if settings["verbose"] else own


def _describe_codes(estimator: LatentEstimator, rows: EncodedRows, split: Split, refine: bool) -> None:
    """Note where the codes of the training rows lie, and what new ones are drawn from."""
    places = split.train[:: max(1, len(split.train) // DESCRIBED_ROWS)]
    codes = of_places(rows, places, estimator.inference_.encode).astype(np.float64)
    estimator.code_mean_ = codes.mean(axis=0)
    centred = codes - estimator.code_mean_
    estimator.code_covariance_ = centred.T @ centred / len(codes)
    estimator.sampler_, estimator.refiner_ = estimator.make_sampler(rows, places, codes), None
    preprocessor = estimator.preprocessor_
    if refine and preprocessor.is_category is not None and "refined rows" in estimator.family.traits:
        # The trees are grown on held-out rows too: nothing is chosen by them.
        some = some_rows(len(rows), fitted_rows(len(preprocessor.is_category)))
        estimator.refiner_ = Refiner(preprocessor, of_places(rows, some, preprocessor.condensed))


def of_places(rows: EncodedRows, places: np.ndarray, compute: Callable[..., np.ndarray]) -> np.ndarray:
    """A function of rows, of those at some places, (n,), read a part at a time."""
    size = rows_at_once(rows.shape[1:])
    return np.concatenate([compute(rows[places[at : at + size]]) for at in range(0, len(places), size)])
