"""Odd but legal data, from the command line alone: fitted, evaluated, coded, scored, reconstructed, sampled, walked."""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, parquet

from command_line import SMALL, Said, done, fitted, hyotan, sketch
from hyotan.data import load
from hyotan.figures.fonts import undrawable

RANDOM = np.random.default_rng(0)
# The figures of these data come without a warning: of boxes for letters, or of a layout that did not work out.
pytestmark = pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")


@pytest.fixture(autouse=True)
def drawn_only_where_letters_and_shapes_are_odd(request, monkeypatch):
    if request.cls is not TestPictures:
        sketch(monkeypatch)


@dataclass(frozen=True)
class Journey:
    """All that the commands made of a source."""

    run: Path
    told: Said
    codes: np.ndarray
    scores: np.ndarray
    reconstructed: np.ndarray
    sampled: np.ndarray
    walk: np.ndarray


def journey(folder: Path, source: str, *flags: object) -> Journey:
    """Take a source through every command."""
    told = done("fit", source, *SMALL, "--batch-size", 8, *flags, cwd=folder)
    run = told.out.splitlines()[-1]
    for words in ("evaluate RUN --nll-samples 5", "info RUN", "sample RUN -n 9"):
        done(*words.replace("RUN", run).split(), cwd=folder)
    for verb, name in (("encode", "codes"), ("score", "scores"), ("reconstruct", "reconstructed")):
        done(verb, run, source, "-o", f"{run}/{name}.npy", cwd=folder)
    done("interpolate", run, source, "--steps", 5, cwd=folder)
    names = ("codes", "scores", "reconstructed", "samples", "interpolation")
    return Journey(folder / run, told, *(np.load(folder / run / f"{name}.npy") for name in names))


def write_table(path: Path, columns: dict[str, object], delimiter: str = ",") -> None:
    csv.write_csv(pa.table(columns), path, csv.WriteOptions(delimiter=delimiter))


def codes_of(run: Path, source: object, *flags: object) -> np.ndarray:
    file = run / "again.npy"
    done("encode", run, source, *flags, "-o", file, cwd=run.parent)
    return np.load(file)


class TestArrays:
    def test_small_whole_numbers_of_a_table_stay_numbers(self, tmp_path):
        table = RANDOM.integers(20, 200, (60, 4)).astype(np.uint8)
        np.save(tmp_path / "counts.npy", table)
        trip = journey(tmp_path, "counts.npy")
        assert "60 rows, 4 columns" in trip.told.err
        for rows in (trip.reconstructed, trip.sampled, trip.walk):
            assert rows.shape[1:] == (4,)
            assert 20 < np.median(rows) < 200  # in the data's units: not divided by 255, not standardised
        assert np.abs(trip.reconstructed.mean(axis=0) - table.mean(axis=0)).max() < 60

    def test_pixels_come_back_as_shares_of_255(self, tmp_path):
        np.save(tmp_path / "pixels.npy", RANDOM.integers(0, 256, (30, 6, 5)).astype(np.uint8))
        trip = journey(tmp_path, "pixels.npy")
        assert "0..255 scaled to [0,1]" in trip.told.err
        assert trip.reconstructed.shape == (30, 6, 5) and trip.walk.shape == (5, 6, 5)
        assert (trip.run / "interpolation.gif").is_file()
        assert trip.reconstructed.min() >= 0 and 1 < trip.reconstructed.max() <= 255

    def test_images_of_floats_keep_their_range(self, tmp_path):
        images = RANDOM.normal(500, 30, (40, 7, 9)).astype(np.float32)
        np.save(tmp_path / "heat.npy", images)
        trip = journey(tmp_path, "heat.npy", "--model", "vae")
        assert "40 images, 7×9 grey" in trip.told.err
        for rows in (trip.reconstructed, trip.sampled, trip.walk):
            assert rows.shape[1:] == (7, 9) and 400 < rows.mean() < 600

    def test_an_archive_with_labels_fits_by_its_names(self, tmp_path):
        X, y = RANDOM.random((40, 5)), np.repeat(["b", "a"], 20)
        np.savez(tmp_path / "both.npz", X=X, y=y)
        trip = journey(tmp_path, "both.npz", "--model", "vae")
        assert "40 rows, 5 columns" in trip.told.err and "2 labels" in trip.told.err
        assert trip.codes.shape == (40, 2) and trip.scores.shape == (40, 1)

    def test_a_pair_of_gzipped_idx_files_is_images_with_labels(self, tmp_path):
        images = RANDOM.integers(0, 256, (25, 6, 7)).astype(np.uint8)
        labels = (np.arange(25) % 3).astype(np.uint8)
        for name, array in (("t-images-idx3-ubyte.gz", images), ("t-labels-idx1-ubyte.gz", labels)):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (tmp_path / name).write_bytes(gzip.compress(header + array.tobytes()))
        trip = journey(tmp_path, "t-images-idx3-ubyte.gz")
        assert "25 images, 6×7 grey" in trip.told.err and "3 labels" in trip.told.err
        assert trip.reconstructed.shape == (25, 6, 7)

    def test_whole_numbers_with_a_wide_range(self, tmp_path):
        np.save(tmp_path / "ids.npy", RANDOM.integers(-(10**9), 10**9, (50, 3)))
        run = fitted("ids.npy", cwd=tmp_path)
        done("score", run, "ids.npy", cwd=tmp_path)
        done("sample", run, cwd=tmp_path)
        assert np.isfinite(load(run / "scores.csv").X).all()
        assert np.abs(np.load(run / "samples.npy")).max() > 10**6

    def test_a_single_column_and_a_single_axis(self, tmp_path):
        np.save(tmp_path / "line.npy", RANDOM.normal(10, 2, 50))
        trip = journey(tmp_path, "line.npy")
        assert "read as one column" in trip.told.err
        assert trip.reconstructed.shape == (50, 1) and 5 < trip.reconstructed.mean() < 15


