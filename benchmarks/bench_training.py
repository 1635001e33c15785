"""One epoch of the 784-400-20 VAE on 20,000 rows, batch 128, Adam, building included: our fit beside a bare loop."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contestants import Task, bare, hyotan
from benchmarks.networks import NETWORKS


@pytest.fixture(scope="module")
def task():
    rows = np.random.default_rng(0).integers(0, 256, (20_000, 784), dtype=np.uint8)
    return Task(NETWORKS["784-400-20 VAE"], rows, batch=128)


@pytest.mark.benchmark(group="one epoch, 784-400-20 VAE")
@pytest.mark.parametrize("contestant", [bare, hyotan])
def test_epoch(benchmark, task, contestant):
    benchmark.pedantic(contestant(task), args=(1,), rounds=5, warmup_rounds=1)
