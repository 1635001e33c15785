"""One epoch of the 784-400-20 VAE on 20,000 rows, batch 128, Adam: our trainer beside a bare tensor loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hyotan import VAE

N, BATCH = 20_000, 128


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).integers(0, 256, (N, 28, 28), dtype=np.uint8)


class BareVAE(nn.Module):
    """The same network, written out."""

    def __init__(self):
        super().__init__()
        self.inner, self.heads = nn.Linear(784, 400), nn.Linear(400, 40)
        self.outer, self.logits = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x):
        mean, log_variance = self.heads(F.relu(self.inner(x))).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        logits = self.logits(F.relu(self.outer(z)))
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return (reconstruction + kl) / len(x)


def bare_epoch(X):
    rows = torch.from_numpy(X.reshape(N, -1))
    model = BareVAE()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    for index in torch.randperm(N).split(BATCH):
        optimizer.zero_grad()
        model(rows[index].float().mul_(1 / 255)).backward()
        optimizer.step()


def our_epoch(X):
    VAE(
        latent_dim=20,
        hidden_dims=(400,),
        activation="relu",
        optimizer="adam",
        schedule="constant",
        learning_rate=1e-3,
        batch_size=BATCH,
        max_epochs=1,
        validation_fraction=0,
        random_state=0,
    ).fit(X)


@pytest.mark.benchmark(group="one epoch, 784-400-20 VAE")
@pytest.mark.parametrize("epoch", [bare_epoch, our_epoch])
def test_epoch(benchmark, X, epoch):
    benchmark.pedantic(epoch, args=(X,), rounds=5, warmup_rounds=1)