class TestTables:
    def columns(self, rows: int = 40) -> dict[str, np.ndarray]:
        a = RANDOM.normal(0, 1, rows)
        return {"a": a, "b": 100 + 10 * a + RANDOM.normal(0, 1, rows), "c": RANDOM.normal(-5, 0.1, rows)}

    def test_of_text(self, tmp_path):
        columns = self.columns()
        for name, delimiter in (("t.csv", ","), ("t.tsv", "\t")):
            write_table(tmp_path / name, columns, delimiter)
        trip = journey(tmp_path, "t.tsv")
        assert trip.reconstructed.shape == (40, 3) and 70 < trip.reconstructed[:, 1].mean() < 130
        np.testing.assert_array_equal(codes_of(trip.run, tmp_path / "t.csv"), trip.codes)

    def test_of_parquet(self, tmp_path):
        parquet.write_table(pa.table(self.columns()), tmp_path / "t.parquet")
        trip = journey(tmp_path, "t.parquet", "--model", "vae")
        assert trip.sampled.shape == (9, 3) and 50 < trip.sampled[:, 1].mean() < 150

    def test_of_one_column(self, tmp_path):
        write_table(tmp_path / "one.csv", {"a": RANDOM.normal(3, 1, 30)})
        told = done("fit", "one.csv", *SMALL, cwd=tmp_path)
        run = tmp_path / told.out.splitlines()[-1]
        assert "The code (2 numbers) is no smaller than a row (1)" in told.err and "% worse" not in told.err
        done("interpolate", run, "--steps", 5, cwd=tmp_path)
        assert np.load(run / "interpolation.npy").shape == (5, 1)

    def test_of_three_rows_say_that_they_test_what_they_trained_on(self, tmp_path):
        write_table(tmp_path / "three.csv", {"a": [1.0, 2, 3], "b": [3.0, 1, 2]})
        trip = journey(tmp_path, "three.csv")
        assert "3 rows are too few to split" in trip.told.err
        assert "on the 3 rows trained on" in trip.told.err and "not seen in training" not in trip.told.err
        assert "on the 3 rows trained on" in done("evaluate", trip.run).out

    def test_of_constant_columns(self, tmp_path):
        write_table(tmp_path / "flat.csv", {**self.columns(), "same": [7.0] * 40})
        trip = journey(tmp_path, "flat.csv")
        np.testing.assert_allclose(trip.reconstructed[:, 3], 7, atol=1)
        assert np.isfinite(trip.scores).all()

    def test_of_nothing_but_constants(self, tmp_path):
        write_table(tmp_path / "same.csv", {"a": [7.0] * 30, "b": [1.0] * 30})
        trip = journey(tmp_path, "same.csv")
        assert "nothing to learn" in trip.told.err
        np.testing.assert_allclose(trip.reconstructed, np.tile([7.0, 1.0], (30, 1)), atol=1)

    def test_with_missing_values_that_are_dealt_with_in_the_fit_and_then_in_use(self, tmp_path):
        columns = self.columns()
        columns["b"][3] = np.nan
        table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
        csv.write_csv(table, tmp_path / "missing values.csv")
        run = fitted("missing values.csv", "--missing", "mean", cwd=tmp_path)
        assert codes_of(run, tmp_path / "missing values.csv").shape == (40, 2)
        assert codes_of(run, tmp_path / "missing values.csv", "--missing", "drop").shape == (39, 2)

    def test_with_a_label_column_need_no_flag_when_they_are_read_again(self, tmp_path):
        write_table(tmp_path / "t.csv", {"id": list(range(40)), **self.columns(), "kind": ["x", "y"] * 20})
        run = fitted("t.csv", "--label", "kind", "--ignore", "id", cwd=tmp_path)
        done("reconstruct", run, "t.csv", "-o", "back.csv", cwd=tmp_path)
        assert load(tmp_path / "back.csv").feature_names == ("a", "b", "c")


