"""Corruptions for denoising autoencoders: each takes a clean batch and gives a noisy one of the same shape.

A level is a number, or a range (low, high) from which each row draws its own: a model that has met them all is *blind*,
it need not be told how strong the noise is (Zhang et al. 2017, "Beyond a Gaussian Denoiser", section III-D).

Source: Vincent et al. 2010, "Stacked Denoising Autoencoders" (Gaussian, masking, salt-and-pepper); swap noise, which
suits tables, replaces a value by that of another row in the same column.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hyotan.errors import SettingsError
from hyotan.training import draws
from hyotan.training.stacking import stackable

Batch = Float[Tensor, "batch *features"]

Level = float | tuple[float, float]
"""How strong a noise is: the same for every row, or the ends of a range that each row draws from."""


def levels_like(level: Level, x: Batch) -> float | Tensor:
    """The level of each row, (batch, 1, …), drawn evenly from a range; a single number costs no draw."""
    if not isinstance(level, tuple):
        return level
    low, high = level
    share = draws.uniform_like(x.flatten(1)[:, :1])
    return (low + (high - low) * share).reshape(-1, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class Noise:
    """A corruption of a batch, drawn by way of :mod:`hyotan.training.draws`.

    Attributes
    ----------
    level : how strong it is.
    low, high : the data's own range.
    """

    level: Level
    low: float
    high: float

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch; the input stays as it was."""
        raise NotImplementedError


@stackable
@dataclass(frozen=True)
class GaussianNoise(Noise):
    """Add N(0, level²) and clip to the data's own range [low, high], as a camera would."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        level = levels_like(self.level, x)
        return draws.normal_like(x).mul_(level).add_(x).clamp_(self.low, self.high)


@dataclass(frozen=True)
class HittingNoise(Noise):
    """What the noises share that hit a share ``level`` of the values.

    Raises
    ------
    SettingsError
        The share is above 1.
    """

    def __post_init__(self) -> None:
        ends = self.level if isinstance(self.level, tuple) else (self.level,)
        if outside := [end for end in ends if not 0 <= end <= 1]:
            raise SettingsError(
                f"noise_level cannot be {outside[0]:g}: for this noise it is the share of values hit, from 0 to 1.",
                "For example: noise_level=0.3",
            )


@stackable
@dataclass(frozen=True)
class MaskingNoise(HittingNoise):
    """Set a share ``level`` of the values to 0."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        level = levels_like(self.level, x)
        return x * (draws.uniform_like(x) >= level)


@stackable
@dataclass(frozen=True)
class SaltAndPepperNoise(HittingNoise):
    """Set a share ``level`` of the values to the lowest or the highest value, half each."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        half = levels_like(self.level, x) / 2
        u = draws.uniform_like(x)
        return torch.where(u >= 1 - half, self.high, torch.where(u < half, self.low, x))


@stackable
@dataclass(frozen=True)
class SwapNoise(HittingNoise):
    """Replace a share ``level`` of the values by the same feature of a random other row of the batch."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        flat = x.flatten(1)
        level = levels_like(self.level, flat)
        donors = draws.rows_like(flat)
        hit = draws.uniform_like(flat) < level
        return torch.where(hit, flat.gather(0, donors), flat).reshape(x.shape)


@dataclass(frozen=True)
class RandomMask:
    """Hide values, as though they had not been observed: NaN takes their place.

    Of each row another share is hidden, even in [0, ``most``]: what training is to get used to is not one share.

    Parameters
    ----------
    most : the largest share.
    columns : the number of the column that each value belongs to, where some have several: they go together.
    """

    most: float
    columns: tuple[int, ...] | None = None

    def __call__(self, x: Batch) -> Batch:
        """Hide values of the batch, beside those that are NaN already."""
        flat = x.flatten(1)
        share = self.most * draws.uniform_like(flat[:, :1])
        if self.columns is None:
            return flat.masked_fill(draws.uniform_like(flat) < share, torch.nan).reshape(x.shape)
        is_hidden = draws.uniform_like(flat[:, : max(self.columns) + 1]) < share
        return flat.masked_fill(is_hidden[:, list(self.columns)], torch.nan)
