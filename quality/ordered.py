"""Test error on MNIST of the prefixes of one ordered code, compared with autoencoders trained for each size separately.

The ratio of the training times is measured too; run this on an idle machine.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from hyotan import Autoencoder
from hyotan.data import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--size", type=int, default=32, help="latent size of the ordered code")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 10, 16, 20, 32])
    parser.add_argument("--seed", type=int, default=0)


def measure(arguments: argparse.Namespace) -> None:
    """Fit the one and the many."""
    data = load("mnist")
    X_test = np.asarray(data.X_test)
    same: dict[str, Any] = {"precision": arguments.precision, "random_state": arguments.seed}
    ordered = Autoencoder(arguments.size, ordered=True, **same).fit(data.X)
    by_size = ordered.reconstruction_errors_by_size(X_test)
    print(f"ordered code of size {arguments.size}: {ordered.train_seconds_:.0f} s in the training loop", flush=True)
    for size in arguments.sizes:
        started = time.monotonic()
        alone = Autoencoder(size, **same).fit(data.X)
        scaled, rows = alone.reconstruct_in_range(X_test)
        error = float(np.square(scaled - rows).mean(dtype=np.float64))
        print(
            f"size {size}: prefix {by_size[size - 1]:.5f}, alone {error:.5f}, ratio {by_size[size - 1] / error:.3f}; "
            f"time {ordered.train_seconds_ / alone.train_seconds_:.2f} x ({time.monotonic() - started:.0f} s)",
            flush=True,
        )
