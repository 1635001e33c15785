"""Sequences: values of a few channels at each step, as time series and signals are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from hyotan.data.stored import Numbers, sample_of
from hyotan.preprocessing.numeric import NumericPreprocessor
from hyotan.preprocessing.scaling import Scaling


@dataclass(frozen=True, eq=False)
class SequencePreprocessor(NumericPreprocessor):
    """Rows of shape (length, channels). Each channel has one scale at all steps, so that a row keeps its form."""

    @property
    def layout(self) -> str:  # pyrefly: ignore[bad-override]
        """Asked for, never guessed."""
        return "sequence"

    @property
    def encoded_names(self) -> list[str]:  # pyrefly: ignore[bad-override]
        """Of each number in line its channel and its step, counted from 0."""
        length, channels = self.feature_shape
        return [f"channel {channel}, step {step}" for channel in range(channels) for step in range(length)]

    def in_line(self, numbers: np.ndarray) -> np.ndarray:
        """One channel after the other: what follows each other in time stands together."""
        return numbers.swapaxes(1, 2).reshape(len(numbers), -1)

    @classmethod
    def fit(
        cls, X: Numbers, train: Numbers, settings: Mapping[str, Any], default: str, likelihoods: Mapping[str, Any]
    ) -> Self:
        """As for a table whose columns are the channels and whose rows are all steps; of a file, of a sample of it."""
        steps, seen = (sample_of(rows).reshape(-1, X.shape[-1]) for rows in (X, train))
        found = super().fit(steps, seen, settings, default, likelihoods)
        shape, scaling = tuple(int(size) for size in X.shape[1:]), found.scaling
        if scaling.factor.ndim:
            scaling = Scaling(*(np.broadcast_to(part, shape).copy() for part in (scaling.offset, scaling.factor)))
        return replace(found, feature_shape=shape, scaling=scaling)
