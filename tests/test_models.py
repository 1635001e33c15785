"""One contract over all models; gradients by finite differences; likelihoods of a model that can be solved."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError

from hyotan import CVAE, VAE, WAE, Autoencoder, DenoisingAutoencoder
from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.likelihoods import GaussianLikelihood
from hyotan.errors import DataError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.models import NOISES, VARIANCES
from hyotan.models.autoencoder import AutoencoderModel
from hyotan.models.cvae import CVAEModel
from hyotan.models.losses import contractive_penalty, iwae_bound
from hyotan.models.vae import VAEModel
from hyotan.training.objective import Progress

TABLE = np.random.default_rng(0).random((24, 6))
IMAGES = np.random.default_rng(1).random((24, 6, 5))
COLOUR = np.random.default_rng(2).random((24, 3, 5, 6))
SMALL: dict[str, Any] = {"hidden_dims": (5,), "max_epochs": 1, "validation_fraction": 0, "random_state": 0}
CONV: dict[str, Any] = {"architecture": "conv", "channels": (2, 3)}


@dataclass(frozen=True)
class Case:
    """An estimator, its settings and rows to fit it on."""

    family: type[LatentEstimator]
    X: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)

    def fit(self) -> LatentEstimator:
        """One epoch, so that nothing stands where it started."""
        return self.family(latent_dim=2, **SMALL | self.settings).fit(self.X, np.arange(24) % 3)


CASES: dict[str, Case] = {
    "ae": Case(Autoencoder, TABLE),
    "ae on images": Case(Autoencoder, IMAGES),
    "ae conv": Case(Autoencoder, IMAGES, CONV),
    "ae conv, colour": Case(Autoencoder, COLOUR, CONV),
    "ae tied": Case(Autoencoder, IMAGES, {"tied": True}),
    "ae sparse": Case(Autoencoder, TABLE, {"penalty": "sparse"}),
    "ae contractive": Case(Autoencoder, TABLE, {"penalty": "contractive"}),
    "ae contractive conv": Case(Autoencoder, IMAGES, CONV | {"penalty": "contractive"}),
    **{f"dae {noise}": Case(DenoisingAutoencoder, TABLE, {"noise": noise}) for noise in NOISES},
    "dae conv": Case(DenoisingAutoencoder, IMAGES, CONV),
    "vae exp": Case(VAE, TABLE, {"beta": 0.7}),
    "vae softplus": Case(VAE, TABLE, {"variance": "softplus", "n_samples": 3}),
    "vae conv": Case(VAE, COLOUR, CONV | {"n_samples": 2}),
    "vae free bits": Case(VAE, TABLE, {"free_bits": 0.05}),
    "vae iwae": Case(VAE, TABLE, {"objective": "iwae", "n_samples": 5}),
    "vae iwae conv": Case(VAE, IMAGES, CONV | {"objective": "iwae", "n_samples": 5}),
    **{f"ae {name}": Case(Autoencoder, TABLE, {"likelihood": name, "scaling": "unit"}) for name in LIKELIHOODS},
    **{f"vae {name}": Case(VAE, IMAGES, {"likelihood": name, "scaling": "unit"}) for name in LIKELIHOODS},
    "ae ordered": Case(Autoencoder, TABLE, {"ordered": True, "hidden_dims": (5, 4)}),
    "ae ordered conv": Case(Autoencoder, COLOUR, CONV | {"ordered": True}),
    "ae ordered tied": Case(Autoencoder, TABLE, {"ordered": True, "tied": True}),
    "vae ordered": Case(VAE, TABLE, {"ordered": True, "beta": 0.7, "n_samples": 3}),
    "vae ordered iwae": Case(VAE, IMAGES, {"ordered": True, "objective": "iwae", "n_samples": 5}),
    "wae": Case(WAE, TABLE),
    "wae conv": Case(WAE, COLOUR, CONV),
    "wae ordered": Case(WAE, TABLE, {"ordered": True}),
    "cvae": Case(CVAE, TABLE, {"consistency_weight": 0.0}),
    "cvae conv": Case(CVAE, COLOUR, CONV | {"n_samples": 2, "beta": 0.7, "consistency_weight": 0.0}),
    "vae conv, two outputs": Case(VAE, COLOUR, CONV | {"likelihood": "gaussian-heteroscedastic"}),
}
VAES = [name for name, case in CASES.items() if case.family.family.probabilistic]
LABELLED = [name for name, case in CASES.items() if case.family is CVAE]
BATCH_WISE = ["dae swap", "vae free bits"]
DRAWING = [
    *VAES,
    *(name for name, case in CASES.items() if case.family is WAE),
    *(name for name, case in CASES.items() if case.family is DenoisingAutoencoder or "ordered" in case.settings),
]


@functools.cache
def fitted(name: str) -> LatentEstimator:
    """Each case, fitted once."""
    return CASES[name].fit()


def batch(name: str) -> tuple[AutoencoderModel | VAEModel, Tensor]:
    """A copy of a fitted model, and its rows in the model's range."""
    estimator = fitted(name)
    return copy.deepcopy(estimator.model_), torch.from_numpy(estimator.in_range(CASES[name].X))


