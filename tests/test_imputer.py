"""VAEImputer under scikit-learn's contract of imputers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.impute import MissingIndicator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from hyotan import CVAE, VAE, Autoencoder, VAEImputer
from hyotan.errors import DataError, SettingsError

RANDOM = np.random.default_rng(0)
WHOLE = RANDOM.normal(size=(80, 2)) @ RANDOM.normal(size=(2, 5)) + 0.1 * RANDOM.normal(size=(80, 5))
GONE = RANDOM.random(WHOLE.shape) < 0.2
X = np.where(GONE, np.nan, WHOLE)


def small(**settings: Any) -> VAEImputer:
    return VAEImputer(VAE(2, hidden_dims=(8,), max_epochs=2, random_state=0), **settings)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default that takes a moment."""
    monkeypatch.setattr(
        "hyotan.estimators.imputer.default_vae",
        lambda columns, seed: VAE(2, max_epochs=1, random_state=seed, handle_missing="always", hidden_dims=(8,)),
    )


@pytest.mark.filterwarnings("ignore")
def test_keeps_scikit_learns_contract() -> None:
    check_estimator(small())
    check_estimator(VAEImputer(add_indicator=True))


def test_fills_missing_values_better_than_the_mean_and_leaves_the_rest() -> None:
    filled = small().fit_transform(X)
    np.testing.assert_array_equal(filled[~GONE], X[~GONE])
    by_mean = np.where(GONE, np.nanmean(X, axis=0), X)
    assert np.square(filled - WHOLE)[GONE].mean() < np.square(by_mean - WHOLE)[GONE].mean()


def test_fills_rows_that_it_has_not_seen_in_the_order_of_no_others() -> None:
    imputer = small().fit(X[:60])
    np.testing.assert_allclose(imputer.transform(X[60:]), imputer.transform(X[60:][::-1])[::-1], rtol=1e-6)


def test_whole_rows_teach_it_too() -> None:
    assert np.isfinite(small().fit(WHOLE).transform(X)).all()


def test_a_number_can_stand_for_a_missing_value() -> None:
    marked = np.where(GONE, -99.0, WHOLE)
    np.testing.assert_array_equal(small(missing_values=-99).fit_transform(marked), small().fit_transform(X))


def test_an_indicator_says_where_the_missing_values_were() -> None:
    imputer = small(add_indicator=True).fit(X)
    both = imputer.transform(X)
    np.testing.assert_array_equal(both[:, 5:], MissingIndicator().fit_transform(X))
    names = imputer.get_feature_names_out(["a", "b", "c", "d", "e"])
    assert list(names[:5]) == ["a", "b", "c", "d", "e"] and names[5] == "missingindicator_a" and len(names) == 10


def test_names_of_columns_come_through() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    filled = small().set_output(transform="pandas").fit_transform(frame)
    assert list(filled.columns) == list("abcde") and not filled.isna().to_numpy().any()
    with pytest.raises(DataError, match=r"input_features should have length equal to 5"):
        small().fit(X).get_feature_names_out(["a"])


def test_stands_at_the_head_of_a_pipeline() -> None:
    y = WHOLE[:, 0] > 0
    assert make_pipeline(small(), LogisticRegression()).fit(X, y).score(X, y) > 0.8


def test_takes_an_autoencoder_and_leaves_what_it_was_given_as_it_was() -> None:
    given = Autoencoder(2, hidden_dims=(8,), max_epochs=1, random_state=0)
    assert np.isfinite(VAEImputer(given).fit_transform(X)).all()
    assert given.handle_missing == "auto" and not hasattr(given, "model_")


def test_refuses_what_cannot_fill_missing_values_and_columns_without_values() -> None:
    with pytest.raises(SettingsError, match=r"estimator cannot be CVAE\(.*expected a VAE, an autoencoder, or None"):
        VAEImputer(CVAE()).fit(X)  # pyrefly: ignore
    empty_columns = X.copy()
    empty_columns[:, 1] = np.nan
    with pytest.raises(DataError, match=r"1 of 5 columns of X are never observed: 1"):
        small().fit(empty_columns)
