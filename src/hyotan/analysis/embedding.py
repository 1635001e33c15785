"""How well a code keeps the neighbours of the rows, in both directions, and their labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy import ndarray
from numpy.typing import ArrayLike

from hyotan.data.stored import Numbers
from hyotan.errors import DataError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.metrics import fit_pca, some_rows

NEIGHBOURS = 5

CHUNK_VALUES = 2**23
"""Distances that are held at once."""


@dataclass(frozen=True)
class EmbeddingQuality:
    """How well codes stand for the rows.

    Attributes
    ----------
    n_rows, n_neighbors : rows compared, and neighbours of each.
    trustworthiness : 1 where every neighbour by code is a neighbour by features too.
    continuity : 1 where every neighbour by features is a neighbour by code too.
    knn_accuracy : share of rows whose label is that of most of their nearest codes, their own left out; None without
        labels.
    """

    n_rows: int
    n_neighbors: int
    trustworthiness: float
    continuity: float
    knn_accuracy: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values."""
        return asdict(self)


def embedding_quality(
    X: ArrayLike,
    codes: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n_neighbors: int = NEIGHBOURS,
    max_rows: int | None = None,
    random_state: int = 0,
) -> EmbeddingQuality:
    """Compare neighbours among the rows with neighbours among their codes.

    Trustworthiness and continuity are those of Venna & Kaski 2001: for each neighbour that is false, or missed, they
    count how far beyond the ``k`` nearest it lies in the other space. Distances are held for some rows at a time, so
    that memory grows with the rows and not with their square; time does.

    Parameters
    ----------
    X : (n, *features)
    codes : (n, latent)
    y : (n,) labels. Rows whose label is unknown are the caller's to leave out.
    n_neighbors : of each row; fewer where there are not 2 k + 1 rows.
    max_rows : of more, so many are drawn at random.
    random_state : of that draw.

    Raises
    ------
    DataError
        There are fewer than 3 rows, or not as many codes or labels.
    """
    rows, places = _flat(X), _flat(codes)
    labels = None if y is None else np.asarray(y)
    _check(len(rows), len(places), None if labels is None else len(labels))
    if max_rows is not None and max_rows < len(rows):
        some = some_rows(len(rows), max_rows, random_state)
        rows, places, labels = rows[some], places[some], None if labels is None else labels[some]
    # About their mean: float32 keeps more digits of small squares.
    rows, places = rows - rows.mean(axis=0), places - places.mean(axis=0)
    k = min(n_neighbors, (len(rows) - 1) // 2)
    by_rows, by_codes = _nearest(rows, k), _nearest(places, k)
    return EmbeddingQuality(
        len(rows),
        k,
        1 - _beyond(rows, by_codes),
        1 - _beyond(places, by_rows),
        None if labels is None else _accuracy(by_codes, labels),
    )


def beside_pca(
    estimator: LatentEstimator,
    X: Numbers,
    train: ndarray,
    y: ArrayLike | None = None,
    max_rows: int = 5000,
) -> tuple[EmbeddingQuality, EmbeddingQuality]:
    """The quality of an estimator's codes, and of PCA's of the same size, among the same rows.

    Parameters
    ----------
    estimator : fitted.
    X : (n, *features), rows that it has not seen.
    train : (m, *features), to fit PCA on.
    y : (n,) labels.
    max_rows : compared, at most.
    """
    some = some_rows(len(X), max_rows)
    rows, labels = X[some], None if y is None else np.asarray(y)[some]
    scaled = _flat(estimator.in_range(rows))
    pca = fit_pca(_flat(estimator.in_range(train)), estimator.model_code_size)
    ours, theirs = np.asarray(estimator.transform(rows)), pca.transform(scaled)
    return embedding_quality(scaled, ours, labels), embedding_quality(scaled, theirs, labels)


def _flat(values: ArrayLike) -> ndarray:
    array = np.asarray(values)
    return array.reshape(len(array), -1).astype(np.float64 if array.dtype == np.float64 else np.float32, copy=False)


def _check(rows: int, codes: int, labels: int | None) -> None:
    if rows < 3:
        raise DataError(f"Neighbours can be compared among 3 rows or more; got {rows}.", "Pass more rows.")
    if codes != rows:
        raise DataError(f"X has {rows:,} rows, but there are {codes:,} codes.", "Give one code for each row.")
    if labels is not None and labels != rows:
        raise DataError(f"X has {rows:,} rows, but y has {labels:,} labels.", "Give one label for each row.")


def _nearest(points: ndarray, k: int) -> ndarray:
    """The numbers of the ``k`` nearest others of each point, (n, k), the nearest first."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=k).fit(points).kneighbors()[1]


def _beyond(points: ndarray, neighbours: ndarray) -> float:
    """How far neighbours, (n, k), that were found elsewhere lie beyond the k nearest here: 0 to about 1."""
    n, k = neighbours.shape
    step = max(1, CHUNK_VALUES // n)
    total = 0
    for start in range(0, n, step):
        distances = _squared_distances(points[start : start + step], points)
        here = np.arange(len(distances))
        distances[here, start + here] = np.inf  # a point is not its own neighbour
        found = np.take_along_axis(distances, neighbours[start : start + step], axis=1)
        for column in found.T:
            ranks = 1 + (distances < column[:, None]).sum(axis=1)
            total += int((ranks - k).clip(min=0).sum())
    return total * 2 / (n * k * (2 * n - 3 * k - 1))


def _squared_distances(some: ndarray, points: ndarray) -> ndarray:
    # torch's product, for NumPy's rounds a row by its place in it where the BLAS kernel does: ranks among ties would
    # depend on how many rows are compared at once.
    products = (torch.from_numpy(some) @ torch.from_numpy(points).T).numpy()
    squares = np.einsum("ij,ij->i", points, points)
    return np.einsum("ij,ij->i", some, some)[:, None] + squares - 2 * products


def _accuracy(neighbours: ndarray, labels: ndarray) -> float:
    kinds, numbers = np.unique(labels, return_inverse=True)
    votes = np.zeros((len(numbers), len(kinds)), dtype=np.int32)
    for column in neighbours.T:
        votes[np.arange(len(numbers)), numbers[column]] += 1
    return float(np.mean(votes.argmax(axis=1) == numbers))
