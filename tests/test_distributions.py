"""Likelihoods and the prior against SciPy, and against integrals done by quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import expit
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.likelihoods import (
    MIN_LOG_SCALE,
    DiagonalGaussian,
    Likelihood,
    LogitBernoulli,
    standard_normal,
)
from hyotan.errors import DataError

SHAPES = [(5,), (2, 3), (2, 3, 2)]
LOGITS = [-300.0, -80.0, -17.0, -5.0, -0.51, -0.49, -1e-3, 0.0, 1e-6, 4.1e-3, 0.3, 2.0, 15.0, 17.0, 40.0, 300.0]
BOUNDED = ["bernoulli", "continuous-bernoulli"]
UNBOUNDED = sorted(set(LIKELIHOODS) - set(BOUNDED))


def continuous_bernoulli(logit: float, power: int = 0) -> float:
    """The integral of x**power * exp(logit * x - max(logit, 0)) over [0, 1]: the ends are marked for the quadrature."""
    peak = float(logit > 0)
    width = min(0.5, 40 / (abs(logit) + 1e-9))
    edge = abs(peak - width)
    value, _ = integrate.quad(
        lambda x: x**power * math.exp(logit * (x - peak)), 0, 1, points=[edge], epsabs=1e-13, epsrel=1e-12
    )
    return value


def log_continuous_bernoulli(x: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Its log density, normalised by quadrature."""
    normaliser = np.vectorize(continuous_bernoulli)(logit)
    return logit * (x - (logit > 0)) - np.log(normaliser)


def mean_of_continuous_bernoulli(raw: np.ndarray) -> np.ndarray:
    """Its mean, by quadrature."""
    return np.vectorize(lambda logit: continuous_bernoulli(logit, 1) / continuous_bernoulli(logit))(raw)


def variance_of_continuous_bernoulli(raw: np.ndarray) -> np.ndarray:
    """Its variance, by quadrature."""
    second = np.vectorize(lambda logit: continuous_bernoulli(logit, 2) / continuous_bernoulli(logit))(raw)
    return second - mean_of_continuous_bernoulli(raw) ** 2


def make(name: str, shape: tuple[int, ...], scale: float = 0.7) -> Likelihood:
    """A likelihood whose learned scales, where it has any, differ from feature to feature."""
    likelihood = LIKELIHOODS[name](shape, scale=scale)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in likelihood.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return likelihood


def scale_of(likelihood: Likelihood, raw: np.ndarray) -> np.ndarray:
    """The standard deviation that the likelihood says it has, read off its parameters and the decoder's output."""
    learned = [parameter.detach().numpy() for parameter in likelihood.parameters()]
    if likelihood.outputs == 2:
        return np.exp(mean_and_rest(likelihood, raw)[1])
    return np.exp(learned[0]) if learned else np.float64(0.7)


