"""How well codes of MNIST's test rows preserve neighbours and labels: autoencoders, VAEs, PCA, and UMAP if installed.

Trustworthiness and continuity use the 5 nearest neighbours among the test rows; accuracy uses the 5 nearest codes of
training rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hyotan import VAE, Autoencoder
from hyotan.analysis.embedding import embedding_quality
from hyotan.data import load
from hyotan.metrics import fit_pca, knn_accuracy

from .compression import kept_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 8, 16, 32])
    parser.add_argument("--models", nargs="+", default=list(CODES), choices=list(CODES))
    parser.add_argument("--rows", type=int, default=10_000, help="test rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--umap-rows", type=int, default=60_000, help="training rows for UMAP")
    parser.add_argument("--kept", type=Path, help="folder of models: existing ones are reused, new ones are saved")


Codes = tuple[np.ndarray, np.ndarray]
"""Of training rows and of test rows."""


def of_autoencoder(size: int, train: np.ndarray, test: np.ndarray, arguments: argparse.Namespace) -> Codes:
    """Of an autoencoder with its defaults."""
    estimator = kept_model(Autoencoder, size, train, arguments.kept, arguments)
    return estimator.transform(train), estimator.transform(test)


def of_vae(size: int, train: np.ndarray, test: np.ndarray, arguments: argparse.Namespace) -> Codes:
    """Of a VAE with its defaults."""
    estimator = kept_model(VAE, size, train, arguments.kept, arguments)
    return estimator.transform(train), estimator.transform(test)


def of_pca(size: int, train: np.ndarray, test: np.ndarray, arguments: argparse.Namespace) -> Codes:
    """Of PCA of the pixels."""
    pca = fit_pca(_flat(train), size)
    return pca.transform(_flat(train)), pca.transform(_flat(test))


def of_umap(size: int, train: np.ndarray, test: np.ndarray, arguments: argparse.Namespace) -> Codes:
    """Of UMAP of the pixels, with its defaults; for two dimensions alone."""
    from umap import UMAP  # pyrefly: ignore[missing-import]

    fitted = UMAP(size, random_state=arguments.seed).fit(_flat(train[: arguments.umap_rows]))
    return np.asarray(fitted.embedding_), np.asarray(fitted.transform(_flat(test)))


CODES: dict[str, Callable[..., Codes]] = {"ae": of_autoencoder, "vae": of_vae, "pca": of_pca, "umap": of_umap}


def measure(arguments: argparse.Namespace) -> None:
    """Fit, encode, compare."""
    data = load("mnist")
    train, test = np.asarray(data.X), np.asarray(data.X_test)[: arguments.rows]
    y, y_test = np.asarray(data.y), np.asarray(data.y_test)[: arguments.rows]
    print("| model | size | trustworthiness | continuity | 5-NN accuracy |\n|---|--:|--:|--:|--:|")
    for size in arguments.sizes:
        for name in arguments.models:
            if name == "umap" and size != 2:
                continue
            try:
                codes, test_codes = CODES[name](size, train, test, arguments)
            except ImportError:
                print("| umap | – | not installed | | |")
                continue
            found = embedding_quality(_flat(test), test_codes)
            accuracy = knn_accuracy(codes, y[: len(codes)], test_codes, y_test)
            kept = f"{found.trustworthiness:.4f} | {found.continuity:.4f}"
            print(f"| {name} | {size} | {kept} | {accuracy:.4f} |", flush=True)


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1).astype(np.float32) / 255
