"""Displays hold the numbers that they draw; errors say what arrived and what to do."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from hyotan.errors import DataError, SettingsError
from hyotan.figures import (
    FIGURES,
    ClusteringDisplay,
    CodePlotsDisplay,
    ConditionalReconstructionsDisplay,
    DenoisingDisplay,
    Display,
    ExchangeDisplay,
    InterpolationDisplay,
    KLPerDimensionDisplay,
    LatentScatterDisplay,
    LossCurvesDisplay,
    ManifoldDisplay,
    RatesDisplay,
    ReconstructionsDisplay,
    SamplesDisplay,
    SizeCurvesDisplay,
    TrainingAnimation,
    WalksDisplay,
    Way,
    central_limits,
)
from hyotan.figures.canvas import PALETTE
from hyotan.figures.chosen import stratified
from hyotan.figures.images import mosaic, to_rgb, value_range_of
from hyotan.figures.scatter import principal_plane, spread_out

HISTORY = [
    {"epoch": 1, "loss": 9.0, "val_loss": 8.0, "reconstruction": 7.0, "kl": 2.0},
    {"epoch": 2, "loss": 6.0, "val_loss": 5.5, "reconstruction": 4.0, "kl": 2.0},
    {"epoch": 3, "loss": 5.0, "val_loss": 6.5, "reconstruction": 3.0, "kl": 2.0},
]


def images(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape))


class Halving:
    """Reconstructs to half the brightness and samples a ramp."""

    def reconstruct(self, X: np.ndarray) -> np.ndarray:
        X = np.asarray(X)
        return (X / 255 if X.dtype == np.uint8 else X) / 2

    def sample(self, n: int, *, random_state: int) -> np.ndarray:
        return np.random.default_rng(random_state).random((n, 5, 7))


CLUSTERINGS = {
    ("ae", 2): {"v_measure": [0.5, 0.6], "accuracy": [0.6, 0.7], "ari": [0.4, 0.5]},
    ("vae", 4): {"v_measure": [0.5], "accuracy": [0.6], "ari": [0.4]},
}
WAYS = [Way("AE", images(3, 5, 7), "size 4"), Way("CVAE", images(3, 5, 7), "size 4", "acb")]

EVERY: dict[str, Callable[[], Display]] = {
    "loss": lambda: LossCurvesDisplay.from_history(HISTORY),
    "reconstructions": lambda: ReconstructionsDisplay.from_arrays(images(3, 5, 7), images(3, 5, 7)),
    "samples": lambda: SamplesDisplay.from_arrays(images(4, 3, 5, 7)),
    "latent": lambda: LatentScatterDisplay.from_codes(images(30, 4), list("abc") * 10),
    "manifold": lambda: ManifoldDisplay.from_decoder(lambda Z: np.ones((len(Z), 4, 4)), 2, steps=3),
    "interpolation": lambda: InterpolationDisplay.from_arrays(images(5, 4, 4)),
    "animation": lambda: TrainingAnimation.from_frames(images(2, 4, 4), images(3, 2, 4, 4)),
    "kl": lambda: KLPerDimensionDisplay.from_kl([1.0, 0.0, 0.5]),
    "rates": lambda: RatesDisplay.from_rates({"pca": [(9.0, 0.1), (30.0, 0.01)], "AE": [(8.0, 0.02)]}, {"PNG": 2000.0}),
    "sizes": lambda: SizeCurvesDisplay.from_curves({"ae": {2: (3.0, 2.0, 4.0), 16: (1.0, None, None)}}, "error"),
    "clustering": lambda: ClusteringDisplay.from_runs(CLUSTERINGS, {"raw": CLUSTERINGS["ae", 2]}),
    "conditional": lambda: ConditionalReconstructionsDisplay.from_ways(images(3, 5, 7), "abc", WAYS),
    "exchange": lambda: ExchangeDisplay.from_arrays(images(6, 5, 7).reshape(2, 3, 5, 7), "abc", images(2, 5, 7), "ab"),
    "walks": lambda: WalksDisplay.from_arrays(images(8, 5, 7).reshape(2, 4, 5, 7), ["AE", "VAE"], [list("abca")] * 2),
    "denoising": lambda: DenoisingDisplay.from_arrays(
        images(3, 5, 7), images(3, 5, 7) / 2, images(3, 5, 7) + 0.1, "abc"
    ),
    "codes": lambda: CodePlotsDisplay.from_planes({"one": images(30, 2), "two": images(30, 2)}, list("abc") * 10),
}

NARROW: dict[str, Callable[[], Display]] = {
    "one reconstruction": lambda: ReconstructionsDisplay.from_arrays(images(1, 9, 4), images(1, 9, 4), ["瓢箪から駒"]),
    "one sample": lambda: SamplesDisplay.from_arrays(images(1, 9, 4)),
    "one step": lambda: InterpolationDisplay.from_arrays(images(1, 9, 4)),
    "tall manifold": lambda: ManifoldDisplay.from_decoder(lambda Z: np.ones((len(Z), 9, 2)), 2, steps=3),
    "long title": lambda: TrainingAnimation.from_frames(images(1, 9, 4), images(3, 1, 9, 4), title="title " * 30),
    "long names": lambda: LatentScatterDisplay.from_codes(images(30, 4), ["a" * 40, "b" * 40, "c"] * 10),
    "long columns": lambda: ReconstructionsDisplay.from_arrays(images(3, 4), images(3, 4), columns=["c" * 50] * 4),
    "one column": lambda: SamplesDisplay.from_arrays(images(3, 1), columns=["c" * 50]),
    "long class": lambda: WalksDisplay.from_arrays(
        images(4, 9, 4)[None], ["瓢箪から駒" * 4], [["プルオーバー", "b", "c", "d"]]
    ),
    "many walks": lambda: WalksDisplay.from_arrays(
        images(60, 9, 4).reshape(3, 20, 9, 4), "abc", [["Tシャツ"] * 20] * 3
    ),
    "one way": lambda: ConditionalReconstructionsDisplay.from_ways(
        images(1, 9, 4), ["瓢箪"], [Way("w" * 50, images(1, 9, 4))]
    ),
    "one style": lambda: ExchangeDisplay.from_arrays(images(1, 9, 4)[None], ["プルオーバー"]),
    "japanese classes": lambda: CodePlotsDisplay.from_planes(
        {"t" * 60: images(30, 2)}, ["プルオーバー", "コート", "Tシャツ"] * 10
    ),
    "one size": lambda: SizeCurvesDisplay.from_curves({"m" * 50: {7: (1.0, None, None)}}, "誤差"),
    "one box": lambda: ClusteringDisplay.from_runs({("n" * 50, 3): {"ari": [0.5]}}, measures=["ari"]),
    "one denoised": lambda: DenoisingDisplay.from_arrays(images(1, 9, 4), images(1, 9, 4), labels=["瓢箪から駒"]),
    "denoised columns": lambda: DenoisingDisplay.from_arrays(*images(2, 3, 4), columns=["c" * 50] * 4),
    "many denoised columns": lambda: DenoisingDisplay.from_arrays(*images(3, 3, 50)),
    "profiles": lambda: ReconstructionsDisplay.from_arrays(images(1, 50), images(1, 50), ["d" * 50]),
}


class TestEveryDisplay:
    def test_the_table_of_figures_is_covered_by_this_contract(self) -> None:
        assert {name: type(build()) for name, build in EVERY.items()} == FIGURES

    @pytest.mark.parametrize("name", EVERY)
    def test_is_a_frozen_record(self, name: str) -> None:
        display = EVERY[name]()
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
            setattr(display, dataclasses.fields(display)[0].name, None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", EVERY)
    def test_its_arrays_cannot_be_written(self, name: str) -> None:
        arrays = [value for value in vars(EVERY[name]()).values() if isinstance(value, np.ndarray)]
        assert arrays
        assert not any(array.flags.writeable for array in arrays)

    @pytest.mark.parametrize("name", EVERY)
    def test_draws_without_touching_pyplots_figures(self, name: str) -> None:
        from matplotlib import pyplot

        assert EVERY[name]().figure().axes
        assert pyplot.get_fignums() == []

    @pytest.mark.parametrize("name", EVERY)
    def test_draws_where_the_caller_says(self, name: str) -> None:
        figure = Figure()
        display = EVERY[name]()
        own = isinstance(display.plot(), Axes)  # type: ignore[attr-defined]
        place = figure.add_subplot() if own else figure
        assert display.plot(place) is place  # type: ignore[attr-defined]
        assert any(axes.has_data() for axes in figure.axes)

    @pytest.mark.parametrize("name", [*EVERY, *NARROW])
    def test_no_text_reaches_out_of_the_picture(self, name: str) -> None:
        figure = {**EVERY, **NARROW}[name]().figure()
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        page = figure.bbox
        for text in figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible()):
            box = text.get_window_extent(renderer)
            if text.get_text().strip() and box.width > 1 and text.axes is not None and text.get_in_layout():
                inside = box.x0 > page.x0 - 2 and box.x1 < page.x1 + 2 and box.y0 > page.y0 - 2 and box.y1 < page.y1 + 2
                assert inside or text.get_text() in _unseen_ticks(figure), text.get_text()

    def test_leaves_the_users_settings_alone(self) -> None:
        from matplotlib import rcParams

        before = dict(rcParams)
        EVERY["loss"]().figure()
        assert dict(rcParams) == before


def _unseen_ticks(figure: Figure) -> set[str]:
    """Labels of ticks that lie beyond an axis's ends, which Matplotlib places but does not draw."""
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            unseen |= {tick.label1.get_text() for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    return unseen


def test_drawing_imports_neither_torch_nor_pyplot() -> None:
    code = (
        "import sys, hyotan.figures; print([m for m in ('torch', 'sklearn', 'matplotlib.pyplot') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


class TestLossCurves:
    def test_the_best_epoch_has_the_lowest_validation_loss(self) -> None:
        assert LossCurvesDisplay.from_history(HISTORY).best_epoch == 2

    def test_a_loss_that_is_not_finite_is_never_the_best(self) -> None:
        broken = [*HISTORY, {"epoch": 4, "loss": 1.0, "val_loss": float("nan")}]
        broken.append({"epoch": 5, "loss": 1.0, "val_loss": float("-inf")})
        assert LossCurvesDisplay.from_history(broken).best_epoch == 2

    def test_both_curves_each_alone_and_the_parts_have_panels(self) -> None:
        expected = ("Loss", "Training alone", "Validation alone", "Reconstruction", "KL")
        display = LossCurvesDisplay.from_history(HISTORY)
        assert display.panels() == expected
        assert tuple(axes.get_title(loc="left") for axes in display.figure().axes) == expected

    def test_without_validation_there_is_one_panel_and_no_best_epoch(self) -> None:
        display = LossCurvesDisplay.from_history([{"loss": 2.0}, {"loss": 1.0, "val_loss": None}])
        assert display.panels() == ("Training loss",)
        assert display.best_epoch is None
        assert display.epochs.tolist() == [1, 2]

    def test_a_schedule_is_drawn_only_where_it_moves(self) -> None:
        moving = [{"loss": 1.0, "beta": beta, "learning_rate": 1e-3} for beta in (0.1, 0.5, 1.0)]
        assert LossCurvesDisplay.from_history(moving).panels() == ("Training loss", "beta")

    def test_draws_the_numbers_of_the_history(self) -> None:
        both = LossCurvesDisplay.from_history(HISTORY).figure().axes[0]
        curves = {line.get_label(): list(line.get_ydata()) for line in both.lines}
        assert curves["training"] == [9.0, 6.0, 5.0]
        assert curves["validation"] == [8.0, 5.5, 6.5]

    def test_the_curves_differ_by_more_than_colour(self) -> None:
        both = LossCurvesDisplay.from_history(HISTORY).figure().axes[0]
        styles = {line.get_label(): line.get_linestyle() for line in both.lines}
        assert styles["training"] != styles["validation"]

    def test_an_empty_history_says_what_to_do(self) -> None:
        with pytest.raises(DataError, match=r"history is empty.*Fit first"):
            LossCurvesDisplay.from_history([])

    def test_a_history_without_loss_names_the_near_miss(self) -> None:
        with pytest.raises(DataError, match=r"No epoch .* has a 'loss'\. Did you mean 'los'\?"):
            LossCurvesDisplay.from_history([{"epoch": 1, "los": 2.0}])


class TestPictures:
    def test_the_range_is_found_from_the_values(self) -> None:
        assert value_range_of(np.array([0.0, 0.4])) == (0, 1)
        assert value_range_of(np.array([-1.0, 0.4])) == (-1, 1)
        assert value_range_of(np.array([0.0, 255.0])) == (0, 255)
        assert value_range_of(np.array([0.0, 16.0])) == (0, 16)
        assert value_range_of(np.array([-0.02, 1.03])) == (0, 1)

    def test_tanh_images_are_shown_by_the_articles_formula(self) -> None:
        values = np.array([[[-1.2, -1.0, 0.0, 0.5, 1.0, 1.7]]])
        expected = np.rint(np.clip((values + 1) / 2, 0, 1) * 255)
        assert (to_rgb(values, (-1, 1))[..., 0] == expected).all()

    def test_colour_images_keep_their_channels(self) -> None:
        picture = np.zeros((1, 3, 4, 6))
        picture[0, 2] = 1.0
        assert to_rgb(picture, (0, 1))[0, 0, 0].tolist() == [0, 0, 255]

    def test_a_mosaic_lays_images_row_by_row_with_white_between(self) -> None:
        cells = np.stack([np.full((2, 3, 3), value, dtype=np.uint8) for value in (10, 20, 30)])
        sheet = mosaic(cells, columns=2, gap=1)[..., 0]
        assert sheet.tolist() == [
            [10, 10, 10, 255, 20, 20, 20],
            [10, 10, 10, 255, 20, 20, 20],
            [255] * 7,
            [30, 30, 30, 255, 255, 255, 255],
            [30, 30, 30, 255, 255, 255, 255],
        ]

    def test_channels_last_are_recognised_with_the_fix(self) -> None:
        with pytest.raises(DataError, match=r"channels come last.*transpose\(0, 3, 1, 2\)"):
            SamplesDisplay.from_arrays(np.zeros((2, 8, 8, 3)))

    def test_other_shapes_are_named(self) -> None:
        with pytest.raises(DataError, match=r"got shape \(2, 4, 8, 8\)"):
            SamplesDisplay.from_arrays(np.zeros((2, 4, 8, 8)))

    def test_no_rows_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"at least one row; got shape \(0, 8, 8\)"):
            SamplesDisplay.from_arrays(np.zeros((0, 8, 8)))

    def test_the_first_row_that_is_not_finite_is_named(self) -> None:
        broken = np.zeros((4, 2, 2))
        broken[2, 1, 1] = np.nan
        with pytest.raises(DataError, match=r"1 of 4 rows hold NaN or infinity, the first is row 2"):
            SamplesDisplay.from_arrays(broken)

    def test_flattened_images_take_their_shape(self) -> None:
        assert SamplesDisplay.from_arrays(np.zeros((2, 64)), image_shape=(8, 8)).samples.shape == (2, 8, 8)
        with pytest.raises(DataError, match=r"\(2, 64\) cannot be read as images of shape \(8, 9\)"):
            SamplesDisplay.from_arrays(np.zeros((2, 64)), image_shape=(8, 9))

    def test_a_range_upside_down_is_refused(self) -> None:
        with pytest.raises(SettingsError, match=r"low < high; got \(1, 0\)"):
            SamplesDisplay.from_arrays(images(2, 4, 4), value_range=(1, 0))


class TestDenoising:
    def test_psnr_is_that_of_the_noisy_and_of_the_denoised(self) -> None:
        clean = np.zeros((2, 4, 4))
        display = DenoisingDisplay.from_arrays(clean + 0.1, clean + 0.01, clean, value_range=(0, 1))
        np.testing.assert_allclose(display.psnr, [[20, 20], [40, 40]])
        wide = DenoisingDisplay.from_arrays(clean + 0.1, clean + 0.01, clean, value_range=(-5, 5))
        np.testing.assert_allclose(wide.psnr, [[40, 40], [60, 60]])

    def test_rows_and_psnr_are_written_beside_the_images(self) -> None:
        clean = np.zeros((2, 4, 4))
        axes = DenoisingDisplay.from_arrays(clean + 0.1, clean + 0.01, clean, ["猫", "犬"]).figure().axes[0]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["clean", "noisy", "denoised"]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["20.0\n40.0"] * 2
        assert [text.get_text() for text in axes.texts] == ["猫", "犬"]

    def test_without_clean_rows_shows_two_and_claims_nothing(self) -> None:
        display = DenoisingDisplay.from_arrays(images(13, 4, 4), images(13, 4, 4))
        figure = display.figure()
        assert display.psnr is None
        assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["noisy", "denoised"]
        assert [len(axes.get_xticks()) for axes in figure.axes] == [0, 0]

    def test_of_a_table_is_drawn_on_the_scale_of_the_clean_columns(self) -> None:
        clean = np.array([[0.0, 10.0], [2.0, 30.0]])
        figure = DenoisingDisplay.from_arrays(clean + 1, clean, clean, columns=["a", "b"]).figure()
        assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["Clean", "Noisy", "Denoised"]
        np.testing.assert_allclose(figure.axes[1].images[0].get_array(), [[0.5, 0.05], [1.5, 1.05]])

    @pytest.mark.parametrize(
        ("arrays", "more", "match"),
        [
            (
                (images(2, 4, 4), images(2, 5, 4)),
                {},
                r"noisy rows have shape \(2, 4, 4\), the denoised ones \(2, 5, 4\)",
            ),
            ((images(2, 4), images(2, 4), images(3, 4)), {}, r"shape \(2, 4\), the clean ones \(3, 4\)"),
            ((images(2, 4, 4), images(2, 4, 4)), {"labels": "abc"}, r"2 samples but 3 labels"),
            ((images(2, 4), images(2, 4)), {"columns": "ab"}, r"4 columns but 2 column names"),
        ],
    )
    def test_arrays_that_do_not_fit_are_refused(self, arrays: tuple, more: dict, match: str) -> None:
        with pytest.raises(DataError, match=match):
            DenoisingDisplay.from_arrays(*arrays, **more)


class TestReconstructions:
    def test_errors_and_mse_are_those_of_the_pixels(self) -> None:
        before, after = images(3, 40, 56), images(3, 40, 56)[::-1]
        display = ReconstructionsDisplay.from_arrays(before, after)
        np.testing.assert_allclose(display.errors, abs(before - after))
        np.testing.assert_allclose(display.mse, [((a - b) ** 2).mean() for a, b in zip(before, after, strict=True)])

    def test_a_colour_images_error_is_the_mean_over_its_channels(self) -> None:
        before, after = np.zeros((1, 3, 4, 4)), np.zeros((1, 3, 4, 4))
        after[0, 0] = 0.6
        display = ReconstructionsDisplay.from_arrays(before, after)
        assert display.errors.shape == (1, 4, 4)
        np.testing.assert_allclose(display.errors, 0.2)
        np.testing.assert_allclose(display.mse, [0.12])

    def test_rows_and_mse_are_written_beside_the_images(self) -> None:
        after = np.full((2, 4, 4), 0.1)
        axes = ReconstructionsDisplay.from_arrays(np.zeros((2, 4, 4)), after, ["猫", "犬"]).figure().axes[0]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["original", "reconstruction", "absolute error"]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.0100", "0.0100"]
        assert [text.get_text() for text in axes.texts] == ["猫", "犬"]

    def test_more_images_than_a_row_holds_begin_another(self) -> None:
        figure = ReconstructionsDisplay.from_arrays(images(13, 4, 4), images(13, 4, 4)).figure()
        assert [len(axes.get_xticks()) for axes in figure.axes[:2]] == [10, 3]

    def test_the_estimator_gets_one_row_of_every_label(self) -> None:
        digits = load_digits()
        chosen = ReconstructionsDisplay.from_estimator(Halving(), digits.images / 16, labels=digits.target)
        assert chosen.labels == tuple("0123456789")
        np.testing.assert_allclose(chosen.reconstructions, chosen.originals / 2)

    def test_the_choice_depends_on_the_random_state_alone(self) -> None:
        X = images(200, 4, 4)
        first, again, other = (
            ReconstructionsDisplay.from_estimator(Halving(), X, random_state=s).originals for s in (1, 1, 2)
        )
        assert (first == again).all()
        assert (first != other).any()

    def test_images_of_bytes_are_compared_in_the_unit_interval(self) -> None:
        X = np.full((4, 5, 5), 255, dtype=np.uint8)
        display = ReconstructionsDisplay.from_estimator(Halving(), X, n=2)
        np.testing.assert_allclose(display.mse, [0.25, 0.25])
        assert display.value_range == (0, 1)

    def test_a_tables_columns_have_their_names(self) -> None:
        names = ["身長", "体重", "年齢 $"]
        figure = ReconstructionsDisplay.from_arrays(images(5, 3), images(5, 3), columns=names).figure()
        for axes in figure.axes[:3]:
            assert [tick.get_text() for tick in axes.get_xticklabels()] == names

    def test_a_tables_error_is_shown_as_a_share_of_the_columns_range(self) -> None:
        before = np.array([[0.0, 0.0], [10.0, 1000.0]])
        figure = ReconstructionsDisplay.from_arrays(before, before + [[1.0, 100.0]]).figure()
        np.testing.assert_allclose(figure.axes[2].images[0].get_array(), 0.1)

    def test_a_wide_table_is_drawn_as_profiles(self) -> None:
        before = images(3, 64)
        figure = ReconstructionsDisplay.from_arrays(before, before / 2).figure()
        assert len(figure.axes) == 3
        np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), before[1] / 2)

    def test_shapes_that_differ_are_both_named(self) -> None:
        with pytest.raises(DataError, match=r"originals have shape \(2, 4, 4\), the reconstructions \(3, 4, 4\)"):
            ReconstructionsDisplay.from_arrays(images(2, 4, 4), images(3, 4, 4))

    def test_labels_of_another_number_are_refused(self) -> None:
        with pytest.raises(DataError, match="2 samples but 1 labels"):
            ReconstructionsDisplay.from_arrays(images(2, 4, 4), images(2, 4, 4), ["a"])
        with pytest.raises(DataError, match="2 samples but 1 labels"):
            ReconstructionsDisplay.from_estimator(Halving(), images(2, 4, 4), labels=["a"])

    def test_column_names_of_another_number_are_refused(self) -> None:
        with pytest.raises(DataError, match="3 columns but 1 column names"):
            ReconstructionsDisplay.from_arrays(images(2, 3), images(2, 3), columns=["a"])

    def test_no_rows_at_all_are_refused(self) -> None:
        with pytest.raises(SettingsError, match="n=0 of 2 rows"):
            ReconstructionsDisplay.from_estimator(Halving(), images(2, 4, 4), n=0)


