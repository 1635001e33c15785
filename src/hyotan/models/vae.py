"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent
from torch.nn import functional as F

from hyotan.distributions.likelihoods import Likelihood, normal, standard_normal
from hyotan.models.latent_model import LatentModel
from hyotan.models.layers import is_fixed
from hyotan.models.losses import free_bits, iwae_bound, kl_per_dimension, log_weights, negative_elbo, warmed_beta
from hyotan.models.ordered import Cuts, prefix_mask
from hyotan.training import draws
from hyotan.training.objective import Labels, Progress, StackLayout, Terms
from hyotan.training.stacking import stackable


@stackable
def from_log_variance(raw: Tensor) -> Tensor:
    """Standard deviation whose variance is exp(raw)."""
    # Floored and capped where exp would leave fp32's useful range, far from any trained posterior.
    return (0.5 * raw.clamp(-30, 20)).exp()


@stackable
def from_softplus(raw: Tensor) -> Tensor:
    """Standard deviation whose variance is softplus(raw)."""
    return (F.softplus(raw) + 1e-12).sqrt()


IMPUTATION_SAMPLES = 32
"""Latent samples of an imputation."""

LEAST_VARIANCE = 1e-8
"""Floor of an imputation's variance, in the model's range: residuals are divided by its root."""


def sampled(posterior: Independent, n_samples: int | None = None) -> Tensor:
    """Codes drawn with a gradient, (batch, latent), or (samples, batch, latent)."""
    mean = posterior.mean
    return mean + draws.code_noise(mean, n_samples) * posterior.base_dist.scale


