"""A synthetic table beside a real one: is it like it, is it useful, does it give training rows away?

What other real rows would reach is measured too, and every answer is given beside it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hyotan.analysis.diagnosis import GOOD, NOTICE, WARNING, Finding
from hyotan.analysis.fidelity import Fidelity, Usefulness, compare_tables, compare_training
from hyotan.analysis.privacy import Privacy, check_privacy
from hyotan.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

SAID = {GOOD: "like real ones", NOTICE: "somewhat off", WARNING: "not like real ones"}
"""Of a measure that exceeds that of other real rows a little, more, and too far."""
LEAST_ROWS, ENOUGH_ROWS = 20, 200
"""Real rows without which nothing is compared, and rows of each table below which only large differences show."""
MOST_CLASSES = 50
"""Different values of a column that a classifier is to learn."""
LIMITS = {"COLUMNS": (0.03, 0.1), "PAIRS": (0.1, 0.25), "TOLD_APART": (0.1, 0.25)}
"""How far a measure may exceed that of other real rows: up to the first it is good, beyond the second it is not."""
USEFUL = (0.9, 0.75)
"""The share of what real rows teach: from the first on it is good, below the second it is not."""


@dataclass(frozen=True)
class SampleCheck:
    """Synthetic rows beside real ones.

    Attributes
    ----------
    rows, real_rows : synthetic rows, and the real ones that they are compared with.
    fidelity : how like these they are.
    expected : how like these other real rows are, as many as there are synthetic ones, or half of all.
    usefulness : what a classifier learns from them, beside what it learns from those other real rows; None without a
        column to learn.
    privacy : whether they lie closer to the training rows than held-out rows do.
    """

    rows: int
    real_rows: int
    fidelity: Fidelity
    expected: Fidelity
    usefulness: Usefulness | None
    privacy: Privacy

    @property
    def passed(self) -> bool:
        """Whether no finding is a warning."""
        return all(finding.level != WARNING for finding in self.findings)

    @property
    def findings(self) -> list[Finding]:
        """The answers in words."""
        ours, real = self.fidelity, self.expected
        column = max(ours.columns, key=lambda column: column.distance)
        text = (
            f"Single columns are {{}}: {ours.mean_distance:.3f} apart on average, other real rows "
            f"{real.mean_distance:.3f} (0 is the same); the farthest is {column.name}, {column.distance:.3f}."
        )
        found = [_beside("COLUMNS", ours.mean_distance, real.mean_distance, text)]
        if ours.pairs:
            pair = max(ours.pairs, key=lambda pair: pair.difference)
            worst = max(pair.difference for pair in real.pairs)
            text = (
                f"Pairs of columns are {{}}: {pair.difference:.3f} off at most, other real rows {worst:.3f}; between "
                f"{pair.a} and {pair.b} the {pair.measure} is {pair.synthetic:.2f}, in the real rows {pair.real:.2f}."
            )
            found.append(_beside("PAIRS", pair.difference, worst, text))
        text = (
            f"Whole rows are {{}}: a classifier tells them from real ones with an AUROC of {ours.detection:.2f}, "
            f"other real rows with {real.detection:.2f} (0.5 is by chance, 1 is always)."
        )
        found.append(_beside("TOLD_APART", ours.detection, max(real.detection, 0.5), text))
        if (useful := self.usefulness) is not None:
            text = (
                f"A classifier trained on them gets {useful.synthetic:.0%} of real rows right (mean over the classes); "
                f"trained on real rows, {useful.real:.0%}."
            )
            found.append(Finding("USEFUL", _level(-useful.share, [-limit for limit in USEFUL]), text))
        found.append(self._on_privacy())
        if min(self.rows, self.real_rows) < ENOUGH_ROWS:
            text = f"{self.rows:,} synthetic rows beside {self.real_rows:,} real ones: only large differences show."
            found.append(Finding("FEW_ROWS", NOTICE, text))
        return found

    def _on_privacy(self) -> Finding:
        private = self.privacy
        shares = (
            f"{private.close:.1%} of the new rows lie as close to a training row as {private.expected:.1%} of "
            f"{private.held_out_rows:,} held-out rows do, and {private.copies:.1%} equal one (held-out rows: "
            f"{private.expected_copies:.1%})"
        )
        if private.passed:
            return Finding("PRIVACY", GOOD, f"No sign that training rows are repeated: {shares}. This is no proof.")
        return Finding("PRIVACY", WARNING, f"Training rows may be given away: {shares}. Do not pass the new rows on.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return {
            "passed": self.passed,
            "findings": [asdict(finding) for finding in self.findings],
            "rows": self.rows,
            "real_rows": self.real_rows,
            "fidelity": self.fidelity.to_dict(),
            "expected": self.expected.to_dict(),
            "usefulness": None if self.usefulness is None else asdict(self.usefulness),
            "privacy": self.privacy.to_dict(),
        }


def _level(value: float, limits: Collection[float]) -> str:
    return (GOOD, NOTICE, WARNING)[sum(value > limit for limit in limits)]


def _beside(code: str, ours: float, real: float, text: str) -> Finding:
    level = _level(ours - real, LIMITS[code])
    return Finding(code, level, text.format(SAID[level]))


def check_sample(
    synthetic: pa.Table,
    real: pa.Table,
    train: pa.Table,
    held_out: pa.Table,
    target: str | None = None,
    categories: Collection[str] = (),
    random_state: int = 0,
) -> SampleCheck:
    """Compare synthetic rows with real ones.

    Parameters
    ----------
    synthetic : the rows to check.
    real : real rows with the same columns, best such that the model has not seen; a part of them, drawn at random,
        stands for what other real rows reach.
    train : the rows that the synthetic ones were made from.
    held_out : real rows that had no part in it.
    target : the column that a classifier is to learn; None for none.
    categories : columns of numbers that are categories.
    random_state : seed of the classifiers and of all that is drawn.

    Raises
    ------
    DataError
        The tables do not have the same columns, there are too few real rows, or ``target`` is none that can be learned.
    """
    if real.num_rows < LEAST_ROWS:
        raise DataError(f"There are {real.num_rows} real rows, too few to compare with.", f"Take {LEAST_ROWS} or more.")
    if target is not None:
        if target not in real.column_names:
            raise DataError(f"The real table has no column '{target}'.", did_you_mean(target, real.column_names))
        if (kinds := len(real[target].unique())) > MOST_CLASSES:
            raise DataError(
                f"'{target}' has {kinds:,} different values; a classifier learns {MOST_CLASSES} at most.",
                "Name a column of categories.",
            )
        categories = {*categories, target}
    order = np.random.default_rng(random_state).permutation(real.num_rows)
    others, rest = (real.take(rows) for rows in np.split(order, [min(synthetic.num_rows, real.num_rows // 2)]))
    fidelity, expected = (compare_tables(rest, table, categories, random_state) for table in (synthetic, others))
    learned = None if target is None else compare_training(others, synthetic, rest, target, categories, random_state)
    own = [name for name in synthetic.column_names if name in train.column_names]  # a label is none of the model's
    trained, other, made = (table.select(own) for table in (train, held_out, synthetic))
    privacy = check_privacy(trained, other, made, categories, random_state)
    return SampleCheck(synthetic.num_rows, rest.num_rows, fidelity, expected, learned, privacy)
