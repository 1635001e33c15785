"""``hyotan decode``: codes to rows."""

from __future__ import annotations

import click

from hyotan.cli.output import Printer, output_options


@click.command(short_help="Turn codes into rows.")
@click.argument("run", type=click.Path())
@click.argument("codes", type=click.Path())
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv .tsv or .parquet  [RUN/decoded.npy]")
@output_options
def decode(run: str, codes: str, out: str | None, as_json: bool, quiet: bool, debug: bool) -> None:
    r"""Decode a file of codes, one a row, to rows in the data's own units.

    \b
    hyotan decode runs/mnist-ae-1 runs/mnist-ae-1/codes.npy
    hyotan decode runs/table-vae-1 codes.csv -o rows.csv
    """
    from hyotan.cli.rows import Used, feature_names, write_rows
    from hyotan.data import load as load_data

    used = Used(run)
    rows = used.estimator.inverse_transform(load_data(codes).X)
    path = write_rows(used.output(out, "decoded.npy"), rows, feature_names(used))
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(rows):,} rows of shape {rows.shape[1:]}")
    printer.result({"file": path, "rows": len(rows), "shape": rows.shape[1:]}, [str(path)])
