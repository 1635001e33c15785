"""What to choose: for each purpose a model and a latent size, by a stated rule, beside what PCA does at that size.

**The size.** A longer code always reconstructs better, noise included, so the plain error never says when to stop; nor
does its standard error: over many rows even a worthless dimension is "significantly" better. What can be compared over
sizes is Q², the share of the variance that a code predicts, of values that it has not seen (see
:mod:`hyotan.study.prediction`): it grows up to the dimension of the data and falls beyond it, and on pure noise it is
at most 0. The rule: *the smallest size whose Q² is at least 95 % of the best one's, or falls short of it by no more
than one standard error over the repeats.*

All choosing is done on the selection rows. What is reported beside a choice comes from the test rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hyotan.errors import DataError
from hyotan.study.records import BASELINES, LOWER_IS_BETTER, MEASURES, PCA, RAW, Cell, Interval, Scores, models_of

SEE, CLUSTER, COMPRESS, GENERATE = "see", "cluster", "compress", "generate"
PURPOSES = (COMPRESS, SEE, CLUSTER, GENERATE)

Q2 = "q2"
"""The share of the variance that a code predicts: what sizes are compared by."""

TOLERANCE = 0.05
"""A twentieth is what a smaller code may lose, what counts as nothing, and what a model has to gain on PCA."""

SEEN = 2
"""The largest code that can be seen without another reduction."""

CLEAR = 2.0
"""Standard errors from which on a difference is no longer called chance."""

# Verdicts.
HELPS = "helps"
LIKE_PCA = "like-pca"
WORSE_THAN_PCA = "worse-than-pca"
LIKE_RAW = "like-raw"
NOTHING = "nothing"
UNKNOWN = "unknown"
ALONE = "alone"
VERDICTS = (HELPS, LIKE_PCA, WORSE_THAN_PCA, LIKE_RAW, NOTHING, UNKNOWN, ALONE)

# Rules.
SMALLEST_ENOUGH = "smallest-enough"
SMALLEST_BOUND = "smallest-bound"
BEST_NEIGHBOURS = "best-neighbours"
BEST_NEIGHBOURHOODS = "best-neighbourhoods"
BEST_CLUSTERS = "best-clusters"
RULES = (SMALLEST_ENOUGH, SMALLEST_BOUND, BEST_NEIGHBOURS, BEST_NEIGHBOURHOODS, BEST_CLUSTERS)

# Notes.
ONE_REPEAT = "one-repeat"
LARGEST_SIZE = "largest-size"
UNTRIED = "untried"
CHOSEN_ON_TEST = "chosen-on-test"
TIE = "tie"
PCA_PREDICTS_MORE = "pca-predicts-more"
NO_LABELS = "no-labels"
NO_SMALL_SIZE = "no-small-size"
NO_SAMPLES = "no-samples"
TEST_DISAGREES = "test-disagrees"
NOTES = (
    ONE_REPEAT,
    LARGEST_SIZE,
    UNTRIED,
    CHOSEN_ON_TEST,
    TIE,
    PCA_PREDICTS_MORE,
    NO_LABELS,
    NO_SMALL_SIZE,
    NO_SAMPLES,
    TEST_DISAGREES,
)

ByRepeat = dict[int, float]
Options = dict[tuple[str, int], ByRepeat]


@dataclass(frozen=True)
class Note:
    """Something to know about a choice: a code, and the values that its sentence names."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Option:
    """A model of one size, and how it did.

    Attributes
    ----------
    model, latent_dim : which.
    selection : by the criterion, on the selection rows.
    test : by the measure, on the test rows.
    """

    model: str
    latent_dim: int
    selection: Interval | None
    test: Interval | None


