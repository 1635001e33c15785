"""What of a package runs during its commands: files, checks of rows, and conversions to the model's range."""

from __future__ import annotations

import csv
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quality import structure_trace
from quality.structure_terms import CONVERSIONS, ROW_CHECKS

ROWS, EPOCHS = 200, 2

GROUPS = json.dumps({"check": ROW_CHECKS, "conversion": CONVERSIONS})


@dataclass(frozen=True)
class Ran:
    """What ran during one command.

    Attributes
    ----------
    files : in which a function was called, lambdas and comprehensions too; bodies of modules and classes do not count.
    loaded : which were imported or ran.
    checks, conversions : calls; None where no such function was called at all.
    """

    files: list[str]
    loaded: list[str]
    checks: int | None
    conversions: int | None


@dataclass(frozen=True)
class Runs:
    """The commands: a VAE fitted to a table of numbers and to one of several kinds, and both scored by a detector."""

    fit_numbers: Ran
    fit_table: Ran
    score_numbers: Ran
    score_table: Ran

    @classmethod
    def of(cls, source: Path) -> Runs:
        """Run them.

        Parameters
        ----------
        source : the folder that holds the package's folder.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_tables(folder)
            fits = [
                ran(source, folder, "fit", f"{kind}.csv", "--model", "vae", "--max-epochs", str(EPOCHS), "--out", kind)
                for kind in ("numbers", "table")
            ]
            scores = []
            for kind in ("numbers", "table"):
                ran(source, folder, "detect", f"{kind}.csv", "--out", f"{kind}-detector")
                scores.append(ran(source, folder, "score", f"{kind}-detector", f"{kind}.csv"))
        return cls(*fits, *scores)


def ran(source: Path, folder: Path, *arguments: str) -> Ran:
    """Run one command of the package in a process of its own.

    Parameters
    ----------
    source : the folder that holds the package's folder.
    folder : where it runs.
    arguments : of the command line.

    Raises
    ------
    RuntimeError
        It failed.
    """
    result = folder / "traced.json"
    script = str(structure_trace.__file__)
    command = [sys.executable, "-P", "-B", script, str(package_folder(source)), str(result), GROUPS, *arguments]
    own = {name: value for name, value in os.environ.items() if not name.startswith("HYOTAN_")}
    environment = {
        "OMP_NUM_THREADS": "1",
        "XDG_CONFIG_HOME": str(folder / "config"),
        "PYTHONPATH": str(source.resolve()),
    }
    done = subprocess.run(
        [*command, "--quiet"], cwd=folder, env=own | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"hyotan {' '.join(arguments)} of {source} ended with {done.returncode}:\n{done.stderr}")
    found = json.loads(result.read_text(encoding="utf-8"))
    calls = found["calls"]
    return Ran(found["called"], found["loaded"], calls.get("check"), calls.get("conversion"))


def package_folder(source: Path) -> Path:
    """The only package below a folder of sources."""
    return next(path.parent for path in sorted(source.resolve().glob("*/__init__.py")))


def write_tables(folder: Path) -> None:
    """Write ``numbers.csv``, six columns near a plane, and ``table.csv``: numbers, categories, dates, counts, gaps."""
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, 2)) @ random.normal(size=(2, 6)) + 0.1 * random.normal(size=(ROWS, 6))
    _write(folder / "numbers.csv", list("abcdef"), X.round(4).tolist())
    first = datetime.date(2020, 1, 1)
    rows = [
        [
            "" if i % 7 == 0 else round(float(X[i, 0]), 3),
            "" if i % 9 == 0 else ("red", "blue", "green")[i % 3],
            (first + datetime.timedelta(int(random.integers(900)))).isoformat(),
            int(random.poisson(3)),
            ("no", "yes")[int(random.random() > 0.5)],
        ]
        for i in range(ROWS)
    ]
    _write(folder / "table.csv", ["size", "colour", "day", "count", "member"], rows)


def _write(path: Path, names: list[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
