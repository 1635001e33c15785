"""What makes a row odd: p-values by counting, distances by SciPy, and the detector on rows whose truth is planted."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

from command_line import done, hyotan
from hyotan import CVAE, VAE, AnomalyDetector, Autoencoder, load
from hyotan.anomalies import conformal
from hyotan.anomalies.detector import default_model
from hyotan.anomalies.places import Coordinates, Neighbourhood, Outskirts, TrimmedGaussian
from hyotan.anomalies.recollection import Memory, unexplained
from hyotan.anomalies.subsets import Subsets
from hyotan.anomalies.surprise import Gauge
from hyotan.anomalies.tails import Tails
from hyotan.errors import DataError, ModelFileError, SettingsError
from hyotan.estimators import load_model
from hyotan.files.container import read, write

RANDOM = np.random.default_rng(0)
AXES = RANDOM.normal(size=(3, 6))
CLI_SMALL = ("--latent-dim", 3, "--hidden-dims", "16", "--max-epochs", 20)
SMALL: dict[str, Any] = {"hidden_dims": (16,), "max_epochs": 25, "batch_size": 64, "learning_rate": 4e-3}


def usual(n: int, seed: int) -> np.ndarray:
    """Rows near a three-dimensional plane in six dimensions."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 3)) @ AXES + 0.1 * random.normal(size=(n, 6))


def small(**settings: Any) -> AnomalyDetector:
    own = {"estimator": Autoencoder(3, **SMALL), "n_estimators": 3, "random_state": 0}
    return AnomalyDetector(**{**own, **settings})


_fitted: dict[str, AnomalyDetector] = {}


def fitted() -> AnomalyDetector:
    """A small detector of usual rows; made once, so tests must not change it."""
    if not _fitted:
        _fitted["small"] = small(held_out=0.4).fit(usual(500, 1))
    return _fitted["small"]


class TestPValues:
    def test_are_shares_of_rows_as_odd(self) -> None:
        calibration, scores = RANDOM.integers(0, 9, 40), RANDOM.integers(-2, 12, 25)
        counted = [(1 + sum(c >= s for c in calibration)) / 41 for s in scores]
        np.testing.assert_allclose(conformal.p_values(calibration, scores), counted)

    def test_are_uniform_over_rows_that_could_change_places(self) -> None:
        scores = RANDOM.normal(size=20)
        each = [conformal.p_values(np.delete(scores, i), scores[i : i + 1])[0] for i in range(20)]
        np.testing.assert_allclose(np.sort(each), np.arange(1, 21) / 20)

    @pytest.mark.parametrize("rows", [3, 19, 20, 99, 250])
    @pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.5])
    def test_are_low_exactly_above_the_threshold(self, rows: int, rate: float) -> None:
        calibration = RANDOM.normal(size=rows)
        scores = np.append(RANDOM.normal(size=500), calibration)
        above = scores > conformal.threshold(calibration, rate)
        assert np.array_equal(conformal.p_values(calibration, scores) <= rate + 1e-12, above)

    @pytest.mark.parametrize("rate", [0.01, 0.1, 0.3])
    def test_are_discovered_together_as_scipy_does(self, rate: float) -> None:
        for share in (0.0, 0.1, 0.6):
            p = np.where(RANDOM.random(300) < share, RANDOM.random(300) ** 6, RANDOM.random(300))
            adjusted = stats.false_discovery_control(p, method="bh")
            assert np.array_equal(conformal.discoveries(p, rate), adjusted <= rate)
        assert not conformal.discoveries([1.0, 1.0], 0.1).any()


