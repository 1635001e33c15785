"""From settings to things: each name is looked up here, once, and becomes the object that it names."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.likelihoods import Likelihood
from hyotan.distributions.mixed import MixedLikelihood
from hyotan.errors import SettingsError
from hyotan.models import ACTIVATIONS, INITIALISATIONS
from hyotan.models.labelled import LabelEmbedding, LabelledDecoder, LabelledEncoder
from hyotan.models.layers import Linear, append_activation, initialise
from hyotan.models.masked import MaskedEncoder, shape_with_mask
from hyotan.models.mlp import mlp_decoder, mlp_encoder, tied_decoder
from hyotan.models.ordered import OrderedDecoder, ReadinDecoder, ReadoutEncoder
from hyotan.preprocessing.layouts import Layout, layout_by_dimensions
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.training import OPTIMIZERS, SCHEDULES
from hyotan.training.trainer import TrainingSettings

Settings = Mapping[str, Any]

DEFAULT_HIDDEN = {"mlp": (512, 256), "conv": (256,)}

WIDER = 2
"""Where a denoising autoencoder's code is wider than the last of these layers, one layer so many times as wide as the
code takes their place: what a row holds must not pass a narrower one."""

AUTO_STEPS, AUTO_EPOCHS = 3200, (15, 400)
"""Steps that a default training takes, within these numbers of epochs."""

RATE_PER_ROW = 1e-3 / 32
"""Default learning rate for each row of a batch: small data come in small batches, whose gradients are noisier."""

ORDERED_EPOCHS, ORDERED_RATE = 1.15, 1.5
"""Of an ordered code, that many times the epochs and the learning rate: it is trained for all its sizes at once."""


def choose_device(name: str) -> torch.device:
    """The device by name; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    SettingsError
        The device is not there.
    """
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(device for device in ("cuda", "mps", "cpu") if here[device]))
    if not here[name]:
        raise SettingsError(
            f"device '{name}' is not available here.", "Choose device='cpu' (--device cpu), or see: hyotan doctor"
        )
    return torch.device(name)


def choose_architecture(settings: Settings, feature_shape: tuple[int, ...]) -> str:
    """``mlp`` or ``conv``; a tied network is an MLP."""
    if settings["architecture"] != "auto":
        return settings["architecture"]
    is_large = math.prod(feature_shape) > choose_layout(settings, feature_shape).convolved_above
    return "conv" if is_large and not settings.get("tied") else "mlp"


def choose_layout(settings: Settings, feature_shape: tuple[int, ...]) -> Layout:
    """How the values of samples of a shape lie."""
    return layout_by_dimensions(settings["layout"], 1 + len(feature_shape))


def choose_batch_size(settings: Settings, n: int) -> int:
    """The batch size; by default it grows with the data, from 32 to 256."""
    if settings["batch_size"] != "auto":
        return settings["batch_size"]
    return next(size for rows, size in ((100_000, 256), (5_000, 128), (1_000, 64), (0, 32)) if n >= rows)


def choose_learning_rate(settings: Settings, batch_size: int) -> float:
    """The highest learning rate; by default in proportion to the batch size, 0.001 at 32, up to 0.004 at 128.

    An ordered code gets half as much again.
    """
    if settings["learning_rate"] != "auto":
        return settings["learning_rate"]
    return RATE_PER_ROW * min(max(batch_size, 32), 128) * (ORDERED_RATE if settings.get("ordered") else 1)


def choose_epochs(settings: Settings, n: int, batch_size: int) -> int:
    """The number of epochs; by default as many as make some 3,200 steps, from 15 to 400; of an ordered code, more."""
    if settings["max_epochs"] != "auto":
        return settings["max_epochs"]
    steps = max(1, n // batch_size)
    epochs = min(max(-(-AUTO_STEPS // steps), AUTO_EPOCHS[0]), AUTO_EPOCHS[1])
    return round(ORDERED_EPOCHS * epochs) if settings.get("ordered") else epochs


def build_likelihood(preprocessor: Preprocessor, settings: Settings) -> Likelihood:
    """The likelihood that some rows call for."""
    if preprocessor.likelihood == MixedLikelihood.name:
        return MixedLikelihood(preprocessor)
    return likelihood_by_name(preprocessor.likelihood, settings, preprocessor.feature_shape)


def likelihood_by_name(name: str, settings: Settings, feature_shape: tuple[int, ...]) -> Likelihood:
    """The likelihood by name, of rows of numbers."""
    family = LIKELIHOODS[name]
    if settings["output_activation"] == "tanh" and family.low > -1:
        raise SettingsError(
            f"output_activation='tanh' gives values in [-1, 1], which a {name} likelihood cannot explain.",
            "Choose likelihood='gaussian' with scaling='symmetric', or leave output_activation out.",
        )
    return family(feature_shape, scale=settings["likelihood_scale"])


def build_networks(
    settings: Settings,
    feature_shape: tuple[int, ...],
    code_outputs: int,
    likelihood: Likelihood,
    has_missing: bool = False,
) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder, the user's own ones where they were given.

    Parameters
    ----------
    settings : the estimator's parameters.
    feature_shape : shape of one sample.
    code_outputs : numbers that the encoder puts out for each latent dimension: 1, or 2 for mean and variance.
    likelihood : says how many numbers a feature the decoder puts out.
    has_missing : whether the encoder is to handle missing values: one of the user's own then gets 0 for them.
    """
    for name in ("encoder", "decoder"):
        _refuse_other_than_modules(name, settings[name])
    hidden, latent = choose_hidden(settings, feature_shape), settings["latent_dim"]
    # The user's own modules are copied: fitting must leave the estimator's parameters as they were.
    encoder, decoder = copy.deepcopy(settings["encoder"]), copy.deepcopy(settings["decoder"])
    if settings.get("tied"):
        _refuse_untieable(settings, choose_architecture(settings, feature_shape), likelihood, has_missing)
    is_own, axis = encoder is not None, choose_layout(settings, feature_shape).channel_axis
    if encoder is None:
        seen_shape = shape_with_mask(feature_shape, axis) if has_missing else feature_shape
        encoder = _encoder(settings, seen_shape, hidden, latent * code_outputs)
    if decoder is None and settings.get("tied"):
        decoder = tied_decoder(encoder, likelihood.parameter_shape, ACTIVATIONS[settings["activation"]])
        # Tying draws the shared weights anew: a scheme that was asked for has the last word.
        initialise(nn.ModuleList([encoder, decoder]), INITIALISATIONS[settings["initialisation"]])
        decoder = append_activation(decoder, _output_activation(settings, likelihood))
    elif decoder is None:
        decoder = _decoder(settings, latent, hidden[::-1], likelihood)
    else:
        decoder = append_activation(decoder, _output_activation(settings, likelihood))
    if settings["ordered"] and not isinstance(decoder, OrderedDecoder):
        # Tied to the encoder, or the user's own: it has no place for a mask.
        decoder = OrderedDecoder(decoder, latent, is_told=False)
    encoder = append_activation(encoder, _activation(settings.get("latent_activation")))
    return MaskedEncoder(encoder, not is_own, axis) if has_missing else encoder, decoder


