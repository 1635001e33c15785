"""The experiments of a study: their numbers against what the models themselves answer, their pictures, their file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hyotan.data import Dataset
from hyotan.errors import ModelFileError
from hyotan.estimators import CVAE
from hyotan.study import four_experiments, measures
from hyotan.study.bench import Bench
from hyotan.study.classes import Classes
from hyotan.study.comparison import Study
from hyotan.study.exhibits import Exhibits
from hyotan.study.four_experiments import PICTURES, perform
from hyotan.study.replications import Experiments, Observations

SMALL: dict[str, Any] = {"hidden_dims": (16,), "batch_size": 32, "max_epochs": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        for name, count in {"RUNS": 3, "SELECTION_RUNS": 2, "WALKS": 5}.items():
            patch.setattr(measures, name, count)
        folder = tmp_path_factory.mktemp("experiments") / "study"
        grid: dict[str, Any] = {"models": ["ae", "vae", "cvae"], "sizes": [2, 4], "repeats": 2, "jobs": 1}
        return Study("digits", out=folder, data={"limit": 1000}, **grid, **SMALL).run()


@pytest.fixture(scope="module")
def bench(study: Study) -> Bench:
    return Bench.of(study.folder)


@pytest.fixture(scope="module")
def done(bench: Bench) -> tuple[Experiments, Exhibits]:
    return perform(bench)


def values(found: list[Observations], model: str, size: int, condition: str = "none") -> np.ndarray:
    return next(
        np.array(one.values) for one in found if (one.model, one.latent_dim, one.condition) == (model, size, condition)
    )


class TestReconstruction:
    def test_errors_are_those_of_the_models(self, study: Study, bench: Bench, done: tuple) -> None:
        ae = study.load("ae", 4)
        expected = np.square(ae.reconstruct(bench.X) - bench.X).mean(axis=(1, 2))
        np.testing.assert_allclose(values(done[0].errors, "ae", 4), expected, rtol=1e-4)

    def test_tells_a_conditional_model_nothing_the_right_and_a_wrong_label(
        self, study: Study, bench: Bench, done: tuple
    ) -> None:
        cvae = study.load("cvae", 4)
        assert isinstance(cvae, CVAE)
        wrong = bench.wrong(bench.y)
        for condition, labels in (("none", None), ("right", bench.y), ("wrong", wrong)):
            expected = np.square(cvae.reconstruct(bench.X, y=labels) - bench.X).mean(axis=(1, 2))
            np.testing.assert_allclose(values(done[0].errors, "cvae", 4, condition), expected, rtol=1e-4)
        assert (wrong != bench.y).all()
        assert set(wrong[bench.y == 4]) == {9} and set(wrong[bench.y == 2]) == {7}

    def test_shows_one_row_of_each_class(self, bench: Bench, done: tuple) -> None:
        pictures = done[1]
        assert pictures.shown == [str(label) for label in np.unique(bench.y)]
        ways = {(told.model, told.latent_dim, told.condition) for told in pictures.told}
        assert ways == {(m, k, c) for k in (4,) for m, c in CONDITIONS}
        assert all(told.images.shape == pictures.originals.shape for told in pictures.told)


CONDITIONS = [("ae", ""), ("vae", ""), ("cvae", "none"), ("cvae", "right"), ("cvae", "wrong")]


class TestWalks:
    def test_go_between_the_articles_digits_by_both_ways(self, study: Study, bench: Bench, done: tuple) -> None:
        walks = done[1].walks
        assert {walk.ends for walk in walks} == {("1", "0"), ("3", "7")}
        assert {walk.way for walk in walks} == {"linear", "spherical"}
        assert {walk.model for walk in walks} == {"ae", "vae"}  # a conditional model decodes no code without a label
        ae, walk = study.load("ae", 4), next(w for w in walks if (w.model, w.way) == ("ae", "linear"))
        ends = bench.X[[bench.typical(1), bench.typical(0)]]
        np.testing.assert_allclose(walk.images, ae.interpolate(*ends, steps=11), atol=1e-5)
        assert len(walk.classes) == 11

    def test_count_the_classes_that_are_passed(self, done: tuple) -> None:
        passed = values(done[0].passed, "vae", 4)
        assert len(passed) == four_experiments.PAIRS
        assert ((passed >= 0) & (passed <= 8)).all()


class TestPlots:
    def test_lie_in_the_code_itself_or_in_a_plane_of_tsne(self, study: Study, bench: Bench, done: tuple) -> None:
        planes = done[1].planes
        assert [(p.model, p.latent_dim, p.is_code) for p in planes] == [
            ("ae", 2, True),
            ("vae", 2, True),
            ("cvae", 2, True),
            ("raw", 0, False),
            ("ae", 2, False),
            ("ae", 4, False),
        ]
        codes = study.load("vae", 2).transform(bench.X)
        assert {tuple(point) for point in planes[1].points} <= {tuple(code) for code in codes}

    def test_measure_how_far_from_the_origin_codes_lie(self, study: Study, bench: Bench, done: tuple) -> None:
        found = values(done[0].centre, "ae", 2)
        assert len(found) == 2  # one a repeat
        codes = study.load("ae", 2, repeat=1).transform(bench.X).astype(np.float64)
        expected = np.linalg.norm(codes.mean(axis=0)) / np.sqrt(codes.var(axis=0).sum())
        assert found[1] == pytest.approx(expected, rel=1e-4)


class TestExchange:
    def test_shows_each_style_under_every_label(self, study: Study, bench: Bench, done: tuple) -> None:
        found = done[1].exchanged[0]
        cvae = study.load("cvae", found.latent_dim)
        assert isinstance(cvae, CVAE)
        assert found.images.shape[:2] == (len(found.own), 10)
        rows = [bench.unlike(int(label)) for label in found.own]
        expected = cvae.exchange_labels(bench.X[rows], y=[int(label) for label in found.own])
        np.testing.assert_allclose(found.images, expected, atol=1e-6)


class TestFiles:
    def test_hold_the_figures_and_the_numbers_behind_them(self, study: Study) -> None:
        figures = {path.name for path in (study.path / "figures").iterdir()}
        wanted = {"conditional.png", "walks-linear-1.png", "walks-linear-1.gif", "codes.png", "tsne.png"}
        assert wanted | {"clusterings.png", "exchange-4.png", "sizes-mse.png"} <= figures
        frames = Image.open(study.path / "figures" / "walks-linear-1.gif")
        assert getattr(frames, "n_frames", 1) > 10
        for name in figures:
            if name.endswith(".png"):
                assert json.loads((study.path / "data" / name.replace(".png", ".json")).read_text())
        numbers = Experiments.from_dict(json.loads((study.path / "data" / "experiments.json").read_text()))
        assert len(numbers.errors) == 5

    def test_bring_the_pictures_back(self, done: tuple, tmp_path: Path) -> None:
        pictures = done[1]
        pictures.save(tmp_path / "p.hyotan")
        again = Exhibits.load(tmp_path / "p.hyotan")
        assert [walk.ends for walk in again.walks] == [walk.ends for walk in pictures.walks]
        assert again.shown == pictures.shown and again.labels == pictures.labels
        assert again.value_range == pictures.value_range
        for ours, theirs in zip(
            [*pictures.told, *pictures.walks, *pictures.exchanged],
            [*again.told, *again.walks, *again.exchanged],
            strict=True,
        ):
            assert type(ours) is type(theirs)
            assert np.array_equal(ours.images, theirs.images)
        assert np.array_equal(again.planes[3].points, pictures.planes[3].points)

    def test_refuse_a_file_of_something_else(self, study: Study) -> None:
        model = next((study.path / "cells").glob("ae-*/model.hyotan"))
        with pytest.raises(ModelFileError, match=r"holds 'autoencoder'; expected 'study-pictures'"):
            Exhibits.load(model)
        assert Exhibits.load(study.path / "data" / PICTURES).labels == [str(label) for label in range(10)]


class TestOtherData:
    def test_a_table_without_labels_has_no_pictures_and_no_classes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(measures, "WALKS", 5)
        X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
        grid: dict[str, Any] = {"models": ["ae", "vae"], "sizes": [2, 3], "repeats": 1, "jobs": 1}
        study = Study(X, out=tmp_path / "study", **grid, **SMALL).run()
        numbers, pictures = perform(Bench.of(study.folder))
        assert (pictures.told, pictures.walks, pictures.exchanged, pictures.originals) == ([], [], [], None)
        assert (numbers.passed, numbers.pulled, numbers.mistaken, numbers.plane) == ([], [], [], [])
        assert len(numbers.errors) == 2
        figures = {path.name for path in (study.path / "figures").iterdir()}
        assert {"codes.png", "tsne.png", "sizes-mse.png"} <= figures
        assert "conditional.png" not in figures

    def test_labels_of_text_are_walked_between_first_and_last(self) -> None:
        data = Dataset.from_arrays(np.zeros((6, 2)), np.array(["猫", "犬", "鳥"] * 2))
        classes = Classes.of(data.y)
        numbers = classes.numbers(data.y)
        bench = Bench(None, data, data, classes, data.X, numbers)  # type: ignore[arg-type]
        names = [bench.names[number] for number in bench.walked()[0]]
        assert names == [sorted({"猫", "犬", "鳥"})[0], sorted({"猫", "犬", "鳥"})[-1]]
