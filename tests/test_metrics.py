"""Metrics against NumPy, SciPy and scikit-learn; baselines against a singular value decomposition of one's own."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.metrics import mean_squared_error

from hyotan import VAE, Autoencoder, metrics
from hyotan.analysis.evaluation import evaluate
from hyotan.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = (load_digits().images / 16).astype(np.float32)
TRAIN, TEST = IMAGES[:1200], IMAGES[1200:]


def svd_errors(train: np.ndarray, test: np.ndarray, size: int) -> np.ndarray:
    """Errors of the projection on the first right singular vectors, in float64."""
    a, b = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (train, test))
    mean = a.mean(0)
    basis = np.linalg.svd(a - mean, full_matrices=False)[2][:size]
    projected = (b - mean) @ basis.T @ basis + mean
    return np.square(projected - b).mean(1)


class TestErrors:
    """Mean squared errors a feature."""

    @pytest.mark.parametrize("shape", [(7, 5), (7, 3, 4), (7, 3, 4, 2)], ids=str)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_agree_with_scikit_learn(self, shape: tuple[int, ...], dtype: type) -> None:
        a, b = (RNG.normal(size=shape).astype(dtype) for _ in range(2))
        flat_a, flat_b = a.reshape(7, -1), b.reshape(7, -1)
        assert metrics.mse(a, b) == pytest.approx(mean_squared_error(flat_a, flat_b), rel=1e-6)
        by_row = [mean_squared_error(x, y) for x, y in zip(flat_a, flat_b, strict=True)]
        np.testing.assert_allclose(metrics.row_errors(a, b), by_row, rtol=1e-5)

    def test_of_the_rows_average_to_that_of_all(self) -> None:
        a, b = RNG.normal(size=(2, 50, 3, 4))
        assert metrics.row_errors(a, b).mean() == pytest.approx(metrics.mse(a, b), rel=1e-6)

    @given(values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
    def test_standard_error_is_scipys(self, values: list[float]) -> None:
        array = np.array(values)
        assert metrics.standard_error(array) == pytest.approx(stats.sem(array), abs=1e-12)

    def test_standard_error_of_a_single_value_is_zero(self) -> None:
        assert metrics.standard_error(np.array([3.0])) == 0


def windows(side: int) -> int:
    return min(11, side if side % 2 else side - 1)


def ssim_by_loops(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    """SSIM of two grey images, window by window, from weighted means, variances and the covariance."""
    tall, wide = (windows(side) for side in a.shape)
    rows, columns = np.mgrid[:tall, :wide]
    weights = np.exp(-((rows - tall // 2) ** 2 + (columns - wide // 2) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2, found = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2, []
    for top, left in itertools.product(range(a.shape[0] - tall + 1), range(a.shape[1] - wide + 1)):
        x, y = (image[top : top + tall, left : left + wide] for image in (a, b))
        mx, my = np.average(x, weights=weights), np.average(y, weights=weights)
        covariance = np.cov(x.ravel(), y.ravel(), aweights=weights.ravel(), ddof=0)
        signal = (2 * mx * my + c1) * (2 * covariance[0, 1] + c2)
        found.append(signal / ((mx**2 + my**2 + c1) * (covariance.trace() + c2)))
    return float(np.mean(found))


class TestPictures:
    """PSNR and SSIM."""

    @pytest.mark.parametrize("peak", [1.0, 255.0])
    def test_psnr_is_in_decibels(self, peak: float) -> None:
        a = np.zeros((3, 4, 5))
        b = a + peak * np.array([1.0, 0.1, 0.01])[:, None, None]
        np.testing.assert_allclose(metrics.psnr(a, b, peak), [0, 20, 40], atol=1e-6)

    def test_psnr_of_the_same_is_infinite_and_counts_a_hundred_in_a_mean(self) -> None:
        a = RNG.random((2, 4, 5))
        b = a.copy()
        b[1] += 0.1
        assert metrics.psnr(a, b, 1.0)[0] == math.inf
        assert metrics.mean_psnr(a, b, 1.0) == pytest.approx((100 + 20) / 2)

    @pytest.mark.parametrize("shape", [(28, 28), (13, 11), (11, 17), (8, 8), (5, 12), (1, 1), (2, 2)], ids=str)
    @pytest.mark.parametrize("peak", [1.0, 255.0])
    def test_ssim_is_that_of_every_window(self, shape: tuple[int, int], peak: float) -> None:
        a, b = peak * RNG.random((2, 3, *shape))
        expected = [ssim_by_loops(x, y, peak) for x, y in zip(a, b, strict=True)]
        np.testing.assert_allclose(metrics.ssim(a, b, peak), expected, rtol=1e-6, atol=1e-9)

    def test_ssim_of_colours_is_the_mean_over_the_channels(self) -> None:
        a, b = RNG.random((2, 4, 3, 12, 14))
        expected = np.mean([metrics.ssim(a[:, c], b[:, c], 1.0) for c in range(3)], axis=0)
        np.testing.assert_allclose(metrics.ssim(a, b, 1.0), expected)

    def test_ssim_of_the_same_is_one_and_of_the_negative_below_zero(self) -> None:
        a = RNG.random((2, 16, 16))
        np.testing.assert_allclose(metrics.ssim(a, a, 1.0), 1)
        assert (metrics.ssim(a, 1 - a, 1.0) < 0).all()

    def test_ssim_of_many_images_is_that_of_each(self, monkeypatch: pytest.MonkeyPatch) -> None:
        a, b = RNG.random((2, 7, 12, 12))
        whole = metrics.ssim(a, b, 1.0)
        monkeypatch.setattr(metrics, "SSIM_VALUES", 300)
        np.testing.assert_array_equal(metrics.ssim(a, b, 1.0), whole)

    @pytest.mark.parametrize("peak", [1.0, 255.0])
    def test_both_are_those_of_scikit_image(self, peak: float) -> None:
        y, x = np.mgrid[:20, :24]
        clean = 0.5 + 0.5 * np.sin(x / 3) * np.cos(y / 4)
        noisy = np.clip(clean + 0.3 * np.sin(7 * x + 5 * y), 0, 1)
        # scikit-image 0.26.0, structural_similarity(…, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        # and peak_signal_noise_ratio, data_range being the peak.
        assert metrics.ssim(clean[None] * peak, noisy[None] * peak, peak)[0] == pytest.approx(0.454373775654, rel=1e-9)
        assert metrics.psnr(clean[None] * peak, noisy[None] * peak, peak)[0] == pytest.approx(14.0434310259, rel=1e-9)


class TestInformation:
    """Bits, and units that carry any."""

    def test_bits_of_bytes_drawn_evenly_are_eight(self) -> None:
        assert metrics.bits_per_dimension(784 * math.log(256), 784) == pytest.approx(8)

    def test_a_unit_is_active_above_a_variance_of_a_hundredth(self) -> None:
        # Two values at ± d have the variance d².
        codes = np.outer([1, -1], np.sqrt([0.0, 0.0099, 0.0101, 4.0])) + 100
        assert metrics.active_units(codes) == 2

    def test_other_thresholds_can_be_asked_for(self) -> None:
        codes = np.outer([1, -1], np.sqrt([0.0, 0.0099, 0.0101, 4.0]))
        assert metrics.active_units(codes, threshold=1.0) == 1


class TestBaselines:
    """What no network is needed for: fitted on training rows, measured on others."""

    def test_mean_image_is_numpys(self) -> None:
        expected = np.square(TEST.astype(np.float64) - TRAIN.mean(0, dtype=np.float64)).mean((1, 2))
        np.testing.assert_allclose(metrics.mean_image_errors(TRAIN, TEST), expected, rtol=1e-5)

    @pytest.mark.parametrize("size", [1, 4, 16, 64])
    def test_pca_is_the_singular_value_decomposition(self, size: int) -> None:
        np.testing.assert_allclose(
            metrics.pca_errors(TRAIN, TEST, size), svd_errors(TRAIN, TEST, size), rtol=1e-3, atol=1e-9
        )

    def test_pca_of_wide_rows_is_the_singular_value_decomposition(self) -> None:
        basis = RNG.normal(size=(40, 900)) * np.linspace(1, 0.2, 40)[:, None]
        rows = (RNG.normal(size=(700, 40)) @ basis + RNG.normal(size=(700, 900))).astype(np.float32)
        ours, exact = (errors(rows[:600], rows[600:], 20).mean() for errors in (metrics.pca_errors, svd_errors))
        assert ours == pytest.approx(exact, rel=0.01)

    def test_pca_gets_better_with_its_size_down_to_nothing(self) -> None:
        errors = [metrics.pca_errors(TRAIN, TEST, size).mean() for size in (1, 4, 16, 64)]
        assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-10

    def test_pca_of_more_components_than_there_are_takes_all(self) -> None:
        assert metrics.pca_errors(TRAIN, TEST, 500).max() < 1e-9
        assert np.isfinite(metrics.pca_errors(TRAIN[:5], TEST, 16)).all()


def best_naming(labels: np.ndarray, clusters: np.ndarray) -> float:
    """The best share of right rows over every way to name clusters after classes, one to one: all of them tried."""
    kinds, groups = np.unique(labels).tolist(), np.unique(clusters).tolist()
    kinds += [None] * max(0, len(groups) - len(kinds))
    namings = itertools.permutations(kinds, len(groups))
    return max(
        np.mean([names[groups.index(g)] == k for k, g in zip(labels, clusters, strict=True)])
        for names in map(list, namings)
    )


class TestAgreement:
    """Clusters beside labels."""

    @given(
        rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=25),
    )
    def test_accuracy_is_the_best_of_all_namings(self, rows: list[tuple[int, int]]) -> None:
        labels, clusters = np.array(rows).T
        assert metrics.cluster_accuracy(labels, clusters) == pytest.approx(best_naming(labels, clusters))

    def test_names_do_not_matter(self) -> None:
        labels = np.array(["猫", "犬", "鳥", "猫", "犬"])
        found = metrics.agreement(labels, np.array([7, -3, 20, 7, -3]))
        assert found == metrics.Agreement(1.0, 1.0, 1.0, 1.0)

    def test_a_class_in_two_clusters_counts_its_larger_half(self) -> None:
        assert metrics.cluster_accuracy(np.zeros(10, int), np.repeat([0, 1], [7, 3])) == pytest.approx(0.7)

    def test_two_classes_in_one_cluster_count_the_larger(self) -> None:
        assert metrics.cluster_accuracy(np.repeat(["a", "b"], [6, 4]), np.zeros(10, int)) == pytest.approx(0.6)

    def test_information_and_rand_index_are_those_of_the_definitions(self) -> None:
        labels, clusters = RNG.integers(0, 4, 200), RNG.integers(0, 3, 200)
        table = np.array([[np.sum((labels == i) & (clusters == j)) for j in range(3)] for i in range(4)])
        h = [stats.entropy(table.sum(axis)) for axis in (1, 0)]
        shared = sum(h) - stats.entropy(table.ravel())
        pairs = [sum(math.comb(int(n), 2) for n in part) for part in (table.ravel(), table.sum(1), table.sum(0))]
        chance = pairs[1] * pairs[2] / math.comb(200, 2)
        found = metrics.agreement(labels, clusters)
        assert found.nmi == pytest.approx(2 * shared / sum(h))
        assert found.v_measure == pytest.approx(2 / (h[0] / shared + h[1] / shared))
        assert found.ari == pytest.approx((pairs[0] - chance) / ((pairs[1] + pairs[2]) / 2 - chance))

    def test_the_table_counts_rows(self) -> None:
        table = metrics.contingency(np.array(["b", "a", "b"]), np.array([5, 5, 9]))
        assert table.tolist() == [[1, 0], [1, 1]]

    @pytest.mark.parametrize("measure", [metrics.agreement, metrics.cluster_accuracy])
    def test_of_no_rows_is_refused(self, measure) -> None:
        with pytest.raises(DataError, match=r"only on rows; got none\. Pass rows that have labels\."):
            measure(np.array([]), np.array([]))


class TestCoverage:
    """How much of the data samples reach."""

    def test_is_that_of_brute_force(self) -> None:
        real, samples = RNG.normal(size=(120, 3)), RNG.normal(1, 0.5, size=(40, 3))
        among, between = cdist(real, real), cdist(real, samples)
        radii = np.sort(among, axis=1)[:, 5]  # the nearest of all is the row itself
        assert metrics.coverage(real, samples, 5) == pytest.approx(np.mean(between.min(1) <= radii))

    def test_of_the_data_itself_is_one_and_of_another_place_zero(self) -> None:
        real = RNG.normal(size=(60, 2, 3))
        assert metrics.coverage(real, real) == 1 and metrics.coverage(real, real + 100) == 0

    def test_does_not_reward_a_single_mode(self) -> None:
        real = np.concatenate([RNG.normal(size=(90, 2)), RNG.normal(50, 1, size=(10, 2))])
        assert metrics.coverage(real, RNG.normal(50, 1, size=(500, 2))) <= 0.1

    def test_needs_more_rows_than_neighbours(self) -> None:
        with pytest.raises(DataError, match=r"by 5 neighbours needs more than 5 real rows; got 5\..*lower k"):
            metrics.coverage(np.zeros((5, 2)), np.zeros((5, 2)))


class TestNeighbours:
    """What the neighbours of a code say."""

    def test_accuracy_is_that_of_counting_by_hand(self) -> None:
        train, test = RNG.normal(size=(80, 4)), RNG.normal(size=(30, 4))
        y_train, y_test = np.where(train[:, 0] > 0, "up", "down"), np.where(test[:, 0] > 0, "up", "down")
        nearest = np.argsort(cdist(test, train), axis=1)[:, :5]
        votes = (y_train[nearest] == "up").sum(1) > 2
        expected = np.mean(votes == (y_test == "up"))
        assert metrics.knn_accuracy(train, y_train, test, y_test) == pytest.approx(expected)

    def test_accuracy_with_few_rows_takes_fewer_neighbours(self) -> None:
        codes = np.array([[0.0], [1.0]])
        assert metrics.knn_accuracy(codes[:1], np.array([3]), codes, np.array([3, 4])) == 0.5

    def test_trustworthiness_is_that_of_the_paper(self) -> None:
        X, codes, k = RNG.normal(size=(40, 6)), RNG.normal(size=(40, 2)), 7
        ranks = cdist(X, X).argsort(1).argsort(1)  # 0 is the row itself
        near = cdist(codes, codes).argsort(1)[:, 1 : k + 1]
        too_far = sum(max(0, ranks[i, j] - k) for i in range(40) for j in near[i])
        expected = 1 - 2 / (40 * k * (2 * 40 - 3 * k - 1)) * too_far
        assert metrics.trustworthiness(X, codes, k) == pytest.approx(expected)

    def test_trustworthiness_of_the_features_themselves_is_one(self) -> None:
        assert metrics.trustworthiness(TEST, TEST.reshape(len(TEST), -1), k=12) == pytest.approx(1, abs=1e-4)

    def test_trustworthiness_looks_at_some_rows_only(self) -> None:
        found = [metrics.trustworthiness(TEST, TEST[:, 3], max_rows=n, random_state=s) for n, s in [(99, 0), (99, 1)]]
        assert found[0] != found[1] and abs(found[0] - found[1]) < 0.1

    def test_trustworthiness_of_very_few_rows(self) -> None:
        assert 0 <= metrics.trustworthiness(TEST[:3], TEST[:3, 0], k=5) <= 1
        with pytest.raises(DataError, match=r"among 3 rows or more; got 2"):
            metrics.trustworthiness(TEST[:2], TEST[:2, 0])


@pytest.fixture(scope="module")
def vae() -> VAE:
    """A small one, briefly trained."""
    return VAE(3, hidden_dims=(16,), max_epochs=3, beta=0.5, random_state=0).fit(TRAIN)


class TestAnEvaluation:
    """The frozen record holds what NumPy computes from the estimator's own answers."""

    def test_errors_are_those_of_the_reconstruction(self, vae: VAE) -> None:
        record = evaluate(vae, TEST, nll_rows=0)
        errors = np.square(vae.reconstruct(TEST).astype(np.float64) - TEST).mean((1, 2))
        assert record.mse == pytest.approx(errors.mean(), rel=1e-5)
        assert record.mse_standard_error == pytest.approx(stats.sem(errors), rel=1e-4)
        assert record.n_rows == len(TEST)

    def test_baselines_are_fitted_on_the_training_rows(self, vae: VAE) -> None:
        record = evaluate(vae, TEST, TRAIN, nll_rows=0)
        assert record.mse_pca == pytest.approx(svd_errors(TRAIN, TEST, 3).mean(), rel=1e-4)
        assert record.mse_mean_image == pytest.approx(np.square(TEST - TRAIN.mean(0)).mean(), rel=1e-4)
        errors = np.square(vae.reconstruct(TEST) - TEST).mean((1, 2))
        assert record.pca_difference_error == pytest.approx(stats.sem(errors - svd_errors(TRAIN, TEST, 3)), rel=1e-3)

    def test_loss_is_reconstruction_plus_beta_kl(self, vae: VAE) -> None:
        record = evaluate(vae, TEST, nll_rows=0)
        assert record.loss == pytest.approx(record.reconstruction + 0.5 * record.kl, rel=1e-5)
        assert record.kl == pytest.approx(sum(record.kl_per_dimension), rel=1e-5)
        assert record.bits_per_dimension == pytest.approx(record.loss / 64 / np.log(2))

    def test_kl_is_the_closed_form_at_the_encoders_output(self, vae: VAE) -> None:
        codes = vae.posterior_sample(TEST, 3000, random_state=0).astype(np.float64)
        variance, mean = codes.var(0), vae.transform(TEST)
        expected = 0.5 * (np.square(mean) + variance - 1 - np.log(variance)).mean(0)
        np.testing.assert_allclose(evaluate(vae, TEST, nll_rows=0).kl_per_dimension, expected, atol=0.01)

    def test_active_units_are_counted_on_the_codes(self, vae: VAE) -> None:
        expected = int((np.var(vae.transform(TEST), axis=0) > 0.01).sum())
        assert evaluate(vae, TEST, nll_rows=0).active_units == expected

    def test_likelihood_is_the_estimators_own(self, vae: VAE) -> None:
        record = evaluate(vae, TEST[:40], nll_rows=40, nll_samples=50).likelihood
        scores = -vae.log_likelihood(TEST[:40], 50, 0)
        assert record.nll == pytest.approx(scores.mean(), rel=1e-5)
        assert record.standard_error == pytest.approx(stats.sem(scores), rel=1e-4)
        assert (record.rows, record.samples) == (40, 50) and record.elbo_gap > 0

    def test_an_autoencoder_has_neither_kl_nor_likelihood(self) -> None:
        record = evaluate(Autoencoder(3, hidden_dims=(16,), max_epochs=1, random_state=0).fit(TRAIN), TEST)
        assert record.kl is None and record.likelihood is None and record.kl_per_dimension == ()
        assert record.mse_pca is None and record.mse_mean_image is None


class TestFrechetDistance:
    def test_is_that_of_the_matrix_square_root(self) -> None:
        from scipy.linalg import sqrtm

        random = np.random.default_rng(0)
        a, b = random.normal(size=(300, 5)), random.normal(size=(200, 5)) @ random.normal(size=(5, 5)) + 1
        first, second = np.cov(a.T), np.cov(b.T)
        expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second - 2 * sqrtm(first @ second).real)
        assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)

    def test_is_none_for_the_same_rows_and_the_shift_for_moved_ones(self) -> None:
        a = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
        assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
        assert metrics.frechet_distance(a, a + 3) == pytest.approx(36, rel=1e-4)
        flat = np.zeros((10, 4))
        assert metrics.frechet_distance(flat, flat + 2) == pytest.approx(16)

    def test_needs_two_rows(self) -> None:
        with pytest.raises(DataError, match=r"A covariance needs 2 rows or more; got 1 and 5\. Pass more rows"):
            metrics.frechet_distance(np.zeros((1, 2)), np.zeros((5, 2)))
