"""The Gaussian of rows with missing values, against SciPy's density, the textbook's formula, and what is known of the
data.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hyotan.imputation.gaussian import RIDGE, Gaussian

RANDOM = np.random.default_rng(0)
LOADINGS = RANDOM.normal(size=(2, 5))
COVARIANCE = LOADINGS.T @ LOADINGS + 0.2 * np.eye(5)
MEAN = np.array([3.0, -1.0, 0.0, 10.0, 2.0])
ROWS = RANDOM.multivariate_normal(MEAN, COVARIANCE, size=1500)
HOLED = np.where(RANDOM.random(ROWS.shape) < 0.3, np.nan, ROWS)


def log_likelihood(found: Gaussian, rows: np.ndarray) -> float:
    """Of the observed values, row by row."""
    total = 0.0
    for row in rows:
        known = ~np.isnan(row)
        if known.any():
            marginal = multivariate_normal(found.mean[known], found.covariance[np.ix_(known, known)])
            total += marginal.logpdf(row[known])
    return total


def test_of_whole_rows_it_has_their_mean_and_covariance() -> None:
    found = Gaussian.of(ROWS)
    np.testing.assert_allclose(found.mean, ROWS.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.covariance, np.cov(ROWS.T, bias=True), atol=1e-9)


def test_of_rows_with_missing_values_it_comes_near_the_one_they_were_drawn_from() -> None:
    found = Gaussian.of(HOLED)
    np.testing.assert_allclose(found.mean, MEAN, atol=0.2)
    np.testing.assert_allclose(found.covariance, COVARIANCE, atol=0.4)


def test_it_explains_what_is_observed_better_than_the_means_alone_and_as_well_as_the_truth() -> None:
    rows = HOLED[:300]
    found = Gaussian.of(rows)
    alone = Gaussian(np.nanmean(rows, axis=0), np.diag(np.nanvar(rows, axis=0)))
    assert log_likelihood(found, rows) > log_likelihood(alone, rows) + 100
    assert log_likelihood(found, rows) >= log_likelihood(Gaussian(MEAN, COVARIANCE), rows) - 1


def test_missing_values_get_the_conditional_expectation() -> None:
    rows = HOLED[:40]
    filled = Gaussian(MEAN, COVARIANCE).expected(rows)
    for row, answer in zip(rows, filled, strict=True):
        known = ~np.isnan(row)
        of_known = COVARIANCE[np.ix_(known, known)] + np.diag(RIDGE * np.diag(COVARIANCE)[known])
        expected = MEAN + COVARIANCE[:, known] @ np.linalg.solve(of_known, (row - MEAN)[known])
        np.testing.assert_array_equal(answer[known], row[known])
        np.testing.assert_allclose(answer[~known], expected[~known], rtol=1e-6)


def test_a_row_without_values_gets_the_mean() -> None:
    np.testing.assert_allclose(Gaussian(MEAN, COVARIANCE).expected(np.full((1, 5), np.nan))[0], MEAN)


def test_columns_that_repeat_each_other_and_constants_are_no_obstacle() -> None:
    rows = np.column_stack([HOLED, HOLED[:, 0], np.full(len(HOLED), 7.0)])
    rows[:100, 5] = np.nan
    filled = Gaussian.of(rows).expected(rows)
    known = ~np.isnan(HOLED[:100, 0])
    np.testing.assert_allclose(filled[:100, 5][known], HOLED[:100, 0][known], atol=0.05)
    np.testing.assert_allclose(filled[:, 6], 7.0)


def test_a_column_that_is_never_observed_spoils_no_other() -> None:
    rows = np.column_stack([HOLED, np.full(len(HOLED), np.nan)])
    filled = Gaussian.of(rows).expected(rows)
    np.testing.assert_allclose(filled[:, :5], Gaussian.of(HOLED).expected(HOLED), atol=1e-6)
    assert np.isfinite(filled).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_shrinking_takes_covariances_and_leaves_variances(share: float) -> None:
    shrunk = Gaussian(MEAN, COVARIANCE).shrunk(share).covariance
    np.testing.assert_allclose(np.diag(shrunk), np.diag(COVARIANCE))
    assert shrunk[0, 1] == pytest.approx((1 - share) * COVARIANCE[0, 1])