def each_label(model: VAEModel, x: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
    """Every label that rows may have, with its probability in each row: a sum over them is what the model must give."""
    if not isinstance(model, CVAEModel):
        return [(torch.ones(len(x)), [])]
    probabilities = model.classifier(x).softmax(-1).T
    labels = torch.eye(model.n_classes)
    return [(p, [label.expand(len(x), -1)]) for p, label in zip(probabilities, labels, strict=True)]


@pytest.mark.parametrize("name", CASES)
class TestEveryModel:
    """A new model joins the list and inherits every test."""

    def test_gives_back_the_shapes_it_got(self, name: str) -> None:
        estimator, X = fitted(name), CASES[name].X
        assert estimator.reconstruct(X).shape == X.shape
        assert estimator.transform(X).shape == (24, 2)
        assert estimator.sample(7, random_state=0).shape == (7, *X.shape[1:])

    def test_has_one_number_a_sample_in_each_term(self, name: str) -> None:
        model, x = batch(name)
        terms = model.objective(x)
        assert terms.loss.shape == terms.reconstruction.shape == (24,)
        assert terms.code.shape == (24, 2)
        assert (terms.kl is None) == (name not in VAES)
        assert terms.kl is None or (terms.kl.shape == (24, 2) and (terms.kl >= 0).all())

    def test_gives_every_parameter_a_gradient(self, name: str) -> None:
        model, x = batch(name)
        model.objective(x).loss.mean().backward()
        without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert without == []

    def test_treats_each_sample_alone(self, name: str) -> None:
        model, x = batch(name)
        with torch.no_grad():
            together = model.decode(model.code(x))
            alone = model.decode(model.code(x[2:3]))
            torch.testing.assert_close(model.code(x)[2:3], model.code(x[2:3]))
            torch.testing.assert_close(together.mean[2:3], alone.mean)
            torch.testing.assert_close(together.log_prob(x)[2:3], alone.log_prob(x[2:3]), rtol=1e-5, atol=1e-4)

    def test_is_a_function_of_its_input_and_the_seed(self, name: str) -> None:
        model, x = batch(name)
        losses = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            losses.append(model.objective(x).loss)
        assert torch.equal(losses[0], losses[1])
        assert torch.equal(losses[0], losses[2]) == (name not in DRAWING)

    def test_reconstruction_is_the_negative_log_likelihood_at_the_code(self, name: str) -> None:
        model, x = batch(name)
        if isinstance(model, AutoencoderModel):
            torch.manual_seed(4)
            terms = model.objective(x)
            torch.testing.assert_close(terms.reconstruction, -model.decode(terms.code).log_prob(x))
        else:
            model.n_samples = 4000
            torch.manual_seed(4)
            errors = torch.zeros(4000, 24)
            for weight, given in each_label(model, x):  # once, without a label, where the model knows none
                q = model.posterior(x, *given)
                z = q.mean + q.stddev * torch.randn(4000, 24, 2)
                errors -= weight * model.decode(z, *given).log_prob(x)
            bound = 6 * errors.std(0) / 4000**0.5 + 1e-4
            assert ((model.objective(x).reconstruction - errors.mean(0)).abs() < bound).all()


@pytest.mark.parametrize("name", [name for name in CASES if name not in DRAWING])
def test_loss_of_a_sample_does_not_depend_on_its_company(name: str) -> None:
    model, x = batch(name)
    torch.testing.assert_close(model.objective(x).loss[2:3], model.objective(x[2:3]).loss, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in VAES if name not in BATCH_WISE])
