"""``hyotan denoise``: noisy rows made clean."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hyotan.cli.options import SHOW, option
from hyotan.cli.uses import Record, Used, use
from hyotan.errors import SettingsError
from hyotan.parameters import RealOrRange


@use("denoised.npy")
@SHOW
@option("--add-noise", "Add noise first: of this level, of the model's own kind.", RealOrRange(0), metavar="LEVEL")
def denoise(used: Used, show: int, add_noise: float | tuple[float, float] | None) -> Record:
    """Take the noise out of the rows of SOURCE: all to a file, the first as a picture.

    Without SOURCE, noise as in training is added to the run's own test rows and taken out again.

    Examples
    --------
    hyotan denoise runs/photos-dae-1 noisy-photos/
    hyotan denoise runs/sensors-dae-1 noisy.csv -o clean.csv
    hyotan denoise runs/mnist-dae-1 mnist --add-noise 0.5
    """
    from hyotan.analysis.noise_removal import compare, level_of, takes_noise_away
    from hyotan.cli.training import denoising_line
    from hyotan.runs.gallery import denoising_display

    estimator = used.estimator
    if not takes_noise_away(estimator):
        raise SettingsError(
            f"{used.path} is of kind {estimator.kind}, trained without noise: it has not learned what noise is.",
            "Train one that has: hyotan fit SOURCE --model dae",
        )
    dataset = used.dataset
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
