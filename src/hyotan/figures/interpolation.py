"""The walk from one sample to another, step by step."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from PIL import Image

from hyotan.errors import DataError, SettingsError
from hyotan.figures.canvas import Array, AxesDisplay, frozen, write_atomically
from hyotan.figures.charts import ImageTable
from hyotan.figures.images import ValueRange, are_images, as_samples, checked_range, is_grey, to_rgb
from hyotan.figures.sheets import draw_table, table_size

PER_ROW = 12
HOLD = 600  # milliseconds that both ends of a film stay longer, for the eye to rest


@dataclass(frozen=True, eq=False)
class InterpolationDisplay(AxesDisplay):
    """A strip of images from one end of a walk to the other; saves as a picture or as a moving GIF.

    Attributes
    ----------
    images : array of shape (steps, height, width) or (steps, 3, height, width)
    value_range : (low, high)
    """

    formats: ClassVar[tuple[str, ...]] = ("png", "svg", "pdf", "gif")
    images: Array
    value_range: ValueRange

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> InterpolationDisplay:
        """From the decoded steps of a walk, in order; raises DataError where they are no images."""
        steps = as_samples(images, image_shape, "The steps")
        if not are_images(steps):
            raise DataError(
                f"An interpolation is drawn from images; got a table of shape {steps.shape}.",
                "Give image_shape for flattened images.",
            )
        return cls(frozen(steps), checked_range(value_range, steps))

    def save_gif(self, path: str | os.PathLike[str], seconds: float = 2.0, *, there_and_back: bool = True) -> Path:
        """Write the walk as a GIF that repeats; ``seconds`` is the time from one end to the other.

        Raises
        ------
        SettingsError
            ``seconds`` is not above 0.
        """
        return write_atomically(Path(path), self._gif(seconds, there_and_back))

    def _encode(self, suffix: str) -> bytes:
        return self._gif(2.0, True) if suffix == "gif" else super()._encode(suffix)

    def _gif(self, seconds: float, there_and_back: bool) -> bytes:
        frames = [_enlarged(image) for image in to_rgb(self.images, self.value_range)]
        return walk_gif(frames, seconds, there_and_back)

    def _table(self) -> ImageTable:
        rows = [("", self.images[start : start + PER_ROW]) for start in range(0, len(self.images), PER_ROW)]
        return ImageTable("", (), rows, self.value_range)

    def _size(self) -> tuple[float, float]:
        width, height = table_size(self._table())
        return width, height + 0.25

    def _draw(self, ax: Axes) -> None:
        count = len(self.images)
        shares = [f"{share:.2f}" for share in np.linspace(0, 1, count)] if count <= PER_ROW else []
        draw_table(ax, self._table(), shares)
        ax.set_xlabel("share of the way" if shares else f"{count} even steps, row by row", fontsize=8)
        ax.tick_params(labelsize=8)


def _enlarged(picture: Array, least: int = 224) -> Image.Image:
    """At least ``least`` pixels on the longer side, by whole factors, so that pixels stay square."""
    factor = max(1, -(-least // max(picture.shape[:2])))
    return Image.fromarray(np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1)))


def walk_gif(frames: Sequence[Image.Image], seconds: float, there_and_back: bool = True) -> bytes:
    """A GIF that repeats a walk, and rests at both ends; ``seconds`` is the time from one end to the other."""
    if not seconds > 0:
        raise SettingsError(f"seconds must be above 0; got {seconds:g}.")
    times = [1000 * seconds / max(1, len(frames) - 1)] * len(frames)
    times[0] += HOLD
    times[-1] += HOLD
    back = slice(-2, 0, -1) if there_and_back else slice(0)
    return gif_bytes([*frames, *frames[back]], [*times, *times[back]])


def gif_bytes(frames: Sequence[Image.Image], milliseconds: Sequence[float]) -> bytes:
    """A GIF that repeats for ever; each frame stays its own time."""
    grey = all(is_grey(np.asarray(frame.convert("RGB"))) for frame in frames)
    palette = [frame.convert("L") if grey else frame.quantize(256) for frame in frames]
    durations = [max(20, round(time)) for time in milliseconds]
    buffer = io.BytesIO()
    palette[0].save(buffer, "GIF", save_all=True, append_images=palette[1:], duration=durations, loop=0, disposal=1)
    return buffer.getvalue()
