"""``hyotan decode``: codes to rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hyotan.cli.uses import TABLES, Record, Used, use
from hyotan.errors import DataError

if TYPE_CHECKING:
    import numpy as np


@use("decoded.npy", rows=False)
@click.argument("codes", type=click.Path())
def decode(used: Used, codes: str) -> Record:
    """Decode a file of codes, one per row, to rows in the data's own units.

    Examples
    --------
    hyotan decode runs/mnist-ae-1 runs/mnist-ae-1/codes.npy
    hyotan decode runs/table-vae-1 codes.csv -o rows.csv
    """
    used.refuse_over(codes)
    rows = used.estimator.inverse_transform(_codes(codes, used.estimator.model_code_size, used.path))
    used.write(rows, used.columns)
    used.say(f"{len(rows):,} rows of shape {rows.shape[1:]}")
    return {"rows": len(rows), "shape": rows.shape[1:]}


def _codes(file: str, size: int, run: Path) -> np.ndarray:
    import numpy as np

    from hyotan.cli.encode import code_names
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
