"""The autoencoder and the denoising autoencoder: a deterministic code."""

from __future__ import annotations

from torch import Tensor, nn

from hyotan.distributions import Likelihood
from hyotan.losses import Penalty
from hyotan.noise import Noise
from hyotan.objective import Labels, LatentModel, Progress, Terms


class AutoencoderModel(LatentModel):
    """x to a code and back (Hinton & Salakhutdinov 2006); with noise, a denoising autoencoder (Vincent et al. 2010).

    Parameters
    ----------
    encoder : (batch, *features) to (batch, latent).
    decoder : (..., latent) to the likelihood's parameters.
    likelihood : p(x|z), whose negative log is the loss.
    noise : corrupts what the encoder sees; the loss compares with the clean input.
    penalty : a function of the encoder, its input and the code, (batch,).
    penalty_weight : its weight, in nats.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        noise: Noise | None = None,
        penalty: Penalty | None = None,
        penalty_weight: float = 0.0,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.noise, self.penalty, self.penalty_weight = noise, penalty, penalty_weight

    def code(self, x: Tensor) -> Tensor:
        """The code, (batch, latent)."""
        return self.encoder(x).float()

    def objective(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """-log p(x | code of the corrupted x), plus the penalty: per sample, in nats."""
        seen = x if self.noise is None else self.noise(x)
        code = self.code(seen)
        reconstruction = -self.decode(code).log_prob(x)
        loss = reconstruction
        if self.penalty is not None:
            loss = loss + self.penalty_weight * self.penalty(self.code, seen, code)
        return Terms(loss, reconstruction, code)
