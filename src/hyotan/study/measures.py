"""How good a code is, in numbers: one fitted model, or a baseline, on rows that it was not trained on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from hyotan import metrics
from hyotan.analysis.clustering import RUNS, kmeans_runs
from hyotan.analysis.evaluation import Evaluation, evaluate, mean_negative_elbo
from hyotan.analysis.latent import random_pairs, smoothness
from hyotan.estimators.estimator import LatentEstimator
from hyotan.sampling.densities import FITTED_ROWS, Mixture
from hyotan.study.cells import MEAN, PCA, RAW, Cell, Scores
from hyotan.study.latent_codes import Codes, Features, Generator, ModelCode, PrincipalCode
from hyotan.study.prediction import predicted
from hyotan.study.repeat_rows import ClassedRows, RepeatRows

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


NamedScores = dict[str, Any]
Judged = tuple[NamedScores, dict[str, list[float]]]
"""Scores by name, and for each measure of agreement its value in each run of K-means."""


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


def measure_model(
    estimator: LatentEstimator, parts: RepeatRows, evaluation: Evaluation | None = None, seed: int = 0
) -> Measured:
    """Measure a fitted model.

    Parameters
    ----------
    estimator : fitted.
    parts : the rows of its repeat.
    evaluation : of the estimator on the test rows, where the caller has it already.
    seed : of everything that is drawn: the same rows and walks for every model.
    """
    parts = parts.as_trained(estimator, seed)
    tested = evaluation or evaluate(estimator, parts.test.X, parts.train.X, random_state=seed)

    def of_model(rows: ClassedRows) -> NamedScores:
        found = tested if rows is parts.test else evaluate(estimator, rows.X, random_state=seed)
        nll = found.likelihood
        return {
            "nll": None if nll is None else nll.nll,
            "nll_standard_error": None if nll is None else nll.standard_error,
            "kl": found.kl,
            "bound": _bound(estimator, rows, seed),
            "label_error": _label_error(estimator, rows),
        }

    wrong = [(finding.code, finding.text) for finding in tested.diagnosis if finding.level != "good"]
    return replace(_measured(ModelCode(estimator), parts, seed, of_model), warnings=wrong)


def measure_prefix(estimator: LatentEstimator, size: int, parts: RepeatRows, seed: int = 0) -> Measured:
    """Measure the first values of an ordered code, as :func:`measure_model` does the whole; they have no likelihood."""
    return _measured(ModelCode(estimator, size), parts.as_trained(estimator, seed), seed)


def baselines(
    estimator: LatentEstimator, sizes: Sequence[int], parts: RepeatRows, repeat: int, seed: int
) -> Iterator[Cell]:
    """What no model has learned, measured as models are: the mean, PCA of each size, the features themselves.

    Parameters
    ----------
    estimator : fitted; its range is the one that errors are compared in.
    sizes : latent sizes.
    parts : the rows of the repeat.
    repeat, seed : of the cells.
    """
    parts = parts.as_trained(estimator, seed)
    features = int(np.prod(estimator.feature_shape_))

    def cell(model: str, size: int, found: Measured) -> Cell:
        test, selection = found.test, found.selection
        return Cell(model, size, repeat, seed, selection, test, features, clusterings=found.clusterings)

    known = estimator.in_range(parts.train.X)
    raw = Judge.of(Features(estimator, metrics.observed_mean(known)), parts, seed)
    yield cell(MEAN, 0, _each_part(parts, lambda rows, runs: (_of_mean(raw.errors_of_mean(rows)), {})))
    flat = metrics.mean_filled(known.reshape(len(known), -1), raw.mean.ravel())
    fitted = metrics.fit_pca(flat, max(sizes), seed)
    coordinates = fitted.transform(flat[metrics.some_rows(len(flat), FITTED_ROWS)])
    for size in sizes:
        density = Mixture.fit(coordinates[:, :size])
        yield cell(PCA, size, _measured(PrincipalCode(estimator, fitted, size, density), parts, seed))
    yield cell(RAW, features, _each_part(parts, raw.by_label))


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
    def of(cls, code: Codes, parts: RepeatRows, seed: int) -> Judge:
        """For the training rows of a repeat, or so many of them as say enough."""
        train = parts.train.some(TRAIN_ROWS, seed)
        mean = _mean(code.scaled(train.X))
        known = train.labelled
        classes = np.arange(0) if train.classes is None else train.classes[known]
        codes = code.encode(train.X[known]) if len(known) else np.empty((0, 0), np.float32)
        return cls(code, mean, codes, classes, parts.n_classes, seed)

    def errors_of_mean(self, rows: ClassedRows) -> np.ndarray:
        """Squared error of answering each row with the mean, (n,)."""
        scaled = self.code.scaled(rows.X)
        return metrics.row_errors(np.broadcast_to(self.mean, scaled.shape), scaled)

    def by_label(self, rows: ClassedRows, runs: int) -> Judged:
        """How codes and labels agree, and each run of K-means; nothing where there are too few labels to say."""
        rows = rows.take(rows.labelled).some(CODE_ROWS, self.seed)
        if rows.classes is None or len(rows.X) < max(2, self.n_classes) or len(self.codes) == 0:
            return {}, {}
        codes = self.code.encode(rows.X)
        with warnings.catch_warnings():
            # A collapsed code may have fewer different values than there are classes: the scores say so.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = kmeans_runs(codes, rows.classes, self.n_classes, runs, self.seed)
        every = found.to_dict()
        knn = metrics.knn_accuracy(self.codes, self.classes, codes, rows.classes)
        return {"knn_accuracy": knn, **found.means()}, {name: every[name] for name in metrics.AGREEMENTS}


def _measured(
    code: Generator, parts: RepeatRows, seed: int, of_model: Callable[[ClassedRows], NamedScores] = lambda rows: {}
) -> Measured:
    """Everything that can be said of a code, and what ``of_model`` says beside."""
    judge = Judge.of(code, parts, seed)

    def of_part(rows: ClassedRows, runs: int) -> Judged:
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


def _each_part(parts: RepeatRows, of_part: Callable[[ClassedRows, int], Judged]) -> Measured:
    values, clusterings = of_part(parts.test, RUNS)
    test = Scores(len(parts.test.X), **values)
    if parts.chooses_on_test:
        return Measured(test, test, clusterings)
    values, _ = of_part(parts.selection, SELECTION_RUNS)
    return Measured(Scores(len(parts.selection.X), **values), test, clusterings)


def _of_errors(errors: np.ndarray, of_mean: np.ndarray) -> NamedScores:
    """What rows' squared errors, (n,), say beside those of the mean."""
    explained = float(1 - errors.mean() / of_mean.mean()) if of_mean.any() else None
    error = metrics.standard_error(errors)
    return {"mse": float(errors.mean()), "mse_standard_error": error, "explained": explained}


