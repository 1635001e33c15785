"""What the articles found, and whether a study finds it too: each finding a small function of records and experiments.

A comparison *holds* where the difference has the sign that the article says and is more than twice its standard error:
over the repeats, paired, where there are two or more, else over the rows, walks or runs of K-means that the figure was
made of. Where it is less, it lies *within the spread*, and a finding that rests on it is not called reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from hyotan.study.cells import MEAN, RAW, Cell, Interval, Plain, sizes_of

AE, VAE, CVAE = "ae", "vae", "cvae"
MODELS = (AE, VAE, CVAE)
SIMPLE, TIED = "article-simple-20", "article-tied-20"

NO_LABEL, RIGHT_LABEL, WRONG_LABEL = "none", "right", "wrong"
"""What a CVAE is told of the row that it reconstructs."""

SIZES = (4, 16, 64)
"""The sizes that A4 compares; where a study has fewer than two of them, all of its own from 3 up are compared."""
SMALL, LARGE = 4, 16
"""A4's clusters: the autoencoder wins at the one, the others from the other on."""

REPRODUCED, PARTLY, NOT_REPRODUCED, UNTESTED = "reproduced", "partly", "not-reproduced", "untested"
HOLDS, SPREAD, OPPOSITE = "holds", "spread", "opposite"
CLEAR = 2.0
"""Standard errors from which on a difference is no longer called spread."""
CENTRED = 0.25
"""Codes are centred where their mean is less than a quarter of their standard deviation from 0."""
FAILED = 0.1
"""Reconstructions that keep less of the variance than this show hardly more than the mean."""
SETTLED = 0.05
"""A curve has settled where it falls by less than this share from there to its end."""
SETTLING_EPOCH = 40


@dataclass(frozen=True)
class Observations:
    """Numbers of one kind, of one model and size.

    Attributes
    ----------
    model : of the study, ``raw`` for the features, or the name of a recipe.
    latent_dim : size of the code.
    values : one for each row, walk, run, repeat or epoch.
    condition : of a CVAE, what it is told: ``none``, ``right`` or ``wrong``.
    """

    model: str
    latent_dim: int
    values: list[float]
    condition: str = NO_LABEL


@dataclass(frozen=True)
class Experiments(Plain):
    """What the experiments measured beyond the cells' scores; an empty list was not measured.

    Attributes
    ----------
    errors : squared error a feature of the reconstruction of each test row, of the CVAE under each condition.
    pulled : for each test row 1 where a classifier reads its reconstruction as the wrong label that the condition
        ``wrong`` names, else 0; of the CVAE under ``none`` and ``wrong``.
    mistaken : for each test row of one class 1 where a classifier reads its reconstruction as a certain other class
        (A4: a 4 as a 9), else 0.
    passed : for each walk how many classes other than those of its ends it passes.
    centre : for each repeat the distance of the mean code from 0, in standard deviations of the codes, at size 2.
    plane : for each repeat or row, how well neighbours in the t-SNE plane tell the classes: of the features (``raw``)
        and of codes.
    kept : for each repeat the share of the variance that the network of a recipe keeps, by size.
    curves : held-out loss after each epoch, of recipes.
    """

    errors: list[Observations] = field(default_factory=list)
    pulled: list[Observations] = field(default_factory=list)
    mistaken: list[Observations] = field(default_factory=list)
    passed: list[Observations] = field(default_factory=list)
    centre: list[Observations] = field(default_factory=list)
    plane: list[Observations] = field(default_factory=list)
    kept: list[Observations] = field(default_factory=list)
    curves: list[Observations] = field(default_factory=list)


@dataclass(frozen=True)
class Measurement:
    """One number of ours.

    Attributes
    ----------
    measure : what it is: a score, or the name of an experiment.
    model, latent_dim, condition : of what.
    value : mean and interval.
    """

    measure: str
    model: str
    latent_dim: int
    value: Interval
    condition: str = NO_LABEL


