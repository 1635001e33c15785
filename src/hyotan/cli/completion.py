"""``hyotan completion``: what a shell needs to complete commands and flags."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from hyotan.cli.command import command
from hyotan.cli.options import Checked
from hyotan.cli.output import Printer
from hyotan.parameters.domains import Choice

SHELLS = ("bash", "zsh", "fish")


@command()
@click.argument("shell", metavar="|".join(SHELLS), type=Checked(Choice(SHELLS)))
def completion(printer: Printer, shell: str) -> None:
    """Print a script that makes the Tab key complete commands and flags; for good, put the line in the shell's rc.

    Examples
    --------
    eval "$(hyotan completion bash)"
    hyotan completion fish | source
    """
    root, maker = click.get_current_context().find_root().command, get_completion_class(shell)
    script = maker(root, {}, "hyotan", "_HYOTAN_COMPLETE").source() if maker is not None else ""
    printer.result({"shell": shell, "script": script}, [script])
