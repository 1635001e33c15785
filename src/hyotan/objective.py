"""What training asks of a model: an objective for a batch, and the two ways through the code."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from hyotan.distributions import Likelihood


@dataclass(frozen=True)
class Progress:
    """Where training stands when an objective is asked for: in epochs, fractions included."""

    epoch: float
    max_epochs: int


@dataclass(frozen=True)
class Terms:
    """What an objective gives back for a batch: one number a sample, in nats.

    Attributes
    ----------
    loss : (batch,), what is minimised.
    reconstruction : (batch,), -log p(x|z), summed over features, averaged over latent samples.
    code : (batch, latent), the deterministic code (the posterior mean).
    kl : (batch, latent) or None, KL of each dimension to the prior.
    """

    loss: Float[Tensor, " batch"]
    reconstruction: Float[Tensor, " batch"]
    code: Float[Tensor, "batch latent"]
    kl: Float[Tensor, "batch latent"] | None = None


class LatentModel(nn.Module):
    """An encoder, a decoder and a likelihood; the families add the code and the objective.

    Parameters
    ----------
    encoder : (batch, *features) to the parameters of the code.
    decoder : (..., latent) to the likelihood's parameters.
    likelihood : p(x|z).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.likelihood: Likelihood = likelihood

    def code(self, x: Tensor) -> Tensor:
        """The deterministic code, (batch, latent)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z) over (*features), batch shape that of z without its last dimension."""
        # Under autocast the networks give bfloat16; sums over hundreds of features need more digits.
        return self.likelihood(self.decoder(z).float())

    def objective(self, x: Tensor, progress: Progress | None = None) -> Terms:
        """The loss and its parts, per sample; with the objective's final weights where no progress is given."""
        raise NotImplementedError
