"""How like the real table a synthetic one is, and how much a classifier learns from it.

>>> import numpy as np
>>> random = np.random.default_rng(0)
>>> def draw(n):
...     kind = random.choice(["a", "b"], n)
...     return {"kind": kind, "size": random.normal(size=n) + 3 * (kind == "b")}
>>> real, synthetic, test = draw(1000), draw(1000), draw(1000)
>>> pair = compare_tables(real, synthetic).pairs[0]
>>> pair.measure, pair.difference < 0.05, compare_training(real, synthetic, test, "kind").share > 0.95
('correlation ratio', True, True)

A table is a pyarrow table, a frame or a mapping from names to columns; numbers and text, with missing values (NaN,
None).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from hyotan.errors import DataError, did_you_mean
from hyotan.metrics import some_rows

NUMBER, CATEGORY = "number", "category"
MOST_ROWS = 10_000
"""Rows of each table that a classifier tells apart, at most."""
FOLDS = 5
_MOST_CATEGORIES = 250  # as many as the classifier takes as such


@dataclass(frozen=True, eq=False)
class ComparedTable:
    """A table in the two kinds of columns that are told apart here.

    Attributes
    ----------
    numbers : name to (rows,) float64, missing values NaN.
    categories : name to (rows,) object, text, missing values None.
    rows : how many.
    """

    numbers: dict[str, ndarray]
    categories: dict[str, ndarray]
    rows: int

    @classmethod
    def of(cls, table: Any, categories: Collection[str] = ()) -> ComparedTable:
        """Of a pyarrow table, a frame or a mapping: numbers, dates and durations are numbers, all else categories.

        Parameters
        ----------
        table : as said above.
        categories : columns of numbers that are to be categories.

        Raises
        ------
        DataError
            The table has no columns or no rows, or columns of different lengths.
        """
        columns = {str(name): _flat(table[name]) for name in _names(table)}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1 or not min(lengths):
            raise DataError(f"A table needs columns of one length, 1 or more; got {sorted(lengths)}.")
        kept = {name: _as_numbers(column) for name, column in columns.items() if name not in categories}
        numbers = {name: column for name, column in kept.items() if column is not None}
        texts = {name: _as_text(column) for name, column in columns.items() if name not in numbers}
        return cls(numbers, texts, lengths.pop())

    @property
    def names(self) -> list[str]:
        """All columns' names, numbers first."""
        return [*self.numbers, *self.categories]

    def like(self, table: Any, what: str) -> ComparedTable:
        """Another table with the same columns, in the same kinds.

        Raises
        ------
        DataError
            A column is missing, or holds text where this one holds numbers.
        """
        other = ComparedTable.of(table, self.categories)
        for name in self.names:
            if name not in other.names:
                raise DataError(f"The {what} table has no column '{name}'.", did_you_mean(name, other.names))
            if name in self.numbers and name not in other.numbers:
                raise DataError(
                    f"Column '{name}' of the {what} table holds text; the real one holds numbers.",
                    "Write it as numbers, or name it among the categories of both.",
                )
        numbers = {name: other.numbers[name] for name in self.numbers}
        return ComparedTable(numbers, {name: other.categories[name] for name in self.categories}, other.rows)

    def take(self, places: ndarray) -> ComparedTable:
        """Some rows, by their numbers or by a mask."""
        numbers = {name: column[places] for name, column in self.numbers.items()}
        texts = {name: column[places] for name, column in self.categories.items()}
        return ComparedTable(numbers, texts, len(np.arange(self.rows)[places]))

    def without(self, name: str) -> ComparedTable:
        """The table without a column of categories."""
        return ComparedTable(self.numbers, {own: c for own, c in self.categories.items() if own != name}, self.rows)

    def some(self, limit: int, random_state: int) -> ComparedTable:
        """At most so many rows, drawn at random."""
        return self if self.rows <= limit else self.take(some_rows(self.rows, limit, random_state))


def _names(table: Any) -> list[Any]:
    return list(table.column_names if hasattr(table, "column_names") else table.keys())


def _flat(column: Any) -> ndarray:
    if type(getattr(column, "type", None)).__name__ == "DictionaryType":
        # Arrow's own way to NumPy loses the missing values of such columns
        column = column.cast(column.type.value_type)
    values = column.to_numpy() if hasattr(column, "to_numpy") else np.asarray(column)
    if values.ndim != 1:
        raise DataError(f"A column must have one dimension; got shape {values.shape}.")
    return values


