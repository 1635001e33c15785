"""Regression guard: this package's throughput as a share of the bare loop's in the same rounds.

Absolute times are not judged, since they depend on the machine and its load; the share hardly does.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

FLOORS: dict[tuple[str, int], float] = {
    ("784-20-784", 128): 1.05,
    ("784-400-20 VAE", 128): 0.95,
    ("784-400-20 VAE", 1024): 0.88,
    ("784-512-256-20", 128): 1.00,
    ("conv VAE 28 × 28", 128): 0.90,
    ("conv VAE 64 × 64", 128): 0.90,
}
"""The least share, by network and batch: a tenth below what was measured, and for convolutions what noise leaves."""


def share(rates: Mapping[str, Sequence[float]]) -> float | None:
    """The median over rounds of hyotan's rate by the bare loop's; None where one of them did not run."""
    if "hyotan" not in rates or "bare loop" not in rates:
        return None
    return statistics.median(ours / bare for ours, bare in zip(rates["hyotan"], rates["bare loop"], strict=True))


def too_slow(network: str, batch: int, rates: Mapping[str, Sequence[float]]) -> str | None:
    """What fell below its floor, in words; None where nothing did."""
    found, floor = share(rates), FLOORS.get((network, batch))
    if found is None or floor is None or found >= floor:
        return None
    return (
        f"{network}, batch {batch}: hyotan trained at {found:.2f} of the bare loop's speed; the floor is {floor:.2f}. "
        "Measure again on an idle machine; if it stays, look for what the last changes do in a step."
    )
