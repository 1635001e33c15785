"""Walks through the latent space, and what is met on the way: how large the jumps are, which classes are passed.

>>> import numpy as np
>>> from hyotan.analysis.latent import linear_walk, passages
>>> linear_walk(np.array([0.0, 0.0]), np.array([2.0, 4.0]), 3).tolist()
[[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]
>>> passed = passages(np.array([[1, 1, 8, 6, 0]]))
>>> passed.captions()[0], passed.others
('1→8→6→0', array([2]))

Arrays in, arrays out: a model comes in only as a function that decodes. Many walks are one array, (walks, steps, …), so
that a decoder is called once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import ArrayLike

from hyotan.errors import DataError, SettingsError
from hyotan.metrics import fit_pca, some_rows

Interpolate = Callable[[ArrayLike, ArrayLike, int], ndarray]
Decode = Callable[[ndarray], ndarray]

PROBE_ROWS = 20_000
TSNE_FEATURES = 50
ARROW = "→"
_PARALLEL = 1e-6
"""Two directions whose sine is below this span no plane to turn in."""


def linear_walk(a: ArrayLike, b: ArrayLike, steps: int = 11) -> ndarray:
    """Even steps along the straight line.

    Parameters
    ----------
    a, b : (latent,) or (walks, latent)
        Where the walks begin and end.
    steps : at least 2, both ends included.

    Returns
    -------
    (steps, latent) or (walks, steps, latent)

    Raises
    ------
    DataError
        The ends are of different shapes.
    SettingsError
        There are fewer than 2 steps.
    """
    start, end, share = _ends(a, b, steps)
    return (1 - share) * start + share * end


def spherical_walk(a: ArrayLike, b: ArrayLike, steps: int = 11) -> ndarray:
    """Even turns about the origin, the distance from it changing evenly from one end's to the other's.

    Shoemake 1985 for the directions; White 2016 for latent spaces: codes of a high-dimensional Gaussian lie near a
    sphere, through whose empty inside the straight line would go. Where the ends point the same way, or opposite ways,
    or one of them is the origin, there is no plane to turn in, and the walk is the straight line.

    Parameters, shapes and errors are those of :func:`linear_walk`.
    """
    start, end, share = _ends(a, b, steps)
    lengths = [np.linalg.norm(point, axis=-1, keepdims=True) for point in (start, end)]
    units = [point / np.where(length > 0, length, 1) for point, length in zip((start, end), lengths, strict=True)]
    angle = np.arccos(np.clip((units[0] * units[1]).sum(-1, keepdims=True), -1, 1))
    sine = np.sin(angle)
    turns = (sine > _PARALLEL) & (lengths[0] > 0) & (lengths[1] > 0)
    weights = [np.sin(part * angle) / np.where(turns, sine, 1) for part in (1 - share, share)]
    radius = (1 - share) * lengths[0] + share * lengths[1]
    arc = radius * (weights[0] * units[0] + weights[1] * units[1])
    return np.where(turns, arc, (1 - share) * start + share * end).astype(start.dtype)


WALKS: dict[str, Interpolate] = {"linear": linear_walk, "spherical": spherical_walk}
"""Every way from one code to another, by its name."""


def decoded(walks: ndarray, decode: Decode) -> ndarray:
    """Codes of walks, (walks, steps, latent), as the decoder's rows, (walks, steps, *features), in one call of it."""
    rows = np.asarray(decode(walks.reshape(-1, walks.shape[-1])))
    return rows.reshape(*walks.shape[:-1], *rows.shape[1:])


def random_pairs(n: int, pairs: int, labels: ArrayLike | None = None, random_state: int = 0) -> ndarray:
    """Row numbers to walk between, (pairs, 2), drawn at random; with labels of two different classes each.

    DataError where there are not two rows, or not two classes, to walk between.
    """
    kinds = np.arange(n) if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    if n < 2 or len(np.unique(kinds)) < 2:
        raise DataError(f"A walk needs two rows of different classes; got {n} rows.", "Pass more rows, or no labels.")
    random = np.random.default_rng(random_state)
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < pairs:
        drawn = random.integers(n, size=(2 * pairs, 2))
        found = np.concatenate([found, drawn[kinds[drawn[:, 0]] != kinds[drawn[:, 1]]]])
    return found[:pairs]


def step_lengths(walks: ArrayLike) -> ndarray:
    """Euclidean length of every step in the data space, (walks, steps - 1), of decoded walks (walks, steps, *features).

    DataError where there are no steps.
    """
    rows = np.asarray(walks, dtype=np.float64)
    if rows.ndim < 3 or rows.shape[1] < 2:
        raise DataError(f"Walks must have shape (walks, 2 or more steps, *features); got {rows.shape}.")
    return np.linalg.norm(np.diff(rows.reshape(*rows.shape[:2], -1), axis=1), axis=-1)


def smoothness(walks: ArrayLike) -> ndarray:
    """How even each decoded walk is: its mean step over its largest step, in (0, 1].

    1 says that every step changes the data by as much as every other; 1 / (steps - 1) says that nothing changes but in
    one jump. It has no unit, so that it compares models, sizes and data sets as long as the number of steps is equal.
    The measure is ours: the lengths of short steps are what Karras et al. 2019 (section 4.1, perceptual path length)
    look at too, but their mean alone also grows with the distance between the ends. A walk that never moves is even.
    A linear decoder makes every straight walk even, so that PCA's figure is 1 and no merit: one picture fades into the
    other.

    Parameters
    ----------
    walks : (walks, steps, *features)

    Returns
    -------
    (walks,)
    """
    steps = step_lengths(walks)
    largest = steps.max(axis=1)
    return np.where(largest > 0, steps.mean(axis=1) / np.where(largest > 0, largest, 1), 1.0)


