"""Where new rows come from: density or prior, means or draws, of one label, and through a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits

from hyotan import CVAE, VAE, Autoencoder, load
from hyotan.errors import SettingsError
from hyotan.estimators import ESTIMATORS
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.store import saved_arrays, saved_settings
from hyotan.files import container
from hyotan.metrics import frechet_distance
from hyotan.sampling.densities import Mixture

DIGITS = load_digits()
IMAGES, LABELS = (DIGITS.images / 16).astype(np.float32), DIGITS.target
CLUSTERS = np.random.default_rng(0).normal(size=(1500, 2)) * 0.1 + np.repeat([[0, 0], [3, 0], [0, 3]], 500, axis=0)
TABLE = (CLUSTERS @ np.random.default_rng(1).normal(size=(2, 6))).astype(np.float32)
SMALL: dict[str, Any] = {"latent_dim": 2, "hidden_dims": (32,), "random_state": 0}
FAMILIES: Mapping[str, type[LatentEstimator]] = ESTIMATORS
EVERY = pytest.mark.parametrize("name", FAMILIES)


@pytest.fixture(scope="module")
def fitted() -> dict[str, LatentEstimator]:
    own = {**SMALL, "max_epochs": 10}
    return {name: family(**own).fit(IMAGES, LABELS) for name, family in FAMILIES.items()}


@pytest.fixture(scope="module")
def of_table() -> Autoencoder:
    return Autoencoder(**SMALL, max_epochs=60).fit(TABLE)


class TestTheDensity:
    @EVERY
    def test_is_what_is_sampled_unless_the_prior_is_asked_for(
        self, fitted: dict[str, LatentEstimator], name: str
    ) -> None:
        estimator = fitted[name]
        plain = estimator.sample_codes(50, random_state=0)
        density, prior = (estimator.sample_codes(50, random_state=0, sampler=name) for name in ("density", "prior"))
        assert np.array_equal(plain, density)
        assert not np.array_equal(plain, prior)
        assert (plain.shape, plain.dtype) == ((50, 2), np.float32)
        assert np.array_equal(estimator.sample(9, 0), estimator.sample(9, 0, sampler="density"))
        assert not np.array_equal(estimator.sample(9, 0), estimator.sample(9, 0, sampler="prior"))

    @EVERY
    def test_is_nearer_to_codes_of_rows_than_the_prior(self, fitted: dict[str, LatentEstimator], name: str) -> None:
        estimator = fitted[name]
        codes = estimator.posterior_sample(IMAGES)[0] if estimator.family.probabilistic else estimator.transform(IMAGES)
        near = [frechet_distance(estimator.sample_codes(5000, 0, sampler=s), codes) for s in ("density", "prior")]
        assert near[0] < near[1] + 0.01 * codes.var()

    def test_leaves_the_missing_values_between_clusters_empty(self, of_table: Autoencoder) -> None:
        empty = {}
        for sampler in ("density", "prior"):
            rows = of_table.sample(2000, random_state=0, sampler=sampler)
            nearest = np.linalg.norm(rows[:, None] - TABLE[None, ::10], axis=2).min(axis=1)
            empty[sampler] = float(np.mean(nearest > 0.5))
        assert empty["density"] < 0.1 < 0.3 < empty["prior"]

    def test_says_how_likely_codes_are(self, of_table: Autoencoder) -> None:
        codes = of_table.transform(TABLE)
        scores = of_table.code_log_density(codes)
        assert (scores.shape, scores.dtype) == ((len(TABLE),), np.float64)
        density = of_table.density_
        parts = zip(density.weights, density.means, density.factors, strict=True)
        expected = sum(w * stats.multivariate_normal(m, f @ f.T).pdf(codes[:9]) for w, m, f in parts)
        np.testing.assert_allclose(scores[:9], np.log(expected), rtol=1e-6)
        assert of_table.code_log_density(codes.mean(axis=0, keepdims=True))[0] < np.quantile(scores, 0.01)

    def test_of_a_vae_is_fitted_to_draws_from_the_posteriors(self, fitted: dict[str, LatentEstimator]) -> None:
        vae = fitted["vae"]
        drawn, codes = vae.posterior_sample(IMAGES, 20, random_state=0), vae.sample_codes(20_000, random_state=0)
        spread = drawn.reshape(-1, drawn.shape[-1]).std(axis=0)
        np.testing.assert_allclose(codes.std(axis=0), spread, rtol=0.1)
        assert (vae.transform(IMAGES).std(axis=0) < 0.85 * spread).any()  # as the posteriors' means would not be

    @EVERY
    def test_of_two_fits_has_the_same_bits(self, name: str) -> None:
        rows = slice(None, 200)
        once, again = (FAMILIES[name](**SMALL, max_epochs=1).fit(IMAGES[rows], LABELS[rows]) for _ in range(2))
        assert np.array_equal(once.density_.means, again.density_.means)
        assert np.array_equal(once.density_.factors, again.density_.factors)


class TestThePrior:
    def test_of_a_vae_is_the_standard_normal(self, fitted: dict[str, LatentEstimator]) -> None:
        codes = fitted["vae"].sample_codes(7, random_state=3, sampler="prior")
        assert np.array_equal(codes, np.random.RandomState(3).standard_normal((7, 2)).astype(np.float32))

    def test_of_an_autoencoder_is_one_gaussian_on_its_codes(self, fitted: dict[str, LatentEstimator]) -> None:
        drawn, codes = fitted["autoencoder"].sample_codes(50_000, 0, sampler="prior"), None
        codes = fitted["autoencoder"].transform(IMAGES)
        deviation = codes.std(axis=0)
        np.testing.assert_allclose(drawn.mean(axis=0) / deviation, codes.mean(axis=0) / deviation, atol=0.1)
        np.testing.assert_allclose(np.corrcoef(drawn.T)[0, 1], np.corrcoef(codes.T)[0, 1], atol=0.05)

    @EVERY
    def test_is_one_of_two_names(self, fitted: dict[str, LatentEstimator], name: str) -> None:
        with pytest.raises(
            SettingsError, match=r"sampler must be one of density, prior; got 'priors'\. Did you mean 'prior'\?"
        ):
            fitted[name].sample(2, sampler="priors")


class TestDraws:
    def test_of_a_bernoulli_are_black_and_white_with_the_means_shares(self, fitted: dict[str, LatentEstimator]) -> None:
        for estimator in fitted.values():
            drawn = estimator.sample(4000, random_state=0, drawn=True)
            assert set(np.unique(drawn)) == {0.0, 1.0}
            np.testing.assert_allclose(drawn.mean(axis=0), estimator.sample(4000, 0).mean(axis=0), atol=0.05)

    def test_of_a_gaussian_add_its_noise_in_the_datas_units(self) -> None:
        rows = 100 * TABLE + 5
        vae = VAE(**SMALL, likelihood="gaussian-shared", max_epochs=5).fit(rows)
        noise = vae.sample(4000, 0, drawn=True) - vae.sample(4000, 0)
        scale = np.exp(vae.model_.likelihood.get_log_scale().item()) / vae.preprocessor_.scaling.factor
        np.testing.assert_allclose(noise.std(axis=0), np.broadcast_to(np.abs(scale), 6), rtol=0.05)

    @EVERY
    def test_hang_on_the_seed_alone(self, fitted: dict[str, LatentEstimator], name: str) -> None:
        first, again, other = (fitted[name].sample(5, seed, drawn=True) for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


class TestLabels:
    def test_have_densities_of_their_own(self, fitted: dict[str, LatentEstimator]) -> None:
        cvae = fitted["cvae"]
        assert isinstance(cvae, CVAE)
        assert set(cvae.density_.groups.tolist()) == set(range(10))
        drawn = cvae.sample_codes(3000, random_state=0, y=4)
        codes = cvae.posterior_sample(IMAGES[LABELS == 4], y=4)[0]
        np.testing.assert_allclose(drawn.mean(axis=0), codes.mean(axis=0), atol=0.3)
        assert cvae.sample(3, random_state=0, y=[1, 2, -1]).shape == (3, 8, 8)

    def test_without_a_row_keep_the_prior(self) -> None:
        labels = np.where(np.arange(300) < 3, 1, 0)
        cvae = CVAE(**{**SMALL, "max_epochs": 1}).fit(IMAGES[:300], labels)
        assert not np.any(cvae.predict(IMAGES[:300]) == 1)
        rare = cvae.density_.of_group(1)
        assert np.array_equal(rare.means, np.zeros((1, 2)))
        assert np.array_equal(rare.factors, np.eye(2)[None])

    def test_are_drawn_by_their_frequency(self, fitted: dict[str, LatentEstimator]) -> None:
        cvae = fitted["cvae"]
        assert isinstance(cvae, CVAE)
        for sampler in ("density", "prior"):
            told = cvae.predict(cvae.sample(600, random_state=0, sampler=sampler))
            assert np.bincount(told, minlength=10).min() > 20


class TestFiles:
    @EVERY
    def test_keep_the_density(self, fitted: dict[str, LatentEstimator], name: str, tmp_path: Path) -> None:
        fitted[name].save(tmp_path / "m.hyotan")
        again = load(tmp_path / "m.hyotan")
        assert np.array_equal(again.sample(20, 0), fitted[name].sample(20, 0))
        codes = fitted[name].sample_codes(5, 0)
        assert np.array_equal(again.code_log_density(codes), fitted[name].code_log_density(codes))

    @EVERY
    def test_from_before_there_were_densities_sample_as_they_did(
        self, fitted: dict[str, LatentEstimator], name: str, tmp_path: Path
    ) -> None:
        own = fitted[name]
        arrays = {key: array for key, array in saved_arrays(own).items() if not key.startswith("density/")}
        container.write(tmp_path / "old.hyotan", kind=own.kind, settings=saved_settings(own), tensors=arrays)
        old = load(tmp_path / "old.hyotan")
        assert isinstance(old.density_, Mixture)
        assert np.array_equal(old.sample(9, 0), old.sample(9, 0, sampler="prior"))
        assert np.array_equal(old.sample_codes(9, 0), own.sample_codes(9, 0, sampler="prior"))
