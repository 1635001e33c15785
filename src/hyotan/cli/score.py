"""``hyotan score``: how likely each row is, how often one as odd is met by chance, and which values make it odd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.parameters import Real


@click.command(
    cls=Command,
    examples=[
        "hyotan score runs/mnist-vae-1",
        "hyotan score runs/table-ae-1 new.csv -o scores.csv",
        "hyotan score runs/table-detector-1 new.csv --fdr 0.1",
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

    RUN is a run, a model file, or what hyotan detect has left. Beside each of the oddest rows stand the values that add
    most to its reconstruction loss.
    """
    from hyotan.cli.uses import Used, is_detector, write_rows

    printer = Printer(as_json, quiet)
    if is_detector(Path(run)):
        _by_detector(printer, run, source, fdr, out, options)
        return
    import numpy as np

    from hyotan.cli.oddness import odd_values, scored, show_oddest

    used = Used(run)
    dataset = used.rows(source, options)
    columns = scored(used, source, dataset.X, p_values, fdr)
    path = write_rows(
        used.output(out, "scores.csv", source), np.column_stack([*columns.values()]), [*columns], dataset.named_rows()
    )
    scores = columns["score"]
    mean = float(scores.mean())
    printer.notice(f"{len(scores):,} rows, mean {mean:.2f} nats; the oddest:")
    oddest, values = show_oddest(printer, columns, dataset, lambda rows: odd_values(used.estimator, rows, used.columns))
    record = {"file": path, "rows": len(scores), "mean": mean, "oddest": oddest, "odd_values": values}
    if "odd" in columns:
        record["odd"] = int(columns["odd"].sum())
        printer.notice(f"{record['odd']:,} rows are odd together, at most {fdr:.0%} of them falsely")
    printer.result(record, [str(path)])


def _by_detector(
    printer: Printer, place: str, source: str | None, fdr: float | None, out: str | None, options: dict[str, Any]
) -> None:
    """The same by a detector, which knows what is usual: every row gets its p-value, and is flagged or not."""
    from hyotan.cli.detectors import UsedDetector, judged, told, write_judged

    used = UsedDetector(place)
    dataset = used.rows(source, options)
    columns = judged(used.detector, dataset.X, fdr)
    file = write_judged(used.output(out, "scores.csv", source), columns, dataset)
    printer.result({"file": file, **told(printer, used.detector, dataset, columns, fdr)}, [str(file)])