@dataclass(frozen=True, eq=False)
class Passages:
    """Which classes each walk goes through.

    Attributes
    ----------
    runs : for every walk its classes in order, neighbours that are equal counted once: (1, 8, 6, 0).
    others : (walks,)
        How many different classes, other than those of both ends, each walk passes.
    """

    runs: tuple[tuple[Any, ...], ...]
    others: ndarray

    def captions(self) -> list[str]:
        """Each walk as text, ``1→8→6→0``."""
        return [ARROW.join(map(str, run)) for run in self.runs]


def passages(classes: ArrayLike) -> Passages:
    """The classes that walks pass, from the class of every step, (walks, steps), as a classifier sees it.

    DataError where there are no walks.
    """
    seen = np.asarray(classes)
    if seen.ndim != 2 or not seen.size:
        raise DataError(f"The classes must have shape (walks, steps), at least one of each; got {seen.shape}.")
    runs = tuple(_run(walk) for walk in seen)
    others = [len(set(run) - {run[0], run[-1]}) for run in runs]
    return Passages(runs, np.array(others))


def _run(walk: ndarray) -> tuple[Any, ...]:
    changes = np.flatnonzero(walk[1:] != walk[:-1]) + 1
    return tuple(walk[np.concatenate([[0], changes])].tolist())


def tsne_plane(rows: ArrayLike, perplexity: float = 30.0, random_state: int = 0) -> ndarray:
    """Rows of data or codes, (n, *features), in the plane by t-SNE, (n, 2).  van der Maaten & Hinton 2008.

    More than 50 features are first reduced to 50 principal components, as the authors do. Some 2,000 rows take 10
    seconds; the time grows a little faster than the rows. DataError for fewer than 4 rows.
    """
    from sklearn.manifold import TSNE

    flat = _flat(np.asarray(rows))
    if len(flat) < 4:
        raise DataError(f"t-SNE needs 4 rows or more; got {len(flat)}.", "Pass more rows.")
    if min(flat.shape) > TSNE_FEATURES:
        flat = fit_pca(flat, TSNE_FEATURES, random_state).transform(flat)
    nearest = min(perplexity, (len(flat) - 1) / 3)
    start = "pca" if flat.shape[1] > 1 else "random"
    return TSNE(2, perplexity=nearest, init=start, random_state=random_state).fit_transform(flat)


@dataclass(frozen=True, eq=False)
class Probe:
    """A classifier of rows of data that says what a decoded step looks like: 5 nearest neighbours of training rows.

    Attributes
    ----------
    neighbours : scikit-learn's fitted classifier.
    rows : how many training rows it knows.
    """

    neighbours: Any
    rows: int

    @classmethod
    def fit(cls, X: ArrayLike, y: ArrayLike, k: int = 5, max_rows: int = PROBE_ROWS, random_state: int = 0) -> Probe:
        """From rows (n, *features) and their labels (n,), at most ``max_rows`` of them drawn at random.

        Rows whose label is unknown are the caller's to leave out. DataError where rows and labels differ in number.
        """
        from sklearn.neighbors import KNeighborsClassifier

        rows, labels = np.asarray(X), np.asarray(y)
        if len(rows) != len(labels) or not len(rows):
            raise DataError(f"There are {len(rows)} rows but {len(labels)} labels.", "Give every row one label.")
        chosen = some_rows(len(rows), max_rows, random_state)
        nearest = KNeighborsClassifier(min(k, len(chosen))).fit(_flat(rows[chosen]), labels[chosen])
        return cls(nearest, len(chosen))

    def predict(self, rows: ArrayLike) -> ndarray:
        """The class of every row, (n,), of rows (n, *features)."""
        return self.neighbours.predict(_flat(np.asarray(rows)))

    def along(self, walks: ArrayLike) -> ndarray:
        """The class of every step, (walks, steps), of decoded walks (walks, steps, *features)."""
        rows = np.asarray(walks)
        return self.predict(rows.reshape(-1, *rows.shape[2:])).reshape(rows.shape[:2])


def _flat(rows: ndarray) -> ndarray:
    return np.ascontiguousarray(rows.reshape(len(rows), -1), dtype=np.float32)


def _ends(a: ArrayLike, b: ArrayLike, steps: int) -> tuple[ndarray, ndarray, ndarray]:
    """Both ends with an axis for the steps, and the shares of the way, (steps, 1)."""
    start, end = np.asarray(a), np.asarray(b)
    if start.shape != end.shape or start.ndim not in (1, 2):
        raise DataError(
            f"A walk's ends must be two codes, or two matrices of codes, of one shape;"
            f" got {start.shape} and {end.shape}.",
            "Pass single codes, such as Z[0] and Z[1].",
        )
    if steps < 2:
        raise SettingsError(f"A walk has 2 steps or more, both ends included; got {steps}.")
    dtype = np.result_type(start, end, np.float32)
    share = np.linspace(0, 1, steps, dtype=dtype)[:, None]
    return start.astype(dtype)[..., None, :], end.astype(dtype)[..., None, :], share
