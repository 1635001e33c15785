"""The paths of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[float], float]
"""From the share of the cycle that is done, in [0, 1], to a factor of the highest learning rate."""


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


def one_cycle(done: float) -> float:
    """Up from 1/25 over the first 30 %, then down to 1/10,000, along half cosines (Smith & Topin 2018)."""
    if done < 0.3:
        return _cosine(1 / 25, 1.0, done / 0.3)
    return _cosine(1.0, 1e-4, (done - 0.3) / 0.7)


def cosine(done: float) -> float:
    """From 1 down to 1/10,000 along half a cosine."""
    return _cosine(1.0, 1e-4, done)


def constant(done: float) -> float:
    """1 throughout."""
    return 1.0
