"""Originals and what the model makes of them, with the error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import ERROR, QUIET, TRAINING, VALIDATION, WIDTH, Array, FigureDisplay, Layout, frozen, tidy
from hyotan.figures.charts import ImageTable
from hyotan.figures.chosen import choose_rows, sample_tags
from hyotan.figures.heatmaps import MOST_NAMED, column_names, column_scale, draw_heat_maps, draw_scale, name_room
from hyotan.figures.images import ValueRange, are_images, as_samples, checked_range
from hyotan.figures.sheets import PER_ROW, draw_blocks, table_size


class Reconstructs(Protocol):
    """An estimator that can rebuild its input."""

    def reconstruct(self, X: Any) -> Any:
        """The input as the model sees it, in the shape of X."""


@dataclass(frozen=True, eq=False)
class ReconstructionsDisplay(FigureDisplay):
    """Originals above, reconstructions below, absolute error beneath.

    Attributes
    ----------
    originals, reconstructions : arrays of equal shape
        (n, height, width), (n, 3, height, width) or (n, features).
    labels : tuple of str or None
        One a sample.
    value_range : (low, high)
        What is drawn black and white.
    columns : tuple of str
        The columns' names of a table; empty for images.
    """

    originals: Array
    reconstructions: Array
    labels: tuple[str, ...] | None
    value_range: ValueRange
    columns: tuple[str, ...] = ()

    @classmethod
    def from_arrays(
        cls,
        originals: ArrayLike,
        reconstructions: ArrayLike,
        labels: Sequence[object] | None = None,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
        columns: Sequence[object] | None = None,
    ) -> ReconstructionsDisplay:
        """From arrays of equal shape; ``image_shape`` for images that come flattened, ``columns`` for a table.

        Raises
        ------
        DataError
            The shapes differ, are no images and no table, or the labels or names are of another number.
        """
        before = as_samples(originals, image_shape, "The originals")
        after = as_samples(reconstructions, image_shape, "The reconstructions")
        if before.shape != after.shape:
            raise DataError(f"The originals have shape {before.shape}, the reconstructions {after.shape}.")
        tags = sample_tags(labels, len(before))
        names = () if are_images(before) else column_names(columns, before.shape[1])
        return cls(frozen(before), frozen(after), tags, checked_range(value_range, before), names)

    @classmethod
    def from_estimator(
        cls,
        estimator: Reconstructs,
        X: ArrayLike,
        n: int = 10,
        labels: Sequence[object] | None = None,
        random_state: int = 0,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
        columns: Sequence[object] | None = None,
    ) -> ReconstructionsDisplay:
        """From a fitted estimator and ``n`` rows of ``X`` drawn at random, from each label in turn where there are any.

        Images of bytes are compared in [0, 1], the range in which models see them.
        """
        rows = np.asarray(X)
        chosen = choose_rows(len(rows), n, labels, random_state)
        after = estimator.reconstruct(rows[chosen])
        before = rows[chosen] / 255 if rows.dtype == np.uint8 and rows.ndim > 2 else rows[chosen]
        tags = None if labels is None else [labels[index] for index in chosen]
        return cls.from_arrays(before, after, tags, value_range=value_range, image_shape=image_shape, columns=columns)

    @property
    def errors(self) -> Array:
        """Absolute error; for colour images the mean over the channels, so (n, height, width)."""
        error = np.abs(self.originals - self.reconstructions)
        return error.mean(axis=1) if error.ndim == 4 else error

    @property
    def mse(self) -> Array:
        """Mean squared error per feature of every sample, (n,)."""
        squared = np.square(self.originals - self.reconstructions)
        return squared.reshape(len(squared), -1).mean(axis=1)

    @property
    def _layout(self) -> Layout:
        return "compressed" if are_images(self.originals) else "constrained"

    def _size(self) -> tuple[float, float]:
        if are_images(self.originals):
            width, height = table_size(*self._table())
            return min(WIDTH, width + 0.9), height
        if self.originals.shape[1] > MOST_NAMED:
            return WIDTH, 0.7 + 0.85 * -(-len(self.originals) // 2)
        return WIDTH, 1.4 + min(6.5, max(1.2, 0.18 * len(self.originals))) + name_room(self.columns)

    def _draw(self, figure: Figure | SubFigure) -> None:
        if are_images(self.originals):
            self._draw_images(figure)
        elif self.originals.shape[1] > MOST_NAMED:
            self._draw_profiles(figure)
        else:
            self._draw_heat_maps(figure)

    def _table(self) -> tuple[ImageTable, list[str]]:
        """The images with their error in colours, and each column's MSE."""
        low, high = self.value_range
        coloured = colormaps[ERROR](self.errors / self._top)[..., :3].transpose(0, 3, 1, 2) * (high - low) + low
        rows = [("original", self.originals), ("reconstruction", self.reconstructions), ("absolute error", coloured)]
        return ImageTable("", self.labels or (), rows, self.value_range), _numbers(self.mse)

    @property
    def _top(self) -> float:
        return float(self.errors.max()) or 1.0

    def _draw_images(self, figure: Figure | SubFigure) -> None:
        axes = draw_blocks(figure, *self._table())
        axes[-1].set_xlabel("mean squared error per pixel", color=QUIET, fontsize=8, loc="left")
        bar = figure.colorbar(
            ScalarMappable(Normalize(0, self._top), ERROR),
            ax=axes,
            fraction=0.2 / min(PER_ROW, len(self.originals)),
            pad=0.015,
            aspect=18,
            shrink=0.8,
        )
        bar.set_label("absolute error")
        bar.outline.set_visible(False)

    def _draw_heat_maps(self, figure: Figure | SubFigure) -> None:
        low, width = column_scale(self.originals)
        maps = {
            "Originals": (self.originals - low) / width,
            "Reconstructions": (self.reconstructions - low) / width,
            "Absolute error": self.errors / width,
        }
        axes = draw_heat_maps(figure, maps, self.columns, self.labels)
        axes[2].images[0].set(cmap=ERROR, clim=(0, float(maps["Absolute error"].max()) or 1.0))
        draw_scale(figure, axes[:2], "place in the column's range of the originals")
        draw_scale(figure, axes[2:], "share of that range")

    def _draw_profiles(self, figure: Figure | SubFigure) -> None:
        count, features = self.originals.shape
        rows = -(-count // 2)
        positions = np.arange(features)
        axes = [figure.add_subplot(rows, 2, index + 1) for index in range(count)]
        for index, ax in enumerate(axes):
            ax.plot(positions, self.originals[index], color=TRAINING, linewidth=1.2, label="original")
            ax.plot(
                positions,
                self.reconstructions[index],
                color=VALIDATION,
                linewidth=1.0,
                linestyle=(0, (3, 1)),
                label="reconstruction",
            )
            name = f"row {index + 1}" if self.labels is None else tidy(self.labels[index], 20)
            ax.set_title(f"{name}   MSE {self.mse[index]:.4g}", fontsize=8.5, pad=3)
            ax.margins(x=0.01)
        figure.supxlabel("feature", fontsize=9)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)


def _numbers(values: Array) -> list[str]:
    """Four decimals where they say something, else three figures."""
    plain = values.max() < 100 and values.min() >= 0.001
    return [f"{value:.4f}" if plain else f"{value:.3g}" for value in values]
