"""Tables of images on axes, drawn from their records; blocks of them where one is not wide enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from hyotan.figures.canvas import INK, QUIET, VALIDATION, WIDTH, Array, tidy
from hyotan.figures.charts import ImageTable
from hyotan.figures.images import as_samples, centres, gap_of, mosaic, to_rgb, value_range_of

PER_ROW = 10
"""Images side by side; more begin a new block of rows."""

BENEATH, HEADING = 0.4, 0.6
"""Room for words beneath an image and for a heading above a row, in heights of an image."""


def letters(text: str) -> int:
    """Width of a text in Latin characters; a Japanese one is twice as wide."""
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)


def table_size(table: ImageTable, footer: Sequence[str] = ()) -> tuple[float, float]:
    """Inches that a table of images takes, with PER_ROW images a block where it has a footer."""
    count, (height, width) = max(len(images) for _, images in table.rows), table.rows[0][1].shape[-2:]
    across = min(count, PER_ROW) if footer else count
    cell, beside = _inches(table, across)
    tall = cell * min(3.0, height / width) * float(_tops(table, 1.07)[-1])
    room = 0.25 * bool(any(table.columns)) + 0.28 * bool(table.title) + 0.2 * (1 + max(map(_lines, footer), default=0))
    return min(WIDTH, max(2.6, beside + 1.07 * cell * across)), -(-count // across) * (tall + room)


def _inches(table: ImageTable, across: int) -> tuple[float, float]:
    """Width of an image, and of the words at both sides."""
    words = 0.4 + _inches_at_the_right(table) + 0.085 * max(letters(tidy(name, 30)) for name, _ in table.rows)
    return min(0.62 if across >= PER_ROW else 0.9, (WIDTH - words) / across / 1.07), words


def _inches_at_the_right(table: ImageTable) -> float:
    return 0.085 * max([letters(text) for text in table.beside[1]], default=0)


def _lines(text: str) -> int:
    return 1 + text.count("\n")


def _tops(table: ImageTable, pitch: float) -> Array:
    """Where the rows begin, in heights of an image, ``pitch`` apart where there are no words; last, where all end."""
    rows = range(len(table.rows))
    room = [pitch + BENEATH * (row in table.beneath) + HEADING * (row + 1 in table.headed) for row in rows]
    return np.concatenate([[0.0], np.cumsum(room)]) - [*[0.0] * len(room), pitch - 1]


def draw_table(ax: Axes, table: ImageTable, footer: Sequence[str] = (), across: int = 0) -> None:
    """Draw rows of images with their words.

    Parameters
    ----------
    ax : to draw on.
    table : the images.
    footer : what stands beneath each column.
    across : room for so many columns, where there are fewer.
    """
    rows = [to_rgb(samples := as_samples(row), table.value_range or value_range_of(samples)) for _, row in table.rows]
    height, width = rows[0].shape[1:3]
    gap, count = gap_of(rows[0]), max(map(len, rows))
    *tops, end = np.rint(_tops(table, 1 + gap / height) * height).astype(int)
    right = max(count, across) * (width + gap) - gap
    # Words at the right stand on the sheet: beside an image of fixed shape, the layout gives them no room.
    more = round(_inches_at_the_right(table) / _inches(table, count)[0] * width) + 2 * gap if table.beside[1] else 0
    sheet = np.full((end, right + more, 3), 255, dtype=np.uint8)
    for top, row in zip(tops, rows, strict=True):
        sheet[top : top + height, : len(row) * (width + gap) - gap] = mosaic(row, len(row), gap)
    ax.imshow(sheet)
    middles, at = centres(count, width, gap), np.array(tops) + (height - 1) / 2
    ax.set_yticks(at, [tidy(name, 30) for name, _ in table.rows])
    ax.set_xticks(middles if footer else (), footer)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if table.title:
        ax.set_title(tidy(table.title, 90))
    if any(table.columns):
        _write_columns(ax, [tidy(name, 12) for name in table.columns], middles, -gap - 0.5, bool(footer))
    for row, texts in table.beneath.items():
        _write_beneath(ax, texts, middles, tops[row] + 1.05 * height, [c for r, c in table.marked if r == row])
    for row, text in table.headed.items():
        ax.text(-0.5, tops[row] - 0.1 * height, text, ha="left", va="bottom", fontsize=9.5, fontweight="bold")
    for row, column in table.marked:
        if row not in table.beneath:
            corner = middles[column] - width / 2, at[row] - height / 2
            ax.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=VALIDATION, linewidth=1.8))
    if more:
        _write_beside(ax, table, [-gap - 0.5, *at], right + gap)


def _write_columns(ax: Axes, names: Sequence[str], middles: Array, above: float, has_footer: bool) -> None:
    size = 9 if max(map(letters, names)) <= 4 else 7
    if not has_footer:
        ax.set_xticks(middles, names, fontsize=size)
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("bottom")
        return
    for middle, name in zip(middles, names, strict=True):
        ax.text(middle, above, name, ha="center", va="bottom", fontsize=size)


def _write_beneath(ax: Axes, texts: Sequence[str], middles: Array, below: float, marked: Sequence[int]) -> None:
    longest = max(map(letters, texts))
    size = 8.5 if longest <= 3 else 7 if longest <= 7 else 5
    for column, (middle, text) in enumerate(zip(middles, texts, strict=True)):
        look: dict[str, Any] = {"color": VALIDATION, "fontweight": "bold"} if column in marked else {"color": QUIET}
        ax.text(middle, below, text, ha="center", va="top", fontsize=size, **look)


def _write_beside(ax: Axes, table: ImageTable, places: Sequence[float], left: float) -> None:
    head, texts = table.beside
    for text, place in zip([head, *texts], places, strict=False):
        look: dict[str, Any] = {"va": "bottom", "color": QUIET} if place < 0 else {"va": "center", "color": INK}
        ax.text(left, place, text, ha="left", fontsize=8.5, **look)


def draw_blocks(figure: Figure | SubFigure, table: ImageTable, footer: Sequence[str] = ()) -> list[Axes]:
    """Draw a table of images PER_ROW of them a block, one block beneath the other; see :func:`draw_table`."""
    count = len(table.rows[0][1])
    starts = range(0, count, PER_ROW)
    axes = [figure.add_subplot(len(starts), 1, block + 1) for block in range(len(starts))]
    for ax, start in zip(axes, starts, strict=True):
        part = slice(start, start + PER_ROW)
        rows = [(name, images[part]) for name, images in table.rows]
        block = replace(table, columns=table.columns[part], rows=rows)
        draw_table(ax, block, footer[part], min(PER_ROW, count))
    return axes
