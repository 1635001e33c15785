"""Optimizers, and the step that they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from hyotan.training.objective import TrainableModel
from hyotan.training.torch_internals import torch_internal

FUSED_DEVICES = ("cpu", "cuda", "mps")


def _decayed_groups(model: TrainableModel, weight_decay: float) -> list[dict]:
    """Two groups: matrices decay; biases, gains and scales do not."""
    decayed = model.decayed()
    known = {id(p) for p in decayed}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _is_fused(model: TrainableModel) -> bool:
    return all(p.device.type in FUSED_DEVICES and p.dtype == torch.float32 for p in model.parameters())


def adamw(model: TrainableModel, learning_rate: float, weight_decay: float) -> Optimizer:
    """AdamW (Loshchilov & Hutter 2019), fused; only matrices decay."""
    return AdamW(_decayed_groups(model, weight_decay), lr=learning_rate, fused=_is_fused(model))


def adam(model: TrainableModel, learning_rate: float, weight_decay: float) -> Optimizer:
    """Adam (Kingma & Ba 2015), fused; it decays nothing."""
    return Adam(_decayed_groups(model, 0.0), lr=learning_rate, fused=_is_fused(model))


def sgd(model: TrainableModel, learning_rate: float, weight_decay: float) -> Optimizer:
    """Stochastic gradient descent with momentum 0.9; only matrices decay."""
    return SGD(_decayed_groups(model, weight_decay), lr=learning_rate, momentum=0.9)


OptimizerMaker = Callable[[TrainableModel, float, float], Optimizer]
"""From a model, the learning rate and the weight decay."""

FUSED: dict[type[Optimizer], str] = {Adam: "torch:_fused_adam_", AdamW: "torch:_fused_adamw_"}
"""The operation behind an optimizer's fused step."""


class Stepper:
    """Takes an optimizer's steps; where its step is fused, without the bookkeeping around it.

    torch's ``step`` reads groups, hooks and states anew each time, which for a small network takes longer than its
    arithmetic. The first step is torch's own; those that follow call the same operation on the same tensors.

    Parameters
    ----------
    optimizer : one of :data:`hyotan.training.OPTIMIZERS`.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._fused: list[Callable[[float], None]] = []

    def step(self, learning_rate: float) -> None:
        """Take one step at a learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        if self._fused:
            for update in self._fused:
                update(learning_rate)
            return
        self.optimizer.step()
        self._fused = self._fused_updates()

    def forget(self) -> None:
        """Look at the optimizer anew: its state was replaced."""
        self._fused = []

    def _fused_updates(self) -> list[Callable[[float], None]]:
        groups = [group for group in self.optimizer.param_groups if group["params"]]
        name = FUSED.get(type(self.optimizer))
        if name is None or not all(group["fused"] for group in groups):
            return []
        try:
            return [_fused_update(torch_internal(name), group, self.optimizer.state) for group in groups]
        except ImportError:
            return []


def _fused_update(update: Callable[..., None], group: dict[str, Any], state: Any) -> Callable[[float], None]:
    """The step of one group of parameters, all of which have had a first one."""
    parameters = group["params"]
    means, squares, steps = ([state[p][name] for p in parameters] for name in ("exp_avg", "exp_avg_sq", "step"))
    # Each parameter counts its steps in a tensor of its own: as parts of one, they are counted by one addition.
    counts = torch.stack(steps)
    steps = list(counts)
    for parameter, own in zip(parameters, steps, strict=True):
        state[parameter]["step"] = own
    beta1, beta2 = group["betas"]
    fixed = {"beta1": beta1, "beta2": beta2, "weight_decay": group["weight_decay"], "eps": group["eps"]}

    @torch.no_grad()
    def step(learning_rate: float) -> None:
        counts.add_(1)
        gradients = [p.grad for p in parameters]
        update(
            parameters, gradients, means, squares, [], steps, lr=learning_rate, amsgrad=False, maximize=False, **fixed
        )

    return step
