"""The page of a study: what to take for which purpose, and everything that speaks for and against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from hyotan.figures import Display
from hyotan.figures.styles import LOOKS
from hyotan.models.families import short_name
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
    tiles,
    with_flags,
    within_limits,
)
from hyotan.report.pictures import Thumbnails
from hyotan.study.cells import MEAN, PCA, RAW
from hyotan.study.drawing import COUNTED, IN_SECONDS, Measure, model_name
from hyotan.words import aligned, say, shown

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
    figures : by section; what a page shows of each are its ``charts``.
    claims : the findings of articles.
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
    figures: Mapping[str, Sequence[Display]] = field(default_factory=dict)
    claims: Sequence[Claim] = ()
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
        "sizes": _sizes(report, thumbnails, lang),
        "clusterings": _clusterings(report, thumbnails, lang),
        "codes": _section("codes", report, thumbnails, lang, say("study.codes", lang)),
        "walks": _walks(report, thumbnails, lang),
        "conditions": _section("conditions", report, thumbnails, lang),
        "exchanges": _section("exchanges", report, thumbnails, lang),
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
    head = [say("study.model", lang), *[_column(one, lang) for one in measures]]
    body = [[model_name(*pair, lang), *[_cell(one, pair, best[one.name]) for one in measures]] for pair in rows]
    caption = say("study.caption", lang)
    return html_table(head, body, numbers=range(1, len(head)), caption=caption, class_="wide")


def _column(one: Measure, lang: str) -> Html:
    direction = {None: None, True: say("study.lower", lang), False: say("study.higher", lang)}[one.lower_is_better]
    name = say(f"measure.{one.name}", lang)
    return join([name, tag("span", direction, class_="more") if direction else None])


def _order(pair: tuple[str, int]) -> tuple[int, int]:
    order = list(LOOKS)
    return (order.index(pair[0]) if pair[0] in order else len(order)), pair[1]


def _best(measure: Measure) -> tuple[str, int] | None:
    """The best one among the models, where more or less is better."""
    trained = {pair: value.mean for pair, value in measure.values.items() if pair[0] not in (PCA, RAW, MEAN)}
    if not trained or measure.lower_is_better is None or measure.name == IN_SECONDS:
        return None
    return (min if measure.lower_is_better else max)(trained, key=trained.__getitem__)


def _cell(measure: Measure, pair: tuple[str, int], best: tuple[str, int] | None) -> Any:
    value = measure.values.get(pair)
    if value is None:
        return "–"
    text = shown(value.mean, 3) if measure.name in COUNTED else aligned(value.mean, value.mean, 3)
    spread = 0.0 if value.high is None else value.high - value.mean
    reach = tag("span", f"± {shown(spread, 2)}", class_="more") if spread > 1e-9 * abs(value.mean) else None
    return [tag("b", text) if pair == best else text, reach]


# -- figures -----------------------------------------------------------------------------------------------------------


def _charts(name: str, report: StudyReport, lang: str) -> list[Any]:
    return [chart for display in report.figures.get(name, ()) for chart in display.charts(lang)]


def _section(name: str, report: StudyReport, thumbnails: Thumbnails, lang: str, *intro: str) -> Html:
    """The charts of a section's figures under a few words; nothing where there are none."""
    found = _charts(name, report, lang)
    return join([*[tag("p", words) for words in intro], arranged(found, lang, thumbnails)]) if found else Html("")


def _sizes(report: StudyReport, thumbnails: Thumbnails, lang: str) -> Html:
    """Each measure against the latent size, one line a model, with intervals over the repeats."""
    key = "study.sizes" if report.repeats > 1 else "study.sizes_once"
    return _section("sizes", report, thumbnails, lang, say(key, lang))


def _clusterings(report: StudyReport, thumbnails: Thumbnails, lang: str) -> Html:
    """A box for each model and size: the agreement of its clusters with the labels, run by run."""
    charts = _charts("clusterings", report, lang)
    runs = max((len(values) for chart in charts for _, values, _ in chart.groups), default=0)
    styled = any(name.startswith(short_name("cvae", lang)) for chart in charts for name, _, _ in chart.groups)
    intro = [say("study.clusterings", lang, n=runs), *([say("study.clusterings_of_style", lang)] if styled else [])]
    return _section("clusterings", report, thumbnails, lang, *intro)


def _walks(report: StudyReport, thumbnails: Thumbnails, lang: str) -> Html:
    """A strip for each walk, and the classes that it passes; some ways folded away, last."""
    charts, parts = sorted(_charts("walks", report, lang), key=lambda chart: chart.is_aside), []
    for (is_aside, group), found in groupby(charts, lambda chart: (chart.is_aside, chart.group)):
        strips = tag("div", [html_figure(one, lang, thumbnails, "h4") for one in found], class_="strips")
        heading = tag("summary" if is_aside else "h3", group) if group else None
        parts.append(tag("details", heading, strips) if is_aside else join([heading, strips]))
    return join([tag("p", say("study.walks", lang)), parts]) if parts else Html("")


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
