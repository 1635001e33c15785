"""A measure against the latent size: one line a model, its interval over the repeats, the baselines dashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from hyotan.errors import DataError
from hyotan.figures.canvas import INK, QUIET, WIDTH, Array, AxesDisplay, frozen
from hyotan.figures.styles import Appearance, looks_of

Ends = tuple[float, float | None, float | None]


@dataclass(frozen=True, eq=False)
class SizeCurvesDisplay(AxesDisplay):
    """Means by latent size with their intervals, and the size that is recommended.

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
    recommended : (model, size) or None
    lower_is_better : bool
    names : mapping of model to what is written for it
    """

    measure: str
    models: tuple[str, ...]
    sizes: Array
    means: Array
    lows: Array
    highs: Array
    levels: Mapping[str, float]
    recommended: tuple[str, int] | None
    lower_is_better: bool
    names: Mapping[str, str]

    @classmethod
    def from_curves(
        cls,
        curves: Mapping[str, Mapping[int, Ends]],
        measure: str,
        *,
        levels: Mapping[str, float] | None = None,
        recommended: tuple[str, int] | None = None,
        lower_is_better: bool = True,
        names: Mapping[str, str] | None = None,
    ) -> SizeCurvesDisplay:
        """From ``curves[model][size] = (mean, low, high)``; low and high are None for a single value.

        Parameters
        ----------
        levels : values of what has no size, by model (``mean``, ``raw``) or by the name to write.
        recommended : the model and size to mark.

        Raises
        ------
        DataError
            There is no curve, a size is below 1, or nothing was measured where the recommendation lies.
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
        if recommended is not None and recommended[1] not in curves.get(recommended[0], {}):
            raise DataError(
                f"Nothing was measured for the recommended model {recommended[0]!r} of size {recommended[1]}."
            )
        return cls(
            measure,
            tuple(curves),
            frozen(sizes),
            frozen(table[0]),
            frozen(table[1]),
            frozen(table[2]),
            dict(levels or {}),
            recommended,
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

    def _size(self) -> tuple[float, float]:
        return WIDTH * 0.8, 3.5

    def _draw(self, ax: Axes) -> None:
        for name, look in zip(self.levels, looks_of(tuple(self.levels), self.names), strict=True):
            ax.axhline(self.levels[name], color=look.color, linewidth=1.1, linestyle=look.line, label=look.name)
        looks = looks_of(self.models, self.names)
        for row, look in enumerate(looks):
            self._draw_curve(ax, row, look)
        if self.recommended is not None:
            self._mark(ax, *self.recommended)
        self._finish(ax)

    def _draw_curve(self, ax: Axes, row: int, look: Appearance) -> None:
        there = np.isfinite(self.means[row])
        sizes, means = self.sizes[there], self.means[row][there]
        lows, highs = (np.where(np.isfinite(ends), ends, self.means)[row][there] for ends in (self.lows, self.highs))
        ax.fill_between(sizes, lows, highs, color=look.color, alpha=0.15, linewidth=0)
        ax.vlines(sizes, lows, highs, color=look.color, linewidth=1)
        ax.plot(
            sizes, means, color=look.color, linestyle=look.line, marker=look.marker, markersize=5.5, label=look.name
        )

    def _mark(self, ax: Axes, model: str, size: int) -> None:
        value = self.means[self.models.index(model), int(np.flatnonzero(self.sizes == size)[0])]
        ax.axvline(size, color=INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        ax.plot(
            [size],
            [value],
            linestyle="none",
            marker="o",
            markersize=15,
            markerfacecolor="none",
            markeredgecolor=INK,
            markeredgewidth=1.3,
            label=f"recommended: {looks_of((model,), self.names)[0].name}, {size}",
        )

    def _finish(self, ax: Axes) -> None:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_locator(FixedLocator(_ticks(self.sizes.tolist())))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.margins(x=0.06, y=0.08)
        ax.grid()
        ax.set_xlabel("latent size")
        ax.set_title(self.measure)
        better = "lower is better" if self.lower_is_better else "higher is better"
        ax.set_title(better, loc="right", fontsize=8, color=QUIET)
        ax.legend(handlelength=2.8, labelspacing=0.7, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)


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
