"""The autoencoder and the denoising autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from torch import nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.errors import SettingsError
from hyotan.estimators.unlabelled import UnlabelledEstimator
from hyotan.models import NOISES, PENALTIES
from hyotan.models.autoencoder import AutoencoderModel
from hyotan.models.families import BY_KIND, Family
from hyotan.models.inference import BATCH_ROWS
from hyotan.models.noise import Level, Noise
from hyotan.models.ordered import Cuts
from hyotan.parameters.table import PARAMETERS
from hyotan.preprocessing.checks import NOISE_SLACK
from hyotan.training.resident import as_tensor


def _checked_level(level: Any) -> Level:
    domain = PARAMETERS["noise_level"].domain
    try:
        return domain.check(level)
    except (TypeError, ValueError):
        fix = "Leave it out for the level of training."
        raise SettingsError(f"level cannot be {level!r}: expected {domain.describe()}.", fix) from None


def _has_learned_noise(estimator: Autoencoder) -> bool:
    """Whether a model was, or will be, trained on noise; scikit-learn adds the reason to its AttributeError."""
    if (estimator.trained_noise if estimator.__sklearn_is_fitted__() else estimator.noise) is None:
        raise SettingsError(
            f"This {type(estimator).__name__} was trained without noise: it has not learned what noise is.",
            "Fit it with noise='gaussian' (--model dae), or another kind of noise.",
        )
    return True


@dataclass(repr=False, eq=False)
class Autoencoder(UnlabelledEstimator):
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
    layout : how a row's values lie; ``auto``: (n, features) are vectors, arrays with more dimensions images;
        ``sequence``: (n, length, channels), such as time series, with convolutions along the length.
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

    _: KW_ONLY
    latent_activation: str | None = None
    tied: bool = False
    noise: str | None = None
    noise_level: float | Sequence[float] = 0.3
    penalty: str | None = None
    penalty_weight: float = 0.1

    family: ClassVar[Family] = BY_KIND["autoencoder"]

    def model_of(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> AutoencoderModel:
        """The autoencoder of these parts."""
        penalty = None if settings["penalty"] is None else PENALTIES[settings["penalty"]]
        noise: Noise | None = None
        if settings["noise"] is not None and hasattr(self, "preprocessor_"):
            noise = NOISES[settings["noise"]](settings["noise_level"], *self.range_)
        cuts = Cuts(settings["latent_dim"]) if settings["ordered"] else None
        return AutoencoderModel(encoder, decoder, likelihood, noise, penalty, settings["penalty_weight"], cuts)

    @available_if(_has_learned_noise)
    def denoise(self, X: ArrayLike) -> np.ndarray:
        """Noisy rows made clean, (n, *features), float32, in the data's own units. Deterministic.

        There only where the model is trained on noise.

        Parameters
        ----------
        X : (n, *features), noisy; what lies outside the range of the training data is clipped to it first, as the
            noise of training is.
        """
        rows = self.encode_rows(X, NOISE_SLACK)
        model, (low, high) = self.model_, self.range_
        clean = self.inference_.batched(lambda x: model.reconstruct(x.clamp(low, high)), rows)
        return self.preprocessor_.to_data(clean)

    @available_if(_has_learned_noise)
    def corrupt(self, X: ArrayLike, level: float | Sequence[float] | None = None, random_state: int = 0) -> np.ndarray:
        """Clean rows with noise as in training, (n, *features), float32, in the data's own units: to try it out.

        There only where the model is trained on noise.

        Parameters
        ----------
        X : (n, *features)
        level : another level than that of training.
        random_state : seed.

        Raises
        ------
        SettingsError
            The level cannot be one.
        """
        rows = self.encode_rows(X)
        noise: Any = self.trained_noise
        if level is not None:
            noise = replace(noise, level=_checked_level(level))
        noisy = np.empty(rows.shape, dtype=np.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_state)
            for start in range(0, len(rows), BATCH_ROWS):
                noisy[start : start + BATCH_ROWS] = noise(as_tensor(rows[start : start + BATCH_ROWS])).numpy()
        return self.preprocessor_.to_data(noisy)

    @property
    def trained_noise(self) -> Noise | None:
        """The noise that the fitted model was trained on."""
        return self.model_.noise


@dataclass(repr=False, eq=False)
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

    latent_dim: int = 512
    _: KW_ONLY
    noise: str | None = "gaussian"

    family: ClassVar[Family] = BY_KIND["denoising-autoencoder"]
