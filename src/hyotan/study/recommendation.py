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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hyotan.errors import DataError
from hyotan.models.families import BY_NAME
from hyotan.study import choices
from hyotan.study.cells import BASELINES, LOWER_IS_BETTER, MEASURES, PCA, RAW, Cell, Interval, Scores, models_of
from hyotan.study.choices import Advice, Caveat, Option, Recommendation

Q2 = "q2"
"""The share of the variance that a code predicts: what sizes are compared by."""

TOLERANCE = 0.05
"""A twentieth is what a smaller code may lose, what counts as nothing, and what a model has to gain on PCA."""

SEEN = 2
"""The largest code that can be seen without another reduction."""

CLEAR = 2.0
"""Standard errors from which on a difference is no longer called chance."""

ModelSize = tuple[str, int]
"""A model and a latent size."""

ByRepeat = dict[int, float]
Options = dict[ModelSize, ByRepeat]


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
            f"Train one of {', '.join(BY_NAME)}.",
        )
    found = tuple(choose(table) for choose in (to_compress, to_see, to_cluster, to_generate))
    return Recommendation(found, table.repeats, tuple(_caveats(table)))


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


# -- the cells, by model and size ------------------------------------------------------------------------------------


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
        own = [cell for cell in self.cells if (cell.model, cell.latent_dim) == (model, size)]
        found = {cell.repeat: _value(cell, measure, rows) for cell in own}
        return {repeat: value for repeat, value in found.items() if value is not None and math.isfinite(value)}

    def options(self, measure: str, models: Iterable[str], largest: float = math.inf) -> Options:
        """What was measured, by model and size, on the selection rows; the larger the better."""
        pairs = dict.fromkeys((cell.model, cell.latent_dim) for cell in self.cells)
        found = {pair: self.by_repeat(*pair, measure) for pair in pairs if pair[0] in models and pair[1] <= largest}
        return {pair: values for pair, values in found.items() if values}

    def interval(self, model: str, size: int, measure: str, rows: str) -> Interval | None:
        """Over the repeats, as the measure is read and not turned round."""
        values = self.by_repeat(model, size, measure, rows).values()
        return Interval.of(-value for value in values) if measure in LOWER_IS_BETTER else Interval.of(values)

    def option(self, pair: ModelSize | None, choice: Advice) -> Option | None:
        """A model of one size with its figures, by the criterion and the measure of a choice; None if not measured."""
        if pair is None:
            return None
        selection = self.interval(*pair, choice.criterion, "selection")
        test = self.interval(*pair, choice.measure, "test")
        return None if selection is None and test is None else Option(*pair, selection, test)


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


def best_of(options: Options) -> ModelSize:
    """The option with the highest mean; of equal ones the first."""
    return max(options, key=lambda pair: mean(options[pair]))


def smallest_enough(options: Options, tolerance: float) -> ModelSize:
    """The smallest size at which some model is enough; there the best model, or an earlier one that ties with it."""
    best = options[best_of(options)]
    enough = [pair for pair, values in options.items() if is_enough(values, best, tolerance)]
    size = min(size for _, size in enough)
    return first_of_equals({pair: options[pair] for pair in enough if pair[1] == size})


def first_of_equals(options: Options) -> ModelSize:
    """The first option that is within one standard error of the best: the models come simplest first."""
    best = options[best_of(options)]
    return next(pair for pair, values in options.items() if is_enough(values, best, 0.0))


# -- the purposes ------------------------------------------------------------------------------------------------------


def to_compress(table: Table) -> Advice:
    """The smallest size that predicts nearly as much as the best one."""
    blank = Advice(choices.COMPRESS, choices.UNKNOWN, choices.SMALLEST_ENOUGH, Q2, "explained")
    options, principal = table.options(Q2, table.trained), table.options(Q2, [PCA])
    if not options:
        return blank
    if _is_nothing(options):
        if not principal or _is_nothing(principal):
            return _concluded(table, blank, choices.NOTHING)
        return _concluded(table, blank, choices.WORSE_THAN_PCA, best_of(options), options, _smallest(principal))
    ours = _smallest(options)
    # Better than PCA is only what predicts more of values that it has not seen, and keeps more of those that it has.
    verdict = max((_beside_pca_in(table, ours, share) for share in (Q2, "explained")), key=_WORSE.index)
    notes = [*_sizes(table, ours[1], options), *_ties(table, ours, options)]
    if principal and best_of(principal)[1] != ours[1] and _predicts_more(principal, options):
        notes.append(Caveat("pca-predicts-more", {"size": best_of(principal)[1]}))
    return _concluded(table, blank, verdict, ours, options, notes=notes)


_WORSE = (choices.ALONE, choices.HELPS, choices.LIKE_PCA, choices.WORSE_THAN_PCA)
"""Verdicts, each weaker than the one before it."""


