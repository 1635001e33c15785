"""From errors to what a person reads: one line, a fix, an exit code. The one place that does so."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import click

from hyotan.errors import HyotanError, ResourceError, did_you_mean

USAGE, OUR_BUG = 2, 70
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


def answer(run: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Run a command and turn what goes wrong into text (or JSON) and an exit code."""
    try:
        code = run()
    except HyotanError as error:
        return _fail(error.code, error.message, error.fix, error.exit_code, arguments)
    except click.UsageError as error:
        return _fail("USAGE", *_usage(error), USAGE, arguments)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _fail("USAGE", error.format_message(), "", USAGE, arguments)
    except (KeyboardInterrupt, click.Abort) as stop:
        code = getattr(stop, "exit_code", 130)
        message = f"Stopped: {stop}" if str(stop) else "Stopped."
        return _fail("STOPPED", message, getattr(stop, "fix", ""), code, arguments)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is wrong, and nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("RESOURCES", "Memory ran out.", "Lower --batch-size, or use fewer rows: --limit.", 4, arguments)
    except OSError as error:
        if error.errno in FULL_DISK:
            return _fail(
                ResourceError.code, f"The disk is full ({error.filename}).", "Make room, then resume.", 4, arguments
            )
        return _fail(
            "FILE", f"{error.strerror}: {error.filename}.", "Check the path and its permissions.", USAGE, arguments
        )
    except Exception as error:
        return _fail("INTERNAL", f"This is our mistake: {type(error).__name__}: {error}", BUG_FIX, OUR_BUG, arguments)
    return code if isinstance(code, int) else 0


BUG_FIX = "Please report it, with what --debug prints."


def _fail(code: str, message: str, fix: str, exit_code: int, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        traceback.print_exc()
    if "--json" in arguments:
        click.echo(
            json.dumps({"schema": 1, "ok": False, "code": code, "message": message, "fix": fix}, ensure_ascii=False)
        )
        return exit_code
    red = click.style("error:", fg="red", bold=True)
    click.echo(f"{red} {one_line(message)}", err=True)
    if fix:
        click.echo(f"{click.style('fix:', fg='green', bold=True)} {one_line(fix)}", err=True)
    return exit_code


def one_line(text: str) -> str:
    """The text without line breaks."""
    return re.sub(r"\s*\n\s*", " ", text.strip())


def _usage(error: click.UsageError) -> tuple[str, str]:
    """Message and fix of a usage error; a mistyped flag names the nearest one."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        flags = [flag for p in error.ctx.command.get_params(error.ctx) for flag in p.opts if flag.startswith("--")]
        return f"There is no flag {error.option_name}.", did_you_mean(error.option_name, flags)
    command = error.ctx.command_path if error.ctx is not None else "hyotan"
    message = error.format_message()
    head, _, tail = message.partition(". ")
    return (f"{head}.", tail) if tail else (message, f"See: {command} --help")
