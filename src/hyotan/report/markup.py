"""HTML from nested calls: what is not markup already is escaped, always."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

EMPTY = frozenset({"meta", "br", "img", "hr", "path", "line", "rect", "circle", "col"})
"""Elements that have no content; written with a slash, as SVG asks and HTML allows."""

UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters, those that turn the direction of the text after them, and halves of characters."""


class Html(str):
    """Text that is markup; it goes into a page as it is."""

    __slots__ = ()


def clean(text: object) -> str:
    """Text with nothing in it that a page must not hold; what is taken out leaves a sign."""
    return UNSEEN.sub("\ufffd", str(text))


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element.

    Parameters
    ----------
    name : of the element.
    *children : markup, text, numbers; lists of these; None is left out.
    **attributes : a trailing underscore is dropped and others become hyphens (``class_``, ``aria_label``); None and
        False leave the attribute out, True writes it bare.

    Examples
    --------
    >>> tag("p", "1 < 2 ", tag("b", "!"), class_="note")
    '<p class="note">1 &lt; 2 <b>!</b></p>'
    """
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    return Html(f"{opened}/>" if name in EMPTY else f"{opened}>{join(children)}</{name}>")


def join(children: Any) -> Html:
    """Children as one piece of markup: see :func:`tag`."""
    if children is None:
        return Html("")
    if isinstance(children, Html):
        return children
    if isinstance(children, Iterable) and not isinstance(children, str):
        return Html("".join(join(child) for child in children))
    return Html(escape(clean(children), quote=False))


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(clean(value))}"'


def json_script(value: Any, name: str) -> Html:
    """Numbers for programs: JSON in an element that no browser runs or shows."""
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, code)
    return Html(f'<script type="application/json" id="{escape(name)}">{UNSEEN.sub(" ", text)}</script>')


def _plain(value: Any) -> Any:
    """As JSON can hold it; what is not finite is null, numbers keep six figures."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def html_table(
    head: Iterable[Any],
    rows: Iterable[Iterable[Any]],
    *,
    numbers: Iterable[int] = (),
    row_heads: bool = True,
    caption: Any = None,
    class_: str | None = None,
) -> Html:
    """A table that scrolls sideways where the screen is narrow.

    Parameters
    ----------
    head : the columns' names.
    rows : cells.
    numbers : columns that are set flush right.
    row_heads : whether the first cell of a row names the row.
    caption : says what the table is.
    class_ : of the table.
    """
    titles, right = list(head), set(numbers)
    sides = ["n" if index in right else None for index in range(len(titles))]
    top = tag("tr", [tag("th", title, scope="col", class_=side) for title, side in zip(titles, sides, strict=True)])
    body = [tag("tr", [_cell(cell, i, sides[i], row_heads) for i, cell in enumerate(row)]) for row in rows]
    inner = tag("table", tag("thead", top), tag("tbody", body), class_=class_)
    # Focusable, so that the keyboard can scroll it too; the caption stays where it is.
    name = caption or next((title for title in titles if title), None)
    scroll = tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=name)
    return join([tag("p", caption, class_="caption") if caption else None, scroll])


def _cell(cell: Any, index: int, side: str | None, row_heads: bool) -> Html:
    if index == 0 and row_heads:
        return tag("th", cell, scope="row", class_=side)
    return tag("td", cell, class_=side)


def pairs(items: Iterable[tuple[Any, Any]]) -> Html:
    """Names with what they are, in two columns."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in items], class_="pairs")
