"""Labels as classes: which classes there are, and which rows belong to none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

UNKNOWN = -1
"""The class number of a row whose label is not known; among numbers, the label that says so, as in scikit-learn."""

MOST_NUMBERS = 20
"""More different numbers than this are a scale and no classes, as in the figures."""

ROWS_A_NAME = 10
"""Texts that have fewer rows each than this are names of rows, once there are more of them than MOST_NUMBERS."""


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes that the labels of a study's training rows name.

    Attributes
    ----------
    names : the labels, in order.
    """

    names: tuple[Any, ...]

    @classmethod
    def of(cls, y: np.ndarray | None) -> Classes | None:
        """The classes of labels, (n,); None where there are no labels, fewer than two classes, or a scale of numbers.

        ``None``, NaN, the empty text and, beside two other numbers at least, -1 are no class: such a row's label is not
        known.
        """
        if y is None:
            return None
        known = sorted({label for label in y.tolist() if not _is_missing(label)}, key=_order)
        if UNKNOWN in known and len(known) > 2:
            known.remove(UNKNOWN)
        return cls(tuple(known)) if len(known) > 1 and not _is_scale(known, len(y)) else None

    def __len__(self) -> int:
        return len(self.names)

    def numbers(self, y: np.ndarray) -> np.ndarray:
        """The place of each label among the names, (n,) int; UNKNOWN where it is none of them."""
        places = {name: place for place, name in enumerate(self.names)}
        return np.array([places.get(label, UNKNOWN) for label in y.tolist()], dtype=np.int64)


def _is_missing(label: object) -> bool:
    return label is None or label == "" or label != label


def _order(label: Any) -> tuple[bool, float, str]:
    """Numbers as numbers, text after them."""
    return (True, 0.0, label) if isinstance(label, str) else (False, float(label), "")


def _is_scale(known: Sequence[Any], rows: int) -> bool:
    if any(isinstance(label, str) for label in known):
        return len(known) > max(MOST_NUMBERS, rows // ROWS_A_NAME)
    return len(known) > MOST_NUMBERS or any(float(label) % 1 for label in known)