def build_labelled_networks(
    settings: Settings, feature_shape: tuple[int, ...], n_classes: int, likelihood: Likelihood
) -> tuple[LabelledEncoder, LabelledDecoder]:
    """Encoder and decoder of a VAE with labels, which join the last hidden layer of the one, the first of the other.

    Parameters
    ----------
    settings : the estimator's parameters.
    feature_shape : shape of one sample.
    n_classes : how many labels there are.
    likelihood : says how many numbers a feature the decoder puts out.
    """
    activation, scheme = ACTIVATIONS[settings["activation"]], INITIALISATIONS[settings["initialisation"]]
    hidden, latent, size = choose_hidden(settings, feature_shape), settings["latent_dim"], settings["label_dim"]
    trunk, inner, joined = nn.Flatten(), nn.Identity(), (math.prod(feature_shape), latent)
    if hidden:
        *wide, last = hidden
        trunk = append_activation(_encoder(settings, feature_shape, wide, last), activation)
        inner, joined = nn.Sequential(Linear(latent, last), activation()), (last, last)
    head = Linear(joined[0] + size, 2 * latent)
    embeddings = [LabelEmbedding(n_classes, size, activation) for _ in range(2)]
    initialise(nn.ModuleList([inner, head, *embeddings]), scheme)
    outer = _decoder(settings, joined[1] + size, hidden[::-1][1:], likelihood)
    return LabelledEncoder(trunk, embeddings[0], head), LabelledDecoder(inner, embeddings[1], outer)


