"""The terms of the objectives against closed forms, Monte Carlo, autograd and the worked examples of the articles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.likelihoods import standard_normal
from hyotan.models import PENALTIES
from hyotan.models.losses import (
    contractive_penalty,
    free_bits,
    iwae_bound,
    kl_per_dimension,
    log_weights,
    negative_elbo,
    sparse_penalty,
    virtual_adversarial,
    warmed_beta,
)
from hyotan.training.objective import Progress


def posterior(n: int = 5, latent: int = 3, seed: int = 0) -> Independent:
    """A diagonal Gaussian for each of n rows, float64."""
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, n, latent, generator=generator, dtype=torch.float64)
    return Independent(Normal(mean, (0.5 * log_variance).exp()), 1)


class TestTheKL:
    """Of each latent dimension, in nats."""

    def test_is_the_closed_form_written_out(self) -> None:
        q = posterior()
        mean, variance = q.mean.numpy(), q.variance.numpy()
        np.testing.assert_allclose(kl_per_dimension(q), 0.5 * (mean**2 + variance - 1 - np.log(variance)))

    def test_agrees_with_torch_on_objects_of_full_covariance(self) -> None:
        q = posterior()
        full = MultivariateNormal(q.mean, covariance_matrix=torch.diag_embed(q.variance))
        prior = MultivariateNormal(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64))
        torch.testing.assert_close(kl_per_dimension(q).sum(-1), kl_divergence(full, prior))

    def test_agrees_with_monte_carlo(self) -> None:
        q, n = posterior(), 200_000
        rng = np.random.default_rng(1)
        z = rng.normal(q.mean, q.stddev, (n, 5, 3))
        ratios = stats.norm.logpdf(z, q.mean, q.stddev) - stats.norm.logpdf(z)
        error = ratios.std(0) / math.sqrt(n)
        assert (np.abs(ratios.mean(0) - kl_per_dimension(q).numpy()) < 5 * error).all()

    def test_is_zero_at_the_prior_and_nowhere_else(self) -> None:
        at_prior = Independent(Normal(torch.zeros(2, 3), torch.ones(2, 3)), 1)
        assert (kl_per_dimension(at_prior) == 0).all()
        assert (kl_per_dimension(posterior()) > 0).all()


class TestTheWorkedCrossEntropies:
    """The examples that the article works out by hand."""

    CERTAIN = [([1, 0, 0], [0.5, 0.3, 0.2]), ([0, 1, 0], [0.7, 0.1, 0.2]), ([1, 0, 0], [0.5, 0.4, 0.1])]

    @staticmethod
    def binary(p: list[float], q: list[float]) -> float:
        """The cross-entropy of a Bernoulli likelihood, mean over the elements."""
        logits = torch.tensor([q], dtype=torch.float64).logit()
        x = torch.tensor([p], dtype=torch.float64)
        return -LIKELIHOODS["bernoulli"]((3,))(logits).log_prob(x).item() / 3

    @pytest.mark.parametrize(("example", "value"), [(0, 0.23104906), (1, 0.76752836), (2, 0.23104906)])
    def test_of_three_classes_divided_by_three(self, example: int, value: float) -> None:
        p, q = torch.tensor(self.CERTAIN[example], dtype=torch.float64)
        entropy = -torch.distributions.Categorical(probs=q).log_prob(p.argmax()).item() / 3
        assert entropy == pytest.approx(value, abs=5e-9)

    @pytest.mark.parametrize(("example", "value"), [(0, 0.42432189), (1, 1.24323), (2, 0.43644444)])
    def test_of_the_bernoulli_likelihood(self, example: int, value: float) -> None:
        assert self.binary(*self.CERTAIN[example]) == pytest.approx(value, abs=5e-6 if example == 1 else 5e-9)

    def test_second_one_is_printed_for_another_class(self) -> None:
        printed = 0.22839300
        assert self.binary([1, 0, 0], [0.7, 0.1, 0.2]) == pytest.approx(printed, abs=5e-9)
        assert abs(self.binary([0, 1, 0], [0.7, 0.1, 0.2]) - printed) > 1


class TestTheImportanceWeightedBound:
    """log of the mean weight: the ELBO for one sample, log p(x) for many."""

    @staticmethod
    def weights(samples: int, seed: int) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) in one dimension: p(x|z) = N(z, 1), q(z|x) = N(0, 1), x = 1."""
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn(samples, 400, 1, generator=generator, dtype=torch.float64)
        q = Independent(Normal(torch.zeros(400, 1, dtype=torch.float64), 1.0), 1)
        log_likelihood = Normal(z[..., 0], 1.0).log_prob(torch.tensor(1.0, dtype=torch.float64))
        return log_weights(log_likelihood, z, q, standard_normal(1, like=z))

    def test_is_the_logarithm_of_the_mean_weight(self) -> None:
        log_w = self.weights(7, seed=0)
        expected = logsumexp(log_w.numpy(), axis=0) - math.log(7)
        np.testing.assert_allclose(iwae_bound(log_w), expected)
        np.testing.assert_allclose(iwae_bound(log_w).exp(), log_w.exp().mean(0))

    def test_of_one_sample_is_the_elbo_with_a_monte_carlo_kl(self) -> None:
        q = posterior(4, 2)
        z = q.rsample((1,))
        log_likelihood = torch.tensor([[-1.0, -2.0, -3.0, -4.0]], dtype=torch.float64)
        drawn_kl = stats.norm.logpdf(z, q.mean, q.stddev).sum(-1) - stats.norm.logpdf(z).sum(-1)
        bound = iwae_bound(log_weights(log_likelihood, z, q, standard_normal(2, like=z)))
        np.testing.assert_allclose(bound, (log_likelihood.numpy() - drawn_kl)[0])

    def test_tightens_with_samples_towards_the_evidence(self) -> None:
        evidence = stats.norm.logpdf(1.0, 0.0, math.sqrt(2))
        bounds = [iwae_bound(self.weights(k, seed=k)).mean().item() for k in (1, 5, 50, 5000)]
        elbo = -0.5 * math.log(2 * math.pi) - 0.5 * (1 + 1)
        assert bounds[0] == pytest.approx(elbo, abs=0.2)
        assert bounds[0] < bounds[1] < bounds[2] < evidence + 0.01
        assert bounds[3] == pytest.approx(evidence, abs=5e-3)

    def test_survives_weights_beyond_the_range_of_exp(self) -> None:
        log_w = torch.tensor([[-5000.0, 5000.0], [-5001.0, 4999.0]])
        expected = math.log((1 + math.exp(-1)) / 2)
        torch.testing.assert_close(iwae_bound(log_w), torch.tensor([-5000 + expected, 5000 + expected]))


