"""Where the package asks of which class a thing is, or of which family a model; and what stands in for asking."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cached_property

from quality.structure_source import Function, Module, Package, Site, assignments
from quality.structure_terms import (
    FAMILIES,
    FAMILY_QUESTION,
    KIND_QUESTION,
    LAYOUT_FIELDS,
    LAYOUT_QUESTION,
    OF_PATHS,
    Family,
)

EQUALITIES = ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn
NDARRAY = frozenset({"numpy.ndarray"})


def class_checks(package: Package, module: Module) -> Iterator[tuple[ast.AST, set[str]]]:
    """Every question of which class a thing is: where, and the classes named.

    ``isinstance`` and ``issubclass``, ``type(x)`` or ``x.__class__`` compared, ``match`` with the pattern of a class,
    and functions registered for a class.
    """
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
            if node.func.id in ("isinstance", "issubclass"):
                yield node, package.classes_in(node.args[1], module)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(_is_type_of, sides)) and all(isinstance(op, EQUALITIES) for op in node.ops):
                yield node, {name for side in sides for name in package.classes_in(side, module)}
        elif isinstance(node, ast.MatchClass):
            yield node, package.classes_in(node.cls, module)
        elif isinstance(node, Function):
            yield from ((node, names) for names in _registered(package, module, node))


def _is_type_of(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "type" and len(node.args) == 1
    return isinstance(node, ast.Attribute) and node.attr == "__class__"


def _registered(package: Package, module: Module, function: Function) -> Iterator[set[str]]:
    """The classes that a function is registered for: ``@f.register`` or ``@f.register(C)``."""
    for mark in function.decorator_list:
        called = mark.func if isinstance(mark, ast.Call) else mark
        if isinstance(called, ast.Attribute) and called.attr == "register":
            first = function.args.args[0].annotation if function.args.args else None
            named = mark.args if isinstance(mark, ast.Call) else [first] if first is not None else []
            yield {name for each in named for name in package.classes_in(each, module)}


class Checks:
    """The questions in a package.

    Parameters
    ----------
    package : read.
    """

    def __init__(self, package: Package) -> None:
        self.package = package

    @cached_property
    def _asked(self) -> list[tuple[Module, ast.AST, set[str]]]:
        return [(m, node, names) for m in self.package.modules for node, names in class_checks(self.package, m)]

    def of(self, names: frozenset[str]) -> list[Site]:
        """Every call that asks for one of some classes."""
        return [module.site(node, _shown(node)) for module, node, found in self._asked if found & names]

    def lines_of(self, names: frozenset[str]) -> list[Site]:
        """The lines that hold such a call, each once."""
        first: dict[tuple[str, int], Site] = {}
        for site in self.of(names):
            first.setdefault((site.path, site.line), site)
        return list(first.values())

    def has(self, names: frozenset[str]) -> bool:
        """Whether the package defines one of some classes."""
        return bool(names & self.package.classes.keys())

    # -- what stands in for a class ----------------------------------------------------------------------------------

    def questions(self) -> list[Site]:
        """``x.is_of_table`` and the like, outside the file that says what it means."""
        return self._attributes(lambda name: bool(KIND_QUESTION.fullmatch(name)) and name not in OF_PATHS)

    def layout_questions(self) -> list[Site]:
        """``x.is_image`` and the like, outside the file that says what it means."""
        return self._attributes(lambda name: bool(LAYOUT_QUESTION.fullmatch(name)))

    def layout_comparisons(self) -> list[Site]:
        """``x.layout == …`` and the like, outside the file that says what it means."""
        return [
            module.site(node, _shown(node))
            for module in self.package.modules
            for node, sides in _compared(module)
            if any(isinstance(s, ast.Attribute) and s.attr in LAYOUT_FIELDS - module.members for s in sides)
        ]

    def kind_comparisons(self) -> list[Site]:
        """``x.kind == …`` outside the file that says what it means; families' names and NumPy's kinds do not count."""
        return [
            module.site(node, _shown(node))
            for module in self.package.modules
            for node, sides in _compared(module)
            if "kind" not in module.members and any(map(_is_kind, sides))
            if not any(self._is_foreign_family(side, module) for side in sides)
        ]

    def dimensions(self) -> list[Site]:
        """A number of dimensions compared: ``X.ndim == 2``, ``len(shape) > 1``."""
        return [
            module.site(node)
            for module in self.package.modules
            for node in module.nodes
            if isinstance(node, ast.Compare) and any(map(_is_dimension, [node.left, *node.comparators]))
        ]

    def probes(self) -> list[Site]:
        """``hasattr(x, "name")`` and ``getattr(x, "name", default)``."""
        return [
            module.site(node)
            for module in self.package.modules
            for node in module.nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if (node.func.id, len(node.args)) in (("hasattr", 2), ("getattr", 3))
        ]

    def keyed_by_type(self) -> list[Site]:
        """``TABLE[type(x)]`` and ``TABLE.get(type(x))``."""
        return [
            module.site(node)
            for module in self.package.modules
            for node in module.nodes
            if (isinstance(node, ast.Subscript) and _is_type_of(node.slice))
            or (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "get"
                and any(map(_is_type_of, node.args))
            )
        ]

    def _attributes(self, is_meant: Callable[[str], bool]) -> list[Site]:
        return [
            module.site(node)
            for module in self.package.modules
            for node in module.nodes
            if isinstance(node, ast.Attribute) and is_meant(node.attr) and node.attr not in module.members
        ]

    # -- families ----------------------------------------------------------------------------------------------------

    def families_by_class(self) -> list[Site]:
        """Questions for a family's class outside its own file: ``isinstance``, ``match``."""
        return [site for site, is_compared in self._family_classes() if not is_compared]

    def _family_classes(self) -> Iterator[tuple[Site, bool]]:
        for module, node, found in self._asked:
            if any(found & family.classes and not _is_home(module, family) for family in FAMILIES):
                yield module.site(node, _shown(node)), isinstance(node, ast.Compare)

    def families_by_question(self) -> list[Site]:
        """``record.is_vae`` and the like, outside every family's own file."""
        return [
            module.site(node)
            for module in self.package.modules
            if not any(_is_home(module, family) for family in FAMILIES)
            for node in module.nodes
            if isinstance(node, ast.Attribute) and FAMILY_QUESTION.fullmatch(node.attr)
        ]

    def families_by_field(self) -> list[Site]:
        """A field that is a family's name: ``config.kind == "vae"``, ``config.kind in ("vae", "cvae")``."""
        return [site for site, is_plain in self._family_comparisons() if is_plain]

    def families_otherwise(self) -> list[Site]:
        """What is told apart in other ways: ``type(x) is VAE``, ``x.kind != "vae"``, a variable ``model == "vae"``."""
        by_type = [site for site, is_compared in self._family_classes() if is_compared]
        return [*by_type, *(site for site, is_plain in self._family_comparisons() if not is_plain)]

    def families_as_keys(self) -> list[Site]:
        """Tables that are keyed by families' names."""
        return [
            module.site(node)
            for module in self.package.modules
            for node in module.nodes
            if isinstance(node, ast.Dict)
            and len([key for key in node.keys if key is not None and self._is_foreign_family(key, module)]) > 1
        ]

    def _family_comparisons(self) -> Iterator[tuple[Site, bool]]:
        for module in self.package.modules:
            for node, sides in _compared(module):
                others = [side for side in sides if not self._is_foreign_family(side, module)]
                if len(others) < len(sides):
                    is_field = any(isinstance(side, ast.Attribute) for side in others)
                    yield module.site(node, _shown(node)), is_field and not _is_negated(node)

    def _is_foreign_family(self, node: ast.expr, module: Module) -> bool:
        """Whether an expression is the name of a family whose file this is not, or several names."""
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(self._is_foreign_family(each, module) for each in node.elts)
        kinds = self._kinds(node, module)
        return any(kinds & family.kinds and not _is_home(module, family) for family in FAMILIES)

    def _kinds(self, node: ast.expr, module: Module) -> set[str]:
        if isinstance(node, ast.Constant):
            return {node.value} if isinstance(node.value, str) else set()
        if isinstance(node, ast.Attribute) and node.attr in ("kind", "name", "value"):
            classes = self.package.classes_in(node.value, module)
            named = {kind for family in FAMILIES if classes & family.classes for kind in family.kinds}
            return named or self._kinds(node.value, module)
        dotted = module.dotted(node)
        return self._constants.get(dotted, set()) if dotted is not None else set()

    @cached_property
    def _constants(self) -> dict[str, set[str]]:
        """Names that stand for families' names, and for tuples of them: by dotted name, those of classes too."""
        every = {kind for family in FAMILIES for kind in family.kinds}
        found: dict[str, set[str]] = {}
        for module in self.package.modules:
            inner = [(f"{c.name}.", s) for c in module.tree.body if isinstance(c, ast.ClassDef) for s in c.body]
            for place, statement in [*(("", statement) for statement in module.tree.body), *inner]:
                for name, value in assignments(statement):
                    parts = value.elts if isinstance(value, ast.Tuple) else [value]
                    kinds = [_text(part) or found.get(f"{module.name}.{ast.unparse(part)}") for part in parts]
                    named = {kind for each in kinds if each for kind in ({each} if isinstance(each, str) else each)}
                    if named and named <= every and name.isupper() and all(kinds):
                        found[f"{module.name}.{place}{name}"] = named
        return found


