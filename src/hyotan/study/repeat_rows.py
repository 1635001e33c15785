"""The rows of one repeat of a study: what its models are trained on, chosen by and reported on, with their classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from hyotan.analysis.evaluation import BASELINE_ROWS, as_trained
from hyotan.data import Dataset
from hyotan.data.stored import Resident
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.splits import split_rows
from hyotan.metrics import some_rows
from hyotan.study.classes import UNKNOWN, Classes

SELECTION_ROWS = 10_000


@dataclass(frozen=True, eq=False)
class ClassedRows:
    """Rows, and the classes that they belong to.

    Attributes
    ----------
    X : (n, *features), as the data are; of a table with several kinds of columns the table.
    classes : (n,) numbers, UNKNOWN where the label is not known; None where the data have no classes.
    """

    X: Resident
    classes: np.ndarray | None = None

    def some(self, limit: int, seed: int = 0) -> ClassedRows:
        """At most so many rows, drawn at random; all of them, in their order, where there are no more."""
        if len(self.X) <= limit:
            return self
        return self.take(some_rows(len(self.X), limit, seed))

    def take(self, rows: np.ndarray) -> ClassedRows:
        """The rows with these numbers."""
        return ClassedRows(self.X[rows], None if self.classes is None else self.classes[rows])

    @property
    def labelled(self) -> np.ndarray:
        """Numbers of the rows whose class is known; none without classes."""
        return np.arange(0) if self.classes is None else np.flatnonzero(self.classes != UNKNOWN)


@dataclass(frozen=True, eq=False)
class RepeatRows:
    """The rows of one repeat.

    Attributes
    ----------
    train : what every model of the repeat is trained on.
    selection : what the models hold out, and the study chooses by; the test rows where they hold none out.
    test : what the study reports.
    n_classes : 0 where the data have no classes.
    """

    train: ClassedRows
    selection: ClassedRows
    test: ClassedRows
    n_classes: int = 0

    def as_trained(self, estimator: LatentEstimator, seed: int) -> RepeatRows:
        """The rows black and white where the estimator binarises: each drawn once, the same for every model."""
        if estimator.binarise is None:
            return self
        train, selection, test = (
            ClassedRows(np.asarray(as_trained(estimator, rows.X, seed + number)), rows.classes)
            for number, rows in enumerate((self.train, self.selection, self.test))
        )
        return RepeatRows(train, test if self.chooses_on_test else selection, test, self.n_classes)

    @property
    def chooses_on_test(self) -> bool:
        """Whether there are no rows to choose by but those that are reported."""
        return self.selection is self.test


def rows_of_repeat(train: Dataset, test: Dataset, fraction: float, rows: str, seed: int) -> RepeatRows:
    """The rows as estimators with these settings part them.

    Parameters
    ----------
    train, test : the data.
    fraction, rows : the estimators' ``validation_fraction`` and ``validation_rows``.
    seed : their ``random_state``.
    """
    classes = Classes.of(train.y)
    split = split_rows(len(train.X), fraction, rows, check_random_state(seed))
    tested = _rows(test, classes)
    kept = split.train[some_rows(len(split.train), BASELINE_ROWS, seed)]
    held = split.validation[some_rows(len(split.validation), SELECTION_ROWS, seed)]
    selection = _rows(train.take(held), classes) if len(held) else tested
    return RepeatRows(_rows(train.take(kept), classes), selection, tested, 0 if classes is None else len(classes))


def _rows(dataset: Dataset, classes: Classes | None) -> ClassedRows:
    X: Any = dataset.X  # a study's rows are in memory
    return ClassedRows(X, None if classes is None or dataset.y is None else classes.numbers(dataset.y))
