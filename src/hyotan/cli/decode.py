"""``hyotan decode``: codes to rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hyotan.cli.command import Command
from hyotan.cli.output import Printer, output_options
from hyotan.errors import DataError

if TYPE_CHECKING:
    import numpy as np


@click.command(
    cls=Command,
    examples=[
        "hyotan decode runs/mnist-ae-1 runs/mnist-ae-1/codes.npy",
        "hyotan decode runs/table-vae-1 codes.csv -o rows.csv",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("codes", type=click.Path())
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv .tsv or .parquet  [RUN/decoded.npy]")
@output_options
def decode(run: str, codes: str, out: str | None, as_json: bool, quiet: bool, debug: bool) -> None:
    """Decode a file of codes, one a row, to rows in the data's own units."""
    from hyotan.cli.uses import Used, feature_names, write_rows

    used = Used(run)
    rows = used.estimator.inverse_transform(_codes(codes, used.estimator.model_code_size, run))
    path = write_rows(used.output(out, "decoded.npy", codes), rows, feature_names(used))
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(rows):,} rows of shape {rows.shape[1:]}")
    printer.result({"file": path, "rows": len(rows), "shape": rows.shape[1:]}, [str(path)])


def _codes(file: str, size: int, run: str) -> np.ndarray:
    import numpy as np

    from hyotan.cli.uses import TABLES, code_names
    from hyotan.data import load as load_data

    try:
        # Beside the codes a table may hold what the rows are called.
        codes = np.asarray(load_data(file, columns=code_names(size) if Path(file).suffix in TABLES else ()).X)
    except DataError as error:
        if not error.message.endswith("(--columns)."):
            raise
        codes = np.asarray(load_data(file).X)
    if codes.shape[1:] != (size,):
        raise DataError(
            f"{file} holds rows of shape {codes.shape[1:]}; the codes of {run} are of size {size}.",
            f"Make some with: hyotan encode {run}",
        )
    return codes
