"""From errors to what a person reads: one line, a fix, an exit code. The one place that does so."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import click

from hyotan.errors import HyotanError

USAGE, NO_RESOURCES, OUR_BUG, STOPPED = 2, 4, 70, 130
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


@dataclass(frozen=True)
class Failure:
    """What went wrong: a stable code, what happened, what to do, and the exit code."""

    code: str
    message: str
    fix: str
    exit_code: int = USAGE


def answer(run: Callable[[], Any], words: Collection[str], colour: bool | None = None) -> int:
    """Run a command and turn what goes wrong into text (or JSON) and an exit code.

    Parameters
    ----------
    run : the command.
    words : what was typed, to look for ``--json`` and ``--debug`` in when something goes wrong.
    colour : whether to colour; None asks whether standard error is a terminal.
    """
    try:
        code = run()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is wrong, and nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        failure = explained(error)
        _show(failure, words, colour)
        return failure.exit_code
    return code if isinstance(code, int) else 0


def explained(error: BaseException) -> Failure:
    """What a person needs to know of an error."""
    if isinstance(error, HyotanError):
        return Failure(error.code, error.message, error.fix, error.exit_code)
    if isinstance(error, click.ClickException):
        return _misused(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _stopped(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and OUT_OF_MEMORY.search(str(error))):
        fix = "Lower --batch-size or --hidden-dims, or use fewer rows: --limit 10000"
        return Failure("RESOURCES", "Memory ran out.", fix, NO_RESOURCES)
    if isinstance(error, OSError) and error.strerror:
        return _refused_by_system(error)
    what = f"This is our mistake: {type(error).__name__}: {error}"
    return Failure("INTERNAL", what, "Please report it, with what --debug prints.", OUR_BUG)


def _stopped(raised: BaseException) -> Failure:
    # click turns every KeyboardInterrupt into an Abort of its own, which knows neither where training stood nor why.
    stop = raised.__cause__ or raised
    message = f"Stopped: {stop}" if str(stop) else "Stopped."
    return Failure("STOPPED", message, getattr(stop, "fix", ""), getattr(stop, "exit_code", STOPPED))


def _refused_by_system(error: OSError) -> Failure:
    place = "" if error.filename is None else f": {error.filename}"
    if error.errno in FULL_DISK:
        return Failure("RESOURCES", f"The disk is full{place}.", "Make room, then go on: hyotan resume", NO_RESOURCES)
    return Failure("FILE", f"{error.strerror}{place}.", "Check the path and its permissions.")


def _misused(error: click.ClickException) -> Failure:
    """A command line that does not parse; a mistyped flag names the nearest one."""
    ctx = getattr(error, "ctx", None)
    command = ctx.command_path if ctx is not None else "hyotan"
    examples = [e for e in getattr(ctx.command, "examples", ()) if e.startswith(command)] if ctx is not None else []
    fix = f"For example: {examples[0]}" if examples else f"See: {command} --help"
    if isinstance(error, click.NoSuchOption):
        return Failure("USAGE", f"There is no flag {error.option_name}.", _nearest_flag(error, command))
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return Failure("USAGE", f"{error.param.make_metavar(error.ctx) if error.ctx else ''} is missing.", fix)
    if extra := re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", error.format_message()):
        return Failure("USAGE", f"More was given than {command} takes: {extra[1]}.", fix)
    message, *advice = re.split(r" (?=Did you mean|Choose from)", error.format_message(), maxsplit=1)
    return Failure("USAGE", message, advice[0] if advice else fix)


def _nearest_flag(error: click.NoSuchOption, command: str) -> str:
    parameters = error.ctx.command.get_params(error.ctx) if error.ctx is not None else []
    flags = [flag for parameter in parameters for flag in parameter.opts if flag.startswith("--")]
    close = get_close_matches(error.option_name, flags, n=1)
    everything = "--help-all" if "--help-all" in flags else "--help"
    return f"Did you mean '{close[0]}'?" if close else f"See: {command} {everything}"


def _show(failure: Failure, words: Collection[str], colour: bool | None) -> None:
    if "--debug" in words:
        traceback.print_exc()
    if "--json" in words:
        record = {"code": failure.code, "message": one_line(failure.message), "fix": one_line(failure.fix)}
        click.echo(json.dumps({"schema": 1, "ok": False, **record}, ensure_ascii=False))
        return
    red = click.style("error:", fg="red", bold=True)
    click.echo(f"{red} {one_line(failure.message)}", err=True, color=colour)
    if failure.fix:
        green = click.style("fix:", fg="green", bold=True)
        click.echo(f"{green} {one_line(failure.fix)}", err=True, color=colour)


def one_line(text: str) -> str:
    """The text without line breaks."""
    return re.sub(r"\s*\n\s*", " ", text.strip())


def colour_wanted(environment: Mapping[str, str] = os.environ) -> bool | None:
    """False where ``NO_COLOR`` or a dumb terminal says so, True for ``FORCE_COLOR``; None leaves it to the stream."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
        return False
    return True if environment.get("FORCE_COLOR") else None


@contextmanager
def plainly_warned() -> Iterator[None]:
    """Warnings in one line for a person, each once, without the place in the code that raised them."""
    usual, told = warnings.formatwarning, set()

    def plain(message: Warning | str, *place: Any, **more: Any) -> str:
        note = f"note: {one_line(str(message))}\n"
        is_new = note not in told
        told.add(note)
        return note if is_new else ""

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = usual
