"""Several models of one shape as one: their weights stacked, their rows one after the other.

A stack of c cells takes (c * batch, *features): rows i * batch to (i + 1) * batch are those of cell i. Its fully
connected layers hold the weights of all cells, (c, out, in), and multiply them in one batched product; everything else
of a model works on rows as it is, and so stays as it is.

Cells may differ in the size of their codes. The stack's code is as wide as the largest; what a cell does not have is
zero in the code and in every weight that reads or writes it, gets a gradient of exactly zero, and so stays zero.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hyotan.distributions.likelihoods import (
    LIKELIHOODS,
    MIN_LOG_SCALE,
    DiagonalGaussian,
    Likelihood,
    SharedGaussianLikelihood,
)
from hyotan.models.autoencoder import AutoencoderModel
from hyotan.models.cvae import CVAEModel
from hyotan.models.losses import contractive_penalty
from hyotan.models.nn import ACTIVATIONS, LabelEmbedding, LabelledDecoder, LabelledEncoder, Linear, TiedLinear
from hyotan.models.objective import LatentModel
from hyotan.models.vae import VAEModel, from_log_variance

MODELS = (AutoencoderModel, VAEModel, CVAEModel)
LAYERS = {
    *(Linear, nn.Linear, TiedLinear, nn.Flatten, nn.Unflatten, nn.Identity, nn.Sequential),
    *(LabelEmbedding, LabelledEncoder, LabelledDecoder, *MODELS),
    *(type(make()) for make in ACTIVATIONS.values()),
    *LIKELIHOODS.values(),
}
"""What a model in a stack may be made of: layers that treat each value or each row alone."""

OF_THE_ROWS = ("training", "radius")
"""Attributes of a model that hang on its rows or its moment, and in which the cells of a stack may differ."""


def by_cell(values: Tensor, cells: int) -> Tensor:
    """Values of rows, (..., cells * batch, width), as (cells, ... * batch, width)."""
    *leading, rows, width = values.shape
    if not leading:
        return values.view(cells, rows // cells, width)
    split = values.reshape(-1, cells, rows // cells, width)
    return split.transpose(0, 1).reshape(cells, -1, width)


def by_row(values: Tensor, leading: Sequence[int]) -> Tensor:
    """What :func:`by_cell` split, (cells, ... * batch, width), as rows again, (*leading, cells * batch, width)."""
    cells, rows, width = values.shape
    if not leading:
        return values.reshape(cells * rows, width)
    samples = int(torch.Size(leading).numel())
    joined = values.view(cells, samples, rows // samples, width).transpose(0, 1)
    return joined.reshape(*leading, -1, width)


class Products(torch.autograd.Function):
    """Rows (cells, batch, in) by weights (cells, out, in), plus biases (cells, out): (cells, batch, out).

    autograd's own way gives the weights' gradient transposed, and copying it takes a quarter of a step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One batched product."""
        ctx.save_for_backward(x, weight)
        if bias is None:
            return torch.bmm(x, weight.transpose(1, 2))
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of rows, weights and biases, of those that need one."""
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_rows, of_weights, of_biases = ctx.needs_input_grad
        return (
            torch.bmm(gradient, weight) if of_rows else None,
            torch.bmm(gradient.transpose(1, 2), x) if of_weights else None,
            gradient.sum(1) if of_biases else None,
        )


class StackedLinear(nn.Module):
    """A fully connected layer of every cell.

    Parameters
    ----------
    cells : how many.
    like : the layer of one cell, of the stack's own widths.
    """

    def __init__(self, cells: int, like: nn.Linear) -> None:
        super().__init__()
        self.cells = cells
        self.weight = nn.Parameter(like.weight.new_zeros(cells, *like.weight.shape))
        self.bias = None if like.bias is None else nn.Parameter(like.bias.new_zeros(cells, *like.bias.shape))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., cells * batch, in) to (..., cells * batch, out), each cell's rows by its own weights."""
        return by_row(Products.apply(by_cell(x, self.cells), self.weight, self.bias), x.shape[:-2])


