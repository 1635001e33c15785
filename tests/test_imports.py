"""One road: a module imports only from the modules above its own, at the top of the file and inside functions alike.

The second part keeps out what could run code that came with a file.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "hyotan"
ROAD = """
    errors
    registry
    terminal
    files
    words
    metrics
    data
    preprocessing
    training
    distributions
    models
    parameters
    recipes
    imputation
    sampling
    estimators
    anomalies
    compression
    analysis
    figures
    runs
    study
    report
    cli
    __init__
    __main__
""".split()
ONLY_ERRORS = {"metrics"}  # pure functions from arrays to numbers
SMALL = {"errors", "registry", "files", "parameters"}  # without heavy packages inside functions, too
WITHOUT_TORCH = {"errors", "registry", "files", "words", "parameters", "recipes", "metrics", "data"}


def modules(package: Path) -> dict[str, Path]:
    """Every module by its dotted name below the package; a package's own file is called after the package."""
    names = {path: path.relative_to(package).with_suffix("").parts for path in sorted(package.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" and parts[1:] else parts): p for p, parts in names.items()}


def statements(tree: ast.AST, late: bool = True) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements, those for type checkers left out, and with ``late=False`` those inside functions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from statements(ast.Module(node.orelse, []), late)
        elif late or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(node, late)


def targets(node: ast.Import | ast.ImportFrom, parts: list[str]) -> list[str]:
    """What a statement imports, as dotted names from the root; ``parts`` is the folder that a dot stands for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    above = parts[: len(parts) - node.level + 1] if node.level else []
    base = ".".join(above + ([node.module] if node.module else []))
    return [f"{base}.{alias.name}" for alias in node.names]


def imported(package: Path, name: str, path: Path, late: bool = True) -> set[str]:
    """The modules of the package that this one imports; the package's own face is ``__init__``."""
    known, root = modules(package), package.name
    folder = [root, *path.relative_to(package).parts[:-1]]
    found = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), late):
        for target in targets(node, folder):
            if target == root or target.startswith(f"{root}."):
                found.add(nearest(target.removeprefix(root).lstrip("."), known))
    return found - {name}


def nearest(target: str, known: dict[str, Path]) -> str:
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target or "__init__"


def wrong_turns(package: Path, road: list[str]) -> list[str]:
    """Every import that leads down the road, and every module that is not on it."""
    wrong = []
    for name, path in modules(package).items():
        here = name.split(".")[0]
        if here not in road:
            wrong.append(f"{name} is not on the road")
            continue
        for target in sorted(imported(package, name, path)):
            there = target.split(".")[0]
            if there != here and (there not in road or road.index(there) > road.index(here)):
                wrong.append(f"{name} imports {target}")
    return wrong


def circle(package: Path) -> list[str]:
    """A circle of imports at the top of files, if there is one."""
    graph = {name: imported(package, name, path, late=False) for name, path in modules(package).items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_imports_flow_one_way() -> None:
    assert wrong_turns(PACKAGE, ROAD) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(PACKAGE) == []


@pytest.mark.parametrize("name", sorted(ONLY_ERRORS))
def test_the_pure_modules_import_only_errors(name: str) -> None:
    for module, path in modules(PACKAGE).items():
        if module.split(".")[0] == name:
            assert {target.split(".")[0] for target in imported(PACKAGE, module, path)} <= {"errors", name}


@pytest.mark.parametrize("name", sorted(WITHOUT_TORCH))
def test_the_light_modules_load_no_heavy_package(name: str) -> None:
    for module, path in modules(PACKAGE).items():
        if module.split(".")[0] == name:
            for node in statements(ast.parse(path.read_text(encoding="utf-8")), late=name in SMALL):
                found = {target.split(".")[0] for target in targets(node, [])}
                assert not found & {"torch", "sklearn", "matplotlib", "scipy"}, module


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from .cli import main", ["metrics imports cli"]),
        ("from hyotan.cli import main", ["metrics imports cli"]),
        ("import hyotan.cli.app", ["metrics imports cli.app"]),
        ("from .cli.app import main", ["metrics imports cli.app"]),
        ("from . import cli", ["metrics imports cli"]),
        ("def late():\n    from . import cli", ["metrics imports cli"]),
        ("class Late:\n    def late(self):\n        import hyotan.cli", ["metrics imports cli"]),
        ("try:\n    from .cli import main\nexcept ImportError:\n    pass", ["metrics imports cli"]),
        ("from hyotan import load", ["metrics imports __init__"]),
        ("import hyotan", ["metrics imports __init__"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .cli import main", []),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    from .cli import main", ["metrics imports cli"]),
        ("from .errors import DataError\nfrom . import errors\nimport click.cli", []),
    ],
)
def test_the_road_notices_a_wrong_turn(tmp_path: Path, source: str, found: list[str]) -> None:
    package = tmp_path / "hyotan"
    (package / "cli").mkdir(parents=True)
    for name in ("__init__", "errors", "cli/__init__", "cli/app"):
        (package / f"{name}.py").touch()
    (package / "metrics.py").write_text(source)
    assert wrong_turns(package, ROAD) == found


def test_the_road_notices_strangers_and_circles(tmp_path: Path) -> None:
    package = tmp_path / "hyotan"
    (package / "data").mkdir(parents=True)
    (package / "utils.py").touch()
    (package / "data" / "table.py").write_text("from .image import read")
    (package / "data" / "image.py").write_text("from ..data import table")
    assert wrong_turns(package, ROAD) == ["utils is not on the road"]
    assert set(circle(package)) == {"data.table", "data.image"}


PICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "joblib.load", "joblib.dump", "torch.load", "torch.save", "os.system"}
FORBIDDEN_OPTIONS = {"allow_pickle=True", "weights_only=False", "shell=True"}


def code_runners(source: str) -> list[str]:
    """What in this source could run code that came with a file."""
    tree = ast.parse(source)
    found = [target.split(".")[0] for node in statements(tree) for target in targets(node, [])]
    found = [name for name in found if name in PICKLING]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [name for name in [ast.unparse(node.func)] if name in FORBIDDEN_CALLS]
            options = [f"{option.arg}={ast.unparse(option.value)}" for option in node.keywords]
            found += [option for option in options if option in FORBIDDEN_OPTIONS]
    return found


@pytest.mark.parametrize("name", modules(PACKAGE))
def test_nothing_can_run_code_from_a_file(name: str) -> None:
    assert code_runners(modules(PACKAGE)[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["pickle"]),
        ("def f():\n    from yaml import load", ["yaml"]),
        ("eval('1')", ["eval"]),
        ("torch.load(path, weights_only=False)", ["torch.load", "weights_only=False"]),
        ("np.load(path, allow_pickle=True)", ["allow_pickle=True"]),
        ("np.load(path, allow_pickle=False)\nmodel.eval()", []),
    ],
)
def test_the_gate_notices_what_runs_code(source: str, found: list[str]) -> None:
    assert code_runners(source) == found
