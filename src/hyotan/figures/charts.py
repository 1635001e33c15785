"""What a page can show: records of curves, boxes, bars, points and images, in words, with the table behind them.

A record knows nothing of HTML; :mod:`hyotan.report.svg` and :mod:`hyotan.report.pictures` draw it. Figures give their
records with :meth:`hyotan.figures.canvas.Display.charts` and draw the same numbers into files with Matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hyotan.words import aligned, shown

ValueRange = tuple[float, float]
"""What is drawn black and what is drawn white."""

Cells = tuple[list[str], list[list[str]]]
"""Head and rows of a table."""

WIDEST = 0.75
"""How far an interval may stretch an axis beyond the curves, as a share of what these need: of two values an interval
is six times as wide as they are apart, and a chart of intervals alone shows nothing."""


@dataclass(frozen=True)
class Chart:
    """A part of a page.

    Attributes
    ----------
    title : in words; may be empty where a heading says it already.
    caption : what else to know.
    is_aside : whether it is folded away until it is asked for.
    group : a heading over charts that follow each other.
    is_wide : whether it takes the page's width, instead of standing beside others.
    """

    title: str
    caption: str = field(default="", kw_only=True)
    is_aside: bool = field(default=False, kw_only=True)
    group: str = field(default="", kw_only=True)
    is_wide: ClassVar[bool] = False

    @property
    def kind(self) -> str | None:
        """A class for a style sheet."""
        return None

    def numbers(self) -> Cells | None:
        """The table of its numbers; None for images."""
        return None


@dataclass(frozen=True)
class Curve:
    """A name, its numbers, and where they are known the ends of their intervals.

    Attributes
    ----------
    name : in the legend.
    x, y : the numbers; a NaN is a missing value.
    low, high : of the intervals; NaN or None where there is none.
    color : place in the palette.
    marker : as Matplotlib spells it; empty for none.
    dashed : for what is only there to compare with.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    color: int = 0
    marker: str = "o"
    dashed: bool = False


@dataclass(frozen=True)
class LineChart(Chart):
    """Numbers along an axis.

    Attributes
    ----------
    title, x_label, y_label : in words, with units.
    curves : the lines.
    mark : a number on the x axis, and what is there.
    log_x, log_y : whether equal ratios take equal room; needs positive numbers.
    x_ticks : where the x axis is written, in place of round numbers.
    """

    x_label: str
    y_label: str
    curves: Sequence[Curve]
    mark: tuple[float, str] | None = None
    log_x: bool = False
    log_y: bool = False
    x_ticks: Sequence[float] | None = None

    def heights(self) -> list[float]:
        """What the y axis has to hold: the curves, and their intervals as far as these do not dwarf the curves."""
        low, high, room = self._reach()
        ends = [end for end in self._interval_ends() if self.is_known(end)]
        return [low, high, *[min(max(end, low - room), high + room) for end in ends]]

    @property
    def cuts(self) -> bool:
        """Whether some interval reaches beyond the drawing."""
        low, high, room = self._reach()
        return any(not low - room <= end <= high + room for end in self._interval_ends())

    def is_known(self, value: float) -> bool:
        """Whether a number has a place on the y axis."""
        return math.isfinite(value) and (not self.log_y or value > 0)

    def _reach(self) -> tuple[float, float, float]:
        """The lowest and the highest point of the curves, and how far intervals may stretch the axis beyond them."""
        found = [float(value) for curve in self.curves for value in curve.y if self.is_known(float(value))]
        low, high = min(found, default=0.0), max(found, default=1.0)
        return low, high, 0.0 if self.log_y else WIDEST * ((high - low) or abs(high) or 1.0)

    def _interval_ends(self) -> list[float]:
        columns = [column for curve in self.curves for column in (curve.low or (), curve.high or ())]
        return [float(value) for column in columns for value in column if value is not None]

    def numbers(self) -> Cells:
        """A row for each place on the x axis, a column for each curve."""
        places = sorted({float(value) for curve in self.curves for value in curve.x})
        columns = [_by_place(curve) for curve in self.curves]
        rows = [[shown(int(p) if p.is_integer() else p), *[column.get(p, "") for column in columns]] for p in places]
        return [self.x_label, *[curve.name for curve in self.curves]], rows


def _by_place(curve: Curve) -> dict[float, str]:
    low, high = curve.low or [None] * len(curve.x), curve.high or [None] * len(curve.x)
    points = zip(curve.x, curve.y, low, high, strict=True)
    return {float(place): _with_interval(float(value), a, b) for place, value, a, b in points}


def _with_interval(value: float, low: float | None, high: float | None) -> str:
    """A number and its interval in brackets."""
    if not math.isfinite(value):
        return ""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return shown(value)
    return f"{aligned(value, value)} [{aligned(low, value)}, {aligned(high, value)}]"