def _as_numbers(column: ndarray) -> ndarray | None:
    """The column in float64, or None where it holds something else than numbers."""
    if column.dtype.kind in "iuf":
        return column.astype(np.float64)
    if column.dtype.kind in "mM":
        return np.where(np.isnat(column), np.nan, column.astype(np.int64).astype(np.float64))
    if column.dtype.kind != "O":
        return None
    present = [value for value in column.tolist() if not _is_missing(value)]
    if not present or any(
        isinstance(value, bool | np.bool_ | str) or not hasattr(value, "__float__") for value in present
    ):
        return None
    return np.array([np.nan if _is_missing(value) else float(value) for value in column.tolist()])


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _as_text(column: ndarray) -> ndarray:
    return np.array([None if _is_missing(value) else str(value) for value in column.tolist()] + [None], dtype=object)[
        :-1
    ]


# -- how like each other two tables are --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ColumnFidelity:
    """One column of both tables; missing values count apart.

    Attributes
    ----------
    name, kind : ``number`` or ``category``.
    distance : in [0, 1], 0 for the same distribution: the Kolmogorov-Smirnov statistic of numbers, the total variation
        distance of categories.
    wasserstein : of numbers, the Wasserstein distance in standard deviations of the real column; None of categories.
    real_missing, synthetic_missing : share of the rows without a value.
    """

    name: str
    kind: str
    distance: float
    wasserstein: float | None
    real_missing: float
    synthetic_missing: float


@dataclass(frozen=True)
class PairFidelity:
    """How far two columns go together, in the real table and in the synthetic one.

    Attributes
    ----------
    a, b : the columns.
    measure : ``correlation`` of two numbers (Pearson), ``Cramér's V`` of two categories, ``correlation ratio`` of both.
    real, synthetic : the measure in each table, over the rows that have both values.
    """

    a: str
    b: str
    measure: str
    real: float
    synthetic: float

    @property
    def difference(self) -> float:
        """How far the synthetic table is off."""
        return abs(self.real - self.synthetic)


@dataclass(frozen=True)
class Fidelity:
    """How like the real table a synthetic one is.

    What other real rows would reach is not 0: compare the real table with held-out rows as well.

    Attributes
    ----------
    columns : one a column.
    pairs : one a pair of columns.
    detection : area under the ROC curve of a classifier that tells real rows from synthetic ones, on rows that it has
        not seen: 0.5 where it cannot, 1 where it always can (Lopez-Paz & Oquab 2017).
    """

    columns: tuple[ColumnFidelity, ...]
    pairs: tuple[PairFidelity, ...]
    detection: float

    @property
    def mean_distance(self) -> float:
        """Mean distance of the columns."""
        return float(np.mean([column.distance for column in self.columns]))

    @property
    def mean_difference(self) -> float:
        """Mean difference of the pairs; 0 where there are none."""
        return float(np.mean([pair.difference for pair in self.pairs])) if self.pairs else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return asdict(self) | {"mean_distance": self.mean_distance, "mean_difference": self.mean_difference}


def compare_tables(real: Any, synthetic: Any, categories: Collection[str] = (), random_state: int = 0) -> Fidelity:
    """Compare a synthetic table with the real one, column by column, pair by pair, and by a classifier.

    Parameters
    ----------
    real, synthetic : tables with the same columns.
    categories : columns of numbers that are categories.
    random_state : seed of the classifier and of the rows that it sees.

    Raises
    ------
    DataError
        The tables do not have the same columns, or no rows.
    """
    ours = ComparedTable.of(real, categories)
    theirs = ours.like(synthetic, "synthetic")
    columns = [_compare_numbers(name, ours.numbers[name], theirs.numbers[name]) for name in ours.numbers]
    columns += [_compare_categories(name, ours.categories[name], theirs.categories[name]) for name in ours.categories]
    pairs = tuple(_compare_pair(a, b, ours, theirs) for a, b in itertools.combinations(ours.names, 2))
    return Fidelity(tuple(columns), pairs, _detection(ours, theirs, random_state))


