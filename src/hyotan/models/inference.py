"""A trained model applied to rows, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from hyotan.models.latent_model import LatentModel
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.training.resident import as_tensor

BATCH_ROWS, BATCH_BYTES = 4096, 2**26
"""Rows computed at once outside training, and what they may take in float32."""

ROW_MULTIPLE = 32
"""Batches outside training are padded to a multiple of this: matrix products of a few rows take other kernels, and
vector instructions, up to 32 values at once, leave a remainder to slower ones that round differently. A row's result
would depend, in its last bits, on how many rows came with it (decision 0003)."""


Sliced: TypeAlias = "np.ndarray | EncodedRows"
"""Rows in the model's range, or codes or labels that go with them, taken a slice at a time."""


@dataclass(frozen=True)
class Inference:
    """Codes, reconstructions and log-likelihoods of rows in the model's range, each row by itself, to the bit.

    Attributes
    ----------
    model : in evaluation mode.
    device : where it is.
    """

    model: LatentModel
    device: torch.device

    def batched(self, compute: Callable[..., Tensor], *values: Sliced, size: int | None = None) -> np.ndarray:
        """Apply a function of rows, batch by batch, each row's bits independent of its company.

        Parameters
        ----------
        compute : tensors of (batch, …) each, to (batch, …).
        values : as many rows each, which become its arguments.
        size : rows a batch; by default as many as suit.

        Returns
        -------
        (n, …), float32
        """
        found, done = np.empty(0, dtype=np.float32), 0
        size = min(rows_at_once(rows.shape[1:]) for rows in values) if size is None else size
        with torch.no_grad():
            for parts in zip(*(padded_batches(rows, size) for rows in values), strict=True):
                n = parts[0][1]
                part = compute(*(x.to(self.device) for x, _ in parts))[:n].float().cpu().numpy()
                if not done:
                    found = np.empty((len(values[0]), *part.shape[1:]), dtype=np.float32)
                found[done : done + n] = part
                done += n
        return found

    def encode(self, rows: Sliced, *labels: Sliced) -> np.ndarray:
        """The codes of rows, (n, latent); given their labels where the model takes such."""
        return self.batched(self.model.code, rows, *labels)

    def decode(self, codes: Sliced, *labels: Sliced) -> np.ndarray:
        """The likelihood's mean at codes, (n, *features)."""
        return self.batched(lambda z, *y: self.model.decode(z, *y).mean, codes, *labels)

    def reconstruct(self, rows: Sliced, *labels: Sliced) -> np.ndarray:
        """Rows through the code and back, (n, *features)."""
        return self.batched(self.model.reconstruct, rows, *labels)

    def log_prob(self, rows: Sliced) -> np.ndarray:
        """log p(x | code of x), (n,), in nats."""
        return self.batched(lambda x: self.model.explanation(x).log_prob(x), rows)

    def log_prob_per_feature(self, rows: Sliced) -> np.ndarray:
        """The same of each value, (n, *features)."""
        return self.batched(self._log_prob_per_feature, rows)

    def _log_prob_per_feature(self, x: Tensor) -> Tensor:
        return self.model.explanation(x).log_prob_per_feature(x)  # pyrefly: ignore[missing-attribute]

    def draws(self, decode: Callable[..., Distribution], random: np.random.RandomState, *given: Sliced) -> np.ndarray:
        """A draw from p(x|z) for each code, (n, *features)."""
        with self.seeded(int(random.randint(2**31))):
            return self.batched(lambda *parts: decode(*parts).sample(), *given)

    def objective(self, rows: Sliced, seed: int) -> dict[str, np.ndarray]:
        """What training minimises, at its final weights, a row: see :class:`~hyotan.training.objective.Terms`."""
        parts: list[dict[str, Any]] = []
        with self.seeded(seed), torch.no_grad():
            for start in range(0, len(rows), BATCH_ROWS):
                terms = self.model.objective(as_tensor(rows[start : start + BATCH_ROWS]).to(self.device))
                named = {name: getattr(terms, name) for name in ("loss", "reconstruction", "kl", "label")}
                parts.append({name: term.float().cpu().numpy() for name, term in named.items() if term is not None})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @contextmanager
    def seeded(self, seed: int) -> Iterator[None]:
        """torch's draws from a seed, its global generators left as they were."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield


def padded_batches(rows: Sliced, size: int) -> Iterator[tuple[Tensor, int]]:
    """Batches of rows, the last padded with zeros to a multiple of ROW_MULTIPLE, and how many rows of each are real."""
    for start in range(0, len(rows), size):
        batch = as_tensor(rows[start : start + size])
        missing = -len(batch) % ROW_MULTIPLE
        yield (torch.cat([batch, batch.new_zeros(missing, *batch.shape[1:])]) if missing else batch), len(batch)


def rows_at_once(feature_shape: tuple[int, ...], values: int | None = None) -> int:
    """How many rows are computed at once: BATCH_ROWS, fewer of large ones, a multiple of ROW_MULTIPLE.

    Parameters
    ----------
    feature_shape : of a row.
    values : how many values may be held at once; by default what :data:`BATCH_BYTES` hold.
    """
    held = BATCH_BYTES // 4 if values is None else values
    fitting = held // max(1, int(np.prod(feature_shape, dtype=np.int64)))
    return max(1, min(BATCH_ROWS, fitting) // ROW_MULTIPLE) * ROW_MULTIPLE
