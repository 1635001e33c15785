"""Mixtures fitted to codes, beside SciPy's densities and distributions whose components are known."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from scipy import stats

from hyotan.errors import DataError
from hyotan.sampling import densities
from hyotan.sampling.densities import FITTED_ROWS, Mixture, merged

RANDOM = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
FOUR = RANDOM.normal(size=(4000, 3)) + np.repeat(CENTRES, 1000, axis=0)


def random_mixture(components: int = 3, latent: int = 4) -> Mixture:
    random = np.random.default_rng(1)
    factors = np.tril(random.normal(size=(components, latent, latent)))
    factors += 3 * np.eye(latent) * np.sign(np.diagonal(factors, axis1=1, axis2=2))[:, None, :]
    places = np.arange(latent)
    factors[:, places, places] = np.abs(factors[:, places, places])
    return Mixture(random.dirichlet(np.ones(components)), random.normal(size=(components, latent)), factors)


def true_density(mixture: Mixture, codes: np.ndarray) -> np.ndarray:
    parts = zip(mixture.weights, mixture.means, mixture.factors, strict=True)
    return sum(w * stats.multivariate_normal(m, f @ f.T).pdf(codes) for w, m, f in parts)


def test_the_example_of_the_module_runs() -> None:
    assert doctest.testmod(densities).failed == 0


class TestAMixture:
    def test_has_the_density_that_scipy_computes(self) -> None:
        mixture, codes = random_mixture(), np.random.default_rng(2).normal(size=(50, 4))
        np.testing.assert_allclose(mixture.log_density(codes), np.log(true_density(mixture, codes)), rtol=1e-10)

    def test_is_sampled_with_its_own_mean_and_covariance(self) -> None:
        mixture = random_mixture()
        drawn = mixture.sample(200_000, np.random.RandomState(0))
        mean = mixture.weights @ mixture.means
        within = np.einsum("k,kij,klj->il", mixture.weights, mixture.factors, mixture.factors)
        centred = mixture.means - mean
        covariance = within + np.einsum("k,ki,kj->ij", mixture.weights, centred, centred)
        np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.05)
        np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.05, atol=0.15)

    def test_is_sampled_from_the_seed_alone(self) -> None:
        mixture = random_mixture()
        first, again, other = (mixture.sample(9, np.random.RandomState(seed)) for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_of_one_component_draws_what_the_generator_gives(self) -> None:
        normal = Mixture(np.ones(1), np.zeros((1, 3)), np.eye(3)[None])
        expected = np.random.RandomState(5).standard_normal((7, 3))
        assert np.array_equal(normal.sample(7, np.random.RandomState(5)), expected)

    def test_of_groups_draws_from_the_group_asked_for(self) -> None:
        parts = [Mixture.single(np.full(2, at), np.eye(2)) for at in (0.0, 50.0)]
        both = merged(parts, [0.25, 0.75])
        assert both.groups.tolist() == [0, 1]
        assert both.weights.tolist() == [0.25, 0.75]
        assert both.of_group(1).weights.tolist() == [1.0]
        assert both.of_group(1).sample(50, np.random.RandomState(0)).min() > 40
        share = np.mean(both.sample(4000, np.random.RandomState(0))[:, 0] > 25)
        assert share == pytest.approx(0.75, abs=0.03)


class TestTheFit:
    def test_finds_clusters_that_are_there(self) -> None:
        mixture = Mixture.fit(FOUR)
        assert len(mixture.weights) == 4
        nearest = np.abs(mixture.means[:, None] - CENTRES).max(axis=2)
        assert nearest.min(axis=0).max() < 0.2
        np.testing.assert_allclose(mixture.weights, 0.25, atol=0.03)

    def test_of_one_cluster_is_one_gaussian(self) -> None:
        codes = np.random.default_rng(3).normal(size=(5000, 3)) @ np.array([[2.0, 0, 0], [1, 1, 0], [0, 0, 3]])
        mixture = Mixture.fit(codes)
        assert len(mixture.weights) == 1
        np.testing.assert_allclose(mixture.means[0], codes.mean(axis=0))
        np.testing.assert_allclose(mixture.factors[0] @ mixture.factors[0].T, np.cov(codes.T, bias=True), atol=1e-4)

    def test_gives_few_rows_one_gaussian(self) -> None:
        assert len(Mixture.fit(FOUR[::200]).weights) == 1

    def test_is_likelier_than_one_gaussian_on_a_ring(self) -> None:
        angle = np.random.default_rng(4).uniform(0, 2 * np.pi, 6000)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) + np.random.default_rng(5).normal(0, 0.05, (6000, 2))
        mixture, one = Mixture.fit(ring[:3000]), Mixture.single(ring.mean(axis=0), np.cov(ring.T))
        gain = mixture.log_density(ring[3000:]).mean() - one.log_density(ring[3000:]).mean()
        assert gain > 0.5
        hole = np.linalg.norm(mixture.sample(2000, np.random.RandomState(0)), axis=1) < 0.5
        assert hole.mean() < 0.01

    def test_gives_the_same_bits_twice(self) -> None:
        ours, again = Mixture.fit(FOUR), Mixture.fit(FOUR)
        assert all(np.array_equal(ours.to_arrays()[name], array) for name, array in again.to_arrays().items())

    def test_follows_shifts_and_units(self) -> None:
        ours, moved = Mixture.fit(FOUR), Mixture.fit(1e4 * FOUR + 7e5)
        assert len(moved.weights) == len(ours.weights)
        expected = ours.log_density(FOUR[:20]) - 3 * np.log(1e4)
        np.testing.assert_allclose(moved.log_density(1e4 * FOUR[:20] + 7e5), expected, atol=0.05)

    @pytest.mark.parametrize(
        "codes",
        [
            np.ones((400, 3)),
            np.ones((1, 3)),
            np.zeros((2, 1)),
            np.repeat(RANDOM.normal(size=(3, 4)), 300, axis=0),
            np.outer(RANDOM.normal(size=900), np.ones(5)),
            np.concatenate([RANDOM.normal(size=(600, 3)), [[1e9, 0, 0]]]),
            RANDOM.standard_cauchy(size=(900, 4)) ** 3,
            RANDOM.integers(0, 2, size=(900, 6)),
            RANDOM.normal(size=(900, 2)) * 1e30,
        ],
        ids=["constant", "one-row", "two-equal", "duplicates", "line", "outlier", "heavy-tails", "binary", "huge"],
    )
    def test_takes_any_finite_codes(self, codes: np.ndarray) -> None:
        mixture = Mixture.fit(codes)
        assert np.isfinite(mixture.log_density(codes)).all()
        assert np.isfinite(mixture.sample(20, np.random.RandomState(0))).all()
        assert mixture.weights.sum() == pytest.approx(1)
        Mixture.from_arrays(mixture.to_arrays())

    def test_looks_at_so_many_rows_at_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert FITTED_ROWS == 10_000
        monkeypatch.setattr(densities, "FITTED_ROWS", 100)
        assert len(Mixture.fit(FOUR[:, :1]).weights) <= 100 * 0.8 / 4.5

    @pytest.mark.parametrize("codes", [np.ones(3), np.empty((0, 2)), np.full((4, 2), np.nan)])
    def test_refuses_what_are_no_codes(self, codes: np.ndarray) -> None:
        with pytest.raises(DataError, match=r"A density needs codes of shape \(n, latent\), finite numbers; got shape"):
            Mixture.fit(codes)


class TestItsArrays:
    def test_come_back_as_they_were(self) -> None:
        ours = merged([random_mixture(), random_mixture(2)], [0.5, 0.5])
        again = Mixture.from_arrays(ours.to_arrays())
        assert all(np.array_equal(getattr(again, name), array) for name, array in ours.to_arrays().items())
        assert set(random_mixture().to_arrays()) == {"weights", "means", "factors"}

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"weights": None}, r"expected weights, means, factors and perhaps groups; got factors, means\."),
            ({"more": np.ones(1)}, r"expected weights, means, factors and perhaps groups; got factors, means, more"),
            ({"means": np.zeros(3)}, r"means is float64 \(3,\); expected finite float64 \(3, 0\)"),
            ({"weights": np.ones(2) / 2}, r"weights is float64 \(2,\); expected finite float64 \(3,\)"),
            ({"weights": np.array([2.0, -0.5, -0.5])}, r"weights are not the shares of a mixture"),
            ({"weights": np.ones(3)}, r"weights are not the shares of a mixture; expected positive numbers with sum 1"),
            ({"factors": np.zeros((3, 4, 4))}, r"factors are not those of covariances; expected positive numbers on"),
            ({"factors": np.full((3, 4, 4), np.nan)}, r"factors is float64 \(3, 4, 4\); expected finite"),
            ({"factors": np.ones((3, 4, 4), np.float32)}, r"factors is float32 \(3, 4, 4\); expected finite float64"),
            ({"groups": np.zeros(2, np.int64)}, r"groups is int64 \(2,\); expected finite int64 \(3,\)"),
        ],
    )
    def test_are_refused_where_they_are_none(self, changes: dict, match: str) -> None:
        arrays = {**random_mixture().to_arrays(), **changes}
        with pytest.raises(DataError, match=match):
            Mixture.from_arrays({name: array for name, array in arrays.items() if array is not None})
