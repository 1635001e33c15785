"""Charts as inline SVG: lines with bands, boxes, bars, points. Each is a record of numbers that draws itself.

Colours are classes (``s0`` … ``s9``) that the page's style sheet gives a value for each theme; every series has a
marker or a pattern of its own as well, and every chart the table of its numbers beneath.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hyotan.report.axes import (
    HEIGHT,
    WIDTH,
    Axis,
    bottom_axis,
    colour,
    decades,
    dot,
    frame,
    left_axis,
    legend_of,
    marker,
    px,
    swatch,
    tick_text,
    ticks_of,
    under,
    width_of,
    words_at,
)
from hyotan.report.markup import Html, join, tag
from hyotan.words import aligned, shown

MOST_POINTS = 1500
MARKERS_ON_A_LINE = 9

WIDEST = 0.75
"""How far an interval may stretch an axis beyond the lines, as a share of what these need: of two values an interval is
six times as wide as they are apart, and a chart of intervals alone shows nothing."""


class Chart(Protocol):
    """What a figure needs of a chart."""

    @property
    def title(self) -> str:
        """In words."""
        ...

    def svg(self) -> Html:
        """The drawing."""
        ...

    def legend(self) -> Html | None:
        """What its marks mean, beside the drawing."""
        ...

    def numbers(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the table of its numbers."""
        ...


