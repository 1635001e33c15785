"""The cells of a study: one model of one size in one repeat, and its scores, as plain values that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import msgspec
import numpy as np
from scipy import stats

MEAN, PCA, RAW = "mean", "pca", "raw"
"""The baselines, as models: a code of size 0, principal components, the features themselves."""

BASELINES = (MEAN, PCA, RAW)


@dataclass(frozen=True)
class Scores:
    """How good a code is on rows that it was not trained on; None where a measure does not apply.

    Attributes
    ----------
    n_rows : rows measured.
    mse, mse_standard_error : squared error a feature of the reconstruction, in the model's range, over the rows.
    explained : share of the variance that the reconstruction keeps: 1 - mse / mse of the mean.
    q2 : share of the variance that the code predicts, of values that it has not seen; unlike ``explained`` it falls
        where a code is larger than the data need.
    bound : negative evidence lower bound (beta = 1), nats a row.
    nll, nll_standard_error : importance-sampled -log p(x), nats a row.
    kl : nats a row.
    active_units : units of the code that vary.
    smoothness : of the walks between codes, in (0, 1]; 1 is an even walk.
    trustworthiness : share of a code's neighbours that are neighbours among the features too (Venna & Kaski 2001).
    knn_accuracy : of 5 nearest neighbours among the codes of training rows.
    v_measure, accuracy, nmi, ari : agreement of K-means clusters of the codes with the labels, the mean of the runs.
    coverage : share of the rows that new samples reach (Naeem et al. 2020).
    label_error : share of labels that the model predicts wrongly, of a model that predicts labels.
    """

    n_rows: int
    mse: float | None = None
    mse_standard_error: float | None = None
    explained: float | None = None
    q2: float | None = None
    bound: float | None = None
    nll: float | None = None
    nll_standard_error: float | None = None
    kl: float | None = None
    active_units: int | None = None
    smoothness: float | None = None
    trustworthiness: float | None = None
    knn_accuracy: float | None = None
    v_measure: float | None = None
    accuracy: float | None = None
    nmi: float | None = None
    ari: float | None = None
    coverage: float | None = None
    label_error: float | None = None


MEASURES = tuple(member.name for member in fields(Scores) if member.name != "n_rows")

LOWER_IS_BETTER = frozenset({"mse", "bound", "nll", "kl", "label_error"})


class Plain:
    """A record that can be written as JSON and read back."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """Read what :meth:`to_dict` gave; msgspec.ValidationError where it is something else."""
        return msgspec.convert(content, cls, strict=True)


@dataclass(frozen=True)
class Cell(Plain):
    """One cell of a study, trained and measured.

    Attributes
    ----------
    model : a family's name, such as ``ae``, or a baseline: ``pca``, ``mean``, ``raw``.
    latent_dim : size of the code; 0 for the mean, the number of features for ``raw``.
    repeat : from 0; the same repeat of different models has the same split and seed.
    seed : random_state of the estimator.
    selection : on the held-out rows by which the study chooses.
    test : on the rows by which it reports.
    n_features : values a row.
    parameters, epochs, best_epoch, train_seconds : of the fit; 0 for baselines.
    nested : whether the code is a prefix of a longer, ordered one.
    run : the run folder's path below the study's, or None.
    clusterings : for each measure of agreement, its value in each run of K-means on the test codes.
    warnings : codes and texts of what the diagnosis found wrong.
    """

    model: str
    latent_dim: int
    repeat: int
    seed: int
    selection: Scores
    test: Scores
    n_features: int
    parameters: int = 0
    epochs: int = 0
    best_epoch: int = 0
    train_seconds: float = 0.0
    nested: bool = False
    run: str | None = None
    clusterings: dict[str, list[float]] = field(default_factory=dict)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_baseline(self) -> bool:
        """Whether nothing of ours was trained."""
        return self.model in BASELINES


@dataclass(frozen=True)
class Interval:
    """A mean over repeats and its 95 % interval (Student's t); a single value has no interval.

    Attributes
    ----------
    mean, low, high : the interval's ends are None for a single value.
    standard_error : of the mean; 0 for a single value.
    n : repeats.
    """

    mean: float
    low: float | None
    high: float | None
    standard_error: float
    n: int

    @staticmethod
    def of(values: Iterable[float]) -> Interval | None:
        """The interval of some values; None where there are none."""
        array = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
        if len(array) == 0:
            return None
        mean = float(array.mean())
        if len(array) == 1:
            return Interval(mean, None, None, 0.0, 1)
        error = float(array.std(ddof=1) / math.sqrt(len(array)))
        reach = float(stats.t.ppf(0.975, len(array) - 1)) * error
        return Interval(mean, mean - reach, mean + reach, error, len(array))


def interval(
    cells: Sequence[Cell], model: str, latent_dim: int, measure: str, rows: str = "selection"
) -> Interval | None:
    """Mean and interval over the repeats of a measure, of one model and size; ``rows`` is ``selection`` or ``test``."""
    own = [cell for cell in cells if (cell.model, cell.latent_dim) == (model, latent_dim)]
    values = (getattr(getattr(cell, rows), measure) for cell in own)
    return Interval.of(value for value in values if value is not None)


def models_of(cells: Sequence[Cell]) -> list[str]:
    """The models of the cells, in the order in which they appear, baselines last."""
    found = dict.fromkeys(cell.model for cell in cells)
    return sorted(found, key=lambda model: model in BASELINES)


def sizes_of(cells: Sequence[Cell], model: str) -> list[int]:
    """The latent sizes of one model, ascending."""
    return sorted({cell.latent_dim for cell in cells if cell.model == model})
