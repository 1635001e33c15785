"""``hyotan cluster``: groups of rows, found in their codes."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.errors import SettingsError
from hyotan.parameters import Choice, Integer

METHODS = ("graph", "umap+mixture", "mixture", "kmeans")
"""The keys of hyotan.analysis.clustering.METHODS, which loading this module must not load."""


@click.command(
    cls=Command,
    examples=[
        "hyotan cluster runs/mnist-ae-1",
        "hyotan cluster runs/table-ae-1 new.csv --clusters 5 -o clusters.csv",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option(
    "--clusters", metavar="N", type=Checked(Integer(1)), help="How many.  [as many as the rows have different labels]"
)
@click.option(
    "--method",
    metavar="NAME",
    type=Checked(Choice(METHODS)),
    default=METHODS[0],
    help="graph follows neighbours; umap+mixture needs an extra package; mixture; kmeans.  [graph]",
)
@click.option("--random-state", metavar="N", type=Checked(Integer(0)), default=0, help="Seed.  [0]")
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv .tsv or .parquet  [RUN/clusters.csv]")
@data_options
@output_options
def cluster(
    run: str,
    source: str | None,
    clusters: int | None,
    method: str,
    random_state: int,
    out: str | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Group the rows of SOURCE (by default the run's own test rows) by their codes, without a look at their labels."""
    import numpy as np

    from hyotan.analysis.clustering import cluster_codes
    from hyotan.cli.uses import Used, write_rows
    from hyotan.metrics import agreement
    from hyotan.study.classes import Classes

    used = Used(run)
    dataset = used.rows(source, options)
    classes = Classes.of(dataset.y)
    clusters = clusters or (0 if classes is None else len(classes))
    if not clusters:
        raise SettingsError("The rows have no labels to say how many clusters there are.", "Say it: --clusters 5")
    found = cluster_codes(used.estimator.transform(dataset.X), clusters, method, random_state)
    path = write_rows(used.output(out, "clusters.csv", source), found[:, None], ["cluster"])
    sizes = np.bincount(found, minlength=clusters)
    record: dict[str, Any] = {"file": path, "rows": len(found), "sizes": sizes.tolist()}
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(found):,} rows in {clusters} clusters of {', '.join(f'{size:,}' for size in sizes)}")
    if classes is not None and dataset.y is not None:
        numbers = classes.numbers(dataset.y)
        known = numbers >= 0
        agrees = agreement(numbers[known], found[known])
        record["agreement"] = {"accuracy": agrees.accuracy, "v_measure": agrees.v_measure}
        printer.notice(f"each named by its best label, {100 * agrees.accuracy:.1f} % of {known.sum():,} are right")
    printer.result(record, [str(path)])
