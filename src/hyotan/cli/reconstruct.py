"""``hyotan reconstruct``: rows through the code and back."""

from __future__ import annotations

from hyotan.cli.options import SHOW, option
from hyotan.cli.uses import Record, Used, use


@use("reconstructed.npy")
@SHOW
@option("--as told", "Reconstruct every row with this label (cvae).", metavar="LABEL")
def reconstruct(used: Used, show: int, told: str | None) -> Record:
    """Reconstruct the rows of SOURCE (by default the run's own test rows): write all to a file, draw the first.

    Examples
    --------
    hyotan reconstruct runs/mnist-ae-1
    hyotan reconstruct runs/photos-ae-1 new-photos/ -o clean.npy
    hyotan reconstruct runs/mnist-cvae-1 --as 9
    """
    from hyotan.runs.gallery import reconstructions_display

    dataset, label = used.dataset, used.label(told, "--as")
    rows = used.estimator.reconstruct(dataset.X, **label)
    used.write(rows, used.names)
    used.say(f"{len(rows):,} rows")
    picture = used.draw(reconstructions_display(used.estimator, dataset, show, **label))
    return {"picture": picture, "rows": len(rows)}
