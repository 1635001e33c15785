"""The graph of nearest neighbours, and labels that spread along it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyotan.metrics import fit_pca

Array = NDArray[Any]

NEIGHBOURS = 10
"""Of each row in the graph; 15 gives the same clusters within half a point, and takes longer."""

PRINCIPAL = 32
"""Rows of more values are compared by so many principal components: what a distance over hundreds of values sees beyond
them is mostly noise, and it takes far longer."""

REACH, STEPS = 0.99, 100
"""How much of a row's belief comes from its neighbours, and how many links far it comes."""


def neighbour_graph(codes: Array, k: int = NEIGHBOURS) -> Any:
    """Weights between 0 and 1 of each row with its ``k`` nearest: a symmetric SciPy sparse matrix, (n, n).

    The fuzzy union of UMAP (McInnes et al. 2018, section 3.1 and algorithm 3): each row measures in its own unit, so
    that dense and thin regions are linked alike.
    """
    from scipy import sparse
    from sklearn.neighbors import NearestNeighbors

    n, k = len(codes), min(k, len(codes) - 1)
    distances, nearest = NearestNeighbors(n_neighbors=k).fit(codes).kneighbors()
    weights = _memberships(distances)
    directed = sparse.csr_array((weights.ravel(), (np.repeat(np.arange(n), k), nearest.ravel())), shape=(n, n))
    return directed + directed.T - directed * directed.T


def _memberships(distances: Array) -> Array:
    """exp(-(d - d of the nearest) / unit), the unit such that a row's weights sum to log2(k); (n, k)."""
    beyond = distances - distances[:, :1]
    target = math.log2(distances.shape[1]) if distances.shape[1] > 2 else 1.5
    low = np.full(len(beyond), 1e-3 * (distances.mean() or 1.0))  # a floor, for rows whose neighbours are all as near
    high = np.maximum(beyond.sum(axis=1), low) * 10
    for _ in range(48):
        middle = (low + high) / 2
        too_wide = np.exp(-beyond / middle[:, None]).sum(axis=1) > target
        low, high = np.where(too_wide, low, middle), np.where(too_wide, middle, high)
    return np.exp(-beyond / high[:, None])


def spread_labels(graph: Any, classes: Array, n_classes: int) -> Array:
    """How far each row belongs to each class by its neighbours, (n, n_classes), float32; a row adds up to 1.

    F <- a S F + (1 - a) Y, with S = D^-1/2 W D^-1/2 and Y the known labels.  Zhou et al. 2004, section 2. A row that no
    label reaches in STEPS links is all zero.

    Parameters
    ----------
    graph : (n, n), symmetric weights; see :func:`neighbour_graph`.
    classes : (n,), -1 where the label is not known.
    n_classes : how many there are.
    """
    from scipy import sparse

    known = classes >= 0
    given = np.zeros((len(classes), n_classes), dtype=np.float32)
    given[known, classes[known]] = 1
    scale = sparse.diags_array(1 / np.sqrt(np.maximum(graph.sum(axis=1), 1e-12)))
    links = sparse.csr_array(scale @ graph @ scale).astype(np.float32)
    belief = given
    for _ in range(STEPS):
        belief = REACH * (links @ belief) + (1 - REACH) * given
    return belief / np.maximum(belief.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def principal_components(rows: Array) -> Array:
    """Rows as their leading principal components, (n, at most PRINCIPAL), where they have more values than that.

    Parameters
    ----------
    rows : (n, *features)
    """
    flat = rows.reshape(len(rows), -1)
    return flat if min(flat.shape) <= PRINCIPAL else fit_pca(flat, PRINCIPAL).transform(flat)
