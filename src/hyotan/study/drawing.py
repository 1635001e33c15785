"""The figures of a study, from the pictures of its experiments and from its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from hyotan.figures.conditional import Way
from hyotan.models.families import short_name
from hyotan.study.cells import LOWER_IS_BETTER, MEAN, RAW, Cell, Interval, interval, models_of, sizes_of
from hyotan.study.exhibits import Exhibits, Plane, Told, Walked
from hyotan.words import say

CURVES = ("mse", "bound", "nll", "knn_accuracy", "smoothness", "coverage", "active_units")
"""Measures that are drawn against the latent size."""


def displays(pictures: Exhibits, cells: Sequence[Cell]) -> Iterator[tuple[str, Display]]:
    """Every figure of a study, by the name of its files."""
    for drawing in (_drawn_reconstructions, _drawn_walks, _drawn_planes, _drawn_exchanges):
        yield from drawing(pictures)
    yield from _drawn_clusterings(cells)
    yield from _drawn_curves(cells)


def _drawn_reconstructions(pictures: Exhibits) -> Iterator[tuple[str, Display]]:
    if pictures.originals is None or not pictures.told:
        return
    ways = [
        Way(_told(told), told.images, f"latent size {told.latent_dim}", told.given)
        for told in sorted(pictures.told, key=lambda told: told.latent_dim)
    ]
    labels = pictures.shown or [""] * len(pictures.originals)
    yield (
        "conditional",
        ConditionalReconstructionsDisplay.from_ways(pictures.originals, labels, ways, value_range=pictures.value_range),
    )


def _told(told: Told) -> str:
    """The model, and what it was told."""
    name = short_name(told.model)
    return say(f"conditions.{told.condition}", model=name) if told.condition else name


def _sized(found: Walked | Plane) -> str:
    """The model and its size."""
    return say("short.sized", model=short_name(found.model), size=found.latent_dim)


def _drawn_walks(pictures: Exhibits) -> Iterator[tuple[str, Display]]:
    groups: dict[tuple[str, tuple[str, str]], list[Walked]] = {}
    for walk in pictures.walks:
        groups.setdefault((walk.way, walk.ends), []).append(walk)
    for number, ((way, ends), walks) in enumerate(groups.items()):
        yield (
            f"walks-{way}-{number // len(WALKS) + 1}",
            WalksDisplay.from_arrays(
                np.stack([walk.images for walk in walks]),
                [_sized(walk) for walk in walks],
                [walk.classes for walk in walks],
                title=say(f"walked.{way}", start=ends[0], end=ends[1]),
                value_range=pictures.value_range,
            ),
        )


def _drawn_planes(pictures: Exhibits) -> Iterator[tuple[str, Display]]:
    labels = pictures.plane_labels or None
    raw = {_sized(plane): plane.points for plane in pictures.planes if plane.is_code}
    if raw:
        yield "codes", CodePlotsDisplay.from_planes(raw, labels, raw=list(raw))
    tsne = {
        say("codes.tsne_features") if plane.model == RAW else say("codes.tsne", name=_sized(plane)): plane.points
        for plane in pictures.planes
        if not plane.is_code
    }
    if tsne:
        yield "tsne", CodePlotsDisplay.from_planes(tsne, labels)


def _drawn_exchanges(pictures: Exhibits) -> Iterator[tuple[str, Display]]:
    for found in pictures.exchanged:
        yield (
            f"exchange-{found.latent_dim}",
            ExchangeDisplay.from_arrays(
                found.images, pictures.labels, found.originals, found.own, value_range=pictures.value_range
            ),
        )


def _drawn_clusterings(cells: Sequence[Cell]) -> Iterator[tuple[str, Display]]:
    runs: dict[tuple[str, int], dict[str, list[float]]] = {}
    for cell in cells:
        if cell.clusterings and cell.model != MEAN:
            of = runs.setdefault((cell.model, cell.latent_dim), {})
            for name, values in cell.clusterings.items():
                of.setdefault(name, []).extend(values)
    references = {model: found for (model, _), found in runs.items() if model == RAW}
    found = {pair: values for pair, values in runs.items() if pair[0] != RAW}
    if found:
        yield "clusterings", ClusteringDisplay.from_runs(found, references)


def _drawn_curves(cells: Sequence[Cell]) -> Iterator[tuple[str, Display]]:
    for measure in CURVES:
        values = {model: dict(_by_size(cells, model, measure)) for model in models_of(cells)}
        # The mean and the data themselves have no size: each is a level.
        levels = {model: next(iter(own.values())).mean for model, own in values.items() if own and model in (MEAN, RAW)}
        curves = {
            model: {size: (value.mean, value.low, value.high) for size, value in own.items()}
            for model, own in values.items()
            if own and model not in levels
        }
        if any(len(curve) > 1 for curve in curves.values()):
            yield (
                f"sizes-{measure.replace('_', '-')}",
                SizeCurvesDisplay.from_curves(
                    curves, say(f"measure.{measure}"), levels=levels, lower_is_better=measure in LOWER_IS_BETTER
                ),
            )


def _by_size(cells: Sequence[Cell], model: str, measure: str) -> Iterator[tuple[int, Interval]]:
    """A measure on the test rows at each size of a model."""
    for size in sizes_of(cells, model):
        if (value := interval(cells, model, size, measure, "test")) is not None:
            yield size, value