@dataclass(frozen=True)
class BoxChart(Chart):
    """Distributions side by side: median, quartiles, whiskers to 1.5 times their distance, single values beyond.

    Attributes
    ----------
    title, x_label : in words, with units.
    groups : name, values and colour of each box.
    """

    x_label: str
    groups: Sequence[tuple[str, Sequence[float], int]]

    def numbers(self) -> Cells:
        """Quartiles, ends and mean of each group."""
        rows = []
        for name, values, _ in self.groups:
            found = [*np.quantile(values, [0, 0.25, 0.5, 0.75, 1]), np.mean(values)] if len(values) else []
            rows.append([name, shown(len(values)), *([shown(float(value)) for value in found] or [""] * 6)])
        return ["", "n", "min", "25 %", "50 %", "75 %", "max", "mean"], rows


def box_of(values: Sequence[float]) -> tuple[float, float, float, float, float, list[float]]:
    """Lower quartile, median, upper quartile, both whiskers' ends, values beyond them.  Tukey 1977."""
    array = np.sort(np.asarray(values, dtype=np.float64))
    low, median, high = np.quantile(array, [0.25, 0.5, 0.75]).tolist()
    reach = 1.5 * (high - low)
    within = (array >= low - reach) & (array <= high + reach)
    return low, median, high, float(array[within][0]), float(array[within][-1]), array[~within].tolist()


@dataclass(frozen=True)
class BarChart(Chart):
    """A number for each name.

    Attributes
    ----------
    title, x_label : in words, with units.
    bars : names and numbers.
    hollow : names whose bar is only an outline.
    meanings : what a full and what a hollow bar means.
    """

    x_label: str
    bars: Sequence[tuple[str, float]]
    hollow: frozenset[str] = frozenset()
    meanings: tuple[str, str] = ("", "")

    def numbers(self) -> Cells:
        """Name and number."""
        return ["", self.x_label], [[name, shown(value)] for name, value in self.bars]


@dataclass(frozen=True, eq=False)
class ScatterChart(Chart):
    """Points in the plane, told apart by their class.

    Attributes
    ----------
    title, x_label, y_label : in words; axes without words mean nothing, and have no numbers.
    points : (n, 2).
    labels : the class of each point, as text; None for one class.
    order : the classes as they stand in the legend.
    quiet : classes that are drawn small and grey: other, unlabelled.
    """

    x_label: str
    y_label: str
    points: np.ndarray
    labels: Sequence[str] | None = None
    order: Sequence[str] = ()
    quiet: frozenset[str] = frozenset()

    def groups(self) -> dict[str, np.ndarray]:
        """The points of each class, (≤ n, 2), in the legend's order."""
        if self.labels is None:
            return {"": self.points}
        labels = np.array(self.labels)
        return {name: self.points[labels == name] for name in list(self.order) or sorted(set(self.labels))}

    @property
    def has_letters(self) -> bool:
        """Whether every class is one letter or figure that can stand in place of a marker."""
        names = [name for name in self.groups() if name not in self.quiet]
        return self.labels is not None and all(len(name) == 1 and name.isalnum() for name in names)

    def numbers(self) -> Cells:
        """Of each class: points, middle and spread."""
        rows = []
        for name, inside in self.groups().items():
            spread = np.stack([inside.mean(axis=0), inside.std(axis=0)], axis=1).ravel() if len(inside) else []
            rows.append([name, shown(len(inside)), *[shown(float(value)) for value in spread]])
        return ["", "n", *[f"{word} ({axis})" for axis in ("x", "y") for word in ("mean", "SD")]], rows


@dataclass(frozen=True, eq=False)
class ImageSheet(Chart):
    """Images side by side, row by row.

    Attributes
    ----------
    images : (n, height, width) or (n, 3, height, width).
    columns : images in a row; a sheet of one row is a strip.
    value_range : what is drawn black and white; found in the images where None.
    gap : pixels between them; found from their size where None.
    alt : what it shows, for who cannot see it; the title where it is empty.
    """

    images: np.ndarray
    columns: int
    value_range: ValueRange | None = None
    gap: int | None = None
    alt: str = field(default="", kw_only=True)

    @property
    def kind(self) -> str:
        """A class for a style sheet: a strip is as high as one image, a sheet of few columns is not enlarged much."""
        return "strip" if self.columns == len(self.images) else "sheet some" if self.columns <= 5 else "sheet"


@dataclass(frozen=True, eq=False)
class ImageTable(Chart):
    """Images in a table, such as originals and what each model makes of them, or one style under every label.

    Attributes
    ----------
    columns : what stands above each image; may be empty.
    rows : the row's name and its images, (columns, height, width) or (columns, 3, height, width).
    value_range : what is drawn black and white; found in each row where None.
    beneath : for some rows, by number, what stands beneath each image.
    headed : for some rows, by number, a heading above them.
    beside : what the last column is, and what stands in it in each row; empty for none.
    marked : row and column of images that stand out: their words beneath, or where there are none, a frame.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[str, np.ndarray]]
    value_range: ValueRange | None = None
    beneath: Mapping[int, Sequence[str]] = field(default_factory=dict)
    headed: Mapping[int, str] = field(default_factory=dict)
    beside: tuple[str, Sequence[str]] = ("", ())
    marked: Collection[tuple[int, int]] = ()
    is_wide: ClassVar[bool] = True
