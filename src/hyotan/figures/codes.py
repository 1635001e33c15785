"""Several planes beside each other, the same rows in each: raw codes, t-SNE of pixels and of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import PALETTE, QUIET, SHAPES, WIDTH, Array, FigureDisplay, finite_numbers, frozen, tidy
from hyotan.figures.charts import ScatterChart
from hyotan.figures.chosen import label_key, stratified
from hyotan.figures.scatter import UNLABELLED, merge_rare, scatter_chart, spread_out, write_names

MOST_POINTS = 2_000


@dataclass(frozen=True, eq=False)
class CodePlotsDisplay(FigureDisplay):
    """A grid of scatter plots, points coloured by class, each class named at its middle or in one legend for all.

    Attributes
    ----------
    points : array of shape (panels, n, 2)
    classes : array of shape (n,) of str, or None
    titles : tuple of str
    raw : tuple of bool
        Whether a panel's axes are the code's own: they have numbers and the origin then. Those of a projection mean
        nothing, and have none.
    order : tuple of str
        The classes, numbers by size, text by the alphabet.
    total : int
        How many rows there were; ``n`` of them are shown.
    """

    points: Array
    classes: Array | None
    titles: tuple[str, ...]
    raw: tuple[bool, ...]
    order: tuple[str, ...]
    total: int

    @classmethod
    def from_planes(
        cls,
        planes: Mapping[str, ArrayLike],
        labels: Sequence[Any] | None = None,
        *,
        raw: Sequence[str] = (),
        max_points: int = MOST_POINTS,
        random_state: int = 0,
    ) -> CodePlotsDisplay:
        """From planes of shape (n, 2) by their titles, row for row the same data in each.

        Parameters
        ----------
        labels : n labels, optional; the rarest classes beyond 20 are drawn as one.
        raw : titles of the planes whose axes are dimensions of the code.
        max_points : draw at most so many, in proportion from every class.

        Raises
        ------
        DataError
            There is no plane, they differ in their rows, or labels are of another number.
        """
        found = [finite_numbers(plane, f"The points of '{title}'") for title, plane in planes.items()]
        shapes = sorted({plane.shape for plane in found})
        if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] != 2 or not shapes[0][0]:
            raise DataError(f"Planes must all have one shape (n, 2); got {shapes}.", "Project the same rows in each.")
        total = shapes[0][0]
        if labels is not None and len(labels) != total:
            raise DataError(f"There are {total} points but {len(labels)} labels.", "Give one label a point.")
        texts = None if labels is None else _merged(labels)
        rows = stratified(texts, total, max_points, random_state)
        order = [] if texts is None else sorted({str(text) for text in texts}, key=label_key)
        titles = tuple(tidy(title, 44) for title in planes)
        return cls(
            frozen(np.stack(found)[:, rows]),
            None if texts is None else frozen(texts[rows]),
            titles,
            tuple(title in raw for title in planes),
            tuple(order),
            total,
        )

    @property
    def note(self) -> str:
        """How many points are shown, in words."""
        shown = self.points.shape[1]
        return f"{shown:,} points" if shown == self.total else f"{shown:,} of {self.total:,} points shown"

    def to_dict(self) -> dict[str, Any]:
        """The points drawn, panel by panel, and their classes, as plain values."""
        return {
            "panels": [
                {"title": title, "points": points.tolist()}
                for title, points in zip(self.titles, self.points, strict=True)
            ],
            "classes": None if self.classes is None else self.classes.tolist(),
        }

    def charts(self, lang: str) -> list[ScatterChart]:
        """A chart a panel; the axes of a projection mean nothing."""
        return [
            scatter_chart(title, points, self.classes, self.order, ("z0", "z1") if raw else ("", ""), lang, self.total)
            for title, points, raw in zip(self.titles, self.points, self.raw, strict=True)
        ]

    def _across(self) -> int:
        count = len(self.titles)
        return count if count <= 3 else 2 if count == 4 else 3

    def _named_inside(self) -> bool:
        return bool(self.order) and all(len(name) <= 3 for name in self.order)

    def _size(self) -> tuple[float, float]:
        across = self._across()
        side = min(4.0, WIDTH / across)
        room = 0.5 if self._named_inside() or not self.order else 0.45 + 0.24 * -(-len(self.order) // 5)
        return max(4.0, side * across), -(-len(self.titles) // across) * (side + 0.15) + room

    def _draw(self, figure: Figure | SubFigure) -> None:
        across = self._across()
        down = -(-len(self.titles) // across)
        for index, (title, points) in enumerate(zip(self.titles, self.points, strict=True)):
            ax = figure.add_subplot(down, across, index + 1)
            self._draw_points(ax, points)
            self._finish(ax, points, self.raw[index])
            ax.set_title(title)
        if self.order and not self._named_inside():
            legend = figure.legend(
                handles=self._handles(), loc="outside lower left", ncols=5, title=self.note, alignment="left"
            )
            legend.get_title().set(fontsize=8, color=QUIET)
        else:
            figure.supxlabel(self.note, fontsize=8, color=QUIET, x=0.01, ha="left")

    def _draw_points(self, ax: Axes, points: Array) -> None:
        size = float(np.clip(9000 / len(points) / self._across(), 3, 16))
        if self.classes is None:
            ax.scatter(*points.T, s=size, color=PALETTE[0], alpha=0.6, linewidths=0, rasterized=True)
            return
        for index, name in enumerate(self.order):
            inside = points[self.classes == name]
            look: dict[str, Any] = {"marker": self._shape(index), "color": _color(index)}
            ax.scatter(*inside.T, s=size, alpha=0.75, linewidths=0, rasterized=True, **look)
        if self._named_inside():
            self._name(ax, points)

    def _name(self, ax: Axes, points: Array) -> None:
        """Each class at the median of its points, the names pushed apart."""
        middles = np.array([np.median(points[self.classes == name], axis=0) for name in self.order])
        reach = np.quantile(points, 0.99, axis=0) - np.quantile(points, 0.01, axis=0)
        places = spread_out(middles, 0.09 * float(reach.max()))
        write_names(ax, self.order, places, 15 if self._across() < 3 else 13, 3.5)

    def _finish(self, ax: Axes, points: Array, is_raw: bool) -> None:
        ax.margins(0.04)
        ax.set_aspect("equal", adjustable="datalim")
        if not is_raw:
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[:].set_visible(True)
            ax.spines[:].set_color("#D0D0D0")
            return
        ax.axhline(0, color="#8C8C8C", linewidth=0.9, zorder=1)
        ax.axvline(0, color="#8C8C8C", linewidth=0.9, zorder=1)
        ax.grid()
        ax.set(xlabel="z0", ylabel="z1")

    def _shape(self, index: int) -> str:
        return SHAPES[index % len(SHAPES)] if not self._named_inside() else "o"

    def _handles(self) -> list[Line2D]:
        return [
            Line2D([], [], linestyle="none", marker=self._shape(index), color=_color(index), label=_legend(name))
            for index, name in enumerate(self.order)
        ]


def _color(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _legend(name: str) -> str:
    return name.lstrip("_") or "_"  # Matplotlib leaves names that begin with _ out of legends


def _merged(labels: Sequence[Any]) -> Array:
    return merge_rare(np.array([UNLABELLED if label is None else tidy(label) for label in labels]))
