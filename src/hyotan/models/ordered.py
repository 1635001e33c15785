"""Ordered codes, which can be cut after any prefix: nested dropout (Rippel et al. 2014)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

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
