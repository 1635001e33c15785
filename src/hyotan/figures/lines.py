"""Curves on axes, drawn from their record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from hyotan.figures.canvas import INK, PALETTE
from hyotan.figures.charts import Curve, LineChart

MOST_MARKERS = 20
"""A curve of more points has no markers; they would hide it."""


def draw_lines(ax: Axes, chart: LineChart) -> None:
    """Draw curves with their intervals, the title and the words along x; those along y are the caller's."""
    for one in chart.curves:
        _draw_curve(ax, chart, one)
    if chart.log_x:
        ax.set_xscale("log", base=2 if chart.x_ticks else 10)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        if chart.x_ticks:
            ax.xaxis.set_major_locator(FixedLocator(list(chart.x_ticks)))
            ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    if chart.log_y:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
        ax.tick_params(which="minor", labelsize=8.5, labelcolor=INK)
    ax.margins(x=0.05, y=0.1)
    ax.grid(which="both", axis="both" if chart.log_x else "y")
    ax.set_title(chart.title)
    ax.set_xlabel(chart.x_label)


def list_at_the_right(ax: Axes) -> None:
    """Put the legend beside the axes."""
    ax.legend(handlelength=2.8, labelspacing=0.7, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)


def _draw_curve(ax: Axes, chart: LineChart, one: Curve) -> None:
    known = np.array([chart.is_known(value) for value in one.y])
    x, y = np.asarray(one.x, float)[known], np.asarray(one.y, float)[known]
    color = PALETTE[one.color % len(PALETTE)]
    if one.low is not None and one.high is not None:
        low, high = (_ends(ends, one.y)[known] for ends in (one.low, one.high))
        ax.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
        ax.vlines(x, low, high, color=color, linewidth=1)
    marker = one.marker if len(x) <= MOST_MARKERS else ""
    line = (0, (4, 1.5)) if one.dashed else "-"
    ax.plot(x, y, color=color, linestyle=line, marker=marker, markersize=4.5, linewidth=1.4, label=one.name)


def _ends(ends: Sequence[float | None], values: Sequence[float]) -> np.ndarray:
    """The ends of intervals; the value itself where there is none."""
    found = np.array([np.nan if end is None else end for end in ends], dtype=np.float64)
    return np.where(np.isfinite(found), found, values)
