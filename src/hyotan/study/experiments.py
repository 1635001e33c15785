"""The four experiments that compare the models of a study: reconstruction, continuous change, plots, clustering.

Each leaves numbers (:class:`hyotan.study.replications.Experiments`), pictures, figures and the data behind them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyotan.analysis.latent import WALKS, Probe, decoded, passages, random_pairs, tsne_plane, walk_named
from hyotan.data import Dataset
from hyotan.data.frames import Frame
from hyotan.data.stored import Resident
from hyotan.estimators import CVAE as CVAEEstimator
from hyotan.estimators.contract import LatentEstimator
from hyotan.figures import (
    ClusteringDisplay,
    CodePlotsDisplay,
    ConditionalReconstructionsDisplay,
    Display,
    ExchangeDisplay,
    SizeCurvesDisplay,
    WalksDisplay,
)
from hyotan.figures.conditional import Way
from hyotan.files.folders import write_json
from hyotan.metrics import knn_accuracy, mean_filled, observed_mean, row_errors
from hyotan.runs.gallery import Shown
from hyotan.study.cells import LOWER_IS_BETTER, MEAN, RAW, Cell, interval, models_of, sizes_of
from hyotan.study.classes import Classes
from hyotan.study.exhibits import Exchanged, Pictures, Plane, Told, Walked
from hyotan.study.folder import DATA, FIGURES, StudyFolder
from hyotan.study.replications import CVAE, NO_LABEL, RIGHT_LABEL, SIZES, WRONG_LABEL, Experiments, Series

PICTURES = "pictures.hyotan"

ROWS, PLANE_ROWS, PAIRS, STEPS = 2000, 1000, 400, 11
"""Test rows measured, points of the plots, walks counted, and steps of a walk."""

MOST_SHOWN, STYLES = 10, 6
UNLIKE = 0.8
"""Where among a class's rows, by their distance from its mean, a style is taken from."""

WALKED = ((1, 0), (3, 7))
"""Digits that the article walks between."""

MISLABELLED = {4: 9, 2: 7}
"""Digits that the article names wrongly; elsewhere a row is given the label whose mean is nearest."""

CURVES = ("mse", "bound", "nll", "knn_accuracy", "smoothness", "coverage", "active_units")
SCORES = ("v_measure", "accuracy", "nmi", "ari")


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
    estimator: LatentEstimator

    def encode(self, X: Resident) -> np.ndarray:
        """Codes, (n, latent_dim)."""
        return self.estimator.transform(X)[:, : self.latent_dim]

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Rows, (n, *features), in the data's units; of a table with several kinds of columns in the model's range."""
        return self.estimator.decode_in_range(Z) if self.estimator.is_of_table else self.estimator.inverse_transform(Z)

    def reconstruct(self, X: Resident, labels: np.ndarray | None = None) -> np.ndarray:
        """Rows through the code and back, as :meth:`decode` gives them; given labels where the model takes them."""
        if labels is not None and isinstance(self.estimator, CVAEEstimator):
            told = self.estimator.reconstruct(X, y=labels)
            return self.estimator.scaling_.to_model(told) if self.estimator.is_of_table else told
        if self.estimator.is_of_table or self.latent_dim < self.estimator.latent_dim:
            return self.decode(self.encode(X))
        return self.estimator.reconstruct(X)

    def in_range(self, rows: np.ndarray) -> np.ndarray:
        """Rows as :meth:`decode` gives them, in the model's range."""
        return rows if self.estimator.is_of_table else self.estimator.scaling_.to_model(rows)

    @property
    def decodes_alone(self) -> bool:
        """Whether a code is decoded without a label as training knew it."""
        return not isinstance(self.estimator, CVAEEstimator) or self.estimator.unlabelled_rows == "zero"


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
        X = test.X[:ROWS] if isinstance(test.X, Frame) else np.asarray(test.X[:ROWS])
        y = np.full(len(X), -1) if classes is None or test.y is None else classes.numbers(test.y[:ROWS])
        return cls(folder, train, test, classes, X, y)

    @property
    def names(self) -> list[str]:
        """The labels as text."""
        return [] if self.classes is None else [str(name) for name in self.classes.names]

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
        if not isinstance(self.X, Frame):
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
        known = self._by_name()
        told |= {known[a]: known[b] for a, b in MISLABELLED.items() if a in known and b in known}
        return np.array([told.get(int(number), -1) for number in y])

    def _by_name(self) -> dict[int, int]:
        """Class numbers by the digit that they stand for, where the labels are digits."""
        return {int(name): number for number, name in enumerate(self.names) if name.isdigit()}

    def walked(self) -> list[tuple[int, int]]:
        """Class numbers to walk between: the article's digits, else the first and last classes."""
        known, present = self._by_name(), set(self.y.tolist()) - {-1}
        pairs = [(known[a], known[b]) for a, b in WALKED if a in known and b in known]
        pairs = [pair for pair in pairs if set(pair) <= present]
        ordered = sorted(present)
        return pairs or ([(ordered[0], ordered[-1])] if len(ordered) > 1 else [])

    def labels_of(self, y: np.ndarray) -> np.ndarray:
        """Class numbers as the labels that the data have."""
        names = () if self.classes is None else self.classes.names
        return np.array([names[number] if number >= 0 else None for number in y], dtype=object)


