r"""Likelihoods p(x|z) and the prior p(z), as torch distributions.

A likelihood turns what the decoder puts out into a distribution over one whole sample: its ``log_prob`` is one number
a sample, in nats, summed over the features. The same object serves loss, score, reconstruction and sampling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, ContinuousBernoulli, Distribution, Independent, Normal, constraints

from hyotan.errors import DataError

MIN_LOG_SCALE = -6.0
"""Floor of a learned log standard deviation: a density on a constant feature is unbounded and would run away."""


def standard_normal(latent_dim: int, like: Tensor) -> Distribution:
    """The prior N(0, I) over codes of size ``latent_dim``, on the device and in the dtype of ``like``."""
    zero = like.new_zeros(latent_dim)
    return Independent(Normal(zero, torch.ones_like(zero), validate_args=False), 1, validate_args=False)


class DiagonalGaussian(Distribution):
    r"""N(mean, diag(exp(log_scale)²)) over the last ``event_dims`` dimensions.

    Unlike ``Independent(Normal(…))`` it never spreads a shared scale over all features, which is most of the cost of a
    Gaussian likelihood on images.

    Parameters
    ----------
    mean : (..., *features)
    log_scale : (), (*features) or (..., *features), in log standard deviations.
    """

    arg_constraints: ClassVar = {"mean_": constraints.real, "log_scale": constraints.real}  # pyrefly: ignore[bad-override]
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, mean: Tensor, log_scale: Tensor, event_dims: int) -> None:
        self.mean_, self.log_scale, self.event_dims = mean, log_scale, event_dims
        split = mean.ndim - event_dims
        super().__init__(mean.shape[:split], mean.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean, (..., *features)."""
        return self.mean_

    @property
    def variance(self) -> Tensor:
        """The variance, (..., *features)."""
        return (2 * self.log_scale).exp().expand_as(self.mean_)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density in nats, (...,): one number a sample."""
        dims = tuple(range(-self.event_dims, 0))
        features = math.prod(self.event_shape)
        if self.log_scale.ndim == 0:
            squares = (value - self.mean_).square().sum(dims)
            return -0.5 * squares * (-2 * self.log_scale).exp() - features * (
                self.log_scale + 0.5 * math.log(2 * math.pi)
            )
        scaled = (value - self.mean_) * (-self.log_scale).exp()
        return -0.5 * scaled.square().sum(dims) - self.log_scale.sum(dims) - 0.5 * features * math.log(2 * math.pi)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with a gradient, (*sample_shape, ..., *features)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.mean_.dtype, device=self.mean_.device)
        return self.mean_ + noise * self.log_scale.exp()


class Likelihood(nn.Module):
    """What turns a decoder's output into p(x|z).

    Parameters
    ----------
    feature_shape : shape of one sample.
    scale : standard deviation, where the family has a fixed one.
    """

    name = ""
    low, high = -math.inf, math.inf
    outputs = 1
    """How many numbers a feature the decoder must put out; with 2, its output is (..., 2, *features)."""
    link: type[nn.Module] | None = None
    """The function from the decoder's output to the mean, where it is not the identity: named in summaries."""

    def __init__(self, feature_shape: tuple[int, ...], scale: float = 1.0) -> None:
        super().__init__()
        self.feature_shape = tuple(feature_shape)
        self.event_dims = len(self.feature_shape)

    def forward(self, raw: Tensor) -> Distribution:
        """p(x|z) from the decoder's output, (..., *features)."""
        raise NotImplementedError

    def check_support(self, low: float, high: float) -> None:
        """Refuse data that leave the support, before the first step.

        Raises
        ------
        DataError
            Names the range that arrived, the range expected, and what to do.
        """
        if low < self.low or high > self.high:
            raise DataError(
                f"A {self.name} likelihood expects values in [{self.low:g}, {self.high:g}]; "
                f"got [{low:g}, {high:g}] after scaling.",
                "Divide by 255 if these are pixels, pass scaling='unit' (--scaling unit), "
                "or choose likelihood='gaussian' (--likelihood gaussian).",
            )