def test_importance_weights_of_a_sample_do_not_depend_on_its_company(name: str) -> None:
    model, x = batch(name)
    noise = torch.randn(3, 24, 3 if name in LABELLED else 2)
    torch.testing.assert_close(
        model.log_weights(x, noise)[:, 2:3], model.log_weights(x[2:3], noise[:, 2:3]), rtol=1e-5, atol=1e-4
    )


class TestTheLoss:
    """reconstruction + beta * KL, and what each family adds."""

    @pytest.mark.parametrize("beta", [0.0, 0.7, 784.0])
    @pytest.mark.parametrize("name", ["vae exp", "vae softplus", "vae conv"])
    def test_of_a_vae_is_reconstruction_plus_beta_kl(self, name: str, beta: float) -> None:
        model, x = batch(name)
        model.beta = beta
        terms = model.objective(x)
        torch.testing.assert_close(terms.loss, terms.reconstruction + beta * terms.kl.sum(1))

    def test_warms_beta_up_in_training_alone(self) -> None:
        model, x = batch("vae exp")
        model.beta_warmup = 4.0
        terms = model.objective(x, Progress(1.0, 10))
        torch.testing.assert_close(terms.loss, terms.reconstruction + 0.25 * model.beta * terms.kl.sum(1))
        terms = model.objective(x)
        torch.testing.assert_close(terms.loss, terms.reconstruction + model.beta * terms.kl.sum(1))

    def test_free_bits_cost_the_floor_and_leave_the_kl_as_it_is(self) -> None:
        model, x = batch("vae free bits")
        model.free_bits = 1e3
        terms = model.objective(x)
        torch.testing.assert_close(terms.loss, terms.reconstruction + 2e3)
        torch.testing.assert_close(terms.kl, batch("vae free bits")[0].objective(x).kl)

    @pytest.mark.parametrize("name", ["vae exp", "vae softplus"])
    def test_variance_is_what_the_encoder_says(self, name: str) -> None:
        model, x = batch(name)
        mean, raw = model.encoder(x).detach().double().numpy().T.reshape(2, 2, 24)
        q = model.posterior(x)
        expected = np.exp(raw) if name == "vae exp" else np.log1p(np.exp(raw))
        np.testing.assert_allclose(q.variance.detach(), expected.T, rtol=1e-5)
        np.testing.assert_allclose(q.mean.detach(), mean.T, rtol=1e-6)

    @pytest.mark.parametrize("name", VARIANCES)
    def test_deviation_stays_positive_and_finite_for_any_encoder(self, name: str) -> None:
        deviation = VARIANCES[name](torch.tensor([-1e4, -100.0, -20.0, 0.0, 20.0, 1e4]))
        assert (deviation > 0).all() and torch.isfinite(deviation).all()

    def test_of_iwae_is_the_bound_over_its_own_samples(self) -> None:
        model, x = batch("vae iwae")
        torch.manual_seed(3)
        terms = model.objective(x)
        torch.manual_seed(3)
        log_w = model.log_weights(x, torch.randn(5, 24, 2))
        torch.testing.assert_close(terms.loss, -iwae_bound(log_w), rtol=1e-5, atol=1e-5)

    def test_of_a_denoiser_compares_with_the_clean_input(self) -> None:
        model, x = batch("ae")
        model.noise = lambda rows: torch.zeros_like(rows)
        terms = model.objective(x)
        at_zero = model.code(torch.zeros_like(x))
        torch.testing.assert_close(terms.code, at_zero)
        torch.testing.assert_close(terms.loss, -model.decode(at_zero).log_prob(x))

    def test_adds_the_weighted_penalty(self) -> None:
        model, x = batch("ae sparse")
        model.penalty_weight = 3.0
        terms = model.objective(x)
        torch.testing.assert_close(terms.loss, terms.reconstruction + 3 * terms.code.abs().sum(1))

    def test_penalises_what_the_encoder_saw(self) -> None:
        model, x = batch("ae contractive")
        model.noise = lambda rows: 0.5 * rows
        terms = model.objective(x)
        penalty = contractive_penalty(model.code, 0.5 * x, model.code(0.5 * x))
        torch.testing.assert_close(terms.loss, terms.reconstruction + model.penalty_weight * penalty)

    def test_on_data_outside_the_support_is_refused_before_the_first_step(self) -> None:
        with pytest.raises(DataError, match=r"A bernoulli likelihood expects values in \[0, 1\]; got \[-?\d"):
            VAE(2, likelihood="bernoulli", scaling="none", **SMALL).fit(TABLE * 255)


