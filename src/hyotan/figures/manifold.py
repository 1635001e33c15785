"""What the decoder draws over a plane of the latent space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from hyotan.errors import DataError, SettingsError
from hyotan.figures.canvas import Array, AxesDisplay, finite_numbers, frozen
from hyotan.figures.charts import ImageSheet
from hyotan.figures.images import ValueRange, are_images, as_samples, centres, checked_range, mosaic, to_rgb
from hyotan.words import say

Limits = tuple[tuple[float, float], tuple[float, float]]
MOST_STEPS = 60


@dataclass(frozen=True, eq=False)
class ManifoldDisplay(AxesDisplay):
    """A grid of decoded images over two latent dimensions.

    Attributes
    ----------
    images : array of shape (steps, steps, height, width) or (steps, steps, 3, height, width)
        First index along the second dimension, from its lowest value; second index along the first.
    positions : array of shape (2, steps)
        The values of the two dimensions.
    dims : (int, int)
    value_range : (low, high)
    spacing : "normal" or "linear"
    """

    images: Array
    positions: Array
    dims: tuple[int, int]
    value_range: ValueRange
    spacing: str = "linear"

    @classmethod
    def from_decoder(
        cls,
        decode: Callable[[Array], Any],
        latent_dim: int,
        steps: int = 20,
        dims: tuple[int, int] = (0, 1),
        fixed: Mapping[int, float] | ArrayLike | None = None,
        spacing: Literal["normal", "linear"] = "normal",
        limits: Limits | None = None,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> ManifoldDisplay:
        """From ``decode``, codes (m, latent_dim) -> images, e.g. an estimator's ``inverse_transform``.

        Parameters
        ----------
        fixed : mapping of dimension to value, or array of shape (latent_dim,), optional
            Where the other dimensions stay; 0 by default.
        spacing : "normal" or "linear"
            "normal": at the standard normal's quantiles, equal shares of a VAE's prior. "linear": evenly between
            ``limits``.
        limits : ((low, high), (low, high)), optional
            For linear spacing, -3 to 3 by default; :func:`central_limits` finds them for a plain autoencoder's codes.

        Raises
        ------
        SettingsError
            The arguments do not fit ``latent_dim`` or each other.
        DataError
            What was decoded is no images.
        """
        _check(latent_dim, steps, dims)
        positions = _positions(steps, spacing, limits)
        codes = np.tile(_anchor(latent_dim, fixed), (steps * steps, 1))
        codes[:, dims[0]] = np.tile(positions[0], steps)
        codes[:, dims[1]] = np.repeat(positions[1], steps)
        images = as_samples(decode(codes.astype(np.float32)), image_shape, "The decoded samples")
        if not are_images(images) or len(images) != steps * steps:
            raise DataError(
                f"A manifold is drawn from images, one a code; {steps * steps} codes decoded to shape {images.shape}.",
                "Give image_shape for flattened images.",
            )
        grid = images.reshape(steps, steps, *images.shape[1:])
        return cls(frozen(grid), frozen(positions), (dims[0], dims[1]), checked_range(value_range, images), spacing)

    @property
    def _upwards(self) -> Array:
        """The images row by row, large values of the second dimension on top."""
        return self.images[::-1].reshape(-1, *self.images.shape[2:])

    @property
    def _gap(self) -> int:
        """Images of a few pixels run into each other; larger ones read better as one sheet."""
        return int(max(self.images.shape[-2:]) <= 16)

    def charts(self, lang: str) -> list[ImageSheet]:
        """The whole sheet, and where the positions begin and end."""
        ends = dict(zip("abcd", np.round(self.positions[:, [0, -1]], 2).ravel().tolist(), strict=True))
        caption, title = say(f"manifold.{self.spacing}", lang, **ends), say("manifold.title", lang)
        return [ImageSheet(title, self._upwards, len(self.images), self.value_range, self._gap, caption=caption)]

    def _size(self) -> tuple[float, float]:
        height, width = self.images.shape[-2:]
        longer = max(height, width)
        return 6.6 * width / longer + 0.6, 6.6 * height / longer + 0.6

    def _draw(self, ax: Axes) -> None:
        steps = len(self.images)
        height, width = self.images.shape[-2:]
        gap = self._gap
        ax.imshow(mosaic(to_rgb(self._upwards, self.value_range), steps, gap))
        stride = -(-steps // 7)
        marks = np.arange((steps - 1) % stride // 2, steps, stride)
        ax.set_xticks(centres(steps, width, gap)[marks], _numbers(self.positions[0][marks]))
        ax.set_yticks(centres(steps, height, gap)[::-1][marks], _numbers(self.positions[1][marks]))
        ax.set(xlabel=f"z{self.dims[0]}", ylabel=f"z{self.dims[1]}")
        ax.spines[:].set_visible(False)


def _numbers(values: Array) -> list[str]:
    return [f"{value:.2f}".replace("-", "\N{MINUS SIGN}") for value in values]


def central_limits(codes: ArrayLike, dims: tuple[int, int] = (0, 1)) -> Limits:
    """From the 1st to the 99th percentile of two dimensions of codes (n, latent): where a plain autoencoder lives."""
    matrix = finite_numbers(codes, "The codes")
    low, high = np.percentile(matrix[:, list(dims)], [1, 99], axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def _check(latent_dim: int, steps: int, dims: tuple[int, int]) -> None:
    if latent_dim < 2:
        raise SettingsError(
            f"A manifold needs two latent dimensions; this model has {latent_dim}.", "Draw an interpolation instead."
        )
    if not 2 <= steps <= MOST_STEPS:
        raise SettingsError(f"steps must lie between 2 and {MOST_STEPS}; got {steps}.")
    if len(dims) != 2 or dims[0] == dims[1] or not all(0 <= dim < latent_dim for dim in dims):
        raise SettingsError(f"dims must be two different numbers from 0 to {latent_dim - 1}; got {tuple(dims)}.")


def _positions(steps: int, spacing: str, limits: Limits | None) -> Array:
    if spacing not in ("normal", "linear"):
        raise SettingsError(f"spacing must be 'normal' or 'linear'; got {spacing!r}.")
    if spacing == "normal":
        if limits is not None:
            raise SettingsError("limits go with linear spacing; normal spacing has none.", "Pass spacing='linear'.")
        quantiles = [NormalDist().inv_cdf((step + 0.5) / steps) for step in range(steps)]
        return np.array([quantiles, quantiles])
    ends = limits or ((-3.0, 3.0), (-3.0, 3.0))
    if not all(low < high for low, high in ends):
        raise SettingsError(f"limits must be ((low, high), (low, high)) with low < high; got {ends}.")
    return np.array([np.linspace(low, high, steps) for low, high in ends])


def _anchor(latent_dim: int, fixed: Mapping[int, float] | ArrayLike | None) -> Array:
    anchor = np.zeros(latent_dim)
    if fixed is None:
        return anchor
    if not isinstance(fixed, Mapping):
        return _whole_anchor(np.asarray(fixed, dtype=np.float64), latent_dim)
    outside = [dim for dim in fixed if not 0 <= dim < latent_dim]
    if outside:
        raise SettingsError(f"fixed names dimension {outside[0]}; there are 0 to {latent_dim - 1}.")
    anchor[list(fixed)] = list(fixed.values())
    return anchor


def _whole_anchor(values: Array, latent_dim: int) -> Array:
    if values.shape != (latent_dim,):
        raise SettingsError(f"fixed must have shape ({latent_dim},) or map dimensions to values; got {values.shape}.")
    return values
