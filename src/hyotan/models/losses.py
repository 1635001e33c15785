r"""The terms of the objectives, per sample and in nats; averaging belongs to the caller.

``loss = reconstruction + beta * KL``: the reconstruction is summed over the features, the KL over the latents, so that
both weigh what the papers say and beta is a pure number.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, Independent

from hyotan.training.objective import Progress
from hyotan.training.stacking import stackable


def kl_per_dimension(posterior: Independent) -> Float[Tensor, "batch latent"]:
    """KL(q(z|x) || N(0, 1)) of each latent dimension, in nats.  Kingma & Welling 2014, appendix B."""
    mean, deviation = posterior.base_dist.loc, posterior.base_dist.scale
    return 0.5 * (mean.square() + deviation.square() - 1) - deviation.log()


def free_bits(kl: Float[Tensor, "batch latent"], floor: float) -> Float[Tensor, "batch latent"]:
    r"""KL whose mean over the batch is max(floor, mean KL) in each dimension.  Kingma et al. 2016, eq. 15.

    Dimensions below the floor cost the floor and pass no gradient.
    """
    if floor == 0:
        return kl
    return torch.where(kl.mean(0) > floor, kl, floor)


def negative_elbo(
    reconstruction: Float[Tensor, " batch"], kl: Float[Tensor, "batch latent"], beta: float
) -> Float[Tensor, " batch"]:
    """-(E[log p(x|z)] - beta KL).  Kingma & Welling 2014, eq. 3; beta: Higgins et al. 2017, eq. 4."""
    return reconstruction + beta * kl.sum(-1)


def log_weights(
    log_likelihood: Float[Tensor, "samples batch"],
    z: Float[Tensor, "samples batch latent"],
    posterior: Distribution,
    prior: Distribution,
) -> Float[Tensor, "samples batch"]:
    """log p(x|z) + log p(z) - log q(z|x) for each latent sample."""
    return log_likelihood + prior.log_prob(z) - posterior.log_prob(z)


def iwae_bound(log_w: Float[Tensor, "samples batch"]) -> Float[Tensor, " batch"]:
    """log of the mean importance weight.  Burda et al. 2016, eq. 8; with many samples, log p(x) itself."""
    return log_w.logsumexp(0) - math.log(len(log_w))


def warmed_beta(beta: float, warmup: float, progress: Progress | None) -> float:
    """Beta rising in a straight line over ``warmup`` epochs; its final value where no progress is given."""
    if progress is None or warmup <= 0:
        return beta
    return beta * min(1.0, progress.epoch / warmup)


@stackable
def sparse_penalty(encode: Callable[[Tensor], Tensor], x: Tensor, code: Tensor) -> Float[Tensor, " batch"]:
    """L1 norm of the code, (batch,)."""
    return code.abs().sum(-1)


def contractive_penalty(encode: Callable[[Tensor], Tensor], x: Tensor, code: Tensor) -> Float[Tensor, " batch"]:
    """Squared Frobenius norm of the encoder's Jacobian at x, (batch,).  Rifai et al. 2011, eq. 1.

    Exact, for any encoder that treats its rows alone: one backward pass for each latent dimension.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        z = encode(x)
        rows = [torch.autograd.grad(z[:, j].sum(), x, create_graph=True)[0] for j in range(z.shape[1])]
        return torch.stack([row.flatten(1).square().sum(1) for row in rows]).sum(0)


def virtual_adversarial(
    logits_of: Callable[[Tensor], Tensor], x: Tensor, logits: Float[Tensor, "batch classes"], radius: float
) -> Float[Tensor, " batch"]:
    """How much class probabilities change at most within ``radius`` of x, KL in nats.  Miyato et al. 2018, eq. 5 to 8.

    The worst direction is found by one step of power iteration from a random one.

    Parameters
    ----------
    logits_of : (batch, *features) to (batch, classes).
    x : (batch, *features)
    logits : at x.
    radius : Euclidean, in the range of x.
    """
    here = logits.detach().log_softmax(-1)

    def divergence(rows: Tensor) -> Tensor:
        return (here.exp() * (here - logits_of(rows).float().log_softmax(-1))).sum(-1)

    with torch.enable_grad():
        start = _unit(torch.randn_like(x)).requires_grad_(True)
        (worst,) = torch.autograd.grad(divergence(x + start).sum(), start)
    return divergence(x + radius * _unit(worst))


def _unit(rows: Tensor) -> Tensor:
    """Each row scaled to a Euclidean norm of 1."""
    return torch.nn.functional.normalize(rows.flatten(1), dim=1).reshape(rows.shape)


Penalty = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
"""Of the encoder, what it is given and the code that it gives, to nats a row, (batch,)."""
