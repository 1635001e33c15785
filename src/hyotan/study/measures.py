"""How good a code is, in numbers: one fitted model, or a baseline, on rows that it was not trained on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from hyotan import metrics
from hyotan.analysis.clustering import RUNS, kmeans_runs
from hyotan.analysis.evaluation import BASELINE_ROWS, Evaluation, as_trained, evaluate
from hyotan.analysis.latent import decoded, linear_walk, random_pairs, smoothness
from hyotan.data import Dataset
from hyotan.data.frames import Frame
from hyotan.data.stored import Resident
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.rows import split_rows
from hyotan.sampling.densities import FITTED_ROWS, Mixture
from hyotan.study.cells import MEAN, PCA, RAW, Cell, Scores
from hyotan.study.classes import UNKNOWN, Classes
from hyotan.study.prediction import predicted

SELECTION_ROWS = 10_000
TRAIN_ROWS = 20_000
"""Training rows among whose codes neighbours are looked for, and whose mean is the code of size 0."""
CODE_ROWS = 5_000
"""Rows whose codes are clustered and classified."""
NEAR_ROWS = 2_000
"""Rows for what grows with their square: neighbourhoods kept, coverage."""
SELECTION_RUNS = 10
"""Runs of K-means on the rows to choose by; the test rows, which are reported as a spread, get RUNS."""
WALKS, STEPS = 100, 11
NEIGHBOURS = 5
"""Neighbours within which a sample reaches a row."""


Values = dict[str, Any]
Runs = dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows, and the classes that they belong to.

    Attributes
    ----------
    X : (n, *features), as the data are; of a table with several kinds of columns the table.
    classes : (n,) numbers, UNKNOWN where the label is not known; None where the data have no classes.
    """

    X: Resident
    classes: np.ndarray | None = None

    def some(self, limit: int, seed: int = 0) -> Rows:
        """At most so many rows, drawn at random; all of them, in their order, where there are no more."""
        if len(self.X) <= limit:
            return self
        return self.take(metrics.some_rows(len(self.X), limit, seed))

    def take(self, rows: np.ndarray) -> Rows:
        """The rows with these numbers."""
        return Rows(self.X[rows], None if self.classes is None else self.classes[rows])

    @property
    def labelled(self) -> np.ndarray:
        """Numbers of the rows whose class is known; none without classes."""
        return np.arange(0) if self.classes is None else np.flatnonzero(self.classes != UNKNOWN)


@dataclass(frozen=True, eq=False)
class Parts:
    """The rows of one repeat.

    Attributes
    ----------
    train : what every model of the repeat is trained on.
    selection : what the models hold out, and the study chooses by; the test rows where they hold none out.
    test : what the study reports.
    n_classes : 0 where the data have no classes.
    """

    train: Rows
    selection: Rows
    test: Rows
    n_classes: int = 0

    @property
    def chooses_on_test(self) -> bool:
        """Whether there are no rows to choose by but those that are reported."""
        return self.selection is self.test


def parts_of(train: Dataset, test: Dataset, fraction: float, rows: str, seed: int) -> Parts:
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
    kept = split.train[metrics.some_rows(len(split.train), BASELINE_ROWS, seed)]
    held = split.validation[metrics.some_rows(len(split.validation), SELECTION_ROWS, seed)]
    selection = _rows(train.take(held), classes) if len(held) else tested
    return Parts(_rows(train.take(kept), classes), selection, tested, 0 if classes is None else len(classes))


def _rows(dataset: Dataset, classes: Classes | None) -> Rows:
    X = dataset.X if isinstance(dataset.X, Frame) else np.asarray(dataset.X)
    return Rows(X, None if classes is None or dataset.y is None else classes.numbers(dataset.y))


class Codes(Protocol):
    """What turns rows into codes."""

    def scaled(self, X: Resident) -> np.ndarray:
        """Rows in the model's range, (n, *features), float32; NaN where a value is missing."""
        ...

    def encode(self, X: Resident) -> np.ndarray:
        """Codes of rows as the data are, (n, latent)."""
        ...


class Generator(Codes, Protocol):
    """What turns codes into rows too: a fitted model, a prefix of one, or a baseline. All rows in the model's range."""

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """Rows in the model's range through the code and back."""
        ...

    def walk(self, starts: Resident, ends: Resident, steps: int) -> np.ndarray:
        """Decoded walks between rows as the data are, (walks, steps, *features)."""
        ...

    def sample(self, n: int, seed: int) -> np.ndarray:
        """New rows."""
        ...


