"""Encoders and decoders that take a label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hyotan.models.layers import Activation, Linear
from hyotan.training.stacking import stackable


@stackable
class LabelEmbedding(nn.Sequential):
    """Weights of the classes, (..., classes), to a vector, (..., size); all zero, "no label", becomes activation(0)."""

    def __init__(self, n_classes: int, size: int, activation: Activation) -> None:
        super().__init__(Linear(n_classes, size, bias=False), activation())
        self.n_classes = n_classes


@stackable
class LabelledEncoder(nn.Module):
    """An encoder whose last hidden layer is joined by a label: (batch, *features), (batch, classes) to (batch, n_out).

    Parameters
    ----------
    trunk : (batch, *features) to (batch, hidden).
    embedding : (batch, classes) to (batch, size).
    head : (batch, hidden + size) to (batch, n_out).
    """

    def __init__(self, trunk: nn.Module, embedding: LabelEmbedding, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.embedding, self.head = trunk, embedding, head

    def from_hidden(self, hidden: Tensor, label: Tensor) -> Tensor:
        """The parameters of the code, from what the trunk gave: one pass through it serves many labels."""
        return self.head(torch.cat([hidden, self.embedding(label)], dim=-1))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The parameters of the code, (batch, n_out); without a label where none is given."""
        hidden = self.trunk(x)
        return self.from_hidden(hidden, no_label(hidden, self.embedding) if label is None else label)


@stackable
class LabelledDecoder(nn.Module):
    """A decoder whose first hidden layer is joined by a label: (..., latent), (..., classes) to (..., *out_shape).

    Parameters
    ----------
    inner : (..., latent) to (..., hidden).
    embedding : (..., classes) to (..., size).
    outer : (..., hidden + size) to (..., *out_shape).
    """

    def __init__(self, inner: nn.Module, embedding: LabelEmbedding, outer: nn.Module) -> None:
        super().__init__()
        self.inner, self.embedding, self.outer = inner, embedding, outer

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """The likelihood's parameters; without a label where none is given."""
        hidden = self.inner(z)
        embedded = self.embedding(no_label(hidden, self.embedding) if label is None else label)
        first = self.outer[0] if isinstance(self.outer, nn.Sequential) else None
        if hidden.ndim > embedded.ndim and isinstance(first, nn.Linear) and first.weight.ndim == 2:  # not in a stack
            return self._joined_once(hidden, embedded, first, self.outer[1:])  # pyrefly: ignore[bad-index]
        return self.outer(torch.cat([hidden, embedded.expand(*hidden.shape[:-1], -1)], dim=-1))

    @staticmethod
    def _joined_once(hidden: Tensor, embedded: Tensor, first: nn.Linear, rest: nn.Module) -> Tensor:
        """Where several codes share a label, its part of the first product is computed once for all of them."""
        of_code, of_label = first.weight.split([hidden.shape[-1], embedded.shape[-1]], dim=1)
        return rest(nn.functional.linear(hidden, of_code) + nn.functional.linear(embedded, of_label, first.bias))


def no_label(like: Tensor, embedding: LabelEmbedding) -> Tensor:
    """Weights of the classes that say nothing, (..., classes), for values of shape (..., any)."""
    return like.new_zeros(*like.shape[:-1], embedding.n_classes)
