"""One trainer for every model: it knows only ``objective(batch, progress) -> Terms``.

The tables of names are here, since :mod:`hyotan.parameters` reads them without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hyotan.registry import Registry

if TYPE_CHECKING:
    from hyotan.training.optimizers import OptimizerMaker
    from hyotan.training.schedules import Schedule

OPTIMIZERS: Mapping[str, OptimizerMaker] = Registry(
    "hyotan.training.optimizers", {"adamw": "adamw", "adam": "adam", "sgd": "sgd"}
)
SCHEDULES: Mapping[str, Schedule] = Registry(
    "hyotan.training.schedules", {"one-cycle": "one_cycle", "cosine": "cosine", "constant": "constant"}
)
