"""Where torch's internals cannot be had, training goes by autograd and the optimizer's own step, to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hyotan import VAE
from hyotan.estimators.estimator import LatentEstimator
from hyotan.training import compiling, torch_internals
from hyotan.training import trainer as trainer_module
from hyotan.training.torch_internals import HOMES, torch_internal

IMAGES = np.random.default_rng(0).random((90, 6, 6)).astype(np.float32)
SMALL: dict[str, Any] = {"latent_dim": 3, "hidden_dims": (8,), "max_epochs": 3, "batch_size": 15, "random_state": 0}


def moved(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOMES:  # moved, not deleted: torch itself needs them
        monkeypatch.setitem(HOMES, name, "torch.nn")


def in_an_older_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.5.1")


def in_a_newer_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "99.0.0+cu999")


EACH_WAY = pytest.mark.parametrize("without", [moved, in_an_older_version, in_a_newer_version])


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Steps are recorded, and compiled where that is asked for, however short a training is; what recording gave."""
    made: list[Any] = []
    record = trainer_module.record

    def watched(*arguments: Any) -> Any:
        made.append(record(*arguments))
        return made[-1]

    monkeypatch.setattr(trainer_module, "LEAST_STEPS", 0)
    monkeypatch.setattr(compiling, "LEAST_STEPS", 0)
    monkeypatch.setattr(trainer_module, "refuse_without_compiler", lambda: None)
    monkeypatch.setattr(trainer_module, "record", watched)
    return made


def assert_same_bits(one: LatentEstimator, other: LatentEstimator) -> None:
    for (name, a), b in zip(one.model_.state_dict().items(), other.model_.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("name", HOMES)
def test_are_there_in_the_version_that_is_tested(name: str) -> None:
    assert torch_internal(name) is not None


@EACH_WAY
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_missing_change_no_bit(
    without: Callable[[pytest.MonkeyPatch], None], optimizer: str, monkeypatch: pytest.MonkeyPatch, at_once: list[Any]
) -> None:
    usual = VAE(**SMALL, optimizer=optimizer).fit(IMAGES)
    assert at_once.pop() is not None
    without(monkeypatch)
    assert_same_bits(VAE(**SMALL, optimizer=optimizer).fit(IMAGES), usual)
    assert set(at_once) == {None}


@EACH_WAY
def test_missing_are_told_of_where_a_compiled_step_was_asked_for(
    without: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, at_once: list[Any]
) -> None:
    usual = VAE(**SMALL).fit(IMAGES)
    without(monkeypatch)
    with pytest.warns(UserWarning, match="compile=True has no effect: the step could not be recorded"):
        assert_same_bits(VAE(**SMALL, compile=True).fit(IMAGES), usual)


def test_missing_compiler_leaves_the_recorded_step(monkeypatch: pytest.MonkeyPatch, at_once: list[Any]) -> None:
    usual = VAE(**SMALL).fit(IMAGES)
    monkeypatch.setitem(HOMES, "compile_fx", "torch.nn")
    with pytest.warns(UserWarning, match=r"could not compile the step \(ImportError: torch .* has no .*compile_fx\)"):
        assert_same_bits(VAE(**SMALL, compile=True).fit(IMAGES), usual)


@pytest.mark.parametrize(
    ("version", "known"),
    [("2.5.1", False), ("2.6.0", True), ("2.13.0+cpu", True), ("2.14.0a0+git1234", False), ("3.0", False)],
)
def test_are_used_with_versions_that_are_known(version: str, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (torch_internals.OLDEST, torch_internals.NEWEST) == ((2, 6), (2, 13))
    monkeypatch.setattr(torch, "__version__", version)
    if known:
        assert torch_internal("_fused_adam_") is not None
    else:
        with pytest.raises(ImportError, match="is not among the versions known"):
            torch_internal("_fused_adam_")