def _is_home(module: Module, family: Family) -> bool:
    return bool(family.classes & module.defined)


def _is_negated(node: ast.AST) -> bool:
    return isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.NotEq | ast.NotIn | ast.IsNot)


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _compared(module: Module) -> Iterator[tuple[ast.AST, list[ast.expr]]]:
    """Every comparison for equality, and every case of a ``match`` that is one: where, and both sides."""
    for node in module.nodes:
        if isinstance(node, ast.Compare) and all(isinstance(op, EQUALITIES) for op in node.ops):
            yield node, [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            for case in node.cases:
                for pattern in ast.walk(case.pattern):
                    if isinstance(pattern, ast.MatchValue):
                        yield pattern, [node.subject, pattern.value]


def _is_kind(node: ast.expr) -> bool:
    """Whether an expression is a ``kind``, and not that of numbers in an array."""
    return isinstance(node, ast.Attribute) and node.attr == "kind" and not ast.unparse(node.value).endswith("dtype")


def _is_dimension(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args:
        return "shape" in ast.unparse(node.args[0]).rpartition(".")[2]
    return isinstance(node, ast.Attribute) and node.attr == "ndim"


def _shown(node: ast.AST) -> str:
    """What a place in the source says, a function's name alone."""
    return f"def {node.name}" if isinstance(node, Function) else ast.unparse(node)
