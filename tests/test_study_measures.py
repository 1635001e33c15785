"""Measures of codes beside what scikit-learn, the estimators themselves and hand-made data say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import v_measure_score
from sklearn.neighbors import KNeighborsClassifier

from hyotan.analysis.evaluation import evaluate
from hyotan.data import Dataset, load
from hyotan.estimators import VAE, Autoencoder
from hyotan.study import measures
from hyotan.study.cells import MEAN, RAW, Cell
from hyotan.study.cells import PCA as PCA_CELL
from hyotan.study.classes import UNKNOWN, Classes
from hyotan.study.measures import baselines, measure_model
from hyotan.study.repeat_rows import ClassedRows, RepeatRows, rows_of_repeat
from hyotan.training.callbacks import Callback, Fitting

SMALL: dict[str, Any] = {"hidden_dims": (16,), "max_epochs": 8, "batch_size": 32, "random_state": 3, "device": "cpu"}


@pytest.fixture(autouse=True)
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer runs of K-means than people get: they are most of the time."""
    monkeypatch.setattr(measures, "RUNS", 4)
    monkeypatch.setattr(measures, "SELECTION_RUNS", 2)


@pytest.fixture(scope="module")
def digits() -> tuple[Dataset, Dataset]:
    return load("digits", limit=400).split(0.25)


@pytest.fixture(scope="module")
def parts(digits: tuple[Dataset, Dataset]) -> RepeatRows:
    return rows_of_repeat(*digits, 0.1, "random", seed=3)


@pytest.fixture(scope="module")
def autoencoder(digits: tuple[Dataset, Dataset]) -> Autoencoder:
    return Autoencoder(4, **SMALL).fit(digits[0].X)


@pytest.fixture(scope="module")
def cells(autoencoder: Autoencoder, parts: RepeatRows) -> dict[str, Cell]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "RUNS", 4)
        patch.setattr(measures, "SELECTION_RUNS", 2)
        return {f"{c.model}-{c.latent_dim}": c for c in baselines(autoencoder, [2, 8], parts, 0, 3)}


def flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1).astype(np.float64)


class HeldOut(Callback):
    """Notes which rows a training holds out."""

    def on_fit_start(self, fitting: Fitting) -> None:
        self.rows = fitting.validation.take(slice(None)).numpy()


class TestTheRowsOfARepeat:
    @pytest.mark.parametrize("how", ["random", "first", "last"])
    def test_to_choose_by_are_those_that_an_estimator_holds_out(
        self, how: str, digits: tuple[Dataset, Dataset]
    ) -> None:
        train, test = digits
        noted = HeldOut()
        model = Autoencoder(2, **{**SMALL, "max_epochs": 1}, validation_rows=how, callbacks=[noted]).fit(train.X)
        found = rows_of_repeat(train, test, 0.1, how, seed=3)
        np.testing.assert_array_equal(model.in_range(found.selection.X), noted.rows)
        assert len(found.train.X) + len(found.selection.X) == len(train.X)
        both = np.concatenate([found.train.X, found.selection.X]).reshape(len(train.X), -1)
        assert sorted(map(tuple, both)) == sorted(map(tuple, train.X.reshape(len(train.X), -1)))

    def test_carry_the_classes_of_their_labels(self, digits: tuple[Dataset, Dataset], parts: RepeatRows) -> None:
        names = np.unique(digits[0].y)
        np.testing.assert_array_equal(names[parts.test.classes], digits[1].y)
        assert parts.n_classes == 10

    def test_are_chosen_on_the_test_rows_where_none_are_held_out(self, digits: tuple[Dataset, Dataset]) -> None:
        found = rows_of_repeat(*digits, 0.0, "random", seed=3)
        assert found.chooses_on_test
        assert found.selection is found.test
        assert len(found.train.X) == len(digits[0].X)

    def test_have_no_classes_where_labels_are_a_scale(self, digits: tuple[Dataset, Dataset]) -> None:
        train, test = (replace(part, y=np.linspace(0, 1, len(part.X))) for part in digits)
        found = rows_of_repeat(train, test, 0.1, "random", seed=0)
        assert found.n_classes == 0
        assert found.test.classes is None


