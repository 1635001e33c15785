"""AUROC on MNIST of the default detector trained on the images of one digit, for each of the ten.

All 10,000 test images are scored; the images of the other nine digits are the anomalies. ``--choose`` tests on a fifth
of the training set instead: use it to choose settings.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from hyotan import AnomalyDetector
from hyotan.data import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--digits", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--choose", action="store_true", help="test on a fifth of the training rows")


def measure(arguments: argparse.Namespace) -> None:
    """Fit and score."""
    data = load("mnist")
    X, y, X_test, y_test = (np.asarray(part) for part in (data.X, data.y, data.X_test, data.y_test))
    if arguments.choose:
        X, y, X_test, y_test = X[:48_000], y[:48_000], X[48_000:], y[48_000:]
    found: dict[int, list[float]] = {}
    for seed in range(arguments.seeds):
        for digit in arguments.digits:
            started = time.monotonic()
            detector = AnomalyDetector(random_state=seed).fit(X[y == digit])
            area = float(roc_auc_score(y_test != digit, -detector.score_samples(X_test)))
            found.setdefault(digit, []).append(area)
            print(f"digit {digit}, seed {seed}: AUROC {area:.4f}, {time.monotonic() - started:.0f} s", flush=True)
    each = ", ".join(f"{digit} {np.mean(areas):.3f}" for digit, areas in found.items())
    print(f"== mean AUROC {np.mean(list(found.values())):.4f} over digits and {arguments.seeds} seeds: {each}")