# -- performed ---------------------------------------------------------------------------------------------------------


def perform(bench: Bench) -> tuple[Experiments, Pictures]:
    """Do the experiments."""
    shown = bench.one_a_class()
    first = next(bench.codes(), None)
    view = None if first is None else Shown(first.estimator)
    pictured = view is not None and view.is_image
    told, errors, pulled, mistaken = _reconstructions(bench, shown, pictured)
    walks, passed = _walks(bench, pictured)
    planes, plane_rows, centre, plane = _planes(bench)
    names = bench.names
    pictures = Pictures(
        labels=names,
        shown=[names[number] if number >= 0 else "" for number in bench.y[shown]] if names else [],
        plane_labels=[names[number] if number >= 0 else "" for number in bench.y[plane_rows]] if names else [],
        value_range=(0.0, 1.0) if view is None else view.value_range,
        originals=view.rows(bench.X[shown]) if view is not None and pictured else None,
        told=told,
        walks=walks,
        planes=planes,
        exchanged=_exchanged(bench) if pictured else [],
    )
    numbers = Experiments(errors=errors, pulled=pulled, mistaken=mistaken, passed=passed, centre=centre, plane=plane)
    return numbers, pictures


def conditions(code: Code, bench: Bench, y: np.ndarray) -> dict[str, np.ndarray | None]:
    """What a code is told of rows of these classes: nothing; and a conditional one the right and a wrong label too."""
    if code.model != CVAE or bench.classes is None:
        return {NO_LABEL: None}
    return {NO_LABEL: None, RIGHT_LABEL: bench.labels_of(y), WRONG_LABEL: bench.labels_of(bench.wrong(y))}


def _reconstructions(
    bench: Bench, shown: np.ndarray, pictured: bool
) -> tuple[list[Told], list[Series], list[Series], list[Series]]:
    """Experiment 1: every model's reconstructions with no, the right and a wrong label."""
    told, errors, pulled, mistaken = [], [], [], []
    known = bench.y >= 0
    X, y = (bench.X[known], bench.y[known]) if bench.classes is not None else (bench.X, bench.y)
    digits = bench._by_name()
    for code in bench.codes(sizes=bench.sizes):
        view = Shown(code.estimator)
        for condition, labels in conditions(code, bench, y).items():
            rows = code.reconstruct(X, labels)
            values = row_errors(code.in_range(rows), code.estimator.in_range(X))
            errors.append(Series(code.model, code.latent_dim, values.tolist(), condition))
            seen = None if bench.probe is None else bench.probe.predict(rows)
            if seen is not None and code.model == CVAE and condition != RIGHT_LABEL:
                hits = (seen == bench.wrong(y)).astype(float)
                pulled.append(Series(code.model, code.latent_dim, hits.tolist(), condition))
            if seen is not None and condition == NO_LABEL and {4, 9} <= set(digits):
                as_nine = (seen == digits[9])[y == digits[4]].astype(float)
                mistaken.append(Series(code.model, code.latent_dim, as_nine.tolist()))
        for condition, labels in conditions(code, bench, bench.y[shown]).items() if pictured else ():
            images = view.scaled(code.reconstruct(bench.X[shown], labels))
            names = None if labels is None else [str(label) for label in labels]
            told.append(Told(code.model, code.latent_dim, condition if code.model == CVAE else "", names, images))
    return told, errors, pulled, mistaken


def _walks(bench: Bench, pictured: bool) -> tuple[list[Walked], list[Series]]:
    """Experiment 2: walks between codes, and which classes are passed on the way."""
    if bench.probe is None or len(set(bench.y.tolist()) - {-1}) < 2:
        return [], []
    known = np.flatnonzero(bench.y >= 0)
    pairs = known[random_pairs(len(known), PAIRS, bench.y[known])]
    walks, passed = [], []
    for code in bench.codes(sizes=bench.sizes):
        if not code.decodes_alone:
            continue
        codes = code.encode(bench.X)
        rows = decoded(walk_named("linear")(codes[pairs[:, 0]], codes[pairs[:, 1]], STEPS), code.decode)
        others = passages(bench.probe.along(rows)).others
        passed.append(Series(code.model, code.latent_dim, others.astype(float).tolist()))
        walks += _pictured_walks(bench, code, codes) if pictured else []
    return walks, passed


