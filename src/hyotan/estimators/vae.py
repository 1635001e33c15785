"""The variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from torch import Tensor, nn

from hyotan.data.stored import Array
from hyotan.distributions.likelihoods import Likelihood
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.inputs import check_count
from hyotan.estimators.rows import CHUNK, ROW_MULTIPLE, ScaledRows, padded_chunks
from hyotan.metrics import some_rows
from hyotan.models import VARIANCES
from hyotan.models.families import BY_KIND
from hyotan.models.losses import iwae_bound
from hyotan.models.ordered import Cuts
from hyotan.models.vae import VAEModel
from hyotan.preprocessing.tabular import TableScaling
from hyotan.sampling.densities import FITTED_ROWS, Mixture
from hyotan.training.callbacks import Callback

SCORE_SAMPLES = 64
"""Latent samples of ``score_samples``."""

IMPUTATION_SAMPLES = 32
"""Latent samples of an imputation."""

LEAST_VARIANCE = 1e-8
"""Floor of an imputation's variance, in the model's range: residuals are divided by its root."""

FEATURES_AT_ONCE = 1_000_000
"""Decoded values held at once when likelihoods are estimated: 4 MB in fp32, which stay in the cache."""


class PosteriorMean(nn.Module):
    """Of the encoder's output, (batch, 2 * latent), the posterior mean, (batch, latent)."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the first half."""
        return x.chunk(2, dim=-1)[0]


