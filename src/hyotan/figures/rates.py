"""Bits a row against error: one curve a model, PCA's dashed, files that lose nothing as marks at the lower edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hyotan.errors import DataError
from hyotan.figures.canvas import INK, QUIET, WIDTH, Array, AxesDisplay, frozen
from hyotan.figures.charts import Curve, LineChart
from hyotan.figures.lines import draw_lines, list_at_the_right
from hyotan.figures.styles import looks_of


@dataclass(frozen=True, eq=False)
class RatesDisplay(AxesDisplay):
    """What each model's bits buy.

    Attributes
    ----------
    models : tuple of str
    bits, errors : arrays of shape (models, rates)
        Bits a row, ascending, and mean squared errors a feature; NaN where a model has fewer rates than another.
    lossless : mapping of name to bits a row
    names : mapping of model to what is written for it
    """

    models: tuple[str, ...]
    bits: Array
    errors: Array
    lossless: Mapping[str, float]
    names: Mapping[str, str]

    @classmethod
    def from_rates(
        cls,
        rates: Mapping[str, Sequence[tuple[float, float]]],
        lossless: Mapping[str, float] | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> RatesDisplay:
        """From pairs of bits a row and error, by model (``pca``) or by the name to write.

        Parameters
        ----------
        lossless : bits a row of files without error, by name.

        Raises
        ------
        DataError
            There is no curve, or a number is not above 0: both axes are logarithmic.
        """
        if not rates:
            raise DataError("There is no rate to draw.", "Give the rates of at least one model.")
        for name, pairs in rates.items():
            if not len(pairs) or min(min(pair) for pair in pairs) <= 0:
                raise DataError(
                    f"The rates of '{name}' must be pairs above 0; got {list(pairs)[:3]}.", "Leave out what is not."
                )
        table = np.full((2, len(rates), max(map(len, rates.values()))), np.nan)
        for row, pairs in enumerate(rates.values()):
            table[:, row, : len(pairs)] = np.array(sorted(pairs)).T
        return cls(tuple(rates), frozen(table[0]), frozen(table[1]), dict(lossless or {}), dict(names or {}))

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain values."""
        curves = {
            model: [{"bits": b, "mse": e} for b, e in zip(*self._curve(row), strict=True)]
            for row, model in enumerate(self.models)
        }
        return {"curves": curves, "lossless": dict(self.lossless)}

    def _curve(self, row: int) -> tuple[list[float], list[float]]:
        known = np.isfinite(self.bits[row])
        return self.bits[row][known].tolist(), self.errors[row][known].tolist()

    def _size(self) -> tuple[float, float]:
        return WIDTH * 0.8, 3.8

    def _draw(self, ax: Axes) -> None:
        curves = [
            Curve(look.name, *self._curve(row), None, None, look.color_number, look.marker, look.is_baseline)
            for row, look in enumerate(looks_of(self.models, self.names))
        ]
        draw_lines(ax, LineChart("Mean squared error a feature", "bits a row", "", curves, log_x=True, log_y=True))
        for name, bits in self.lossless.items():
            self._mark(ax, name, bits)
        ax.set_title("to the left and below is better", loc="right", fontsize=8, color=QUIET)
        list_at_the_right(ax)

    @staticmethod
    def _mark(ax: Axes, name: str, bits: float) -> None:
        """A mark at the lower edge, for an error of 0 has no place on a logarithmic axis."""
        edge = ax.get_xaxis_transform()
        ax.plot([bits], [0], transform=edge, marker="v", color=INK, markersize=7, clip_on=False, linestyle="none")
        ax.annotate(
            f"{name}, no error",
            (bits, 0),
            xycoords=edge,
            xytext=(0, 9),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
        )
