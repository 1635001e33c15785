"""The autoencoder and the denoising autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.errors import SettingsError
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.rows import CHUNK, ScaledRows
from hyotan.models import NOISES, PENALTIES
from hyotan.models.autoencoder import AutoencoderModel
from hyotan.models.families import BY_KIND
from hyotan.models.noise import Level, NamedNoise
from hyotan.models.ordered import Cuts
from hyotan.parameters import PARAMETERS
from hyotan.preprocessing.checks import NOISE_SLACK
from hyotan.training.callbacks import Callback
from hyotan.training.resident import as_tensor


def with_defaults(function: FunctionType, **defaults: Any) -> FunctionType:
    """A copy of a function with other defaults."""
    positional = function.__code__.co_varnames[: function.__code__.co_argcount][-len(function.__defaults__ or ()) :]
    places = zip(positional, function.__defaults__ or (), strict=False)
    own = tuple(defaults.pop(name, default) for name, default in places)
    copy = FunctionType(function.__code__, function.__globals__, function.__name__, own)
    copy.__kwdefaults__ = {**(function.__kwdefaults__ or {}), **defaults}
    copy.__annotations__, copy.__doc__ = function.__annotations__, function.__doc__
    return copy


def _checked_level(level: Any) -> Level:
    domain = PARAMETERS["noise_level"].domain
    try:
        return domain.check(level)
    except (TypeError, ValueError):
        fix = "Leave it out for the level of training."
        raise SettingsError(f"level cannot be {level!r}: expected {domain.describe()}.", fix) from None


class Autoencoder(LatentEstimator):
    """An autoencoder: a code of a stated size, and a decoder back to the data.

    Parameters
    ----------
    latent_dim : size of the code.
    ordered : the code can be cut after any prefix: its first k values are a code of size k (nested dropout, Rippel et
        al. 2014). One training then stands for all sizes; see :meth:`reconstruction_errors_by_size`.
    hidden_dims : widths of the encoder's hidden layers, mirrored in the decoder; ``()`` for none.
    activation : of the hidden layers.
    architecture : ``mlp``, ``conv``, or ``auto``.
    channels : of the convolutions, each of which halves the image.
    encoder, decoder : your own modules, (batch, *features) to (batch, latent_dim), and back.
    latent_activation, output_activation : of the code and of the reconstruction's mean; None for none.
    tied : the decoder uses the encoder's weights, transposed.
    noise, noise_level : corrupt what the encoder sees: ``gaussian``, ``masking``, ``salt-and-pepper``, ``swap``. Of a
        level (low, high) each row draws its own at each step, so that the model need not be told how noisy a row is.
    penalty, penalty_weight : ``sparse`` (L1 of the code) or ``contractive`` (its Jacobian), in nats.
    likelihood : p(x|z), whose negative log is the loss; ``auto``: Bernoulli for pictures in [0, 1]
        (a table counts where a tenth of its values are exactly 0 or 1), else Gaussian.
    likelihood_scale : standard deviation of a Gaussian with a fixed one.
    column_kinds : of a table with other columns than numbers, what a column is taken for where a guess would be wrong:
        ``number``, ``date``, ``count``, ``category``, ``yes-no``, ``constant``, or ``ignore`` to leave it out.
    scaling : ``none``, ``unit``, ``symmetric``, ``standard`` or ``auto``.
    handle_missing : whether to learn to handle missing values, NaN: ``auto`` where X has any, ``always``, or
        ``never``: refuse.
    binarise : ``static`` or ``dynamic``: draw black-and-white images from grey ones.
    validation_fraction, validation_rows : the share held out, and which rows.
    max_epochs, batch_size, optimizer, learning_rate, weight_decay, schedule, grad_clip, shuffle, early_stopping :
        the training.
    initialisation : how weights start.
    device, precision : where and in what number format to compute.
    compile : turn the step into machine code: on the CPU, with a C++ compiler, after a wait of some 15 s, and so only
        in trainings of 30,000 steps and more. The results differ from those without in the last bits.
    random_state : seed; the same seed gives the same bits on the same machine.
    callbacks : watch the training.
    verbose : 1 shows progress.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images / 16
    >>> codes = Autoencoder(latent_dim=4, max_epochs=1, random_state=0).fit_transform(X)
    >>> codes.shape
    (1797, 4)
    """

    family = BY_KIND["autoencoder"]
    kind = family.kind

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
        latent_activation: str | None = None,
        output_activation: str | None = None,
        tied: bool = False,
        noise: str | None = None,
        noise_level: float | Sequence[float] = 0.3,
        penalty: str | None = None,
        penalty_weight: float = 0.1,
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
        self.latent_activation = latent_activation
        self.output_activation = output_activation
        self.tied = tied
        self.noise = noise
        self.noise_level = noise_level
        self.penalty = penalty
        self.penalty_weight = penalty_weight
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

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.model_.reconstruct(x)
        return mean, torch.ones_like(mean)  # a code says nothing of how sure it is; the residuals do

    def _make_model(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> AutoencoderModel:
        penalty = None if settings["penalty"] is None else PENALTIES[settings["penalty"]]
        noise: NamedNoise | None = None
        if settings["noise"] is not None and hasattr(self, "range_"):
            noise = NOISES[settings["noise"]](settings["noise_level"], *self.range_)
        cuts = Cuts(settings["latent_dim"]) if settings["ordered"] else None
        return AutoencoderModel(encoder, decoder, likelihood, noise, penalty, settings["penalty_weight"], cuts)

    def denoise(self, X: ArrayLike) -> np.ndarray:
        """Noisy rows made clean, (n, *features), float32, in the data's own units. Deterministic.

        Parameters
        ----------
        X : (n, *features), noisy; what lies outside the range of the training data is clipped to it first, as the
            noise of training is.

        Raises
        ------
        SettingsError
            The model was trained without noise.
        """
        check_is_fitted(self)
        self._needed_noise()
        rows = ScaledRows(self._checked_within(X, NOISE_SLACK), self._to_model)
        low, high = self.range_
        return self.scaling_.to_data(self._batched(lambda x: self.model_.reconstruct(x.clamp(low, high)), rows))

    def corrupt(self, X: ArrayLike, level: float | Sequence[float] | None = None, random_state: int = 0) -> np.ndarray:
        """Clean rows with noise as in training, (n, *features), float32, in the data's own units: to try it out.

        Parameters
        ----------
        X : (n, *features)
        level : another level than that of training.
        random_state : seed.

        Raises
        ------
        SettingsError
            The model was trained without noise, or the level cannot be one.
        """
        rows = self._scaled(X)
        noise = self._needed_noise()
        if level is not None:
            noise = replace(noise, level=_checked_level(level))
        noisy = np.empty(rows.shape, dtype=np.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_state)
            for start in range(0, len(rows), CHUNK):
                noisy[start : start + CHUNK] = noise(as_tensor(rows[start : start + CHUNK])).numpy()
        return self.scaling_.to_data(noisy)

    @property
    def trained_noise(self) -> NamedNoise | None:
        """The noise that the fitted model was trained on."""
        return getattr(self.model_, "noise", None)

    def _needed_noise(self) -> NamedNoise:
        if (noise := self.trained_noise) is None:
            raise SettingsError(
                f"This {type(self).__name__} was trained without noise: it has not learned what noise is.",
                "Fit it with noise='gaussian' (--model dae), or another kind of noise.",
            )
        return noise


class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that sees a corrupted input and is compared with the clean one (Vincent et al. 2010).

    The parameters are those of :class:`Autoencoder`, with gaussian noise and a code of size 512 by default. A larger
    code than the data need is right here: the noise, not the bottleneck, keeps the model from copying.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().images / 16
    >>> model = DenoisingAutoencoder(noise_level=(0.1, 0.5), max_epochs=1, random_state=0).fit(X)
    >>> model.denoise(model.corrupt(X, 0.3)).shape
    (1797, 8, 8)
    """

    family = BY_KIND["denoising-autoencoder"]
    kind = family.kind

    # The same constructor with another default: scikit-learn reads parameters and defaults from its signature.
    __init__ = with_defaults(Autoencoder.__init__, **family.defaults)
