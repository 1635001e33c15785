"""What may arrive as data: the odd but legal succeeds, everything else is refused with value, place and fix."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.datasets import load_digits
from torch import nn

from hyotan import VAE, Autoencoder, load
from hyotan.errors import DataError, SettingsError
from hyotan.estimators import ESTIMATORS
from hyotan.estimators.estimator import LatentEstimator
from hyotan.training.callbacks import Callback
from hyotan.training.resident import batch_at, batch_count

DIGITS = load_digits()
IMAGES = (DIGITS.images[:60] / 16).astype(np.float32)
PIXELS = (IMAGES * 255).astype(np.uint8)
TABLE = np.random.default_rng(0).normal(3, 2, (60, 5))
SMALL: dict[str, Any] = {"latent_dim": 2, "hidden_dims": (8,), "max_epochs": 2, "random_state": 0}


def labels(n: int) -> np.ndarray:
    """Labels for n rows, for models that need them."""
    return np.arange(n) % 4


EVERY = pytest.mark.parametrize("family", ESTIMATORS.values(), ids=ESTIMATORS.keys())
USES = ["transform", "reconstruct", "score_samples", "score", "in_range", "loss_samples"]


def with_value(value: float, X: np.ndarray = TABLE, place: tuple[int, ...] = (4, 3)) -> np.ndarray:
    X = X.astype(np.float64)
    X[place] = value
    return X


BAD: dict[str, tuple[Any, str]] = {
    "inf": (
        with_value(np.inf),
        r"X holds 1 values that are NaN or infinity.*first is inf in row 4, column 3\. Leave such rows out, or fill",
    ),
    "-inf": (with_value(-np.inf), r"first is -inf in row 4, column 3"),
    "half-inf": (with_value(np.inf).astype(np.float16), r"first is inf in row 4, column 3"),
    "inf-among-missing values": (
        with_value(np.inf, with_value(np.nan, TABLE, (0, 0))),
        r"X holds 1 values .*first is inf in row 4, column 3",
    ),
    "beyond-float32": (with_value(1e39), r"too large for float32; the first is 1e\+39 in row 4, column 3"),
    "inf-in-image": (with_value(np.inf, IMAGES, (1, 2, 3)), r"first is inf in row 1, position \(2, 3\)"),
    "complex": (TABLE.astype(complex), r"Complex data not supported: X is complex128\. Pass X\.real"),
    "complex-image": (IMAGES.astype(complex), r"Complex data not supported: X is complex128"),
    "text": (np.array([["1", "2"], ["3", "4"]]), r"not compatible with arrays of bytes/strings\. ?Convert your data"),
    "object": (
        np.array([[1, "two"]], dtype=object),
        r"could not convert string to float: 'two' at \(0, 1\) of X\. Lea",
    ),
    "dates": (np.zeros((9, 5), "datetime64[D]"), r"X holds dates or durations \(datetime64\[D\]\); expected numbers"),
    "ragged": ([[1.0, 2.0], [1.0]], r"X is ragged: its rows have different lengths\. Give every row the same number"),
    "sparse": (scipy.sparse.csr_matrix(TABLE), r"X is sparse \(csr_matrix, 60 rows\).*Pass X\.toarray\(\)"),
    "no-rows": (TABLE[:0], r"0 sample\(s\) \(shape=\(0, 5\)\) while a minimum of 1 is required"),
    "no-images": (IMAGES[:0], r"0 sample\(s\) \(shape=\(0, 8, 8\)\) while a minimum of 1 is required"),
    "no-columns": (TABLE[:, :0], r"0 feature\(s\) \(shape=\(60, 0\)\) while a minimum of 1 is required"),
    "no-pixels": (IMAGES[:, :0], r"X has shape \(60, 0, 8\): there are no values in it"),
    "number": (3.0, r"Expected 2D array, got scalar array instead"),
    "none": (None, r"Expected 2D array, got scalar array instead"),
    "one-row": (TABLE[0], r"(?s)Expected 2D array, got 1D array instead.*Reshape your data"),
    "5-d": (np.zeros((3, 1, 2, 2, 2)), r"X has 5 dimensions \(3, 1, 2, 2, 2\); expected 2 \(a table\).*Reshape it"),
    "channels-last": (np.zeros((9, 8, 8, 3)), r"channels last, \(9, 8, 8, 3\).*Pass X\.transpose\(0, 3, 1, 2\)"),
}

LEGAL: dict[str, Callable[[], Any]] = {
    "float16": lambda: TABLE.astype(np.float16),
    "float32": lambda: TABLE.astype(np.float32),
    "float64": lambda: TABLE,
    "longdouble": lambda: TABLE.astype(np.longdouble),
    "int8": lambda: TABLE.round().astype(np.int8),
    "uint8": lambda: TABLE.clip(0).round().astype(np.uint8),
    "int64": lambda: TABLE.round().astype(np.int64),
    "uint64": lambda: TABLE.clip(0).astype(np.uint64),
    "bool": lambda: TABLE > 3,
    "bool-image": lambda: IMAGES > 0.5,
    "int-image": lambda: (IMAGES * 16).astype(np.int16),
    "float16-image": lambda: IMAGES.astype(np.float16),
    "list": lambda: TABLE.tolist(),
    "nested-list": lambda: IMAGES[:9].tolist(),
    "objects": lambda: TABLE.astype(object),
    "strided": lambda: np.repeat(np.repeat(TABLE, 2, axis=0), 2, axis=1)[::2, ::2],
    "reversed": lambda: IMAGES[::-1, ::-1],
    "fortran": lambda: np.asfortranarray(TABLE),
    "fortran-image": lambda: np.asfortranarray(IMAGES),
    "big-endian": lambda: TABLE.astype(">f8"),
    "big-endian-image": lambda: IMAGES.astype(">f4"),
    "constant-column": lambda: np.column_stack([TABLE, np.full(60, 7.0)]),
    "all-constant": lambda: np.full((60, 4), 7.5),
    "all-zero-image": lambda: np.zeros((60, 4, 4)),
    "duplicates": lambda: np.repeat(TABLE[:3], 20, axis=0),
    "one-feature": lambda: TABLE[:, :1],
    "one-pixel": lambda: IMAGES[:, 3:4, 3:4],
    "tiny-values": lambda: TABLE * 1e-30,
    "great-values": lambda: TABLE * 1e30,
    "far-from-zero": lambda: TABLE + 1e8,
    "one-outlier": lambda: with_value(1e12),
    "wide": lambda: np.random.default_rng(0).normal(size=(12, 300)),
    "colour": lambda: np.random.default_rng(0).random((12, 3, 5, 4)),
    "frame": lambda: pd.DataFrame(TABLE, columns=list("abcde")),
    "japanese-frame": lambda: pd.DataFrame(TABLE, columns=["瓢箪", "駒", "重み", "高さ", "年"]),
    "nullable-frame": lambda: pd.DataFrame(TABLE.round()).astype("Int64"),
}


@EVERY
class TestBadInput:
    @pytest.mark.parametrize("case", BAD)
    def test_is_refused_when_fitting(self, family: type[LatentEstimator], case: str) -> None:
        X, match = BAD[case]
        with pytest.raises(DataError, match=match):
            family(**SMALL).fit(X, labels(60))

    @pytest.mark.parametrize("case", BAD)
    def test_is_refused_by_every_method_of_a_fitted_one(self, family: type[LatentEstimator], case: str) -> None:
        X, match = BAD[case]
        is_image = case in ("inf-in-image", "complex-image", "no-images")
        estimator = family(**SMALL).fit(IMAGES if is_image else TABLE, labels(60))
        for name in USES:
            with pytest.raises(DataError, match=match):
                getattr(estimator, name)(X)

    def test_of_another_shape_is_refused_naming_both(self, family: type[LatentEstimator]) -> None:
        table, images = family(**SMALL).fit(TABLE, labels(60)), family(**SMALL).fit(IMAGES, labels(60))
        for name in USES:
            with pytest.raises(DataError, match=r"X has 4 features, but \w+ is expecting 5 features"):
                getattr(table, name)(TABLE[:, :4])
            with pytest.raises(
                DataError, match=r"X has samples of shape \(8, 8\); \w+ was fitted on samples of shape \(5,\)"
            ):
                getattr(table, name)(IMAGES)
            with pytest.raises(
                DataError, match=r"X has samples of shape \(8, 7\); .* of shape \(8, 8\)\. Pass rows of"
            ):
                getattr(images, name)(IMAGES[:, :, :7])
            with pytest.raises(DataError, match=r"X has samples of shape \(64,\); .* of shape \(8, 8\)\. Pass rows of"):
                getattr(images, name)(IMAGES.reshape(60, 64))

    @pytest.mark.parametrize(
        ("Z", "match"),
        [
            (np.zeros((4, 3)), r"Z has shape \(4, 3\); expected \(n, 2\): one code of size 2 a row"),
            (np.zeros(2), r"Z has shape \(2,\); expected \(n, 2\).*For a single code pass Z\[None\]"),
            (np.zeros((0, 2)), r"Z has shape \(0, 2\); expected \(n, 2\)"),
            (np.zeros((1, 1, 2)), r"Z has shape \(1, 1, 2\); expected \(n, 2\)"),
            ([[0.0, np.nan]], r"Z holds 1 values that are NaN.*first is NaN in row 0, column 1"),
            ([[0.0, 1e300]], r"Z holds 1 values .*first is 1e\+300 in row 0, column 1"),
            ([[0.0], [1.0, 2.0]], r"Z is ragged: its rows have different lengths\. Give every row 2 numbers"),
            ([["a", "b"]], r"Z holds <U1 values; expected numbers"),
            (np.zeros((2, 2), complex), r"Complex data not supported: Z is complex128"),
            (scipy.sparse.csr_matrix((2, 2)), r"Z is sparse \(csr_matrix, 2 rows\).*Pass Z\.toarray\(\)"),
            (None, r"Z has shape \(\); expected \(n, 2\)"),
        ],
    )
    def test_as_codes_is_refused(self, family: type[LatentEstimator], Z: object, match: str) -> None:
        with pytest.raises(DataError, match=match):
            family(**SMALL).fit(TABLE, labels(60)).inverse_transform(Z)

    def test_leaves_a_fitted_estimator_usable(self, family: type[LatentEstimator]) -> None:
        estimator = family(**SMALL).fit(TABLE, labels(60))
        before = estimator.transform(TABLE)
        with pytest.raises(DataError, match="infinity"):
            estimator.fit(with_value(np.inf), labels(60))
        assert np.array_equal(estimator.transform(TABLE), before)


@EVERY
class TestOddButLegalData:
    @pytest.mark.parametrize("case", LEGAL)
    def test_is_fitted_and_used_without_a_warning(self, family: type[LatentEstimator], case: str) -> None:
        X = LEGAL[case]()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            estimator = family(**SMALL).fit(X, labels(len(X)))
            codes, back, scores = estimator.transform(X), estimator.reconstruct(X), estimator.score_samples(X)
            drawn = estimator.sample(3, random_state=0)
        assert codes.shape == (len(X), 2)
        assert back.shape == np.shape(X)
        assert drawn.shape == (3, *np.shape(X)[1:])
        for result in (codes, back, scores, drawn):
            assert result.dtype == np.float32
            assert np.isfinite(result).all()

    @pytest.mark.parametrize("mode", ["r", "c"])
    @pytest.mark.parametrize("X", [TABLE, IMAGES, PIXELS], ids=["table", "images", "pixels"])
    def test_may_be_a_memory_map(self, family: type[LatentEstimator], X: np.ndarray, mode: str, tmp_path: Path) -> None:
        np.save(tmp_path / "X.npy", X)
        mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            estimator = family(**SMALL).fit(mapped, labels(len(X)))
            assert np.array_equal(estimator.reconstruct(mapped), family(**SMALL).fit(X, labels(len(X))).reconstruct(X))
        assert np.array_equal(mapped, X)

    def test_is_never_changed(self, family: type[LatentEstimator]) -> None:
        for X in (TABLE.copy(), IMAGES.copy(), PIXELS.copy()):
            before = X.copy()
            estimator = family(**SMALL, scaling="unit", validation_fraction=0).fit(X, labels(len(X)))
            estimator.reconstruct(X)
            estimator.set_params(binarise="dynamic").fit(X, labels(len(X)))
            assert np.array_equal(X, before)

    def test_of_one_value_is_given_back(self, family: type[LatentEstimator]) -> None:
        X = np.full((60, 4), 7.5)
        estimator = family(**{**SMALL, "max_epochs": 150}, learning_rate=0.02).fit(X, labels(len(X)))
        np.testing.assert_allclose(estimator.reconstruct(X), X, atol=0.1)


@EVERY
class TestColumnNames:
    def test_are_kept_and_compared(self, family: type[LatentEstimator]) -> None:
        frame = pd.DataFrame(TABLE, columns=["瓢箪", "駒", "重み", "高さ", "年"])
        estimator = family(**SMALL).fit(frame, labels(60))
        assert list(estimator.feature_names_in_) == list(frame.columns)
        assert np.array_equal(estimator.transform(frame), family(**SMALL).fit(TABLE, labels(60)).transform(TABLE))
        with pytest.raises(DataError, match=r"(?s)feature names should match.*unseen.*- horse.*seen at fit time.*- 駒"):
            estimator.transform(frame.rename(columns={"駒": "horse"}))
        with pytest.raises(DataError, match=r"(?s)feature names should match.*same order"):
            estimator.transform(frame[frame.columns[::-1]])

    def test_come_back_from_a_file(self, family: type[LatentEstimator], tmp_path: Path) -> None:
        frame = pd.DataFrame(TABLE, columns=["瓢箪", "駒", "重み", "高さ", "年"])
        family(**SMALL).fit(frame, labels(60)).save(tmp_path / "m.hyotan")
        loaded = load(tmp_path / "m.hyotan")
        assert list(loaded.feature_names_in_) == list(frame.columns)
        with pytest.raises(DataError, match="(?s)feature names should match.*- horse"):
            loaded.transform(frame.rename(columns={"駒": "horse"}))

    def test_of_an_earlier_fit_are_forgotten(self, family: type[LatentEstimator]) -> None:
        estimator = family(**SMALL).fit(pd.DataFrame(TABLE, columns=list("abcde")), labels(60))
        assert not hasattr(estimator.fit(IMAGES, labels(60)), "feature_names_in_")


class TestFewRows:
    @EVERY
    @pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
    @pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9])
    def test_are_enough(self, family: type[LatentEstimator], n: int, fraction: float) -> None:
        estimator = family(**SMALL, batch_size=8, validation_fraction=fraction).fit(TABLE[:n], labels(n))
        assert estimator.reconstruct(TABLE).shape == TABLE.shape
        assert np.isfinite(estimator.score_samples(TABLE)).all()
        assert ("val_loss" in estimator.history_[-1]) == (int(n * fraction) > 0)

    @pytest.mark.parametrize("family", [Autoencoder, VAE], ids=["ae", "vae"])
    @pytest.mark.parametrize("n", [7, 8, 9, 17])
    def test_left_over_from_the_batches_do_not_break_batch_normalisation(
        self, family: type[LatentEstimator], n: int
    ) -> None:
        encoder = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 4 if family is VAE else 2))
        estimator = family(**SMALL, batch_size=8, validation_fraction=0, encoder=encoder).fit(TABLE[:n], labels(n))
        assert np.isfinite(estimator.transform(TABLE)).all()

    @pytest.mark.parametrize(("n", "size"), [(1, 8), (7, 8), (8, 8), (9, 8), (10, 8), (17, 8), (16, 8), (3, 1), (2, 2)])
    def test_are_all_in_a_batch_and_never_alone_where_that_can_be_helped(self, n: int, size: int) -> None:
        bounds = [batch_at(step, n, size) for step in range(batch_count(n, size))]
        assert [row for start, end in bounds for row in range(start, end)] == list(range(n))
        assert size == 1 or n == 1 or all(end - start > 1 for start, end in bounds)

    def test_of_which_none_can_be_held_out_leave_the_last_weights(self) -> None:
        estimator = Autoencoder(**SMALL, validation_fraction=0.1).fit(TABLE[:5])
        assert estimator.best_epoch_ == estimator.n_iter_ == 2
        with pytest.raises(
            SettingsError, match=r"early_stopping needs held-out rows; of 5 rows none are held out\. Raise"
        ):
            Autoencoder(**SMALL, validation_fraction=0.1, early_stopping=1).fit(TABLE[:5])

    @pytest.mark.parametrize(("rows", "expected"), [("first", range(12)), ("last", range(48, 60))])
    def test_are_held_out_where_asked(self, rows: str, expected: range) -> None:
        marked = TABLE.copy()
        marked[list(expected)] += 1e4  # rows so far off that the scaling shows whether they were trained on
        estimator = Autoencoder(**SMALL, validation_fraction=0.2, validation_rows=rows).fit(marked)
        kept = np.setdiff1d(np.arange(60), expected)
        np.testing.assert_allclose(estimator.preprocessor_.scaling.offset, marked[kept].mean(axis=0))


class TestRanges:
    @pytest.mark.parametrize(
        ("X", "settings", "likelihood", "span"),
        [
            (PIXELS, {}, "bernoulli", (0, 1)),
            (IMAGES, {}, "bernoulli", (0, 1)),
            (TABLE > 3, {}, "bernoulli", (0, 1)),
            (PIXELS, {"scaling": "none"}, "gaussian", (0, 255)),
            (PIXELS, {"scaling": "symmetric"}, "gaussian", (-1, 1)),
            (IMAGES * 16, {"scaling": "unit"}, "bernoulli", (0, 1)),
            (IMAGES * 16, {"scaling": "none"}, "gaussian", (0, 16)),
            (IMAGES, {"scaling": "none", "likelihood": "continuous-bernoulli"}, "continuous-bernoulli", (0, 1)),
        ],
    )
    def test_follow_from_type_and_values(
        self, X: np.ndarray, settings: dict, likelihood: str, span: tuple[float, float]
    ) -> None:
        estimator = Autoencoder(**SMALL, **settings).fit(X)
        assert estimator.likelihood_ == likelihood
        assert estimator.range_ == pytest.approx(span, abs=1e-6)

    @pytest.mark.parametrize("scaling", ["none", "unit", "symmetric", "standard"])
    @pytest.mark.parametrize("X", [PIXELS, IMAGES, TABLE], ids=["pixels", "images", "table"])
    def test_are_undone_by_the_reconstruction(self, X: np.ndarray, scaling: str) -> None:
        settings = {**SMALL, "latent_dim": 8, "hidden_dims": (), "max_epochs": 200, "validation_fraction": 0.0}
        estimator = Autoencoder(**settings, learning_rate=0.03, scaling=scaling, likelihood="gaussian").fit(X)
        error = np.square(estimator.reconstruct(X) - X).mean()
        assert error < 0.6 * X.var(axis=0).mean()
        scaled, back = estimator.reconstruct_in_range(X)
        assert (scaled.min(), scaled.max()) == pytest.approx(estimator.range_, abs=1e-5)
        np.testing.assert_allclose(
            estimator.preprocessor_.to_data(back), estimator.reconstruct(X), rtol=1e-4, atol=1e-4
        )

    def test_of_a_tables_small_integers_are_numbers_not_pixels(self) -> None:
        table = PIXELS.reshape(60, 64)
        estimator = Autoencoder(**SMALL).fit(table)
        assert estimator.likelihood_ == "gaussian"
        np.testing.assert_allclose(estimator.in_range(table)[:54].std(axis=0).max(), 1, atol=0.2)
        assert estimator.range_[1] > 1.5

    @pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli"])
    @pytest.mark.parametrize(
        ("X", "settings", "span"),
        [
            (IMAGES * 255, {}, r"\[0, 255\]"),
            (IMAGES * 16, {"scaling": "none"}, r"\[0, 16\]"),
            (PIXELS, {"scaling": "none"}, r"\[0, 255\]"),
            (IMAGES - 0.5, {}, r"\[-0\.5, 0\.5\]"),
            (IMAGES, {"scaling": "symmetric"}, r"\[-1, 1\]"),
            (PIXELS, {"scaling": "symmetric"}, r"\[-1, 1\]"),
            (IMAGES, {"scaling": "standard"}, r"\[-\d.*, \d.*\]"),
            (PIXELS, {"scaling": "standard"}, r"\[-\d.*, \d.*\]"),
            (with_value(1.001, IMAGES, (0, 0, 0)), {}, r"\[0, 1\.001\]"),
        ],
    )
    def test_outside_the_support_are_refused_before_the_first_step(
        self, likelihood: str, X: np.ndarray, settings: dict, span: str
    ) -> None:
        watch = Steps()
        match = rf"A {likelihood} likelihood expects values in \[0, 1\]; got {span} after scaling\. Divide by 255"
        with pytest.raises(DataError, match=match):
            Autoencoder(**SMALL, **settings, likelihood=likelihood, callbacks=[watch]).fit(X)
        assert watch.taken == 0

    def test_of_held_out_rows_may_leave_those_of_the_training_rows(self) -> None:
        X = np.concatenate([IMAGES, 3 * IMAGES[:12] - 1])
        settings = {**SMALL, "validation_fraction": 12 / 72, "validation_rows": "last"}
        estimator = Autoencoder(**settings, scaling="unit", likelihood="bernoulli").fit(X)
        assert estimator.range_ == (0, 1)
        assert np.isfinite(estimator.history_[-1]["val_loss"])

    def test_for_binarising_must_be_shares(self) -> None:
        with pytest.raises(DataError, match=r"binarise needs values in \[0, 1\]; got \[0, 16\].*Pass scaling='unit'"):
            Autoencoder(**SMALL, binarise="static", likelihood="gaussian", scaling="none").fit(IMAGES * 16)


class Steps(Callback):
    """Counts steps."""

    taken = 0

    def on_step_end(self, fitting: Any) -> None:
        self.taken += 1


class TestSettingsThatDoNotFit:
    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ({"latent_dim": 0}, r"latent_dim cannot be 0: expected an integer of at least 1"),
            ({"latent_dim": "abc"}, r"latent_dim cannot be 'abc': expected an integer of at least 1"),
            ({"output_activation": "tanh"}, r"output_activation='tanh' gives values in \[-1, 1\], which a bernoulli"),
            ({"tied": True, "architecture": "conv"}, r"tied=True shares the weights of fully connected layers"),
            (
                {"tied": True, "encoder": nn.Linear(64, 2)},
                r"tied=True .*Choose architecture='mlp', no encoder or decod",
            ),
            ({"tied": True, "likelihood": "gaussian-heteroscedastic"}, r"tied=True .* one output a feature"),
            ({"callbacks": "abc"}, r"callbacks cannot be 'abc': expected a list of hyotan\.training\.callbacks\.Call"),
            ({"callbacks": [Steps]}, r"callbacks cannot be .*Pass instances, in a list"),
            ({"callbacks": Steps()}, r"callbacks cannot be .*Pass instances, in a list"),
        ],
    )
    def test_are_refused_with_what_would(self, settings: dict, match: str) -> None:
        with pytest.raises(SettingsError, match=match):
            Autoencoder(**{**SMALL, **settings}).fit(IMAGES)

    def test_convolutions_need_images(self) -> None:
        with pytest.raises(SettingsError, match=r"A convolutional network expects images; got samples of shape \(5,\)"):
            VAE(**SMALL, architecture="conv").fit(TABLE, labels(60))

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
    @EVERY
    def test_a_device_that_is_not_there_is_named(self, family: type[LatentEstimator]) -> None:
        with pytest.raises(SettingsError, match=re.escape("device 'cuda' is not available here. Choose device='cpu'")):
            family(device="cuda").fit(IMAGES, labels(60))


class TestRowsThatAnotherModelEncoded:
    def test_are_checked_again(self) -> None:
        X = np.random.default_rng(0).normal(size=(60, 4))
        whole, other = VAE(**SMALL).fit(X), VAE(**SMALL, handle_missing="always").fit(X)
        X[3, 1] = np.nan
        with pytest.raises(DataError, match="this VAE was fitted on rows without missing values"):
            whole.transform(other.encode_rows(X))
        with pytest.raises(DataError, match="X has 4 features, but VAE is expecting 3 features"):
            VAE(**SMALL).fit(X[:3, :3]).transform(whole.encode_rows(np.zeros((2, 4))))