class TestSurprise:
    def test_is_the_tail_of_a_log_normal_score(self) -> None:
        scores = np.exp(2 + 0.5 * np.random.default_rng(1).normal(size=200_000))
        points = np.exp(2 + 0.5 * np.array([-3.0, 0.0, 2.0, 6.0]))
        expected = -stats.lognorm(0.5, scale=np.exp(2)).logsf(points)
        np.testing.assert_allclose(Gauge.of(scores).surprise(points), expected, rtol=0.03, atol=1e-4)

    def test_hardly_follows_anomalies_among_the_rows(self) -> None:
        scores = np.exp(np.random.default_rng(1).normal(size=1000))
        clean, spoilt = Gauge.of(scores[:900]), Gauge.of(np.append(scores[:900], np.full(100, 1e9)))
        assert abs(clean.centre - spoilt.centre) < 0.25
        assert spoilt.spread < 1.3 * clean.spread

    def test_stays_finite_where_rows_do_not_differ(self) -> None:
        gauge = Gauge.of(np.zeros(10))
        assert np.isfinite(gauge.surprise(np.array([0.0, 1e-3, 1e30]))).all()


class TestPlaces:
    def test_are_as_far_as_their_neighbours(self) -> None:
        rows, places = RANDOM.normal(size=(80, 4)), RANDOM.normal(size=(30, 4))
        expected = np.sort(cdist(places, rows), axis=1)[:, 4]
        np.testing.assert_allclose(Neighbourhood(rows, 5).distance(places), expected)

    def test_are_not_their_own_neighbours(self) -> None:
        rows = RANDOM.normal(size=(80, 4))
        np.testing.assert_allclose(Neighbourhood(rows, 5).distance(rows), np.sort(cdist(rows, rows), axis=1)[:, 5])

    def test_have_as_many_neighbours_as_there_are(self) -> None:
        rows = RANDOM.normal(size=(3, 4))
        np.testing.assert_allclose(Neighbourhood(rows, 5).distance(rows), cdist(rows, rows).max(axis=1))

    def test_are_far_from_a_few_even_where_anomalies_keep_company(self) -> None:
        random = np.random.default_rng(0)
        rows = np.concatenate([random.normal(size=(990, 3)), random.normal(9, 0.1, size=(10, 3))])
        by_few = Outskirts.of(rows, np.random.RandomState(0)).distance(rows)
        by_all = Neighbourhood(rows, 5).distance(rows)
        truth = np.repeat([0, 1], [990, 10])
        assert roc_auc_score(truth, by_all) < 0.5 < 0.9 < roc_auc_score(truth, by_few)

    def test_are_as_far_as_the_nearest_of_each_draw(self) -> None:
        rows, places = RANDOM.normal(size=(4, 6, 3)), RANDOM.normal(size=(20, 3))
        expected = np.prod([cdist(places, few).min(axis=1) for few in rows], axis=0) ** (1 / 4)
        np.testing.assert_allclose(Outskirts(rows).distance(places), expected)

    def test_are_measured_in_deviations(self) -> None:
        codes, errors = RANDOM.normal(3, [1.0, 20.0], size=(500, 2)), RANDOM.random(500) ** 2
        places = Coordinates.of(codes, errors).place(codes, errors)
        np.testing.assert_allclose(places[:, :2], (codes - codes.mean(0)) / codes.std(0))
        np.testing.assert_allclose(np.square(places[:, 2]).mean(), 2)  # as much as the two of the code

    def test_say_nothing_in_a_code_that_does_not_vary(self) -> None:
        codes = np.column_stack([np.full(50, 2.0), RANDOM.normal(size=50)])
        assert (Coordinates.of(codes, np.ones(50)).place(codes + [5, 0], np.ones(50))[:, 0] == 0).all()

    def test_are_inside_a_gaussian_that_anomalies_do_not_move(self) -> None:
        random = np.random.default_rng(3)
        inner = random.normal(size=(1600, 2)) @ [[2.0, 0.5], [0.0, 1.5]]
        gaussian = TrimmedGaussian.of(np.concatenate([inner, random.normal([30, -30], 0.1, size=(200, 2))]))
        assert np.abs(gaussian.mean).max() < 0.2
        points = np.array([[4.0, 0.0], [0.0, 2.0], [4.0, 2.0]])
        truth = cdist(points, [[0.0, 0.0]], "mahalanobis", VI=np.linalg.inv(np.cov(inner.T)))[:, 0] ** 2
        found = gaussian.distance(points)
        np.testing.assert_allclose(found / found[0], truth / truth[0], rtol=0.35)


