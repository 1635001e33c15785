"""Neighbours kept by a code, in both directions, against scikit-learn's trustworthiness and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from command_line import done, fitted, sketch
from hyotan import Autoencoder, embedding_quality
from hyotan.analysis import embedding
from hyotan.errors import DataError

X, Y = load_digits(return_X_y=True)
X, Y = X[:400], Y[:400]
PLANE = PCA(2, random_state=0).fit_transform(X)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_both_directions_are_scikit_learn_s_trustworthiness_with_the_spaces_exchanged(k):
    found = embedding_quality(X, PLANE, n_neighbors=k)
    assert found.trustworthiness == pytest.approx(trustworthiness(X, PLANE, n_neighbors=k), abs=1e-4)
    assert found.continuity == pytest.approx(trustworthiness(PLANE, X, n_neighbors=k), abs=1e-4)
    assert (found.n_rows, found.n_neighbors, found.knn_accuracy) == (400, k, None)


def test_in_pieces_as_in_one(monkeypatch):
    whole = embedding_quality(X, PLANE, Y)
    monkeypatch.setattr(embedding, "CHUNK_VALUES", 3000)
    assert embedding_quality(X, PLANE, Y) == whole


def test_the_features_themselves_are_perfect_wherever_they_lie():
    rows = np.random.default_rng(0).normal(size=(300, 4, 4))
    found = embedding_quality(rows + 1000, rows.reshape(300, 16))
    assert found.trustworthiness == found.continuity == 1


def test_codes_without_a_meaning_keep_half_of_the_ranks():
    found = embedding_quality(X, np.random.default_rng(0).normal(size=(400, 2)))
    assert found.trustworthiness == pytest.approx(0.5, abs=0.05)


def test_a_fold_is_continuous_but_not_to_be_trusted():
    # Two far sheets that fall onto each other: no neighbour is lost, half of those found are false.
    sheets = np.random.default_rng(0).random((400, 3)) * [1, 1, 1e-6] + np.repeat([[0, 0, 0], [0, 0, 50]], 200, axis=0)
    found = embedding_quality(sheets, sheets[:, :2], n_neighbors=5)
    assert found.continuity > 0.99 > 0.8 > found.trustworthiness


def test_accuracy_leaves_the_row_itself_out():
    found = embedding_quality(X, PLANE, Y)
    truth = cross_val_score(KNeighborsClassifier(5), PLANE, Y, cv=LeaveOneOut()).mean()
    assert found.knn_accuracy == pytest.approx(truth, abs=0.02)  # ties are broken in another way
    assert embedding_quality(X, PLANE, Y.astype(str)).knn_accuracy == found.knn_accuracy


def test_of_many_rows_some_are_drawn():
    found = embedding_quality(X, PLANE, Y, max_rows=100)
    assert found.n_rows == 100 and found == embedding_quality(X, PLANE, Y, max_rows=100)
    assert embedding_quality(X[:5], PLANE[:5]).n_neighbors == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:2], PLANE[:2]), "among 3 rows or more; got 2. Pass more rows"),
        ((X, PLANE[:9]), "X has 400 rows, but there are 9 codes. Give one code for each row"),
        ((X, PLANE, Y[:9]), "X has 400 rows, but y has 9 labels. Give one label for each row"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        embedding_quality(*arguments)


def test_evaluate_says_it_beside_pca(tmp_path, monkeypatch):
    sketch(monkeypatch)
    run = fitted("digits", "--limit", 400, cwd=tmp_path)
    said = done("evaluate", run)
    assert "neighbours in the code (PCA's of this size): trustworthiness 0." in said.out and "5-NN accuracy" in said.out
    record = done("evaluate", run, "--json").record["embedding"]
    assert set(record) == {"ours", "pca"} and record["ours"]["n_rows"] == 40
    assert record["pca"]["trustworthiness"] > 0.7


def test_few_rows_say_nothing_of_neighbours(tmp_path, monkeypatch):
    sketch(monkeypatch)
    run = fitted("digits", "--limit", 60, cwd=tmp_path)
    assert "neighbours" not in done("evaluate", run).out


class TestPipeline:
    def steps(self, **parameters) -> Pipeline:
        encoder = Autoencoder(**{"hidden_dims": (16,), "max_epochs": 3, "random_state": 0, **parameters})
        return Pipeline(
            [("scale", StandardScaler()), ("encode", encoder), ("classify", LogisticRegression(max_iter=500))]
        )

    def test_codes_are_features_of_a_classifier(self):
        pipeline = self.steps(latent_dim=8, max_epochs=20).fit(X, Y)
        assert pipeline.score(X, Y) > 0.6 and pipeline[:-1].transform(X).shape == (400, 8)
        assert list(pipeline[:-1].get_feature_names_out()) == [f"autoencoder{i}" for i in range(8)]

    def test_a_grid_search_chooses_the_code_s_size(self):
        search = GridSearchCV(self.steps(), {"encode__latent_dim": [1, 8]}, cv=2).fit(X, Y)
        assert search.best_params_ == {"encode__latent_dim": 8}
        assert search.best_estimator_["encode"].model_code_size == 8
