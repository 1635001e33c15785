"""Denoising autoencoders on noisy MNIST, one per noise level and one for all levels, compared with the best affine map.

The noise is Gaussian, clipped to [0, 1]; PSNR and SSIM are means over the test images. A tenth of the training rows is
held out for validation, and the test images are used only for the measurement.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from hyotan import DenoisingAutoencoder
from hyotan.analysis import noise_removal
from hyotan.data import load

BLIND = (0.1, 0.6)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--levels", type=float, nargs="+", default=[0.25, 0.5])
    parser.add_argument("--blind", type=float, nargs=2, default=BLIND, help="range of noise levels of the single model")
    parser.add_argument("--seed", type=int, default=0)


def told(model: DenoisingAutoencoder, level: float, X_test: np.ndarray, train: np.ndarray | None) -> str:
    """Before and after at one level; training rows are for the affine map."""
    found = noise_removal.measure(model, X_test, train, level)
    if found is None or found.psnr is None:
        raise ValueError("MNIST holds images, and the model was trained on noise.")
    affine = "" if found.psnr_affine is None else f", affine map {found.psnr_affine:.2f}"
    return (
        f"PSNR {found.psnr_noisy:.2f} dB noisy{affine}, denoised {found.psnr:.2f}; "
        f"SSIM {found.ssim_noisy:.3f} noisy, {found.ssim:.3f} denoised"
    )


def measure(arguments: argparse.Namespace) -> None:
    """Fit and measure: a model for each level, then one for all."""
    data = load("mnist")
    X, X_test = np.asarray(data.X), np.asarray(data.X_test)
    for level in (*arguments.levels, tuple(arguments.blind)):
        started = time.monotonic()
        how = {"precision": arguments.precision, "random_state": arguments.seed}
        model = DenoisingAutoencoder(noise_level=level, **how).fit(X)
        spent = time.monotonic() - started
        for met in arguments.levels if isinstance(level, tuple) else (level,):
            train = None if isinstance(level, tuple) else X
            print(f"trained on {level}, met {met}: {told(model, met, X_test, train)} ({spent:.0f} s)", flush=True)
