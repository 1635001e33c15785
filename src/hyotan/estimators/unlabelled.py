"""What the estimators share whose model sees a row alone, without a label."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import nn

from hyotan.distributions.likelihoods import Likelihood
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.build import build_networks, check_networks
from hyotan.estimators.estimator import LatentEstimator
from hyotan.models.inference import padded_batches, rows_at_once
from hyotan.models.latent_model import LatentModel
from hyotan.preprocessing.encoded import EncodedRows


@dataclass(repr=False, eq=False)
class UnlabelledEstimator(LatentEstimator):
    """An estimator whose code may be ordered, whose networks may be the user's, and that can fill missing values."""

    _: KW_ONLY
    ordered: bool = False
    encoder: nn.Module | None = None
    decoder: nn.Module | None = None
    handle_missing: str = "auto"
    compile: bool = False

    def make_model(
        self, likelihood: Likelihood, settings: dict[str, Any], shape: tuple[int, ...], with_missing: bool
    ) -> LatentModel:
        """The family's model, with new networks or copies of the user's."""
        outputs = self.family.outputs_per_dimension
        encoder, decoder = build_networks(settings, shape, outputs, likelihood, with_missing)
        if settings["encoder"] is not None or settings["decoder"] is not None:
            check_networks(encoder, decoder, shape, settings["latent_dim"], outputs, likelihood.outputs)
        return self.model_of(encoder, decoder, likelihood, settings)

    def model_of(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, settings: dict[str, Any]
    ) -> LatentModel:
        """The family's model of these parts."""
        raise NotImplementedError

    # -- ordered codes -------------------------------------------------------------------------------------------------

    def reconstruct(self, X: ArrayLike, size: int | None = None) -> Any:
        """X through the code and back, (n, *features), float32, in the data's own units. Deterministic.

        Of a table of several kinds of columns a table comes back, with the same columns, types and categories.

        Parameters
        ----------
        X : (n, *features)
        size : of an ordered code, so many of its first values; None for all.
        """
        rows = self.encode_rows(X)
        return self.preprocessor_.to_data(self.reconstruct_scaled(rows, size), like=rows.original)

    def reconstruct_scaled(self, rows: Any, size: int | None = None) -> np.ndarray:
        """Rows that are in the model's range already through the code and back, (n, *features), float32.

        Parameters
        ----------
        rows : (n, *features), or :class:`~hyotan.preprocessing.encoded.EncodedRows`.
        size : of an ordered code, so many of its first values; None for all.
        """
        check_is_fitted(self)
        if size is None:
            return self.inference_.reconstruct(rows)
        return self.inference_.decode(self.inference_.encode(rows)[:, : self._checked_size(size)])

    def reconstruction_errors_by_size(self, X: ArrayLike) -> np.ndarray:
        """Mean squared error a feature, in the model's range, of each size of an ordered code: (latent_dim,), float64.

        Entry k - 1 belongs to the first k values: the whole curve of error against size, from one fit.

        Parameters
        ----------
        X : (n, *features)
        """
        rows, model = self.encode_rows(X), self.model_
        self._refuse_unordered("The error of each size")
        total = np.zeros(self.model_code_size)
        with torch.no_grad():
            for batch, n in padded_batches(rows, rows_at_once(rows.shape[1:])):
                x = batch.to(self.device_)
                code = model.code(x)
                for size in range(1, self.model_code_size + 1):
                    error = model.decode(code[:, :size]).mean.float() - x
                    total[size - 1] += float(error[:n].square().flatten(1).mean(1).sum())
        return total / len(rows)

    def _refuse_unordered(self, what: str) -> None:
        if not self.model_.is_ordered:
            raise SettingsError(
                f"{what} needs an ordered code; the code of this {type(self).__name__} cannot be cut.",
                "Fit it with ordered=True.",
            )

    def _checked_size(self, size: Any) -> int:
        """A size that an ordered code can be cut to."""
        self._refuse_unordered(f"size={size!r}")
        if isinstance(size, bool) or not isinstance(size, Integral) or not 1 <= int(size) <= self.model_code_size:
            raise SettingsError(
                f"size cannot be {size!r}.", f"Expected an integer from 1 to {self.model_code_size}, the code's size."
            )
        return int(size)

    # -- missing values ------------------------------------------------------------------------------------------------

    def impute(self, X: ArrayLike) -> Any:
        """X with its missing values filled by the values expected there, (n, *features), in the data's own units.

        What is observed comes back as it was, in the dtype in which it came.

        Parameters
        ----------
        X : (n, *features); NaN is a missing value.

        Raises
        ------
        SettingsError
            The model was fitted on rows without missing values.
        """
        rows = self.rows_to_fill(X)
        return self.filler_.fill(rows)

    def impute_intervals(self, X: ArrayLike, level: float = 0.9) -> tuple[Any, Any]:
        """Ends of the intervals in which the missing values lie with probability ``level``, (n, *features) each.

        The model's own deviations are calibrated on held-out rows, by masking values that are known (split conformal
        prediction: Lei et al. 2018, section 5.2): over missing values that are like those, the share that lies inside
        is ``level`` whether the model is right or not. At values that are observed both ends are the value.

        Parameters
        ----------
        X : (n, *features); NaN is a missing value.
        level : above 0 and below 1.

        Raises
        ------
        SettingsError
            The model was fitted on rows without missing values, or the level is none.
        """
        rows = self.rows_to_fill(X)
        return self.filler_.intervals(rows, level)

    def rows_to_fill(self, X: ArrayLike) -> EncodedRows:
        """X, checked and encoded, for a model that can fill it; refused of one that cannot."""
        rows = self.encode_rows(X)
        if not self.handles_missing_:
            raise SettingsError(
                f"This {type(self).__name__} was fitted on rows without missing values and has not learned to "
                "fill any.",
                "Fit it on rows with missing values, or with handle_missing='always' (--handle-missing always).",
            )
        if rows.is_lazy:
            raise DataError(
                "Rows that stay in their file have no missing values to fill.",
                "Pass rows with missing values, in memory.",
            )
        return rows