def _beside_pca_in(table: Table, ours: ModelSize, share: str) -> str:
    """The verdict by a share of the variance. Its logarithms are compared: their difference is a ratio of errors."""
    mine, theirs = (
        {repeat: -math.log(max(1 - value, 1e-12)) for repeat, value in table.by_repeat(*pair, share).items()}
        for pair in (ours, (PCA, ours[1]))
    )
    return _beside_pca(mine, theirs, -math.log(1 - TOLERANCE))


def _beside_pca(ours: ByRepeat, theirs: ByRepeat, least: float) -> str:
    """Better than PCA by at least so much, like it or worse."""
    if not ours or not theirs:
        return choices.ALONE
    if is_clearly_above(ours, theirs, least):
        return choices.HELPS
    return choices.WORSE_THAN_PCA if is_clearly_above(theirs, ours, least) else choices.LIKE_PCA


def _smallest(options: Options) -> ModelSize:
    return smallest_enough(options, TOLERANCE * mean(options[best_of(options)]))


def _is_nothing(options: Options) -> bool:
    """Whether no code predicts more than a twentieth, or than chance does."""
    best = Interval.of(options[best_of(options)].values())
    return best is None or best.mean <= TOLERANCE or best.mean <= CLEAR * best.standard_error


def _predicts_more(principal: Options, options: Options) -> bool:
    """Whether PCA of some size predicts clearly more than any of the models."""
    best = principal[best_of(principal)]
    return is_clearly_above(best, options[best_of(options)], TOLERANCE * mean(best))


def to_see(table: Table) -> Advice:
    """Of the codes that fit on paper, the one whose neighbours belong together."""
    for rule, criterion in (
        (choices.BEST_NEIGHBOURS, "knn_accuracy"),
        (choices.BEST_NEIGHBOURHOODS, "trustworthiness"),
    ):
        blank = Advice(choices.SEE, choices.UNKNOWN, rule, criterion, criterion)
        if options := table.options(criterion, table.trained, SEEN):
            largest = max(size for _, size in options)
            options = {pair: values for pair, values in options.items() if pair[1] == largest}
            ours = first_of_equals(options)
            return _compared(table, blank, ours, options, _ties(table, ours, options))
    return replace(blank, notes=() if min(table.sizes) <= SEEN else (Caveat("no-small-size", {"size": SEEN}),))


def to_cluster(table: Table) -> Advice:
    """The code whose K-means clusters agree best with the labels, if that is more than PCA or the features reach."""
    blank = Advice(choices.CLUSTER, choices.UNKNOWN, choices.BEST_CLUSTERS, "v_measure", "v_measure")
    options = table.options(blank.criterion, table.trained)
    if not options:
        return _concluded(table, blank, choices.UNKNOWN, notes=[Caveat("no-labels")])
    ours = best_of(options)
    others = table.options(blank.criterion, [PCA, RAW])
    for pair in sorted(others, key=lambda pair: -mean(others[pair])):
        if not is_clearly_above(options[ours], others[pair], TOLERANCE * mean(others[pair])):
            is_worse = is_clearly_above(others[pair], options[ours], TOLERANCE * mean(options[ours]))
            verdict = choices.LIKE_RAW if pair[0] == RAW else choices.WORSE_THAN_PCA if is_worse else choices.LIKE_PCA
            return _concluded(table, blank, verdict, ours, options, pair, _ties(table, ours, options))
    return _concluded(
        table, blank, choices.HELPS if others else choices.ALONE, ours, options, notes=_ties(table, ours, options)
    )


def to_generate(table: Table) -> Advice:
    """The smallest size that describes new rows nearly as well as the best; of the models, whose samples reach most.

    The size of a model without a bound is the one to compress with: what its samples reach says little of sizes, for
    the blurred rows of a small code are near to many.
    """
    blank = Advice(choices.GENERATE, choices.UNKNOWN, choices.SMALLEST_BOUND, "bound", "coverage")
    tried: dict[str, Options] = {}
    found: list[ModelSize] = []
    for model in table.trained:  # the simplest first
        if own := table.options("bound", [model]):
            found.append(smallest_enough(own, _span(own)))
        elif own := table.options(Q2, [model]):
            found.append(_smallest(own))
        tried[model] = own
    reach = {pair: values for pair in found if (values := table.by_repeat(*pair, "coverage"))}
    if not reach and not table.options("bound", table.trained):
        return _concluded(table, blank, choices.UNKNOWN, notes=[Caveat("no-samples")])
    if to_compress(table).verdict == choices.NOTHING:
        return _concluded(table, blank, choices.NOTHING)
    ours = first_of_equals(reach) if reach else found[0]
    notes = [*_sizes(table, ours[1], tried[ours[0]]), *_ties(table, ours, reach)]
    return _compared(table, blank, ours, {pair: tried[pair[0]][pair] for pair in found}, notes)


