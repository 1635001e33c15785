"""Noisy rows and what a denoising autoencoder makes of them, beside the clean ones where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import QUIET, WIDTH, Array, FigureDisplay, Layout, frozen
from hyotan.figures.charts import ImageTable
from hyotan.figures.chosen import sample_tags
from hyotan.figures.heatmaps import MOST_NAMED, column_names, column_scale, draw_heat_maps, draw_scale, name_room
from hyotan.figures.images import ValueRange, are_images, as_samples, checked_range
from hyotan.figures.sheets import draw_blocks, table_size
from hyotan.metrics import psnr
from hyotan.words import say


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
            return WIDTH, 1.0 + tall + (name_room(self.columns) if len(self.columns) <= MOST_NAMED else 0.3)
        return table_size(*self._table())

    def _table(self) -> tuple[ImageTable, list[str]]:
        """The images, and each column's PSNR."""
        pairs = [] if self.psnr is None else zip(*self.psnr, strict=True)
        rows = list(self._rows.items())
        return ImageTable("", self.labels or (), rows, self.value_range), [f"{a:.1f}\n{b:.1f}" for a, b in pairs]

    def _draw(self, figure: Figure | SubFigure) -> None:
        if not are_images(self.noisy):
            self._draw_heat_maps(figure)
            return
        axes = draw_blocks(figure, *self._table())
        if self.psnr is not None:
            words = "PSNR in dB of the noisy image and, beneath, of the denoised one; higher is better"
            axes[-1].set_xlabel(words, color=QUIET, fontsize=8, loc="left")

    def _draw_heat_maps(self, figure: Figure | SubFigure) -> None:
        low, width = column_scale(self.noisy if self.clean is None else self.clean)
        maps = {name.capitalize(): (rows - low) / width for name, rows in self._rows.items()}
        axes = draw_heat_maps(figure, maps, self.columns, self.labels)
        draw_scale(figure, axes, f"place in the column's range of the {next(iter(self._rows))} rows")
