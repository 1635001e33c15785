"""Reconstructions by latent size and way: each model's, and a conditional one's with no, right and wrong label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import INK, QUIET, VALIDATION, WIDTH, Array, AxesDisplay, frozen, tidy
from hyotan.figures.heatmaps import letters
from hyotan.figures.images import ValueRange, are_images, as_samples, centres, checked_range, gap_of, mosaic, to_rgb
from hyotan.figures.sheets import draw_sheet


@dataclass(frozen=True)
class Way:
    """One row of reconstructions.

    Parameters
    ----------
    name : what is written beside it: ``AE``, ``CVAE, wrong label``.
    images : (n, *features)
    group : rows of one group stand together under its name, such as a latent size.
    given : the label that the model was told for each row, where it was told one.
    """

    name: str
    images: Any
    group: str = ""
    given: Sequence[object] | None = None


@dataclass(frozen=True, eq=False)
class ConditionalReconstructionsDisplay(AxesDisplay):
    """Originals above, one row for each way to reconstruct them, in groups; a label told wrongly stands out.

    Attributes
    ----------
    originals : array of shape (n, height, width) or (n, 3, height, width)
    labels : tuple of str
        One a column.
    images : array of shape (ways, *originals.shape)
    names, groups : tuple of str
        One a way.
    given : tuple
        For each way the labels that the model was told, or None.
    value_range : (low, high)
    """

    originals: Array
    labels: tuple[str, ...]
    images: Array
    names: tuple[str, ...]
    groups: tuple[str, ...]
    given: tuple[tuple[str, ...] | None, ...]
    value_range: ValueRange

    @classmethod
    def from_ways(
        cls,
        originals: ArrayLike,
        labels: Sequence[object],
        ways: Sequence[Way],
        *,
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> ConditionalReconstructionsDisplay:
        """From originals, their labels, and the reconstructions of each way.

        Raises
        ------
        DataError
            The originals are no images, a way has another shape, or labels are of another number.
        """
        before = as_samples(originals, image_shape, "The originals")
        after = [as_samples(way.images, image_shape, f"The reconstructions of '{way.name}'") for way in ways]
        if not are_images(before) or not after:
            raise DataError(
                f"One image or more and one way or more are needed; got shape {before.shape} and {len(after)} ways.",
                "Give image_shape for flattened images.",
            )
        for way, rows in zip(ways, after, strict=True):
            if rows.shape != before.shape:
                raise DataError(f"The reconstructions of '{way.name}' have shape {rows.shape}, not {before.shape}.")
        counts = {len(labels), *(len(way.given) for way in ways if way.given is not None)}
        if counts != {len(before)}:
            raise DataError(
                f"There are {len(before)} samples but {sorted(counts)} labels.",
                "Give one label a sample, in every way.",
            )
        return cls(
            frozen(before),
            _texts(labels),
            frozen(after),
            tuple(tidy(way.name, 30) for way in ways),
            tuple(tidy(way.group, 30) for way in ways),
            tuple(None if way.given is None else _texts(way.given) for way in ways),
            checked_range(value_range, before),
        )

    @property
    def mse(self) -> Array:
        """Mean squared error a pixel of every way and sample, (ways, n)."""
        squared = np.square(self.images - self.originals)
        return squared.reshape(*squared.shape[:2], -1).mean(axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """The error of every way and sample, and the labels told, as plain values."""
        ways = zip(self.names, self.groups, self.given, self.mse.tolist(), strict=True)
        return {
            "labels": list(self.labels),
            "ways": [
                {"way": name, "group": group, "given": None if given is None else list(given), "mse": errors}
                for name, group, given, errors in ways
            ],
        }

    def _starts(self) -> list[int]:
        """The ways that begin a group."""
        groups = self.groups
        return [index for index, group in enumerate(groups) if index == 0 or group != groups[index - 1]]

    def _tops(self) -> Array:
        """Where the rows begin, the originals first, in heights of a picture."""
        room = [1.12] + [1.12 if given is None else 1.42 for given in self.given]
        tops = np.concatenate([[0.0], np.cumsum(room)])[:-1]
        headed = [0.62 if self.groups[index] else 0.25 for index in self._starts()]
        for index, extra in zip(self._starts(), headed, strict=True):
            tops[index + 1 :] += extra
        return tops

    def _height(self) -> float:
        """Of the whole, in heights of a picture."""
        return float(self._tops()[-1]) + (1.0 if self.given[-1] is None else 1.3)

    def _cell(self) -> tuple[float, float]:
        """Width of a picture and room beside the pictures, in inches."""
        room = 1.0 + 0.085 * max(8, *(letters(name) for name in self.names))
        return min(0.62, (WIDTH - room) / len(self.originals) / 1.07), room

    def _size(self) -> tuple[float, float]:
        height, width = self.originals.shape[-2:]
        cell, room = self._cell()
        return min(WIDTH, room + 1.07 * cell * len(self.originals)), 0.45 + self._height() * cell * height / width

    def _draw(self, ax: Axes) -> None:
        height, width = self.originals.shape[-2:]
        rows = to_rgb(np.concatenate([self.originals, *self.images]), self.value_range)
        count, gap = len(self.originals), gap_of(rows)
        strips = [mosaic(rows[start : start + count], count, gap) for start in range(0, len(rows), count)]
        tops, right = np.rint(self._tops() * height).astype(int), strips[0].shape[1]
        beside = round(0.65 / self._cell()[0] * width)  # for the errors
        sheet = np.full((int(np.ceil(self._height() * height)), right + beside, 3), 255, dtype=np.uint8)
        for top, strip in zip(tops, strips, strict=True):
            sheet[top : top + height, :right] = strip
        draw_sheet(ax, sheet, (tops + (height - 1) / 2, ["original", *self.names]))
        self._write(ax, tops, centres(count, width, gap), height, right + beside)

    def _write(self, ax: Axes, tops: Array, middles: Array, height: int, right: int) -> None:
        for middle, label in zip(middles, self.labels, strict=True):
            ax.text(middle, -0.12 * height, label, ha="center", va="bottom", fontsize=9.5, fontweight="bold")
        for index in self._starts():
            place = tops[index + 1] - 0.1 * height
            ax.text(-0.5, place, self.groups[index], ha="left", va="bottom", fontsize=9.5, fontweight="bold")
        ax.text(right, -0.12 * height, "MSE", ha="right", va="bottom", fontsize=8, color=QUIET)
        for index, error in enumerate(self.mse.mean(axis=1)):
            middle = tops[index + 1] + (height - 1) / 2
            ax.text(right, middle, f"{error:.4f}", ha="right", va="center", fontsize=8, color=QUIET)
            self._write_given(ax, index, tops[index + 1] + 1.03 * height, middles)

    def _write_given(self, ax: Axes, index: int, below: float, middles: Array) -> None:
        """The label told, under each picture; in bold where it is not the row's own."""
        brief = all(len(label) < 3 for given in self.given for label in given or ())
        for middle, told, label in zip(middles, self.given[index] or (), self.labels):
            wrong = told != label
            look: dict[str, Any] = {"color": VALIDATION, "fontweight": "bold"} if wrong else {"color": INK}
            ax.text(middle, below, f"told {told}" if brief else told, ha="center", va="top", fontsize=7, **look)


def _texts(labels: Sequence[object]) -> tuple[str, ...]:
    return tuple(tidy(label, 10) for label in labels)
