"""The records of :mod:`hyotan.figures.charts` as inline SVG.

Why not Matplotlib's SVG: docs/decisions/0027. Colours are classes (``s0`` … ``s9``) that the style sheet gives a
value for each theme; every series has a marker or a pattern of its own as well. Coordinates are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, singledispatch
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.markers import MarkerStyle

from hyotan.figures.canvas import SHAPES
from hyotan.figures.charts import BarChart, BoxChart, Chart, Curve, LineChart, ScatterChart, box_of
from hyotan.report.markup import Html, tag
from hyotan.words import shown

COLOURS = 10
"""Colours that the style sheet has; more series begin again, with other markers."""

WIDTH, HEIGHT = 440, 280
LETTER = 6.6
"""Width of a Latin letter at the charts' size; a Japanese one takes twice as much."""

MARKERS_ON_A_LINE = 9

CIRCLE = "o"

Point = tuple[float, float]


@singledispatch
def drawn(chart: Chart, thumbnails: Any = None) -> tuple[Html, Html | None]:
    """A record's drawing, and its legend where it needs one; ``thumbnails`` makes what images it has."""
    raise TypeError(f"There is no drawing of {type(chart).__name__}.")


# -- marks and words -----------------------------------------------------------------------------------------------


@cache
def _outline(shape: str) -> tuple[Point, ...]:
    """The corners of a marker that Matplotlib has too, about (0, 0), y downwards; none for a circle."""
    style = MarkerStyle(shape)
    if shape == CIRCLE:
        return ()
    path = style.get_path().transformed(style.get_transform())
    corners = np.asarray(path.to_polygons()[0])[:-1] * [1.9, -1.9]
    return tuple((float(x), float(y)) for x, y in corners)


def marker(shape: str, radius: float = 3.6, x: float = 0.0, y: float = 0.0) -> str:
    """A marker's outline around a place, as path data."""
    corners = _outline(shape)
    if corners:
        return line_through((x + radius * dx, y + radius * dy) for dx, dy in corners) + "Z"
    r = px(radius)
    return f"M{px(x - radius)},{px(y)}a{r},{r} 0 1 0 {px(2 * radius)},0a{r},{r} 0 1 0 {px(-2 * radius)},0"


def line_through(points: Iterable[Point]) -> str:
    """A line through points, as path data."""
    return "M" + "L".join(f"{px(x)},{px(y)}" for x, y in points)


def colour(slot: int) -> str:
    """The class that gives a series its colour."""
    return f"s{slot % COLOURS}"


def px(value: float) -> str:
    """A coordinate, as short as a tenth of a pixel allows."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def width_of(text: str) -> float:
    """About how wide a text is drawn, in pixels."""
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> float:
    if ord(letter) > 0x2E7F:
        return 2 * LETTER
    return LETTER * (1.6 if letter in "mwMW@%" else 0.75 if letter in "ijltfrI.,:;'|()[] " else 1.1)


def shortened(text: str, width: float) -> str:
    """The text, cut with an ellipsis where it is wider than there is room."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - LETTER:
        text = text[:-1]
    return text + "…"


def swatch(style: str, *marks: Any) -> Html:
    """A legend's sign of a series."""
    return tag("svg", marks, viewBox="0 0 28 14", class_=f"swatch {style}".strip(), aria_hidden="true")


def legend(items: Sequence[tuple[Html, str]]) -> Html | None:
    """Signs and their names; None where there is only one."""
    if len(items) < 2:
        return None
    return tag("ul", [tag("li", sign, " ", name) for sign, name in items], class_="legend")


def words_at(x: float, y: float, words: str, anchor: str = "middle", **more: Any) -> Html:
    """Words that begin, end or have their middle at a place."""
    return tag("text", words, x=px(x), y=px(y), text_anchor=None if anchor == "start" else anchor, **more)


def frame(width: float, height: float, title: str, *parts: Any) -> Html:
    """A drawing with a name that can be read aloud."""
    box = f"0 0 {px(width)} {px(height)}"
    return tag("svg", tag("title", title), parts, viewBox=box, role="img", aria_label=title, class_="chart")


# -- axes ----------------------------------------------------------------------------------------------------------


