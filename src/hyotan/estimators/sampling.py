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

from hyotan.errors import SettingsError, did_you_mean
from hyotan.estimators.inputs import check_codes, check_count
from hyotan.preprocessing.scaling import Scaling
from hyotan.preprocessing.tabular import TableScaling
from hyotan.sampling.conditionals import Conditionals
from hyotan.sampling.densities import Mixture

DENSITY, PRIOR = SAMPLERS = ("density", "prior")
"""Where codes come from: the mixture fitted to the codes of the training rows, or the model's prior."""


class SamplingMixin(BaseEstimator):
    """New rows and codes, and how likely codes are.

    Attributes
    ----------
    density_ : Mixture
        Fitted to the codes of the training rows.
    conditionals_ : Conditionals or None
        Of a table with several kinds of columns: trees, grown on the rows, that give each column by the others.
    """

    refines: bool = True
    """Whether new rows of tables are drawn again, column by column."""

    _density: Mixture | None
    _codes_of_groups: Sequence[np.ndarray]
    _conditionals: Conditionals | None = None
    _condensed: np.ndarray | None = None
    scaling_: Scaling | TableScaling

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
        drawn = isinstance(self.scaling_, TableScaling) if drawn is None else drawn
        refined = drawn and self.conditionals_ is not None if refined is None else refined
        rows = self._likelihood_draws(self._decoded, random, codes) if drawn else self.inverse_transform(codes)
        return self._refined(rows, random) if refined else rows

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

    @property
    def conditionals_(self) -> Conditionals | None:
        """The trees, grown when they are first asked for; None where rows are no table, or of a file from before."""
        check_is_fitted(self)
        if self._conditionals is None and self._condensed is not None and isinstance(self.scaling_, TableScaling):
            self._conditionals = Conditionals.fit(self._condensed, self.scaling_.is_category)
        return self._conditionals

    def _refined(self, rows: Any, random: np.random.RandomState) -> Any:
        """Rows of a table with each column drawn again given the others."""
        trees, scaling = self.conditionals_, self.scaling_
        if trees is None or not isinstance(scaling, TableScaling):
            raise SettingsError(
                f"refined=True: this {type(self).__name__} has no trees that give a column by the others.",
                "Leave it out, or fit the model to a table with several kinds of columns.",
            )
        refined = trees.refined(scaling.condensed(scaling.to_model(rows)), random)
        return scaling.to_data(scaling.expanded(refined))

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
