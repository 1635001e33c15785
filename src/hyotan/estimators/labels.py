"""Labels of any kind become classes: whole numbers from 0, -1 where a row has none."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import type_of_target

from hyotan.data.arrays import checked_labels
from hyotan.errors import DataError, did_you_mean

UNKNOWN = -1

ASKED_ROWS = 100_000
"""Rows whose neighbours are looked for; the time grows with the square of their number."""

ASKED_VALUES = 200_000_000
"""Values that these rows hold at most: they are compared as a whole, in memory, 4 bytes each and some copies."""


def read_labels(y: Any, n: int, unlabelled: int | str) -> tuple[np.ndarray, np.ndarray]:
    """The different labels, sorted, (classes,), and which one each row has, (n,), int64, -1 for none.

    Parameters
    ----------
    y : n numbers or texts; ``unlabelled``, None and NaN stand for no label.
    n : rows.
    unlabelled : the label that says none.

    Raises
    ------
    DataError (a ValueError)
        No labels, of another number, measurements instead of classes, or none of them known.
    """
    if y is None:
        raise DataError(
            "A CVAE requires y to be passed, but the target y is None.",
            f"Pass labels, {unlabelled!r} for rows without one; or use a VAE.",
        )
    labels = checked_labels(y, n)
    known = ~is_unlabelled(labels, unlabelled)
    if not known.any():
        raise DataError(
            f"None of the {n:,} rows has a label: each is {unlabelled!r}, None or NaN.",
            "Pass labels for some rows, or use a VAE.",
        )
    values = labels[known]
    if type_of_target(values.astype(str) if values.dtype == object else values).startswith("continuous"):
        raise DataError(
            f"Unknown label type: y holds measurements, such as {values[values % 1 != 0][0]:g}; expected classes.",
            "Pass whole numbers or texts, for instance of np.digitize(y, bins).",
        )
    classes, index = np.unique(values, return_inverse=True)
    found = np.full(n, UNKNOWN, dtype=np.int64)
    found[known] = index
    return classes, found


def is_unlabelled(labels: np.ndarray, unlabelled: int | str) -> np.ndarray:
    """Which labels stand for none, (n,): ``unlabelled``, None and NaN."""
    if labels.dtype.kind == "O":
        return np.array([label is None or label != label or label == unlabelled for label in labels], dtype=bool)
    missing = np.isnan(labels) if labels.dtype.kind == "f" else np.zeros(len(labels), dtype=bool)
    # NumPy compares numbers with text by raising or by saying no; a text marker has no place among numbers.
    comparable = (labels.dtype.kind in "biuf") == isinstance(unlabelled, int)
    return missing | (labels == unlabelled) if comparable else missing


def find_classes(y: Any, n: int, classes: np.ndarray, unlabelled: int | str) -> np.ndarray:
    """Which class each of n labels is, (n,), int64, -1 for none; one label may stand for all rows.

    Raises
    ------
    DataError (a ValueError)
        A label that the model was not fitted on (names the nearest), or another number of them.
    """
    y = np.asarray(y if np.iterable(y) and not isinstance(y, str) else [y], dtype=None)
    labels = checked_labels(np.broadcast_to(y, n) if y.shape == (1,) else y, n)
    known = ~is_unlabelled(labels, unlabelled)
    place = {label: number for number, label in enumerate(classes.tolist())}
    found = np.full(n, UNKNOWN, dtype=np.int64)
    for label in np.unique(labels[known]).tolist():
        if label not in place:
            raise DataError(
                f"{label!r} is not a label that the model was fitted on.",
                did_you_mean(str(label), [str(name) for name in place]),
            )
        found[known & (labels == label)] = place[label]
    return found


def hide_labels(classes: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """The classes, (n,), with all but a share of each class's known ones hidden; at least one of each stays."""
    if fraction >= 1:
        return classes
    random = np.random.default_rng(seed)
    shown = np.full_like(classes, UNKNOWN)
    for number in range(classes.max() + 1):
        rows = np.flatnonzero(classes == number)
        kept = random.choice(rows, max(1, round(fraction * len(rows))), replace=False)
        shown[kept] = number
    return shown


def asked_rows(classes: np.ndarray, n_features: int = 1) -> np.ndarray:
    """The rows that say each other's class, sorted: all, or as many as can be compared, half of them with a known one.

    Parameters
    ----------
    classes : (n,), -1 where unknown.
    n_features : values of a row.
    """
    most = min(ASKED_ROWS, max(1000, ASKED_VALUES // n_features))
    if len(classes) <= most:
        return np.arange(len(classes))
    random = np.random.default_rng(0)
    known, unknown = (random.permutation(np.flatnonzero(part)) for part in (classes >= 0, classes < 0))
    known = known[: max(most // 2, most - len(unknown))]
    return np.sort(np.concatenate([known, unknown[: most - len(known)]]))
