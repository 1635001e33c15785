"""Walks between codes, one strip a row, with the class that each step looks like."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from hyotan.analysis.latent import passages
from hyotan.errors import DataError
from hyotan.figures.canvas import INK, QUIET, VALIDATION, WIDTH, Array, AxesDisplay, frozen, tidy, write_atomically
from hyotan.figures.fonts import font_path
from hyotan.figures.heatmaps import letters
from hyotan.figures.images import ValueRange, are_images, as_samples, centres, checked_range, gap_of, mosaic, to_rgb
from hyotan.figures.interpolation import walk_gif
from hyotan.figures.sheets import draw_sheet

_TEXT = 16  # pixels of a film's letters


@dataclass(frozen=True, eq=False)
class WalksDisplay(AxesDisplay):
    """Strips of decoded steps; saves as a picture, or as a GIF in which all walks move side by side.

    Attributes
    ----------
    images : array of shape (walks, steps, height, width) or (walks, steps, 3, height, width)
    rows : tuple of str
        What is written beside each walk: a model, a size.
    classes : array of shape (walks, steps) of str, or None
        What each step looks like to a classifier.
    value_range : (low, high)
    title : str
    """

    formats: ClassVar[tuple[str, ...]] = ("png", "svg", "pdf", "gif")
    images: Array
    rows: tuple[str, ...]
    classes: Array | None
    value_range: ValueRange
    title: str = ""

    @classmethod
    def from_arrays(
        cls,
        images: Array | Sequence[ArrayLike],
        rows: Sequence[object],
        classes: ArrayLike | None = None,
        *,
        title: str = "",
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> WalksDisplay:
        """From decoded walks, (walks, steps, *features), a caption each, and the class of every step, (walks, steps).

        Raises
        ------
        DataError
            The walks are no images, differ in their steps, or captions or classes are of another number.
        """
        walks = [as_samples(walk, image_shape, "The steps") for walk in images]
        if not walks or not are_images(walks[0]) or len({walk.shape for walk in walks}) != 1:
            shapes = sorted({walk.shape for walk in walks})
            raise DataError(
                f"Walks are drawn from images of one shape and number of steps; got {shapes}.",
                "Give image_shape for flattened images.",
            )
        seen = None if classes is None else np.array([[tidy(kind, 12) for kind in row] for row in np.asarray(classes)])
        if len(rows) != len(walks) or (seen is not None and seen.shape != (len(walks), len(walks[0]))):
            given = "no classes" if seen is None else f"classes of shape {seen.shape}"
            raise DataError(
                f"There are {len(walks)} walks of {len(walks[0])} steps, but {len(rows)} captions and {given}."
            )
        stack = np.stack(walks)
        names = tuple(tidy(row, 30) for row in rows)
        kinds = None if seen is None else frozen(seen)
        return cls(frozen(stack), names, kinds, checked_range(value_range, stack), tidy(title, 90))

    @property
    def captions(self) -> tuple[str, ...]:
        """The classes that each walk goes through, ``1→8→6→0``; empty text without classes."""
        if self.classes is None:
            return ("",) * len(self.images)
        return tuple(passages(self.classes).captions())

    def to_dict(self) -> dict[str, Any]:
        """Each walk's caption, classes step by step, and the classes passed, as plain values."""
        kinds = [None] * len(self.rows) if self.classes is None else self.classes.tolist()
        rows = zip(self.rows, kinds, self.captions, strict=True)
        return {"walks": [{"row": row, "classes": steps, "passed": passed} for row, steps, passed in rows]}

    def save_gif(self, path: str | os.PathLike[str], seconds: float = 3.0) -> Path:
        """Write a GIF that goes there and back for ever; ``seconds`` is the time from one end to the other.

        Raises
        ------
        SettingsError
            ``seconds`` is not above 0.
        """
        return write_atomically(Path(path), self._gif(seconds))

    def _encode(self, suffix: str) -> bytes:
        return self._gif(3.0) if suffix == "gif" else super()._encode(suffix)

    def _gif(self, seconds: float) -> bytes:
        return walk_gif(self._frames(), seconds)

    def _frames(self) -> list[Image.Image]:
        pictures = [to_rgb(walk, self.value_range) for walk in self.images]
        return [self._frame([walk[step] for walk in pictures], step) for step in range(self.images.shape[1])]

    def _frame(self, pictures: Sequence[Array], step: int) -> Image.Image:
        """All walks at one step, side by side, each under its name and above what it looks like."""
        height, width = pictures[0].shape[:2]
        factor = max(1, -(-140 // max(height, width)))
        cell, tall, gap = factor * width, factor * height, 12
        font = ImageFont.truetype(str(font_path("".join((*self.rows, *self._all_classes())))), _TEXT)
        column = max(cell, *(int(font.getlength(row)) for row in self.rows)) + gap
        frame = Image.new("RGB", (gap + column * len(pictures), tall + 4 * _TEXT + gap), "white")
        pen = ImageDraw.Draw(frame)
        for index, picture in enumerate(pictures):
            left = gap + index * column
            large = np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))
            pen.text((left, _TEXT // 3), self.rows[index], fill=QUIET, font=font)
            frame.paste(Image.fromarray(large), (left, 2 * _TEXT))
            if self.classes is not None:
                pen.text((left, tall + 2 * _TEXT + _TEXT // 3), str(self.classes[index, step]), fill=INK, font=font)
        return frame

    def _all_classes(self) -> list[str]:
        return [] if self.classes is None else np.unique(self.classes).tolist()

    def _size(self) -> tuple[float, float]:
        height, width = self.images.shape[-2:]
        across = self.images.shape[1] + self._beside(100) / 100
        cell = min(0.62, (WIDTH - 0.55 - 0.09 * max(map(letters, self.rows))) / across)
        room = 0.14 if self.classes is None else 0.56  # below a strip, in heights of a picture
        tall = cell * height / width * (len(self.images) * (1 + room) - room)
        return WIDTH, tall + 0.15 + (0.0 if self.classes is None else 0.42 * cell) + (0.28 if self.title else 0.0)

    def _draw(self, ax: Axes) -> None:
        pictures = to_rgb(self.images.reshape(-1, *self.images.shape[2:]), self.value_range)
        steps, (height, width) = self.images.shape[1], self.images.shape[-2:]
        gap = gap_of(pictures)
        below = 0 if self.classes is None else round(0.42 * height)
        strips = [mosaic(pictures[row * steps :][:steps], steps, gap) for row in range(len(self.rows))]
        room = (0, below + 2 * gap), (0, self._beside(width)), (0, 0)
        padded = [np.pad(strip, room, constant_values=255) for strip in strips]
        tops = np.arange(len(strips)) * len(padded[0])
        draw_sheet(ax, np.concatenate(padded)[: -2 * gap], (tops + (height - 1) / 2, self.rows))
        if self.title:
            ax.set_title(self.title)
        for top, row in zip(tops, range(len(strips)), strict=True):
            self._write(ax, row, top + height + 0.08 * height, centres(steps, width, gap), top + (height - 1) / 2)

    def _beside(self, width: int) -> int:
        """Pixels at the right for the longest way, ``width`` a picture."""
        longest = max(map(letters, self.captions))
        return round((0.45 + 0.185 * longest) * width) if longest else 0

    def _write(self, ax: Axes, row: int, below: float, middles: Array, middle: float) -> None:
        """The class under each step, those of neither end in bold, and the way at the right."""
        if self.classes is None:
            return
        kinds = self.classes[row]
        for place, kind in zip(middles, kinds, strict=True):
            passed = kind not in (kinds[0], kinds[-1])
            look: dict[str, Any] = {"color": VALIDATION, "fontweight": "bold"} if passed else {"color": QUIET}
            ax.text(place, below, kind, ha="center", va="top", fontsize=_fitting(self._all_classes()), **look)
        right = middles[-1] + 0.8 * (middles[0] * 2 + 1)
        ax.text(right, middle, self.captions[row], ha="left", va="center", fontsize=9.5)


def _fitting(kinds: Sequence[str]) -> float:
    longest = max(len(kind) for kind in kinds)
    return 8.5 if longest <= 3 else 6.5 if longest <= 6 else 5
