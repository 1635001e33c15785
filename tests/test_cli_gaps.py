"""Missing values on the command line: kept, learned from, filled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command_line import SMALL, done, hyotan, sketch
from hyotan.data import load

COLUMNS = ("a", "b", "c", "d")


def write(path: Path, rows: np.ndarray) -> Path:
    lines = [",".join("" if np.isnan(value) else repr(float(value)) for value in row) for row in rows]
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    random = np.random.default_rng(0)
    whole = (random.normal(size=(60, 1)) @ np.ones((1, 4)) + random.normal(size=(60, 4)) / 4).astype(np.float32)
    return np.where(random.random(whole.shape) < 0.2, np.nan, whole)


@pytest.fixture(scope="module")
def trained(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("missing")
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        table = write(folder / "t.csv", rows)
        said = done("fit", table, "--missing", "keep", "--model", "vae", *SMALL, cwd=folder)
    assert "the model learns from those that are there (--missing keep)" in said.err
    return folder / said.out.splitlines()[-1], table


def test_filled_tables_keep_what_is_known(trained: tuple[Path, Path], rows: np.ndarray) -> None:
    run, table = trained
    out = run.parent / "filled.csv"
    record = done("impute", run, table, "-o", out, "--json").record
    filled = load(out)
    assert filled.feature_names == COLUMNS and np.isfinite(filled.X).all()
    np.testing.assert_array_equal(filled.X[~np.isnan(rows)], rows[~np.isnan(rows)])
    assert record["missing"] == int(np.isnan(rows).sum()) and record["rows"] == 60


def test_intervals_and_samples_stand_beside_it(trained: tuple[Path, Path], rows: np.ndarray) -> None:
    run, table = trained
    said = done("impute", run, table, "-o", run.parent / "f.csv", "--intervals", "--level", "0.8", "--samples", "2")
    files = [Path(line) for line in said.out.splitlines()]
    assert [file.name for file in files] == ["f.csv", "f-low.csv", "f-high.csv", "f-1.csv", "f-2.csv"]
    _, low, high, first, second = (load(file).X for file in files)
    gone = np.isnan(rows)
    assert (low[gone] < high[gone]).all() and not np.array_equal(first, second)


def test_the_runs_own_test_rows_are_filled_where_no_source_is_named(trained: tuple[Path, Path]) -> None:
    run, _ = trained
    assert np.isfinite(load(done("impute", run, "--quiet").out.strip()).X).all()


def test_such_a_run_is_evaluated_and_used_like_any_other(trained: tuple[Path, Path]) -> None:
    run, table = trained
    assert np.isfinite(done("evaluate", run, "--json").record["metrics"]["test"]["mse"])
    for command in ("encode", "reconstruct", "score"):
        done(command, run, table)


def test_mistakes_are_answered(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, table = trained
    whole = done("fit", "digits", *SMALL, "--limit", "40", "--quiet", cwd=tmp_path).out.splitlines()[-1]
    said = hyotan("impute", tmp_path / whole)
    assert said.code == 2 and "has not learned to fill any" in said.err and "--handle-missing always" in said.err
    said = hyotan("fit", table, "--missing", "error", cwd=tmp_path)
    assert said.code == 2 and "--missing keep" in said.err
    said = hyotan("impute", run, table, "--level", "2")
    assert said.code == 2 and "--level cannot be '2'" in said.err


def test_arrays_can_have_missing_values_too(tmp_path: Path, rows: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", rows)
    np.savez(tmp_path / "x.npz", X=rows, X_test=rows[:5])
    for name in ("x.npy", "x.npz"):
        np.testing.assert_array_equal(load(tmp_path / name, missing="keep").X, rows)
        assert hyotan("info", tmp_path / name).code == 0
        said = hyotan("fit", tmp_path / name, "--missing", "mean", cwd=tmp_path)
        assert said.code == 2 and "the missing values of an array can be kept" in said.err


def test_its_report_counts_what_is_observed(trained: tuple[Path, Path]) -> None:
    run, _ = trained
    done("report", run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "the model learns from what is there" in page and ">nan<" not in page.lower()