@dataclass(frozen=True, eq=False)
class ModelCode:
    """The code of a fitted estimator.

    Attributes
    ----------
    estimator : fitted.
    size : of an ordered code, so many of its first values; None for all.
    """

    estimator: LatentEstimator
    size: int | None = None

    def scaled(self, X: Resident) -> np.ndarray:
        """Rows in the model's range."""
        return self.estimator.in_range(X)

    def encode(self, X: Resident) -> np.ndarray:
        """The code, or the posterior mean."""
        return self.estimator.transform(X)[:, : self.size]

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """The likelihood's mean; cut off, as it comes back in the data's units, where these end."""
        if self.estimator.is_of_table:
            return self.estimator.decode_in_range(Z)  # a category in between is a step of a walk too
        return self._to_range(self.estimator.inverse_transform(Z))

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """As the estimator does."""
        return self.estimator.reconstruct_scaled(rows, self.size)

    def walk(self, starts: Resident, ends: Resident, steps: int) -> np.ndarray:
        """Straight in the code; of a model that takes labels, from one end's label to the other's too."""
        if not hasattr(self.estimator, "classes_"):
            return decoded(linear_walk(self.encode(starts), self.encode(ends), steps), self.decode)
        walks = [self.estimator.interpolate(starts[i], ends[i], steps) for i in range(len(starts))]
        return np.stack([self._to_range(walk) for walk in walks])

    def sample(self, n: int, seed: int) -> np.ndarray:
        """As the estimator samples, by the model alone; of a prefix, its part of such codes."""
        if self.size is None:
            how: dict[str, Any] = {"refined": False} if self.estimator.refines else {}
            return self._to_range(self.estimator.sample(n, seed, **how))
        return self.decode(self.estimator.sample_codes(n, seed)[:, : self.size])

    def _to_range(self, rows: Any) -> np.ndarray:
        """What a model gave in the data's units, in its range."""
        return self.estimator.scaling_.to_model(rows)


@dataclass(frozen=True, eq=False)
class PrincipalCode:
    """The leading principal components of rows in a model's range.

    Attributes
    ----------
    estimator : whose range it is.
    pca : scikit-learn's, fitted with as many components at least.
    size : components used.
    density : fitted to the training rows' coordinates, as models fit one to their codes.
    """

    estimator: LatentEstimator
    pca: Any
    size: int
    density: Mixture

    def scaled(self, X: Resident) -> np.ndarray:
        """Rows in the model's range."""
        return self.estimator.in_range(X)

    def encode(self, X: Resident) -> np.ndarray:
        """Coordinates along the components."""
        return self._coordinates(self.scaled(X))

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """The point of the plane that has these coordinates."""
        components = self.pca.components_[: Z.shape[1]]
        rows = (Z @ components + self.pca.mean_).astype(np.float32)
        return rows.reshape(len(Z), *self.estimator.feature_shape_)

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """The nearest points of the plane."""
        return self.decode(self._coordinates(rows))

    def walk(self, starts: Resident, ends: Resident, steps: int) -> np.ndarray:
        """Straight in the plane."""
        return decoded(linear_walk(self.encode(starts), self.encode(ends), steps), self.decode)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """From the density of the coordinates."""
        return self.decode(self.density.sample(n, np.random.RandomState(seed)))

    def _coordinates(self, rows: np.ndarray) -> np.ndarray:
        filled = metrics.mean_filled(_flat(rows), self.pca.mean_.astype(rows.dtype))
        return self.pca.transform(filled)[:, : self.size]


@dataclass(frozen=True, eq=False)
class Features:
    """The features themselves, as codes; nothing is made of them, but that missing values hold the mean.

    Attributes
    ----------
    estimator : whose range it is.
    mean : (*features), of the training rows.
    """

    estimator: LatentEstimator
    mean: np.ndarray

    def scaled(self, X: Resident) -> np.ndarray:
        """Rows in the model's range."""
        return self.estimator.in_range(X)

    def encode(self, X: Resident) -> np.ndarray:
        """All values of each row."""
        return _flat(metrics.mean_filled(self.scaled(X), self.mean))


@dataclass(frozen=True)
class Measured:
    """A cell's scores, and what they were made of.

    Attributes
    ----------
    selection, test : on the rows to choose by and on those reported.
    clusterings : of the test codes: for each measure of agreement, its value in each run of K-means.
    warnings : codes and texts of what the diagnosis found wrong.
    """

    selection: Scores
    test: Scores
    clusterings: dict[str, list[float]]
    warnings: list[tuple[str, str]] = field(default_factory=list)


def measure(estimator: LatentEstimator, parts: Parts, evaluation: Evaluation | None = None, seed: int = 0) -> Measured:
    """Measure a fitted model.

    Parameters
    ----------
    estimator : fitted.
    parts : the rows of its repeat.
    evaluation : of the estimator on the test rows, where the caller has it already.
    seed : of everything that is drawn: the same rows and walks for every model.
    """
    parts = _as_trained(estimator, parts, seed)
    tested = evaluation or evaluate(estimator, parts.test.X, parts.train.X, random_state=seed)

    def of_model(rows: Rows) -> Values:
        found = tested if rows is parts.test else evaluate(estimator, rows.X, random_state=seed)
        more = {"bound": _bound(estimator, rows, seed), "label_error": _label_error(estimator, rows)}
        return {**_of_likelihood(found), **more}

    wrong = [(finding.code, finding.text) for finding in tested.diagnosis if finding.level != "good"]
    return replace(_measured(ModelCode(estimator), parts, seed, of_model), warnings=wrong)