class Loss(nn.Module):
    """A model's objective, summed, with the noise of one fixed seed."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """The losses, (batch,)."""
        torch.manual_seed(11)
        return self.model.objective(x).loss


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_finite_differences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Models cast to fp32, where finite differences say little: here that cast keeps float64, and nothing else changes.
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)
    model, x = batch(name)
    loss = Loss(model.double()).train()
    parameters = {name: p.detach().clone().requires_grad_() for name, p in loss.named_parameters()}
    rows = x[:3].double()

    def objective(*values: Tensor) -> Tensor:
        return torch.func.functional_call(loss, dict(zip(parameters, values, strict=True)), (rows,))

    assert objective(*parameters.values()).dtype == torch.float64
    # The fast mode compares along random directions in all parameters at once.
    assert torch.autograd.gradcheck(objective, tuple(parameters.values()), fast_mode=True, eps=1e-6, atol=1e-5)


def test_the_check_by_finite_differences_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def half_detached(self: VAEModel, x: Tensor, progress: Progress | None = None) -> Any:
        terms = objective(self, x, progress)
        return type(terms)(terms.loss - 0.1 * terms.code.detach().sum(1), terms.reconstruction, terms.code, terms.kl)

    objective = VAEModel.objective
    monkeypatch.setattr(VAEModel, "objective", half_detached)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        test_gradients_agree_with_finite_differences("vae exp", monkeypatch)


# -- a linear Gaussian VAE: x = W z + b + scale * noise, so that p(x) = N(b, W W' + scale² I) --------------------------


@dataclass(frozen=True)
class LinearGaussian:
    """The model: W of orthogonal columns, so that the true posterior is diagonal."""

    W: np.ndarray
    b: np.ndarray
    scale: float

    @classmethod
    def draw(cls, features: int = 6, latent: int = 2, scale: float = 0.5) -> LinearGaussian:
        """A random one."""
        rng = np.random.default_rng(7)
        columns = np.linalg.qr(rng.normal(size=(features, latent)))[0]
        return cls(columns * np.array([2.0, 0.8]), rng.normal(size=features), scale)

    def rows(self, n: int) -> np.ndarray:
        """Samples of it, (n, features)."""
        rng = np.random.default_rng(8)
        noise = rng.normal(size=(n, len(self.b))) * self.scale
        return (rng.normal(size=(n, self.W.shape[1])) @ self.W.T + self.b + noise).astype(np.float32)

    def log_evidence(self, X: np.ndarray) -> np.ndarray:
        """log p(x), by SciPy."""
        covariance = self.W @ self.W.T + self.scale**2 * np.eye(len(self.b))
        return stats.multivariate_normal(self.b, covariance).logpdf(X)

    def posterior(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A, c and v of the true posterior N(A x + c, diag(v))."""
        precision = np.diag(self.W.T @ self.W) + self.scale**2
        A = self.W.T / precision[:, None]
        return A, -A @ self.b, self.scale**2 / precision

    def elbo(self, X: np.ndarray, A: np.ndarray, c: np.ndarray, v: np.ndarray) -> np.ndarray:
        """E_q[log p(x|z)] - KL(q || N(0, I)) for q = N(A x + c, diag(v)), in closed form."""
        mean = X @ A.T + c
        residual = np.square(X - mean @ self.W.T - self.b).sum(1) + (np.square(self.W).sum(0) * v).sum()
        d = len(self.b)
        expected = -0.5 * residual / self.scale**2 - d * np.log(self.scale) - 0.5 * d * np.log(2 * np.pi)
        return expected - 0.5 * (np.square(mean) + v - 1 - np.log(v)).sum(1)

    def vae(self, X: np.ndarray, A: np.ndarray, c: np.ndarray, v: np.ndarray, variance: str = "exp") -> VAE:
        """A VAE whose decoder is this model and whose encoder is q, given as modules of one's own."""
        vae = VAE(
            2,
            encoder=nn.Linear(6, 4),
            decoder=nn.Linear(2, 6),
            likelihood="gaussian",
            likelihood_scale=self.scale,
            scaling="none",
            variance=variance,
            max_epochs=1,
            random_state=0,
        ).fit(X)
        raw = np.log(v) if variance == "exp" else np.log(np.expm1(v))
        weights = {
            "weight": np.concatenate([A, np.zeros_like(A)]),
            "bias": np.concatenate([c, raw]),
        }
        load(vae.model_.encoder, **weights)
        load(vae.model_.decoder, weight=self.W, bias=self.b)
        return vae


