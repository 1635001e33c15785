"""The Wasserstein autoencoder: deterministic codes whose distribution over all rows is held near N(0, I)."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.models.autoencoder import AutoencoderModel
from hyotan.models.ordered import Cuts
from hyotan.training import draws
from hyotan.training.objective import Labels, Progress, Terms
from hyotan.training.stacking import stackable

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""The kernel is a sum over these multiples of its width, as in the authors' program: no single width suits codes both
far from the prior and near it."""


def mmd_by_row(codes: Float[Tensor, "... n latent"], prior: Float[Tensor, "... n latent"]) -> Float[Tensor, "... n"]:
    """Each row's part of the squared MMD between codes and draws from N(0, I); the mean over the rows is the estimator.

    The unbiased U-statistic of Tolstikhin et al. 2018, algorithm 2: a row meets every row but itself, so that single
    estimates may be negative. The kernel is the inverse multiquadratic one, ``C / (C + |a - b|²)`` with C = 2 * latent
    times each of :data:`SCALES`, summed. Zero for a single row, which has no other to meet.
    """
    n = codes.shape[-2]
    if n == 1:
        return codes.sum(-1) * 0
    of_codes, between = _kernel(codes, torch.cat([codes, prior], dim=-2)).split(n, dim=-1)
    within = (_others(of_codes) + _others(_kernel(prior, prior))) / (n - 1)
    return within - 2 * between.mean(-1)


def _others(kernel: Tensor) -> Tensor:
    """Sums over each row's pairs with the others, (..., n)."""
    return kernel.sum(-1) - kernel.diagonal(dim1=-2, dim2=-1)


def _kernel(a: Float[Tensor, "... n latent"], b: Float[Tensor, "... m latent"]) -> Float[Tensor, "... n m"]:
    with torch.autocast(a.device.type, enabled=False):  # bfloat16 would lose small distances between large codes
        product = a @ b.mT
    squares = a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :]
    distance = (squares - 2 * product).clamp_min(0)
    kernel = torch.zeros_like(distance)
    for width in (2 * a.shape[-1] * scale for scale in SCALES):
        kernel = kernel + width / (width + distance)
    return kernel


@stackable
class WAEModel(AutoencoderModel):
    """An autoencoder with a penalty on how far the codes of a batch are from N(0, I): WAE-MMD (Tolstikhin et al. 2018).

    Parameters
    ----------
    encoder, decoder, likelihood, cuts : as for :class:`AutoencoderModel`.
    latent_dim : size of the code; models of a stack have one size, for the kernel's width depends on it.
    mmd_weight : weight of the MMD, in nats.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent_dim: int,
        mmd_weight: float,
        cuts: Cuts | None = None,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, cuts=cuts)
        self.latent_dim, self.mmd_weight = latent_dim, mmd_weight

    def objective(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """The autoencoder's loss plus the weighted MMD, in nats.

        The MMD says something of a batch, not of a row. Each row's loss holds its own part of the estimator
        (:func:`mmd_by_row`), so that the mean over the batch, which is what training minimises, is the reconstruction
        plus the weight times the U-statistic; the part of one row changes with its batch.
        """
        terms = super().objective(x, progress, labels)
        codes = terms.code.unflatten(0, (self.stack_size, -1))
        prior = draws.code_noise(terms.code).view_as(codes)
        return replace(terms, loss=terms.loss + self.mmd_weight * mmd_by_row(codes, prior).flatten())
