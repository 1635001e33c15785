"""Style and label exchanged: the same code under every label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import VALIDATION, WIDTH, Array, AxesDisplay, frozen, tidy
from hyotan.figures.charts import ImageTable
from hyotan.figures.images import ValueRange, are_images, as_samples, centres, checked_range, gap_of, mosaic, to_rgb
from hyotan.figures.sheets import draw_sheet
from hyotan.words import say


@dataclass(frozen=True, eq=False)
class ExchangeDisplay(AxesDisplay):
    """A row for each style, a column for each label; the style's origin first, its own label framed.

    Attributes
    ----------
    images : array of shape (styles, labels, height, width) or (styles, labels, 3, height, width)
    labels : tuple of str
        One a column.
    originals : array of shape (styles, …), or None
        The rows of data whose codes are the styles; None for codes drawn from the prior.
    own : tuple of str, or None
        The label of each original.
    value_range : (low, high)
    """

    images: Array
    labels: tuple[str, ...]
    originals: Array | None
    own: tuple[str, ...] | None
    value_range: ValueRange

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        labels: Sequence[object],
        originals: ArrayLike | None = None,
        own: Sequence[object] | None = None,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> ExchangeDisplay:
        """From the decoded codes, (styles, labels, *features), and the labels that they were decoded with.

        Raises
        ------
        DataError
            They are no images, or labels or originals are of another number.
        """
        grid = np.asarray(images)
        cells = as_samples(grid.reshape(-1, *grid.shape[2:]), image_shape, "The images")
        if grid.ndim < 3 or not are_images(cells):
            raise DataError(
                f"Styles and labels are drawn as images, (styles, labels, height, width); got shape {grid.shape}.",
                "Give image_shape for flattened images.",
            )
        cells = cells.reshape(*grid.shape[:2], *cells.shape[1:])
        if len(labels) != grid.shape[1]:
            raise DataError(f"There are {grid.shape[1]} columns but {len(labels)} labels.", "Give one label a column.")
        before = None if originals is None else as_samples(originals, image_shape, "The originals")
        for what, found in (("originals", before), ("own labels", own)):
            if found is not None and len(found) != len(cells):
                raise DataError(f"There are {len(cells)} styles but {len(found)} {what}.", "Give one a style.")
        names = tuple(tidy(label, 12) for label in labels)
        return cls(
            frozen(cells),
            names,
            None if before is None else frozen(before),
            None if own is None else tuple(tidy(label, 12) for label in own),
            checked_range(value_range, cells),
        )

    def to_dict(self) -> dict[str, Any]:
        """The labels of rows and columns as plain values; the pictures are :attr:`images`."""
        return {"labels": list(self.labels), "own": None if self.own is None else list(self.own)}

    def charts(self, lang: str) -> list[ImageTable]:
        """A row for each style, its origin first."""
        first = [] if self.originals is None else [say("exchange.original", lang)]
        images = self.images
        if self.originals is not None:
            images = np.concatenate([self.originals[:, None], images], axis=1)
        rows = [(say("exchange.row", lang, n=n), row) for n, row in enumerate(images)]
        title, caption = say("exchange.title", lang), say("exchange.text", lang)
        return [ImageTable(title, [*first, *self.labels], rows, self.value_range, caption=caption)]

    def _cell(self) -> float:
        return min(0.62, (WIDTH - 1.2) / (len(self.labels) + 1.4) / 1.07)

    def _size(self) -> tuple[float, float]:
        height, width = self.images.shape[-2:]
        across = len(self.labels) + (0 if self.originals is None else 1.4)
        return max(3.2, 1.07 * self._cell() * across + 0.6), 0.75 + 1.07 * self._cell() * len(
            self.images
        ) * height / width

    def _draw(self, ax: Axes) -> None:
        pictures = to_rgb(self.images.reshape(-1, *self.images.shape[2:]), self.value_range)
        height, width, gap = *pictures.shape[1:3], gap_of(pictures)
        sheet, left = mosaic(pictures, len(self.labels), gap), 0
        if self.originals is not None:
            first = mosaic(to_rgb(self.originals, self.value_range), 1, gap)
            space = np.full((len(sheet), width // 2, 3), 255, dtype=np.uint8)
            sheet, left = np.concatenate([first, space, sheet], axis=1), width + space.shape[1]
        draw_sheet(ax, sheet)
        middles = left + centres(len(self.labels), width, gap)
        self._name(ax, middles, width)
        self._frame_own(ax, middles, centres(len(self.images), height, gap), (width, height))

    def _name(self, ax: Axes, middles: Array, width: int) -> None:
        places, names = list(middles), list(self.labels)
        if self.originals is not None:
            places, names = [(width - 1) / 2, *places], ["original", *names]
        ax.set_xticks(places, names, fontsize=9 if max(map(len, self.labels)) <= 4 else 7)
        ax.xaxis.tick_top()
        ax.set_xlabel("the same code, decoded with every label", loc="right", fontsize=8.5)
        ax.xaxis.set_label_position("bottom")

    def _frame_own(self, ax: Axes, middles: Array, rows: Array, side: tuple[int, int]) -> None:
        if self.own is None:
            return
        width, height = side
        for row, label in zip(rows, self.own, strict=True):
            if label in self.labels:
                corner = (middles[self.labels.index(label)] - width / 2, row - height / 2)
                ax.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=VALIDATION, linewidth=1.8))