def load(layer: nn.Module, **weights: np.ndarray) -> None:
    """Set the weights of a layer."""
    layer.load_state_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in weights.items()})


@pytest.mark.parametrize("variance", ["exp", "softplus"])
class TestALinearGaussianVAE:
    """Its likelihood has a closed form: by SciPy, from the covariance."""

    TRUE = LinearGaussian.draw()
    X = TRUE.rows(60)

    def exact(self, variance: str) -> VAE:
        """With the true posterior."""
        return self.TRUE.vae(self.X, *self.TRUE.posterior(), variance)

    def rough_posterior(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Too wide, and off the mark."""
        A, c, v = self.TRUE.posterior()
        return A, c + 0.15, 1.7 * v

    def rough(self, variance: str) -> VAE:
        """With a posterior that is too wide and off the mark."""
        return self.TRUE.vae(self.X, *self.rough_posterior(), variance)

    @pytest.mark.parametrize("samples", [1, 64])
    def test_is_exact_with_the_true_posterior(self, variance: str, samples: int) -> None:
        vae, truth = self.exact(variance), self.TRUE.log_evidence(self.X)
        np.testing.assert_allclose(vae.score_samples(self.X, samples), truth, atol=1e-4)
        np.testing.assert_allclose(vae.log_likelihood(self.X, samples), truth, atol=1e-4)
        assert vae.score(self.X) == pytest.approx(truth.mean(), abs=1e-4)

    def test_agrees_within_monte_carlo_error_with_another_posterior(self, variance: str) -> None:
        vae, truth, n = self.rough(variance), self.TRUE.log_evidence(self.X), 4000
        noise = torch.randn(n, 60, 2, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            weights = vae.model_.log_weights(torch.from_numpy(self.X), noise).double().exp().numpy()
        error = weights.std(0) / weights.mean(0) / np.sqrt(n)
        assert error.max() < 0.05
        assert (np.abs(vae.log_likelihood(self.X, n) - truth) < 5 * error).all()
        assert (np.abs(vae.score_samples(self.X, n) - truth) < 5 * error).all()

    def test_tightens_with_the_samples(self, variance: str) -> None:
        vae, truth = self.rough(variance), self.TRUE.log_evidence(self.X).mean()
        bounds = [vae.log_likelihood(self.X, k).mean() for k in (1, 5, 50)]
        assert bounds[0] < bounds[1] < bounds[2] < truth + 0.02

    def test_has_the_elbo_in_closed_form(self, variance: str) -> None:
        vae = self.rough(variance)
        vae.model_.n_samples = 20_000
        terms = vae.loss_samples(self.X)
        expected = -self.TRUE.elbo(self.X, *self.rough_posterior())
        np.testing.assert_allclose(terms["loss"], expected, atol=0.1)
        assert terms["loss"].mean() == pytest.approx(expected.mean(), abs=0.02)

    def test_loses_by_the_elbo_what_the_posterior_gets_wrong(self, variance: str) -> None:
        A, c, v = self.TRUE.posterior()
        _, off, wide = self.rough_posterior()
        kl = 0.5 * ((wide + (off - c) ** 2) / v - 1 - np.log(wide / v)).sum()
        missing_value = self.TRUE.log_evidence(self.X) - self.TRUE.elbo(self.X, A, off, wide)
        np.testing.assert_allclose(missing_value, kl, atol=1e-5)
        vae = self.rough(variance)
        vae.model_.n_samples = 20_000
        measured = vae.loss_samples(self.X)["loss"] + vae.log_likelihood(self.X, 4000)
        assert measured.mean() == pytest.approx(kl, abs=0.05)

    def test_draws_codes_from_its_posterior(self, variance: str) -> None:
        A, c, v = self.TRUE.posterior()
        vae = self.exact(variance)
        codes = vae.posterior_sample(self.X, 5000, random_state=0).astype(np.float64)
        np.testing.assert_allclose(vae.transform(self.X), self.X @ A.T + c, atol=1e-5)
        np.testing.assert_allclose(codes.mean(0), self.X @ A.T + c, atol=5 * np.sqrt(v.max() / 5000))
        np.testing.assert_allclose(codes.var(0), np.broadcast_to(v, (60, 2)), rtol=0.12)


def test_a_trained_linear_vae_finds_the_principal_plane() -> None:
    true = LinearGaussian.draw(scale=0.3)
    X = true.rows(2000)
    # The one with the most likelihood is probabilistic PCA (Tipping & Bishop 1999): mean log-likelihood by its formula.
    eigenvalues = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1]
    noise = eigenvalues[2:].mean()
    best = -0.5 * (6 * np.log(2 * np.pi) + np.log(eigenvalues[:2]).sum() + 4 * np.log(noise) + 6)
    vae = VAE(
        2,
        hidden_dims=(),
        likelihood="gaussian-shared",
        scaling="none",
        max_epochs=25,
        batch_size=100,
        learning_rate=0.03,
        weight_decay=0.0,
        validation_fraction=0,
        random_state=0,
    ).fit(X)
    assert best - 0.05 < vae.log_likelihood(X, 200).mean() < best + 0.01
    assert vae.model_.likelihood.log_scale.exp().item() == pytest.approx(np.sqrt(noise), rel=0.05)


def test_models_take_parts_that_are_passed_in() -> None:
    model = VAEModel(nn.Linear(6, 4), nn.Linear(2, 6), GaussianLikelihood((6,)), standard_deviation=torch.exp)
    x = torch.randn(5, 6)
    torch.testing.assert_close(model.posterior(x).stddev, model.encoder(x)[:, 2:].exp())