@dataclass(frozen=True)
class Replication(Plain):
    """What an article found, and what we find.

    Attributes
    ----------
    code : of the claim; the catalogue of messages has what the article says under it.
    article : ``A4`` or ``A6``.
    outcome : ``reproduced``, ``partly``, ``not-reproduced`` or ``untested``.
    figures : ours.
    comparisons : each ``holds``, ``spread`` or ``opposite``.
    """

    code: str
    article: str
    outcome: str
    figures: tuple[Measurement, ...] = ()
    comparisons: tuple[str, ...] = ()

    @property
    def within_spread(self) -> bool:
        """Whether some comparison cannot be told from chance."""
        return SPREAD in self.comparisons


# -- numbers and their spread ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A number with what its spread can be told from.

    Attributes
    ----------
    mean : over everything.
    figure : to show; None for a bound that the article names.
    by_repeat : the number in each repeat; empty where there is no telling them apart.
    standard_error : within a repeat: over rows, walks or runs.
    """

    mean: float
    figure: Measurement | None = None
    by_repeat: dict[int, float] = field(default_factory=dict)
    standard_error: float = 0.0


Pair = tuple[Sample | None, Sample | None]
"""The number that the article says is the smaller, and the larger one; None where it was not measured."""


@dataclass(frozen=True)
class Evidence:
    """Records and experiments of a study, asked for samples.

    Attributes
    ----------
    cells, experiments : what there is.
    """

    cells: tuple[Cell, ...]
    experiments: Experiments

    def score(self, measure: str, model: str, size: int) -> Sample | None:
        """A measure on the test rows."""
        cells = [cell for cell in self.cells if (cell.model, cell.latent_dim) == (model, size)]
        found = {cell.repeat: value for cell in cells if (value := getattr(cell.test, measure)) is not None}
        value = Interval.of(found.values())
        if value is None:
            return None
        error = float(np.mean([_error_within(cell, measure) for cell in cells]))
        return Sample(value.mean, Measurement(measure, model, size, value), found, error)

    def series(self, name: str, model: str, size: int, condition: str = NO_LABEL) -> Sample | None:
        """What an experiment measured."""
        for series in getattr(self.experiments, name):
            value = Interval.of(series.values)
            if value is not None and (series.model, series.latent_dim, series.condition) == (model, size, condition):
                figure = Measurement(name, model, size, value, condition)
                return Sample(value.mean, figure, standard_error=value.standard_error)
        return None

    def sizes(self, model: str) -> list[int]:
        """The article's sizes of a model, where there are two or more; else all that cannot be drawn."""
        tried = sizes_of(self.cells, model)
        common = [size for size in tried if size in SIZES]
        return common if len(common) > 1 else [size for size in tried if size > 2]

    def large_sizes(self, model: str) -> list[int]:
        """The sizes of a model from which on, says the article, the others cluster better than the autoencoder."""
        return [size for size in sizes_of(self.cells, model) if size >= LARGE]


def _error_within(cell: Cell, measure: str) -> float:
    """The standard error of a score within its cell; 0 where there is no telling."""
    scores, value = cell.test, getattr(cell.test, measure)
    if measure == "mse":
        return scores.mse_standard_error or 0.0
    if measure in cell.clusterings and len(cell.clusterings[measure]) > 1:
        runs = cell.clusterings[measure]
        return float(np.std(runs, ddof=1) / math.sqrt(len(runs)))
    if measure == "knn_accuracy" and value is not None:
        return math.sqrt(max(value * (1 - value), 0.0) / max(scores.n_rows, 1))
    return 0.0


