"""Boxes and bars as inline SVG. They lie: names at the left are read without turning the head, on a phone too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyotan.report.axes import (
    WIDTH,
    Axis,
    bottom_axis,
    colour,
    dot,
    frame,
    legend_of,
    px,
    shortened,
    tick_text,
    under,
    width_of,
    words_at,
)
from hyotan.report.markup import Html, join, tag
from hyotan.words import shown


@dataclass(frozen=True)
class BoxChart:
    """Distributions side by side: median, quartiles, whiskers to 1.5 times their distance, single values beyond.

    Attributes
    ----------
    title, x_label : in words, with units.
    groups : name, values and slot of each box.
    """

    title: str
    x_label: str
    groups: Sequence[tuple[str, Sequence[float], int]]

    def svg(self) -> Html:
        """The drawing."""
        room = _room([name for name, _, _ in self.groups])
        x = Axis.over([value for _, values, _ in self.groups for value in values], room, WIDTH - 14)
        bottom = 8 + 26 * len(self.groups)
        lines = "".join(f"M{px(x.at(tick))},4V{bottom}" for tick in x.ticks)
        rows = [self._row(index, x, room) for index in range(len(self.groups))]
        return frame(
            WIDTH,
            bottom + 42,
            self.title,
            tag("path", d=lines, class_="grid"),
            bottom_axis(x, bottom, [tick_text(tick, x.ticks) for tick in x.ticks]),
            under((room + WIDTH) / 2, bottom + 37, self.x_label, WIDTH),
            rows,
        )

    def _row(self, index: int, x: Axis, room: float) -> Html:
        name, values, slot = self.groups[index]
        y = 8 + 26 * index + 13
        words = words_at(room - 8, y + 4, shortened(name, room - 10), "end")
        if not len(values):
            return words
        low, median, high, least, most, beyond = box_of(values)
        box = f"M{px(x.at(low))},{px(y - 8)}H{px(x.at(high))}V{px(y + 8)}H{px(x.at(low))}Z"
        whiskers = (
            f"M{px(x.at(least))},{px(y)}H{px(x.at(low))}M{px(x.at(high))},{px(y)}H{px(x.at(most))}"
            f"M{px(x.at(least))},{px(y - 4)}v8M{px(x.at(most))},{px(y - 4)}v8"
        )
        middle = f"M{px(x.at(median))},{px(y - 8)}v16"
        dots = "".join(dot(x.at(value), y, 1.8) for value in beyond)
        return join(
            [
                words,
                tag(
                    "g",
                    tag("path", d=whiskers, class_="ln thin"),
                    tag("path", d=box, class_="box"),
                    tag("path", d=middle, class_="ln"),
                    tag("path", d=dots, class_="mk") if dots else None,
                    class_=colour(slot),
                ),
            ]
        )

    def legend(self) -> Html | None:
        """None: each box has its name beside it."""
        return None

    def numbers(self) -> tuple[list[str], list[list[str]]]:
        """Quartiles, ends and mean of each group."""
        head = ["", "n", "min", "25 %", "50 %", "75 %", "max", "mean"]
        rows = []
        for name, values, _ in self.groups:
            cuts = [shown(float(np.quantile(values, q))) for q in (0, 0.25, 0.5, 0.75, 1)] if len(values) else [""] * 5
            rows.append([name, shown(len(values)), *cuts, shown(float(np.mean(values))) if len(values) else ""])
        return head, rows


def box_of(values: Sequence[float]) -> tuple[float, float, float, float, float, list[float]]:
    """Lower quartile, median, upper quartile, both whiskers' ends, values beyond them.  Tukey 1977."""
    array = np.sort(np.asarray(values, dtype=np.float64))
    low, median, high = (float(value) for value in np.quantile(array, [0.25, 0.5, 0.75]))
    reach = 1.5 * (high - low)
    inside = array[(array >= low - reach) & (array <= high + reach)]
    beyond = array[(array < low - reach) | (array > high + reach)]
    return low, median, high, float(inside[0]), float(inside[-1]), beyond.tolist()


@dataclass(frozen=True)
class BarChart:
    """A number for each name.

    Attributes
    ----------
    title, x_label : in words, with units.
    bars : name and number.
    hollow : names whose bar is only an outline, and what that means.
    slot : the colour.
    references : a name and a number to compare all with, as lines.
    """

    title: str
    x_label: str
    bars: Sequence[tuple[str, float]]
    empty_columns: tuple[frozenset[str], str] = (frozenset(), "")
    slot: int = 0
    solid: str = ""
    references: Sequence[tuple[str, float]] = ()

    def svg(self) -> Html:
        """The drawing."""
        room = _room([name for name, _ in self.bars])
        values = [value for _, value in self.bars] + [value for _, value in self.references]
        x = Axis.over(values, room, WIDTH - 44, zero=True)
        pitch = 22 if len(self.bars) <= 16 else 16
        bottom = 8 + pitch * len(self.bars)
        lines = "".join(f"M{px(x.at(tick))},4V{bottom}" for tick in x.ticks)
        rows = [self._row(name, value, 8 + pitch * i, pitch, x, room) for i, (name, value) in enumerate(self.bars)]
        marks = [tag("path", d=f"M{px(x.at(value))},4V{bottom}", class_="mark") for _, value in self.references]
        return frame(
            WIDTH,
            bottom + 42,
            self.title,
            tag("path", d=lines, class_="grid"),
            bottom_axis(x, bottom, [tick_text(tick, x.ticks) for tick in x.ticks]),
            under((room + WIDTH) / 2, bottom + 37, self.x_label, WIDTH),
            rows,
            marks,
        )

    def _row(self, name: str, value: float, top: float, pitch: float, x: Axis, room: float) -> Html:
        start, end = sorted((x.at(0), x.at(value)))
        return join(
            [
                words_at(room - 8, top + pitch / 2 + 4, shortened(name, room - 10), "end"),
                tag(
                    "rect",
                    x=px(start),
                    y=px(top + 3),
                    width=px(max(0.8, end - start)),
                    height=px(pitch - 6),
                    class_=f"{'empty_columns' if name in self.empty_columns[0] else 'bar'} {colour(self.slot)}",
                ),
                words_at(end + 5, top + pitch / 2 + 4, shown(value, 3), "start", class_="note"),
            ]
        )

    def legend(self) -> Html | None:
        """What a hollow bar is, where there are any."""
        if not self.empty_columns[0] & {name for name, _ in self.bars}:
            return None
        signs = [
            tag(
                "svg",
                tag("rect", x="1", y="2", width="26", height="10", class_=f"{kind} {colour(self.slot)}"),
                viewBox="0 0 28 14",
                class_="swatch",
                aria_hidden="true",
            )
            for kind in ("bar", "hollow")
        ]
        return legend_of([(signs[0], self.solid), (signs[1], self.empty_columns[1])])

    def numbers(self) -> tuple[list[str], list[list[str]]]:
        """Name and number."""
        rows = [[name, shown(value)] for name, value in [*self.bars, *self.references]]
        return ["", self.x_label], rows


def _room(names: Sequence[str]) -> float:
    """Pixels for the names at the left: as wide as the widest, within reason."""
    return min(170.0, max(40.0, 14 + max((width_of(name) for name in names), default=0)))
