"""Numbers from arrays: pure functions that know no model."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray as Array

from hyotan.errors import DataError

ACTIVE_VARIANCE = 0.01
"""A unit is active when the variance of its code over the rows is above this."""

MOST_PSNR = 100.0
"""In dB, what a mean of PSNRs takes a row for that is exactly right, or nearly."""

SSIM_WINDOW, SSIM_DEVIATION = 11, 1.5
"""Width and standard deviation of SSIM's Gaussian window, in pixels."""

SSIM_STEADINESS = (0.01, 0.03)
"""SSIM's K1 and K2: what keeps its quotients steady where an image is dark or flat, as shares of the range."""

SSIM_VALUES = 2**20
"""Values whose SSIM is computed at a time: a dozen intermediate images of them stand in memory."""

TRIMMED = 0.1
"""Share of the values, the largest, that a trimmed mean leaves aside."""


def mse(a: Float[Array, "n *features"], b: Float[Array, "n *features"]) -> float:
    """Mean squared error a feature, over the values that are observed: NaN is a missing value."""
    squares = np.square(a - b, dtype=np.float32)
    error = float(np.mean(squares, dtype=np.float64))
    return error if not math.isnan(error) else float(np.nanmean(squares, dtype=np.float64))


def standard_error(values: Float[Array, " n"]) -> float:
    """Standard error of the mean; 0 for a single value."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def trimmed_mean(values: Float[Array, " n"], share: float = TRIMMED) -> float:
    """Mean without the largest values, a tenth of them by default: of errors, what all but the worst rows have."""
    return float(np.sort(values)[: max(1, len(values) - int(len(values) * share))].mean())


def bits_per_dimension(nats: float, features: int) -> float:
    """Nats a sample as bits a feature."""
    return nats / (features * math.log(2))


def are_active(variance: Float[Array, " latent"], threshold: float = ACTIVE_VARIANCE) -> Bool[Array, " latent"]:
    """Which dimensions of the code are active, by their variance over the rows.  Burda et al. 2016, section 4."""
    return variance > threshold


def active_units(codes: Float[Array, "n latent"], threshold: float = ACTIVE_VARIANCE) -> int:
    """How many dimensions of the code are active."""
    return int(are_active(codes.var(axis=0), threshold).sum())


def row_errors(a: Float[Array, "n *features"], b: Float[Array, "n *features"]) -> Float[Array, " n"]:
    """Mean squared error a feature of each row, over its observed values: NaN is a missing value, and a row without
    values 0.
    """
    squares = np.square(a - b).reshape(len(a), -1)
    errors = squares.mean(axis=1, dtype=np.float64)
    if not np.isnan(errors).any():
        return errors
    observed = (~np.isnan(squares)).sum(axis=1)
    return np.nansum(squares, axis=1, dtype=np.float64) / np.maximum(observed, 1)


def psnr(a: Float[Array, "n *features"], b: Float[Array, "n *features"], data_range: float) -> Float[Array, " n"]:
    """Peak signal-to-noise ratio of each row in dB, 10 log10(data_range² / MSE): higher is better, infinite if equal.

    Parameters
    ----------
    a, b : rows to compare.
    data_range : from the least to the greatest value that there can be.
    """
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / row_errors(a, b))


def mean_psnr(a: Float[Array, "n *features"], b: Float[Array, "n *features"], data_range: float) -> float:
    """Mean over the rows of :func:`psnr`, none of which counts for more than :data:`MOST_PSNR`."""
    return float(np.minimum(psnr(a, b, data_range), MOST_PSNR).mean())


def ssim(a: Float[Array, "n *image"], b: Float[Array, "n *image"], data_range: float) -> Float[Array, " n"]:
    """Structural similarity of each image, 1 where equal: the mean over its windows, and over its channels.

    Wang et al. 2004, equation 13, with a Gaussian window of 11 × 11 pixels (of the largest odd size that fits into a
    smaller image) that stays within the image, as theirs does.

    Parameters
    ----------
    a, b : (n, height, width) or (n, channels, height, width)
    data_range : from the least to the greatest value that there can be.
    """
    down, across = (_windows(side) for side in a.shape[-2:])
    step = max(1, SSIM_VALUES // math.prod(a.shape[1:]))
    parts = [slice(start, start + step) for start in range(0, len(a), step)]
    return np.concatenate([_ssim_of_some(a[part], b[part], down, across, data_range) for part in parts])


def _windows(side: int) -> Float[Array, "places side"]:
    """Gaussian weights of every window along a side, one window a row."""
    window = min(SSIM_WINDOW, side - 1 + side % 2)
    offsets = np.arange(window) - window // 2
    weights = np.exp(-0.5 * (offsets / SSIM_DEVIATION) ** 2)
    places = np.zeros((side - window + 1, side))
    for place, row in enumerate(places):
        row[place : place + window] = weights / weights.sum()
    return places


def _ssim_of_some(
    a: Float[Array, "n *image"],
    b: Float[Array, "n *image"],
    down: Float[Array, "rows height"],
    across: Float[Array, "columns width"],
    data_range: float,
) -> Float[Array, " n"]:
    def smooth(image: Array) -> Array:
        return down @ image @ across.T

    a, b = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = ((k * data_range) ** 2 for k in SSIM_STEADINESS)
    mean_a, mean_b = smooth(a), smooth(b)
    variances = smooth(a * a) - mean_a**2 + smooth(b * b) - mean_b**2
    covariance = smooth(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).reshape(len(a), -1).mean(axis=1)


def mean_image_errors(train: Float[Array, "n *features"], test: Float[Array, "m *features"]) -> Float[Array, " m"]:
    """Errors of answering every test row with the mean of the training rows: what a code of size 0 reaches."""
    return row_errors(np.broadcast_to(observed_mean(train), test.shape), test)


def observed_mean(rows: Float[Array, "n *features"]) -> Float[Array, " *features"]:
    """Mean of each feature over the rows in which it is observed; 0 where it never is."""
    mean = rows.mean(axis=0)
    if not np.isnan(mean).any():
        return mean
    count = (~np.isnan(rows)).sum(axis=0)
    return (np.nansum(rows, axis=0, dtype=np.float64) / np.maximum(count, 1)).astype(rows.dtype)


def mean_filled(rows: Float[Array, "n *features"], mean: Float[Array, " *features"]) -> Float[Array, "n *features"]:
    """Rows whose missing values, NaN, hold the mean; rows without missing values as they are."""
    return np.where(np.isnan(rows), mean, rows) if np.isnan(rows.min()) else rows


def fit_pca(rows: Float[Array, "n features"], size: int, random_state: int = 0) -> Any:
    """scikit-learn's PCA of the rows, with as many components as there can be, ``size`` at most."""
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # constant rows have no variance of which a share could be explained
        return PCA(min(size, *rows.shape), random_state=random_state).fit(rows)


