"""A Gaussian over many features, of which a few hidden factors say most: the linear guess for pictures.

Factor analysis, fitted by expectation maximisation (Rubin & Thayer 1982) to rows of which some values are missing: each
row counts with what is observed of it. Work and memory grow with the number of features, not with its third power.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from hyotan.preprocessing.scaling import observed_moments

FACTORS = 128
"""Hidden factors, at most; features have four times as many."""

ITERATIONS = 6
"""Steps of expectation maximisation: from principal components on, more of them gained nothing."""

LEAST_NOISE = 1e-3
"""Floor of a feature's own variance, as a share of the features' mean variance: a constant has none."""

FITTED_AT_ONCE, GUESSED_AT_ONCE = 256, 64
"""Rows whose factors are computed at once. Fewer are filled up with empty ones: a product of the same size gives a row
the same bits in any company.
"""


@dataclass(frozen=True)
class FactorGaussian:
    """N(mean, loadings loadingsᵀ + diag(noise)) over rows, cut off where no training value lay.

    Attributes
    ----------
    mean, noise : (features,), the second a variance.
    loadings : (features, factors)
    low, high : (features,), the least and the greatest value that was observed: guesses stay between them.
    """

    mean: Float[Array, " features"]
    loadings: Float[Array, "features factors"]
    noise: Float[Array, " features"]
    low: Float[Array, " features"]
    high: Float[Array, " features"]

    @staticmethod
    def of(rows: Float[Array, "n features"]) -> FactorGaussian:
        """The one under which the observed values of rows, NaN where there is none, are most likely, or nearly so."""
        rows = rows.astype(np.float32)
        mean, deviation = observed_moments(rows)
        known = ~np.isnan(rows)
        centred = np.where(known, rows - mean, 0.0).astype(np.float32)
        low = np.where(known, rows, np.inf).min(axis=0, initial=np.inf)
        high = np.where(known, rows, -np.inf).max(axis=0, initial=-np.inf)
        never = ~known.any(axis=0)
        floor = max(LEAST_NOISE * float(np.mean(deviation**2)), 1e-12)
        found = FactorGaussian(
            mean.astype(np.float32),
            _principal(centred, known, factors_of(rows.shape[1])),
            np.maximum(deviation**2 / 4, floor).astype(np.float32),
            np.where(never, mean, low).astype(np.float32),
            np.where(never, mean, high).astype(np.float32),
        )
        for _ in range(ITERATIONS):
            found = found._improved(centred, known, floor)
        return found

    def shrunk(self, share: float) -> FactorGaussian:
        """The same with every covariance between two features made smaller by a share of it."""
        own = (self.loadings**2).sum(axis=1)
        smaller, noise = np.float32(np.sqrt(1 - share)) * self.loadings, self.noise + np.float32(share) * own
        return FactorGaussian(self.mean, smaller, noise, self.low, self.high)

    def expected(self, rows: Float[Array, "n features"]) -> Float[Array, "n features"]:
        """Rows with their missing values, NaN, filled by E[x_missing | x_observed]; the mean stays."""
        filled = rows.astype(np.float64)
        known = ~np.isnan(filled)
        centred = np.where(known, filled - self.mean, 0.0).astype(np.float32)
        loadings = self.loadings.T.astype(np.float64)
        # Some BLAS kernels round a row by its place in the product. Products in double precision, rounded to single,
        # give a row the same bits wherever it stands (decision 0003).
        for block, precision, along in self._posteriors(centred, known, GUESSED_AT_ONCE, np.float64):
            factors = np.linalg.solve(precision, along[..., None])[..., 0]
            moved = (factors.astype(np.float64) @ loadings).astype(np.float32)
            guess = np.clip(self.mean + moved, self.low, self.high)
            own = filled[block]
            filled[block] = np.where(known[block], own, guess[: len(own)])
        return filled

    def _improved(self, centred: Array, known: Array, floor: float) -> FactorGaussian:
        """One step of expectation maximisation; rows less their mean, 0 where a value is missing."""
        d, k = self.loadings.shape
        upper = np.triu_indices(k)
        squares = np.zeros((d, len(upper[0])), dtype=np.float32)
        along_rows = np.zeros((d, k), dtype=np.float32)
        for block, precision, along in self._posteriors(centred, known, FITTED_AT_ONCE):
            rows = len(centred[block])
            covariance = np.linalg.inv(precision[:rows])
            factors = np.einsum("nij,nj->ni", covariance, along[:rows])
            second = covariance + factors[:, :, None] * factors[:, None, :]
            squares += known[block].T.astype(np.float32) @ second[:, *upper]
            along_rows += centred[block].T @ factors
        # A standard normal prior on the loadings in units of the noise: features that are hardly observed stay finite.
        system = _symmetric(squares, k) + self.noise[:, None, None] * np.eye(k, dtype=np.float32)
        loadings = np.linalg.solve(system, along_rows[..., None])[..., 0]
        explained = (loadings * along_rows).sum(axis=1)
        noise = ((centred**2).sum(axis=0) - explained) / np.maximum(known.sum(axis=0), 1)
        return FactorGaussian(self.mean, loadings, np.maximum(noise, floor).astype(np.float32), self.low, self.high)

    def _posteriors(
        self, centred: Array, known: Array, size: int, dtype: type = np.float32
    ) -> Iterator[tuple[slice, Array, Array]]:
        """``size`` rows at a time: which, the precision of their factors, (size, factors, factors), and the products of
        what is observed with the loadings in units of the noise, (size, factors); float32, multiplied in ``dtype``.
        """
        k = self.loadings.shape[1]
        scaled, upper = self.loadings / self.noise[:, None], np.triu_indices(k)
        products = (scaled[:, upper[0]] * self.loadings[:, upper[1]]).astype(dtype)
        scaled = scaled.astype(dtype)
        for start in range(0, len(centred), size):
            block = slice(start, start + size)
            observed, values = _filled_up(known[block].astype(dtype), size), _filled_up(centred[block], size)
            precision = _symmetric((observed @ products).astype(np.float32), k) + np.eye(k, dtype=np.float32)
            yield block, precision, (values.astype(dtype, copy=False) @ scaled).astype(np.float32, copy=False)


def factors_of(features: int) -> int:
    """How many factors so many features get."""
    return min(FACTORS, max(1, features // 4))


def _principal(centred: Array, known: Array, factors: int) -> Array:
    """Loadings to start from, (features, factors): principal components of the rows, 0 where a value is missing."""
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    found = np.zeros((centred.shape[1], factors), dtype=np.float32)
    kept = min(factors, len(lengths))
    share = max(float(known.mean()), 1e-3)  # missing values pull every product towards 0
    found[:, :kept] = directions[:kept].T * (lengths[:kept] / np.sqrt(len(centred)) / share)
    return found


def _filled_up(rows: Array, size: int) -> Array:
    """``size`` rows, the last of them empty where there are fewer."""
    return (
        rows if len(rows) == size else np.concatenate([rows, np.zeros((size - len(rows), rows.shape[1]), rows.dtype)])
    )


def _symmetric(upper: Array, k: int) -> Array:
    """Matrices from their upper triangles, row by row: (n, k, k) of (n, k (k + 1) / 2)."""
    found = np.empty((len(upper), k, k), dtype=upper.dtype)
    rows, columns = np.triu_indices(k)
    found[:, rows, columns] = upper
    found[:, columns, rows] = upper
    return found