def mean_and_rest(likelihood: Likelihood, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The halves of a decoder's output that has two numbers a feature."""
    axis = raw.ndim - len(likelihood.feature_shape) - 1
    return raw.take(0, axis), raw.take(1, axis)


def mean_of_gaussian(likelihood: Likelihood, raw: np.ndarray) -> np.ndarray:
    """The mean of a Gaussian likelihood."""
    return mean_and_rest(likelihood, raw)[0] if likelihood.outputs == 2 else raw


def log_gaussian(likelihood: Likelihood, raw: np.ndarray, x: np.ndarray) -> np.ndarray:
    """SciPy's log density of each value."""
    return stats.norm.logpdf(x, mean_of_gaussian(likelihood, raw), scale_of(likelihood, raw))


Truth = Callable[[Likelihood, np.ndarray, np.ndarray], np.ndarray]
LOG_DENSITIES: dict[str, Truth] = {
    "bernoulli": lambda likelihood, raw, x: stats.bernoulli.logpmf(x, expit(raw)),
    "continuous-bernoulli": lambda likelihood, raw, x: log_continuous_bernoulli(x, raw),
    **dict.fromkeys(UNBOUNDED, log_gaussian),
}
Moment = Callable[[Likelihood, np.ndarray], np.ndarray]
MEANS: dict[str, Moment] = {
    "bernoulli": lambda likelihood, raw: expit(raw),
    "continuous-bernoulli": lambda likelihood, raw: mean_of_continuous_bernoulli(raw),
    **dict.fromkeys(UNBOUNDED, mean_of_gaussian),
}
VARIANCES: dict[str, Moment] = {
    "bernoulli": lambda likelihood, raw: expit(raw) * expit(-raw),
    "continuous-bernoulli": lambda likelihood, raw: variance_of_continuous_bernoulli(raw),
    **{
        name: lambda likelihood, raw: np.broadcast_to(
            scale_of(likelihood, raw) ** 2, mean_of_gaussian(likelihood, raw).shape
        )
        for name in UNBOUNDED
    },
}


def draw_raw(likelihood: Likelihood, batch: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """What a decoder might put out, (*batch, *features) or (*batch, 2, *features), float64."""
    outputs = (likelihood.outputs,) if likelihood.outputs > 1 else ()
    return np.random.default_rng(seed).normal(0, 1.5, (*batch, *outputs, *likelihood.feature_shape)).clip(-4, 4)


def draw_rows(name: str, shape: tuple[int, ...], seed: int = 2) -> np.ndarray:
    """Rows in the support of a likelihood."""
    rng = np.random.default_rng(seed)
    if name == "bernoulli":
        return rng.integers(0, 2, shape).astype(float)
    return rng.random(shape) if name in BOUNDED else rng.normal(0, 2, shape)


def as_float32(values: np.ndarray) -> Tensor:
    """What the networks work with."""
    return torch.tensor(values, dtype=torch.float32)


@pytest.mark.parametrize("name", LIKELIHOODS)
class TestEveryLikelihood:
    """One contract: a new likelihood joins the tables of truths above, or these tests fail."""

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_agrees_with_scipy(self, name: str, shape: tuple[int, ...]) -> None:
        likelihood = make(name, shape)
        raw, x = draw_raw(likelihood, (3, 4)), draw_rows(name, (4, *shape))
        log_prob = likelihood(as_float32(raw)).log_prob(as_float32(x))
        expected = LOG_DENSITIES[name](likelihood, raw, x).reshape(3, 4, -1).sum(-1)
        assert log_prob.shape == (3, 4)
        np.testing.assert_allclose(log_prob.detach(), expected, rtol=2e-5, atol=2e-5)

    def test_has_the_mean_of_its_family(self, name: str) -> None:
        likelihood = make(name, (2, 3))
        raw = draw_raw(likelihood, (4,))
        mean = likelihood(as_float32(raw)).mean
        np.testing.assert_allclose(mean.detach(), MEANS[name](likelihood, raw), atol=2e-6)

    def test_says_the_variance_that_it_has(self, name: str) -> None:
        likelihood = make(name, (2, 3))
        raw = draw_raw(likelihood, (4,))
        variance = likelihood(as_float32(raw)).variance
        np.testing.assert_allclose(variance.detach(), VARIANCES[name](likelihood, raw), rtol=2e-5)

    def test_samples_with_that_mean_and_variance(self, name: str) -> None:
        torch.manual_seed(3)
        likelihood, n = make(name, (2, 3)), 20_000
        raw = draw_raw(likelihood, (4,))
        draws = likelihood(as_float32(raw)).sample((n,)).double().numpy()
        mean, variance = MEANS[name](likelihood, raw), VARIANCES[name](likelihood, raw)
        assert draws.shape == (n, 4, 2, 3)
        assert (np.abs(draws.mean(0) - mean) < 5 * np.sqrt(variance / n)).all()
        np.testing.assert_allclose(draws.var(0), variance, rtol=0.12)

    def test_samples_inside_its_support(self, name: str) -> None:
        torch.manual_seed(4)
        likelihood = make(name, (5,))
        draws = likelihood(as_float32(20 * draw_raw(likelihood, (50,)))).sample((20,))
        assert torch.isfinite(draws).all()
        likelihood.check_support(float(draws.min()), float(draws.max()))

    def test_treats_each_sample_alone(self, name: str) -> None:
        likelihood = make(name, (2, 3))
        raw, x = as_float32(draw_raw(likelihood, (4,))), as_float32(draw_rows(name, (4, 2, 3)))
        torch.testing.assert_close(likelihood(raw).log_prob(x)[2:3], likelihood(raw[2:3]).log_prob(x[2:3]))

    def test_is_finite_with_finite_gradients_far_out(self, name: str) -> None:
        likelihood = make(name, (4,))
        raw = as_float32(100 * np.sign(draw_raw(likelihood, (8,)))).requires_grad_()
        log_prob = likelihood(raw).log_prob(as_float32(draw_rows(name, (8, 4))))
        log_prob.sum().backward()
        assert torch.isfinite(log_prob).all() and torch.isfinite(raw.grad).all()


@pytest.mark.parametrize("name", UNBOUNDED + ["continuous-bernoulli"])
def test_a_density_integrates_to_one(name: str) -> None:
    likelihood = make(name, (1,)).double()
    raw = torch.tensor(draw_raw(likelihood, (1,)))

    def density(x: float) -> float:
        with torch.no_grad():
            return likelihood(raw).log_prob(torch.tensor([[x]], dtype=torch.float64)).exp().item()

    low, high = max(likelihood.low, -40), min(likelihood.high, 40)
    total, _ = integrate.quad(density, low, high, points=[float(likelihood(raw).mean.detach())], limit=200)
    assert total == pytest.approx(1, abs=1e-7)


class TestTheBernoulliLikelihood:
    """A log-probability on black and white, the cross-entropy on grey."""

    @given(grey=st.floats(0, 1), logit=st.floats(-15, 15))
    def test_is_the_cross_entropy_on_grey_values(self, grey: float, logit: float) -> None:
        loss = -LIKELIHOODS["bernoulli"]((1,))(torch.tensor([[logit]])).log_prob(torch.tensor([[grey]]))
        p = expit(np.float32(logit), dtype=np.float64)
        expected = -(grey * np.log(p) + (1 - grey) * np.log(expit(-np.float64(np.float32(logit)))))
        assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)

    def test_does_not_lose_a_certain_answer(self) -> None:
        log_prob = LIKELIHOODS["bernoulli"]((1,))(torch.tensor([[200.0]])).log_prob(torch.tensor([[0.0]]))
        assert log_prob.item() == -200


class TestTheContinuousBernoulliLikelihood:
    """In fp32, near logit 0, where its closed form cancels, and far out, where probabilities round to 0 and 1."""

    @pytest.mark.parametrize("logit", LOGITS)
    @pytest.mark.parametrize("x", [0.0, 0.25, 1.0])
    def test_is_normalised_at_every_logit(self, logit: float, x: float) -> None:
        log_prob = LIKELIHOODS["continuous-bernoulli"]((1,))(torch.tensor([[logit]])).log_prob(torch.tensor([[x]]))
        expected = log_continuous_bernoulli(np.array(x), np.array(logit)).item()
        assert log_prob.item() == pytest.approx(expected, rel=1e-6, abs=2e-5)

    @pytest.mark.parametrize("logit", LOGITS)
    def test_integrates_to_one_at_every_logit(self, logit: float) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(200)
        x = torch.tensor((nodes + 1) / 2)[:, None]
        distribution = LIKELIHOODS["continuous-bernoulli"]((1,))(torch.full((200, 1), logit, dtype=torch.float64))
        assert (distribution.log_prob(x).exp().numpy() * weights / 2).sum() == pytest.approx(1, abs=1e-8)

    @pytest.mark.parametrize("logit", LOGITS)
    def test_has_its_mean_and_variance_at_every_logit(self, logit: float) -> None:
        base = LIKELIHOODS["continuous-bernoulli"]((1,))(torch.tensor([[logit]]))
        assert base.mean.item() == pytest.approx(mean_of_continuous_bernoulli(np.array(logit)).item(), abs=1e-6)
        expected = variance_of_continuous_bernoulli(np.array(logit)).item()
        assert base.variance.item() == pytest.approx(expected, rel=1e-3)

    @pytest.mark.parametrize("logit", LOGITS)
    def test_has_the_gradient_of_an_exponential_family(self, logit: float) -> None:
        raw = torch.tensor([[logit]], requires_grad=True)
        LIKELIHOODS["continuous-bernoulli"]((1,))(raw).log_prob(torch.tensor([[0.3]])).backward()
        expected = 0.3 - mean_of_continuous_bernoulli(np.array(logit)).item()
        assert raw.grad.item() == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("logit", [-60.0, -2.0, 0.0, 0.3, 25.0])
    def test_samples_from_its_distribution_function(self, logit: float) -> None:
        torch.manual_seed(0)
        draws = LIKELIHOODS["continuous-bernoulli"]((1,))(torch.tensor([[logit]])).sample((4000,)).numpy().ravel()
        cdf = (lambda x: x) if logit == 0 else lambda x: np.expm1(logit * x) / np.expm1(logit)
        assert stats.kstest(draws, cdf).pvalue > 1e-3

    def test_can_answer_black_and_white(self) -> None:
        means = LIKELIHOODS["continuous-bernoulli"]((2,))(torch.tensor([[-1000.0, 1000.0]])).mean
        np.testing.assert_allclose(means, [[0.001, 0.999]], atol=1e-6)


class TestTheGaussianLikelihoods:
    """Scales that are fixed, shared, one a feature, or one a value."""

    @pytest.mark.parametrize("log_scale_shape", [(), (2, 3), (4, 2, 3)], ids=["shared", "feature", "value"])
    def test_agree_with_torch_in_value_and_gradient(self, log_scale_shape: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        mean = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
        log_scale = torch.randn(log_scale_shape, dtype=torch.float64, requires_grad=True)
        x = torch.randn(4, 2, 3, dtype=torch.float64)
        ours = DiagonalGaussian(mean, log_scale, 2).log_prob(x)
        theirs = Independent(Normal(mean, log_scale.exp().expand_as(mean)), 2).log_prob(x)
        torch.testing.assert_close(ours, theirs)
        weights = torch.randn(4, dtype=torch.float64)
        gradients = [torch.autograd.grad((p * weights).sum(), (mean, log_scale)) for p in (ours, theirs)]
        torch.testing.assert_close(*gradients)

    def test_of_scale_sqrt_half_is_the_squared_error_and_a_constant(self) -> None:
        likelihood = LIKELIHOODS["gaussian"]((6,), scale=math.sqrt(0.5))
        raw, x = torch.randn(4, 6), torch.randn(4, 6)
        squared_error = (raw - x).square().sum(1)
        torch.testing.assert_close(-likelihood(raw).log_prob(x), squared_error + 3 * math.log(math.pi))

    @pytest.mark.parametrize("name", ["gaussian-shared", "gaussian-per-feature"])
    def test_start_at_the_scale_given_and_learn_it(self, name: str) -> None:
        likelihood = LIKELIHOODS[name]((6,), scale=0.3)
        distribution = likelihood(torch.zeros(4, 6))
        np.testing.assert_allclose(distribution.variance.detach(), np.full((4, 6), 0.09), rtol=1e-5)
        distribution.log_prob(torch.ones(4, 6)).sum().backward()
        assert all((parameter.grad > 0).all() for parameter in likelihood.parameters())

    def test_best_shared_scale_is_the_root_mean_squared_error(self) -> None:
        raw, x = torch.randn(50, 6, dtype=torch.float64), torch.randn(50, 6, dtype=torch.float64)
        best = 0.5 * (raw - x).square().mean().log()
        likelihood = LIKELIHOODS["gaussian-shared"]((6,)).double()
        with torch.no_grad():
            likelihood.log_scale.copy_(best)
        likelihood(raw).log_prob(x).sum().backward()
        assert likelihood.log_scale.grad.abs().item() < 1e-9

    def test_fixed_scale_is_not_learned_and_not_in_the_file(self) -> None:
        likelihood = LIKELIHOODS["gaussian"]((6,), scale=0.3)
        assert not list(likelihood.parameters()) and not likelihood.state_dict()

    @pytest.mark.parametrize("name", ["gaussian-shared", "gaussian-per-feature"])
    def test_learned_scales_have_a_floor(self, name: str) -> None:
        likelihood = LIKELIHOODS[name]((3,), scale=1e-12)
        variance = likelihood(torch.zeros(1, 3)).variance
        np.testing.assert_allclose(variance.detach(), np.exp(2 * MIN_LOG_SCALE), rtol=1e-5)

    def test_decoded_scales_have_a_floor_and_a_ceiling(self) -> None:
        raw = torch.tensor([[[0.0, 0.0, 0.0], [-50.0, 0.5, 50.0]]])
        variance = LIKELIHOODS["gaussian-heteroscedastic"]((3,))(raw).variance
        np.testing.assert_allclose(variance, np.exp([[-12.0, 1.0, 12.0]]), rtol=1e-5)

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_two_outputs_are_the_mean_then_the_log_scale(self, shape: tuple[int, ...]) -> None:
        family = LIKELIHOODS["gaussian-heteroscedastic"]
        distribution = family(shape)(torch.stack([torch.full((4, *shape), 3.0), torch.full((4, *shape), -1.0)], 1))
        assert family.outputs == 2 and distribution.batch_shape == (4,) and distribution.event_shape == shape
        assert (distribution.mean == 3).all()
        torch.testing.assert_close(distribution.variance, torch.full((4, *shape), math.exp(-2)))


class TestTheSupport:
    """Data that a likelihood cannot explain are refused with the range that came and what to do."""

    @pytest.mark.parametrize("name", BOUNDED)
    @pytest.mark.parametrize(
        ("low", "high", "words"),
        [(0.0, 255.0, r"\[0, 255\]"), (-0.5, 1.0, r"\[-0\.5, 1\]"), (0.0, 1.001, r"\[0, 1\.001\]")],
    )
    def test_outside_the_unit_interval_is_refused(self, name: str, low: float, high: float, words: str) -> None:
        expected = rf"A {name} likelihood expects values in \[0, 1\]; got {words} after scaling\. Divide by 255"
        with pytest.raises(DataError, match=expected):
            LIKELIHOODS[name]((1,)).check_support(low, high)

    @pytest.mark.parametrize("name", BOUNDED)
    def test_the_ends_belong_to_it_and_what_rounding_adds(self, name: str) -> None:
        LIKELIHOODS[name]((1,)).check_support(0.0, 1.0)
        LIKELIHOODS[name]((1,)).check_support(-1e-7, math.nextafter(1.0, 2.0))
        with pytest.raises(DataError, match="choose likelihood='gaussian'"):
            LIKELIHOODS[name]((1,)).check_support(0.0, 1.001)

    @pytest.mark.parametrize("name", UNBOUNDED)
    def test_a_gaussian_takes_any_number(self, name: str) -> None:
        assert LIKELIHOODS[name]((1,)).check_support(-1e30, 1e30) is None


def test_the_prior_is_a_standard_normal() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    z = torch.randn(7, 3, dtype=torch.float64)
    prior = standard_normal(3, like=like)
    np.testing.assert_allclose(prior.log_prob(z), stats.multivariate_normal(np.zeros(3)).logpdf(z.numpy()))
    assert prior.sample().dtype == torch.float64


class TestBernoulliOfLogits:
    """Its closed gradients beside torch's own distribution, in float64."""

    def test_value_and_gradients_are_those_of_torch(self) -> None:
        logits = (torch.randn(3, 5, 2, 4, dtype=torch.float64) * 20).requires_grad_()
        x = torch.rand(5, 2, 4, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(3, 5, dtype=torch.float64)
        ours = LogitBernoulli(logits, 2).log_prob(x)
        theirs = Independent(Bernoulli(logits=logits, validate_args=False), 2).log_prob(x)
        torch.testing.assert_close(ours, theirs)
        for a, b in zip(
            torch.autograd.grad(ours, (logits, x), weights), torch.autograd.grad(theirs, (logits, x), weights)
        ):
            torch.testing.assert_close(a, b)

    def test_gradients_can_be_differentiated_again(self) -> None:
        logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
        x = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(lambda a, b: LogitBernoulli(a, 1).log_prob(b), (logits, x))

    def test_values_may_have_more_samples_than_logits(self) -> None:
        logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
        x = torch.rand(5, 4, 3, dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda a: LogitBernoulli(a, 1).log_prob(x), (logits,))
