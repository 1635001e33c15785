"""Optimizers, and the paths of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from hyotan.distributions import Likelihood

FUSED_DEVICES = ("cpu", "cuda", "mps")


def _decayed_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups: matrices decay; biases, gains and scales do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    # A scale for each pixel has the shape of a matrix and is none.
    scales = {id(p) for part in model.modules() if isinstance(part, Likelihood) for p in part.parameters()}
    # In a stack of models a matrix has one dimension more.
    dimensions = 2 if getattr(model, "cells", 1) == 1 else 3
    decays = {id(p): p.ndim >= dimensions and id(p) not in scales for p in parameters}
    return [
        {"params": [p for p in parameters if decays[id(p)]], "weight_decay": weight_decay},
        {"params": [p for p in parameters if not decays[id(p)]], "weight_decay": 0.0},
    ]


def _is_fused(model: nn.Module) -> bool:
    return all(p.device.type in FUSED_DEVICES and p.dtype == torch.float32 for p in model.parameters())


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
    """AdamW (Loshchilov & Hutter 2019), fused; only matrices decay."""
    return AdamW(_decayed_groups(model, weight_decay), lr=learning_rate, fused=_is_fused(model))


def adam(model: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
    """Adam (Kingma & Ba 2015), fused; it decays nothing."""
    return Adam(_decayed_groups(model, 0.0), lr=learning_rate, fused=_is_fused(model))


def sgd(model: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
    """Stochastic gradient descent with momentum 0.9; only matrices decay."""
    return SGD(_decayed_groups(model, weight_decay), lr=learning_rate, momentum=0.9)


OptimizerMaker = Callable[[nn.Module, float, float], Optimizer]
OPTIMIZERS: Mapping[str, OptimizerMaker] = {"adamw": adamw, "adam": adam, "sgd": sgd}

Schedule = Callable[[float], float]
"""From the share of the cycle that is done, in [0, 1], to a factor of the highest learning rate."""


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def one_cycle(done: float) -> float:
    """Up from 1/25 over the first 30 %, then down to 1/10,000, along half cosines (Smith & Topin 2018)."""
    if done < 0.3:
        return _cosine(1 / 25, 1.0, done / 0.3)
    return _cosine(1.0, 1e-4, (done - 0.3) / 0.7)


def cosine(done: float) -> float:
    """From 1 down to 1/10,000 along half a cosine."""
    return _cosine(1.0, 1e-4, done)


def constant(done: float) -> float:
    """1 throughout."""
    return 1.0


SCHEDULES: Mapping[str, Schedule] = {"one-cycle": one_cycle, "cosine": cosine, "constant": constant}
