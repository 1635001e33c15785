"""Noisy rows and what a denoising autoencoder makes of them, beside the clean ones where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import CONTINUOUS, QUIET, WIDTH, Array, FigureDisplay, Layout, frozen, tidy
from hyotan.figures.charts import ImageTable
from hyotan.figures.chosen import sample_tags
from hyotan.figures.heatmaps import MOST_NAMED, column_names, column_scale, draw_heat_map, name_room
from hyotan.figures.images import (
    ValueRange,
    are_images,
    as_samples,
    centres,
    checked_range,
    filled_up,
    gap_of,
    mosaic,
    to_rgb,
)
from hyotan.metrics import psnr
from hyotan.words import say

PER_ROW = 10
"""Images side by side; more begin a new block of rows."""


@dataclass(frozen=True, eq=False)
class DenoisingDisplay(FigureDisplay):
    """Clean rows where they are known, noisy ones beneath, what the model makes of these at the bottom.

    Attributes
    ----------
    noisy, denoised : arrays of equal shape
        (n, height, width), (n, 3, height, width) or (n, features).
    clean : array of that shape or None
        What the noise was added to.
    labels : tuple of str or None
        One a sample.
    value_range : (low, high)
        What is drawn black and white.
    columns : tuple of str
        The columns' names of a table; empty for images.
    """

    noisy: Array
    denoised: Array
    clean: Array | None
    labels: tuple[str, ...] | None
    value_range: ValueRange
    columns: tuple[str, ...] = ()

    @classmethod
    def from_arrays(
        cls,
        noisy: ArrayLike,
        denoised: ArrayLike,
        clean: ArrayLike | None = None,
        labels: Sequence[object] | None = None,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
        columns: Sequence[object] | None = None,
    ) -> DenoisingDisplay:
        """From arrays of equal shape; ``image_shape`` for images that come flattened, ``columns`` for a table.

        Raises
        ------
        DataError
            The shapes differ, are no images and no table, or the labels or names are of another number.
        """
        before = as_samples(noisy, image_shape, "The noisy rows")
        after = as_samples(denoised, image_shape, "The denoised rows")
        known = None if clean is None else as_samples(clean, image_shape, "The clean rows")
        for name, rows in (("denoised", after), ("clean", known)):
            if rows is not None and rows.shape != before.shape:
                raise DataError(f"The noisy rows have shape {before.shape}, the {name} ones {rows.shape}.")
        tags = sample_tags(labels, len(before))
        names = () if are_images(before) else column_names(columns, before.shape[1])
        ends = checked_range(value_range, after if known is None else known)
        return cls(frozen(before), frozen(after), None if known is None else frozen(known), tags, ends, names)

    @property
    def psnr(self) -> tuple[Array, Array] | None:
        """PSNR in dB of the noisy and of the denoised samples, (n,) each; None where the clean ones are not known."""
        if self.clean is None:
            return None
        span = self.value_range[1] - self.value_range[0]
        return psnr(self.noisy, self.clean, span), psnr(self.denoised, self.clean, span)

    @property
    def _rows(self) -> dict[str, Array]:
        known = {} if self.clean is None else {"clean": self.clean}
        return {**known, "noisy": self.noisy, "denoised": self.denoised}

    def charts(self, lang: str) -> list[ImageTable]:
        """The images with their PSNR beneath; nothing of a table."""
        if not are_images(self.noisy):
            return []
        numbered = [say("pictures.row", lang, n=n) for n in range(len(self.noisy))]
        rows = [(say(f"denoising.row.{name}", lang), images) for name, images in self._rows.items()]
        beneath = {
            place: [say("denoising.decibels", lang, value=f"{value:.1f}") for value in values]
            for place, values in enumerate(self.psnr or (), start=1)
        }
        title, caption = say("denoising.title", lang), say("denoising.caption", lang)
        return [ImageTable(title, self.labels or numbered, rows, self.value_range, beneath, caption=caption)]

    @property
    def _layout(self) -> Layout:
        return "compressed" if are_images(self.noisy) else "constrained"

    def _size(self) -> tuple[float, float]:
        if not are_images(self.noisy):
            tall = min(6.5, max(1.2, 0.18 * len(self.noisy)))
            return WIDTH, 1.0 + tall + (name_room(self.columns) if self._are_named else 0.3)
        height, width = self.noisy.shape[-2:]
        across = min(PER_ROW, len(self.noisy))
        cell = min(0.62 if across >= PER_ROW else 0.9, 6.0 / across / 1.07)
        block = len(self._rows) * 1.08 * cell * min(height / width, 3.0)
        room = 0.2 + 0.3 * (self.clean is not None) + 0.23 * (self.labels is not None)
        return min(WIDTH, 1.6 + across * cell * 1.07), 0.3 + self._blocks() * (block + room)

    @property
    def _are_named(self) -> bool:
        return len(self.columns) <= MOST_NAMED

    def _blocks(self) -> int:
        return -(-len(self.noisy) // PER_ROW)

    def _draw(self, figure: Figure | SubFigure) -> None:
        if not are_images(self.noisy):
            self._draw_heat_maps(figure)
            return
        axes = [figure.add_subplot(self._blocks(), 1, block + 1) for block in range(self._blocks())]
        for block, ax in enumerate(axes):
            self._draw_block(ax, slice(block * PER_ROW, (block + 1) * PER_ROW))
        if self.clean is not None:
            words = "PSNR in dB of the noisy image and, beneath, of the denoised one; higher is better"
            axes[-1].set_xlabel(words, color=QUIET, fontsize=8, loc="left")

    def _draw_block(self, ax: Axes, part: slice) -> None:
        pictures = [to_rgb(rows[part], self.value_range) for rows in self._rows.values()]
        count, height, width, _ = pictures[0].shape
        gap, across = gap_of(pictures[0]), min(PER_ROW, len(self.noisy))
        ax.imshow(mosaic(np.concatenate([filled_up(row, across) for row in pictures]), across, gap))
        ax.set_yticks(centres(len(pictures), height, gap), list(self._rows))
        middles = centres(count, width, gap)
        ax.set_xticks(middles if self.psnr else [], self._told(part) if self.psnr else [])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for middle, label in zip(middles, self.labels[part] if self.labels else (), strict=False):
            ax.text(middle, -gap - 0.5, tidy(label, 8), ha="center", va="bottom", fontsize=9)

    def _told(self, part: slice) -> list[str]:
        """PSNR before and after, one above the other."""
        before, after = self.psnr or ((), ())
        return [f"{one:.1f}\n{other:.1f}" for one, other in zip(before[part], after[part], strict=True)]

    def _draw_heat_maps(self, figure: Figure | SubFigure) -> None:
        low, width = column_scale(self.noisy if self.clean is None else self.clean)
        axes = [figure.add_subplot(1, len(self._rows), index + 1) for index in range(len(self._rows))]
        for ax, (name, rows) in zip(axes, self._rows.items(), strict=True):
            self._draw_heat_map(ax, (rows - low) / width)
            ax.set_title(name.capitalize())
        for ax in axes[1:]:
            ax.set_yticklabels([])
        bar = figure.colorbar(axes[0].images[0], ax=axes, location="bottom", pad=0.02, shrink=0.9, aspect=60)
        bar.set_label(f"place in the column's range of the {next(iter(self._rows))} rows", fontsize=8)
        bar.outline.set_visible(False)

    def _draw_heat_map(self, ax: Axes, shares: Array) -> None:
        if self._are_named:
            draw_heat_map(ax, shares, self.columns, self.labels)
            return
        ax.imshow(shares, aspect="auto", cmap=CONTINUOUS, vmin=0, vmax=1, interpolation="nearest")
        ax.set(xlabel="column", yticks=[])
