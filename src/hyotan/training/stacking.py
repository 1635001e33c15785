"""Several models of one shape as one: their weights stacked, their rows one after the other.

A step of a small model is bound by Python and by torch's way to each product, not by arithmetic; a stack takes that way
once for all of its models (docs/decisions/0010). A stack of m models takes (m * batch, *features): rows i * batch to
(i + 1) * batch are those of model i. Each parameter has a leading dimension, one entry a model. Layers with weights
multiply them in one batched product; everything else works on rows as it is, and so stays as it is.

Why not :func:`torch.vmap` over the objective: each model has to draw the numbers that it would draw alone, from its own
generator (:mod:`hyotan.training.draws`), and vmap knows one generator for all.

Models may differ in the size of their codes. The stack's code is as wide as the largest; what a model does not have is
zero in the code and in every weight that reads or writes it, gets a gradient of exactly zero, and so stays zero.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hyotan.training.objective import TrainableModel

Thing = TypeVar("Thing")
_STACKABLE: set[Any] = set()
PLAIN = (type(None), bool, int, float, str)


def stackable(thing: Thing, *more: Any) -> Thing:
    """Say of a class or a function that a stack may be made of it; also a decorator.

    It treats each row alone, draws by :mod:`hyotan.training.draws` if it draws, and takes a leading dimension of its
    parameters if it has any. A model of which some layer, likelihood, noise or penalty does not say so is trained
    alone. Subclasses do not inherit it, for they may do otherwise.
    """
    _STACKABLE.update((thing, *more))
    return thing


def is_stackable(thing: Any) -> bool:
    """Whether an object, its class, or a function was said to be :func:`stackable`."""
    return type(thing) in _STACKABLE or (callable(thing) and thing in _STACKABLE)


def stack_key(model: TrainableModel) -> Hashable | None:
    """Models of which this is equal fit into one stack; None for a model that fits into none.

    Equal are the layers, up to the code's size where nothing but the width changes with it, and the objective.
    """
    settings = {n: v for n, v in vars(model).items() if n[0] != "_" and n not in model.differs_in_stack}
    parts = [*model.modules(), *(value for value in settings.values() if type(value) not in PLAIN)]
    layout = model.stack_layout() if all(is_stackable(part) for part in parts) else None
    if layout is None:
        return None
    shapes = {name: list(parameter.shape) for name, parameter in model.named_parameters()}
    for name, axis in layout.code_axes.items():
        shapes[name][axis] = 0
    return (
        tuple(settings.items()),
        tuple((name, type(layer), getattr(layer, "feature_shape", None)) for name, layer in model.named_modules()),
        tuple((name, *shape) for name, shape in shapes.items()),
        tuple((name, *buffer.flatten().tolist()) for name, buffer in model.named_buffers()),
    )


def stacked(model: TrainableModel, size: int) -> TrainableModel:
    """A model like this one whose parameters, all zero, are those of so many models."""
    stack = copy.deepcopy(model)
    stack.stack_size = size
    for name, parameter in list(stack.named_parameters()):
        layer, _, own_name = name.rpartition(".")
        setattr(stack.get_submodule(layer), own_name, nn.Parameter(parameter.new_zeros(size, *parameter.shape)))
    return stack


class Stack:
    """Models as one.

    Parameters
    ----------
    models : at least two, of one :func:`stack_key`.

    Attributes
    ----------
    model : the stack, a model like the others.
    code_sizes : of each model.
    """

    def __init__(self, models: Sequence[TrainableModel]) -> None:
        self.models = list(models)
        layouts = [layout for model in models if (layout := model.stack_layout()) is not None]
        self.code_sizes = [layout.code_size for layout in layouts]
        self._blocks = layouts[0].blocks
        self.model = stacked(self.models[self.code_sizes.index(max(self.code_sizes))], len(self.models))
        self._parameters = dict(self.model.named_parameters())

    @torch.no_grad()
    def take(self) -> None:
        """Copy every model's weights into the stack."""
        for i, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                self._put(name, i, self._parameters[name], parameter)

    @torch.no_grad()
    def give(self) -> None:
        """Copy the stack's weights back to the models."""
        for i, model in enumerate(self.models):
            for name, parameter in model.named_parameters():
                parameter.copy_(self._get(name, i, self._parameters[name], parameter))

    @torch.no_grad()
    def take_optimizer(self, own: Optimizer, theirs: Sequence[Optimizer]) -> None:
        """Copy the state of every model's optimizer into the stack's, ``own``."""
        for i, (model, optimizer) in enumerate(zip(self.models, theirs, strict=True)):
            for name, parameter in model.named_parameters():
                whole = self._parameters[name]
                for entry, value in optimizer.state.get(parameter, {}).items():
                    if value.shape == parameter.shape:
                        self._put(name, i, own.state[whole].setdefault(entry, torch.zeros_like(whole)), value)
                    else:  # the number of steps, in which the models never differ
                        own.state[whole][entry] = value.clone()

    @torch.no_grad()
    def give_optimizer(self, own: Optimizer, theirs: Sequence[Optimizer]) -> None:
        """Copy the state of the stack's optimizer back to those of the models."""
        for i, (model, optimizer) in enumerate(zip(self.models, theirs, strict=True)):
            for name, parameter in model.named_parameters():
                whole = self._parameters[name]
                optimizer.state[parameter] = {
                    entry: self._get(name, i, value, parameter) if value.shape == whole.shape else value.clone()
                    for entry, value in own.state.get(whole, {}).items()
                }

    def _put(self, name: str, i: int, whole: Tensor, own: Tensor) -> None:
        """Write a model's values, of its parameter's shape, into its part of the stack's; beyond them nothing."""
        self._corner(name, whole[i], own).copy_(self._in_blocks(name, own))

    def _get(self, name: str, i: int, whole: Tensor, like: Tensor) -> Tensor:
        """A model's part of the stack's values, of its parameter's shape: a tensor of its own."""
        return self._corner(name, whole[i], like).clone().reshape(like.shape)

    def _corner(self, name: str, whole: Tensor, like: Tensor) -> Tensor:
        """Where a smaller tensor lies in a larger one: in its corner, or each of its blocks in the corner of one."""
        return self._in_blocks(name, whole)[tuple(slice(size) for size in self._in_blocks(name, like).shape)]

    def _in_blocks(self, name: str, values: Tensor) -> Tensor:
        blocks = self._blocks.get(name, 1)
        return values if blocks == 1 else values.unflatten(0, (blocks, -1))
