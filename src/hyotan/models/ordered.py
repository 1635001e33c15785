"""Ordered codes, which can be cut after any prefix: nested dropout (Rippel et al. 2014)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CUTS_A_ROW = 2
"""Prefixes that a training step decodes of each row, after one pass of the encoder.

The second adds less than half to a step, and is worth more than as much longer training; a third and fourth are not.
"""

CENTRE, SPREAD = 0.45, 0.35
"""Sizes are drawn by a bell over log(size) / log(latent_dim): most often near the root of the whole code's size.

Small sizes learn fast, and large ones learn from each other; the middle is where an even draw falls behind.
"""

WHOLE = 0.08
"""Share of the draws, beside those, that leave the code whole."""


@dataclass(frozen=True)
class Cuts:
    """Where training cuts the codes of a batch."""

    latent_dim: int

    def probabilities(self) -> Tensor:
        """How often each size is drawn, (latent,), float64."""
        sizes = torch.arange(1, self.latent_dim + 1, dtype=torch.float64)
        places = sizes.log() / max(math.log(self.latent_dim), 1.0)
        weights = (-0.5 * ((places - CENTRE) / SPREAD).square()).exp()
        shares = (1 - WHOLE) * weights / weights.sum()
        shares[-1] += WHOLE
        return shares

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Sizes of the prefixes, (cuts, n), int64, each from 1 to latent_dim.

        A systematic sample in random order: every batch has each size as often as its probability says, to one.
        """
        count = CUTS_A_ROW * n
        places = (torch.arange(count, dtype=torch.float64) + torch.rand(1, dtype=torch.float64)) / count
        sizes = torch.searchsorted(self.probabilities().cumsum(0), places).clamp(max=self.latent_dim - 1) + 1
        return sizes[torch.randperm(count)].reshape(CUTS_A_ROW, n).to(device)
