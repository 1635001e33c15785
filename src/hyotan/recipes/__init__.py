"""The articles' settings, one TOML file each, and their reader.

A recipe names its article, its source, its model and every parameter; which of these the article leaves open; the
translation of its loss; and its figures beside ours. ``hyotan fit --recipe NAME`` trains it as written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import msgspec

from hyotan.files.toml import names_in, read_named
from hyotan.models.families import BY_NAME
from hyotan.parameters.table import check_settings


@dataclass(frozen=True)
class Figure:
    """One figure of an article beside ours: what it is, what the article states, what we measured."""

    what: str
    article: str
    ours: str


@dataclass(frozen=True)
class Recipe:
    """One recipe.

    Attributes
    ----------
    name : of the file, without its suffix.
    title, article : what it is and where it comes from.
    source : name of the data.
    model : a family's name, such as ``ae``.
    parameters : of the estimator.
    left_open : parameters that the article does not state: the values are ours.
    translation : how the article's loss reads in nats a sample.
    figures : the article's beside ours.
    """

    title: str
    article: str
    source: str
    model: str
    parameters: dict[str, Any]
    translation: str
    left_open: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    name: str = ""

    @property
    def kind(self) -> str:
        """The estimator's kind."""
        return BY_NAME[self.model].kind


def names() -> list[str]:
    """Names of all recipes, sorted."""
    return names_in(resources.files(__name__))


def read(name: str) -> Recipe:
    """Read a recipe by its name.

    Raises
    ------
    SettingsError
        There is none of this name; names the nearest.
    """
    content = read_named(resources.files(__name__), name, "recipe")
    recipe = msgspec.convert({**content, "name": name}, Recipe, strict=True)
    check_settings(recipe.kind, recipe.parameters, f"recipe {name}")
    return recipe
