"""What the articles found, and whether a study finds it too: each finding a small function of records and experiments.

A comparison *holds* where the difference has the sign that the article says and is more than twice its standard error:
over the repeats, paired, where there are two or more, else over the rows, walks or runs of K-means that the figure was
made of. Where it is less, it lies *within the spread*, and a finding that rests on it is not called reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from hyotan.study.records import MEAN, RAW, Cell, Interval, sizes_of

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
OUTCOMES = (REPRODUCED, PARTLY, NOT_REPRODUCED, UNTESTED)
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
class Series:
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
class Experiments:
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

    errors: list[Series] = field(default_factory=list)
    pulled: list[Series] = field(default_factory=list)
    mistaken: list[Series] = field(default_factory=list)
    passed: list[Series] = field(default_factory=list)
    centre: list[Series] = field(default_factory=list)
    plane: list[Series] = field(default_factory=list)
    kept: list[Series] = field(default_factory=list)
    curves: list[Series] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return msgspec.to_builtins(self)

    @staticmethod
    def from_dict(content: Any) -> Experiments:
        """Read what :meth:`to_dict` gave; msgspec.ValidationError where it is something else."""
        return msgspec.convert(content, Experiments, strict=True)


@dataclass(frozen=True)
class Figure:
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
class Finding:
    """What an article found, and what we find.

    Attributes
    ----------
    code : of FINDINGS; the catalogue of messages has what the article says under it.
    article : ``A4`` or ``A6``.
    outcome : one of OUTCOMES.
    figures : ours.
    comparisons : each ``holds``, ``spread`` or ``opposite``.
    """

    code: str
    article: str
    outcome: str
    figures: tuple[Figure, ...] = ()
    comparisons: tuple[str, ...] = ()

    @property
    def within_spread(self) -> bool:
        """Whether some comparison cannot be told from chance."""
        return SPREAD in self.comparisons

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return msgspec.to_builtins(self)


# -- numbers and their spread ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A number with what its spread can be told from.

    Attributes
    ----------
    figure : to show.
    by_repeat : the number in each repeat; empty where there is no telling them apart.
    standard_error : within a repeat: over rows, walks or runs.
    """

    figure: Figure
    by_repeat: dict[int, float]
    standard_error: float

    @property
    def mean(self) -> float:
        """Over everything."""
        return self.figure.value.mean


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
        return Sample(Figure(measure, model, size, value), found, error)

    def series(self, name: str, model: str, size: int, condition: str = NO_LABEL) -> Sample | None:
        """What an experiment measured."""
        for series in getattr(self.experiments, name):
            if (series.model, series.latent_dim, series.condition) == (model, size, condition):
                value = Interval.of(series.values)
                if value is not None:
                    return Sample(Figure(name, model, size, value, condition), {}, value.standard_error)
        return None

    def sizes(self, model: str, wanted: Sequence[int] = SIZES) -> list[int]:
        """The article's sizes of a model, where there are two or more; else all that cannot be drawn."""
        tried = sizes_of(self.cells, model)
        common = [size for size in tried if size in wanted]
        return common if len(common) > 1 else [size for size in tried if size > 2]


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


def compare(smaller: Sample, larger: Sample) -> str:
    """Whether one number is smaller than another, beyond their spread."""
    common = [repeat for repeat in smaller.by_repeat if repeat in larger.by_repeat]
    gap, error = larger.mean - smaller.mean, math.hypot(smaller.standard_error, larger.standard_error)
    if len(common) > 1:
        paired = Interval.of(larger.by_repeat[repeat] - smaller.by_repeat[repeat] for repeat in common)
        if paired is not None:
            gap, error = paired.mean, paired.standard_error
    if abs(gap) <= CLEAR * error or gap == 0:
        return SPREAD
    return HOLDS if gap > 0 else OPPOSITE


def below(sample: Sample, bound: float) -> str:
    """Whether a number lies below a bound, beyond its spread."""
    error = sample.figure.value.standard_error or sample.standard_error
    if abs(bound - sample.mean) <= CLEAR * error:
        return SPREAD
    return HOLDS if sample.mean < bound else OPPOSITE


def above(sample: Sample, bound: float) -> str:
    """Whether a number lies above a bound, beyond its spread."""
    return {HOLDS: OPPOSITE, OPPOSITE: HOLDS, SPREAD: SPREAD}[below(sample, bound)]


# -- the findings ------------------------------------------------------------------------------------------------------

Pair = tuple[Sample | None, Sample | None]
"""The number that the article says is the smaller, and the larger one."""


