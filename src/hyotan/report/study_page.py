"""The page of a study: what to take for which purpose, and everything that speaks for and against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyotan.figures.canvas import tidy
from hyotan.figures.images import gap_of, to_rgb, value_range_of
from hyotan.report.bars import BoxChart
from hyotan.report.charts import LineChart, Series
from hyotan.report.data_uris import Pictures
from hyotan.report.grids import Grid, grids
from hyotan.report.latent_page import code_plot
from hyotan.report.markup import Html, join, pairs, table, tag
from hyotan.report.page import (
    Note,
    Page,
    Section,
    charts,
    command,
    figure,
    glossary,
    level_sign,
    notes,
    tiles,
    with_flags,
    within_limits,
)
from hyotan.study.cells import LOWER_IS_BETTER, MEAN, PCA, RAW, Interval
from hyotan.words import aligned, say, shown

SLOTS = {"ae": 0, "vae": 1, "cvae": 2, "dae": 3, PCA: 6, RAW: 4, MEAN: 9}
"""Colour and marker of each model, the same in every chart."""

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
    warnings: Sequence[Note] = ()
    numbers: Sequence[tuple[str, str, str, str]] = ()
    measures: Sequence[Measure] = ()
    repeats: int = 1
    clusterings: Sequence[Clusterings] = ()
    plots: Sequence[CodePlot] = ()
    walks: Sequence[Walk] = ()
    reconstructions: Sequence[Grid] = ()
    exchanges: Sequence[Grid] = ()
    claims: Sequence[Claim] = ()
    value_range: tuple[float, float] | None = None
    data: Sequence[tuple[str, str]] = ()
    settings: Sequence[tuple[str, str]] = ()
    command: str = ""
    facts_to_reproduce: Sequence[tuple[str, str]] = ()
    record: dict[str, Any] = field(default_factory=dict)


def study_page(report: StudyReport, lang: str = "en") -> str:
    """The page, as one HTML file."""
    return within_limits(lambda pictures: page_of(report, pictures, lang), lang)


def page_of(report: StudyReport, pictures: Pictures, lang: str) -> Page:
    """The page with pictures of one size."""
    parts = {
        "picks": picks(report.picks, lang),
        "warnings": notes(report.warnings, lang) if report.warnings else tag("p", say("warnings.none", lang)),
        "numbers": numbers(report, lang),
        "sizes": sizes(report, lang),
        "clusterings": clusterings(report.clusterings, lang),
        "codes": codes(report.plots, lang),
        "walks": walks(report, pictures, lang),
        "conditions": grids(report.reconstructions, report.value_range, pictures, lang),
        "exchanges": grids(report.exchanges, report.value_range, pictures, lang),
        "claims": claims(report.claims, lang),
        "data": pairs(report.data) if report.data else Html(""),
        "settings": pairs(report.settings) if report.settings else Html(""),
        "reproduce": reproduce(report, lang),
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
    name = say(f"short.{model}", lang)
    return name if latent_dim is None or model in (MEAN, RAW) else say("short.sized", lang, model=name, size=latent_dim)


# -- what to take ------------------------------------------------------------------------------------------------------


def picks(items: Sequence[Pick], lang: str) -> Html:
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


def numbers(report: StudyReport, lang: str) -> Html:
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
    return table(head, body, numbers=range(1, len(head)), caption=caption, class_="wide")


def _column(name: str, lang: str) -> Html:
    direction = _direction(name, lang)
    return join([measure_name(name, lang), tag("span", direction, class_="more") if direction else None])


def _order(pair: tuple[str, int]) -> tuple[int, int]:
    order = [*[model for model in SLOTS if model not in (PCA, RAW, MEAN)], PCA, RAW, MEAN]
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


def sizes(report: StudyReport, lang: str) -> Html:
    """Each measure against the latent size, one line a model, with intervals over the repeats."""
    drawn = [_against_size(one, lang) for one in report.measures]
    cut = say("study.cut", lang)
    found = [figure(chart, lang, cut if chart.cuts else None) for chart in drawn if chart is not None]
    key = "study.sizes" if report.repeats > 1 else "study.sizes_once"
    return join([tag("p", say(key, lang)), charts(found)]) if found else Html("")


def _against_size(measure: Measure, lang: str) -> LineChart | None:
    models = sorted({model for model, _ in measure.values}, key=lambda model: _order((model, 0)))
    ticks = sorted({size for model, size in measure.values if model not in (MEAN, RAW)})
    if len(ticks) < 2:
        return None
    lines = [_line(measure, model, ticks, lang) for model in models]
    title = measure_name(measure.name, lang)
    return LineChart(title, say("study.size", lang), _direction(measure.name, lang), lines, log_x=True, x_ticks=ticks)


def _line(measure: Measure, model: str, ticks: Sequence[int], lang: str) -> Series:
    found = {size: value for (name, size), value in measure.values.items() if name == model}
    slot, name = SLOTS.get(model, 8), say(f"short.{model}", lang)
    if model in (MEAN, RAW):  # of no size, or of one that is not on the axis: a line across to compare with
        value = next(iter(found.values())).mean
        return Series(name, [float(ticks[0]), float(ticks[-1])], [value, value], slot=slot, dashed=True)
    at = [float(size) for size in ticks]
    values = [found.get(size) for size in ticks]
    return Series(
        name,
        at,
        [math.nan if value is None else value.mean for value in values],
        [None if value is None else value.low for value in values],
        [None if value is None else value.high for value in values],
        slot,
    )


# -- experiments -------------------------------------------------------------------------------------------------------


def clusterings(items: Sequence[Clusterings], lang: str) -> Html:
    """A box for each model and size: the agreement of its clusters with the labels, run by run."""
    if not items:
        return Html("")
    drawn = []
    for one in items:
        groups = [(model_name(model, size, lang), values, SLOTS.get(model, 8)) for model, size, values in one.groups]
        name = measure_name(one.measure, lang)
        unit = say("study.with_direction", lang, name=name, direction=say("study.higher", lang))
        drawn.append(figure(BoxChart(name, unit, groups), lang))
    runs = max(len(values) for one in items for _, _, values in one.groups)
    styled = any(model == "cvae" for one in items for model, _, _ in one.groups)
    aside = tag("p", say("study.clusterings_of_style", lang)) if styled else None
    return join([tag("p", say("study.clusterings", lang, n=runs)), aside, charts(drawn)])


def codes(items: Sequence[CodePlot], lang: str) -> Html:
    """Codes of size 2, and projections of larger ones."""
    if not items:
        return Html("")
    drawn = [code_plot(one.points, _listed(one.labels), one.title, lang, one.axes, one.caption) for one in items]
    return join([tag("p", say("study.codes", lang)), charts(drawn)])


def _listed(labels: Sequence[Any] | None) -> list[Any] | None:
    return None if labels is None else list(np.asarray(labels).tolist())


def walks(report: StudyReport, pictures: Pictures, lang: str) -> Html:
    """A strip for each walk, and the classes that it passes."""
    if not report.walks:
        return Html("")
    groups: dict[tuple[str, bool], list[Html]] = {}
    for one in report.walks:
        groups.setdefault((one.group, one.folded), []).append(_walk(one, report, pictures, lang))
    parts = [_walk_group(name, folded, strips) for (name, folded), strips in groups.items()]
    return join([tag("p", say("study.walks", lang)), parts])


def _walk_group(name: str, folded: bool, strips: Sequence[Html]) -> Html:
    side_by_side = tag("div", strips, class_="strips")
    if folded:
        return tag("details", tag("summary", name), side_by_side)
    return join([tag("h3", name) if name else None, side_by_side])


def _walk(walk: Walk, report: StudyReport, pictures: Pictures, lang: str) -> Html:
    images = np.asarray(walk.images)
    ends = report.value_range or value_range_of(images)
    alt = say("study.walk_alt", lang, title=walk.title)
    gap = gap_of(to_rgb(images[:1], ends))
    passed = [tidy(name, 20) for name in walk.passed]
    line = tag("p", say("study.passed", lang, path=" → ".join(_runs(passed))), class_="passed") if passed else None
    return tag(
        "figure", tag("h4", walk.title), pictures.sheet(images, ends, len(images), alt, gap), line, class_="strip"
    )


def _runs(names: Sequence[str]) -> list[str]:
    """Names without repetition of the one before."""
    return [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]


def claims(items: Sequence[Claim], lang: str) -> Html:
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
    return join([tag("p", say("claims.intro", lang)), table(head, rows, class_="claims")])


def reproduce(report: StudyReport, lang: str) -> Html:
    """The command, and what else it takes."""
    if not report.command:
        return Html("")
    return join(
        [command(report.command, lang), pairs(report.facts_to_reproduce) if report.facts_to_reproduce else None]
    )
