"""What the experiments of a study work on: its trained codes, some test rows, and a classifier of the data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyotan.analysis.latent import Probe
from hyotan.data import Dataset
from hyotan.data.frames import as_frame
from hyotan.data.stored import Resident
from hyotan.metrics import mean_filled, observed_mean
from hyotan.study.classes import Classes
from hyotan.study.replications import SIZES
from hyotan.study.study_folder import StudyFolder

ROWS = 2000
"""Test rows measured."""

MOST_SHOWN = 10
"""Classes of which a row is shown."""

UNLIKE = 0.8
"""Where among a class's rows, by their distance from its mean, a style is taken from."""

WALKED = ((1, 0), (3, 7))
"""Digits that the article walks between."""

MISLABELLED = {4: 9, 2: 7}
"""Digits that the article names wrongly; elsewhere a row is given the label whose mean is nearest."""


@dataclass(frozen=True, eq=False)
class Code:
    """A code of a study: a model of one size, or a prefix of an ordered one.

    Attributes
    ----------
    model, latent_dim, repeat : which.
    estimator : fitted.
    """

    model: str
    latent_dim: int
    repeat: int
    estimator: Any

    def encode(self, X: Resident) -> np.ndarray:
        """Codes, (n, latent_dim)."""
        return self.estimator.transform(X)[:, : self.latent_dim]

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Rows, (n, *features), in the data's units; of a table with several kinds of columns in the model's range."""
        return (
            self.estimator.decode_in_range(Z)
            if self.estimator.preprocessor_.draws_rows
            else self.estimator.inverse_transform(Z)
        )

    def reconstruct(self, X: Resident, labels: np.ndarray | None = None) -> np.ndarray:
        """Rows through the code and back, as :meth:`decode` gives them; a conditional model can be given labels."""
        if labels is not None:
            told = self.estimator.reconstruct(X, y=labels)
            return self.estimator.preprocessor_.to_model(told) if self.estimator.preprocessor_.draws_rows else told
        if self.estimator.preprocessor_.draws_rows or self.latent_dim < self.estimator.latent_dim:
            return self.decode(self.encode(X))
        return self.estimator.reconstruct(X)

    def in_range(self, rows: np.ndarray) -> np.ndarray:
        """Rows as :meth:`decode` gives them, in the model's range."""
        return rows if self.estimator.preprocessor_.draws_rows else self.estimator.preprocessor_.to_model(rows)

    @property
    def decodes_alone(self) -> bool:
        """Whether a code is decoded without a label as training knew it."""
        return not self.estimator.family.conditional or self.estimator.unlabelled_rows == "zero"