def ticks_of(low: float, high: float, most: int = 6, whole: bool = False) -> list[float]:
    """Round numbers, at most ``most``, from ``low`` to ``high``; ``whole`` ones for what is counted."""
    if not high > low:
        return [low]
    raw = (high - low) / max(1, most - 1)
    size = 10.0 ** math.floor(math.log10(raw))
    steps = [size * factor for factor in (1, 2, 2.5, 5, 10) if not whole or (size * factor).is_integer()]
    step = next((step for step in steps if step >= raw * 0.999), 1.0)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 2, 5 of each decade that lies within; the powers of ten alone where these are many."""
    span = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 300 else (1,)
    found = [factor * 10.0**power for power in span for factor in factors]
    inside = [value for value in found if low / 1.15 <= value <= high * 1.15]
    return inside if len(inside) > 1 else [low, high]


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick's number, with as many decimals as its neighbours need."""
    if value == 0:
        return "0"
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=abs(value))
    if abs(value) >= 1e6 or (step and step < 1e-4):
        return shown(value, 3)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 0
    if round(step, decimals) != round(step, decimals + 2):
        decimals += 1
    return f"{value:,.{decimals}f}".replace("-", "−")


@dataclass(frozen=True)
class Axis:
    """From numbers to pixels.

    Attributes
    ----------
    low, high : the numbers at both ends.
    start, end : their pixels.
    logarithmic : whether equal ratios take equal room.
    ticks : where numbers are written.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    ticks: Sequence[float] = ()

    @staticmethod
    def over(
        values: Sequence[float], start: float, end: float, logarithmic: bool = False, zero: bool = False, most: int = 6
    ) -> Axis:
        """An axis that holds the values, with a little air; ``zero`` begins it at 0."""
        known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(known), max(known)
        if logarithmic:
            return Axis(low / 1.15, high * 1.15, start, end, True, decades(low, high))
        low = min(0.0, low) if zero else low
        air = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
        low, high = low if zero and low == 0 else low - air, high + air
        return Axis(low, high, start, end, False, ticks_of(low, high, most))

    def at(self, value: float) -> float:
        """The pixel of a number."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def texts(self) -> list[str]:
        """What is written at the ticks."""
        return [tick_text(tick, self.ticks) for tick in self.ticks]


def left_axis(axis: Axis, left: float, right: float, label: str) -> list[Html]:
    """What the axis means above it, lines across, and their numbers at the left."""
    lines = "".join(f"M{px(left)},{px(axis.at(tick))}H{px(right)}" for tick in axis.ticks)
    places = zip(axis.ticks, axis.texts(), strict=True)
    numbers = [words_at(left - 6, axis.at(tick) + 4, text, "end") for tick, text in places]
    return [words_at(2, 12, label, "start", class_="unit"), tag("path", d=lines, class_="grid"), *numbers]


def bottom_axis(axis: Axis, bottom: float, label: str, top: float | None = None) -> list[Html]:
    """A line below the drawing with marks, their numbers and what they mean; from ``top`` a line up from each."""
    ups = "" if top is None else "".join(f"M{px(axis.at(tick))},{px(top)}V{px(bottom)}" for tick in axis.ticks)
    marks = "".join(f"M{px(axis.at(tick))},{px(bottom)}v4" for tick in axis.ticks)
    line = f"M{px(axis.start)},{px(bottom)}H{px(axis.end)}"
    numbers = [words_at(axis.at(tick), bottom + 17, text) for tick, text in zip(axis.ticks, axis.texts(), strict=True)]
    half = width_of(label) / 2 + 2  # in the middle, unless the words would leave the drawing
    middle = max(half, min((axis.start + axis.end) / 2, WIDTH - half))
    return [
        tag("path", d=ups, class_="grid") if ups else Html(""),
        tag("path", d=line + marks, class_="axis") if axis.ticks else Html(""),
        *numbers,
        words_at(middle, bottom + 37, label, class_="unit"),
    ]


# -- curves --------------------------------------------------------------------------------------------------------


@drawn.register
def _(chart: LineChart, thumbnails: Any = None) -> tuple[Html, Html | None]:
    y = Axis.over(chart.heights(), HEIGHT - 46, 26, chart.log_y, most=5)
    left = 14 + max(map(width_of, y.texts()))
    x = _across(chart, left + 6, WIDTH - 14)
    svg = frame(
        WIDTH,
        HEIGHT,
        chart.title,
        left_axis(y, left, WIDTH - 8, chart.y_label),
        bottom_axis(x, HEIGHT - 46, chart.x_label),
        None if chart.mark is None else _mark(x, *chart.mark),
        [tag("g", _band(one, chart, x, y), _curve(one, chart, x, y), class_=colour(one.color)) for one in chart.curves],
    )
    return svg, legend([(_line_sign(one), one.name) for one in chart.curves])


def _across(chart: LineChart, start: float, end: float) -> Axis:
    values = [float(value) for one in chart.curves for value in one.x]
    if chart.x_ticks is None and not chart.log_x:
        low, high = min(values), max(values)
        high = high if high > low else low + 1
        ticks = ticks_of(low, high, 7, all(value.is_integer() for value in values))
        return Axis(low, high, start, end, False, ticks)
    ticks = list(chart.x_ticks or decades(min(values), max(values)))
    low, high = min([*values, *ticks]), max([*values, *ticks])
    if chart.log_x:
        return Axis(low / 1.08, high * 1.08, start, end, True, ticks)
    return Axis(low - 0.02 * (high - low), high + 0.02 * (high - low) or low + 1, start, end, False, ticks)


