"""The page around a report: head, verdict, sections, style; one file that needs nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from hyotan.analysis.diagnosis import GOOD, NOTICE, WARNING
from hyotan.files.version import __version__
from hyotan.report.charts import Chart
from hyotan.report.data_uris import Pictures
from hyotan.report.markup import Html, data, join, table, tag
from hyotan.words import say, shown

TARGET = 2 * 10**6
LIMIT = 5 * 10**6
"""Bytes that a page aims at, and that it never goes beyond."""

SIDES = (112, 72, 44)
"""Longest side of a picture, in pixels: smaller ones where the page would be too large."""

MOST_ROWS = 60
"""Rows of the table behind a chart; the data below the page hold them all."""

FLAG = re.compile(r"(--models? [a-z]+(?:,[a-z]+)*|--[a-z][a-z-]*(?: (?:[0-9]+(?:[.,][0-9]+)*|gaussian-shared|unit))?)")
"""A command-line flag in a sentence, with its value where it has one."""

ICONS = {
    GOOD: "M8 .5a7.5 7.5 0 100 15 7.5 7.5 0 000-15zm3.9 5.2-4.7 5.6a.9.9 0 01-1.3.1L3.6 9.2l1.1-1.3 1.7 1.5 4.1-4.8z",
    NOTICE: "M8 .5a7.5 7.5 0 100 15 7.5 7.5 0 000-15zM7 3.5h2v6H7zm0 7h2v2H7z",
    WARNING: "M8 .8 15.6 15H.4zM7.1 5.6v4.8h1.8V5.6zm0 5.9v1.8h1.8v-1.8z",
}


@dataclass(frozen=True)
class Note:
    """Something to know before the numbers.

    Attributes
    ----------
    level : ``good``, ``notice`` or ``warning``.
    title, text : in words; the title may be empty.
    lang : of the text, where it is not the page's.
    """

    level: str
    title: str
    text: str
    lang: str | None = None


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading; one without a body is left out."""

    name: str
    title: str
    body: Html


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes
    ----------
    lang : language of the page's own words.
    title, facts : the heading, and the line beneath it.
    level, verdict : how grave it is, and in a few sentences what came out.
    sections : in order.
    data : numbers for programs.
    """

    lang: str
    title: str
    facts: str
    level: str
    verdict: Sequence[str]
    sections: Sequence[Section]
    data: dict[str, Any] = field(default_factory=dict)


def within_limits(build: Callable[[Pictures], Page], lang: str) -> str:
    """The page with pictures as large as its size allows; without any where even small ones are too much.

    Parameters
    ----------
    build : makes the page with pictures of a size.
    lang : of the page.
    """
    html = ""
    for side in SIDES:
        html = render(build(Pictures(side, lang)))
        if len(html.encode()) <= TARGET:
            return html
    return html if len(html.encode()) <= LIMIT else render(build(Pictures(0, lang)))


def render(page: Page) -> str:
    """The whole file."""
    style, script = _resource("page.css"), _resource("page.js")
    sections = [section for section in page.sections if section.body]
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"hyotan {__version__}"),
        tag("title", page.title),
        Html(f"<style>{style}</style>"),
    )
    body = tag(
        "body",
        _top(page.lang),
        tag("div", _header(page), _contents(page.lang, sections), _main(sections), _footer(page.lang), class_="frame"),
        data(page.data, "report-data"),
        Html(f"<script>{script}</script>"),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang=page.lang)}\n"


def _top(lang: str) -> Html:
    gourd = tag(
        "svg",
        tag("circle", cx="8", cy="8.6", r="3.7"),
        tag("circle", cx="8", cy="16.8", r="6.2"),
        tag("path", d="M7.3 5.4V3.2Q7.3 1.3 9.9 1.1L10 2.2Q8.7 2.4 8.7 3.4V5.4Z"),
        viewBox="0 0 16 24",
        aria_hidden="true",
    )
    button = tag(
        "button",
        say("page.theme", lang),
        id="theme",
        type="button",
        hidden=True,
        data_dark=say("page.dark", lang),
        data_light=say("page.light", lang),
    )
    return tag("div", tag("div", gourd, tag("span", "Hyotan"), class_="brand"), button, class_="top")


def _header(page: Page) -> Html:
    sentences = [tag("p", with_flags(sentence)) for sentence in page.verdict]
    return tag(
        "header",
        tag("h1", page.title),
        tag("p", page.facts, class_="facts"),
        tag("div", level_sign(page.level, page.lang, "verdict"), sentences, class_=f"verdict {page.level}"),
    )


def level_sign(level: str, lang: str, of: str = "level", said: str = "") -> Html:
    """A sign and a word for how grave something is; ``said`` in place of that word."""
    words = {
        ("verdict", GOOD): "level.verdict.good",
        ("verdict", NOTICE): "level.verdict.notice",
        ("verdict", WARNING): "level.verdict.warning",
        ("level", GOOD): "level.good",
        ("level", NOTICE): "level.notice",
        ("level", WARNING): "level.warning",
    }
    icon = tag("svg", tag("path", d=ICONS[level], fill_rule="evenodd"), viewBox="0 0 16 16", aria_hidden="true")
    return tag("div", icon, said or say(words[of, level], lang), class_="level")


def _contents(lang: str, sections: Sequence[Section]) -> Html:
    links = [tag("li", tag("a", section.title, href=f"#{section.name}")) for section in sections]
    return tag("nav", tag("ol", links), aria_label=say("page.contents", lang))


def _main(sections: Sequence[Section]) -> Html:
    return tag(
        "main",
        [
            tag(
                "section",
                tag("h2", one.title, id=f"{one.name}-title"),
                one.body,
                id=one.name,
                aria_labelledby=f"{one.name}-title",
            )
            for one in sections
        ],
    )


def _footer(lang: str) -> Html:
    return tag("footer", say("page.footer", lang, version=__version__))


@cache
def _resource(name: str) -> str:
    return (files(__package__ or "hyotan.report") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


# -- what sections are made of ---------------------------------------------------------------------------------------


def notes(items: Iterable[Note], lang: str) -> Html:
    """Warnings and notices, one beneath the other; empty where there are none."""
    rows = [
        tag(
            "li",
            level_sign(item.level, lang),
            tag("p", [tag("b", item.title), " "] if item.title else None, with_flags(item.text), lang=item.lang),
            class_=item.level,
        )
        for item in items
    ]
    return tag("ul", rows, class_="notes") if rows else Html("")


def with_flags(text: str) -> Html:
    """Text in which command-line flags are set as code, each with its value on one line, as are per cent."""
    parts = FLAG.split(text.replace(" %", "\N{NO-BREAK SPACE}%"))
    return join([tag("code", part, class_="w") if index % 2 else part for index, part in enumerate(parts)])


def tiles(items: Iterable[tuple[str, str, str, str]]) -> Html:
    """Numbers to see first: what, value, unit, and a line beneath."""
    return tag(
        "dl",
        [
            tag(
                "div",
                tag("dt", what),
                tag("dd", value, " ", tag("small", unit), class_="value"),
                tag("dd", more, class_="more") if more else None,
            )
            for what, value, unit, more in items
        ],
        class_="tiles",
    )


def figure(chart: Chart, lang: str, caption: Any = None, level: str = "h3") -> Html:
    """A chart with its heading, legend, caption and numbers."""
    head, rows = chart.numbers()
    every = max(1, -(-len(rows) // MOST_ROWS))
    kept = rows if every == 1 else rows[::every] + ([rows[-1]] if (len(rows) - 1) % every else [])
    thinned = None if every == 1 else tag("p", say("page.thinned", lang, every=every, n=len(rows)), class_="quiet")
    behind = tag(
        "details",
        tag("summary", say("page.numbers", lang)),
        thinned,
        table(head, kept, numbers=range(1, len(head)), caption=chart.title),
    )
    return tag(
        "figure",
        tag(level, chart.title),
        chart.svg(),
        chart.legend(),
        tag("figcaption", caption) if caption else None,
        behind,
    )


def charts(figures: Iterable[Html | None]) -> Html:
    """Figures side by side where there is room."""
    drawn = [one for one in figures if one]
    return tag("div", [tag("div", one) for one in drawn], class_="charts") if drawn else Html("")


def command(text: str, lang: str) -> Html:
    """A command line to copy."""
    words = [tag("span", word, class_="w") for word in text.split(" ")]
    spaced = [part for word in words for part in (" ", word)][1:]
    button = tag(
        "button", say("page.copy", lang), type="button", class_="copy", hidden=True, data_done=say("page.copied", lang)
    )
    return tag("div", tag("pre", tag("code", spaced)), button, class_="command")


def glossary(names: Iterable[str], lang: str) -> Html:
    """Words and what they mean, from the catalogue."""
    items = [
        tag("div", tag("dt", say(f"glossary.{name}.word", lang)), tag("dd", say(f"glossary.{name}.text", lang)))
        for name in names
    ]
    return tag("dl", items, class_="pairs glossary")


def bytes_of(size: int) -> str:
    """A file's size."""
    return f"{shown(size / 1e6, 3)} MB" if size >= 10**6 else f"{shown(size / 1e3, 3)} kB"


def paragraphs(*texts: Any) -> Html:
    """One paragraph each."""
    return join([tag("p", text) for text in texts if text])
