"""What a study recommends, as plain values: for each purpose a choice, beside the baselines, with what else to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hyotan.study.cells import Interval, Plain

# Purposes.
SEE, CLUSTER, COMPRESS, GENERATE = "see", "cluster", "compress", "generate"
PURPOSES = (COMPRESS, SEE, CLUSTER, GENERATE)

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

CHOSEN_ON_TEST = "chosen-on-test"
"""The note that says that there were no rows to choose by but the test rows."""


@dataclass(frozen=True)
class Caveat:
    """Something to know about a choice: a code of the catalogue of messages, and the values that its sentence names."""

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
class Advice:
    """What to take for one purpose.

    Attributes
    ----------
    purpose : one of PURPOSES.
    verdict : one of VERDICTS: ``helps``: a model of ours does better than PCA of its size; ``like-pca`` and
        ``worse-than-pca``: it does not, and PCA is what ``chosen`` names; ``like-raw``: nor than the features
        themselves, which ``chosen`` names; ``nothing``: no code predicts anything; ``unknown``: not measured, and
        the notes say why; ``alone``: PCA was not measured.
    rule : how it was chosen.
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
    notes: tuple[Caveat, ...] = ()


@dataclass(frozen=True)
class Recommendation(Plain):
    """What to take for each purpose, the headline first.

    Attributes
    ----------
    choices : one for each of PURPOSES, in that order. The first, for compression, asks the least of the data, neither
        labels nor a likelihood, and is the headline.
    repeats : that the study made.
    notes : what weakens all of it: a single repeat, or no rows to choose by but the test rows.
    """

    choices: tuple[Advice, ...]
    repeats: int
    notes: tuple[Caveat, ...] = ()

    @property
    def headline(self) -> Advice:
        """Which model and which size, if there is to be one answer."""
        return self.of(COMPRESS)

    def of(self, purpose: str) -> Advice:
        """The choice for a purpose."""
        return next(choice for choice in self.choices if choice.purpose == purpose)
