"""Which rows a figure shows, and in which order its classes stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from hyotan.errors import DataError, SettingsError
from hyotan.figures.canvas import Array


def sample_tags(labels: Sequence[object] | None, n: int) -> tuple[str, ...] | None:
    """The labels of ``n`` samples as text; DataError where there are more or fewer of them."""
    if labels is None:
        return None
    if len(labels) != n:
        raise DataError(f"There are {n} samples but {len(labels)} labels.", "Give one label a sample.")
    return tuple(str(label) for label in labels)


def choose_rows(total: int, n: int, labels: Sequence[object] | None, random_state: int) -> list[int]:
    """``n`` of ``total`` row numbers at random; with labels one of each in turn, in the labels' order."""
    if n < 1 or total < 1:
        raise SettingsError(f"At least one row must be drawn; got n={n} of {total} rows.", "Give n of 1 or more.")
    sample_tags(labels, total)
    order = np.random.default_rng(random_state).permutation(total)
    if labels is None:
        return sorted(int(index) for index in order[:n])
    seen: dict[str, int] = defaultdict(int)
    rounds = []
    for index in order:
        rounds.append((seen[str(labels[index])], int(index)))
        seen[str(labels[index])] += 1
    chosen = [index for _, index in sorted(rounds, key=lambda pair: (pair[0], label_key(labels[pair[1]])))[:n]]
    return sorted(chosen, key=lambda index: label_key(labels[index]))


def label_key(label: object) -> tuple[bool, float, str]:
    """Sorts numbers as numbers and everything else as text after them."""
    try:
        return False, float(label), ""  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return True, 0.0, str(label)


def stratified(labels: Array | None, total: int, limit: int, random_state: int = 0) -> Array:
    """At most about ``limit`` of ``total`` row numbers, sorted: every class by its share, none left out.

    Never the first rows: files are often sorted. A class always keeps at least one row, so that very many classes can
    exceed the limit by as many.
    """
    if limit < 1:
        raise SettingsError(f"The number of points must be 1 or more; got {limit}.")
    if total <= limit:
        return np.arange(total)
    random = np.random.default_rng(random_state)
    if labels is None:
        return np.sort(random.choice(total, limit, replace=False))
    groups = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    chosen = [random.choice(rows, max(1, int(len(rows) * limit / total)), replace=False) for rows in groups]
    return np.sort(np.concatenate(chosen))


def thinned(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` positions, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
