"""``hyotan encode``: rows to codes."""

from __future__ import annotations

from hyotan.cli.uses import Record, Used, use


def code_names(size: int) -> list[str]:
    """Column names of codes: z0, z1, …"""
    return [f"z{i}" for i in range(size)]


@use("codes.npy")
def encode(used: Used) -> Record:
    """Encode the rows of SOURCE (by default the run's own test rows), and write one code per row.

    In a table the first column identifies the row: the column named by --id, an image's file, or the row's number in
    SOURCE, from 0.

    Examples
    --------
    hyotan encode runs/mnist-ae-1
    hyotan encode runs/table-vae-1 new.csv -o codes.csv
    hyotan encode runs/table-vae-1 new.csv --id customer -o codes.parquet
    """
    codes = used.estimator.transform(used.dataset.X)
    rows, size = codes.shape
    used.write(codes, code_names(size), used.dataset.named_rows())
    used.say(f"{rows:,} codes of size {size}")
    return {"rows": rows, "latent_dim": size}
