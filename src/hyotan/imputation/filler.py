"""Missing values filled by a trained model, beside the best linear guess: means, intervals and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from hyotan.data.stored import RowRanges
from hyotan.errors import SettingsError
from hyotan.imputation.filling import Filling, LinearGuess, best_shrinkage, guessed, linear_of
from hyotan.models.inference import Inference, padded_batches, rows_at_once
from hyotan.parameters.domains import Real
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.preprocessing.scaling import has_missing

CALIBRATION_ROWS = 1000
"""Held-out rows, at most, whose known values are masked to see how far imputations are off."""

FOLDS, FOLDS_OF_COMPLETE_ROWS = 10, 3
"""Each known value is masked once: a tenth of them at a time where rows have missing values of their own, else a
third."""

LINEAR_ROWS, LINEAR_IMAGES = 5000, 2000
"""Training rows, at most, from which the linear guess is learned: of vectors and tables, of images."""

VALUES_AT_ONCE = 1_000_000
"""Decoded values held at once: 4 MB in fp32, which stay in the cache."""


class MissingValueFiller:
    """Fills missing values by what a model expects there, given the values that are observed.

    Parameters
    ----------
    inference : the trained model, which has learned to handle missing values.
    preprocessor : of its rows.
    filling : how far the model is trusted beside the linear guess, and how far both are off.
    """

    def __init__(self, inference: Inference, preprocessor: Preprocessor, filling: Filling) -> None:
        self.inference, self.preprocessor, self.filling = inference, preprocessor, filling

    @classmethod
    def fit(
        cls, inference: Inference, rows: EncodedRows, train: np.ndarray | RowRanges, validation: np.ndarray | RowRanges
    ) -> MissingValueFiller:
        """Learn on held-out rows how far the model is to be trusted, and how far imputations are off.

        Parameters
        ----------
        inference : the trained model.
        rows : all of them.
        train, validation : which are trained on, and which are held out. Where none is, the former stand in for the
            latter: intervals are then too narrow.
        """
        found = cls(inference, rows.preprocessor, Filling(None, np.ones(()), np.ones(()), np.zeros(1)))
        held_out = validation if len(validation) else train
        known = rows[held_out[_every(len(held_out), CALIBRATION_ROWS)]]
        folds = FOLDS if has_missing(known) else FOLDS_OF_COMPLETE_ROWS
        fold = found._drawn_by_column(np.random.default_rng(0), folds, known.shape)
        masked = [np.where(fold == number, np.nan, known) for number in range(folds)]
        expected = np.empty((2, *known.shape), dtype=np.float32)
        for number, part in enumerate(masked):
            expected[:, fold == number] = found.expected(part)[:, fold == number]
        most = LINEAR_ROWS if known.ndim == 2 else LINEAR_IMAGES
        linear, guess = linear_of(rows[train[_every(len(train), most)]]), None
        if linear is not None:
            linear, guess = _guessed_at(linear, known, masked, fold)
        found.filling = Filling.of(known, expected[0], expected[1], guess, linear)
        return found

    def fill(self, rows: EncodedRows) -> Any:
        """The rows with the value expected in the place of each missing one, in the data's own units."""
        numbers = rows.numbers
        return self._filled(rows, self.filling.mean(numbers, self.expected(numbers)[0]))

    def intervals(self, rows: EncodedRows, level: float) -> tuple[Any, Any]:
        """Ends of the intervals in which the missing values lie with probability ``level``.

        Raises
        ------
        SettingsError
            The level is none.
        """
        tail = (1 - _checked_level(level)) / 2
        numbers = rows.numbers
        network, deviation = self.expected(numbers)
        mean, is_ordered = self.filling.mean(numbers, network), self.preprocessor.is_ordered
        ends = (mean + deviation * self.filling.residual(share) for share in (tail, 1 - tail))
        # Categories have no ends: theirs is the likeliest.
        low, high = (self._filled(rows, np.where(is_ordered, end, mean)) for end in ends)
        return low, high

    def samples(self, rows: EncodedRows, count: int, seed: int) -> list[Any]:
        """The rows filled in ``count`` ways that are as likely as the model has it.

        Drawn from p(x_missing | x_observed) by sampling importance resampling (Mattei & Frellsen 2019, section 3.3).
        """
        numbers, model = rows.numbers, self.inference.model
        network = self.expected(numbers)[0]
        shift = (self.filling.mean(numbers, network) - network) * self.preprocessor.is_ordered
        drawn, done = np.empty((count, *numbers.shape), dtype=np.float32), 0
        with self.inference.seeded(seed), torch.no_grad():
            for batch, n in padded_batches(numbers, self._rows_at_once(numbers)):
                picked = model.imputations(batch.to(self.inference.device), count)
                drawn[:, done : done + n] = picked[:, :n].float().cpu().numpy()
                done += n
        # A category that was drawn is one, and cannot be shifted towards the expectation.
        return [self._filled(rows, each + shift) for each in drawn]

    def expected(self, numbers: np.ndarray) -> np.ndarray:
        """Mean and deviation of every value as the model has them, (2, n, *features), in the model's range."""
        found, done = np.empty((2, *numbers.shape), dtype=np.float32), 0
        with torch.no_grad():
            for batch, n in padded_batches(numbers, self._rows_at_once(numbers)):
                moments = self.inference.model.moments(batch.to(self.inference.device))
                for part, values in zip(found, moments, strict=True):
                    part[done : done + n] = values[:n].float().cpu().numpy()
                done += n
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """As the model file holds it."""
        return self.filling.arrays()

    @classmethod
    def from_arrays(
        cls, inference: Inference, preprocessor: Preprocessor, arrays: Mapping[str, np.ndarray]
    ) -> MissingValueFiller:
        """What :meth:`arrays` gave."""
        return cls(inference, preprocessor, Filling.from_arrays(arrays))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _rows_at_once(self, numbers: np.ndarray) -> int:
        samples = self.inference.model.samples_per_row
        shape = numbers.shape[1:]
        return rows_at_once(shape) if samples == 1 else rows_at_once((*shape, samples), VALUES_AT_ONCE)

    def _filled(self, rows: EncodedRows, numbers: np.ndarray) -> Any:
        return self.preprocessor.with_values(rows.original, numbers)

    def _drawn_by_column(self, random: np.random.Generator, below: int, shape: tuple[int, ...]) -> np.ndarray:
        """Whole numbers below a bound, (n, *features); the numbers of one column of a table get one."""
        columns = self.preprocessor.column_of_feature
        if columns is None:
            return random.integers(below, size=shape)
        return random.integers(below, size=(shape[0], max(columns) + 1))[:, list(columns)]


def _guessed_at(
    linear: LinearGuess, known: np.ndarray, masked: list[np.ndarray], fold: np.ndarray
) -> tuple[LinearGuess, np.ndarray]:
    """The linear guess, shrunk as suits the masked values best, and what it says of each of them."""
    truth = [np.where(fold == number, known, np.nan) for number in range(len(masked))]
    linear = best_shrinkage(linear, masked, truth)
    guess = np.empty(known.shape)
    for number, part in enumerate(masked):
        guess[fold == number] = guessed(linear, part)[fold == number]
    return linear, guess


def _every(n: int, most: int) -> slice:
    """At most so many of n rows, evenly spread."""
    return slice(None, None, -(-n // most))


def _checked_level(level: Any) -> float:
    domain = Real(0, 1, above=True, below=True)
    try:
        return domain.check(level)
    except ValueError:
        raise SettingsError(f"level cannot be {level!r}.", f"Expected {domain.describe()}, such as 0.9.") from None
