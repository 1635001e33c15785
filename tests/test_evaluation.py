"""Evaluations against numbers worked out by hand: with NumPy, and in closed form where the model is linear."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits

from hyotan import VAE, Autoencoder, evaluate
from hyotan.analysis.evaluation import Evaluation, as_trained
from hyotan.estimators.estimator import LatentEstimator
from hyotan.models import families

DIGITS = load_digits()
IMAGES = (DIGITS.images / 16).astype(np.float32)
TRAIN, TEST = IMAGES[:300], IMAGES[300:420]
PIXELS, PIXELS_TEST = (TRAIN * 255).astype(np.uint8), (TEST * 255).astype(np.uint8)
SMALL: dict[str, Any] = {"latent_dim": 4, "hidden_dims": (24,), "max_epochs": 4, "random_state": 0}
FAMILIES = {family.name: family.estimator for family in families.FAMILIES if not family.conditional}
BY_FAMILY = pytest.mark.parametrize("name", FAMILIES)

_fitted: dict[str, LatentEstimator] = {}


def fitted(name: str) -> LatentEstimator:
    """Fitted on the training images; made once, so tests must not change it."""
    if name not in _fitted:
        _fitted[name] = FAMILIES[name](**SMALL).fit(TRAIN)
    return _fitted[name]


def evaluated(name: str, **options: Any) -> Evaluation:
    return evaluate(fitted(name), TEST, TRAIN, **{"nll_rows": 20, "nll_samples": 50, **options})


@BY_FAMILY
class TestByHand:
    def test_the_error_is_that_of_the_deterministic_reconstruction(self, name: str) -> None:
        rows = np.square(fitted(name).reconstruct(TEST).astype(np.float64) - TEST).mean(axis=(1, 2))
        record = evaluated(name)
        assert record.mse == pytest.approx(rows.mean(), rel=1e-5)
        assert record.mse_standard_error == pytest.approx(rows.std(ddof=1) / np.sqrt(120), rel=1e-4)

    def test_the_baselines_are_the_mean_image_and_pca(self, name: str) -> None:
        record = evaluated(name)
        train, test = TRAIN.reshape(300, 64).astype(np.float64), TEST.reshape(120, 64).astype(np.float64)
        axes = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)[2][:4]
        projected = (test - train.mean(axis=0)) @ axes.T @ axes + train.mean(axis=0)
        by_pca = np.square(test - projected).mean(axis=1)
        assert record.mse_mean_image == pytest.approx(np.square(test - train.mean(axis=0)).mean(), rel=1e-4)
        assert record.mse_pca == pytest.approx(by_pca.mean(), rel=1e-3)
        own = np.square(fitted(name).reconstruct(TEST) - TEST).mean(axis=(1, 2))
        assert record.pca_difference_error == pytest.approx((own - by_pca).std(ddof=1) / np.sqrt(120), rel=1e-2)

    def test_bits_are_nats_a_feature_over_the_logarithm_of_two(self, name: str) -> None:
        record = evaluated(name)
        assert record.bits_per_dimension == pytest.approx(record.loss / 64 / np.log(2))
        assert (record.n_rows, record.n_features, record.latent_dim) == (120, 64, 4)

    def test_active_units_are_those_whose_codes_vary(self, name: str) -> None:
        assert evaluated(name).active_units == int((fitted(name).transform(TEST).var(axis=0) > 0.01).sum())

    def test_without_training_rows_there_are_no_baselines(self, name: str) -> None:
        record = evaluate(fitted(name), TEST, nll_rows=0)
        assert (record.mse_mean_image, record.mse_pca, record.pca_difference_error) == (None, None, None)
        assert record.mse == evaluated(name).mse

    def test_everything_fits_into_json_and_comes_back(self, name: str) -> None:
        record = evaluated(name).to_dict()
        back = json.loads(json.dumps(record, allow_nan=False))
        assert back["mse"] == record["mse"]
        assert back["diagnosis"] == [
            {"code": d["code"], "level": d["level"], "text": d["text"]} for d in back["diagnosis"]
        ]
        assert set(back) == {field.name for field in dataclasses.fields(Evaluation)}

    def test_the_same_seed_gives_the_same_record(self, name: str) -> None:
        assert evaluated(name) == evaluated(name)
        other = evaluated(name, random_state=1)
        assert other.mse == evaluated(name).mse
        if name != "ae":  # noise in the objective
            assert other.loss != evaluated(name).loss


class TestLosses:
    def test_of_an_autoencoder_on_grey_values_are_cross_entropies(self) -> None:
        x, p = TEST.astype(np.float64), fitted("ae").reconstruct(TEST).astype(np.float64)
        expected = -(x * np.log(p) + (1 - x) * np.log1p(-p)).sum(axis=(1, 2)).mean()
        record = evaluated("ae")
        assert record.loss == record.reconstruction == pytest.approx(expected, rel=1e-4)
        assert record.loss_name == "cross-entropy on grey values"
        assert (record.kl, record.kl_per_dimension, record.likelihood) == (None, (), None)

    def test_on_black_and_white_are_log_likelihoods(self) -> None:
        record = evaluate(Autoencoder(**SMALL).fit(TRAIN > 0.5), TEST > 0.5)
        assert record.loss_name == "negative log-likelihood (bernoulli)"

    @pytest.mark.parametrize("beta", [0.0, 1.0, 3.5])
    def test_of_a_vae_are_reconstruction_and_beta_times_the_divergence(self, beta: float) -> None:
        vae = VAE(**SMALL, beta=beta, beta_warmup=50).fit(TRAIN)  # warming up is over when a model is judged
        record = evaluate(vae, TEST, nll_rows=0)
        assert record.loss == pytest.approx(record.reconstruction + beta * record.kl, rel=1e-6)
        assert sum(record.kl_per_dimension) == pytest.approx(record.kl)
        assert record.kl > 0

    def test_the_divergence_is_the_closed_form(self) -> None:
        vae = VAE(4, hidden_dims=(), max_epochs=2, random_state=0).fit(TRAIN)
        state = vae.model_.state_dict()
        raw = TEST.reshape(120, 64) @ state["encoder.1.weight"].numpy().T + state["encoder.1.bias"].numpy()
        mean, log_variance = np.split(raw.astype(np.float64), 2, axis=1)
        expected = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).mean(axis=0)
        np.testing.assert_allclose(evaluate(vae, TEST, nll_rows=0).kl_per_dimension, expected, rtol=1e-4)

    def test_of_an_importance_weighted_model_are_its_own_bound(self) -> None:
        vae = VAE(**SMALL, objective="iwae", n_samples=8).fit(TRAIN)
        record = evaluate(vae, TEST, nll_rows=120, nll_samples=100)
        assert record.loss < record.reconstruction + record.kl  # with 8 samples tighter than the bound with one
        assert record.likelihood.nll < record.loss + 3 * record.likelihood.standard_error


def linear_vae() -> tuple[VAE, np.ndarray, np.ndarray]:
    """A linear VAE with a fixed Gaussian, whose evidence has a closed form; weights (features, latent) and offset."""
    vae = VAE(2, hidden_dims=(), likelihood="gaussian", scaling="none", max_epochs=60, learning_rate=0.01)
    vae.set_params(random_state=0, validation_fraction=0).fit(DIGITS.data[:300, 18:24] / 4)
    state = vae.model_.state_dict()
    return vae, state["decoder.0.weight"].double().numpy(), state["decoder.0.bias"].double().numpy()


class TestLikelihood:
    @pytest.fixture(scope="class")
    @staticmethod
    def linear() -> tuple[VAE, np.ndarray, np.ndarray]:
        return linear_vae()

    X = (DIGITS.data[300:400, 18:24] / 4).astype(np.float32)

    def test_of_a_linear_model_is_the_gaussian_that_it_is(self, linear: tuple) -> None:
        vae, weight, offset = linear
        exact = multivariate_normal(offset, weight @ weight.T + np.eye(6)).logpdf(self.X)
        np.testing.assert_allclose(vae.log_likelihood(self.X, 4000), exact, atol=0.15)
        record = evaluate(vae, self.X, nll_rows=100, nll_samples=1000).likelihood
        assert record.nll == pytest.approx(-exact.mean(), abs=0.02)
        assert record.standard_error == pytest.approx(exact.std(ddof=1) / 10, rel=0.05)
        assert (record.rows, record.samples) == (100, 1000)

    def test_the_gap_is_the_divergence_from_the_true_posterior(self, linear: tuple) -> None:
        vae, weight, offset = linear
        covariance = np.linalg.inv(np.eye(2) + weight.T @ weight)
        truth = (self.X - offset) @ weight @ covariance
        state = vae.model_.state_dict()
        raw = self.X @ state["encoder.0.weight"].numpy().T + state["encoder.0.bias"].numpy()
        mean, log_variance = np.split(raw.astype(np.float64), 2, axis=1)
        precision, difference = np.linalg.inv(covariance), truth - mean
        divergence = 0.5 * (
            (np.exp(log_variance) * np.diag(precision)).sum(axis=1)
            + np.einsum("ni,ij,nj->n", difference, precision, difference)
            - 2
            + np.log(np.linalg.det(covariance))
            - log_variance.sum(axis=1)
        )
        gap = np.mean([evaluate(vae, self.X, nll_rows=100, random_state=s).likelihood.elbo_gap for s in range(20)])
        assert divergence.mean() > 0
        assert gap == pytest.approx(divergence.mean(), abs=0.06)

    def test_is_never_above_the_bound_by_more_than_its_error(self) -> None:
        record = evaluated("vae", nll_rows=120, nll_samples=200).likelihood
        assert record.elbo_gap > -2 * record.standard_error
        assert record.nll < evaluated("vae").reconstruction + evaluated("vae").kl

    def test_tightens_with_more_samples(self) -> None:
        few, many = (fitted("vae").log_likelihood(TEST, n).mean() for n in (1, 300))
        assert many > few

    def test_takes_rows_from_everywhere_and_no_more_than_asked(self) -> None:
        sorted_rows = np.concatenate([TEST[:60], np.ones((60, 8, 8), np.float32)])
        half = evaluate(fitted("vae"), sorted_rows, nll_rows=60).likelihood
        first = evaluate(fitted("vae"), sorted_rows[:60], nll_rows=60).likelihood
        assert half.rows == first.rows == 60
        assert half.nll > first.nll + 3 * first.standard_error  # white rows are among them
        assert evaluated("vae", nll_rows=10_000).likelihood.rows == 120

    def test_is_left_out_where_no_rows_are_asked_for_or_there_is_none(self) -> None:
        assert evaluated("vae", nll_rows=0).likelihood is None
        assert evaluated("dae").likelihood is None


@pytest.mark.parametrize("how", ["static", "dynamic"])
class TestBinarised:
    @pytest.mark.parametrize(
        ("train", "test", "top"), [(TRAIN, TEST, 1), (PIXELS, PIXELS_TEST, 255)], ids=["grey", "uint8"]
    )
    def test_rows_are_drawn_once_from_their_grey_values(
        self, how: str, train: np.ndarray, test: np.ndarray, top: int
    ) -> None:
        vae = VAE(**SMALL, binarise=how).fit(train)
        drawn = as_trained(vae, test, 0)
        assert (drawn.shape, drawn.dtype) == (test.shape, test.dtype)
        assert set(np.unique(drawn)) == {0, top}
        assert np.array_equal(drawn, as_trained(vae, test, 0))
        assert not np.array_equal(drawn, as_trained(vae, test, 1))
        assert drawn.mean() / top == pytest.approx(TEST.mean(), abs=0.01)
        assert np.all(drawn[test == 0] == 0)
        assert np.all(drawn[test == top] == top)

    def test_evaluations_are_those_of_the_drawn_rows(self, how: str) -> None:
        vae = VAE(**SMALL, binarise=how).fit(PIXELS)
        record = evaluate(vae, PIXELS_TEST, PIXELS, nll_rows=0)
        drawn = as_trained(vae, PIXELS_TEST, 0)
        mse = np.square(vae.reconstruct(drawn) / 255 - drawn / 255).mean()
        assert record.mse == pytest.approx(mse, rel=1e-4)
        assert record.loss_name == "negative log-likelihood (bernoulli)"
        black_and_white = as_trained(vae, PIXELS, 1) / 255
        assert record.mse_mean_image == pytest.approx(
            np.square(drawn / 255 - black_and_white.mean(axis=0)).mean(), rel=1e-4
        )

    def test_without_it_rows_stay_as_they_are(self, how: str) -> None:
        assert as_trained(fitted("vae"), TEST, 0) is TEST
        assert VAE(**SMALL, binarise=how).fit(TRAIN).get_params()["binarise"] == how


class TestDiagnosisOfRealFits:
    def test_a_vae_that_pays_too_much_for_its_code_is_told(self) -> None:
        vae = VAE(**{**SMALL, "max_epochs": 20}, beta=64.0).fit(TRAIN)
        findings = {finding.code: finding.text for finding in evaluate(vae, TEST, TRAIN, nll_rows=0).diagnosis}
        assert "Set --beta 1" in findings["POSTERIOR_COLLAPSE"]

    def test_constant_data_are_told(self) -> None:
        X = np.full((60, 4, 4), 0.5, np.float32)
        record = evaluate(Autoencoder(**SMALL).fit(X), X, X)
        assert record.diagnosis[0].code == "CONSTANT_DATA"

    def test_a_good_fit_beats_pca_and_says_so(self) -> None:
        ae = Autoencoder(2, hidden_dims=(64,), max_epochs=30, learning_rate=0.01, random_state=0).fit(IMAGES[:1000])
        record = evaluate(ae, IMAGES[1000:], IMAGES[:1000])
        assert record.mse < record.mse_pca < record.mse_mean_image
        assert [finding.code for finding in record.diagnosis] == ["BETTER_THAN_PCA"]
