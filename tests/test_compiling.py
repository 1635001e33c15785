"""A compiled step is the recorded one but for rounding; whoever asks for one and gets none is told why."""

from __future__ import annotations

import itertools
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hyotan import VAE, Autoencoder
from hyotan.errors import SettingsError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.training import compiling
from hyotan.training import trainer as trainer_module
from hyotan.training.callbacks import Callback
from hyotan.training.checkpoint import Snapshot
from hyotan.training.stacked_trainer import grouped_by_stack

IMAGES = np.random.default_rng(0).random((100, 7, 7)).astype(np.float32)
SMALL: dict[str, Any] = {"latent_dim": 4, "hidden_dims": (12,), "max_epochs": 3, "batch_size": 15, "random_state": 0}
STEPS = 3 * 6
"""Of a training of these."""


@pytest.fixture
def short_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "LEAST_STEPS", STEPS)


@pytest.fixture
def needs_no_compiler(monkeypatch: pytest.MonkeyPatch, short_pays: None) -> None:
    """Training gets as far as compiling without a compiler, and whatever a test puts in its place."""
    monkeypatch.setattr(trainer_module, "refuse_without_compiler", lambda: None)


def timeless(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def assert_same_bits(one: LatentEstimator, other: LatentEstimator) -> None:
    assert timeless(one.history_) == timeless(other.history_)
    for (name, a), b in zip(one.model_.state_dict().items(), other.model_.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@contextmanager
def no_warnings() -> Iterator[None]:
    """Whatever :mod:`hyotan.training.compiling` would have to say fails the test."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="compile=True")
        yield


class Keeper:
    """Keeps the snapshot of one step."""

    def __init__(self, at: int) -> None:
        self.asked, self.at = itertools.count(1), at
        self.snapshots: list[Snapshot] = []

    def is_due(self) -> bool:
        return next(self.asked) == self.at

    def save(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler")
class TestACompiledTraining:
    def test_is_the_recorded_one_but_for_rounding_and_goes_on_with_its_own_bits(self, short_pays: None) -> None:
        # In their order, batches are parts of one array that begin anywhere: at no multiple of 16 bytes, here.
        settings = {**SMALL, "shuffle": False}
        plain = VAE(**settings).fit(IMAGES)
        store = Keeper(at=8)
        compiled, resumed = VAE(**settings, compile=True), VAE(**settings, compile=True)
        with no_warnings():
            with compiled.training(IMAGES, store=store) as trainer:
                trainer.fit()
            with resumed.training(IMAGES, snapshot=store.snapshots[0]) as trainer:
                trainer.fit()
        for here, there in zip(timeless(compiled.history_), timeless(plain.history_), strict=True):
            assert here.keys() == there.keys()
            for name in here:
                assert here[name] == pytest.approx(there[name], rel=1e-4, abs=1e-5), name
        assert_same_bits(resumed, compiled)


class TestWhoeverGetsNoCompiledStepIsTold:
    def test_in_a_short_training(self) -> None:
        with pytest.warns(UserWarning, match=r"compile=True has no effect: .* from some 30,000 steps on, .* has 18\."):
            compiled = VAE(**SMALL, compile=True).fit(IMAGES)
        assert_same_bits(compiled, VAE(**SMALL).fit(IMAGES))

    def test_where_steps_differ(self, needs_no_compiler: None) -> None:
        with pytest.warns(UserWarning, match="what a step of this model does differs from step to step"):
            Autoencoder(**SMALL, ordered=True, compile=True).fit(IMAGES)

    def test_where_the_step_cannot_be_compiled(self, monkeypatch: pytest.MonkeyPatch, needs_no_compiler: None) -> None:
        def broken(*_: Any) -> Any:
            raise RuntimeError("omp.h: no such file\nand much more")

        monkeypatch.setattr(compiling, "compile_step", broken)
        with pytest.warns(UserWarning, match=r"could not compile the step \(RuntimeError: omp\.h: no such file\)\.$"):
            compiled = VAE(**SMALL, compile=True).fit(IMAGES)
        assert_same_bits(compiled, VAE(**SMALL).fit(IMAGES))

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda values: [*values[:-1], 1.001 * values[-1]], r"gradient is off by \d\.\de-04 of its norm"),
            (lambda values: [*values[:-1], values[-1] * torch.nan], r"gradient is off by nan of its norm"),
            (lambda values: [1.001 * values[0], *values[1:]], r"loss is [\d.]+ and should be [\d.]+\.$"),
            (lambda values: [*values, torch.rand(1)][:-1], "does not draw the same random numbers"),
        ],
        ids=["gradient", "not finite", "loss", "draws"],
    )
    def test_where_the_compiled_step_gives_something_else(
        self,
        monkeypatch: pytest.MonkeyPatch,
        needs_no_compiler: None,
        change: Callable[[Sequence[Tensor]], Sequence[Tensor]],
        reason: str,
    ) -> None:
        def wrong(recording: Any, x: Tensor) -> Callable[..., Sequence[Tensor]]:
            return lambda *arguments: change(recording.module(*arguments))

        monkeypatch.setattr(compiling, "compile_step", wrong)
        with pytest.warns(UserWarning, match=f"compile=True has no effect: the compiled step.* {reason}"):
            compiled = VAE(**SMALL, compile=True).fit(IMAGES)
        assert_same_bits(compiled, VAE(**SMALL).fit(IMAGES))


class TestWithoutACompiler:
    def test_training_is_refused_before_its_first_step(self, short_pays: None) -> None:
        from torch._inductor import config

        class Started(Callback):
            def on_fit_start(self, fitting: Any) -> None:
                raise AssertionError("training has begun")

        with (
            config.patch({"cpp.cxx": (None, "no-such-compiler")}),
            pytest.raises(SettingsError, match=r"needs a C\+\+ compiler, .* \(looked for: no-such-compiler\).*\$CXX"),
        ):
            VAE(**SMALL, compile=True, callbacks=[Started()]).fit(IMAGES)

    def test_a_short_training_goes_on(self) -> None:
        from torch._inductor import config

        with config.patch({"cpp.cxx": (None, "no-such-compiler")}), pytest.warns(UserWarning, match="has no effect"):
            VAE(**SMALL, compile=True).fit(IMAGES)


class TestWhatIsCompiled:
    def test_does_not_hang_on_the_steps_to_come(self, short_pays: None) -> None:
        with VAE(**SMALL, compile=True).training(IMAGES) as trainer:
            trainer.epoch = 2
            assert trainer.is_compiled

    def test_is_decided_for_each_cycle_of_epochs(self, short_pays: None) -> None:
        with VAE(**SMALL, compile=True).training(IMAGES, max_epochs=5) as trainer:
            assert trainer.is_compiled
            trainer.epoch = 3
            assert not trainer.is_compiled

    def test_trains_alone(self, short_pays: None) -> None:
        def groups(**changes: Any) -> int:
            with ExitStack() as stack:
                cells = [VAE(**{**SMALL, **changes, "random_state": seed}) for seed in (0, 1)]
                return len(grouped_by_stack([stack.enter_context(cell.training(IMAGES)) for cell in cells]))

        assert groups() == 1
        assert groups(compile=True, max_epochs=2) == 1
        assert groups(compile=True) == 2
