"""A Gaussian over the rows of a table of which some values are missing: the best linear guess at these.

It is fitted by expectation maximisation (Dempster, Laird & Rubin 1977; Little & Rubin 2019, section 11.2): each row
counts with what is observed of it, and with what the Gaussian so far says of the rest, its uncertainty included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from hyotan.preprocessing.scaling import observed_moments

ITERATIONS = 30
"""Steps of expectation maximisation, at most."""

CONVERGED = 1e-3
"""A change of the covariance, as a share of the largest variance, after which no further step is taken."""

RIDGE = 1e-4
"""Share of its variance that is added to each column's: columns that repeat each other leave a matrix to invert."""

LEAST_VARIANCE = 1e-9
"""Floor of a column's variance: that of a constant is 0."""

BYTES_AT_ONCE = 2**24
"""What the matrices of the rows that are computed at once may take."""


@dataclass(frozen=True)
class Gaussian:
    """N(mean, covariance) over rows.

    Attributes
    ----------
    mean : (features,)
    covariance : (features, features)
    """

    mean: Float[Array, " features"]
    covariance: Float[Array, "features features"]

    @staticmethod
    def of(rows: Float[Array, "n features"]) -> Gaussian:
        """The Gaussian under which the observed values of rows, NaN where there is none, are most likely."""
        rows = rows.astype(np.float64)
        mean, deviation = observed_moments(rows)
        found = Gaussian(mean, np.diag(deviation**2))
        for _ in range(ITERATIONS):
            before, found = found, found._improved(rows)
            change = np.abs(found.covariance - before.covariance).max()
            if change <= CONVERGED * np.diag(found.covariance).max():
                break
        return found

    def shrunk(self, share: float) -> Gaussian:
        """The same with every covariance between two columns made smaller by a share of it."""
        own = np.diag(np.diag(self.covariance))
        return Gaussian(self.mean, (1 - share) * self.covariance + share * own)

    def expected(self, rows: Float[Array, "n features"]) -> Float[Array, "n features"]:
        """Rows with their missing values, NaN, filled by E[x_missing | x_observed]."""
        filled = rows.astype(np.float64)
        for start, part, known, system in self._blocks(filled):
            centred = np.where(known, part - self.mean, 0.0)
            weights = np.linalg.solve(system, centred[..., None])[..., 0]
            guess = self.mean + weights @ self.covariance
            filled[start : start + len(part)] = np.where(known, part, guess)
        return filled

    def _improved(self, rows: Float[Array, "n features"]) -> Gaussian:
        """One step of expectation maximisation."""
        total = np.zeros_like(self.mean)
        products = np.zeros_like(self.covariance)
        for _, part, known, system in self._blocks(rows):
            both = np.where(known[:, :, None], self.covariance, 0.0)
            gain = np.linalg.solve(system, both)  # (rows, features, features): what observed values say of all others
            centred = np.where(known, part - self.mean, 0.0)
            guess = np.where(known, centred, np.einsum("ri,rij->rj", centred, gain))
            unsure = self.covariance - np.einsum("rki,rkj->rij", both, gain)
            missing = ~known
            products += guess.T @ guess + np.where(missing[:, :, None] & missing[:, None, :], unsure, 0.0).sum(axis=0)
            total += guess.sum(axis=0)
        shift = total / len(rows)
        covariance = products / len(rows) - np.outer(shift, shift)
        return Gaussian(self.mean + shift, (covariance + covariance.T) / 2)

    def _blocks(self, rows: Float[Array, "n features"]) -> Iterator[tuple[int, Array, Array, Array]]:
        """Some rows at a time: the first one's number, the rows, which values are known, and the covariance of these.

        In the last, (rows, features, features), an unknown value is a variable of variance 1 beside the others.
        """
        size = max(1, BYTES_AT_ONCE // (8 * rows.shape[1] ** 2))
        variance = np.maximum(np.diag(self.covariance), LEAST_VARIANCE)
        covariance = self.covariance + np.diag(RIDGE * variance + LEAST_VARIANCE)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            known = ~np.isnan(part)
            system = np.where(known[:, :, None] & known[:, None, :], covariance, 0.0)
            yield start, part, known, system + np.where(known, 0.0, 1.0)[:, :, None] * np.eye(rows.shape[1])