def _compare_numbers(name: str, real: ndarray, synthetic: ndarray) -> ColumnFidelity:
    from scipy.stats import ks_2samp, wasserstein_distance

    shares, (ours, theirs) = _missing_shares(real, synthetic), (part[~np.isnan(part)] for part in (real, synthetic))
    if not len(ours) or not len(theirs):
        return ColumnFidelity(name, NUMBER, float(len(ours) != len(theirs)), None, *shares)
    distance = float(ks_2samp(ours, theirs, method="asymp").statistic)
    return ColumnFidelity(name, NUMBER, distance, wasserstein_distance(ours, theirs) / deviation(ours), *shares)


def _compare_categories(name: str, real: ndarray, synthetic: ndarray) -> ColumnFidelity:
    shares = _missing_shares(real, synthetic)
    values = [[value for value in part.tolist() if value is not None] for part in (real, synthetic)]
    if not all(values):
        return ColumnFidelity(name, CATEGORY, float(bool(values[0]) != bool(values[1])), None, *shares)
    kinds, codes = np.unique(values[0] + values[1], return_inverse=True)
    ours, theirs = np.split(codes, [len(values[0])])
    of_kinds = [np.bincount(part, minlength=len(kinds)) / len(part) for part in (ours, theirs)]
    return ColumnFidelity(name, CATEGORY, 0.5 * float(np.abs(of_kinds[0] - of_kinds[1]).sum()), None, *shares)


def _missing_shares(*columns: ndarray) -> list[float]:
    return [float(_missing(column).mean()) for column in columns]


def _missing(column: ndarray) -> ndarray:
    if column.dtype.kind == "f":
        return np.isnan(column)
    return np.array([value is None for value in column.tolist()])


def deviation(values: ndarray) -> float:
    """Standard deviation of the numbers that are there; 1 where they do not vary."""
    present = values[~np.isnan(values)]
    return (float(present.std()) if len(present) else 0.0) or 1.0


def _compare_pair(a: str, b: str, real: ComparedTable, synthetic: ComparedTable) -> PairFidelity:
    # Numbers come first in a table's names: a pair of one of each is a number, then a category.
    if b in real.numbers:
        name, measure, part = "correlation", _correlation, ("numbers", "numbers")
    elif a in real.categories:
        name, measure, part = "Cramér's V", _cramers_v, ("categories", "categories")
    else:
        name, measure, part = "correlation ratio", _correlation_ratio, ("numbers", "categories")
    values = [_both(getattr(table, part[0])[a], getattr(table, part[1])[b], measure) for table in (real, synthetic)]
    return PairFidelity(a, b, name, *values)


def _both(a: ndarray, b: ndarray, measure: Callable[[ndarray, ndarray], float]) -> float:
    """A measure of the rows that have both values; 0 where one of these does not vary."""
    present = ~(_missing(a) | _missing(b))
    codes = [part[present] if part.dtype.kind == "f" else np.unique(part[present].tolist(), return_inverse=True)[1]
             for part in (a, b)]  # fmt: skip
    return 0.0 if any(len(part) == 0 or np.ptp(part) == 0 for part in codes) else float(measure(*codes))


def _correlation(a: ndarray, b: ndarray) -> float:
    return np.corrcoef(a, b)[0, 1]


def _cramers_v(a: ndarray, b: ndarray) -> float:
    from scipy.stats.contingency import association, crosstab

    return association(crosstab(a, b).count, method="cramer")


def _correlation_ratio(numbers: ndarray, kinds: ndarray) -> float:
    """Root of the share of the variance that lies between the kinds.  Fisher 1925, section 45."""
    counts = np.bincount(kinds)
    means = np.bincount(kinds, numbers) / counts
    return math.sqrt(np.average(np.square(means - numbers.mean()), weights=counts) / numbers.var())


def _detection(real: ComparedTable, synthetic: ComparedTable, random_state: int) -> float:
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = min(real.rows, synthetic.rows, MOST_ROWS)
    encoder = Encoder.of(real, synthetic)
    X = np.concatenate([encoder.encode(table.some(rows, random_state)) for table in (real, synthetic)])
    origin = np.repeat([0, 1], rows)
    if rows < 2:
        return 0.5
    folds = StratifiedKFold(min(FOLDS, rows), shuffle=True, random_state=random_state)
    classifier = encoder.classifier(random_state)
    odds = cross_val_predict(classifier, X, origin, cv=folds, method="predict_proba")
    return float(roc_auc_score(origin, odds[:, 1]))


