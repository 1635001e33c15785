"""What every estimator shares: scikit-learn's contract, on top of a model, a scaling and a trainer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state  # pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.distributions import Distribution

from hyotan.conditionals import fitted_rows
from hyotan.container import write
from hyotan.data.frames import Frame, as_frame
from hyotan.data.stored import Array, Resident, StoredRows
from hyotan.densities import FITTED_ROWS, Mixture
from hyotan.distributions import Likelihood
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.build import (
    build_likelihood,
    build_networks,
    check_networks,
    choose_device,
    refuse_lone_rows,
    training_settings,
)
from hyotan.estimators.imputing import FEW_HIDDEN, MOST_HIDDEN, ImputesGaps
from hyotan.estimators.inputs import RANGE_SLACK, check_codes, check_count, check_rows, refuse_other_range
from hyotan.estimators.ranges import is_bounded, resolve
from hyotan.estimators.rows import (
    CHUNK,
    ScaledRows,
    Split,
    chunk_rows,
    in_memory,
    padded_chunks,
    resident,
    rows_of,
    split_of,
)
from hyotan.estimators.sampling import SamplingMixin
from hyotan.metrics import some_rows
from hyotan.mixed import MixedLikelihood
from hyotan.nn import Summary, summarise
from hyotan.noise import Hiding
from hyotan.objective import LatentModel
from hyotan.parameters import PARAMETERS, check_settings, parameters_of
from hyotan.scaling import has_gaps
from hyotan.tabular import TableScaling
from hyotan.training.callbacks import Callback, ProgressReporter
from hyotan.training.checkpoint import CheckpointStore, Snapshot, json_array, to_arrays
from hyotan.training.rows import Rows, TrainingRows, as_tensor
from hyotan.training.trainer import Trainer


class LatentEstimator(ImputesGaps, SamplingMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A model with a code, under scikit-learn's contract. The families below it say which model.

    Attributes
    ----------
    model_ : nn.Module
        The fitted model, with its best weights, in evaluation mode.
    feature_shape_ : tuple of int
        Shape of one sample.
    likelihood_ : str
        The likelihood's name, ``auto`` resolved.
    scaling_ : Scaling
        From the data's range to the model's.
    history_ : list of dict
        One an epoch; losses in nats a sample.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights were kept.
    range_ : tuple of float
        Lowest and highest value of the data in the model's range.
    train_seconds_ : float
        Time of the training loop alone.
    has_gaps_ : bool
        Whether it has learned to do with missing values, NaN: :meth:`impute` then fills them.
    """

    kind: ClassVar[str]
    code_outputs: ClassVar[int] = 1
    gaussian_default: ClassVar[str] = "gaussian"
    reads_ahead: ClassVar[bool] = True
    """Whether it can train on rows that stay in their file."""
    takes_gaps: ClassVar[bool] = True
    """Whether it can do with rows of which some values are missing."""
    takes_tables: ClassVar[bool] = True
    """Whether it can do with tables that have several kinds of columns."""

    # Parameters that every family has and that are read by name here and downstream.
    latent_dim: int
    binarise: str | None
    validation_fraction: float
    schedule: str
    device: str
    random_state: Any
    callbacks: Sequence[Callback] | None
    classes_: np.ndarray

    model_: LatentModel
    n_features_in_: int
    feature_names_in_: np.ndarray

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : (n, features), (n, height, width) or (n, channels, height, width); NaN is a gap: not observed. A memory map
            above 128 MiB is not copied, but read as training goes.
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
        if classes is not None and not isinstance(X, StoredRows) and isinstance(train, Rows):
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
                if self.has_gaps_:
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
        train: Rows,
        validation: Rows | None,
        batch_size: int,
    ) -> tuple[Rows, Rows | None]:
        """The rows with what is known of their classes, for a model that uses them."""
        raise NotImplementedError

    def _resolve(self, X: Array, split: Split, settings: dict[str, Any]) -> None:
        """Find out what the data are: shape, likelihood, scaling; refuse what does not fit together."""
        self.were_gaps_ = settings.get("gaps") == "always" or has_gaps(X)
        # A table's rows to come may have categories that none of these has: to a model they are gaps.
        self.has_gaps_ = self.were_gaps_ or (isinstance(X, Frame) and settings.get("gaps") == "auto")
        found = resolve(X, split.trained(X), settings, self.gaussian_default)
        shape = (found.scaling.width,) if isinstance(found.scaling, TableScaling) else X.shape[1:]
        self.feature_shape_ = tuple(int(size) for size in shape)
        self.likelihood_, self.scaling_, self.range_ = found.likelihood, found.scaling, (found.low, found.high)

    @property
    def _is_bounded(self) -> bool:
        """Whether the likelihood takes values of an interval alone."""
        return is_bounded(self.likelihood_)

    def _to_model(self, X: Any) -> np.ndarray:
        """Rows in the model's range, float32; a bounded likelihood with ``unit`` clips what lies outside."""
        scaled = self.scaling_.to_model(X)
        return scaled.clip(0.0, 1.0) if self._is_bounded and not self.scaling_.is_identity else scaled

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
        with_gaps = getattr(self, "has_gaps_", settings.get("gaps") == "always")
        encoder, decoder = build_networks(settings, shape, self.code_outputs, likelihood, with_gaps)
        if settings["encoder"] is not None or settings["decoder"] is not None:
            check_networks(encoder, decoder, shape, settings["latent_dim"], self.code_outputs, likelihood.outputs)
        model = self._make_model(encoder, decoder, likelihood, settings)
        model.hiding = self._hiding() if with_gaps else None
        return model

    def _hiding(self) -> Hiding:
        """What training hides of each row, so that the model learns to do with gaps."""
        scaling = getattr(self, "scaling_", None)
        if not isinstance(scaling, TableScaling):
            return Hiding(MOST_HIDDEN)
        return Hiding(MOST_HIDDEN if self.were_gaps_ else FEW_HIDDEN, scaling.column_of_slot)

    def _make_model(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> LatentModel:
        raise NotImplementedError

    def _rows(self, X: Array, split: Split, settings: dict[str, Any], seed: int) -> tuple[TrainingRows, Rows | None]:
        scaled = {"scaling": self.scaling_, "to_model": self._to_model, "device": self.device_}
        return rows_of(X, split, settings["binarise"], seed, **scaled)

    def _resident(self, X: Resident) -> Rows:
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
        if not isinstance(self.scaling_, TableScaling) or not self.redraws:
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

    def _prior(self) -> Mixture:
        return Mixture.single(self.code_mean_, self.code_covariance_)

    # -- using -------------------------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Codes, (n, latent_dim), float32: the code, or the posterior mean. Deterministic."""
        return self._encode(self._checked(X))

    def inverse_transform(self, Z: ArrayLike) -> np.ndarray:
        """Decode codes to the likelihood's mean, (n, *features), float32, in the data's own units.

        Parameters
        ----------
        Z : (n, latent_dim); of an ordered code its first k values, (n, k), are enough.
        """
        return self._to_data(self.decode_in_range(Z))

    def reconstruct(self, X: ArrayLike, size: int | None = None) -> np.ndarray:
        """X through the code and back, (n, *features), float32, in the data's own units. Deterministic.

        Of a table of several kinds of columns a table comes back, with the same columns, types and categories.

        Parameters
        ----------
        X : (n, *features)
        size : of an ordered code, so many of its first values; None for all.
        """
        X = self._checked(X)
        size = None if size is None else self._checked_size(size)
        # Not by way of transform, which gives a frame where set_output asks for one.
        decoded = self._batched(self._mean_at, self._encode(X)[:, :size])
        return self._to_data(decoded, like=X)

    def reconstruction_errors_by_size(self, X: ArrayLike) -> np.ndarray:
        """Mean squared error a feature, in the model's range, of each size of an ordered code: (latent_dim,), float64.

        Entry k - 1 belongs to the first k values: the whole curve of error against size, from one fit.

        Parameters
        ----------
        X : (n, *features)
        """
        rows = self._scaled(X)
        self._refuse_unordered("The error of each size")
        total = np.zeros(self.model_code_size)
        with torch.no_grad():
            for chunk, n in padded_chunks(rows):
                x = chunk.to(self.device_)
                code = self.model_.code(x)
                for size in range(1, self.model_code_size + 1):
                    error = self.model_.decode(code[:, :size]).mean.float() - x
                    total[size - 1] += float(error[:n].square().flatten(1).mean(1).sum())
        return total / len(rows)

    def in_range(self, X: ArrayLike) -> np.ndarray:
        """X scaled to the model's range, (n, *features), float32."""
        return self._scaled(X).whole()

    def decode_in_range(self, Z: ArrayLike) -> np.ndarray:
        """:meth:`inverse_transform`, but in the model's range: of a table's categories their probabilities."""
        check_is_fitted(self)
        codes = check_codes(Z, self.model_code_size, smallest=1 if self.model_.is_ordered else None)
        return self._batched(self._mean_at, codes)

    def reconstruct_in_range(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """X and its reconstruction, both in the model's range, (n, *features) each."""
        scaled = self.in_range(X)
        return scaled, self.reconstruct_scaled(scaled)

    def reconstruct_scaled(self, rows: np.ndarray, size: int | None = None) -> np.ndarray:
        """Rows that are in the model's range already through the code and back, (n, *features), float32.

        Parameters
        ----------
        rows : (n, *features)
        size : of an ordered code, so many of its first values; None for all.
        """
        check_is_fitted(self)
        if size is None:
            return self._batched(self.model_.reconstruct, rows)
        cut = self._checked_size(size)
        return self._batched(lambda x: self._mean_at(self.model_.code(x)[:, :cut]), rows)

    def interpolate(self, a: ArrayLike, b: ArrayLike, steps: int = 11) -> np.ndarray:
        """Decode the straight line between the codes of two samples.

        Parameters
        ----------
        a, b : (*features)
        steps : samples on the way, both ends included.

        Returns
        -------
        (steps, *features)
        """
        start, end = self._encode(self._checked(self._pair(a, b)))
        share = np.linspace(0, 1, check_count("steps", steps), dtype=np.float32)[:, None]
        return self.inverse_transform((1 - share) * start + share * end)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """log p(x | code of x), (n,), in nats on the model's range: higher is more like the training data."""
        return self._batched(self._log_likelihood, self._scaled(X))

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def loss_samples(self, X: ArrayLike, random_state: int = 0) -> dict[str, np.ndarray]:
        """What training minimises, at its final weights, a row: ``loss``, ``reconstruction``, ``kl``, ``label``.

        (n,) each, and (n, latent) for ``kl``; see :class:`hyotan.objective.Terms`.

        Parameters
        ----------
        X : (n, *features)
        random_state : seed of the objective's noise.
        """
        rows = self._scaled(X)
        parts: list[dict[str, np.ndarray]] = []
        with self._seeded(random_state), torch.no_grad():
            for start in range(0, len(rows), CHUNK):
                terms = self.model_.objective(as_tensor(rows[start : start + CHUNK]).to(self.device_))
                named = {
                    "loss": terms.loss,
                    "reconstruction": terms.reconstruction,
                    "kl": terms.kl,
                    "label": terms.label,
                }
                parts.append({name: value.float().cpu().numpy() for name, value in named.items() if value is not None})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

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
            "has_gaps": self.has_gaps_,
            "were_gaps": self.were_gaps_,
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
            **(self.filling_.arrays() if self.has_gaps_ else {}),
            **{f"density/{name}": array for name, array in self.density_.to_arrays().items()},
            **({f"trees/{name}": array for name, array in trees.to_arrays().items()} if trees else {}),
        }

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def model_code_size(self) -> int:
        """Size of the fitted model's code (``latent_dim`` may have been set anew since)."""
        return len(self.code_mean_)

    def _refuse_unordered(self, what: str) -> None:
        if not self.model_.is_ordered:
            raise SettingsError(
                f"{what} needs an ordered code; the code of this {type(self).__name__} cannot be cut.",
                "Fit it with ordered=True.",
            )

    def _checked_size(self, size: int) -> int:
        """A size that an ordered code can be cut to."""
        self._refuse_unordered(f"size={size!r}")
        if isinstance(size, bool) or not isinstance(size, Integral) or not 1 <= size <= self.model_code_size:
            raise SettingsError(
                f"size cannot be {size!r}.", f"Expected an integer from 1 to {self.model_code_size}, the code's size."
            )
        return int(size)

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

    def _to_data(self, rows: np.ndarray, like: Any = None) -> Any:
        """Rows in the model's range, (n, *features), as the data are; as a table of the kind that ``like`` is."""
        if isinstance(self.scaling_, TableScaling):
            return self.scaling_.to_frame(rows).given_back(like.library if isinstance(like, Frame) else None)
        return self.scaling_.to_data(rows)

    def _scaled(self, X: ArrayLike) -> ScaledRows:
        """X, checked, to be scaled as it is taken."""
        return ScaledRows(self._checked(X), self._to_model)

    def _checked(self, X: ArrayLike) -> Array:
        return self._checked_within(X, RANGE_SLACK)

    def _checked_within(self, X: ArrayLike, slack: float) -> Array:
        """X, checked; of a bounded likelihood it may leave [0, 1] by so much."""
        check_is_fitted(self)
        X = check_rows(self, X, reset=False)
        if self._is_bounded and not isinstance(X, Frame):
            refuse_other_range(X, self.scaling_, slack)
        return X

    @staticmethod
    def _pair(a: ArrayLike, b: ArrayLike) -> Any:
        if (frame := as_frame(a)) is not None:
            return frame.joined(as_frame(b))
        ends = np.asarray(a), np.asarray(b)
        if ends[0].shape != ends[1].shape:
            raise DataError(
                f"a has shape {ends[0].shape}, b {ends[1].shape}; expected two samples of one shape.",
                "Pass single rows, such as X[0] and X[1].",
            )
        return np.stack(ends)

    def _encode(self, X: Array) -> np.ndarray:
        return self._batched(self.model_.code, ScaledRows(X, self._to_model))

    def _decoded(self, z: Tensor) -> Distribution:
        return self.model_.decode(z)

    def _likelihood_draws(
        self, decoded: Callable[..., Distribution], random: np.random.RandomState, *given: np.ndarray
    ) -> Any:
        with self._seeded(int(random.randint(2**31))):
            return self._to_data(self._batched(lambda *parts: decoded(*parts).sample(), *given))

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        """torch's draws from a seed, its global generators left as they were."""
        with torch.random.fork_rng(devices=[self.device_] if self.device_.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    def _mean_at(self, z: Tensor) -> Tensor:
        return self._decoded(z).mean

    def _log_likelihood(self, x: Tensor) -> Tensor:
        return self._decoded(self.model_.code(x)).log_prob(x)

    def _batched(self, compute: Callable[..., Tensor], *values: np.ndarray | ScaledRows) -> np.ndarray:
        """Apply a row-wise function to float32 rows, chunk by chunk, each row's bits independent of its company.

        Several arrays of as many rows become several arguments.
        """
        result, done = np.empty(0, dtype=np.float32), 0
        size = min(chunk_rows(rows.shape[1:]) for rows in values)
        with torch.no_grad():
            for chunks in zip(*(padded_chunks(rows, size) for rows in values), strict=True):
                n = chunks[0][1]
                part = compute(*(x.to(self.device_) for x, _ in chunks))[:n].float().cpu().numpy()
                if not done:
                    result = np.empty((len(values[0]), *part.shape[1:]), dtype=np.float32)
                result[done : done + n] = part
                done += n
        return result

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "code_mean_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # pyrefly: ignore[missing-attribute]
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.takes_gaps and getattr(self, "gaps", "auto") != "never"
        tags.non_deterministic = False
        return tags

    @property
    def _n_features_out(self) -> int:
        """How many columns ``transform`` gives: scikit-learn names them."""
        return self.model_code_size
