"""What the benchmark compares is the same for all, and its guard speaks up."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hyotan import VAE, Autoencoder

pytest.importorskip("benchmarks", reason="the benchmarks are no part of the package")

from benchmarks.guard import too_slow
from benchmarks.limits import limit_mkl
from benchmarks.networks import NETWORKS, Plain
from benchmarks.speed import refuse_other_work, summary
from benchmarks.tasks import Task, rows_of


@pytest.fixture(autouse=True)
def without_mnist(monkeypatch):
    monkeypatch.delenv("HYOTAN_DATA", raising=False)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_bare_loop_trains_the_layers_that_the_estimator_has(name):
    network = NETWORKS[name]
    kind, architecture = VAE if network.variational else Autoencoder, "conv" if network.channels else "mlp"
    layers = {"hidden_dims": network.hidden, "architecture": architecture, "channels": (32, 64)}
    summary = kind(network.latent, **layers).summary((network.side, network.side))
    assert sum(weight.numel() for weight in Plain(network).parameters()) == summary.parameters
    ours = [row.layer.split("-")[0] for row in summary.rows if row.parameters]
    kinds = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    assert [type(layer).__name__ for layer in Plain(network).modules() if isinstance(layer, kinds)] == ours


@pytest.mark.parametrize("name", NETWORKS)
def test_the_limit_computes_as_much_as_torch_counts_in_a_step(name):
    from torch.utils.flop_counter import FlopCounterMode

    network = NETWORKS[name]
    task = Task(network, rows_of(4, network.side), batch=4)
    model, work = Plain(network), limit_mkl(task)
    with FlopCounterMode(display=False) as step:
        model(task.scaled()).backward()
    with FlopCounterMode(display=False) as limit:
        work(1)
    assert limit.get_total_flops() == step.get_total_flops() > 0


def test_a_loss_is_that_of_the_rows_alone():
    torch.manual_seed(0)
    model, rows = Plain(NETWORKS["784-20-784"]), torch.from_numpy(rows_of(6)).float() / 255
    each = torch.stack([model(row[None]) for row in rows])
    torch.testing.assert_close(model(rows), each.mean())


def test_the_guard_names_the_network_that_fell_behind_and_by_how_much():
    rates = {"bare loop": [100.0, 10.0, 100.0], "hyotan": [50.0, 5.0, 99.0]}
    found = too_slow("784-400-20 VAE", 128, rates)
    assert found is not None
    assert found.startswith("784-400-20 VAE, batch 128: hyotan trained at 0.50 of the bare loop's speed; the floor is")
    assert too_slow("784-400-20 VAE", 128, {**rates, "hyotan": [100.0, 10.0, 99.0]}) is None
    assert too_slow("784-400-20 VAE", 128, {"hyotan": [1.0]}) is None


def test_a_trainer_that_takes_other_steps_is_refused():
    refuse_other_work({"bare loop": (160, 10), "limit": (0, 0), "other": (160, 10)})
    with pytest.raises(
        SystemExit, match=r"other took 157 steps with 10 weights an epoch; the bare loop took 160 with 10"
    ):
        refuse_other_work({"bare loop": (160, 10), "other": (157, 10)})


def test_the_share_is_of_the_faster_limit():
    rates = {"limit, MKL": [1000.0], "limit, oneDNN": [2000.0], "hyotan": [500.0]}
    text = summary([{"network": "a", "batch": 1024, "rates": rates}])
    assert "| a, batch 1,024 |" in text
    assert "| **hyotan** | 0.5 (25%) |" in text
