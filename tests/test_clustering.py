"""Clusterings against scikit-learn's own, brute force, and sets whose clusters are known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score

from hyotan.analysis.clustering import METHODS, cluster_codes, kmeans_runs, leading_vectors, modularity, settled
from hyotan.errors import DataError, MissingExtraError, SettingsError
from hyotan.metrics import agreement, cluster_accuracy
from hyotan.models.propagation import neighbour_graph

RNG = np.random.default_rng(0)
BLOBS, BLOB_OF = make_blobs([40, 60, 80, 50], 3, centers=[(0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9)], random_state=0)
MOONS, MOON_OF = make_moons(600, noise=0.05, random_state=0)
DIGITS, DIGIT_OF = load_digits(return_X_y=True)
WITHOUT_EXTRA = [name for name in METHODS if "umap" not in name]


class TestRuns:
    """K-means many times, one start a run."""

    def test_are_scikit_learns_one_start_each(self) -> None:
        found = kmeans_runs(DIGITS, DIGIT_OF, 10, runs=3, random_state=5)
        for run in range(3):
            expected = KMeans(10, n_init=1, random_state=5 + run).fit(DIGITS.astype(np.float32))
            assert found.inertia[run] == pytest.approx(expected.inertia_, rel=1e-5)
            assert found.accuracy[run] == pytest.approx(cluster_accuracy(DIGIT_OF, expected.labels_))
            assert found.ari[run] == pytest.approx(adjusted_rand_score(DIGIT_OF, expected.labels_))

    def test_find_what_is_plainly_there(self) -> None:
        found = kmeans_runs(BLOBS, np.array(list("猫犬鳥魚"))[BLOB_OF], 4, runs=20)
        assert found.accuracy.max() == found.v_measure.max() == 1
        assert found.inertia.argmin() in np.flatnonzero(found.accuracy == 1)

    def test_spread_as_their_starts_do_and_follow_the_seed(self) -> None:
        first, again = (kmeans_runs(DIGITS, DIGIT_OF, 10, runs=8) for _ in range(2))
        assert first.to_dict() == again.to_dict()
        assert first.accuracy.std() > 0.01

    def test_are_as_published_on_digits(self) -> None:
        """scikit-learn's demonstration of K-means on digits, the best of four starts: V 0.625 to 0.742 by scaling."""
        means = kmeans_runs(DIGITS / 16, DIGIT_OF, 10, runs=10).means()
        assert 0.7 < means["v_measure"] < 0.76 and means["nmi"] == pytest.approx(means["v_measure"])
        assert set(means) == {"v_measure", "accuracy", "nmi", "ari"}

    def test_need_a_label_a_code(self) -> None:
        with pytest.raises(DataError, match=r"There are 230 codes but 2 labels\. Give one label a code\."):
            kmeans_runs(BLOBS, [0, 1], 4)

    def test_need_a_run(self) -> None:
        with pytest.raises(SettingsError, match=r"at least one run; got runs=0"):
            kmeans_runs(BLOBS, BLOB_OF, 4, runs=0)


@pytest.mark.parametrize("method", WITHOUT_EXTRA)
class TestEveryMethod:
    """What holds for every way from codes to clusters."""

    def test_finds_what_is_plainly_there(self, method: str) -> None:
        assert agreement(BLOB_OF, cluster_codes(BLOBS, 4, method)).ari == 1

    def test_follows_the_seed_and_no_unit(self, method: str) -> None:
        codes = DIGITS[:600, 18:26]
        first = cluster_codes(codes, 5, method, random_state=3)
        assert (first == cluster_codes(codes, 5, method, random_state=3)).all()
        assert adjusted_rand_score(first, cluster_codes(codes * 1000 + 7, 5, method, random_state=3)) > 0.95

    def test_numbers_the_clusters_from_nought(self, method: str) -> None:
        found = cluster_codes(BLOBS.astype(np.float32), 4, method)
        assert found.dtype == np.int64 and sorted(set(found.tolist())) == [0, 1, 2, 3]

    def test_one_cluster_is_everything(self, method: str) -> None:
        assert cluster_codes(BLOBS, 1, method).tolist() == [0] * len(BLOBS)

    def test_as_many_clusters_as_rows_are_the_rows(self, method: str) -> None:
        rows = RNG.normal(size=(6, 2)) * 10
        assert len(cluster_codes(rows, 6, method)) == 6

    def test_equal_rows_do_no_harm(self, method: str) -> None:
        rows = np.repeat([[0.0, 0.0], [5.0, 5.0]], 40, axis=0)
        found = cluster_codes(rows, 2, method)
        assert agreement(np.repeat([0, 1], 40), found).ari == 1

    @pytest.mark.parametrize(
        ("codes", "clusters", "error", "text"),
        [
            (np.zeros((3, 2)), 4, DataError, r"3 rows cannot make 4 clusters"),
            (np.zeros(5), 2, DataError, r"finite numbers of shape \(n, latent\); got shape \(5,\)"),
            (np.full((5, 2), np.nan), 2, DataError, r"must be finite numbers"),
            (np.zeros((3, 2)), 0, SettingsError, r"at least one cluster; got n_clusters=0"),
        ],
        ids=["too few rows", "one axis", "not finite", "no cluster"],
    )
    def test_says_what_it_needs(self, method: str, codes, clusters: int, error, text: str) -> None:
        with pytest.raises(error, match=text):
            cluster_codes(codes, clusters, method)


