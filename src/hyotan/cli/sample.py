"""``hyotan sample``: new rows."""

from __future__ import annotations

from typing import Any

from hyotan.cli.options import SEED, option, switch
from hyotan.cli.uses import Record, Used, use
from hyotan.errors import SettingsError
from hyotan.parameters.domains import Choice, Integer

SAMPLERS = ("density", "prior")
"""Those of hyotan.estimators.sampling, which loading this module must not load."""


@use("samples.npy", rows=False)
@option("-n n", "How many rows.", Integer(1), 64)
@option("--of", "Only rows with this label (cvae).", metavar="LABEL")
@option("--sampler", "Sample codes from the training codes' density, or the prior.", Choice(SAMPLERS), "density")
@switch("--drawn", "Sample from the likelihood instead of giving its mean.")
@option("--check real", "Compare them with real rows: alike, useful, private? (tables)", metavar="REAL")
@option("--target", "With --check: the column that a classifier is to learn from them.", metavar="COLUMN")
@SEED
def sample(used: Used, n: int, of: str | None, sampler: str, drawn: bool, random_state: int, **check: Any) -> Record:
    """Sample codes from the density of the training rows' codes, and decode them.

    Examples
    --------
    hyotan sample runs/mnist-vae-1 --sampler prior
    hyotan sample runs/table-vae-1 -n 1000 -o synthetic.csv --check real.csv
    hyotan sample runs/mnist-cvae-1 --of 3
    """
    from hyotan.cli.checked import Check
    from hyotan.runs.gallery import samples_display

    label = used.label(of, "--of")
    checked = None if check["real"] is None else Check(used, label, **check)
    if checked is None and check["target"] is not None:
        raise SettingsError("--target names a column for --check, which was not given.", "Add: --check REAL")
    how: dict[str, Any] = {"sampler": sampler, "drawn": drawn or None, **label}
    labels = {} if checked is None else checked.drawn_labels(n, random_state)
    rows = used.estimator.sample(n, random_state=random_state, **how, **labels)
    used.write(rows, used.columns)
    picture = used.draw(samples_display(used.estimator, min(n, 100), random_state, used.columns or None, **how))
    found = {} if checked is None else {"check": checked.told(rows, labels, random_state)}
    return {"picture": picture, "rows": len(rows), **found}