class TestSamples:
    def test_asks_the_estimator_for_n_draws_from_its_random_state(self) -> None:
        display = SamplesDisplay.from_estimator(Halving(), n=6, random_state=3)
        np.testing.assert_allclose(display.samples, np.random.default_rng(3).random((6, 5, 7)))

    @pytest.mark.parametrize("count", [1, 2, 7, 64])
    def test_every_sample_has_a_place_on_the_sheet(self, count: int) -> None:
        ones = np.zeros((count, 4, 4))
        sheet = SamplesDisplay.from_arrays(ones).plot().images[0].get_array()
        assert (np.asarray(sheet)[..., 0] == 0).sum() == count * 16

    def test_a_table_is_a_heat_map_and_a_wide_one_profiles(self) -> None:
        assert len(SamplesDisplay.from_arrays(images(6, 5)).plot().images) == 1
        assert len(SamplesDisplay.from_arrays(images(6, 50)).plot().lines) == 6

    def test_no_samples_are_refused(self) -> None:
        with pytest.raises(SettingsError, match="got n=0"):
            SamplesDisplay.from_estimator(Halving(), n=0)


class TestLatentScatter:
    def test_two_dimensions_are_drawn_raw(self) -> None:
        codes = images(50, 2)
        display = LatentScatterDisplay.from_codes(codes)
        assert (display.points == codes).all()
        assert display.axis_names == ("z0", "z1")

    def test_more_dimensions_are_projected_as_scikit_learns_pca_does(self) -> None:
        codes = np.random.default_rng(1).normal(size=(200, 6)) * [3, 1, 0.2, 5, 1, 1] + 4
        plane, shares = principal_plane(codes)
        pca = PCA(2, svd_solver="full").fit(codes)
        np.testing.assert_allclose(abs(plane), abs(pca.transform(codes)), atol=1e-9)
        np.testing.assert_allclose(shares, pca.explained_variance_ratio_)

    def test_the_axes_state_the_projection_and_its_share(self) -> None:
        codes = np.zeros((100, 3))
        codes[:, 1] = np.arange(100)
        axes = LatentScatterDisplay.from_codes(codes).plot()
        assert axes.get_xlabel() == "principal component 1 of 3 latent dimensions (100% of variance)"

    def test_collapsed_codes_can_be_drawn(self) -> None:
        display = LatentScatterDisplay.from_codes(np.ones((20, 4)), [0, 1] * 10)
        assert (display.points == 0).all()
        assert "(0% of variance)" in display.axis_names[0]
        assert display.figure().axes

    def test_chosen_dimensions_are_raw(self) -> None:
        codes = images(30, 5)
        display = LatentScatterDisplay.from_codes(codes, dims=(4, 1))
        assert (display.points == codes[:, [4, 1]]).all()
        assert display.axis_names == ("z4", "z1")

    def test_one_dimension_says_that_the_second_axis_means_nothing(self) -> None:
        display = LatentScatterDisplay.from_codes(np.arange(9.0)[:, None])
        assert display.points[:, 0].tolist() == list(range(9))
        assert display.plot().get_ylabel() == "random scatter, no meaning"

    def test_a_subsample_is_in_proportion_and_says_so(self) -> None:
        labels = np.repeat([0, 1, 2], [6000, 3000, 1000])  # sorted, so that the first rows would be one class
        display = LatentScatterDisplay.from_codes(np.zeros((10_000, 2)), labels, max_points=100)
        assert [int((display.classes == name).sum()) for name in "012"] == [60, 30, 10]
        note = "100 of 10,000 points shown, drawn in proportion from every class"
        assert display.plot().get_title(loc="left") == note

    def test_a_rare_class_keeps_a_point(self) -> None:
        labels = np.array(["a"] * 999 + ["b"])
        assert 999 in stratified(labels, 1000, 50)

    def test_the_subsample_is_random_but_repeatable(self) -> None:
        rows = stratified(None, 1000, 10, random_state=4)
        assert (rows == stratified(None, 1000, 10, random_state=4)).all()
        assert rows.max() > 100

    def test_centroids_are_those_of_all_codes(self) -> None:
        codes = np.random.default_rng(0).normal(size=(4000, 2))
        labels = np.arange(4000) % 10
        centroids = LatentScatterDisplay.from_codes(codes, labels, max_points=100).centroids
        assert list(centroids) == list("0123456789")
        np.testing.assert_allclose(centroids["3"], codes[labels == 3].mean(axis=0))

    def test_ten_digits_are_drawn_as_ten_different_glyphs_and_named_at_their_centres(self) -> None:
        axes = LatentScatterDisplay.from_codes(images(100, 2), np.arange(100) % 10).plot()
        outlines = {collection.get_paths()[0].vertices.tobytes() for collection in axes.collections}
        assert len(outlines) == 10
        assert [text.get_text() for text in axes.texts] == list("0123456789")

    def test_long_names_are_told_apart_by_shape_and_listed(self) -> None:
        names = ["Tシャツ", "ズボン", "_hidden"]
        axes = LatentScatterDisplay.from_codes(images(60, 2), np.arange(60) % 3, names=names).plot()
        assert len({c.get_paths()[0].vertices.tobytes() for c in axes.collections}) == 3
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Tシャツ", "ズボン", "hidden"]

    def test_numbers_of_many_kinds_become_a_colour_scale(self) -> None:
        values = np.linspace(0, 1, 50)
        display = LatentScatterDisplay.from_codes(images(50, 2), values)
        assert display.classes is None
        assert (display.values == values).all()

    def test_too_many_classes_are_gathered(self) -> None:
        labels = [f"kind {index % 30:02d}" for index in range(300)]
        display = LatentScatterDisplay.from_codes(images(300, 2), labels)
        assert len(display.centroids) == 20
        assert list(display.centroids)[-1] == "other"

    def test_a_missing_label_is_drawn_as_unlabelled(self) -> None:
        display = LatentScatterDisplay.from_codes(images(4, 2), ["a", None, float("nan"), "b"])
        assert display.classes is not None
        assert display.classes.tolist() == ["a", "unlabelled", "unlabelled", "b"]

    def test_whole_floats_are_written_as_whole_numbers(self) -> None:
        display = LatentScatterDisplay.from_codes(images(4, 2), np.array([0.0, 1.0, 0.0, 1.0]))
        assert list(display.centroids) == ["0", "1"]

    def test_names_at_near_places_are_pushed_apart(self) -> None:
        moved = spread_out(np.array([[0.0, 0.0], [0.0, 0.0], [0.1, 0.0], [9.0, 9.0]]), least=1.0)
        distances = np.linalg.norm(moved[:, None] - moved[None], axis=-1)[np.triu_indices(4, 1)]
        assert distances.min() > 0.9
        assert moved[3].tolist() == [9.0, 9.0]

    def test_every_colour_stands_out_from_white(self) -> None:
        for colour in PALETTE:
            channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
            linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
            assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3, colour

    def test_what_is_no_matrix_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"matrix \(n, latent\).*got shape \(3,\).*transform"):
            LatentScatterDisplay.from_codes([1.0, 2.0, 3.0])

    def test_labels_of_another_number_are_refused(self) -> None:
        with pytest.raises(DataError, match="3 codes but 2 labels"):
            LatentScatterDisplay.from_codes(images(3, 2), [0, 1])

    def test_a_label_without_a_name_is_named(self) -> None:
        with pytest.raises(DataError, match="no entry for the label 7"):
            LatentScatterDisplay.from_codes(images(2, 2), [0, 7], names={0: "zero"})

    def test_dimensions_that_do_not_exist_are_refused(self) -> None:
        with pytest.raises(SettingsError, match=r"two numbers from 0 to 2; got \(0, 3\)"):
            LatentScatterDisplay.from_codes(images(5, 3), dims=(0, 3))

    def test_an_unknown_method_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="'auto', 'raw' or 'pca'; got 'umap'"):
            LatentScatterDisplay.from_codes(images(5, 3), method="umap")  # type: ignore[arg-type]

    def test_no_points_are_refused(self) -> None:
        with pytest.raises(SettingsError, match="1 or more; got 0"):
            LatentScatterDisplay.from_codes(images(5, 2), max_points=0)


