"""What a fit notes of filling missing values: how far to trust the network beside the best linear guess, how far both
are off.

All of it is learned on rows that are held out, by hiding values that are known there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

import numpy as np

from hyotan.files.tensors import below
from hyotan.imputation.factors import FactorGaussian, factors_of
from hyotan.imputation.gaussian import Gaussian

LinearGuess = Gaussian | FactorGaussian
"""What gives the linear guess."""

LEVELS = 1001
"""Points at which the quantiles of the residuals are kept."""

PRIOR_VALUES = 20.0
"""What is learned for one feature is drawn towards what holds for all, with the weight of so many values."""

SHRINKAGES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3)
"""How much smaller the linear guess may take the covariances of few rows; the best is found on the hidden values."""

MOST_WHOLE = 128
"""Features up to which the linear guess knows every covariance: its work grows with the third power of their number."""

MOST_FEATURES = 2048
"""Features up to which there is a linear guess, by a few factors: its work and memory grow with their number."""


@dataclass(frozen=True)
class Filling:
    """How a missing value is filled.

    Attributes
    ----------
    linear : what gives the linear guess, in the model's range; None where there is none.
    weight : (*features), of the network's value, from 0 to 1; the rest is that of the linear guess.
    scale : (*features), by which the network's deviations are to be multiplied.
    quantiles : (LEVELS,), of the residuals over the scaled deviations, at levels even in [0, 1].
    """

    linear: LinearGuess | None
    weight: np.ndarray
    scale: np.ndarray
    quantiles: np.ndarray

    @staticmethod
    def of(
        truth: np.ndarray,
        network: np.ndarray,
        deviation: np.ndarray,
        guess: np.ndarray | None,
        linear: LinearGuess | None,
    ) -> Filling:
        """Learn from values that were hidden, (n, *features) each, in the model's range.

        Parameters
        ----------
        truth : the values, NaN where none was known.
        network, deviation : what the network says of each.
        guess, linear : the linear guess at each, and what gave it.
        """
        weight = np.ones(truth.shape[1:]) if guess is None else network_weights(truth, network, guess)
        mean = network if guess is None else weight * network + (1 - weight) * guess
        residuals = (truth - mean) / deviation
        known = ~np.isnan(residuals)
        squares, count = np.where(known, residuals, 0.0) ** 2, known.sum(axis=0)
        typical = squares.sum() / max(1, count.sum())
        scale = np.sqrt((squares.sum(axis=0) + PRIOR_VALUES * typical) / (count + PRIOR_VALUES))
        scale = np.where(scale > 0, scale, 1.0)
        scaled = (residuals / scale)[known] if known.any() else np.zeros(1)
        # By Weibull's positions a new value lies below the quantile of level p with probability p, at any count.
        quantiles = np.quantile(scaled, np.linspace(0, 1, LEVELS), method="weibull")
        return Filling(linear, weight, scale.astype(np.float64), quantiles.astype(np.float64))

    def mean(self, rows: np.ndarray, network: np.ndarray) -> np.ndarray:
        """Values for the missing values of rows, given the network's, (n, *features) each, in the model's range."""
        if self.linear is None:
            return network
        return self.weight * network + (1 - self.weight) * guessed(self.linear, rows)

    def residual(self, level: float) -> np.ndarray:
        """The quantile of a level of the residuals, in the network's deviations, (*features)."""
        return self.scale * np.interp(level, np.linspace(0, 1, LEVELS), self.quantiles)

    def arrays(self) -> dict[str, np.ndarray]:
        """As the model file holds them."""
        names = [] if self.linear is None else [one.name for one in fields(self.linear)]
        of_linear = {name: getattr(self.linear, name).astype(np.float64) for name in names}
        own = {"weight": self.weight, "scale": self.scale, "quantiles": self.quantiles}
        return {f"filling/{name}": array for name, array in (own | of_linear).items()}

    @staticmethod
    def shapes(features: tuple[int, ...], names: Collection[str]) -> dict[str, tuple[tuple[int, ...], ...]]:
        """What :meth:`arrays` gives for samples of a shape: the shapes that each may have.

        Parameters
        ----------
        features : the shape of a sample.
        names : of a file's arrays; older ones have no linear guess for wide rows.
        """
        count, allowed = math.prod(features), {"weight": features, "scale": features, "quantiles": (LEVELS,)}
        if count <= MOST_WHOLE or "filling/mean" in names:
            allowed |= linear_shapes(count)
        return {f"filling/{name}": (shape,) for name, shape in allowed.items()}

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray]) -> Filling:
        """What :meth:`arrays` gave."""
        named = {name: array.copy() for name, array in below(arrays, "filling/").items()}
        own = [named.pop(name) for name in ("weight", "scale", "quantiles")]
        if "loadings" in named:  # computed in single precision, which the file's doubles hold to the bit
            return Filling(FactorGaussian(**{name: array.astype(np.float32) for name, array in named.items()}), *own)
        return Filling(Gaussian(**named) if named else None, *own)


def linear_of(rows: np.ndarray) -> LinearGuess | None:
    """What guesses at the missing values (NaN) of rows, (n, *features); None for rows too wide."""
    flat = rows.reshape(len(rows), -1)
    if flat.shape[1] > MOST_FEATURES:
        return None
    return Gaussian.of(flat) if flat.shape[1] <= MOST_WHOLE else FactorGaussian.of(flat)


def guessed(linear: LinearGuess, rows: np.ndarray) -> np.ndarray:
    """Rows with their missing values filled by the linear guess, (n, *features)."""
    return linear.expected(rows.reshape(len(rows), -1)).reshape(rows.shape)


def linear_shapes(features: int) -> dict[str, tuple[int, ...]]:
    """The shapes of what the linear guess at so many features consists of, by name."""
    found: dict[str, tuple[int, ...]] = {}
    if features <= MOST_WHOLE:
        found |= {"mean": (features,), "covariance": (features, features)}
    elif features <= MOST_FEATURES:
        found |= dict.fromkeys(("mean", "noise", "low", "high"), (features,))
        found |= {"loadings": (features, factors_of(features))}
    return found


def network_weights(truth: np.ndarray, network: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Of each feature the weight of the network's value, (*features): least squares, drawn towards that of all."""
    known = ~np.isnan(truth)
    apart = np.where(known, network - guess, 0.0)
    along, square = (apart * np.where(known, truth - guess, 0.0)).sum(axis=0), (apart**2).sum(axis=0)
    if square.sum() == 0:
        return np.full(truth.shape[1:], 0.5)
    drawn = PRIOR_VALUES * square.sum() / known.sum()
    return ((along + drawn * along.sum() / square.sum()) / (square + drawn)).clip(0.0, 1.0)


def best_shrinkage(linear: LinearGuess, hidden: list[np.ndarray], truth: list[np.ndarray]) -> LinearGuess:
    """The linear guess shrunk as suits values that were hidden best; of wide rows a part of them has to do.

    Parameters
    ----------
    linear : as it was fitted.
    hidden : rows, (n, *features), with values hidden.
    truth : the hidden values, (n, *features), NaN elsewhere.
    """
    if isinstance(linear, FactorGaussian):
        hidden, truth = hidden[:1], truth[:1]
    tried = [linear.shrunk(share) for share in SHRINKAGES]
    errors = [
        sum(np.nansum((guessed(one, rows) - values) ** 2) for rows, values in zip(hidden, truth, strict=True))
        for one in tried
    ]
    return tried[int(np.argmin(errors))]