class TestRecollection:
    def test_is_a_mean_of_the_nearest_codes_weighted_by_distance(self) -> None:
        codes, asked = RANDOM.normal(size=(60, 3)), RANDOM.normal(size=(15, 3))
        distances = cdist(asked, codes)
        distances[distances > np.sort(distances, axis=1)[:, [19]]] = np.inf
        weights = np.exp(-np.square(distances / distances.min(axis=1, keepdims=True)))
        expected = weights @ codes / weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(Memory(codes, codes).recall(asked), expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("rows", [2, 10, 60])
    def test_of_a_row_is_without_the_row_itself(self, rows: int) -> None:
        codes = RANDOM.normal(size=(rows, 3))
        alone = [Memory(np.delete(codes, i, 0), np.delete(codes, i, 0)).recall(codes[[i]])[0] for i in range(rows)]
        np.testing.assert_allclose(Memory(codes, codes).recall(codes), alone, rtol=1e-5, atol=1e-6)

    def test_leaves_a_share_of_the_blurred_contrast_unexplained(self) -> None:
        images, recalled = RANDOM.random((5, 48, 48)), RANDOM.random((5, 48, 48))

        def middle(image: np.ndarray) -> np.ndarray:
            return gaussian_filter(image, 2.0, mode="constant", truncate=9)

        # Away from the edges, where what is outside counts in SciPy's blur and not in ours.
        inner = np.pad(images[:, 16:32, 16:32], ((0, 0), (16, 16), (16, 16)))
        other = np.pad(recalled[:, 16:32, 16:32], ((0, 0), (16, 16), (16, 16)))
        error = [np.square(middle(a - b)).mean() for a, b in zip(inner, other, strict=True)]
        contrast = [middle(a).var() for a in inner]
        np.testing.assert_allclose(unexplained(inner, other), error / (np.array(contrast) + 1e-4), rtol=1e-3)

    def test_does_not_hang_on_contrast_and_channels(self) -> None:
        images, recalled = 50 * RANDOM.random((5, 12, 9)), 50 * RANDOM.random((5, 12, 9))
        found = unexplained(images, recalled)
        np.testing.assert_allclose(unexplained(3 * images, 3 * recalled), found, rtol=1e-3)
        coloured = [np.repeat(part[:, None], 3, axis=1) for part in (images, recalled)]
        np.testing.assert_allclose(unexplained(*coloured), found, rtol=1e-6)
        assert (unexplained(images, images) == 0).all()

    def test_compares_what_is_observed(self) -> None:
        images, recalled = RANDOM.random((5, 12, 12)), RANDOM.random((5, 12, 12))
        images[:, :6] = recalled[:, :6]
        missing = images.copy()
        missing[:, :6] = np.nan
        np.testing.assert_allclose(unexplained(missing, recalled), unexplained(images, recalled))

    def test_finds_other_digits(self) -> None:
        digits = load_digits()
        X, is_odd = digits.images / 16, digits.target != 8
        usual_rows = np.flatnonzero(~is_odd)
        model = Autoencoder(6, **{**SMALL, "hidden_dims": (64,), "max_epochs": 60})
        detector = AnomalyDetector(model, n_estimators=2, random_state=0).fit(X[usual_rows[:100]])
        tested = np.setdiff1d(np.arange(len(X)), usual_rows[:100])
        for method in ("combined", "recollection"):
            area = roc_auc_score(is_odd[tested], -detector.set_params(method=method).score_samples(X[tested]))
            assert area > 0.9, method


class TestTails:
    def test_are_drawn_in_around_the_middle(self) -> None:
        rows = np.random.default_rng(2).normal([5, -3], [2, 0.1], size=(20_000, 2))
        drawn = Tails.of(rows).draw_in(np.array([[5.0, -3.0], [5.2, -3.01], [2005.0, -103.0]]))
        np.testing.assert_allclose(drawn[:2], [[0, 0], [0.1, -0.1]], atol=0.05)
        np.testing.assert_allclose(drawn[2], [4 * np.log(500), -4 * np.log(500)], rtol=0.01)

    def test_keep_order_and_hardly_follow_anomalies(self) -> None:
        rows = np.sort(np.random.default_rng(2).standard_cauchy((1000, 1)), axis=0)
        spoilt = np.where(np.arange(1000)[:, None] > 900, 1e9, rows)
        assert (np.diff(Tails.of(rows).draw_in(rows), axis=0) > 0).all()
        np.testing.assert_allclose(Tails.of(spoilt).spread, Tails.of(rows).spread, rtol=0.3)

    def test_are_measured_by_the_deviation_where_most_values_are_one(self) -> None:
        rows = np.zeros((100, 2))
        rows[:10, 0] = 7.0
        tails = Tails.of(rows)
        np.testing.assert_allclose(tails.spread, [rows[:, 0].std(), 1.0])
        assert np.isfinite(tails.draw_in(rows)).all()

    def test_are_drawn_in_so_that_wild_values_do_not_hide_odd_ones(self) -> None:
        wild, odd = usual(300, 2), usual(40, 6)
        wild[:9, 0] = 1e4 * np.array([3, -8, 5, 1, -2, 4, -6, 7, -9])
        odd[:, 0] += 12
        rows, truth = np.concatenate([usual(200, 5), odd]), np.repeat([0, 1], [200, 40])
        drawn_in = AnomalyDetector(n_estimators=2, random_state=0).fit(wild)
        as_they_are = AnomalyDetector(default_model((6,), 225), n_estimators=2, random_state=0).fit(wild)
        assert as_they_are.tails_ is None
        assert roc_auc_score(truth, -as_they_are.score_samples(rows)) < 0.7
        assert roc_auc_score(truth, -drawn_in.score_samples(rows)) > 0.9
        assert set(np.argsort(drawn_in.score_samples(wild))[:9]) == set(range(9))

    @pytest.mark.parametrize(("columns", "size"), [(1, 1), (2, 1), (5, 3), (6, 3), (8, 4), (16, 4), (36, 9), (200, 16)])
    def test_come_before_a_code_that_is_half_of_a_narrow_row(self, columns: int, size: int) -> None:
        assert default_model((columns,), 100).latent_dim == size
        assert default_model((columns, 4), 100).latent_dim == min(16, columns)


class TestSubsets:
    @pytest.mark.parametrize(
        ("n", "members", "held_out"), [(4, 2, 0), (11, 3, 0), (80, 8, 0), (81, 5, 20), (50, 1, 10)]
    )
    def test_leave_every_row_out_somewhere(self, n: int, members: int, held_out: int) -> None:
        subsets = Subsets.draw(n, members, held_out, 1000, np.random.RandomState(0))
        assert len({len(rows) for rows in subsets.members}) == 1
        assert all(len(np.unique(rows)) == len(rows) >= 1 for rows in subsets.members)
        seen = np.array([np.isin(np.arange(n), rows) for rows in subsets.members])
        assert not seen[:, subsets.held_out].any()
        assert len(subsets.held_out) == held_out
        if members > 1:
            assert (~seen).any(axis=0).all()

    def test_are_no_larger_than_asked(self) -> None:
        assert len(Subsets.draw(500, 4, 0, 30, np.random.RandomState(0)).members[0]) == 30

    def test_score_rows_by_those_that_did_not_see_them(self) -> None:
        subsets = Subsets.draw(40, 8, 0, 1000, np.random.RandomState(0))
        scores = RANDOM.normal(size=(8, 40))
        expected = [np.mean([scores[m, i] for m in range(8) if i not in subsets.members[m]]) for i in range(40)]
        np.testing.assert_allclose(subsets.out_of_bag(scores), expected)


class TestScikitLearn:
    def test_finds_nothing_wrong(self) -> None:
        results = check_estimator(small(n_estimators=2).set_params(estimator__max_epochs=2), on_fail="raise")
        counts = {status: sum(r["status"] == status for r in results) for status in ("passed", "failed", "xfail")}
        assert counts["passed"] >= 40
        assert (counts["failed"], counts["xfail"]) == (0, 0)

    @pytest.mark.slow
    def test_finds_nothing_wrong_with_the_plain_defaults(self) -> None:
        results = check_estimator(AnomalyDetector(), on_fail="raise")
        assert all(result["status"] in ("passed", "skipped") for result in results)

    def test_hears_that_it_is_not_fitted(self) -> None:
        for method in ("score_samples", "predict", "decision_function", "p_values", "discoveries", "explain"):
            with pytest.raises(NotFittedError, match="This AnomalyDetector instance is not fitted yet"):
                getattr(small(), method)(usual(3, 0))
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            small().save("x")

    def test_gets_the_same_bits_from_the_same_seed(self) -> None:
        X = usual(60, 2)
        one, two, other = (small(random_state=seed).fit(X).score_samples(X) for seed in (5, 5, 6))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)

    def test_leaves_the_given_estimator_as_it_was(self) -> None:
        model = Autoencoder(2, **SMALL)
        detector = AnomalyDetector(model, n_estimators=2, random_state=0).fit(usual(40, 0))
        assert not hasattr(model, "model_")
        assert clone(detector).estimator.get_params() == model.get_params()