def concluded(code: str, article: str, parts: Iterable[tuple[str, Sequence[Sample]]]) -> Finding:
    """A finding from the results of its comparisons and the numbers compared; untested where there are none."""
    parts = list(parts)
    results = tuple(result for result, _ in parts)
    figures = dict.fromkeys(sample.figure for _, samples in parts for sample in samples)
    models = list(dict.fromkeys(figure.model for figure in figures))
    ordered = sorted(figures, key=lambda figure: (models.index(figure.model), figure.latent_dim))
    return Finding(code, article, outcome_of(results), tuple(ordered), results)


def outcome_of(results: Sequence[str]) -> str:
    """Reproduced where all hold, partly where some do, not where none does."""
    if not results:
        return UNTESTED
    held = results.count(HOLDS)
    return REPRODUCED if held == len(results) else PARTLY if held else NOT_REPRODUCED


def compared(pairs: Iterable[Pair]) -> list[tuple[str, Sequence[Sample]]]:
    """The comparisons that can be made."""
    return [(compare(a, b), (a, b)) for a, b in pairs if a is not None and b is not None]


def larger_is_sharper(evidence: Evidence) -> Finding:
    """A4, experiment 1: the larger the code, the sharper the reconstruction."""
    pairs = [
        (evidence.score("mse", model, large), evidence.score("mse", model, small))
        for model in MODELS
        for small, large in pairwise(evidence.sizes(model))
    ]
    return concluded("larger-is-sharper", "A4", compared(pairs))


def small_mistakes_digits(evidence: Evidence) -> Finding:
    """A4, experiment 1: a small code turns a 4 into a 9."""
    pairs = [
        (evidence.series("mistaken", model, ends[-1]), evidence.series("mistaken", model, ends[0]))
        for model in MODELS
        if len(ends := evidence.sizes(model)) > 1
    ]
    return concluded("small-mistakes-digits", "A4", compared(pairs))


def variational_reconstruct_better(evidence: Evidence) -> Finding:
    """A4, experiment 1: VAE and CVAE reconstruct better than the autoencoder."""
    pairs = [
        (evidence.score("mse", model, size), evidence.score("mse", AE, size))
        for model in (VAE, CVAE)
        for size in evidence.sizes(model)
    ]
    return concluded("variational-reconstruct-better", "A4", compared(pairs))


def right_label_is_best(evidence: Evidence) -> Finding:
    """A4, experiment 1: the right label gives the best reconstruction of all."""
    pairs = []
    for size in evidence.sizes(CVAE):
        right = evidence.series("errors", CVAE, size, RIGHT_LABEL)
        pairs += [(right, evidence.series("errors", model, size)) for model in (CVAE, AE, VAE)]
    return concluded("right-label-is-best", "A4", compared(pairs))


def wrong_label_pulls(evidence: Evidence) -> Finding:
    """A4, experiment 1: a wrong label pulls the reconstruction towards that label."""
    pairs = [
        (evidence.series("pulled", CVAE, size), evidence.series("pulled", CVAE, size, WRONG_LABEL))
        for size in evidence.sizes(CVAE)
    ]
    return concluded("wrong-label-pulls", "A4", compared(pairs))


def smaller_passes_more(evidence: Evidence) -> Finding:
    """A4, experiment 2: the smaller the code, the more other digits a walk passes; shown for the VAE."""
    pairs = [
        (evidence.series("passed", VAE, large), evidence.series("passed", VAE, small))
        for small, large in pairwise(evidence.sizes(VAE))
    ]
    return concluded("smaller-passes-more", "A4", compared(pairs))


def only_variational_codes_are_centred(evidence: Evidence) -> Finding:
    """A4, experiment 3: at size 2 the autoencoder's codes are not centred at 0, those of VAE and CVAE are."""
    claims: list[tuple[str, Callable[[Sample, float], str]]] = [(AE, above), (VAE, below), (CVAE, below)]
    found = [(evidence.series("centre", model, 2), claim) for model, claim in claims]
    parts = [(claim(sample, CENTRED), (sample,)) for sample, claim in found if sample is not None]
    return concluded("only-variational-codes-are-centred", "A4", parts)


def autoencoder_separates_better(evidence: Evidence) -> Finding:
    """A4, experiment 3: at size 2 the autoencoder separates the digits better than VAE and CVAE."""
    ours = evidence.score("knn_accuracy", AE, 2)
    pairs = [(evidence.score("knn_accuracy", model, 2), ours) for model in (VAE, CVAE)]
    return concluded("autoencoder-separates-better", "A4", compared(pairs))


def autoencoder_clusters_small(evidence: Evidence) -> Finding:
    """A4, experiment 4: at size 4 the autoencoder's codes cluster best."""
    ours = evidence.score("v_measure", AE, SMALL)
    pairs = [(evidence.score("v_measure", model, SMALL), ours) for model in (VAE, CVAE)]
    return concluded("autoencoder-clusters-small", "A4", compared(pairs))


