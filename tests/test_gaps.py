"""Rows with missing values: what is not observed counts for nothing, and is filled as well as can be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import bernoulli, multivariate_normal, norm
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from hyotan import CVAE, VAE, Autoencoder, evaluate, load
from hyotan.distributions import LIKELIHOODS
from hyotan.distributions.likelihoods import Observed
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.metrics import mean_image_errors, mse, pca_errors, row_errors
from hyotan.models import families
from hyotan.models import vae as vae_module
from hyotan.models.noise import RandomMask
from hyotan.preprocessing.scaling import SCALINGS

FAMILIES: dict[str, Any] = {
    family.name: family.estimator for family in families.FAMILIES if "missing values" in family.traits
}
EVERY = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
SMALL: dict[str, Any] = {"latent_dim": 3, "hidden_dims": (16,), "max_epochs": 2, "random_state": 0}
CONV: dict[str, Any] = {"architecture": "conv", "channels": (4, 8)}


def holed(X: np.ndarray, share: float = 0.3, seed: int = 0) -> np.ndarray:
    """X with a share of its values gone."""
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


DIGITS = load_digits()
TABLE = holed(DIGITS.data[:120, 18:31])
IMAGES = holed(DIGITS.images[:120] / 16)
COLOURED = holed(np.random.default_rng(0).random((60, 3, 9, 7)))
DATA: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "table": (TABLE, {}),
    "images": (IMAGES, {}),
    "conv": (IMAGES, CONV),
    "colour": (COLOURED, CONV),
}

_fitted: dict[tuple[type, str], LatentEstimator] = {}


def fitted(family: type[LatentEstimator], data: str = "table") -> Any:
    """A small estimator fitted on one of DATA; made once, so tests must not change it."""
    if (family, data) not in _fitted:
        X, settings = DATA[data]
        _fitted[family, data] = family(**{**SMALL, **settings}).fit(X)
    return _fitted[family, data]


def written_out(name: str, raw: np.ndarray, value: float, scale: float) -> float:
    """log p(value) of one feature whose decoder's output is raw: SciPy's, or an integral."""
    if name == "bernoulli":
        return float(bernoulli(1 / (1 + np.exp(-raw[0]))).logpmf(value))
    if name == "continuous-bernoulli":
        return raw[0] * value - np.log(quad(lambda x: np.exp(raw[0] * x), 0, 1)[0])
    deviation = np.exp(raw[1]) if name == "gaussian-heteroscedastic" else scale
    return float(norm(raw[0], deviation).logpdf(value))


@pytest.mark.parametrize("name", LIKELIHOODS)
class TestLogLikelihood:
    def test_is_the_sum_over_what_is_observed(self, name: str) -> None:
        likelihood = LIKELIHOODS[name]((4,), scale=0.7)
        raw = torch.linspace(-1, 1, 4 * likelihood.outputs).reshape(1, *likelihood.parameter_shape)
        value = torch.tensor([[1.0, torch.nan, 0.0, torch.nan]])
        each = raw.reshape(likelihood.outputs, 4).numpy().astype(np.float64)
        expected = written_out(name, each[:, 0], 1.0, 0.7) + written_out(name, each[:, 2], 0.0, 0.7)
        with torch.no_grad():
            assert Observed(likelihood(raw)).log_prob(value).item() == pytest.approx(expected, abs=1e-5)

    def test_of_each_feature_adds_up_to_that_of_the_whole(self, name: str) -> None:
        likelihood = LIKELIHOODS[name]((2, 3))
        whole = likelihood(torch.randn(5, *likelihood.parameter_shape))
        value = torch.rand(5, 2, 3)
        torch.testing.assert_close(whole.log_prob_per_feature(value).sum((1, 2)), whole.log_prob(value))
        torch.testing.assert_close(Observed(whole).log_prob(value), whole.log_prob(value))

    def test_a_missing_value_passes_no_gradient_and_no_nan(self, name: str) -> None:
        likelihood = LIKELIHOODS[name]((3,))
        raw = torch.randn(2, *likelihood.parameter_shape, requires_grad=True)
        Observed(likelihood(raw)).log_prob(torch.tensor([[0.5, torch.nan, 1.0], [torch.nan] * 3])).sum().backward()
        gradient = raw.grad
        assert gradient is not None and bool(gradient.isfinite().all())
        assert not gradient[0, ..., 1].any() and not gradient[1].any() and bool(gradient[0, ..., 0].any())


class Posterior(nn.Module):
    """The exact posterior where nothing is missing, and one that is far too wide elsewhere does no harm."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2 * latent)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x)


