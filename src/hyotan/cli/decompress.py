"""``hyotan decompress``: a file of quantised codes to rows."""

from __future__ import annotations

from pathlib import Path

import click

from hyotan.cli.command import Command
from hyotan.cli.output import Printer, output_options
from hyotan.errors import RunNotFoundError


@click.command(
    cls=Command,
    examples=[
        "hyotan decompress runs/mnist-ae-1/compressed.hyc",
        "hyotan decompress new.hyc --run runs/table-ae-1 -o rows.csv",
    ],
)
@click.argument("file", type=click.Path())
@click.option("--run", metavar="RUN", type=click.Path(), help="The model.  [the one that FILE names]")
@click.option("--out", "-o", metavar="ROWS", type=click.Path(), help=".npy .csv …  [decompressed.npy beside FILE]")
@output_options
def decompress(file: str, run: str | None, out: str | None, as_json: bool, quiet: bool, debug: bool) -> None:
    """Write the rows of a file that hyotan compress wrote, as near as its grid allows."""
    from hyotan.cli.uses import Used, feature_names, write_rows
    from hyotan.compression.codec import decompress as to_rows
    from hyotan.compression.codec import describe

    described = describe(file)
    used = Used(run if run is not None else _recorded(file, described.run))
    rows = to_rows(used.estimator, file)
    path = used.output(out if out is not None else str(Path(file).parent / "decompressed.npy"), "", file)
    path = write_rows(path, rows, feature_names(used))
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(rows):,} rows of shape {rows.shape[1:]}, MSE a feature {described.mse:.5f}")
    printer.result({"file": path, "rows": len(rows), "shape": rows.shape[1:], "mse": described.mse}, [str(path)])


def _recorded(file: str, run: str | None) -> str:
    """Where the model lies by what the file says.

    Raises
    ------
    RunNotFoundError
        It says nothing, or nothing lies there.
    """
    fix = f"Name the model: hyotan decompress {file} --run RUN"
    if run is None:
        raise RunNotFoundError(f"{file} does not say where its model lies.", fix)
    place = Path(file).resolve().parent / run
    if not place.exists():
        raise RunNotFoundError(f"The model of {file} no longer lies in {place.resolve()}.", fix)
    return str(place.resolve())
