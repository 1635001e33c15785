"""What turns rows into codes, and codes into rows: fitted models, their prefixes, PCA and the features themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyotan.analysis.latent import decoded, linear_walk
from hyotan.data.stored import Resident
from hyotan.estimators.estimator import LatentEstimator
from hyotan.metrics import mean_filled
from hyotan.sampling.densities import Mixture


@dataclass(frozen=True, eq=False)
class Codes(ABC):
    """What turns rows into codes.

    Attributes
    ----------
    estimator : fitted; its range is the one that errors are compared in.
    """

    estimator: LatentEstimator

    def scaled(self, X: Resident) -> np.ndarray:
        """Rows in the model's range, (n, *features), float32; NaN where a value is missing."""
        return self.estimator.in_range(X)

    @abstractmethod
    def encode(self, X: Resident) -> np.ndarray:
        """Codes of rows as the data are, (n, latent)."""


@dataclass(frozen=True, eq=False)
class Generator(Codes):
    """What turns codes into rows too. All rows in the model's range."""

    @abstractmethod
    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Rows, (n, *features), of codes, (n, latent)."""

    @abstractmethod
    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """Rows in the model's range through the code and back."""

    @abstractmethod
    def sample(self, n: int, seed: int) -> np.ndarray:
        """New rows."""

    def walk(self, starts: Resident, ends: Resident, steps: int) -> np.ndarray:
        """Decoded walks between rows as the data are, straight in the code: (walks, steps, *features)."""
        return decoded(linear_walk(self.encode(starts), self.encode(ends), steps), self.decode)


@dataclass(frozen=True, eq=False)
class ModelCode(Generator):
    """The code of a fitted estimator.

    Attributes
    ----------
    estimator : fitted.
    size : of an ordered code, so many of its first values; None for all.
    """

    size: int | None = None

    def encode(self, X: Resident) -> np.ndarray:
        """The code, or the posterior mean."""
        return self.estimator.transform(X)[:, : self.size]

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """The likelihood's mean; clipped, as it is in the data's units, to their range."""
        if self.estimator.preprocessor_.draws_rows:
            return self.estimator.decode_in_range(Z)  # a category in between is a step of a walk too
        return self._to_range(self.estimator.inverse_transform(Z))

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """As the estimator does."""
        return self.estimator.reconstruct_scaled(rows, self.size)

    def walk(self, starts: Resident, ends: Resident, steps: int) -> np.ndarray:
        """Straight in the code; of a conditional model, from one end's label to the other's too."""
        if not self.estimator.family.conditional:
            return super().walk(starts, ends, steps)
        walks = [self.estimator.interpolate(starts[i], ends[i], steps) for i in range(len(starts))]
        return np.stack([self._to_range(walk) for walk in walks])

    def sample(self, n: int, seed: int) -> np.ndarray:
        """As the estimator samples, by the model alone; of a prefix, its part of such codes."""
        if self.size is None:
            how: dict[str, Any] = {"refined": False} if self.estimator.refiner_ is not None else {}
            return self._to_range(self.estimator.sample(n, seed, **how))
        return self.decode(self.estimator.sample_codes(n, seed)[:, : self.size])

    def _to_range(self, rows: Any) -> np.ndarray:
        """What a model gave in the data's units, in its range."""
        return self.estimator.preprocessor_.to_model(rows)


@dataclass(frozen=True, eq=False)
class PrincipalCode(Generator):
    """The leading principal components of rows in a model's range.

    Attributes
    ----------
    estimator : whose range it is.
    pca : scikit-learn's, fitted with as many components at least.
    size : components used.
    density : fitted to the training rows' coordinates, as models fit one to their codes.
    """

    pca: Any
    size: int
    density: Mixture

    def encode(self, X: Resident) -> np.ndarray:
        """Coordinates along the components."""
        return self._coordinates(self.scaled(X))

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """The point of the plane that has these coordinates."""
        components = self.pca.components_[: Z.shape[1]]
        rows = (Z @ components + self.pca.mean_).astype(np.float32)
        return rows.reshape(len(Z), *self.estimator.feature_shape_)

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """The nearest points of the plane."""
        return self.decode(self._coordinates(rows))

    def sample(self, n: int, seed: int) -> np.ndarray:
        """From the density of the coordinates."""
        return self.decode(self.density.sample(n, np.random.RandomState(seed)))

    def _coordinates(self, rows: np.ndarray) -> np.ndarray:
        filled = mean_filled(rows.reshape(len(rows), -1), self.pca.mean_.astype(rows.dtype))
        return self.pca.transform(filled)[:, : self.size]


@dataclass(frozen=True, eq=False)
class Features(Codes):
    """The features themselves, as codes; nothing is made of them, but that missing values hold the mean.

    Attributes
    ----------
    estimator : whose range it is.
    mean : (*features), of the training rows.
    """

    mean: np.ndarray

    def encode(self, X: Resident) -> np.ndarray:
        """All values of each row."""
        return mean_filled(self.scaled(X), self.mean).reshape(len(X), -1)
