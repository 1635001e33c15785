"""How well clusters of a code agree with the labels, in many runs: box plots by latent size and model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hyotan.errors import DataError, did_you_mean
from hyotan.figures.canvas import QUIET, WIDTH, Array, FigureDisplay, frozen
from hyotan.figures.charts import BoxChart
from hyotan.figures.styles import Appearance, looks_of
from hyotan.words import say

TITLES = {
    "v_measure": "V-measure",
    "accuracy": "Accuracy, clusters named in the best way",
    "nmi": "Normalised mutual information",
    "ari": "Adjusted Rand index",
}
MEASURES = ("v_measure", "accuracy", "ari")
"""What is drawn unless asked otherwise; with the arithmetic mean, the NMI is the V-measure."""

Runs = Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class ClusteringDisplay(FigureDisplay):
    """Boxes of the middle half of the runs, whiskers to the worst and the best, one panel a measure.

    Attributes
    ----------
    measures, models : tuple of str
    sizes : array of shape (sizes,)
        Latent sizes, ascending.
    values : array of shape (measures, models, sizes, runs)
        NaN where a model has no such size, or fewer runs than another.
    sizeless : mapping of name to its runs
        Of what has no latent size, such as clusters of the data themselves: an array for each measure.
    names : mapping of model to what is written for it
    """

    measures: tuple[str, ...]
    models: tuple[str, ...]
    sizes: Array
    values: Array
    sizeless: Mapping[str, Sequence[Array]]
    names: Mapping[str, str]

    @classmethod
    def from_runs(
        cls,
        runs: Mapping[tuple[str, int], Runs],
        references: Mapping[str, Runs] | None = None,
        *,
        measures: Sequence[str] = MEASURES,
        names: Mapping[str, str] | None = None,
    ) -> ClusteringDisplay:
        """From every run's measures by model and latent size.

        Parameters
        ----------
        runs : ``runs["vae", 16]["v_measure"]`` is the list of its values; runs of several repeats in one list.
        references : the same for what has no latent size, by the name to write, or ``raw``.
        measures : the panels, the most important first.
        names : what to write for a model, ``names["ae"]``.

        Raises
        ------
        DataError
            There is no run, or a run lacks a measure.
        """
        if not runs:
            raise DataError("There is no clustering to draw.", "Cluster the codes of at least one model.")
        models = tuple(dict.fromkeys(model for model, _ in runs))
        sizes = sorted({size for _, size in runs})
        longest = max(len(_taken(found, measures[0])) for found in runs.values())
        values = np.full((len(measures), len(models), len(sizes), longest), np.nan)
        for (model, size), found in runs.items():
            for index, measure in enumerate(measures):
                column = _taken(found, measure)
                values[index, models.index(model), sizes.index(size), : len(column)] = column
        sizeless = {
            name: [frozen(_taken(found, measure)) for measure in measures] for name, found in (references or {}).items()
        }
        return cls(tuple(measures), models, frozen(sizes), frozen(values), sizeless, dict(names or {}))

    @property
    def references(self) -> dict[str, Array]:
        """Least, mean and greatest value of what has no latent size, (measures, 3) each."""
        return {
            name: np.array([[runs.min(), runs.mean(), runs.max()] for runs in found])
            for name, found in self.sizeless.items()
        }

    def charts(self, lang: str) -> list[BoxChart]:
        """A box for each model and size, and for what has no size; a chart a measure."""
        looks, others = looks_of(self.models, self.names), self._reference_looks()
        drawn = []
        for index, measure in enumerate(self.measures):
            groups = [
                (say("short.sized", lang, model=look.name, size=size), _known(runs).tolist(), look.color_number)
                for look, rows in zip(looks, self.values[index], strict=True)
                for size, runs in zip(self.sizes, rows, strict=True)
                if np.isfinite(runs).any()
            ]
            runs = [found[index].tolist() for found in self.sizeless.values()]
            groups += [(look.name, found, look.color_number) for look, found in zip(others, runs, strict=True)]
            name = say(f"measure.{measure}", lang)
            unit = say("study.with_direction", lang, name=name, direction=say("study.higher", lang))
            drawn.append(BoxChart(name, unit, groups))
        return drawn

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain values: ``runs`` of each model, size and measure, and the references."""
        found = [
            {"model": model, "latent_dim": int(size)}
            | {measure: _known(self.values[i, j, k]).tolist() for i, measure in enumerate(self.measures)}
            for j, model in enumerate(self.models)
            for k, size in enumerate(self.sizes)
            if np.isfinite(self.values[0, j, k]).any()
        ]
        ends = ("lowest", "mean", "highest")
        lines = {
            name: {m: dict(zip(ends, row, strict=True)) for m, row in zip(self.measures, table.tolist(), strict=True)}
            for name, table in self.references.items()
        }
        return {"runs": found, "references": lines}

    def _size(self) -> tuple[float, float]:
        return WIDTH, 3.4 if len(self.measures) == 1 else 5.8

    def _draw(self, figure: Figure | SubFigure) -> None:
        below = len(self.measures) - 1
        grid = figure.add_gridspec(2 if below else 1, max(1, below), height_ratios=[1.25, 1] if below else [1])
        places = [grid[0, :], *(grid[1, index] for index in range(below))]
        for index, place in enumerate(places):
            self._draw_panel(figure.add_subplot(place), index)
        handles = self._handles()
        figure.legend(handles=handles, loc="outside upper left", ncols=min(5, len(handles)))

    def _draw_panel(self, ax: Axes, index: int) -> None:
        ax.set_title(TITLES.get(self.measures[index], self.measures[index]))
        ax.grid(axis="y")
        for name, look in zip(self.references, self._reference_looks(), strict=True):
            low, mean, high = self.references[name][index]
            ax.axhspan(low, high, color=look.color, alpha=0.1, linewidth=0)
            ax.axhline(mean, color=look.color, linewidth=1.1, linestyle=look.line)
        width = 0.8 / len(self.models)
        for place, (row, look) in enumerate(zip(self.values[index], looks_of(self.models, self.names), strict=True)):
            offset = (place - (len(self.models) - 1) / 2) * width
            _draw_boxes(ax, row, np.arange(len(self.sizes)) + offset, 0.8 * width, look)
        ax.set_xticks(range(len(self.sizes)), [str(size) for size in self.sizes])
        ax.set_xlim(-0.55, len(self.sizes) - 0.45)
        ax.set_xlabel("latent size")
        ax.tick_params(axis="x", length=0)
        if index == 0:
            ax.set_ylabel("higher is better", color=QUIET)
            ax.set_title("box: middle half of the runs; whiskers: all of them", loc="right", fontsize=8, color=QUIET)

    def _reference_looks(self) -> list[Appearance]:
        return looks_of(tuple(self.references), self.names)

    def _handles(self) -> list[Any]:
        boxes = [_patch(look) for look in looks_of(self.models, self.names)]
        lines = [
            Line2D([], [], color=look.color, linestyle=look.line, label=look.name) for look in self._reference_looks()
        ]
        return boxes + lines


def _taken(found: Runs, measure: str) -> Sequence[float]:
    if measure not in found or not len(found[measure]):
        raise DataError(f"A clustering has no '{measure}'.", did_you_mean(measure, found))
    return found[measure]


def _known(values: Array) -> Array:
    return values[np.isfinite(values)]


def _draw_boxes(ax: Axes, rows: Array, places: Array, width: float, look: Appearance) -> None:
    """A box for each row of runs, (sizes, runs), that holds any."""
    some = [index for index, row in enumerate(rows) if np.isfinite(row).any()]
    drawn = ax.boxplot(
        [_known(rows[index]) for index in some],
        positions=[float(places[index]) for index in some],
        widths=width,
        whis=(0, 100),
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": look.color, "linewidth": 2.2},
        whiskerprops={"color": look.color},
        capprops={"color": look.color},
    )
    for box in drawn["boxes"]:
        box.set(facecolor=to_rgba(look.color, 0.22), edgecolor=look.color, hatch=look.hatch, linewidth=1)


def _patch(look: Appearance) -> Patch:
    return Patch(facecolor=to_rgba(look.color, 0.22), edgecolor=look.color, hatch=look.hatch, label=look.name)
