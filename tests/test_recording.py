"""A step that is recorded gives the bits of the step by autograd, for every model that can be recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hyotan import CVAE, VAE, WAE, Autoencoder, DenoisingAutoencoder
from hyotan.training import trainer as trainer_module

NEVER, ALWAYS = 10**9, 0

RECORDED = {
    "autoencoder": (Autoencoder, {}),
    "tied": (Autoencoder, {"hidden_dims": (), "tied": True}),
    "shared deviation": (Autoencoder, {"likelihood": "gaussian-shared"}),
    "denoising, gaussian": (DenoisingAutoencoder, {"noise": "gaussian"}),
    "denoising, blind": (DenoisingAutoencoder, {"noise_level": (0.1, 0.6)}),
    "denoising, swap": (DenoisingAutoencoder, {"noise": "swap"}),
    "vae": (VAE, {}),
    "vae, softplus": (VAE, {"variance": "softplus", "likelihood": "gaussian-per-feature"}),
    "vae, free bits": (VAE, {"free_bits": 0.2}),
    "vae, three samples": (VAE, {"n_samples": 3}),
    "iwae": (VAE, {"n_samples": 2, "objective": "iwae"}),
    "continuous bernoulli": (VAE, {"likelihood": "continuous-bernoulli"}),
    "heteroscedastic": (VAE, {"likelihood": "gaussian-heteroscedastic"}),
    "convolutions": (VAE, {"architecture": "conv", "channels": (4, 8), "hidden_dims": (16,)}),
    "clipped gradients": (VAE, {"grad_clip": 0.1}),
    "dynamic binarisation": (VAE, {"binarise": "dynamic"}),
    "wae": (WAE, {}),
    "momentum": (Autoencoder, {"optimizer": "sgd", "learning_rate": 0.01}),
    "handle_missing": (VAE, {"handle_missing": "always", "n_samples": 2, "objective": "iwae"}),
    "missing values, autoencoder": (Autoencoder, {"handle_missing": "always"}),
    "bfloat16": (VAE, {"precision": "bf16"}),
    "bfloat16, wae": (WAE, {"precision": "bf16"}),
}

NOT_RECORDED = {
    "ordered": (VAE, {"ordered": True}),
    "contractive": (Autoencoder, {"penalty": "contractive", "penalty_weight": 0.1}),
    "classes": (CVAE, {}),
    "own network": (Autoencoder, {"encoder": nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4))}),
}


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each attempt to record gave."""
    made: list[Any] = []
    record = trainer_module.record

    def watched(*arguments: Any) -> Any:
        made.append(record(*arguments))
        return made[-1]

    monkeypatch.setattr(trainer_module, "record", watched)
    return made


def images(n: int = 90) -> np.ndarray:
    return np.random.default_rng(0).random((n, 8, 8)).astype(np.float32)


def fit(monkeypatch: pytest.MonkeyPatch, kind: Any, settings: dict[str, Any], least_steps: int) -> Any:
    monkeypatch.setattr(trainer_module, "LEAST_STEPS", least_steps)
    common = {"latent_dim": 4, "hidden_dims": (12,), "max_epochs": 3, "batch_size": 16, "random_state": 0}
    return kind(**{**common, **settings}).fit(images(), np.arange(90) % 3)


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_training_has_the_bits_of_one_by_autograd(
    monkeypatch: pytest.MonkeyPatch, recordings: list[Any], name: str
) -> None:
    kind, settings = RECORDED[name]
    plain = fit(monkeypatch, kind, settings, NEVER)
    assert recordings == []
    recorded = fit(monkeypatch, kind, settings, ALWAYS)
    assert len(recordings) == 1
    assert recordings[0] is not None
    assert timeless(recorded.history_) == timeless(plain.history_)
    for (key, a), b in zip(plain.model_.state_dict().items(), recorded.model_.state_dict().values(), strict=True):
        assert torch.equal(a, b), key


@pytest.mark.parametrize("name", NOT_RECORDED)
def test_what_differs_from_step_to_step_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch, recordings: list[Any], name: str
) -> None:
    kind, settings = NOT_RECORDED[name]
    fit(monkeypatch, kind, settings, ALWAYS)
    assert recordings == []


def test_a_rising_beta_is_recorded_once_it_has_risen(monkeypatch: pytest.MonkeyPatch, recordings: list[Any]) -> None:
    plain = fit(monkeypatch, VAE, {"beta_warmup": 1.5}, NEVER)
    recorded = fit(monkeypatch, VAE, {"beta_warmup": 1.5}, ALWAYS)
    assert len(recordings) == 1
    assert timeless(recorded.history_) == timeless(plain.history_)


def test_a_recording_that_gives_other_bits_is_dropped(monkeypatch: pytest.MonkeyPatch, recordings: list[Any]) -> None:
    plain = fit(monkeypatch, VAE, {}, NEVER)
    monkeypatch.setattr("hyotan.training.recording._same_as", lambda node: node.args[0] if "exp" in node.name else None)
    recorded = fit(monkeypatch, VAE, {}, ALWAYS)
    assert recordings == [None]
    assert timeless(recorded.history_) == timeless(plain.history_)


def test_a_short_training_is_not_recorded(recordings: list[Any]) -> None:
    Autoencoder(latent_dim=2, hidden_dims=(), max_epochs=2, batch_size=16, random_state=0).fit(images())
    assert recordings == []
