"""Clusters in a code: K-means in many runs, and pipelines from the code by its neighbours to clusters.

K-means sees round clusters only, and a code's classes are seldom round. :func:`kmeans_runs` measures a code with it
all the same, because that is how codes are compared; :func:`cluster_codes` is what to use when the clusters are wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from hyotan.errors import DataError, MissingExtraError, SettingsError, did_you_mean
from hyotan.metrics import AGREEMENTS, agreement
from hyotan.models.propagation import neighbour_graph

RUNS = 50
"""Runs of K-means by which a code is judged."""
UMAP_NEIGHBOURS, UMAP_DIMENSIONS = 15, 5
_SIZES = (1.0, 1.25, 1.5, 1.75, 2.0)  # of the embedding that K-means sees, times the number of clusters
FAINT = 0.1
_DENSE_ROWS = 500


@dataclass(frozen=True, eq=False)
class ClusteringRuns:
    """Many runs of a clustering, each from a random start of its own, beside the labels; one number a run.

    Attributes
    ----------
    v_measure, accuracy, nmi, ari : (runs,)
        Agreement with the labels, :class:`hyotan.metrics.Agreement`.
    inertia : (runs,)
        Sum of squared distances to the centres: what K-means makes small, and the only one that knows no labels.
    """

    v_measure: ndarray
    accuracy: ndarray
    nmi: ndarray
    ari: ndarray
    inertia: ndarray

    def to_dict(self) -> dict[str, list[float]]:
        """Each measure's values as plain numbers."""
        return {name: values.tolist() for name, values in vars(self).items()}

    def means(self) -> dict[str, float]:
        """The mean over the runs of each measure of agreement."""
        return {name: float(getattr(self, name).mean()) for name in AGREEMENTS}


def kmeans_runs(
    codes: ArrayLike, labels: ArrayLike, n_clusters: int, runs: int = RUNS, random_state: int = 0
) -> ClusteringRuns:
    """Cluster codes by K-means ``runs`` times, one start a run, and compare each result with the labels.

    One start a run, so that the spread over the runs says how far the answer depends on the start.

    Parameters
    ----------
    codes : (n, latent)
    labels : (n,)
        Numbers or text. Rows whose label is unknown are the caller's to leave out.

    Raises
    ------
    DataError
        Codes and labels are of different numbers, or there are fewer rows than clusters.
    SettingsError
        There is no run, or no cluster.
    """
    from sklearn.cluster import KMeans

    matrix, names = _checked(codes, n_clusters), np.asarray(labels)
    if len(matrix) != len(names):
        raise DataError(f"There are {len(matrix)} codes but {len(names)} labels.", "Give one label a code.")
    if runs < 1:
        raise SettingsError(f"K-means needs at least one run; got runs={runs}.")
    kinds = np.unique(names, return_inverse=True)[1]
    records = []
    for seed in range(random_state, random_state + runs):
        found = KMeans(n_clusters, n_init=1, random_state=seed).fit(matrix)
        records.append({**asdict(agreement(kinds, found.labels_)), "inertia": float(found.inertia_)})
    return ClusteringRuns(**{name: np.array([record[name] for record in records]) for name in records[0]})


def cluster_codes(codes: ArrayLike, n_clusters: int, method: str = "graph", random_state: int = 0) -> ndarray:
    """Clusters of codes, found without labels.

    Parameters
    ----------
    codes : (n, latent)
    n_clusters : how many to find.
    method : a key of METHODS
        "graph" follows the neighbours (:func:`graph_clusters`) and needs no extra; "umap+mixture" is slower and often
        a little better; "mixture" suits codes whose clusters are elliptic; "kmeans" is the plain reference.

    Returns
    -------
    (n,) whole numbers from 0

    Raises
    ------
    DataError
        The codes are no finite matrix, or there are fewer rows than clusters.
    SettingsError
        There is no such method, or no cluster is asked for.
    MissingExtraError
        The method needs a package that is not installed.
    """
    if method not in METHODS:
        raise SettingsError(
            f"method must be one of {', '.join(METHODS)}; got {method!r}.", did_you_mean(method, METHODS)
        )
    matrix = _checked(codes, n_clusters)
    if n_clusters == 1:
        return np.zeros(len(matrix), dtype=np.int64)
    return METHODS[method](matrix, n_clusters, random_state).astype(np.int64)


def kmeans_clusters(codes: ndarray, n_clusters: int, random_state: int = 0) -> ndarray:
    """The best of ten starts of K-means."""
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=10, random_state=random_state).fit_predict(codes)


def mixture_clusters(codes: ndarray, n_clusters: int, random_state: int = 0) -> ndarray:
    """The likeliest component of a mixture of Gaussians with full covariances, the best of five starts."""
    from sklearn.mixture import GaussianMixture

    scaled = (codes - codes.mean(axis=0)) / (float(codes.std()) or 1.0)  # its least variance is an absolute number
    mixture = GaussianMixture(n_clusters, n_init=5, reg_covar=1e-5, random_state=random_state)
    return mixture.fit_predict(scaled.astype(np.float64))


