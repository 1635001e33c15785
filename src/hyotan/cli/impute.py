"""``hyotan impute``: rows with their missing values filled."""

from __future__ import annotations

from hyotan.cli.options import option, switch
from hyotan.cli.uses import Record, Used, use
from hyotan.parameters.domains import Integer, Real


@use("imputed.csv")
@switch("--intervals", "Write the bounds of intervals too: FILE-low and FILE-high.")
@option("--level", "Their coverage.", Real(0, 1, True, True), 0.9, metavar="SHARE")
@option("--samples", "Write K likely imputations: FILE-1 …", Integer(1), metavar="K")
@option("--random-state", "Seed of the samples.", Integer(), 0)
def impute(used: Used, intervals: bool, level: float, samples: int | None, random_state: int) -> Record:
    """Fill the missing values of SOURCE (by default the run's own test rows) with what the model expects there.

    Examples
    --------
    hyotan impute runs/table-vae-1 table.csv -o filled.csv
    hyotan impute runs/table-vae-1 new.csv -o filled.csv --intervals --level 0.95
    hyotan impute runs/table-vae-1 new.csv -o filled.csv --samples 5
    """
    import numpy as np

    if samples is not None:
        used.able(
            "impute_samples",
            f"--samples {samples}: {used.kind} has no distribution to draw from.",
            "Take --intervals, or train a VAE: --model vae.",
        )
    used.options["missing"] = used.options["missing"] or "keep"
    X, model = used.dataset.X, used.estimator
    written = {"": model.impute(X)}
    if intervals:
        written["-low"], written["-high"] = model.impute_intervals(X, level)
    if samples is not None:
        drawn = model.impute_samples(X, samples, random_state)
        written |= {f"-{number}": rows for number, rows in enumerate(drawn, start=1)}
    for ending, rows in written.items():
        used.write(rows, used.names, more=ending)
    missing = X.count_missing() if hasattr(X, "count_missing") else int(np.isnan(X).sum())
    used.say(f"{len(X):,} rows, {missing:,} missing values filled")
    return {"files": used.files, "rows": len(X), "missing": missing}
