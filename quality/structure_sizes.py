"""How large the package is, and which of its names mean several things."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from quality.structure_source import Function, Module, Package, Site, assignments

LONG_FILE = 500
"""Lines above which a file is long."""


def code_lines(package: Package) -> int:
    """Lines without blanks, comments and docstrings."""
    return sum(len(module.code) for module in package.modules)


def long_files(package: Package) -> list[Site]:
    """The files that are long, and how long they are."""
    lengths = [(len(module.text.splitlines()), module) for module in package.modules]
    ordered = sorted(lengths, key=lambda pair: -pair[0])
    return [Site(module.path, 1, f"({length} lines)") for length, module in ordered if length > LONG_FILE]


def longest_functions(package: Package) -> list[tuple[int, Site]]:
    """The functions with the longest bodies, in code lines without docstrings, the longest first."""
    found = [(module.code_lines(f), module.site(f, f.name)) for module in package.modules for f in module.functions]
    return sorted(found, key=lambda pair: -pair[0])[:5]


def entries(folder: Path) -> list[str]:
    """What lies at the top of the package's folder."""
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


def shared_classes(package: Package) -> Mapping[str, list[Site]]:
    """Public classes and names of types that are defined more than once; a type that is spelt the same counts once."""
    found: dict[str, dict[str, Site]] = {}
    for module in _named(package):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, {})[f"{module.path} {node.name}"] = module.site(node, "class")
            for name, value in _types(node):
                spelt = ast.unparse(value)
                found.setdefault(name, {}).setdefault(spelt, module.site(node, f"= {spelt}"))
    return _several({name: list(places.values()) for name, places in found.items()})


def shared_functions(package: Package) -> Mapping[str, list[Site]]:
    """Public functions of one name in several files; commands of the command line are left out.

    A command is the function that a file below ``cli`` is named after.
    """
    found: dict[str, list[Site]] = {}
    for module in _named(package):
        stem = Path(module.path).stem
        for node in module.tree.body:
            if isinstance(node, Function) and not (module.path.startswith("cli/") and node.name in (stem, "command")):
                found.setdefault(node.name, []).append(module.site(node, "def"))
    return _several(found)


def shared_files(package: Package) -> Mapping[str, list[Site]]:
    """Files of one name in several folders."""
    found: dict[str, list[Site]] = {}
    for module in _named(package):
        found.setdefault(Path(module.path).name, []).append(Site(module.path, 1, "file"))
    return _several(found)


def _named(package: Package) -> Iterator[Module]:
    return (module for module in package.modules if not module.path.endswith("__init__.py"))


def _types(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Names of types that a statement gives, and what they stand for."""
    if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).endswith("TypeAlias"):
        yield from assignments(node)
    elif type(node).__name__ == "TypeAlias":  # a statement of Python 3.12
        yield node.name.id, node.value  # pyrefly: ignore[missing-attribute]
    elif isinstance(node, ast.Assign):
        yield from ((name, value) for name, value in assignments(node) if _is_type(name, value))


def _is_type(name: str, value: ast.expr) -> bool:
    """Whether an assignment names a type: ``Scorer = Callable[…]``."""
    return name[:1].isupper() and not name.isupper() and isinstance(value, ast.Subscript | ast.BinOp)


def _several(found: Mapping[str, list[Site]]) -> dict[str, list[Site]]:
    kept = {name: places for name, places in found.items() if len(places) > 1 and not name.startswith("_")}
    return dict(sorted(kept.items()))
