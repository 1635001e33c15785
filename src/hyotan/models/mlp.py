"""Fully connected encoders and decoders.

An encoder takes x of shape (batch, *features) and puts out the parameters of the code, (batch, latent) or, for a VAE,
(batch, 2 * latent): the mean, then what becomes the variance. A decoder takes z, (..., latent), and puts out the
parameters of the likelihood, (..., *features), or (..., 2, *features) where it has two a feature.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import nn

from hyotan.models.layers import Activation, FeatureShape, Linear, TiedLinear


def mlp_layers(sizes: Sequence[int], activation: Activation) -> list[nn.Module]:
    """Linear layers of the given sizes with an activation between each two."""
    layers: list[nn.Module] = []
    for i, (wide, narrow) in enumerate(itertools.pairwise(sizes)):
        layers += [activation()] * (i > 0) + [Linear(wide, narrow)]
    return layers


def mlp_encoder(
    feature_shape: FeatureShape, hidden_dims: Sequence[int], n_out: int, activation: Activation
) -> nn.Sequential:
    """A fully connected encoder: (batch, *features) to (batch, n_out)."""
    flatten = [nn.Flatten()] if len(feature_shape) > 1 else []
    return nn.Sequential(*flatten, *mlp_layers([math.prod(feature_shape), *hidden_dims, n_out], activation))


def mlp_decoder(
    latent_dim: int, hidden_dims: Sequence[int], out_shape: FeatureShape, activation: Activation
) -> nn.Sequential:
    """A fully connected decoder: (..., latent) to (..., *out_shape); ``hidden_dims`` from the code outwards."""
    unflatten = [nn.Unflatten(-1, tuple(out_shape))] if len(out_shape) > 1 else []
    return nn.Sequential(*mlp_layers([latent_dim, *hidden_dims, math.prod(out_shape)], activation), *unflatten)


def tied_decoder(encoder: nn.Sequential, out_shape: FeatureShape, activation: Activation) -> nn.Sequential:
    """The mirror image of a fully connected encoder, with its weights transposed."""
    linears = [layer for layer in encoder if isinstance(layer, nn.Linear)]
    layers: list[nn.Module] = []
    for i, linear in enumerate(reversed(linears)):
        layers += [activation()] * (i > 0) + [TiedLinear(linear)]
    unflatten = [nn.Unflatten(-1, tuple(out_shape))] if len(out_shape) > 1 else []
    return nn.Sequential(*layers, *unflatten)
