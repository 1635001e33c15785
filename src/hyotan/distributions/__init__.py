"""Likelihoods p(x|z) and the prior: of arrays, and of tables with several kinds of columns.

The table of names is here, since :mod:`hyotan.parameters` reads it without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hyotan.registry import Registry

if TYPE_CHECKING:
    from hyotan.distributions.likelihoods import Likelihood

LIKELIHOODS: Mapping[str, type[Likelihood]] = Registry(
    "hyotan.distributions.likelihoods",
    {
        "bernoulli": "BernoulliLikelihood",
        "continuous-bernoulli": "ContinuousBernoulliLikelihood",
        "gaussian": "GaussianLikelihood",
        "gaussian-shared": "SharedGaussianLikelihood",
        "gaussian-per-feature": "PerFeatureGaussianLikelihood",
        "gaussian-heteroscedastic": "HeteroscedasticGaussianLikelihood",
    },
)
