"""``hyotan decompress``: a file of quantised codes to rows."""

from __future__ import annotations

from pathlib import Path

import click

from hyotan.cli.command import command
from hyotan.cli.options import place
from hyotan.cli.output import Printer
from hyotan.errors import RunNotFoundError


@command()
@click.argument("file", type=click.Path())
@place("--run", "The model.  [the one that FILE names]", metavar="RUN")
@place("--out -o", ".npy .csv …  [decompressed.npy beside FILE]", metavar="ROWS")
def decompress(printer: Printer, file: str, run: str | None, out: str | None) -> None:
    """Restore the rows of a file that hyotan compress wrote, up to quantisation.

    Examples
    --------
    hyotan decompress runs/mnist-ae-1/compressed.hyc
    hyotan decompress new.hyc --run runs/table-ae-1 -o rows.csv
    """
    from hyotan.cli.uses import Used
    from hyotan.compression.codec import decompress as to_rows
    from hyotan.compression.codec import describe

    described = describe(file)
    out = out or str(Path(file).parent / "decompressed.npy")
    used = Used(run or _recorded(file, described.run), printer, out=out)
    used.refuse_over(file)
    rows = to_rows(used.estimator, file)
    path = used.write(rows, used.columns)
    used.say(f"{len(rows):,} rows of shape {rows.shape[1:]}, MSE a feature {described.mse:.5f}")
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
        raise RunNotFoundError(f"{file} does not name its model.", fix)
    place = (Path(file).resolve().parent / run).resolve()
    if not place.exists():
        raise RunNotFoundError(f"The model of {file} is no longer in {place}.", fix)
    return str(place)
