"""What commands print: results on standard output, everything else on standard error; or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from hyotan.files.folders import plain_json
from hyotan.words.terminal import padded, text_width

if TYPE_CHECKING:
    from hyotan.data import Dataset


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that every command has."""
    command = click.option("--debug", is_flag=True, help="Show the traceback of an error.")(command)
    command = click.option("--quiet", is_flag=True, help="Print results alone.")(command)
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


@dataclass(frozen=True)
class Printer:
    """Prints as the flags of :func:`output_options` ask."""

    as_json: bool = False
    quiet: bool = False
    mute: bool = False
    """Say nothing at all: the one who asked prints the result."""

    @property
    def talks(self) -> bool:
        """Whether there are notices and progress, beside the result."""
        return not (self.quiet or self.as_json or self.mute)

    def notice(self, *lines: str) -> None:
        """Lines for the person, on standard error."""
        for line in lines if self.talks else ():
            click.echo(line, err=True)

    def describe(self, dataset: Dataset, notes: Sequence[str] | None = None) -> None:
        """What was read, and its notes: what was guessed or ignored while reading."""
        self.notice(dataset.describe(), *(f"  {note}" for note in (dataset.notes if notes is None else notes)))

    def result(self, record: Mapping[str, Any], lines: Sequence[str]) -> None:
        """The result: the record as one JSON object, or the lines."""
        if self.mute:
            return
        if self.as_json:
            click.echo(json.dumps({"schema": 1, "ok": True, **plain_json(record)}, ensure_ascii=False, allow_nan=False))
            return
        for line in lines:
            click.echo(line)


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows in columns, two blanks apart; the columns named in ``right`` are set flush right."""
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    cells = [[padded(cell, widths[i], i in right) for i, cell in enumerate(row)] for row in rows]
    return ["  ".join(row).rstrip() for row in cells]
