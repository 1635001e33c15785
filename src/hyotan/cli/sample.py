"""``hyotan sample``: new rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hyotan.cli.command import use
from hyotan.cli.options import SEED, option, switch
from hyotan.parameters import Choice, Integer

if TYPE_CHECKING:
    from hyotan.cli.uses import Used


@use(
    "hyotan sample runs/mnist-vae-1 --sampler prior",
    "hyotan sample runs/table-vae-1 -n 1000 -o synthetic.csv --check real.csv",
    "hyotan sample runs/mnist-cvae-1 --of 3",
    default="samples.npy",
    rows=False,
)
@option("-n n_samples", "How many.", Integer(1), 64)
@option("--of", "Rows of this label alone (cvae).", metavar="LABEL")
@option(
    "--sampler",
    "Codes from the mixture fitted to the training codes, or from the prior.",
    Choice(("density", "prior")),
    "density",
    metavar="FROM",
)
@switch("--drawn", "Draw from the likelihood instead of giving its mean.")
@option("--check real", "Compare them with real rows: alike, useful, private? (tables)", metavar="REAL")
@option("--target", "With --check: the column that a classifier is to learn from them.", metavar="COLUMN")
@SEED
def sample(
    used: Used,
    n_samples: int,
    of: str | None,
    sampler: str,
    drawn: bool,
    real: str | None,
    target: str | None,
    random_state: int,
) -> dict[str, Any]:
    """Draw codes from the density of the training rows' codes, and decode them."""
    from hyotan.cli.checked import Check
    from hyotan.runs.gallery import samples_display

    label = used.label(of, "--of")
    check = None if real is None else Check(used, real, target, label)
    labels = {} if check is None else check.drawn_labels(n_samples, random_state)
    how: dict[str, Any] = {"sampler": sampler, "drawn": drawn or None, **label}
    rows = used.estimator.sample(n_samples, random_state=random_state, **how, **labels)
    used.write(rows, used.columns)
    display = samples_display(used.estimator, min(n_samples, 100), random_state, used.columns or None, **how)
    record = {"picture": used.draw(display), "rows": len(rows)}
    return record if check is None else record | {"check": check.told(rows, labels, random_state)}
