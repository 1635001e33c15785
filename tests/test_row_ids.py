"""Rows keep what they are called on their way to codes and scores: a column's values, a file's name, or a number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, parquet

from command_line import done, fitted, hyotan, sketch
from hyotan.data import Dataset, decoded, load
from hyotan.errors import DataError, SettingsError

RANDOM = np.random.default_rng(0)
ROWS = 40
NAMES = [f"客{n:03}" for n in range(ROWS)]


@pytest.fixture(autouse=True)
def without_pixels(monkeypatch):
    sketch(monkeypatch)


def write(path: Path, **more: object) -> Path:
    table = pa.table({"a": RANDOM.normal(size=ROWS), **more, "b": RANDOM.normal(size=ROWS)})
    parquet.write_table(table, path) if path.suffix == ".parquet" else csv.write_csv(table, path)
    return path


class TestReading:
    @pytest.mark.parametrize("ending", [".csv", ".parquet"])
    def test_a_column_that_names_the_rows_is_no_feature(self, tmp_path, ending):
        data = load(write(tmp_path / f"t{ending}", 客=NAMES), id="客")
        assert data.feature_names == ("a", "b") and data.id_name == "客"
        assert data.ids.tolist() == NAMES

    def test_zeros_in_front_stay_and_plain_numbers_are_numbers(self, tmp_path):
        (tmp_path / "t.csv").write_text("code,number,a\n" + "".join(f"{n:03},{n + 2**60},{n}\n" for n in range(9)))
        assert load(tmp_path / "t.csv", id="code").ids.tolist() == [f"{n:03}" for n in range(9)]
        assert load(tmp_path / "t.csv", id="number").ids.tolist() == [n + 2**60 for n in range(9)]

    @pytest.mark.parametrize("ending", [".csv", ".parquet"])
    def test_rows_that_are_left_out_take_their_names_along(self, tmp_path, ending):
        holed = [None if n % 4 == 0 else float(n) for n in range(ROWS)]
        path = write(tmp_path / f"t{ending}", 客=NAMES, c=holed)
        data = load(path, id="客", missing="drop")
        kept = [n for n in range(ROWS) if n % 4]
        assert data.ids.tolist() == [NAMES[n] for n in kept] and data.X[:, 1].tolist() == kept
        assert load(path, ignore=["客"], missing="drop").named_rows()[1].tolist() == kept

    def test_of_a_large_parquet_file_too(self, tmp_path, monkeypatch):
        path = write(tmp_path / "t.parquet", 客=NAMES, c=[None if n == 3 else float(n) for n in range(ROWS)])
        small = load(path, id="客", missing="drop")
        monkeypatch.setattr(decoded, "DECODED_BYTES", 64)
        large = load(path, id="客", missing="drop")
        assert large.ids.tolist() == small.ids.tolist() == NAMES[:3] + NAMES[4:]
        np.testing.assert_array_equal(np.asarray(large.X), small.X)
        plain = load(path, ignore=["客"], missing="drop").named_rows()
        assert plain[0] == "row" and plain[1].tolist() == [0, 1, 2, *range(4, ROWS)]

    def test_drawn_and_split_rows_keep_theirs(self, tmp_path):
        data = load(write(tmp_path / "t.csv", 客=NAMES), id="客", limit=20)
        train, test = data.split(0.2)
        assert sorted([*train.ids, *test.ids]) == sorted(data.ids) and len(set(data.ids)) == 20
        whole = load(tmp_path / "t.csv", id="客")
        for part in (train, test):
            at = [NAMES.index(name) for name in part.ids]
            np.testing.assert_array_equal(part.X, whole.X[at])

    def test_without_a_column_rows_are_numbered_as_they_stood(self):
        X = np.arange(60.0).reshape(30, 2)
        data = Dataset.from_arrays(X)
        assert data.named_rows()[0] == "row" and data.named_rows()[1].tolist() == list(range(30))
        for part in (*data.split(0.3), data.take(slice(5, 9)), data.take(np.arange(30) % 2 == 0)):
            np.testing.assert_array_equal(part.X[:, 0], 2 * part.named_rows()[1])
        again = data.take(np.arange(10, 20)).take(np.array([0, 3]))
        assert again.named_rows()[1].tolist() == [10, 13]

    def test_a_source_s_own_test_rows_are_numbered_on_their_own(self):
        data = Dataset.from_arrays(np.ones((9, 2)), X_test=np.ones((4, 2)))
        assert data.split()[1].named_rows()[1].tolist() == [0, 1, 2, 3]

    def test_pictures_are_called_by_their_files(self, tmp_path):
        for kind in ("猫", "dog"):
            (tmp_path / kind).mkdir()
            for number in (2, 10):
                pixels = RANDOM.integers(0, 255, (6, 6)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / kind / f"{number}.png")
        assert load(tmp_path).named_rows()[0] == "file"
        assert load(tmp_path).ids.tolist() == ["dog/2.png", "dog/10.png", "猫/2.png", "猫/10.png"]

    def test_a_column_that_is_not_there_and_a_source_without_columns(self, tmp_path):
        path = write(tmp_path / "t.csv", 客=NAMES)
        with pytest.raises(DataError, match=r"No column is named '客人' \(--id\)\. Did you mean '客'"):
            load(path, id="客人")
        np.save(tmp_path / "x.npy", np.ones((5, 2)))
        with pytest.raises(SettingsError, match=r"'id' cannot be applied to .*x\.npy"):
            load(tmp_path / "x.npy", id="a")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        folder = tmp_path_factory.mktemp("ids")
        return fitted(write(folder / "t.csv", 客=NAMES), "--id", "客", cwd=folder)


class TestWriting:
    @pytest.mark.parametrize("verb", ["encode", "score"])
    @pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
    def test_stand_first_in_a_table(self, run, verb, ending):
        folder = run.parent.parent
        done(verb, run, "t.csv", "--id", "客", "-o", f"out{ending}", cwd=folder)
        if ending == ".parquet":
            table = parquet.read_table(folder / f"out{ending}")
        else:
            delimiter = {".csv": ",", ".tsv": "\t"}[ending]
            table = csv.read_csv(folder / f"out{ending}", parse_options=csv.ParseOptions(delimiter=delimiter))
        assert table.column_names[0] == "客" and table["客"].to_pylist() == NAMES

    def test_do_not_stand_in_an_array_and_change_no_code(self, run):
        folder = run.parent.parent
        for flags, name in ((("--id", "客"), "a.npy"), ((), "b.npy")):
            done("encode", run, "t.csv", *flags, "-o", name, cwd=folder)
        np.testing.assert_array_equal(np.load(folder / "a.npy"), np.load(folder / "b.npy"))

    def test_of_the_run_s_own_test_rows_are_those_of_its_source(self, run):
        folder = run.parent.parent
        done("encode", run, "-o", "own.parquet", cwd=folder)
        own = parquet.read_table(folder / "own.parquet").to_pydict()
        done("encode", run, "t.csv", "--id", "客", "-o", "all.parquet", cwd=folder)
        everything = parquet.read_table(folder / "all.parquet").to_pydict()
        at = [everything["客"].index(name) for name in own["客"]]
        assert len(at) == 4 and own["z0"] == pytest.approx([everything["z0"][n] for n in at])

    def test_codes_with_names_are_decoded_without_them(self, run):
        folder = run.parent.parent
        for ending in (".csv", ".npy"):
            done("encode", run, "t.csv", "--id", "客", "-o", f"codes{ending}", cwd=folder)
            done("decode", run, f"codes{ending}", "-o", f"from{ending[1:]}.npy", cwd=folder)
        np.testing.assert_allclose(np.load(folder / "fromcsv.npy"), np.load(folder / "fromnpy.npy"), rtol=1e-4)

    def test_of_pictures_are_their_files(self, tmp_path):
        for number in range(12):
            Image.fromarray(RANDOM.integers(0, 255, (8, 8)).astype(np.uint8)).save(tmp_path / f"p{number}.png")
        run = fitted(tmp_path, cwd=tmp_path)
        done("encode", run, tmp_path, "-o", tmp_path / "codes.csv")
        table = csv.read_csv(tmp_path / "codes.csv")
        assert table["file"].to_pylist() == [f"p{number}.png" for number in range(12)]

    def test_a_mistyped_column_is_answered_in_a_line(self, run):
        said = hyotan("encode", run, "t.csv", "--id", "客人", cwd=run.parent.parent)
        assert said.code == 2 and "No column is named '客人' (--id)." in said.begins("error:")[0]