class TestTheGraph:
    """Spectral clustering of the nearest neighbours."""

    def test_follows_shapes_that_are_not_round(self) -> None:
        assert agreement(MOON_OF, cluster_codes(MOONS, 2, "graph")).ari > 0.95
        assert agreement(MOON_OF, cluster_codes(MOONS, 2, "kmeans")).ari < 0.7

    def test_is_well_above_kmeans_on_digits_for_any_seed(self) -> None:
        found = [cluster_accuracy(DIGIT_OF, cluster_codes(DIGITS, 10, random_state=seed)) for seed in range(3)]
        plain = cluster_accuracy(DIGIT_OF, cluster_codes(DIGITS, 10, "kmeans"))
        assert min(found) > 0.86 > 0.82 > plain

    def test_vectors_are_those_of_the_dense_decomposition(self) -> None:
        graph = neighbour_graph(DIGITS[:700].astype(np.float32))
        linked = graph.toarray() + 0.1 * graph.sum() / 700 / 700
        scale = 1 / np.sqrt(linked.sum(1))
        vectors = np.linalg.eigh(scale[:, None] * linked * scale)[1][:, :-7:-1]
        found = leading_vectors(graph, 6)
        np.testing.assert_allclose(np.abs((vectors * found).sum(0)), 1, atol=1e-3)  # their signs are arbitrary

    def test_modularity_is_newmans(self) -> None:
        networkx = pytest.importorskip("networkx")
        graph = neighbour_graph(BLOBS[::4].astype(np.float32))
        clusters = BLOB_OF[::4]
        groups = [set(np.flatnonzero(clusters == kind).tolist()) for kind in range(4)]
        expected = networkx.community.modularity(networkx.from_numpy_array(graph.toarray()), groups)
        assert modularity(graph, clusters) == pytest.approx(expected)

    def test_modularity_of_two_pairs_is_a_half(self) -> None:
        graph = neighbour_graph(np.array([[0.0], [1.0], [50.0], [51.0]]), 1)
        assert modularity(graph, np.array([0, 0, 1, 1])) == pytest.approx(0.5)
        assert modularity(graph, np.array([0, 0, 0, 0])) == pytest.approx(0)
        assert modularity(graph, np.array([0, 1, 0, 1])) == pytest.approx(-0.5)

    def test_a_stray_row_goes_where_its_neighbours_are(self) -> None:
        graph = neighbour_graph(BLOBS.astype(np.float32))
        astray = BLOB_OF.copy()
        astray[::10] = (astray[::10] + 1) % 4
        assert (settled(graph, astray) == BLOB_OF).all()

    def test_no_cluster_is_emptied(self) -> None:
        graph = neighbour_graph(BLOBS.astype(np.float32))
        lonely = np.zeros(len(BLOBS), dtype=int)
        lonely[7] = 1
        assert len(np.unique(settled(graph, lonely))) == 2


class TestChoosing:
    """A method by its name."""

    def test_the_default_needs_no_extra(self) -> None:
        assert next(iter(METHODS)) == "graph"
        assert (cluster_codes(BLOBS, 4) == cluster_codes(BLOBS, 4, "graph")).all()

    def test_another_name_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(
            SettingsError, match=r"one of graph, umap\+mixture.*got 'k-means'\. Did you mean 'kmeans'\?"
        ):
            cluster_codes(BLOBS, 4, "k-means")

    def test_without_umap_says_how_to_install_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "umap", None)
        with pytest.raises(MissingExtraError, match=r"needs the package umap-learn.*'hyotan\[manifold\]'.*'graph'"):
            cluster_codes(BLOBS, 4, "umap+mixture")

    @pytest.mark.slow
    @pytest.mark.parametrize("rows", [slice(None), slice(0, 12)], ids=["all", "few"])
    def test_umap_finds_what_is_plainly_there(self, rows: slice) -> None:
        pytest.importorskip("umap")
        found = cluster_codes(BLOBS[rows], 4, "umap+mixture", 1)
        assert (found == cluster_codes(BLOBS[rows], 4, "umap+mixture", 1)).all()
        assert rows != slice(None) or agreement(BLOB_OF, found).ari == 1
