"""``hyotan interpolate``: from one row to another."""

from __future__ import annotations

from hyotan.cli.options import option
from hyotan.cli.uses import Record, Used, use
from hyotan.errors import DataError
from hyotan.parameters.domains import Integer


@use("interpolation.npy")
@option("--from start", "Row to start at.", Integer(0), 0, metavar="ROW")
@option("--to end", "Row to end at.", Integer(0), 1, metavar="ROW")
@option("--steps", "Rows of the interpolation, both ends included.", Integer(2), 11)
def interpolate(used: Used, start: int, end: int, steps: int) -> Record:
    """Decode the straight line between the codes of two rows; of images, a strip and an animation too.

    Examples
    --------
    hyotan interpolate runs/mnist-vae-1 --from 2 --to 18
    """
    from hyotan.runs.gallery import interpolation_display

    X = used.dataset.X
    for flag, row in (("--from", start), ("--to", end)):
        if row >= len(X):
            raise DataError(f"{flag} {row}: there are {len(X):,} rows.", f"Choose from 0 to {len(X) - 1}.")
    walk = used.estimator.interpolate(X[start], X[end], steps)
    used.write(walk, used.names)
    if used.estimator.preprocessor_.is_image:
        display = interpolation_display(used.estimator, X[start], X[end], steps)
        for ending in (".png", ".gif"):
            used.draw(display, ending)
    return {"files": used.files, "steps": steps}
