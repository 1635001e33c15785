"""New codes: drawn from a mixture of Gaussians fitted to the codes of training rows, or from the prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hyotan.errors import SettingsError, did_you_mean
from hyotan.sampling.densities import Mixture, merged

DENSITY, PRIOR = SAMPLERS = ("density", "prior")
"""Where codes come from: the mixture fitted to the codes of the training rows, or the model's prior."""

NO_CLASS = -1


class CodeSampler:
    """Draws codes.

    Parameters
    ----------
    prior : what codes follow by the model's objective; a Gaussian fitted to them where it says nothing.
    codes : (n, latent) each, the codes of training rows by class; one array where there are no classes. The mixture is
        fitted to them when it is first asked for: many a model is never sampled from.
    shares : (classes,), how frequent classes are; None without classes.
    density : the mixture, where it was fitted before.
    """

    def __init__(
        self,
        prior: Mixture,
        codes: Sequence[np.ndarray] = (),
        shares: np.ndarray | None = None,
        density: Mixture | None = None,
    ) -> None:
        self.prior, self.codes, self.shares, self._density = prior, codes, shares, density

    @property
    def density(self) -> Mixture:
        """The mixture fitted to the codes of the training rows; of classes a group each."""
        if self._density is None:
            self._density = self._fitted()
        return self._density

    def draw(
        self, n: int, random: np.random.RandomState, sampler: str = DENSITY, classes: np.ndarray | None = None
    ) -> np.ndarray:
        """New codes, (n, latent), float32.

        Parameters
        ----------
        n : how many.
        random : draws them.
        sampler : ``density`` or ``prior``.
        classes : (n,), whose codes they are to be, -1 for any; None where there are no classes.

        Raises
        ------
        SettingsError
            There is no such sampler.
        """
        source = self._source(sampler)
        if source.groups is None or classes is None:
            return source.sample(n, random).astype(np.float32)
        codes = np.empty((n, source.means.shape[1]), dtype=np.float32)
        for kind in np.unique(classes):
            own = classes == kind
            codes[own] = (source if kind == NO_CLASS else source.of_group(kind)).sample(int(own.sum()), random)
        return codes

    def log_density(self, codes: np.ndarray) -> np.ndarray:
        """Log density of codes, (n, latent), under the mixture: (n,), float64, in nats."""
        return self.density.log_density(codes)

    def _fitted(self) -> Mixture:
        if self.shares is None:
            return Mixture.fit(self.codes[0])
        # A class with too few rows for a covariance of its own has its codes from the prior.
        mixtures = [Mixture.fit(own) if len(own) > own.shape[1] else self.prior for own in self.codes]
        return merged(mixtures, self.shares)

    def _source(self, sampler: Any) -> Mixture:
        if sampler not in SAMPLERS:
            raise SettingsError(
                f"sampler must be one of {', '.join(SAMPLERS)}; got {sampler!r}.", did_you_mean(str(sampler), SAMPLERS)
            )
        return self.density if sampler == DENSITY else self.prior
