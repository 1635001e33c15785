"""A detector by command line alone: fitted on a table, kept, looked at, and used on another table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import done, hyotan
from hyotan import load
from hyotan.data import load as load_data

FEW = ("--n-estimators", 2)


def members(n: int, seed: int, odd: int = 0) -> str:
    """A table with Japanese names, missing values and categories; the first rows spend what others of their shop never
    do.
    """
    random = np.random.default_rng(seed)
    lines = ["会員番号,店,品,金額,入会日"]
    for i in range(n):
        here = random.random() < 0.5
        spent = random.normal(20, 2) if here != (i < odd) else random.normal(150, 10)
        item = random.choice(["本", "紙"] if here else ["茶", "菓子"])
        day = (
            f"2020-0{random.integers(1, 7)}-{random.integers(10, 28)}" if here else f"2024-0{random.integers(1, 7)}-10"
        )
        row = [f"m{i}", "渋谷" if here else "梅田", item, f"{spent:.1f}", day]
        lines.append(",".join("" if 0 < at != 3 and random.random() < 0.1 else value for at, value in enumerate(row)))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    """Members that are trained for a quarter of the usual time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hyotan.anomalies.detector.STEPS", 200)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detect")
    (folder / "会員.csv").write_text(members(150, 1), encoding="utf-8")
    (folder / "new.csv").write_text(members(60, 2, odd=6), encoding="utf-8")
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 2)) @ random.normal(size=(2, 5)) + 0.1 * random.normal(size=(120, 5))
    np.savetxt(folder / "numbers.csv", X, delimiter=",", header="a,b,c,d,e", comments="", fmt="%.4f")
    X[:3, 1] += 9
    np.savetxt(folder / "strange.csv", X[:40, ::-1], delimiter=",", header="e,d,c,b,a", comments="", fmt="%.4f")
    return folder


@pytest.fixture(scope="module")
def said(place: Path) -> Any:
    return done("detect", "会員.csv", "--id", "会員番号", *FEW, cwd=place)


@pytest.fixture(scope="module")
def by_numbers(place: Path) -> Path:
    done("detect", "numbers.csv", *FEW, "--out", "kept", cwd=place)
    return place / "kept"


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


class TestDetect:
    def test_ends_with_the_folder_and_says_what_is_odd(self, place: Path, said: Any) -> None:
        file, folder = said.out.splitlines()
        assert (file, folder) == ("runs/会員-detector-1/detected.csv", "runs/会員-detector-1")
        assert "150 rows, 4 columns" in said.err and "training 2 autoencoders" in said.err
        assert "flagged (5 % of normal rows would be); the most anomalous:" in said.err
        assert "会員番号" in said.err and "unusual values (nats)" in said.err

    def test_writes_what_the_detector_says_of_each_row(self, place: Path, said: Any) -> None:
        file, folder = (place / line for line in said.out.splitlines())
        detector, rows = load(folder), load_data(place / "会員.csv", ignore=["会員番号"]).X
        written = rows_of(file)
        assert [row["会員番号"] for row in written] == [f"m{i}" for i in range(150)]
        assert np.array_equal([float(row["score"]) for row in written], detector.score_samples(rows))
        assert np.array_equal([float(row["p_value"]) for row in written], detector.p_values(rows))
        assert np.array_equal([float(row["odd"]) == 1 for row in written], detector.predict(rows) == -1)

    def test_is_looked_at_by_info(self, place: Path, said: Any) -> None:
        folder = place / said.out.splitlines()[-1]
        for what in (folder, folder / "detector.hyotan"):
            told = done("info", what).out
            assert "anomaly-detector" in told and "2 autoencoders, a code of 2" in told
            assert "店, 品, 金額, 入会日" in told and "with 150 rows" in told
        assert done("info", folder, "--json").record["measured_with"] == 150

    def test_gives_one_object(self, place: Path) -> None:
        record = done("detect", "numbers.csv", *FEW, "--contamination", 0.1, "--json", cwd=place).record
        assert {"detector", "file", "rows", "odd", "mean", "oddest", "odd_values"} <= record.keys()
        assert (record["rows"], record["odd"]) == (120, 12)

    def test_does_the_same_again(self, place: Path, by_numbers: Path) -> None:
        before = (by_numbers / "detected.csv").read_bytes()
        refused = hyotan("detect", "numbers.csv", *FEW, "--out", "kept", cwd=place)
        assert refused.code == 5
        assert refused.begins("error:") == ["kept exists already."]
        assert refused.begins("fix:") == ["Choose another --out, or replace it with --overwrite."]
        done("detect", "numbers.csv", *FEW, "--out", "kept", "--overwrite", cwd=place)
        assert (by_numbers / "detected.csv").read_bytes() == before

    def test_replaces_nothing_but_a_detector(self, place: Path) -> None:
        (place / "mine").mkdir(exist_ok=True)
        (place / "mine" / "model.hyotan").write_text("a run's")
        refused = hyotan("detect", "numbers.csv", "--out", "mine", "--overwrite", cwd=place)
        assert refused.begins("error:") == ["mine holds other files than a detector's; it is not overwritten."]

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (("--false-alarm-rate", "2"), "--false-alarm-rate cannot be '2': expected"),
            (("--contamination", "0.7"), "--contamination cannot be '0.7': expected"),
            (("--n-estimators", "0"), "--n-estimators cannot be '0': expected"),
            (("--method", "best"), "--method cannot be 'best': expected"),
            (("--ignore", "a,b,c,d,e"), ""),
        ],
    )
    def test_answers_mistakes_in_a_line_and_leaves_nothing(self, place: Path, words: Any, error: str) -> None:
        before = sorted((place / "runs").iterdir()) if (place / "runs").is_dir() else []
        refused = hyotan("detect", "numbers.csv", *words, cwd=place)
        assert refused.code == 2
        assert refused.begins("error:")[0].startswith(error)
        assert (sorted((place / "runs").iterdir()) if (place / "runs").is_dir() else []) == before


