"""The graph of nearest neighbours and labels along it, against brute force, UMAP and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.decomposition import PCA
from sklearn.semi_supervised import LabelSpreading

from hyotan import CVAE
from hyotan.estimators import labels
from hyotan.estimators.labels import asked_rows
from hyotan.models import propagation as neighbours
from hyotan.models.propagation import PRINCIPAL, neighbour_graph, principal_components, spread_labels

BLOBS, _ = make_blobs([40, 60, 80, 50], 3, centers=[(0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9)], random_state=0)
MOONS, MOON_OF = make_moons(400, noise=0.05, random_state=0)
DIGITS, DIGIT_OF = load_digits(return_X_y=True)


def shown(classes: np.ndarray, of_each: int) -> np.ndarray:
    """The first few of each class; the others -1."""
    found = np.full_like(classes, -1)
    for kind in np.unique(classes):
        found[np.flatnonzero(classes == kind)[:of_each]] = kind
    return found


class TestTheGraph:
    def test_links_each_row_to_its_nearest_with_full_weight_and_both_ways(self) -> None:
        graph = neighbour_graph(BLOBS, 6).toarray()
        distances = cdist(BLOBS, BLOBS) + np.diag(np.full(len(BLOBS), np.inf))
        rows = np.arange(len(BLOBS))
        np.testing.assert_allclose(graph, graph.T)
        np.testing.assert_allclose(graph[rows, distances.argmin(1)], 1)
        near = distances.argsort(1)[:, :6]
        linked = np.zeros_like(graph, dtype=bool)
        linked[rows[:, None], near] = True
        assert (graph[~(linked | linked.T)] == 0).all() and graph.max() <= 1 + 1e-12

    @pytest.mark.slow
    def test_weights_are_umaps(self) -> None:
        umap = pytest.importorskip("umap.umap_")
        near = cdist(DIGITS, DIGITS).argsort(1, kind="stable")[:, :11]
        expected = umap.fuzzy_simplicial_set(
            DIGITS,
            11,
            None,
            "euclidean",
            knn_indices=near,
            knn_dists=np.take_along_axis(cdist(DIGITS, DIGITS), near, 1),
        )[0].toarray()
        ours = neighbour_graph(DIGITS.astype(np.float32), 10).toarray()
        assert np.corrcoef(ours.ravel(), expected.ravel())[0, 1] > 0.98


class TestLabelsThatSpread:
    def test_are_scikit_learns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(neighbours, "REACH", 0.9)
        X, given = DIGITS[:400], shown(DIGIT_OF[:400], 3)
        graph = neighbour_graph(X)
        theirs = LabelSpreading(kernel=lambda a, b: graph.toarray(), alpha=0.9, max_iter=2000, tol=1e-9).fit(X, given)
        np.testing.assert_allclose(spread_labels(graph, given, 10), theirs.label_distributions_, atol=1e-3)

    def test_name_nearly_all_digits_from_five_of_each(self) -> None:
        beliefs = spread_labels(neighbour_graph(DIGITS), shown(DIGIT_OF, 5), 10)
        assert (beliefs.argmax(1) == DIGIT_OF).mean() > 0.9

    def test_say_nothing_of_rows_that_none_reaches(self) -> None:
        graph = sparse.csr_array(np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0.0]]))
        beliefs = spread_labels(graph, np.array([1, -1, -1, -1]), 2)
        np.testing.assert_allclose(beliefs, [[0, 1], [0, 1], [0, 0], [0, 0]])

    def test_go_by_the_leading_components_of_rows_of_many_values(self) -> None:
        found = principal_components(DIGITS.reshape(-1, 8, 8))
        expected = PCA(PRINCIPAL, svd_solver="full").fit_transform(DIGITS)
        np.testing.assert_allclose(cdist(found[:50], found[:50]), cdist(expected[:50], expected[:50]), rtol=0.01)
        assert principal_components(BLOBS) is not None and principal_components(BLOBS).shape == BLOBS.shape

    @pytest.mark.filterwarnings("error")
    def test_rows_that_are_all_alike_say_something_finite_and_warn_of_nothing(self) -> None:
        graph = neighbour_graph(principal_components(np.ones((80, 50), np.float32)))
        assert np.isfinite(spread_labels(graph, np.where(np.arange(80) < 2, np.arange(80), -1), 2)).all()

    def test_are_asked_of_so_many_rows_at_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(labels, "ASKED_ROWS", 40)
        few, many, all_but_few = (np.where(np.arange(100) < n, 0, -1) for n in (10, 60, 95))
        assert (
            len(asked_rows(few[:40])) == len(asked_rows(few)) == len(asked_rows(many)) == len(asked_rows(all_but_few))
        )
        assert (few[asked_rows(few)] == 0).sum() == 10
        assert (many[asked_rows(many)] == 0).sum() == 20
        assert (all_but_few[asked_rows(all_but_few)] == 0).sum() == 35
        rows = asked_rows(many)
        assert (np.diff(rows) > 0).all()

    def test_are_asked_of_fewer_rows_where_rows_are_long(self) -> None:
        classes = np.where(np.arange(50_000) < 5, 0, -1)
        assert len(asked_rows(classes, 784)) == 50_000
        assert len(asked_rows(classes, 12_288)) == 16_276
        assert len(asked_rows(classes, 10**9)) == 1000


class TestAModelThatAsksTheNeighbours:
    """The classifier of a CVAE, where two labels of each class are known of four hundred rows."""

    SETTINGS: dict[str, Any] = {
        "latent_dim": 1,
        "hidden_dims": (64, 64),
        "max_epochs": 100,
        "consistency_weight": 0.0,
        "random_state": 0,
    }

    def test_follows_the_shape_of_the_classes(self) -> None:
        given = shown(MOON_OF, 2)
        right = {
            weight: (CVAE(**self.SETTINGS, neighbour_weight=weight).fit(MOONS, given).predict(MOONS) == MOON_OF).mean()
            for weight in (0.0, 50.0)
        }
        assert right[50.0] > 0.97
        assert right[0.0] < 0.9