def variational_cluster_large(evidence: Evidence) -> Finding:
    """A4, experiment 4: from size 16 up VAE and CVAE cluster better than the autoencoder."""
    pairs = [
        (evidence.score("v_measure", AE, size), evidence.score("v_measure", model, size))
        for model in (VAE, CVAE)
        for size in sizes_of(evidence.cells, model)
        if size >= LARGE
    ]
    return concluded("variational-cluster-large", "A4", compared(pairs))


def cvae_clusters_above_vae(evidence: Evidence) -> Finding:
    """A4, experiment 4: there the CVAE clusters better than the VAE."""
    pairs = [
        (evidence.score("v_measure", VAE, size), evidence.score("v_measure", CVAE, size))
        for size in sizes_of(evidence.cells, CVAE)
        if size >= LARGE
    ]
    return concluded("cvae-clusters-above-vae", "A4", compared(pairs))


def size_is_what_matters(evidence: Evidence) -> Finding:
    """A4's conclusion: too large a code loses the smooth change, too small a one the reconstruction."""
    ends = evidence.sizes(VAE)
    if len(ends) < 2:
        return concluded("size-is-what-matters", "A4", [])
    small, large = ends[0], ends[-1]
    smooth = compared([(evidence.score("smoothness", VAE, large), evidence.score("smoothness", VAE, small))])
    sharp = compared([(evidence.score("explained", VAE, small), evidence.score("explained", VAE, large))])
    return concluded("size-is-what-matters", "A4", [*smooth, *sharp] if smooth and sharp else [])


def plane_separates_unless_small(evidence: Evidence) -> Finding:
    """A6: t-SNE separates the digits by pixels and by codes of size 20, and does not by codes of size 2."""
    planes = sorted((s for s in evidence.experiments.plane if s.model != RAW), key=lambda series: series.latent_dim)
    pixels = next((series for series in evidence.experiments.plane if series.model == RAW), None)
    if len(planes) < 2 or pixels is None:
        return concluded("plane-separates-unless-small", "A6", [])
    small = evidence.series("plane", planes[0].model, planes[0].latent_dim)
    large = evidence.series("plane", planes[-1].model, planes[-1].latent_dim)
    raw = evidence.series("plane", RAW, pixels.latent_dim)
    return concluded("plane-separates-unless-small", "A6", compared([(small, raw), (small, large)]))


def small_code_fails(evidence: Evidence) -> Finding:
    """A6: with a code of size 2 the shallow network's reconstructions fail altogether."""
    sample = evidence.series("kept", SIMPLE, 2)
    parts = [] if sample is None else [(below(sample, FAILED), (sample,))]
    return concluded("small-code-fails", "A6", parts)


def tied_expresses_less(evidence: Evidence) -> Finding:
    """A6: the tied network trains well, and hints at less expressive power."""
    pairs = [
        (evidence.series("kept", TIED, series.latent_dim), evidence.series("kept", SIMPLE, series.latent_dim))
        for series in evidence.experiments.kept
        if series.model == TIED
    ]
    return concluded("tied-expresses-less", "A6", compared(pairs))


def curves_settle(evidence: Evidence) -> Finding:
    """A6: the curves settle after some 40 epochs."""
    parts = []
    for series in evidence.experiments.curves:
        if len(series.values) > SETTLING_EPOCH:
            there, end = series.values[SETTLING_EPOCH - 1], series.values[-1]
            fall = Interval.of([(there - end) / there]) if there else None
            if fall is not None:
                sample = Sample(Figure("fall", series.model, series.latent_dim, fall), {}, 0.0)
                parts.append((below(sample, SETTLED), (sample,)))
    return concluded("curves-settle", "A6", parts)


FINDINGS: tuple[Callable[[Evidence], Finding], ...] = (
    larger_is_sharper,
    small_mistakes_digits,
    variational_reconstruct_better,
    right_label_is_best,
    wrong_label_pulls,
    smaller_passes_more,
    only_variational_codes_are_centred,
    autoencoder_separates_better,
    autoencoder_clusters_small,
    variational_cluster_large,
    cvae_clusters_above_vae,
    size_is_what_matters,
    plane_separates_unless_small,
    small_code_fails,
    tied_expresses_less,
    curves_settle,
)


def findings(cells: Sequence[Cell], experiments: Experiments | None = None) -> tuple[Finding, ...]:
    """Every finding of the articles, in their order, with what this study says of it."""
    evidence = Evidence(tuple(cell for cell in cells if cell.model != MEAN), experiments or Experiments())
    return tuple(find(evidence) for find in FINDINGS)