class TestClasses:
    @pytest.mark.parametrize(
        ("labels", "names"),
        [
            ([0, 2, 7, 2], (0, 2, 7)),
            ([3.0, 1.0, float("nan"), 1.0], (1.0, 3.0)),
            (["b", "a", "b"], ("a", "b")),
            (np.array(["b", None, "a", ""], dtype=object), ("a", "b")),
            ([0, 1, -1, 0, 1], (0, 1)),
            ([1, -1, 1], (-1, 1)),
            ([True, False, True], (False, True)),
            ([5, 5, 5], None),
            ([0.5, 1.5, 1.0], None),
            (list(range(21)) * 9, None),
            ([f"row {i}" for i in range(30)], None),
            ([f"class {i % 30}" for i in range(600)], tuple(sorted(f"class {i}" for i in range(30)))),
        ],
    )
    def test_of_labels(self, labels: Any, names: tuple[Any, ...] | None) -> None:
        found = Classes.of(np.asarray(labels))
        assert (None if found is None else found.names) == names

    def test_of_no_labels(self) -> None:
        assert Classes.of(None) is None

    def test_number_the_labels_and_know_strangers(self) -> None:
        classes = Classes(("a", "b"))
        assert classes.numbers(np.array(["b", "c", None, "a"], dtype=object)).tolist() == [1, UNKNOWN, UNKNOWN, 0]


class TestAModel:
    def test_has_the_errors_that_its_evaluation_says(
        self, autoencoder: Autoencoder, parts: RepeatRows, digits: tuple[Dataset, Dataset]
    ) -> None:
        found = measure_model(autoencoder, parts)
        said = evaluate(autoencoder, digits[1].X)
        assert found.test.n_rows == 100
        assert found.test.mse == pytest.approx(said.mse)
        assert found.test.mse_standard_error == pytest.approx(said.mse_standard_error)
        assert found.test.active_units == said.active_units
        assert found.test.bound is found.test.nll is found.test.kl is None
        mean = flat(parts.train.X).mean(0)
        of_mean = np.square(flat(parts.test.X) - mean).mean()
        assert found.test.explained == pytest.approx(1 - said.mse / of_mean, rel=1e-5)

    def test_is_classified_by_the_codes_of_training_rows(self, autoencoder: Autoencoder, parts: RepeatRows) -> None:
        code = autoencoder.transform
        nearest = KNeighborsClassifier(5).fit(code(parts.train.X), parts.train.classes)
        for rows, scores in ((parts.selection, measure_model(autoencoder, parts).selection),):
            assert scores.knn_accuracy == nearest.score(code(rows.X), rows.classes)

    def test_is_clustered_into_as_many_clusters_as_classes(self, autoencoder: Autoencoder, parts: RepeatRows) -> None:
        found = measure_model(autoencoder, parts)
        codes = autoencoder.transform(parts.test.X)
        runs = [KMeans(10, n_init=1, random_state=seed).fit(codes).labels_ for seed in range(4)]
        expected = [v_measure_score(parts.test.classes, run) for run in runs]
        assert found.clusterings["v_measure"] == pytest.approx(expected)
        assert found.test.v_measure == pytest.approx(np.mean(expected))
        assert set(found.clusterings) == {"v_measure", "accuracy", "nmi", "ari"}

    def test_leaves_out_rows_without_a_label(self, autoencoder: Autoencoder, parts: RepeatRows) -> None:
        hidden = parts.test.classes.copy()
        hidden[::2] = UNKNOWN
        some = ClassedRows(parts.test.X, hidden)
        there = ClassedRows(parts.test.X[1::2], hidden[1::2])
        whole = measure_model(autoencoder, replace(parts, test=some)).test
        part = measure_model(autoencoder, replace(parts, test=there)).test
        assert whole.knn_accuracy == part.knn_accuracy
        assert whole.v_measure == part.v_measure
        assert whole.mse != part.mse

    def test_has_no_measures_of_labels_without_classes(self, autoencoder: Autoencoder, parts: RepeatRows) -> None:
        plain = RepeatRows(ClassedRows(parts.train.X), ClassedRows(parts.selection.X), ClassedRows(parts.test.X))
        found = measure_model(autoencoder, plain)
        for scores in (found.selection, found.test):
            assert scores.knn_accuracy is scores.v_measure is scores.accuracy is scores.label_error is None
            assert scores.mse is not None
            assert 0 < scores.smoothness <= 1
            assert 0 <= scores.coverage <= 1
            assert 0 < scores.trustworthiness <= 1
        assert found.clusterings == {}

    def test_is_measured_once_where_the_study_chooses_on_test(
        self, autoencoder: Autoencoder, digits: tuple[Dataset, Dataset]
    ) -> None:
        found = measure_model(autoencoder, rows_of_repeat(*digits, 0.0, "random", seed=3))
        assert found.selection is found.test

    @pytest.mark.parametrize("count", [1, 2, 6])
    def test_is_measured_on_a_handful_of_rows(self, count: int, autoencoder: Autoencoder, parts: RepeatRows) -> None:
        few = parts.test.take(np.arange(count))
        scores = measure_model(autoencoder, replace(parts, test=few)).test
        assert scores.n_rows == count
        assert scores.mse > 0
        assert (scores.trustworthiness is None) == (count < 3)
        assert (scores.coverage is None) == (count < 6)
        assert scores.v_measure is None

    def test_gives_the_same_numbers_twice(self, autoencoder: Autoencoder, parts: RepeatRows) -> None:
        assert measure_model(autoencoder, parts) == measure_model(autoencoder, parts)

    def test_with_a_likelihood_has_its_bound_at_beta_1(
        self, digits: tuple[Dataset, Dataset], parts: RepeatRows
    ) -> None:
        vae = VAE(3, beta=0.2, **SMALL).fit(digits[0].X)
        scores = measure_model(vae, parts).test
        terms = vae.loss_samples(parts.test.X, 0)
        by_hand = (terms["reconstruction"] + terms["kl"].sum(1)).mean()
        assert scores.bound == pytest.approx(by_hand, rel=1e-5)
        assert scores.kl == pytest.approx(terms["kl"].sum(1).mean(), rel=1e-5)
        assert scores.nll < scores.bound

    def test_that_binarises_is_measured_on_black_and_white(
        self, digits: tuple[Dataset, Dataset], parts: RepeatRows
    ) -> None:
        vae = VAE(2, binarise="static", likelihood="bernoulli", **{**SMALL, "max_epochs": 1}).fit(digits[0].X)
        black_and_white = measure_model(vae, parts).test
        grey = measure_model(vae.set_params(binarise=None), parts).test
        assert black_and_white.mse > 1.2 * grey.mse


