"""What every command is made of: help that shows examples first, and values that are checked as settings are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from hyotan.errors import SettingsError, did_you_mean
from hyotan.parameters import Choice, Domain

EVERYWHERE = frozenset({"--json", "--quiet", "--debug", "--help"})
"""Flags that every command has; help gives them one line."""


class ShowsExamples(click.Command):
    """Help in the order in which it is read: usage, what it does, examples, flags.

    Parameters
    ----------
    examples : command lines, each of which parses.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.examples = tuple(examples)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, then the examples."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(ShowsExamples):
    """A command below ``hyotan``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note which flags were typed as flags, then parse: an error before the end must know ``--json``."""
        if isinstance(ctx.obj, set):
            ctx.obj.intersection_update(self._bare(ctx, args))
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # click's parser knows of no context
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List this command's own flags, then those of every command in one line."""
        flags = [p for p in self.get_params(ctx) if isinstance(p, click.Option) and not EVERYWHERE & {*p.opts}]
        if shown := [record for flag in flags if (record := flag.get_help_record(ctx)) is not None]:
            with formatter.section("Options"):
                formatter.write_dl(shown)
        formatter.write_paragraph()
        formatter.write_text("Every command: --json (one object), --quiet (results alone), --debug, --help.")

    def _bare(self, ctx: click.Context, args: Sequence[str]) -> Iterator[str]:
        """The words that are no option's value."""
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        valued = {name for option in options if not option.is_flag for name in option.opts}
        words = iter(args)
        for word in words:
            if word == "--":
                return
            yield word
            if word in valued:
                next(words, None)


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
