"""A package's source as it is measured: its modules, what their names stand for, and the places that are found."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | Function

_LAYOUT = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


@dataclass(frozen=True, order=True)
class Site:
    """A place in the source, and what stands there."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.text}"


@dataclass(frozen=True)
class Module:
    """A file of the package.

    Attributes
    ----------
    path : below the package's folder, with slashes.
    name : dotted, the package's name first.
    text : what the file holds.
    """

    path: str
    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree, in the order of the text."""
        return sorted(
            ast.walk(self.tree), key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        )

    @cached_property
    def code(self) -> frozenset[int]:
        """Numbers of the lines that hold code: no blanks, comments or docstrings."""
        held: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in _LAYOUT:
                held |= {*range(token.start[0], token.end[0] + 1)}
        return frozenset(held).difference(*(_lines(text) for text in self._docstrings()))

    def _docstrings(self) -> Iterator[ast.stmt]:
        for node in self.nodes:
            if isinstance(node, ast.Module | Definition) and ast.get_docstring(node, clean=False) is not None:
                yield node.body[0]

    @property
    def functions(self) -> Iterator[Function]:
        """Every function and method, inner ones too."""
        return (node for node in self.nodes if isinstance(node, Function))

    def code_lines(self, function: Function) -> int:
        """Code lines of a function's body."""
        return len(self.code & {*range(function.body[0].lineno, (function.end_lineno or 0) + 1)})

    @cached_property
    def origins(self) -> dict[str, str]:
        """What each imported name stands for, dotted; imports inside functions too."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.asname or alias.name: f"{self.base(node)}.{alias.name}" for alias in node.names}
        return found

    def base(self, node: ast.ImportFrom) -> str:
        """The module that a statement imports from, dotted."""
        if not node.level:
            return node.module or ""
        folder = self.name.split(".") if self.path.endswith("__init__.py") else self.name.split(".")[:-1]
        above = folder[: len(folder) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])

    @cached_property
    def defined(self) -> frozenset[str]:
        """Names that the file itself gives at its top."""
        return frozenset(name for name, _ in self.assigned) | frozenset(
            node.name for node in self.tree.body if isinstance(node, Definition)
        )

    @cached_property
    def assigned(self) -> list[tuple[str, ast.expr]]:
        """What is assigned at the file's top, name by name."""
        return [pair for statement in self.tree.body for pair in assignments(statement)]

    @cached_property
    def members(self) -> frozenset[str]:
        """Names of the methods, fields and attributes that the file's classes have."""
        found: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.ClassDef):
                found |= {inner.name for inner in node.body if isinstance(inner, Definition)}
                found |= {name for inner in node.body for name in _targets(inner)}
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own_object(node.value):
                found.add(node.attr)
        return frozenset(found)

    def dotted(self, node: ast.expr) -> str | None:
        """What a name or an attribute of a module stands for, dotted; None for anything else."""
        if isinstance(node, ast.Name):
            return self.origins.get(node.id) or (f"{self.name}.{node.id}" if node.id in self.defined else node.id)
        if isinstance(node, ast.Attribute):
            above = self.dotted(node.value)
            return f"{above}.{node.attr}" if above else None
        return None

    def site(self, node: ast.AST, text: str | None = None) -> Site:
        """Where a node stands."""
        shown = text if text is not None else re.sub(r"\s+", " ", ast.unparse(node))
        return Site(self.path, getattr(node, "lineno", 1), shown)


@dataclass(frozen=True)
class Package:
    """All files of a package."""

    name: str
    modules: tuple[Module, ...]

    @classmethod
    def read(cls, folder: Path) -> Package:
        """The package in a folder.

        Parameters
        ----------
        folder : the package's own, such as ``src/hyotan``.
        """
        return cls(folder.name, tuple(_read(path, folder) for path in sorted(folder.rglob("*.py"))))

    @cached_property
    def classes(self) -> dict[str, list[tuple[Module, ast.ClassDef]]]:
        """Where each class is defined, by name."""
        found: dict[str, list[tuple[Module, ast.ClassDef]]] = {}
        for module in self.modules:
            for node in module.nodes:
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, []).append((module, node))
        return found

    @cached_property
    def members(self) -> frozenset[str]:
        """Names of everything that the package's classes have, and of its functions."""
        own: frozenset[str] = frozenset()
        return own.union(*(module.members | {f.name for f in module.functions} for module in self.modules))

    @cached_property
    def _aliases(self) -> dict[str, tuple[Module, ast.expr]]:
        """What names at the top of files stand for, where it is a class or several; by dotted name."""
        return {
            f"{module.name}.{name}": (module, value)
            for module in self.modules
            for name, value in module.assigned
            if isinstance(value, ast.Name | ast.Attribute | ast.Tuple | ast.BinOp)
        }

    def is_own(self, dotted: str) -> bool:
        """Whether a dotted name belongs to the package."""
        return dotted.split(".")[0] == self.name

    def classes_in(self, expression: ast.expr, module: Module, seen: frozenset[str] = frozenset()) -> set[str]:
        """The classes that an expression names, unions and tuples taken apart: own ones bare, others dotted."""
        if isinstance(expression, ast.Tuple | ast.List | ast.Set):
            return {name for each in expression.elts for name in self.classes_in(each, module, seen)}
        if isinstance(expression, ast.BinOp):
            return self.classes_in(expression.left, module, seen) | self.classes_in(expression.right, module, seen)
        dotted = module.dotted(expression)
        if dotted is None:
            return set()
        if dotted in self._aliases and dotted not in seen:
            owner, value = self._aliases[dotted]
            return self.classes_in(value, owner, seen | {dotted})
        return {dotted.rpartition(".")[2] if self.is_own(dotted) else dotted}

    def subclasses(self, names: frozenset[str]) -> frozenset[str]:
        """Names of the classes below some of the package's."""
        found: set[str] = set()
        while True:
            more = {
                name
                for name, places in self.classes.items()
                for module, node in places
                if any(self.classes_in(base, module) & (names | found) for base in node.bases)
            }
            if more <= found | names:
                return frozenset(found - names)
            found |= more


def _read(path: Path, folder: Path) -> Module:
    below = path.relative_to(folder)
    parts = below.with_suffix("").parts
    name = ".".join([folder.name, *(parts[:-1] if parts[-1] == "__init__" else parts)])
    return Module(below.as_posix(), name, path.read_text(encoding="utf-8"))


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def assignments(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Names and values of an assignment; ``A, B = 1, 2`` gives two."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
        yield statement.target.id, statement.value
    if not isinstance(statement, ast.Assign):
        return
    for target in statement.targets:
        if isinstance(target, ast.Name):
            yield target.id, statement.value
        elif isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
            for name, value in zip(target.elts, statement.value.elts, strict=False):
                if isinstance(name, ast.Name):
                    yield name.id, value


def _targets(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement in a class's body gives a value or a type."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    yield from (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def is_own_object(node: ast.expr) -> bool:
    """Whether an expression is the object that a method belongs to: ``self``, ``cls`` or ``super()``."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")
