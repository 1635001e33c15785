"""The networks that every contestant trains, written out in PyTorch: the same layers, the same number of weights."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES = 784


@dataclass(frozen=True)
class Network:
    """What is trained.

    Attributes
    ----------
    hidden : widths of the encoder's hidden layers; the decoder mirrors them.
    latent : size of the code.
    variational : a VAE, else an autoencoder.
    """

    hidden: tuple[int, ...]
    latent: int
    variational: bool

    def layers(self) -> list[tuple[int, int]]:
        """Numbers in and out of every linear layer."""
        widths = [FEATURES, *self.hidden]
        ends = [(widths[-1], self.latent * (2 if self.variational else 1)), (self.latent, widths[-1])]
        inner = list(itertools.pairwise(widths))
        return [*inner, *ends, *((b, a) for a, b in reversed(inner))]


NETWORKS = {
    "784-20-784": Network((), 20, variational=False),
    "784-400-20 VAE": Network((400,), 20, variational=True),
    "784-512-256-20": Network((512, 256), 20, variational=False),
}


class Plain(nn.Module):
    """A network of :data:`NETWORKS`: rows in [0, 1] to the mean loss, cross-entropy and KL in nats a row."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        layers = [nn.Linear(*sizes) for sizes in network.layers()]
        middle = len(layers) // 2
        self.variational = network.variational
        self.encoder = _with_relu(layers[:middle])
        self.decoder = _with_relu(layers[middle:])

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, and mean and log-variance of the code, (batch, …)."""
        code = self.encoder(x)
        if not self.variational:
            return self.decoder(code), code, code
        mean, log_variance = code.chunk(2, dim=1)
        return self.decoder(mean + torch.randn_like(mean) * (0.5 * log_variance).exp()), mean, log_variance

    def forward(self, x: Tensor) -> Tensor:
        """The loss, ()."""
        logits, mean, log_variance = self.parts(x)
        loss = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        if self.variational:
            loss = loss - 0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return loss / len(x)


def _with_relu(layers: list[nn.Linear]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for number, layer in enumerate(layers):
        parts += [nn.ReLU()] * (number > 0) + [layer]
    return nn.Sequential(*parts)
