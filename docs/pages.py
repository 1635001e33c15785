"""Markdown pages whose blocks run, and show what came of it: ``python docs/pages.py [PAGE …]``.

The blocks of a page that are marked ``python`` and ``sh`` run in order, in one namespace and one empty folder, in which
a copy of the page's ``data/`` lies. The block marked ``text`` right beneath one shows what it printed. Where that is no
longer so the page is rewritten; pictures that a page leaves in ``pictures/`` are kept beside it.

Numbers that come of training differ a little from one processor to the next. What a page shows is therefore taken to
be right where all words are the same and all numbers are near: see :func:`differences`. Of rows that are drawn at
random even that is too much: a block marked ``text drawn`` is right where it has as many lines.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"

DRAWN = "drawn"
"""Mark of an output that hangs on random draws: elsewhere it is another."""

SHARE, UNITS = 0.05, 2
"""Two numbers are near that differ by no more than this share of the larger, or so many units of the last digit shown;
whole numbers that are no percentages by the share alone, so that counts below 20 are equal."""

KEPT = ("HYOTAN_CACHE",)
"""Settings of whoever runs a page that its commands see: they say where files go, and not what comes out."""

NOWHERE = str(Path(tempfile.gettempdir()) / "hyotan-docs-without-settings")
"""Where a page's commands look for settings files."""

_BLOCK = re.compile(r"^```(\w*) *([^\n]*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)%?")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes
    ----------
    language, mark : the first word behind the opening fence, and what follows it.
    text : what stands between the fences.
    start, end : of the whole block in the page, in characters.
    line : of the block's first line of text, from 1.
    """

    language: str
    mark: str
    text: str
    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Step:
    """A block that runs, and the block beneath it that shows what it prints; None where it shows nothing."""

    source: Block
    shown: Block | None

    @property
    def output(self) -> str:
        """What the page says that it prints."""
        return self.shown.text if self.shown is not None else ""

    def outdated(self, printed: str) -> list[str]:
        """In what the page is wrong about what was printed, in words; nothing where it is right."""
        if self.shown is None or self.shown.mark != DRAWN:
            return differences(self.output, printed)
        lines = [len(text.splitlines()) for text in (self.output, printed)]
        return [] if lines[0] == lines[1] else [f"{lines[0]} lines are now {lines[1]}"]

    def rendered(self, printed: str) -> str:
        """The block that is to show what was printed, from the end of the one that runs; empty for nothing."""
        mark = f" {self.shown.mark}" if self.shown is not None and self.shown.mark else ""
        return f"\n\n```text{mark}\n{printed.rstrip()}\n```" if printed.strip() else ""


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page's text."""
    found = _BLOCK.finditer(page)
    return [Block(*m.groups(), m.start(), m.end(), page.count("\n", 0, m.start(3)) + 1) for m in found]


def steps(page: str) -> list[Step]:
    """What runs in a page's text, in order."""
    every = blocks(page)
    found = []
    for block, after in zip(every, [*every[1:], None], strict=True):
        if block.language in RUNNERS:
            is_output = after is not None and after.language == "text" and not page[block.end : after.start].strip()
            found.append(Step(block, after if is_output else None))
    return found


def run(page: Path, folder: Path) -> list[str]:
    """What each step of a page prints, run in a folder that is to be empty.

    Raises
    ------
    Exception
        What a block of Python raised; its line is that of the page.
    RuntimeError
        A command failed; with what it printed.
    """
    if (data := page.parent / "data").is_dir():
        shutil.copytree(data, folder / "data")
    (folder / "pictures").mkdir()
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        return [RUNNERS[step.source.language](step.source, page, names) for step in steps(page.read_text("utf-8"))]


def _run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    out = io.StringIO()
    # Blank lines before it give the block the line numbers that it has on the page.
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with contextlib.redirect_stdout(out):
        exec(code, names)  # noqa: S102
    return out.getvalue()


