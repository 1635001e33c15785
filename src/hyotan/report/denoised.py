"""What a run's page shows of noise: the figures before and after, and pictures."""

from __future__ import annotations

from typing import Any

from hyotan.analysis.denoising import takes_noise_away
from hyotan.figures.canvas import tidy
from hyotan.report.data_uris import Pictures
from hyotan.report.grids import Grid, grids
from hyotan.report.markup import Html, join, table, tag
from hyotan.report.run import RunRecord
from hyotan.runs.fitting import tracked_rows
from hyotan.runs.gallery import denoising_display
from hyotan.words import aligned, say

MEASURES = ("mse", "psnr", "ssim")


def denoising(record: RunRecord, pictures: Pictures, lang: str) -> Html:
    """Noise added to test rows and taken out again; nothing for a model that was trained without noise."""
    found = record.metrics.get("denoising")
    if not found:
        return Html("")
    intro = tag("p", say("denoising.intro", lang, level=_level(found["level"], lang)))
    return join([intro, _table(found, lang), _pictures(record, pictures, lang)])


def _level(level: Any, lang: str) -> Any:
    if not isinstance(level, list | tuple):
        return level
    return say("denoising.range", lang, low=level[0], high=level[1])


def _table(found: Any, lang: str) -> Html:
    head = [
        say("numbers.measure", lang),
        say("denoising.noisy", lang),
        say("numbers.model", lang),
        say("denoising.affine", lang),
        say("numbers.direction", lang),
    ]
    rows = []
    for name in MEASURES:
        keys = (f"{name}_noisy", "mse_denoised" if name == "mse" else name, f"{name}_affine")
        values = [found.get(key) for key in keys]
        if values[1] is not None:
            told = ["–" if value is None else aligned(value, values[1]) for value in values]
            direction = say("numbers.lower" if name == "mse" else "denoising.higher", lang)
            rows.append([say(f"denoising.{name}", lang), *told, direction])
    return table(head, rows, numbers=(1, 2, 3))


def _pictures(record: RunRecord, pictures: Pictures, lang: str) -> Html | None:
    if not record.is_image or not takes_noise_away(record.estimator):
        return None
    some = record.test.take(tracked_rows(record.test))
    shown = denoising_display(record.estimator, some, record.estimator.corrupt(some.X))
    names = [say("pictures.row", lang, n=n) for n in range(len(some.X))]
    if some.y is not None:
        names = [tidy(label, 20) for label in some.y.tolist()]
    parts = {"clean": shown.clean, "noisy": shown.noisy, "denoised": shown.denoised}
    rows = [(say(f"denoising.row.{name}", lang), images) for name, images in parts.items() if images is not None]
    told = {
        place: [say("denoising.decibels", lang, value=f"{value:.1f}") for value in values]
        for place, values in enumerate(shown.psnr or (), start=1)
    }
    grid = Grid(say("denoising.title", lang), names, rows, say("denoising.caption", lang), told)
    return grids([grid], shown.value_range, pictures, lang)
