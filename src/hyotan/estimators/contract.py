"""What every estimator shares: scikit-learn's contract, on top of a model, a scaling and a trainer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state  # pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import check_is_fitted
from torch import nn

from hyotan.data.frames import Frame
from hyotan.data.stored import Array, Resident, StoredRows
from hyotan.distributions.likelihoods import Likelihood
from hyotan.distributions.mixed import MixedLikelihood
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.build import (
    build_likelihood,
    build_networks,
    check_networks,
    choose_device,
    refuse_lone_rows,
    training_settings,
)
from hyotan.estimators.fitted import FittedModel
from hyotan.estimators.imputing import MAX_MASKED, MAX_MASKED_COMPLETE
from hyotan.estimators.inputs import check_rows
from hyotan.estimators.ranges import resolve
from hyotan.estimators.rows import Split, chunk_rows, in_memory, resident, rows_of, split_of
from hyotan.files.container import write
from hyotan.metrics import some_rows
from hyotan.models.latent_model import LatentModel
from hyotan.models.noise import RandomMask
from hyotan.models.summary import Summary, summarise
from hyotan.parameters import PARAMETERS, check_settings, parameters_of
from hyotan.preprocessing.scaling import has_missing
from hyotan.preprocessing.tabular import TableScaling
from hyotan.sampling.conditionals import fitted_rows
from hyotan.sampling.densities import FITTED_ROWS
from hyotan.training.callbacks import Callback, ProgressReporter
from hyotan.training.checkpoint import CheckpointStore, Snapshot, json_array, to_arrays
from hyotan.training.resident import ResidentRows, TrainingRows
from hyotan.training.trainer import Trainer


class LatentEstimator(FittedModel):
    """A model with a code, under scikit-learn's contract. The families below it say which model."""

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : (n, features), (n, height, width) or (n, channels, height, width); NaN is a missing value: not observed. A
            memory map above 128 MiB is not copied, but read as training goes.
        y : (n,), labels, for models that use them; the others make nothing of it.

        Raises
        ------
        SettingsError, DataError : before the first step.
        DivergenceError : with the best state before that kept in ``model_``.
        """
        with self.training(X, y) as trainer:
            trainer.fit()
        return self

    @contextmanager
    def training(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        store: CheckpointStore | None = None,
        snapshot: Snapshot | None = None,
        max_epochs: int | None = None,
    ) -> Iterator[Trainer]:
        """Everything about :meth:`fit` but the training itself, which belongs into the ``with`` block.

        Parameters
        ----------
        X, y : as in ``fit``; to go on with the same bits, the same data.
        store : where checkpoints go.
        snapshot : where to go on from.
        max_epochs : a later last epoch than the snapshot's.

        Yields
        ------
        Trainer
            Ready to train this estimator's model; what it has learned when the block ends, the estimator has learned.
        """
        settings = self.settings()
        X = check_rows(self, X, reset=True)
        X = X if self.reads_ahead else in_memory(X, type(self).__name__)
        random = check_random_state(self.random_state)
        split = split_of(X, settings["validation_fraction"], settings["validation_rows"], random)
        seed = int(random.randint(2**31))
        if settings["early_stopping"] is not None and len(split.validation) == 0:
            raise SettingsError(
                f"early_stopping needs held-out rows; of {len(X)} rows none are held out.",
                "Raise validation_fraction, or pass early_stopping=None.",
            )
        classes = self._read_labels(y, len(X), settings, seed)
        self._resolve(X, split, settings)
        self._build(settings, seed)
        train, validation = self._rows(X, split, settings, seed)
        how = training_settings(settings, len(train), seed)
        refuse_lone_rows(self.model_, len(train), how.batch_size)
        if classes is not None and not isinstance(X, StoredRows) and isinstance(train, ResidentRows):
            train, validation = self._with_classes(X, classes, split, train, validation, how.batch_size)
        trainer = Trainer(self.model_, train, validation, how, self._callbacks(settings), store, self._to_model)
        if snapshot is not None:
            trainer.restore(snapshot)
        if max_epochs is not None:
            trainer.extend(max_epochs)
        # What an earlier fit left must not make this one count as fitted, should it end before its first epoch does.
        vars(self).pop("code_mean_", None)
        try:
            yield trainer
        finally:
            self._learned(trainer)
            if trainer.best_state:  # stopped or diverged after an epoch, it is still a model that can be used
                self._fit_codes(X, split)
                if self.handles_missing_:
                    self._fit_filling(X, split)

    def settings(self) -> dict[str, Any]:
        """The parameters, checked and in plain Python types.

        Raises
        ------
        SettingsError
            Names the parameter, what arrived and what was expected.
        """
        return check_settings(self.kind, {p.name: getattr(self, p.name) for p in parameters_of(self.kind)})

    def _read_labels(self, y: Any, n: int, settings: dict[str, Any], seed: int) -> np.ndarray | None:
        """The classes of the rows, (n,), -1 where unknown; None for a model that uses no labels."""
        return None

    def _with_classes(
        self,
        X: Resident,
        classes: np.ndarray,
        split: Split,
        train: ResidentRows,
        validation: ResidentRows | None,
        batch_size: int,
    ) -> tuple[ResidentRows, ResidentRows | None]:
        """The rows with what is known of their classes, for a model that uses them."""
        raise NotImplementedError

    def _resolve(self, X: Array, split: Split, settings: dict[str, Any]) -> None:
        """Find out what the data are: shape, likelihood, scaling; refuse what does not fit together."""
        self.had_missing_ = settings.get("handle_missing") == "always" or has_missing(X)
        # A table's rows to come may have categories that none of these has: to a model they are missing values.
        self.handles_missing_ = self.had_missing_ or (isinstance(X, Frame) and settings.get("handle_missing") == "auto")
        found = resolve(X, split.trained(X), settings, self.gaussian_default)
        shape = (found.scaling.width,) if isinstance(found.scaling, TableScaling) else X.shape[1:]
        self.feature_shape_ = tuple(int(size) for size in shape)
        self.likelihood_, self.scaling_, self.range_ = found.likelihood, found.scaling, (found.low, found.high)

    def _build(self, settings: dict[str, Any], seed: int = 0) -> None:
        """Make the model, its weights drawn from the seed; torch's global generator is left as it was."""
        likelihood = self._likelihood(settings)
        self.device_ = choose_device(settings["device"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model_ = self._assemble(likelihood, settings, self.feature_shape_).to(self.device_)

    def _likelihood(self, settings: dict[str, Any]) -> Likelihood:
        if isinstance(self.scaling_, TableScaling):
            return MixedLikelihood(self.scaling_)
        return build_likelihood(self.likelihood_, settings, self.feature_shape_)

    def _assemble(self, likelihood: Likelihood, settings: dict[str, Any], shape: tuple[int, ...]) -> LatentModel:
        """The model with new networks, for samples of a shape."""
        with_missing = getattr(self, "handles_missing_", settings.get("handle_missing") == "always")
        outputs = self.family.outputs_per_dimension
        encoder, decoder = build_networks(settings, shape, outputs, likelihood, with_missing)
        if settings["encoder"] is not None or settings["decoder"] is not None:
            check_networks(
                encoder, decoder, shape, settings["latent_dim"], self.family.outputs_per_dimension, likelihood.outputs
            )
        model = self._make_model(encoder, decoder, likelihood, settings)
        model.input_mask = self._input_mask() if with_missing else None
        return model

    def _input_mask(self) -> RandomMask:
        """What training hides of each row, so that the model learns to handle missing values."""
        scaling = getattr(self, "scaling_", None)
        if not isinstance(scaling, TableScaling):
            return RandomMask(MAX_MASKED)
        return RandomMask(MAX_MASKED if self.had_missing_ else MAX_MASKED_COMPLETE, scaling.column_of_feature)

    def _make_model(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> LatentModel:
        raise NotImplementedError

    def _rows(
        self, X: Array, split: Split, settings: dict[str, Any], seed: int
    ) -> tuple[TrainingRows, ResidentRows | None]:
        scaled = {"scaling": self.scaling_, "to_model": self._to_model, "device": self.device_}
        return rows_of(X, split, settings["binarise"], seed, **scaled)

    def _resident(self, X: Resident) -> ResidentRows:
        return resident(X, self.scaling_, self._to_model, self.device_)

    def _callbacks(self, settings: dict[str, Any]) -> list[Callback]:
        own = settings["callbacks"] or []
        if not isinstance(own, Sequence) or not all(isinstance(callback, Callback) for callback in own):
            raise SettingsError(
                f"callbacks cannot be {own!r}: expected a list of hyotan.training.callbacks.Callback.",
                "Pass instances, in a list: callbacks=[MyCallback()].",
            )
        own = list(own)
        return [*own, ProgressReporter()] if settings["verbose"] else own

    def _learned(self, trainer: Trainer) -> None:
        self.history_ = trainer.history
        self.n_iter_, self.best_epoch_ = trainer.epoch, trainer.best_epoch
        self.train_seconds_ = trainer.train_seconds

    def _fit_codes(self, X: Array, split: Split) -> None:
        """Note where the codes of the training rows lie: mean (latent,) and covariance (latent, latent)."""
        rows = split.train[:: max(1, len(split.train) // 20_000)]
        codes = self._of_places(self._encode, X, rows).astype(np.float64)
        self.code_mean_ = codes.mean(axis=0)
        centred = codes - self.code_mean_
        self.code_covariance_ = centred.T @ centred / len(codes)
        self._codes_of_groups, self._density = self._groups_of_codes(X, rows, codes), None
        self._condensed, self._conditionals = self._rows_of_trees(X), None

    def _rows_of_trees(self, X: Array) -> np.ndarray | None:
        """Of a table the rows that trees are grown on, one number a column; held-out ones too: nothing is chosen."""
        if not isinstance(self.scaling_, TableScaling) or not self.refines:
            return None
        places = some_rows(len(X), fitted_rows(len(self.scaling_.is_category)))
        return self._of_places(lambda rows: self.scaling_.condensed(self._to_model(rows)), X, places)

    def _of_places(self, compute: Callable[[Array], np.ndarray], X: Array, places: np.ndarray) -> np.ndarray:
        """A function of rows, of those at some places in X, (n,), read a part at a time."""
        size = chunk_rows(X.shape[1:])
        return np.concatenate([compute(X[places[at : at + size]]) for at in range(0, len(places), size)])

    def _groups_of_codes(self, X: Array, places: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
        """The codes that a density is fitted to, by group; of some training rows their places in X and their codes."""
        return [codes[some_rows(len(codes), FITTED_ROWS)]]

    def summary(self, feature_shape: tuple[int, ...] | None = None) -> Summary:
        """Layers, shapes and parameters; before ``fit``, for samples of the shape given.

        Parameters
        ----------
        feature_shape : shape of one sample; only needed before ``fit``.
        """
        model, shape = self._model_to_summarise(feature_shape)
        decoder = [*model.decoder] if type(model.decoder) is nn.Sequential else [model.decoder]
        if model.likelihood.link is not None:
            # The link belongs before the pure reshape at the end, where the values are still a vector.
            at = len(decoder) - isinstance(decoder[-1], nn.Unflatten)
            decoder.insert(at, model.likelihood.link())
        return summarise(nn.Sequential(model.encoder, *self._code_of(), *decoder), shape)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file, atomically; read it with :func:`hyotan.load`."""
        check_is_fitted(self)
        write(Path(path), kind=self.kind, settings=self.saved_settings(), tensors=self.saved_arrays())

    def saved_settings(self) -> dict[str, Any]:
        """What the model file says of this estimator, beside its tensors."""
        settings = self.settings()
        if not isinstance(settings["random_state"], int):
            settings["random_state"] = None  # a generator's state is past: what it drew is in the weights
        return {
            "parameters": {name: value for name, value in settings.items() if PARAMETERS[name].on_command_line},
            "table": self.scaling_.to_settings() if isinstance(self.scaling_, TableScaling) else None,
            "own_modules": [name for name in ("encoder", "decoder") if settings.get(name) is not None],
            "feature_shape": list(self.feature_shape_),
            "feature_names": [str(name) for name in getattr(self, "feature_names_in_", ())],
            "likelihood": self.likelihood_,
            "range": list(self.range_),
            "n_iter": self.n_iter_,
            "best_epoch": self.best_epoch_,
            "train_seconds": self.train_seconds_,
            "has_missing": self.handles_missing_,
            "had_missing": self.had_missing_,
        }

    def saved_arrays(self) -> dict[str, np.ndarray]:
        """What the model file holds: weights, scaling, where codes lie, their density, trees, the history as JSON."""
        trees = self.conditionals_
        return to_arrays(self.model_.state_dict(), "model") | {
            "scaling/offset": self.scaling_.offset,
            "scaling/factor": self.scaling_.factor,
            "codes/mean": self.code_mean_,
            "codes/covariance": self.code_covariance_,
            "history": json_array(self.history_),
            **({"table/schema": self.scaling_.schema_array()} if isinstance(self.scaling_, TableScaling) else {}),
            **(self.filling_.arrays() if self.handles_missing_ else {}),
            **{f"density/{name}": array for name, array in self.density_.to_arrays().items()},
            **({f"trees/{name}": array for name, array in trees.to_arrays().items()} if trees else {}),
        }

    # -- inside ------------------------------------------------------------------------------------------------------

    def _model_to_summarise(self, feature_shape: tuple[int, ...] | None) -> tuple[LatentModel, tuple[int, ...]]:
        if hasattr(self, "model_"):
            return self.model_, self.feature_shape_
        if feature_shape is None:
            raise DataError(
                f"This {type(self).__name__} is not fitted: the shape of a sample is not known.",
                "Pass it: summary((28, 28)).",
            )
        settings = self.settings()
        name = "bernoulli" if settings["likelihood"] == "auto" else settings["likelihood"]
        likelihood = build_likelihood(name, settings, feature_shape)
        return self._assemble(likelihood, settings, feature_shape), feature_shape

    def _code_of(self) -> list[nn.Module]:
        """What turns the encoder's output into a code, as a layer; nothing where it is one."""
        return []
