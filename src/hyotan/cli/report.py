"""``hyotan report``: one HTML page of a run or a study."""

from __future__ import annotations

from pathlib import Path

import click

from hyotan.cli.command import command
from hyotan.cli.options import option, place
from hyotan.cli.output import Printer
from hyotan.parameters.domains import Choice
from hyotan.words import languages, preferred

LANGUAGES = languages()
PAGE = "report.html"


@command()
@click.argument("run", metavar="RUN|STUDY", type=click.Path())
@option("--lang", "Language.  [HYOTAN_LANG or the system's, else en]", Choice(LANGUAGES), metavar="|".join(LANGUAGES))
@place("--out -o", "The page.  [report.html in the folder]")
def report(printer: Printer, run: str, lang: str | None, out: str | None) -> None:
    """Write a report on a run or a study as one HTML page, to read offline, print or send.

    Examples
    --------
    hyotan report runs/mnist-vae-1
    hyotan report runs/digits-study-1 --lang ja
    hyotan report runs/mnist-vae-1 --out mnist.html
    """
    from hyotan.cli.written import refuse_unwritable
    from hyotan.files.atomic import write_text_atomically

    page = page_of(Path(run), preferred(lang))
    path = Path(run) / PAGE if out is None else Path(out)
    refuse_unwritable(path, ())
    write_text_atomically(path, page)
    printer.result({"report": path, "bytes": len(page.encode())}, [str(path)])


def page_of(place: Path, lang: str) -> str:
    """The page of a study's folder, or of a run's."""
    from hyotan.study.study_folder import StudyFolder

    if StudyFolder.is_at(place):
        from hyotan.report.study import study_report
        from hyotan.report.study_page import study_page

        return study_page(study_report(StudyFolder(place), lang), lang)
    from hyotan.cli.found import open_run
    from hyotan.report.run_page import run_page

    return run_page(open_run(str(place), "report"), lang)
