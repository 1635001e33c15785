"""The CVAE: its bound beside a sum written out over all classes, its likelihood beside an integral, and its labels."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import is_classifier
from sklearn.datasets import load_digits, make_blobs
from torch import Tensor
from torch.nn import functional as F

from hyotan import CVAE, load
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.labels import find_classes, hide_labels, read_labels
from hyotan.models import cvae as module
from hyotan.models.cvae import CVAEModel
from hyotan.training.objective import Labels
from hyotan.training.resident import cycled

DIGITS = load_digits()
IMAGES = (DIGITS.images[:300] / 16).astype(np.float32)
Y = DIGITS.target[:300]
SMALL: dict[str, Any] = {"latent_dim": 3, "hidden_dims": (24,), "max_epochs": 3, "random_state": 0}
MODES = pytest.mark.parametrize("mode", ["marginalise", "zero"])


def small(mode: str = "marginalise", **more: Any) -> CVAE:
    return CVAE(**{**SMALL, "unlabelled_rows": mode, **more}).fit(IMAGES, Y)


@pytest.fixture(scope="module")
def by_mode() -> dict[str, CVAE]:
    return {mode: small(mode, labelled_fraction=0.5) for mode in ("marginalise", "zero")}


def batch(estimator: CVAE, n: int = 40) -> tuple[CVAEModel, Tensor]:
    return copy.deepcopy(estimator.model_), torch.from_numpy(estimator.in_range(IMAGES[:n]))


def bound_of(model: CVAEModel, x: Tensor, label: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """-log p(x|y, z) and the KL under one label for all rows, (batch,) each, by the formulas alone."""
    out = model.encoder.head(torch.cat([model.encoder.trunk(x), model.encoder.embedding(label).expand(len(x), -1)], 1))
    mean, log_variance = out.chunk(2, 1)
    z = mean + (log_variance / 2).exp() * noise
    logits = model.decoder(z, label.expand(len(x), -1))
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    return reconstruction, 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


class TestTheBound:
    def test_of_unknown_labels_is_the_sum_over_the_classes(
        self, by_mode: dict[str, CVAE], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LEAST_LOG_PROBABILITY", -1e9)
        monkeypatch.setattr(module, "MOST_CLASSES", 10)
        model, x = batch(by_mode["marginalise"])
        model.n_samples, model.beta = 1, 0.7
        torch.manual_seed(0)
        terms = model.objective(x)
        torch.manual_seed(0)
        noise = torch.randn(1, 400, 3)[0].reshape(40, 10, 3)  # the pairs come row by row
        q, prior = model.classifier(x).softmax(1), model.log_prior
        loss = torch.zeros(40)
        for number, label in enumerate(torch.eye(10)):
            reconstruction, kl = bound_of(model, x, label, noise[:, number])
            loss = loss + q[:, number] * (reconstruction + 0.7 * kl + q[:, number].log() - prior[number])
        torch.testing.assert_close(terms.loss, loss, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(terms.label, (q * (q.log() - prior)).sum(1), rtol=1e-4, atol=1e-5)

    def test_hardly_changes_when_improbable_classes_are_left_out(
        self, by_mode: dict[str, CVAE], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, x = batch(by_mode["marginalise"])
        model.n_samples = 500
        with torch.no_grad():
            model.classifier[-1].weight *= 300  # as decided as after a longer training
            short = model.objective(x)
            monkeypatch.setattr(module, "LEAST_LOG_PROBABILITY", -1e9)
            monkeypatch.setattr(module, "MOST_CLASSES", 10)
            whole = model.objective(x)
        assert (short.loss - whole.loss).abs().max() < 0.5  # nats, of some 25
        assert (short.loss - whole.loss).mean().abs() < 0.1

    def test_of_known_labels_is_that_of_the_label_alone(self, by_mode: dict[str, CVAE]) -> None:
        model, x = batch(by_mode["marginalise"])
        classes = torch.from_numpy(Y[:40])
        torch.manual_seed(0)
        terms = model.objective(x, labels=Labels(classes))
        torch.manual_seed(0)
        noise = torch.randn(1, 40, 3)[0]
        cross_entropy = F.cross_entropy(model.classifier(x), classes)
        for row in range(0, 40, 7):
            label = torch.eye(10)[classes[row]]
            reconstruction, kl = bound_of(model, x[row : row + 1], label, noise[row : row + 1])
            torch.testing.assert_close(terms.reconstruction[row : row + 1], reconstruction, rtol=1e-4, atol=1e-4)
            bound = reconstruction + kl - model.log_prior[classes[row]]
            expected = bound + model.classifier_weight * cross_entropy
            torch.testing.assert_close(terms.loss[row : row + 1], expected, rtol=1e-4, atol=1e-3)

    def test_asks_the_neighbours_of_rows_without_a_label(self, by_mode: dict[str, CVAE]) -> None:
        model, x = batch(by_mode["marginalise"])
        classes = torch.where(torch.arange(40) < 30, -1, torch.from_numpy(Y[:40]))
        beliefs = torch.rand(40, 10, generator=torch.Generator().manual_seed(0)) * (classes < 0)[:, None]
        torch.manual_seed(0)
        without = model.objective(x, labels=Labels(classes)).loss.mean()
        torch.manual_seed(0)
        beside = model.objective(x, labels=Labels(classes, beliefs=beliefs)).loss.mean()
        expected = F.cross_entropy(model.classifier(x)[:30], beliefs[:30], reduction="sum") / 40
        torch.testing.assert_close(beside - without, model.neighbour_weight * expected, rtol=1e-3, atol=0)

    def test_takes_in_companions_for_every_row_alike(self, by_mode: dict[str, CVAE]) -> None:
        model, x = batch(by_mode["marginalise"])
        unknown = torch.full((20,), -1)
        torch.manual_seed(0)
        without = model.objective(x[:20], labels=Labels(unknown))
        torch.manual_seed(0)
        classes = torch.from_numpy(Y[20:40])
        beside = model.objective(x[:20], labels=Labels(unknown, (x[20:], classes)))
        assert beside.loss.shape == beside.label.shape == (20,)
        cross_entropy = model.classifier_weight * F.cross_entropy(model.classifier(x[20:]), classes)
        torch.manual_seed(1)
        alone = model.objective(x[20:], labels=Labels(classes))
        bounds = torch.cat([without.loss, alone.loss - cross_entropy])
        # Other draws of the codes.
        torch.testing.assert_close(beside.loss.mean(), bounds.mean() + cross_entropy, rtol=0.05, atol=0)

    def test_without_a_classifier_knows_no_label_as_one_more_label(self, by_mode: dict[str, CVAE]) -> None:
        model, x = batch(by_mode["zero"])
        assert model.classifier is None
        torch.manual_seed(0)
        terms = model.objective(x, labels=Labels(torch.tensor([-1, 3] * 20)))
        torch.manual_seed(0)
        noise = torch.randn(1, 40, 3)[0]
        for rows, label in ((slice(0, None, 2), torch.zeros(10)), (slice(1, None, 2), torch.eye(10)[3])):
            reconstruction, kl = bound_of(model, x[rows], label, noise[rows])
            torch.testing.assert_close(terms.loss[rows], reconstruction + kl, rtol=1e-4, atol=1e-3)

    @MODES
    def test_reaches_every_weight(self, by_mode: dict[str, CVAE], mode: str) -> None:
        model, x = batch(by_mode[mode])
        model.objective(x, labels=Labels(torch.from_numpy(Y[:40]))).loss.mean().backward()
        assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


class TestTheLikelihood:
    @MODES
    def test_is_the_integral_over_codes_and_the_sum_over_labels(self, mode: str) -> None:
        cvae = small(mode, latent_dim=1, labelled_fraction=0.5)
        x = torch.from_numpy(cvae.in_range(IMAGES[:6]))
        grid = torch.linspace(-7, 7, 2801)[:, None]
        density = torch.from_numpy(stats.norm.pdf(grid.numpy()).ravel()) * (grid[1] - grid[0])
        labels = torch.eye(10) if mode == "marginalise" else torch.zeros(1, 10)
        prior = cvae.model_.log_prior.exp().double() if mode == "marginalise" else torch.ones(1).double()
        total = torch.zeros(6, dtype=torch.float64)
        with torch.no_grad():
            for weight, label in zip(prior, labels, strict=True):
                logits = cvae.model_.decoder(grid, label.expand(len(grid), -1))[:, None]
                log_p = -F.binary_cross_entropy_with_logits(
                    logits.expand(-1, 6, -1, -1), x.expand(len(grid), -1, -1, -1), reduction="none"
                )
                total += weight * (log_p.flatten(2).sum(2).double().exp() * density[:, None]).sum(0)
        estimated = cvae.log_likelihood(IMAGES[:6], n_samples=20_000)
        np.testing.assert_allclose(estimated, total.log().numpy(), atol=0.03)

    def test_of_a_row_depends_on_that_row_alone(self, by_mode: dict[str, CVAE]) -> None:
        for cvae in by_mode.values():
            whole = cvae.score_samples(IMAGES)
            assert np.array_equal(cvae.score_samples(IMAGES[7:9]), whole[7:9])


class TestPredictions:
    def test_are_probabilities_of_the_classes(self, by_mode: dict[str, CVAE]) -> None:
        for cvae in by_mode.values():
            probabilities = cvae.predict_proba(IMAGES)
            assert probabilities.shape == (300, 10)
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
            assert np.array_equal(cvae.predict(IMAGES), cvae.classes_[probabilities.argmax(axis=1)])

    def test_without_a_classifier_follow_bayes_rule(self, by_mode: dict[str, CVAE]) -> None:
        cvae = by_mode["zero"]
        model, x = batch(cvae)
        with torch.no_grad():
            bounds = [sum(bound_of(model, x, label, torch.zeros(40, 3))) for label in torch.eye(10)]
        expected = (-torch.stack(bounds, 1) + model.log_prior).softmax(1)
        np.testing.assert_allclose(cvae.predict_proba(IMAGES[:40]), expected.numpy(), atol=1e-4)

    @MODES
    def test_are_right_where_classes_lie_apart(self, mode: str) -> None:
        X, y = make_blobs(600, 8, centers=4, cluster_std=0.7, random_state=0)
        given = np.where(np.arange(600) < 40, y, -1)
        cvae = CVAE(2, hidden_dims=(32,), max_epochs=60, random_state=0, unlabelled_rows=mode).fit(X, given)
        assert np.mean(cvae.predict(X[40:]) == y[40:]) > 0.97

    def test_gain_from_rows_without_labels(self) -> None:
        X, y = DIGITS.images / 16, DIGITS.target
        given = hide_labels(y.astype(np.int64), 0.03, 0)
        few = given >= 0
        settings: dict[str, Any] = {"latent_dim": 8, "hidden_dims": (64,), "max_epochs": 40, "random_state": 0}
        alone = CVAE(**settings).fit(X[few], y[few])
        helped = CVAE(**settings).fit(X, given)
        errors = [np.mean(model.predict(X[~few]) != y[~few]) for model in (alone, helped)]
        assert errors[1] < errors[0]

    def test_make_it_no_classifier(self) -> None:
        assert not is_classifier(CVAE())


class TestGivenLabels:
    @MODES
    def test_pull_the_picture_their_way(self, mode: str) -> None:
        cvae = CVAE(2, max_epochs=60, random_state=0, unlabelled_rows=mode).fit(DIGITS.images / 16, DIGITS.target)
        means = np.stack([DIGITS.images[DIGITS.target == k].mean(axis=0) / 16 for k in range(10)])
        fours = IMAGES[Y == 4]
        wrong = cvae.reconstruct(fours, y=9)
        to_nine, to_four = (np.square(wrong - means[k]).mean() for k in (9, 4))
        assert to_nine < to_four
        right, other = (np.square(cvae.reconstruct(fours, y=k) - fours).mean() for k in (4, 9))
        assert right < other
        drawn = cvae.sample(100, y=3, random_state=0).mean(axis=0)
        assert np.square(drawn - means).mean(axis=(1, 2)).argmin() == 3

    @MODES
    def test_may_be_one_for_all_or_one_a_row_or_none(self, by_mode: dict[str, CVAE], mode: str) -> None:
        cvae = by_mode[mode]
        assert np.array_equal(cvae.reconstruct(IMAGES[:5], y=2), cvae.reconstruct(IMAGES[:5], y=[2] * 5))
        mixed = cvae.reconstruct(IMAGES[:2], y=[2, -1])
        assert np.array_equal(mixed[:1], cvae.reconstruct(IMAGES[:1], y=2))
        assert np.array_equal(mixed[1:], cvae.reconstruct(IMAGES[1:2]))
        assert np.array_equal(cvae.transform(IMAGES[:2], y=[2, 3])[1:], cvae.transform(IMAGES[1:2], y=3))

    def test_exchanged_keep_the_code(self, by_mode: dict[str, CVAE]) -> None:
        cvae = by_mode["marginalise"]
        grid = cvae.exchange_labels(IMAGES[:4], y=Y[:4])
        assert grid.shape == (4, 10, 8, 8)
        codes = cvae.transform(IMAGES[:4], y=Y[:4])
        np.testing.assert_allclose(grid[:, 6], cvae.inverse_transform(codes, y=6), atol=1e-6)
        own = grid[np.arange(4), Y[:4]]
        np.testing.assert_allclose(own, cvae.reconstruct(IMAGES[:4], y=Y[:4]), atol=1e-6)

    def test_left_out_of_a_code_leave_the_mean_over_all(self, by_mode: dict[str, CVAE]) -> None:
        cvae = by_mode["marginalise"]
        codes = cvae.transform(IMAGES[:3])
        probabilities = cvae.predict_proba(IMAGES[:3])
        expected = sum(p[:, None] * cvae.transform(IMAGES[:3], y=k) for k, p in enumerate(probabilities.T))
        np.testing.assert_allclose(codes, expected, atol=1e-5)
        prior = cvae.model_.log_prior.exp().numpy()
        mean = sum(p * cvae.inverse_transform(codes, y=k) for k, p in enumerate(prior))
        np.testing.assert_allclose(cvae.inverse_transform(codes), mean, atol=1e-5)

    @pytest.mark.parametrize("call", ["reconstruct", "transform"])
    def test_that_are_strange_are_named(self, by_mode: dict[str, CVAE], call: str) -> None:
        with pytest.raises(DataError, match=r"11 is not a label that the model was fitted on\. Did you mean '1'"):
            getattr(by_mode["zero"], call)(IMAGES[:3], y=11)
        with pytest.raises(DataError, match=r"X has 3 rows, but y has 2 labels"):
            getattr(by_mode["zero"], call)(IMAGES[:3], y=[1, 2])


class TestLabelsOfAnyKind:
    @pytest.mark.parametrize(
        ("y", "unlabelled", "classes", "index"),
        [
            ([3, -1, 7, 3], -1, [3, 7], [0, -1, 1, 0]),
            ([3, -1, 7, 9], 9, [-1, 3, 7], [1, 0, 2, -1]),
            (["猫", "犬", None, "猫"], -1, ["犬", "猫"], [1, 0, -1, 1]),
            (["a", "?", "b", "a"], "?", ["a", "b"], [0, -1, 1, 0]),
            ([1.0, np.nan, 2.0, 1.0], -1, [1.0, 2.0], [0, -1, 1, 0]),
            ([True, False, True, True], -1, [False, True], [1, 0, 1, 1]),
            ([5, 5, 5, -1], -1, [5], [0, 0, 0, -1]),
        ],
        ids=str,
    )
    def test_become_classes(self, y: list[Any], unlabelled: Any, classes: list[Any], index: list[int]) -> None:
        found, numbers = read_labels(y, 4, unlabelled)
        assert found.tolist() == classes
        assert numbers.tolist() == index
        assert find_classes(y, 4, found, unlabelled).tolist() == index

    @pytest.mark.parametrize(
        ("y", "match"),
        [
            (
                None,
                r"requires y to be passed, but the target y is None\. Pass labels, -1 for rows without one; or",
            ),
            ([-1] * 300, r"None of the 300 rows has a label: each is -1, None or NaN"),
            (np.linspace(0, 1, 300), r"Unknown label type: y holds measurements, such as 0\.00\d+; expected classes"),
            ([1, 2], r"X has 300 rows, but y has 2 labels"),
            (np.ones((300, 2)), r"y must hold one label a row; its shape is \(300, 2\)"),
        ],
        ids=["none", "all unknown", "continuous", "too few", "matrix"],
    )
    def test_that_cannot_be_used_are_refused(self, y: Any, match: str) -> None:
        with pytest.raises(DataError, match=match):
            CVAE(**SMALL).fit(IMAGES, y)

    @MODES
    def test_of_text_go_through_a_file_and_back(self, mode: str, tmp_path: Any) -> None:
        names = np.array(["零", "一", "二", "三", "四", "五", "六", "七", "八", "九"])
        y = names[Y].astype(object)
        y[::3] = None
        cvae = CVAE(**SMALL, unlabelled_rows=mode).fit(IMAGES, y)
        cvae.save(tmp_path / "m.hyotan")
        again = load(tmp_path / "m.hyotan")
        assert isinstance(again, CVAE)
        assert again.classes_.tolist() == cvae.classes_.tolist() == sorted(names)
        assert np.array_equal(again.sample(3, y="五", random_state=0), cvae.sample(3, y="五", random_state=0))
        assert np.array_equal(again.predict(IMAGES), cvae.predict(IMAGES))

    @MODES
    def test_of_a_single_kind_work(self, mode: str) -> None:
        cvae = CVAE(**SMALL, unlabelled_rows=mode).fit(IMAGES, np.zeros(300, dtype=int))
        assert (cvae.predict(IMAGES) == 0).all()
        assert cvae.exchange_labels(IMAGES[:2]).shape == (2, 1, 8, 8)

    def test_hidden_by_share_keep_the_share_in_every_class(self) -> None:
        classes = np.repeat([0, 1, 2, -1], [1000, 100, 3, 50])
        shown = hide_labels(classes, 0.1, 0)
        assert np.bincount(shown[shown >= 0]).tolist() == [100, 10, 1]
        assert (shown[classes == -1] == -1).all()
        assert ((shown == classes) | (shown == -1)).all()
        assert not np.array_equal(shown, hide_labels(classes, 0.1, 1))
        assert hide_labels(classes, 1.0, 0) is classes

    @pytest.mark.parametrize("fraction", [0, 1.5, "half"])
    def test_hidden_by_no_share_are_refused(self, fraction: Any) -> None:
        with pytest.raises(
            SettingsError, match=r"labelled_fraction cannot be .*: expected a number above 0 and at most 1"
        ):
            CVAE(**SMALL, labelled_fraction=fraction).fit(IMAGES, Y)


class TestCompanions:
    def test_go_round_without_leaving_one_out(self) -> None:
        drawn = torch.cat([cycled(7, 3, step, seed=5) for step in range(7)])
        assert all(sorted(part) == list(range(7)) for part in drawn.reshape(3, 7).tolist())
        assert torch.equal(cycled(7, 3, 4, 5), cycled(7, 3, 4, 5))
        assert torch.cat([cycled(7, 3, step, seed=6) for step in range(7)]).tolist() != drawn.tolist()

    def test_join_where_labels_are_rare_and_only_there(self) -> None:
        class Watching(CVAE):
            def with_classes(self, *given: Any) -> Any:
                self.seen_ = super().with_classes(*given)
                return self.seen_

        for fraction, rare in ((0.1, True), (1.0, False)):
            watching = Watching(**SMALL, labelled_fraction=fraction, batch_size=64).fit(IMAGES, Y)
            train, validation = watching.seen_
            assert (train.companions is not None) == rare
            assert (validation.classes == -1).all() == rare
        assert Watching(**SMALL, labelled_fraction=0.1, batch_size=32).fit(IMAGES, Y).seen_[0].companions_a_batch == 8

    def test_are_none_where_no_label_is_marginalised(self) -> None:
        cvae = small("zero", labelled_fraction=0.05)
        assert "label" not in cvae.history_[-1]


def test_a_single_class_costs_nothing() -> None:
    cvae = CVAE(**SMALL, classifier_weight=0.0).fit(IMAGES, np.zeros(300, dtype=int))
    row = cvae.history_[-1]
    assert row["loss"] == pytest.approx(row["reconstruction"] + row["kl"] + row["label"], rel=1e-6)
    assert row["label"] == pytest.approx(0, abs=1e-6)