class TestColumnsByName:
    """Another table is read by the names of its columns, wherever they stand."""

    @pytest.fixture(scope="class")
    @staticmethod
    def trained(tmp_path_factory):
        folder = tmp_path_factory.mktemp("names")
        table = {"a": RANDOM.normal(0, 1, 40), "b": RANDOM.normal(50, 9, 40), "c": RANDOM.normal(-5, 1, 40)}
        write_table(folder / "t.csv", table)
        return journey(folder, "t.csv"), table, folder

    def test_in_another_order(self, trained):
        trip, table, folder = trained
        write_table(folder / "shuffled.csv", {name: table[name] for name in ("c", "a", "b")})
        np.testing.assert_array_equal(codes_of(trip.run, folder / "shuffled.csv"), trip.codes)

    def test_among_others_also_of_text(self, trained):
        trip, table, folder = trained
        write_table(folder / "more.csv", {"when": ["today"] * 40, **table, "z": [1.0] * 40})
        np.testing.assert_array_equal(codes_of(trip.run, folder / "more.csv"), trip.codes)

    def test_in_another_format(self, trained):
        trip, table, folder = trained
        parquet.write_table(pa.table({name: table[name] for name in ("b", "c", "a")}), folder / "t.parquet")
        np.testing.assert_allclose(codes_of(trip.run, folder / "t.parquet"), trip.codes, rtol=1e-5, atol=1e-6)

    def test_a_missing_one_is_named_with_all_that_are_needed(self, trained):
        trip, table, folder = trained
        write_table(folder / "less.csv", {name: table[name] for name in ("a", "c")})
        said = hyotan("score", trip.run, "less.csv", cwd=folder)
        assert said.code == 2
        assert said.begins("error:") == ["less.csv: No column is named 'b', which the model needs."]
        assert said.begins("fix:") == ["The model was fitted on: a, b, c."]

    def test_rows_come_out_under_their_names(self, trained):
        trip, _, folder = trained
        for words in (
            "reconstruct RUN t.csv -o out.csv",
            "sample RUN -n 5 -o out.csv",
            "decode RUN codes.csv -o out.csv",
        ):
            done("encode", trip.run, "t.csv", "-o", "codes.csv", cwd=folder)
            done(*words.replace("RUN", str(trip.run)).split(), cwd=folder)
            assert load(folder / "out.csv").feature_names == ("a", "b", "c")

    @pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".npy"])
    def test_codes_go_out_and_come_back_in_any_format(self, trained, ending):
        trip, _, folder = trained
        done("encode", trip.run, "t.csv", "-o", f"codes{ending}", cwd=folder)
        done("decode", trip.run, f"codes{ending}", "-o", f"back{ending}", cwd=folder)
        codes, back = load(folder / f"codes{ending}"), load(folder / f"back{ending}")
        assert codes.feature_names == (None if ending == ".npy" else ("row", "z0", "z1"))
        np.testing.assert_allclose(codes.X[:, -2:], trip.codes, rtol=1e-6)
        np.testing.assert_allclose(back.X, trip.reconstructed, rtol=1e-4, atol=1e-4)

    def test_scores_go_to_any_format(self, trained):
        trip, _, folder = trained
        for ending in (".csv", ".tsv", ".parquet"):
            done("score", trip.run, "t.csv", "-o", f"scores{ending}", cwd=folder)
            scores = load(folder / f"scores{ending}")
            assert scores.feature_names == ("row", "score")
            np.testing.assert_array_equal(scores.X[:, 0], np.arange(len(trip.scores)))
            np.testing.assert_allclose(scores.X[:, 1:], trip.scores, rtol=1e-5)

    def test_a_model_file_alone_takes_columns_as_they_stand(self, trained):
        trip, _, folder = trained
        (folder / "alone.hyotan").write_bytes((trip.run / "model.hyotan").read_bytes())
        done("encode", "alone.hyotan", "t.csv", "-o", "alone.npy", cwd=folder)
        np.testing.assert_array_equal(np.load(folder / "alone.npy"), trip.codes)


