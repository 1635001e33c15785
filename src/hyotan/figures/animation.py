"""Training as a film: the same samples, reconstructed after every epoch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from hyotan.errors import DataError, SettingsError
from hyotan.figures.canvas import Array, FigureDisplay, Layout, frozen, tidy, write_atomically
from hyotan.figures.charts import ImageTable
from hyotan.figures.chosen import thinned
from hyotan.figures.film import film_page
from hyotan.figures.fonts import font_path
from hyotan.figures.images import ValueRange, are_images, as_samples, checked_range, gap_of, mosaic, to_rgb
from hyotan.figures.interpolation import gif_bytes
from hyotan.figures.sheets import draw_table, table_size

MOST_FRAMES = 200
"""Longer films are thinned evenly to so many epochs, and say so."""


@dataclass(frozen=True, eq=False)
class TrainingAnimation(FigureDisplay):
    """Originals above, what the model made of them after each epoch below.

    Attributes
    ----------
    originals : array of shape (m, height, width) or (m, 3, height, width)
    frames : array of shape (shown epochs, *originals.shape)
    epochs : array of shape (shown epochs,)
    losses : array of shape (shown epochs,), NaN where unknown
        Validation loss, nats per sample.
    total : int
        How many epochs there were before thinning.
    value_range : (low, high)
    title : str
    """

    formats: ClassVar[tuple[str, ...]] = ("gif", "html", "png", "svg", "pdf")
    originals: Array
    frames: Array
    epochs: Array
    losses: Array
    total: int
    value_range: ValueRange
    title: str = "Reconstructions during training"

    @classmethod
    def from_frames(
        cls,
        originals: ArrayLike,
        frames: Array | Sequence[ArrayLike],
        epochs: Sequence[int] | None = None,
        losses: Sequence[float | None] | None = None,
        *,
        title: str = "Reconstructions during training",
        value_range: Sequence[float] | None = None,
        image_shape: Sequence[int] | None = None,
    ) -> TrainingAnimation:
        """From the samples, (m, ...), and their reconstructions after each epoch, (epochs, m, ...).

        Raises
        ------
        DataError
            There is no epoch, the shapes differ, the samples are no images, or epochs and losses are of another number.
        """
        first = as_samples(originals, image_shape, "The originals")
        film = [as_samples(frame, image_shape, f"Frame {index}") for index, frame in enumerate(frames, start=1)]
        numbers = list(range(1, len(film) + 1)) if epochs is None else [int(epoch) for epoch in epochs]
        known = [None] * len(film) if losses is None else losses
        values = [float("nan") if loss is None else float(loss) for loss in known]
        _check(first, film, numbers, values)
        keep = thinned(len(film), MOST_FRAMES)
        return cls(
            frozen(first),
            frozen([film[index] for index in keep]),
            frozen([numbers[index] for index in keep]),
            frozen([values[index] for index in keep]),
            len(film),
            checked_range(value_range, first),
            title,
        )

    @property
    def captions(self) -> tuple[str, ...]:
        """One line for each frame: the epoch and, where known, the validation loss."""
        last = int(self.epochs[-1])
        return tuple(_caption(int(epoch), last, loss) for epoch, loss in zip(self.epochs, self.losses, strict=True))

    @property
    def note(self) -> str:
        """In words, how many epochs are shown; empty where all are."""
        shown = len(self.epochs)
        return "" if shown == self.total else f"{shown:,} of {self.total:,} epochs shown, evenly spaced"

    def save_gif(self, path: str | os.PathLike[str], seconds_per_frame: float = 0.25) -> Path:
        """Write a GIF that repeats, with the epoch and loss on every frame.

        Raises
        ------
        SettingsError
            ``seconds_per_frame`` is not above 0.
        """
        return write_atomically(Path(path), self._gif(seconds_per_frame))

    def save_html(self, path: str | os.PathLike[str]) -> Path:
        """Write one HTML file with a slider and a play button, which needs no network and no other file.

        Without JavaScript it shows the first and the last epoch.
        """
        return write_atomically(Path(path), self.to_html().encode())

    def to_html(self) -> str:
        """The page of :meth:`save_html` as text."""
        strips = [np.asarray(strip) for strip in self._strips()]
        return film_page(self._strip(self.originals), strips, self.captions, self.title, self.note)

    def _encode(self, suffix: str) -> bytes:
        if suffix == "html":
            return self.to_html().encode()
        return self._gif(0.25) if suffix == "gif" else super()._encode(suffix)

    def _gif(self, seconds: float) -> bytes:
        if not seconds > 0:
            raise SettingsError(f"seconds_per_frame must be above 0; got {seconds:g}.")
        above = self._strip(self.originals)
        pairs = zip(self._strips(), self.captions, strict=True)
        frames = [_titled(np.concatenate([above, strip]), caption) for strip, caption in pairs]
        return gif_bytes(frames, [1000 * seconds] * (len(frames) - 1) + [1000 * seconds + 1500])

    def _strips(self) -> Iterator[Array]:
        return (self._strip(frame) for frame in self.frames)

    def _strip(self, images: Array) -> Array:
        """One row of images with a white line round each, (height, width, 3)."""
        pictures = to_rgb(images, self.value_range)
        gap = gap_of(pictures)
        return np.pad(mosaic(pictures, len(pictures), gap), ((gap, gap), (gap, gap), (0, 0)), constant_values=255)

    def _milestones(self) -> list[int]:
        """The frames of the still picture: the first, the last, and up to three between, more of them early."""
        last = len(self.frames) - 1
        return sorted({0, last, *(round(last * share) for share in (0.1, 0.3, 0.6))})

    @property
    def _layout(self) -> Layout:
        return "compressed"

    def _table(self) -> ImageTable:
        frames = [(f"epoch {self.epochs[index]}", self.frames[index]) for index in self._milestones()]
        return ImageTable("", (), [("original", self.originals), *frames], self.value_range)

    def _size(self) -> tuple[float, float]:
        width, height = table_size(self._table())
        return max(3.6, width), height + 0.3

    def _draw(self, figure: Figure | SubFigure) -> None:
        draw_table(figure.add_subplot(), self._table())
        figure.suptitle(tidy(self.title, int(11 * self._size()[0])), x=0.01, ha="left", fontsize=10)


def _check(first: Array, film: Sequence[Array], epochs: Sequence[int], losses: Sequence[float]) -> None:
    if not film:
        raise DataError("There is no epoch to show.", "Record at least one.")
    if not are_images(first):
        raise DataError(
            f"A film is made of images; got a table of shape {first.shape}.", "Give image_shape for flattened images."
        )
    for index, frame in enumerate(film, start=1):
        if frame.shape != first.shape:
            raise DataError(f"Frame {index} has shape {frame.shape}, the originals {first.shape}.")
    if not len(film) == len(epochs) == len(losses):
        raise DataError(f"There are {len(film)} frames, {len(epochs)} epochs and {len(losses)} losses.")


def _caption(epoch: int, last: int, loss: float) -> str:
    known = "" if np.isnan(loss) else f" · validation loss {loss:.4g}"
    return f"epoch {epoch} of {last}{known}"


def _titled(picture: Array, caption: str, least: int = 560) -> Image.Image:
    """The picture, enlarged by a whole factor, with the caption on a white line beneath."""
    factor = max(1, -(-least // picture.shape[1]))
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    size = 16
    frame = Image.new("RGB", (large.shape[1], large.shape[0] + 2 * size), "white")
    frame.paste(Image.fromarray(large), (0, 0))
    font = ImageFont.truetype(str(font_path(caption)), size)
    ImageDraw.Draw(frame).text((factor * 2, large.shape[0] + size // 3), caption, fill="#222222", font=font)
    return frame
