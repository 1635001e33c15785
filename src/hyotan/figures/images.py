"""From arrays to pictures: which arrays are images, which values are black and white, and a grid of them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from hyotan.errors import DataError, SettingsError
from hyotan.figures.canvas import Array, finite_numbers
from hyotan.figures.charts import ValueRange

_SLACK = 0.25  # a Gaussian decoder's mean leaves the data's range a little; that does not make it another range


def as_samples(values: ArrayLike, image_shape: Sequence[int] | None = None, what: str = "The samples") -> Array:
    """Samples in the house layout: (n, height, width), (n, 3, height, width) or a table (n, features).

    Parameters
    ----------
    values : array of shape (n, features), (n, height, width) or (n, channels, height, width)
        Channels are 1 or 3.
    image_shape : (height, width) or (channels, height, width), optional
        The shape of the images where ``values`` holds them flattened.

    Raises
    ------
    DataError
        The array is empty, not finite, of another shape, or has its channels last.
    """
    array = finite_numbers(values, what)
    if image_shape is not None:
        array = _reshaped(array, tuple(int(side) for side in image_shape), what)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    _check_shape(array, what)
    return array


def _reshaped(array: Array, shape: tuple[int, ...], what: str) -> Array:
    if array.ndim < 2 or array[0].size != int(np.prod(shape)):
        raise DataError(
            f"{what} of shape {array.shape} cannot be read as images of shape {shape}.",
            "Give the images' own height and width as image_shape.",
        )
    return array.reshape(len(array), *shape)


def _check_shape(array: Array, what: str) -> None:
    if array.ndim == 4 and array.shape[-1] in (1, 3) and array.shape[1] != 3:
        raise DataError(
            f"{what} have shape {array.shape}: the channels come last.", "Move them: X.transpose(0, 3, 1, 2)."
        )
    if array.size == 0 or array.ndim not in (2, 3, 4) or (array.ndim == 4 and array.shape[1] != 3):
        raise DataError(
            f"{what} must be a table (n, features), grey images (n, height, width) or colour images "
            f"(n, 3, height, width), with at least one row; got shape {array.shape}.",
            "Reshape them, or give image_shape for flattened images.",
        )


def are_images(samples: Array) -> bool:
    """Whether samples in the house layout are images; else they are a table."""
    return samples.ndim > 2


def value_range_of(samples: Array) -> ValueRange:
    """What is black and what is white: (0, 1), (-1, 1), (0, 255), or the data's own least and greatest value."""
    low, high = float(samples.min()), float(samples.max())
    if low >= -_SLACK and high <= 1 + _SLACK:
        return 0.0, 1.0
    if low >= -1 - _SLACK and high <= 1 + _SLACK:
        return -1.0, 1.0
    if low >= 0 and 128 <= high <= 255:
        return 0.0, 255.0
    return low, high if high > low else low + 1.0


def checked_range(value_range: Sequence[float] | None, samples: Array) -> ValueRange:
    """The given range, or the one found in ``samples``; raises SettingsError for one that is not low < high."""
    if value_range is None:
        return value_range_of(samples)
    low, high = (float(value) for value in value_range)
    if not low < high:
        raise SettingsError(f"value_range must be (low, high) with low < high; got ({low:g}, {high:g}).")
    return low, high


def to_rgb(samples: Array, value_range: ValueRange) -> Array:
    """Images as bytes, (n, height, width, 3), values outside the range clamped to black and white."""
    low, high = value_range
    scaled = np.clip((samples - low) / (high - low), 0.0, 1.0)
    pixels = np.rint(scaled * 255).astype(np.uint8)
    return pixels.transpose(0, 2, 3, 1) if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, axis=-1)


def gap_of(images: Array) -> int:
    """Width in pixels of the white line between images of shape (n, height, width, 3)."""
    return max(1, round(max(images.shape[1:3]) / 14))


def mosaic(images: Array, columns: int, gap: int) -> Array:
    """Images (n, height, width, 3) side by side, row by row, white lines between them and none around."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def centres(count: int, side: int, gap: int) -> Array:
    """Where the middles of ``count`` images of ``side`` pixels lie along a mosaic."""
    return np.arange(count) * (side + gap) + (side - 1) / 2


def is_grey(pixels: Array) -> bool:
    """Whether bytes (…, 3) are grey throughout."""
    return bool((pixels[..., :1] == pixels[..., :3]).all())


def png_bytes(image: Image.Image) -> bytes:
    """A small PNG file; an image without colours takes one channel."""
    if is_grey(np.asarray(image)):
        image = image.convert("LA" if image.mode == "RGBA" else "L")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