class TestPictures:
    def photos(self, folder: Path, mode: str, size: tuple[int, int], kinds: tuple[str, ...], each: int = 6) -> None:
        height, width = size
        for kind in kinds:
            (folder / kind).mkdir(parents=True)
            for number in range(each):
                pixels = RANDOM.integers(0, 256, (height, width, 3)).astype(np.uint8)
                Image.fromarray(pixels).convert(mode).save(folder / kind / f"{number}.png")

    def test_in_colour_and_not_square_keep_shape_and_labels(self, tmp_path):
        self.photos(tmp_path / "photos", "RGB", (40, 56), ("cat", "dog"))
        trip = journey(tmp_path, "photos/")
        assert "12 images, 40×56 RGB" in trip.told.err and "2 labels" in trip.told.err
        assert trip.run.name == "photos-ae-1"
        for rows in (trip.reconstructed, trip.sampled, trip.walk):
            assert rows.shape[1:] == (3, 40, 56)
        with Image.open(trip.run / "interpolation.gif") as film:
            assert film.n_frames == 5 + 3  # there and back

    def test_of_another_size_are_brought_to_the_one_of_the_fit(self, tmp_path):
        self.photos(tmp_path / "small", "L", (12, 10), ("",))
        run = fitted("small", "--size", "8x8", cwd=tmp_path)
        self.photos(tmp_path / "large", "L", (30, 31), ("",))
        assert codes_of(run, tmp_path / "large").shape == (6, 2)

    @pytest.mark.skipif(undrawable("猫犬長さ") != "", reason="no Japanese font is installed")
    def test_with_labels_and_a_path_in_japanese(self, tmp_path):
        self.photos(tmp_path / "写真 集", "L", (8, 8), ("猫", "犬"))
        trip = journey(tmp_path, "写真 集", "--model", "vae")
        assert trip.run.name == "写真-集-vae-1"
        assert json.loads(done("info", trip.run, "--json").out)["config"]["source"].endswith("写真 集")

    @pytest.mark.skipif(undrawable("猫犬長さ") != "", reason="no Japanese font is installed")
    def test_tables_with_columns_and_labels_in_japanese(self, tmp_path):
        table = {"長さ": RANDOM.normal(5, 1, 30), "重さ（kg）": RANDOM.normal(60, 9, 30), "種類": ["猫", "犬"] * 15}
        write_table(tmp_path / "動物.csv", table)
        trip = journey(tmp_path, "動物.csv", "--label", "種類")
        done("sample", trip.run, "-n", 3, "-o", "新.csv", cwd=tmp_path)
        assert load(tmp_path / "新.csv").feature_names == ("長さ", "重さ（kg）")
        assert trip.run.name == "動物-ae-1"


class TestNames:
    def test_a_set_is_known_in_any_case_and_beside_a_folder_of_its_name(self, tmp_path):
        (tmp_path / "digits").mkdir()
        told = done("fit", "Digits", *SMALL, "--limit", 20, cwd=tmp_path)
        run = tmp_path / told.out.splitlines()[-1]
        assert "write ./Digits" not in told.err
        assert done("evaluate", run, cwd=tmp_path).code == 0
        told = done("fit", "digits", *SMALL, "--limit", 20, "--out", "again", cwd=tmp_path)
        assert "write ./digits" in told.err
        assert done("evaluate", "again", cwd=tmp_path).code == 0

    def test_a_path_is_noted_whole_so_that_the_run_can_be_used_from_anywhere(self, tmp_path):
        (tmp_path / "data").mkdir()
        np.save(tmp_path / "data" / "x.npy", RANDOM.normal(size=(20, 3)))
        run = tmp_path / "data" / done("fit", "x.npy", *SMALL, cwd=tmp_path / "data").out.splitlines()[-1]
        assert done("evaluate", run, cwd=tmp_path).code == 0
        assert done("score", run, cwd=tmp_path).code == 0