def pca_errors(train: Float[Array, "n *features"], test: Float[Array, "m *features"], size: int) -> Float[Array, " m"]:
    """Errors on test rows of PCA with ``size`` components, fitted on the training rows; missing values get the mean
    before.
    """
    flat, flat_test = train.reshape(len(train), -1), test.reshape(len(test), -1)
    mean = observed_mean(flat)
    pca = fit_pca(mean_filled(flat, mean), size)
    return row_errors(pca.inverse_transform(pca.transform(mean_filled(flat_test, mean))), flat_test)


@dataclass(frozen=True)
class Agreement:
    """How well clusters agree with labels; every measure is 1 for the same partition and takes no account of names.

    Attributes
    ----------
    v_measure : harmonic mean of homogeneity and completeness.  Rosenberg & Hirschberg 2007.
    accuracy : share of rows whose cluster is the one assigned to their class (:func:`cluster_accuracy`).
    nmi : mutual information over the arithmetic mean of both entropies; the same number as the V-measure.
    ari : Rand index adjusted for chance, 0 for independent partitions.  Hubert & Arabie 1985.
    """

    v_measure: float
    accuracy: float
    nmi: float
    ari: float


AGREEMENTS = tuple(member.name for member in fields(Agreement))


def agreement(labels: Shaped[Array, " n"], clusters: Shaped[Array, " n"]) -> Agreement:
    """All measures of agreement between labels and clusters, numbers or text both.

    Rows whose label is unknown are the caller's to leave out: every value counts as a class of its own here.
    DataError where there are no rows.
    """
    # All of them follow from one table; a study compares thousands of clusterings with the labels.
    table = contingency(labels, clusters)
    shared = _shared_information(table)
    return Agreement(shared, _matched_share(table), shared, _adjusted_rand(table))


def cluster_accuracy(labels: Shaped[Array, " n"], clusters: Shaped[Array, " n"]) -> float:
    """Share of rows that are right once each cluster is named after a class, one to one, in the best way.

    The Hungarian assignment of Kuhn 1955, as deep clustering reports it (Xie et al. 2016, equation 10). Where there are
    more clusters than classes, or fewer, those left over count as wrong. Rows whose label is unknown are the caller's
    to leave out. DataError where there are no rows.
    """
    return _matched_share(contingency(labels, clusters))


def contingency(labels: Shaped[Array, " n"], clusters: Shaped[Array, " n"]) -> Int[Array, "classes clusters"]:
    """How many rows each class and cluster share, both in sorted order; DataError where there are no rows."""
    if not len(labels):
        raise DataError("Clusters and labels can be compared only on rows; got none.", "Pass rows that have labels.")
    kinds, groups = _numbered(labels), _numbered(clusters)
    shape = int(kinds.max()) + 1, int(groups.max()) + 1
    return np.bincount(kinds * shape[1] + groups, minlength=shape[0] * shape[1]).reshape(shape)


def _numbered(names: Shaped[Array, " n"]) -> Int[Array, " n"]:
    return np.unique(names, return_inverse=True)[1]


