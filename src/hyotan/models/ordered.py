"""Ordered codes, which can be cut after any prefix: nested dropout (Rippel et al. 2014)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyotan.models.layers import Linear

CUTS_A_ROW = 2
"""Prefixes that a training step decodes of each row, after one pass of the encoder.

The second adds half to a step, and is worth more than as much longer training; a third and a fourth are not.
"""

CENTRE, SPREAD = 0.43, 0.38
"""Sizes are drawn by a bell over log(size) / log(latent_dim): most often near the root of the whole code's size.

Small sizes learn fast, and large ones learn from each other; the middle is where an even draw falls behind.
"""

WHOLE = 0.04
"""Share of the draws, beside those, that leave the code whole."""


@dataclass(frozen=True)
class Cuts:
    """Where training cuts the codes of a batch."""

    latent_dim: int

    def probabilities(self) -> Tensor:
        """How often each size is drawn, (latent,), float64."""
        sizes = torch.arange(1, self.latent_dim + 1, dtype=torch.float64)
        places = sizes.log() / (math.log(self.latent_dim) or 1.0)
        weights = (-0.5 * ((places - CENTRE) / SPREAD).square()).exp()
        shares = (1 - WHOLE) * weights / weights.sum()
        shares[-1] += WHOLE
        return shares

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Sizes of the prefixes, (cuts, n), int64, each from 1 to latent_dim.

        A systematic sample: every batch has each size as often as its probability says, to one, and every row has a
        cut from each equal share of the sizes, from the small ones to the large ones.
        """
        order = torch.rand(CUTS_A_ROW, n, dtype=torch.float64).argsort(dim=1)
        start = torch.arange(CUTS_A_ROW)[:, None] * n + torch.rand(1, dtype=torch.float64)
        places = (start + order) / (CUTS_A_ROW * n)
        sizes = torch.searchsorted(self.probabilities().cumsum(0), places).clamp(max=self.latent_dim - 1) + 1
        return sizes.to(device)


def prefix_mask(size: Tensor, latent_dim: int) -> Tensor:
    """Of sizes (...), which values of a code belong to its prefix of that size: (..., latent), True or False."""
    return torch.arange(latent_dim, device=size.device) < size[..., None]


class ReadoutEncoder(nn.Module):
    """An encoder whose code is read from every fully connected layer's input, not from the last hidden layer alone.

    An ordered code needs it: what the first values of the code ask of the hidden layers would leave the last values
    nothing to read.

    Parameters
    ----------
    layers : (batch, *features) to (batch, n_out); a fully connected layer is its last.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        *inner, last = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self.readouts = nn.ModuleList(Linear(layer.in_features, last.out_features, bias=False) for layer in inner)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, *features) to (batch, n_out)."""
        read, readouts = [], iter(self.readouts)
        for layer in self.layers:
            if isinstance(layer, nn.Linear) and (readout := next(readouts, None)) is not None:
                read.append(readout(x))
            x = layer(x)
        return sum(read, start=x)


class ReadinDecoder(nn.Module):
    """The mirror of :class:`ReadoutEncoder`: every hidden layer reads the code, not the first one alone.

    Parameters
    ----------
    layers : (n, n_in) to (n, *out_shape), a fully connected decoder.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        first, *later = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self.readins = nn.ModuleList(Linear(first.in_features, layer.out_features, bias=False) for layer in later[:-1])

    def forward(self, z: Tensor) -> Tensor:
        """Map (n, n_in) to (n, *out_shape)."""
        x, readins = z, iter(self.readins)
        for place, layer in enumerate(self.layers):
            x = layer(x)
            if place > 0 and isinstance(layer, nn.Linear) and (readin := next(readins, None)) is not None:
                x = x + readin(z)
        return x


class OrderedDecoder(nn.Module):
    """A decoder whose code can be cut after any prefix: (..., k) to (..., *out_shape).  Rippel et al. 2014.

    What is cut off reads zero. A mask tells the network where the cut is: a value of zero and a missing value differ.

    Parameters
    ----------
    network : (n, 2 * latent), the code and its mask, to (n, *out_shape); (n, latent) where ``is_told`` is False.
    latent_dim : size of the whole code.
    is_told : whether the network gets the mask.
    """

    def __init__(self, network: nn.Module, latent_dim: int, is_told: bool = True) -> None:
        super().__init__()
        self.network, self.latent_dim, self.is_told = network, latent_dim, is_told

    def forward(self, z: Tensor, size: Tensor | None = None) -> Tensor:
        """Decode the first ``size`` values, (...), of codes (..., k); all k where no size is given."""
        given = z.shape[-1]
        size = torch.full(z.shape[:-1], given, device=z.device) if size is None else size
        mask = prefix_mask(size, self.latent_dim).to(z.dtype)
        z = F.pad(z, (0, self.latent_dim - given)) * mask
        told = torch.cat([z, mask.expand_as(z)], dim=-1) if self.is_told else z
        return self.network(told.flatten(0, -2)).unflatten(0, told.shape[:-1])
