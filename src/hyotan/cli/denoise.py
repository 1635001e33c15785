"""``hyotan denoise``: remove noise from rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hyotan.cli.options import SHOW, option
from hyotan.cli.uses import Record, Used, use
from hyotan.parameters.domains import RealOrRange


@use("denoised.npy")
@SHOW
@option("--add-noise", "Add noise first: of this level, of the model's own kind.", RealOrRange(0), metavar="LEVEL")
def denoise(used: Used, show: int, add_noise: float | tuple[float, float] | None) -> Record:
    """Remove noise from the rows of SOURCE: write all to a file, and draw the first.

    Without SOURCE, noise as in training is added to the run's own test rows and removed again.

    Examples
    --------
    hyotan denoise runs/photos-dae-1 noisy-photos/
    hyotan denoise runs/sensors-dae-1 noisy.csv -o clean.csv
    hyotan denoise runs/mnist-dae-1 mnist --add-noise 0.5
    """
    from hyotan.analysis.noise_removal import compare, level_of
    from hyotan.cli.training import denoising_line
    from hyotan.runs.gallery import denoising_display

    used.able(
        "denoise",
        f"{used.path} holds {used.kind} that was trained without noise, so it cannot remove any.",
        "Train one that can: hyotan fit SOURCE --model dae",
    )
    estimator, dataset = used.estimator, used.dataset
    is_clean = used.source is None or add_noise is not None
    noisy: Any = estimator.corrupt(dataset.X, add_noise) if is_clean else dataset.X
    rows = estimator.denoise(noisy)
    used.write(rows, used.names)
    used.say(f"{len(rows):,} rows")
    shown = denoising_display(estimator, dataset.take(slice(show)), noisy[:show] if is_clean else None)
    record: Record = {"picture": used.draw(shown), "rows": len(rows)}
    if is_clean:
        found = compare(estimator, dataset.X, noisy, rows, level_of(estimator, add_noise))
        used.say(denoising_line(found).strip())
        record["denoising"] = asdict(found)
    return record
