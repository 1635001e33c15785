"""``hyotan score``: how likely each row is."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options, table

SHOWN = 5


@click.command(
    cls=Command,
    examples=[
        "hyotan score runs/mnist-vae-1",
        "hyotan score runs/table-ae-1 new.csv -o scores.csv",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv .tsv or .parquet  [RUN/scores.csv]")
@data_options
@output_options
def score(
    run: str, source: str | None, out: str | None, as_json: bool, quiet: bool, debug: bool, **options: Any
) -> None:
    """Score each row of SOURCE (by default the run's own test rows) in nats: higher is more like the training data."""
    import numpy as np

    from hyotan.cli.rows import Used, write_rows

    used = Used(run)
    dataset = used.rows(source, options)
    scores = used.estimator.score_samples(dataset.X)
    path = write_rows(used.output(out, "scores.csv", source), scores[:, None], ["score"], dataset.named_rows())
    oddest = [int(row) for row in np.argsort(scores)[:SHOWN]]
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(scores):,} rows, mean {scores.mean():.2f} nats; the oddest:")
    for line in table([["row", "score"], *([str(row), f"{scores[row]:.2f}"] for row in oddest)], right=(0, 1)):
        printer.notice(f"  {line}")
    record = {"file": path, "rows": len(scores), "mean": float(scores.mean()), "oddest": oddest}
    printer.result(record, [str(path)])