def _shared_information(table: Int[Array, "classes clusters"]) -> float:
    """Mutual information over the mean of both entropies, in [0, 1]; 1 for two partitions into one part each."""
    if np.count_nonzero(table) == table.shape[0] == table.shape[1]:
        return 1.0  # the same partition, without the rounding
    kinds, groups, both = _entropy(table.sum(1)), _entropy(table.sum(0)), _entropy(table.ravel())
    return float(np.clip(2 * (kinds + groups - both) / (kinds + groups), 0, 1))


def _entropy(counts: Int[Array, " parts"]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _adjusted_rand(table: Int[Array, "classes clusters"]) -> float:
    """The share of pairs of rows on which both partitions agree, less what chance gives, over what is left."""
    together, kinds, groups = (float((n * (n - 1) / 2).sum()) for n in (table, table.sum(1), table.sum(0)))
    rows = int(table.sum())
    chance = kinds * groups / max(1.0, rows * (rows - 1) / 2)
    most = (kinds + groups) / 2
    return 1.0 if most == chance else (together - chance) / (most - chance)


def _matched_share(table: Int[Array, "classes clusters"]) -> float:
    from scipy.optimize import linear_sum_assignment

    return float(table[linear_sum_assignment(table, maximize=True)].sum() / table.sum())


def coverage(real: Float[Array, "n *features"], samples: Float[Array, "m *features"], k: int = 5) -> float:
    """Share of the real rows with a sample in their neighbourhood, the ball as far as their ``k``-th real neighbour.

    1 for samples that are like the data everywhere, 0 for samples beside them; it does not reward staying on one
    mode.  Naeem et al. 2020, equation 9. The work grows with n (n + m): some 2,000 rows of each are enough.
    DataError where there are not more than ``k`` real rows.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(real) <= k:
        raise DataError(
            f"Coverage by {k} neighbours needs more than {k} real rows; got {len(real)}.", "Pass more rows, or lower k."
        )
    flat = _flat(real)
    radii = NearestNeighbors(n_neighbors=k).fit(flat).kneighbors()[0][:, -1]  # a row is not its own neighbour
    nearest = NearestNeighbors(n_neighbors=1).fit(_flat(samples)).kneighbors(flat)[0][:, 0]
    return float(np.mean(nearest <= radii))


def frechet_distance(a: Float[Array, "n features"], b: Float[Array, "m features"]) -> float:
    """Squared Fréchet distance between the Gaussians with the means and covariances of two sets of features.

    0 for the same mean and covariance; in the features' squared unit.  Dowson & Landau 1982; on the features of a
    classifier it judges samples (Heusel et al. 2017, equation 6), and its size hangs on that classifier: compare only
    figures that share one, and of equal numbers of rows. DataError for fewer than 2 rows.
    """
    if min(len(a), len(b)) < 2:
        raise DataError(f"A covariance needs 2 rows or more; got {len(a)} and {len(b)}.", "Pass more rows.")
    means = [rows.mean(axis=0, dtype=np.float64) for rows in (a, b)]
    first, second = (np.atleast_2d(np.cov(rows.T.astype(np.float64))) for rows in (a, b))
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    # The trace of the root of a product: the product is similar to this symmetric matrix.
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(np.square(means[0] - means[1]).sum() + np.trace(first) + np.trace(second) - 2 * shared)


def knn_accuracy(
    train_codes: Float[Array, "n latent"],
    train_labels: Shaped[Array, " n"],
    codes: Float[Array, "m latent"],
    labels: Shaped[Array, " m"],
    k: int = 5,
) -> float:
    """Share of rows whose label is that of most of their ``k`` nearest training codes.

    Rows whose label is unknown are the caller's to leave out, on both sides.
    """
    from sklearn.neighbors import KNeighborsClassifier

    nearest = KNeighborsClassifier(min(k, len(train_codes))).fit(train_codes, train_labels)
    return float(np.mean(nearest.predict(codes) == labels))


def trustworthiness(
    X: Float[Array, "n *features"],
    codes: Float[Array, "n latent"],
    k: int = 5,
    max_rows: int = 2000,
    random_state: int = 0,
) -> float:
    """How far the nearest codes are near among the features too: 1 where no code has a false neighbour.

    Venna & Kaski 2001, over ``k`` neighbours (fewer where there are not 2 k + 1 rows), on at most ``max_rows`` rows
    drawn at random, because the work grows with their square. DataError for fewer than 3 rows.
    """
    from sklearn.manifold import trustworthiness as of_all

    if len(X) < 3:
        raise DataError(f"Neighbours can be compared among 3 rows or more; got {len(X)}.", "Pass more rows.")
    rows = some_rows(len(X), max_rows, random_state)
    return float(of_all(_flat(X)[rows], codes[rows], n_neighbors=min(k, (len(rows) - 1) // 2)))


def some_rows(n: int, limit: int, random_state: int = 0) -> Int[Array, " rows"]:
    """At most ``limit`` of ``n`` row numbers, sorted, drawn at random: the first ones may be sorted by something."""
    return np.sort(np.random.default_rng(random_state).choice(n, min(n, limit), replace=False))


def _flat(rows: Float[Array, "n *features"]) -> Float[Array, "n values"]:
    return rows.reshape(len(rows), -1)