class TestFreeBits:
    """KL whose batch mean is max(floor, mean) in each dimension."""

    KL = torch.tensor([[0.1, 3.0, 0.9], [0.3, 1.0, 0.0]])

    def test_mean_is_the_larger_of_the_floor_and_the_mean(self) -> None:
        torch.testing.assert_close(free_bits(self.KL, 0.5).mean(0), torch.tensor([0.5, 2.0, 0.5]))

    def test_passes_no_gradient_below_the_floor(self) -> None:
        kl = self.KL.clone().requires_grad_()
        free_bits(kl, 0.5).mean(0).sum().backward()
        assert kl.grad.tolist() == [[0.0, 0.5, 0.0], [0.0, 0.5, 0.0]]

    def test_floor_of_zero_changes_nothing(self) -> None:
        assert torch.equal(free_bits(self.KL, 0.0), self.KL)

    @given(floor=st.floats(0, 4), seed=st.integers(0, 99))
    def test_is_the_papers_formula(self, floor: float, seed: int) -> None:
        kl = np.random.default_rng(seed).exponential(1, (6, 4))
        ours = free_bits(torch.tensor(kl), floor).sum(-1).mean().item()
        assert ours == pytest.approx(np.maximum(kl.mean(0), floor).sum())


class TestTheBound:
    """-(E[log p(x|z)] - beta KL), and how beta gets there."""

    def test_weighs_the_kl_summed_over_the_latents(self) -> None:
        kl = torch.tensor([[1.0, 2.0], [0.0, 0.5]])
        assert negative_elbo(torch.tensor([10.0, 20.0]), kl, beta=4.0).tolist() == [22.0, 22.0]

    @pytest.mark.parametrize(("epoch", "beta"), [(0.0, 0.0), (1.0, 0.8), (2.5, 2.0), (5.0, 4.0), (80.0, 4.0)])
    def test_beta_rises_in_a_straight_line(self, epoch: float, beta: float) -> None:
        assert warmed_beta(4.0, 5.0, Progress(epoch, 100)) == pytest.approx(beta)

    def test_beta_has_its_final_value_outside_training(self) -> None:
        assert warmed_beta(4.0, 5.0, None) == 4.0

    def test_beta_starts_at_its_final_value_without_a_warm_up(self) -> None:
        assert warmed_beta(4.0, 0.0, Progress(0.0, 100)) == 4.0


