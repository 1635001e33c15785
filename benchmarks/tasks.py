"""The training tasks and their rows: MNIST if ``$HYOTAN_DATA`` contains it, otherwise noise of the same shape."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.networks import Network

RATE = 1e-3

Train = Callable[[int], None]
"""From a number of epochs to a finished training."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be trained.

    Attributes
    ----------
    network : the layers.
    rows : (n, features), uint8.
    batch : rows a step.
    """

    network: Network
    rows: np.ndarray
    batch: int

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.rows) // self.batch)

    def scaled(self) -> torch.Tensor:
        """The rows in [0, 1], float32."""
        return torch.from_numpy(self.rows).float().div_(255)

    def loader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        """The rows as an ordinary loader gives them, fetched one by one."""
        return DataLoader(TensorDataset(self.scaled()), self.batch, shuffle=True)


def has_mnist() -> bool:
    """Whether MNIST is there, so that nothing needs to be fetched."""
    folder = os.environ.get("HYOTAN_DATA")
    return folder is not None and (Path(folder) / "mnist").is_dir()


def source() -> str:
    """What the rows are, in words."""
    return "MNIST" if has_mnist() else "noise in MNIST's shape (MNIST itself where $HYOTAN_DATA/mnist holds it)"


def rows_of(n: int, side: int = 28) -> np.ndarray:
    """So many pictures, (n, side * side), uint8; digits are enlarged to the side, and come again after 60,000."""
    if not has_mnist():
        return np.random.default_rng(0).integers(0, 256, (n, side * side), dtype=np.uint8)
    from hyotan.data import load

    digits = np.asarray(load("mnist").X)
    digits = digits[np.arange(n) % len(digits)]
    place = np.arange(side) * digits.shape[1] // side
    return np.ascontiguousarray(digits[:, place][:, :, place]).reshape(n, -1)
