"""Sheets of images on axes: rows and columns by name, and blocks of rows where one is not wide enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from hyotan.figures.canvas import tidy
from hyotan.figures.images import centres, gap_of, mosaic

PER_ROW = 10
"""Images side by side; more begin a new block of rows."""


def draw_sheet(
    ax: Axes,
    sheet: np.ndarray,
    rows: tuple[np.ndarray | Sequence[float], Sequence[str]] = ((), ()),
    columns: tuple[np.ndarray | Sequence[float], Sequence[str]] = ((), ()),
) -> None:
    """Draw (height, width, 3) bytes with the places and names of its rows and columns, and nothing else around it."""
    ax.imshow(sheet)
    ax.set_yticks(rows[0], rows[1])
    ax.set_xticks(columns[0], columns[1])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def block_count(n: int) -> int:
    """How many blocks ``n`` images take."""
    return -(-n // PER_ROW)


def size_of_image(n: int) -> tuple[float, int]:
    """Inches that an image is wide where there are ``n``, and how many stand side by side."""
    across = min(PER_ROW, n)
    return min(0.62 if across >= PER_ROW else 0.9, 6.0 / across / 1.07), across


def draw_blocks(
    figure: Figure | SubFigure,
    rows: Mapping[str, np.ndarray],
    labels: Sequence[str] | None,
    beneath: Sequence[str] | None,
) -> list[Axes]:
    """Draw rows of images, (n, height, width, 3) each, one beneath the other, PER_ROW of them a block.

    Parameters
    ----------
    figure : to draw on.
    rows : the images by the row's name.
    labels : what stands above each column.
    beneath : what stands beneath each column.
    """
    n = len(next(iter(rows.values())))
    axes = [figure.add_subplot(block_count(n), 1, block + 1) for block in range(block_count(n))]
    for block, ax in enumerate(axes):
        part = slice(block * PER_ROW, (block + 1) * PER_ROW)
        images = [row[part] for row in rows.values()]
        count, height, width, _ = images[0].shape
        gap, across = gap_of(images[0]), size_of_image(n)[1]
        blank = np.full((across - count, height, width, 3), 255, dtype=np.uint8)
        sheet = mosaic(np.concatenate([part for row in images for part in (row, blank)]), across, gap)
        middles = centres(count, width, gap)
        names = centres(len(rows), height, gap), list(rows)
        draw_sheet(ax, sheet, names, ((), ()) if beneath is None else (middles, beneath[part]))
        for middle, label in zip(middles, () if labels is None else labels[part], strict=False):
            ax.text(middle, -gap - 0.5, tidy(label, 8), ha="center", va="bottom", fontsize=9)
    return axes
