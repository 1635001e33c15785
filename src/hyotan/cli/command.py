"""What every command is made of: help that shows examples first, and a printer."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from hyotan.cli.output import Printer, output_options

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


def command(hidden: Sequence[str] = ()) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose function takes a :class:`Printer`, then its arguments and flags by name.

    Its docstring is the help. It ends with a section Examples: command lines, each of which parses.

    Parameters
    ----------
    hidden : the names of flags that help shows with ``--help-all`` alone.
    """

    def made(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def call(as_json: bool, quiet: bool, debug: bool, **values: Any) -> Any:
            return function(Printer(as_json, quiet), **values)

        text, _, examples = inspect.cleandoc(function.__doc__ or "").partition("\n\nExamples\n--------\n")
        built = click.command(cls=Command, help=text, examples=examples.splitlines())(output_options(call))
        for flag in built.params:
            if isinstance(flag, click.Option) and flag.name in hidden:
                flag.hidden = True
        return built

    return made
