"""Names for things that are imported when they are first looked up: the names alone cost no import of torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """A table of names whose values are attributes of one module.

    Parameters
    ----------
    module : where the values are, such as ``hyotan.training.optimizers``.
    attributes : of that module, by the names that settings and command lines use.
    """

    def __init__(self, module: str, attributes: Mapping[str, str]) -> None:
        self.module, self.attributes = module, attributes

    def __getitem__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.module), self.attributes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    def __contains__(self, name: object) -> bool:
        return name in self.attributes
