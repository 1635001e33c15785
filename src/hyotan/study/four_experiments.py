"""The four experiments that compare the models of a study: reconstruction, continuous change, plots, clustering.

Each leaves numbers (:class:`hyotan.study.replications.Experiments`), pictures, figures and the data behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hyotan.analysis.latent import WALKS, decoded, linear_walk, passages, random_pairs, tsne_plane
from hyotan.files.folders import write_json
from hyotan.metrics import knn_accuracy, row_errors
from hyotan.runs.gallery import Shown
from hyotan.study.bench import Bench, Code
from hyotan.study.cells import RAW
from hyotan.study.drawing import study_figures
from hyotan.study.exhibits import Exchanged, Exhibits, Plane, Told, Walked
from hyotan.study.replications import NO_LABEL, RIGHT_LABEL, WRONG_LABEL, Experiments, Observations
from hyotan.study.study_folder import DATA, FIGURES, StudyFolder

PICTURES = "pictures.hyotan"

PLANE_ROWS, PAIRS, STEPS, STYLES = 1000, 400, 11, 6
"""Points of the plots, walks counted, steps of a walk, and rows whose style is shown under every label."""


def run_experiments(path: Path) -> Experiments:
    """Do the experiments of a study, write their figures and the numbers behind them, and give the numbers."""
    folder = StudyFolder(path)
    bench = Bench.of(folder)
    numbers, pictures = perform(bench)
    (path / DATA).mkdir(exist_ok=True)
    pictures.save(path / DATA / PICTURES)
    write_json(path / DATA / "experiments.json", numbers.to_dict())
    for name, display in [named for found in study_figures(folder.cells(), pictures).values() for named in found]:
        if not name:
            continue
        for suffix in {"png", "gif"} & set(display.formats):
            display.save(path / FIGURES / f"{name}.{suffix}")
        if hasattr(display, "to_dict"):
            write_json(path / DATA / f"{name}.json", display.to_dict())
    return numbers


def perform(bench: Bench) -> tuple[Experiments, Exhibits]:
    """Do the experiments."""
    shown = bench.one_a_class()
    first = next(bench.codes(), None)
    view = None if first is None else Shown(first.estimator)
    pictured = view is not None and view.is_image
    walks, passed = _walks(bench, pictured)
    planes, plane_rows, centre, plane = _planes(bench)
    pictures = Exhibits(
        labels=bench.names,
        shown=bench.names_of(shown),
        plane_labels=bench.names_of(plane_rows),
        value_range=(0.0, 1.0) if view is None else view.value_range,
        originals=view.rows(bench.X[shown]) if view is not None and pictured else None,
        told=list(_shown_reconstructions(bench, shown)) if pictured else [],
        walks=walks,
        planes=planes,
        exchanged=list(_exchanged(bench)) if pictured else [],
    )
    return Experiments(**_measure_reconstructions(bench), passed=passed, centre=centre, plane=plane), pictures


def conditions(code: Code, bench: Bench, y: np.ndarray) -> dict[str, np.ndarray | None]:
    """What a code is told of rows of these classes: nothing; and a conditional one the right and a wrong label too."""
    if not code.estimator.family.conditional or bench.classes is None:
        return {NO_LABEL: None}
    return {NO_LABEL: None, RIGHT_LABEL: bench.labels_of(y), WRONG_LABEL: bench.labels_of(bench.wrong(y))}


def _measure_reconstructions(bench: Bench) -> dict[str, list[Observations]]:
    """Experiment 1: errors of reconstructions with no, the right and a wrong label, and what a classifier sees."""
    found: dict[str, list[Observations]] = {"errors": [], "pulled": [], "mistaken": []}
    known = slice(None) if bench.classes is None else bench.y >= 0
    X, y, digits = bench.X[known], bench.y[known], bench.class_of_digit

    def note(name: str, code: Code, values: np.ndarray, condition: str = NO_LABEL) -> None:
        found[name].append(Observations(code.model, code.latent_dim, values.astype(float).tolist(), condition))

    for code in bench.codes(sizes=bench.sizes):
        for condition, labels in conditions(code, bench, y).items():
            rows = code.reconstruct(X, labels)
            note("errors", code, row_errors(code.in_range(rows), code.estimator.in_range(X)), condition)
            if bench.probe is None:
                continue
            seen = bench.probe.predict(rows)
            if code.estimator.family.conditional and condition != RIGHT_LABEL:
                note("pulled", code, seen == bench.wrong(y), condition)
            if condition == NO_LABEL and {4, 9} <= set(digits):
                note("mistaken", code, (seen == digits[9])[y == digits[4]])
    return found


def _shown_reconstructions(bench: Bench, shown: np.ndarray) -> Iterator[Told]:
    """Reconstructions of the rows shown, with no, the right and a wrong label."""
    for code in bench.codes(sizes=bench.sizes):
        view = Shown(code.estimator)
        for condition, labels in conditions(code, bench, bench.y[shown]).items():
            images = view.scaled(code.reconstruct(bench.X[shown], labels))
            names = None if labels is None else [str(label) for label in labels]
            yield Told(
                code.model, code.latent_dim, condition if code.estimator.family.conditional else "", names, images
            )


def _walks(bench: Bench, pictured: bool) -> tuple[list[Walked], list[Observations]]:
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
        rows = decoded(linear_walk(codes[pairs[:, 0]], codes[pairs[:, 1]], STEPS), code.decode)
        others = passages(bench.probe.along(rows)).others
        passed.append(Observations(code.model, code.latent_dim, others.astype(float).tolist()))
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


def _planes(bench: Bench) -> tuple[list[Plane], np.ndarray, list[Observations], list[Observations]]:
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
            plane.append(Observations(model, size, hits))
    return planes, rows, [Observations(model, 2, values) for model, values in centre.items()], plane


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


def _exchanged(bench: Bench) -> Iterator[Exchanged]:
    """The style of rows under every label, at the sizes shown."""
    known = [bench.unlike(number) for number in np.unique(bench.y[bench.y >= 0])[:STYLES]]
    for code in bench.codes(sizes=bench.sizes):
        if code.estimator.family.conditional and known:
            view = Shown(code.estimator)
            X, y = bench.X[known], bench.labels_of(bench.y[known])
            names, images = [str(label) for label in y], view.exchanged(X, y)
            yield Exchanged(code.model, code.latent_dim, names, images, view.rows(X))
