"""How training went: the loss and its parts, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from hyotan.errors import DataError, did_you_mean
from hyotan.figures.canvas import QUIET, WIDTH, Array, FigureDisplay, frozen
from hyotan.figures.charts import Curve, LineChart
from hyotan.figures.chosen import thinned
from hyotan.figures.lines import draw_lines
from hyotan.words import say

NATS = "nats per sample\n(lower is better)"
MOST_EPOCHS = 400
"""Points of a curve on a page; longer histories are thinned."""


@dataclass(frozen=True)
class _Panel:
    """One small figure: which keys of the history it shows, and in which unit."""

    title: str
    unit: str
    keys: tuple[str, ...]
    marks_best: bool = False


_PARTS = (
    _Panel("Reconstruction", NATS, ("reconstruction", "val_reconstruction")),
    _Panel("KL", "nats per sample", ("kl", "val_kl")),
    _Panel("Squared error", "MSE per feature\n(lower is better)", ("mse", "val_mse")),
)
_SCHEDULES = (_Panel("Learning rate", "step size", ("learning_rate",)), _Panel("beta", "weight of the KL", ("beta",)))
_KEYS = ("loss", "val_loss", *(key for panel in (*_PARTS, *_SCHEDULES) for key in panel.keys))


@dataclass(frozen=True, eq=False)
class LossCurvesDisplay(FigureDisplay):
    """Training and validation loss together and each alone, then the loss's parts.

    Attributes
    ----------
    epochs : array of shape (epochs,)
    curves : mapping of a history's key to an array of shape (epochs,)
        Losses in nats per sample, ``mse`` per feature. NaN where an epoch has no such number; keys that no epoch has
        are left out.
    """

    epochs: Array
    curves: Mapping[str, Array]

    @classmethod
    def from_history(cls, history: Sequence[Mapping[str, Any]]) -> LossCurvesDisplay:
        """From an estimator's ``history_``: one mapping an epoch with ``loss`` and what else there is.

        Raises
        ------
        DataError
            The history is empty, or no epoch has a ``loss``.
        """
        if not len(history):
            raise DataError("The history is empty: there is no epoch to draw.", "Fit first, for at least one epoch.")
        curves = {key: frozen([_number(record.get(key)) for record in history]) for key in _KEYS}
        curves = {key: values for key, values in curves.items() if not np.isnan(values).all() or key == "loss"}
        if not any("loss" in record for record in history):
            seen = {key for record in history for key in record}
            raise DataError("No epoch of the history has a 'loss'.", did_you_mean("loss", map(str, seen)))
        epochs = [record.get("epoch", index) for index, record in enumerate(history, start=1)]
        return cls(frozen(epochs, dtype=np.float64), curves)

    @property
    def best_epoch(self) -> int | None:
        """The epoch of the lowest finite validation loss, or None without one."""
        index = self._best_index()
        return None if index is None else int(self.epochs[index])

    def _best_index(self) -> int | None:
        losses = self.curves.get("val_loss")
        if losses is None or not np.isfinite(losses).any():
            return None
        return int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))

    def panels(self) -> tuple[str, ...]:
        """The panels' titles in the order in which they are drawn."""
        return tuple(panel.title for panel in self._panels())

    def _panels(self) -> list[_Panel]:
        parts = [panel for panel in _PARTS if any(key in self.curves for key in panel.keys)]
        schedules = [panel for panel in _SCHEDULES if any(_varies(self.curves.get(key)) for key in panel.keys)]
        return [*self._loss_panels(), *parts, *schedules]

    def _loss_panels(self) -> list[_Panel]:
        if "val_loss" not in self.curves:
            return [_Panel("Training loss", NATS, ("loss",))]
        return [
            _Panel("Loss", NATS, ("loss", "val_loss"), marks_best=True),
            _Panel("Training alone", NATS, ("loss",)),
            _Panel("Validation alone", NATS, ("val_loss",), marks_best=True),
        ]

    def charts(self, lang: str) -> list[LineChart]:
        """Reconstruction and KL apart, with the epoch that was kept; aside, the same on a logarithmic axis and the
        learning rate.
        """
        if len(self.epochs) < 2:
            return []
        main = [chart for name in ("reconstruction", "kl") for chart in self._chart(name, "nats", lang)]
        aside = [
            replace(chart, title=say("curves.on_log", lang, title=chart.title), log_y=True)
            for chart in main
            if min(heights := chart.heights()) > 0 and max(heights) >= 1.5 * min(heights)
        ]
        aside += self._chart("learning_rate", "rate_unit", lang)
        return main + [replace(chart, is_aside=True) for chart in aside]

    def _chart(self, name: str, unit: str, lang: str) -> list[LineChart]:
        some = thinned(len(self.epochs), MOST_EPOCHS)
        first = "learning_rate" if name == "learning_rate" else "train"
        looks = {name: (first, 0, "o"), f"val_{name}": ("validation", 1, "s")}
        curves = [
            Curve(say(f"curves.{word}", lang), self.epochs[some].tolist(), numbers, color=color, marker=marker)
            for key, (word, color, marker) in looks.items()
            if key in self.curves
            for numbers in [self.curves[key][some].tolist()]
        ]
        kept = self.best_epoch or int(self.epochs[-1])
        title, x_label, y_label = (say(f"curves.{word}", lang) for word in (name, "epoch", unit))
        mark = float(kept), say("curves.best", lang, n=kept)
        return [LineChart(title, x_label, y_label, curves, mark)] if curves else []

    def _size(self) -> tuple[float, float]:
        rows = _rows(len(self._panels()))
        return WIDTH, 2.55 * len(rows) if rows != [1] else 3.2

    def _draw(self, figure: Figure | SubFigure) -> None:
        panels = self._panels()
        rows = _rows(len(panels))
        grid = figure.add_gridspec(len(rows), 6)
        places = [(row, column, 6 // count) for row, count in enumerate(rows) for column in range(count)]
        for panel, (row, column, span) in zip(panels, places, strict=True):
            self._draw_panel(figure.add_subplot(grid[row, column * span : (column + 1) * span]), panel)

    def _draw_panel(self, ax: Axes, panel: _Panel) -> None:
        epochs = self.epochs.tolist()
        looks = {False: ("training", 0, "o"), True: ("validation", 1, "s")}
        curves = [
            Curve(name, epochs, self.curves[key].tolist(), None, None, color, marker, dashed=color == 1)
            for key in panel.keys
            if key in self.curves
            for name, color, marker in [looks[key.startswith("val_")]]
        ]
        draw_lines(ax, LineChart(panel.title, "epoch", panel.unit, curves))
        ax.set_ylabel(panel.unit)
        if len(curves) > 1:
            ax.legend(handlelength=2.2)
        if panel.marks_best:
            self._mark_best(ax)

    def _mark_best(self, ax: Axes) -> None:
        index = self._best_index()
        if index is None:
            return
        epoch, loss = self.epochs[index], self.curves["val_loss"][index]
        ax.axvline(epoch, color=QUIET, linewidth=0.7, linestyle=":", zorder=0)
        ax.plot([epoch], [loss], marker="o", markersize=7, markerfacecolor="none", markeredgecolor="#222222", zorder=5)
        late = index >= len(self.epochs) / 2
        ax.annotate(
            f"best: epoch {epoch:g}\n{loss:.4g}",
            (epoch, loss),
            xytext=(-5 if late else 5, 12),
            textcoords="offset points",
            ha="right" if late else "left",
            va="bottom",
            fontsize=8,
        )


def _number(value: object) -> float:
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]


def _varies(values: Array | None) -> bool:
    return values is not None and np.nanmin(values) < np.nanmax(values)


def _rows(count: int) -> list[int]:
    """How many panels each row takes: at most three, rows as even as can be, the fuller first."""
    rows = -(-count // 3)
    return [count // rows + (row < count % rows) for row in range(rows)]
