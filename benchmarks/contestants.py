"""The contestants: each makes a function that trains a network for a number of epochs on the same rows.

The packages of a contestant are imported inside its function, so that those of the others need not be installed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.limits import limit_bf16, limit_mkl, limit_onednn
from benchmarks.networks import Network, Plain
from benchmarks.peers import lightning, pyod, pythae, skorch
from benchmarks.tasks import RATE, Task, Train
from hyotan.training.products import onednn_is_exact


def bare(task: Task) -> Train:
    """A tensor loop with fused Adam, as short as it can be written."""

    def train(epochs: int) -> None:
        rows, model = torch.from_numpy(task.rows), Plain(task.network)
        optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
        for _ in range(epochs):
            for index in torch.randperm(len(rows)).split(task.batch):
                optimizer.zero_grad()
                model(rows[index].float().mul_(1 / 255)).backward()
                optimizer.step()

    return train


def loader(task: Task) -> Train:
    """The ordinary loop: a data loader that fetches row by row, Adam."""

    def train(epochs: int) -> None:
        model = Plain(task.network)
        optimizer = torch.optim.Adam(model.parameters(), RATE)
        batches = task.loader()
        for _ in range(epochs):
            for (x,) in batches:
                optimizer.zero_grad()
                model(x).backward()
                optimizer.step()

    return train


def hyotan(task: Task, **more: Any) -> Train:
    """This package, through its estimators."""
    from hyotan import VAE, Autoencoder

    network = task.network
    kind = VAE if network.variational else Autoencoder
    layers = {"architecture": "conv", "channels": network.channels} if network.channels else {"architecture": "mlp"}

    def train(epochs: int) -> None:
        kind(
            latent_dim=network.latent,
            hidden_dims=network.hidden,
            **layers,
            activation="relu",
            likelihood="bernoulli",
            optimizer="adam",
            schedule="constant",
            learning_rate=RATE,
            weight_decay=0.0,
            batch_size=task.batch,
            max_epochs=epochs,
            validation_fraction=0,
            device="cpu",
            random_state=0,
            **more,
        ).fit(task.rows.reshape(-1, network.side, network.side))

    return train


def hyotan_bf16(task: Task) -> Train:
    """This package with bfloat16 products."""
    return hyotan(task, precision="bf16")


def hyotan_compiled(task: Task) -> Train:
    """This package with its step compiled, once in the process and however short a training is."""
    from hyotan.training import compiling

    train, compile_step, made = hyotan(task, compile=True), compiling.compile_step, []

    def once(*arguments: Any) -> Any:
        if not made:
            made.append(compile_step(*arguments))
        return made[0]

    def train_compiled(epochs: int) -> None:
        with patch.multiple(compiling, LEAST_STEPS=0, compile_step=once):
            train(epochs)

    return train_compiled


LIMITS = ("limit, MKL", "limit, oneDNN")
"""Of these the faster is what everyone's share is of."""

CONTESTANTS: dict[str, Callable[[Task], Train]] = {
    "limit, MKL": limit_mkl,
    "limit, oneDNN": limit_onednn,
    "limit, bf16": limit_bf16,
    "bare loop": bare,
    "loader loop": loader,
    "hyotan": hyotan,
    "hyotan bf16": hyotan_bf16,
    "hyotan compiled": hyotan_compiled,
    "pythae": pythae,
    "skorch": skorch,
    "lightning": lightning,
    "pyod": pyod,
}
"""Everyone, by the name in the table."""

PEERS = ("pythae", "skorch", "lightning", "pyod")
"""Those that need packages of their own."""


def able(network: Network) -> list[str]:
    """Who can train a network here: has its packages or its compiler, an exact oneDNN; PyOD knows no pictures."""
    missing = {name for name in PEERS if importlib.util.find_spec(name) is None}
    if not onednn_is_exact():
        missing.add("limit, oneDNN")
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        missing.add("hyotan compiled")
    if network.channels:
        missing.add("pyod")
    return [name for name in CONTESTANTS if name not in missing]