class TestManifold:
    @staticmethod
    def decode(codes: np.ndarray) -> np.ndarray:
        """Images whose pixels are the code, so that the grid can be read back."""
        return np.repeat(codes[:, None, :], 2, axis=1)

    def test_normal_spacing_gives_every_step_an_equal_share_of_the_prior(self) -> None:
        from scipy.stats import norm

        display = ManifoldDisplay.from_decoder(self.decode, 2, steps=5)
        np.testing.assert_allclose(norm.cdf(display.positions[0]), [0.1, 0.3, 0.5, 0.7, 0.9])

    def test_the_grid_runs_along_the_chosen_dimensions_and_the_rest_stays(self) -> None:
        display = ManifoldDisplay.from_decoder(
            self.decode, 4, steps=3, dims=(2, 0), fixed={1: 7.0}, spacing="linear", limits=((0, 2), (10, 30))
        )
        codes = display.images[:, :, 0]
        np.testing.assert_allclose(codes[..., 2], np.tile([0, 1, 2], (3, 1)))
        np.testing.assert_allclose(codes[..., 0], np.tile([10, 20, 30], (3, 1)).T)
        assert (codes[..., 1] == 7).all()
        assert (codes[..., 3] == 0).all()

    def test_large_values_of_the_second_dimension_are_on_top(self) -> None:
        bright = lambda Z: np.repeat(np.repeat((Z[:, 1] > 0).astype(float)[:, None, None], 2, 1), 2, 2)  # noqa: E731
        sheet = np.asarray(ManifoldDisplay.from_decoder(bright, 2, steps=4).plot().images[0].get_array())
        # Images of two pixels and a white line of one between them: rows 2, 5 and 8 are lines.
        images = np.delete(sheet, [2, 5, 8], axis=0)
        images = np.delete(images, [2, 5, 8], axis=1)
        assert (images[:4] == 255).all()
        assert (images[4:] == 0).all()

    def test_central_limits_are_the_codes_percentiles(self) -> None:
        codes = np.random.default_rng(0).normal(size=(500, 3))
        (low, high), second = central_limits(codes, dims=(2, 0))
        assert (low, high) == tuple(np.percentile(codes[:, 2], [1, 99]))
        assert second == tuple(np.percentile(codes[:, 0], [1, 99]))

    def test_one_latent_dimension_is_too_few(self) -> None:
        with pytest.raises(
            SettingsError, match=r"needs two latent dimensions; this model has 1\. Draw an interpolation"
        ):
            ManifoldDisplay.from_decoder(self.decode, 1)

    def test_limits_with_normal_spacing_say_what_to_pass(self) -> None:
        with pytest.raises(SettingsError, match=r"limits go with linear spacing.*spacing='linear'"):
            ManifoldDisplay.from_decoder(self.decode, 2, limits=((0, 1), (0, 1)))

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"steps": 1}, "between 2 and 60; got 1"),
            ({"dims": (0, 0)}, r"two different numbers from 0 to 1; got \(0, 0\)"),
            ({"spacing": "log"}, "'normal' or 'linear'; got 'log'"),
            ({"spacing": "linear", "limits": ((1, 0), (0, 1))}, "with low < high"),
            ({"fixed": {5: 1.0}}, "names dimension 5; there are 0 to 1"),
            ({"fixed": [1.0, 2.0, 3.0]}, r"shape \(2,\) or map"),
        ],
    )
    def test_settings_that_do_not_fit_are_named(self, settings: dict, message: str) -> None:
        with pytest.raises(SettingsError, match=message):
            ManifoldDisplay.from_decoder(self.decode, 2, **settings)

    def test_a_table_is_no_manifold(self) -> None:
        with pytest.raises(DataError, match=r"400 codes decoded to shape \(400, 5\).*image_shape"):
            ManifoldDisplay.from_decoder(lambda Z: np.zeros((len(Z), 5)), 2)


