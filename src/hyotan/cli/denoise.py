"""``hyotan denoise``: noisy rows made clean."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.errors import SettingsError
from hyotan.parameters import Integer, RealOrRange


@click.command(
    cls=Command,
    examples=[
        "hyotan denoise runs/photos-dae-1 noisy-photos/",
        "hyotan denoise runs/sensors-dae-1 noisy.csv -o clean.csv",
        "hyotan denoise runs/mnist-dae-1 mnist --add-noise 0.5",
    ],
)
@click.argument("run", type=click.Path())
@click.argument("source", required=False)
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv …  [RUN/denoised.npy]")
@click.option("--show", metavar="N", type=Checked(Integer(1)), default=10, help="Rows in the picture.  [10]")
@click.option(
    "--add-noise",
    metavar="LEVEL",
    type=Checked(RealOrRange(0)),
    help="Add noise to the rows first, of this level and of the kind that the model was trained on.",
)
@data_options
@output_options
def denoise(
    run: str,
    source: str | None,
    out: str | None,
    show: int,
    add_noise: float | tuple[float, float] | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Take the noise out of the rows of SOURCE: all to a file, the first as a picture.

    Without SOURCE, noise as in training is added to the run's own test rows and taken out again.
    """
    from hyotan.analysis.denoising import compare, level_of, takes_noise_away
    from hyotan.cli.training import denoising_line
    from hyotan.cli.uses import Used, feature_names, write_rows
    from hyotan.runs.gallery import denoising_display

    used = Used(run)
    if not takes_noise_away(estimator := used.estimator):
        raise SettingsError(
            f"{run} is of kind {estimator.kind}, trained without noise: it has not learned what noise is.",
            "Train one that has: hyotan fit SOURCE --model dae",
        )
    dataset = used.rows(source, options)
    is_clean = source is None or add_noise is not None
    corrupted = estimator.corrupt(dataset.X, add_noise) if is_clean else None
    rows = estimator.denoise(dataset.X if corrupted is None else corrupted)
    path = write_rows(used.output(out, "denoised.npy", source), rows, feature_names(used, dataset))
    some = None if corrupted is None else corrupted[:show]
    picture = denoising_display(estimator, dataset.take(slice(show)), some).save(path.with_suffix(".png"))
    printer = Printer(as_json, quiet)
    printer.notice(f"{len(rows):,} rows")
    record: dict[str, Any] = {"file": path, "picture": picture, "rows": len(rows)}
    if corrupted is not None:
        found = compare(estimator, dataset.X, corrupted, rows, level_of(estimator, add_noise))
        printer.notice(denoising_line(found).strip())
        record["denoising"] = asdict(found)
    printer.result(record, [str(path), str(picture)])
