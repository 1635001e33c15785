"""``hyotan encode``: rows to codes."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options


@click.command(
    cls=Command,
    examples=[
        "hyotan encode runs/mnist-ae-1",
        "hyotan encode runs/table-vae-1 new.csv -o codes.csv",
        "hyotan encode runs/table-vae-1 new.csv --id customer -o codes.parquet",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv .tsv or .parquet  [RUN/codes.npy]")
@data_options
@output_options
def encode(
    run: str, source: str | None, out: str | None, as_json: bool, quiet: bool, debug: bool, **options: Any
) -> None:
    """Write the code of each row of SOURCE (by default the run's own test rows), one row a row.

    In a table the first column says which row it is: the column named by --id, an image's file, or the row's number
    in SOURCE, from 0.
    """
    from hyotan.cli.uses import Used, code_names, write_rows

    used = Used(run)
    dataset = used.rows(source, options)
    codes = used.estimator.transform(dataset.X)
    names = code_names(codes.shape[1])
    path = write_rows(used.output(out, "codes.npy", source), codes, names, dataset.named_rows())
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(codes):,} codes of size {codes.shape[1]}")
    printer.result({"file": path, "rows": len(codes), "latent_dim": codes.shape[1]}, [str(path)])
