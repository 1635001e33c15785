"""The autoencoder and the denoising autoencoder: a deterministic code."""

from __future__ import annotations

from torch import Tensor, nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.models.latent_model import LatentModel
from hyotan.models.layers import is_fixed
from hyotan.models.losses import Penalty
from hyotan.models.noise import Noise
from hyotan.models.ordered import Cuts
from hyotan.training.objective import Labels, Progress, Terms
from hyotan.training.stacking import stackable


@stackable
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
    cuts : where training cuts the code, for an ordered one; the decoder is then an
        :class:`hyotan.models.ordered.OrderedDecoder`.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        noise: Noise | None = None,
        penalty: Penalty | None = None,
        penalty_weight: float = 0.0,
        cuts: Cuts | None = None,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.cuts, self.is_ordered = cuts, cuts is not None
        self.noise, self.penalty, self.penalty_weight = noise, penalty, penalty_weight

    def is_same_each_step(self, progress: Progress) -> bool:
        """Unless prefixes are drawn or a penalty differentiates within the step."""
        return self.cuts is None and self.penalty is None and is_fixed(self)

    def code(self, x: Tensor) -> Tensor:
        """The code, (batch, latent)."""
        return self.encoder(x).float()

    def objective(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """-log p(x | code of the corrupted x), plus the penalty: per sample, in nats.

        Of an ordered code, the mean over prefixes that are drawn (Rippel et al. 2014); ``reconstruction`` is that of
        the whole code, and in training, where it would cost a decoding, that of the prefixes.
        """
        seen = self.seen(x if self.noise is None else self.noise(x))
        code = self.code(seen)
        if self.cuts is None:
            loss = reconstruction = -self.decode(code).log_prob(x)
        else:
            loss = -self.decode_prefix(code, self.cuts.draw(len(x), x.device)).log_prob(x).mean(0)
            reconstruction = loss if self.training else -self.decode(code).log_prob(x)
        if self.penalty is not None:
            loss = loss + self.penalty_weight * self.penalty(self.code, seen, code)
        return Terms(loss, reconstruction, code)
