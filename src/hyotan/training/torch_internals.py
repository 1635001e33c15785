"""What training takes of torch beyond its public names, in one place and for versions of torch that are known.

Three things have no public name and are worth one: they save 5 to 40 % of a small network's step (docs/decisions/0013).
``make_fx`` writes a step's operations down, ``compile_fx`` compiles what was written down, ``_fused_adam_`` is the
operation behind the optimizer's fused step. Where they cannot be had, training goes by autograd and the optimizer's own
step, to the same bits.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

import torch

OLDEST, NEWEST = (2, 6), (2, 13)
"""Versions of torch whose internals are used; others may have changed what stands behind a name."""


def torch_internal(name: str) -> Any:
    """An object of torch's own by its module and its name, ``torch.fx.experimental.proxy_tensor:make_fx``.

    Raises
    ------
    ImportError
        This version of torch is not among those known, or has no such object.
    """
    major, minor, *_ = (int(number) for number in re.findall(r"\d+", torch.__version__))
    if not OLDEST <= (major, minor) <= NEWEST:
        raise ImportError(f"{name} is not used with torch {torch.__version__}, which is not among the versions known")
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute, None)
    if found is None:
        raise ImportError(f"torch {torch.__version__} has no {name}")
    return found
