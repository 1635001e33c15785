"""Rows of a table as a heat map: each column on its own scale, its name beneath."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage

from hyotan.errors import DataError
from hyotan.figures.canvas import CONTINUOUS, Array, tidy
from hyotan.figures.sheets import letters

MOST_NAMED = 40
"""Up to so many columns each have their name and cell; past that a row is drawn as a profile."""


def column_names(names: Sequence[object] | None, features: int) -> tuple[str, ...]:
    """The columns' names, ``x0, x1, …`` where none are given; raises DataError where their number is wrong."""
    if names is None:
        return tuple(f"x{index}" for index in range(features))
    if len(names) != features:
        raise DataError(f"There are {features} columns but {len(names)} column names.", "Give one name a column.")
    return tuple(str(name) for name in names)


def column_scale(values: Array) -> tuple[Array, Array]:
    """Lowest value and width, (features,) each, of every column; the width of a constant column is 1."""
    low = values.min(axis=0)
    width = values.max(axis=0) - low
    return low, np.where(width > 0, width, 1.0)


def draw_heat_map(ax: Axes, shares: Array, columns: Sequence[str], rows: Sequence[str] | None) -> AxesImage:
    """Draw (rows, features) numbers in [0, 1] as cells; without ``rows`` the rows are numbered. More columns than
    MOST_NAMED have no names.
    """
    image = ax.imshow(shares, aspect="auto", cmap=CONTINUOUS, vmin=0, vmax=1, interpolation="nearest")
    if len(columns) > MOST_NAMED:
        ax.set(xlabel="column", yticks=[])
        return image
    angle = 0 if max(map(letters, columns)) * len(columns) < 40 else 90
    ax.set_xticks(range(len(columns)), [tidy(name, 20) for name in columns], rotation=angle)
    step = max(1, -(-len(shares) // 36))
    marks = range(0, len(shares), step)
    ax.set_yticks(marks, [tidy(rows[index], 16) if rows else str(index + 1) for index in marks])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def draw_heat_maps(
    figure: Figure | SubFigure, maps: Mapping[str, Array], columns: Sequence[str], rows: Sequence[str] | None
) -> list[Axes]:
    """Draw heat maps of the same rows side by side, by their titles."""
    axes = [figure.add_subplot(1, len(maps), index + 1) for index in range(len(maps))]
    for ax, (title, shares) in zip(axes, maps.items(), strict=True):
        draw_heat_map(ax, shares, columns, rows)
        ax.set_title(title)
    for ax in axes[1:]:
        ax.set_yticklabels([])
    return axes


def draw_scale(figure: Figure | SubFigure, axes: Sequence[Axes], label: str) -> None:
    """Draw the colour scale of heat maps beneath them."""
    bar = figure.colorbar(axes[0].images[0], ax=axes, location="bottom", pad=0.02, shrink=0.9, aspect=20 * len(axes))
    bar.set_label(label, fontsize=8)
    bar.outline.set_visible(False)


def name_room(columns: Sequence[str]) -> float:
    """Inches that the columns' names need beneath the map."""
    return 0.35 + 0.085 * min(20, max(map(letters, columns)))