class TestScore:
    def test_of_a_new_table_needs_the_detector_alone(self, place: Path, said: Any) -> None:
        folder = place / said.out.splitlines()[-1]
        record = done("score", folder, place / "new.csv", "--id", "会員番号", "--json").record
        assert set(record["oddest"]) <= set(range(6))
        assert all(any(word.startswith(("金額=", "店=", "品=")) for word in values) for values in record["odd_values"])
        written = rows_of(folder / "scores.csv")
        assert [row["会員番号"] for row in written] == [f"m{i}" for i in range(60)]
        assert sum(float(row["p_value"]) <= 0.05 for row in written[:6]) >= 5

    def test_calls_rows_odd_together(self, place: Path, by_numbers: Path) -> None:
        told = done("score", by_numbers, place / "strange.csv", "--fdr", 0.2, "-o", place / "fdr.csv")
        written = rows_of(place / "fdr.csv")
        assert [float(row["odd"]) for row in written[:3]] == [1, 1, 1]
        odd = sum(int(row["odd"]) for row in written)
        assert f"40 rows, {odd} flagged (at most 20% of these are false alarms); the most anomalous:" in told.err
        assert told.err.count("b=") >= 3

    def test_finds_columns_by_their_names(self, place: Path, by_numbers: Path) -> None:
        done("score", by_numbers / "detector.hyotan", place / "strange.csv", "--p-values", "-o", place / "names.csv")
        X = load_data(place / "strange.csv", columns=list("abcde")).X
        detector = load(by_numbers)
        vars(detector).pop("feature_names_in_")
        scores = [float(row["score"]) for row in rows_of(place / "names.csv")]
        np.testing.assert_allclose(scores, detector.score_samples(X), rtol=1e-12)

    def test_says_what_is_missing(self, place: Path, said: Any, by_numbers: Path) -> None:
        folder = place / said.out.splitlines()[-1]
        refused = hyotan("score", folder, place / "numbers.csv")
        assert refused.code == 2 and "'店'" in refused.begins("error:")[0]
        refused = hyotan("score", folder)
        assert refused.begins("error:") == ["A model file alone has no rows."]
        refused = hyotan("encode", by_numbers, place / "numbers.csv")
        assert refused.begins("error:") == [f"{by_numbers} is a detector of anomalies, where a run is expected."]
        assert refused.begins("fix:") == [f"Score rows by it: hyotan score {by_numbers} NEW.csv"]
