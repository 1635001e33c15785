"""Convolutional encoders and decoders along one axis, for sequences of any length with their channels last."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from hyotan.models.convolutional import halved_sizes
from hyotan.models.layers import Activation, FeatureShape
from hyotan.models.mlp import mlp_layers

KERNEL = 5
"""Steps that a convolution sees at a time."""


class Transposed(nn.Module):
    """Channels first where they were last, and the other way round: (batch, a, b) to (batch, b, a)."""

    def forward(self, x: Tensor) -> Tensor:
        """Swap the last two axes."""
        return x.transpose(-1, -2)


class SequenceEncoder(nn.Sequential):
    """Stride-2 convolutions, then a fully connected part: (batch, length, channels) to (batch, n_out)."""

    def __init__(
        self,
        feature_shape: FeatureShape,
        channels: Sequence[int],
        hidden_dims: Sequence[int],
        n_out: int,
        activation: Activation,
    ) -> None:
        length, n_channels = feature_shape
        widths = [n_channels, *channels]
        layers: list[nn.Module] = [Transposed()]
        for narrow, wide in zip(widths, channels, strict=False):
            layers += [nn.Conv1d(narrow, wide, KERNEL, stride=2, padding=KERNEL // 2), activation()]
        flat = widths[-1] * halved_sizes(length, len(channels))[-1]
        super().__init__(*layers, nn.Flatten(), *mlp_layers([flat, *hidden_dims, n_out], activation))


class SequenceDecoder(nn.Module):
    """The mirror of :class:`SequenceEncoder`: (..., latent) to (..., *out_shape), exact for any length."""

    def __init__(
        self,
        latent_dim: int,
        channels: Sequence[int],
        hidden_dims: Sequence[int],
        feature_shape: FeatureShape,
        n_outputs: int,
        activation: Activation,
    ) -> None:
        super().__init__()
        length, n_channels = feature_shape
        lengths = halved_sizes(length, len(channels))
        widths = [n_channels * n_outputs, *channels]
        inner = widths[-1], lengths[-1]
        self.n_outputs, self.feature_shape = n_outputs, tuple(feature_shape)
        self.dense = nn.Sequential(*mlp_layers([latent_dim, *hidden_dims, math.prod(inner)], activation))
        layers: list[nn.Module] = [nn.Unflatten(1, inner)]
        for i in reversed(range(len(channels))):
            # A stride-2 transposed convolution gives 2n - 1; one more where the length was even.
            extra = lengths[i] - 2 * lengths[i + 1] + 1
            up = nn.ConvTranspose1d(
                widths[i + 1], widths[i], KERNEL, stride=2, padding=KERNEL // 2, output_padding=extra
            )
            layers += [activation(), up]
        self.grow = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., latent) to (..., length, channels), or (..., outputs, length, channels)."""
        hidden = self.dense(z)
        length, channels = self.feature_shape
        grown = self.grow(hidden.flatten(0, -2)).unflatten(1, (self.n_outputs, channels)).transpose(-1, -2)
        return grown.reshape(*z.shape[:-1], *([self.n_outputs] if self.n_outputs > 1 else []), length, channels)
