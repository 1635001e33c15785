"""Recipes: each is complete, trains as written, and gives the figures that it states."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from hyotan.analysis.evaluation import evaluate
from hyotan.data import load as load_data
from hyotan.errors import SettingsError
from hyotan.estimators import ESTIMATORS
from hyotan.estimators.estimator import LatentEstimator
from hyotan.parameters.table import PARAMETERS, parameters_of
from hyotan.recipes import Recipe, names, read

EVERY = pytest.mark.parametrize("name", names())
ARTICLES = (
    "article-ae-200",
    "article-simple-20",
    "article-tied-20",
    "article-vae-10",
    "article-vae-10-fixed",
    "article-vae-20",
)


def synthetic_digits(n: int = 500) -> np.ndarray:
    """Strokes on black, as uint8, (n, 28, 28): bars at random places and angles."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    angle, offset = random.uniform(0, np.pi, (2, n, 1, 1))
    distance = np.abs(np.cos(angle) * x + np.sin(angle) * y - (offset / np.pi - 0.5))
    return (255 * np.clip(1.5 - 8 * distance, 0, 1)).astype(np.uint8)


def estimator_of(recipe: Recipe, **changes: object) -> LatentEstimator:
    return ESTIMATORS[recipe.kind](**{**recipe.parameters, "random_state": 0, **changes})


def shapes_of(estimator: LatentEstimator) -> list[tuple[int, ...]]:
    return [tuple(parameter.shape) for parameter in estimator.model_.parameters()]


class TestEveryRecipe:
    def test_of_the_articles_is_there(self) -> None:
        assert set(ARTICLES) <= set(names())
        files = [file.name for file in resources.files("hyotan.recipes").iterdir() if file.name.endswith(".toml")]
        assert names() == sorted(file.removesuffix(".toml") for file in files)

    @EVERY
    def test_is_complete(self, name: str) -> None:
        recipe = read(name)
        assert recipe.name == name
        assert all((recipe.title, recipe.article, recipe.source, recipe.translation.strip()))
        assert recipe.kind in ESTIMATORS
        for figure in recipe.figures:
            assert all((figure.what, figure.article, figure.ours))

    @EVERY
    def test_sets_only_parameters_of_its_kind_and_says_which_are_ours(self, name: str) -> None:
        recipe = read(name)
        own = {parameter.name for parameter in parameters_of(recipe.kind)}
        assert set(recipe.parameters) <= own
        assert set(recipe.left_open) <= own
        assert len(set(recipe.left_open)) == len(recipe.left_open)

    @EVERY
    def test_fixes_what_the_defaults_would_choose_by_the_data(self, name: str) -> None:
        parameters = read(name).parameters
        for parameter in ("hidden_dims", "batch_size", "max_epochs", "learning_rate", "likelihood"):
            assert parameters.get(parameter, "auto") != "auto", parameter
        assert {"latent_dim", "optimizer", "schedule", "weight_decay"} <= set(parameters)

    @EVERY
    def test_holds_values_in_the_domains(self, name: str) -> None:
        for parameter, value in read(name).parameters.items():
            checked = PARAMETERS[parameter].check(value)
            assert checked == (tuple(value) if isinstance(value, list) else value)

    @EVERY
    def test_trains_as_written(self, name: str) -> None:
        X = synthetic_digits()
        estimator = estimator_of(read(name), max_epochs=1).fit(X)
        record = evaluate(estimator, X[:50], X[50:], nll_rows=5, nll_samples=5)
        assert np.isfinite([record.loss, record.mse, *estimator.score_samples(X[:5])]).all()
        assert estimator.reconstruct(X[:5]).shape == (5, 28, 28)
        assert estimator.n_iter_ == 1
        assert record.diagnosis

    def test_that_does_not_exist_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(SettingsError, match=r"no recipe 'article-tied'\. Did you mean 'article-tied-20'\?"):
            read("article-tied")
        with pytest.raises(SettingsError, match=r"no recipe '\.\./secret'\. Choose from: article-ae-200, "):
            read("../secret")


