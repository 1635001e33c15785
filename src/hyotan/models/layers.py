"""Layers, and how their weights start.

A stack (:mod:`hyotan.training.stacking`) holds several models of one shape in one: its rows are those of all of them,
one model's after the other's, and its weights have a leading dimension, one entry a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.lazy import LazyModuleMixin

from hyotan.models import ACTIVATIONS
from hyotan.training.stacking import stackable

Activation = Callable[[], nn.Module]
Initialisation = Callable[[Tensor], Tensor]
FeatureShape = Sequence[int]

stackable(nn.Flatten, nn.Unflatten, nn.Identity, nn.Sequential, *ACTIVATIONS.values())


def linear_by_row(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.linear`` whose results, for a row, do not depend on the row's place in the batch.

    Where the rows' width is no multiple of 4 they begin at changing distances from the 16-byte marks of memory, and
    products with few outputs then add up in an order that depends on it. Columns of zeros put every row on a mark.
    """
    if x.shape[-1] % 4 == 0:
        return F.linear(x, weight, bias)
    missing = -x.shape[-1] % 16
    return F.linear(F.pad(x, (0, missing)), F.pad(weight, (0, missing)), bias)


def to_models(rows: Tensor, models: int) -> Tensor:
    """Rows of a stack, (..., models * batch, width), as (models, ... * batch, width)."""
    split = rows.unflatten(-2, (models, -1))
    return split if split.ndim == 3 else split.movedim(-3, 0).flatten(1, -2)


def to_rows(values: Tensor, leading: Sequence[int]) -> Tensor:
    """What :func:`to_models` split, (models, ... * batch, width), as rows again, (*leading, models * batch, width)."""
    if not leading:
        return values.flatten(0, 1)
    return values.unflatten(1, (*leading, -1)).movedim(0, -3).flatten(-3, -2)


class StackedProduct(torch.autograd.Function):
    """Rows (models, batch, in) by weights (models, out, in), plus biases (models, out): (models, batch, out).

    autograd's own way gives the weights' gradient transposed, and copying it takes a quarter of a step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One batched product."""
        ctx.save_for_backward(x, weight)
        return torch.bmm(x, weight.mT) if bias is None else torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of rows, weights and biases, of those that need one."""
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_rows, of_weights, of_biases = ctx.needs_input_grad
        return (
            torch.bmm(gradient, weight) if of_rows else None,
            torch.bmm(gradient.mT, x) if of_weights else None,
            gradient.sum(1) if of_biases else None,
        )


@stackable
class Linear(nn.Linear):
    """torch's linear layer; out of training, a row's result does not depend on the row's place in the batch."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features); in a stack, each model's rows by its own weights."""
        if self.weight.ndim == 3:
            rows = to_models(input, len(self.weight))
            return to_rows(StackedProduct.apply(rows, self.weight, self.bias), input.shape[:-2])
        return super().forward(input) if self.training else linear_by_row(input, self.weight, self.bias)


@stackable
class TiedLinear(nn.Module):
    """A linear layer that uses another one's weight, transposed, with a bias of its own.

    Making it draws the shared weight anew, Kaiming uniform (a = √5) on the transposed weight: the layer that expands a
    small code sets the bound 1/√(code size), not the one that reads many features.

    Parameters
    ----------
    source : nn.Linear
        The layer whose (out, in) weight is shared; this layer maps ``out`` to ``in``.
    """

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = source.out_features, source.in_features
        # In a list, so not registered as a sub-module: the weight must appear once in the state and in the optimizer.
        self._source = [source]
        self.bias = nn.Parameter(torch.empty(self.out_features))
        self.reset_parameters()

    @property
    def source(self) -> nn.Linear:
        """The layer whose weight is shared."""
        return self._source[0]

    def reset_parameters(self) -> None:
        """Draw the shared weight and the bias anew."""
        nn.init.kaiming_uniform_(self.source.weight.t(), a=math.sqrt(5))
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features); in a stack, each model's rows by its own weights."""
        weight = self.source.weight
        if weight.ndim == 3:
            return to_rows(torch.baddbmm(self.bias[:, None], to_models(z, len(weight)), weight), z.shape[:-2])
        weight = weight.t()
        return F.linear(z, weight, self.bias) if self.training else linear_by_row(z, weight, self.bias)

    def extra_repr(self) -> str:
        """Print as nn.Linear prints."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias=True"


xavier: Initialisation = nn.init.xavier_uniform_
kaiming: Initialisation = partial(nn.init.kaiming_normal_, nonlinearity="relu")
orthogonal: Initialisation = nn.init.orthogonal_
TORCHS_OWN: Initialisation | None = None
"""torch's own draw, which a layer starts with."""


def initialise(module: nn.Module, scheme: Initialisation | None) -> None:
    """Draw the weights of all linear and convolutional layers anew, biases zero; None leaves torch's own draw."""
    if scheme is None:
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            scheme(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, TiedLinear):
            nn.init.zeros_(layer.bias)


def is_fixed(network: nn.Module) -> bool:
    """Whether a network, put together of torch's and our layers alone, does the same operations for every batch.

    A layer of the user's own may not, and one that counts batches, or makes its weights at the first one, does not.
    """
    known = all(type(layer).__module__.startswith(("torch.nn.", "hyotan.")) for layer in network.modules())
    counts = any(name.endswith("num_batches_tracked") for name, _ in network.named_buffers())
    return known and not counts and not any(isinstance(layer, LazyModuleMixin) for layer in network.modules())


def append_activation(network: nn.Module, activation: Activation | None) -> nn.Module:
    """The network, followed by an activation where one is given."""
    if activation is None:
        return network
    layers = list(network) if type(network) is nn.Sequential else [network]
    return nn.Sequential(*layers, activation())
