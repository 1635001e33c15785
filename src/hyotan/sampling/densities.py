"""Densities fitted to codes: mixtures of Gaussians, from which new codes are drawn and which say how likely a code is.

>>> import numpy as np
>>> two = np.random.default_rng(0).normal(size=(4000, 2)) + np.repeat([[0, 0], [9, 9]], 2000, axis=0)
>>> mixture = Mixture.fit(two)
>>> mixture.weights.round(1).tolist(), sorted(mixture.means.round().astype(int).tolist())
([0.5, 0.5], [[0, 0], [9, 9]])
>>> mixture.sample(3, np.random.RandomState(0)).shape, mixture.log_density([[0, 0], [4, 5]]).round(1).tolist()
((3, 2), [-2.5, -23.1])

A plain autoencoder has no prior to sample from, and the codes of a VAE's rows do not fill its prior. A mixture that is
fitted to the codes after training mends both: "ex-post density estimation", Ghosh et al. 2020, section 4.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyotan.errors import DataError
from hyotan.metrics import some_rows, standard_error

Array = NDArray[Any]

FITTED_ROWS = 10_000
"""Codes that a mixture is fitted to, at most, drawn at random: a second's work."""
HELD_OUT = 0.2
"""Share of these that says how many components there are."""
MOST_COMPONENTS = 32
ROWS_A_PARAMETER = 1.5
"""A component has so many rows for each of its parameters, or the mixture has fewer components."""
STEPS, LEAST_GAIN = 20, 1e-2
"""Steps of expectation maximisation, at most, and the gain of a step, in nats a row, that makes it the last."""
PATIENCE = 2
"""Doublings without a gain that end the search."""
FLOOR = 1e-6
"""Least variance of a component along any direction, as a share of the codes' mean variance."""
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of Gaussians over codes.

    Attributes
    ----------
    weights : (components,), positive, with sum 1.
    means : (components, latent)
    factors : (components, latent, latent), lower triangular: each covariance is ``factor @ factor.T``.
    groups : (components,), int64, which group of codes, such as a class, each component belongs to; None for no groups.
    """

    weights: Array
    means: Array
    factors: Array
    groups: Array | None = None

    @classmethod
    def single(cls, mean: Array, covariance: Array) -> Mixture:
        """One Gaussian, with its variances floored: codes that keep to a plane have a density all the same."""
        floor = max(FLOOR * float(np.trace(covariance)) / len(mean), _TINY)
        factor = np.linalg.cholesky(covariance + floor * np.eye(len(mean)))
        return cls(np.ones(1), np.array(mean, dtype=np.float64)[None], factor[None])

    @classmethod
    def standard(cls, latent: int) -> Mixture:
        """N(0, I)."""
        return cls(np.ones(1), np.zeros((1, latent)), np.eye(latent)[None])

    @classmethod
    def fit(cls, codes: ArrayLike, random_state: int = 0) -> Mixture:
        """The mixture with as many components as rows left out of the fit bear out; of few rows, one Gaussian.

        The number of components is doubled, until twice in a row that has made rows that were held out no likelier, or
        not by more than chance does (two standard errors of the mean difference).

        Parameters
        ----------
        codes : (n, latent)
        random_state : seed of which codes are taken, which of them held out, and where components start.

        Raises
        ------
        DataError
            There are no codes, or values among them that are not finite.
        """
        from threadpoolctl import threadpool_limits

        rows = _checked(codes)
        rows = rows[some_rows(len(rows), FITTED_ROWS, random_state)]
        # Matrices this small are multiplied sooner by one thread than by several that wait for each other.
        with threadpool_limits(1, user_api="blas"):
            return cls._searched(rows, random_state)

    @classmethod
    def _searched(cls, rows: Array, random_state: int) -> Mixture:
        order = np.random.default_rng(random_state).permutation(len(rows))
        unseen, seen = np.split(rows[order], [int(len(rows) * HELD_OUT)])
        most = min(MOST_COMPONENTS, int(len(seen) / (ROWS_A_PARAMETER * _parameters(rows.shape[1]))))
        best = cls.single(rows.mean(axis=0), np.atleast_2d(np.cov(rows.T, bias=True)))
        reached, components, in_vain = best.log_density(unseen), 2, 0
        while components <= most and in_vain < PATIENCE:
            larger = _with_components(components, seen, random_state)
            gained = larger.log_density(unseen) - reached
            if gained.mean() > 2 * standard_error(gained):
                best, reached, in_vain = larger, reached + gained, 0
            else:
                in_vain += 1
            components *= 2
        return best

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Mixture:
        """What :meth:`to_arrays` gave.

        Raises
        ------
        DataError
            These are not the arrays of a mixture: says which is not, and what was expected.
        """
        if set(arrays) - {"groups"} != {"weights", "means", "factors"}:
            raise DataError(f"expected weights, means, factors and perhaps groups; got {', '.join(sorted(arrays))}.")
        n, latent = (*arrays["means"].shape, 0, 0)[:2]
        expected: dict[str, tuple[tuple[int, ...], Any]] = {
            "weights": ((n,), np.float64),
            "means": ((n, latent), np.float64),
            "factors": ((n, latent, latent), np.float64),
            "groups": ((n,), np.int64),
        }
        for name, array in arrays.items():
            shape, kind = expected[name]
            if array.shape != shape or array.dtype != kind or not array.size or not np.isfinite(array).all():
                kind = np.dtype(kind)
                raise DataError(f"{name} is {array.dtype} {array.shape}; expected finite {kind} {shape}.")
        mixture = cls(**{name: np.array(array) for name, array in arrays.items()})
        if (mixture.weights < 0).any() or abs(mixture.weights.sum() - 1) > 1e-6:
            raise DataError("weights are not the shares of a mixture; expected positive numbers with sum 1.")
        if (np.diagonal(mixture.factors, axis1=1, axis2=2) <= 0).any():
            raise DataError("factors are not those of covariances; expected positive numbers on their diagonals.")
        return mixture

    def to_arrays(self) -> dict[str, Array]:
        """The mixture as plain arrays, by name."""
        return {name: array for name, array in vars(self).items() if array is not None}

    def of_group(self, group: int) -> Mixture:
        """The mixture of the components of one group."""
        own = self.groups == group
        return Mixture(self.weights[own] / self.weights[own].sum(), self.means[own], self.factors[own])

    def sample(self, n: int, random: np.random.RandomState) -> Array:
        """New codes, (n, latent), float64."""
        components = np.zeros(n, dtype=np.int64)
        if len(self.weights) > 1:
            components = random.choice(len(self.weights), n, p=self.weights / self.weights.sum())
        noise, codes = random.standard_normal((n, self.means.shape[1])), self.means[components]
        for component in np.unique(components):
            own = components == component
            codes[own] += noise[own] @ self.factors[component].T
        return codes

    def log_density(self, codes: ArrayLike) -> Array:
        """Log density in nats, (n,), of codes (n, latent)."""
        from scipy.linalg import solve_triangular
        from scipy.special import logsumexp

        rows, latent = np.asarray(codes, dtype=np.float64), self.means.shape[1]
        parts = np.empty((len(self.weights), len(rows)))
        for part, mean, factor in zip(parts, self.means, self.factors, strict=True):
            whitened = solve_triangular(factor, (rows - mean).T, lower=True)
            part[:] = -0.5 * np.square(whitened).sum(axis=0) - np.log(np.diag(factor)).sum()
        return logsumexp(parts, axis=0, b=self.weights[:, None]) - 0.5 * latent * math.log(2 * math.pi)


def _with_components(components: int, rows: Array, random_state: int) -> Mixture:
    """So many components, fitted to rows, (n, latent), by expectation maximisation."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    centre, scale = rows.mean(axis=0), math.sqrt(float(rows.var(axis=0).mean())) or 1.0
    # K-means would sum in an order that threads decide; from its seeds alone the bits are the same each time.
    mixture = GaussianMixture(
        components,
        init_params="k-means++",
        max_iter=STEPS,
        tol=LEAST_GAIN,
        reg_covar=FLOOR,  # an absolute number: the rows are scaled for it
        random_state=random_state,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the steps are few on purpose
        mixture.fit((rows - centre) / scale)
    factors = np.linalg.cholesky(mixture.covariances_) * scale
    return Mixture(mixture.weights_ / mixture.weights_.sum(), mixture.means_ * scale + centre, factors)


def merged(mixtures: Sequence[Mixture], shares: ArrayLike) -> Mixture:
    """The mixture of mixtures, each with its share of the whole, (len(mixtures),); each is a group of its own."""
    weights = [share * mixture.weights for mixture, share in zip(mixtures, np.asarray(shares), strict=True)]
    means, factors = ([getattr(mixture, name) for mixture in mixtures] for name in ("means", "factors"))
    groups = np.repeat(np.arange(len(mixtures)), [len(mixture.weights) for mixture in mixtures])
    return Mixture(np.concatenate(weights), np.concatenate(means), np.concatenate(factors), groups)


def _parameters(latent: int) -> int:
    """Numbers that describe one component: mean, covariance and weight."""
    return latent + latent * (latent + 1) // 2 + 1


def _checked(codes: ArrayLike) -> Array:
    rows = np.asarray(codes, dtype=np.float64)
    if rows.ndim != 2 or not rows.size or not np.isfinite(rows).all():
        raise DataError(f"A density needs codes of shape (n, latent), finite numbers; got shape {rows.shape}.")
    return rows
