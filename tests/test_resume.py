"""Runs that were killed go on to the same bits; runs that are over say so."""

from __future__ import annotations

import functools
import itertools
import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyotan.errors import DataError, ModelFileError, RunFolderError, SettingsError
from hyotan.files.container import read
from hyotan.runs.run_folder import RunFolder
from hyotan.runs.run_training import fit, resume, schedule_after
from hyotan.runs.settings import RunConfig
from run_children import digests, new_run, nursery, stamp, timeless_metrics, weights

EVERY = 5
"""Steps between two checkpoints, of 11 in an epoch: most kills then come in mid-epoch, many while a file is written."""

PATIENT = "vae with warm-up, dynamic binarisation and early stopping"
RUNS: dict[str, dict[str, Any]] = {
    "ae": {"kind": "autoencoder"},
    "dae": {"kind": "denoising-autoencoder", "noise": "gaussian", "optimizer": "sgd", "grad_clip": 100.0},
    "vae": {"kind": "vae", "n_samples": 2},
    PATIENT: {
        "kind": "vae",
        "beta_warmup": 3.0,
        "binarise": "dynamic",
        "early_stopping": 2,
        "schedule": "constant",
        "learning_rate": 0.1,
        "max_epochs": 40,
    },
}
DRAWING = [name for name in RUNS if name != "ae"]
"""The runs whose training draws random numbers."""


class Reference:
    """A run of one kind that nobody stops, and how long it takes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder, self.parameters = new_run(folder, **RUNS[name]).path, RUNS[name]
        child = nursery().start("fit", self.folder, every=EVERY)
        child.wait_for(self.folder / "checkpoint.hyotan")
        started = time.monotonic()
        outcome = child.wait()
        assert outcome.code == 0, outcome.text
        self.seconds = time.monotonic() - started
        self.digests = digests(self.folder)


Make = Callable[[str], Reference]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A maker of reference runs, which makes each only once."""
    return functools.cache(lambda name: Reference(name, tmp_path_factory.mktemp("reference") / "run"))


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """Paths for run folders."""
    return (tmp_path / f"run-{number}" for number in itertools.count())


def kill(folder: Path, moment: float, job: str = "fit", *arguments: Any, **options: Any) -> bool:
    """Kill a child that trains in the folder, so many seconds after its own first checkpoint.

    False where this is no test of anything: the child, or the training in it, was over by then.
    """
    checkpoint = folder / "checkpoint.hyotan"
    before = stamp(checkpoint)
    child = nursery().start(job, folder, *arguments, every=EVERY, **options)
    child.wait_until(lambda: stamp(checkpoint) != before)
    time.sleep(moment)
    child.signal(signal.SIGKILL)
    return child.wait().code == -signal.SIGKILL and is_unfinished(folder)


def is_unfinished(folder: Path) -> bool:
    settings = read(folder / "checkpoint.hyotan").settings
    return not settings["stopped_early"] and settings["epoch"] < settings["cycles"][-1][1]


def reached(folder: Path) -> int:
    """Epochs that the checkpoint has behind it."""
    path = folder / "checkpoint.hyotan"
    return read(path).settings["epoch"] if path.exists() else 0


def killed_runs(
    whole: Reference, folders: Iterator[Path], wanted: int, seed: int, latest: float = 0.9
) -> Iterator[Path]:
    """So many runs, each killed at a random moment of its training, at the latest when this share of it is over."""
    draw = random.Random(seed)
    found = 0
    for folder in itertools.islice(folders, 4 * wanted + 10):
        new_run(folder, **whole.parameters)
        if kill(folder, draw.uniform(0, latest * whole.seconds)):
            found += 1
            yield folder
        if found == wanted:
            return
    pytest.fail(f"only {found} of {wanted} kills came while a child was training")


def succeed(job: str, *arguments: Any, **options: Any) -> str:
    """Run a child that must end well; what it printed."""
    outcome = nursery().run(job, *arguments, **options)
    assert outcome.code == 0, outcome.text
    return outcome.text


