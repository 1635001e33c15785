"""The variational autoencoder."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state  # pyrefly: ignore[missing-module-attribute]
from torch import Tensor, nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.estimators.inputs import check_count
from hyotan.estimators.learning import of_places
from hyotan.estimators.probabilistic import (
    SCORE_SAMPLES,
    log_likelihood,
    own_draws,
    posterior_draws,
    same_draws,
)
from hyotan.estimators.unlabelled import UnlabelledEstimator
from hyotan.metrics import some_rows
from hyotan.models import VARIANCES
from hyotan.models.families import BY_KIND, Family
from hyotan.models.ordered import Cuts
from hyotan.models.vae import VAEModel
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.sampling.code_sampler import CodeSampler
from hyotan.sampling.densities import FITTED_ROWS


class PosteriorMean(nn.Module):
    """Of the encoder's output, (batch, 2 * latent), the posterior mean, (batch, latent)."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the first half."""
        return x.chunk(2, dim=-1)[0]


@dataclass(repr=False, eq=False)
class VAE(UnlabelledEstimator):
    """A variational autoencoder: a distribution over codes for each row, near N(0, I) over all rows.

    ``loss = reconstruction + beta * KL``, in nats a sample. ``transform`` gives the posterior mean.

    Parameters
    ----------
    latent_dim : size of the code.
    ordered : the code can be cut after any prefix: its first k values are a code of size k (nested dropout, Rippel et
        al. 2014). One training then stands for all sizes; see :meth:`reconstruction_errors_by_size`.
    variance : how the posterior variance is made of the encoder's output: ``exp`` or ``softplus``.
    beta : weight of the KL; 1 is the evidence lower bound.
    beta_warmup : epochs over which beta rises from 0.
    free_bits : KL a dimension that costs nothing, in nats.
    n_samples : latent samples a row in training.
    objective : ``elbo``, or ``iwae`` for the importance-weighted bound over ``n_samples``.
    others : as for :class:`hyotan.Autoencoder`; your own encoder puts out (batch, 2 * latent_dim).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images / 16
    >>> VAE(latent_dim=2, max_epochs=1, random_state=0).fit(X).sample(3, random_state=1).shape
    (3, 8, 8)
    """

    _: KW_ONLY
    variance: str = "exp"
    beta: float = 1.0
    beta_warmup: float = 0.0
    free_bits: float = 0.0
    n_samples: int = 1
    objective: str = "elbo"

    family: ClassVar[Family] = BY_KIND["vae"]

    def posterior_sample(self, X: ArrayLike, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Codes drawn from q(z|x), (n_samples, n, latent_dim).

        Parameters
        ----------
        X : (n, *features)
        n_samples : draws a row.
        random_state : int, RandomState or None.
        """
        rows = self.encode_rows(X)
        return posterior_draws(self.inference_.encode(rows), self._deviations(rows), n_samples, random_state)

    def score_samples(self, X: ArrayLike | EncodedRows, n_samples: int = SCORE_SAMPLES) -> np.ndarray:
        """Estimate log p(x) by importance sampling, (n,), in nats on the model's range.

        Every row meets the same ``n_samples`` draws, so that its score depends on that row alone.
        """
        rows = self.encode_rows(X)
        draws = same_draws(self.inference_, self.model_code_size, n_samples)
        return log_likelihood(self.inference_, rows, draws, n_samples)

    def log_likelihood(self, X: ArrayLike, n_samples: int = 500, random_state: int = 0) -> np.ndarray:
        """Estimate log p(x) as :meth:`score_samples` does, (n,), with draws of its own for each row.

        Means over rows have a smaller error this way; the estimate is a lower bound in expectation, and tightens with
        ``n_samples`` (Burda et al. 2016).
        """
        rows = self.encode_rows(X)
        draws = own_draws(self.inference_, self.model_code_size, random_state)
        return log_likelihood(self.inference_, rows, draws, n_samples)

    def impute_samples(self, X: ArrayLike, n_samples: int = 10, random_state: Any = None) -> Any:
        """X with its missing values filled in several ways that are as likely as the model has it, (n_samples, n,
        *features).

        Drawn from p(x_missing | x_observed) by sampling importance resampling (Mattei & Frellsen 2019, section 3.3):
        what the samples differ in is what is not known. Of a table with several kinds of columns a list of tables.

        Parameters
        ----------
        X : (n, *features); NaN is a missing value.
        n_samples : how many.
        random_state : int, RandomState or None.

        Raises
        ------
        SettingsError
            The model was fitted on rows without missing values.
        """
        rows, count = self.rows_to_fill(X), check_count("n_samples", n_samples)
        seed = int(check_random_state(random_state).randint(2**31))
        filled = self.filler_.samples(rows, count, seed)
        return np.stack(filled) if self.preprocessor_.has_one_scale else filled

    def make_sampler(self, rows: EncodedRows, places: np.ndarray, codes: np.ndarray) -> CodeSampler:
        """The density is that of draws from the posteriors, from which the decoder has learned, not of their means."""
        some = some_rows(len(places), FITTED_ROWS)
        deviations = of_places(rows, places[some], self._deviations)
        return CodeSampler(self.prior(), [posterior_draws(codes[some], deviations, 1, 0)[0]])

    def model_of(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> VAEModel:
        """The VAE of these parts."""
        return VAEModel(
            encoder,
            decoder,
            likelihood,
            standard_deviation=VARIANCES[settings["variance"]],
            beta=settings["beta"],
            beta_warmup=settings["beta_warmup"],
            free_bits=settings["free_bits"],
            n_samples=settings["n_samples"],
            iwae=settings["objective"] == "iwae",
            cuts=Cuts(settings["latent_dim"]) if settings["ordered"] else None,
        )

    def code_layers(self) -> list[nn.Module]:
        """The mean is the code."""
        return [PosteriorMean()]

    def _deviations(self, rows: Any) -> np.ndarray:
        """Standard deviations of the posteriors, (n, latent)."""
        model = self.model_
        return self.inference_.batched(lambda x: model.posterior(x).base_dist.scale, rows)
