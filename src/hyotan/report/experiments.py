"""From what the experiments of a study left to be looked at, to the parts of its page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hyotan.figures.charts import ImageTable
from hyotan.models.families import short_name
from hyotan.report.study_page import CodePlot, StudyReport, Walk, model_name
from hyotan.study.cells import RAW
from hyotan.study.exhibits import Exchanged, Exhibits, Told
from hyotan.study.replications import WRONG_LABEL
from hyotan.words import say

LINEAR = "linear"


def with_pictures(report: StudyReport, pictures: Exhibits, lang: str = "en") -> StudyReport:
    """The report with codes, walks, reconstructions and exchanged labels.

    Parameters
    ----------
    report : of the study.
    pictures : of its experiments.
    lang : of the page.
    """
    return replace(
        report,
        plots=list(_plots(pictures, lang)),
        walks=list(_walks(pictures, lang)),
        reconstructions=list(_reconstructions(pictures, lang)),
        exchanges=[_exchange(found, pictures, lang) for found in pictures.exchanged],
        value_range=pictures.value_range,
    )


def _plots(pictures: Exhibits, lang: str) -> Iterator[CodePlot]:
    labels = pictures.plane_labels or None
    for plane in pictures.planes:
        name = model_name(plane.model, plane.latent_dim, lang)
        if plane.is_code:
            yield CodePlot(name, plane.points, labels)
        else:
            key = "codes.tsne_features" if plane.model == RAW else "codes.tsne"
            yield CodePlot(say(key, lang, name=name), plane.points, labels, ("", ""))


def _walks(pictures: Exhibits, lang: str) -> Iterator[Walk]:
    """Straight walks first; the others are folded away."""
    for walk in sorted(pictures.walks, key=lambda walk: (walk.way != LINEAR, walk.ends)):
        title = say(f"walked.{walk.way}", lang, start=walk.ends[0], end=walk.ends[1])
        name = model_name(walk.model, walk.latent_dim, lang)
        yield Walk(name, walk.images, walk.classes, title, walk.way != LINEAR)


def _reconstructions(pictures: Exhibits, lang: str) -> Iterator[ImageTable]:
    """A table for each size, the rows themselves first; a label that was told wrongly stands beneath its picture."""
    if pictures.originals is None:
        return
    columns = pictures.shown or [""] * len(pictures.originals)
    for size in sorted({told.latent_dim for told in pictures.told}):
        rows, beneath = [(say("exchange.original", lang), pictures.originals)], {}
        for told in (told for told in pictures.told if told.latent_dim == size):
            if told.condition == WRONG_LABEL and told.given is not None:
                beneath[len(rows)] = [say("conditions.told", lang, label=label) for label in told.given]
            rows.append((_way(told, lang), told.images))
        yield ImageTable(say("conditions.size", lang, size=size), columns, rows, beneath=beneath)


def _way(told: Told, lang: str) -> str:
    name = short_name(told.model, lang)
    return name if not told.condition else say(f"conditions.{told.condition}", lang, model=name)


def _exchange(found: Exchanged, pictures: Exhibits, lang: str) -> ImageTable:
    """A row for each style, its origin first, then the same code under every label."""
    rows = [
        (say("exchange.of", lang, label=own), np.concatenate([found.originals[n : n + 1], found.images[n]]))
        for n, own in enumerate(found.own)
    ]
    columns = [say("exchange.original", lang), *pictures.labels]
    title = model_name(found.model, found.latent_dim, lang)
    return ImageTable(title, columns, rows, caption=say("exchange.text", lang))