class StackedTiedLinear(nn.Module):
    """A layer of every cell that uses another stacked layer's weights, transposed, with biases of its own."""

    def __init__(self, source: StackedLinear, like: nn.Module) -> None:
        super().__init__()
        self._source = [source]  # in a list: the weights must appear once in the state and in the optimizer
        self.bias = nn.Parameter(like.get_parameter("bias").new_zeros(source.cells, source.weight.shape[2]))

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., cells * batch, out of the source) to (..., cells * batch, in of the source)."""
        weight = self._source[0].weight
        return by_row(torch.baddbmm(self.bias[:, None], by_cell(z, len(weight)), weight), z.shape[:-2])


class StackedGaussianLikelihood(Likelihood):
    """Gaussians whose standard deviations, one a cell or one a cell and feature, are learned.

    Parameters
    ----------
    cells : how many.
    like : the likelihood of one cell.
    """

    def __init__(self, cells: int, like: SharedGaussianLikelihood) -> None:
        super().__init__(like.feature_shape)
        self.cells = cells
        self.log_scale = nn.Parameter(like.log_scale.new_zeros(cells, *like.log_scale.shape))

    def forward(self, raw: Tensor) -> DiagonalGaussian:
        """N(raw, scale²) over (*features), raw (..., cells * batch, *features)."""
        rows = raw.shape[raw.ndim - 1 - self.event_dims]
        floored = self.log_scale.clamp_min(MIN_LOG_SCALE)
        one = self.feature_shape if floored.ndim > 1 else (1,) * self.event_dims
        each = floored.reshape(self.cells, *one).repeat_interleave(rows // self.cells, dim=0)
        return DiagonalGaussian(raw, each.expand(rows, *self.feature_shape), self.event_dims)


def stacked(model: LatentModel, cells: int) -> LatentModel:
    """A model like this one whose parameters, all zero, are those of so many cells."""
    stack = copy.deepcopy(model)
    _replace_layers(stack, cells, {})
    stack.cells = cells
    return stack


def _replace_layers(module: nn.Module, cells: int, made: dict[int, StackedLinear]) -> None:
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.Linear):
            made[id(layer)] = StackedLinear(cells, layer)
            setattr(module, name, made[id(layer)])
        elif isinstance(layer, TiedLinear):  # decoders come after the encoders that they are tied to
            setattr(module, name, StackedTiedLinear(made[id(layer.source)], layer))
        elif isinstance(layer, SharedGaussianLikelihood):
            setattr(module, name, StackedGaussianLikelihood(cells, layer))
        else:
            _replace_layers(layer, cells, made)


# -- which models go together ------------------------------------------------------------------------------------------


def kin(model: LatentModel) -> Hashable | None:
    """Models of which this is equal fit into one stack; None for a model that fits into none.

    Equal are the layers, up to the code's size where nothing but the width changes with it, and the objective.
    """
    if not _is_stackable(model):
        return None
    settings = {name: value for name, value in vars(model).items() if name[0] != "_" and name not in OF_THE_ROWS}
    buffers = {name: tuple(buffer.flatten().tolist()) for name, buffer in model.named_buffers()}
    kinds = tuple((name, type(layer)) for name, layer in model.named_modules())
    shapes = (model.likelihood.feature_shape, *_shapes(model).items())
    found = (kinds, shapes, tuple(settings.items()), tuple(buffers.items()))
    return found if _is_hashable(found) else None


def _is_stackable(model: LatentModel) -> bool:
    if type(model) not in MODELS or model.is_ordered or getattr(model, "free_bits", 0):
        return False
    if getattr(model, "penalty", None) is contractive_penalty:
        return False
    return all(type(layer) in LAYERS for layer in model.modules())


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _shapes(model: LatentModel) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter; where the code can be padded, with 0 for its size."""
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    if not can_be_padded(model):
        return shapes
    writes, reads = code_layer(model), _first_linear(model.decoder)
    for name, parameter in model.named_parameters():
        if parameter is writes.weight or parameter is writes.bias:
            shapes[name] = (0, *shapes[name][1:])
        elif isinstance(reads, nn.Linear) and parameter is reads.weight:
            shapes[name] = (shapes[name][0], 0)
    return shapes


def can_be_padded(model: LatentModel) -> bool:
    """Whether zeros in the code, and in the weights beside them, change nothing and get no gradient."""
    if isinstance(model, VAEModel):
        # With log-variances, 0 is the prior's: it costs nothing and pulls nowhere. The IWAE bound weighs it.
        joined = isinstance(model.decoder, LabelledDecoder) and isinstance(model.decoder.inner, nn.Identity)
        return model.standard_deviation is from_log_variance and not model.iwae and not joined
    after = [layer for layer in model.encoder.modules() if not list(layer.children())]
    after = after[after.index(code_layer(model)) + 1 :]
    zero = torch.zeros(1)
    return all(not layer(zero).any() for layer in after)


