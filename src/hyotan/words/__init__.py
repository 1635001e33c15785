"""The catalogue of messages, English and Japanese: ``say("verdict.none", "ja", …)``."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from hyotan.errors import SettingsError, did_you_mean
from hyotan.files.toml import names_in, read_named

DEFAULT = "en"
VARIABLES = ("HYOTAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
"""Where a person says which language to write in; the first one that is set decides."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Entry = str | Mapping[str, str]


def languages() -> tuple[str, ...]:
    """The languages that there is a catalogue for, the default first."""
    return (DEFAULT, *[name for name in names_in(files(__name__)) if name != DEFAULT])


def preferred(given: str | None = None) -> str:
    """The language asked for, else that of the environment, else English.

    Raises
    ------
    SettingsError
        A language was given that there is no catalogue for. One in the environment is passed over.
    """
    if given is not None:
        if given not in languages():
            raise SettingsError(f"There is no language '{given}'.", did_you_mean(given, languages()))
        return given
    said = next((value for name in VARIABLES if (value := os.environ.get(name))), "")
    short = re.split(r"[_.@-]", said.lower())[0]
    return short if short in languages() else DEFAULT


def say(key: str, /, lang: str = DEFAULT, **values: Any) -> str:
    """A message of the catalogue with its values.

    Parameters
    ----------
    key : dotted, as in ``"verdict.none"``.
    lang : one of :func:`languages`.
    **values : what stands in the message's braces; numbers are written by :func:`shown`. An entry that has a form
        for ``one`` and for ``other`` counts takes the one that fits ``n``.

    Raises
    ------
    KeyError
        There is no such message, or it needs a value that was not given.

    Examples
    --------
    >>> say("count.rows", n=1), say("count.rows", n=70000), say("count.rows", "ja", n=70000)
    ('1 row', '70,000 rows', '70,000 行')
    """
    entry = catalogue(lang)[key]
    if not isinstance(entry, str):
        entry = entry["one"] if values.get("n") == 1 else entry["other"]
    return entry.format(**{name: shown(value) for name, value in values.items()})


def has(key: str) -> bool:
    """Whether there is such a message."""
    return key in catalogue(DEFAULT)


def shown(value: Any, digits: int = 4) -> str:
    """A number as it stands in a sentence, anything else as text.

    >>> shown(6300), shown(-2.1234567), shown(0.00001234), shown("a"), shown(12345.6)
    ('6,300', '−2.123', '1.234×10⁻⁵', 'a', '12,346')
    """
    if isinstance(value, bool) or (not isinstance(value, int | float) and not hasattr(value, "__float__")):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    number = float(value)
    if 1000 <= abs(number) < 1e7:
        return aligned(number, number, digits)
    mantissa, _, exponent = f"{number:.{digits}g}".partition("e")
    power = f"×10{str(int(exponent)).translate(SUPERSCRIPTS)}" if exponent else ""
    return mantissa.replace("-", "−") + power


def aligned(value: float, like: float, digits: int = 4) -> str:
    """A number with as many decimals as ``like`` needs for ``digits`` figures: what stands together reads alike.

    >>> aligned(24.8, 24.91), aligned(0.01, 0.0312, 3)
    ('24.80', '0.0100')
    """
    if like == 0 or not 1e-4 <= abs(like) < 1e7:
        return shown(value, digits)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(like))))
    return f"{value:,.{decimals}f}".replace("-", "−")


@cache
def catalogue(lang: str) -> dict[str, Entry]:
    """All messages of a language by their dotted keys."""
    return dict(_flat(read_named(files(__name__), lang, "language"), ""))


def _flat(content: Mapping[str, Any], prefix: str) -> list[tuple[str, Entry]]:
    entries: list[tuple[str, Entry]] = []
    for name, value in content.items():
        if isinstance(value, str) or set(value) == {"one", "other"}:
            entries.append((prefix + name, value))
        else:
            entries += _flat(value, f"{prefix}{name}.")
    return entries