class TestBaselines:
    def test_are_the_mean_pca_of_each_size_and_the_features(self, cells: dict[str, Cell]) -> None:
        assert list(cells) == ["mean-0", "pca-2", "pca-8", "raw-64"]
        assert {cell.model for cell in cells.values()} == {MEAN, PCA_CELL, RAW}
        assert all(cell.is_baseline and cell.run is None and cell.n_features == 64 for cell in cells.values())

    @pytest.mark.parametrize("size", [2, 8])
    def test_pca_has_the_error_of_sklearns(self, size: int, cells: dict[str, Cell], parts: RepeatRows) -> None:
        pca = PCA(size).fit(flat(parts.train.X))
        for rows, scores in (
            (parts.test, cells[f"pca-{size}"].test),
            (parts.selection, cells[f"pca-{size}"].selection),
        ):
            X = flat(rows.X)
            errors = np.square(pca.inverse_transform(pca.transform(X)) - X).mean(1)
            assert scores.mse == pytest.approx(errors.mean(), rel=1e-4)
            of_mean = np.square(X - pca.mean_).mean()
            assert scores.explained == pytest.approx(1 - errors.mean() / of_mean, rel=1e-3)
            assert scores.smoothness == pytest.approx(1, abs=1e-4)  # a plane is even everywhere
            nearest = KNeighborsClassifier(5).fit(pca.transform(flat(parts.train.X)), parts.train.classes)
            assert scores.knn_accuracy == pytest.approx(nearest.score(pca.transform(X), rows.classes), abs=0.021)

    def test_the_mean_explains_nothing(self, cells: dict[str, Cell], parts: RepeatRows) -> None:
        scores = cells["mean-0"].test
        assert scores.explained == scores.q2 == 0
        assert scores.mse == pytest.approx(np.square(flat(parts.test.X) - flat(parts.train.X).mean(0)).mean(), rel=1e-4)
        assert scores.knn_accuracy is None

    def test_the_features_are_clustered_and_classified_and_reconstruct_nothing(
        self, cells: dict[str, Cell], parts: RepeatRows
    ) -> None:
        scores = cells["raw-64"].test
        nearest = KNeighborsClassifier(5).fit(flat(parts.train.X), parts.train.classes)
        assert scores.knn_accuracy == nearest.score(flat(parts.test.X), parts.test.classes)
        assert scores.v_measure is not None
        assert scores.mse is scores.explained is scores.coverage is None

    def test_of_more_components_than_there_are_features_are_all_of_them(self) -> None:
        X = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
        train, test = Dataset.from_arrays(X).split(0.2)
        model = Autoencoder(5, **SMALL).fit(train.X)
        found = {c.latent_dim: c for c in baselines(model, [2, 5], rows_of_repeat(train, test, 0.1, "random", 3), 0, 3)}
        assert found[5].test.mse == pytest.approx(0, abs=1e-9)
        assert found[5].test.explained == pytest.approx(1)

    def test_of_constant_data_explain_nothing_and_do_not_fail(self) -> None:
        X = np.full((40, 4), 2.5)
        train, test = Dataset.from_arrays(X).split(0.2)
        model = Autoencoder(2, **SMALL).fit(train.X)
        found = list(baselines(model, [2], rows_of_repeat(train, test, 0.1, "random", 3), 0, 3))
        assert [cell.test.explained for cell in found] == [None, None, None]