@dataclass(frozen=True)
class Choice:
    """What to take for one purpose.

    Attributes
    ----------
    purpose : one of PURPOSES.
    verdict : one of VERDICTS: ``helps``: a model of ours does better than PCA of its size; ``like-pca`` and
        ``worse-than-pca``: it does not, and PCA is what ``chosen`` names; ``like-raw``: nor than the features
        themselves, which ``chosen`` names; ``nothing``: no code predicts anything; ``unknown``: not measured, and
        the notes say why; ``alone``: PCA was not measured.
    rule : one of RULES: how it was chosen.
    criterion : what was compared on the selection rows.
    measure : what is reported on the test rows.
    chosen : None for ``nothing`` and ``unknown``.
    ours : the model that the rule finds among the trained ones; it is ``chosen`` unless a baseline is as good.
    pca, raw : the baselines beside it, PCA at the same size; None where not measured.
    gain : ours above PCA by the measure on the test rows, paired by repeat; above 0 is better.
    runners_up : what the same rule finds for each of the other models.
    notes : what else to know.
    """

    purpose: str
    verdict: str
    rule: str
    criterion: str
    measure: str
    chosen: Option | None = None
    ours: Option | None = None
    pca: Option | None = None
    raw: Option | None = None
    gain: Interval | None = None
    runners_up: tuple[Option, ...] = ()
    notes: tuple[Note, ...] = ()

    def has(self, code: str) -> bool:
        """Whether there is a note of this code."""
        return any(note.code == code for note in self.notes)


@dataclass(frozen=True)
class Recommendation:
    """What to take for each purpose, the headline first.

    Attributes
    ----------
    choices : one for each of PURPOSES, in that order. The first, for compression, asks the least of the data, neither
        labels nor a likelihood, and is the headline.
    repeats : that the study made.
    notes : what weakens all of it: a single repeat, or no rows to choose by but the test rows.
    """

    choices: tuple[Choice, ...]
    repeats: int
    notes: tuple[Note, ...] = ()

    @property
    def headline(self) -> Choice:
        """Which model and which size, if there is to be one answer."""
        return self.of(COMPRESS)

    def of(self, purpose: str) -> Choice:
        """The choice for a purpose."""
        return next(choice for choice in self.choices if choice.purpose == purpose)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return msgspec.to_builtins(self)

    @staticmethod
    def from_dict(content: Any) -> Recommendation:
        """Read what :meth:`to_dict` gave; msgspec.ValidationError where it is something else."""
        return msgspec.convert(content, Recommendation, strict=True)


def recommend(cells: Sequence[Cell]) -> Recommendation:
    """Choose for each purpose.

    Parameters
    ----------
    cells : of a study, baselines among them.

    Raises
    ------
    DataError
        No model was trained.
    """
    table = Table(tuple(cells))
    if not table.trained:
        raise DataError(
            f"A recommendation compares trained models; among {len(cells)} cells there are none.",
            "Train one of ae, dae, vae or cvae.",
        )
    choices = tuple(choose(table) for choose in (to_compress, to_see, to_cluster, to_generate))
    return Recommendation(choices, table.repeats, tuple(_caveats(table)))


def q2_of(cell: Cell, scores: Scores) -> float | None:
    """The share of the variance that a code predicts; None where the code is as large as what it codes.

    Where it was not measured it is estimated as 1 - (1 - explained) (D / (D - k))²: k numbers for D values, each of
    which is taken to owe them as much as any other (generalised cross-validation: Golub, Heath & Wahba 1979).
    """
    if cell.latent_dim >= cell.n_features:
        return None
    if scores.q2 is not None or scores.explained is None:
        return scores.q2
    return 1 - (1 - scores.explained) * (cell.n_features / (cell.n_features - cell.latent_dim)) ** 2


