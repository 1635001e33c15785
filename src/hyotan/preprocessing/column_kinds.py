"""The table of column kinds: which there are, which of them suits a column, and how one is read from its settings.

The module loads neither numpy nor pyarrow, for ``hyotan fit --help`` lists the kinds.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from hyotan.preprocessing.columns import Column

KINDS: Mapping[str, str] = {
    "number": "number_columns:Number",
    "date": "number_columns:Date",
    "count": "number_columns:Count",
    "category": "category_columns:Category",
    "yes-no": "category_columns:YesNo",
    "constant": "category_columns:Constant",
}
"""Every kind of column, and its class: a new one is a class and a line here.

The more special kinds stand behind the more general ones: the last that suits a column is taken.
"""

IGNORE = "ignore"
"""What a column is taken for that the model does not see."""

CHOICES = (*KINDS, IGNORE)
"""What a column can be taken for."""


def class_of(kind: str) -> type[Column]:
    """The class of a kind; imported now."""
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(f"hyotan.preprocessing.{module}"), name)


def kind_of(values: pa.ChunkedArray) -> str | None:
    """The kind that suits a column; None where there is nothing to learn: text that hardly repeats itself, lists."""
    return next((kind for kind in reversed(list(KINDS)) if class_of(kind).suits(values)), None)


def column_from(settings: Mapping[str, Any]) -> Column:
    """The column that :meth:`Column.to_settings` wrote down.

    Raises
    ------
    TypeError, ValueError
        It is none, or not whole.
    """
    given = dict(settings)
    kind = str(given.pop("kind", None))
    if kind not in KINDS or set(given) != {member.name for member in fields(class_of(kind))}:
        raise ValueError(f"not a column: {dict(settings)!r}")
    return class_of(kind).from_settings(given)
