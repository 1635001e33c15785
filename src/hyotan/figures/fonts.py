"""Fonts that can draw what the figure says: Japanese labels come out as text, never as boxes without a word.

Matplotlib's own font, DejaVu Sans, has no Japanese glyphs, and Matplotlib falls back only along a list of families that
it is given. This module makes that list from the fonts that are installed.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

LATIN = "DejaVu Sans"
"""The first family of every figure; it comes with Matplotlib, so that figures look alike on every machine."""

CJK_FAMILIES = (
    "Hiragino Sans",
    "Hiragino Kaku Gothic ProN",
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Source Han Sans JP",
    "Yu Gothic",
    "Meiryo",
    "BIZ UDGothic",
    "MS Gothic",
    "IPAexGothic",
    "IPAPGothic",
    "IPAGothic",
    "TakaoPGothic",
    "TakaoGothic",
    "VL PGothic",
    "VL Gothic",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "NanumGothic",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
"""Families with Chinese, Japanese or Korean glyphs, Japanese forms first, in the order in which they are tried."""

_CJK_NAMES = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "FULLWIDTH", "HALFWIDTH")
_warned: set[str] = set()


def font_families(text: str = "") -> tuple[str, ...]:
    """The families, in order, that together draw ``text`` as far as the installed fonts can.

    Parameters
    ----------
    text : str
        What will be drawn. Without it: DejaVu Sans and the first installed Japanese family.
    """
    chosen = [LATIN, *_installed(CJK_FAMILIES)[:1]]
    for character in _needed(text):
        if not any(_draws(family, character) for family in chosen):
            chosen += _family_with(character)
    return tuple(chosen)


def undrawable(text: str) -> str:
    """The characters of ``text`` that no installed font has, each once, in order."""
    families = font_families(text)
    return "".join(c for c in _needed(text) if not any(_draws(family, c) for family in families))


def font_path(text: str) -> Path:
    """The file of one installed font that draws as much of ``text`` as any of :func:`font_families` does."""
    families = font_families(text)
    best = max(families, key=lambda family: sum(_draws(family, c) for c in _needed(text)))
    return Path(_path_of(best) or font_manager.findfont(LATIN))


def warn_if_undrawable(text: str) -> None:
    """Warn, once for each character, that the figure will show boxes, and say what to install."""
    missing = "".join(c for c in undrawable(text) if c not in _warned)
    if not missing:
        return
    _warned.update(missing)
    shown = missing[:12] + ("…" if len(missing) > 12 else "")
    warnings.warn(
        f"No installed font can draw {len(missing)} character(s) of this figure ({shown}); they will show as boxes. "
        f"{_advice(missing)}",
        UserWarning,
        stacklevel=2,
    )


def dress(artist: Artist) -> None:
    """Give every text under ``artist`` a list of families that draws it, and warn about what none can draw.

    A dollar sign in a label is a dollar sign: mathematical notation is switched off for texts that hold one.
    """
    texts = [text for text in artist.findobj(Text) if isinstance(text, Text)]
    everything = "".join(text.get_text() for text in texts)
    families = list(font_families(everything))
    for text in texts:
        text.set_fontfamily(families)
        if "$" in text.get_text() and "\\mathdefault" not in text.get_text():  # a log axis writes its powers so
            text.set_parse_math(False)
    warn_if_undrawable(everything)


def _needed(text: str) -> list[str]:
    return [c for c in dict.fromkeys(text) if not c.isspace() and unicodedata.category(c) not in {"Cc", "Cf", "Mn"}]


def _advice(missing: str) -> str:
    if any(unicodedata.name(c, "").startswith(_CJK_NAMES) for c in missing):
        return (
            "Install a Japanese font, e.g. `apt-get install fonts-noto-cjk` on Debian or Ubuntu, "
            "or Noto Sans CJK JP elsewhere, and draw again."
        )
    return "Install a font that has them, and draw again."


def _installed(families: Iterable[str]) -> list[str]:
    return [family for family in families if _path_of(family) is not None]


def _family_with(character: str) -> list[str]:
    for family in (*_installed(CJK_FAMILIES), *_all_families()):
        if _draws(family, character):
            return [family]
    return [] if not _discover() else _family_with(character)


def _all_families() -> list[str]:
    # A "last resort" font claims every character and draws each as a box, which is what is to be avoided.
    names = {entry.name for entry in font_manager.fontManager.ttflist}
    return sorted(name for name in names if "last" not in name.lower() and not name.startswith("."))


@cache
def _discover_once() -> bool:
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    new = [path for path in font_manager.findSystemFonts() if path not in known]
    for path in new:
        _add(path)
    return bool(new)


def _discover() -> bool:
    """Whether fonts came to light that Matplotlib's cached list, made before they were installed, does not know."""
    if _discover_once.cache_info().currsize:
        return False
    found = _discover_once()
    _path_of.cache_clear()
    _draws.cache_clear()
    return found


def _add(path: str) -> None:
    try:
        font_manager.fontManager.addfont(path)
    except Exception:
        return


@cache
def _path_of(family: str) -> str | None:
    entries = [entry for entry in font_manager.fontManager.ttflist if entry.name == family]
    entries.sort(key=lambda entry: (entry.style != "normal", abs(_weight(entry.weight) - 400), entry.fname))
    return next((entry.fname for entry in entries if Path(entry.fname).exists()), None)


def _weight(weight: int | str) -> int:
    return weight if isinstance(weight, int) else font_manager.weight_dict.get(weight, 400)


@cache
def _font(path: str) -> FT2Font | None:
    try:
        return FT2Font(path)
    except Exception:
        return None


@cache
def _draws(family: str, character: str) -> bool:
    path = _path_of(family)
    font = None if path is None else _font(path)
    return font is not None and font.get_char_index(ord(character)) != 0
