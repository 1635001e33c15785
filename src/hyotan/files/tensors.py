"""The tensors that a file holds: those whose names have a prefix, and a check of their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hyotan.errors import DataError

Shape = tuple[int, ...]


def below(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def check_tensors(tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[Shape]], owner: str) -> None:
    """Refuse tensors that are missing, of another shape, or not float64.

    Parameters
    ----------
    tensors : by name; others than those in ``shapes`` do not matter.
    shapes : by name, the shapes that each may have; -1 stands for any length of at least 2.
    owner : whose file it is, to follow "Is it ": ``a model's``.

    Raises
    ------
    DataError
        Names the first such tensor, what arrived and what was expected.
    """
    for name, allowed in shapes.items():
        if name not in tensors:
            raise DataError(f"tensor '{name}' is missing.", f"Is it {owner} file?")
        tensor = tensors[name]
        if tensor.dtype != np.float64 or not any(_fits(tensor.shape, shape) for shape in allowed):
            expected = " or ".join(map(str, allowed)).replace("-1", "m")
            raise DataError(
                f"tensor '{name}' is {tensor.dtype} {tensor.shape}, expected float64 {expected}.",
                "The file belongs to another model.",
            )


def _fits(shape: Shape, expected: Shape) -> bool:
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(have == want or (want == -1 and have > 1) for have, want in pairs)
