"""The command line of models with labels: trained on a labelled source, told labels, and asked for them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from command_line import SMALL, done, fitted, hyotan, sketch
from hyotan.analysis.clustering import METHODS, cluster_codes
from hyotan.cli.cluster import METHODS as METHODS_OF_THE_COMMAND
from hyotan.estimators import CVAE
from hyotan.metrics import cluster_accuracy
from hyotan.runs.run_folder import RunFolder

LIMIT = ("--limit", 120)


@pytest.fixture(autouse=True)
def without_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    sketch(monkeypatch)


@pytest.fixture(scope="module")
def cvae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        return fitted("digits", *LIMIT, "--model", "cvae", cwd=tmp_path_factory.mktemp("labels"))


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        return fitted("digits", *LIMIT, "--model", "vae", cwd=tmp_path_factory.mktemp("labels"))


def model(run: Path) -> CVAE:
    estimator = RunFolder(run).load_model()
    assert isinstance(estimator, CVAE)
    return estimator


def table(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["a,b,種類", *rows]) + "\n", encoding="utf-8")
    return path


class TestFit:
    def test_draws_each_style_under_every_label(self, cvae: Path) -> None:
        assert (cvae / "figures" / "exchange.png").is_file()
        assert not (cvae / "figures" / "manifold.png").exists()

    def test_notes_how_many_labels_are_predicted_wrongly(self, cvae: Path) -> None:
        test = RunFolder(cvae).split_data()[1]
        error = RunFolder(cvae).read_metrics()["label_error"]
        assert error == pytest.approx(np.mean(model(cvae).predict(test.X) != test.y))
        assert f"label error           {100 * error:.2f} %" in done("evaluate", cvae).out

    def test_takes_labels_in_japanese_with_missing_values(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        rows = [
            f"{a},{b},{kind}" for (a, b), kind in zip(random.normal(size=(60, 2)), ["猫", "犬", ""] * 20, strict=True)
        ]
        run = fitted(table(tmp_path / "表.csv", rows), "--label", "種類", "--model", "cvae", cwd=tmp_path)
        assert model(run).classes_.tolist() == ["犬", "猫"]
        said = done("sample", run, "--of", "猫", "-n", 5, "-o", tmp_path / "cats.csv")
        assert (tmp_path / "cats.csv").read_text(encoding="utf-8").count("\n") == 6
        assert "cats.csv" in said.out

    def test_refuses_a_source_without_labels(self, tmp_path: Path) -> None:
        (tmp_path / "plain.csv").write_text("a,b\n" + "1,2\n2,1\n" * 20)
        said = hyotan("fit", "plain.csv", "--model", "cvae", *SMALL, cwd=tmp_path)
        assert said.code == 2
        assert said.begins("error:") == [
            f"{tmp_path / 'plain.csv'} has no labels, which --model cvae needs for some rows."
        ]
        assert said.begins("fix:")[0].startswith("Name the column that holds them: --label COLUMN")
        assert not (tmp_path / "runs").exists()

    def test_refuses_the_flags_of_labels_for_other_models(self, tmp_path: Path) -> None:
        said = hyotan("fit", "digits", "--model", "vae", "--labelled-fraction", "0.5", cwd=tmp_path)
        assert said.code == 2
        assert "cvae" in said.err


class TestLabelsGiven:
    def test_draw_rows_of_one_label(self, cvae: Path, tmp_path: Path) -> None:
        done("sample", cvae, "--of", 3, "-n", 4, "-o", tmp_path / "threes.npy")
        expected = model(cvae).sample(4, random_state=0, y=3)
        assert np.array_equal(np.load(tmp_path / "threes.npy"), expected)

    def test_pull_reconstructions(self, cvae: Path, tmp_path: Path) -> None:
        done("reconstruct", cvae, "--as", 9, "-o", tmp_path / "nines.npy")
        test = RunFolder(cvae).split_data()[1]
        assert np.array_equal(np.load(tmp_path / "nines.npy"), model(cvae).reconstruct(test.X, y=9))

    @pytest.mark.parametrize(("command", "flag"), [("sample", "--of"), ("reconstruct", "--as")])
    def test_are_refused_where_there_are_none_or_not_this_one(
        self, cvae: Path, vae: Path, command: str, flag: str
    ) -> None:
        strange, plain = hyotan(command, cvae, flag, "x"), hyotan(command, vae, flag, 3)
        assert (strange.code, plain.code) == (2, 2)
        assert strange.begins("error:") == [f"{flag} x: the model knows no such label."]
        assert strange.begins("fix:")[0].startswith("Choose from: 0, 1, 2")
        assert plain.begins("error:") == [f"{flag} 3: a vae takes no labels."]
        assert plain.begins("fix:") == ["Leave it out, or train one that does: hyotan fit digits --model cvae"]


class TestCluster:
    def test_finds_groups_without_labels_and_says_how_they_agree(self, vae: Path, tmp_path: Path) -> None:
        record = done("cluster", vae, "-o", tmp_path / "clusters.npy", "--json").record
        test, found = RunFolder(vae).split_data()[1], np.load(tmp_path / "clusters.npy")[:, 0]
        assert np.array_equal(found, cluster_codes(RunFolder(vae).load_model().transform(test.X), 7))
        assert record["sizes"] == np.bincount(found).tolist() and sum(record["sizes"]) == len(test.X)
        assert record["agreement"]["accuracy"] == pytest.approx(cluster_accuracy(test.y, found))

    def test_takes_the_number_and_the_method_and_writes_a_column(self, vae: Path, tmp_path: Path) -> None:
        said = done("cluster", vae, "--clusters", 3, "--method", "kmeans", "-o", tmp_path / "clusters.csv")
        with (tmp_path / "clusters.csv").open(encoding="utf-8") as file:
            assert {row["cluster"] for row in csv.DictReader(file)} == {"0", "1", "2"}
        assert "rows in 3 clusters of" in said.err

    def test_needs_a_number_where_there_are_no_labels(self, vae: Path, tmp_path: Path) -> None:
        np.save(tmp_path / "rows.npy", RunFolder(vae).split_data()[1].X)
        said = hyotan("cluster", vae, tmp_path / "rows.npy")
        assert said.code == 2
        assert said.begins("fix:") == ["Give it: --clusters 5"]

    def test_counts_no_missing_value_among_the_labels_as_one(self, tmp_path: Path) -> None:
        values = np.random.default_rng(0).normal(size=40) + 9 * (np.arange(40) % 2)
        rows = [f"{value},{value + 1},{['', '猫', '犬'][1 + i % 2 if i else 0]}" for i, value in enumerate(values)]
        source = table(tmp_path / "t.csv", rows)
        run = fitted(source, "--label", "種類", "--latent-dim", 1, cwd=tmp_path)
        record = done("cluster", run, source, "--label", "種類", "--json").record
        assert len(record["sizes"]) == 2 and record["agreement"]["accuracy"] > 0.9

    def test_knows_the_methods_of_the_library(self) -> None:
        assert list(METHODS_OF_THE_COMMAND) == list(METHODS)


class TestClassify:
    def test_writes_each_rows_label_and_its_probability(self, cvae: Path, tmp_path: Path) -> None:
        said = done("classify", cvae, "-o", tmp_path / "labels.csv")
        test = RunFolder(cvae).split_data()[1]
        with (tmp_path / "labels.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["label"]) for row in rows] == model(cvae).predict(test.X).tolist()
        highest = model(cvae).predict_proba(test.X).max(axis=1)
        np.testing.assert_allclose([float(row["probability"]) for row in rows], highest, rtol=1e-5)
        assert f"of {len(test.X)} known labels are predicted wrongly" in said.err

    def test_says_its_numbers_as_json(self, cvae: Path) -> None:
        record = done("classify", cvae, "--json").record
        assert record["error"] == RunFolder(cvae).read_metrics()["label_error"]

    def test_needs_a_model_that_predicts_labels(self, vae: Path) -> None:
        said = hyotan("classify", vae)
        assert said.code == 2
        assert said.begins("error:") == [f"{vae} holds a vae, which predicts no labels."]

    def test_names_the_endings_that_it_can_write(self, cvae: Path, tmp_path: Path) -> None:
        said = hyotan("classify", cvae, "-o", tmp_path / "labels.npy")
        assert said.begins("error:") == ["labels.npy cannot be written: its ending is not known."]
        assert said.begins("fix:") == ["Choose from: .csv, .tsv."]