def _pictured_walks(bench: Bench, code: Code, codes: np.ndarray) -> Iterator[Walked]:
    view, names = Shown(code.estimator), np.array(bench.names)
    for a, b in bench.walked():
        ends = codes[[bench.typical(a)]], codes[[bench.typical(b)]]
        for way, walk in WALKS.items():
            rows = decoded(walk(*ends, STEPS), code.decode)
            seen = names[bench.probe.along(rows)[0]].tolist() if bench.probe is not None else []
            yield Walked(code.model, code.latent_dim, way, (str(names[a]), str(names[b])), seen, view.scaled(rows[0]))


def _planes(bench: Bench) -> tuple[list[Plane], np.ndarray, list[Series], list[Series]]:
    """Experiment 3: codes of size 2 as they are; by t-SNE the data, the smallest and the largest codes."""
    rows = np.sort(np.random.default_rng(0).permutation(len(bench.X))[:PLANE_ROWS])
    centre: dict[str, list[float]] = {}
    planes: list[Plane] = []
    for code in bench.codes(repeat=None, sizes=[2]):
        codes = code.encode(bench.X)
        centre.setdefault(code.model, []).append(_off_centre(codes))
        if code.repeat == 0:
            planes.append(Plane(code.model, 2, True, codes[rows]))
    sizes = bench.folder.config.sizes
    ends = [code for code in bench.codes(sizes=[min(sizes), max(sizes)]) if code.model == bench.folder.config.models[0]]
    laid = [(RAW, 0, bench.numbers[rows])]
    laid += [(code.model, code.latent_dim, code.encode(bench.X[rows])) for code in ends]
    plane = []
    for model, size, values in laid if len(rows) >= 4 else ():
        points = tsne_plane(values)
        planes.append(Plane(model, size, False, points))
        known = bench.y[rows] >= 0
        if bench.classes is not None and known.sum() > 20:
            hits = _told_apart(points[known], bench.y[rows][known])
            plane.append(Series(model, size, hits))
    return planes, rows, [Series(model, 2, values) for model, values in centre.items()], plane


def _off_centre(codes: np.ndarray) -> float:
    """How far the mean code lies from 0, in root mean square deviations of the codes."""
    spread = float(np.sqrt(codes.var(axis=0, dtype=np.float64).mean()))
    off = float(np.sqrt(np.square(codes.mean(axis=0, dtype=np.float64)).mean()))
    return off / spread if spread > 0 else 0.0


def _told_apart(points: np.ndarray, y: np.ndarray, folds: int = 5) -> list[float]:
    """Accuracy of 5 nearest neighbours in the plane, in each fifth of the rows by the other four."""
    fold = np.random.default_rng(0).permutation(len(points)) % folds
    parts = [(fold != k, fold == k) for k in range(folds)]
    return [float(knn_accuracy(points[a], y[a], points[b], y[b])) for a, b in parts]


def _exchanged(bench: Bench) -> list[Exchanged]:
    """The style of rows under every label, at the sizes shown."""
    found = []
    present = np.unique(bench.y[bench.y >= 0])
    known = [bench.unlike(number) for number in present[:STYLES]]
    for code in bench.codes(sizes=bench.sizes):
        if isinstance(code.estimator, CVAEEstimator) and known:
            view = Shown(code.estimator)
            X, y = bench.X[known], bench.labels_of(bench.y[known])
            images = code.estimator.exchange_labels(X, y)
            scaled = view.scaled(images.reshape(-1, *images.shape[2:])).reshape(images.shape)
            found.append(Exchanged(code.model, code.latent_dim, [str(label) for label in y], scaled, view.rows(X)))
    return found


# -- drawn -------------------------------------------------------------------------------------------------------------


def draw(path: Path) -> Experiments:
    """Do the experiments of a study, write their figures and the numbers behind them, and give the numbers."""
    folder = StudyFolder(path)
    bench = Bench.of(folder)
    numbers, pictures = perform(bench)
    (path / DATA).mkdir(exist_ok=True)
    pictures.save(path / DATA / PICTURES)
    write_json(path / DATA / "experiments.json", numbers.to_dict())
    for name, display in displays(pictures, folder.cells()):
        display.save(path / FIGURES / f"{name}.png")
        if isinstance(display, WalksDisplay):
            display.save_gif(path / FIGURES / f"{name}.gif")
        if hasattr(display, "to_dict"):
            write_json(path / DATA / f"{name}.json", display.to_dict())
    return numbers


def displays(pictures: Pictures, cells: Sequence[Cell]) -> Iterator[tuple[str, Display]]:
    """Every figure of a study, by the name of its files."""
    for drawing in (_drawn_reconstructions, _drawn_walks, _drawn_planes, _drawn_exchanges):
        yield from drawing(pictures)
    yield from _drawn_clusterings(cells)
    yield from _drawn_curves(cells)


