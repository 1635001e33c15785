"""Clustering accuracy on the 10,000 test rows of MNIST, with K-means and the methods of hyotan.analysis.clustering.

The codes come from autoencoders with default settings, one per seed. The same methods are applied to the pixels.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from hyotan import Autoencoder
from hyotan.analysis.clustering import METHODS, cluster_codes, kmeans_runs
from hyotan.data import load
from hyotan.metrics import cluster_accuracy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--size", type=int, default=10, help="latent size")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=["graph"], choices=list(METHODS))
    parser.add_argument("--runs", type=int, default=50, help="runs of K-means")


def measure(arguments: argparse.Namespace) -> None:
    """Fit, encode, cluster."""
    data = load("mnist")
    X, y = np.asarray(data.X_test), np.asarray(data.y_test)
    pixels = X.reshape(len(X), -1).astype(np.float32) / 255
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(arguments.seeds):
        estimator = Autoencoder(arguments.size, precision=arguments.precision, random_state=seed).fit(data.X)
        codes = estimator.transform(X)
        rows = {f"codes of size {arguments.size}": codes, "pixels": pixels}
        for name, values in rows.items():
            if name != "pixels" or seed == 0:  # K-means of the pixels is the same for all
                accuracy = float(np.mean(kmeans_runs(values, y, 10, runs=arguments.runs, random_state=seed).accuracy))
                found.setdefault((name, "kmeans, mean of the runs"), []).append(accuracy)
                print(f"seed {seed}, {name}, kmeans: {accuracy:.4f}", flush=True)
            for method in arguments.methods:
                started = time.monotonic()
                accuracy = cluster_accuracy(y, cluster_codes(values, 10, method, random_state=seed))
                found.setdefault((name, method), []).append(accuracy)
                print(f"seed {seed}, {name}, {method}: {accuracy:.4f}, {time.monotonic() - started:.1f} s", flush=True)
    for (name, method), values in found.items():
        ends = f"{min(values):.4f} to {max(values):.4f}"
        print(f"== {name}, {method}: accuracy {np.mean(values):.4f} ({ends}, {len(values)} seeds)")
