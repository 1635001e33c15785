"""Which rows each member of an ensemble is trained on, and which are left to measure false alarms with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FOLDS = 4
"""Each row is left out by one in so many members."""

LEAST_ROWS = 4
"""Rows without which nothing can be left out."""


@dataclass(frozen=True, eq=False)
class Subsets:
    """The rows of an ensemble's members.

    Attributes
    ----------
    members : the rows of each member, (m,), as many for each.
    held_out : (h,), rows that no member is trained on; empty where every row is needed.
    n : rows in all.
    """

    members: list[np.ndarray]
    held_out: np.ndarray
    n: int

    @classmethod
    def draw(cls, n: int, members: int, held_out: int, most: int, random: np.random.RandomState) -> Subsets:
        """Draw them.

        Parameters
        ----------
        n : rows.
        members : of the ensemble.
        held_out : rows that no member is to see.
        most : rows that a member sees at most.
        random : draws.
        """
        order = random.permutation(n)
        kept, out = order[held_out:], np.sort(order[:held_out])
        folds = min(FOLDS, members)
        size = min(len(kept) - -(-len(kept) // folds) if folds > 1 else len(kept), most)
        seen = []
        for member in range(members):
            if member % folds == 0:
                kept = random.permutation(kept)
            start, end = (round(len(kept) * (member % folds + at) / folds) for at in (0, 1))
            rest = kept if folds == 1 else np.concatenate([kept[end:], kept[:start]])
            seen.append(np.sort(rest[:size]))
        return cls(seen, out, n)

    def out_of_bag(self, scores: np.ndarray) -> np.ndarray:
        """Each row's mean score over the members that did not see it: (n,), of scores (members, n).

        Every row is left out by a member; :meth:`draw` sees to that, unless there is only one.
        """
        unseen = np.ones(scores.shape, dtype=bool)
        for of_member, rows in zip(unseen, self.members, strict=True):
            of_member[rows] = False
        return np.where(unseen, scores, 0.0).sum(axis=0) / unseen.sum(axis=0)