@dataclass(frozen=True)
class Encoder:
    """Tables as matrices for a classifier of trees: numbers as they are, categories numbered, missing values NaN.

    Attributes
    ----------
    kinds : name to each category's number.
    numbers : how many columns of numbers come first.
    """

    kinds: dict[str, dict[str, int]]
    numbers: int

    @classmethod
    def of(cls, *tables: ComparedTable) -> Encoder:
        """That knows the categories of some tables."""
        seen = {name: sorted({v for t in tables for v in t.categories[name] if v is not None}) for name in
                tables[0].categories}  # fmt: skip
        kinds = {name: {value: number for number, value in enumerate(values)} for name, values in seen.items()}
        return cls(kinds, len(tables[0].numbers))

    def encode(self, table: ComparedTable) -> ndarray:
        """All columns, (rows, columns), float64."""
        return np.column_stack([*table.numbers.values(), self.numbered(table)])

    def numbered(self, table: ComparedTable) -> ndarray:
        """The categories alone, (rows, columns), float64."""
        numbers = np.empty((table.rows, len(self.kinds)))
        for place, (name, kinds) in enumerate(self.kinds.items()):
            numbers[:, place] = [kinds.get(value, np.nan) for value in table.categories[name].tolist()]
        return numbers

    def classifier(self, random_state: int) -> Any:
        """scikit-learn's gradient-boosted trees, told which columns are categories."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        few = [len(kinds) <= _MOST_CATEGORIES for kinds in self.kinds.values()]
        return HistGradientBoostingClassifier(
            categorical_features=np.array([*[False] * self.numbers, *few]), random_state=random_state
        )


# -- what is learned from it -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Usefulness:
    """What a classifier learns from synthetic rows, beside what it learns from the real ones.

    Attributes
    ----------
    real, synthetic : balanced accuracy on real test rows after training on real, and on synthetic rows.
    """

    real: float
    synthetic: float

    @property
    def share(self) -> float:
        """Of what real rows teach, so much the synthetic ones teach too."""
        return self.synthetic / self.real


def compare_training(
    train: Any, synthetic: Any, test: Any, target: str, categories: Collection[str] = (), random_state: int = 0
) -> Usefulness:
    """Train a classifier on real and on synthetic rows, and test both on real rows that neither has seen.

    Parameters
    ----------
    train, synthetic, test : tables with the same columns; rows without a target are ignored.
    target : the column to predict.
    categories : columns of numbers that are categories; the target is one in any case.
    random_state : seed of the classifier, gradient-boosted trees.

    Raises
    ------
    DataError
        The tables do not have the same columns, no column is called ``target``, or no row of one has a target.
    """
    own = ComparedTable.of(train, {*categories, target})
    if target not in own.names:
        raise DataError(f"The real table has no column '{target}'.", did_you_mean(target, own.names))
    tables = [own, own.like(synthetic, "synthetic"), own.like(test, "test")]
    labels = [_labels(table, target, what) for table, what in zip(tables, ("real", "synthetic", "test"), strict=True)]
    known = [table.without(target).take(~_missing(table.categories[target])) for table in tables]
    encoder = Encoder.of(*known)
    X = [encoder.encode(table) for table in known]
    scores = [_score(encoder.classifier(random_state), X[i], labels[i], X[2], labels[2]) for i in (0, 1)]
    return Usefulness(*scores)


def _labels(table: ComparedTable, target: str, what: str) -> ndarray:
    labels = np.array([label for label in table.categories[target].tolist() if label is not None], dtype=str)
    if not len(labels):
        raise DataError(f"No row of the {what} table has a value of '{target}'.", "Pass rows that have one.")
    return labels


def _score(classifier: Any, X: ndarray, y: ndarray, X_test: ndarray, y_test: ndarray) -> float:
    """Balanced accuracy: the mean over the test rows' classes of the share that is recognised."""
    said = np.full(len(y_test), y[0]) if len(set(y.tolist())) == 1 else classifier.fit(X, y).predict(X_test)
    return float(np.mean([np.mean(said[y_test == kind] == kind) for kind in np.unique(y_test)]))
