"""``hyotan score``: how likely each row is, how often one as odd is met by chance, and which values make it odd."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options, table
from hyotan.parameters import Real

SHOWN = 5
"""Of the oddest rows."""

FORMATS = {"score": ".2f", "p_value": ".3g", "odd": ".0f"}
"""How a number of each column is shown."""


@click.command(
    cls=Command,
    examples=[
        "hyotan score runs/mnist-vae-1",
        "hyotan score runs/table-ae-1 new.csv -o scores.csv",
        "hyotan score runs/table-ae-1 new.csv --fdr 0.1",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--p-values", is_flag=True, help="How often one of the run's own test rows is as odd.")
@click.option(
    "--fdr",
    metavar="RATE",
    type=Checked(Real(0, 1, above=True)),
    help="Mark rows that are odd together, at most this share of them falsely.",
)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv .tsv or .parquet  [RUN/scores.csv]")
@data_options
@output_options
def score(
    run: str,
    source: str | None,
    p_values: bool,
    fdr: float | None,
    out: str | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Score each row of SOURCE (by default the run's own test rows) in nats: higher is more like the training data.

    Beside each of the oddest rows stand the values that add most to its reconstruction loss.
    """
    import numpy as np

    from hyotan.cli.oddness import odd_values, scored
    from hyotan.cli.rows import Used, write_rows

    used = Used(run)
    dataset = used.rows(source, options)
    columns = scored(used, source, dataset.X, p_values, fdr)
    path = write_rows(
        used.output(out, "scores.csv", source), np.column_stack([*columns.values()]), [*columns], dataset.named_rows()
    )
    scores = columns["score"]
    oddest = [int(row) for row in np.argsort(scores)[:SHOWN]]
    values = odd_values(used.estimator, dataset.X[np.array(oddest)], used.columns)
    record = {"file": path, "rows": len(scores), "mean": float(scores.mean()), "oddest": oddest, "odd_values": values}
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(scores):,} rows, mean {record['mean']:.2f} nats; the oddest:")
    numbers = [[f"{column[row]:{FORMATS[name]}}" for name, column in columns.items()] for row in oddest]
    shown = [[str(row), *own, ", ".join(of)] for row, own, of in zip(oddest, numbers, values, strict=True)]
    for line in table([["row", *columns, "odd values (nats)"], *shown], right=range(len(columns) + 1)):
        printer.notice(f"  {line}")
    if "odd" in columns:
        record["odd"] = int(columns["odd"].sum())
        printer.notice(f"{record['odd']:,} rows are odd together, at most {fdr:.0%} of them falsely")
    printer.result(record, [str(path)])