def compare_samples(smaller: Sample, larger: Sample) -> str:
    """Whether one number is smaller than another, beyond their spread: ``holds``, ``spread`` or ``opposite``."""
    common = [repeat for repeat in smaller.by_repeat if repeat in larger.by_repeat]
    gap, error = larger.mean - smaller.mean, math.hypot(smaller.standard_error, larger.standard_error)
    if len(common) > 1:
        paired = Interval.of(larger.by_repeat[repeat] - smaller.by_repeat[repeat] for repeat in common)
        if paired is not None:
            gap, error = paired.mean, paired.standard_error
    if abs(gap) <= CLEAR * error or gap == 0:
        return SPREAD
    return HOLDS if gap > 0 else OPPOSITE


# -- the claims --------------------------------------------------------------------------------------------------------

CLAIMS: list[Callable[[Evidence], Replication]] = []
"""Every claim of the articles, in their order: what a study says of it."""


def claimed_by(article: str) -> Callable[[Callable[[Evidence], Iterable[Pair]]], None]:
    """Add a claim of an article: a function that gives the comparisons it rests on, called as the claim's code is."""

    def add(pairs_of: Callable[[Evidence], Iterable[Pair]]) -> None:
        code = pairs_of.__name__.replace("_", "-")
        CLAIMS.append(lambda evidence: concluded(code, article, pairs_of(evidence)))

    return add


def concluded(code: str, article: str, pairs: Iterable[Pair]) -> Replication:
    """What the comparisons that can be made say of a claim: reproduced where all hold, partly where some do."""
    measured = [(smaller, larger) for smaller, larger in pairs if smaller is not None and larger is not None]
    results = tuple(compare_samples(*pair) for pair in measured)
    figures = dict.fromkeys(sample.figure for pair in measured for sample in pair if sample.figure is not None)
    models = list(dict.fromkeys(figure.model for figure in figures))
    ordered = sorted(figures, key=lambda figure: (models.index(figure.model), figure.latent_dim))
    held = results.count(HOLDS)
    outcome = PARTLY if 0 < held < len(results) else REPRODUCED if held else NOT_REPRODUCED if results else UNTESTED
    return Replication(code, article, outcome, tuple(ordered), results)


