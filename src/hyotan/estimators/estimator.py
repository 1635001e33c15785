"""What every estimator shares: scikit-learn's contract, and the parts that it is made of.

A fitted estimator holds a preprocessor (what kind of rows), an inference (the trained model), a sampler of codes and,
where it can, a filler of missing values and a refiner of new rows. Its methods check what the user passes, and
delegate (docs/decisions/0030).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state  # pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import check_is_fitted
from torch import nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.errors import DataError, SettingsError
from hyotan.estimators import learning
from hyotan.estimators.build import likelihood_by_name
from hyotan.estimators.inputs import MISSING_FIX, check_codes, check_count, check_rows, paired, refuse_new_missing
from hyotan.estimators.splits import Split
from hyotan.estimators.store import save_model
from hyotan.metrics import some_rows
from hyotan.models.families import Family
from hyotan.models.latent_model import LatentModel
from hyotan.models.noise import RandomMask
from hyotan.models.summary import Summary, summarise
from hyotan.parameters.table import check_settings, parameters_of
from hyotan.preprocessing.checks import RANGE_SLACK
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.sampling.code_sampler import DENSITY, CodeSampler
from hyotan.sampling.densities import FITTED_ROWS, Mixture
from hyotan.training.callbacks import Callback
from hyotan.training.resident import ResidentRows


@dataclass(repr=False, eq=False)
class LatentEstimator(learning.Learned, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A model with a code, under scikit-learn's contract. The families below it say which model.

    The parameters are those of every family; :mod:`hyotan.parameters` has their domains and their help.

    Attributes
    ----------
    preprocessor_ : Preprocessor
        What kind of rows it was fitted on, and how they become the model's numbers and back.
    inference_ : Inference
        The trained model, with its best weights.
    sampler_ : CodeSampler
        Where the codes of new rows come from.
    filler_ : MissingValueFiller
        Of a model that has learned to handle missing values.
    refiner_ : Refiner or None
        Of a table with several kinds of columns: draws each column of new rows again given the others.
    code_mean_, code_covariance_ : ndarray
        Where the codes of the training rows lie, (latent,) and (latent, latent).
    history_ : list of dict
        One an epoch; losses in nats a sample.
    n_iter_, best_epoch_ : int
        Epochs trained, and the one whose weights were kept.
    train_seconds_ : float
        Time of the training loop alone.
    handles_missing_ : bool
        Whether it has learned to handle missing values, NaN: :meth:`impute` then fills them.
    """

    latent_dim: int = 16
    _: KW_ONLY
    hidden_dims: Sequence[int] | str = "auto"
    activation: str = "gelu"
    architecture: str = "auto"
    channels: Sequence[int] = (32, 64)
    output_activation: str | None = None
    layout: str = "auto"
    likelihood: str = "auto"
    likelihood_scale: float = 1.0
    column_kinds: Mapping[str, str] | None = None
    scaling: str = "auto"
    binarise: str | None = None
    validation_fraction: float = 0.1
    validation_rows: str = "random"
    max_epochs: int | str = "auto"
    batch_size: int | str = "auto"
    optimizer: str = "adamw"
    learning_rate: float | str = "auto"
    weight_decay: float = 1e-3
    schedule: str = "one-cycle"
    grad_clip: float | None = None
    initialisation: str = "default"
    shuffle: bool = True
    early_stopping: int | None = None
    device: str = "auto"
    precision: str = "fp32"
    random_state: Any = None
    callbacks: Sequence[Callback] | None = None
    verbose: int = 0

    family: ClassVar[Family]
    kind: ClassVar[str]
    missing_fix: ClassVar[str] = MISSING_FIX

    def __init_subclass__(cls, **options: Any) -> None:
        """Name the kind of a family's own class."""
        super().__init_subclass__(**options)
        if "family" in vars(cls):
            cls.kind = cls.family.kind

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X.

        Parameters
        ----------
        X : (n, features), (n, height, width) or (n, channels, height, width), or a table with columns of several kinds;
            NaN is a missing value. A memory map above 128 MiB is not copied, but read as training goes.
        y : (n,), labels, for models that use them; the others make nothing of it.

        Raises
        ------
        SettingsError, DataError : before the first step.
        DivergenceError : with the best state before that kept in ``model_``.
        """
        with self.training(X, y) as trainer:
            trainer.fit()
        return self

    training = learning.training

    def settings(self) -> dict[str, Any]:
        """The parameters, checked and in plain Python types.

        Raises
        ------
        SettingsError
            Names the parameter, what arrived and what was expected.
        """
        return check_settings(self.kind, {p.name: getattr(self, p.name) for p in parameters_of(self.kind)})

    # -- what differs between families ---------------------------------------------------------------------------------

    def read_labels(self, y: Any, n: int, settings: dict[str, Any], seed: int) -> np.ndarray | None:
        """The classes of the rows, (n,), -1 where unknown; None for a model that uses no labels."""
        return None

    def with_classes(
        self,
        rows: EncodedRows,
        classes: np.ndarray,
        split: Split,
        train: Any,
        validation: ResidentRows | None,
        batch_size: int,
    ) -> tuple[ResidentRows, ResidentRows | None]:
        """The rows with what is known of their classes, for a model that uses them."""
        raise NotImplementedError

    def make_model(
        self, likelihood: Likelihood, settings: dict[str, Any], shape: tuple[int, ...], with_missing: bool
    ) -> LatentModel:
        """The family's model, with new networks for samples of a shape.

        Parameters
        ----------
        likelihood : p(x|z).
        settings : the parameters, checked.
        shape : of one sample.
        with_missing : whether it is to handle missing values.
        """
        raise NotImplementedError

    def prior(self) -> Mixture:
        """What codes follow: N(0, I) by the family's objective, else the Gaussian that describes the training rows'."""
        if self.family.prior:
            return Mixture.standard(self.model_code_size)
        return Mixture.single(self.code_mean_, self.code_covariance_)

    def make_sampler(self, rows: EncodedRows, places: np.ndarray, codes: np.ndarray) -> CodeSampler:
        """What draws new codes, given some training rows, their places among all, and their codes."""
        return CodeSampler(self.prior(), [codes[some_rows(len(codes), FITTED_ROWS)]])

    def code_layers(self) -> list[nn.Module]:
        """What turns the encoder's output into a code, as a layer for the summary; nothing where it is one."""
        return []

    # -- codes and back ------------------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike | EncodedRows) -> np.ndarray:
        """Codes, (n, latent_dim), float32: the code, or the posterior mean. Deterministic."""
        rows = self.encode_rows(X)
        return self.inference_.encode(rows)

    def inverse_transform(self, Z: ArrayLike) -> np.ndarray:
        """Decode codes to the likelihood's mean, (n, *features), float32, in the data's own units.

        Parameters
        ----------
        Z : (n, latent_dim); of an ordered code its first k values, (n, k), are enough.
        """
        decoded = self.decode_in_range(Z)
        return self.preprocessor_.to_data(decoded)

    def reconstruct(self, X: ArrayLike) -> Any:
        """X through the code and back, (n, *features), float32, in the data's own units. Deterministic.

        Of a table of several kinds of columns a table comes back, with the same columns, types and categories.

        Parameters
        ----------
        X : (n, *features)
        """
        rows = self.encode_rows(X)
        return self.preprocessor_.to_data(self.reconstruct_scaled(rows), like=rows.original)

    def reconstruct_scaled(self, rows: Any, size: int | None = None) -> np.ndarray:
        """Rows that are in the model's range already through the code and back, (n, *features), float32.

        Parameters
        ----------
        rows : (n, *features), or :class:`~hyotan.preprocessing.encoded.EncodedRows`.
        size : for families with an ordered code.
        """
        check_is_fitted(self)
        return self.inference_.reconstruct(rows)

    def in_range(self, X: ArrayLike) -> np.ndarray:
        """X scaled to the model's range, (n, *features), float32."""
        return self.encode_rows(X).numbers

    def decode_in_range(self, Z: ArrayLike) -> np.ndarray:
        """:meth:`inverse_transform`, but in the model's range: of a table's categories their probabilities."""
        check_is_fitted(self)
        smallest = 1 if self.model_.is_ordered else None
        return self.inference_.decode(check_codes(Z, self.model_code_size, smallest))

    def reconstruct_in_range(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """X and its reconstruction, both in the model's range, (n, *features) each."""
        rows = self.encode_rows(X).held()
        return rows.numbers, self.inference_.reconstruct(rows)

    def interpolate(self, a: ArrayLike, b: ArrayLike, steps: int = 11) -> Any:
        """Decode the straight line between the codes of two samples.

        Parameters
        ----------
        a, b : (*features)
        steps : samples on the way, both ends included.

        Returns
        -------
        (steps, *features)
        """
        ends = self.encode_rows(paired(a, b))
        start, end = self.inference_.encode(ends)
        share = np.linspace(0, 1, check_count("steps", steps), dtype=np.float32)[:, None]
        return self.inverse_transform((1 - share) * start + share * end)

    # -- scores --------------------------------------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike | EncodedRows) -> np.ndarray:
        """log p(x | code of x), (n,), in nats on the model's range: higher is more like the training data."""
        rows = self.encode_rows(X)
        return self.inference_.log_prob(rows)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def loss_samples(self, X: ArrayLike | EncodedRows, random_state: int = 0) -> dict[str, np.ndarray]:
        """What training minimises, at its final weights, a row: ``loss``, ``reconstruction``, ``kl``, ``label``.

        (n,) each, and (n, latent) for ``kl``; see :class:`hyotan.training.objective.Terms`.

        Parameters
        ----------
        X : (n, *features)
        random_state : seed of the objective's noise.
        """
        rows = self.encode_rows(X)
        return self.inference_.objective(rows, random_state)

    # -- new rows ------------------------------------------------------------------------------------------------------

    def sample(
        self,
        n_samples: int = 1,
        random_state: Any = None,
        *,
        sampler: str = DENSITY,
        drawn: bool | None = None,
        refined: bool | None = None,
    ) -> Any:
        """New samples: the likelihood's mean at codes drawn from :meth:`sample_codes`.

        Rows of a table with several kinds of columns have missing values where rows of the table had; :meth:`impute`
        fills them.

        Parameters
        ----------
        n_samples : how many.
        random_state : int, RandomState or None.
        sampler : where the codes come from, as for :meth:`sample_codes`.
        drawn : draw each sample from the likelihood p(x|z) instead of giving its mean: with the noise that the data
            have, black and white where the likelihood is Bernoulli. By default (None) rows of a table with several
            kinds of columns are drawn, for a mean has no category, and of everything else the mean is given.
        refined : draw each column of such a table again given the row's other ones (see
            :mod:`hyotan.sampling.conditionals`), so that what the code gives up of how they hang together is there
            again. By default where rows are drawn.

        Returns
        -------
        (n_samples, *features), in the data's own units; a table where the model was fitted on one.
        """
        random = check_random_state(random_state)
        codes = self.sample_codes(n_samples, random, sampler=sampler)
        drawn = self.preprocessor_.draws_rows if drawn is None else drawn
        refined = drawn and self.refiner_ is not None if refined is None else refined
        if not drawn:
            rows = self.inverse_transform(codes)
        else:
            rows = self.preprocessor_.to_data(self.inference_.draws(self.model_.decode, random, codes))
        return self._refined(rows, random) if refined else rows

    def _refined(self, rows: Any, random: np.random.RandomState) -> Any:
        if self.refiner_ is None:
            raise SettingsError(
                f"refined=True: this {type(self).__name__} has no trees that give a column by the others.",
                "Leave it out, or fit the model to a table with several kinds of columns.",
            )
        return self.preprocessor_.to_data(self.refiner_.refine(self.preprocessor_.to_model(rows), random))

    def sample_codes(self, n_samples: int = 1, random_state: Any = None, *, sampler: str = DENSITY) -> np.ndarray:
        """New codes, (n_samples, latent_dim), float32.

        Parameters
        ----------
        n_samples : how many.
        random_state : int, RandomState or None.
        sampler : ``density``, the mixture of Gaussians fitted to the codes of the training rows; or ``prior``,
            N(0, I) where the family has a prior. An autoencoder has none: in its place stands one Gaussian with the
            codes' mean and covariance.
        """
        check_is_fitted(self)
        n = check_count("n_samples", n_samples)
        return self.sampler_.draw(n, check_random_state(random_state), sampler)

    def code_log_density(self, Z: ArrayLike) -> np.ndarray:
        """Log density of codes under the mixture fitted to those of the training rows, (n,), float64, in nats.

        Higher is more like the training rows' codes.

        Parameters
        ----------
        Z : (n, latent_dim), such as ``transform(X)``.
        """
        check_is_fitted(self)
        return self.sampler_.log_density(check_codes(Z, self.model_code_size))

    # -- the estimator as a whole --------------------------------------------------------------------------------------

    def encode_rows(self, X: Any, slack: float = RANGE_SLACK) -> EncodedRows:
        """X, checked, for the model; rows that this model's preprocessor has encoded are taken as they are.

        Parameters
        ----------
        X : (n, *features)
        slack : how far values may leave the range of a bounded likelihood.

        Raises
        ------
        DataError
            Rows that the model cannot read: says why, and what to do.
        """
        check_is_fitted(self)
        if isinstance(X, EncodedRows):
            if X.preprocessor is self.preprocessor_:
                return X
            X = X.original  # another model's numbers: what it read may be more than this one can
        rows = self.preprocessor_.encode(check_rows(self, X, reset=False), slack)
        refuse_new_missing(self, rows)
        return rows

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
        return summarise(nn.Sequential(model.encoder, *self.code_layers(), *decoder), shape)

    def _model_to_summarise(self, feature_shape: tuple[int, ...] | None) -> tuple[LatentModel, tuple[int, ...]]:
        if hasattr(self, "inference_"):
            return self.model_, self.feature_shape_
        if feature_shape is None:
            raise DataError(
                f"This {type(self).__name__} is not fitted: the shape of a sample is not known.",
                "Pass it: summary((28, 28)).",
            )
        settings = self.settings()
        name = "bernoulli" if settings["likelihood"] == "auto" else settings["likelihood"]
        likelihood = likelihood_by_name(name, settings, feature_shape)
        input_mask = RandomMask(learning.MAX_MASKED) if settings.get("handle_missing") == "always" else None
        return learning.assemble(self, likelihood, settings, feature_shape, input_mask), feature_shape

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to one file, atomically; read it with :func:`hyotan.load`."""
        check_is_fitted(self)
        save_model(self, Path(path))

    @property
    def model_(self) -> Any:
        """The trained network, in evaluation mode."""
        return self.inference_.model

    @property
    def device_(self) -> torch.device:
        """Where the network is."""
        return self.inference_.device

    @property
    def feature_shape_(self) -> tuple[int, ...]:
        """Shape of one sample, as the network takes it."""
        return self.preprocessor_.feature_shape

    @property
    def likelihood_(self) -> str:
        """The likelihood's name, ``auto`` resolved."""
        return self.preprocessor_.likelihood

    @property
    def range_(self) -> tuple[float, float]:
        """Lowest and highest value of the data in the model's range."""
        return self.preprocessor_.range

    @property
    def density_(self) -> Mixture:
        """The mixture fitted to the codes of the training rows."""
        check_is_fitted(self)
        return self.sampler_.density

    @property
    def model_code_size(self) -> int:
        """Size of the fitted model's code (``latent_dim`` may have been set anew since)."""
        return len(self.code_mean_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "code_mean_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # pyrefly: ignore[missing-attribute]
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.supports_missing and getattr(self, "handle_missing", "auto") != "never"
        tags.non_deterministic = False
        return tags

    @property
    def supports_missing(self) -> bool:
        """Whether it can handle rows of which some values are missing."""
        return "missing values" in self.family.traits

    @property
    def _n_features_out(self) -> int:
        """How many columns ``transform`` gives: scikit-learn names them."""
        return self.model_code_size