class TestAlarms:
    def test_come_at_the_stated_rate_on_new_usual_rows(self) -> None:
        detector, fresh = fitted(), usual(2000, 9)
        rows = len(detector.calibration_scores_)
        for rate in (0.01, 0.05, 0.1):
            k = int(rate * (rows + 1))
            low, high = stats.betabinom(len(fresh), k, rows + 1 - k).interval(0.999)
            assert low <= (detector.p_values(fresh) <= rate).sum() <= high, rate

    def test_are_where_the_p_value_is_low(self) -> None:
        detector, rows = fitted(), np.concatenate([usual(300, 4), usual(50, 5) + 5])
        assert np.array_equal(detector.predict(rows) == -1, detector.p_values(rows) <= 0.05)
        assert np.array_equal(detector.decision_function(rows), detector.score_samples(rows) - detector.offset_)

    @pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
    def test_are_exactly_the_share_that_was_asked_for(self, share: float) -> None:
        X = usual(60, 3)
        assert (small(contamination=share, n_estimators=2).fit_predict(X) == -1).sum() == 60 * share

    def test_are_told_where_rows_are_too_few_for_the_rate(self) -> None:
        with pytest.warns(
            UserWarning, match=r"rate of 0\.001 needs 999 rows to measure it with, there are 80: rows odd"
        ):
            small(false_alarm_rate=0.001, n_estimators=2).fit(usual(80, 0))

    def test_together_are_mostly_true(self) -> None:
        odd = usual(60, 6)
        odd[np.arange(60), np.arange(60) % 6] += 6
        found = fitted().discoveries(np.concatenate([usual(300, 7), odd]), rate=0.1)
        assert found[300:].mean() > 0.8
        assert found[:300].sum() <= 0.25 * found.sum()


