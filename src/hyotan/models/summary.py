"""What a network is made of, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hyotan.models.layers import FeatureShape


@dataclass(frozen=True)
class SummaryRow:
    """One layer: its name with a running number, what went in, what came out (-1 is the batch), its parameters."""

    layer: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Summary:
    """What a network is made of, and how much memory one sample takes in fp32 (MB of 2**20 bytes)."""

    rows: tuple[SummaryRow, ...]
    parameters: int
    trainable: int
    input_mb: float
    pass_mb: float
    parameters_mb: float

    @property
    def total_mb(self) -> float:
        """Input, forward and backward pass, and parameters together."""
        return self.input_mb + self.pass_mb + self.parameters_mb

    def __str__(self) -> str:
        rule, thick = "-" * 74, "=" * 74
        lines = [rule, f"{'Layer (type)':24}{'Input shape':>18}{'Output shape':>18}{'Param #':>14}", thick]
        for row in self.rows:
            shapes = f"{list(row.input_shape)!s:>18}{list(row.output_shape)!s:>18}"
            lines.append(f"{row.layer:24}{shapes}{row.parameters:>14,}")
        lines += [thick, f"Total params: {self.parameters:,}", f"Trainable params: {self.trainable:,}"]
        lines += [f"Non-trainable params: {self.parameters - self.trainable:,}", rule]
        lines += [f"Input size (MB): {self.input_mb:.2f}", f"Forward/backward pass size (MB): {self.pass_mb:.2f}"]
        lines += [f"Params size (MB): {self.parameters_mb:.2f}", f"Estimated Total Size (MB): {self.total_mb:.2f}"]
        return "\n".join([*lines, rule])


def _shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Shape with -1 for the batch; a vector is written as one row, (-1, 1, d), as the field's summaries do."""
    inner = tuple(tensor.shape[1:])
    return (-1, 1, *inner) if len(inner) == 1 else (-1, *inner)


def _is_layer(module: nn.Module) -> bool:
    return not list(module.children()) and not isinstance(module, nn.Flatten | nn.Unflatten)


def summarise(network: nn.Module, feature_shape: FeatureShape) -> Summary:
    """Run one blank sample through a network and note each layer; pure reshapes get no row.

    Parameters
    ----------
    network : maps (batch, *features) to anything; it is run in evaluation mode and left as it was.
    feature_shape : shape of one sample.
    """
    rows: list[SummaryRow] = []
    elements: list[int] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        name, count = f"{type(layer).__name__}-{len(rows) + 1}", sum(p.numel() for p in layer.parameters())
        rows.append(SummaryRow(name, _shape_of(inputs[0]), _shape_of(output), count))
        elements.append(output[0].numel())

    hooks = [layer.register_forward_hook(note) for layer in network.modules() if _is_layer(layer)]
    was_training = network.training
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *feature_shape, device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    parameters = sum(p.numel() for p in network.parameters())
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    megabytes = 4 / 2**20
    sizes = (math.prod(feature_shape), 2 * sum(elements), parameters)  # of the input, of both passes, of the weights
    return Summary(tuple(rows), parameters, trainable, *(size * megabytes for size in sizes))
