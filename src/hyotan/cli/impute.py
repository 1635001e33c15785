"""``hyotan impute``: rows with their missing values filled."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.parameters import Integer, Real


@click.command(
    cls=Command,
    examples=[
        "hyotan impute runs/table-vae-1 table.csv -o filled.csv",
        "hyotan impute runs/table-vae-1 new.csv -o filled.csv --intervals --level 0.95",
        "hyotan impute runs/table-vae-1 new.csv -o filled.csv --samples 5",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv .tsv or .parquet  [RUN/imputed.csv]")
@click.option("--intervals", is_flag=True, help="Write the ends of intervals too: FILE-low and FILE-high.")
@click.option("--level", metavar="SHARE", type=Checked(Real(0, 1, True, True)), default=0.9, help="Of those.  [0.9]")
@click.option(
    "--samples", metavar="K", type=Checked(Integer(1)), help="Write so many fillings that are likely: FILE-1 …"
)
@click.option("--random-state", metavar="N", type=Checked(Integer()), default=0, help="Seed of the samples.  [0]")
@data_options
@output_options
def impute(
    run: str,
    source: str | None,
    out: str | None,
    intervals: bool,
    level: float,
    samples: int | None,
    random_state: int,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Fill the missing values of SOURCE (by default the run's own test rows) with what the model expects there."""
    import numpy as np

    from hyotan.cli.uses import Used, feature_names, write_rows
    from hyotan.data.frames import Frame
    from hyotan.errors import SettingsError
    from hyotan.estimators import VAE

    used = Used(run)
    if samples is not None and not isinstance(used.estimator, VAE):
        raise SettingsError(
            f"--samples {samples}: a {used.estimator.kind} has no distribution to draw from.",
            "Take --intervals, or train a VAE: --model vae.",
        )
    dataset = used.rows(source, {**options, "missing": options.get("missing") or "keep"} if source else options)
    X, names = dataset.X, feature_names(used, dataset)
    path = used.output(out, "imputed.csv", source)
    written = {"": used.estimator.impute(X)}
    if intervals:
        written["-low"], written["-high"] = used.estimator.impute_intervals(X, level)
    if samples is not None and isinstance(used.estimator, VAE):
        drawn = used.estimator.impute_samples(X, samples, random_state)
        written |= {f"-{number}": rows for number, rows in enumerate(drawn, start=1)}
    files = [write_rows(path.with_stem(path.stem + ending), rows, names) for ending, rows in written.items()]
    missing = X.count_missing() if isinstance(X, Frame) else int(np.isnan(X).sum()) if X.dtype.kind == "f" else 0
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(X):,} rows, {missing:,} missing values filled")
    record = {"file": files[0], "files": files, "rows": len(X), "missing": missing}
    printer.result(record, [str(file) for file in files])