# -- the records, by model and size ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """The cells of a study, asked by model, size and measure.

    Attributes
    ----------
    cells : all of them.
    """

    cells: tuple[Cell, ...]

    @property
    def trained(self) -> list[str]:
        """The models that were trained, in the order of the cells."""
        return [model for model in models_of(self.cells) if model not in BASELINES]

    @property
    def sizes(self) -> list[int]:
        """The latent sizes that were trained, ascending."""
        return sorted({cell.latent_dim for cell in self.cells if not cell.is_baseline})

    @property
    def repeats(self) -> int:
        """How often each model was trained."""
        return len({cell.repeat for cell in self.cells if not cell.is_baseline})

    def by_repeat(self, model: str, size: int, measure: str, rows: str = "selection") -> ByRepeat:
        """A measure by repeat; the larger the better."""
        found = {}
        for cell in self.cells:
            if cell.model == model and cell.latent_dim == size:
                value = _value(cell, measure, rows)
                if value is not None and math.isfinite(value):
                    found[cell.repeat] = value
        return found

    def options(self, measure: str, models: Iterable[str], sizes: Iterable[int] | None = None) -> Options:
        """What was measured, by model and size, on the selection rows; the larger the better."""
        pairs = dict.fromkeys((cell.model, cell.latent_dim) for cell in self.cells)
        wanted, among = set(models), None if sizes is None else set(sizes)
        pairs = [pair for pair in pairs if pair[0] in wanted and (among is None or pair[1] in among)]
        found = {pair: self.by_repeat(*pair, measure) for pair in pairs}
        return {pair: values for pair, values in found.items() if values}

    def interval(self, model: str, size: int, measure: str, rows: str) -> Interval | None:
        """Over the repeats, as the measure is read and not turned round."""
        values = self.by_repeat(model, size, measure, rows).values()
        return Interval.of(-value for value in values) if measure in LOWER_IS_BETTER else Interval.of(values)

    def option(self, pair: tuple[str, int] | None, criterion: str, measure: str) -> Option | None:
        """A model of one size with its figures; None where it was not measured."""
        if pair is None:
            return None
        selection = self.interval(*pair, criterion, "selection")
        test = self.interval(*pair, measure, "test")
        return None if selection is None and test is None else Option(*pair, selection, test)

    def raw(self) -> tuple[str, int] | None:
        """The features themselves."""
        return next(((cell.model, cell.latent_dim) for cell in self.cells if cell.model == RAW), None)


def _value(cell: Cell, measure: str, rows: str) -> float | None:
    scores: Scores = getattr(cell, rows)
    if measure == Q2:
        return q2_of(cell, scores)
    value = getattr(scores, measure)
    return None if value is None else -float(value) if measure in LOWER_IS_BETTER else float(value)


# -- comparing ---------------------------------------------------------------------------------------------------------


def mean(values: Mapping[int, float]) -> float:
    """Over the repeats."""
    return sum(values.values()) / len(values)


def difference(a: ByRepeat, b: ByRepeat) -> Interval | None:
    """How far a lies above b, repeat by repeat: the same rows and seed, so that what they share cancels."""
    return Interval.of(a[repeat] - b[repeat] for repeat in a if repeat in b)


def is_enough(option: ByRepeat, best: ByRepeat, tolerance: float) -> bool:
    """Whether an option falls short of the best by no more than the tolerance, or than one standard error."""
    short = difference(best, option)
    return short is not None and short.mean <= max(tolerance, short.standard_error)


def is_clearly_above(a: ByRepeat, b: ByRepeat, least: float) -> bool:
    """Whether a lies above b by at least so much, and by more than chance explains."""
    gain = difference(a, b)
    return gain is not None and gain.mean >= least and gain.mean > CLEAR * gain.standard_error


def best_of(options: Options) -> tuple[str, int]:
    """The option with the highest mean; of equal ones the first."""
    return max(options, key=lambda pair: mean(options[pair]))


def smallest_enough(options: Options, tolerance: float) -> tuple[str, int]:
    """The smallest size at which some model is enough; there the best model, or an earlier one that ties with it."""
    best = options[best_of(options)]
    enough = [pair for pair, values in options.items() if is_enough(values, best, tolerance)]
    size = min(size for _, size in enough)
    return first_of_equals({pair: options[pair] for pair in enough if pair[1] == size})


def first_of_equals(options: Options) -> tuple[str, int]:
    """The first option that is within one standard error of the best: the models come simplest first."""
    best = options[best_of(options)]
    return next(pair for pair, values in options.items() if is_enough(values, best, 0.0))


def _of_model(options: Options, model: str) -> Options:
    return {pair: values for pair, values in options.items() if pair[0] == model}


# -- the purposes ------------------------------------------------------------------------------------------------------


def to_compress(table: Table) -> Choice:
    """The smallest size that predicts nearly as much as the best one."""
    blank = Choice(COMPRESS, UNKNOWN, SMALLEST_ENOUGH, Q2, "explained")
    options = table.options(Q2, table.trained)
    if not options:
        return blank
    principal = table.options(Q2, [PCA])
    if _is_nothing(options) and (not principal or _is_nothing(principal)):
        return _concluded(table, blank, None, options, NOTHING)
    if _is_nothing(options):
        return _concluded(table, blank, best_of(options), options, WORSE_THAN_PCA, _smallest(principal))
    ours = _smallest(options)
    # Better than PCA is only what predicts more of values that it has not seen, and keeps more of those that it has.
    verdict = max((_beside_in(table, ours, measure) for measure in (Q2, "explained")), key=_WORSE.index)
    chosen = ours if verdict in (HELPS, ALONE) else (PCA, ours[1])
    notes = [*_sizes(table, ours[1], options), *_ties(table, ours, options)]
    if principal and best_of(principal)[1] != ours[1] and _predicts_more(principal, options):
        notes.append(Note(PCA_PREDICTS_MORE, {"size": best_of(principal)[1]}))
    return _concluded(table, blank, ours, options, verdict, chosen, notes)


_WORSE = (ALONE, HELPS, LIKE_PCA, WORSE_THAN_PCA)
"""Verdicts, each weaker than the one before it."""


def _beside_in(table: Table, ours: tuple[str, int], share: str) -> str:
    """The verdict by a share of the variance, beside PCA of the same size."""
    theirs = table.by_repeat(PCA, ours[1], share)
    return _beside(_losses(table.by_repeat(*ours, share)), _losses(theirs) if theirs else None)


def _smallest(options: Options) -> tuple[str, int]:
    return smallest_enough(options, TOLERANCE * mean(options[best_of(options)]))


def _is_nothing(options: Options) -> bool:
    """Whether no code predicts more than a twentieth, or than chance does."""
    best = Interval.of(options[best_of(options)].values())
    return best is None or best.mean <= TOLERANCE or best.mean <= CLEAR * best.standard_error


def _predicts_more(principal: Options, options: Options) -> bool:
    """Whether PCA of some size predicts clearly more than any of the models."""
    best = principal[best_of(principal)]
    return is_clearly_above(best, options[best_of(options)], TOLERANCE * mean(best))


def _losses(values: ByRepeat) -> ByRepeat:
    """Shares of the variance predicted as logarithms of what is left, where a difference is a ratio of errors."""
    return {repeat: -math.log(max(1 - value, 1e-12)) for repeat, value in values.items()}


def _beside(ours: ByRepeat, theirs: ByRepeat | None, least: float = -math.log(1 - TOLERANCE)) -> str:
    """Better than PCA, like it or worse; by logarithms of errors, unless another least gain is named."""
    if theirs is None:
        return ALONE
    if is_clearly_above(ours, theirs, least):
        return HELPS
    return WORSE_THAN_PCA if is_clearly_above(theirs, ours, least) else LIKE_PCA


def to_see(table: Table) -> Choice:
    """Of the codes that fit on paper, the one whose neighbours belong together."""
    for rule, criterion in ((BEST_NEIGHBOURS, "knn_accuracy"), (BEST_NEIGHBOURHOODS, "trustworthiness")):
        options = table.options(criterion, table.trained, [size for size in table.sizes if size <= SEEN])
        if options:
            largest = max(size for _, size in options)
            options = {pair: values for pair, values in options.items() if pair[1] == largest}
            ours = first_of_equals(options)
            blank = Choice(SEE, UNKNOWN, rule, criterion, criterion)
            return _beside_pca(table, blank, ours, options, _ties(table, ours, options))
    blank = Choice(SEE, UNKNOWN, BEST_NEIGHBOURHOODS, "trustworthiness", "trustworthiness")
    small = min(table.sizes) <= SEEN
    return _concluded(table, blank, None, {}, UNKNOWN, notes=[] if small else [Note(NO_SMALL_SIZE, {"size": SEEN})])


def to_cluster(table: Table) -> Choice:
    """The code whose K-means clusters agree best with the labels, if that is more than PCA or the features reach."""
    blank = Choice(CLUSTER, UNKNOWN, BEST_CLUSTERS, "v_measure", "v_measure")
    options = table.options(blank.criterion, table.trained)
    if not options:
        return _concluded(table, blank, None, {}, UNKNOWN, notes=[Note(NO_LABELS)])
    ours = best_of(options)
    others = table.options(blank.criterion, [PCA, RAW])
    for pair in sorted(others, key=lambda pair: -mean(others[pair])):
        if not is_clearly_above(options[ours], others[pair], TOLERANCE * mean(others[pair])):
            verdict = LIKE_RAW if pair[0] == RAW else LIKE_PCA
            if is_clearly_above(others[pair], options[ours], TOLERANCE * mean(options[ours])) and pair[0] == PCA:
                verdict = WORSE_THAN_PCA
            return _concluded(table, blank, ours, options, verdict, pair, _ties(table, ours, options))
    return _concluded(table, blank, ours, options, HELPS if others else ALONE, ours, _ties(table, ours, options))


def to_generate(table: Table) -> Choice:
    """The smallest size that describes new rows nearly as well as the best; of the models, whose samples reach most.

    The size of a model without a bound is the one to compress with: what its samples reach says little of sizes, for
    the blurred rows of a small code are near to many.
    """
    blank = Choice(GENERATE, UNKNOWN, SMALLEST_BOUND, "bound", "coverage")
    tried: dict[str, Options] = {}
    found: list[tuple[str, int]] = []
    for model in table.trained:  # the simplest first
        if own := table.options("bound", [model]):
            found.append(smallest_enough(own, _span(own)))
        elif own := table.options(Q2, [model]):
            found.append(_smallest(own))
        tried[model] = own
    reach = {pair: values for pair in found if (values := table.by_repeat(*pair, "coverage"))}
    if not reach and not table.options("bound", table.trained):
        return _concluded(table, blank, None, {}, UNKNOWN, notes=[Note(NO_SAMPLES)])
    options = {pair: tried[pair[0]][pair] for pair in found}
    if to_compress(table).verdict == NOTHING:
        return _concluded(table, blank, None, options, NOTHING)
    ours = first_of_equals(reach) if reach else found[0]
    notes = [*_sizes(table, ours[1], tried[ours[0]]), *_ties(table, ours, reach)]
    return _beside_pca(table, blank, ours, options, notes, "coverage")


def _span(options: Options) -> float:
    """A twentieth of what a model's sizes differ by: a bound has no zero that a share could be taken of."""
    means = [mean(values) for values in options.values()]
    return TOLERANCE * (max(means) - min(means))


