"""What the package uses that belongs to others: private members of other modules' objects, and PyTorch's own parts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from quality.structure_source import Module, Package, Site, is_own_object
from quality.structure_terms import TORCH_MEMBERS

OF_NAMEDTUPLES = frozenset({"_replace", "_asdict", "_fields", "_make"})
"""Public, for all that they begin with an underscore."""

PRIVATE_PLACE = re.compile(r"torch(\.\w+)*\.(_\w+|experimental|compile_fx)(\.\w+)*")
"""Modules and members of PyTorch that it does not promise to keep."""


def is_private(name: str) -> bool:
    """Whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name not in OF_NAMEDTUPLES


def private_uses(package: Package) -> list[tuple[Site, str]]:
    """Every use of a private member of another module's object, and the member's name.

    The object is not ``self``, ``cls`` or ``super()``, and no class of the file has such a member.
    """
    return [
        (module.site(node), name)
        for module in package.modules
        for node in module.nodes
        for name in _private_names(module, node)
        if is_private(name) and name not in module.members
    ]


def _private_names(module: Module, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and not is_own_object(node.value):
        yield node.attr
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) > 1:
        at = node.args[1]
        if node.func.id in ("getattr", "setattr", "hasattr", "delattr") and not is_own_object(node.args[0]):
            yield from [at.value] if isinstance(at, ast.Constant) and isinstance(at.value, str) else []
    elif isinstance(node, ast.ImportFrom):
        base = module.base(node)
        yield from (alias.name for alias in node.names if base.split(".")[0] == module.name.split(".")[0])


def own_and_foreign(package: Package) -> tuple[list[Site], list[Site]]:
    """The private uses of what the package itself defines, and of what others do."""
    own: list[Site] = []
    foreign: list[Site] = []
    for site, name in private_uses(package):
        (own if name in package.members - TORCH_MEMBERS else foreign).append(site)
    return own, foreign


def torch_private(package: Package) -> list[Site]:
    """Every use of what PyTorch does not promise to keep: imports, members, and names in text."""
    return [
        site
        for module in package.modules
        for node in module.nodes
        if (site := _torch_private(module, node)) is not None
    ]


def _torch_private(module: Module, node: ast.AST) -> Site | None:
    if isinstance(node, ast.ImportFrom):
        places = [f"{node.module}.{alias.name}" for alias in node.names] if not node.level else []
    elif isinstance(node, ast.Import):
        places = [alias.name for alias in node.names]
    elif isinstance(node, ast.Constant):
        places = [node.value] if isinstance(node.value, str) else []
    elif isinstance(node, ast.Attribute) and is_private(node.attr):
        is_torch = node.attr in TORCH_MEMBERS and node.attr not in module.members
        places = [f"torch.{node.attr}" if is_torch else module.dotted(node) or ""]
    else:
        return None
    return module.site(node) if any(PRIVATE_PLACE.fullmatch(place) for place in places) else None
