"""What charts are made of: markers, axes with round numbers, words of a known width. Coordinates are SVG pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hyotan.report.markup import Html, tag
from hyotan.words import shown

SLOTS = 10
"""Colours that the style sheet has; more series begin again, with other markers."""

WIDTH, HEIGHT = 440, 280
LETTER = 6.6
"""Width of a Latin letter at the charts' size; a Japanese one takes twice as much."""


# -- marks ---------------------------------------------------------------------------------------------------------

K = 0.42
OUTLINES: tuple[tuple[tuple[float, float], ...], ...] = (
    (),  # a circle
    ((-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)),  # square
    ((0, -1.25), (1.1, 0.86), (-1.1, 0.86)),  # triangle
    ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),  # diamond
    ((0, 1.25), (1.1, -0.86), (-1.1, -0.86)),  # triangle downwards
    tuple(
        (x, y)
        for x, y in (  # plus
            (-K, -1.2),
            (K, -1.2),
            (K, -K),
            (1.2, -K),
            (1.2, K),
            (K, K),
            (K, 1.2),
            (-K, 1.2),
            (-K, K),
            (-1.2, K),
            (-1.2, -K),
            (-K, -K),
        )
    ),
    ((0, -1.4), (K, -K), (1.4, 0), (K, K), (0, 1.4), (-K, K), (-1.4, 0), (-K, -K)),  # star
    ((-1.3, -K), (1.3, -K), (1.3, K), (-1.3, K)),  # bar lying
    ((-K, -1.3), (K, -1.3), (K, 1.3), (-K, 1.3)),  # bar standing
    ((-0.9, -1.1), (0.9, -1.1), (-0.9, 1.1), (0.9, 1.1)),  # hourglass
)
"""Corners of each marker, at radius 1."""


def marker(slot: int, radius: float = 3.6, x: float = 0.0, y: float = 0.0) -> str:
    """A marker's outline around a place, as path data."""
    corners = OUTLINES[slot % len(OUTLINES)]
    if not corners:
        r = px(radius)
        return f"M{px(x - radius)},{px(y)}a{r},{r} 0 1 0 {px(2 * radius)},0a{r},{r} 0 1 0 {px(-2 * radius)},0"
    return "M" + "L".join(f"{px(x + radius * dx)},{px(y + radius * dy)}" for dx, dy in corners) + "Z"


def dot(x: float, y: float, radius: float = 1.6) -> str:
    """A small circle, as path data."""
    return marker(0, radius, x, y)


def colour(slot: int) -> str:
    """The class that gives a series its colour."""
    return f"s{slot % SLOTS}"


def px(value: float) -> str:
    """A coordinate, as short as a tenth of a pixel allows."""
    text = f"{value:.1f}"
    text = text[:-2] if text.endswith(".0") else text
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


def swatch(slot: int, line: bool = False, dashed: bool = False) -> Html:
    """A legend's sign of a series."""
    stroke = tag("path", d="M1,7H27", class_="ln dash" if dashed else "ln") if line else None
    sign = None if dashed else tag("path", d=marker(slot, 4, 14, 7), class_="mk")
    return tag("svg", stroke, sign, viewBox="0 0 28 14", class_=f"swatch {colour(slot)}", aria_hidden="true")


def legend_of(items: Sequence[tuple[Html, str]]) -> Html | None:
    """Signs and their names; None where there is only one."""
    if len(items) < 2:
        return None
    return tag("ul", [tag("li", sign, " ", name) for sign, name in items], class_="legend")


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
    ticks: tuple[float, ...] = ()

    @staticmethod
    def over(
        values: Sequence[float], start: float, end: float, logarithmic: bool = False, zero: bool = False, most: int = 6
    ) -> Axis:
        """An axis that holds the values, with a little air; ``zero`` begins it at 0."""
        known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(known), max(known)
        if logarithmic:
            return Axis(low / 1.15, high * 1.15, start, end, True, tuple(decades(low, high)))
        low = min(0.0, low) if zero else low
        air = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
        low, high = low if zero and low == 0 else low - air, high + air
        return Axis(low, high, start, end, False, tuple(ticks_of(low, high, most)))

    def at(self, value: float) -> float:
        """The pixel of a number."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


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


def frame(width: float, height: float, title: str, *parts: Any) -> Html:
    """A drawing with a name that can be read aloud."""
    box = f"0 0 {px(width)} {px(height)}"
    return tag("svg", tag("title", title), parts, viewBox=box, role="img", aria_label=title, class_="chart")


def words_at(x: float, y: float, words: str, anchor: str = "middle", **more: Any) -> Html:
    """Words that begin, end or have their middle at a place."""
    return tag("text", words, x=px(x), y=px(y), text_anchor=None if anchor == "start" else anchor, **more)


def under(middle: float, y: float, words: str, width: float) -> Html:
    """An axis' words, in its middle unless they would leave the drawing."""
    half = width_of(words) / 2 + 2
    return words_at(max(half, min(middle, width - half)), y, words, class_="unit")


def left_axis(axis: Axis, left: float, right: float) -> list[Html]:
    """Lines across, and their numbers at the left."""
    lines = "".join(f"M{px(left)},{px(axis.at(tick))}H{px(right)}" for tick in axis.ticks)
    numbers = [words_at(left - 6, axis.at(tick) + 4, tick_text(tick, axis.ticks), "end") for tick in axis.ticks]
    return [tag("path", d=lines, class_="grid"), *numbers]


def bottom_axis(axis: Axis, bottom: float, texts: Sequence[str]) -> list[Html]:
    """A line below the drawing, with marks and their numbers; nothing for an axis that has none."""
    if not axis.ticks:
        return []
    marks = "".join(f"M{px(axis.at(tick))},{px(bottom)}v4" for tick in axis.ticks)
    line = f"M{px(axis.start)},{px(bottom)}H{px(axis.end)}"
    words = [words_at(axis.at(tick), bottom + 17, text) for tick, text in zip(axis.ticks, texts, strict=True)]
    return [tag("path", d=line + marks, class_="axis"), *words]