class BernoulliLikelihood(Likelihood):
    """Bernoulli on logits. On grey values in [0, 1] the loss is the cross-entropy, which is not a log-probability."""

    name = "bernoulli"
    low, high = 0.0, 1.0
    link = nn.Sigmoid

    def forward(self, raw: Tensor) -> Distribution:
        """Bernoulli(sigmoid(raw)) over (*features)."""
        return Independent(Bernoulli(logits=raw, validate_args=False), self.event_dims, validate_args=False)


class ContinuousBernoulliLikelihood(Likelihood):
    """A density on [0, 1], so that grey values are in its support (Loaiza-Ganem & Cunningham 2019)."""

    name = "continuous-bernoulli"
    low, high = 0.0, 1.0
    link = nn.Sigmoid

    def forward(self, raw: Tensor) -> Distribution:
        """ContinuousBernoulli(logits=raw) over (*features)."""
        base = ContinuousBernoulli(logits=raw, validate_args=False)
        return Independent(base, self.event_dims, validate_args=False)


class GaussianLikelihood(Likelihood):
    """Gaussian with one fixed standard deviation; with sqrt(1/2) the loss is the squared error and a constant."""

    name = "gaussian"

    def __init__(self, feature_shape: tuple[int, ...], scale: float = 1.0) -> None:
        super().__init__(feature_shape)
        self.register_buffer("log_scale", torch.tensor(math.log(scale)), persistent=False)

    def forward(self, raw: Tensor) -> Distribution:
        """N(raw, scale²) over (*features)."""
        return DiagonalGaussian(raw, self.get_log_scale(), self.event_dims)

    def get_log_scale(self) -> Tensor:
        """The log standard deviation: () or (*features)."""
        return self.get_buffer("log_scale")


class SharedGaussianLikelihood(GaussianLikelihood):
    """Gaussian with one learned standard deviation for all features (σ-VAE: Rybkin et al. 2021, eq. 5)."""

    name = "gaussian-shared"

    def __init__(self, feature_shape: tuple[int, ...], scale: float = 1.0) -> None:
        Likelihood.__init__(self, feature_shape)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def get_log_scale(self) -> Tensor:
        """The log standard deviation, (), floored."""
        return self.log_scale.clamp_min(MIN_LOG_SCALE)


class PerFeatureGaussianLikelihood(SharedGaussianLikelihood):
    """Gaussian with one learned standard deviation a feature (a pixel, a column), the same for every sample."""

    name = "gaussian-per-feature"

    def __init__(self, feature_shape: tuple[int, ...], scale: float = 1.0) -> None:
        Likelihood.__init__(self, feature_shape)
        self.log_scale = nn.Parameter(torch.full(self.feature_shape, math.log(scale)))


class HeteroscedasticGaussianLikelihood(Likelihood):
    """Gaussian whose mean and standard deviation, for each feature of each sample, both come from the decoder."""

    name = "gaussian-heteroscedastic"
    outputs = 2

    def forward(self, raw: Tensor) -> Distribution:
        """N(raw[..., 0, …], exp(raw[..., 1, …])²), raw (..., 2, *features)."""
        mean, log_scale = raw.unbind(-1 - self.event_dims)
        return DiagonalGaussian(mean, log_scale.clamp(MIN_LOG_SCALE, -MIN_LOG_SCALE), self.event_dims)


LIKELIHOODS: Mapping[str, type[Likelihood]] = {
    family.name: family
    for family in (
        BernoulliLikelihood,
        ContinuousBernoulliLikelihood,
        GaussianLikelihood,
        SharedGaussianLikelihood,
        PerFeatureGaussianLikelihood,
        HeteroscedasticGaussianLikelihood,
    )
}
