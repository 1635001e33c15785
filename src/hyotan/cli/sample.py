"""``hyotan sample``: new rows."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.output import Printer, output_options
from hyotan.parameters import Choice, Integer


@click.command(
    cls=Command,
    examples=[
        "hyotan sample runs/mnist-vae-1 --sampler prior",
        "hyotan sample runs/table-vae-1 -n 1000 -o synthetic.csv",
        "hyotan sample runs/mnist-cvae-1 --of 3",
    ],
)
@click.argument("run", type=click.Path())
@click.option("-n", "n_samples", metavar="N", type=Checked(Integer(1)), default=64, help="How many.  [64]")
@click.option("--of", metavar="LABEL", help="Rows of this label alone (cvae).")
@click.option(
    "--sampler",
    metavar="FROM",
    type=Checked(Choice(("density", "prior"))),
    default="density",
    help="Codes from the mixture fitted to the training codes, or from the prior.  [density]",
)
@click.option("--drawn", is_flag=True, help="Draw from the likelihood instead of giving its mean.")
@click.option("--random-state", metavar="N", type=Checked(Integer(0)), default=0, help="Seed.  [0]")
@click.option("--out", "-o", metavar="FILE", type=click.Path(), help=".npy .csv …  [RUN/samples.npy]")
@output_options
def sample(
    run: str,
    n_samples: int,
    of: str | None,
    sampler: str,
    drawn: bool,
    random_state: int,
    out: str | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Draw codes from the density of the training rows' codes, and decode them."""
    from hyotan.cli.uses import Used, feature_names, write_rows
    from hyotan.runs.gallery import samples_display

    used = Used(run)
    names = feature_names(used)
    how: dict[str, Any] = {"sampler": sampler, "drawn": drawn or None} | used.label(of, "--of")
    rows = used.estimator.sample(n_samples, random_state=random_state, **how)
    path = write_rows(used.output(out, "samples.npy"), rows, names)
    display = samples_display(used.estimator, min(n_samples, 100), random_state, names or None, **how)
    picture = display.save(path.with_suffix(".png"))
    Printer(as_json, quiet).result({"file": path, "picture": picture, "rows": len(rows)}, [str(path), str(picture)])
