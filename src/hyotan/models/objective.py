"""What training asks of a model: an objective for a batch, and the two ways through the code."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Distribution

from hyotan.distributions.likelihoods import Likelihood, Observed
from hyotan.models.noise import RandomMask


@dataclass(frozen=True)
class Progress:
    """Where training stands when an objective is asked for: in epochs, fractions included."""

    epoch: float
    max_epochs: int


@dataclass(frozen=True)
class Labels:
    """What is known of a batch's classes, for models that use labels.

    Attributes
    ----------
    classes : (batch,), int64, -1 where the class is unknown.
    companions : (m, *features) and (m,), rows with known classes beside a batch that has too few of its own.
    beliefs : (batch, classes), what a row's neighbours say of its class; all zero where they say nothing.
    """

    classes: Int[Tensor, " batch"]
    companions: tuple[Float[Tensor, "m *features"], Int[Tensor, " m"]] | None = None
    beliefs: Float[Tensor, "batch classes"] | None = None


@dataclass(frozen=True)
class Terms:
    """What an objective gives back for a batch: one number a sample, in nats.

    Attributes
    ----------
    loss : (batch,), what is minimised.
    reconstruction : (batch,), -log p(x|z), summed over features, averaged over latent samples.
    code : (batch, latent), the deterministic code (the posterior mean).
    kl : (batch, latent) or None, KL of each dimension to the prior.
    label : (batch,) or None, what the class costs: -log p(y) where it is known, KL(q(y|x) || p(y)) where it is not.
    """

    loss: Float[Tensor, " batch"]
    reconstruction: Float[Tensor, " batch"]
    code: Float[Tensor, "batch latent"]
    kl: Float[Tensor, "batch latent"] | None = None
    label: Float[Tensor, " batch"] | None = None


class LatentModel(nn.Module):
    """An encoder, a decoder and a likelihood; the families add the code and the objective.

    Parameters
    ----------
    encoder : (batch, *features) to the parameters of the code.
    decoder : (..., latent) to the likelihood's parameters.
    likelihood : p(x|z).

    Attributes
    ----------
    is_ordered : whether the code can be cut after any prefix.
    samples_per_row : decoded samples of each row that :meth:`moments` holds at once.
    cells : how many models its parameters and rows belong to, in equal parts: see :mod:`hyotan.training.stack`.
    hiding : hides values from the encoder in the objective, which counts them all the same; where it is not None, NaN
        in x says "not observed", and the encoder is a :class:`hyotan.models.nn.MaskedEncoder`.
    """

    is_ordered = False
    samples_per_row = 1
    cells = 1
    input_mask: RandomMask | None = None

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.likelihood: Likelihood = likelihood

    def is_same_each_step(self, progress: Progress) -> bool:
        """Whether, from ``progress`` on, a step of training does the same operations at every batch of one shape.

        Then it can be recorded. Networks of the user's own may do what they like, and are never taken to.
        """
        return False

    def code(self, x: Tensor) -> Tensor:
        """The deterministic code, (batch, latent)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z) over (*features), batch shape that of z without its last dimension."""
        # Under autocast the networks give bfloat16; sums over hundreds of features need more digits.
        return self._of_what_is_observed(self.likelihood(self.decoder(z).float()))

    def decode_prefix(self, z: Tensor, size: Tensor) -> Distribution:
        """p(x|the first ``size`` values of z), of an ordered code alone; sizes (...) that z's leading ones fit.

        ``decode`` takes prefixes of one size, (..., size), as they are.
        """
        return self._of_what_is_observed(self.likelihood(self.decoder(z, size).float()))

    def seen(self, x: Tensor) -> Tensor:
        """What the encoder sees of a batch in the objective, (batch, *features)."""
        return x if self.input_mask is None else self.input_mask(x)

    def squared_errors(self, mean: Tensor, x: Tensor) -> Tensor:
        """Mean squared error a feature of each row, (batch,), over the values that are observed."""
        squares = (mean - x).square().flatten(1)
        if self.input_mask is None:
            return squares.mean(1)
        observed = (~squares.isnan()).sum(1).clamp(min=1)
        return squares.nansum(1) / observed

    def _of_what_is_observed(self, whole: Distribution) -> Distribution:
        return whole if self.input_mask is None else Observed(whole)

    def reconstruct(self, x: Tensor) -> Tensor:
        """x through the deterministic code and back, (batch, *features): the likelihood's mean."""
        return self.decode(self.code(x)).mean

    def explanation(self, x: Tensor) -> Distribution:
        """p(x|the deterministic code of x) over (*features): what :meth:`reconstruct` is the mean of."""
        return self.decode(self.code(x))

    def decode_like(self, z: Tensor, x: Tensor) -> Distribution:
        """p(x|z) over (*features), of codes that go with rows x: under their labels, where the model takes such."""
        return self.decode(z)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of every value of x given those that are observed, (batch, *features) each.

        A deterministic code says nothing of how sure it is; held-out rows do: see :mod:`hyotan.imputation.filling`.
        """
        mean = self.reconstruct(x)
        return mean, torch.ones_like(mean)

    def imputations(self, x: Tensor, count: int) -> Tensor:
        """Rows drawn given the values of x that are observed, (count, batch, *features)."""
        raise NotImplementedError

    def objective(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """The loss and its parts, per sample; with the objective's final weights where no progress is given.

        Parameters
        ----------
        x : (batch, *features)
        progress : where training stands.
        labels : what is known of the rows' classes; models without labels make nothing of them.
        """
        raise NotImplementedError
