"""Rate and distortion of the codes of default autoencoders on the MNIST test rows, compared with PCA.

Codes are quantised and entropy-coded as in ``hyotan compress``. Our figures count the bytes of the entropy coder, with
and without the rest of the file. PCA uses the best numbers of components and quantisation steps, clipped to [0, 1], and
is charged only the entropy of its integers. Lossless formats are measured too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from hyotan import Autoencoder, load
from hyotan.compression.codec import Compressor
from hyotan.compression.rate_distortion import bits_at, lossless_bits, mse_at, pca_rates
from hyotan.data import load as load_data
from hyotan.estimators.estimator import LatentEstimator
from hyotan.figures import RatesDisplay
from hyotan.models.families import FAMILIES

SHORT = {family.kind: family.name for family in FAMILIES}
"""How files of kept models are called."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32], help="latent sizes")
    parser.add_argument(
        "--bits", type=float, nargs="+", default=[1.5, 2, 2.5, 3, 4, 5, 6], help="bits per value of the code"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, help="folder of models: existing ones are reused, new ones are saved")
    parser.add_argument("--figure", type=Path, help="file for a plot of the curves")


def measure(arguments: argparse.Namespace) -> None:
    """Fit, compress, compare."""
    data = load_data("mnist")
    train, X = np.asarray(data.X), np.asarray(data.X_test)
    pca = pca_rates(train.astype(np.float32) / 255, X.astype(np.float32) / 255, bounded=True, most=100)
    curves = {"pca": [(rate.bits, rate.mse) for rate in pca]}
    best = 0.0
    for size in arguments.sizes:
        estimator = kept_model(Autoencoder, size, train, arguments.kept, arguments)
        compressor = Compressor(estimator, X)
        print(f"size {size}: without a grid {compressor.own_error:.5f}", flush=True)
        pairs = []
        for bits in arguments.bits:
            found = compressor.at_rate(bits)
            mse, whole = found.description.mse, 8 * len(found.to_bytes()) / len(X)
            same, beside = bits_at(pca, mse), mse_at(pca, found.bits)
            ratio = 0.0 if same is None else same / found.bits
            best = max(best, ratio)
            pairs.append((found.bits, mse))
            print(
                f"size {size}, {bits:g} bits a value: {found.bits:.1f} bits a row ({whole:.1f} with the rest of the "
                f"file), MSE {mse:.5f}; PCA with as many bits {beside or float('nan'):.5f}, "
                f"with that error {same or float('nan'):.1f} bits, {ratio:.2f} x",
                flush=True,
            )
        curves[f"AE {size}"] = pairs
    lossless = lossless_bits(X)
    print("files that lose nothing: " + ", ".join(f"{name} {bits:.0f}" for name, bits in lossless.items()))
    print(f"== PCA needs up to {best:.2f} x the bits for the same error")
    if arguments.figure is not None:
        RatesDisplay.from_rates(curves, {"PNG": lossless["PNG"]}).save(arguments.figure)


def kept_model(
    family: type[LatentEstimator], size: int, train: np.ndarray, folder: Path | None, arguments: argparse.Namespace
) -> LatentEstimator:
    """An estimator with its defaults, from the folder where it lies there."""
    path = None if folder is None else folder / f"{SHORT[family.kind]}{size}.hyotan"
    if path is not None and path.is_file():
        return load(path)
    estimator = family(latent_dim=size, precision=arguments.precision, random_state=arguments.seed).fit(train)
    if path is not None:
        estimator.save(path)
    return estimator
