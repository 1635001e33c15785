"""How much noise a denoising autoencoder takes away: before, after, and beside the best affine map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyotan import metrics
from hyotan.data.stored import Array
from hyotan.estimators import Autoencoder
from hyotan.estimators.estimator import LatentEstimator
from hyotan.models.noise import Level

AFFINE_FEATURES = 1024
"""Values a row above which no affine map is fitted: it has as many weights as their square."""

AFFINE_ROWS = 4096
"""Rows whose products are added at a time while it is fitted."""

PENALTY = 1.0
"""On its squared weights, against the sum over the rows: a feature that noise has blotted out has no variance."""

Cleans = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Denoising:
    """What became of rows to which noise was added, compared with the clean ones.

    Attributes
    ----------
    level : of the noise, in the model's range or as a share of the values; of a range each row drew its own.
    mse_noisy, mse_denoised : mean squared error a feature, in the model's range; lower is better.
    mse_affine : that of the best affine map from noisy rows to clean ones, fitted on training rows; None without them,
        or for rows of more than 1,024 values.
    affine_difference_error : standard error of the difference from that map, row by row.
    psnr_noisy, psnr, psnr_affine : mean over the images in dB, higher is better; None for a table.
    ssim_noisy, ssim : mean over the images, 1 is perfect; None for a table.
    """

    level: Level
    mse_noisy: float
    mse_denoised: float
    mse_affine: float | None
    affine_difference_error: float | None
    psnr_noisy: float | None
    psnr: float | None
    psnr_affine: float | None
    ssim_noisy: float | None
    ssim: float | None


def measure(
    estimator: Any,
    X: np.ndarray,
    train: np.ndarray | None = None,
    level: Level | None = None,
    random_state: int = 0,
) -> Denoising | None:
    """Add noise to clean rows and see what the model makes of them; None for a model that was trained without noise.

    Parameters
    ----------
    estimator : fitted.
    X : (n, *features), clean rows that it has not seen, in the data's own units.
    train : (m, *features), clean rows that it was trained on, for the affine map; None leaves it out.
    level : of the noise; that of training where it is not given.
    random_state : seed of the noise.
    """
    if not hasattr(estimator, "denoise"):
        return None
    level = level_of(estimator, level)
    affine = None
    if train is not None and estimator.n_features_in_ <= AFFINE_FEATURES:
        affine = affine_map(estimator, train, level, random_state + 1)
    corrupted = estimator.corrupt(X, level, random_state)
    return compare(estimator, X, corrupted, estimator.denoise(corrupted), level, affine)


def level_of(estimator: Any, level: Level | None = None) -> Level:
    """The level given, or else that of the model's training."""
    return estimator.trained_noise.level if level is None else level


def compare(
    estimator: Autoencoder,
    X: Array,
    noisy: np.ndarray,
    denoised: np.ndarray,
    level: Level,
    affine: Cleans | None = None,
) -> Denoising:
    """Noisy and denoised rows beside the clean ones, (n, *features) each, in the data's own units.

    Parameters
    ----------
    estimator : whose scaling is used.
    X, noisy, denoised : the rows.
    level : of the noise, for the record.
    affine : see :func:`affine_map`.
    """
    to_model, span, is_image = estimator.preprocessor_.to_model, span_of(estimator), estimator.preprocessor_.is_image
    clean, before, after = estimator.in_range(X), to_model(noisy), to_model(denoised)
    mapped = None if affine is None else affine(before)
    errors = metrics.row_errors(after, clean)
    by_map = None if mapped is None else metrics.row_errors(mapped, clean)
    return Denoising(
        level=level,
        mse_noisy=metrics.mse(before, clean),
        mse_denoised=float(errors.mean()),
        mse_affine=None if by_map is None else float(by_map.mean()),
        affine_difference_error=None if by_map is None else metrics.standard_error(errors - by_map),
        psnr_noisy=metrics.mean_psnr(before, clean, span) if is_image else None,
        psnr=metrics.mean_psnr(after, clean, span) if is_image else None,
        psnr_affine=metrics.mean_psnr(mapped, clean, span) if is_image and mapped is not None else None,
        ssim_noisy=float(metrics.ssim(before, clean, span).mean()) if is_image else None,
        ssim=float(metrics.ssim(after, clean, span).mean()) if is_image else None,
    )


def span_of(estimator: LatentEstimator) -> float:
    """From the least to the greatest value that there can be in the model's range: PSNR's peak."""
    low, high = (0.0, 1.0) if estimator.preprocessor_.is_bounded else estimator.range_
    return high - low or 1.0


def affine_map(estimator: Autoencoder, train: np.ndarray, level: Level, random_state: int) -> Cleans:
    """The best affine map from noisy rows to clean ones, in the model's range: ridge regression on pairs.

    Parameters
    ----------
    estimator : whose noise and range it is.
    train : (m, *features), clean rows in the data's own units.
    level, random_state : of the noise.
    """
    from scipy.linalg import solve

    size, (low, high) = estimator.n_features_in_, estimator.range_
    inner, cross = np.zeros((size + 1, size + 1)), np.zeros((size + 1, size))
    for start in range(0, len(train), AFFINE_ROWS):
        some = train[start : start + AFFINE_ROWS]
        noisy = _with_ones(estimator.preprocessor_.to_model(estimator.corrupt(some, level, random_state + start)))
        inner += noisy.T @ noisy
        cross += noisy.T @ estimator.in_range(some).reshape(len(some), -1)
    inner[np.diag_indices(size)] += PENALTY  # not on the constant
    weights = solve(inner, cross, assume_a="pos").astype(np.float32)
    return lambda rows: (_with_ones(rows) @ weights).clip(low, high).reshape(rows.shape)


def _with_ones(rows: np.ndarray) -> np.ndarray:
    """Rows, (n, *features), as (n, features + 1), the last value 1."""
    return np.concatenate([rows.reshape(len(rows), -1), np.ones((len(rows), 1), rows.dtype)], axis=1)
