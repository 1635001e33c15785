"""Counts, lists and numbers as they stand in a sentence."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """The count with its noun.

    >>> counted(1, "row"), counted(70000, "image")
    ('1 row', '70,000 images')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(names: Sequence[str], most: int = 8) -> str:
    """The names in quotes, shortened after `most` of them.

    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def number(value: float) -> str:
    """The value, whole numbers without a point.

    >>> number(6300.0), number(-2.1234567)
    ('6,300', '-2.123')
    """
    whole = abs(value) < 1e15 and float(value).is_integer()
    return f"{int(value):,}" if whole else f"{value:.4g}"


def flag(name: str, values: Sequence[str]) -> str:
    """A command-line flag that can be pasted into a shell.

    >>> flag("ignore", ["island", "body mass"])
    "--ignore 'island,body mass'"
    """
    return f"--{name} {shlex.quote(','.join(values))}"
