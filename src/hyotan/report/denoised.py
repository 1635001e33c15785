"""What a run's page shows of noise: the figures before and after, and pictures."""

from __future__ import annotations

from typing import Any

from hyotan.report.markup import Html, html_table, join, tag
from hyotan.report.page import arranged
from hyotan.report.pictures import Thumbnails
from hyotan.report.run import RunRecord
from hyotan.words import aligned, say

MEASURES = ("mse", "psnr", "ssim")


def denoising(record: RunRecord, thumbnails: Thumbnails, lang: str) -> Html:
    """Noise added to test rows and taken out again; nothing for a model that was trained without noise."""
    found = record.metrics.get("denoising")
    if not found:
        return Html("")
    intro = tag("p", say("denoising.intro", lang, level=_level(found["level"], lang)))
    return join([intro, _table(found, lang), arranged(record.charts("denoising", lang), lang, thumbnails)])


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
    return html_table(head, rows, numbers=(1, 2, 3))
