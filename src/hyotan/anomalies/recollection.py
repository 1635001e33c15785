"""Images beside what an autoencoder remembers: is an image's form one that codes of training rows can be decoded to?

An autoencoder gives images of a kind that it was not trained on back as well, from codes where no training row's lies.
Decoded from the nearest training rows' codes instead (as the memory of Gong et al. 2019 does within the network) they
come back as one of the kind that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

from hyotan.anomalies.places import SAME

RECALLED = 20
"""Codes that a code is put together from, at most; the nearest ones count most."""

BLUR = 1 / 24
"""Standard deviation of the blur through which images are compared, as a share of their sides: a stroke that is a
little off its place is no oddness."""

LEAST_CONTRAST = 1e-4
"""Mean square of a value that every image is taken to have beside its own: of a blank one no share could be told."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Codes of training rows, from which others are put together.

    Attributes
    ----------
    places : (m, latent), the codes where each axis counts as it is to count in a distance.
    codes : (m, latent), at least two, the same as the decoder takes them.
    """

    places: np.ndarray
    codes: np.ndarray

    def recall(self, places: np.ndarray) -> np.ndarray:
        """The mean of the nearest codes, (n, latent) float32, weighted by exp(1 - d²/s²), s the nearest one's distance.

        One of the remembered rows itself, at a distance of zero, takes no part in its own.
        """
        wanted = min(RECALLED + 1, len(self.places))
        distances, nearest = NearestNeighbors(n_neighbors=wanted).fit(self.places).kneighbors(places)
        is_itself = distances[:, 0] <= SAME * np.median(distances[:, -1])
        distances[is_itself, 0] = np.inf
        if wanted > RECALLED:
            distances[~is_itself, -1] = np.inf
        least = np.maximum(distances.min(axis=1, keepdims=True), 1e-30)
        weights = np.exp(1 - np.square(distances / least))
        weights /= weights.sum(axis=1, keepdims=True)
        return np.einsum("nk,nkd->nd", weights, self.codes[nearest]).astype(np.float32)


def unexplained(images: np.ndarray, recalled: np.ndarray) -> np.ndarray:
    """Squared error as a share of an image's own contrast, both seen through a blur: (n,), float64.

    Neither how bright an image is nor how much there is on it counts: by the plain error a thin stroke is seldom odd.

    Parameters
    ----------
    images, recalled : (n, height, width) or (n, channels, height, width); what is NaN in an image is not compared.
    """
    seen = np.where(np.isnan(images), recalled, images)
    down, across = (_blur(side) for side in images.shape[-2:])
    error = _mean_square(down @ (seen - recalled) @ across.T)
    blurred = down @ seen @ across.T
    contrast = _mean_square(blurred - blurred.mean(axis=(-2, -1), keepdims=True))
    return error / (contrast + LEAST_CONTRAST)


def _mean_square(images: np.ndarray) -> np.ndarray:
    return np.square(images).reshape(len(images), -1).mean(axis=1, dtype=np.float64)


def _blur(side: int) -> np.ndarray:
    """Gaussian weights of the pixels along a side about each of them, one a row: (side, side), float32."""
    pixels = np.arange(side)
    weights = np.exp(-0.5 * np.square((pixels[:, None] - pixels) / (BLUR * side)))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
