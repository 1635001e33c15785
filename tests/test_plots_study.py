"""The figures of a study hold the numbers that they draw; errors say what arrived and what to do.

What every Display must do (frozen, no text cut off, no pyplot) is tested with the others in test_plots.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from PIL import Image

from hyotan.errors import DataError, SettingsError
from hyotan.figures import (
    ClusteringDisplay,
    CodePlotsDisplay,
    ConditionalReconstructionsDisplay,
    ExchangeDisplay,
    SizeCurvesDisplay,
    WalksDisplay,
    Way,
)
from hyotan.figures.canvas import VALIDATION
from hyotan.figures.styles import LOOKS, looks_of

RNG = np.random.default_rng(0)


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.findobj(Text) if text.get_text().strip()]


def bold(ax: Axes) -> list[str]:
    """What stands out in the colour of what is not as it should be."""
    return [text.get_text() for text in ax.texts if text.get_color() == VALIDATION]


class TestLooks:
    def test_models_differ_by_more_than_colour(self) -> None:
        looks = looks_of([*LOOKS, "nested ae", "mine", "瓢箪"])
        assert len({look.marker for look in looks}) == len(looks) == len({look.name for look in looks})
        boxes = looks_of(["ae", "vae", "cvae", "dae"])
        assert len({look.hatch for look in boxes}) == len({look.color for look in boxes}) == 4

    def test_baselines_are_dashed(self) -> None:
        assert all((look.line == "-") == (model not in ("pca", "raw", "mean")) for model, look in LOOKS.items())

    def test_names_can_be_given(self) -> None:
        assert [look.name for look in looks_of(["ae", "vae"], {"ae": "自己符号化器"})] == ["自己符号化器", "VAE"]


RUNS = {
    ("ae", 4): {"v_measure": [0.5, 0.6, 0.7], "accuracy": [0.6, 0.7, 0.8], "ari": [0.4, 0.5, 0.6]},
    ("ae", 16): {"v_measure": [0.3], "accuracy": [0.4], "ari": [0.2]},
    ("vae", 4): {"v_measure": [0.55, 0.65], "accuracy": [0.6, 0.7], "ari": [0.4, 0.5]},
}


class TestClustering:
    def test_holds_every_run_and_nothing_else(self) -> None:
        display = ClusteringDisplay.from_runs(RUNS)
        assert display.models == ("ae", "vae") and display.sizes.tolist() == [4, 16]
        assert display.values.shape == (3, 2, 2, 3)
        assert display.values[0, 0, 0].tolist() == [0.5, 0.6, 0.7]
        assert np.isfinite(display.values).sum() == 18

    def test_boxes_are_the_quartiles_and_whiskers_all_runs(self) -> None:
        values = RNG.random(50)
        runs = {("ae", 4): {"v_measure": values}}
        ax = ClusteringDisplay.from_runs(runs, measures=["v_measure"]).figure().axes[0]
        box = ax.patches[0].get_path().vertices[:, 1]
        assert (box.min(), box.max()) == pytest.approx(tuple(np.quantile(values, [0.25, 0.75])))
        drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines])
        assert (drawn.min(), drawn.max()) == pytest.approx((values.min(), values.max()))

    def test_the_v_measure_comes_first_and_alone_on_its_row(self) -> None:
        axes = ClusteringDisplay.from_runs(RUNS).figure().axes
        assert [ax.get_title(loc="left").split(",")[0] for ax in axes] == [
            "V-measure",
            "Accuracy",
            "Adjusted Rand index",
        ]
        widths = [ax.get_position().width for ax in axes]
        assert widths[0] > 1.5 * widths[1]

    def test_a_reference_is_a_line_at_its_mean(self) -> None:
        display = ClusteringDisplay.from_runs(RUNS, {"raw": {"v_measure": [0.4, 0.6], "accuracy": [0.5], "ari": [0.3]}})
        assert display.references["raw"][0].tolist() == pytest.approx([0.4, 0.5, 0.6])
        figure = display.figure()
        assert any(list(line.get_ydata()) == [0.5, 0.5] for line in figure.axes[0].lines)
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["AE", "VAE", "raw data"]

    def test_gives_its_numbers(self) -> None:
        content = json.loads(json.dumps(ClusteringDisplay.from_runs(RUNS, {"raw": RUNS["vae", 4]}).to_dict()))
        assert {(run["model"], run["latent_dim"]): run["ari"] for run in content["runs"]} == {
            key: pytest.approx(found["ari"]) for key, found in RUNS.items()
        }
        assert content["references"]["raw"]["v_measure"] == pytest.approx(
            {"lowest": 0.55, "mean": 0.6, "highest": 0.65}
        )

    def test_no_runs_and_no_such_measure_say_what_to_do(self) -> None:
        with pytest.raises(DataError, match=r"no clustering to draw\. Cluster the codes"):
            ClusteringDisplay.from_runs({})
        with pytest.raises(DataError, match=r"has no 'v_measur'\. Did you mean 'v_measure'\?"):
            ClusteringDisplay.from_runs(RUNS, measures=["v_measur"])


CURVES = {"ae": {2: (3.0, 2.5, 3.5), 16: (1.0, 0.9, 1.1)}, "pca": {2: (4.0, None, None), 4: (2.0, None, None)}}


class TestSizeCurves:
    def test_holds_means_and_intervals(self) -> None:
        display = SizeCurvesDisplay.from_curves(CURVES, "error")
        assert display.sizes.tolist() == [2, 4, 16]
        np.testing.assert_equal(display.means, [[3, np.nan, 1], [4, 2, np.nan]])
        np.testing.assert_equal(display.highs, [[3.5, np.nan, 1.1], [np.nan, np.nan, np.nan]])

    def test_draws_each_curve_through_its_own_sizes(self) -> None:
        ax = SizeCurvesDisplay.from_curves(CURVES, "error").plot()
        drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.lines}
        assert drawn["AE"] == ([2, 16], [3, 1]) and drawn["PCA"] == ([2, 4], [4, 2])

    def test_sizes_are_named_on_an_axis_of_octaves(self) -> None:
        ax = SizeCurvesDisplay.from_curves(CURVES, "error").plot()
        ax.figure.draw_without_rendering()
        assert ax.get_xscale() == "log" and [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "4", "16"]

    def test_close_sizes_are_not_all_named(self) -> None:
        many = {size: (1.0 / size, None, None) for size in range(1, 65)}
        ax = SizeCurvesDisplay.from_curves({"ae": many}, "error").plot()
        assert 6 < len(ax.get_xticks()) < 26 and {1, 2, 64} <= set(ax.get_xticks())

    def test_says_which_way_is_better(self) -> None:
        titles = [
            SizeCurvesDisplay.from_curves(CURVES, "m", lower_is_better=lower).plot().get_title(loc="right")
            for lower in (True, False)
        ]
        assert titles == ["lower is better", "higher is better"]

    def test_what_has_no_size_is_a_level(self) -> None:
        ax = SizeCurvesDisplay.from_curves(CURVES, "error", levels={"mean": 5.0}).plot()
        assert [list(line.get_ydata()) for line in ax.lines if line.get_label() == "mean of the data"] == [[5.0, 5.0]]

    def test_gives_its_numbers(self) -> None:
        content = json.loads(json.dumps(SizeCurvesDisplay.from_curves(CURVES, "error", levels={"mean": 5.0}).to_dict()))
        assert content["levels"] == {"mean": 5.0} and content["measure"] == "error"
        assert content["points"][0] == {"model": "ae", "latent_dim": 2, "mean": 3.0, "low": 2.5, "high": 3.5}
        assert content["points"][-1] == {"model": "pca", "latent_dim": 4, "mean": 2.0, "low": None, "high": None}

    def test_a_size_of_nought_is_a_level(self) -> None:
        with pytest.raises(DataError, match=r"sizes of 1 or more; got \[0, 2\]\. Give what has no size as levels"):
            SizeCurvesDisplay.from_curves({"ae": {2: (1.0, None, None)}, "mean": {0: (2.0, None, None)}}, "error")


STEPS = RNG.random((2, 5, 6, 4))
PASSED = np.array([[1, 1, 8, 6, 0], [1, 1, 0, 0, 0]])


class TestWalks:
    def test_writes_the_class_of_every_step_and_the_way(self) -> None:
        display = WalksDisplay.from_arrays(STEPS, ["AE", "VAE"], PASSED, title="From 1 to 0")
        assert display.captions == ("1→8→6→0", "1→0")
        written = texts(display.plot())
        assert [text for text in written if len(text) == 1] == list("11860" + "11000")
        assert {"1→8→6→0", "1→0", "AE", "VAE", "From 1 to 0"} <= set(written)

    @pytest.mark.parametrize("count", [3, 9])
    def test_nothing_is_cut_off_at_the_sides(self, count: int) -> None:
        steps = RNG.random((count, 11, 28, 28))
        passed = [list("11114666600")] * count
        figure = WalksDisplay.from_arrays(steps, ["CVAE, size 64"] * count, passed, title="From 1 to 0").figure()
        figure.draw_without_rendering()
        box = figure.axes[0].get_tightbbox()
        assert box is not None
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width

    def test_classes_of_neither_end_stand_out(self) -> None:
        assert bold(WalksDisplay.from_arrays(STEPS, ["AE", "VAE"], PASSED).plot()) == ["8", "6"]

    def test_without_classes_there_are_only_pictures(self) -> None:
        display = WalksDisplay.from_arrays(STEPS, ["AE", "VAE"])
        assert display.captions == ("", "") and set(texts(display.plot())) == {"AE", "VAE"}

    def test_flattened_and_colour_images_are_taken(self) -> None:
        flat = WalksDisplay.from_arrays(STEPS.reshape(2, 5, 24), "ab", image_shape=(6, 4))
        assert (flat.images == STEPS).all()
        assert WalksDisplay.from_arrays(RNG.random((2, 5, 3, 6, 4)), "ab").images.shape == (2, 5, 3, 6, 4)

    def test_the_film_goes_there_and_back(self, tmp_path: Path) -> None:
        display = WalksDisplay.from_arrays(STEPS, ["AE", "変分"], PASSED)
        with Image.open(display.save(tmp_path / "walks.gif")) as film:
            assert film.n_frames == 8
            frames = []
            for index in range(film.n_frames):
                film.seek(index)
                frames.append(np.asarray(film.convert("RGB")))
        assert (frames[1] == frames[7]).all() and not (frames[1] == frames[2]).all()

    def test_the_film_shows_every_walk_at_its_step(self) -> None:
        steps = np.zeros((2, 3, 4, 4))
        steps[1, 2] = 1.0
        display = WalksDisplay.from_arrays(steps, ["a", "b"])
        dark = [(np.asarray(frame) < 20).all(-1).sum() for frame in display._frames()]
        assert dark[0] == dark[1] == pytest.approx(2 * dark[2], rel=0.1)

    def test_seconds_must_be_more_than_none(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"seconds must be above 0; got 0"):
            WalksDisplay.from_arrays(STEPS, "ab").save_gif(tmp_path / "a.gif", 0)

    def test_gives_its_numbers(self) -> None:
        content = json.loads(json.dumps(WalksDisplay.from_arrays(STEPS, ["AE", "VAE"], PASSED).to_dict()))
        assert content["walks"][0] == {"row": "AE", "classes": list("11860"), "passed": "1→8→6→0"}

    def test_a_table_is_no_walk_of_pictures(self) -> None:
        with pytest.raises(DataError, match=r"images of one shape and number of steps; got \[\(5, 24\)\].*image_shape"):
            WalksDisplay.from_arrays(STEPS.reshape(2, 5, 24), "ab")

    def test_captions_and_classes_must_fit(self) -> None:
        with pytest.raises(DataError, match=r"2 walks of 5 steps, but 1 captions and no classes"):
            WalksDisplay.from_arrays(STEPS, ["a"])
        with pytest.raises(DataError, match=r"2 walks of 5 steps, but 2 captions and classes of shape \(2, 4\)"):
            WalksDisplay.from_arrays(STEPS, "ab", PASSED[:, :4])


class TestConditionalReconstructions:
    def display(self) -> ConditionalReconstructionsDisplay:
        x = RNG.random((3, 6, 4))
        ways = [
            Way("AE", x, "4 dimensions"),
            Way("CVAE, right label", x + 0.1, "4 dimensions", [4, 4, 2]),
            Way("CVAE, wrong label", x + 0.2, "16 dimensions", [9, 4, 7]),
        ]
        return ConditionalReconstructionsDisplay.from_ways(x, [4, 4, 2], ways)

    def test_holds_the_error_of_every_way_and_sample(self) -> None:
        np.testing.assert_allclose(self.display().mse, np.outer([0, 0.01, 0.04], [1, 1, 1]), atol=1e-12)

    def test_rows_groups_labels_and_errors_are_written(self) -> None:
        written = texts(self.display().plot())
        assert {"original", "AE", "CVAE, wrong label", "4 dimensions", "16 dimensions", "0.0100", "0.0400"} <= set(
            written
        )
        assert written.count("4 dimensions") == 1 and "told 9" in written

    def test_a_label_told_wrongly_stands_out(self) -> None:
        assert bold(self.display().plot()) == ["told 9", "told 7"]

    def test_originals_stand_above_their_reconstructions(self) -> None:
        black, white = np.zeros((2, 5, 5)), np.ones((2, 5, 5))
        display = ConditionalReconstructionsDisplay.from_ways(black, "ab", [Way("one", white), Way("two", black)])
        column = display.plot().images[0].get_array()[:, 2, 0]
        runs = np.flatnonzero(np.diff((column < 128).astype(int), prepend=0, append=0))
        assert len(runs) == 4 and runs[0] == 0  # dark at the top, light, dark at the bottom

    def test_gives_its_numbers(self) -> None:
        content = json.loads(json.dumps(self.display().to_dict()))
        assert content["labels"] == ["4", "4", "2"] and content["ways"][0]["given"] is None
        assert content["ways"][2] == {
            "way": "CVAE, wrong label",
            "group": "16 dimensions",
            "given": ["9", "4", "7"],
            "mse": pytest.approx([0.04] * 3),
        }

    def test_what_does_not_fit_is_named(self) -> None:
        x = RNG.random((3, 6, 4))
        with pytest.raises(DataError, match=r"reconstructions of 'AE' have shape \(2, 6, 4\), not \(3, 6, 4\)"):
            ConditionalReconstructionsDisplay.from_ways(x, "abc", [Way("AE", x[:2])])
        with pytest.raises(DataError, match=r"3 samples but \[2, 3\] labels\. Give one label a sample, in every way"):
            ConditionalReconstructionsDisplay.from_ways(x, "abc", [Way("CVAE", x, given="ab")])
        with pytest.raises(DataError, match=r"one way or more are needed; got shape \(3, 24\) and 1 ways.*image_shape"):
            ConditionalReconstructionsDisplay.from_ways(x.reshape(3, 24), "abc", [Way("AE", x.reshape(3, 24))])


class TestExchange:
    def test_columns_are_labels_and_each_styles_own_is_framed(self) -> None:
        display = ExchangeDisplay.from_arrays(RNG.random((2, 3, 6, 6)), "abc", RNG.random((2, 6, 6)), "ca")
        ax = display.plot()
        ticks = dict(zip([tick.get_text() for tick in ax.get_xticklabels()], ax.get_xticks(), strict=True))
        assert list(ticks) == ["original", "a", "b", "c"]
        framed = [patch.get_x() + patch.get_width() / 2 for patch in ax.patches]
        assert framed == [ticks["c"], ticks["a"]]
        assert ax.patches[0].get_y() < ax.patches[1].get_y()

    def test_each_picture_stands_in_its_row_and_column(self) -> None:
        images = np.zeros((2, 3, 4, 4))
        images[1, 2] = 1
        sheet = ExchangeDisplay.from_arrays(images, "abc").plot().images[0].get_array()
        assert (sheet[-4:, -4:] == 255).all() and (sheet[:4, -4:] == 0).all() and (sheet[-4:, :4] == 0).all()

    def test_without_originals_there_are_only_labels(self) -> None:
        ax = ExchangeDisplay.from_arrays(RNG.random((2, 3, 36)), ["猫", "犬", "鳥"], image_shape=(6, 6)).plot()
        assert [tick.get_text() for tick in ax.get_xticklabels()] == ["猫", "犬", "鳥"] and not ax.patches

    def test_gives_its_labels(self) -> None:
        display = ExchangeDisplay.from_arrays(RNG.random((2, 3, 6, 6)), range(3), own=[2, 0])
        assert display.to_dict() == {"labels": ["0", "1", "2"], "own": ["2", "0"]}

    def test_what_does_not_fit_is_named(self) -> None:
        images = RNG.random((2, 3, 6, 6))
        with pytest.raises(DataError, match=r"3 columns but 2 labels\. Give one label a column"):
            ExchangeDisplay.from_arrays(images, "ab")
        with pytest.raises(DataError, match=r"2 styles but 1 originals\. Give one a style"):
            ExchangeDisplay.from_arrays(images, "abc", images[:1, 0])
        with pytest.raises(DataError, match=r"2 styles but 3 own labels"):
            ExchangeDisplay.from_arrays(images, "abc", own="abc")
        with pytest.raises(DataError, match=r"\(styles, labels, height, width\); got shape \(2, 3, 36\).*image_shape"):
            ExchangeDisplay.from_arrays(images.reshape(2, 3, 36), "abc")


class TestCodePlots:
    PLANES = {"raw, AE": RNG.normal(size=(90, 2)), "t-SNE of pixels": RNG.normal(10, 5, size=(90, 2))}
    LABELS = np.arange(90) % 3

    def test_shows_the_same_rows_in_every_panel(self) -> None:
        display = CodePlotsDisplay.from_planes(self.PLANES, self.LABELS, max_points=30)
        assert display.points.shape == (2, 30, 2) and display.note == "30 of 90 points shown"
        rows = [np.flatnonzero((self.PLANES["raw, AE"] == point).all(1))[0] for point in display.points[0]]
        np.testing.assert_array_equal(display.points[1], self.PLANES["t-SNE of pixels"][rows])
        assert display.classes.tolist() == [str(self.LABELS[row]) for row in rows]
        assert np.bincount(self.LABELS[rows]).tolist() == [10, 10, 10]

    def test_short_classes_are_named_at_their_middle(self) -> None:
        planes = {"one": np.repeat([[0.0, 0.0], [40.0, 0.0], [0.0, 30.0]], 30, axis=0)}
        figure = CodePlotsDisplay.from_planes(planes, np.repeat([2, 10, 1], 30)).figure()
        assert not figure.legends
        places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
        assert list(places) == ["1", "2", "10"]
        assert places["2"] == pytest.approx((0, 0)) and places["10"] == pytest.approx((40, 0))

    def test_long_classes_have_one_legend_and_shapes(self) -> None:
        names = np.array(["プルオーバー", "コート", "_Tシャツ"])[self.LABELS]
        figure = CodePlotsDisplay.from_planes(self.PLANES, names).figure()
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Tシャツ", "コート", "プルオーバー"]
        shapes = {len(cloud.get_paths()[0].vertices) for cloud in figure.axes[0].collections}
        assert len(shapes) == 3

    def test_only_raw_axes_have_numbers_and_the_origin(self) -> None:
        raw, projected = CodePlotsDisplay.from_planes(self.PLANES, self.LABELS, raw=["raw, AE"]).figure().axes
        assert (raw.get_xlabel(), raw.get_ylabel()) == ("z0", "z1") and len(raw.get_xticks())
        assert not len(projected.get_xticks()) and not projected.get_xlabel()
        assert [list(line.get_ydata()) for line in raw.lines[:1]] == [[0, 0]] and not projected.lines

    def test_a_unit_is_as_long_in_both_directions(self) -> None:
        assert all(ax.get_aspect() == 1 for ax in CodePlotsDisplay.from_planes(self.PLANES).figure().axes)

    def test_very_many_classes_are_thinned(self) -> None:
        labels = np.concatenate([np.arange(30), np.arange(60) % 10])
        display = CodePlotsDisplay.from_planes(self.PLANES, labels)
        assert len(display.order) == 20 and display.order[-1] == "other"

    def test_gives_its_numbers(self) -> None:
        content = json.loads(json.dumps(CodePlotsDisplay.from_planes(self.PLANES, self.LABELS).to_dict()))
        assert [panel["title"] for panel in content["panels"]] == list(self.PLANES)
        np.testing.assert_allclose(content["panels"][0]["points"], self.PLANES["raw, AE"])
        assert content["classes"] == [str(label) for label in self.LABELS]

    def test_what_does_not_fit_is_named(self) -> None:
        with pytest.raises(DataError, match=r"one shape \(n, 2\); got \[\(5, 2\), \(6, 2\)\]\. Project the same rows"):
            CodePlotsDisplay.from_planes({"a": np.zeros((5, 2)), "b": np.zeros((6, 2))})
        with pytest.raises(DataError, match=r"90 points but 2 labels\. Give one label a point"):
            CodePlotsDisplay.from_planes(self.PLANES, [0, 1])
        with pytest.raises(DataError, match=r"one shape \(n, 2\); got \[\]"):
            CodePlotsDisplay.from_planes({})
