"""``hyotan study``: what it says, what it refuses, what it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import done, hyotan
from hyotan.cli.study import summary
from hyotan.study import engine, measures
from hyotan.study.cells import Cell, Scores
from hyotan.study.study_folder import StudyFolder

QUICK = ("--hidden-dims", 8, "--epochs", 2, "--batch-size", 32, "--limit", 120, "--jobs", 1)
SMALL = ("digits", "--models", "ae", "--sizes", 2, "--repeats", 1, *QUICK)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer runs of K-means and no pictures: they are most of the time."""
    quicken(monkeypatch)


def quicken(patch: pytest.MonkeyPatch) -> None:
    for name, count in {"RUNS": 3, "SELECTION_RUNS": 2, "WALKS": 5}.items():
        patch.setattr(measures, name, count)
    patch.setattr(engine, "experiments", lambda folder: None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in whose ``runs`` lies a finished study; tests that change it make their own."""
    here = tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        done("study", "digits", "--models", "ae,vae", "--sizes", "4,2", "--repeats", 2, *QUICK, "--quiet", cwd=here)
    return here


def config(folder: Path) -> Any:
    return StudyFolder(folder).config


class TestAStudyThatIsThere:
    def test_says_what_it_is(self, place: Path) -> None:
        said = done("info", "runs/digits-study-1", cwd=place).out
        assert "ae, vae × 2 sizes 2, 4 × 2 repeats: 8 trainings" in said
        assert "finished: 8 of 8 trainings finished" in said
        assert "To compress" in said
        record = json.loads(done("info", "runs/digits-study-1", "--json", cwd=place).out)
        assert record["state"] == "finished" and len(record["cells"]) > 8
        assert (place / record["model"] / "model.hyotan").is_file()

    @pytest.mark.parametrize("command", ["encode", "evaluate", "sample"])
    def test_names_the_run_to_use_in_its_place(self, place: Path, command: str) -> None:
        found = hyotan(command, "runs/digits-study-1", cwd=place)
        assert found.code == 2
        assert "runs/digits-study-1 is a study, where one of its runs is expected." in found.err
        assert "the model to compress with is in runs/digits-study-1/cells/" in found.err


class TestAStudy:
    def test_ends_with_its_verdict_and_its_folder(self, tmp_path: Path) -> None:
        said = done(*("study", *SMALL), cwd=tmp_path)
        assert said.out.splitlines()[-1] == "runs/digits-study-1"
        lines = said.err.splitlines()
        assert lines[0] == "120 images, 8×8 grey, 0..1, 10 labels"
        assert "ae × 1 size 2 × 1 repeat: 1 training" in lines
        assert "study folder: runs/digits-study-1" in lines
        assert any(line.startswith("cell 1 of 1  ae-2-0  MSE 0.") for line in lines)
        assert any(line.split()[:2] == ["pca", "2"] for line in lines)
        assert any("To compress" in line for line in lines)
        assert "model to compress with: runs/digits-study-1/cells/ae-2-0" in lines
        assert (tmp_path / "runs" / "digits-study-1" / "study.json").is_file()

    def test_when_quiet_prints_its_paths_alone(self, tmp_path: Path) -> None:
        said = done("study", *SMALL, "--quiet", "--out", "here", cwd=tmp_path)
        assert said.err == ""
        assert said.out.splitlines()[-1] == "here"

    def test_as_json_is_one_object(self, tmp_path: Path) -> None:
        said = done("study", *SMALL, "--json", "--out", "here", cwd=tmp_path)
        assert said.err == ""
        record = said.record
        assert (record["ok"], record["study"], record["failures"]) == (True, "here", [])
        assert [cell["model"] for cell in record["cells"]] == ["ae", "mean", "pca", "raw"]
        assert record["recommendation"]["choices"][0]["purpose"] == "compress"

    def test_notes_what_was_asked_for(self, place: Path) -> None:
        noted = config(place / "runs" / "digits-study-1")
        assert (noted.models, noted.sizes, noted.repeats, noted.seed) == (("ae", "vae"), (2, 4), 2, 0)
        assert noted.parameters == {"hidden_dims": (8,), "max_epochs": 2, "batch_size": 32}
        assert noted.data.limit == 120

    def test_is_fed_back_from_its_settings(self, place: Path, tmp_path: Path) -> None:
        settings = place / "runs" / "digits-study-1" / "study.toml"
        words = ("--sizes", 3, "--repeats", 1, "--epochs", 1, "--jobs", 1, "--quiet", "--out", tmp_path / "s")
        done("study", "--config", settings, *words)
        noted = config(tmp_path / "s")
        assert (noted.source, noted.models, noted.sizes, noted.repeats) == ("digits", ("ae", "vae"), (3,), 1)
        assert noted.parameters == {"hidden_dims": (8,), "max_epochs": 1, "batch_size": 32}
        assert noted.data.limit == 120

    def test_takes_every_setting_of_its_models(self, tmp_path: Path) -> None:
        words = ("--models", "ae,vae", "--noise", "swap", "--beta", 0.3, "--random-state", 5, "--no-shuffle")
        done("study", "digits", *words, "--sizes", 2, "--repeats", 1, *QUICK, "--quiet", "--out", "s", cwd=tmp_path)
        noted = config(tmp_path / "s")
        assert noted.seed == 5
        assert noted.parameters_of("ae")["noise"] == "swap"
        assert noted.parameters_of("vae")["beta"] == 0.3
        assert noted.parameters_of("vae")["shuffle"] is False

    def test_takes_weaker_settings_from_files_and_the_environment(self, tmp_path: Path) -> None:
        (tmp_path / "hyotan.toml").write_text(
            'model = "vae"\n[parameters]\nbatch_size = 16\nmax_epochs = 9\nlatent_dim = 7\n[data]\nlimit = 100\n'
        )
        words = ("digits", "--models", "ae", "--sizes", 2, "--repeats", 1, "--epochs", 1, "--jobs", 1, "--quiet")
        done("study", *words, "--out", "s", cwd=tmp_path, HYOTAN_HIDDEN_DIMS="8")
        noted = config(tmp_path / "s")
        assert noted.parameters == {"hidden_dims": (8,), "batch_size": 16, "max_epochs": 1}
        assert noted.data.limit == 100

    def test_of_a_table_leaves_out_what_it_cannot_do(self, tmp_path: Path) -> None:
        X = np.random.default_rng(0).random((60, 3))
        np.savetxt(tmp_path / "t.csv", X, delimiter=",", header="a,b,c", comments="")
        words = ("--repeats", 1, "--hidden-dims", 4, "--epochs", 1, "--jobs", 1)
        said = done("study", "t.csv", *words, "--out", "s", cwd=tmp_path)
        noted = config(tmp_path / "s")
        assert (noted.models, noted.sizes) == (("ae", "vae"), (2,))
        assert "5-NN" not in said.err


class TestAFinishedStudy:
    @pytest.mark.parametrize(
        "words", [("resume", "X"), ("study", "--resume", "X"), ("study", "--resume", "--out", "X")]
    )
    def test_that_goes_on_says_its_verdict_again(
        self, words: tuple[str, ...], place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hyotan.study.worker.run_training.fit", lambda *_, **__: pytest.fail("it trained"))
        said = done(*("runs/digits-study-1" if word == "X" else word for word in words), cwd=place)
        assert said.out.splitlines()[-1] == "runs/digits-study-1"
        assert "To compress" in said.err
        assert "cell " not in said.err

    def test_keeps_its_settings(self, place: Path) -> None:
        said = hyotan("study", "--resume", "runs/digits-study-1", "--sizes", "8", cwd=place)
        assert (said.code, said.begins("error:")) == (2, ["--sizes cannot change a study that is resumed."])
        said = hyotan("resume", "runs/digits-study-1", "--max-epochs", 9, cwd=place)
        assert (said.code, said.begins("error:")) == (2, ["--max-epochs cannot change a study that is resumed."])

    def test_has_cells_that_are_runs(self, place: Path) -> None:
        said = done("evaluate", "runs/digits-study-1/cells/vae-4-1", "--json", cwd=place)
        cells = StudyFolder(place / "runs" / "digits-study-1").cells()
        cell = next(c for c in cells if (c.model, c.latent_dim, c.repeat) == ("vae", 4, 1))
        assert said.record["metrics"]["test"]["mse"] == pytest.approx(cell.test.mse)

    def test_is_not_replaced_by_accident(self, place: Path) -> None:
        said = hyotan("study", *SMALL, "--out", "runs/digits-study-1", cwd=place)
        assert (said.code, said.begins("error:")) == (5, ["runs/digits-study-1 exists already."])
        assert "hyotan resume runs/digits-study-1; or replace it with --overwrite" in said.err


class TestAMistake:
    @pytest.mark.parametrize(
        ("words", "error", "fix"),
        [
            ((), "No SOURCE was given.", "For example: hyotan study digits"),
            (("digits", "--models", "ae,vea"), "model 'vea' is not known.", "Did you mean 'vae'?"),
            (("digits", "--sizes", "2,x"), "--sizes cannot be '2,x': expected integers of at least 1", "Leave it out."),
            (("digits", "--sizes", "-"), "sizes cannot be []: expected latent sizes", "For example: --sizes 2,4,16"),
            (
                ("digits", "--repeats", "0"),
                "--repeats cannot be '0': expected an integer of at least 1",
                "Leave it out.",
            ),
            (("digits", "--preset", "articel"), "There is no preset 'articel'.", "Did you mean 'article'?"),
            (
                ("digits", "--latent-dim", "3"),
                "latent_dim is set by the study itself",
                "Name the sizes: --sizes 2,4,16.",
            ),
            (("digits", "--models", "vae", "--tied"), "'tied' is not a setting of 'vae'.", "It belongs to: ae, dae."),
            (
                ("digits", "--beta", "-1"),
                "--beta cannot be -1.0: expected a number of at least 0.",
                "Leave it out: the default is 1.0.",
            ),
            (("gone.csv",), "gone.csv", ""),
            (("--config", "gone.toml"), "There is no settings file gone.toml.", "Check the path given to --config."),
            (("--resume",), "--resume needs the folder of a study.", "Start one: hyotan study digits"),
            (("--resume", "digits"), "digits is not a study.", "Start one: hyotan study digits"),
            (("digits", "--modles", "ae"), "There is no flag --modles.", "Did you mean '--models'?"),
        ],
    )
    def test_is_answered_in_a_line_with_a_fix(
        self, words: tuple[str, ...], error: str, fix: str, tmp_path: Path
    ) -> None:
        said = hyotan("study", *words, cwd=tmp_path)
        assert said.code == 2
        assert error in said.begins("error:")[0]
        assert fix in said.begins("fix:")[0]
        assert not (tmp_path / "runs").exists()

    def test_about_a_folder_names_the_nearest(self, place: Path) -> None:
        said = hyotan("study", "--resume", "runs/digits-studi-1", cwd=place)
        assert said.begins("fix:") == ["Did you mean 'runs/digits-study-1'?"]
        said = hyotan("study", "runs/digits-study-1", cwd=place)
        assert said.begins("fix:") == ["Resume it: hyotan study --resume runs/digits-study-1"]

    def test_that_makes_every_training_diverge_ends_with_3(self, tmp_path: Path) -> None:
        said = hyotan("study", *SMALL, "--learning-rate", 1e9, "--optimizer", "sgd", "--out", "s", cwd=tmp_path)
        assert said.code == 3
        assert "None of the 1 cells could be trained; ae-2-0: Training diverged" in said.begins("error:")[0]
        assert json.loads((tmp_path / "s" / "cells" / "ae-2-0" / "failure.json").read_text())["code"] == "DIVERGED"

    def test_that_makes_some_diverge_is_told_at_the_end(self, tmp_path: Path) -> None:
        settings = tmp_path / "study.toml"
        settings.write_text(
            'source = "digits"\nmodels = ["ae", "vae"]\nsizes = [2]\nrepeats = 1\n[data]\nlimit = 120\n'
            "[parameters]\nhidden_dims = [8]\nmax_epochs = 2\n"
            '[own.vae]\noptimizer = "sgd"\nlearning_rate = 1e9\n'
        )
        said = done("study", "--config", settings, "--jobs", 1, "--out", "s", cwd=tmp_path)
        assert any(line.startswith("warning  vae-2-0 failed: Training diverged") for line in said.err.splitlines())


def test_the_table_shows_means_with_half_an_interval_and_no_empty_columns() -> None:
    def cell(repeat: int, mse: float) -> Cell:
        return Cell("ae", 2, repeat, repeat, Scores(5), Scores(5, mse=mse), 9)

    assert summary([cell(0, 0.5)]) == ["model  size      MSE", "ae        2  0.50000"]
    # Student's t with 1 degree of freedom: 12.706 times the standard error, 0.1.
    assert summary([cell(0, 0.4), cell(1, 0.6)])[1] == "ae        2  0.50000 ± 1.27062"
