"""Reconstructions by latent size and way: each model's, and a conditional one's with no, right and wrong label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    def charts(self, lang: str) -> list[ImageTable]:
        """The originals, and beneath them what each way makes of them."""
        rows = list(zip([say("exchange.original", lang), *self.names], [self.originals, *self.images], strict=True))
        told = {row: texts for row, texts in enumerate(self.given, start=1) if texts is not None}
        wrong = [(row, n) for row in told for n, label in enumerate(self.labels) if told[row][n] != label]
        beneath = {row: [say("conditions.told", lang, label=label) for label in told[row]] for row in told}
        starts = zip(("", *self.groups), self.groups)
        headed = {row: group for row, (before, group) in enumerate(starts, start=1) if group != before}
        errors = ["", *(f"{error:.4f}" for error in self.mse.mean(axis=1))]
        extra: Any = {"beneath": beneath, "headed": headed, "beside": ("MSE", errors), "marked": wrong}
        return [ImageTable("", self.labels, rows, self.value_range, **extra)]

    def _size(self) -> tuple[float, float]:
        return table_size(self.charts("en")[0])

    def _draw(self, ax: Axes) -> None:
        draw_table(ax, self.charts("en")[0])


def _texts(labels: Sequence[object]) -> tuple[str, ...]:
    return tuple(tidy(label, 20) for label in labels)
