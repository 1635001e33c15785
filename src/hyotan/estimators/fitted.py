"""What a fitted model does: codes, reconstructions, walks and scores of rows, each row by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags  # pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.distributions import Distribution

from hyotan.data.frames import Frame, as_frame
from hyotan.data.stored import Array
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.imputing import ImputesMissing
from hyotan.estimators.inputs import check_codes, check_count, check_rows
from hyotan.estimators.ranges import is_bounded
from hyotan.estimators.rows import CHUNK, ScaledRows, chunk_rows, padded_chunks
from hyotan.estimators.sampling import SamplingMixin
from hyotan.models.families import Family
from hyotan.models.latent_model import LatentModel
from hyotan.preprocessing.checks import RANGE_SLACK, refuse_other_range
from hyotan.preprocessing.tabular import TableScaling
from hyotan.sampling.densities import Mixture
from hyotan.training.callbacks import Callback
from hyotan.training.resident import as_tensor


class FittedModel(ImputesMissing, SamplingMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A model with a code that has learned: the part of the estimators that uses it.

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
    handles_missing_ : bool
        Whether it has learned to handle missing values, NaN: :meth:`impute` then fills them.
    """

    family: ClassVar[Family]
    kind: ClassVar[str]
    gaussian_default: ClassVar[str] = "gaussian"
    reads_ahead: ClassVar[bool] = True
    """Whether it can train on rows that stay in their file."""
    supports_missing: ClassVar[bool] = True
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
    code_mean_: np.ndarray
    code_covariance_: np.ndarray
    n_features_in_: int
    feature_names_in_: np.ndarray

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

    @property
    def is_of_table(self) -> bool:
        """Whether rows have columns of several kinds."""
        return isinstance(self.scaling_, TableScaling)

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

        (n,) each, and (n, latent) for ``kl``; see :class:`hyotan.training.objective.Terms`.

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

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _is_bounded(self) -> bool:
        """Whether the likelihood takes values of an interval alone."""
        return is_bounded(self.likelihood_)

    def _to_model(self, X: Any) -> np.ndarray:
        """Rows in the model's range, float32; a bounded likelihood with ``unit`` clips what lies outside."""
        scaled = self.scaling_.to_model(X)
        return scaled.clip(0.0, 1.0) if self._is_bounded and not self.scaling_.is_identity else scaled

    def _prior(self) -> Mixture:
        return Mixture.single(self.code_mean_, self.code_covariance_)

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
        tags.input_tags.allow_nan = self.supports_missing and getattr(self, "handle_missing", "auto") != "never"
        tags.non_deterministic = False
        return tags

    @property
    def _n_features_out(self) -> int:
        """How many columns ``transform`` gives: scikit-learn names them."""
        return self.model_code_size
