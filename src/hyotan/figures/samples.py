"""What the model makes of its own accord."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from hyotan.errors import SettingsError
from hyotan.figures.canvas import TRAINING, WIDTH, Array, AxesDisplay, frozen
from hyotan.figures.charts import ImageSheet
from hyotan.figures.heatmaps import MOST_NAMED, column_names, column_scale, draw_heat_map, name_room
from hyotan.figures.images import ValueRange, are_images, as_samples, checked_range, gap_of, mosaic, to_rgb
from hyotan.words import say

ON_A_PAGE, PAGE_COLUMNS = 25, 5
"""Images that a page shows, and how many side by side."""


class Samples(Protocol):
    """An estimator that can make new samples."""

    def sample(self, n: int, *, random_state: int) -> Any:
        """``n`` draws."""


@dataclass(frozen=True, eq=False)
class SamplesDisplay(AxesDisplay):
    """A grid of images, or a table's rows as a heat map (up to 40 columns) or as overlaid profiles.

    Attributes
    ----------
    samples : array of shape (n, height, width), (n, 3, height, width) or (n, features)
    value_range : (low, high)
        What is drawn black and white.
    columns : tuple of str
        The columns' names of a table; empty for images.
    origin : str
        Where the codes were drawn from, for the title.
    """

    samples: Array
    value_range: ValueRange
    columns: tuple[str, ...] = ()
    origin: str = "the prior"

    @classmethod
    def from_arrays(
        cls,
        samples: ArrayLike,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
        columns: Sequence[object] | None = None,
        origin: str = "the prior",
    ) -> SamplesDisplay:
        """From draws; ``image_shape`` for images that come flattened, ``columns`` for a table's names."""
        drawn = as_samples(samples, image_shape)
        names = () if are_images(drawn) else column_names(columns, drawn.shape[1])
        return cls(frozen(drawn), checked_range(value_range, drawn), names, origin)

    @classmethod
    def from_estimator(
        cls,
        estimator: Samples,
        n: int = 64,
        random_state: int = 0,
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
        columns: Sequence[object] | None = None,
    ) -> SamplesDisplay:
        """From ``n`` draws of a fitted estimator."""
        if n < 1:
            raise SettingsError(f"At least one sample must be drawn; got n={n}.", "Give n of 1 or more.")
        drawn = estimator.sample(n, random_state=random_state)
        return cls.from_arrays(drawn, value_range=value_range, image_shape=image_shape, columns=columns)

    def charts(self, lang: str) -> list[ImageSheet]:
        """A few of the images; nothing of a table."""
        if not are_images(self.samples):
            return []
        some = self.samples[:ON_A_PAGE]
        title, caption = say("samples.title", lang, n=len(some)), say("samples.density", lang)
        return [ImageSheet(title, some, PAGE_COLUMNS, self.value_range, caption=caption)]

    def _across(self) -> int:
        """Images side by side: a square, or as many as make the sheet about as tall as wide."""
        height, width = self.samples.shape[-2:]
        return max(1, min(len(self.samples), round(np.sqrt(len(self.samples) * height / width))))

    def _size(self) -> tuple[float, float]:
        if are_images(self.samples):
            return self._size_of_images()
        if self.samples.shape[1] > MOST_NAMED:
            return WIDTH, 3.2
        return WIDTH, 0.6 + min(5.0, max(1.2, 0.2 * len(self.samples))) + name_room(self.columns)

    def _size_of_images(self) -> tuple[float, float]:
        height, width = self.samples.shape[-2:]
        across = self._across()
        down = -(-len(self.samples) // across)
        unit = min(5.6 / (across * width), 5.6 / (down * height), 0.9 / max(height, width))
        return max(2.6, unit * across * width * 1.06) + 0.1, unit * down * height * 1.06 + 0.45

    def _draw(self, ax: Axes) -> None:
        count = len(self.samples)
        ax.set_title(f"{count:,} {'samples' if count > 1 else 'sample'} from {self.origin}")
        if are_images(self.samples):
            pictures = to_rgb(self.samples, self.value_range)
            ax.imshow(mosaic(pictures, self._across(), gap_of(pictures)))
            ax.set_axis_off()
            ax.set_anchor("NW")
        elif self.samples.shape[1] > MOST_NAMED:
            self._draw_profiles(ax)
        else:
            self._draw_heat_map(ax)

    def _draw_heat_map(self, ax: Axes) -> None:
        low, width = column_scale(self.samples)
        image = draw_heat_map(ax, (self.samples - low) / width, self.columns, None)
        ax.set_ylabel("sample")
        bar = ax.figure.colorbar(image, ax=ax, fraction=0.03, pad=0.015, aspect=30)
        bar.set_label("share of the column's range")
        bar.outline.set_visible(False)

    def _draw_profiles(self, ax: Axes) -> None:
        positions = np.arange(self.samples.shape[1])
        alpha = float(np.clip(12 / len(self.samples), 0.08, 0.8))
        ax.plot(positions, self.samples.T, color=TRAINING, alpha=alpha, linewidth=0.8)
        ax.set(xlabel="feature", ylabel="value")
        ax.margins(x=0.01)
