"""Studies: what they train, that they go on where they were, and that one cell's failure is not the others'."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyotan.data import Dataset, load
from hyotan.errors import DataError, DivergenceError, ResourceError, RunFolderError, SettingsError
from hyotan.files.lock import held
from hyotan.models.families import BY_NAME
from hyotan.runs import run_training as runs
from hyotan.runs.run_folder import RunFolder
from hyotan.runs.settings import DataOptions
from hyotan.study import engine, measures, worker
from hyotan.study.agenda import Agenda
from hyotan.study.cells import Cell, Scores
from hyotan.study.comparison import Study
from hyotan.study.engine import create_study, run
from hyotan.study.plan import StudyConfig, configure, preset_names, read_preset
from hyotan.study.progress import StudyProgress, duration, status
from hyotan.study.study_folder import StudyFolder, run_config
from hyotan.study.worker import Outcome
from run_children import nursery

SMALL: dict[str, Any] = {"hidden_dims": (12,), "batch_size": 32, "max_epochs": 3, "device": "cpu"}
GRID: dict[str, Any] = {"models": ["ae", "vae"], "sizes": [3, 2], "repeats": 2, "parameters": SMALL}
FEW = DataOptions(limit=160)


@pytest.fixture(autouse=True)
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer runs of K-means and walks than people get: they are most of the time."""
    quicken(monkeypatch)


def quicken(patch: pytest.MonkeyPatch) -> None:
    for name, count in {"RUNS": 3, "SELECTION_RUNS": 2, "WALKS": 5}.items():
        patch.setattr(measures, name, count)
    patch.setattr(engine, "experiments", lambda folder: None)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits", limit=160)


def small(digits: Dataset, **changes: Any) -> StudyConfig:
    return configure(digits, "digits", **{**GRID, "data": FEW, **changes})


