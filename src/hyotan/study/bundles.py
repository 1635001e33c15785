"""Which cells of a study are trained in one loop: those that are alike, and small enough for it to pay.

A step of a small model is bound by the way to each product, which one loop over several models takes once; a step of a
large one by the products themselves, which stay what they are. Where the line lies was measured, see decision 0010.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence

from hyotan.estimators.build import choose_architecture, choose_batch_size, choose_device, choose_hidden
from hyotan.study.plan import CellPlan

MOST_PRODUCTS = 60e6
"""Multiplications of a forward pass of one batch above which a model is trained alone."""

MOST_CELLS = 5
"""Cells of one loop: more of them gain little, and their weights no longer stay in the cache."""

Bundle = tuple[CellPlan, ...]


def bundles(plans: Sequence[CellPlan], shape: tuple[int, ...], rows: int, jobs: int) -> list[Bundle]:
    """All cells, in bundles to be trained in one loop each; many are bundles of one.

    The bundles follow from the plan and from the jobs asked for, never from the cells that are left, so that a study
    that was stopped goes on to the same bits.

    Parameters
    ----------
    plans : of the whole study.
    shape : of one sample.
    rows : to train on.
    jobs : bundles at a time: each is to have its share.
    """
    families: dict[Hashable, list[CellPlan]] = {}
    for plan in plans:
        alike = _alike(plan) if _pays(plan, shape, rows) else plan.name
        families.setdefault(alike, []).append(plan)
    found: list[Bundle] = []
    for family in families.values():
        count = max(-(-len(family) // MOST_CELLS), -(-jobs * len(family) // len(plans)))
        found += _divided(sorted(family, key=lambda plan: (plan.repeat, plan.latent_dim)), min(count, len(family)))
    return found


def products_a_batch(plan: CellPlan, shape: tuple[int, ...], rows: int) -> float:
    """Multiplications of a forward pass of one batch through encoder and decoder."""
    settings = plan.settings
    widths = [math.prod(shape), *choose_hidden(settings, shape), plan.latent_dim]
    both_ways = 2 * sum(wide * narrow for wide, narrow in itertools.pairwise(widths))
    held_out = int(rows * settings["validation_fraction"])
    return both_ways * choose_batch_size(settings, rows - held_out) * settings.get("n_samples", 1)


def _pays(plan: CellPlan, shape: tuple[int, ...], rows: int) -> bool:
    settings = plan.settings
    if plan.nested or choose_architecture(settings, shape) != "mlp" or choose_device(settings["device"]).type != "cpu":
        return False
    return products_a_batch(plan, shape, rows) <= MOST_PRODUCTS


def _alike(plan: CellPlan) -> Hashable:
    own = ("latent_dim", "random_state")
    return plan.model, tuple((name, str(value)) for name, value in plan.parameters.items() if name not in own)


def _divided(family: Sequence[CellPlan], count: int) -> list[Bundle]:
    """So many parts of nearly one size, in order."""
    ends = [round(len(family) * i / count) for i in range(count + 1)]
    return [tuple(family[start:end]) for start, end in itertools.pairwise(ends)]
