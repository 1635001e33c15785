"""The figures of a study: one table, which its folder and its page are drawn from.

A new figure takes a record of its numbers (a :class:`hyotan.figures.Display`) that gives ``charts``, a function here,
and a line of FROM_CELLS or FROM_EXHIBITS, which names the section of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyotan.analysis.latent import WALKS
from hyotan.figures import (
    ClusteringDisplay,
    CodePlotsDisplay,
    ConditionalReconstructionsDisplay,
    Display,
    ExchangeDisplay,
    SizeCurvesDisplay,
    WalksDisplay,
)
from hyotan.figures.clusterings import MEASURES
from hyotan.figures.conditional import Way
from hyotan.figures.styles import LOOKS
from hyotan.models.families import short_name
from hyotan.study.cells import LOWER_IS_BETTER, MEAN, RAW, Cell, Interval, interval, models_of, sizes_of
from hyotan.study.exhibits import Exhibits, Told, Walked
from hyotan.words import say

Named = Iterator[tuple[str, Display]]
"""Figures by the names of their files; those without a name are on the page alone."""

CURVES = ("mse", "bound", "nll", "knn_accuracy", "smoothness", "coverage", "active_units")
"""Measures whose curves have files."""

SHOWN = (
    "mse",
    "explained",
    "bound",
    "nll",
    "knn_accuracy",
    "label_error",
    "v_measure",
    "accuracy",
    "trustworthiness",
    "smoothness",
    "coverage",
    "active_units",
)
"""Measures in the order in which the page has them."""

COUNTED = frozenset({"active_units", "kl"})
"""Measures of which neither more nor less is better."""

IN_SECONDS = "train_seconds"


@dataclass(frozen=True)
class Measure:
    """One measure of every model and size, on the test rows.

    Attributes
    ----------
    name : as :class:`hyotan.study.cells.Scores` spells it, or ``train_seconds``.
    values : its interval over the repeats, by model and latent size; the mean at size 0, the features (``raw``) at
        their number.
    """

    name: str
    values: Mapping[tuple[str, int], Interval]

    @property
    def lower_is_better(self) -> bool | None:
        """None where neither is."""
        return None if self.name in COUNTED else self.name in LOWER_IS_BETTER or self.name == IN_SECONDS


def measures_of(cells: Sequence[Cell]) -> list[Measure]:
    """Every measure that was taken, of every model and size, on the test rows."""
    pairs = [(model, size) for model in models_of(cells) for size in sizes_of(cells, model)]
    found = []
    for name in SHOWN:
        values = {pair: value for pair in pairs if (value := interval(cells, *pair, name, "test")) is not None}
        if any(model in LOOKS and model != MEAN for model, _ in values):
            found.append(Measure(name, values))
    times = {pair: value for pair in pairs if (value := _seconds(cells, *pair)) is not None}
    return [*found, Measure(IN_SECONDS, times)] if times else found


def _seconds(cells: Sequence[Cell], model: str, latent_dim: int) -> Interval | None:
    """Training time; a code that is a prefix of a longer one has none of its own."""
    return Interval.of(
        cell.train_seconds
        for cell in cells
        if (cell.model, cell.latent_dim) == (model, latent_dim) and not cell.is_baseline and not cell.nested
    )


def model_name(model: str, latent_dim: int | None, lang: str) -> str:
    """A model and its size in words, short enough for a chart."""
    name = short_name(model, lang)
    return name if latent_dim is None or model in (MEAN, RAW) else say("short.sized", lang, model=name, size=latent_dim)


def _names(lang: str) -> dict[str, str]:
    return {model: short_name(model, lang) for model in LOOKS}


# -- from the numbers --------------------------------------------------------------------------------------------------


def size_curves(measure: Measure, lang: str) -> SizeCurvesDisplay | None:
    """A measure against the latent size; None where no model has two sizes."""
    # The mean and the data themselves have no size: each is a level.
    levels = {model: value.mean for (model, _), value in measure.values.items() if model in (MEAN, RAW)}
    curves: dict[str, dict[int, tuple[float, float | None, float | None]]] = {}
    for (model, size), value in measure.values.items():
        if model not in levels:
            curves.setdefault(model, {})[size] = value.mean, value.low, value.high
    if not any(len(curve) > 1 for curve in curves.values()):
        return None
    title, lower = say(f"measure.{measure.name}", lang), measure.lower_is_better
    return SizeCurvesDisplay.from_curves(curves, title, levels=levels, lower_is_better=lower, names=_names(lang))


def _curves(cells: Sequence[Cell], lang: str) -> Named:
    for measure in measures_of(cells):
        if (display := size_curves(measure, lang)) is not None:
            yield f"sizes-{measure.name.replace('_', '-')}" if measure.name in CURVES else "", display


def _clusterings(cells: Sequence[Cell], lang: str) -> Named:
    """All runs of all repeats."""
    runs: dict[tuple[str, int], dict[str, list[float]]] = {}
    for cell in cells:
        if cell.clusterings and cell.model != MEAN:
            of = runs.setdefault((cell.model, cell.latent_dim), {})
            for name, values in cell.clusterings.items():
                of.setdefault(name, []).extend(values)
    references = {model: found for (model, _), found in runs.items() if model == RAW}
    found = {pair: values for pair, values in runs.items() if pair[0] != RAW}
    if found:
        measures = [name for name in MEASURES if all(name in values for values in runs.values())]
        yield "clusterings", ClusteringDisplay.from_runs(found, references, measures=measures, names=_names(lang))


# -- from what the experiments left ------------------------------------------------------------------------------------


def _planes(pictures: Exhibits, lang: str) -> Named:
    labels = pictures.plane_labels or None
    raw, projected = {}, {}
    for plane in pictures.planes:
        name = model_name(plane.model, plane.latent_dim, lang)
        if plane.is_code:
            raw[name] = plane.points
        else:
            key = "codes.tsne_features" if plane.model == RAW else "codes.tsne"
            projected[say(key, lang, name=name)] = plane.points
    if raw:
        yield "codes", CodePlotsDisplay.from_planes(raw, labels, raw=list(raw))
    if projected:
        yield "tsne", CodePlotsDisplay.from_planes(projected, labels)


def _walks(pictures: Exhibits, lang: str) -> Named:
    """Straight walks; a page folds the others away."""
    groups: dict[tuple[str, tuple[str, str]], list[Walked]] = {}
    for walk in pictures.walks:
        groups.setdefault((walk.way, walk.ends), []).append(walk)
    for number, ((way, ends), walks) in enumerate(groups.items()):
        yield (
            f"walks-{way}-{number // len(WALKS) + 1}",
            WalksDisplay.from_arrays(
                np.stack([walk.images for walk in walks]),
                [model_name(walk.model, walk.latent_dim, lang) for walk in walks],
                [walk.classes for walk in walks],
                title=say(f"walked.{way}", lang, start=ends[0], end=ends[1]),
                is_aside=way != "linear",
                value_range=pictures.value_range,
            ),
        )


def _reconstructions(pictures: Exhibits, lang: str) -> Named:
    if pictures.originals is None or not pictures.told:
        return
    ways = [
        Way(_way(told, lang), told.images, say("conditions.size", lang, size=told.latent_dim), told.given)
        for told in sorted(pictures.told, key=lambda told: told.latent_dim)
    ]
    labels = pictures.shown or [""] * len(pictures.originals)
    ends = pictures.value_range
    yield "conditional", ConditionalReconstructionsDisplay.from_ways(pictures.originals, labels, ways, value_range=ends)


def _way(told: Told, lang: str) -> str:
    """The model, and what it was told."""
    name = short_name(told.model, lang)
    return say(f"conditions.{told.condition}", lang, model=name) if told.condition else name


def _exchanges(pictures: Exhibits, lang: str) -> Named:
    for found in pictures.exchanged:
        title, ends = model_name(found.model, found.latent_dim, lang), pictures.value_range
        arrays = found.images, pictures.labels, found.originals, found.own
        yield f"exchange-{found.latent_dim}", ExchangeDisplay.from_arrays(*arrays, value_range=ends, title=title)


FROM_CELLS: Mapping[str, Callable[[Sequence[Cell], str], Named]] = {"sizes": _curves, "clusterings": _clusterings}
FROM_EXHIBITS: Mapping[str, Callable[[Exhibits, str], Named]] = {
    "codes": _planes,
    "walks": _walks,
    "conditions": _reconstructions,
    "exchanges": _exchanges,
}
"""Figures by the section of the page that shows their ``charts``."""


def study_figures(
    cells: Sequence[Cell], pictures: Exhibits | None = None, lang: str = "en"
) -> dict[str, list[tuple[str, Display]]]:
    """Every figure of a study with the name of its files, by section.

    Parameters
    ----------
    cells : the study's.
    pictures : what its experiments left; None before them.
    lang : of the words in the figures.
    """
    found = {section: list(compute(cells, lang)) for section, compute in FROM_CELLS.items()}
    if pictures is None:
        return found
    return found | {section: list(compute(pictures, lang)) for section, compute in FROM_EXHIBITS.items()}
