"""Plot of the training speed: ``python -m benchmarks.figure results.json speed.png``."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from benchmarks.contestants import LIMITS
from hyotan.figures.canvas import INK, PALETTE, QUIET, WIDTH, FigureDisplay

OURS, OTHERS, LIMIT = PALETTE[0], "#B9C0C7", PALETTE[1]
COLUMNS = 2


@dataclass(frozen=True)
class Panel:
    """One network's race.

    Attributes
    ----------
    title : the network and, where it is not the usual one, the batch.
    rates : rows a second by contestant, a number a round; the limits are among them.
    """

    title: str
    rates: Mapping[str, Sequence[float]]

    @property
    def limit(self) -> float | None:
        """The faster of the float32 limits, rows a second."""
        return max((statistics.median(self.rates[name]) for name in LIMITS if name in self.rates), default=None)

    @property
    def bars(self) -> list[str]:
        """Who trains, the fastest first."""
        names = [name for name in self.rates if not name.startswith("limit")]
        return sorted(names, key=lambda name: -statistics.median(self.rates[name]))


@dataclass(frozen=True)
class SpeedDisplay(FigureDisplay):
    """Training speeds, a panel a network: who is how fast, and how far from the products alone.

    Attributes
    ----------
    panels : in their order, two in a row.
    where : the machine, in words.
    """

    panels: tuple[Panel, ...]
    where: str

    @classmethod
    def from_results(cls, results: Mapping[str, Any]) -> SpeedDisplay:
        """From what ``python -m benchmarks.speed --out`` wrote."""
        panels = [
            Panel(case["network"] + (f", batch {case['batch']:,}" if case["batch"] != 128 else ""), case["rates"])
            for case in results["cases"]
        ]
        return cls(tuple(panels), results["where"])

    def _size(self) -> tuple[float, float]:
        bars = max(len(panel.bars) for panel in self.panels)
        return WIDTH, math.ceil(len(self.panels) / COLUMNS) * (0.19 * bars + 0.75) + 0.35

    def _draw(self, figure: Figure | SubFigure) -> None:
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.09)  # type: ignore[union-attr]
        axes = list(figure.subplots(math.ceil(len(self.panels) / COLUMNS), COLUMNS, squeeze=False).flat)
        for ax, panel in zip(axes, self.panels, strict=False):
            draw(ax, panel)
        for ax in axes[len(self.panels) :]:
            ax.set_axis_off()
        caption = "Thousand rows a second, median and range. The line: a step's products alone; the share is of them."
        figure.supxlabel(f"{caption}\n{self.where}", fontsize=7.5, color=QUIET, x=0.01, ha="left")


def draw(ax: Axes, panel: Panel) -> None:
    """Bars of thousand rows a second with their ranges, the limit as a line, the figures beside them."""
    beside = ax.get_yaxis_transform()
    for place, name in enumerate(panel.bars):
        rates = [rate / 1000 for rate in panel.rates[name]]
        middle, is_ours = statistics.median(rates), name.startswith("hyotan")
        pale = 0.55 if name.endswith("bf16") else 1
        ax.barh(place, middle, height=0.72, color=OURS if is_ours else OTHERS, alpha=pale)
        ax.plot([min(rates), max(rates)], [place, place], color=INK, linewidth=0.9)
        share = "" if panel.limit is None else f"{1000 * middle / panel.limit:.0%}"
        how = {"va": "center", "ha": "right", "fontsize": 8, "weight": "bold" if is_ours else "normal"}
        ax.text(1.14, place, f"{middle:#.3g}".rstrip("."), transform=beside, **how)
        ax.text(1.30, place, share, transform=beside, **how)
    ax.set_yticks(range(len(panel.bars)), panel.bars)
    for label in ax.get_yticklabels():
        label.set_fontweight("bold" if label.get_text().startswith("hyotan") else "normal")
    if panel.limit is not None:
        ax.axvline(panel.limit / 1000, color=LIMIT, linewidth=1.6)
    ax.set_ylim(len(panel.bars) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.tick_params(axis="y", length=0)
    ax.set_title(panel.title)


def main() -> None:
    """Read, draw, save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figure", description=__doc__)
    parser.add_argument("results", type=Path, help="file written by python -m benchmarks.speed --out")
    parser.add_argument("picture", type=Path, help="output file: .png, .svg or .pdf")
    arguments = parser.parse_args()
    print(SpeedDisplay.from_results(json.loads(arguments.results.read_text(encoding="utf-8"))).save(arguments.picture))


if __name__ == "__main__":
    main()