def code_layer(model: LatentModel) -> nn.Linear:
    """The layer that writes the code: the encoder's last fully connected one."""
    return [layer for layer in model.encoder.modules() if isinstance(layer, nn.Linear)][-1]


def code_blocks(model: LatentModel) -> int:
    """How many numbers that layer gives for each dimension of the code: of a VAE, mean and variance."""
    return 2 if isinstance(model, VAEModel) else 1


def code_size(model: LatentModel) -> int:
    """Size of the code."""
    return code_layer(model).out_features // code_blocks(model)


def _first_linear(network: nn.Module) -> nn.Module:
    return next(layer for layer in network.modules() if isinstance(layer, nn.Linear | TiedLinear))


# -- into the stack and back -------------------------------------------------------------------------------------------


class Stack:
    """Models of one kin as one.

    Parameters
    ----------
    models : at least two; see :func:`kin`.

    Attributes
    ----------
    model : the stack, a model like the others.
    code_sizes : of each cell.
    """

    def __init__(self, models: Sequence[LatentModel]) -> None:
        self.models = list(models)
        self.code_sizes = [code_size(model) for model in models]
        widest = self.models[self.code_sizes.index(max(self.code_sizes))]
        self.model = stacked(widest, len(self.models))
        self._parameters = dict(self.model.named_parameters())
        code = {id(p) for p in (code_layer(widest).weight, code_layer(widest).bias)}
        self._blocks = {
            name: code_blocks(widest) if id(parameter) in code else 1 for name, parameter in widest.named_parameters()
        }

    @torch.no_grad()
    def take(self) -> None:
        """Copy every cell's weights into the stack."""
        for i, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                self._parameters[name][i] = padded(parameter, self._parameters[name][i].shape, self._blocks[name])

    @torch.no_grad()
    def give(self) -> None:
        """Copy the stack's weights back to the cells."""
        for i, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                parameter.copy_(cut(self._parameters[name][i], parameter.shape, self._blocks[name]))

    @torch.no_grad()
    def take_optimizer(self, own: Optimizer, theirs: Sequence[Optimizer]) -> None:
        """Copy the state of every cell's optimizer into the stack's, ``own``."""
        for i, (model, optimizer) in enumerate(zip(self.models, theirs, strict=True)):
            for name, parameter in model.named_parameters():
                whole = self._parameters[name]
                for entry, value in optimizer.state.get(parameter, {}).items():
                    if value.shape != parameter.shape:  # the number of steps, in which cells never differ
                        own.state[whole][entry] = value.clone()
                        continue
                    state = own.state[whole].setdefault(entry, torch.zeros_like(whole))
                    state[i] = padded(value, whole[i].shape, self._blocks[name])

    @torch.no_grad()
    def give_optimizer(self, own: Optimizer, theirs: Sequence[Optimizer]) -> None:
        """Copy the state of the stack's optimizer back to those of the cells."""
        for i, (model, optimizer) in enumerate(zip(self.models, theirs, strict=True)):
            for name, parameter in model.named_parameters():
                whole, blocks = self._parameters[name], self._blocks[name]
                optimizer.state[parameter] = {
                    entry: value.clone() if value.shape != whole.shape else cut(value[i], parameter.shape, blocks)
                    for entry, value in own.state.get(whole, {}).items()
                }


def padded(tensor: Tensor, shape: Sequence[int], blocks: int) -> Tensor:
    """A tensor in the corner of zeros of a larger shape; with several blocks in dimension 0, each in its own corner."""
    if tensor.shape == torch.Size(shape):
        return tensor
    whole = tensor.new_zeros(shape)
    parts = tensor.unflatten(0, (blocks, -1))
    whole.unflatten(0, (blocks, -1))[tuple(slice(size) for size in parts.shape)] = parts
    return whole


def cut(whole: Tensor, shape: Sequence[int], blocks: int) -> Tensor:
    """What :func:`padded` put in, as a tensor of its own."""
    if whole.shape == torch.Size(shape):
        return whole.clone()
    sizes = (blocks, shape[0] // blocks, *shape[1:])
    return whole.unflatten(0, (blocks, -1))[tuple(slice(size) for size in sizes)].flatten(0, 1).clone()