def _span(options: Options) -> float:
    """A twentieth of what a model's sizes differ by: a bound has no zero that a share could be taken of."""
    means = [mean(values) for values in options.values()]
    return TOLERANCE * (max(means) - min(means))


# -- the answer --------------------------------------------------------------------------------------------------------


def _compared(table: Table, blank: Advice, ours: ModelSize, options: Options, notes: Sequence[Caveat]) -> Advice:
    """Compare with PCA of the same size, in the choice's measure, which is larger for better."""
    mine, theirs = (table.by_repeat(*pair, blank.measure) for pair in (ours, (PCA, ours[1])))
    verdict = _beside_pca(mine, theirs, TOLERANCE * mean(theirs) if theirs else 0.0)
    return _concluded(table, blank, verdict, ours, options, notes=notes)


def _concluded(
    table: Table,
    blank: Advice,
    verdict: str,
    ours: ModelSize | None = None,
    options: Options | None = None,
    instead: ModelSize | None = None,
    notes: Sequence[Caveat] = (),
) -> Advice:
    """The choice with its figures and what else there is to know.

    Parameters
    ----------
    table : the study's.
    blank : purpose, rule, criterion and measure.
    verdict : on the model that the rule finds.
    ours : that model; None where there is none to speak of.
    options : that it was chosen from.
    instead : what to take where the model is not worth it; by default PCA of its size.
    notes : what else to know.
    """
    raw = next(((cell.model, cell.latent_dim) for cell in table.cells if cell.model == RAW), None)
    blank = replace(
        blank,
        verdict=verdict,
        raw=table.option(raw, blank) if blank.purpose == choices.CLUSTER else None,
        notes=tuple(notes),
    )
    if ours is None:
        return blank
    pca = (PCA, ours[1])
    chosen = ours if verdict in (choices.HELPS, choices.ALONE) else instead or pca
    tests = (table.by_repeat(*pair, blank.measure, "test") for pair in (ours, pca))
    choice = replace(
        blank,
        chosen=table.option(chosen, blank),
        ours=table.option(ours, blank),
        pca=table.option(pca, blank),
        gain=difference(*tests),
        runners_up=tuple(_runners_up(table, blank, ours, options or {})),
    )
    if blank.criterion == blank.measure and _is_opposite(choice):
        return replace(choice, notes=(*choice.notes, Caveat("test-disagrees")))
    return choice


def _is_opposite(choice: Advice) -> bool:
    """Whether the test rows, whose figures are told, order model and PCA as the rows that were chosen by do not."""
    pairs = {choices.WORSE_THAN_PCA: (choice.ours, choice.chosen), choices.HELPS: (choice.pca, choice.ours)}
    worse, better = pairs.get(choice.verdict, (None, None))
    if worse is None or better is None or worse.test is None or better.test is None:
        return False
    return worse.test.mean > better.test.mean


def _runners_up(table: Table, blank: Advice, ours: ModelSize, options: Options) -> Iterator[Option]:
    """What the rule finds for each model by itself, but for the one chosen."""
    pick = _smallest if blank.rule == choices.SMALLEST_ENOUGH else best_of
    for model in table.trained:
        own = {pair: values for pair, values in options.items() if pair[0] == model != ours[0]}
        if own and (option := table.option(pick(own), blank)) is not None:
            yield option


def _sizes(table: Table, size: int, options: Options) -> list[Caveat]:
    """Whether the sizes tried could decide: the largest one cannot, and between two lie others."""
    tried = sorted({size for _, size in options})
    place, features = tried.index(size), max(cell.n_features for cell in table.cells)
    found = []
    if place == len(tried) - 1 and size < features - 1:
        found.append(Caveat("largest-size", {"size": size, "next": min(2 * size, features - 1)}))
    if place > 0 and size - tried[place - 1] > 1:
        low = tried[place - 1] + 1
        found.append(Caveat("untried", {"low": low, "high": size - 1, "n": size - low}))
    return found


def _ties(table: Table, ours: ModelSize, options: Options) -> list[Caveat]:
    """Other models of the same size that cannot be told from the one chosen."""
    equals = [
        model
        for model in table.trained
        if (model, ours[1]) in options
        and model != ours[0]
        and not is_clearly_above(options[ours], options[model, ours[1]], 0.0)
        and not is_clearly_above(options[model, ours[1]], options[ours], 0.0)
    ]
    return [Caveat("tie", {"models": equals, "size": ours[1]})] if equals and table.repeats > 1 else []


def _caveats(table: Table) -> list[Caveat]:
    """What weakens every statement of the study."""
    trained = [cell for cell in table.cells if not cell.is_baseline]
    single = [Caveat("one-repeat")] if table.repeats == 1 else []
    return [*single, Caveat(choices.CHOSEN_ON_TEST)] if all(map(_is_the_same, trained)) else single


def _is_the_same(cell: Cell) -> bool:
    return all(getattr(cell.selection, name) == getattr(cell.test, name) for name in MEASURES)
