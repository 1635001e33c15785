"""What a caller of load asks for besides the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from hyotan.errors import SettingsError, did_you_mean

MISSING = ("keep", "drop", "mean", "error")


@dataclass
class Request:
    """The options of :func:`hyotan.data.load`, checked once; every reader takes those that its format knows.

    Raises
    ------
    SettingsError
        No format could use a value.
    """

    label: str | None = None
    ignore: Sequence[str] = ()
    columns: Sequence[str] = ()
    missing: str = "keep"
    size: tuple[int, int] | None = None
    limit: int | None = None
    as_table: bool = False
    id: str | None = None

    def __post_init__(self) -> None:
        if self.missing not in MISSING:
            what = f"missing is one of {', '.join(MISSING)}; got {self.missing!r}."
            raise SettingsError(what, did_you_mean(self.missing, MISSING))
        if self.limit is not None and self.limit < 1:
            what = f"limit must be at least 1 row; got {self.limit}."
            raise SettingsError(what, "Leave --limit out to read all rows.")
        self.ignore, self.columns, self.size = _names(self.ignore), _names(self.columns), _size(self.size)

    def given(self) -> list[str]:
        """The names of the options that differ from their defaults."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


def _names(value: Sequence[str]) -> tuple[str, ...]:
    # A lone string is a sequence of letters to Python, but never what was meant.
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts)


def _size(size: tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    numbers = tuple(size)
    if len(numbers) != 2 or not all(isinstance(n, int) and n >= 1 for n in numbers):
        raise SettingsError(f"size is a height and a width in pixels; got {size!r}.", "For example --size 64x64.")
    return numbers