def measure_prefix(estimator: LatentEstimator, size: int, parts: Parts, seed: int = 0) -> Measured:
    """Measure the first values of an ordered code, as :func:`measure` does the whole; they have no likelihood."""
    return _measured(ModelCode(estimator, size), _as_trained(estimator, parts, seed), seed)


def baselines(estimator: LatentEstimator, sizes: Sequence[int], parts: Parts, repeat: int, seed: int) -> Iterator[Cell]:
    """What no model has learned, measured as models are: the mean, PCA of each size, the features themselves.

    Parameters
    ----------
    estimator : fitted; its range is the one that errors are compared in.
    sizes : latent sizes.
    parts : the rows of the repeat.
    repeat, seed : of the cells.
    """
    parts = _as_trained(estimator, parts, seed)
    features = int(np.prod(estimator.feature_shape_))

    def cell(model: str, size: int, found: Measured) -> Cell:
        test, selection = found.test, found.selection
        return Cell(model, size, repeat, seed, selection, test, features, clusterings=found.clusterings)

    known = estimator.in_range(parts.train.X)
    raw = Judge.of(Features(estimator, metrics.observed_mean(known)), parts, seed)
    yield cell(MEAN, 0, _each_part(parts, lambda rows, runs: (_of_mean(raw.errors_of_mean(rows)), {})))
    flat = metrics.mean_filled(_flat(known), raw.mean.ravel())
    fitted = metrics.fit_pca(flat, max(sizes), seed)
    coordinates = fitted.transform(flat[metrics.some_rows(len(flat), FITTED_ROWS)])
    for size in sizes:
        density = Mixture.fit(coordinates[:, :size])
        yield cell(PCA, size, _measured(PrincipalCode(estimator, fitted, size, density), parts, seed))
    yield cell(RAW, features, _each_part(parts, raw.by_label))


def _as_trained(estimator: LatentEstimator, parts: Parts, seed: int) -> Parts:
    """The rows black and white where the estimator binarises: each drawn once, the same for every model."""
    if estimator.binarise is None:
        return parts
    train, selection, test = (
        Rows(np.asarray(as_trained(estimator, rows.X, seed + number)), rows.classes)
        for number, rows in enumerate((parts.train, parts.selection, parts.test))
    )
    return Parts(train, test if parts.chooses_on_test else selection, test, parts.n_classes)


@dataclass(frozen=True, eq=False)
class Judge:
    """Codes, and what of the training rows they are held against.

    Attributes
    ----------
    code : what is judged.
    mean : (*features), the mean of training rows in the model's range: the answer of a code of size 0.
    codes, classes : of training rows whose label is known: (n, latent) and (n,).
    n_classes : 0 where the data have no classes.
    seed : of the rows, walks and starts that are drawn.
    """

    code: Codes
    mean: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    n_classes: int
    seed: int

    @classmethod
    def of(cls, code: Codes, parts: Parts, seed: int) -> Judge:
        """For the training rows of a repeat, or so many of them as say enough."""
        train = parts.train.some(TRAIN_ROWS, seed)
        mean = _mean(code.scaled(train.X))
        known = train.labelled
        classes = np.arange(0) if train.classes is None else train.classes[known]
        codes = code.encode(train.X[known]) if len(known) else np.empty((0, 0), np.float32)
        return cls(code, mean, codes, classes, parts.n_classes, seed)

    def errors_of_mean(self, rows: Rows) -> np.ndarray:
        """Squared error of answering each row with the mean, (n,)."""
        scaled = self.code.scaled(rows.X)
        return metrics.row_errors(np.broadcast_to(self.mean, scaled.shape), scaled)

    def by_label(self, rows: Rows, runs: int) -> tuple[Values, Runs]:
        """How codes and labels agree, and each run of K-means; nothing where there are too few labels to say."""
        rows = rows.take(rows.labelled).some(CODE_ROWS, self.seed)
        if rows.classes is None or len(rows.X) < max(2, self.n_classes) or len(self.codes) == 0:
            return {}, {}
        codes = self.code.encode(rows.X)
        with _few_distinct_codes():
            found = kmeans_runs(codes, rows.classes, self.n_classes, runs, self.seed)
        every = found.to_dict()
        knn = metrics.knn_accuracy(self.codes, self.classes, codes, rows.classes)
        return {"knn_accuracy": knn, **found.means()}, {name: every[name] for name in metrics.AGREEMENTS}