# -- the answer --------------------------------------------------------------------------------------------------------


def _beside_pca(
    table: Table,
    blank: Choice,
    ours: tuple[str, int],
    options: Options,
    notes: Sequence[Note],
    measure: str | None = None,
) -> Choice:
    """Compare with PCA of the same size, in a measure that is larger for better."""
    measure = measure or blank.criterion
    mine, theirs = table.by_repeat(*ours, measure), table.by_repeat(PCA, ours[1], measure)
    verdict = _beside(mine, theirs, TOLERANCE * mean(theirs)) if mine and theirs else ALONE
    chosen = ours if verdict in (HELPS, ALONE) else (PCA, ours[1])
    return _concluded(table, blank, ours, options, verdict, chosen, notes)


def _concluded(
    table: Table,
    blank: Choice,
    ours: tuple[str, int] | None,
    options: Options,
    verdict: str,
    chosen: tuple[str, int] | None = None,
    notes: Sequence[Note] = (),
) -> Choice:
    """The choice with its figures and what else there is to know."""
    criterion, measure = blank.criterion, blank.measure
    size = None if ours is None else ours[1]
    gain = None
    if ours is not None:
        gain = difference(table.by_repeat(*ours, measure, "test"), table.by_repeat(PCA, ours[1], measure, "test"))
    mine, theirs = table.option(ours, criterion, measure), table.option(chosen, criterion, measure)
    pca = None if size is None else table.option((PCA, size), criterion, measure)
    if criterion == measure and _is_opposite(verdict, mine, theirs, pca):
        notes = [*notes, Note(TEST_DISAGREES)]
    return Choice(
        blank.purpose,
        verdict,
        blank.rule,
        criterion,
        measure,
        chosen=theirs,
        ours=mine,
        pca=pca,
        raw=table.option(table.raw(), criterion, measure) if blank.purpose == CLUSTER else None,
        gain=gain,
        runners_up=_runners_up(table, blank, ours, options),
        notes=tuple(notes),
    )


