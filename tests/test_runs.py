"""Run folders: made once, held by one process, whole on a full disk, and readable by people and programs."""

from __future__ import annotations

import collections
import errno
import itertools
import json
import math
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyotan.errors import DivergenceError, ResourceError, RunFolderError
from hyotan.files.container import read
from hyotan.runs.checkpoints import FolderStore
from hyotan.runs.run_folder import RunFolder
from hyotan.runs.run_training import fit, resume
from hyotan.runs.settings import RunConfig
from hyotan.training.callbacks import Callback, Fitting
from run_children import SMALL, Outcome, digests, new_run, nursery

CONFIG = RunConfig("digits", "autoencoder", {"latent_dim": 3, "random_state": 0})
AT_ONCE = 8
TINY = "--limit 120 --hidden-dims 12 --latent-dim 2 --max-epochs 2 --batch-size 32".split()


def at_once(jobs: list[tuple[Any, ...]], cwd: Path) -> list[Outcome]:
    """Children that start in the same instant."""
    moment = time.time() + 0.3
    children = [nursery().start(*job, cwd=cwd, start_at=moment) for job in jobs]
    return [child.wait() for child in children]


def strictly(text: str) -> Any:
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


class TestAName:
    """Two runs never share a folder."""

    def test_without_out_is_the_next_free_number(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        paths = [str(RunFolder.create(CONFIG, name).path) for name in ("digits-ae", "digits-ae", "digits-vae")]
        assert paths == ["runs/digits-ae-1", "runs/digits-ae-2", "runs/digits-vae-1"]
        (tmp_path / "runs" / "digits-ae-3").write_text("a file of the user's")
        assert RunFolder.create(CONFIG, "digits-ae").path.name == "digits-ae-4"

    @pytest.mark.parametrize("races", [2, pytest.param(100, marks=pytest.mark.slow)])
    def test_is_given_once_to_eight_processes_that_ask_at_once(self, races: int, tmp_path: Path) -> None:
        for race in range(races):
            outcomes = at_once([("make", f"race{race}", seed) for seed in range(AT_ONCE)], tmp_path)
            folders = [outcome.text.strip() for outcome in outcomes]
            assert sorted(folders) == [f"runs/race{race}-{number}" for number in range(1, AT_ONCE + 1)]
            seeds = [RunFolder(tmp_path / folder).config.parameters["random_state"] for folder in folders]
            assert seeds == list(range(AT_ONCE))

    @pytest.mark.parametrize("races", [2, pytest.param(100, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("exists", [False, True])
    def test_that_eight_processes_give_at_once_is_that_of_one(self, races: int, exists: bool, tmp_path: Path) -> None:
        for race in range(races):
            out = tmp_path / f"race{race}"
            if exists:
                out.mkdir()
            outcomes = at_once([("make", "x", seed, out) for seed in range(AT_ONCE)], tmp_path)
            winners = [seed for seed, outcome in enumerate(outcomes) if outcome.code == 0]
            assert len(winners) == 1
            assert RunFolder(out).config.parameters["random_state"] == winners[0]
            for outcome in outcomes:
                if outcome.code:
                    assert outcome.code == 5
                    assert "exists already" in outcome.text or "is in use by process" in outcome.text

    def test_that_another_process_takes_in_the_last_moment_stays_its_own(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mkdir, others = Path.mkdir, replace(CONFIG, parameters={"latent_dim": 9})

        def late(path: Path, **options: Any) -> None:
            mkdir(path, **options)
            monkeypatch.undo()
            RunFolder.create(others, "x", path)

        monkeypatch.setattr(Path, "mkdir", late)
        with pytest.raises(RunFolderError, match="exists already"):
            RunFolder.create(CONFIG, "x", tmp_path / "run")
        assert RunFolder(tmp_path / "run").config == others


class TestOut:
    """``--out`` is the run folder, and nothing in it is lost."""

    def test_is_made_with_its_parents(self, tmp_path: Path) -> None:
        folder = RunFolder.create(CONFIG, "x", tmp_path / "a" / "b")
        assert folder.path == tmp_path / "a" / "b"
        assert {path.name for path in folder.path.iterdir()} == {"config.toml", ".lock"}

    def test_that_exists_is_refused(self, tmp_path: Path) -> None:
        RunFolder.create(CONFIG, "x", tmp_path / "run")
        message = r"run exists already\. Go on with: hyotan resume .*run; or replace it with --overwrite"
        with pytest.raises(RunFolderError, match=message):
            RunFolder.create(CONFIG, "x", tmp_path / "run")

    def test_with_other_files_is_refused_even_to_overwrite(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(RunFolderError, match="exists already"):
            RunFolder.create(CONFIG, "x", tmp_path)
        with pytest.raises(RunFolderError, match=r"holds other files than a run's; it is not overwritten\. Choose an"):
            RunFolder.create(CONFIG, "x", tmp_path, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("a file")
        with pytest.raises(RunFolderError, match="out is a file; --out names a folder. Choose another name"):
            RunFolder.create(CONFIG, "x", tmp_path / "out", overwrite=True)

    def test_is_emptied_of_the_old_run_and_of_nothing_else(self, tmp_path: Path) -> None:
        old = new_run(tmp_path / "run", max_epochs=1)
        fit(old)
        (old.path / "notes.txt").write_text("my own")
        (old.path / "figures").mkdir()
        (old.path / "figures" / "loss.png").write_text("old")
        new = RunFolder.create(CONFIG, "x", old.path, overwrite=True)
        assert {path.name for path in new.path.iterdir()} == {"config.toml", ".lock", "notes.txt"}
        assert new.config == CONFIG
        assert new.read_snapshot() is None

    def test_is_not_overwritten_under_a_process_that_trains_in_it(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path / "run")
        with folder.locked(), pytest.raises(RunFolderError, match=f"in use by process {os.getpid()}"):
            RunFolder.create(CONFIG, "x", folder.path, overwrite=True)

    def test_is_told_on_the_command_line(self, tmp_path: Path) -> None:
        RunFolder.create(CONFIG, "x", tmp_path / "run")
        outcome = nursery().run("cli", "fit", "digits", "--out", tmp_path / "run")
        assert outcome.code == 5
        assert f"error: {tmp_path / 'run'} exists already." in outcome.text


class TestTheLock:
    """One process at a time, and a killed one holds nothing."""

    def test_names_its_holder_and_ends_with_it(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path / "run", max_epochs=1)
        child = nursery().start("hold", folder.path)
        child.wait_until(lambda: "held" in child.log.read_text(encoding="utf-8"))
        with pytest.raises(RunFolderError, match=rf"run is in use by process {child.pid}\. Wait for it, or stop"):
            fit(folder)
        outcome = nursery().run("cli", "resume", folder.path)
        assert (outcome.code, outcome.text.splitlines()[0]) == (
            5,
            f"error: {folder.path} is in use by process {child.pid}.",
        )
        child.signal(signal.SIGKILL)
        assert child.wait().code == -signal.SIGKILL
        assert fit(folder).estimator.n_iter_ == 1

    @pytest.mark.parametrize("races", [1, pytest.param(20, marks=pytest.mark.slow)])
    def test_is_won_by_one_of_eight_processes_that_resume_at_once(self, races: int, tmp_path: Path) -> None:
        for race in range(races):
            folder = new_run(tmp_path / f"race{race}", max_epochs=150).path
            child = nursery().start("fit", folder)
            child.wait_for(folder / "checkpoint.hyotan")
            child.signal(signal.SIGKILL)
            assert child.wait().code == -signal.SIGKILL
            moment = time.time() + 0.3
            children = [nursery().start("cli", "resume", folder, "--quiet", start_at=moment) for _ in range(AT_ONCE)]
            outcomes = [child.wait() for child in children]
            winners = [child.pid for child, outcome in zip(children, outcomes, strict=True) if outcome.code == 0]
            assert collections.Counter(outcome.code for outcome in outcomes) == {0: 1, 5: AT_ONCE - 1}
            for outcome in outcomes:
                if outcome.code == 5:
                    assert f"error: {folder} is in use by process {winners[0]}." in outcome.text
            assert RunFolder(folder).read_metrics()["epochs"] == 150


@pytest.fixture
def anyones() -> Iterator[Path]:
    """A folder that every user can reach."""
    path = Path(tempfile.mkdtemp(prefix="hyotan-tests-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


class TestADiskThatDoesNotTakeIt:
    """Told in words before or after, exit 4, and what was saved stays."""

    def test_a_folder_that_may_not_be_written_to_is_told_before_the_first_epoch(self, anyones: Path) -> None:
        locked = anyones / "locked"
        locked.mkdir(mode=0o555)
        for out in (locked / "run", locked):
            outcome = nursery().run("cli", "fit", "digits", *TINY, "--out", out, **self.as_anyone(anyones))
            assert (outcome.code, "epoch 1" in outcome.text, "Traceback" in outcome.text) == (4, False, False)
            assert "cannot be written to: Permission denied.\nfix: Choose another folder with --out." in outcome.text
        assert list(locked.iterdir()) == []

    def test_a_run_that_may_not_be_written_to_is_told_before_the_first_epoch(self, anyones: Path) -> None:
        folder = new_run(anyones / "run").path
        (folder / ".lock").unlink()
        (folder / "config.toml").chmod(0o644)
        folder.chmod(0o555)
        outcome = nursery().run("cli", "resume", folder, **self.as_anyone(anyones))
        assert (outcome.code, "epoch 1" in outcome.text) == (4, False)
        assert f"error: {folder} cannot be written to: Permission denied." in outcome.text

    def as_anyone(self, place: Path) -> dict[str, Any]:
        return {"cwd": place, "unprivileged": True, "environment": {"XDG_CONFIG_HOME": str(place)}}

    def test_a_read_only_disk_is_told_as_well(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path, *_: Any, **__: Any) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

        monkeypatch.setattr(Path, "mkdir", refuse)
        monkeypatch.chdir(tmp_path)
        for out in (None, tmp_path / "run"):
            with pytest.raises(ResourceError, match=r"cannot be written to: Read-only file system\. Choose another"):
                RunFolder.create(CONFIG, "x", out)

    def test_a_disk_that_is_full_in_mid_training_leaves_the_old_checkpoint(self, tmp_path: Path) -> None:
        folder = new_run(tmp_path / "run", kind="vae").path
        child = nursery().start("fit", folder, every=5)
        child.wait_for(folder / "history.jsonl")
        child.signal(signal.SIGKILL)
        assert child.wait().code == -signal.SIGKILL
        before = (folder / "checkpoint.hyotan").read_bytes()
        outcome = nursery().run("cli", "resume", folder, largest_file=len(before) // 2)
        assert outcome.code == 4
        assert "checkpoint.hyotan could not be written: File too large (" in outcome.text
        assert "bytes needed" in outcome.text
        assert "Traceback" not in outcome.text
        assert (folder / "checkpoint.hyotan").read_bytes() == before
        assert nursery().run("resume", folder).code == 0
        whole = new_run(tmp_path / "whole", kind="vae").path
        assert nursery().run("fit", whole).code == 0
        assert digests(folder) == digests(whole)

    def test_a_disk_that_is_full_at_any_write_leaves_a_run_that_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FolderStore, "is_due", lambda store: True)
        whole = new_run(tmp_path / "whole", max_epochs=1, batch_size=64)
        fit(whole)
        failures = 0
        for number in range(100):
            folder = new_run(tmp_path / str(number), max_epochs=1, batch_size=64)
            with pytest.MonkeyPatch.context() as patch:
                failed = _full_disk(patch, after=number)
                try:
                    fit(folder)
                except ResourceError as error:
                    assert "No space left on device" in error.message
                    assert error.exit_code == 4
            if not failed:
                break
            failures += 1
            snapshot = folder.read_snapshot()
            assert (snapshot is None) == (number == 0)
            resume(folder)
            assert digests(folder.path) == digests(whole.path)
        # Three checkpoints in the epoch, whose history is still empty; one with its history; the model; the metrics.
        assert failures == 3 + 2 + 2


def _full_disk(patch: pytest.MonkeyPatch, after: int) -> list[int]:
    """So many files can still be written, then none."""
    write, taken, failed = os.write, [0], []

    def limited(handle: int, data: Any) -> int:
        taken[0] += 1
        if taken[0] > after:
            failed.append(taken[0])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    patch.setattr(os, "write", limited)
    return failed


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished VAE run."""
    folder = new_run(tmp_path_factory.mktemp("finished") / "run", kind="vae", max_epochs=3)
    fit(folder)
    return folder.path


class TestWhatARunLeaves:
    """Files that people and programs read."""

    def test_the_history_has_one_line_of_strict_json_an_epoch(self, finished: Path) -> None:
        rows = [strictly(line) for line in (finished / "history.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        assert [row["step"] for row in rows] == [11, 22, 33]
        for row in rows:
            for side in ("", "val_"):
                assert math.isclose(row[f"{side}kl"], sum(row[f"{side}kl_per_dimension"]), rel_tol=1e-9)
                assert math.isclose(row[f"{side}loss"], row[f"{side}reconstruction"] + row[f"{side}kl"], rel_tol=1e-5)
            assert {"learning_rate", "seconds", "val_mse", "active_units", "val_active_units"} <= row.keys()

    def test_the_metrics_have_the_promised_shape(self, finished: Path) -> None:
        metrics = strictly((finished / "metrics.json").read_text(encoding="utf-8"))
        assert metrics["test"].keys() == {"mse", "loss", "reconstruction", "kl"}
        assert all(isinstance(value, float) for value in metrics["test"].values())
        assert (metrics["latent_dim"], metrics["epochs"], metrics["validation_fraction"]) == (3, 3, 0.1)
        assert metrics["active_units"] in range(4)
        widths = [64, SMALL["hidden_dims"][0], 6], [3, SMALL["hidden_dims"][0], 64]
        assert metrics["parameters"] == sum(a * b + b for w in widths for a, b in itertools.pairwise(w))
        seconds = sum(json.loads(line)["seconds"] for line in (finished / "history.jsonl").read_text().splitlines())
        assert metrics["train_seconds"] == pytest.approx(seconds, abs=2e-3)
        assert metrics["diagnosis"]
        for finding in metrics["diagnosis"]:
            assert finding.keys() == {"code", "level", "text"}
            assert finding["code"].isupper()

    def test_the_metrics_are_those_of_the_model_on_the_rows_held_out_for_the_test(self, finished: Path) -> None:
        folder = RunFolder(finished)
        _, test = folder.split_data()
        model = folder.load_model()
        errors = np.square(model.reconstruct(test.X).astype(np.float64) - test.X)
        assert folder.read_metrics()["test"]["mse"] == pytest.approx(errors.mean(), rel=1e-5)

    def test_an_autoencoder_has_no_kl(self, tmp_path: Path) -> None:
        fit(new_run(tmp_path / "run", max_epochs=1))
        metrics = strictly((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
        assert metrics["test"].keys() == {"mse", "loss", "reconstruction"}

    def test_what_is_not_a_number_is_null(self, tmp_path: Path) -> None:
        folder = RunFolder.create(CONFIG, "x", tmp_path / "run")
        folder.write_metrics({"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": 1.5})
        assert strictly((folder.path / "metrics.json").read_text()) == {"a": None, "b": [None, {"c": None}], "d": 1.5}


class Poison(Callback):
    """Makes a weight NaN after one step, as a gradient that is not finite does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, fitting: Fitting) -> None:
        if fitting.step == self.step:
            next(fitting.model.parameters()).data[0, 0] = math.nan  # pyrefly: ignore[missing-attribute]


class TestDivergence:
    """Training that leaves the finite numbers stops, says so, and spoils nothing."""

    def test_is_told_on_the_command_line(self, tmp_path: Path) -> None:
        line = ["--learning-rate", "1e30", "--optimizer", "sgd", "--likelihood", "gaussian", *TINY]
        outcome = nursery().run("cli", "fit", "digits", *line, "--out", tmp_path / "run")
        assert outcome.code == 3
        assert "error: Training diverged: " in outcome.text
        assert "fix: The last good state is kept. Lower the learning rate (now 1e+30), set grad_clip" in outcome.text
        assert "Traceback" not in outcome.text
        metrics = strictly((tmp_path / "run" / "metrics.json").read_text())
        (finding,) = metrics["diagnosis"]
        assert (finding["code"], finding["level"]) == ("DIVERGED", "warning")
        assert "Training diverged" in finding["text"]
        assert not (tmp_path / "run" / "model.hyotan").exists()

    @pytest.mark.parametrize("step", [1, 2, 5, 11, 12, 33])
    @pytest.mark.parametrize("held_out", [0.0, 0.1])
    def test_never_puts_a_broken_number_into_a_checkpoint(
        self, step: int, held_out: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FolderStore, "is_due", lambda store: True)
        folder = new_run(tmp_path / "run", max_epochs=3, validation_fraction=held_out)
        with pytest.raises(DivergenceError, match=f"weights became NaN or infinite by step {step} "):
            fit(folder, [Poison(step)])
        if step == 1:
            assert not (folder.path / "checkpoint.hyotan").exists()
            return
        contents = read(folder.path / "checkpoint.hyotan")
        floats = {name: array for name, array in contents.tensors.items() if array.dtype.kind == "f"}
        assert len(floats) > 10
        assert all(np.isfinite(array).all() for array in floats.values())

    def test_goes_on_from_the_last_good_state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(FolderStore, "is_due", lambda store: True)
        folder, whole = new_run(tmp_path / "run", max_epochs=2), new_run(tmp_path / "whole", max_epochs=2)
        with pytest.raises(DivergenceError, match="by step 9 "):
            fit(folder, [Poison(9)])
        resume(folder)
        fit(whole)
        assert digests(folder.path) == digests(whole.path)
