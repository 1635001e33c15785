"""``hyotan sample --check``: a good model's rows pass, copies and columns drawn apart do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from command_line import Said, done, fitted, hyotan, sketch
from hyotan.data.frames import Frame
from hyotan.estimators.estimator import LatentEstimator
from hyotan.runs.run_folder import RunFolder
from hyotan.words.terminal import text_width

ROWS = 500


@pytest.fixture(scope="module", autouse=True)
def without_pixels() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        yield


def people(n: int, seed: int) -> str:
    """A table whose columns hang together: shop, age and kind by each other, the amount by the age."""
    random = np.random.default_rng(seed)
    lines = ["金額,店,年齢,種類"]
    for _ in range(n):
        shop = random.choice(["渋谷", "梅田", "栄"])
        age = random.normal(30, 4) + 25 * (shop == "渋谷")
        kind = "猫" if age + random.normal(0, 3) > 40 else "犬"
        lines.append(f"{3 * age + random.normal(0, 6):.1f},{shop},{age:.1f},{kind}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("check")
    (folder / "own.csv").write_text(people(ROWS, 0), encoding="utf-8")
    (folder / "real.csv").write_text(people(ROWS, 1), encoding="utf-8")
    random = np.random.default_rng(0)
    X = random.normal(size=(2 * ROWS, 1)) @ np.ones((1, 3)) + random.normal(size=(2 * ROWS, 3)) / 2
    np.save(folder / "own.npy", X[:ROWS])
    np.save(folder / "real.npy", X[ROWS:])
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    words = ("fit", "own.csv", "--max-epochs", 60, "--hidden-dims", 64, "--latent-dim", 4, "--quiet", "--out", "runs/t")
    done(*words, cwd=place)
    return place / "runs" / "t"


@pytest.fixture(scope="module")
def cvae(place: Path) -> Path:
    words = ("--model", "cvae", "--label", "種類", "--max-epochs", 20, "--hidden-dims", 32, "--latent-dim", 2)
    done("fit", "own.csv", *words, "--quiet", "--out", "runs/c", cwd=place)
    return place / "runs" / "c"


def checked(run: Path, *words: object) -> Said:
    return done("sample", run, "-n", ROWS, "--check", run.parent.parent / "real.csv", *words)


def levels(record: dict[str, Any]) -> dict[str, str]:
    return {finding["code"]: finding["level"] for finding in record["check"]["findings"]}


def instead(monkeypatch: pytest.MonkeyPatch, made: pa.Table) -> None:
    """Let the model give these rows for new ones."""
    monkeypatch.setattr(LatentEstimator, "sample", lambda self, n, random_state, **how: Frame(made))


def own_rows(run: Path) -> pa.Table:
    return RunFolder(run).split_data()[0].X.table


def test_a_good_model_s_rows_pass(run: Path) -> None:
    record = checked(run, "--target", "種類", "--json").record
    check = record["check"]
    assert check["passed"] is True
    assert levels(record)["PRIVACY"] == levels(record)["COLUMNS"] == levels(record)["USEFUL"] == "good"
    assert [column["name"] for column in check["fidelity"]["columns"]] == ["金額", "年齢", "店", "種類"]
    assert (check["rows"], check["real_rows"], len(check["fidelity"]["pairs"])) == (ROWS, ROWS // 2, 6)
    assert check["usefulness"]["synthetic"] > 0.9 * check["usefulness"]["real"] > 0.7
    assert check["privacy"]["held_out_rows"] == ROWS // 10


def test_copies_of_training_rows_are_found_out(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = own_rows(run)
    instead(monkeypatch, rows.take(np.random.default_rng(0).integers(rows.num_rows, size=ROWS)))
    record = checked(run, "--json").record
    assert record["check"]["passed"] is False
    assert [code for code, level in levels(record).items() if level == "warning"] == ["PRIVACY"]
    assert record["check"]["privacy"]["copies"] == 1
    assert any(
        line.startswith("warning  Training rows may be given away: 100.0%") for line in checked(run).err.split("\n")
    )


def test_columns_drawn_each_for_itself_are_not_like_real_rows(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random, rows = np.random.default_rng(0), own_rows(run)
    columns = [column.take(random.integers(rows.num_rows, size=ROWS)) for column in rows.columns]
    instead(monkeypatch, pa.table(columns, names=rows.column_names))
    record = checked(run, "--target", "種類", "--json").record
    assert record["check"]["passed"] is False
    found = levels(record)
    assert found["COLUMNS"] == "good"
    assert found["PAIRS"] == found["TOLD_APART"] == found["USEFUL"] == "warning"


def test_a_person_reads_a_table_and_a_verdict(run: Path) -> None:
    said = checked(run)
    head, titles, *table = [line for line in said.err.splitlines() if line.startswith(("  ", "500"))]
    assert head == "500 new rows beside 250 real ones (distance: 0 the same, 1 nothing in common):"
    assert titles.split("  ")[1] == "column" and len(table) == 4
    assert len({text_width(line) for line in (titles, *table)}) == 1  # Japanese names align
    verdict = said.err.splitlines()[-4:]
    assert verdict[0].startswith("good     Single columns are like real ones: 0.0")
    assert "This is no proof." in verdict[3]
    assert said.out.splitlines() == [str(run / "samples.csv"), str(run / "samples.png")]


def test_the_label_of_a_model_with_labels_is_what_is_learned(cvae: Path) -> None:
    record = checked(cvae, "--json").record
    assert set(record["check"]["usefulness"]) == {"real", "synthetic"}
    assert record["check"]["usefulness"]["synthetic"] > 0.7
    assert "種類" in {column["name"] for column in record["check"]["fidelity"]["columns"]}
    assert checked(cvae, "--of", "猫", "--json").record["check"]["usefulness"] is None


def test_arrays_are_compared_too(place: Path) -> None:
    run = fitted("own.npy", cwd=place)
    check = done("sample", run, "-n", 300, "--check", "real.npy", "--json", cwd=place).record["check"]
    assert [column["name"] for column in check["fidelity"]["columns"]] == ["x0", "x1", "x2"]


def test_few_rows_are_said_to_show_little(run: Path) -> None:
    said = done("sample", run, "-n", 30, "--check", run.parent.parent / "real.csv").err
    assert "notice   30 synthetic rows beside 470 real ones: only large differences show." in said


@pytest.mark.parametrize(
    ("words", "error", "fix"),
    [
        (("--check", "real.csv", "--target", "種"), "--target 種: the new rows have no such column.", "'種類'"),
        (
            ("--check", "real.csv", "--target", "年齢"),
            "different values; a classifier learns 50 at most.",
            "categories",
        ),
        (("--target", "種類"), "--target names a column for --check, which was not given.", "--check REAL"),
        (("--check", "gone.csv"), "'gone.csv'", ""),
        (("--check", "few.csv"), "There are 9 real rows, too few to compare with.", "20 or more"),
    ],
)
def test_a_mistake_is_answered(run: Path, words: tuple[str, ...], error: str, fix: str) -> None:
    (run.parent.parent / "few.csv").write_text(people(9, 2), encoding="utf-8")
    said = hyotan("sample", run, *words, cwd=run.parent.parent)
    assert said.code == 2
    assert error in said.begins("error:")[0]
    assert fix in said.begins("fix:")[0]


def test_what_it_cannot_compare_is_refused(run: Path, tmp_path: Path) -> None:
    said = hyotan("sample", run / "model.hyotan", "--check", run.parent.parent / "real.csv", "-o", tmp_path / "s.csv")
    assert said.begins("error:") == ["--check needs the rows that the model was trained on; a model file has none."]
    images = fitted("digits", "--limit", 40, cwd=tmp_path)
    said = hyotan("sample", images, "--check", "digits")
    assert said.begins("error:") == [f"--check compares tables; the rows of {images} are images."]
    (tmp_path / "few.csv").write_text(people(9, 0), encoding="utf-8")
    few = fitted("few.csv", cwd=tmp_path)
    said = hyotan("sample", few, "--check", run.parent.parent / "real.csv")
    assert "too few rows to hold some out" in said.begins("error:")[0]
    assert not (images / "samples.npy").exists() and not (few / "samples.csv").exists()


def test_real_rows_without_the_label_are_refused_by_its_name(cvae: Path, place: Path) -> None:
    rows = [line.rsplit(",", 1)[0] for line in people(30, 4).splitlines()]
    (place / "unlabelled.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    said = hyotan("sample", cvae, "--check", "unlabelled.csv", cwd=place)
    assert said.begins("error:") == ["unlabelled.csv: No column is named '種類', which the model needs."]
    assert said.begins("fix:") == ["The model was fitted on: 金額, 店, 年齢, 種類."]
