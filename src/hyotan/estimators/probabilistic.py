"""What the estimators share that are models of p(x): draws of codes, and estimates of the likelihood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state  # pyrefly: ignore[missing-module-attribute]
from torch import Tensor

from hyotan.estimators.inputs import check_count
from hyotan.models.inference import Inference, padded_batches, rows_at_once
from hyotan.models.losses import iwae_bound
from hyotan.preprocessing.encoded import EncodedRows

SCORE_SAMPLES = 64
"""Latent samples of ``score_samples``."""

VALUES_AT_ONCE = 1_000_000
"""Decoded values held at once when likelihoods are estimated: 4 MB in fp32, which stay in the cache."""

Draw = Callable[[int, int], Tensor]
"""From a number of samples and of rows to standard normal noise, (samples, rows or 1, noise)."""


def posterior_draws(mean: np.ndarray, deviation: np.ndarray, n_samples: Any, random_state: Any) -> np.ndarray:
    """Codes drawn from posteriors, (n_samples, n, latent), float32, of their means and deviations, (n, latent) each."""
    shape = (check_count("n_samples", n_samples), *mean.shape)
    noise = check_random_state(random_state).standard_normal(shape)
    return (mean + deviation * noise).astype(np.float32)


def same_draws(inference: Inference, noise: int, n_samples: int) -> Draw:
    """The same draws for every row, so that a row's score depends on that row alone."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(n_samples, 1, noise, generator=generator).to(inference.device)
    return lambda count, rows: drawn.expand(-1, rows, -1)


def own_draws(inference: Inference, noise: int, seed: int) -> Draw:
    """Draws of its own for each row, so that means over rows have a smaller error."""
    generator = torch.Generator(device=inference.device).manual_seed(seed)
    return lambda count, rows: torch.randn(count, rows, noise, generator=generator, device=inference.device)


def log_likelihood(inference: Inference, rows: EncodedRows, draw: Draw, n_samples: Any) -> np.ndarray:
    """Estimate log p(x) by importance sampling (Burda et al. 2016), (n,), in blocks that bound the memory."""
    model: Any = inference.model
    n_samples = check_count("n_samples", n_samples)
    features = int(np.prod(rows.shape[1:]))
    size = rows_at_once((features, n_samples), VALUES_AT_ONCE)
    per_pass = max(1, VALUES_AT_ONCE // (features * size))
    parts = []
    with torch.no_grad():
        for batch, n in padded_batches(rows, size):
            x = batch.to(inference.device)
            weights = [model.log_weights(x, part) for part in draw(n_samples, len(x)).split(per_pass)]
            # Each row's weights lie side by side: sums down a column add up in an order that the width decides.
            by_row = torch.cat(weights).t().contiguous()
            parts.append(iwae_bound(by_row.t())[:n].cpu().numpy())
    return np.concatenate(parts)
