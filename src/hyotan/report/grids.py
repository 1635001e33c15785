"""Pictures in tables: rows by name, columns by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hyotan.figures.canvas import tidy
from hyotan.figures.images import ValueRange, value_range_of
from hyotan.report.data_uris import Pictures
from hyotan.report.markup import Html, join, tag
from hyotan.words import say


@dataclass(frozen=True, eq=False)
class Grid:
    """Pictures in a table, such as originals and what each model makes of them, or one style under every label.

    Attributes
    ----------
    title, caption : in words; the title may be empty where a heading says it already.
    columns : what stands above each picture.
    told : for some rows, by number, what stands beneath each picture.
    rows : the row's name and its images, (columns, height, width) or (columns, 3, height, width).
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, np.ndarray]]
    caption: str = ""
    told: Mapping[int, Sequence[str]] = field(default_factory=dict)


def grids(items: Sequence[Grid], value_range: ValueRange | None, pictures: Pictures, lang: str) -> Html:
    """Tables of pictures."""
    if not items:
        return Html("")
    if pictures.are_dropped:
        return tag("p", say("page.dropped", lang), class_="quiet")
    return join([_grid(one, value_range, pictures) for one in items])


def _grid(grid: Grid, value_range: ValueRange | None, pictures: Pictures) -> Html:
    head = tag("tr", tag("td"), [tag("th", tidy(name, 20), scope="col", class_="pic") for name in grid.columns])
    body = []
    for number, (name, images) in enumerate(grid.rows):
        ends = value_range or value_range_of(np.asarray(images))
        told = grid.told.get(number, [""] * len(grid.columns))
        cells = [
            _picture(pictures.one(np.asarray(image), ends, f"{name}, {column}"), word)
            for image, column, word in zip(images, grid.columns, told, strict=True)
        ]
        body.append(tag("tr", tag("th", tidy(name, 40), scope="row"), cells))
    inner = tag("table", tag("thead", head), tag("tbody", body), class_="picture-table")
    caption = tag("p", grid.caption, class_="quiet small") if grid.caption else None
    scroll = tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=grid.title or grid.caption)
    return join([tag("h3", grid.title) if grid.title else None, scroll, caption])


def _picture(image: Html, beneath: str) -> Html:
    return tag("td", image, tag("small", beneath) if beneath else None, class_="pic")