class TestAKilledRun:
    """Killed at any moment, and resumed, it ends as one that was never stopped: to the bit."""

    @pytest.mark.parametrize("wanted", [5, pytest.param(50, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("name", RUNS)
    def test_goes_on_to_the_same_bits(self, name: str, wanted: int, reference: Make, folders: Iterator[Path]) -> None:
        whole = reference(name)
        for folder in killed_runs(whole, folders, wanted, seed=wanted):
            succeed("resume", folder)
            assert digests(folder) == whole.digests

    @pytest.mark.parametrize("wanted", [1, pytest.param(12, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("name", DRAWING)
    def test_may_be_killed_many_times(self, name: str, wanted: int, reference: Make, folders: Iterator[Path]) -> None:
        whole, draw = reference(name), random.Random(wanted)
        for folder in killed_runs(whole, folders, wanted, seed=100 + wanted, latest=0.1):
            kills = 1 + sum(kill(folder, draw.uniform(0, whole.seconds / 10), "resume") for _ in range(3))
            assert kills >= 3
            if not (folder / "metrics.json").exists():
                succeed("resume", folder)
            assert digests(folder) == whole.digests

    @pytest.mark.parametrize("wanted", [2, pytest.param(40, marks=pytest.mark.slow)])
    @pytest.mark.parametrize("name", DRAWING)
    def test_ends_otherwise_every_time_where_its_random_state_is_not_restored(
        self, name: str, wanted: int, reference: Make, folders: Iterator[Path]
    ) -> None:
        whole = reference(name)
        for folder in killed_runs(whole, folders, wanted, seed=200 + wanted):
            succeed("resume", folder, forget_random=True)
            sabotaged = digests(folder)
            assert sabotaged.keys() == whole.digests.keys()
            assert weights(sabotaged) != weights(whole.digests)

    def test_after_its_best_epoch_still_knows_which_that_was(self, reference: Make, folders: Iterator[Path]) -> None:
        whole = reference(PATIENT)
        best = read(whole.folder / "checkpoint.hyotan").settings["best_epoch"]
        for folder in itertools.islice(folders, 10):
            child = nursery().start("fit", new_run(folder, **whole.parameters).path, every=EVERY)
            child.wait_until(lambda folder=folder: reached(folder) >= best)
            child.signal(signal.SIGKILL)
            if child.wait().code == -signal.SIGKILL and is_unfinished(folder):
                break
        else:
            pytest.fail("no kill came between the best epoch and the last one")
        succeed("resume", folder)
        assert digests(folder) == whole.digests

    @pytest.mark.parametrize("name", ["ae", "vae"])
    def test_starts_from_scratch_where_it_has_no_checkpoint_yet(
        self, name: str, reference: Make, folders: Iterator[Path]
    ) -> None:
        for folder in itertools.islice(folders, 10):
            child = nursery().start("fit", new_run(folder, **RUNS[name]).path)
            child.wait_for(folder / ".lock")
            child.signal(signal.SIGKILL)
            assert child.wait().code == -signal.SIGKILL
            if not (folder / "checkpoint.hyotan").exists():
                break
        else:
            pytest.fail("no kill came before the first checkpoint")
        succeed("resume", folder)
        assert digests(folder) == reference(name).digests

    @pytest.mark.parametrize("death", ["save", "evaluate", "write_metrics"])
    def test_after_its_training_still_gets_its_model_and_its_metrics(
        self, death: str, reference: Make, folders: Iterator[Path]
    ) -> None:
        whole, folder = reference("vae"), next(folders)
        new_run(folder, **whole.parameters)
        assert nursery().run("fit", folder, die_before=death).code == -signal.SIGKILL
        assert not (folder / "metrics.json").exists()
        succeed("resume", folder)
        assert digests(folder) == whole.digests
        assert timeless_metrics(folder) == timeless_metrics(whole.folder)

    def test_leaves_at_most_one_stale_file_which_the_next_save_takes_over(
        self, reference: Make, folders: Iterator[Path]
    ) -> None:
        expected = {path.name for path in reference("ae").folder.iterdir()}
        for folder in killed_runs(reference("ae"), folders, 2, seed=300):
            stale = {path.name for path in folder.iterdir()} - expected
            assert stale <= {".checkpoint.hyotan.tmp"} or stale <= {".history.jsonl.tmp"}
            (folder / ".checkpoint.hyotan.tmp").write_bytes(b"half of a")
            succeed("resume", folder)
            assert {path.name for path in folder.iterdir()} == expected


class TestTheSameRunTwice:
    """One seed on one machine gives the same bits."""

    @pytest.mark.parametrize("name", RUNS)
    def test_however_often_it_is_saved(self, name: str, reference: Make, folders: Iterator[Path]) -> None:
        folder = new_run(next(folders), **RUNS[name]).path
        succeed("fit", folder)
        assert digests(folder) == reference(name).digests

    def test_through_the_command_line(self, tmp_path: Path) -> None:
        line = "digits --limit 150 --model vae --hidden-dims 16 --max-epochs 2 --random-state 3 --quiet --out".split()
        for name in ("one", "two"):
            succeed("cli", "fit", *line, tmp_path / name)
        assert digests(tmp_path / "one") == digests(tmp_path / "two")
        other = line.index("3")
        succeed("cli", "fit", *line[:other], 4, *line[other + 1 :], tmp_path / "three")
        one, three = digests(tmp_path / "one"), digests(tmp_path / "three")
        assert weights(one, "model.hyotan") != weights(three, "model.hyotan")


class TestAFinishedRun:
    """It says that it is finished, and can be trained longer."""

    def test_is_not_resumed_and_says_how_to_train_it_longer(self, reference: Make) -> None:
        whole = reference("ae")
        with pytest.raises(
            SettingsError, match=r"run is finished \(epoch 6 of 6\)\. To .*: hyotan resume .*run --max-epochs 12"
        ):
            resume(RunFolder(whole.folder))
        outcome = nursery().run("cli", "resume", whole.folder)
        assert outcome.code == 2
        assert f"fix: To train it longer, type: hyotan resume {whole.folder} --max-epochs 12" in outcome.text
        assert digests(whole.folder) == whole.digests

    def test_that_was_stopped_early_is_finished_too(self, reference: Make) -> None:
        whole = reference(PATIENT)
        epoch = read(whole.folder / "checkpoint.hyotan").settings["epoch"]
        assert epoch < 40
        with pytest.raises(SettingsError, match=rf"is finished \(epoch {epoch} of 40\)"):
            resume(RunFolder(whole.folder))

    def test_can_be_trained_longer_in_a_new_cycle_and_says_so(self, reference: Make, folders: Iterator[Path]) -> None:
        folder = new_run(next(folders), **RUNS["vae"]).path
        succeed("fit", folder)
        before = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        text = succeed("cli", "resume", folder, "--max-epochs", 9)
        assert (
            "The one-cycle schedule runs to its end at epoch 6 as planned; epochs 7 to 9 are a new cycle, so the "
            "learning rate rises again and the loss may rise before it falls." in text
        )
        after = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
        assert after[:6] == before
        rows = [json.loads(line) for line in after]
        assert [row["epoch"] for row in rows] == list(range(1, 10))
        assert rows[5]["learning_rate"] * 10 < rows[6]["learning_rate"]
        assert timeless_metrics(folder)["epochs"] == 9

    def test_killed_while_it_trains_longer_goes_on_to_the_same_bits(self, folders: Iterator[Path]) -> None:
        whole, killed = (new_run(path, **RUNS["vae"]).path for path in itertools.islice(folders, 2))
        for folder in (whole, killed):
            succeed("fit", folder)
        succeed("resume", whole, 30)
        child = nursery().start("resume", killed, 30, every=EVERY)
        assert child.wait_until(lambda: reached(killed) >= 8)
        child.signal(signal.SIGKILL)
        assert child.wait().code == -signal.SIGKILL
        assert is_unfinished(killed)
        # The same words as before the kill, since they say where the run is going.
        text = succeed("cli", "resume", killed, "--max-epochs", 30)
        assert "The run goes on to its end, epoch 30, as planned." in text
        assert digests(killed) == digests(whole)

    @pytest.mark.parametrize("epochs", [1, 6])
    def test_cannot_end_earlier_than_it_did(self, epochs: int, reference: Make) -> None:
        whole = reference("ae")
        message = rf"--max-epochs {epochs} is not later than the run's end, epoch 6\. Take 7 or more"
        with pytest.raises(SettingsError, match=message):
            resume(RunFolder(whole.folder), epochs)
        outcome = nursery().run("cli", "resume", whole.folder, "--max-epochs", epochs)
        assert outcome.code == 2
        assert outcome.text.startswith("error: --max-epochs")
        assert digests(whole.folder) == whole.digests

    @pytest.mark.parametrize(("schedule", "words"), [("constant", "same constant"), ("cosine", "cosine schedule")])
    def test_is_told_what_more_epochs_mean_for_its_schedule(
        self, schedule: str, words: str, folders: Iterator[Path]
    ) -> None:
        folder = new_run(next(folders), schedule=schedule, max_epochs=2)
        fit(folder)
        assert words in schedule_after(folder, 5)
        assert "3 to 5" in schedule_after(folder, 5)


class TestAFolderThatCannotGoOn:
    """The error says why, and what to do."""

    @pytest.fixture
    def table(self, tmp_path: Path) -> RunFolder:
        np.save(tmp_path / "table.npy", np.random.default_rng(0).random((60, 5)))
        parameters = {"max_epochs": 2, "hidden_dims": [4], "latent_dim": 2, "random_state": 0}
        noted = RunConfig(str(tmp_path / "table.npy"), "autoencoder", parameters).load_data().fingerprint()
        config = RunConfig(str(tmp_path / "table.npy"), "autoencoder", parameters, fingerprint=noted)
        return RunFolder.create(config, "table", tmp_path / "run")

    def test_data_that_changed_are_refused(self, table: RunFolder, tmp_path: Path) -> None:
        X = np.load(tmp_path / "table.npy")
        X[0, 0] += 1e-9
        np.save(tmp_path / "table.npy", X)
        with pytest.raises(DataError, match=r"data under .*table\.npy' have changed since .*run was made.*start a new"):
            resume(table)
        assert not (table.path / "checkpoint.hyotan").exists()

    def test_data_that_are_back_are_taken(self, table: RunFolder, tmp_path: Path) -> None:
        X = np.load(tmp_path / "table.npy")
        np.save(tmp_path / "table.npy", X.copy(order="F"))
        assert resume(table).estimator.n_iter_ == 2

    def test_a_damaged_checkpoint_is_named(self, table: RunFolder) -> None:
        fit(table)
        path = table.path / "checkpoint.hyotan"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"checkpoint\.hyotan is damaged"):
            resume(table, 4)

    def test_a_folder_of_something_else_is_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(RunFolderError, match=r"is not a run folder: it holds no config\.toml"):
            RunFolder(tmp_path)
        with pytest.raises(RunFolderError, match="gone is not a run folder: it does not exist"):
            RunFolder(tmp_path / "gone")
        assert nursery().run("cli", "resume", tmp_path).code == 2

    def test_a_run_without_a_checkpoint_cannot_be_trained_longer(self, table: RunFolder) -> None:
        message = r"run has no checkpoint yet, so nothing could be trained longer\. Train it first: hyotan resume .*run"
        with pytest.raises(SettingsError, match=message):
            resume(table, 4)
        with pytest.raises(SettingsError, match=message):
            schedule_after(table, 4)

    def test_a_run_without_a_model_says_how_to_get_one(self, table: RunFolder) -> None:
        with pytest.raises(RunFolderError, match=r"has no finished model yet\. Go on .*: hyotan resume .*run"):
            table.load_model()
