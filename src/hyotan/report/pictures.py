"""Images inside a page: small PNG files in data URIs, each with a text for who cannot see it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hyotan.figures.canvas import tidy
from hyotan.figures.charts import ImageSheet, ImageTable, ValueRange
from hyotan.figures.images import as_samples, gap_of, mosaic, png_bytes, to_rgb, value_range_of
from hyotan.report.markup import Html, join, tag
from hyotan.report.svg import drawn
from hyotan.words import say

LARGEST_SHEET = 1600
"""Longest side of a sheet of many images, in pixels."""


@dataclass(frozen=True)
class Thumbnails:
    """Makes images of one size.

    Attributes
    ----------
    side : longest side of one image, in pixels; 0 makes none and says so.
    lang : of what is said in their place.
    """

    side: int = 0
    lang: str = "en"

    @property
    def are_dropped(self) -> bool:
        """Whether no images are made."""
        return self.side == 0

    def of(self, sample: np.ndarray, value_range: ValueRange, alt: str) -> Html:
        """One image, (height, width) or (3, height, width)."""
        return self.of_rgb(to_rgb(as_samples(np.asarray(sample)[None]), value_range)[0], alt)

    def of_rgb(self, image: np.ndarray, alt: str) -> Html:
        """One image of bytes, (height, width, 3)."""
        return Html("") if self.are_dropped else _img(Image.fromarray(np.ascontiguousarray(image)), self.side, alt)


@drawn.register
def _(chart: ImageSheet, thumbnails: Thumbnails) -> tuple[Html, None]:
    """One file; nothing shows between the images."""
    if thumbnails.are_dropped:
        return _dropped(thumbnails)
    samples = as_samples(chart.images)
    images = to_rgb(samples, chart.value_range or value_range_of(samples))
    gap = gap_of(images) if chart.gap is None else chart.gap
    colours = mosaic(images, chart.columns, gap)
    hidden = mosaic(np.zeros_like(images), chart.columns, gap)[..., :1]
    sheet = Image.fromarray(np.concatenate([colours, 255 - hidden], axis=-1), "RGBA")
    return _img(sheet, min(LARGEST_SHEET, thumbnails.side * chart.columns), chart.alt or chart.title), None


@drawn.register
def _(chart: ImageTable, thumbnails: Thumbnails) -> tuple[Html, None]:
    if thumbnails.are_dropped:
        return _dropped(thumbnails)
    beside = [chart.beside[0]] if chart.beside[1] else []
    names = [tag("th", tidy(name, 20), scope="col", class_="pic") for name in [*chart.columns, *beside]]
    body = [_row(chart, number, thumbnails) for number in range(len(chart.rows))]
    inner = tag("table", tag("thead", tag("tr", tag("td"), names)), tag("tbody", body), class_="picture-table")
    name = chart.title or chart.caption or chart.rows[0][0]
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=name), None


def _row(chart: ImageTable, number: int, thumbnails: Thumbnails) -> Html:
    name, images = chart.rows[number]
    ends = chart.value_range or value_range_of(np.asarray(images))
    beneath = chart.beneath.get(number, [""] * len(chart.columns))
    marked = [column for row, column in chart.marked if row == number]
    cells = [
        tag("td", thumbnails.of(image, ends, f"{name}, {column}"), _word(word, n in marked), class_="pic")
        for n, (image, column, word) in enumerate(zip(images, chart.columns, beneath, strict=True))
    ]
    cells += [tag("td", text) for text in chart.beside[1][number : number + 1]]
    heading = chart.headed.get(number)
    head = tag("tr", tag("th", heading, colspan=1 + len(cells), scope="rowgroup")) if heading else None
    return join([head, tag("tr", tag("th", tidy(name, 40), scope="row"), cells)])


def _word(word: str, is_marked: bool) -> Html | None:
    return tag("small", tag("b", word) if is_marked else word) if word else None


def _dropped(thumbnails: Thumbnails) -> tuple[Html, None]:
    return tag("p", say("page.dropped", thumbnails.lang), class_="quiet"), None


def _img(image: Image.Image, side: int, alt: str) -> Html:
    if max(image.size) > side:
        image = image.resize(_fitting(image.size, side), Image.Resampling.LANCZOS)
    width, height = image.size
    source = f"data:image/png;base64,{base64.b64encode(png_bytes(image)).decode('ascii')}"
    return tag("img", src=source, alt=alt, width=width, height=height)


def _fitting(size: Sequence[int], side: int) -> tuple[int, int]:
    share = side / max(size)
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))
