"""What every command is made of: help that shows examples first, a printer, and the shape of those that use a model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from hyotan.cli.options import DATA_OPTIONS, place
from hyotan.cli.output import Printer, output_options

EVERYWHERE = frozenset({"--json", "--quiet", "--debug", "--help"})
"""Flags that every command has; help gives them one line."""

ROWS = (".npy", ".csv", ".tsv", ".parquet")
"""Endings of the files that rows can be written to."""


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


def command(*examples: str, hidden: Sequence[str] = ()) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose function takes a :class:`Printer`, then its arguments and flags by name.

    Parameters
    ----------
    examples : command lines, each of which parses.
    hidden : the names of flags that help shows with ``--help-all`` alone.
    """

    def made(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def call(as_json: bool, quiet: bool, debug: bool, **values: Any) -> Any:
            return function(Printer(as_json, quiet), **values)

        built = click.command(cls=Command, examples=examples)(output_options(call))
        for flag in built.params:
            if isinstance(flag, click.Option) and flag.name in hidden:
                flag.hidden = True
        return built

    return made


def use(
    *examples: str, default: str, endings: Sequence[str] = ROWS, rows: bool = True, detectors: bool = False
) -> Callable[[Callable[..., dict[str, Any]]], click.Command]:
    """A command that uses a trained model: it reads RUN and SOURCE, computes, writes files, and says what was done.

    Its function takes a :class:`hyotan.cli.uses.Used`, then its own arguments and flags by name. It gives back what
    ``--json`` prints beside the name of the file; otherwise the names of all files written are printed.

    Parameters
    ----------
    examples : command lines, each of which parses.
    default : the name of the file that it writes into the run folder where --out names no other.
    endings : what that file's name may end in.
    rows : whether it takes SOURCE, by default the run's own test rows.
    detectors : whether it takes a detector in the place of a run.
    """
    named = f"{' '.join(endings[:-1])} or {endings[-1]}" if endings else "The file to write."

    def made(function: Callable[..., dict[str, Any]]) -> click.Command:
        @functools.wraps(function)
        def call(printer: Printer, run: str, out: str | None, source: str | None = None, **values: Any) -> None:
            from hyotan.cli.uses import Used

            options = {name: values.pop(name) for name in DATA_OPTIONS} if rows else {}
            used = Used(run, printer, source, options, out, default, endings, detectors)
            record = function(used, **values)
            printer.result({"file": used.files[0], **record}, [str(file) for file in used.files])

        built = command(*examples)(call)
        own, built.params = built.params, []
        source = [click.argument("source", required=False)] if rows else []
        for add in (click.argument("run", type=click.Path()), *source):
            add(built)
        built.params += own
        for add in (place("--out -o", f"{named}  [RUN/{default}]"), *(DATA_OPTIONS.values() if rows else ())):
            add(built)
        return built

    return made
