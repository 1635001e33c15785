"""A measure against the latent size: one line a model, its interval over the repeats, the baselines dashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hyotan.errors import DataError
from hyotan.figures.canvas import QUIET, WIDTH, Array, AxesDisplay, frozen
from hyotan.figures.charts import Curve, LineChart
from hyotan.figures.lines import draw_lines, list_at_the_right
from hyotan.figures.styles import looks_of
from hyotan.words import say

Ends = tuple[float, float | None, float | None]


@dataclass(frozen=True, eq=False)
class SizeCurvesDisplay(AxesDisplay):
    """Means by latent size with their intervals, and what has no size as a level.

    Attributes
    ----------
    measure : str
        What the numbers are, with their unit.
    models : tuple of str
    sizes : array of shape (sizes,)
    means, lows, highs : arrays of shape (models, sizes)
        NaN where a model has no such size, or a single value no interval.
    levels : mapping of name to value
        Of what has no latent size, such as the mean of the data.
    lower_is_better : bool or None
        None where neither is better.
    names : mapping of model to what is written for it
    """

    measure: str
    models: tuple[str, ...]
    sizes: Array
    means: Array
    lows: Array
    highs: Array
    levels: Mapping[str, float]
    lower_is_better: bool | None
    names: Mapping[str, str]

    @classmethod
    def from_curves(
        cls,
        curves: Mapping[str, Mapping[int, Ends]],
        measure: str,
        *,
        levels: Mapping[str, float] | None = None,
        lower_is_better: bool | None = True,
        names: Mapping[str, str] | None = None,
    ) -> SizeCurvesDisplay:
        """From ``curves[model][size] = (mean, low, high)``; low and high are None for a single value.

        Parameters
        ----------
        levels : values of what has no size, by model (``mean``, ``raw``) or by the name to write.

        Raises
        ------
        DataError
            There is no curve, or a size is below 1.
        """
        sizes = sorted({size for curve in curves.values() for size in curve})
        if not sizes or sizes[0] < 1:
            raise DataError(
                f"A curve needs latent sizes of 1 or more; got {sizes}.", "Give what has no size as levels."
            )
        table = np.full((3, len(curves), len(sizes)), np.nan)
        for row, curve in enumerate(curves.values()):
            for size, ends in curve.items():
                table[:, row, sizes.index(size)] = [np.nan if end is None else end for end in ends]
        return cls(
            measure,
            tuple(curves),
            frozen(sizes),
            frozen(table[0]),
            frozen(table[1]),
            frozen(table[2]),
            dict(levels or {}),
            lower_is_better,
            dict(names or {}),
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain values, None where there is none."""
        points = [
            {"model": model, "latent_dim": int(size)}
            | {name: _plain(table[i, j]) for name, table in _named(self.means, self.lows, self.highs)}
            for i, model in enumerate(self.models)
            for j, size in enumerate(self.sizes)
            if np.isfinite(self.means[i, j])
        ]
        return {"measure": self.measure, "points": points, "levels": dict(self.levels)}

    def charts(self, lang: str) -> list[LineChart]:
        """The same curves; nothing where there is one size."""
        if len(self.sizes) < 2:
            return []
        chart = self._chart(lang)
        return [replace(chart, caption=say("study.cut", lang) if chart.cuts else "")]

    def _chart(self, lang: str) -> LineChart:
        sizes, tables = self.sizes.tolist(), [table.tolist() for table in (self.means, self.lows, self.highs)]
        curves = [
            Curve(look.name, sizes, mean, low, high, look.color_number, look.marker, look.is_baseline)
            for look, mean, low, high in zip(looks_of(self.models, self.names), *tables, strict=True)
        ]
        ends = [sizes[0], *sizes[1:][-1:]]
        curves += [
            Curve(look.name, ends, [value] * len(ends), color=look.color_number, marker="", dashed=True)
            for look, value in zip(looks_of(tuple(self.levels), self.names), self.levels.values(), strict=True)
        ]
        better = {None: "", True: say("study.lower", lang), False: say("study.higher", lang)}[self.lower_is_better]
        ticks = _ticks(sizes)
        return LineChart(self.measure, say("study.size", lang), better, curves, log_x=True, x_ticks=ticks)

    def _size(self) -> tuple[float, float]:
        return WIDTH * 0.8, 3.5

    def _draw(self, ax: Axes) -> None:
        chart = self._chart("en")
        draw_lines(ax, chart)
        ax.set_title(chart.y_label, loc="right", fontsize=8, color=QUIET)
        list_at_the_right(ax)


def _ticks(sizes: Sequence[int]) -> list[int]:
    """The sizes to name: from the largest down, those that are at least a sixth of an octave apart."""
    kept: list[int] = []
    for size in reversed(sizes):
        if not kept or kept[-1] / size >= 2**0.3:
            kept.append(size)
    return kept[::-1]


def _named(*tables: Array) -> list[tuple[str, Array]]:
    return list(zip(("mean", "low", "high"), tables, strict=True))


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
