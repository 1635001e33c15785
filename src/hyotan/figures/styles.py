"""How each model looks: the same colour, marker, hatch and line in every figure, so that none rests on colour alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hyotan.figures.canvas import PALETTE, QUIET, SHAPES, tidy
from hyotan.models.families import FAMILIES, Family

HATCHES = ("", "////", "....", "xxxx", "----", "\\\\\\\\")


@dataclass(frozen=True)
class Appearance:
    """A model's name on paper and what tells it apart.

    Attributes
    ----------
    name, color, marker, hatch : as Matplotlib takes them.
    line : the dash pattern; baselines are dashed.
    color_number : of its colour in the style sheet of a page.
    """

    name: str
    color: str
    marker: str
    hatch: str = ""
    line: Literal["-"] | tuple[float, tuple[float, ...]] = "-"
    color_number: int = 8

    @property
    def is_baseline(self) -> bool:
        """Whether it is there to compare with; drawn dashed."""
        return self.line != "-"


def _look_of_family(family: Family) -> Appearance:
    style = family.style
    return Appearance(family.label, PALETTE[style.color], style.marker, style.hatch, color_number=style.color)


BASELINES = {
    "pca": Appearance("PCA", QUIET, "D", "", (0, (5, 2)), 6),
    "raw": Appearance("raw data", PALETTE[4], "x", "", (0, (1, 1.5)), 4),
    "mean": Appearance("mean of the data", PALETTE[4], "+", "", (0, (1, 3)), 9),
}
LOOKS = {family.name: _look_of_family(family) for family in FAMILIES} | BASELINES
"""Every model of a study, its baselines last."""


def looks_of(models: Sequence[str], names: Mapping[str, str] | None = None) -> list[Appearance]:
    """A look for each model, those that are not in LOOKS from what is left of the colours and shapes."""
    known, names = {model for model in models if model in LOOKS}, names or {}
    taken = {LOOKS[model].color for model in known}, {LOOKS[model].marker for model in known}
    colors = [color for color in PALETTE if color not in taken[0]] or list(PALETTE)
    markers = [shape for shape in SHAPES if shape not in taken[1]] or list(SHAPES)
    found, new = [], 0
    for model in models:
        look = LOOKS.get(model)
        if look is None:
            hatch = HATCHES[-1 - new % len(HATCHES)]
            color = colors[new % len(colors)]
            look = Appearance(model, color, markers[new % len(markers)], hatch, color_number=PALETTE.index(color))
            new += 1
        found.append(replace(look, name=tidy(names.get(model, look.name))))
    return found