def _measured(
    code: Generator, parts: Parts, seed: int, of_model: Callable[[Rows], Values] = lambda rows: {}
) -> Measured:
    """Everything that can be said of a code, and what ``of_model`` says beside."""
    judge = Judge.of(code, parts, seed)

    def of_part(rows: Rows, runs: int) -> tuple[Values, Runs]:
        scaled = code.scaled(rows.X)
        errors = metrics.row_errors(code.reconstruct(scaled), scaled)
        of_code = {
            # In the model's range: rows moved a little in the data's own units would be cut off where that range ends.
            "q2": predicted(code.reconstruct, code.scaled(rows.some(CODE_ROWS, seed).X), judge.mean, seed),
            "active_units": metrics.active_units(code.encode(rows.X)),
        }
        by_label, clusterings = judge.by_label(rows, runs)
        of_place = _by_place(code, judge.mean, rows, seed)
        values = {**_of_errors(errors, judge.errors_of_mean(rows)), **of_code, **of_place}
        return {**values, **by_label, **of_model(rows)}, clusterings

    return _each_part(parts, of_part)


def _each_part(parts: Parts, of_part: Callable[[Rows, int], tuple[Values, Runs]]) -> Measured:
    values, clusterings = of_part(parts.test, RUNS)
    test = Scores(len(parts.test.X), **values)
    if parts.chooses_on_test:
        return Measured(test, test, clusterings)
    values, _ = of_part(parts.selection, SELECTION_RUNS)
    return Measured(Scores(len(parts.selection.X), **values), test, clusterings)


def _of_errors(errors: np.ndarray, of_mean: np.ndarray) -> Values:
    """What rows' squared errors, (n,), say beside those of the mean."""
    explained = float(1 - errors.mean() / of_mean.mean()) if of_mean.any() else None
    error = metrics.standard_error(errors)
    return {"mse": float(errors.mean()), "mse_standard_error": error, "explained": explained}


def _of_mean(errors: np.ndarray) -> Values:
    """What the mean's own errors say; it predicts as much of the variance as it keeps, nothing."""
    return {**_of_errors(errors, errors), "q2": 0.0 if errors.any() else None}


def _by_place(code: Generator, mean: np.ndarray, rows: Rows, seed: int) -> Values:
    """What needs no label: neighbours kept, even walks, samples that reach the rows; less of it on few rows.

    Values that are missing lie at the mean: that is the same for every model.
    """
    rows = rows.some(NEAR_ROWS, seed)
    scaled = metrics.mean_filled(code.scaled(rows.X), mean)
    found: Values = {}
    if len(scaled) > 2:
        found["trustworthiness"] = metrics.trustworthiness(scaled, code.encode(rows.X), max_rows=NEAR_ROWS)
        found["smoothness"] = _smoothness(code, rows, seed)
    if len(scaled) > NEIGHBOURS:
        found["coverage"] = metrics.coverage(scaled, code.sample(len(scaled), seed), NEIGHBOURS)
    return found


def _smoothness(code: Generator, rows: Rows, seed: int) -> float:
    kinds = rows.classes if rows.classes is not None and len(np.unique(rows.classes)) > 1 else None
    start, end = random_pairs(len(rows.X), WALKS, kinds, seed).T
    return float(smoothness(code.walk(rows.X[start], rows.X[end], STEPS)).mean())


def _of_likelihood(found: Evaluation) -> Values:
    nll = found.likelihood
    return {
        "nll": None if nll is None else nll.nll,
        "nll_standard_error": None if nll is None else nll.standard_error,
        "kl": found.kl,
    }


def _bound(estimator: LatentEstimator, rows: Rows, seed: int) -> float | None:
    """The negative bound at beta = 1, nats a row, with what the label costs where there is one; None without a KL."""
    terms = estimator.loss_samples(rows.X, seed)
    if "kl" not in terms:
        return None
    return float((terms["reconstruction"] + terms["kl"].sum(axis=1) + terms.get("label", 0.0)).mean(dtype=np.float64))


def _label_error(estimator: LatentEstimator, rows: Rows) -> float | None:
    """Share of the labels that a model which predicts labels gets wrong; its classes are the study's, in order."""
    known = rows.labelled
    if not hasattr(estimator, "predict_proba") or rows.classes is None or len(known) == 0:
        return None
    guessed = np.asarray(estimator.predict_proba(rows.X[known])).argmax(axis=1)
    return float(np.mean(guessed != rows.classes[known]))


@contextmanager
def _few_distinct_codes() -> Iterator[None]:
    """Say nothing where a collapsed code has fewer different values than there are classes: the scores say it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1)


def _mean(rows: np.ndarray) -> np.ndarray:
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    return metrics.observed_mean(rows) if np.isnan(mean).any() else mean
