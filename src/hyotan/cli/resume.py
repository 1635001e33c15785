"""``hyotan resume``: resume a run or a study."""

from __future__ import annotations

from pathlib import Path

import click

from hyotan.cli.command import command
from hyotan.cli.options import option
from hyotan.cli.output import Printer
from hyotan.errors import SettingsError
from hyotan.parameters.domains import Integer


@command()
@click.argument("run", metavar="RUN|STUDY", type=click.Path())
@option("--max-epochs", "Train longer, up to this epoch.", Integer(1))
def resume(printer: Printer, run: str, max_epochs: int | None) -> None:
    """Resume a run that was stopped, to the same bits as without the stop. Or train a finished one longer.

    A study resumes with the cells that are not finished.

    Examples
    --------
    hyotan resume runs/mnist-ae-1
    hyotan resume runs/mnist-ae-1 --max-epochs 30
    hyotan resume runs/digits-study-1
    """
    from hyotan.cli.found import open_run
    from hyotan.cli.study import go_on
    from hyotan.cli.training import watched
    from hyotan.runs.run_training import resume as resume_run
    from hyotan.runs.run_training import schedule_after
    from hyotan.study.study_folder import StudyFolder

    if StudyFolder.is_at(run):
        if max_epochs is not None:
            fix = "Leave it out, or start a new study with it."
            raise SettingsError("--max-epochs cannot change a study that is resumed.", fix)
        go_on(printer, Path(run), None)
        return
    folder = open_run(run, "resume")
    first = [] if max_epochs is None else [schedule_after(folder, max_epochs)]
    watched(printer, folder, lambda callbacks: resume_run(folder, max_epochs, callbacks), first)