def graph_clusters(codes: ndarray, n_clusters: int, random_state: int = 0) -> ndarray:
    """Spectral clustering of the graph of nearest neighbours.

    The weights are UMAP's (:func:`neighbour_graph`); K-means runs on the rows of the leading eigenvectors, each row
    scaled to length 1 (Ng, Jordan & Weiss 2002). Their algorithm takes as many eigenvectors as clusters, which is too
    few where some of them tell a few outlying rows from the rest: here several numbers are tried, and the clustering
    of the highest modularity is kept, in which no label takes part. Then every row goes where most of its neighbourhood
    is, until none moves.
    """
    graph = neighbour_graph(codes)
    largest = min(math.ceil(n_clusters * _SIZES[-1]), len(codes) - 1)
    vectors = leading_vectors(graph, largest, random_state)
    sizes = sorted({min(math.ceil(n_clusters * share), largest) for share in _SIZES})
    found = [kmeans_clusters(_rows_of_length_1(vectors[:, :size]), n_clusters, random_state) for size in sizes]
    best = max(found, key=lambda clusters: modularity(graph, clusters))
    return settled(graph, best)


def umap_clusters(codes: ndarray, n_clusters: int, random_state: int = 0) -> ndarray:
    """A mixture of Gaussians on UMAP's embedding of the codes, as N2D does it.  McConville et al. 2021.

    MissingExtraError without umap-learn.
    """
    try:
        from umap import UMAP  # pyrefly: ignore[missing-import]
    except ImportError as error:
        raise MissingExtraError(
            "The method 'umap+mixture' needs the package umap-learn, which is not installed.",
            "Install it with: pip install 'hyotan[manifold]', or choose method='graph'.",
        ) from error
    embedding = UMAP(
        n_neighbors=min(UMAP_NEIGHBOURS, len(codes) - 1),
        n_components=min(UMAP_DIMENSIONS, max(1, len(codes) - 2)),
        min_dist=0.0,
        random_state=random_state,
        n_jobs=1,  # a fixed seed allows no more
    )
    return mixture_clusters(embedding.fit_transform(codes), n_clusters, random_state)


METHODS: dict[str, Callable[[ndarray, int, int], ndarray]] = {
    "graph": graph_clusters,
    "umap+mixture": umap_clusters,
    "mixture": mixture_clusters,
    "kmeans": kmeans_clusters,
}
"""Every way from codes to clusters, by its name; the first is the default."""


def leading_vectors(graph: Any, size: int, random_state: int = 0) -> ndarray:
    """Eigenvectors of the largest eigenvalues of D^-1/2 (W + t / n) D^-1/2, (n, size), the largest first.

    D holds the degrees of W + t / n. The faint link t of every row with every other, a tenth of the mean degree, joins
    the parts of a graph that falls apart, whose eigenvectors would be arbitrary, and keeps small outlying groups from
    having one each.  Amini et al. 2013; Zhang & Rohe 2018.
    """
    from scipy import sparse
    from scipy.sparse.linalg import aslinearoperator, eigsh

    n, degrees = graph.shape[0], graph.sum(axis=1)
    faint = FAINT * degrees.mean()
    scale = 1 / np.sqrt(degrees + faint)
    links = sparse.diags_array(scale) @ graph @ sparse.diags_array(scale)
    all_with_all = math.sqrt(faint / n) * scale[:, None]  # times its transpose
    if n <= max(_DENSE_ROWS, 3 * size):
        vectors = np.linalg.eigh(links.toarray() + all_with_all @ all_with_all.T)[1]
    else:
        column = aslinearoperator(all_with_all)
        whole = aslinearoperator(links) + column @ column.T
        start = np.random.default_rng(random_state).uniform(0.5, 1.5, n)
        vectors = eigsh(whole, k=size, which="LA", v0=start, tol=1e-4)[1]
    return vectors[:, ::-1][:, :size]


def _rows_of_length_1(vectors: ndarray) -> ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def modularity(graph: Any, clusters: ndarray) -> float:
    """Share of the weight inside clusters, above what chance would put there.  Newman 2004, equation 5."""
    members = _one_hot(clusters)
    volumes = graph.sum(axis=1) @ members
    inside = (members * (graph @ members)).sum(axis=0)
    return float((inside / volumes.sum() - np.square(volumes / volumes.sum())).sum())


def settled(graph: Any, clusters: ndarray, reach: int = 3, rounds: int = 20) -> ndarray:
    """Every row moved to the cluster that holds most of its neighbourhood, ``reach`` links wide, until none moves.

    A round that would leave a cluster without rows is not taken.
    """
    from scipy import sparse

    step = sparse.diags_array(1 / graph.sum(axis=1)) @ graph
    for _ in range(rounds):
        share = _one_hot(clusters)
        for _ in range(reach):
            share = step @ share
        moved = share.argmax(axis=1)
        if (moved == clusters).all() or len(np.unique(moved)) < share.shape[1]:
            break
        clusters = moved
    return clusters


def _one_hot(clusters: ndarray) -> ndarray:
    return np.eye(int(clusters.max()) + 1)[clusters]


def _checked(codes: ArrayLike, n_clusters: int) -> ndarray:
    matrix = np.ascontiguousarray(codes, dtype=np.float32)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise DataError(f"The codes must be finite numbers of shape (n, latent); got shape {matrix.shape}.")
    if n_clusters < 1:
        raise SettingsError(f"There must be at least one cluster; got n_clusters={n_clusters}.")
    if len(matrix) < n_clusters:
        raise DataError(f"{len(matrix)} rows cannot make {n_clusters} clusters.", "Pass more rows, or fewer clusters.")
    return matrix
