"""What a model that has learned to handle missing values can say of the values that are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hyotan.data.frames import as_frame
from hyotan.data.stored import Array, StoredRows
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.ranges import is_bounded
from hyotan.estimators.rows import Split, padded_chunks
from hyotan.imputation.filling import Filling, Linear, best_shrinkage, guessed, linear_of
from hyotan.parameters import Real
from hyotan.preprocessing.scaling import Scaling, has_missing
from hyotan.preprocessing.tabular import TableScaling

MAX_MASKED_COMPLETE = 0.2
"""The same of a table that has no missing values: its rows to come may have categories that it has not."""

MAX_MASKED = 0.5
"""In training, from none to so large a share of each row's observed values is hidden from the encoder."""

CALIBRATION_ROWS = 1000
"""Held-out rows, at most, whose known values are hidden to see how far imputations are off."""

FOLDS, FOLDS_OF_WHOLE_ROWS = 10, 3
"""Each known value is hidden once: a tenth of them at a time where rows have missing values of their own, else a third.
"""

LINEAR_ROWS, LINEAR_IMAGES = 5000, 2000
"""Training rows, at most, from which the linear guess is learned: of a table, of pictures."""


class ImputesMissing:
    """Missing values filled by a fitted model: the part of the estimators that does this.

    Attributes
    ----------
    filling_ : Filling
        How a missing value is filled, and how far it may be off; of a model that has learned to handle missing values.
    """

    handles_missing_: bool
    likelihood_: str
    filling_: Filling
    scaling_: Scaling | TableScaling
    feature_shape_: tuple[int, ...]
    device_: Any

    def impute(self, X: ArrayLike) -> np.ndarray:
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
        rows = self._with_missing(X)
        scaled = self._to_model(rows)
        return self._filled(rows, scaled, self.filling_.mean(scaled, self._expected(scaled)[0]))

    def impute_intervals(self, X: ArrayLike, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the intervals in which the missing values lie with probability ``level``, (n, *features) each.

        The model's own deviations are calibrated on held-out rows, by hiding values that are known (split conformal
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
        rows, tail = self._with_missing(X), (1 - _checked_level(level)) / 2
        scaled = self._to_model(rows)
        network, deviation = self._expected(scaled)
        mean = self.filling_.mean(scaled, network)
        low, high = (mean + deviation * self.filling_.residual(share) for share in (tail, 1 - tail))
        if isinstance(self.scaling_, TableScaling):  # categories have no ends: theirs is the likeliest
            is_ordered = self.scaling_.is_ordered
            low, high = np.where(is_ordered, low, mean), np.where(is_ordered, high, mean)
        return self._filled(rows, scaled, low), self._filled(rows, scaled, high)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _checked(self, X: ArrayLike) -> Array:
        raise NotImplementedError

    def _to_model(self, X: Any) -> np.ndarray:
        raise NotImplementedError

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of every value of x given those that are observed, (batch, *features) each."""
        raise NotImplementedError

    def _with_missing(self, X: ArrayLike) -> Any:
        frame = as_frame(X) if isinstance(self.scaling_, TableScaling) else None
        rows = self._checked(X)
        if not self.handles_missing_:
            raise SettingsError(
                f"This {type(self).__name__} was fitted on rows without missing values and has not learned to fill "
                f"any.",
                "Fit it on rows with missing values, or with handle_missing='always' (--handle-missing always).",
            )
        if isinstance(rows, StoredRows):
            raise DataError(
                "Rows that stay in their file have no missing values to fill.",
                "Pass rows with missing values, in memory.",
            )
        return rows if frame is None else frame  # with the columns that the model does not know

    def _expected(self, rows: np.ndarray) -> np.ndarray:
        """Mean and deviation of every value as the network has them, (2, n, *features), in the model's range."""
        found, done = np.empty((2, *rows.shape), dtype=np.float32), 0
        with torch.no_grad():
            for chunk, n in padded_chunks(rows, self._rows_at_once()):
                for part, values in zip(found, self._moments(chunk.to(self.device_)), strict=True):
                    part[done : done + n] = values[:n].float().cpu().numpy()
                done += n
        return found

    def _rows_at_once(self) -> int | None:
        """How many rows :meth:`_moments` is given at once; None for the usual number."""
        return None

    def _filled(self, X: Any, scaled: np.ndarray, in_range: np.ndarray) -> Any:
        """X with values in the model's range in the place of its missing values; ``scaled`` is X in that range."""
        if isinstance(self.scaling_, TableScaling):
            # A category that was never seen is a missing value to the model, but a value of the user's: it stays.
            whole = self.scaling_.to_frame(np.where(np.isnan(scaled), in_range, scaled))
            return X.filled(whole).given_back()
        if not has_missing(X):
            return X.copy()
        if is_bounded(self.likelihood_):  # a linear guess, or a shifted sample, may lie beyond black and white
            in_range = np.clip(in_range, 0.0, 1.0)
        return np.where(np.isnan(X), self.scaling_.to_data(in_range).astype(X.dtype), X)

    def _fit_filling(self, X: Array, split: Split) -> None:
        """Learn on held-out rows how far the network is to be trusted, and how far imputations are off.

        Where no row is held out, those trained on stand in for them: intervals are then too narrow.
        """
        places = (split.validation if len(split.validation) else split.train)[:]
        known = self._to_model(X[places[:: -(-len(places) // CALIBRATION_ROWS)]])
        folds = FOLDS if has_missing(known) else FOLDS_OF_WHOLE_ROWS
        fold = self._drawn_by_column(np.random.default_rng(0), folds, known.shape)
        hidden = [np.where(fold == number, np.nan, known) for number in range(folds)]
        found = np.empty((2, *known.shape), dtype=np.float32)
        for number, part in enumerate(hidden):
            found[:, fold == number] = self._expected(part)[:, fold == number]
        linear, guess = self._fit_linear(X, split), None
        if linear is not None:
            truth = [np.where(fold == number, known, np.nan) for number in range(folds)]
            linear = best_shrinkage(linear, hidden, truth)
            guess = np.empty(known.shape)
            for number, part in enumerate(hidden):
                guess[fold == number] = guessed(linear, part)[fold == number]
        self.filling_ = Filling.of(known, found[0], found[1], guess, linear)

    def _fit_linear(self, X: Array, split: Split) -> Linear | None:
        places, most = split.train[:], LINEAR_ROWS if len(self.feature_shape_) == 1 else LINEAR_IMAGES
        return linear_of(self._to_model(X[places[:: -(-len(places) // most)]]))

    def _drawn_by_column(self, random: np.random.Generator, below: int, shape: tuple[int, ...]) -> np.ndarray:
        """Whole numbers below a bound, (n, *features); the numbers of one column of a table get one."""
        if not isinstance(self.scaling_, TableScaling):
            return random.integers(below, size=shape)
        columns = np.array(self.scaling_.column_of_feature)
        return random.integers(below, size=(shape[0], columns.max() + 1))[:, columns]


def _checked_level(level: Any) -> float:
    domain = Real(0, 1, above=True, below=True)
    try:
        return domain.check(level)
    except ValueError:
        raise SettingsError(f"level cannot be {level!r}.", f"Expected {domain.describe()}, such as 0.9.") from None
