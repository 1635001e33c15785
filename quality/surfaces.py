"""Sets whose dimension is known, to try a recommendation on: surfaces laid into more features, with noise on each.

The features of a surface have a mean square of 1 on average, so that ``noise`` is a standard deviation beside 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

FEATURES = 10


@dataclass(frozen=True)
class Known:
    """A set and the latent sizes that are right for it.

    Attributes
    ----------
    make : rows, features from a number of rows and a seed, (n, FEATURES).
    sizes : right ones; none where there is nothing to compress.
    """

    make: Callable[[int, int], np.ndarray]
    sizes: frozenset[int]


def laid_out(points: np.ndarray, noise: float, random: np.random.Generator, features: int = FEATURES) -> np.ndarray:
    """Points, (n, dimensions), on a random plane through a space of more features, with noise on every one."""
    points = points - points.mean(axis=0)
    points *= np.sqrt(features / np.square(points).sum(axis=1).mean())
    plane = np.linalg.qr(random.standard_normal((features, points.shape[1])))[0]
    return points @ plane.T + noise * random.standard_normal((len(points), features))


def linear(n: int, seed: int = 0, scales: Sequence[float] = (1, 1, 1), noise: float = 0.3) -> np.ndarray:
    """A Gaussian on a plane with these standard deviations, 3-dimensional: PCA is all that it needs."""
    random = np.random.default_rng(seed)
    return laid_out(random.standard_normal((n, len(scales))) * scales, noise, random)


def swiss_roll(n: int, seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """A sheet rolled up in 3 dimensions, as scikit-learn's ``make_swiss_roll``: 2-dimensional once it is unrolled."""
    random = np.random.default_rng(seed)
    angle, height = 1.5 * np.pi * (1 + 2 * random.random(n)), 21 * random.random(n)
    return laid_out(np.column_stack([angle * np.cos(angle), height, angle * np.sin(angle)]), noise, random)


def sphere(n: int, seed: int = 0, dimensions: int = 4, noise: float = 0.1) -> np.ndarray:
    """The surface of a ball: one dimension less than the space it lies in, but no map of that size without a tear."""
    random = np.random.default_rng(seed)
    points = random.standard_normal((n, dimensions + 1))
    return laid_out(points / np.linalg.norm(points, axis=1, keepdims=True), noise, random)


def torus(n: int, seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """The surface of a ring in 3 dimensions: 2-dimensional, but no map of that size without tears."""
    random = np.random.default_rng(seed)
    round_ring, round_tube = 2 * np.pi * random.random((2, n))
    from_axis = 2 + np.cos(round_tube)
    points = np.column_stack([from_axis * np.cos(round_ring), from_axis * np.sin(round_ring), np.sin(round_tube)])
    return laid_out(points, noise, random)


def mixture(n: int, seed: int = 0, clusters: int = 6, dimensions: int = 4, noise: float = 0.1) -> np.ndarray:
    """Gaussian clusters that all dimensions of a plane tell apart."""
    random = np.random.default_rng(seed)
    centres = 2 * random.standard_normal((clusters, dimensions))
    points = centres[random.integers(clusters, size=n)] + 0.3 * random.standard_normal((n, dimensions))
    return laid_out(points, noise, random)


def pure_noise(n: int, seed: int = 0) -> np.ndarray:
    """Features that have nothing to do with each other."""
    return np.random.default_rng(seed).standard_normal((n, FEATURES))


KNOWN: Mapping[str, Known] = {
    "linear": Known(linear, frozenset({3})),
    "swiss-roll": Known(swiss_roll, frozenset({2})),
    "sphere": Known(sphere, frozenset({4, 5})),
    "noise": Known(pure_noise, frozenset()),
}
"""What a recommendation has to find."""

MORE: Mapping[str, Known] = {
    "unequal": Known(lambda n, seed: linear(n, seed, (1, 0.9, 0.8, 0.6, 0.45), 0.2), frozenset({5})),
    "torus": Known(torus, frozenset({2, 3})),
    "mixture": Known(mixture, frozenset({3, 4})),
}
"""What the rule was not chosen by."""