class TestKLPerDimension:
    def test_bars_run_from_the_most_used_dimension_down(self) -> None:
        display = KLPerDimensionDisplay.from_kl([0.5, 2.0, 0.001])
        axes = display.plot()
        assert display.order.tolist() == [1, 0, 2]
        heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
        assert heights == [[2.0, 0.5], [0.001]]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["z1", "z0", "z2"]

    def test_inactive_dimensions_are_hatched_and_counted(self) -> None:
        axes = KLPerDimensionDisplay.from_kl([0.5, 2.0, 0.001]).plot()
        legend = [text.get_text() for text in axes.get_legend().get_texts()]
        assert legend == ["active (2): KL above 0.01 nats", "inactive (1)"]
        assert [bool(bars.patches[0].get_hatch()) for bars in axes.containers] == [False, True]

    def test_a_given_mask_wins_and_its_rule_is_stated(self) -> None:
        display = KLPerDimensionDisplay.from_kl([0.5, 2.0], np.array([False, True]))
        assert display.active.tolist() == [False, True]
        assert display.rule == "variance of the posterior mean above 0.01"

    def test_samples_are_averaged(self) -> None:
        assert KLPerDimensionDisplay.from_kl([[1.0, 0.0], [3.0, 0.0]]).kl.tolist() == [2.0, 0.0]

    def test_a_mask_of_another_length_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"active must be 2 booleans.*got shape \(3,\) of bool"):
            KLPerDimensionDisplay.from_kl([0.5, 2.0], [True, True, False])

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"\(latent,\) or \(n, latent\); got \(0,\)"):
            KLPerDimensionDisplay.from_kl([])