class TestLinearModel:
    """A linear decoder makes x Gaussian: everything that is asked of missing values has a closed form."""

    @pytest.fixture(scope="class")
    @staticmethod
    def model() -> tuple[VAE, np.ndarray, np.ndarray]:
        rows = np.random.default_rng(3).normal(size=(90, 4))
        own = {"encoder": Posterior(2), "decoder": nn.Linear(2, 4), "likelihood": "gaussian"}
        with_scale: dict[str, Any] = {"likelihood_scale": 0.8, "scaling": "none"}
        vae = VAE(2, handle_missing="always", max_epochs=1, random_state=0, **own, **with_scale).fit(rows)
        weight, bias = (part.detach().numpy().astype(np.float64) for part in vae.model_.decoder.parameters())
        return vae, bias, weight @ weight.T + 0.64 * np.eye(4)

    def test_the_likelihood_is_the_marginal_of_what_is_observed(self, model: Any) -> None:
        vae, mean, covariance = model
        rows = np.array([[1.0, np.nan, -0.5, 0.3], [np.nan, np.nan, 0.2, np.nan], [0.1, 0.2, 0.3, 0.4]])
        found = vae.log_likelihood(rows, n_samples=20_000)
        for row, value in zip(rows, found, strict=True):
            known = ~np.isnan(row)
            marginal = multivariate_normal(mean[known], covariance[np.ix_(known, known)])
            assert value == pytest.approx(marginal.logpdf(row[known]), abs=0.03)

    def test_a_row_without_values_has_likelihood_one_and_gets_the_prior(self, model: Any) -> None:
        vae, _, _ = model
        assert vae.log_likelihood(np.full((1, 4), np.nan), n_samples=20_000)[0] == pytest.approx(0, abs=0.03)

    def test_missing_values_get_the_conditional_expectation_and_its_deviation(
        self, model: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vae, mean, covariance = model
        monkeypatch.setattr(vae_module, "IMPUTATION_SAMPLES", 30_000)
        row = np.array([[1.0, np.nan, -0.5, np.nan]], dtype=np.float32)
        known, gone = [0, 2], [1, 3]
        gain = covariance[np.ix_(gone, known)] @ np.linalg.inv(covariance[np.ix_(known, known)])
        expected = mean[gone] + gain @ (row[0, known] - mean[known])
        unsure = covariance[np.ix_(gone, gone)] - gain @ covariance[np.ix_(known, gone)]
        with torch.no_grad():
            found, deviation = vae.model_.moments(torch.from_numpy(row))
        np.testing.assert_allclose(found[0, gone], expected, atol=0.03)
        np.testing.assert_allclose(deviation[0, gone], np.sqrt(np.diag(unsure)), atol=0.03)


class TestFilling:
    """Rows from a linear Gaussian model, of which the best imputation is known."""

    @pytest.fixture(scope="class")
    @staticmethod
    def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.default_rng(0)
        loadings = random.normal(size=(3, 8))
        whole = random.normal(size=(900, 3)) @ loadings + 0.3 * random.normal(size=(900, 8))
        covariance = loadings.T @ loadings + 0.09 * np.eye(8)
        rows = holed(whole)
        best = rows.copy()
        for at, row in enumerate(rows):
            known = ~np.isnan(row)
            gain = covariance[np.ix_(~known, known)] @ np.linalg.inv(covariance[np.ix_(known, known)])
            best[at, ~known] = gain @ row[known]
        return whole, rows, best

    @pytest.fixture(scope="class")
    @staticmethod
    def vae(data: Any) -> VAE:
        return VAE(4, hidden_dims=(32,), max_epochs=20, random_state=0).fit(1000 * data[1] + 5)

    def test_comes_near_the_best_there_is(self, data: Any, vae: VAE) -> None:
        whole, rows, best = data
        gone = np.isnan(rows)
        filled = (vae.impute(1000 * rows + 5) - 5) / 1000
        error, least = ((answer - whole)[gone].std() for answer in (filled, best))
        assert error < 1.1 * least < 0.8 * whole.std()

    @pytest.mark.parametrize("level", [0.5, 0.9])
    def test_intervals_hold_the_share_that_they_promise(self, data: Any, vae: VAE, level: float) -> None:
        whole, rows, _ = data
        gone = np.isnan(rows)
        low, high = vae.impute_intervals(1000 * rows + 5, level)
        inside = (low <= 1000 * whole + 5) & (1000 * whole + 5 <= high)
        assert inside[gone].mean() == pytest.approx(level, abs=0.05)
        assert (low <= high).all() and np.array_equal(low[~gone], high[~gone])

    def test_samples_spread_about_the_expectation(self, data: Any, vae: VAE) -> None:
        rows = 1000 * data[1][:40] + 5
        gone = np.isnan(rows)
        drawn = vae.impute_samples(rows, 60, random_state=0)
        assert drawn.shape == (60, 40, 8) and np.array_equal(drawn[0][~gone], rows[~gone])
        off = (drawn.mean(axis=0) - vae.impute(rows))[gone]
        assert np.abs(off).mean() < 0.5 * drawn.std(axis=0)[gone].mean() and (drawn.std(axis=0)[gone] > 0).all()
        np.testing.assert_array_equal(drawn, vae.impute_samples(rows, 60, random_state=0))
        assert not np.array_equal(drawn, vae.impute_samples(rows, 60, random_state=1))


@EVERY
class TestEveryFamily:
    @pytest.mark.parametrize("data", DATA)
    def test_fills_missing_values_and_leaves_the_rest(self, family: type[LatentEstimator], data: str) -> None:
        X = DATA[data][0]
        gone = np.isnan(X)
        filled = fitted(family, data).impute(X)
        assert filled.shape == X.shape and filled.dtype == X.dtype and np.isfinite(filled).all()
        np.testing.assert_array_equal(filled[~gone], X[~gone])
        assert fitted(family, data).impute(X.astype(np.float32)).dtype == np.float32

    @pytest.mark.parametrize("data", DATA)
    def test_lets_no_nan_through(self, family: type[LatentEstimator], data: str) -> None:
        X, estimator = DATA[data][0].copy(), fitted(family, data)
        X[3] = np.nan
        for name in ("transform", "reconstruct", "score_samples", "impute"):
            assert np.isfinite(getattr(estimator, name)(X)).all(), name
        assert all(np.isfinite(part).all() for part in estimator.loss_samples(X).values())
        assert all(np.isfinite(end).all() for end in estimator.impute_intervals(X))
        assert np.isfinite(estimator.sample(3, random_state=0)).all()
        assert all(np.isfinite(row["val_mse"]) and np.isfinite(row["loss"]) for row in estimator.history_)

    def test_comes_back_from_its_file_with_the_same_bits(self, family: type[LatentEstimator], tmp_path: Path) -> None:
        fitted(family).save(tmp_path / "m.hyotan")
        again: Any = load(tmp_path / "m.hyotan")
        np.testing.assert_array_equal(again.impute(TABLE), fitted(family).impute(TABLE))
        np.testing.assert_array_equal(again.impute_intervals(TABLE), fitted(family).impute_intervals(TABLE))
        np.testing.assert_array_equal(again.transform(TABLE), fitted(family).transform(TABLE))

    def test_fills_each_row_by_itself(self, family: type[LatentEstimator]) -> None:
        whole = fitted(family).impute(TABLE)
        np.testing.assert_allclose(fitted(family).impute(TABLE[7:9]), whole[7:9], rtol=1e-6)

    def test_without_missing_values_nothing_is_as_it_was_not(self, family: type[LatentEstimator]) -> None:
        whole = np.nan_to_num(TABLE)
        plain, told = family(**SMALL).fit(whole), family(**SMALL, handle_missing="never").fit(whole)  # pyrefly: ignore
        assert not plain.handles_missing_ and plain.model_.input_mask is None
        np.testing.assert_array_equal(plain.transform(whole), told.transform(whole))

    def test_can_learn_to_fill_from_whole_rows(self, family: type[LatentEstimator]) -> None:
        estimator: Any = family(**SMALL, handle_missing="always").fit(np.nan_to_num(TABLE))  # pyrefly: ignore
        assert np.isfinite(estimator.impute(TABLE)).all()

    def test_pixels_become_numbers_where_some_are_missing(self, family: type[LatentEstimator]) -> None:
        pixels = (DIGITS.images[:60] / 16 * 255).astype(np.uint8)
        estimator: Any = family(**SMALL, handle_missing="always").fit(pixels)  # pyrefly: ignore
        np.testing.assert_array_equal(estimator.impute(pixels), pixels)
        filled = estimator.impute(holed(pixels))
        assert filled.min() >= 0 and 100 < filled.max() <= 255

    def test_refuses_missing_values_where_it_has_not_learned_of_any(self, family: type[LatentEstimator]) -> None:
        estimator: Any = family(**SMALL).fit(np.nan_to_num(TABLE))
        count = int(np.isnan(TABLE).sum())
        told = (
            rf"X holds {count} missing values \(NaN\), the first in row 0, column \d+; this \w+ was fitted on rows "
            f"without missing values"
        )
        with pytest.raises(
            DataError,
            match=told + r"\. Fit it with handle_missing='always' \(--handle-missing "
            r"always\), or fill",
        ):
            estimator.transform(TABLE)
        with pytest.raises(
            SettingsError,
            match=r"was fitted on rows without missing values and has not learned to "
            "fill any",
        ):
            estimator.impute(np.nan_to_num(TABLE))

    def test_refuses_what_nothing_can_be_learned_of(self, family: type[LatentEstimator]) -> None:
        empty_columns = TABLE.copy()
        empty_columns[:, [2, 5]] = np.nan
        with pytest.raises(DataError, match=r"2 of 13 columns of X are never observed: 2, 5\. Leave them out"):
            family(**SMALL).fit(empty_columns)
        with pytest.raises(DataError, match=r"X holds no value: all are missing values"):
            family(**SMALL).fit(np.full_like(IMAGES, np.nan))
        with pytest.raises(DataError, match=r"X holds .* missing values \(NaN\).*which handle_missing='never' refuses"):
            family(**SMALL, handle_missing="never").fit(TABLE)  # pyrefly: ignore
        with pytest.raises(DataError, match=r"binarise draws every value anew, and X has missing values"):
            family(**SMALL, binarise="static").fit(IMAGES)  # pyrefly: ignore

    def test_refuses_a_level_that_is_none(self, family: type[LatentEstimator]) -> None:
        with pytest.raises(SettingsError, match=r"level cannot be 1\.0: ?.*|level cannot be 1\.0\. Expected a number"):
            fitted(family).impute_intervals(TABLE, 1.0)


def test_a_hollow_column_is_called_by_its_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"height": [1.0, 2.0, 3.0], "width": [np.nan] * 3})
    with pytest.raises(DataError, match=r"1 of 2 columns of X are never observed: 'width'"):
        VAE(**SMALL).fit(frame)