def _is_opposite(verdict: str, ours: Option | None, chosen: Option | None, pca: Option | None) -> bool:
    """Whether the test rows, whose figures are told, order model and PCA as the rows that were chosen by do not."""
    worse, better = (ours, chosen) if verdict == WORSE_THAN_PCA else (pca, ours) if verdict == HELPS else (None, None)
    if worse is None or better is None or worse.test is None or better.test is None:
        return False
    return worse.test.mean > better.test.mean


def _runners_up(table: Table, blank: Choice, ours: tuple[str, int] | None, options: Options) -> tuple[Option, ...]:
    """What the rule finds for each model by itself, but for the one chosen."""
    pick = _smallest if blank.rule == SMALLEST_ENOUGH else best_of
    if ours is None:
        return ()
    others = [own for model in table.trained if model != ours[0] and (own := _of_model(options, model))]
    found = [table.option(pick(own), blank.criterion, blank.measure) for own in others]
    return tuple(option for option in found if option is not None)


def _sizes(table: Table, size: int, options: Options) -> list[Note]:
    """Whether the sizes tried could decide: the largest one cannot, and between two lie others."""
    tried = sorted({size for _, size in options})
    place, features = tried.index(size), max(cell.n_features for cell in table.cells)
    found = []
    if place == len(tried) - 1 and size < features - 1:
        found.append(Note(LARGEST_SIZE, {"size": size, "next": min(2 * size, features - 1)}))
    if place > 0 and size - tried[place - 1] > 1:
        low = tried[place - 1] + 1
        found.append(Note(UNTRIED, {"low": low, "high": size - 1, "n": size - low}))
    return found


def _ties(table: Table, ours: tuple[str, int], options: Options) -> list[Note]:
    """Other models of the same size that cannot be told from the one chosen."""
    equals = [
        model
        for model in table.trained
        if (model, ours[1]) in options
        and model != ours[0]
        and not is_clearly_above(options[ours], options[model, ours[1]], 0.0)
        and not is_clearly_above(options[model, ours[1]], options[ours], 0.0)
    ]
    return [Note(TIE, {"models": equals, "size": ours[1]})] if equals and table.repeats > 1 else []


def _caveats(table: Table) -> list[Note]:
    """What weakens every statement of the study."""
    trained = [cell for cell in table.cells if not cell.is_baseline]
    single = [Note(ONE_REPEAT)] if table.repeats == 1 else []
    return [*single, Note(CHOSEN_ON_TEST)] if all(map(_is_the_same, trained)) else single


def _is_the_same(cell: Cell) -> bool:
    return all(getattr(cell.selection, name) == getattr(cell.test, name) for name in MEASURES)