# -- lines ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """One line: a name, its numbers, and where they are known the ends of their intervals.

    Attributes
    ----------
    name : in the legend.
    x, y : the numbers; NaN leaves a missing value.
    low, high : of the intervals; NaN or None where there is none.
    slot : colour and marker.
    dashed : for what is only there to compare with.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    slot: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class LineChart:
    """Numbers along an axis.

    Attributes
    ----------
    title, x_label, y_label : in words, with units.
    series : the lines.
    mark : a number on the x axis, and what is there.
    log_x, log_y : whether equal ratios take equal room; needs positive numbers.
    x_ticks : where the x axis is written, in place of round numbers.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    mark: tuple[float, str] | None = None
    log_x: bool = False
    log_y: bool = False
    x_ticks: Sequence[float] | None = None

    def svg(self) -> Html:
        """The drawing."""
        y = Axis.over(self._heights(), HEIGHT - 46, 26, self.log_y, most=5)
        left = 14 + max(width_of(tick_text(tick, y.ticks)) for tick in y.ticks)
        x = self._across(left + 6, WIDTH - 14)
        drawn = [part for one in self.series for part in self._line(one, x, y)]
        return frame(
            WIDTH,
            HEIGHT,
            self.title,
            words_at(2, 12, self.y_label, "start", class_="unit"),
            left_axis(y, left, WIDTH - 8),
            bottom_axis(x, HEIGHT - 46, [tick_text(tick, x.ticks) for tick in x.ticks]),
            under((left + WIDTH) / 2, HEIGHT - 8, self.x_label, WIDTH),
            self._mark(x),
            drawn,
        )

    def _across(self, start: float, end: float) -> Axis:
        values = [float(value) for one in self.series for value in one.x]
        if self.x_ticks is None and not self.log_x:
            low, high = min(values), max(values)
            whole = all(value.is_integer() for value in values)
            high = high if high > low else low + 1
            return Axis(low, high, start, end, False, tuple(ticks_of(low, high, 7, whole)))
        ticks = tuple(self.x_ticks) if self.x_ticks else tuple(decades(min(values), max(values)))
        low, high = min([*values, *ticks]), max([*values, *ticks])
        if self.log_x:
            return Axis(low / 1.08, high * 1.08, start, end, True, ticks)
        return Axis(low - 0.02 * (high - low), high + 0.02 * (high - low) or low + 1, start, end, False, ticks)

    def _heights(self) -> list[float]:
        """What the y axis has to hold: the lines, and their intervals as far as these do not dwarf the lines."""
        low, high = self._reach()
        ends = [end for end in self._interval_ends() if self._is_known(end)]
        return [low, high, *[min(max(end, low - self._room()), high + self._room()) for end in ends]]

    def _reach(self) -> tuple[float, float]:
        """The lowest and the highest point of the lines."""
        found = [float(value) for one in self.series for value in one.y if self._is_known(float(value))]
        return min(found, default=0.0), max(found, default=1.0)

    def _room(self) -> float:
        """How far intervals may stretch the axis: nowhere below 0 where it is logarithmic."""
        low, high = self._reach()
        return 0.0 if self.log_y else WIDEST * ((high - low) or abs(high) or 1.0)

    def _interval_ends(self) -> list[float]:
        columns = [column for one in self.series for column in (one.low or (), one.high or ())]
        return [float(value) for column in columns for value in column if value is not None]

    @property
    def cuts(self) -> bool:
        """Whether some interval reaches beyond the drawing."""
        low, high = self._reach()
        return any(not low - self._room() <= end <= high + self._room() for end in self._interval_ends())

    def _mark(self, x: Axis) -> Html | None:
        if self.mark is None:
            return None
        place = x.at(self.mark[0])
        right = place > (x.start + x.end) / 2
        words = words_at(
            place - 5 if right else place + 5, 24, self.mark[1], "end" if right else "start", class_="note"
        )
        return join([tag("path", d=f"M{px(place)},16V{HEIGHT - 46}", class_="mark"), words])

    def _line(self, one: Series, x: Axis, y: Axis) -> list[Html]:
        where = [index for index in range(len(one.x)) if self._is_known(one.y[index])]
        points = [(x.at(one.x[index]), y.at(one.y[index])) for index in where]
        pieces = [tag("path", d=_path(points), class_="ln dash" if one.dashed else "ln")] if len(points) > 1 else []
        if not one.dashed:
            step = max(1, -(-len(points) // MARKERS_ON_A_LINE))
            # Lines of one figure carry their markers at different places, so that none hides another.
            offset = (one.slot * step // 3) % step
            signs = "".join(marker(one.slot, x=a, y=b) for a, b in points[offset::step])
            pieces += [tag("path", d=signs, class_="mk")]
        return [tag("g", self._band(one, x, y), pieces, class_=colour(one.slot))]

    def _is_known(self, value: float) -> bool:
        return math.isfinite(value) and (not self.log_y or value > 0)

    def _band(self, one: Series, x: Axis, y: Axis) -> Html | None:
        if one.low is None or one.high is None:
            return None
        ends = [
            (x.at(place), float(low), float(high))
            for place, low, high in zip(one.x, one.low, one.high, strict=True)
            if low is not None and high is not None and self._is_known(float(high)) and math.isfinite(float(low))
        ]
        rows = [(place, y.at(max(low, y.low)), y.at(min(high, y.high))) for place, low, high in ends]
        if not rows:
            return None
        if len(rows) == 1 or len(one.x) != len(rows):
            whiskers = "".join(
                f"M{px(a)},{px(b)}V{px(c)}M{px(a - 4)},{px(b)}h8M{px(a - 4)},{px(c)}h8" for a, b, c in rows
            )
            return tag("path", d=whiskers, class_="ln thin")
        return tag(
            "path", d=_path([(a, c) for a, _, c in rows] + [(a, b) for a, b, _ in rows[::-1]]) + "Z", class_="bd"
        )

    def legend(self) -> Html | None:
        """Line, marker and name of each series."""
        return legend_of([(swatch(one.slot, True, one.dashed), one.name) for one in self.series])

    def numbers(self) -> tuple[list[str], list[list[str]]]:
        """A row for each place on the x axis, a column for each series."""
        places = sorted({float(value) for one in self.series for value in one.x})
        columns = [self._column(one) for one in self.series]
        rows = [[shown(int(p) if p.is_integer() else p), *[column.get(p, "") for column in columns]] for p in places]
        return [self.x_label, *[one.name for one in self.series]], rows

    def _column(self, one: Series) -> dict[float, str]:
        low, high = one.low or [None] * len(one.x), one.high or [None] * len(one.x)
        return {
            float(place): with_interval(float(value), a, b)
            for place, value, a, b in zip(one.x, one.y, low, high, strict=True)
        }


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """A number and its interval in brackets."""
    if not math.isfinite(value):
        return ""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return shown(value)
    return f"{aligned(value, value)} [{aligned(low, value)}, {aligned(high, value)}]"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{px(a)},{px(b)}" for a, b in points)


# -- points --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScatterChart:
    """Points in the plane, told apart by their class's own letter, or by shape, and by colour.

    Attributes
    ----------
    title, x_label, y_label : in words; axes without words mean nothing, and have no numbers.
    points : (n, 2).
    labels : the class of each point, as text; None for one class.
    order : the classes as they stand in the legend.
    note : how many of how many points these are.
    quiet : classes that are drawn small and grey: other, unlabelled.
    """

    title: str
    x_label: str
    y_label: str
    points: np.ndarray
    labels: Sequence[str] | None = None
    order: Sequence[str] = field(default_factory=tuple)
    quiet: frozenset[str] = frozenset()

    def svg(self) -> Html:
        """The drawing, both axes on one scale."""
        x, y = self._axes(bool(self.x_label or self.y_label))
        return frame(
            WIDTH,
            y.start + 42,
            self.title,
            left_axis(y, x.start, x.end),
            tag("path", d="".join(f"M{px(x.at(t))},{px(y.end)}V{px(y.start)}" for t in x.ticks), class_="grid"),
            bottom_axis(x, y.start, [tick_text(tick, x.ticks) for tick in x.ticks]),
            under((x.start + x.end) / 2, y.start + 37, self.x_label, WIDTH),
            words_at(2, 12, self.y_label, "start", class_="unit"),
            [self._group(name, x, y) for name in self._classes()],
            self._names(x, y),
        )

    def _axes(self, named: bool) -> tuple[Axis, Axis]:
        """A square: a step along one axis is as long as along the other."""
        low, high = self.points.min(axis=0), self.points.max(axis=0)
        middle, reach = (low + high) / 2, 0.53 * float((high - low).max() or 1.0)
        (a, b), (c, d) = [(float(m - reach), float(m + reach)) for m in middle]
        across, up = (tuple(ticks_of(a, b, 7)), tuple(ticks_of(c, d, 7))) if named else ((), ())
        left = 14 + max((width_of(tick_text(tick, up)) for tick in up), default=0.0)
        right, top = WIDTH - 6.0, 20.0
        return Axis(a, b, left, right, False, across), Axis(c, d, top + right - left, top, False, up)

    def _classes(self) -> list[str]:
        if self.labels is None:
            return [""]
        return list(self.order) or sorted(set(self.labels))

    def _group(self, name: str, x: Axis, y: Axis) -> Html:
        chosen = np.ones(len(self.points), bool) if self.labels is None else np.array(self.labels) == name
        pixels = [(x.at(a), y.at(b)) for a, b in self.points[chosen].tolist()]
        if name in self.quiet:
            return tag("path", d="".join(dot(a, b) for a, b in pixels), class_="pt rest")
        slot = self._classes().index(name)
        style, size = f"pt {colour(slot)}", 4.2 if len(self.points) < 200 else 2.8
        if self.labels is not None and self._are_letters():
            across = " ".join(px(a) for a, _ in pixels)
            down = " ".join(px(b + 3.6) for _, b in pixels)
            return tag("text", name * len(pixels), x=across, y=down, text_anchor="middle", class_=f"{style} glyph")
        if self.labels is None:
            return tag("path", d="".join(dot(a, b, 0.55 * size) for a, b in pixels), class_=style)
        return tag("path", d="".join(marker(slot, size, a, b) for a, b in pixels), class_=style)

    def _are_letters(self) -> bool:
        """Whether every class is one letter or figure that stands by itself."""
        names = [name for name in self._classes() if name not in self.quiet]
        return all(len(name) == 1 and name.isalnum() for name in names)

    def _names(self, x: Axis, y: Axis) -> list[Html]:
        """Each class's name in the middle of its points, where letters mark them."""
        if self.labels is None or not self._are_letters():
            return []
        parts = []
        for slot, name in enumerate(self._classes()):
            inside = self.points[np.array(self.labels) == name]
            if len(inside) and name not in self.quiet:
                a, b = np.median(inside, axis=0)
                parts.append(words_at(x.at(float(a)), y.at(float(b)) + 7, name, class_=f"big {colour(slot)}"))
        return parts

    def legend(self) -> Html | None:
        """Marker, name and number of points of each class."""
        if self.labels is None:
            return None
        counts = Counter(self.labels)
        letters = self._are_letters()
        rest = tag("svg", tag("path", d=dot(14, 7), class_="pt rest"), viewBox="0 0 28 14", class_="swatch")
        items = []
        for slot, name in enumerate(self._classes()):
            letter = tag("b", name, class_=f"letter {colour(slot)}")
            sign = rest if name in self.quiet else letter if letters else swatch(slot)
            items.append((sign, f"{'' if letters and name not in self.quiet else name} ({counts[name]:,})".strip()))
        return legend_of(items)

    def numbers(self) -> tuple[list[str], list[list[str]]]:
        """Of each class: points, middle and spread."""
        head = ["", "n", *[f"{word} ({axis})" for axis in ("x", "y") for word in ("mean", "SD")]]
        labels = np.array(self.labels) if self.labels is not None else np.array([""] * len(self.points))
        rows = []
        for name in self._classes():
            inside = self.points[labels == name]
            spread = [(inside[:, axis].mean(), inside[:, axis].std()) for axis in (0, 1)] if len(inside) else []
            rows.append([name, shown(len(inside)), *[shown(float(value)) for pair in spread for value in pair]])
        return head, rows
