"""Files of earlier versions keep opening and say what they said: models, detectors, runs, settings, studies.

`frozen/make.py` says which code wrote what, and whose answers these are.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import hyotan
from command_line import done, sketch
from frozen_files import (
    FROZEN,
    NEAR,
    ORDERS,
    SETTINGS,
    STUDIES,
    answers,
    assert_answers,
    copied,
    found_by,
    gone_on,
    made_again,
    opened,
    read_answers,
    said_of,
)

MODELS = sorted(path.stem for path in FROZEN.glob("*.hyotan") if path.with_suffix(".npz").is_file())
EVERY_MODEL = pytest.mark.parametrize("name", MODELS)

FURTHER_APART = {"rtol": 1e-3, "atol": 1e-3}
"""How near numbers are on another machine after steps of training, where each step adds to what differs."""


def test_there_are_files_of_every_kind() -> None:
    assert len(MODELS) >= 24
    kinds = {done("info", FROZEN / f"{name}.hyotan", "--json").record["kind"] for name in MODELS}
    assert kinds == {"autoencoder", "denoising-autoencoder", "vae", "cvae", "anomaly-detector"}


class TestModels:
    @EVERY_MODEL
    def test_say_what_they_said(self, name: str) -> None:
        expected = read_answers(FROZEN / f"{name}.npz")
        X = expected.pop("X")
        assert_answers(answers(opened(FROZEN / f"{name}.hyotan"), X), expected)

    @EVERY_MODEL
    def test_saved_again_give_the_same_bits(self, name: str, tmp_path: Path) -> None:
        X, model = read_answers(FROZEN / f"{name}.npz")["X"], opened(FROZEN / f"{name}.hyotan")
        model.save(tmp_path / f"{name}.hyotan")
        again = opened(tmp_path / f"{name}.hyotan")
        assert_answers(answers(again, X), answers(model, X), rtol=0, atol=0)

    def test_of_ordered_codes_decode_the_first_values(self) -> None:
        model, codes = opened(FROZEN / "ordered.hyotan"), read_answers(FROZEN / "ordered.npz")["transform"]
        assert model.inverse_transform(codes[:, :1]).shape == (len(codes), 5)

    def test_score_the_rows_of_a_file(self, tmp_path: Path) -> None:
        done("score", FROZEN / "detector-table.hyotan", FROZEN / ORDERS, "-o", tmp_path / "scores.csv", "--quiet")
        rows = csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines())
        expected = read_answers(FROZEN / "detector-table.npz")["score_samples"]
        scores = [float(row["score"]) for row in rows]
        np.testing.assert_allclose(scores[-len(expected) :], expected, **NEAR)


@pytest.mark.parametrize("name", ["vae", "conv"])
def test_compressed_rows_come_back(name: str, tmp_path: Path) -> None:
    expected = read_answers(FROZEN / f"compressed-{name}.npz")["rows"]
    rows = hyotan.decompress(opened(FROZEN / f"{name}.hyotan"), FROZEN / f"compressed-{name}.hyc")
    assert rows.dtype == expected.dtype
    # Where a pixel lies halfway between two values, another machine may take the other one.
    near = {"rtol": 0, "atol": 1} if expected.dtype.kind == "u" else NEAR
    np.testing.assert_allclose(rows.astype(float), expected.astype(float), **near)
    done("decompress", FROZEN / f"compressed-{name}.hyc", "-o", tmp_path / "rows.npy", "--quiet")
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), rows)


class TestRuns:
    @pytest.fixture(autouse=True)
    def no_pixels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sketch(monkeypatch)

    @pytest.mark.parametrize("name", ["run", "first-run"])
    def test_say_what_they_said(self, name: str, tmp_path: Path) -> None:
        run = copied(name, tmp_path)
        assert done("info", run, "--json").record["state"] == "finished"
        assert_answers(said_of(run), read_answers(FROZEN / f"{name}.npz"))

    @pytest.mark.parametrize("name", ["run", "run-stopped", "first-run"])
    def test_go_on(self, name: str, tmp_path: Path) -> None:
        found = gone_on(copied(name, tmp_path))
        assert_answers(found, read_answers(FROZEN / f"{name}-later.npz"), **FURTHER_APART)

    @pytest.mark.parametrize("name", SETTINGS)
    def test_are_made_again_from_their_settings(self, name: str, tmp_path: Path) -> None:
        expected = read_answers(FROZEN / f"{name.replace('/', '-')}.npz")
        assert_answers(made_again(name, tmp_path), expected, **FURTHER_APART)


@pytest.mark.parametrize("name", STUDIES)
def test_studies_are_told_of_and_reported(name: str, tmp_path: Path) -> None:
    study = copied(name, tmp_path)
    assert_answers(found_by(study), read_answers(FROZEN / f"{name}.npz"))
    done("report", study, "-o", tmp_path / "report.html", "--quiet", cwd=tmp_path)
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
