"""What an epoch adds up over its samples: losses, the KL by dimension, the moments of the code."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hyotan.metrics import are_active
from hyotan.training.objective import Terms

Parts = dict[str, Tensor]
"""Sums over one batch by name: (), or (latent,)."""


def row_sums(values: Tensor, models: int = 1) -> Tensor:
    """Sums over all rows, (...), of (rows, ...); in a stack over those of each model, (models, ...)."""
    return values.sum(0) if models == 1 else values.unflatten(0, (models, -1)).sum(1)


def parts_of(terms: Terms, models: int = 1, **more: Tensor) -> Parts:
    """Sums over a batch: losses, KL by dimension, and the first two moments of the code.

    Parameters
    ----------
    terms : of the batch.
    models : how many the batch belongs to, in equal parts.
    more : sums that are there already.
    """
    code = terms.code.detach()
    parts = {
        "loss": row_sums(terms.loss.detach(), models),
        "reconstruction": row_sums(terms.reconstruction.detach(), models),
        "code": row_sums(code, models),
        "code_squares": row_sums(code.square(), models),
        **more,
    }
    if terms.kl is not None:
        parts["kl"] = row_sums(terms.kl.detach(), models)
    if terms.label is not None:
        parts["label"] = row_sums(terms.label.detach(), models)
    return parts


class Sums:
    """Running sums over the samples of an epoch, in float64 and on the device: one addition a batch, and no waiting.

    Parameters
    ----------
    values : sums to go on from, as :attr:`values` gave them.
    """

    def __init__(self, values: Parts | None = None) -> None:
        self.count = 0
        self._shapes: dict[str, torch.Size] = {}
        self._total: Tensor | None = None
        if values:
            self.count = int(values["count"])
            self._start({name: value for name, value in values.items() if name != "count"})

    def add(self, parts: Parts, count: int) -> None:
        """Add a batch of ``count`` samples."""
        self.count += count
        if self._total is None:
            self._start(parts)
        else:
            self._total += _joined(parts)

    @property
    def values(self) -> Parts:
        """The sums by name, and the ``count`` of samples; empty before the first batch."""
        if self._total is None:
            return {}
        pieces = self._total.split([shape.numel() for shape in self._shapes.values()])
        named = zip(self._shapes.items(), pieces, strict=True)
        return {
            "count": self._total.new_full((), self.count),
            **{name: piece.reshape(shape) for (name, shape), piece in named},
        }

    def means(self) -> dict[str, Any]:
        """Means over the samples: loss, reconstruction, kl (and by dimension), active units; mse where it was added.

        Empty before the first batch.
        """
        if self._total is None:
            return {}
        host = {name: value.cpu().double().numpy() for name, value in self.values.items()}
        count = float(self.count)
        row: dict[str, Any] = {
            name: float(host[name] / count) for name in ("loss", "reconstruction", "label", "mse") if name in host
        }
        variance = host["code_squares"] / count - (host["code"] / count) ** 2
        row["active_units"] = int(are_active(variance).sum())
        if "kl" in host:
            row["kl"] = float(host["kl"].sum() / count)
            row["kl_per_dimension"] = (host["kl"] / count).tolist()
        return row

    def _start(self, parts: Parts) -> None:
        self._shapes = {name: part.shape for name, part in parts.items()}
        joined = _joined(parts)
        self._total = joined.to(torch.float32 if joined.device.type == "mps" else torch.float64)


def _joined(parts: Parts) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts.values()])