class VAE(LatentEstimator):
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

    family = BY_KIND["vae"]
    kind = family.kind
    model_: VAEModel  # pyrefly: ignore[bad-override-mutable-attribute]
    gaussian_default = "gaussian-shared"

    def __init__(
        self,
        latent_dim: int = 16,
        *,
        ordered: bool = False,
        hidden_dims: Sequence[int] | str = "auto",
        activation: str = "gelu",
        architecture: str = "auto",
        channels: Sequence[int] = (32, 64),
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        output_activation: str | None = None,
        variance: str = "exp",
        beta: float = 1.0,
        beta_warmup: float = 0.0,
        free_bits: float = 0.0,
        n_samples: int = 1,
        objective: str = "elbo",
        likelihood: str = "auto",
        likelihood_scale: float = 1.0,
        column_kinds: Mapping[str, str] | None = None,
        scaling: str = "auto",
        handle_missing: str = "auto",
        binarise: str | None = None,
        validation_fraction: float = 0.1,
        validation_rows: str = "random",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        optimizer: str = "adamw",
        learning_rate: float | str = "auto",
        weight_decay: float = 1e-3,
        schedule: str = "one-cycle",
        grad_clip: float | None = None,
        initialisation: str = "default",
        shuffle: bool = True,
        early_stopping: int | None = None,
        device: str = "auto",
        precision: str = "fp32",
        compile: bool = False,
        random_state: Any = None,
        callbacks: Sequence[Callback] | None = None,
        verbose: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.ordered = ordered
        self.hidden_dims = hidden_dims
        self.activation = activation
        self.architecture = architecture
        self.channels = channels
        self.encoder = encoder
        self.decoder = decoder
        self.output_activation = output_activation
        self.variance = variance
        self.beta = beta
        self.beta_warmup = beta_warmup
        self.free_bits = free_bits
        self.n_samples = n_samples
        self.objective = objective
        self.likelihood = likelihood
        self.likelihood_scale = likelihood_scale
        self.column_kinds = column_kinds
        self.scaling = scaling
        self.handle_missing = handle_missing
        self.binarise = binarise
        self.validation_fraction = validation_fraction
        self.validation_rows = validation_rows
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.grad_clip = grad_clip
        self.initialisation = initialisation
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.device = device
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.callbacks = callbacks
        self.verbose = verbose

    def posterior_sample(self, X: ArrayLike, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Codes drawn from q(z|x), (n_samples, n, latent_dim).

        Parameters
        ----------
        X : (n, *features)
        n_samples : draws a row.
        random_state : int, RandomState or None.
        """
        rows = self._checked(X)
        return self._drawn(self._encode(rows), self._deviations(rows), n_samples, random_state)

    @staticmethod
    def _drawn(mean: np.ndarray, deviation: np.ndarray, n_samples: int, random_state: Any) -> np.ndarray:
        shape = (check_count("n_samples", n_samples), *mean.shape)
        noise = check_random_state(random_state).standard_normal(shape)
        return (mean + deviation * noise).astype(np.float32)

    def score_samples(self, X: ArrayLike, n_samples: int = SCORE_SAMPLES) -> np.ndarray:
        """Estimate log p(x) by importance sampling, (n,), in nats on the model's range.

        Every row meets the same ``n_samples`` draws, so that its score depends on that row alone.
        """
        rows = self._scaled(X)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(n_samples, 1, self._noise_size, generator=generator).to(self.device_)
        return self._importance(rows, lambda start, n, size: noise.expand(-1, size, -1), n_samples)

    def log_likelihood(self, X: ArrayLike, n_samples: int = 500, random_state: int = 0) -> np.ndarray:
        """Estimate log p(x) as :meth:`score_samples` does, (n,), with draws of its own for each row.

        Means over rows have a smaller error this way; the estimate is a lower bound in expectation, and tightens with
        ``n_samples`` (Burda et al. 2016).
        """
        rows = self._scaled(X)
        generator = torch.Generator(device=self.device_).manual_seed(random_state)

        def draw(start: int, n: int, size: int) -> Tensor:
            return torch.randn(n, size, self._noise_size, generator=generator, device=self.device_)

        return self._importance(rows, draw, n_samples)

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
        rows, count = self._with_missing(X), check_count("n_samples", n_samples)
        scaled = self._to_model(rows)
        network = self._expected(scaled)[0]
        shift = self.filling_.mean(scaled, network) - network  # towards the expectation that impute gives
        seed = int(check_random_state(random_state).randint(2**31))
        drawn, done = np.empty((count, *scaled.shape), dtype=np.float32), 0
        with torch.random.fork_rng(devices=[self.device_] if self.device_.type == "cuda" else []), torch.no_grad():
            torch.manual_seed(seed)
            for chunk, n in padded_chunks(scaled, self._rows_at_once()):
                x = chunk.to(self.device_)
                shape = (IMPUTATION_SAMPLES, len(x), self._noise_size)
                log_w, whole = self.model_.weighted(x, torch.randn(shape, device=self.device_))
                chosen = torch.multinomial(log_w.softmax(0).t(), count, replacement=True).t()
                picked = whole.sample()[chosen, torch.arange(len(x), device=self.device_)]
                drawn[:, done : done + n] = picked[:, :n].float().cpu().numpy()
                done += n
        if isinstance(self.scaling_, TableScaling):  # a drawn category is one, and cannot be shifted
            shift = shift * self.scaling_.is_ordered
            return [self._filled(rows, scaled, each + shift) for each in drawn]
        return np.stack([self._filled(rows, scaled, each + shift) for each in drawn])

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """By self-normalised importance sampling (Mattei & Frellsen 2019, eq. 12), every row with the same draws."""
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(IMPUTATION_SAMPLES, 1, self._noise_size, generator=generator).to(self.device_)
        log_w, whole = self.model_.weighted(x, noise)
        weights = log_w.t().contiguous().softmax(-1).t().reshape(*log_w.shape, *[1] * (x.ndim - 1))
        mean = (weights * whole.mean).sum(0)
        variance = (weights * (whole.variance + (whole.mean - mean).square())).sum(0)
        return mean, variance.clamp_min(LEAST_VARIANCE).sqrt()

    def _rows_at_once(self) -> int:
        held = int(np.prod(self.feature_shape_)) * IMPUTATION_SAMPLES
        return max(1, min(CHUNK, FEATURES_AT_ONCE // held) // ROW_MULTIPLE) * ROW_MULTIPLE

    @property
    def _noise_size(self) -> int:
        """Normal numbers that one importance sample takes."""
        return self.model_code_size

    def _importance(self, rows: ScaledRows, draw: Any, n_samples: int) -> np.ndarray:
        """log p(x) of rows in the model's range, in blocks that bound the memory."""
        features, n_samples = int(np.prod(self.feature_shape_)), check_count("n_samples", n_samples)
        size = max(1, min(CHUNK, FEATURES_AT_ONCE // (features * n_samples)) // ROW_MULTIPLE) * ROW_MULTIPLE
        per_pass = max(1, FEATURES_AT_ONCE // (features * size))
        parts = []
        with torch.no_grad():
            for start in range(0, len(rows), size):
                x, n = next(padded_chunks(rows[start : start + size]))
                x = x.to(self.device_)
                noise = draw(start, n_samples, len(x))
                weights = [self.model_.log_weights(x, part) for part in noise.split(per_pass)]
                # Each row's weights lie side by side: sums down a column add up in an order that the width decides.
                by_row = torch.cat(weights).t().contiguous()
                parts.append(iwae_bound(by_row.t())[:n].cpu().numpy())
        return np.concatenate(parts)

    def _deviations(self, X: Array) -> np.ndarray:
        """Standard deviations of the posteriors, (n, latent)."""
        return self._batched(lambda x: self.model_.posterior(x).base_dist.scale, ScaledRows(X, self._to_model))

    def _groups_of_codes(self, X: Array, places: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
        # The decoder has learned from codes drawn from the posteriors, not from their means.
        some = some_rows(len(places), FITTED_ROWS)
        deviations = self._of_places(self._deviations, X, places[some])
        return [self._drawn(codes[some], deviations, 1, 0)[0]]

    def _prior(self) -> Mixture:
        return Mixture(np.ones(1), np.zeros((1, self.model_code_size)), np.eye(self.model_code_size)[None])

    def _make_model(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> VAEModel:
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

    def _code_of(self) -> list[nn.Module]:
        return [PosteriorMean()]
