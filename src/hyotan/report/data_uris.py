"""Arrays as pictures inside a page: small PNG files in data URIs, each with a text for who cannot see it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hyotan.figures.images import ValueRange, as_samples, gap_of, mosaic, to_rgb
from hyotan.report.markup import Html, tag
from hyotan.words import say

LARGEST_SHEET = 1600
"""Longest side of a sheet of many pictures, in pixels."""


@dataclass(frozen=True)
class Pictures:
    """Makes pictures of one size.

    Attributes
    ----------
    side : longest side of one picture, in pixels; 0 makes none and says so.
    lang : of what is said in their place.
    """

    side: int
    lang: str = "en"

    @property
    def are_dropped(self) -> bool:
        """Whether no pictures are made."""
        return self.side == 0

    def one(self, sample: np.ndarray, value_range: ValueRange, alt: str) -> Html:
        """One image, (height, width) or (3, height, width)."""
        return self.rgb(to_rgb(as_samples(sample[None]), value_range)[0], alt)

    def rgb(self, image: np.ndarray, alt: str) -> Html:
        """One image of bytes, (height, width, 3)."""
        if self.are_dropped:
            return Html("")
        return _img(Image.fromarray(np.ascontiguousarray(image)), self.side, alt)

    def sheet(
        self, samples: np.ndarray, value_range: ValueRange, columns: int, alt: str, gap: int | None = None
    ) -> Html:
        """Many images, (n, height, width) or (n, 3, height, width), side by side, row by row; nothing between shows."""
        if self.are_dropped:
            return tag("p", say("page.dropped", self.lang), class_="quiet")
        images = to_rgb(as_samples(samples), value_range)
        between = gap_of(images) if gap is None else gap
        colours = mosaic(images, columns, between)
        hidden = mosaic(np.zeros_like(images), columns, between)[..., :1]
        picture = Image.fromarray(np.concatenate([colours, 255 - hidden], axis=-1), "RGBA")
        return _img(picture, min(LARGEST_SHEET, self.side * columns), alt)


def _img(picture: Image.Image, side: int, alt: str) -> Html:
    if max(picture.size) > side:
        picture = picture.resize(_fitting(picture.size, side), Image.Resampling.LANCZOS)
    width, height = picture.size
    source = f"data:image/png;base64,{base64.b64encode(_png(picture)).decode('ascii')}"
    return tag("img", src=source, alt=alt, width=width, height=height)


def _fitting(size: Sequence[int], side: int) -> tuple[int, int]:
    share = side / max(size)
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _png(picture: Image.Image) -> bytes:
    pixels = np.asarray(picture)
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        picture = picture.convert("LA" if picture.mode == "RGBA" else "L")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