class TestTheArticlesFigures:
    def test_ae_200_has_their_layers_parameters_and_megabytes(self) -> None:
        summary = estimator_of(read("article-ae-200")).summary((28, 28))
        rows = [(row.layer.split("-")[0], row.input_shape, row.output_shape, row.parameters) for row in summary.rows]
        assert rows == [
            ("Linear", (-1, 1, 784), (-1, 1, 200), 157_000),
            ("ReLU", (-1, 1, 200), (-1, 1, 200), 0),
            ("Linear", (-1, 1, 200), (-1, 1, 784), 157_584),
            ("Sigmoid", (-1, 1, 784), (-1, 1, 784), 0),
        ]
        assert (summary.parameters, summary.trainable) == (314_584, 314_584)
        sizes = (summary.input_mb, summary.pass_mb, summary.parameters_mb, summary.total_mb)
        assert [f"{size:.2f}" for size in sizes] == ["0.00", "0.02", "1.20", "1.22"]
        assert "Total params: 314,584" in str(summary)

    def test_tied_20_has_one_matrix_and_two_biases(self) -> None:
        estimator = estimator_of(read("article-tied-20"), max_epochs=1).fit(synthetic_digits(50))
        assert sorted(shapes_of(estimator)) == [(20,), (20, 784), (784,)]

    def test_simple_20_has_two_matrices_and_two_biases(self) -> None:
        estimator = estimator_of(read("article-simple-20"), max_epochs=1).fit(synthetic_digits(50))
        assert sorted(shapes_of(estimator)) == [(20,), (20, 784), (784,), (784, 20)]

    @pytest.mark.parametrize(("name", "hidden", "code"), [("article-vae-10", 200, 10), ("article-vae-20", 400, 20)])
    def test_vaes_have_their_sizes(self, name: str, hidden: int, code: int) -> None:
        estimator = estimator_of(read(name), max_epochs=1).fit(synthetic_digits(50))
        assert {(hidden, 784), (2 * code, hidden), (hidden, code), (784, hidden)} <= set(shapes_of(estimator))

    def test_squared_errors_are_halved_by_the_scale_that_they_state(self) -> None:
        X = synthetic_digits(60)
        for name in ("article-simple-20", "article-tied-20", "article-vae-20"):
            estimator = estimator_of(read(name), max_epochs=1).fit(X)
            scaled, back = estimator.reconstruct_in_range(X)
            code = estimator.model_.likelihood(torch.from_numpy(back)).log_prob(torch.from_numpy(scaled)).numpy()
            squared = np.square(scaled - back).sum(axis=(1, 2))
            np.testing.assert_allclose(code, -squared - 392 * np.log(np.pi), rtol=1e-4)  # 784 / 2 * log(2 pi / 2)

    def test_the_printed_vae_and_its_correction_differ_in_beta_alone(self) -> None:
        printed, fixed = read("article-vae-10").parameters, read("article-vae-10-fixed").parameters
        assert {key for key in printed if printed[key] != fixed[key]} == {"beta"}
        assert (printed["beta"], fixed["beta"]) == (784, 1)
        assert printed["variance"] == "softplus"

    def test_tanh_outputs_meet_pixels_from_minus_one_to_one(self) -> None:
        X = synthetic_digits(60)
        estimator = estimator_of(read("article-vae-20"), max_epochs=1).fit(X)
        scaled, back = estimator.reconstruct_in_range(X)
        assert (scaled.min(), scaled.max()) == (-1, 1)
        assert np.abs(back).max() <= 1
        np.testing.assert_allclose(estimator.reconstruct(X) / 255, (back + 1) / 2, atol=1e-5)


@pytest.fixture(scope="module")
def mnist() -> np.ndarray:
    folder = Path(os.environ.get("HYOTAN_DATA", "")) / "mnist"
    if "HYOTAN_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("HYOTAN_DATA names no folder with mnist in it")
    return load_data("mnist").X[:60_000]


@pytest.mark.slow
class TestOnMNIST:
    def test_tied_20_starts_as_the_article_says(self, mnist: np.ndarray) -> None:
        estimator = estimator_of(read("article-tied-20"), max_epochs=1).fit(mnist)
        assert 0.0390 <= estimator.history_[0]["val_mse"] <= 0.0400

    def test_the_printed_vae_collapses_and_is_told_why(self, mnist: np.ndarray) -> None:
        estimator = estimator_of(read("article-vae-10"), max_epochs=2).fit(mnist)
        record = evaluate(estimator, mnist[:1000], mnist[:5000], nll_rows=0)
        assert record.active_units == 0
        text = {finding.code: finding.text for finding in record.diagnosis}["POSTERIOR_COLLAPSE"]
        assert "784" in text
        assert "--beta 1." in text
