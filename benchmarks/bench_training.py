"""One epoch of the 784-400-20 VAE on 20,000 rows, batch size 128, Adam, set-up included: our fit and a bare loop."""

from __future__ import annotations

import pytest

from benchmarks.contestants import bare, hyotan
from benchmarks.networks import NETWORKS
from benchmarks.tasks import Task, rows_of


@pytest.fixture(scope="module")
def task():
    return Task(NETWORKS["784-400-20 VAE"], rows_of(20_000), batch=128)


@pytest.mark.benchmark(group="one epoch, 784-400-20 VAE")
@pytest.mark.parametrize("contestant", [bare, hyotan])
def test_epoch(benchmark, task, contestant):
    benchmark.pedantic(contestant(task), args=(1,), rounds=5, warmup_rounds=1)
