"""The networks that every contestant trains, in plain PyTorch: same layers, same number of weights."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Convolution:
    """A convolution of width 3 with stride 2.

    Attributes
    ----------
    n_in, n_out : channels.
    side : of the pictures that go in.
    transposed : doubles the side, else halves it.
    """

    n_in: int
    n_out: int
    side: int
    transposed: bool

    def layer(self) -> nn.Module:
        """The layer in PyTorch."""
        if self.transposed:
            return nn.ConvTranspose2d(self.n_in, self.n_out, 3, stride=2, padding=1, output_padding=1)
        return nn.Conv2d(self.n_in, self.n_out, 3, stride=2, padding=1)


@dataclass(frozen=True)
class Network:
    """What is trained.

    Attributes
    ----------
    hidden : widths of the encoder's fully connected hidden layers; the decoder mirrors them.
    latent : size of the code.
    variational : a VAE, else an autoencoder.
    channels : of the convolutions before them, each of which halves the picture; the decoder mirrors them too.
    side : height and width of the picture.
    rows : rows of an epoch: a multiple of every batch, so that all steps are full.
    batches : rows of a step, in the benchmark.
    """

    hidden: tuple[int, ...]
    latent: int
    variational: bool
    channels: tuple[int, ...] = ()
    side: int = 28
    rows: int = 20_480
    batches: tuple[int, ...] = (128,)

    @property
    def features(self) -> int:
        """Values of a row."""
        return self.side * self.side

    @property
    def inner(self) -> tuple[int, int, int]:
        """Channels, height and width of what the convolutions leave."""
        side = self.side // 2 ** len(self.channels)
        return (self.channels[-1] if self.channels else 1), side, side

    def linear(self) -> list[tuple[int, int]]:
        """Numbers in and out of every fully connected layer, the encoder's first."""
        channels, height, width = self.inner
        widths = [channels * height * width, *self.hidden]
        ends = [(widths[-1], self.latent * (2 if self.variational else 1)), (self.latent, widths[-1])]
        inner = list(itertools.pairwise(widths))
        return [*inner, *ends, *((b, a) for a, b in reversed(inner))]

    def convolutions(self) -> list[Convolution]:
        """Every convolution, the encoder's first."""
        pairs = list(itertools.pairwise([1, *self.channels]))
        down = [Convolution(a, b, self.side >> depth, False) for depth, (a, b) in enumerate(pairs)]
        return [*down, *(Convolution(c.n_out, c.n_in, c.side // 2, True) for c in reversed(down))]


NETWORKS = {
    "784-20-784": Network((), 20, variational=False),
    "784-400-20 VAE": Network((400,), 20, variational=True, batches=(128, 1024)),
    "784-512-256-20": Network((512, 256), 20, variational=False),
    "conv VAE 28 × 28": Network((256,), 20, variational=True, channels=(32, 64), rows=2_560),
    "conv VAE 64 × 64": Network((256,), 20, variational=True, channels=(32, 64), side=64, rows=640),
}


class Plain(nn.Module):
    """A network of :data:`NETWORKS`: rows (batch, features) in [0, 1] to the mean loss, in nats a row."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(*sizes) for sizes in network.linear()]
        pictures: list[nn.Module] = [convolution.layer() for convolution in network.convolutions()]
        middle, outer = len(layers) // 2, len(pictures) // 2
        self.variational = network.variational
        self.encoder = nn.Sequential(*with_relu(layers[:middle]))
        self.decoder = nn.Sequential(*with_relu(layers[middle:]))
        if pictures:
            side = network.side
            read = [nn.Unflatten(1, (1, side, side)), *with_relu(pictures[:outer]), nn.ReLU(), nn.Flatten()]
            drawn = [nn.Unflatten(1, network.inner), nn.ReLU(), *with_relu(pictures[outer:]), nn.Flatten()]
            self.encoder, self.decoder = nn.Sequential(*read, *self.encoder), nn.Sequential(*self.decoder, *drawn)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, and mean and log-variance of the code, (batch, …)."""
        code = self.encoder(x)
        if not self.variational:
            return self.decoder(code), code, code
        mean, log_variance = code.chunk(2, dim=1)
        return self.decoder(mean + torch.randn_like(mean) * (0.5 * log_variance).exp()), mean, log_variance

    def forward(self, x: Tensor) -> Tensor:
        """The loss, (): cross-entropy and, of a VAE, KL."""
        logits, mean, log_variance = self.parts(x)
        loss = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        if self.variational:
            loss = loss - 0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return loss / len(x)


def with_relu(layers: list[nn.Module]) -> list[nn.Module]:
    """The layers with a ReLU between each two."""
    parts: list[nn.Module] = []
    for number, layer in enumerate(layers):
        parts += [nn.ReLU()] * (number > 0) + [layer]
    return parts