class TestOddRows:
    def test_are_found_where_they_are_reconstructed_well(self) -> None:
        # Without hidden layers an autoencoder is linear: on the plane, no matter how far away, its error is small.
        model = Autoencoder(3, **{**SMALL, "hidden_dims": (), "max_epochs": 150})
        detector = AnomalyDetector(model, n_estimators=2, random_state=0).fit(usual(300, 1))
        directions = np.random.default_rng(0).normal(size=(40, 3))
        far = 6 * directions / np.linalg.norm(directions, axis=1, keepdims=True) @ AXES
        both, truth = np.concatenate([usual(300, 2), far]), np.repeat([0, 1], [300, 40])
        combined = roc_auc_score(truth, -detector.score_samples(both))
        by_error = roc_auc_score(truth, -detector.set_params(method="reconstruction").score_samples(both))
        assert by_error < 0.95 < 0.99 < combined

    def test_are_found_among_the_rows_that_were_trained_on(self) -> None:
        odd = usual(40, 6)
        odd[np.arange(40), np.arange(40) % 6] += 6
        X, truth = np.concatenate([usual(360, 7), odd]), np.repeat([0, 1], [360, 40])
        assert roc_auc_score(truth, -small().fit(X).score_samples(X)) > 0.95

    def test_are_explained_by_the_column_that_was_changed(self) -> None:
        odd, column = usual(60, 6), np.arange(60) % 6
        odd[np.arange(60), column] += 6
        explained = fitted().explain(odd)
        assert explained.shape == odd.shape
        assert (explained.argmax(axis=1) == column).mean() > 0.8

    def test_are_explained_by_values_that_add_up_to_the_loss(self) -> None:
        rows = usual(20, 6)
        members = fitted().members_
        expected = np.mean([-m.model.score_samples(rows) - m.loss.sum() for m in members], axis=0)
        np.testing.assert_allclose(fitted().explain(rows).sum(axis=1), expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli", "gaussian-per-feature"])
    def test_are_explained_by_pixel(self, likelihood: str) -> None:
        images = load_digits().images[:200] / 16
        model = Autoencoder(4, **SMALL, likelihood=likelihood)
        detector = AnomalyDetector(model, n_estimators=2, random_state=0).fit(images)
        odd = images[:8].copy()
        odd[:, 0, 0] = 1.0
        shown = detector.residual_map(odd)
        assert shown.shape == (8, 8, 8)
        assert (shown.reshape(8, -1).argmax(axis=1) == 0).mean() > 0.7
        with pytest.raises(DataError, match=r"Rows of shape \(6,\) are no images\. Use explain\(X\)"):
            fitted().residual_map(usual(2, 0))

    def test_need_no_more_than_a_few_rows(self) -> None:
        X = usual(12, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.isfinite(small(n_estimators=2).fit(X).score_samples(X)).all()

    def test_are_found_by_every_method_of_a_vae(self) -> None:
        detector = AnomalyDetector(VAE(3, **{**SMALL, "max_epochs": 60}), n_estimators=2, random_state=0)
        detector.fit(usual(300, 1))
        rows, truth = np.concatenate([usual(100, 2), usual(100, 3) + 8]), np.repeat([0, 1], 100)
        for method in ("reconstruction", "neighbours", "outskirts", "gaussian", "likelihood", "combined"):
            found = detector.set_params(method=method).score_samples(rows)
            assert roc_auc_score(truth, -found) > 0.9, method

    def test_are_found_by_a_model_with_labels(self) -> None:
        X, y = usual(120, 1), np.arange(120) % 2
        detector = AnomalyDetector(CVAE(2, **{**SMALL, "max_epochs": 3}), n_estimators=2, random_state=0).fit(X, y)
        assert np.isfinite(detector.score_samples(X)).all()


class TestFiles:
    def test_of_a_detector_by_likelihood_open(self, tmp_path: Path) -> None:
        rows, path = usual(50, 8), tmp_path / "likelihood.hyotan"
        vae = VAE(3, **{**SMALL, "max_epochs": 2})
        detector = AnomalyDetector(vae, method="likelihood", n_estimators=2, random_state=0).fit(usual(100, 1))
        detector.save(path)
        assert np.array_equal(load(path).score_samples(rows), detector.score_samples(rows))

    def test_bring_back_the_same_bits(self, tmp_path: Path) -> None:
        rows, path = usual(50, 8), tmp_path / "odd.hyotan"
        fitted().save(path)
        again = load(path)
        for method in ("score_samples", "predict", "p_values", "explain"):
            assert np.array_equal(getattr(again, method)(rows), getattr(fitted(), method)(rows)), method
        assert again.get_params(deep=False).keys() == fitted().get_params(deep=False).keys()
        assert (again.estimator.latent_dim, again.estimator.batch_size) == (3, 64)

    def test_of_images_bring_back_the_same_bits(self, tmp_path: Path) -> None:
        images, path = load_digits().images[:80] / 16, tmp_path / "odd.hyotan"
        for model in (Autoencoder(3, **{**SMALL, "max_epochs": 2}), CVAE(2, **{**SMALL, "max_epochs": 2})):
            detector = AnomalyDetector(model, n_estimators=2, random_state=0).fit(images, load_digits().target[:80])
            detector.save(path)
            assert np.array_equal(load(path).score_samples(images), detector.score_samples(images))
            contents = read(path)
            contents.tensors["1/memory"] = contents.tensors["1/memory"][:, :1]
            write(path, kind=contents.kind, settings=contents.settings, tensors=contents.tensors)
            with pytest.raises(ModelFileError, match=r"tensor 'memory' is float64 \(\d+, 1\), expected float64 \(m, "):
                load(path)

    def test_bring_back_how_tails_were_drawn_in(self, tmp_path: Path) -> None:
        rows = usual(60, 8)
        detector = AnomalyDetector(n_estimators=2, random_state=0).fit(rows)
        detector.save(tmp_path / "odd.hyotan")
        assert np.array_equal(load(tmp_path / "odd.hyotan").score_samples(rows), detector.score_samples(rows))

    def test_of_a_detector_are_no_model(self, tmp_path: Path) -> None:
        fitted().save(tmp_path / "odd.hyotan")
        with pytest.raises(ModelFileError, match="holds 'anomaly-detector'; expected 'autoencoder' or"):
            load_model(tmp_path / "odd.hyotan")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s, t: t.pop("calibration"), "tensor 'calibration' is missing"),
            (lambda s, t: t.pop("1/gauges"), "tensor 'gauges' is missing"),
            (lambda s, t: t.update({"0/frame/scale": np.ones(9)}), r"tensor 'frame/scale' is float64 \(9,\), expected"),
            (lambda s, t: t.update({"7/loss": np.ones(1)}), "tensor '7/loss' is not expected"),
            (lambda s, t: t.pop("0/model/codes/mean"), "member 0: tensor 'codes/mean' is missing"),
            (lambda s, t: s["parameters"].update(method="best"), "method cannot be 'best'"),
            (lambda s, t: s["parameters"].update(depth=3), "the settings are not those of a detector"),
            (lambda s, t: s.update(members=[]), "are of no kind that is known"),
            (lambda s, t: s["members"][0].update(kind="os"), "are of no kind that is known"),
            (lambda s, t: t.update({"tails/middle": np.ones(6)}), "tensor 'tails/spread' is missing"),
            (
                lambda s, t: t.update({"tails/middle": np.ones(6), "tails/spread": np.ones(5)}),
                r"tensor 'tails/spread' is float64 \(5,\), expected float64 \(6,\)",
            ),
            (
                lambda s, t: t.update({"tails/middle": np.ones(6), "tails/spread": np.zeros(6)}),
                "tensor 'tails/spread' holds a number that is not above 0",
            ),
        ],
    )
    def test_are_refused_where_they_do_not_add_up(self, tmp_path: Path, change: Any, message: str) -> None:
        path = tmp_path / "odd.hyotan"
        fitted().save(path)
        contents = read(path)
        change(contents.settings, contents.tensors)
        write(path, kind=contents.kind, settings=contents.settings, tensors=contents.tensors)
        with pytest.raises(ModelFileError, match=message):
            load(path)


