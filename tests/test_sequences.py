"""Sequences: (n, length, channels), asked for by layout='sequence', in every family and every use."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from command_line import done
from hyotan import VAE, AnomalyDetector, Autoencoder, load
from hyotan.errors import DataError, SettingsError
from hyotan.estimators import ESTIMATORS
from hyotan.models.sequences import SequenceDecoder, SequenceEncoder

SMALL: dict[str, Any] = {
    "latent_dim": 3,
    "layout": "sequence",
    "hidden_dims": (16,),
    "channels": (4, 8),
    "max_epochs": 2,
    "random_state": 0,
}
EVERY = pytest.mark.parametrize("family", ESTIMATORS.values(), ids=ESTIMATORS)


def waves(n: int = 240, length: int = 48, seed: int = 0) -> np.ndarray:
    """Sines and cosines of a frequency, a phase and a height of their own, the second channel a hundred times as high:
    three numbers say all of a row, but no plane of three dimensions holds them.
    """
    random = np.random.default_rng(seed)
    frequency, phase, height = random.uniform([1, 0, 0.5], [3, 2 * np.pi, 1.5], (n, 3)).T[:, :, None]
    angle = 2 * np.pi * frequency * np.linspace(0, 1, length) + phase
    return np.stack([height * np.sin(angle), 100 * height * np.cos(angle) + 500], axis=-1)


class TestEveryFamily:
    @EVERY
    @pytest.mark.parametrize("length", [1, 7, 12])
    def test_gives_back_sequences_of_any_length(self, family: Any, length: int) -> None:
        X, y = waves(24, length), np.arange(24) % 2
        model = family(**SMALL).fit(X, y)
        assert model.reconstruct(X).shape == model.sample(24, random_state=0).shape == X.shape
        assert model.transform(X).shape == (24, 3) and model.inverse_transform(model.transform(X)).shape == X.shape
        assert model.feature_shape_ == (length, 2) and model.preprocessor_.layout == "sequence"

    @EVERY
    def test_opens_from_a_file_as_it_was(self, family: Any, tmp_path: Path) -> None:
        X = waves(40)
        model = family(**SMALL).fit(X, np.arange(40) % 2)
        model.save(tmp_path / "model.hyotan")
        again = load(tmp_path / "model.hyotan")
        assert again.layout == again.preprocessor_.layout == "sequence"
        assert np.array_equal(again.reconstruct(X), model.reconstruct(X))

    @EVERY
    def test_has_convolutions_along_the_length(self, family: Any) -> None:
        model = family(**SMALL).fit(waves(24), np.arange(24) % 2).model_
        kernels = [layer.kernel_size for layer in model.encoder.modules() if isinstance(layer, nn.Conv1d)]
        assert kernels == [(5,), (5,)]


class TestNetworks:
    @pytest.mark.parametrize("length", range(1, 18))
    @pytest.mark.parametrize("outputs", [1, 2])
    def test_mirror_each_other_at_any_length(self, length: int, outputs: int) -> None:
        encoder = SequenceEncoder((length, 3), (4, 5), (6,), 2, nn.ReLU)
        decoder = SequenceDecoder(2, (4, 5), (6,), (length, 3), outputs, nn.ReLU)
        decoded = decoder(encoder(torch.randn(4, length, 3)).expand(7, 4, 2))
        assert decoded.shape == (7, 4, length, 3) if outputs == 1 else (7, 4, 2, length, 3)

    def test_are_torch_s_convolutions_of_channels_first(self) -> None:
        encoder = SequenceEncoder((9, 3), (4,), (), 2, nn.Identity)
        convolution, last = encoder[1], encoder[-1]
        x = torch.randn(5, 9, 3)
        torch.testing.assert_close(encoder(x), last(convolution(x.permute(0, 2, 1)).flatten(1)))


class TestScaling:
    def test_gives_each_channel_one_scale(self) -> None:
        X = waves(40)
        numbers = Autoencoder(**SMALL).fit(X).in_range(X)
        train = Autoencoder(**SMALL, validation_fraction=0).fit(X).in_range(X)
        np.testing.assert_allclose(train.mean((0, 1)), 0, atol=1e-5)
        np.testing.assert_allclose(train.std((0, 1)), 1, atol=1e-5)
        for channel in range(2):  # an affine map, the same at every step
            slope, shift = np.polyfit(X[..., channel].ravel(), numbers[..., channel].ravel(), 1)
            np.testing.assert_allclose(numbers[..., channel], slope * X[..., channel] + shift, atol=1e-4)

    @pytest.mark.parametrize("scaling", ["auto", "none", "unit", "symmetric", "standard"])
    def test_is_undone(self, scaling: str) -> None:
        X = waves(40)
        preprocessor = Autoencoder(**SMALL, scaling=scaling).fit(X).preprocessor_
        np.testing.assert_allclose(preprocessor.to_data(preprocessor.to_model(X)), X, rtol=1e-4, atol=1e-3)

    def test_takes_bytes_for_numbers(self) -> None:
        X = np.random.default_rng(0).integers(0, 256, (30, 12, 2), dtype=np.uint8)
        assert Autoencoder(**SMALL).fit(X).likelihood_ == "gaussian"


class TestUses:
    def test_waves_come_back_better_than_by_pca_of_the_same_size(self) -> None:
        X, new = waves(400), waves(100, seed=1)
        model = Autoencoder(**SMALL | {"hidden_dims": (64,), "channels": (16, 32), "max_epochs": 25}).fit(X)
        rows, unseen = (model.in_range(part) for part in (X, new))
        pca = PCA(3).fit(rows.reshape(400, -1))
        by_pca = pca.inverse_transform(pca.transform(unseen.reshape(100, -1))).reshape(unseen.shape)
        ours = model.reconstruct_in_range(new)[1]
        assert np.square(ours - unseen).mean() < 0.75 * np.square(by_pca - unseen).mean()

    @pytest.mark.parametrize("architecture", ["conv", "mlp"])
    def test_missing_values_are_filled(self, architecture: str) -> None:
        X = waves(60)
        missing = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
        model = VAE(**SMALL, architecture=architecture).fit(missing)
        filled = model.impute(missing)
        assert not np.isnan(filled).any()
        np.testing.assert_array_equal(filled[~np.isnan(missing)], missing[~np.isnan(missing)])
        assert model.impute_samples(missing, 3, random_state=0).shape == (3, *X.shape)

    def test_what_is_odd_is_found_and_shown(self) -> None:
        X = waves(200)
        detector = AnomalyDetector(Autoencoder(**SMALL | {"max_epochs": 15}), n_estimators=2, random_state=0).fit(X)
        odd = X[:5].copy()
        odd[:, 20, 1] += 1000
        assert (detector.score_samples(odd) < detector.score_samples(X[:5])).all()
        parts = detector.explain(odd)
        assert parts.shape == odd.shape
        assert (parts.reshape(5, -1).argmax(axis=1) == 20 * 2 + 1).all()
        with pytest.raises(DataError, match=r"Rows of shape \(48, 2\) are no images"):
            detector.residual_map(odd)

    def test_a_run_s_report_and_uses_go_through(self, tmp_path: Path) -> None:
        np.save(tmp_path / "series.npy", waves(60))
        run = str(tmp_path / "run")
        flags = ["--layout", "sequence", "--latent-dim", "2", "--max-epochs", "2", "--channels", "4", "--out", run]
        said = done("fit", str(tmp_path / "series.npy"), *flags).err
        assert "60 sequences, 48×2" in said
        done("report", run)
        done("reconstruct", run, "-o", str(tmp_path / "again.npy"))
        assert np.load(tmp_path / "again.npy").shape[1:] == (48, 2)
        assert json.loads((Path(run) / "metrics.json").read_text())["n_features"] == 96

    def test_figures_show_one_channel_after_the_other(self) -> None:
        X = waves(24)
        preprocessor = Autoencoder(**SMALL).fit(X).preprocessor_
        line = preprocessor.in_line(X)
        assert np.array_equal(line[3, :48], X[3, :, 0]) and np.array_equal(line[3, 48:], X[3, :, 1])
        assert preprocessor.encoded_names is not None and len(preprocessor.encoded_names) == 96
        assert preprocessor.encoded_names[48 + 20] == "channel 1, step 20"


class TestHint:
    def test_says_that_narrow_images_may_be_sequences(self) -> None:
        expected = (
            r"taken for grey images of 48×2 pixels\. For sequences of 48 steps and 2 channels pass layout='sequence'"
        )
        with pytest.warns(UserWarning, match=expected):
            Autoencoder(2, max_epochs=1).fit(waves(24))

    def test_says_how_to_turn_channels_that_come_first(self) -> None:
        with pytest.warns(UserWarning, match=r"sequence\), after X\.transpose\(0, 2, 1\); layout='image' ends"):
            Autoencoder(2, max_epochs=1).fit(waves(24).transpose(0, 2, 1))

    @pytest.mark.parametrize(
        ("X", "layout"),
        [(waves(24), "image"), (waves(24), "sequence"), (np.random.default_rng(0).random((24, 8, 8)), "auto")],
    )
    def test_is_silent_where_there_is_nothing_to_ask(self, X: np.ndarray, layout: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Autoencoder(2, layout=layout, max_epochs=1, channels=(4,)).fit(X)


class TestMistakes:
    @pytest.mark.parametrize(
        ("X", "layout", "message"),
        [
            (
                np.zeros((9, 5)),
                "sequence",
                r"'sequence' takes X of shape \(n, length, channels\); X has shape \(9, 5\)",
            ),
            (
                np.zeros((9, 1, 4, 4)),
                "sequence",
                r"takes X of shape \(n, length, channels\); X has shape \(9, 1, 4, 4\)",
            ),
            (np.zeros((9, 5)), "image", r"takes X of shape \(n, height, width\) or \(n, channels, height, width\)"),
            (
                np.zeros((9, 5, 5)),
                "vector",
                r"layout='vector' takes X of shape \(n, features\); X has shape \(9, 5, 5\)",
            ),
            (
                pd.DataFrame({"a": [1.0, 2.0, 3.0] * 3, "b": list("xyz") * 3}),
                "sequence",
                "takes an array; X is a table",
            ),
            (np.zeros((9, 1, 4, 4, 4)), "auto", r"X has 5 dimensions .* layout='sequence'.* volumes as images"),
        ],
    )
    def test_are_named(self, X: Any, layout: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            Autoencoder(2, layout=layout).fit(X)

    def test_of_the_name_show_what_there_is(self) -> None:
        expected = r"layout cannot be 'series': expected one of 'vector', 'image', 'sequence' or 'auto'"
        with pytest.raises(SettingsError, match=expected):
            Autoencoder(layout="series").fit(waves(24))