def _of_mean(errors: np.ndarray) -> NamedScores:
    """What the mean's own errors say; it predicts as much of the variance as it keeps, nothing."""
    return {**_of_errors(errors, errors), "q2": 0.0 if errors.any() else None}


def _by_place(code: Generator, mean: np.ndarray, rows: ClassedRows, seed: int) -> NamedScores:
    """What needs no label: neighbours kept, even walks, samples that reach the rows; less of it on few rows.

    NamedScores that are missing lie at the mean: that is the same for every model.
    """
    rows = rows.some(NEAR_ROWS, seed)
    scaled = metrics.mean_filled(code.scaled(rows.X), mean)
    found: NamedScores = {}
    if len(scaled) > 2:
        found["trustworthiness"] = metrics.trustworthiness(scaled, code.encode(rows.X), max_rows=NEAR_ROWS)
        found["smoothness"] = _smoothness(code, rows, seed)
    if len(scaled) > NEIGHBOURS:
        found["coverage"] = metrics.coverage(scaled, code.sample(len(scaled), seed), NEIGHBOURS)
    return found


def _smoothness(code: Generator, rows: ClassedRows, seed: int) -> float:
    kinds = rows.classes if rows.classes is not None and len(np.unique(rows.classes)) > 1 else None
    start, end = random_pairs(len(rows.X), WALKS, kinds, seed).T
    return float(smoothness(code.walk(rows.X[start], rows.X[end], STEPS)).mean())


def _bound(estimator: LatentEstimator, rows: ClassedRows, seed: int) -> float | None:
    """The negative bound at beta = 1, nats a row, with what the label costs where there is one; None without a KL."""
    terms = estimator.loss_samples(rows.X, seed)
    return mean_negative_elbo(terms) if "kl" in terms else None


def _label_error(estimator: Any, rows: ClassedRows) -> float | None:
    """Share of the labels that a model which predicts labels gets wrong; its classes are the study's, in order."""
    known = rows.labelled
    if not estimator.family.conditional or rows.classes is None or len(known) == 0:
        return None
    guessed = np.asarray(estimator.predict_proba(rows.X[known])).argmax(axis=1)
    return float(np.mean(guessed != rows.classes[known]))


def _mean(rows: np.ndarray) -> np.ndarray:
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    return metrics.observed_mean(rows) if np.isnan(mean).any() else mean
