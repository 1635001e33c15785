"""What every estimator shares that makes new rows: where codes are drawn from, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.distributions import Distribution

from hyotan.densities import Mixture
from hyotan.errors import SettingsError, did_you_mean
from hyotan.estimators.inputs import check_codes, check_count
from hyotan.scaling import Scaling
from hyotan.tabular import TableScaling

DENSITY, PRIOR = SAMPLERS = ("density", "prior")
"""Where codes come from: the mixture fitted to the codes of the training rows, or the model's prior."""


class SamplingMixin(BaseEstimator):
    """New rows and codes, and how likely codes are.

    Attributes
    ----------
    density_ : Mixture
        Fitted to the codes of the training rows.
    """

    _density: Mixture | None
    _codes_of_groups: Sequence[np.ndarray]
    scaling_: Scaling | TableScaling

    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, sampler: str = DENSITY, drawn: bool | None = None
    ) -> Any:
        """New samples: the likelihood's mean at codes drawn from :meth:`sample_codes`.

        Parameters
        ----------
        n_samples : how many.
        random_state : int, RandomState or None.
        sampler : where the codes come from, as for :meth:`sample_codes`.
        drawn : draw each sample from the likelihood p(x|z) instead of giving its mean: with the noise that the data
            have, black and white where the likelihood is Bernoulli. By default (None) rows of a table with several
            kinds of columns are drawn, for a mean has no category, and of everything else the mean is given.

        Returns
        -------
        (n_samples, *features), in the data's own units; a table where the model was fitted on one.
        """
        random = check_random_state(random_state)
        codes = self.sample_codes(n_samples, random, sampler=sampler)
        drawn = isinstance(self.scaling_, TableScaling) if drawn is None else drawn
        return self._likelihood_draws(self._decoded, random, codes) if drawn else self.inverse_transform(codes)

    def sample_codes(self, n_samples: int = 1, random_state: Any = None, *, sampler: str = DENSITY) -> np.ndarray:
        """New codes, (n_samples, latent_dim), float32.

        Parameters
        ----------
        n_samples : how many.
        random_state : int, RandomState or None.
        sampler : ``density``, the mixture of Gaussians fitted to the codes of the training rows; or ``prior``, a VAE's
            N(0, I). An autoencoder has no prior: in its place stands one Gaussian with the codes' mean and covariance.
        """
        source = self._source_of_codes(sampler)
        n = check_count("n_samples", n_samples)
        return source.sample(n, check_random_state(random_state)).astype(np.float32)

    def code_log_density(self, Z: ArrayLike) -> np.ndarray:
        """Log density of codes under the mixture fitted to those of the training rows, (n,), float64, in nats.

        Higher is more like the training rows' codes.

        Parameters
        ----------
        Z : (n, latent_dim), such as ``transform(X)``.
        """
        check_is_fitted(self)
        return self.density_.log_density(check_codes(Z, self.density_.means.shape[1]))

    @property
    def density_(self) -> Mixture:
        """The mixture, fitted when it is first asked for: many a model is never sampled from."""
        check_is_fitted(self)
        if self._density is None:
            self._density = self._fitted_density(self._codes_of_groups)
        return self._density

    def _fitted_density(self, groups: Sequence[np.ndarray]) -> Mixture:
        return Mixture.fit(groups[0])

    def _source_of_codes(self, sampler: str) -> Mixture:
        check_is_fitted(self)
        if sampler not in SAMPLERS:
            raise SettingsError(
                f"sampler must be one of {', '.join(SAMPLERS)}; got {sampler!r}.", did_you_mean(str(sampler), SAMPLERS)
            )
        return self.density_ if sampler == DENSITY else self._prior()

    def _prior(self) -> Mixture:
        """The prior over codes, or what stands in its place."""
        raise NotImplementedError

    def inverse_transform(self, Z: ArrayLike) -> np.ndarray:
        """Decode codes to the likelihood's mean, (n, *features)."""
        raise NotImplementedError

    def _decoded(self, z: Tensor) -> Distribution:
        """p(x|z)."""
        raise NotImplementedError

    def _likelihood_draws(
        self, decoded: Callable[..., Distribution], random: np.random.RandomState, *given: np.ndarray
    ) -> Any:
        """Rows drawn from the likelihood at codes (and labels), (n, *features), in the data's own units."""
        raise NotImplementedError