class TestMistakes:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"estimator": 3}, r"estimator cannot be 3: expected an Autoencoder, .* Pass an instance"),
            ({"estimator": Autoencoder}, "estimator cannot be <class"),
            ({"method": "reconstructions"}, r"method cannot be 'reconstructions': .* Did you mean 'reconstruction'\?"),
            ({"method": "likelihood"}, r"needs a model of p\(x\), which Autoencoder is not\. Pass a VAE"),
            (
                {"contamination": 0.7},
                "contamination cannot be 0.7: expected a number above 0 and at most 0.5 or 'auto'",
            ),
            ({"contamination": 0}, "contamination cannot be 0: "),
            ({"false_alarm_rate": 0.0}, "false_alarm_rate cannot be 0.0: expected a number above 0 and at most 0.5"),
            ({"false_alarm_rate": True}, "false_alarm_rate cannot be True"),
            ({"held_out": 0.95}, "held_out cannot be 0.95: expected a number above 0 and at most 0.9 or 'auto'"),
            ({"n_estimators": 0}, r"n_estimators cannot be 0\. Expected an integer of at least 1"),
            ({"n_estimators": 1, "held_out": 0}, "n_estimators=1 with held_out=0 leaves no row to measure with"),
        ],
    )
    def test_are_named_before_the_first_step(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            small(**settings).fit(usual(20, 0))

    def test_is_a_table_where_images_are_compared(self) -> None:
        with pytest.raises(SettingsError, match="method='recollection' compares images, X is a table"):
            small(method="recollection").fit(usual(20, 0))

    def test_are_too_few_rows_and_rates_beyond_one(self) -> None:
        with pytest.raises(DataError, match="n_samples = 3: expected at least 4 rows"):
            small().fit(usual(3, 0))
        with pytest.raises(SettingsError, match="rate cannot be 2: expected a number above 0 and at most 1"):
            fitted().discoveries(usual(3, 0), rate=2)
        with pytest.raises(DataError, match=r"fitted on samples of shape \(6,\)|features"):
            fitted().predict(usual(3, 0)[:, :4])


class TestTheCommandLine:
    @pytest.fixture(scope="class")
    @staticmethod
    def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("odd")
        np.save(folder / "usual.npy", usual(400, 1))
        odd = usual(40, 2)
        odd[:10, 4] += 30
        np.save(folder / "new.npy", odd)
        done("fit", "usual.npy", *CLI_SMALL, "--out", "run", cwd=folder)
        return folder / "run"

    def test_names_the_values_that_stick_out(self, run: Path) -> None:
        record = done("score", run, run.parent / "new.npy", "--json").record
        assert set(record["oddest"]) <= set(range(10))
        assert all(values[0].startswith("4 ") for values in record["odd_values"])

    def test_measures_p_values_with_the_test_rows_of_the_run(self, run: Path) -> None:
        said = done("score", run, run.parent / "new.npy", "--fdr", 0.2, "-o", run / "scores.npy")
        scores, p, odd = np.load(run / "scores.npy").T
        measured = np.load(run.parent / "usual.npy")
        model = load(run)
        assert np.array_equal(scores.astype(np.float32), model.score_samples(np.load(run.parent / "new.npy")))
        assert set(np.round(p * 41)) <= set(range(1, 42)), len(measured)
        assert odd[:10].all()
        assert f"{int(odd.sum())} rows are anomalies, at most 20% of them false alarms" in said.err

    def test_says_what_p_values_need(self, run: Path) -> None:
        for words in (
            ("score", run, "--p-values"),
            ("score", run / "model.hyotan", run.parent / "new.npy", "--fdr", 0.1),
        ):
            said = hyotan(*words)
            assert said.code == 2
            assert said.begins("error:")[0].startswith("p-values are calibrated on a run's own test rows")
            assert said.begins("fix:") == ["Name both: hyotan score RUN NEW.csv --p-values"]
