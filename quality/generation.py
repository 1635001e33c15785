"""How similar new images are to MNIST's test images: autoencoder and VAE, codes from the prior and from the fitted
density.

The Fréchet distance is computed in the features of a small convolutional classifier that this measurement trains on the
training images. Its figures can be compared with each other, but not with published ones. An autoencoder has no prior;
a Gaussian with the mean and covariance of its codes is used instead. With --development, the classifier and the models
are trained on 50,000 training images, and another 10,000 replace the test images: use it to choose settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyotan import CVAE, VAE, Autoencoder
from hyotan.data import load
from hyotan.estimators.estimator import LatentEstimator
from hyotan.metrics import frechet_distance
from hyotan.sampling.code_sampler import SAMPLERS

FEATURES, HELD_OUT, BATCH = 64, 10_000, 256
MODELS: dict[str, type[LatentEstimator]] = {"autoencoder": Autoencoder, "vae": VAE, "cvae": CVAE}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--models", nargs="+", default=["autoencoder", "vae"], choices=MODELS)
    parser.add_argument("--size", type=int, default=16, help="latent size")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--classifier-epochs", type=int, default=3)
    parser.add_argument("--development", action="store_true", help="evaluate on held-out training images")


class Classifier(nn.Module):
    """Two convolutions, a layer of 64 features, and the ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, FEATURES),
            nn.ReLU(),
        )
        self.digits = nn.Linear(FEATURES, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images in [0, 1], (batch, 28, 28), to logits, (batch, 10)."""
        return self.digits(self.features_of(x))

    def features_of(self, x: Tensor) -> Tensor:
        """What the digits are told by, (batch, 64)."""
        return self.features(x[:, None])


def trained(X: np.ndarray, y: np.ndarray, epochs: int) -> Classifier:
    """A classifier of images in [0, 1], (n, 28, 28)."""
    torch.manual_seed(0)
    classifier, images, labels = Classifier(), torch.from_numpy(X), torch.from_numpy(y.astype(np.int64))
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(classifier(images[rows]), labels[rows]).backward()
            optimizer.step()
    return classifier.eval()


def batched(function: Callable[[Tensor], Tensor], X: np.ndarray) -> np.ndarray:
    """A function of images in [0, 1], (n, 28, 28), applied a part at a time."""
    with torch.no_grad():
        return np.concatenate([function(part).numpy() for part in torch.from_numpy(X).split(1000)])


def measure(arguments: argparse.Namespace) -> None:
    """Train the classifier, then the models; print each figure and the means."""
    data = load("mnist")
    X, y = np.asarray(data.X), np.asarray(data.y)
    others, labels = np.asarray(data.X_test), np.asarray(data.y_test)
    if arguments.development:
        (X, others), (y, labels) = np.split(X, [-HELD_OUT]), np.split(y, [-HELD_OUT])
    unit, others = (part.astype(np.float32) / 255 for part in (X, others))
    classifier = trained(unit, y, arguments.classifier_epochs)
    accuracy = float(np.mean(batched(classifier, others).argmax(axis=1) == labels))
    features = batched(classifier.features_of, others)
    floor = frechet_distance(batched(classifier.features_of, unit[: len(others)]), features)
    print(f"classifier: accuracy {accuracy:.4f}; training images: distance {floor:.2f}", flush=True)
    found: dict[tuple[str, str], list[float]] = {}
    for seed in arguments.seeds:
        for name in arguments.models:
            settings: dict[str, Any] = {"precision": arguments.precision, "random_state": seed}
            model = MODELS[name](arguments.size, **settings).fit(X, y)
            for sampler in SAMPLERS:
                samples = model.sample(len(others), random_state=seed, sampler=sampler) / 255
                distance = frechet_distance(batched(classifier.features_of, samples), features)
                found.setdefault((name, sampler), []).append(distance)
                print(f"seed {seed}, {name}, {sampler}: {distance:.2f}", flush=True)
    for (name, sampler), distances in found.items():
        ends = f"{min(distances):.2f} to {max(distances):.2f}"
        print(f"== {name}, {sampler}: {np.mean(distances):.2f} ({ends}, {len(distances)} seeds)", flush=True)
