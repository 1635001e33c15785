"""``hyotan report``: one HTML page of a run or a study."""

from __future__ import annotations

from pathlib import Path

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.output import Printer, output_options
from hyotan.errors import DataError
from hyotan.parameters import Choice
from hyotan.words import languages, preferred

LANGUAGES = languages()
PAGE = "report.html"


@click.command(
    cls=Command,
    examples=[
        "hyotan report runs/mnist-vae-1",
        "hyotan report runs/digits-study-1 --lang ja",
        "hyotan report runs/mnist-vae-1 --out mnist.html",
    ],
)
@click.argument("place", metavar="RUN|STUDY", type=click.Path())
@click.option(
    "--lang",
    metavar="|".join(LANGUAGES),
    type=Checked(Choice(LANGUAGES)),
    help="Language of the page.  [HYOTAN_LANG or the system's, else en]",
)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help="The page.  [report.html in the folder]")
@output_options
def report(place: str, lang: str | None, out: str | None, as_json: bool, quiet: bool, debug: bool) -> None:
    """Write one HTML page about a run or a study, to read offline, print or send."""
    from hyotan.files.atomic import write_text_atomically

    page = page_of(Path(place), preferred(lang))
    path = Path(out) if out is not None else Path(place) / PAGE
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", f"Type: mkdir -p {path.parent}")
    write_text_atomically(path, page)
    Printer(as_json, quiet).result({"report": path, "bytes": len(page.encode())}, [str(path)])


def page_of(place: Path, lang: str) -> str:
    """The page of a study's folder, or of a run's."""
    from hyotan.study.study_folder import StudyFolder

    if StudyFolder.is_at(place):
        from hyotan.report.study import study_report
        from hyotan.report.study_page import study_page

        return study_page(study_report(StudyFolder(place), lang), lang)
    from hyotan.cli.uses import open_run
    from hyotan.report.run_page import run_page

    return run_page(open_run(str(place), "report"), lang)
