"""``hyotan resume``: go on with a run, or with a study."""

from __future__ import annotations

from pathlib import Path

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.output import Printer, output_options
from hyotan.errors import SettingsError
from hyotan.parameters import Integer


@click.command(
    cls=Command,
    examples=[
        "hyotan resume runs/mnist-ae-1",
        "hyotan resume runs/mnist-ae-1 --max-epochs 30",
        "hyotan resume runs/digits-study-1",
    ],
)
@click.argument("run", metavar="RUN|STUDY", type=click.Path())
@click.option("--max-epochs", metavar="N", type=Checked(Integer(1)), help="Train on, to this later last epoch.")
@output_options
def resume(run: str, max_epochs: int | None, as_json: bool, quiet: bool, debug: bool) -> None:
    """Go on with a run that was stopped: to the same bits as if it had never been. Or train a finished one longer.

    A study goes on with the cells that are not finished.
    """
    from hyotan.cli.training import watched
    from hyotan.cli.uses import open_run
    from hyotan.runs.fitting import resume as resume_run
    from hyotan.runs.fitting import schedule_after
    from hyotan.study.study_folder import StudyFolder

    if StudyFolder.is_at(run):
        _resume_study(Printer(as_json, quiet), Path(run), max_epochs)
        return
    folder = open_run(run, "resume")
    first = [] if max_epochs is None else [schedule_after(folder, max_epochs)]
    watched(Printer(as_json, quiet), folder, lambda callbacks: resume_run(folder, max_epochs, callbacks), first)


def _resume_study(printer: Printer, folder: Path, max_epochs: int | None) -> None:
    from hyotan.cli.study import go_on

    if max_epochs is not None:
        raise SettingsError(
            "--max-epochs cannot change a study that goes on.", "Leave it out, or start a new study with it."
        )
    go_on(printer, folder, None)
