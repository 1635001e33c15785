"""Studies of tables: columns of several kinds, and values that are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import csv
from sklearn.decomposition import PCA

from command_line import done, hyotan
from hyotan import VAE, Study
from hyotan.data import Dataset
from hyotan.data.frames import Frame
from hyotan.errors import DataError
from hyotan.study import engine, measures
from hyotan.study.measures import baselines
from hyotan.study.prediction import leverages, predicted
from hyotan.study.repeat_rows import rows_of_repeat
from test_table_models import customers, with_missing

QUICK = ("--sizes", "2,1", "--repeats", 1, "--epochs", 2, "--hidden-dims", 8, "--jobs", 1)


@pytest.fixture(autouse=True)
def fewer_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of K-means, which is most of the time."""
    for name, count in {"RUNS": 3, "SELECTION_RUNS": 2, "WALKS": 5}.items():
        monkeypatch.setattr(measures, name, count)


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "experiments", lambda folder: None)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    csv.write_csv(
        with_missing(customers(200).drop_columns(["店"]), 0.1).append_column("店", customers(200)["店"]),
        tmp_path / "顧客.csv",
    )
    return tmp_path


def test_a_csv_with_kinds_and_missing_values_gets_its_verdict_and_report(place: Path) -> None:
    said = done("study", "顧客.csv", "--label", "店", "--out", "比較", *QUICK, "--json", cwd=place)
    cells = {(cell["model"], cell["latent_dim"]): cell for cell in said.record["cells"]}
    assert {model for model, _ in cells} == {"ae", "vae", "mean", "pca", "raw"}  # labels do not go with missing values
    for cell in cells.values():
        assert cell["test"]["mse"] is None or np.isfinite(cell["test"]["mse"])
        assert 0 <= (cell["test"]["knn_accuracy"] or 0) <= 1
    assert {cells["vae", 2]["test"][name] is not None for name in ("bound", "nll", "q2", "smoothness", "coverage")} == {
        True
    }
    assert said.record["recommendation"]["choices"]
    page = (place / "比較" / "report.html").read_text(encoding="utf-8")
    assert "梅田" in page
    assert {figure.name for figure in (place / "比較" / "figures").iterdir()} >= {
        "codes.png",
        "tsne.png",
        "sizes-mse.png",
    }
    assert not done("study", "比較", "--resume", "--quiet", cwd=place).err


def test_a_model_of_labels_is_compared_where_nothing_is_missing(tmp_path: Path) -> None:
    csv.write_csv(customers(150), tmp_path / "table.csv")
    found = done("study", "table.csv", "--label", "店", "--models", "cvae", *QUICK, "--json", cwd=tmp_path).record
    assert not found["failures"]
    ours = next(cell for cell in found["cells"] if cell["model"] == "cvae")
    assert ours["test"]["label_error"] is not None and ours["test"]["smoothness"] is not None


def test_and_refused_where_something_is(place: Path) -> None:
    said = hyotan("study", "顧客.csv", "--label", "店", "--models", "cvae", *QUICK, cwd=place)
    assert said.code == 2 and "The table has missing values; a CVAE cannot handle missing values." in said.err


@pytest.mark.usefixtures("without_figures")
def test_a_frame_in_python_is_kept_with_the_study(place: Path) -> None:
    frame = pd.read_csv(place / "顧客.csv")
    y = frame.pop("店").to_numpy()
    how = {"models": ["ae"], "sizes": [2], "repeats": 1, "max_epochs": 2, "hidden_dims": (8,)}
    study = Study(frame, y, out=place / "kept", **how).run()
    again = Study.open(place / "kept")
    assert isinstance(again.folder.load_data()[0].X, Frame)
    np.testing.assert_array_equal(again.load("ae", 2).transform(frame), study.load("ae", 2).transform(frame))
    by_file = Study(place / "顧客.csv", data={"label": "店"}, out=place / "file", **how).run()
    assert [cell.test for cell in study.cells] == [cell.test for cell in by_file.cells]


@pytest.mark.usefixtures("without_figures")
def test_numbers_with_missing_values_in_python(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(80, 2)) @ np.ones((2, 5)) + np.random.default_rng(1).normal(
        size=(80, 5)
    )
    rows[np.random.default_rng(2).random(rows.shape) < 0.1] = np.nan
    study = Study(rows, models=["vae"], sizes=[1], repeats=1, max_epochs=2, out=tmp_path / "study").run()
    assert study.recommendation.headline is not None
    with pytest.raises(DataError, match="infinite"):
        Study(np.where(np.isnan(rows), np.inf, rows), out=tmp_path / "other")


def test_errors_of_baselines_are_means_over_what_is_observed() -> None:
    frame = Frame(with_missing(customers(200), 0.1))
    data = Dataset("table", frame, feature_names=tuple(frame.names))
    train, test = data.split(0.2)
    model = VAE(2, hidden_dims=(8,), max_epochs=1, random_state=0).fit(train.X)
    parts = rows_of_repeat(train, test, 0.1, "random", 0)
    found = {(cell.model, cell.latent_dim): cell.test for cell in baselines(model, [1, 3], parts, 0, 0)}
    known, rows = model.in_range(parts.train.X).astype(float), model.in_range(test.X).astype(float)
    mean = np.nanmean(known, axis=0)
    guess = {("mean", 0): np.broadcast_to(mean, rows.shape)}
    for size in (1, 3):
        pca = PCA(size).fit(np.where(np.isnan(known), mean, known))
        guess["pca", size] = pca.inverse_transform(pca.transform(np.where(np.isnan(rows), mean, rows)))
    for which, values in guess.items():
        assert found[which].mse == pytest.approx(np.nanmean((values - rows) ** 2, axis=1).mean(), rel=1e-3)


def test_what_a_code_predicts_is_asked_of_what_is_observed() -> None:
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(6, 2)))[0]
    rows = (random.normal(size=(4000, 2)) @ basis.T + 0.1 * random.normal(size=(4000, 6))).astype(np.float32)
    projection = basis @ basis.T

    def through(X: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(X), 0, X) @ projection.astype(np.float32)

    holed = np.where(random.random(rows.shape) < 0.2, np.nan, rows)
    # What a value's own reconstruction owes to it is the diagonal of the projection, wherever it is observed.
    np.testing.assert_allclose(leverages(through, holed), np.diag(projection), atol=0.05)
    found, whole = (predicted(through, X, np.zeros(6, np.float32)) for X in (holed, rows))
    assert found is not None and whole is not None and 0.5 < found < whole