def test_tied_weights_and_labels_do_not_go_with_missing_values() -> None:
    with pytest.raises(SettingsError, match=r"tied=True shares the weights of an encoder that reads the rows alone"):
        Autoencoder(**SMALL, tied=True).fit(TABLE)
    with pytest.raises(
        DataError,
        match=r"missing values \(NaN\).*; a CVAE cannot handle missing values\. Fill them "
        "first: VAEImputer",
    ):
        CVAE(**SMALL).fit(TABLE, np.arange(120) % 2)


def test_a_network_of_the_users_own_sees_zero_at_missing_values() -> None:
    own = nn.Linear(13, 3)
    estimator = Autoencoder(**{**SMALL, "encoder": own}).fit(TABLE)
    assert np.isfinite(estimator.impute(TABLE)).all()


def test_an_ordered_code_can_have_missing_values() -> None:
    estimator = VAE(**SMALL, ordered=True).fit(TABLE)
    assert np.isfinite(estimator.impute(TABLE)).all() and np.isfinite(estimator.reconstruct(TABLE, size=1)).all()


def test_hiding_hides_another_share_of_each_row() -> None:
    torch.manual_seed(0)
    x = torch.zeros(400, 5, 100)
    share = RandomMask(0.5)(x).isnan().float().mean((1, 2))
    assert not x.isnan().any() and share.min() < 0.05 and 0.45 < share.max() < 0.6
    assert share.mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("name", ["unit", "symmetric", "standard"])
