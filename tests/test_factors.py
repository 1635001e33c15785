"""The Gaussian of a few factors: against the textbook's formula, scikit-learn's factor analysis, and the whole one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import FactorAnalysis
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import SimpleImputer

from hyotan import VAE, load
from hyotan.imputation.factors import FactorGaussian, factors_of

RANDOM = np.random.default_rng(0)
FEATURES, FACTORS = 60, 4
LOADINGS = RANDOM.normal(size=(FEATURES, FACTORS))
NOISE = RANDOM.uniform(0.2, 0.6, FEATURES)
MEAN = RANDOM.normal(size=FEATURES) * 3
ROWS = MEAN + RANDOM.normal(size=(800, FACTORS)) @ LOADINGS.T + RANDOM.normal(size=(800, FEATURES)) * np.sqrt(NOISE)
MISSING = RANDOM.random(ROWS.shape) < 0.3
HOLED = np.where(MISSING, np.nan, ROWS)


def known_truth() -> FactorGaussian:
    """The distribution that the rows were drawn from, never cut off."""
    far = np.full(FEATURES, 1e6)
    return FactorGaussian(*(part.astype(np.float32) for part in (MEAN, LOADINGS, NOISE, -far, far)))


def error(filled: np.ndarray) -> float:
    """Mean squared error of what was missing."""
    return float(np.mean((filled - ROWS)[MISSING] ** 2))


def test_missing_values_get_the_conditional_expectation() -> None:
    covariance = LOADINGS @ LOADINGS.T + np.diag(NOISE)
    filled = known_truth().expected(HOLED[:100])
    for row, answer in zip(HOLED, filled, strict=False):
        known = ~np.isnan(row)
        expected = MEAN + covariance[:, known] @ np.linalg.solve(covariance[np.ix_(known, known)], (row - MEAN)[known])
        np.testing.assert_array_equal(answer[known], row[known])
        np.testing.assert_allclose(answer[~known], expected[~known], atol=2e-3)


def test_fitted_to_missing_values_it_fills_nearly_as_well_as_the_truth() -> None:
    best, mean = error(known_truth().expected(HOLED)), error(SimpleImputer().fit_transform(HOLED))
    assert best < error(FactorGaussian.of(HOLED).expected(HOLED)) < best + 0.05 * (mean - best)


def test_of_whole_rows_it_finds_the_covariance_that_factor_analysis_finds() -> None:
    found = FactorGaussian.of(ROWS)
    theirs = FactorAnalysis(factors_of(FEATURES), tol=1e-6, max_iter=3000).fit(ROWS)
    covariance = found.loadings @ found.loadings.T + np.diag(found.noise)
    np.testing.assert_allclose(found.mean, theirs.mean_, atol=1e-4)
    apart = covariance - theirs.get_covariance()
    assert np.square(apart).mean() < 0.02 * np.square(theirs.get_covariance()).mean()


def test_a_row_gets_the_same_bits_in_any_company() -> None:
    found = FactorGaussian.of(HOLED)
    together = found.expected(HOLED[:150])
    alone = np.concatenate([found.expected(HOLED[i : i + 1]) for i in range(150)])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_shrinking_takes_covariances_and_leaves_variances(share: float) -> None:
    whole, shrunk = (
        one.loadings @ one.loadings.T + np.diag(one.noise) for one in (known_truth(), known_truth().shrunk(share))
    )
    np.testing.assert_allclose(np.diag(shrunk), np.diag(whole), rtol=1e-5)
    assert shrunk[0, 1] == pytest.approx((1 - share) * whole[0, 1], rel=1e-5)


def test_guesses_stay_where_values_were_seen() -> None:
    found = FactorGaussian.of(HOLED)
    odd = np.where(np.arange(FEATURES) % 2, 50.0, np.nan)[None]
    filled = found.expected(odd)[0, ::2]
    assert ((filled >= np.nanmin(HOLED, axis=0)[::2] - 1e-5) & (filled <= np.nanmax(HOLED, axis=0)[::2] + 1e-5)).all()


def test_constants_hollow_columns_and_few_rows_are_no_obstacle() -> None:
    rows = np.column_stack([HOLED[:20], np.full(20, 7.0), np.full(20, np.nan)])
    rows[:5, FEATURES] = np.nan
    filled = FactorGaussian.of(rows).expected(rows)
    np.testing.assert_allclose(filled[:, FEATURES], 7.0)
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("shape", ["images", "wide table"])
def test_wide_rows_are_filled_better_than_by_their_means_and_come_back_from_their_file(shape, tmp_path) -> None:
    images = np.kron(load_digits().images[:300] / 16, np.ones((2, 2)))
    images = np.clip(images + 0.05 * np.random.default_rng(0).normal(size=images.shape), 0, 1)
    whole = images if shape == "images" else images.reshape(len(images), -1)
    missing = np.random.default_rng(1).random(whole.shape) < 0.3
    rows = np.where(missing, np.nan, whole)
    model = VAE(8, hidden_dims=(32,), architecture="mlp", max_epochs=2, random_state=0).fit(rows)
    filled = model.impute(rows)
    mean = np.nanmean(rows, axis=0)
    off, off_by_mean = (
        np.mean((guess - whole)[missing] ** 2) for guess in (filled, np.broadcast_to(mean, whole.shape))
    )
    # Each pixel has three copies but for the noise, and of them one is nearly always there.
    assert off < 0.1 * off_by_mean
    samples = model.impute_samples(rows[:20], n_samples=2, random_state=0)
    assert samples.min() >= 0 and samples.max() <= 1
    model.save(tmp_path / "model.hyotan")
    np.testing.assert_array_equal(load(tmp_path / "model.hyotan").impute(rows), filled)
