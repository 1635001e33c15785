"""Imputation of missing values on six tables and on MNIST, compared with scikit-learn's imputers.

Three tenths of the values are removed independently at random; tables are standardised before, images are in [0, 1].
The six tables are the first ones by number in ADBench, and were not used to choose anything: ``--development`` measures
the others, which were. Every imputer is fitted on the rows that it then fills. On MNIST, all of them get the same rows,
drawn from the training images.

For intervals, the share that contains the removed value is printed; the nominal coverage is 90 %.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hyotan import VAEImputer
from hyotan.data import load

SETS = ("2_annthyroid", "4_breastw", "6_cardio", "12_fault", "14_glass", "18_Ionosphere")
OTHERS = ("20_letter", "28_pendigits", "30_satellite", "38_thyroid", "40_vowels", "42_WBC", "44_Wilt", "46_WPBC")
MNIST = "mnist"
REMOVED, LEVEL = 0.3, 0.9
NEAREST = 50
"""Columns that the iterative imputer looks at for each column of MNIST, the most correlated ones."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--seeds", type=int, default=3, help="draws of missing values per table")
    parser.add_argument("--rows", type=int, default=2000, help="rows of MNIST")
    parser.add_argument("--development", action="store_true", help="use the tables that settings were chosen on")
    parser.add_argument("--sets", nargs="+", help="tables by name, and mnist")
    parser.add_argument("--skip", nargs="*", default=[], help="imputers to skip")


def measure(arguments: argparse.Namespace) -> None:
    """Remove, fill, compare."""
    results: list[dict[str, float]] = []
    for name in arguments.sets or (OTHERS if arguments.development else (*SETS, MNIST)):
        is_table = name != MNIST
        whole, nearest = (read_table(name), None) if is_table else (read_mnist(arguments.rows), NEAREST)
        seeds = range(arguments.seeds if is_table else 1)
        results.append(averaged(name, [compared(name, whole, seed, arguments.skip, nearest) for seed in seeds]))
    averaged("mean over sets", results)


def read_table(name: str) -> np.ndarray:
    """A table of ADBench, standardised, without its constant columns."""
    path = Path(os.environ["HYOTAN_DATA"]) / "adbench" / f"{name}.npz"
    with np.load(path, allow_pickle=False) as archive:
        X = archive["X"].astype(np.float64)
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def read_mnist(rows: int) -> np.ndarray:
    """So many training images, drawn at random, (rows, 784), in [0, 1]."""
    X = np.asarray(load("mnist").X)
    chosen = np.random.default_rng(0).choice(len(X), rows, replace=False)
    return X[chosen].reshape(rows, -1) / 255


def baselines(nearest: int | None) -> Mapping[str, Callable[[], Any]]:
    """scikit-learn's imputers with their own defaults, but for what is said here."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    return {
        "mean": lambda: SimpleImputer(keep_empty_features=True),
        "knn": lambda: KNNImputer(keep_empty_features=True),
        "iterative": lambda: IterativeImputer(n_nearest_features=nearest, random_state=0, keep_empty_features=True),
    }


def compared(name: str, whole: np.ndarray, seed: int, skip: list[str], nearest: int | None = None) -> dict[str, float]:
    """Root mean squared errors on the values removed, by imputer, and the share of them inside their intervals.

    Parameters
    ----------
    name, whole : the set, (n, columns).
    seed : of what is removed, and of our model.
    skip : imputers to skip.
    nearest : columns that the iterative imputer looks at; None for all.
    """
    missing = np.random.default_rng(seed).random(whole.shape) < REMOVED
    missing[0] &= ~missing.all(axis=0)  # of each column something is left
    X = np.where(missing, np.nan, whole)
    found: dict[str, float] = {}
    for imputer, make in baselines(nearest).items():
        if imputer not in skip:
            found[imputer] = rmse(make().fit_transform(X), whole, missing)
    started = time.monotonic()
    own = VAEImputer(random_state=seed).fit(X)
    found["hyotan"] = rmse(own.transform(X), whole, missing)
    low, high = own.estimator_.impute_intervals(X, LEVEL)
    found["inside"] = float(((low <= whole) & (whole <= high))[missing].mean())
    found["seconds"] = time.monotonic() - started
    print(f"  {name}, seed {seed}: " + line(found), flush=True)
    return found


def rmse(filled: np.ndarray, whole: np.ndarray, missing: np.ndarray) -> float:
    """Root mean squared error over the values that were removed."""
    return float(np.sqrt(np.mean((filled - whole)[missing] ** 2)))


def averaged(name: str, found: list[dict[str, float]]) -> dict[str, float]:
    """Means over measurements, printed."""
    means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    print(f"{name}: {line(means)}", flush=True)
    return means


def line(found: Mapping[str, float]) -> str:
    """Figures by name, in one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in found.items())
