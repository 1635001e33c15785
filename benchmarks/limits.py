"""The lower limit of a training step: its products and convolutions alone, forward and for both gradients.

Products write into preallocated outputs. Everything else in a step (reading rows, activations, the loss, the optimizer)
is left out, so no trainer can be faster with the same library.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.networks import Convolution
from benchmarks.tasks import Task, Train
from hyotan.training.products import ALLOWED

Work = list[Callable[[], object]]


def limit_mkl(task: Task) -> Train:
    """In float32, with the library that torch takes by itself: MKL for products, oneDNN for convolutions."""
    return limit(task, torch.float32)


def limit_onednn(task: Task) -> Train:
    """In float32, with oneDNN's products."""
    torch.backends.mkldnn.matmul.fp32_precision = ALLOWED  # the process is this contestant's own
    return limit(task, torch.float32)


def limit_bf16(task: Task) -> Train:
    """In bfloat16."""
    return limit(task, torch.bfloat16)


def limit(task: Task, dtype: torch.dtype) -> Train:
    """A function that does the work of so many epochs."""
    network, work = task.network, []
    for number, sizes in enumerate(network.linear()):
        # Nobody asks for the gradient of the rows.
        work += products(task.batch, *sizes, dtype, number > 0 or bool(network.channels))
    for number, convolution in enumerate(network.convolutions()):
        work += fastest(
            convolutions(task.batch, convolution, dtype, number > 0, layout)
            for layout in (torch.contiguous_format, torch.channels_last)
        )

    def train(epochs: int) -> None:
        for _ in range(epochs * task.steps):
            for piece in work:
                piece()

    return train


def products(batch: int, n_in: int, n_out: int, dtype: torch.dtype, for_input: bool) -> Work:
    """A fully connected layer's products."""
    shapes = (batch, n_in), (n_out, n_in), (batch, n_out)
    x, weight, gradient = (torch.randn(shape).to(dtype) for shape in shapes)
    work: Work = [
        partial(torch.mm, x, weight.t(), out=torch.empty_like(gradient)),
        partial(torch.mm, gradient.t(), x, out=torch.empty_like(weight)),
    ]
    return [*work, partial(torch.mm, gradient, weight, out=torch.empty_like(x))] if for_input else work


def convolutions(
    batch: int, convolution: Convolution, dtype: torch.dtype, for_input: bool, layout: torch.memory_format
) -> Work:
    """A convolution forward and for its gradients; torch offers no place for outputs made beforehand."""

    def ready(tensor: Tensor) -> Tensor:
        return tensor.detach().to(dtype, memory_format=layout)

    x = ready(torch.randn(batch, convolution.n_in, convolution.side, convolution.side))
    weight = ready(next(convolution.layer().parameters()))
    how = ([2, 2], [1, 1], [1, 1], convolution.transposed, [int(convolution.transposed)] * 2, 1)
    forward = partial(torch.ops.aten.convolution, x, weight, None, *how)
    gradient = ready(torch.randn_like(forward()))
    wanted = [for_input, True, False]
    return [forward, partial(torch.ops.aten.convolution_backward, gradient, x, weight, None, *how, wanted)]


def fastest(works: object, repeats: int = 5) -> Work:
    """Of the same work in several memory layouts, that which takes least."""

    def seconds(work: Work) -> float:
        taken = []
        for _ in range(repeats):
            started = time.perf_counter()
            for piece in work:
                piece()
            taken.append(time.perf_counter() - started)
        return min(taken)

    return min(works, key=seconds)  # type: ignore[call-overload]


def decoding(batch: int, sizes: list[tuple[int, int]]) -> Work:
    """The products of fully connected layers, forward alone."""
    return [piece for n_in, n_out in sizes for piece in products(batch, n_in, n_out, torch.float32, False)[:1]]
