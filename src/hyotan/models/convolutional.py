"""Convolutional encoders and decoders, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from hyotan.errors import SettingsError
from hyotan.models.layers import Activation, FeatureShape
from hyotan.models.mlp import mlp_layers


def image_shape(feature_shape: FeatureShape) -> tuple[int, int, int]:
    """(channels, height, width) of an image's feature shape, (height, width) being one channel."""
    if len(feature_shape) == 2:
        return 1, feature_shape[0], feature_shape[1]
    if len(feature_shape) == 3:
        return feature_shape[0], feature_shape[1], feature_shape[2]
    raise SettingsError(
        f"A convolutional network expects images; got samples of shape {tuple(feature_shape)}.",
        "Pass X as (n, height, width) or (n, channels, height, width), or choose architecture='mlp'.",
    )


def halved_sizes(size: int, times: int) -> list[int]:
    """The sizes that stride-2 convolutions leave, from the image inwards: each half the last, rounded up."""
    sizes = [size]
    for _ in range(times):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


class ConvEncoder(nn.Sequential):
    """Stride-2 convolutions, then a fully connected part: (batch, *features) to (batch, n_out), any image size."""

    def __init__(
        self,
        feature_shape: FeatureShape,
        channels: Sequence[int],
        hidden_dims: Sequence[int],
        n_out: int,
        activation: Activation,
    ) -> None:
        n_channels, height, width = image_shape(feature_shape)
        layers: list[nn.Module] = [nn.Unflatten(1, (1, height))] if len(feature_shape) == 2 else []
        for narrow, wide in zip([n_channels, *channels], channels, strict=False):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), activation()]
        depth = len(channels)
        last = channels[-1] if channels else n_channels
        flat = last * halved_sizes(height, depth)[-1] * halved_sizes(width, depth)[-1]
        super().__init__(*layers, nn.Flatten(), *mlp_layers([flat, *hidden_dims, n_out], activation))


class ConvDecoder(nn.Module):
    """The mirror of :class:`ConvEncoder`: (..., latent) to (..., *out_shape); output sizes are exact for any image."""

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
        n_channels, height, width = image_shape(feature_shape)
        depth = len(channels)
        heights, widths = halved_sizes(height, depth), halved_sizes(width, depth)
        inner = (channels[-1] if channels else n_channels * n_outputs, heights[-1], widths[-1])
        self.out_shape = (n_outputs, *feature_shape) if n_outputs > 1 else tuple(feature_shape)
        self.dense = nn.Sequential(*mlp_layers([latent_dim, *hidden_dims, math.prod(inner)], activation))
        layers: list[nn.Module] = [nn.Unflatten(1, inner)]
        outer = [n_channels * n_outputs, *channels]
        for i in reversed(range(depth)):
            # A stride-2 transposed convolution gives 2h - 1; one more row or column where the image was even.
            extra = (heights[i] - 2 * heights[i + 1] + 1, widths[i] - 2 * widths[i + 1] + 1)
            up = nn.ConvTranspose2d(outer[i + 1], outer[i], 3, stride=2, padding=1, output_padding=extra)
            layers += [activation(), up]
        self.grow = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., latent) to (..., *out_shape)."""
        hidden = self.dense(z)
        return self.grow(hidden.flatten(0, -2)).reshape(*z.shape[:-1], *self.out_shape)
