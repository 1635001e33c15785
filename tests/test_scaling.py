"""The affine map to the model's range, against scikit-learn's scalers and by its round trip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from hyotan import VAE, Autoencoder
from hyotan.preprocessing.scaling import SCALINGS, automatic, is_pixels, suits_bernoulli

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(50, 4)) * [1, 10, 0.01, 1000] + [0, 5, -3, 1e4]
PIXELS = RNG.integers(0, 256, (20, 6, 5)).astype(np.uint8)
FLOATS = RNG.normal(3, 2, (20, 3, 6, 5)).astype(np.float32)

tables = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.floats(-1e4, 1e4, width=32)
)


@pytest.mark.parametrize("name", SCALINGS)
class TestEveryScaling:
    """One contract for all of them."""

    @given(X=tables)
    def test_comes_back_to_where_it_was(self, name: str, X: np.ndarray) -> None:
        scaling = SCALINGS[name](X)
        scaled = scaling.to_model(X)
        assert scaled.dtype == np.float32 and np.isfinite(scaled).all()
        # fp32 between the two maps: exact to some units in the last place of the values' range.
        width = np.abs(X).max(axis=0) + np.abs(X - X.mean(axis=0)).max(axis=0)
        assert (np.abs(scaling.to_data(scaled) - X) <= 1e-6 * width + 1e-30).all()

    @pytest.mark.parametrize("X", [TABLE, PIXELS, FLOATS], ids=["table", "pixels", "floats"])
    def test_is_affine_and_comes_back(self, name: str, X: np.ndarray) -> None:
        scaling = SCALINGS[name](X)
        np.testing.assert_allclose(scaling.to_model(X), (X.astype(float) - scaling.offset) * scaling.factor, atol=1e-5)
        np.testing.assert_allclose(scaling.to_data(scaling.to_model(X)), X, rtol=1e-5, atol=1e-4)

    def test_does_not_touch_its_input(self, name: str) -> None:
        before = TABLE.copy()
        scaling = SCALINGS[name](TABLE)
        scaling.to_data(scaling.to_model(TABLE))
        np.testing.assert_array_equal(TABLE, before)

    @pytest.mark.parametrize("value", [0.0, 7.5, -1e4, 1e-6])
    def test_a_constant_column_stays_finite_and_comes_back(self, name: str, value: float) -> None:
        X = np.column_stack([TABLE, np.full(50, value)])
        scaling = SCALINGS[name](X)
        scaled = scaling.to_model(X)
        assert np.isfinite(scaled).all() and (scaled[:, 4] == scaled[0, 4]).all()
        np.testing.assert_allclose(scaling.to_data(scaled)[:, 4], value, rtol=1e-6, atol=1e-9)


class TestUnit:
    """To [0, 1]."""

    def test_of_a_table_is_scikit_learns_by_column(self) -> None:
        np.testing.assert_allclose(
            SCALINGS["unit"](TABLE).to_model(TABLE), MinMaxScaler().fit_transform(TABLE), atol=1e-6
        )

    def test_of_pixels_divides_by_255_whatever_they_are(self) -> None:
        dark = PIXELS // 4 + 3
        np.testing.assert_allclose(SCALINGS["unit"](dark).to_model(dark), dark / 255, atol=1e-7)

    def test_of_other_images_takes_the_ends_of_all_values(self) -> None:
        scaled = SCALINGS["unit"](FLOATS).to_model(FLOATS)
        expected = (FLOATS - FLOATS.min()) / (FLOATS.max() - FLOATS.min())
        np.testing.assert_allclose(scaled, expected, atol=1e-6)

    def test_of_a_table_of_small_integers_is_by_column_too(self) -> None:
        X = np.array([[0, 10], [4, 20], [2, 15]], dtype=np.uint8)
        np.testing.assert_allclose(SCALINGS["unit"](X).to_model(X), [[0, 0], [1, 1], [0.5, 0.5]])

    def test_is_fitted_once_and_used_on_other_rows(self) -> None:
        scaling = SCALINGS["unit"](np.array([[0.0], [2.0]]))
        np.testing.assert_allclose(scaling.to_model(np.array([[3.0], [-1.0]])), [[1.5], [-0.5]])


class TestSymmetric:
    """To [-1, 1]."""

    @pytest.mark.parametrize("X", [TABLE, PIXELS, FLOATS], ids=["table", "pixels", "floats"])
    def test_is_twice_the_unit_scaling_less_one(self, X: np.ndarray) -> None:
        unit, symmetric = (SCALINGS[name](X).to_model(X) for name in ("unit", "symmetric"))
        np.testing.assert_allclose(symmetric, 2 * unit - 1, atol=1e-6)

    def test_of_pixels_sends_black_and_white_to_the_ends(self) -> None:
        X = np.array([[[0, 255]]], dtype=np.uint8)
        np.testing.assert_array_equal(SCALINGS["symmetric"](X).to_model(X), [[[-1, 1]]])


class TestStandard:
    """To mean 0 and standard deviation 1."""

    def test_is_scikit_learns(self) -> None:
        expected = StandardScaler().fit_transform(TABLE)
        np.testing.assert_allclose(SCALINGS["standard"](TABLE).to_model(TABLE), expected, atol=1e-5)

    def test_works_feature_by_feature_on_images(self) -> None:
        expected = StandardScaler().fit_transform(FLOATS.reshape(20, -1)).reshape(FLOATS.shape)
        np.testing.assert_allclose(SCALINGS["standard"](FLOATS).to_model(FLOATS), expected, atol=1e-5)

    def test_does_not_blow_up_the_rounding_of_a_constant(self) -> None:
        X = np.full((50, 1), 1e4) + RNG.normal(0, 1e-5, (50, 1))
        assert np.abs(SCALINGS["standard"](X).to_model(X)).max() < 1e-3

    def test_keeps_small_columns_that_do_vary(self) -> None:
        X = RNG.normal(0, 1e-5, (50, 1))
        assert SCALINGS["standard"](X).to_model(X).std() == pytest.approx(1, rel=1e-5)


class TestNone:
    """Leaves the values as they are."""

    def test_keeps_every_value_as_fp32(self) -> None:
        np.testing.assert_array_equal(SCALINGS["none"](TABLE).to_model(TABLE), TABLE.astype(np.float32))
        assert SCALINGS["none"](TABLE).is_identity and not SCALINGS["unit"](TABLE).is_identity


class TestWhatIsChosenForTheData:
    """By the type of the values and their range."""

    def test_only_image_shaped_bytes_are_pixels(self) -> None:
        assert is_pixels(PIXELS) and is_pixels(PIXELS[:, None])
        assert not is_pixels(PIXELS.reshape(20, -1)) and not is_pixels(PIXELS.astype(np.int64))

    @pytest.mark.parametrize(
        ("X", "likelihood", "low", "high"),
        [
            (PIXELS, "bernoulli", 0, 1),
            (RNG.random((20, 6, 5)), "bernoulli", 0, 1),
            ((RNG.random((20, 6)) > 0.5).astype(float), "bernoulli", 0, 1),
            (FLOATS, "gaussian", -9, 9),
            (TABLE, "gaussian", -9, 9),
            (RNG.random((20, 6)), "gaussian", -9, 9),
            (PIXELS.reshape(20, -1), "gaussian", -9, 9),
        ],
        ids=["pixels", "grey", "yes and no", "real images", "table", "shares", "small integers"],
    )
    def test_suits_them(self, X: np.ndarray, likelihood: str, low: float, high: float) -> None:
        model = Autoencoder(2, hidden_dims=(), max_epochs=1, validation_fraction=0, random_state=0).fit(X)
        scaled = model.in_range(X)
        assert model.likelihood_ == likelihood
        assert low <= scaled.min() <= scaled.max() <= high
        if likelihood == "gaussian":
            np.testing.assert_allclose(scaled.std(0), 1, rtol=1e-4)
        else:
            np.testing.assert_allclose(scaled, X / (255 if X.dtype == np.uint8 else 1), atol=1e-7)

    def test_a_bounded_likelihood_is_not_bent_to_fit(self) -> None:
        assert automatic(TABLE, -9.0, 9.0, bounded=True) is SCALINGS["none"]
        assert automatic(TABLE, -9.0, 9.0, bounded=False) is SCALINGS["standard"]

    @pytest.mark.parametrize(("ends", "is_picture"), [(1, False), (2, True)])
    def test_a_tenth_of_the_values_at_the_ends_makes_a_picture(self, ends: int, is_picture: bool) -> None:
        row = np.full((1, 20), 0.5)
        row[0, :ends] = 1.0
        assert suits_bernoulli(np.repeat(row, 30, axis=0)) == is_picture


class TestThroughAnEstimator:
    """Scaled once on the way in, back once on the way out."""

    @pytest.mark.parametrize("scaling", ["unit", "symmetric", "standard", "none"])
    def test_answers_in_the_units_of_the_data(self, scaling: str) -> None:
        X = RNG.normal(0, 1, (60, 1)) * [[2.0, -1.0, 4.0]] + [[100.0, -50.0, 7.0]]
        model = VAE(1, hidden_dims=(), scaling=scaling, likelihood="gaussian", max_epochs=1, random_state=0).fit(X)
        reconstruction = model.reconstruct(X)
        in_range, reconstruction_in_range = model.reconstruct_in_range(X)
        np.testing.assert_allclose(
            reconstruction,
            reconstruction_in_range / model.preprocessor_.scaling.factor + model.preprocessor_.scaling.offset,
            rtol=1e-5,
            atol=1e-4,
        )
        np.testing.assert_allclose(
            in_range / model.preprocessor_.scaling.factor + model.preprocessor_.scaling.offset, X, rtol=1e-5, atol=1e-4
        )

    def test_is_fitted_on_the_training_rows_alone(self) -> None:
        X = np.concatenate([RNG.normal(100, 1, (10, 3)), RNG.normal(0, 1, (90, 3))])
        model = Autoencoder(1, max_epochs=1, validation_rows="first", validation_fraction=0.1, random_state=0).fit(X)
        np.testing.assert_allclose(model.preprocessor_.scaling.offset, X[10:].mean(0))
