"""Corruptions for denoising autoencoders: each takes a clean batch and gives a noisy one of the same shape.

Source: Vincent et al. 2010, "Stacked Denoising Autoencoders" (Gaussian, masking, salt-and-pepper); swap noise, which
suits tables, replaces a value by that of another row in the same column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from hyotan import draws
from hyotan.errors import SettingsError

Batch = Float[Tensor, "batch *features"]


class Noise(Protocol):
    """A corruption of a batch, drawn by way of :mod:`hyotan.draws`."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch; the input stays as it was."""
        ...


@dataclass(frozen=True)
class GaussianNoise:
    """Add N(0, level²) and clip to the data's own range [low, high], as a camera would."""

    level: float
    low: float
    high: float

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        return draws.normal_like(x).mul_(self.level).add_(x).clamp_(self.low, self.high)


@dataclass(frozen=True)
class HittingNoise:
    """What the noises share that hit a share ``level`` of the values; [low, high] is the data's own range.

    Raises
    ------
    SettingsError
        The share is above 1.
    """

    level: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 1:
            raise SettingsError(
                f"noise_level cannot be {self.level:g}: for this noise it is the share of values hit, from 0 to 1.",
                "For example: noise_level=0.3",
            )


@dataclass(frozen=True)
class MaskingNoise(HittingNoise):
    """Set a share ``level`` of the values to 0."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        return x * (draws.uniform_like(x) >= self.level)


@dataclass(frozen=True)
class SaltAndPepperNoise(HittingNoise):
    """Set a share ``level`` of the values to the lowest or the highest value, half each."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        u = draws.uniform_like(x)
        peppered = torch.where(u < self.level / 2, self.low, x)
        return torch.where(u >= 1 - self.level / 2, self.high, peppered)


@dataclass(frozen=True)
class SwapNoise(HittingNoise):
    """Replace a share ``level`` of the values by the same feature of a random other row of the batch."""

    def __call__(self, x: Batch) -> Batch:
        """Corrupt the batch."""
        flat = x.flatten(1)
        donors = draws.rows_like(flat)
        hit = draws.uniform_like(flat) < self.level
        return torch.where(hit, flat.gather(0, donors), flat).reshape(x.shape)


@dataclass(frozen=True)
class Hiding:
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


NOISES: Mapping[str, type[GaussianNoise] | type[MaskingNoise] | type[SaltAndPepperNoise] | type[SwapNoise]] = {
    "gaussian": GaussianNoise,
    "masking": MaskingNoise,
    "salt-and-pepper": SaltAndPepperNoise,
    "swap": SwapNoise,
}
