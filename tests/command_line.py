"""The command line, called in this process: as fast as a function, and what it says comes back."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from hyotan.cli import main
from hyotan.parameters.table import TABLE

SMALL = ("--max-epochs", "2", "--hidden-dims", "8", "--latent-dim", "2")
"""A fit that takes a second, drawing included."""

NOWHERE = str(Path(tempfile.gettempdir()) / "hyotan-tests-without-settings")


@dataclass(frozen=True)
class Said:
    """What a command said, on which stream, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        """Standard output as the one JSON object that it has to be, in one line, without NaN."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out, parse_constant=lambda word: 1 / 0)

    def begins(self, word: str) -> list[str]:
        """The lines on standard error that begin so, without their beginning."""
        lines = self.err.splitlines()
        return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]


def hyotan(*words: object, cwd: Path | None = None, **environment: str) -> Said:
    """Call ``hyotan WORDS`` in a folder, with no settings of the person who runs the tests."""
    out, err = io.StringIO(), io.StringIO()
    own = {f"HYOTAN_{parameter.name.upper()}" for parameter in TABLE}
    clean = {name: value for name, value in os.environ.items() if name not in own}
    with (
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.dict(os.environ, clean | {"XDG_CONFIG_HOME": NOWHERE} | environment, clear=True),
    ):
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            return Said(int(end.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("the process did not end")


def done(*words: object, cwd: Path | None = None, **environment: str) -> Said:
    """The same, for a command that has to succeed."""
    said = hyotan(*words, cwd=cwd, **environment)
    assert said.code == 0, said.err
    return said


def sketch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make figures, but leave their pixels out: nine tenths of a small fit's time are matplotlib's letters."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, target, **how: target.write(b"sketched"))


def fitted(source: object, *flags: object, cwd: Path) -> Path:
    """Fit a small model, and give the run folder, as an absolute path."""
    return cwd / done("fit", source, *SMALL, *flags, "--quiet", cwd=cwd).out.splitlines()[-1]
