"""The page of a study: what to take for which purpose, and everything that speaks for and against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hyotan.figures.canvas import tidy
from hyotan.figures.charts import BoxChart, Curve, ImageSheet, ImageTable, LineChart
from hyotan.figures.styles import LOOKS, looks_of
from hyotan.models.families import short_name
from hyotan.report.latent_page import code_plot
from hyotan.report.markup import Html, html_table, join, pairs, tag
from hyotan.report.page import (
    Page,
    PageNote,
    Section,
    arranged,
    command,
    glossary,
    html_figure,
    html_notes,
    level_sign,
    side_by_side,
    tiles,
    with_flags,
    within_limits,
)
from hyotan.report.pictures import Thumbnails
from hyotan.study.cells import LOWER_IS_BETTER, MEAN, PCA, RAW, Interval
from hyotan.words import aligned, say, shown

COUNTED = frozenset({"active_units", "kl"})
"""Measures of which neither more nor less is better."""

IN_SECONDS = "train_seconds"

YES, NO, PARTLY, UNTESTED = "yes", "no", "partly", "untested"
SIGNS = {YES: "✓", NO: "✗", PARTLY: "≈", UNTESTED: "–"}

WORDS = ("mse", "study_bound", "kl", "active", "smoothness", "trustworthiness", "knn", "v_measure", "coverage")
WORDS += ("study_interval", "study_rows", "pca", "plane")


@dataclass(frozen=True)
class Pick:
    """What to take for one purpose.

    Attributes
    ----------
    purpose : in words.
    choice : in words: a model and a size, or that there is none.
    status : in a few words, how it compares.
    sentences : why, and how sure that is.
    level : ``good`` where a model of ours helps, ``notice`` where a baseline is as good, ``warning`` for nothing.
    """

    purpose: str
    choice: str
    status: str
    sentences: Sequence[str]
    level: str = "good"


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


@dataclass(frozen=True)
class Clusterings:
    """How well clusters agree with the labels, over many runs.

    Attributes
    ----------
    measure : ``v_measure``, ``accuracy``, ``nmi`` or ``ari``.
    groups : model, size, and the values of the runs; in the order in which they are drawn.
    """

    measure: str
    groups: Sequence[tuple[str, int, Sequence[float]]]


@dataclass(frozen=True, eq=False)
class CodePlot:
    """Codes in the plane.

    Attributes
    ----------
    title : in words.
    points : (n, 2).
    labels : n labels, or None.
    axes : names of the axes.
    caption : what else to know.
    """

    title: str
    points: np.ndarray
    labels: Sequence[Any] | None = None
    axes: tuple[str, str] = ("z0", "z1")
    caption: str = ""


@dataclass(frozen=True, eq=False)
class Walk:
    """A walk between two codes, decoded.

    Attributes
    ----------
    title : in words: model, size, how it goes.
    images : (steps, height, width) or (steps, 3, height, width).
    passed : the class that each step is taken for, or none.
    group : a heading for all walks of one kind; may be empty.
    folded : whether the group is folded away until it is asked for.
    """

    title: str
    images: np.ndarray
    passed: Sequence[str] = ()
    group: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Claim:
    """A finding of an article, and what this study says of it.

    Attributes
    ----------
    finding : in words.
    status : ``yes``, ``no``, ``partly`` or ``untested``.
    said : the status in words, where there is more to say than that.
    figures : ours.
    source : which article, with its figures.
    """

    finding: str
    status: str
    figures: str
    source: str = ""
    said: str = ""


@dataclass(frozen=True, eq=False)
class StudyReport:
    """Everything that the page of a study shows; plain values, each list may be empty.

    Attributes
    ----------
    title, facts : the heading, and the line beneath it.
    level, verdict : how grave it is, and in a few sentences what came out.
    picks : what to take for each purpose.
    warnings : what to know first.
    numbers : tiles: what, value, unit, a line beneath.
    measures : every measure by model and size.
    repeats : trainings of each model and size.
    clusterings, plots, walks, reconstructions, exchanges, claims : of the experiments.
    value_range : what is black and white in pictures; found in each where None.
    data, settings : names and values.
    command : that makes the study again; ``facts_to_reproduce`` : names and values beside it.
    record : numbers for programs.
    """

    title: str
    facts: str
    level: str
    verdict: Sequence[str]
    picks: Sequence[Pick] = ()
    warnings: Sequence[PageNote] = ()
    numbers: Sequence[tuple[str, str, str, str]] = ()
    measures: Sequence[Measure] = ()
    repeats: int = 1
    clusterings: Sequence[Clusterings] = ()
    plots: Sequence[CodePlot] = ()
    walks: Sequence[Walk] = ()
    reconstructions: Sequence[ImageTable] = ()
    exchanges: Sequence[ImageTable] = ()
    claims: Sequence[Claim] = ()
    value_range: tuple[float, float] | None = None
    data: Sequence[tuple[str, str]] = ()
    settings: Sequence[tuple[str, str]] = ()
    command: str = ""
    facts_to_reproduce: Sequence[tuple[str, str]] = ()
    record: dict[str, Any] = field(default_factory=dict)


def study_page(report: StudyReport, lang: str = "en") -> str:
    """The page, as one HTML file."""
    return within_limits(lambda thumbnails: _page_of(report, thumbnails, lang), lang)


def _page_of(report: StudyReport, thumbnails: Thumbnails, lang: str) -> Page:
    """The page with pictures of one size."""
    parts = {
        "picks": _picks(report.picks, lang),
        "warnings": html_notes(report.warnings, lang) if report.warnings else tag("p", say("warnings.none", lang)),
        "numbers": _numbers(report, lang),
        "sizes": _sizes(report, lang),
        "clusterings": _clusterings(report.clusterings, lang),
        "codes": _codes(report.plots, lang),
        "walks": _walks(report, thumbnails, lang),
        "conditions": _tables(report.reconstructions, report, thumbnails, lang),
        "exchanges": _tables(report.exchanges, report, thumbnails, lang),
        "claims": _claims(report.claims, lang),
        "data": pairs(report.data) if report.data else Html(""),
        "settings": pairs(report.settings) if report.settings else Html(""),
        "reproduce": _reproduce(report, lang),
        "words": glossary(WORDS, lang),
    }
    return Page(
        lang=lang,
        title=report.title,
        facts=report.facts,
        level=report.level,
        verdict=report.verdict,
        sections=[Section(name, say(f"section.{name}", lang), body) for name, body in parts.items()],
        data=report.record,
    )


def model_name(model: str, latent_dim: int | None, lang: str) -> str:
    """A model and its size in words, short enough for a chart."""
    name = short_name(model, lang)
    return name if latent_dim is None or model in (MEAN, RAW) else say("short.sized", lang, model=name, size=latent_dim)


# -- what to take ------------------------------------------------------------------------------------------------------


def _picks(items: Sequence[Pick], lang: str) -> Html:
    """A card for each purpose."""
    cards = [
        tag(
            "li",
            tag("p", item.purpose, class_="purpose"),
            tag("p", item.choice, class_="pick"),
            level_sign(item.level, lang, said=item.status),
            [tag("p", with_flags(sentence)) for sentence in item.sentences],
            class_=item.level,
        )
        for item in items
    ]
    return tag("ul", cards, class_="choices") if cards else Html("")


# -- numbers -----------------------------------------------------------------------------------------------------------


def _numbers(report: StudyReport, lang: str) -> Html:
    """The most important ones large, then every model and size beside the baselines."""
    if not report.measures:
        return Html("")
    key = "study.intro" if report.repeats > 1 else "study.intro_once"
    intro = tag("p", say(key, lang, repeats=report.repeats))
    return join([intro, tiles(report.numbers) if report.numbers else None, _table(report.measures, lang)])


def _table(measures: Sequence[Measure], lang: str) -> Html:
    rows = sorted({pair for one in measures for pair in one.values}, key=_order)
    best = {one.name: _best(one) for one in measures}
    head = [say("study.model", lang), *[_column(one.name, lang) for one in measures]]
    body = [[model_name(*pair, lang), *[_cell(one, pair, best[one.name]) for one in measures]] for pair in rows]
    caption = say("study.caption", lang)
    return html_table(head, body, numbers=range(1, len(head)), caption=caption, class_="wide")


def _column(name: str, lang: str) -> Html:
    direction = _direction(name, lang)
    return join([measure_name(name, lang), tag("span", direction, class_="more") if direction else None])


def _order(pair: tuple[str, int]) -> tuple[int, int]:
    order = list(LOOKS)
    return (order.index(pair[0]) if pair[0] in order else len(order)), pair[1]


def _best(measure: Measure) -> tuple[str, int] | None:
    """The best one among the models, where more or less is better."""
    trained = {pair: value.mean for pair, value in measure.values.items() if pair[0] not in (PCA, RAW, MEAN)}
    if not trained or measure.name in COUNTED or measure.name == IN_SECONDS:
        return None
    return (min if measure.name in LOWER_IS_BETTER else max)(trained, key=trained.__getitem__)


def _cell(measure: Measure, pair: tuple[str, int], best: tuple[str, int] | None) -> Any:
    value = measure.values.get(pair)
    if value is None:
        return "–"
    text = shown(value.mean, 3) if measure.name in COUNTED else aligned(value.mean, value.mean, 3)
    spread = 0.0 if value.high is None else value.high - value.mean
    reach = tag("span", f"± {shown(spread, 2)}", class_="more") if spread > 1e-9 * abs(value.mean) else None
    return [tag("b", text) if pair == best else text, reach]


def measure_name(name: str, lang: str) -> str:
    """A measure in words, with its unit."""
    return say(f"measure.{name}", lang)


def _direction(name: str, lang: str) -> str:
    """Whether less or more is better; empty where neither is."""
    if name in COUNTED:
        return ""
    lower = name in LOWER_IS_BETTER or name == IN_SECONDS
    return say("study.lower" if lower else "study.higher", lang)


def _sizes(report: StudyReport, lang: str) -> Html:
    """Each measure against the latent size, one line a model, with intervals over the repeats."""
    drawn = [_against_size(one, lang) for one in report.measures]
    cut = say("study.cut", lang)
    found = [html_figure(replace(chart, caption=cut if chart.cuts else ""), lang) for chart in drawn if chart]
    key = "study.sizes" if report.repeats > 1 else "study.sizes_once"
    return join([tag("p", say(key, lang)), side_by_side(found)]) if found else Html("")


def _against_size(measure: Measure, lang: str) -> LineChart | None:
    models = sorted({model for model, _ in measure.values}, key=lambda model: _order((model, 0)))
    ticks = sorted({size for model, size in measure.values if model not in (MEAN, RAW)})
    if len(ticks) < 2:
        return None
    lines = [_line(measure, model, ticks, lang) for model in models]
    title = measure_name(measure.name, lang)
    return LineChart(title, say("study.size", lang), _direction(measure.name, lang), lines, log_x=True, x_ticks=ticks)


def _line(measure: Measure, model: str, ticks: Sequence[int], lang: str) -> Curve:
    found = {size: value for (name, size), value in measure.values.items() if name == model}
    look, name = looks_of((model,))[0], short_name(model, lang)
    if model in (MEAN, RAW):  # of no size, or of one that is not on the axis: a line across to compare with
        value = next(iter(found.values())).mean
        return Curve(name, [float(ticks[0]), float(ticks[-1])], [value, value], color=look.color_number, dashed=True)
    at = [float(size) for size in ticks]
    values = [found.get(size) for size in ticks]
    return Curve(
        name,
        at,
        [math.nan if value is None else value.mean for value in values],
        [None if value is None else value.low for value in values],
        [None if value is None else value.high for value in values],
        look.color_number,
        look.marker,
    )


# -- experiments -------------------------------------------------------------------------------------------------------


def _clusterings(items: Sequence[Clusterings], lang: str) -> Html:
    """A box for each model and size: the agreement of its clusters with the labels, run by run."""
    if not items:
        return Html("")
    drawn = []
    for one in items:
        colors = [looks_of((model,))[0].color_number for model, _, _ in one.groups]
        names = [model_name(model, size, lang) for model, size, _ in one.groups]
        groups = list(zip(names, [values for _, _, values in one.groups], colors, strict=True))
        name = measure_name(one.measure, lang)
        unit = say("study.with_direction", lang, name=name, direction=say("study.higher", lang))
        drawn.append(html_figure(BoxChart(name, unit, groups), lang))
    runs = max(len(values) for one in items for _, _, values in one.groups)
    styled = any(model == "cvae" for one in items for model, _, _ in one.groups)
    aside = tag("p", say("study.clusterings_of_style", lang)) if styled else None
    return join([tag("p", say("study.clusterings", lang, n=runs)), aside, side_by_side(drawn)])


def _codes(items: Sequence[CodePlot], lang: str) -> Html:
    """Codes of size 2, and projections of larger ones."""
    if not items:
        return Html("")
    drawn = [code_plot(one.points, _listed(one.labels), one.title, lang, one.axes, one.caption) for one in items]
    return join([tag("p", say("study.codes", lang)), side_by_side(drawn)])


def _listed(labels: Sequence[Any] | None) -> list[Any] | None:
    return None if labels is None else list(np.asarray(labels).tolist())


def _walks(report: StudyReport, thumbnails: Thumbnails, lang: str) -> Html:
    """A strip for each walk, and the classes that it passes."""
    if not report.walks:
        return Html("")
    groups: dict[tuple[str, bool], list[Html]] = {}
    for one in report.walks:
        groups.setdefault((one.group, one.folded), []).append(_walk(one, report, thumbnails, lang))
    parts = [_walk_group(name, folded, strips) for (name, folded), strips in groups.items()]
    return join([tag("p", say("study.walks", lang)), parts])


def _walk_group(name: str, folded: bool, strips: Sequence[Html]) -> Html:
    side_by_side = tag("div", strips, class_="strips")
    if folded:
        return tag("details", tag("summary", name), side_by_side)
    return join([tag("h3", name) if name else None, side_by_side])


def _walk(walk: Walk, report: StudyReport, thumbnails: Thumbnails, lang: str) -> Html:
    passed = _runs([tidy(name, 20) for name in walk.passed])
    caption = say("study.passed", lang, path=" → ".join(passed)) if passed else ""
    alt = say("study.walk_alt", lang, title=walk.title)
    strip = ImageSheet(walk.title, walk.images, len(walk.images), report.value_range, caption=caption, alt=alt)
    return html_figure(strip, lang, thumbnails, "h4")


def _tables(found: Sequence[ImageTable], report: StudyReport, thumbnails: Thumbnails, lang: str) -> Html:
    ranged = [replace(one, value_range=one.value_range or report.value_range) for one in found]
    return arranged(ranged, lang, thumbnails)


def _runs(names: Sequence[str]) -> list[str]:
    """Names without repetition of the one before."""
    return [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]


def _claims(items: Sequence[Claim], lang: str) -> Html:
    """Each finding of the articles, whether it holds here, and our figures."""
    if not items:
        return Html("")
    head = [say(f"claims.{word}", lang) for word in ("finding", "status", "figures")]
    rows = [
        [
            [item.finding, tag("span", item.source, class_="more") if item.source else None],
            [tag("span", SIGNS[item.status], class_="sign"), " ", item.said or say(f"claims.{item.status}", lang)],
            item.figures,
        ]
        for item in items
    ]
    return join([tag("p", say("claims.intro", lang)), html_table(head, rows, class_="claims")])


def _reproduce(report: StudyReport, lang: str) -> Html:
    """The command, and what else it takes."""
    if not report.command:
        return Html("")
    return join(
        [command(report.command, lang), pairs(report.facts_to_reproduce) if report.facts_to_reproduce else None]
    )
