"""The random numbers that models and noise draw: from torch's global generator, or in a stack from each model's own.

A stack trains several models of one shape at once: the rows of its batches belong to its models, in equal parts one
after the other. While :func:`by_model` is entered each model's part comes from the model's own generator, with the
numbers and in the order in which the model alone would have drawn them from the global one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor


class _Stack(NamedTuple):
    generators: Sequence[torch.Generator]
    code_sizes: Sequence[int]


_STACK: ContextVar[_Stack | None] = ContextVar("stack", default=None)


@contextmanager
def by_model(generators: Sequence[torch.Generator], code_sizes: Sequence[int]) -> Iterator[None]:
    """Draw each model's part of the rows from its own generator while entered.

    Parameters
    ----------
    generators : one a model.
    code_sizes : size of each model's code; what a stack's code has beyond it gets zeros and costs no draw.
    """
    token = _STACK.set(_Stack(generators, code_sizes))
    try:
        yield
    finally:
        _STACK.reset(token)


def normal_like(x: Tensor) -> Tensor:
    """Standard normal numbers, (rows, …), as many as x has."""
    return _by_rows(x, lambda part, generator: torch.randn(part.shape, generator=generator, **_kind(part)))


def uniform_like(x: Tensor) -> Tensor:
    """Numbers even in [0, 1), (rows, …), as many as x has."""
    return _by_rows(x, lambda part, generator: torch.rand(part.shape, generator=generator, **_kind(part)))


def bernoulli(probabilities: Tensor) -> Tensor:
    """Zeros and ones, (rows, …), one with these probabilities."""
    return _by_rows(probabilities, lambda part, generator: torch.bernoulli(part, generator=generator))


def rows_like(x: Tensor) -> Tensor:
    """For each value of x, (rows, features), a row of the same batch at random: int64."""
    stack = _STACK.get()
    if stack is None:
        return torch.randint(len(x), x.shape, device=x.device)
    n = len(x) // len(stack.generators)
    shape = (n, *x.shape[1:])
    return torch.cat([torch.randint(n, shape, generator=g) + i * n for i, g in enumerate(stack.generators)])


def code_noise(mean: Tensor, n_samples: int | None = None) -> Tensor:
    """Standard normal numbers for codes of means (rows, latent): as many, or (samples, rows, latent)."""
    stack, samples = _STACK.get(), () if n_samples is None else (n_samples,)
    if stack is None:
        return torch.randn(*samples, *mean.shape, **_kind(mean))
    noise, n = mean.new_zeros(*samples, *mean.shape), len(mean) // len(stack.generators)
    for i, (generator, size) in enumerate(zip(*stack, strict=True)):
        drawn = torch.randn(*samples, n, size, generator=generator, **_kind(mean))
        noise[..., i * n : (i + 1) * n, :size] = drawn
    return noise


def _by_rows(x: Tensor, draw: Callable[[Tensor, torch.Generator | None], Tensor]) -> Tensor:
    stack = _STACK.get()
    if stack is None:
        return draw(x, None)
    parts = x.split(len(x) // len(stack.generators))
    return torch.cat([draw(part, generator) for part, generator in zip(parts, stack.generators, strict=True)])


def _kind(x: Tensor) -> dict:
    return {"dtype": x.dtype, "device": x.device}