def build_classifier(settings: Settings, feature_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """A network of the encoder's hidden layers from samples to logits, (batch, classes)."""
    return _encoder(settings, feature_shape, choose_hidden(settings, feature_shape), n_classes)


def choose_hidden(settings: Settings, feature_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Widths of the hidden layers, encoder side."""
    if (given := settings["hidden_dims"]) != "auto":
        return tuple(given)
    usual, latent = DEFAULT_HIDDEN[choose_architecture(settings, feature_shape)], settings["latent_dim"]
    return (WIDER * latent,) if settings.get("noise") and latent > usual[-1] else usual


def _encoder(settings: Settings, feature_shape: tuple[int, ...], hidden: Sequence[int], n_out: int) -> nn.Module:
    """From samples to n_out numbers, through hidden layers of these widths."""
    activation = ACTIVATIONS[settings["activation"]]
    if choose_architecture(settings, feature_shape) == "conv":
        convolutions, _ = choose_layout(settings, feature_shape).networks
        layers = convolutions(feature_shape, settings["channels"], hidden, n_out, activation)
    else:
        layers = mlp_encoder(feature_shape, hidden, n_out, activation)
    reads_every_layer = settings.get("ordered") and not settings.get("tied")
    encoder = ReadoutEncoder(layers) if reads_every_layer else layers
    initialise(encoder, INITIALISATIONS[settings["initialisation"]])
    return encoder


def _decoder(settings: Settings, n_in: int, hidden: Sequence[int], likelihood: Likelihood) -> nn.Module:
    """From n_in numbers to the likelihood's parameters, through hidden layers of these widths."""
    activation, feature_shape = ACTIVATIONS[settings["activation"]], likelihood.feature_shape
    is_ordered = settings.get("ordered", False)
    n_told = 2 * n_in if is_ordered else n_in  # an ordered code comes with its mask
    if choose_architecture(settings, feature_shape) == "conv":
        outputs = likelihood.outputs
        _, convolutions = choose_layout(settings, feature_shape).networks
        decoder = convolutions(n_told, settings["channels"], hidden, feature_shape, outputs, activation)
    else:
        decoder = mlp_decoder(n_told, hidden, likelihood.parameter_shape, activation)
        decoder = ReadinDecoder(decoder) if is_ordered else decoder
    initialise(decoder, INITIALISATIONS[settings["initialisation"]])
    decoder = append_activation(decoder, _output_activation(settings, likelihood))
    return OrderedDecoder(decoder, n_in) if is_ordered else decoder


def _output_activation(settings: Settings, likelihood: Likelihood) -> Callable[[], nn.Module] | None:
    # A likelihood with a link of its own (Bernoulli's sigmoid) takes logits: the activation is in the link already.
    return _activation(settings["output_activation"] if likelihood.link is None else None)


def _activation(name: str | None) -> Callable[[], nn.Module] | None:
    return None if name is None else ACTIVATIONS[name]


def _refuse_other_than_modules(name: str, network: Any) -> None:
    if network is not None and not isinstance(network, nn.Module):
        raise SettingsError(
            f"{name} cannot be {network!r}: expected an nn.Module or None.",
            "Put a function into the forward method of a class derived from torch.nn.Module.",
        )


def refuse_lone_rows(model: nn.Module, n: int, batch_size: int) -> None:
    """Refuse batches of one row where a network of the user's normalises over the batch: it would have no variance.

    Raises
    ------
    SettingsError
        Names the layer and the size of the batch.
    """
    lone = next((name for name, layer in model.named_modules() if isinstance(layer, nn.BatchNorm1d)), None)
    if lone is not None and 1 in (n, batch_size):
        raise SettingsError(
            f"'{lone}' normalises over the batch, but batches hold 1 row ({n} to train on, batch_size {batch_size}).",
            "Pass more rows or a larger batch_size, or use nn.LayerNorm.",
        )


def _refuse_untieable(settings: Settings, architecture: str, likelihood: Likelihood, has_missing: bool) -> None:
    if has_missing:
        raise SettingsError(
            "tied=True shares the weights of an encoder that reads the rows alone; with missing values it reads a "
            "mask too.",
            "Leave out tied=True, or fill the missing values first.",
        )
    if architecture != "mlp" or settings["encoder"] or settings["decoder"] or likelihood.outputs > 1:
        raise SettingsError(
            "tied=True shares the weights of fully connected layers, which this network does not have.",
            "Choose architecture='mlp', no encoder or decoder of your own, and a likelihood with one output a feature.",
        )


def check_networks(
    encoder: nn.Module, decoder: nn.Module, feature_shape: tuple[int, ...], latent: int, code_outputs: int, outputs: int
) -> None:
    """Run one blank sample through both networks and compare the shapes with what the model needs.

    Raises
    ------
    SettingsError
        Names the network, the shape expected and the shape that came.
    """
    out_shape = (outputs, *feature_shape) if outputs > 1 else tuple(feature_shape)
    _check_one("encoder", encoder, (2, *feature_shape), (2, latent * code_outputs))
    _check_one("decoder", decoder, (2, latent), (2, *out_shape))


def _check_one(name: str, network: nn.Module, given: tuple[int, ...], expected: tuple[int, ...]) -> None:
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    was_training = network.training
    try:
        with torch.no_grad():
            got = tuple(network.eval()(torch.zeros(given, device=device)).shape)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise SettingsError(
            f"Your {name} cannot take samples of shape {given[1:]}: {reason}", f"It must map {given} to {expected}."
        ) from error
    finally:
        network.train(was_training)
    if got != expected:
        raise SettingsError(
            f"Your {name} gives {got} for an input of shape {given}; expected {expected}.",
            "Change its last layer (a VAE's encoder puts out 2 * latent_dim values: the mean, then the variance's).",
        )


def training_settings(settings: Settings, n: int, seed: int) -> TrainingSettings:
    """How to train, every name resolved."""
    batch_size = choose_batch_size(settings, n)
    return TrainingSettings(
        max_epochs=choose_epochs(settings, n, batch_size),
        batch_size=batch_size,
        optimizer=OPTIMIZERS[settings["optimizer"]],
        schedule=SCHEDULES[settings["schedule"]],
        learning_rate=choose_learning_rate(settings, batch_size),
        weight_decay=settings["weight_decay"],
        seed=seed,
        grad_clip=settings["grad_clip"],
        shuffle=settings["shuffle"],
        early_stopping=settings["early_stopping"],
        bf16=settings["precision"] == "bf16",
        compile=settings.get("compile", False),
    )
