"""Ctrl-C and SIGTERM: the state is saved, the way on is told, and nothing is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from hyotan.errors import DivergenceError
from hyotan.estimators import VAE, Autoencoder
from hyotan.files.container import read
from hyotan.runs.run_folder import RunFolder
from hyotan.runs.run_training import fit, resume
from hyotan.training.callbacks import Callback, Fitting
from hyotan.training.interruption import TrainingInterrupted
from run_children import SOURCE, Child, digests, new_run, nursery, timeless_metrics, weights

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
FIT = "fit digits --limit 200 --model vae --hidden-dims 24 --latent-dim 3 --batch-size 16 --random-state 1".split()
X = np.random.default_rng(0).random((64, 6), dtype=np.float32)
SETTINGS: dict[str, Any] = {"latent_dim": 2, "hidden_dims": (4,), "batch_size": 8, "random_state": 0, "device": "cpu"}


class At(Callback):
    """Does something at one step, or at the end of one epoch."""

    def __init__(self, do: Callable[[], object], step: int | None = None, epoch: int | None = None) -> None:
        self.do, self.step, self.epoch = do, step, epoch

    def on_step_end(self, fitting: Fitting) -> None:
        if fitting.step == self.step:
            self.do()

    def on_epoch_end(self, fitting: Fitting) -> None:
        if fitting.epoch == self.epoch:
            self.do()


def press(number: int = signal.SIGINT, times: int = 1) -> Callable[[], None]:
    """Send this process a signal."""

    def send() -> None:
        for _ in range(times):
            os.kill(os.getpid(), number)

    return send


@pytest.fixture
def handlers() -> Iterator[dict[int, Any]]:
    """The handlers before a test; they must be the same after it."""
    before = {number: signal.getsignal(number) for number in CODES}
    yield before
    assert {number: signal.getsignal(number) for number in CODES} == before


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stops."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert nursery().run("cli", *FIT, "--max-epochs", 40, "--out", folder).code == 0
    return folder


class TestTheCommandLine:
    """The real command, stopped by real signals."""

    @pytest.mark.parametrize("number", CODES)
    def test_saves_tells_how_to_go_on_and_leaves(self, number: int, tmp_path: Path) -> None:
        command = [sys.executable, "-c", "from hyotan.cli import main; main()"]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            [*command, "fit", "digits", "--out", "run", "--max-epochs", "200"],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            while not (tmp_path / "run" / "checkpoint.hyotan").exists():
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            _, text = process.communicate(timeout=60)
        assert process.returncode == CODES[number]
        settings = read(tmp_path / "run" / "checkpoint.hyotan").settings
        steps = -(-(1617 - 161) // 64)
        at = (
            f"saved epoch {settings['epoch'] + 1}, step {settings['epoch'] * steps + settings['step_in_epoch']} in run."
        )
        assert text.splitlines()[-2:] == [f"error: Stopped: {at}", "fix: Go on with: hyotan resume run"]
        assert "Traceback" not in text

    @pytest.mark.parametrize("times", [2, pytest.param(50, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("number", CODES)
    def test_goes_on_to_the_same_bits_after_a_stop_at_any_moment(
        self, number: int, times: int, whole: Path, tmp_path: Path
    ) -> None:
        draw, stopped = random.Random(number), 0
        for attempt in range(4 * times):
            folder = tmp_path / str(attempt)
            child = nursery().start("cli", *FIT, "--max-epochs", 40, "--out", folder)
            child.wait_for(folder / "checkpoint.hyotan")
            time.sleep(draw.uniform(0, 0.3))
            child.signal(number)
            outcome = child.wait()
            # A signal after the training ends the process as any other: there is nothing left to save.
            if "Stopped: saved epoch" not in outcome.text:
                continue
            stopped += 1
            assert outcome.code == CODES[number]
            assert f"fix: Go on with: hyotan resume {folder}" in outcome.text
            assert "Traceback" not in outcome.text
            resumed = nursery().run("cli", "resume", folder)
            assert resumed.code == 0, resumed.text
            assert digests(folder) == digests(whole)
            assert timeless_metrics(folder) == timeless_metrics(whole)
            if stopped == times:
                return
        pytest.fail(f"only {stopped} of {times} signals came while a child was training")

    def test_answers_in_one_json_object_where_asked(self, tmp_path: Path) -> None:
        child = nursery().start("cli", *FIT, "--max-epochs", 400, "--out", tmp_path / "run", "--json")
        child.wait_for(tmp_path / "run" / "checkpoint.hyotan")
        child.signal(signal.SIGINT)
        outcome = child.wait()
        answer = json.loads(outcome.text)
        assert (outcome.code, answer["ok"], answer["code"]) == (130, False, "STOPPED")
        assert answer["message"].startswith("Stopped: saved epoch")
        assert answer["fix"] == f"Go on with: hyotan resume {tmp_path / 'run'}"

    def test_leaves_at_once_at_the_second_ctrl_c(self, tmp_path: Path) -> None:
        child = self.in_a_step_that_does_not_end(tmp_path / "run")
        child.signal(signal.SIGINT)
        time.sleep(0.1)
        assert child.is_alive()
        child.signal(signal.SIGINT)
        outcome = child.wait()
        assert (outcome.code, outcome.text.splitlines()[-1]) == (130, "error: Stopped.")
        assert "Traceback" not in outcome.text
        read(tmp_path / "run" / "checkpoint.hyotan", kinds=["checkpoint"])

    def test_waits_for_the_step_after_a_second_sigterm(self, tmp_path: Path) -> None:
        child = self.in_a_step_that_does_not_end(tmp_path / "run")
        for _ in range(2):
            child.signal(signal.SIGTERM)
            time.sleep(0.05)
        assert child.is_alive()
        child.signal(signal.SIGKILL)
        child.wait()

    def in_a_step_that_does_not_end(self, folder: Path) -> Child:
        child = nursery().start("cli", *FIT, "--max-epochs", 40, "--out", folder, endless_step=5)
        child.wait_until(lambda: "step 5 does not end" in child.log.read_text(encoding="utf-8"))
        return child


class TestARun:
    """A run in this process."""

    @pytest.mark.parametrize("number", CODES)
    def test_says_where_it_was_stopped(self, number: int, tmp_path: Path, handlers: dict[int, Any]) -> None:
        folder = new_run(tmp_path / "run", max_epochs=4)
        name = signal.Signals(number).name
        with pytest.raises(TrainingInterrupted, match=f"stopped by {name} in epoch 3, step 26") as caught:
            fit(folder, [At(press(number), step=26)])
        assert (caught.value.exit_code, caught.value.epoch, caught.value.step) == (CODES[number], 3, 26)
        snapshot = folder.read_snapshot()
        assert snapshot is not None
        assert (snapshot.settings["epoch"], snapshot.settings["step_in_epoch"]) == (2, 4)
        assert not (folder.path / "metrics.json").exists()

    def test_that_is_stopped_in_its_very_last_validation_is_stopped_all_the_same(
        self, tmp_path: Path, handlers: dict[int, Any]
    ) -> None:
        folder, whole = new_run(tmp_path / "run", max_epochs=2), new_run(tmp_path / "whole", max_epochs=2)
        with pytest.raises(TrainingInterrupted, match="stopped by SIGINT in epoch 2, step 22"):
            fit(folder, [At(press(), epoch=2)])
        resume(RunFolder(folder.path))
        fit(whole)
        assert digests(folder.path) == digests(whole.path)

    def test_gives_the_lock_back(self, tmp_path: Path, handlers: dict[int, Any]) -> None:
        folder = new_run(tmp_path / "run", max_epochs=2)
        with pytest.raises(TrainingInterrupted, match="SIGTERM"):
            fit(folder, [At(press(signal.SIGTERM), step=3)])
        with folder.locked():
            pass


class TestAFitInMemory:
    """An estimator without a run folder."""

    @pytest.mark.parametrize("family", [Autoencoder, VAE])
    def test_raises_keyboard_interrupt_and_leaves_a_usable_model(
        self, family: type[Autoencoder] | type[VAE], handlers: dict[int, Any]
    ) -> None:
        model = family(**SETTINGS, max_epochs=9, callbacks=[At(press(), step=20)])
        with pytest.raises(KeyboardInterrupt, match="stopped by SIGINT in epoch 3, step 20"):
            model.fit(X)
        assert (model.n_iter_, [row["epoch"] for row in model.history_]) == (2, [1, 2])
        assert model.reconstruct(X).shape == X.shape
        assert model.sample(3, random_state=0).shape == (3, 6)
        assert not model.model_.training

    def test_stopped_after_an_epoch_has_that_epochs_weights(self, handlers: dict[int, Any]) -> None:
        options: dict[str, Any] = {**SETTINGS, "schedule": "constant", "validation_fraction": 0.0}
        stopped = Autoencoder(**options, max_epochs=9, callbacks=[At(press(), step=9)])
        with pytest.raises(KeyboardInterrupt, match="in epoch 2"):
            stopped.fit(X)
        whole = Autoencoder(**options, max_epochs=1).fit(X)
        np.testing.assert_array_equal(stopped.transform(X), whole.transform(X))

    def test_stopped_in_its_first_epoch_is_not_fitted(self, handlers: dict[int, Any]) -> None:
        model = Autoencoder(**SETTINGS, max_epochs=2).fit(X)
        model.set_params(callbacks=[At(press(), step=2)])
        with pytest.raises(KeyboardInterrupt, match="in epoch 1, step 2"):
            model.fit(X)
        with pytest.raises(NotFittedError, match="not fitted yet"):
            model.transform(X)

    def test_leaves_at_once_at_the_second_ctrl_c(self, handlers: dict[int, Any]) -> None:
        steps: list[int] = []
        model = Autoencoder(**SETTINGS, max_epochs=2, callbacks=[At(press(times=2), step=3), Counter(steps)])
        with pytest.raises(KeyboardInterrupt) as caught:  # noqa: PT012
            model.fit(X)
            pytest.fail("it went on")
        assert (type(caught.value), steps) == (KeyboardInterrupt, [1, 2])

    def test_leaves_sigterm_to_the_program_around_it(self, handlers: dict[int, Any]) -> None:
        seen: list[Any] = []
        look = At(lambda: seen.append(signal.getsignal(signal.SIGTERM)), step=1)
        Autoencoder(**SETTINGS, max_epochs=1, callbacks=[look]).fit(X)
        assert seen == [handlers[signal.SIGTERM]]

    def test_puts_the_programs_own_handler_back(self) -> None:
        def own(number: int, frame: object) -> None:
            raise RuntimeError("the program's own handler")

        before = signal.signal(signal.SIGINT, own)
        try:
            Autoencoder(**SETTINGS, max_epochs=1).fit(X)
            assert signal.getsignal(signal.SIGINT) is own
        finally:
            signal.signal(signal.SIGINT, before)

    def test_puts_the_handlers_back_when_it_diverges(self, handlers: dict[int, Any]) -> None:
        with pytest.raises(DivergenceError, match="Training diverged"):
            Autoencoder(**SETTINGS, likelihood="gaussian", optimizer="sgd", learning_rate=1e30, max_epochs=3).fit(X)

    def test_works_off_the_main_thread_and_touches_no_handler(self, handlers: dict[int, Any]) -> None:
        seen: list[Any] = []
        look = At(lambda: seen.append(signal.getsignal(signal.SIGINT)), step=1)
        model = Autoencoder(**SETTINGS, max_epochs=2, callbacks=[look])
        thread = threading.Thread(target=lambda: model.fit(X))
        thread.start()
        thread.join()
        assert seen == [handlers[signal.SIGINT]]
        whole = Autoencoder(**SETTINGS, max_epochs=2).fit(X)
        np.testing.assert_array_equal(model.transform(X), whole.transform(X))


class Counter(Callback):
    """Notes the steps."""

    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    def on_step_end(self, fitting: Fitting) -> None:
        self.steps.append(fitting.step)


def test_two_interrupted_models_are_compared_by_their_weights(whole: Path) -> None:
    """The comparison that these tests stand on sees a changed weight."""
    found = digests(whole)
    assert len(weights(found)) == len(weights(found, "model.hyotan")) > 4
    assert weights(found) != weights({**found, next(iter(weights(found))): "0"})