@dataclass(frozen=True, eq=False)
class Bench:
    """What the experiments work on.

    Attributes
    ----------
    folder : the study's.
    train, test : its rows.
    classes : the labels, or None.
    X, y : at most ROWS test rows, and the class number of each (-1 where unknown).
    """

    folder: StudyFolder
    train: Dataset
    test: Dataset
    classes: Classes | None
    X: Resident
    y: np.ndarray

    @classmethod
    def of(cls, folder: StudyFolder) -> Bench:
        """For a study's folder."""
        train, test = folder.load_data()
        classes = Classes.of(train.y)
        X = test.X[:ROWS]
        y = np.full(len(X), -1) if classes is None or test.y is None else classes.numbers(test.y[:ROWS])
        return cls(folder, train, test, classes, X, y)

    @property
    def names(self) -> list[str]:
        """The labels as text."""
        return [] if self.classes is None else [str(name) for name in self.classes.names]

    def names_of(self, rows: np.ndarray) -> list[str]:
        """The labels of rows of ``X`` as text, empty where unknown; none without labels."""
        return [self.names[number] if number >= 0 else "" for number in self.y[rows]] if self.names else []

    @functools.cached_property
    def probe(self) -> Probe | None:
        """A classifier of the data, trained on their training rows."""
        if self.classes is None or self.train.y is None:
            return None
        y = self.classes.numbers(self.train.y)
        return Probe.fit(self.numbers_of(self.train.X[y >= 0]), y[y >= 0])

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """The rows of ``X`` in numbers."""
        return self.numbers_of(self.X)

    def numbers_of(self, X: Any) -> np.ndarray:
        """Rows in numbers, (n, *features): as they are, those of a table with several kinds of columns in a model's
        range. The mean of the training rows stands where a value is missing.
        """
        numbers = self._scale(X)
        return mean_filled(numbers, self._mean) if np.isnan(numbers.min(initial=0)) else numbers

    @functools.cached_property
    def _mean(self) -> np.ndarray:
        return observed_mean(self._scale(self.train.X))

    @functools.cached_property
    def _scale(self) -> Callable[[Any], np.ndarray]:
        if as_frame(self.X) is None:
            return np.asarray
        code = next(self.codes(), None)
        # Where no model was trained there is nothing to look at rows with, and nothing that asks for it.
        return (lambda X: np.zeros((len(X), 1))) if code is None else code.estimator.in_range

    def codes(self, repeat: int | None = 0, sizes: Sequence[int] | None = None) -> Iterator[Code]:
        """The trained codes, of one repeat or all, smallest first; one is read at a time."""
        for plan in self.folder.plans:
            run = self.folder.load_run(plan) if repeat in (None, plan.repeat) else None
            wanted = [size for size in plan.sizes if sizes is None or size in sizes]
            if run is None or not wanted:
                continue
            estimator = run.load_model()
            for size in wanted:
                yield Code(plan.model, size, plan.repeat, estimator)

    @property
    def sizes(self) -> list[int]:
        """The sizes that the experiments show: the article's, else the smallest, a middle and the largest above 2."""
        own = [size for size in self.folder.config.sizes if size in SIZES]
        if len(own) > 1:
            return own
        above = [size for size in self.folder.config.sizes if size > 2] or list(self.folder.config.sizes)
        return sorted({above[0], above[len(above) // 2], above[-1]})

    def one_a_class(self) -> np.ndarray:
        """A row of each class, (≤ MOST_SHOWN,): the one nearest to the class's mean; without labels the first rows."""
        if self.classes is None:
            return np.arange(min(MOST_SHOWN, len(self.X)))
        return np.array([self.typical(number) for number in np.unique(self.y[self.y >= 0])[:MOST_SHOWN]], dtype=int)

    def typical(self, number: int) -> int:
        """The row of a class that lies nearest to the class's mean."""
        return int(self._by_distance(number)[0])

    def unlike(self, number: int) -> int:
        """A row of a class that lies farther from the class's mean than most: it has a style of its own."""
        rows = self._by_distance(number)
        return int(rows[int(UNLIKE * (len(rows) - 1))])

    def _by_distance(self, number: int) -> np.ndarray:
        """The rows of a class, those nearest to its mean first."""
        rows = np.flatnonzero(self.y == number)
        flat = self.numbers[rows].reshape(len(rows), -1).astype(np.float64)
        return rows[np.square(flat - flat.mean(axis=0)).sum(axis=1).argsort(kind="stable")]

    def wrong(self, y: np.ndarray) -> np.ndarray:
        """A wrong class for each class number, (n,): as the article names them, else the one whose mean is nearest."""
        present = np.unique(self.y[self.y >= 0])
        means = np.stack([self.numbers[self.y == k].reshape((self.y == k).sum(), -1).mean(axis=0) for k in present])
        apart = np.square(means[:, None] - means[None]).sum(-1)
        np.fill_diagonal(apart, np.inf)
        told = {int(k): int(present[apart[i].argmin()]) for i, k in enumerate(present)}
        known = self.class_of_digit
        told |= {known[a]: known[b] for a, b in MISLABELLED.items() if a in known and b in known}
        return np.array([told.get(int(number), -1) for number in y])

    @functools.cached_property
    def class_of_digit(self) -> dict[int, int]:
        """Class numbers by the digit that they stand for, where the labels are digits."""
        return {int(name): number for number, name in enumerate(self.names) if name.isdigit()}

    def walked(self) -> list[tuple[int, int]]:
        """Class numbers to walk between: the article's digits, else the first and last classes."""
        known, present = self.class_of_digit, set(self.y.tolist()) - {-1}
        pairs = [(known[a], known[b]) for a, b in WALKED if a in known and b in known]
        pairs = [pair for pair in pairs if set(pair) <= present]
        ordered = sorted(present)
        return pairs or ([(ordered[0], ordered[-1])] if len(ordered) > 1 else [])

    def labels_of(self, y: np.ndarray) -> np.ndarray:
        """Class numbers as the labels that the data have."""
        names = () if self.classes is None else self.classes.names
        return np.array([names[number] if number >= 0 else None for number in y], dtype=object)
