"""Encoders of samples with missing values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hyotan.models.layers import FeatureShape


def shape_with_mask(feature_shape: FeatureShape, channel_axis: int = 0) -> tuple[int, ...]:
    """The shape of a sample that comes with a mask as large as itself: twice the columns, or the channels.

    >>> shape_with_mask((8,)), shape_with_mask((28, 28)), shape_with_mask((3, 32, 32))
    ((16,), (2, 28, 28), (6, 32, 32))
    """
    if len(feature_shape) == 2 and channel_axis == 0:
        return 2, *feature_shape
    shape = list(feature_shape)
    shape[channel_axis] *= 2
    return tuple(shape)


class MaskedEncoder(nn.Module):
    """An encoder of samples of which some values, NaN, are not observed.

    Missing values are filled with 0, in the model's range the mean of a standardised column, and a mask says where they
    were: a value of zero and a missing value differ.  Mattei & Frellsen 2019, section 3; Nazábal et al. 2020, section
    3.1.

    Parameters
    ----------
    network : (batch, *features with mask) to (batch, n_out), see :func:`shape_with_mask`; or without the mask.
    is_told : whether the network gets the mask.
    channel_axis : of a sample's shape, along which the mask follows the values.
    """

    def __init__(self, network: nn.Module, is_told: bool = True, channel_axis: int = 0) -> None:
        super().__init__()
        self.network, self.is_told, self.channel_axis = network, is_told, channel_axis

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, *features) to (batch, n_out)."""
        missing = x.isnan()
        filled = x.masked_fill(missing, 0.0)
        if not self.is_told:
            return self.network(filled)
        parts = (filled, (~missing).to(x.dtype))
        if x.ndim == 3 and self.channel_axis == 0:
            return self.network(torch.stack(parts, 1))
        return self.network(torch.cat(parts, self.channel_axis % (x.ndim - 1) + 1))