def _run_shell(block: Block, page: Path, names: dict[str, Any]) -> str:
    """Both streams, as a terminal shows them."""
    done = subprocess.run(  # noqa: S602
        block.text, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment()
    )
    if done.returncode:
        raise RuntimeError(f"{page.name}, line {block.line}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def _environment() -> Mapping[str, str]:
    """Where ``hyotan`` is that of this tree, with none of the settings of whoever runs it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HYOTAN_") or name in KEPT}
    paths = {"PATH": Path(sys.executable).parent, "PYTHONPATH": ROOT / "src"}
    own = {name: os.pathsep.join(filter(None, [str(path), kept.get(name)])) for name, path in paths.items()}
    return {**kept, **own, "XDG_CONFIG_HOME": NOWHERE, "MPLBACKEND": "agg", "COLUMNS": "80"}


RUNNERS = {"python": _run_python, "sh": _run_shell}
"""What runs, by the language of the block."""


def differences(shown: str, printed: str) -> list[str]:
    """In what an output is no longer what a page shows, in words; nothing where it is.

    Words have to be the same, blanks aside, and numbers near: within 5 %, or two units of the last digit that is shown,
    the latter not of counts. A page thus says how exact a number is by how many digits it prints.
    """
    (old_words, old), (new_words, new) = _taken_apart(shown), _taken_apart(printed)
    if old_words != new_words:
        return [f"other words: {shown!r} is now {printed!r}"]
    return [f"{a} is now {b}" for a, b in zip(old, new, strict=True) if not _near(a, b)]


def _taken_apart(text: str) -> tuple[str, list[str]]:
    """The text with its numbers left out and its blanks made one each, and the numbers."""
    words = _NUMBER.sub(lambda number: "#%" if number[0].endswith("%") else "#", text)
    return " ".join(words.split()), _NUMBER.findall(text)


def _near(a: str, b: str) -> bool:
    is_count = not a.endswith("%") and a.lstrip("+-").replace(",", "").isdecimal()
    a, b = (text.replace(",", "").removesuffix("%") for text in (a, b))
    x, y = float(a), float(b)
    units = 0.0 if is_count else UNITS * max(_last_digit(a), _last_digit(b))
    return abs(x - y) <= max(SHARE * max(abs(x), abs(y)), units) * (1 + 1e-9)


def _last_digit(number: str) -> float:
    """What one more in the last digit is worth: 0.01 of 3.14, 1 of 1,797."""
    digits, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))


def rewritten(page: str, outputs: Sequence[str], anew: bool = False) -> str:
    """A page's text, showing these outputs where those that it shows are not near them, or with ``anew`` all."""
    parts, done = [], 0
    for step, printed in zip(steps(page), outputs, strict=True):
        if not anew and not step.outdated(printed):
            continue
        parts += [page[done : step.source.end], step.rendered(printed)]
        done = step.source.end if step.shown is None else step.shown.end
    return "".join([*parts, page[done:]])


def renew(page: Path, check: bool = False, anew: bool = False) -> Iterator[str]:
    """Run a page, and rewrite it unless it is only to be checked; what was not as it is shown."""
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        outputs = run(page, Path(folder))
        for step, printed in zip(steps(text), outputs, strict=True):
            yield from (f"line {step.source.line}: {found}" for found in step.outdated(printed))
        if not check:
            page.write_text(rewritten(text, outputs, anew), "utf-8")
            shutil.copytree(Path(folder) / "pictures", page.parent / "pictures", dirs_exist_ok=True)


def _processor_seconds() -> float:
    """Of this process and of the commands that it ran."""
    return sum(os.times()[:4])


def main() -> int:
    """Run pages; 1 where one has to be rewritten and is only checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, default=sorted(TUTORIALS.glob("[0-9]*.md")), metavar="PAGE")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where a page is out of date")
    parser.add_argument("--anew", action="store_true", help="rewrite every output, also those that are near")
    arguments = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "agg")
    old = 0
    for page in arguments.pages:
        started = _processor_seconds()
        found = [*renew(page.resolve(), arguments.check, arguments.anew)]
        old += len(found)
        spent = _processor_seconds() - started
        print(f"{page.name}: {spent:.0f} s of processor time, {len(found)} to renew", flush=True)
        for line in found:
            print(f"  {line}")
    return int(arguments.check and old > 0)


if __name__ == "__main__":
    sys.exit(main())
