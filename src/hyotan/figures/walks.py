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
from hyotan.figures.canvas import INK, QUIET, Array, AxesDisplay, frozen, tidy, write_atomically
from hyotan.figures.charts import ImageSheet, ImageTable
from hyotan.figures.fonts import font_path
from hyotan.figures.images import ValueRange, are_images, as_samples, checked_range, to_rgb
from hyotan.figures.interpolation import walk_gif
from hyotan.figures.sheets import draw_table, table_size
from hyotan.words import say

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
    is_aside : bool
        Whether a page folds it away.
    """

    formats: ClassVar[tuple[str, ...]] = ("png", "svg", "pdf", "gif")
    images: Array
    rows: tuple[str, ...]
    classes: Array | None
    value_range: ValueRange
    title: str = ""
    is_aside: bool = False

    @classmethod
    def from_arrays(
        cls,
        images: Array | Sequence[ArrayLike],
        rows: Sequence[object],
        classes: ArrayLike | None = None,
        *,
        title: str = "",
        is_aside: bool = False,
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
        seen = None if classes is None else np.array([[tidy(kind, 20) for kind in row] for row in np.asarray(classes)])
        if len(rows) != len(walks) or (seen is not None and seen.shape != (len(walks), len(walks[0]))):
            given = "no classes" if seen is None else f"classes of shape {seen.shape}"
            raise DataError(
                f"There are {len(walks)} walks of {len(walks[0])} steps, but {len(rows)} captions and {given}."
            )
        stack = np.stack(walks)
        names = tuple(tidy(row, 30) for row in rows)
        kinds = None if seen is None else frozen(seen)
        return cls(frozen(stack), names, kinds, checked_range(value_range, stack), tidy(title, 90), is_aside)

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

    def charts(self, lang: str) -> list[ImageSheet]:
        """A strip for each walk, and the classes that it passes."""
        strips = []
        for name, images, passed in zip(self.rows, self.images, self.captions, strict=True):
            caption = say("study.passed", lang, path=passed.replace("→", " → ")) if passed else ""
            words = {"caption": caption, "alt": say("study.walk_alt", lang, title=name), "group": self.title}
            strips.append(ImageSheet(name, images, len(images), self.value_range, is_aside=self.is_aside, **words))
        return strips

    def _table(self) -> ImageTable:
        """Under each step its class, those of neither end marked; beside each walk the way."""
        kinds = [] if self.classes is None else self.classes.tolist()
        marked = [(row, n) for row, of in enumerate(kinds) for n, kind in enumerate(of) if kind not in (of[0], of[-1])]
        rows, ways = list(zip(self.rows, self.images, strict=True)), ("", self.captions if kinds else ())
        extra: Any = {"beneath": dict(enumerate(kinds)), "beside": ways, "marked": marked}
        return ImageTable(self.title, (), rows, self.value_range, **extra)

    def _size(self) -> tuple[float, float]:
        return table_size(self._table())

    def _draw(self, ax: Axes) -> None:
        draw_table(ax, self._table())
