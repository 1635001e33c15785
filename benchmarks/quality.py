"""Time and memory needed to reach a given quality: ``python -m benchmarks.quality``.

The target is a test error of 0.0299 per pixel on MNIST at latent size 20, which the lecture notes on tied autoencoders
reach in 50 epochs. Three ways are compared, each in a process of its own. The whole process is timed, including reading
MNIST and computing the error: the notes' recipe with this package, the same with skorch, and ``hyotan fit`` with its
defaults and the fewest epochs that reach the error with every seed. Nothing is extrapolated.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine, table

ROOT = Path(__file__).parent.parent
TARGET, LATENT = 0.0299, 20
FEATURES = 784
COMMAND = "from hyotan.cli import main; main()"


def main() -> None:
    """Measure and print, as a worker or as the one who starts them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--ways", nargs="+", default=[*WAYS, "defaults"], choices=[*WAYS, "defaults"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=50, help="epochs of the recipe; fewer for a quick look")
    parser.add_argument("--most", type=int, default=10, help="most epochs to try with the defaults")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        print(json.dumps(WAYS[arguments.worker](arguments.epochs, arguments.seed)))
    else:
        compare(arguments)


# -- the ways ----------------------------------------------------------------------------------------------------------


def recipe(epochs: int, seed: int) -> float:
    """The recipe in this package; the test error."""
    from hyotan import Autoencoder, recipes
    from hyotan.data import load

    data = load("mnist")
    settings = recipes.read("article-tied-20").parameters | {"max_epochs": epochs, "random_state": seed}
    rows, again = Autoencoder(**settings).fit(data.X).reconstruct_in_range(np.asarray(data.X_test))
    return float(np.square(rows - again).mean(dtype=np.float64))


def skorch(epochs: int, seed: int) -> float:
    """The recipe in skorch; the test error."""
    import torch
    from skorch import NeuralNetRegressor
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split
    from torch.nn import functional as F

    from hyotan.data import load

    class Tied(torch.nn.Module):
        """Draws the shared weight by the layer that expands the code, as the notes do."""

        def __init__(self) -> None:
            super().__init__()
            self.decoder, self.bias = torch.nn.Linear(LATENT, FEATURES), torch.nn.Parameter(torch.zeros(LATENT))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.decoder(F.linear(x, self.decoder.weight.t(), self.bias).sigmoid()).sigmoid()

    data = load("mnist")
    rows, test = (np.asarray(X).reshape(-1, FEATURES).astype(np.float32) / 255 for X in (data.X, data.X_test))
    held = len(rows) // 5
    torch.manual_seed(seed)
    net = NeuralNetRegressor(
        Tied,
        optimizer=torch.optim.Adam,
        lr=0.01,
        batch_size=128,
        max_epochs=epochs,
        iterator_train__shuffle=False,
        train_split=predefined_split(Dataset(rows[:held], rows[:held])),
        verbose=0,
    ).fit(rows[held:], rows[held:])
    return float(np.square(net.predict(test) - test).mean(dtype=np.float64))


WAYS: dict[str, Callable[[int, int], float]] = {"recipe": recipe, "skorch": skorch}
"""From epochs and a seed to the test error, in this process."""


# -- whole processes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Life:
    """A process that trained: seconds from its start to its end, its peak memory in MB, the test error it reached."""

    seconds: float
    megabytes: float
    error: float


def live(command: list[str], threads: int, error_of: Callable[[Any], float]) -> Life:
    """Run to the end; the last line of standard output is JSON that holds the error.

    The peak is the highest resident memory, as the system counts it.
    """
    started = time.perf_counter()
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT, env=env)
    text = process.stdout.read()  # type: ignore[union-attr]
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"failed; see why: {' '.join(command)}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Life(seconds, kilobytes / 1024, error_of(json.loads(text)))


def trained(way: str, epochs: int, seed: int, threads: int) -> Life:
    """One of :data:`WAYS` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.quality", "--worker", way, "--epochs", str(epochs)]
    return live([*command, "--seed", str(seed)], threads, float)


def fitted(epochs: int, seed: int, threads: int) -> Life:
    """``hyotan fit mnist`` with its defaults; its evaluation and its figures are part of its life."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", COMMAND, "fit", "mnist", "--latent-dim", str(LATENT)]
        command += ["--max-epochs", str(epochs), "--random-state", str(seed)]
        command += ["--json", "--out", str(Path(folder) / "run")]
        return live(command, threads, lambda record: record["metrics"]["test"]["mse"])


def compare(arguments: argparse.Namespace) -> None:
    """Each way with each seed, then a table."""
    print(f"{machine(arguments.threads)}; MNIST, latent size {LATENT}; wanted: {TARGET} a pixel on the test rows")
    rows = []
    for way in arguments.ways:
        if way != "defaults":
            lives = [trained(way, arguments.epochs, seed, arguments.threads) for seed in range(arguments.seeds)]
            rows.append(row(f"{NAMES[way]}, {arguments.epochs} epochs", lives))
            continue
        for epochs in range(1, arguments.most + 1):
            lives = [fitted(epochs, seed, arguments.threads) for seed in range(arguments.seeds)]
            rows.append(row(f"hyotan fit, defaults, {epochs} epoch{'s' * (epochs > 1)}", lives))
            if max(life.error for life in lives) <= TARGET:
                break
    print("\n" + table(["", "seconds", "range", "peak memory, MB", "test MSE, worst seed"], rows))


NAMES = {"recipe": "hyotan, the recipe", "skorch": "skorch, the recipe"}


def row(name: str, lives: list[Life]) -> list[str]:
    """A line of the table: the median time with its range, the highest memory, the highest error."""
    seconds = [life.seconds for life in lives]
    print(f"{name}: " + ", ".join(f"{life.seconds:.1f} s {life.error:.5f}" for life in lives), flush=True)
    return [
        name,
        f"{statistics.median(seconds):.1f}",
        f"{min(seconds):.1f} to {max(seconds):.1f}",
        f"{max(life.megabytes for life in lives):.0f}",
        f"{max(life.error for life in lives):.5f}",
    ]


if __name__ == "__main__":
    main()
