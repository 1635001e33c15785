"""``hyotan reconstruct``: rows through the code and back."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.parameters import Integer


@click.command(
    cls=Command,
    examples=[
        "hyotan reconstruct runs/mnist-ae-1",
        "hyotan reconstruct runs/photos-ae-1 new-photos/ -o clean.npy",
        "hyotan reconstruct runs/mnist-cvae-1 --as 9",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv …  [RUN/reconstructed.npy]")
@click.option("--show", metavar="N", type=Checked(Integer(1)), default=10, help="Rows in the picture.  [10]")
@click.option("--as", "told", metavar="LABEL", help="Tell the model that every row has this label (cvae).")
@data_options
@output_options
def reconstruct(
    run: str,
    source: str | None,
    out: str | None,
    show: int,
    told: str | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Reconstruct the rows of SOURCE (by default the run's own test rows): all to a file, the first as a picture."""
    from hyotan.cli.uses import Used, feature_names, write_rows
    from hyotan.runs.gallery import reconstructions_display

    used = Used(run)
    dataset = used.rows(source, options)
    label = used.label(told, "--as")
    rows = used.estimator.reconstruct(dataset.X, **label)
    path = write_rows(used.output(out, "reconstructed.npy", source), rows, feature_names(used, dataset))
    picture = reconstructions_display(used.estimator, dataset, show, **label).save(path.with_suffix(".png"))
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(rows):,} rows")
    printer.result({"file": path, "picture": picture, "rows": len(rows)}, [str(path), str(picture)])