@claimed_by("A4")
def larger_is_sharper(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 1: the larger the code, the sharper the reconstruction."""
    for model in MODELS:
        for small, large in pairwise(evidence.sizes(model)):
            yield evidence.score("mse", model, large), evidence.score("mse", model, small)


@claimed_by("A4")
def small_mistakes_digits(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 1: a small code turns a 4 into a 9."""
    for model in MODELS:
        if len(sizes := evidence.sizes(model)) > 1:
            yield evidence.series("mistaken", model, sizes[-1]), evidence.series("mistaken", model, sizes[0])


@claimed_by("A4")
def variational_reconstruct_better(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 1: VAE and CVAE reconstruct better than the autoencoder."""
    for model in (VAE, CVAE):
        for size in evidence.sizes(model):
            yield evidence.score("mse", model, size), evidence.score("mse", AE, size)


@claimed_by("A4")
def right_label_is_best(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 1: the right label gives the best reconstruction of all."""
    for size in evidence.sizes(CVAE):
        right = evidence.series("errors", CVAE, size, RIGHT_LABEL)
        for model in (CVAE, AE, VAE):
            yield right, evidence.series("errors", model, size)


@claimed_by("A4")
def wrong_label_pulls(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 1: a wrong label pulls the reconstruction towards that label."""
    for size in evidence.sizes(CVAE):
        yield evidence.series("pulled", CVAE, size), evidence.series("pulled", CVAE, size, WRONG_LABEL)


@claimed_by("A4")
def smaller_passes_more(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 2: the smaller the code, the more other digits a walk passes; shown for the VAE."""
    for small, large in pairwise(evidence.sizes(VAE)):
        yield evidence.series("passed", VAE, large), evidence.series("passed", VAE, small)


@claimed_by("A4")
def only_variational_codes_are_centred(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 3: at size 2 the autoencoder's codes are not centred at 0, those of VAE and CVAE are."""
    bound = Sample(CENTRED)
    yield bound, evidence.series("centre", AE, 2)
    for model in (VAE, CVAE):
        yield evidence.series("centre", model, 2), bound


@claimed_by("A4")
def autoencoder_separates_better(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 3: at size 2 the autoencoder separates the digits better than VAE and CVAE."""
    for model in (VAE, CVAE):
        yield evidence.score("knn_accuracy", model, 2), evidence.score("knn_accuracy", AE, 2)


@claimed_by("A4")
def autoencoder_clusters_small(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 4: at size 4 the autoencoder's codes cluster best."""
    for model in (VAE, CVAE):
        yield evidence.score("v_measure", model, SMALL), evidence.score("v_measure", AE, SMALL)


@claimed_by("A4")
def variational_cluster_large(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 4: from size 16 up VAE and CVAE cluster better than the autoencoder."""
    for model in (VAE, CVAE):
        for size in evidence.large_sizes(model):
            yield evidence.score("v_measure", AE, size), evidence.score("v_measure", model, size)


@claimed_by("A4")
def cvae_clusters_above_vae(evidence: Evidence) -> Iterator[Pair]:
    """Experiment 4: there the CVAE clusters better than the VAE."""
    for size in evidence.large_sizes(CVAE):
        yield evidence.score("v_measure", VAE, size), evidence.score("v_measure", CVAE, size)


@claimed_by("A4")
def size_is_what_matters(evidence: Evidence) -> list[Pair]:
    """The conclusion: too large a code loses the smooth change, too small a one the reconstruction."""
    if len(sizes := evidence.sizes(VAE)) < 2:
        return []
    small, large = sizes[0], sizes[-1]
    smooth = evidence.score("smoothness", VAE, large), evidence.score("smoothness", VAE, small)
    sharp = evidence.score("explained", VAE, small), evidence.score("explained", VAE, large)
    return [] if None in (*smooth, *sharp) else [smooth, sharp]


@claimed_by("A6")
def plane_separates_unless_small(evidence: Evidence) -> Iterator[Pair]:
    """t-SNE separates the digits by pixels and by codes of size 20, and does not by codes of size 2."""
    found = sorted((series.latent_dim, series.model) for series in evidence.experiments.plane)
    pixels = [evidence.series("plane", RAW, size) for size, model in found if model == RAW]
    codes = [evidence.series("plane", model, size) for size, model in found if model != RAW]
    if len(codes) > 1 and pixels:
        yield codes[0], pixels[0]
        yield codes[0], codes[-1]


@claimed_by("A6")
def small_code_fails(evidence: Evidence) -> Iterator[Pair]:
    """With a code of size 2 the shallow network's reconstructions fail altogether."""
    yield evidence.series("kept", SIMPLE, 2), Sample(FAILED)


@claimed_by("A6")
def tied_expresses_less(evidence: Evidence) -> Iterator[Pair]:
    """The tied network trains well, and hints at less expressive power."""
    for series in evidence.experiments.kept:
        if series.model == TIED:
            size = series.latent_dim
            yield evidence.series("kept", TIED, size), evidence.series("kept", SIMPLE, size)


@claimed_by("A6")
def curves_settle(evidence: Evidence) -> Iterator[Pair]:
    """The curves settle after some 40 epochs."""
    for series in evidence.experiments.curves:
        if len(series.values) > SETTLING_EPOCH and (there := series.values[SETTLING_EPOCH - 1]):
            fall = Interval.of([(there - series.values[-1]) / there])
            if fall is not None:
                yield Sample(fall.mean, Measurement("fall", series.model, series.latent_dim, fall)), Sample(SETTLED)


def findings(cells: Sequence[Cell], experiments: Experiments | None = None) -> tuple[Replication, ...]:
    """Every finding of the articles, in their order, with what this study says of it."""
    evidence = Evidence(tuple(cell for cell in cells if cell.model != MEAN), experiments or Experiments())
    return tuple(find(evidence) for find in CLAIMS)