@pytest.fixture(scope="module")
def finished(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study that came to its end; tests that change it take a copy."""
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        folder = create_study(small(digits), digits, "digits-study", tmp_path_factory.mktemp("study") / "whole")
        run(folder, jobs=1)
    return folder


@pytest.fixture
def copy(finished: StudyFolder, tmp_path: Path) -> StudyFolder:
    shutil.copytree(finished.path, tmp_path / "copy")
    return StudyFolder(tmp_path / "copy")


def timeless(cells: list[Cell]) -> list[Cell]:
    return [replace(cell, train_seconds=0.0) for cell in cells]


def assert_same_up_to_rounding(cells: list[Cell], others: list[Cell]) -> None:
    """A cell that was trained in one loop with others has products that round otherwise than those of one alone."""
    for cell, other in zip(cells, others, strict=True):
        assert (cell.model, cell.latent_dim, cell.repeat) == (other.model, other.latent_dim, other.repeat)
        for here, there in ((cell.selection, other.selection), (cell.test, other.test)):
            for name in ("mse", "bound", "nll", "kl"):
                value, expected = getattr(here, name), getattr(there, name)
                assert value is expected is None or value == pytest.approx(expected, rel=1e-5)


def stamps(path: Path) -> dict[str, tuple[int, str]]:
    """When each file of a run folder was written, and what is in it."""
    files = [file for file in path.iterdir() if file.is_file() and file.name != ".lock"]
    return {f.name: (f.stat().st_mtime_ns, hashlib.sha256(f.read_bytes()).hexdigest()) for f in files}


class TestTheSettings:
    def test_are_the_same_after_a_file(self, digits: Dataset) -> None:
        config = small(digits, own={"vae": {"beta": 0.5}}, seed=4, parameters={**SMALL, "grad_clip": None})
        assert StudyConfig.from_toml(config.to_toml(), "study.toml") == config.checked()

    def test_by_default_fit_the_data(self, digits: Dataset) -> None:
        config = configure(digits, "digits")
        assert config.models == tuple(model for model in ("ae", "vae", "cvae") if model in BY_NAME)
        assert (config.sizes, config.repeats) == ((2, 4, 8, 16, 32), 3)
        narrow = Dataset.from_arrays(np.random.default_rng(0).random((50, 5)))
        config = configure(narrow, "table.csv")
        assert (config.models, config.sizes) == (("ae", "vae"), (2, 4))
        assert configure(Dataset.from_arrays(np.eye(20)[:, :2]), "table.csv").sizes == (1,)

    def test_make_a_cell_of_each_model_size_and_repeat(self, digits: Dataset) -> None:
        plans = small(digits).cells()
        assert [plan.name for plan in plans] == [
            "ae-2-0", "vae-2-0", "ae-3-0", "vae-3-0", "ae-2-1", "vae-2-1", "ae-3-1", "vae-3-1",
        ]  # fmt: skip
        assert [plan.seed for plan in plans] == [0, 0, 0, 0, 1, 1, 1, 1]
        assert all(plan.parameters["latent_dim"] == plan.latent_dim for plan in plans)
        assert all(plan.parameters["random_state"] == plan.seed for plan in plans)

    def test_give_each_model_the_parameters_that_it_has(self, digits: Dataset) -> None:
        config = small(digits, parameters={**SMALL, "beta": 0.1, "noise": "gaussian"})
        ae, vae = config.parameters_of("ae"), config.parameters_of("vae")
        assert (ae["noise"], vae["beta"]) == ("gaussian", 0.1)
        assert "beta" not in ae
        assert "noise" not in vae

    def test_that_are_stronger_win(self, digits: Dataset) -> None:
        weaker = {"max_epochs": 7, "batch_size": 64, "random_state": 5, "label_dim": 3}
        config = small(digits, parameters={"max_epochs": 2}, weaker=weaker, own={"vae": {"batch_size": 16}})
        assert config.parameters == {"max_epochs": 2, "batch_size": 64}
        assert config.parameters_of("vae")["batch_size"] == 16

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"models": ["vea"]}, r"model 'vea' is not known\. Did you mean 'vae'"),
            ({"models": []}, r"models cannot be empty\. Choose from: ae"),
            ({"sizes": [0, 2]}, r"sizes cannot be \[0, 2\]: expected latent sizes of at least 1\. .*--sizes 2,4,16"),
            ({"repeats": 0}, r"repeats cannot be 0\. Expected at least 1"),
            ({"seed": -1}, r"seed cannot be -1\. Expected at least 0"),
            ({"preset": "artikel"}, r"There is no preset 'artikel'\. Did you mean 'article'"),
            ({"parameters": {"latent_dim": 2}}, r"latent_dim is set by the study itself.*--sizes 2,4,16"),
            ({"parameters": {"tide": True}}, r"'tide' is not a setting of 'ae', 'vae'\. Did you mean 'tied'"),
            (
                {"models": ["vae"], "parameters": {"tied": True}},
                r"'tied' is not a setting of 'vae'\. It belongs to: ae",
            ),
            ({"parameters": {"beta": -1.0}}, r"beta cannot be -1\.0: expected a number of at least 0"),
            ({"own": {"dae": {"noise": "swap"}}}, r"own\.dae speaks of a model that the study does not have"),
            ({"own": {"vae": {"scaling": "none"}}}, r"scaling cannot be set for vae alone.*not be comparable"),
            ({"test_rows": 0}, r"test_rows cannot be 0"),
        ],
    )
    def test_that_cannot_be_are_refused(self, changes: dict[str, Any], message: str, digits: Dataset) -> None:
        with pytest.raises(SettingsError, match=message):
            small(digits, **changes)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("models = [", r"study\.toml is not a study's settings.*Compare it with a study's study\.toml"),
            ('source = "digits"\nmodels = ["ae"]', r"missing required field `sizes`"),
            ('source = "digits"\nmodels = ["ae"]\nsizes = ["2"]', r"Expected `int`, got `str`"),
            ('source = "digits"\nmodels = ["ae"]\nsizes = [2]\nrepeat = 2', r"'repeat' is not a setting.*'repeats'"),
            (
                'source = "digits"\nmodels = ["ae"]\nsizes = [2]\n[data]\nlimits = 2',
                r"'limits' is not a setting.*limit",
            ),
            ('source = "digits"\nmodels = ["ae"]\nsizes = [2]\nrepeats = 0', r"repeats in study\.toml cannot be 0"),
            (
                'source = "digits"\nmodels = ["ae"]\nsizes = [2]\n[parameters]\nbeta = 2',
                r"'beta' in study\.toml is not",
            ),
        ],
    )
    def test_in_a_file_are_refused_by_name(self, text: str, message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            StudyConfig.from_toml(text, "study.toml")

    def test_with_a_model_that_needs_labels_are_refused_without_them(self) -> None:
        if "cvae" not in BY_NAME:
            pytest.skip("there is no such model")
        rows = np.random.default_rng(0).random((50, 5))
        with pytest.raises(SettingsError, match=r"--models cvae needs labels; t\.csv has no labels\. Leave cvae out"):
            configure(Dataset.from_arrays(rows), "t.csv", models=["ae", "cvae"])
        with pytest.raises(SettingsError, match=r"has labels that are no classes \(.*labels 0\.\.1"):
            configure(Dataset.from_arrays(rows, np.linspace(0, 1, 50)), "t.csv", models=["cvae"])

    def test_of_a_single_feature_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"single feature a row: there is nothing to compress"):
            configure(Dataset.from_arrays(np.random.default_rng(0).random((20, 1))), "t.csv")

    def test_name_a_file_by_its_whole_path_and_its_columns(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "t.csv").write_text("a,b,c\n" + "1,2,3\n4,5,7\n" * 10)
        config = configure(load("t.csv", ignore=["b"]), "t.csv", data=DataOptions(ignore=["b"]))
        assert config.source == str(tmp_path / "t.csv")
        assert config.data == DataOptions(columns=["a", "c"])
        assert config.load_data().fingerprint() == config.fingerprint


class TestThePresets:
    def test_are_those_of_the_manual(self) -> None:
        assert preset_names() == ["article", "default"]

    @pytest.mark.parametrize("name", ["article", "default"])
    def test_name_only_what_there_is(self, name: str, digits: Dataset) -> None:
        preset = read_preset(name)
        known = tuple(model for model in preset.models if model in BY_NAME)
        config = StudyConfig("digits", known, tuple(preset.sizes), parameters=preset.parameters, own=preset.own)
        assert len(config.checked().cells()) == len(known) * len(preset.sizes) * 3

    def test_of_the_article_is_to_the_letter(self) -> None:
        images = np.zeros((40, 28, 28), np.uint8)
        images[:, 3:9] = 255
        mnist = Dataset.from_arrays(images, np.arange(40) % 10, X_test=images, y_test=np.arange(40) % 10)
        config = configure(mnist, "mnist", preset="article")
        assert (config.sizes, config.repeats, config.test_rows) == ((2, 4, 16, 64), 1, 2000)
        assert len(config.cells()) == 4 * len(config.models)
        every = {
            "hidden_dims": (128,), "activation": "tanh", "initialisation": "xavier", "likelihood": "bernoulli",
            "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "weight_decay": 0.0,
            "batch_size": 100, "max_epochs": 1000, "validation_fraction": 0.0,
        }  # fmt: skip
        for model in config.models:
            parameters = config.parameters_of(model)
            assert {name: parameters[name] for name in every} == every
            if model != "ae":
                assert (parameters["n_samples"], parameters["beta"]) == (5, 0.1)
        if "cvae" in config.models:
            parameters = config.parameters_of("cvae")
            assert parameters["unlabelled_rows"] == "zero"
            assert (parameters["label_dim"], parameters["labelled_fraction"]) == (128, 0.5)

    def test_give_way_to_what_is_typed(self, digits: Dataset) -> None:
        typed = {"max_epochs": 5, "beta": 1.0}
        config = configure(
            digits, "digits", preset="article", models=["vae"], parameters=typed, weaker={"batch_size": 7}
        )
        assert config.parameters_of("vae")["max_epochs"] == 5
        assert config.parameters_of("vae")["beta"] == 1.0
        assert config.parameters_of("vae")["batch_size"] == 100


class TestAFinishedStudy:
    def test_has_a_record_of_each_cell_and_of_the_baselines(self, finished: StudyFolder) -> None:
        cells = finished.cells()
        trained = [f"{c.model}-{c.latent_dim}-{c.repeat}" for c in cells if not c.is_baseline]
        assert trained == [plan.name for plan in finished.plans]
        others = [f"{c.model}-{c.latent_dim}-{c.repeat}" for c in cells if c.is_baseline]
        assert others == [f"{name}-{repeat}" for repeat in (0, 1) for name in ("mean-0", "pca-2", "pca-3", "raw-64")]

    def test_has_a_run_folder_of_each_cell_that_can_be_used_alone(self, finished: StudyFolder) -> None:
        for cell in finished.cells():
            if cell.run is None:
                continue
            folder = RunFolder(finished.path / cell.run)
            model = folder.load_model()
            assert (model.latent_dim, model.random_state) == (cell.latent_dim, cell.seed)
            assert folder.read_metrics()["test"]["mse"] == pytest.approx(cell.test.mse)
            assert cell.epochs == 3
            assert cell.parameters == sum(p.numel() for p in model.model_.parameters())
            assert "max_epochs" in folder.config.parameters
            assert "weight_decay" in folder.config.parameters

    def test_holds_the_same_rows_out_for_all_models_of_a_repeat(self, finished: StudyFolder) -> None:
        for repeat in (0, 1):
            rows = {cell.selection.n_rows for cell in finished.cells() if cell.repeat == repeat}
            assert rows == {14}

    def test_says_everything_in_one_file(self, finished: StudyFolder) -> None:
        record = json.loads((finished.path / "study.json").read_text())
        assert record["schema"] == 1
        assert [Cell.from_dict(cell) for cell in record["cells"]] == finished.cells()
        assert record["config"]["models"] == ["ae", "vae"]
        assert record["failures"] == []
        assert len(record["recommendation"]["choices"]) == 4
        assert record["seconds"] > 0

    def test_trains_nothing_when_it_is_run_again(self, copy: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker.run_training, "fit", lambda *_, **__: pytest.fail("it trained"))
        before = {plan.name: stamps(copy.run_path(plan)) for plan in copy.plans}
        assert run(copy, jobs=1).cells == copy.cells()
        assert {plan.name: stamps(copy.run_path(plan)) for plan in copy.plans} == before

    def test_gives_the_same_scores_in_other_processes(
        self, digits: Dataset, finished: StudyFolder, tmp_path: Path
    ) -> None:
        # The workers are processes of their own, which know nothing of the shortcuts above; and each trains its cell
        # alone, where the finished study trained it in one loop with others: products round otherwise.
        folder = create_study(small(digits, repeats=1, sizes=[2]), digits, "digits-study", tmp_path / "parallel")
        run(folder, jobs=2)
        alone = [cell for cell in finished.cells() if (cell.latent_dim, cell.repeat) == (2, 0) and not cell.is_baseline]
        assert_same_up_to_rounding([cell for cell in folder.cells() if not cell.is_baseline], alone)


class TestABundle:
    def test_is_trained_in_one_loop(self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loops: list[int] = []

        class Counted(runs.StackedTrainer):
            def fit(self) -> None:
                loops.append(len(self.trainers))
                super().fit()

        monkeypatch.setattr(runs, "StackedTrainer", Counted)
        run(create_study(small(digits, repeats=1), digits, "s", tmp_path / "s"), jobs=1)
        assert loops == [2, 2]

    def test_that_cannot_be_is_trained_one_by_one(
        self, digits: Dataset, finished: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs.StackedTrainer, "fit", raises(DivergenceError("One diverged.", "")))
        folder = create_study(small(digits, models=["ae"]), digits, "s", tmp_path / "s")
        run(folder, jobs=1)
        assert not folder.failures()
        expected = [cell for cell in finished.cells() if cell.model == "ae"]
        assert_same_up_to_rounding([cell for cell in folder.cells() if not cell.is_baseline], expected)


class TestANestedStudy:
    @pytest.fixture
    def nested(self, digits: Dataset, tmp_path: Path) -> StudyFolder:
        folder = create_study(small(digits, nested=True), digits, "s", tmp_path / "nested")
        run(folder, jobs=1)
        return folder

    def test_trains_one_ordered_code_a_model_and_repeat(self, nested: StudyFolder) -> None:
        assert [plan.name for plan in nested.plans] == ["ae-3-0", "vae-3-0", "ae-3-1", "vae-3-1"]
        runs = {path.parent.name for path in nested.path.glob("cells/*/config.toml")}
        assert runs == {plan.name for plan in nested.plans}
        assert all(RunFolder(nested.run_path(plan)).config.parameters["ordered"] for plan in nested.plans)

    def test_measures_every_prefix_of_it(self, nested: StudyFolder) -> None:
        cells = [cell for cell in nested.cells() if not cell.is_baseline]
        assert [(cell.model, cell.latent_dim, cell.repeat) for cell in cells] == [
            (model, size, repeat) for repeat in (0, 1) for model in ("ae", "vae") for size in (2, 3)
        ]
        assert all(cell.nested and cell.run == f"cells/{cell.model}-3-{cell.repeat}" for cell in cells)
        assert all(cell.test.active_units <= cell.latent_dim for cell in cells)
        assert {cell.latent_dim for cell in cells if cell.test.bound is not None} == {3}
        assert all(cell.test.mse is not None and cell.test.knn_accuracy is not None for cell in cells)
        assert StudyFolder(nested.path).cells() == nested.cells()
        model, test = RunFolder(nested.path / "cells/ae-3-1").load_model(), nested.load_data()[1]
        error = np.square(model.reconstruct(test.X, size=2) - test.X).mean()
        found = next(c for c in cells if (c.model, c.latent_dim, c.repeat) == ("ae", 2, 1))
        assert found.test.mse == pytest.approx(error, rel=1e-4)

    def test_is_refused_for_a_model_without_an_ordered_code(self, digits: Dataset) -> None:
        message = r"--nested needs models with an ordered code, which cvae is not\. Choose from: ae, dae, vae"
        with pytest.raises(SettingsError, match=message):
            small(digits, models=["ae", "cvae"], nested=True)
        assert configure(digits, "digits", nested=True).models == ("ae", "vae")


class TestAStudyThatWasStopped:
    def test_by_a_kill_goes_on_where_it_was(self, digits: Dataset, tmp_path: Path) -> None:
        longer = small(digits, repeats=1, parameters={**SMALL, "max_epochs": 30})
        whole, killed = (create_study(longer, digits, "s", tmp_path / name) for name in ("whole", "killed"))
        assert nursery().run("study", whole.path).code == 0
        child = nursery().start("study", killed.path, every=5)
        child.wait_until(lambda: any(cell_is_under_way(killed)))
        child.signal(signal.SIGKILL)
        assert child.wait().code == -signal.SIGKILL
        ready = [plan for plan in killed.plans if killed.read_cells(plan)]
        assert 0 < len(ready) < len(killed.plans)
        begun = [plan for plan in killed.plans if plan not in ready and killed.epochs_done(plan)]
        assert begun
        before = {plan.name: stamps(killed.run_path(plan)) for plan in ready}
        assert nursery().run("study", killed.path).code == 0
        assert {plan.name: stamps(killed.run_path(plan)) for plan in ready} == before
        assert timeless(killed.cells()) == timeless(whole.cells())
        for plan in killed.plans:
            found = [(folder.run_path(plan) / "model.hyotan") for folder in (killed, whole)]
            assert weights(found[0]) == weights(found[1])

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_by_a_signal_says_how_to_go_on(self, number: int, code: int, digits: Dataset, tmp_path: Path) -> None:
        folder = create_study(small(digits, parameters={**SMALL, "max_epochs": 4000}), digits, "s", tmp_path / "study")
        child = nursery().start("study", folder.path)
        child.wait_until(lambda: any((folder.run_path(plan) / "checkpoint.hyotan").exists() for plan in folder.plans))
        child.signal(number)
        outcome = child.wait()
        assert outcome.code == code
        assert f"Stopped: 0 of 8 cells are finished in {folder.path}." in outcome.text
        assert f"fix: Go on with: hyotan resume {folder.path}" in outcome.text

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_leaves_no_worker_behind(self, number: int, digits: Dataset, tmp_path: Path) -> None:
        folder = create_study(
            small(digits, parameters={**SMALL, "max_epochs": 20_000}), digits, "s", tmp_path / "study"
        )
        child = nursery().start("cli", "resume", folder.path, "--quiet")
        child.wait_until(lambda: len(holders(folder)) > 1)
        workers = holders(folder)
        assert child.pid not in workers
        child.signal(number)
        assert child.wait().code == (-number if number == signal.SIGKILL else 128 + number)
        deadline = time.monotonic() + 5
        while any(map(is_alive, workers)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert list(folder.path.glob("cells/*/checkpoint.hyotan"))

    @pytest.mark.parametrize("lost", ["cell.json", "model.hyotan", "metrics.json"])
    def test_after_a_training_measures_without_training_again(
        self, lost: str, copy: StudyFolder, finished: StudyFolder
    ) -> None:
        plan = copy.plans[0]
        path = copy.run_path(plan)
        checkpoint = stamps(path)["checkpoint.hyotan"]
        (path / "cell.json").unlink()
        (path / lost).unlink(missing_ok=True)
        run(copy, jobs=1)
        assert timeless(copy.cells()) == timeless(finished.cells())
        if lost == "cell.json":
            assert stamps(path)["checkpoint.hyotan"] == checkpoint

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"model": "ae"}', '{"test": 3}'])
    def test_with_a_damaged_record_measures_that_cell_again(
        self, content: str, copy: StudyFolder, finished: StudyFolder
    ) -> None:
        (copy.run_path(copy.plans[1]) / "cell.json").write_text(content)
        run(copy, jobs=1)
        assert timeless(copy.cells()) == timeless(finished.cells())

    def test_before_a_run_had_its_settings_begins_that_run_anew(self, copy: StudyFolder, finished: StudyFolder) -> None:
        path = copy.run_path(copy.plans[-1])
        shutil.rmtree(path)
        path.mkdir()
        (path / ".config.toml.tmp").write_text("half of a")
        run(copy, jobs=1)
        assert_same_up_to_rounding(copy.cells(), finished.cells())
        assert not (path / ".config.toml.tmp").exists()

    def test_is_refused_while_another_process_is_at_work(self, copy: StudyFolder) -> None:
        with held(copy.path), pytest.raises(RunFolderError, match=r"copy is in use by process \d+"):
            run(copy, jobs=1)

    def test_is_refused_when_the_data_have_changed(self, tmp_path: Path) -> None:
        np.save(tmp_path / "t.npy", np.random.default_rng(0).random((60, 5)))
        dataset = load(str(tmp_path / "t.npy"))
        config = configure(dataset, str(tmp_path / "t.npy"), models=["ae"], sizes=[2], repeats=1, parameters=SMALL)
        folder = create_study(config, dataset, "t-study", tmp_path / "study")
        np.save(tmp_path / "t.npy", np.random.default_rng(1).random((60, 5)))
        with pytest.raises(DataError, match=r"data under .*t\.npy' have changed since .*study was made.*hyotan study"):
            run(folder, jobs=1)


def holders(folder: StudyFolder) -> set[int]:
    """The processes that train the cells which have a checkpoint."""
    trained = [path.parent for path in folder.path.glob("cells/*/checkpoint.hyotan")]
    return {int((path / ".lock").read_text() or 0) for path in trained}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def cell_is_under_way(folder: StudyFolder) -> Iterator[bool]:
    """Of each cell that is not finished while others are: whether it has epochs behind it."""
    some = any((folder.run_path(plan) / "cell.json").exists() for plan in folder.plans)
    for plan in folder.plans:
        path = folder.run_path(plan)
        yield some and folder.epochs_done(plan) > 1 and not (path / "model.hyotan").exists()


def weights(path: Path) -> dict[str, bytes]:
    from hyotan.files.container import read

    return {name: array.tobytes() for name, array in read(path).tensors.items() if name.startswith("model/")}


class TestACellThatFails:
    def test_by_diverging_leaves_the_others_alone(self, digits: Dataset, tmp_path: Path) -> None:
        config = small(digits, repeats=1, sizes=[2], own={"vae": {"learning_rate": 1e9, "optimizer": "sgd"}})
        folder = create_study(config, digits, "s", tmp_path / "study")
        done = run(folder, jobs=1)
        assert {cell.model for cell in done.cells} == {"ae", "mean", "pca", "raw"}
        (failure,) = done.failures
        assert (failure.cell, failure.code) == ("vae-2-0", "DIVERGED")
        assert "Training diverged" in failure.message
        assert json.loads((folder.path / "study.json").read_text())["failures"][0]["cell"] == "vae-2-0"
        # It would do so again, and is not trained again.
        assert Agenda(folder, 100).pending == []

    def test_with_all_the_others_ends_the_study(self, digits: Dataset, tmp_path: Path) -> None:
        wild = {**SMALL, "learning_rate": 1e9, "optimizer": "sgd"}
        folder = create_study(small(digits, repeats=1, sizes=[2], parameters=wild), digits, "s", tmp_path / "study")
        with pytest.raises(DivergenceError, match=r"None of the 2 cells could be trained; \w+-2-0: Training diverged"):
            run(folder, jobs=1)

    def test_for_another_reason_is_tried_again(
        self, copy: StudyFolder, finished: StudyFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = copy.plans[0]
        shutil.rmtree(copy.run_path(plan))
        with monkeypatch.context() as patch:
            patch.setattr(worker.run_training, "fit", raises(ResourceError("The disk is full.", "Make room.")))
            (failure,) = run(copy, jobs=1).failures
        assert (failure.code, failure.message, failure.fix) == ("RESOURCES", "The disk is full.", "Make room.")
        assert run(copy, jobs=1).failures == []
        assert_same_up_to_rounding(copy.cells(), finished.cells())

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (MemoryError(), "RESOURCES", r"Memory ran out"),
            (KeyError("oops"), "INTERNAL", r"KeyError: 'oops' \(.*\.py, line \d+\)"),
        ],
    )
    def test_says_why(
        self, error: Exception, code: str, message: str, copy: StudyFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.rmtree(copy.run_path(copy.plans[0]))
        monkeypatch.setattr(worker.run_training, "fit", raises(error))
        (failure,) = run(copy, jobs=1).failures
        assert failure.code == code
        assert re.search(message, failure.message)

    def test_before_the_first_step_makes_no_folder(self, digits: Dataset, tmp_path: Path) -> None:
        config = small(digits, parameters={**SMALL, "validation_fraction": 0.0, "early_stopping": 2})
        with pytest.raises(SettingsError, match=r"early_stopping needs held-out rows"):
            create_study(config, digits, "s", tmp_path / "study")
        assert not (tmp_path / "study").exists()


def raises(error: Exception) -> Any:
    def fit(*_: Any, **__: Any) -> None:
        raise error

    return fit


class TestTheFolder:
    def test_is_numbered(self, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        config = small(digits)
        paths = [create_study(config, digits, "digits-study").path for _ in range(2)]
        assert paths == [Path("runs/digits-study-1"), Path("runs/digits-study-2")]

    def test_that_exists_is_only_replaced_when_asked_to(self, copy: StudyFolder, digits: Dataset) -> None:
        (copy.path / "notes.txt").write_text("mine")
        with pytest.raises(RunFolderError, match=r"copy exists already.*hyotan resume .*copy; or .*--overwrite"):
            create_study(small(digits), digits, "s", copy.path)
        folder = create_study(small(digits, sizes=[5]), digits, "s", copy.path, overwrite=True)
        assert folder.cells() == []
        assert folder.config.sizes == (5,)
        assert (copy.path / "notes.txt").read_text() == "mine"

    def test_of_something_else_is_never_replaced(self, digits: Dataset, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        with pytest.raises(RunFolderError, match=r"holds other files than a study's"):
            create_study(small(digits), digits, "s", tmp_path, overwrite=True)
        with pytest.raises(RunFolderError, match=r"is a file; --out names a folder"):
            create_study(small(digits), digits, "s", tmp_path / "thesis.txt")

    def test_that_is_no_study_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(RunFolderError, match=r"is not a study: it holds no study\.toml"):
            StudyFolder(tmp_path)
        with pytest.raises(RunFolderError, match=r"gone is not a study: it does not exist"):
            StudyFolder(tmp_path / "gone")

    @pytest.mark.parametrize(("labels", "said"), [([0, 1, -1], -1), ([-1, 1, 1], "no label"), (["a", "", "b"], "")])
    def test_says_what_no_label_is(self, labels: list[Any], said: Any) -> None:
        if "cvae" not in BY_NAME:
            pytest.skip("there is no such model")
        dataset = Dataset.from_arrays(np.random.default_rng(0).random((30, 4)), np.array(labels * 10))
        config = configure(dataset, "t.csv", models=["cvae"], sizes=[2], repeats=1)
        assert run_config(config, config.cells()[0], dataset).parameters["unlabelled"] == said


class TestTheProgress:
    class Work:
        total, done = 27, 12

        def share(self) -> float:
            return 0.4

    def test_says_how_many_and_how_long(self) -> None:
        assert status(self.Work(), 0.1, 60) == "cells 12 of 27, 2 min left"
        assert status(self.Work(), 0.4, 60) == "cells 12 of 27"

    @pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (190, "3 min"), (5400, "1.5 h")])
    def test_says_a_time_as_people_do(self, seconds: float, said: str) -> None:
        assert duration(seconds) == said

    def test_in_a_pipe_is_a_line_a_cell(self, finished: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
        cell = replace(finished.cells()[0], test=Scores(10, mse=0.0123456, knn_accuracy=0.5))
        StudyProgress().finished(Outcome("ae-2-0", [cell], seconds=3.2), 3, 27)
        assert capsys.readouterr().err == "cell  3 of 27  ae-2-0  MSE 0.01235  5-NN 0.500  3 s\n"

    def test_counts_epochs_of_running_cells(self, copy: StudyFolder) -> None:
        assert Agenda(copy, 144).share() == 1
        path = copy.run_path(copy.plans[0])
        (path / "cell.json").unlink()
        shares = []
        for lines in (0, 1, 2, 3):
            (path / "history.jsonl").write_text("{}\n" * lines)
            shares.append(Agenda(copy, 144).share())
        assert shares == sorted(shares)
        assert 0.8 < shares[0] < shares[1] < shares[3] == 1

    def test_begins_with_what_takes_longest(self, digits: Dataset, tmp_path: Path) -> None:
        config = small(digits, repeats=1, own={"ae": {"max_epochs": 300}})
        pending = Agenda(create_study(config, digits, "s", tmp_path / "s"), 144).pending
        assert [plan.name for plan in pending] == ["ae-3-0", "ae-2-0", "vae-3-0", "vae-2-0"]


class TestInPython:
    def test_a_study_of_arrays_keeps_its_rows(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        X, y = random.random((80, 6)), np.where(np.arange(80) % 7 == 0, None, np.tile(["a", "b"], 40))
        study = Study(X, y, models=["ae"], sizes=[2], repeats=1, out=tmp_path / "s", jobs=1, **SMALL).run()
        assert study.path == tmp_path / "s"
        again = Study.open(tmp_path / "s")
        assert again.cells == study.cells
        rows = again.folder.load_data()
        assert sum(len(part.X) for part in rows) == 80
        assert {*np.concatenate([part.y for part in rows])} == {"a", "b", ""}
        assert again.cells[0].test.knn_accuracy is not None
        assert again.load("ae", 2).transform(X).shape == (80, 2)

    def test_it_gives_records_as_rows_and_models_by_name(self, finished: StudyFolder) -> None:
        study = Study.open(finished.path)
        rows = study.to_rows()
        assert len(rows) == 2 * len(study.cells)
        assert {"model", "latent_dim", "repeat", "rows", "mse"} <= rows[0].keys()
        assert study.load("vae", 3, repeat=1).random_state == 1
        with pytest.raises(SettingsError, match=r"There is no cell vae-33-0 in .*Did you mean 'vae-3-0'"):
            study.load("vae", 33)
        with pytest.raises(RunFolderError, match=r"not been brought to its end here\. Call run\(\)"):
            study.recommendation  # noqa: B018
        assert "ae,vae × 2,3 × 2, 8 finished" in repr(study)

    def test_it_says_what_to_choose(self, copy: StudyFolder) -> None:
        study = Study.open(copy.path, jobs=1).run()
        assert [choice.purpose for choice in study.recommendation.choices] == ["compress", "see", "cluster", "generate"]

    def test_a_name_with_labels_is_refused(self) -> None:
        with pytest.raises(SettingsError, match=r"y came with a source that has a name"):
            Study("digits", np.zeros(3))