def _mark(x: Axis, value: float, words: str) -> list[Html]:
    place = x.at(value)
    shift, anchor = (-5, "end") if place > (x.start + x.end) / 2 else (5, "start")
    line = tag("path", d=f"M{px(place)},16V{HEIGHT - 46}", class_="mark")
    return [line, words_at(place + shift, 24, words, anchor, class_="note")]


def _curve(one: Curve, chart: LineChart, x: Axis, y: Axis) -> list[Html]:
    known = [(a, b) for a, b in zip(one.x, one.y, strict=True) if chart.is_known(b)]
    points = [(x.at(a), y.at(b)) for a, b in known]
    line = tag("path", d=line_through(points), class_="ln dash" if one.dashed else "ln") if len(points) > 1 else None
    if not one.marker:
        return [line] if line else []
    step = max(1, -(-len(points) // MARKERS_ON_A_LINE))
    # Curves of one chart carry their markers at different places, so that none hides another.
    some = points[(one.color * step // 3) % step :: step]
    return [line or Html(""), tag("path", d="".join(marker(one.marker, x=a, y=b) for a, b in some), class_="mk")]


def _band(one: Curve, chart: LineChart, x: Axis, y: Axis) -> Html | None:
    ends = [
        (x.at(place), y.at(max(low, y.low)), y.at(min(high, y.high)))
        for place, low, high in zip(one.x, one.low or (), one.high or ())
        if low is not None and high is not None and chart.is_known(high) and math.isfinite(low)
    ]
    if not ends:
        return None
    if len(ends) == 1 or len(one.x) != len(ends):
        whiskers = "".join(f"M{px(a)},{px(b)}V{px(c)}M{px(a - 4)},{px(b)}h8M{px(a - 4)},{px(c)}h8" for a, b, c in ends)
        return tag("path", d=whiskers, class_="ln thin")
    return tag(
        "path", d=line_through([(a, c) for a, _, c in ends] + [(a, b) for a, b, _ in ends[::-1]]) + "Z", class_="bd"
    )


def _line_sign(one: Curve) -> Html:
    line = tag("path", d="M1,7H27", class_="ln dash" if one.dashed else "ln")
    mark = tag("path", d=marker(one.marker, 4, 14, 7), class_="mk") if one.marker else None
    return swatch(colour(one.color), line, mark)


# -- boxes and bars: they lie, so that names are read without turning the head, on a phone too ----------------------


def _lying(chart: BoxChart | BarChart, names: Sequence[str], pitch: float, x: Axis, rows: Sequence[Any]) -> Html:
    """Names at the left of an axis, from the top down, and the rows' marks."""
    bottom = 8 + pitch * len(names)
    words = [
        words_at(x.start - 8, 8 + pitch * (row + 0.5) + 4, shortened(name, x.start - 10), "end")
        for row, name in enumerate(names)
    ]
    return frame(WIDTH, bottom + 42, chart.title, bottom_axis(x, bottom, chart.x_label, 4), words, rows)


def _room_for(names: Sequence[str]) -> float:
    """Pixels for the names at the left: as wide as the widest, within reason."""
    return min(170.0, max(40.0, 14 + max(map(width_of, names), default=0)))


@drawn.register
def _(chart: BoxChart, thumbnails: Any = None) -> tuple[Html, Html | None]:
    names = [name for name, _, _ in chart.groups]
    x = Axis.over([value for _, values, _ in chart.groups for value in values], _room_for(names), WIDTH - 14)
    rows = [_box(values, slot, 26 * row + 21, x) for row, (_, values, slot) in enumerate(chart.groups) if len(values)]
    return _lying(chart, names, 26, x, rows), None


def _box(values: Sequence[float], slot: int, y: float, x: Axis) -> Html:
    *five, beyond = box_of(values)
    low, median, high, least, most = (px(x.at(value)) for value in five)
    whiskers = f"M{least},{px(y)}H{low}M{high},{px(y)}H{most}M{least},{px(y - 4)}v8M{most},{px(y - 4)}v8"
    dots = "".join(marker(CIRCLE, 1.8, x.at(value), y) for value in beyond)
    return tag(
        "g",
        tag("path", d=whiskers, class_="ln thin"),
        tag("path", d=f"M{low},{px(y - 8)}H{high}V{px(y + 8)}H{low}Z", class_="box"),
        tag("path", d=f"M{median},{px(y - 8)}v16", class_="ln"),
        tag("path", d=dots, class_="mk") if dots else None,
        class_=colour(slot),
    )


@drawn.register
def _(chart: BarChart, thumbnails: Any = None) -> tuple[Html, Html | None]:
    names = [name for name, _ in chart.bars]
    x = Axis.over([value for _, value in chart.bars], _room_for(names), WIDTH - 44, zero=True)
    pitch = 22 if len(names) <= 16 else 16
    rows = []
    for row, (name, value) in enumerate(chart.bars):
        start, end = sorted((x.at(0), x.at(value)))
        top = 8 + pitch * row
        rows += [
            _bar(name in chart.hollow, start, top + 3, max(0.8, end - start), pitch - 6),
            words_at(end + 5, top + pitch / 2 + 4, shown(value, 3), "start", class_="note"),
        ]
    signs = [swatch("", _bar(is_hollow, 1, 2, 26, 10)) for is_hollow in (False, True)]
    named = chart.hollow & set(names)
    return _lying(chart, names, pitch, x, rows), legend([*zip(signs, chart.meanings, strict=True)]) if named else None


def _bar(is_hollow: bool, x: float, y: float, width: float, height: float) -> Html:
    style = f"{'hollow' if is_hollow else 'bar'} {colour(0)}"
    return tag("rect", x=px(x), y=px(y), width=px(width), height=px(height), class_=style)


# -- points --------------------------------------------------------------------------------------------------------


@drawn.register
def _(chart: ScatterChart, thumbnails: Any = None) -> tuple[Html, Html | None]:
    x, y = _square(chart)
    groups = list(chart.groups().items())
    clouds = [_cloud(chart, slot, name, x, y, inside) for slot, (name, inside) in enumerate(groups)]
    middles = [
        words_at(x.at(a), y.at(b) + 7, name, class_=f"big {colour(slot)}")
        for slot, (name, inside) in enumerate(groups if chart.has_letters else ())
        if len(inside) and name not in chart.quiet
        for a, b in [np.median(inside, axis=0).tolist()]
    ]
    axes = left_axis(y, x.start, x.end, chart.y_label), bottom_axis(x, y.start, chart.x_label, y.end)
    svg = frame(WIDTH, y.start + 42, chart.title, axes, clouds, middles)
    signs = [_class_sign(chart, slot, name, len(inside)) for slot, (name, inside) in enumerate(groups)]
    return svg, None if chart.labels is None else legend(signs)


def _square(chart: ScatterChart) -> tuple[Axis, Axis]:
    """Both axes on one scale: a step along one is as long as along the other."""
    low, high = chart.points.min(axis=0), chart.points.max(axis=0)
    middle, reach = (low + high) / 2, 0.53 * float((high - low).max() or 1.0)
    (a, b), (c, d) = [(float(m - reach), float(m + reach)) for m in middle]
    has_numbers = bool(chart.x_label or chart.y_label)
    across, up = (ticks_of(a, b, 7), ticks_of(c, d, 7)) if has_numbers else ((), ())
    left = 14 + max((width_of(tick_text(tick, up)) for tick in up), default=0.0)
    right, top = WIDTH - 6.0, 20.0
    return Axis(a, b, left, right, False, across), Axis(c, d, top + right - left, top, False, up)


def _cloud(chart: ScatterChart, slot: int, name: str, x: Axis, y: Axis, inside: np.ndarray) -> Html:
    pixels = [(x.at(a), y.at(b)) for a, b in inside.tolist()]
    size = 4.2 if len(chart.points) < 200 else 2.8
    if name not in chart.quiet and chart.has_letters:
        across, down = " ".join(px(a) for a, _ in pixels), " ".join(px(b + 3.6) for _, b in pixels)
        style = f"pt {colour(slot)} glyph"
        return tag("text", name * len(pixels), x=across, y=down, text_anchor="middle", class_=style)
    style, shape = f"pt {colour(slot)}", SHAPES[slot % len(SHAPES)]
    if name in chart.quiet:
        style, shape, size = "pt rest", CIRCLE, 1.6
    elif chart.labels is None:
        size *= 0.55
    return tag("path", d="".join(marker(shape, size, a, b) for a, b in pixels), class_=style)


def _class_sign(chart: ScatterChart, slot: int, name: str, count: int) -> tuple[Html, str]:
    """A class's sign, its name, and how many points it has."""
    if name in chart.quiet:
        return swatch("", tag("path", d=marker(CIRCLE, 1.6, 14, 7), class_="pt rest")), f"{name} ({count:,})"
    if chart.has_letters:
        return tag("b", name, class_=f"letter {colour(slot)}"), f"({count:,})"
    shape = tag("path", d=marker(SHAPES[slot % len(SHAPES)], 4, 14, 7), class_="mk")
    return swatch(colour(slot), shape), f"{name} ({count:,})"
