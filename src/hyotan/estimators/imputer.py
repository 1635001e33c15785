"""scikit-learn's imputer contract on top of a VAE."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.impute import MissingIndicator
from sklearn.utils import Tags  # pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import check_is_fitted, validate_data  # pyrefly: ignore[missing-module-attribute]

from hyotan.errors import DataError, SettingsError
from hyotan.estimators.unlabelled import UnlabelledEstimator
from hyotan.estimators.vae import VAE

MOST_LATENT = 32
"""Size of the default VAE's code, at most: as many values as the table has columns are never too few."""


class LearnedByImputer:
    """What :meth:`VAEImputer.fit` learns; no parameters, and so not among the fields of the class below."""

    estimator_: UnlabelledEstimator
    indicator_: MissingIndicator | None
    n_features_in_: int
    feature_names_in_: np.ndarray


@dataclass(repr=False, eq=False)
class VAEImputer(LearnedByImputer, TransformerMixin, BaseEstimator):
    """Missing values filled by a VAE that is trained on what is observed (Mattei & Frellsen 2019).

    Rows are independent, and those that :meth:`transform` meets need not be those of :meth:`fit`.

    Parameters
    ----------
    estimator : a VAE or an autoencoder, which stays as it is; None for a VAE whose code suits the table.
    missing_values : what stands for a missing value: NaN, or a number. None is read as NaN.
    add_indicator : append a column of zeros and ones for each column that had missing values in ``fit``.
    random_state : seed of the default estimator; one that is given has its own.

    Attributes
    ----------
    estimator_ : the fitted estimator, which gives samples and intervals: see :meth:`hyotan.VAE.impute_samples`.
    indicator_ : the fitted :class:`sklearn.impute.MissingIndicator`; None without one.

    Examples
    --------
    >>> import numpy as np
    >>> from hyotan import VAE
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) @ np.ones((1, 4))
    >>> X[::7, 2] = np.nan
    >>> filled = VAEImputer(VAE(latent_dim=2, max_epochs=2, random_state=0)).fit_transform(X)
    >>> bool(np.isnan(filled).any()), filled.shape
    (False, (100, 4))
    """

    estimator: UnlabelledEstimator | None = None
    _: KW_ONLY
    missing_values: float = np.nan
    add_indicator: bool = False
    random_state: Any = None

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on what is observed in X, (n, features).

        Raises
        ------
        SettingsError, DataError : before the first step; a column without any value is one of them.
        """
        rows = self._read(X, reset=True)
        self.estimator_ = self._chosen(rows.shape[1]).fit(rows)
        self.indicator_ = None
        if self.add_indicator:
            self.indicator_ = MissingIndicator(error_on_new=False).fit(rows)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """X with its missing values filled, (n, features); with ``add_indicator`` columns that say where they were
        follow.
        """
        check_is_fitted(self)
        rows = self._read(X, reset=False)
        filled = self.estimator_.impute(rows)
        if self.indicator_ is None:
            return filled
        return np.hstack([filled, np.asarray(self.indicator_.transform(rows), dtype=filled.dtype)])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """The columns' names, (features out,): those of ``fit``, or x0, x1, …"""
        check_is_fitted(self)
        known = getattr(self, "feature_names_in_", None)
        names = known if input_features is None else np.asarray(input_features, dtype=object)
        names = np.array([f"x{i}" for i in range(self.n_features_in_)], dtype=object) if names is None else names
        if len(names) != self.n_features_in_:
            raise DataError(f"input_features should have length equal to {self.n_features_in_}.", "Name every column.")
        if known is not None and input_features is not None and not np.array_equal(known, names):
            raise DataError("input_features is not equal to feature_names_in_.", "Leave it out.")
        if self.indicator_ is None:
            return names
        return np.concatenate([names, self.indicator_.get_feature_names_out(names)])

    def _chosen(self, columns: int) -> UnlabelledEstimator:
        """An unfitted estimator that learns to handle missing values."""
        if self.estimator is None:
            return default_vae(columns, self.random_state)
        if not isinstance(self.estimator, UnlabelledEstimator):
            raise SettingsError(
                f"estimator cannot be {self.estimator!r}: expected a VAE, an autoencoder, or None.",
                "Leave it out: the default suits tables.",
            )
        return clone(self.estimator).set_params(handle_missing="always")

    def _read(self, X: ArrayLike, reset: bool) -> np.ndarray:
        """X as float32 or float64, NaN where a value is missing."""
        is_nan = self.missing_values is None or bool(np.isnan(self.missing_values))
        rows = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
        return rows if is_nan else np.where(rows == self.missing_values, np.nan, rows)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # pyrefly: ignore[missing-attribute]
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def default_vae(columns: int, random_state: Any = None) -> VAE:
    """The VAE that fills the missing values of a table of so many columns."""
    return VAE(latent_dim=min(MOST_LATENT, max(2, columns)), handle_missing="always", random_state=random_state)