def test_scaling_goes_by_what_is_observed(name: str) -> None:
    rows = np.array([[1.0, np.nan], [3.0, 10.0], [np.nan, 30.0], [5.0, 20.0]])
    found = SCALINGS[name](rows)
    for column, observed in ((0, [1.0, 3.0, 5.0]), (1, [10.0, 30.0, 20.0])):
        alone = SCALINGS[name](np.array(observed)[:, None])
        assert found.offset[column] == pytest.approx(alone.offset[0])
        assert found.factor[column] == pytest.approx(alone.factor[0])


class TestMeasures:
    def test_errors_are_means_over_what_is_observed(self) -> None:
        a, b = np.array([[1.0, 2.0], [5.0, 1.0], [0.0, 0.0]]), np.array([[np.nan, 4.0], [4.0, 1.0], [np.nan] * 2])
        assert row_errors(a, b).tolist() == [4.0, 0.5, 0.0]
        assert mse(a, b) == pytest.approx(5 / 3)

    def test_baselines_fill_missing_values_with_the_mean(self) -> None:
        train, test = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, 7.0]]), np.array([[4.0, np.nan]])
        assert mean_image_errors(train, test).tolist() == [4.0]
        assert np.isfinite(pca_errors(train, test, 1)).all()

    def test_an_evaluation_counts_what_is_observed(self) -> None:
        estimator = fitted(VAE)
        record = evaluate(estimator, TABLE, TABLE, nll_rows=10, nll_samples=5)
        scaled, rows = estimator.reconstruct_in_range(TABLE)
        squares = (scaled - rows)[~np.isnan(TABLE)] ** 2
        assert record.mse == pytest.approx(np.mean(squares), rel=0.2)  # a mean of the rows' means
        assert record.mse_pca is not None and np.isfinite([record.mse_pca, record.loss, record.mse_mean_image]).all()


def test_a_clone_knows_nothing_of_missing_values() -> None:
    assert not hasattr(clone(fitted(VAE)), "handles_missing_")
