"""``hyotan classify``: the label of each row."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.errors import SettingsError


@click.command(
    cls=Command,
    examples=[
        "hyotan classify runs/mnist-cvae-1",
        "hyotan classify runs/table-cvae-1 new.csv -o labels.csv",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".csv or .tsv  [RUN/labels.csv]")
@data_options
@output_options
def classify(
    run: str, source: str | None, out: str | None, as_json: bool, quiet: bool, debug: bool, **options: Any
) -> None:
    """Name the label of each row of SOURCE (by default the run's own test rows), with its probability (cvae)."""
    import numpy as np

    from hyotan.cli.uses import Used, write_labels
    from hyotan.estimators import CVAE

    used = Used(run)
    if not isinstance(used.estimator, CVAE):
        raise SettingsError(
            f"{run} holds a {used.estimator.kind}, which predicts no labels.",
            "Train a model that does: hyotan fit SOURCE --model cvae",
        )
    dataset = used.rows(source, options)
    probabilities = used.estimator.predict_proba(dataset.X)
    labels = used.estimator.classes_[probabilities.argmax(axis=1)]
    path = write_labels(used.output(out, "labels.csv", source), labels, probabilities.max(axis=1))
    record: dict[str, Any] = {"file": path, "rows": len(labels)}
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(labels):,} rows, {len(np.unique(labels)):,} different labels")
    known = np.zeros(len(labels), bool) if dataset.y is None else np.isin(dataset.y, used.estimator.classes_)
    if known.any() and dataset.y is not None:
        record["error"] = float(np.mean(labels[known] != dataset.y[known]))
        printer.notice(f"{100 * record['error']:.2f} % of {known.sum():,} known labels are predicted wrongly")
    printer.result(record, [str(path)])