def _drawn_reconstructions(pictures: Pictures) -> Iterator[tuple[str, Display]]:
    if pictures.originals is None or not pictures.told:
        return
    said = {"": "", NO_LABEL: ", no label", RIGHT_LABEL: ", right label", WRONG_LABEL: ", wrong label"}
    ordered = sorted(pictures.told, key=lambda told: told.latent_dim)
    ways = [
        Way(told.model.upper() + said[told.condition], told.images, f"latent size {told.latent_dim}", told.given)
        for told in ordered
    ]
    labels = pictures.shown or [""] * len(pictures.originals)
    yield (
        "conditional",
        ConditionalReconstructionsDisplay.from_ways(pictures.originals, labels, ways, value_range=pictures.value_range),
    )


def _drawn_walks(pictures: Pictures) -> Iterator[tuple[str, Display]]:
    groups: dict[tuple[str, tuple[str, str]], list[Walked]] = {}
    for walk in pictures.walks:
        groups.setdefault((walk.way, walk.ends), []).append(walk)
    for number, ((way, ends), walks) in enumerate(groups.items()):
        yield (
            f"walks-{way}-{number // len(WALKS) + 1}",
            WalksDisplay.from_arrays(
                np.stack([walk.images for walk in walks]),
                [f"{walk.model.upper()}, size {walk.latent_dim}" for walk in walks],
                [walk.classes for walk in walks],
                title=f"{way} walks from {ends[0]} to {ends[1]}",
                value_range=pictures.value_range,
            ),
        )


def _drawn_planes(pictures: Pictures) -> Iterator[tuple[str, Display]]:
    labels = pictures.plane_labels or None
    raw = {f"{plane.model.upper()} code, size 2": plane.points for plane in pictures.planes if plane.is_code}
    if raw:
        yield "codes", CodePlotsDisplay.from_planes(raw, labels, raw=list(raw))
    tsne = {
        "t-SNE of the data"
        if plane.model == RAW
        else f"t-SNE of {plane.model.upper()} codes, size {plane.latent_dim}": (plane.points)
        for plane in pictures.planes
        if not plane.is_code
    }
    if tsne:
        yield "tsne", CodePlotsDisplay.from_planes(tsne, labels)


def _drawn_exchanges(pictures: Pictures) -> Iterator[tuple[str, Display]]:
    for found in pictures.exchanged:
        yield (
            f"exchange-{found.latent_dim}",
            ExchangeDisplay.from_arrays(
                found.images, pictures.labels, found.originals, found.own, value_range=pictures.value_range
            ),
        )


def _drawn_clusterings(cells: Sequence[Cell]) -> Iterator[tuple[str, Display]]:
    runs: dict[tuple[str, int], dict[str, list[float]]] = {}
    for cell in cells:
        if cell.clusterings and cell.model != MEAN:
            of = runs.setdefault((cell.model, cell.latent_dim), {})
            for name, values in cell.clusterings.items():
                of.setdefault(name, []).extend(values)
    references = {model: found for (model, _), found in runs.items() if model == RAW}
    found = {pair: values for pair, values in runs.items() if pair[0] != RAW}
    if found:
        yield "clusterings", ClusteringDisplay.from_runs(found, references)


def _drawn_curves(cells: Sequence[Cell]) -> Iterator[tuple[str, Display]]:
    trained = [model for model in models_of(cells) if model not in (MEAN, RAW)]
    for measure in CURVES:
        curves: dict[str, dict[int, Any]] = {}
        for model in trained:
            for size in sizes_of(cells, model):
                if (value := interval(cells, model, size, measure, "test")) is not None:
                    curves.setdefault(model, {})[size] = (value.mean, value.low, value.high)
        levels = _levels(cells, measure)
        if any(len(curve) > 1 for curve in curves.values()):
            yield (
                f"sizes-{measure.replace('_', '-')}",
                SizeCurvesDisplay.from_curves(
                    curves, NAMES.get(measure, measure), levels=levels, lower_is_better=measure in LOWER_IS_BETTER
                ),
            )


NAMES: Mapping[str, str] = {
    "mse": "squared error a feature",
    "bound": "negative ELBO, nats a row",
    "nll": "-log p(x), nats a row",
    "knn_accuracy": "accuracy of 5 nearest neighbours",
    "smoothness": "smoothness of walks",
    "coverage": "coverage by samples",
    "active_units": "active units",
}


def _levels(cells: Sequence[Cell], measure: str) -> dict[str, float]:
    """The measure of what has no size: the mean, and the data themselves."""
    found: dict[str, float] = {}
    for model in (MEAN, RAW):
        for size in sizes_of(cells, model)[:1]:
            if (value := interval(cells, model, size, measure, "test")) is not None:
                found[model] = value.mean
    return found
