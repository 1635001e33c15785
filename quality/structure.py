"""The structure of the package in figures: one source tree, or two side by side.

Counted are questions of which class a thing is and of which family a model, uses of what belongs to others, files that
run during a command, calls of the checks of rows, sizes, and names that mean several things. What is looked for is
named in ``structure_terms.py``. A dash stands where a tree has nothing of the name.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quality.structure_checks import NDARRAY, Checks
from quality.structure_members import own_and_foreign, torch_private
from quality.structure_runs import Ran, Runs, package_folder
from quality.structure_sizes import (
    LONG_FILE,
    code_lines,
    entries,
    long_files,
    longest_functions,
    shared_classes,
    shared_files,
    shared_functions,
)
from quality.structure_source import Package, Site
from quality.structure_terms import BY_HAND, CONCEPTS

NOTHING = "–"


@dataclass(frozen=True)
class Row:
    """A figure of a tree.

    Attributes
    ----------
    key : a short name, for ``--list`` and the JSON.
    label : what it is.
    figures : the figure, or several that belong together; None where there is nothing to count.
    places : what was counted.
    """

    key: str
    label: str
    figures: tuple[int | str | None, ...]
    places: Sequence[object] = field(default=())

    @property
    def shown(self) -> str:
        """The figures as text."""
        return " / ".join(NOTHING if f is None else f if isinstance(f, str) else f"{f:,}" for f in self.figures)


def counted(key: str, label: str, places: Sequence[object]) -> Row:
    """A row whose figure is the number of places."""
    return Row(key, label, (len(places),), places)


def rows_of_classes(checks: Checks) -> list[Row]:
    """Questions of which class a thing is, and what stands in for them."""
    known = {concept: names for concept, names in CONCEPTS.items() if checks.has(names)}
    every: frozenset[str] = frozenset().union(*known.values())

    def each(find: Callable[[frozenset[str]], list[Site]]) -> tuple[int | None, ...]:
        return tuple(len(find(known[c])) if c in known else None for c in CONCEPTS)

    return [
        Row("classes", f"asked for {', '.join(CONCEPTS)}: lines", each(checks.lines_of), checks.lines_of(every)),
        Row("class calls", "  the same: questions", each(checks.of), checks.of(every)),
        counted("subclasses", "  asked for a class below these", checks.of(checks.package.subclasses(every))),
        counted("ndarray", "  asked for numpy's ndarray", checks.of(NDARRAY)),
        counted("questions", "  stand-ins: x.is_of_table and the like", checks.questions()),
        counted("image questions", "  stand-ins: x.is_image and the like", checks.layout_questions()),
        counted("layouts", "  stand-ins: x.layout == … elsewhere", checks.layout_comparisons()),
        counted("kinds", "  stand-ins: x.kind == … elsewhere, families aside", checks.kind_comparisons()),
        counted("dimensions", "  stand-ins: ndim or len(shape) compared", checks.dimensions()),
        counted("probes", "  stand-ins: hasattr, getattr with a default", checks.probes()),
        counted("types as keys", "  stand-ins: TABLE[type(x)]", checks.keyed_by_type()),
    ]


def rows_of_families(checks: Checks) -> list[Row]:
    """Questions of which family a model is."""
    by_class, by_question = checks.families_by_class(), checks.families_by_question()
    by_field = checks.families_by_field()
    return [
        counted("families", "asked for a family outside its own file", [*by_class, *by_question, *by_field]),
        counted("family classes", "  of them by class", by_class),
        counted("family questions", "  of them x.is_vae and the like", by_question),
        counted("family fields", "  of them x.kind == …", by_field),
        counted("family others", "  beyond them: type(x), !=, a variable == …", checks.families_otherwise()),
        counted("family keys", "  beyond them: tables keyed by families", checks.families_as_keys()),
    ]


def rows_of_members(package: Package) -> list[Row]:
    """Uses of what belongs to others."""
    own, foreign = own_and_foreign(package)
    return [
        counted("private", "private members of other modules' objects", [*own, *foreign]),
        counted("private own", "  of them the package's own", own),
        counted("private foreign", "  of them other libraries'", foreign),
        counted("torch", "PyTorch's private parts used", torch_private(package)),
    ]


def rows_of_runs(runs: Runs) -> list[Row]:
    """What runs during commands."""
    pairs = (runs.fit_numbers, runs.fit_table), (runs.score_numbers, runs.score_table)

    def each(of: Sequence[Ran], count: Callable[[Ran], int | None]) -> tuple[int | None, ...]:
        return tuple(map(count, of))

    return [
        Row(
            "files run",
            "files that run during fit: numbers, table",
            each(pairs[0], lambda r: len(r.files)),
            pairs[0][1].files,
        ),
        Row("files loaded", "  files that are loaded", each(pairs[0], lambda r: len(r.loaded)), pairs[0][1].loaded),
        Row("checks", "checks of rows during fit: numbers, table", each(pairs[0], lambda r: r.checks)),
        Row("score checks", "  the same during score DETECTOR", each(pairs[1], lambda r: r.checks)),
        Row("fit conversions", "conversions during fit: numbers, table", each(pairs[0], lambda r: r.conversions)),
        Row("conversions", "  the same during score DETECTOR", each(pairs[1], lambda r: r.conversions)),
    ]


def rows_of_sizes(package: Package, folder: Path) -> list[Row]:
    """Sizes, and names that mean several things."""
    longest, top = longest_functions(package), entries(folder)
    files = long_files(package)
    return [
        Row("code", "code lines", (code_lines(package),)),
        Row("files", "files", (len(package.modules),)),
        counted("long files", f"  of them above {LONG_FILE} lines", files),
        Row("function", "longest function, code lines", (longest[0][0],), [f"{s} ({n})" for n, s in longest]),
        counted("entries", "entries at the top of the package", top),
        _shared("shared classes", "classes' names that mean several things", shared_classes(package)),
        _shared("shared functions", "functions' names that mean several things", shared_functions(package)),
        _shared("shared files", "files' names that mean several things", shared_files(package)),
    ]


def _shared(key: str, label: str, found: Mapping[str, Sequence[Site]]) -> Row:
    shown = [f"{name} ×{len(at)}: {', '.join(f'{s.path}:{s.line}' for s in at)}" for name, at in found.items()]
    return Row(key, label, (len(found),), shown)


def rows_of_changes(source: Path, commits: Mapping[str, str | None], by_hand: bool) -> list[Row]:
    """Files to touch for a change: as counted by hand, or those below the sources that a commit changed.

    Parameters
    ----------
    source : the folder that holds the package's folder, in a repository.
    commits : by the change's name; None where there is none.
    by_hand : whether to give the figures counted by hand.
    """
    rows = []
    for change, (label, figure) in BY_HAND.items():
        commit = commits.get(change)
        touched = files_of(source, commit) if commit is not None and not by_hand else []
        found = f"{figure} by hand" if by_hand else len(touched) if commit is not None else None
        rows.append(Row(f"change {change}", f"files to touch: {label}", (found,), touched))
    return rows


def files_of(source: Path, commit: str) -> list[str]:
    """The files below a folder that a commit changed."""
    git = shutil.which("git")
    if git is None:
        raise RuntimeError("git was not found.")
    command = [git, "diff-tree", "--no-commit-id", "--name-only", "--root", "-r", commit, "--", "."]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def rows_of(source: Path, commits: Mapping[str, str | None], by_hand: bool) -> list[Row]:
    """Every figure of a tree.

    Parameters
    ----------
    source : the folder that holds the package's folder.
    commits : of changes, by name.
    by_hand : whether to give for changes the figures counted by hand.
    """
    folder = package_folder(source)
    package = Package.read(folder)
    checks = Checks(package)
    return [
        *rows_of_classes(checks),
        *rows_of_families(checks),
        *rows_of_members(package),
        *rows_of_runs(Runs.of(source)),
        *rows_of_sizes(package, folder),
        *rows_of_changes(source, commits, by_hand),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--src", type=Path, default=Path("src"), help="the tree: the folder above the package's")
    parser.add_argument("--beside", type=Path, help="a second tree, in a column of its own")
    parser.add_argument("--json", type=Path, help="write figures and places there")
    parser.add_argument("--list", nargs="+", default=[], metavar="ROW", help="print what rows counted; all for all")
    for change, (label, _) in BY_HAND.items():
        parser.add_argument(f"--{change}-commit", help=f"the commit that added {label}: its files are counted")


def measure(arguments: argparse.Namespace) -> None:
    """Count and print."""
    commits = {change: getattr(arguments, f"{change}_commit") for change in BY_HAND}
    trees = [arguments.src, *([arguments.beside] if arguments.beside is not None else [])]
    # The first of two trees is the one that was counted by hand, and so is one alone of which nothing else is said.
    by_hand = [len(trees) == 2 or not any(commits.values()), False]
    columns = [rows_of(tree, commits, hand) for tree, hand in zip(trees, by_hand, strict=False)]
    for line in table([str(tree) for tree in trees], columns):
        print(line)
    for tree, column in zip(trees, columns, strict=True):
        for row in column:
            if row.key in arguments.list or "all" in arguments.list:
                print(f"\n== {tree}: {row.label.strip()}, {row.shown} (--list '{row.key}')")
                print(*(f"  {place}" for place in row.places), sep="\n")
    if arguments.json is not None:
        record = {str(tree): as_record(column) for tree, column in zip(trees, columns, strict=True)}
        arguments.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(heads: Sequence[str], columns: Sequence[Sequence[Row]]) -> list[str]:
    """The rows, a line each, with a column for each tree."""
    lines = [["", *heads], *([rows[0].label, *(row.shown for row in rows)] for rows in zip(*columns, strict=True))]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return [
        "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])
        for name, *cells in lines
    ]


def as_record(rows: Sequence[Row]) -> dict[str, Any]:
    """Figures and places by the rows' keys."""
    return {
        row.key: {"label": row.label.strip(), "figures": row.figures, "places": [str(place) for place in row.places]}
        for row in rows
    }
