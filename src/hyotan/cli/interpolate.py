"""``hyotan interpolate``: from one row to another."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.errors import DataError
from hyotan.parameters import Integer


@click.command(
    cls=Command,
    examples=[
        "hyotan interpolate runs/mnist-vae-1 --from 2 --to 18",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--from", "start", metavar="ROW", type=Checked(Integer(0)), default=0, help="Row to start at.  [0]")
@click.option("--to", "end", metavar="ROW", type=Checked(Integer(0)), default=1, help="Row to end at.  [1]")
@click.option(
    "--steps", metavar="N", type=Checked(Integer(2)), default=11, help="Rows on the way, both ends included.  [11]"
)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv …  [RUN/interpolation.npy]")
@data_options
@output_options
def interpolate(
    run: str,
    source: str | None,
    start: int,
    end: int,
    steps: int,
    out: str | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Decode the straight line between the codes of two rows; of images, a strip and an animation too."""
    from hyotan.cli.uses import Used, feature_names, write_rows
    from hyotan.runs.gallery import interpolation_display

    used = Used(run)
    dataset = used.rows(source, options)
    for flag, row in (("--from", start), ("--to", end)):
        if row >= len(dataset.X):
            raise DataError(
                f"{flag} {row}: there are {len(dataset.X):,} rows.", f"Choose from 0 to {len(dataset.X) - 1}."
            )
    a, b = dataset.X[start], dataset.X[end]
    walk = used.estimator.interpolate(a, b, steps)
    files = [write_rows(used.output(out, "interpolation.npy", source), walk, feature_names(used, dataset))]
    if walk.ndim > 2:
        display = interpolation_display(used.estimator, a, b, steps)
        files += [display.save(files[0].with_suffix(".png")), display.save_gif(files[0].with_suffix(".gif"))]
    Printer(as_json, quiet).result({"files": files, "steps": steps}, [str(file) for file in files])