class TestThePenalties:
    """On the code of an autoencoder, per sample."""

    @staticmethod
    def layer() -> tuple[nn.Sequential, Tensor]:
        """A sigmoid layer and five rows, float64."""
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 3), nn.Sigmoid()).double(), torch.randn(5, 6, dtype=torch.float64)

    def test_contractive_agrees_with_rifais_closed_form(self) -> None:
        encode, x = self.layer()
        code = encode(x)
        row_norms = encode[0].weight.square().sum(1)
        expected = ((code * (1 - code)).square() * row_norms).sum(1)
        torch.testing.assert_close(contractive_penalty(encode, x, code), expected)

    def test_contractive_agrees_with_the_jacobian_of_a_deep_encoder(self) -> None:
        torch.manual_seed(1)
        encode = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 3), nn.Tanh()).double()
        x = torch.randn(4, 2, 3, dtype=torch.float64)
        jacobians = torch.stack([torch.func.jacrev(lambda row: encode(row[None])[0])(row) for row in x])
        expected = jacobians.square().flatten(1).sum(1)
        torch.testing.assert_close(contractive_penalty(encode, x, encode(x)), expected)

    def test_contractive_has_the_gradient_of_the_closed_form(self) -> None:
        encode, x = self.layer()
        weight = encode[0].weight
        code = encode(x)
        closed_form = ((code * (1 - code)).square() * weight.square().sum(1)).sum()
        (expected,) = torch.autograd.grad(closed_form, weight)
        (ours,) = torch.autograd.grad(contractive_penalty(encode, x, encode(x)).sum(), weight)
        torch.testing.assert_close(ours, expected)

    def test_contractive_can_be_evaluated_where_gradients_are_off(self) -> None:
        encode, x = self.layer()
        expected = contractive_penalty(encode, x, encode(x)).detach()
        with torch.no_grad():
            torch.testing.assert_close(contractive_penalty(encode, x, encode(x)), expected)

    def test_sparse_is_the_l1_norm_of_the_code(self) -> None:
        encode, x = self.layer()
        code = torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.0, 0.0]])
        assert sparse_penalty(encode, x, code).tolist() == [3.0, 0.5]

    @pytest.mark.parametrize("name", PENALTIES)
    def test_every_penalty_is_a_number_a_sample_and_treats_each_alone(self, name: str) -> None:
        encode, x = self.layer()
        penalty = PENALTIES[name](encode, x, encode(x))
        assert penalty.shape == (5,) and (penalty > 0).all()
        torch.testing.assert_close(PENALTIES[name](encode, x[2:3], encode(x[2:3])), penalty[2:3])


class TestVirtualAdversarial:
    def test_finds_the_worst_direction_of_a_linear_classifier(self) -> None:
        torch.manual_seed(0)
        weight, x = torch.randn(2, 5), torch.randn(7, 5)
        change = virtual_adversarial(lambda rows: rows @ weight.T, x, x @ weight.T, radius=0.1)
        # Two classes: only the difference of the logits counts, so the worst step goes along the weights' difference.
        step = 0.1 * torch.nn.functional.normalize(weight[0] - weight[1], dim=0)
        p = (x @ weight.T).log_softmax(1)
        both = torch.stack([(p.exp() * (p - ((x + s * step) @ weight.T).log_softmax(1))).sum(1) for s in (1, -1)])
        assert (change <= both.max(0).values * 1.001).all()
        assert (change >= both.min(0).values * 0.999).all()

    def test_is_zero_where_nothing_changes_and_teaches_where_it_does(self) -> None:
        x = torch.randn(4, 2, 3)
        flat = virtual_adversarial(lambda rows: rows.flatten(1)[:, :2] * 0 + 1.0, x, torch.ones(4, 2), 0.5)
        assert flat.tolist() == [0.0] * 4
        layer = torch.nn.Linear(6, 3)
        logits = layer(x.flatten(1))
        virtual_adversarial(lambda rows: layer(rows.flatten(1)), x, logits, 0.5).mean().backward()
        assert layer.weight.grad.abs().sum() > 0
