"""``hyotan resume``: go on with a run."""

from __future__ import annotations

import click

from hyotan.cli.output import Printer, output_options


@click.command(short_help="Go on with a run.")
@click.argument("run", type=click.Path())
@click.option("--max-epochs", type=click.IntRange(min=1), help="Train on, to this later last epoch.")
@output_options
def resume(run: str, max_epochs: int | None, as_json: bool, quiet: bool, debug: bool) -> None:
    r"""Go on with a run that was stopped: to the same bits as if it had never been. Or train a finished one longer.

    \b
    hyotan resume runs/mnist-ae-1
    hyotan resume runs/mnist-ae-1 --max-epochs 30
    """
    from hyotan.cli.training import watched
    from hyotan.runs import RunFolder, schedule_after
    from hyotan.runs import resume as resume_run

    printer = Printer(as_json, quiet)
    folder = RunFolder(run)
    if max_epochs is not None:
        printer.notice(schedule_after(folder, max_epochs))
    watched(printer, folder, lambda callbacks: resume_run(folder, max_epochs, callbacks))
