"""Flags: values that are checked as settings are, and how SOURCE is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from hyotan.errors import SettingsError, did_you_mean
from hyotan.parameters.domains import Choice, Domain, Integer

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Checked(click.ParamType):
    """A value of a domain, refused in the words in which a setting is.

    Parameters
    ----------
    domain : what it may be.
    """

    name = "value"

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a value; SettingsError where it cannot be one."""
        if not isinstance(value, str):
            return value
        try:
            return self.domain.check(self.domain.parse(value))
        except ValueError:
            flag = param.opts[-1] if param is not None else "The value"
            raise SettingsError(
                f"{flag} cannot be {value!r}: expected {self.domain.describe()}.", self._fix(value, param)
            ) from None

    def _fix(self, value: str, param: click.Parameter | None) -> str:
        if isinstance(self.domain, Choice):
            return did_you_mean(value, self.domain.options)
        default = param.default if param is not None else None
        # Where there is none, click holds None or a mark of its own, by version.
        return f"Leave it out for the default, {default}." if isinstance(default, int | str) else "Leave it out."


def option(names: str, help: str, domain: Domain | None = None, default: Any = None, **more: Any) -> Decorator:
    """A flag; its help ends with its default.

    Parameters
    ----------
    names : such as ``--out -o``, and the name of the argument where it is another: ``--as label``.
    help : one sentence.
    domain : what its value may be; None for any text.
    default : its value where it is not given.
    more : as click takes it.
    """
    if domain is not None:
        more = {"type": Checked(domain), "metavar": domain.metavar, **more}
    if default is not None:
        help = f"{help}  [{default}]"
    return click.option(*names.split(), help=help, default=default, **more)


def switch(names: str, help: str, **more: Any) -> Decorator:
    """A flag without a value."""
    return click.option(*names.split(), help=help, is_flag=True, **more)


def place(names: str, help: str, metavar: str = "FILE", **more: Any) -> Decorator:
    """A flag whose value is a path."""
    return click.option(*names.split(), help=help, metavar=metavar, type=click.Path(), **more)


SEED = option("--random-state", "Seed.", Integer(0), 0)
SHOW = option("--show", "Rows in the picture.", Integer(1), 10)


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    parts = value.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise SettingsError(
            f"--size cannot be '{value}': expected HEIGHTxWIDTH in pixels.", "For example: --size 64x64"
        )
    return int(parts[0]), int(parts[1])


def names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str]:
    """Names with commas between them; none where the flag was not given."""
    return [name.strip() for name in (value or "").split(",") if name.strip()]


DATA_OPTIONS = {
    "label": option("--label", "Column (of an archive: array) that holds labels.", metavar="COLUMN"),
    "ignore": option("--ignore", "Columns to ignore.", metavar="A,B", callback=names),
    "columns": option("--columns", "Columns to keep, in this order.", metavar="A,B", callback=names),
    "missing": option(
        "--missing",
        "Missing values in a table: keep them, drop the row, fill in the column's mean, or error.  [keep]",
        Choice(("keep", "drop", "mean", "error")),
        metavar="WHAT",
    ),
    "id": option("--id", "Column that identifies the rows; not a feature.", metavar="COLUMN"),
    "size": option("--size", "Resize images to this height and width: 64x64.", metavar="HxW", callback=_size),
    "limit": option("--limit", "At most this many rows, sampled at random.", Integer(1)),
}


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How SOURCE is read."""
    for add in reversed(DATA_OPTIONS.values()):
        command = add(command)
    return command


def given_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """The data options that were given, by name."""
    return {name: values[name] for name in DATA_OPTIONS if values.get(name) not in (None, [], ())}
