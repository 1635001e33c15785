"""Where rows lie among others, by what an autoencoder makes of them: how far off, and how thinly peopled it is there.

A row's place is its code and, beside it, the root of its squared error, which counts as much as all of the code. The
error alone is no measure of oddness: an autoencoder can reconstruct rows that lie far from all that it was trained on
(Bouman & Heskes 2025).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

SAME = 1e-6
"""Of the usual distance, what counts as none at all."""

FEW, DRAWS = 16, 8
"""Rows that are drawn at a time to stand for all, and how often."""

LEAST_DISTANCE = 1e-9
"""What no distance counts for where its logarithm is taken."""

SHRINKAGE = 0.05
"""Of the mean variance, what every direction's variance is given in addition, so that a direction in which the training
rows do not vary is not infinitely odd."""

TRIMMED, TRIMS = 0.25, 5
"""Share of the rows, the outermost, that a TrimmedGaussian leaves out, and how often they are chosen anew."""


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Axes in which codes and errors are measured alike: over the training rows each axis of the code has deviation 1,
    and the root of the error a mean square as large as the whole code's.

    Attributes
    ----------
    centre, scale : (latent + 1,), of codes and the root of the squared error; the error's centre is 0.
    """

    centre: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, errors: np.ndarray) -> Coordinates:
        """The frame of training rows: codes (n, latent), squared errors (n,)."""
        deviation = codes.std(axis=0, dtype=np.float64)
        # A code that does not vary says nothing; rounding must not become its unit.
        deviation = np.where(deviation > SAME * max(deviation.max(), 1e-30), deviation, np.inf)
        root = max(float(np.sqrt(errors.mean(dtype=np.float64) / codes.shape[1])), 1e-12)
        return cls(np.append(codes.mean(axis=0, dtype=np.float64), 0.0), np.append(deviation, root))

    def place(self, codes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """Rows' places, (n, latent + 1), float64."""
        return (np.column_stack([codes, np.sqrt(errors)]).astype(np.float64) - self.centre) / self.scale

    def place_codes(self, codes: np.ndarray) -> np.ndarray:
        """Places of codes alone, (n, latent), float64."""
        return (codes.astype(np.float64) - self.centre[:-1]) / self.scale[:-1]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Distance to the k-th nearest of some training rows.

    Attributes
    ----------
    rows : (m, d), their places.
    k : which neighbour; of fewer rows, the last.
    """

    rows: np.ndarray
    k: int

    def distance(self, places: np.ndarray) -> np.ndarray:
        """Of each place, (n,). One of the rows themselves, at a distance of zero, is not its own neighbour."""
        wanted = min(self.k + 1, len(self.rows))
        found = NearestNeighbors(n_neighbors=wanted).fit(self.rows).kneighbors(places)[0]
        itself = found[:, 0] <= SAME * np.median(found[:, -1])
        return np.where(itself, found[:, -1], found[:, -min(2, wanted)])


@dataclass(frozen=True, eq=False)
class Outskirts:
    """Distance to the nearest of a few training rows drawn at random, again and again: the geometric mean.

    So few rows stand for where most are. A cluster of anomalies seldom sends one, and so does not hide its own, as it
    does from a search among all rows (Sugiyama & Borgwardt 2013).

    Attributes
    ----------
    rows : (draws, m, d), their places.
    """

    rows: np.ndarray

    @classmethod
    def of(cls, places: np.ndarray, random: np.random.RandomState) -> Outskirts:
        """Draw from training rows' places, (n, d)."""
        size = min(FEW, len(places))
        return cls(np.stack([places[random.permutation(len(places))[:size]] for _ in range(DRAWS)]))

    def distance(self, places: np.ndarray) -> np.ndarray:
        """Of each place, (n,)."""
        each = [np.maximum(Neighbourhood(few, 1).distance(places), LEAST_DISTANCE) for few in self.rows]
        return np.exp(np.mean(np.log(each), axis=0))


@dataclass(frozen=True, eq=False)
class TrimmedGaussian:
    """Where most rows lie: a TrimmedGaussian of the inner rows.

    Attributes
    ----------
    mean, precision : (d,) and (d, d).
    """

    mean: np.ndarray
    precision: np.ndarray

    @classmethod
    def of(cls, places: np.ndarray) -> TrimmedGaussian:
        """Fit places, (n, d); the outermost are left out and chosen anew, as in Rousseeuw & Van Driessen 1999."""
        fitted = cls._plain(places)
        for _ in range(TRIMS):
            inner = np.argsort(fitted.distance(places))[: max(2, round((1 - TRIMMED) * len(places)))]
            fitted = cls._plain(places[inner])
        return fitted

    @classmethod
    def _plain(cls, places: np.ndarray) -> TrimmedGaussian:
        mean = places.mean(axis=0)
        centred = places - mean
        covariance = centred.T @ centred / len(places)
        ridge = SHRINKAGE * max(float(np.trace(covariance)) / len(mean), 1e-12)
        return cls(mean, np.linalg.inv(covariance + ridge * np.eye(len(mean))))

    def distance(self, places: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distance of each place, (n,)."""
        centred = places - self.mean
        return np.einsum("ni,ij,nj->n", centred, self.precision, centred, optimize=True)
