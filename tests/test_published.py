"""Figures that several pages state are the same on all of them: docs/published.toml has them once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PUBLISHED = tomllib.loads((ROOT / "docs" / "published.toml").read_text(encoding="utf-8"))
NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d*)(?:\.\d+)?(?<=\d)(?![\w]*\d)")
LEAST_DIGITS = 0.05
"""What rounding may change at most, as a share: a 1 is no rounded 0.7."""

PLACE = re.compile(r"\n\s*\n")
ENTRY = re.compile(r"\n## ")


def numbers(text: str) -> list[tuple[float, float]]:
    """Every number of a text, and half a unit of its last digit."""
    found = [match.replace(",", "") for match in NUMBER.findall(text)]
    return [(float(number), 0.5 * 10.0 ** -len(number.partition(".")[2])) for number in found]


def states(text: str, values: list[float], unit: float) -> bool:
    """Whether a text has all these values, each rounded to as many digits as it shows."""
    shown = numbers(text)
    exact = [(n, half) for n, half in shown if half <= LEAST_DIGITS * n]
    return all(any(abs(n - v * u) <= half + 1e-9 for n, half in exact for u in {1, unit}) for v in values)


@pytest.mark.parametrize(
    ("name", "page"), [(name, page) for name, entry in PUBLISHED.items() for page in entry["pages"]]
)
def test_a_page_states_the_published_figures(name: str, page: str) -> None:
    text, entry = (ROOT / page).read_text(encoding="utf-8"), PUBLISHED[name]
    places = (ENTRY if page.endswith("log.md") else PLACE).split(text)
    assert any(states(place, entry["values"], entry.get("unit", 1)) for place in places), entry["values"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("0.945 and 39,400", True),
        ("**.9452**; 39.4 thousand", True),
        ("0.946 and 39,400", False),
        ("1 and 39,400", False),
    ],
)
def test_a_rounded_figure_is_the_same_and_another_one_is_not(text: str, same: bool) -> None:
    assert states(text, [0.9452, 39.4], 1000) is same
