"""Style and label exchanged: the same code under every label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import Array, AxesDisplay, frozen, tidy
from hyotan.figures.charts import ImageTable
from hyotan.figures.images import ValueRange, are_images, as_samples, checked_range
from hyotan.figures.sheets import draw_table, table_size
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
    title : str
        In place of the usual one.
    """

    images: Array
    labels: tuple[str, ...]
    originals: Array | None
    own: tuple[str, ...] | None
    value_range: ValueRange
    title: str = ""

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
        title: str = "",
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
            tidy(title, 90),
        )

    def to_dict(self) -> dict[str, Any]:
        """The labels of rows and columns as plain values; the pictures are :attr:`images`."""
        return {"labels": list(self.labels), "own": None if self.own is None else list(self.own)}

    def charts(self, lang: str) -> list[ImageTable]:
        """A row for each style, its origin first."""
        before = [] if self.originals is None else [say("exchange.original", lang)]
        images = self.images
        if self.originals is not None:
            images = np.concatenate([self.originals[:, None], images], axis=1)
        own = self.own or ()
        names = [say("exchange.of", lang, label=label) for label in own]
        names = names or [say("exchange.row", lang, n=n) for n in range(len(images))]
        marked = [(n, len(before) + self.labels.index(x)) for n, x in enumerate(own) if x in self.labels]
        title, caption = self.title or say("exchange.title", lang), say("exchange.text", lang)
        rows = list(zip(names, images, strict=True))
        return [ImageTable(title, [*before, *self.labels], rows, self.value_range, marked=marked, caption=caption)]

    def _table(self) -> ImageTable:
        return replace(self.charts("en")[0], title=self.title)

    def _size(self) -> tuple[float, float]:
        width, height = table_size(self._table())
        return max(3.2, width), height + 0.25

    def _draw(self, ax: Axes) -> None:
        draw_table(ax, self._table())
        ax.set_xlabel("the same code, decoded with every label", loc="right", fontsize=8.5)
