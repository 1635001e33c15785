"""Label error of a CVAE on the MNIST test rows, with few labels and all 60,000 training rows.

Labels are drawn in equal numbers per class. The baselines are the article's CVAE (a missing label is a zero embedding,
and classes are predicted by Bayes' rule) and a network of the encoder's size trained on the labelled rows only.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from hyotan import CVAE
from hyotan.data import load

ARTICLE = {
    "hidden_dims": (128,),
    "activation": "tanh",
    "initialisation": "xavier",
    "label_dim": 128,
    "unlabelled_rows": "zero",
    "n_samples": 5,
    "beta": 0.1,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "weight_decay": 0.0,
    "batch_size": 100,
    "validation_fraction": 0.0,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 1000, 3000])
    parser.add_argument(
        "--draws", type=int, nargs="+", default=[5, 2, 2], help="draws of labels, for each number of labels"
    )
    parser.add_argument("--models", nargs="+", default=["cvae", "article", "supervised"], choices=MODELS)
    parser.add_argument("--article-epochs", type=int, default=30)


def drawn(y: np.ndarray, labels: int, seed: int) -> np.ndarray:
    """The labels, (n,), all but so many of them hidden as -1, as many shown of each class."""
    random, shown = np.random.default_rng(seed), np.full(len(y), -1)
    for kind in np.unique(y):
        rows = random.choice(np.flatnonzero(y == kind), labels // len(np.unique(y)), replace=False)
        shown[rows] = kind
    return shown


Predictor = Callable[[np.ndarray], np.ndarray]


def ours(X: np.ndarray, y: np.ndarray, seed: int, arguments: argparse.Namespace) -> Predictor:
    """The CVAE with its defaults."""
    return CVAE(random_state=seed, precision=arguments.precision).fit(X, y).predict


def article(X: np.ndarray, y: np.ndarray, seed: int, arguments: argparse.Namespace) -> Predictor:
    """The article's CVAE."""
    own = {"max_epochs": arguments.article_epochs, "precision": arguments.precision}
    return CVAE(16, **ARTICLE, **own, random_state=seed).fit(X, y).predict


def supervised(X: np.ndarray, y: np.ndarray, seed: int, arguments: argparse.Namespace) -> Predictor:
    """A network of the encoder's hidden layers, from the labelled rows alone."""
    flat = X.reshape(len(X), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network = MLPClassifier((512, 256), max_iter=100, random_state=seed).fit(flat[y >= 0], y[y >= 0])
    return lambda rows: network.predict(rows.reshape(len(rows), -1))


MODELS: dict[str, Callable[..., Predictor]] = {"cvae": ours, "article": article, "supervised": supervised}


def measure(arguments: argparse.Namespace) -> None:
    """Fit and predict."""
    data = load("mnist")
    X, X_test = data.X.astype(np.float32) / 255, np.asarray(data.X_test, dtype=np.float32) / 255
    for labels, draws in zip(arguments.labels, arguments.draws, strict=True):
        for name in arguments.models:
            errors = []
            for seed in range(draws):
                started = time.monotonic()
                predict = MODELS[name](X, drawn(data.y, labels, seed), seed, arguments)
                errors.append(100 * float(np.mean(predict(X_test) != data.y_test)))
                print(
                    f"{labels} labels, {name}, draw {seed}: {errors[-1]:.2f} %, {time.monotonic() - started:.0f} s",
                    flush=True,
                )
            spread = f" ± {np.std(errors, ddof=1):.2f}" if draws > 1 else ""
            print(f"== {labels} labels, {name}: {np.mean(errors):.2f}{spread} % (mean of {draws} draws)", flush=True)
