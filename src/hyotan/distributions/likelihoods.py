r"""Likelihoods p(x|z) and the prior p(z), as torch distributions.

A likelihood turns what the decoder puts out into a distribution over one whole sample: its ``log_prob`` is one number
a sample, in nats, summed over the features. The same object serves loss, score, reconstruction and sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal, constraints
from torch.nn import functional as F

from hyotan.errors import DataError
from hyotan.training.stacking import stackable

SUPPORT_SLACK = 1e-5
"""How far rounding may carry values past the ends of a likelihood's support."""

MIN_LOG_SCALE = -6.0
"""Floor of a learned log standard deviation: a density on a constant feature is unbounded and would run away."""


def normal(mean: Tensor, deviation: Tensor) -> Independent:
    """N(mean, diag(deviation²)) over the last dimension: the posteriors over codes."""
    return Independent(Normal(mean, deviation, validate_args=False), 1, validate_args=False)


def standard_normal(latent_dim: int, like: Tensor) -> Distribution:
    """The prior N(0, I) over codes of size ``latent_dim``, on the device and in the dtype of ``like``."""
    zero = like.new_zeros(latent_dim)
    return normal(zero, torch.ones_like(zero))


class Observed(Distribution):
    r"""A distribution over samples of which some values are not observed: its ``log_prob`` counts those that are.

    NaN says "not observed". The values of a sample are independent given z, so that leaving out those that are not
    observed integrates over them: log p(x_obs|z) is exact (Nazábal et al. 2020, eq. 3; Mattei & Frellsen 2019, eq. 4).

    Parameters
    ----------
    whole : over (*features), with a ``log_prob_per_feature``.
    """

    arg_constraints: ClassVar = {}  # pyrefly: ignore[bad-override]
    support = constraints.real_vector

    def __init__(self, whole: Distribution) -> None:
        self.whole = whole
        super().__init__(whole.batch_shape, whole.event_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean of every value, observed or not, (..., *features)."""
        return self.whole.mean

    @property
    def mode(self) -> Tensor:
        """The likeliest of every value, (..., *features), where the distribution knows of such."""
        return self.whole.mode

    @property
    def variance(self) -> Tensor:
        """The variance of every value, (..., *features)."""
        return self.whole.variance

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of the observed values in nats, (...,): 0 of a sample that has none."""
        return self.log_prob_per_feature(value).sum(tuple(range(-len(self.event_shape), 0)))

    def log_prob_per_feature(self, value: Tensor) -> Tensor:
        """Log-probability of each value in nats, (..., *features): 0 of one that is not observed."""
        missing = value.isnan()
        # Filled before, not after: a NaN would come back through the gradient of what is masked.
        return self.whole.log_prob_per_feature(value.masked_fill(missing, 0.0)).masked_fill(missing, 0.0)  # pyrefly: ignore[missing-attribute]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw every value, observed or not, (*sample_shape, ..., *features)."""
        return self.whole.sample(sample_shape)


class BernoulliLogProbability(torch.autograd.Function):
    """log p(x) of Bernoulli variables given by logits, summed over the last dimension, and its gradients.

    By torch's own operations the gradient takes five passes over all values, each into new memory, where one is enough.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, value: Tensor) -> Tensor:
        """Map (..., n) and (..., n), which broadcast, to (...)."""
        return torch.linalg.vecdot(logits, value) - F.softplus(logits).sum(-1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep both for the gradients."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """value - sigmoid(logits), and logits, times the gradient."""
        logits, value = ctx.saved_tensors
        outer = gradients[0].unsqueeze(-1)
        of_logits = of_value = None
        if ctx.needs_input_grad[0]:
            probability = logits.sigmoid()
            # Where someone differentiates the gradient, or a value has samples that the logits have not.
            if torch.is_grad_enabled() or outer.shape[:-1] != logits.shape[:-1]:
                of_logits = ((value - probability) * outer).sum_to_size(logits.shape)
            else:  # in place: new memory costs more than the arithmetic
                of_logits = probability.sub_(value).mul_(-outer)
        if ctx.needs_input_grad[1]:
            of_value = (logits * outer).sum_to_size(value.shape)
        return of_logits, of_value


class LogitBernoulli(Independent):
    """Bernoulli(sigmoid(logits)) over the last ``event_dims`` dimensions.

    Parameters
    ----------
    logits : (..., *features)
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        self.logits = logits
        super().__init__(Bernoulli(logits=logits, validate_args=False), event_dims, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats, (...,): of grey values, minus the cross-entropy."""
        events = self.event_shape.numel()
        return BernoulliLogProbability.apply(
            self.logits.reshape(*self.batch_shape, events),
            value.reshape(*value.shape[: -len(self.event_shape)], events),
        )

    def log_prob_per_feature(self, value: Tensor) -> Tensor:
        """Log-probability of each value in nats, (..., *features)."""
        return self.logits * value - F.softplus(self.logits)


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

    def log_prob_per_feature(self, value: Tensor) -> Tensor:
        """Log density of each value in nats, (..., *features)."""
        scaled = (value - self.mean_) * (-self.log_scale).exp()
        return -0.5 * scaled.square() - self.log_scale - 0.5 * math.log(2 * math.pi)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with a gradient, (*sample_shape, ..., *features)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.mean_.dtype, device=self.mean_.device)
        return self.mean_ + noise * self.log_scale.exp()


class UnitExponential(Distribution):
    r"""The continuous Bernoulli, p(x) = l exp(l x) / (exp(l) - 1) on [0, 1], computed from its logit l alone.

    torch's own goes by way of the probability, which fp32 rounds to 1 from a logit of 17 on and clamps there: the mean
    would never leave [0.063, 0.937], black and white would both be grey, and the density not integrate to 1.

    Parameters
    ----------
    logits : any shape
    """

    arg_constraints: ClassVar = {"logits": constraints.real}  # pyrefly: ignore[bad-override]
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=False)

    def _by_size(self, near: Callable[[Tensor], Tensor], far: Callable[[Tensor], Tensor]) -> Tensor:
        """A function of half the logit: its series below 1/4, where the exact form cancels, the exact form beyond."""
        half = 0.5 * self.logits
        is_near = half.abs() < 0.25
        # Each branch sees harmless values where the other one counts, so that no gradient becomes 0 * inf.
        return torch.where(is_near, near(half.where(is_near, 0.0)), far(half.where(~is_near, 1.0)))

    @property
    def mean(self) -> Tensor:
        """The mean, the logits' shape."""
        return 0.5 + 0.5 * self._by_size(
            lambda h: h / 3 - h**3 / 45 + 2 * h**5 / 945,
            lambda h: 1 / h.tanh() - 1 / h,
        )

    @property
    def variance(self) -> Tensor:
        """The variance, the logits' shape."""
        return 0.25 * self._by_size(
            lambda h: 1 / 3 - h**2 / 15 + 2 * h**4 / 189,
            lambda h: h**-2 - h.clamp(-40, 40).sinh() ** -2,
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density in nats, the logits' shape."""
        log_normaliser = self._by_size(
            lambda h: h**2 / 6 - h**4 / 180 + h**6 / 2835,
            lambda h: h.abs() + torch.log(-torch.expm1(-2 * h.abs()) / (2 * h.abs())),
        )
        return self.logits * (value - 0.5) - log_normaliser

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with a gradient, (*sample_shape, ...), by the inverse of the distribution function."""
        shape = self._extended_shape(torch.Size(sample_shape))
        u = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        size = self.logits.abs().clamp_min(1e-6)
        from_the_end = -torch.log1p(u * torch.expm1(-size)) / size
        return torch.where(self.logits > 0, 1 - from_the_end, from_the_end).clamp(0, 1)


class IndependentExponentials(Independent):
    """Continuous Bernoulli variables over the last ``event_dims`` dimensions.

    Parameters
    ----------
    logits : (..., *features)
    """

    def __init__(self, logits: Tensor, event_dims: int) -> None:
        super().__init__(UnitExponential(logits), event_dims, validate_args=False)

    def log_prob_per_feature(self, value: Tensor) -> Tensor:
        """Log density of each value in nats, (..., *features)."""
        return self.base_dist.log_prob(value)


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
        self.parameter_shape = (self.outputs, *self.feature_shape) if self.outputs > 1 else self.feature_shape

    def forward(self, raw: Tensor) -> Distribution:
        """p(x|z) from the decoder's output, (..., *features)."""
        raise NotImplementedError

    @classmethod
    def check_support(cls, low: float, high: float) -> None:
        """Refuse data that leave the support, before the first step.

        Raises
        ------
        DataError
            Names the range that arrived, the range expected, and what to do.
        """
        # Rounding may push a scaled value past the end; the log-probability does not mind.
        if low < cls.low - SUPPORT_SLACK or high > cls.high + SUPPORT_SLACK:
            raise DataError(
                f"A {cls.name} likelihood expects values in [{cls.low:g}, {cls.high:g}]; "
                f"got [{low:g}, {high:g}] after scaling.",
                "Divide by 255 if these are pixels, pass scaling='unit' (--scaling unit), "
                "or choose likelihood='gaussian' (--likelihood gaussian).",
            )


@stackable
class BernoulliLikelihood(Likelihood):
    """Bernoulli on logits. On grey values in [0, 1] the loss is the cross-entropy, which is not a log-probability."""

    name = "bernoulli"
    low, high = 0.0, 1.0
    link = nn.Sigmoid

    def forward(self, raw: Tensor) -> Distribution:
        """Bernoulli(sigmoid(raw)) over (*features)."""
        return LogitBernoulli(raw, self.event_dims)


class ContinuousBernoulliMean(nn.Module):
    """From logits to the mean of the continuous Bernoulli."""

    def forward(self, logits: Tensor) -> Tensor:
        """The mean, the logits' shape."""
        return UnitExponential(logits).mean


@stackable
class ContinuousBernoulliLikelihood(Likelihood):
    """A density on [0, 1], so that grey values are in its support (Loaiza-Ganem & Cunningham 2019)."""

    name = "continuous-bernoulli"
    low, high = 0.0, 1.0
    link = ContinuousBernoulliMean

    def forward(self, raw: Tensor) -> Distribution:
        """The continuous Bernoulli of logits ``raw`` over (*features)."""
        return IndependentExponentials(raw, self.event_dims)


@stackable
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


@stackable
class SharedGaussianLikelihood(GaussianLikelihood):
    """Gaussian with one learned standard deviation for all features (σ-VAE: Rybkin et al. 2021, eq. 5)."""

    name = "gaussian-shared"
    is_by_feature = False

    def __init__(self, feature_shape: tuple[int, ...], scale: float = 1.0) -> None:
        Likelihood.__init__(self, feature_shape)
        shape = self.feature_shape if self.is_by_feature else ()
        self.log_scale = nn.Parameter(torch.full(shape, math.log(scale)))
        self.scale_dims = len(shape)

    def forward(self, raw: Tensor) -> Distribution:
        """N(raw, scale²) over (*features); in a stack, each model's rows with its own scale."""
        log_scale = self.get_log_scale()
        if log_scale.ndim > self.scale_dims:  # in a stack there is one more
            rows = raw.shape[raw.ndim - 1 - self.event_dims]
            log_scale = log_scale.reshape(len(log_scale), *log_scale.shape[1:] or (1,) * self.event_dims)
            log_scale = log_scale.repeat_interleave(rows // len(log_scale), dim=0).expand(rows, *self.feature_shape)
        return DiagonalGaussian(raw, log_scale, self.event_dims)

    def get_log_scale(self) -> Tensor:
        """The log standard deviation, (), floored."""
        return self.log_scale.clamp_min(MIN_LOG_SCALE)


@stackable
class PerFeatureGaussianLikelihood(SharedGaussianLikelihood):
    """Gaussian with one learned standard deviation a feature (a pixel, a column), the same for every sample."""

    name = "gaussian-per-feature"
    is_by_feature = True


@stackable
class HeteroscedasticGaussianLikelihood(Likelihood):
    """Gaussian whose mean and standard deviation, for each feature of each sample, both come from the decoder."""

    name = "gaussian-heteroscedastic"
    outputs = 2

    def forward(self, raw: Tensor) -> Distribution:
        """N(raw[..., 0, …], exp(raw[..., 1, …])²), raw (..., 2, *features)."""
        mean, log_scale = raw.unbind(-1 - self.event_dims)
        return DiagonalGaussian(mean, log_scale.clamp(MIN_LOG_SCALE, -MIN_LOG_SCALE), self.event_dims)