@stackable
class VAEModel(LatentModel):
    """The VAE (Kingma & Welling 2014), trained by the ELBO or by the IWAE bound (Burda et al. 2016).

    Parameters
    ----------
    encoder : (batch, *features) to (batch, 2 * latent): the mean, then what ``standard_deviation`` reads.
    decoder : (..., latent) to the likelihood's parameters.
    likelihood : p(x|z).
    standard_deviation : an entry of :data:`hyotan.models.VARIANCES`.
    beta, beta_warmup, free_bits, n_samples, iwae : the objective's settings; warm-up in epochs, free bits in nats.
    cuts : where training cuts the code, for an ordered one; the decoder is then an
        :class:`hyotan.models.ordered.OrderedDecoder`.
    """

    outputs_per_dimension = 2

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        standard_deviation: Callable[[Tensor], Tensor] = from_log_variance,
        beta: float = 1.0,
        beta_warmup: float = 0.0,
        free_bits: float = 0.0,
        n_samples: int = 1,
        iwae: bool = False,
        cuts: Cuts | None = None,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.cuts, self.is_ordered = cuts, cuts is not None
        self.standard_deviation = standard_deviation
        self.beta, self.beta_warmup, self.free_bits = beta, beta_warmup, free_bits
        self.n_samples, self.iwae = n_samples, iwae

    def is_same_each_step(self, progress: Progress) -> bool:
        """Unless prefixes are drawn or beta still rises."""
        return self.cuts is None and progress.epoch >= self.beta_warmup and is_fixed(self)

    def stack_layout(self) -> StackLayout | None:
        """As the code's layer says; free bits compare means over a batch, which a stack has of all its models."""
        return None if self.free_bits else super().stack_layout()

    def _ignores_zeros(self, writes: nn.Linear) -> bool:
        """Where 0 is the prior's deviation, which costs nothing and pulls nowhere; the IWAE bound weighs it."""
        return not self.iwae and self.standard_deviation(torch.zeros(())).item() == 1

    def posterior(self, x: Tensor) -> Independent:
        """q(z|x), a diagonal Gaussian with batch shape (batch,) and event shape (latent,)."""
        return self._posterior(self.encoder(x))

    def _posterior(self, encoded: Tensor) -> Independent:
        """q(z|x) from what the encoder put out, (..., 2 * latent)."""
        mean, raw = encoded.float().chunk(2, dim=-1)
        return normal(mean, self.standard_deviation(raw))

    def code(self, x: Tensor) -> Tensor:
        """The posterior mean, (batch, latent)."""
        return self.posterior(x).mean

    def objective(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """The negative bound, per sample, in nats."""
        if self.cuts is not None:
            return self._ordered_objective(x, self.cuts, progress)
        posterior = self.posterior(self.seen(x))
        kl = kl_per_dimension(posterior)
        # One sample without a dimension of its own: that would cost a tenth of a small network's step.
        n_samples = self.n_samples if self.n_samples > 1 or self.iwae else None
        z = sampled(posterior, n_samples)
        log_likelihood = self.decode(z).log_prob(x)
        reconstruction = -log_likelihood if n_samples is None else -log_likelihood.mean(0)
        if self.iwae:
            prior = standard_normal(z.shape[-1], like=z)
            loss = -iwae_bound(log_weights(log_likelihood, z, posterior, prior))
        else:
            beta = warmed_beta(self.beta, self.beta_warmup, progress)
            loss = negative_elbo(reconstruction, free_bits(kl, self.free_bits), beta)
        return Terms(loss, reconstruction, posterior.mean, kl)

    def _ordered_objective(self, x: Tensor, cuts: Cuts, progress: Progress | None) -> Terms:
        """The mean over drawn prefixes of their negative bounds; what is cut off follows the prior, at no cost.

        ``reconstruction`` is that of the whole code, and in training, where it would cost a decoding, of the prefixes.
        """
        posterior = self.posterior(self.seen(x))
        z = sampled(posterior, self.n_samples)
        size = cuts.draw(len(x), x.device)
        kept = prefix_mask(size, z.shape[-1])
        log_likelihood = self.decode_prefix(z, size[:, None]).log_prob(x)  # (cuts, samples, batch)
        kl = kl_per_dimension(posterior)
        reconstruction = -log_likelihood.mean((0, 1))
        if self.iwae:
            prior = normal(torch.zeros_like(posterior.mean), torch.ones_like(posterior.mean))
            ratio = prior.base_dist.log_prob(z) - posterior.base_dist.log_prob(z)
            log_w = log_likelihood + (ratio * kept[:, None]).sum(-1)
            loss = -torch.stack([iwae_bound(of_cut) for of_cut in log_w]).mean(0)
        else:
            beta = warmed_beta(self.beta, self.beta_warmup, progress)
            loss = negative_elbo(reconstruction, free_bits(kl, self.free_bits) * kept.to(kl.dtype).mean(0), beta)
        if not self.training:
            reconstruction = -self.decode(z).log_prob(x).mean(0)
        return Terms(loss, reconstruction, posterior.mean, kl)

    samples_per_row = IMPUTATION_SAMPLES

    def noise_size(self, latent: int) -> int:
        """Normal numbers that one importance sample takes."""
        return latent

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """By self-normalised importance sampling (Mattei & Frellsen 2019, eq. 12), every row with the same draws."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(IMPUTATION_SAMPLES, 1, self._latent(x), generator=generator).to(x.device)
        log_w, whole = self.weighted(x, noise)
        weights = log_w.t().contiguous().softmax(-1).t().reshape(*log_w.shape, *[1] * (x.ndim - 1))
        mean = (weights * whole.mean).sum(0)
        variance = (weights * (whole.variance + (whole.mean - mean).square())).sum(0)
        return mean, variance.clamp_min(LEAST_VARIANCE).sqrt()

    def imputations(self, x: Tensor, count: int) -> Tensor:
        """By sampling importance resampling (Mattei & Frellsen 2019, section 3.3)."""
        noise = torch.randn((IMPUTATION_SAMPLES, len(x), self._latent(x)), device=x.device)
        log_w, whole = self.weighted(x, noise)
        chosen = torch.multinomial(log_w.softmax(0).t(), count, replacement=True).t()
        return whole.sample()[chosen, torch.arange(len(x), device=x.device)]

    def _latent(self, x: Tensor) -> int:
        return self.posterior(x[:1]).event_shape[0]

    def log_weights(self, x: Tensor, noise: Tensor) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) at z = mean + deviation * noise.

        Parameters
        ----------
        x : (batch, *features)
        noise : standard normal, (samples, 1, latent) for the same draws in every row, or (samples, batch, latent).

        Returns
        -------
        (samples, batch), in nats; :func:`hyotan.models.losses.iwae_bound` of it estimates log p(x).
        """
        return self.weighted(x, noise)[0]

    def weighted(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Distribution]:
        """What :meth:`log_weights` gives, and p(x|z) at the same z, batch shape (samples, batch)."""
        posterior = self.posterior(x)
        z = posterior.mean + posterior.base_dist.scale * noise
        prior = standard_normal(z.shape[-1], like=z)
        whole = self.decode(z)
        return log_weights(whole.log_prob(x), z, posterior, prior), whole
