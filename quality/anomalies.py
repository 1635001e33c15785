"""AUROC and average precision on 18 tables of ADBench: the default detector, PyOD's, PCA, k-NN and isolation forest.

There are two protocols. ``clean`` trains on half of the normal rows, and tests on the others and the anomalies. ``all``
trains on all rows and scores the same rows. Columns are standardised by the training rows, for every method. Datasets
of more than 10,000 rows are cut to that size, drawn by the seed, as in ADBench; if fewer than 100 anomalies would
remain, all of them are kept. Nine datasets were used to choose the defaults; only the other nine measure how good they
are.

Figures are appended to a file as they arrive, and figures that are already in it are not measured again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from hyotan import AnomalyDetector

CHOSEN_BY = (12, 14, 18, 20, 24, 26, 28, 30, 32)
HELD_BACK = (2, 4, 6, 34, 38, 40, 42, 44, 46)
MOST_ROWS, FEWEST_ANOMALIES = 10_000, 100
PROTOCOLS = ("clean", "all")

Scorer = Callable[[np.ndarray], np.ndarray]
"""Rows to scores, (n,): higher is odder."""


def ours(X: np.ndarray, seed: int) -> Scorer:
    """The detector with its defaults."""
    detector = AnomalyDetector(random_state=seed).fit(X)
    return lambda rows: -detector.score_samples(rows)


def pca(X: np.ndarray, seed: int) -> Scorer:
    """Squared error of a PCA with as many components as the detector's codes have values."""
    fitted = PCA(max(1, min(16, X.shape[1] // 2, len(X) - 1)), random_state=seed).fit(X)
    return lambda rows: np.square(rows - fitted.inverse_transform(fitted.transform(rows))).sum(axis=1)


def nearest(X: np.ndarray, seed: int) -> Scorer:
    """Distance to the fifth neighbour; a row is not its own."""
    fitted = NearestNeighbors(n_neighbors=6).fit(X)

    def score(rows: np.ndarray) -> np.ndarray:
        distances = fitted.kneighbors(rows)[0]
        return np.where(distances[:, 0] == 0, distances[:, 5], distances[:, 4])

    return score


def forest(X: np.ndarray, seed: int) -> Scorer:
    """Isolation forest, scikit-learn's defaults."""
    fitted = IsolationForest(random_state=seed).fit(X)
    return lambda rows: -fitted.score_samples(rows)


def ecod(X: np.ndarray, seed: int) -> Scorer:
    """Tail probabilities of each column, added up (Li et al. 2022)."""
    columns = np.sort(X, axis=0)
    skew = np.sign((((X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-12)) ** 3).mean(axis=0))

    def score(rows: np.ndarray) -> np.ndarray:
        at_most = np.array([np.searchsorted(*pair, "right") for pair in zip(columns.T, rows.T, strict=True)]).T
        at_least = len(X) - np.array([np.searchsorted(*pair, "left") for pair in zip(columns.T, rows.T, strict=True)]).T
        left, right = (-np.log(np.maximum(count, 1) / len(X)) for count in (at_most, at_least))
        skewed = np.where(skew < 0, left, right)
        return np.max([left.sum(axis=1), right.sum(axis=1), skewed.sum(axis=1)], axis=0)

    return score


def pyod(module: str, name: str, **settings: Any) -> Callable[[np.ndarray, int], Scorer]:
    """A detector of PyOD with its defaults."""

    def fit(X: np.ndarray, seed: int) -> Scorer:
        own = {key: X.shape[1] if value == "n_features" else seed for key, value in settings.items()}
        fitted = getattr(importlib.import_module(f"pyod.models.{module}"), name)(**own).fit(X)
        return fitted.decision_function

    return fit


METHODS: dict[str, Callable[[np.ndarray, int], Scorer]] = {
    "hyotan": ours,
    "PCA error": pca,
    "k-NN": nearest,
    "isolation forest": forest,
    "ECOD": ecod,
    "PyOD PCA": pyod("pca", "PCA", random_state="seed"),
    "PyOD AutoEncoder": pyod("auto_encoder", "AutoEncoder", random_state="seed"),
    "PyOD VAE": pyod("vae", "VAE", random_state="seed"),
    "PyOD DeepSVDD": pyod("deep_svdd", "DeepSVDD", n_features="n_features", random_state="seed"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--sets", type=int, nargs="+", default=[*CHOSEN_BY, *HELD_BACK])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--protocol", nargs="+", default=list(PROTOCOLS), choices=PROTOCOLS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("anomalies.jsonl"), help="file with the figures")


def measure(arguments: argparse.Namespace) -> None:
    """Fit and score whatever is not measured yet; then print the tables."""
    known = figures(arguments.out)
    methods = [name for name in arguments.methods if not name.startswith("PyOD") or importlib.util.find_spec("pyod")]
    if missing := [name for name in arguments.methods if name not in methods]:
        print(f"PyOD is not installed: {', '.join(missing)} are left out.", flush=True)
    for seed in range(arguments.seeds):
        for number in arguments.sets:
            for protocol in arguments.protocol:
                for method in methods:
                    key = (number, protocol, method, seed)
                    if key not in known:
                        known[key] = measured(*key)
                        note(arguments.out, key, known[key])
    for protocol in arguments.protocol:
        for title, sets in (("chosen by", CHOSEN_BY), ("held back", HELD_BACK)):
            print_table(f"{protocol}, sets {title}", known, protocol, [s for s in sets if s in arguments.sets], methods)


def measured(number: int, protocol: str, method: str, seed: int) -> tuple[float, float]:
    """AUROC and average precision of one method on one set."""
    train, test, truth = parts(number, protocol, seed)
    started = time.monotonic()
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # PyOD prints each epoch
        warnings.simplefilter("ignore")
        scores = np.nan_to_num(METHODS[method](train, seed)(test))
    found = float(roc_auc_score(truth, scores)), float(average_precision_score(truth, scores))
    seconds = time.monotonic() - started
    print(
        f"{number} {protocol} {method} {seed}: {100 * found[0]:.1f} {100 * found[1]:.1f}, {seconds:.1f} s", flush=True
    )
    return found


def parts(number: int, protocol: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train on, rows to test, both standardised, and which of the latter are anomalies."""
    X, y = table(number)
    random = np.random.RandomState(seed)
    kept = some_rows(y, random)
    usual, odd = (random.permutation(kept[y[kept] == kind]) for kind in (0, 1))
    if protocol == "clean":
        half = len(usual) // 2
        train, test = usual[:half], np.concatenate([usual[half:], odd])
    else:
        train = test = random.permutation(kept)
    mean, deviation = X[train].mean(axis=0), X[train].std(axis=0)
    deviation = np.where(deviation > 1e-7 * np.maximum(1, np.abs(mean)), deviation, 1.0)
    return (X[train] - mean) / deviation, (X[test] - mean) / deviation, y[test]


def table(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A set by its number: (n, features) and (n,), 1 for an anomaly."""
    folder = Path(os.environ.get("HYOTAN_DATA", "")) / "adbench"
    found = sorted(folder.glob(f"{number}_*.npz"))
    if not found:
        raise SystemExit(f"There is no set {number} in {folder}: put ADBench's files there, or set HYOTAN_DATA.")
    with np.load(found[0]) as arrays:
        return arrays["X"].astype(np.float64), arrays["y"].astype(int)


def some_rows(y: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Which rows are used of a set, (m,)."""
    if len(y) <= MOST_ROWS:
        return np.arange(len(y))
    drawn = random.permutation(len(y))[:MOST_ROWS]
    if y[drawn].sum() >= FEWEST_ANOMALIES:
        return drawn
    odd, usual = np.flatnonzero(y == 1), drawn[y[drawn] == 0]
    return np.concatenate([odd[:FEWEST_ANOMALIES], usual])[:MOST_ROWS]


Key = tuple[int, str, str, int]


def figures(path: Path) -> dict[Key, tuple[float, float]]:
    """The figures that a file has."""
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(r["set"], r["protocol"], r["method"], r["seed"]): (r["auroc"], r["precision"]) for r in rows}


def note(path: Path, key: Key, found: tuple[float, float]) -> None:
    """Append a figure."""
    names = ("set", "protocol", "method", "seed", "auroc", "precision")
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dict(zip(names, (*key, *found), strict=True))) + "\n")


def print_table(
    title: str, known: dict[Key, tuple[float, float]], protocol: str, sets: list[int], methods: list[str]
) -> None:
    """Mean over seeds for each set and method, and the mean over sets, in Markdown."""
    if not sets:
        return
    print(f"\n{title}: AUROC in %, mean over seeds; AP is average precision\n")
    print(f"| | mean | AP | {' | '.join(map(str, sets))} |\n|{'---|' * (len(sets) + 3)}")
    for method in methods:
        each = [[known[k] for k in known if k[:3] == (number, protocol, method)] for number in sets]
        if not all(each):
            continue
        means = 100 * np.array([np.mean(values, axis=0) for values in each])
        line = " | ".join(f"{value:.1f}" for value in means[:, 0])
        print(f"| {method} | {means[:, 0].mean():.1f} | {means[:, 1].mean():.1f} | {line} |")
