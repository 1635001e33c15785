"""Noise added and taken out again: the estimator's two methods, the figures, the words, the command, the picture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from command_line import SMALL as FLAGS
from command_line import done, hyotan, sketch
from hyotan import VAE, Autoencoder, DenoisingAutoencoder, evaluate, load
from hyotan.analysis.noise_removal import affine_map, measure
from hyotan.errors import DataError, SettingsError
from hyotan.models import NOISES
from hyotan.report.run import fit_command
from hyotan.report.run_page import run_page
from hyotan.runs.run_folder import RunFolder

IMAGES = (load_digits().images / 16).astype(np.float32)
TRAIN, TEST = IMAGES[:600], IMAGES[600:700]
RANDOM = np.random.default_rng(0)
FACTORS = RANDOM.normal(size=(460, 2)) @ RANDOM.normal(size=(2, 12)) + 0.1 * RANDOM.normal(size=(460, 12))
TABLE, TABLE_TEST = FACTORS[:400], FACTORS[400:]
"""Twelve columns that hang together: what is wrong in one shows in the others."""
SMALL: dict[str, Any] = {
    "latent_dim": 32,
    "hidden_dims": (64,),
    "max_epochs": 40,
    "learning_rate": 0.01,
    "random_state": 0,
}

_fitted: dict[str, Autoencoder] = {}


def fitted(name: str) -> Autoencoder:
    """A small model; made once, so tests must not change it."""
    made = {
        "images": lambda: DenoisingAutoencoder(**SMALL, noise_level=0.4).fit(TRAIN),
        "pixels": lambda: DenoisingAutoencoder(**SMALL, noise_level=0.4).fit(pixels(TRAIN)),
        "table": lambda: DenoisingAutoencoder(**SMALL, noise="swap", noise_level=0.2).fit(TABLE),
        "blind": lambda: DenoisingAutoencoder(**SMALL, noise_level=(0.1, 0.6)).fit(TRAIN),
        "quiet": lambda: Autoencoder(**{**SMALL, "max_epochs": 1}).fit(TRAIN),
    }
    if name not in _fitted:
        _fitted[name] = made[name]()
    return _fitted[name]


def pixels(X: np.ndarray) -> np.ndarray:
    return np.rint(X * 255).astype(np.uint8)


def psnr_of(a: np.ndarray, b: np.ndarray) -> float:
    """Mean of PSNR over images in [0, 1], image by image."""
    errors = [
        sum((p - q) ** 2 for p, q in zip(x.flat, y.flat, strict=True)) / x.size for x, y in zip(a, b, strict=True)
    ]
    return float(np.mean([-10 * np.log10(error) for error in errors]))


class TestDenoise:
    def test_brings_noisy_rows_nearer_to_the_clean_ones(self) -> None:
        noisy = fitted("images").corrupt(TEST)
        clean = fitted("images").denoise(noisy)
        assert clean.shape == TEST.shape and clean.dtype == np.float32
        assert np.square(clean - TEST).mean() < 0.6 * np.square(noisy - TEST).mean()

    def test_gives_the_reconstruction_of_the_rows_clipped_to_the_range_of_training(self) -> None:
        wild = TEST + np.random.default_rng(0).normal(0, 1.5, TEST.shape)
        assert wild.max() > 3
        expected = fitted("images").reconstruct(wild.clip(0, 1))
        assert np.array_equal(fitted("images").denoise(wild), expected)

    def test_answers_in_the_units_of_the_data(self) -> None:
        noisy = fitted("pixels").corrupt(pixels(TEST))
        assert noisy.max() == 255
        clean = fitted("pixels").denoise(noisy)
        assert clean.max() > 100
        assert np.square(clean - pixels(TEST)).mean() < 0.6 * np.square(noisy - pixels(TEST)).mean()

    def test_takes_a_table(self) -> None:
        noisy = fitted("table").corrupt(TABLE_TEST)
        clean = fitted("table").denoise(noisy)
        assert np.square(clean - TABLE_TEST).mean() < np.square(noisy - TABLE_TEST).mean()

    def test_of_a_row_does_not_depend_on_its_company(self) -> None:
        noisy = fitted("images").corrupt(TEST)
        assert np.array_equal(fitted("images").denoise(noisy)[7:9], fitted("images").denoise(noisy[7:9]))

    def test_survives_a_file(self, tmp_path: Path) -> None:
        fitted("blind").save(tmp_path / "model.hyotan")
        again = load(tmp_path / "model.hyotan")
        assert again.settings()["noise_level"] == (0.1, 0.6)
        assert np.array_equal(again.corrupt(TEST), fitted("blind").corrupt(TEST))
        assert np.array_equal(again.denoise(TEST), fitted("blind").denoise(TEST))

    @pytest.mark.parametrize("method", ["denoise", "corrupt"])
    def test_needs_a_model_that_was_trained_on_noise(self, method: str) -> None:
        message = r"This Autoencoder was trained without noise.* Fit it with noise='gaussian' \(--model dae\)"
        with pytest.raises(AttributeError, match=f"This 'Autoencoder' has no attribute '{method}'") as refused:
            getattr(fitted("quiet"), method)(TEST)
        assert isinstance(refused.value.__cause__, SettingsError)
        assert re.search(message, str(refused.value.__cause__))
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(DenoisingAutoencoder(), method)(TEST)

    def test_refuses_pixels_where_it_learned_from_the_unit_interval(self) -> None:
        with pytest.raises(DataError, match=r"X has values in \[0, 255\]; the model was fitted on values in \[0, 1\]"):
            fitted("images").denoise(TEST * 255)

    def test_refuses_rows_of_another_shape(self) -> None:
        with pytest.raises(DataError, match=r"X has samples of shape \(4, 4\)"):
            fitted("images").denoise(TEST[:, :4, :4])


class TestCorrupt:
    def test_adds_the_noise_of_training(self) -> None:
        grey = np.full((500, 8, 8), 0.5, np.float32)
        added = fitted("images").corrupt(grey, 0.1) - 0.5
        assert added.std() == pytest.approx(0.1, rel=0.02)
        noisy = fitted("images").corrupt(grey)
        # Of N(0, 0.4²) around 0.5, the share beyond either end of [0, 1] is clipped: 2 Φ(-1.25).
        assert np.mean((noisy == 0) | (noisy == 1)) == pytest.approx(0.2113, abs=0.01)

    def test_of_a_range_gives_each_row_its_own_level(self) -> None:
        added = fitted("blind").corrupt(np.full((2000, 8, 8), 0.5, np.float32), (0.01, 0.11)) - 0.5
        levels = added.std(axis=(1, 2))
        assert levels.min() < 0.02 and levels.max() > 0.1
        assert levels.mean() == pytest.approx(0.06, rel=0.05)

    def test_is_the_same_for_the_same_seed_and_leaves_torchs_generator(self) -> None:
        before = torch.get_rng_state()
        one, two, other = (fitted("images").corrupt(TEST, random_state=seed) for seed in (1, 1, 2))
        assert np.array_equal(one, two) and not np.array_equal(one, other)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.mark.parametrize("level", [-0.1, "much", (0.5, 0.1), (0.1, 0.2, 0.3), float("nan"), True])
    def test_refuses_a_level_that_is_none(self, level: Any) -> None:
        message = r"level cannot be .*expected a number of at least 0, or the two ends of a range.* level of training"
        with pytest.raises(SettingsError, match=message):
            fitted("images").corrupt(TEST, level)

    def test_refuses_a_share_above_1(self) -> None:
        with pytest.raises(SettingsError, match="noise_level cannot be 1.5: for this noise it is the share"):
            fitted("table").corrupt(TABLE_TEST, (0.5, 1.5))


class TestMeasure:
    def test_agrees_with_figures_worked_out_by_hand(self) -> None:
        found = measure(fitted("images"), TEST, TRAIN, random_state=4)
        assert found is not None
        noisy = fitted("images").corrupt(TEST, random_state=4)
        clean = fitted("images").denoise(noisy)
        assert found.level == 0.4
        assert found.mse_noisy == pytest.approx(np.square(noisy - TEST).mean(), rel=1e-5)
        assert found.mse_denoised == pytest.approx(np.square(clean - TEST).mean(), rel=1e-5)
        assert found.psnr_noisy == pytest.approx(psnr_of(noisy, TEST), rel=1e-5)
        assert found.psnr == pytest.approx(psnr_of(clean, TEST), rel=1e-5)
        assert 0 < found.ssim_noisy < found.ssim < 1

    def test_fits_the_affine_map_that_ridge_regression_gives(self) -> None:
        dae = fitted("images")
        noisy = dae.corrupt(TRAIN, 0.4, 7).reshape(600, -1)  # in one piece, as the map's own pairs here
        expected = Ridge(alpha=1.0).fit(noisy, TRAIN.reshape(600, -1)).predict(TEST.reshape(100, -1)).clip(0, 1)
        np.testing.assert_allclose(affine_map(dae, TRAIN, 0.4, 7)(TEST).reshape(100, -1), expected, atol=2e-4)

    def test_of_a_table_is_squared_error_alone(self) -> None:
        found = measure(fitted("table"), TABLE_TEST, TABLE)
        assert found is not None
        assert (found.psnr, found.psnr_affine, found.ssim, found.ssim_noisy) == (None,) * 4
        assert 0 < found.mse_denoised < found.mse_noisy

    def test_leaves_the_map_out_without_training_rows(self) -> None:
        found = measure(fitted("images"), TEST)
        assert found is not None
        assert (found.mse_affine, found.psnr_affine, found.affine_difference_error) == (None, None, None)

    def test_of_rows_that_no_noise_has_hit_stays_finite(self) -> None:
        found = measure(fitted("images"), TEST, level=0.0)
        assert found is not None
        assert (found.psnr_noisy, found.ssim_noisy, found.mse_noisy) == (100.0, pytest.approx(1.0), 0.0)

    def test_is_part_of_an_evaluation_and_of_nothing_without_noise(self) -> None:
        record = evaluate(fitted("images"), TEST, TRAIN, random_state=3)
        assert record.denoising == measure(fitted("images"), TEST, TRAIN, random_state=3)
        assert {"BETTER_THAN_AFFINE", "LIKE_AFFINE", "WORSE_THAN_AFFINE"} & {f.code for f in record.diagnosis}
        assert not {"NO_BOTTLENECK", "BETTER_THAN_PCA", "WORSE_THAN_PCA"} & {f.code for f in record.diagnosis}
        assert evaluate(fitted("quiet"), TEST, TRAIN).denoising is None
        assert measure(VAE(2, hidden_dims=(), max_epochs=1, random_state=0).fit(TRAIN[:50]), TEST) is None

    @pytest.mark.parametrize("noise", NOISES)
    def test_takes_every_kind_of_noise_of_every_row_s_own_level(self, noise: str) -> None:
        settings = {**SMALL, "max_epochs": 1, "noise": noise, "noise_level": (0.1, 0.6)}
        found = measure(DenoisingAutoencoder(**settings).fit(TRAIN[:100]), TEST, TRAIN[:100])
        assert found is not None and found.level == (0.1, 0.6) and found.mse_noisy > 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the command line, of blind noise."""
    folder = tmp_path_factory.mktemp("denoise")
    words = ("digits", *FLAGS, "--limit", 200, "--model", "dae", "--noise-level", "0.1:0.5", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        return folder / done("fit", *words, cwd=folder).out.splitlines()[-1]


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def without_pixels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sketch(monkeypatch)

    def test_notes_a_range_that_can_be_fed_back(self, run: Path) -> None:
        assert RunFolder(run).config.parameters["noise_level"] == (0.1, 0.5)
        assert "--noise-level 0.1:0.5" in fit_command(RunFolder(run).config)
        assert "noise_level = [" in (run / "config.toml").read_text()
        assert (run / "figures" / "denoising.png").is_file()

    def test_denoises_the_run_s_own_rows_with_noise_added(self, run: Path) -> None:
        said = done("denoise", run)
        estimator, rows = load(run), RunFolder(run).split_data()[1].X
        expected = estimator.denoise(estimator.corrupt(rows))
        np.testing.assert_array_equal(np.load(run / "denoised.npy"), expected)
        assert "noise of level 0.1 to 0.5: PSNR" in said.err
        assert said.out.splitlines() == [str(run / "denoised.npy"), str(run / "denoised.png")]

    def test_takes_noisy_rows_as_they_come(self, run: Path, tmp_path: Path) -> None:
        estimator = load(run)
        noisy = estimator.corrupt(IMAGES[:20])
        np.save(tmp_path / "noisy.npy", noisy)
        said = done("denoise", run, "noisy.npy", "-o", "clean.npy", "--json", cwd=tmp_path)
        np.testing.assert_allclose(np.load(tmp_path / "clean.npy"), estimator.denoise(noisy), rtol=1e-5)
        assert said.record["rows"] == 20 and "denoising" not in said.record

    def test_adds_noise_where_it_is_told_to(self, run: Path) -> None:
        found = done("denoise", run, "--add-noise", "0.2", "--json").record["denoising"]
        rows = RunFolder(run).split_data()[1].X
        assert found["level"] == 0.2
        assert found["psnr"] == pytest.approx(measure(load(run), rows, level=0.2).psnr)

    def test_evaluates_what_becomes_of_noise(self, run: Path) -> None:
        said = done("evaluate", run)
        assert "noise of level 0.1 to 0.5: PSNR " in said.out and "the best affine map" in said.out
        assert hyotan("evaluate", run, "--fail-if", "psnr < 1000").code == 1

    def test_says_what_it_needs(self, run: Path, tmp_path: Path) -> None:
        plain = tmp_path / done("fit", "digits", *FLAGS, "--limit", 60, "--quiet", cwd=tmp_path).out.splitlines()[-1]
        said = hyotan("denoise", plain)
        assert said.code == 2 and "Traceback" not in said.err
        assert "holds an autoencoder that was trained without noise" in said.err
        assert "hyotan fit SOURCE --model dae" in said.err
        said = hyotan("denoise", run, "--add-noise", "much")
        assert said.code == 2
        assert "--add-noise cannot be 'much': expected a number of at least 0, or the two ends of a range" in said.err

    def test_writes_it_into_the_report(self, run: Path) -> None:
        for lang, words in (("en", "Best affine map"), ("ja", "最良のアフィン写像")):
            page = run_page(RunFolder(run), lang)
            assert words in page and "PSNR" in page and "SSIM" in page
