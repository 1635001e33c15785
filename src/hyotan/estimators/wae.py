"""The Wasserstein autoencoder."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from torch import nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.estimators.unlabelled import UnlabelledEstimator
from hyotan.models.families import BY_KIND, Family
from hyotan.models.ordered import Cuts
from hyotan.models.wae import WAEModel


@dataclass(repr=False, eq=False)
class WAE(UnlabelledEstimator):
    """A Wasserstein autoencoder (WAE-MMD: Tolstikhin et al. 2018): codes without noise, which over all rows follow
    N(0, I).

    ``loss = reconstruction + mmd_weight * MMD²``, in nats a sample: the squared maximum mean discrepancy between the
    codes of a batch and as many draws from N(0, I). A VAE holds the codes of each row near the prior, and so loses
    detail; here only all of them together have to look like it.

    Parameters
    ----------
    latent_dim : size of the code.
    ordered : the code can be cut after any prefix, as for :class:`hyotan.Autoencoder`.
    mmd_weight : weight of the MMD, in nats. The squared MMD is near 0 for codes that follow the prior, about 0.5 for
        codes twice as wide, and below 14 for any.
    others : as for :class:`hyotan.Autoencoder`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images / 16
    >>> WAE(latent_dim=2, max_epochs=1, random_state=0).fit(X).sample(3, sampler="prior", random_state=1).shape
    (3, 8, 8)
    """

    _: KW_ONLY
    mmd_weight: float = 10.0

    family: ClassVar[Family] = BY_KIND["wae"]

    def model_of(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> WAEModel:
        """The Wasserstein autoencoder of these parts."""
        cuts = Cuts(settings["latent_dim"]) if settings["ordered"] else None
        return WAEModel(encoder, decoder, likelihood, settings["latent_dim"], settings["mmd_weight"], cuts)
