"""The folder of a run or a study: made once, never by two at a time, and emptied of what it wrote alone."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyotan.errors import HyotanError, RunFolderError
from hyotan.files.atomic import write_text_atomically
from hyotan.files.lock import LOCK, held, not_writable

RUNS = "runs"
"""Where folders go that nobody named."""


@dataclass(frozen=True)
class FolderKind:
    """What such a folder holds.

    Attributes
    ----------
    whose : what it is, as errors name its owner.
    mark : the file that tells it from any other folder.
    files, folders : what is written into it, and taken away when it is replaced.
    goes_on : whether `hyotan resume` can go on with one.
    """

    whose: str
    mark: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    goes_on: bool = True


@contextmanager
def made(
    kind: FolderKind, name: str, out: str | os.PathLike[str] | None = None, overwrite: bool = False
) -> Iterator[Path]:
    """Make a folder, ``out`` itself or the next free ``runs/<name>-<n>``, and hold it while its settings are written.

    Raises
    ------
    RunFolderError
        ``out`` exists and is not empty, without ``overwrite``; or it holds something else.
    ResourceError
        The folder cannot be written to.
    """
    try:
        path = _make_given(kind, Path(out), overwrite) if out is not None else _make_next(Path(RUNS), name)
    except HyotanError:
        raise
    except OSError as error:
        raise not_writable(error.filename, error) from error
    with held(path):
        if out is not None:
            # Asked again: of two processes that came at once, the other may have been faster.
            refuse_occupied(kind, path, overwrite)
            _empty(kind, path)
        yield path


def _make_given(kind: FolderKind, path: Path, overwrite: bool) -> Path:
    if path.exists() and not path.is_dir():
        raise RunFolderError(f"{path} is a file; --out names a folder.", "Choose another name.")
    refuse_occupied(kind, path, overwrite)
    path.mkdir(parents=True, exist_ok=True)
    return path


def refuse_occupied(kind: FolderKind, path: Path, overwrite: bool) -> None:
    """Refuse a folder that is not empty, without ``overwrite``, or that holds something else.

    Raises
    ------
    RunFolderError
    """
    found = {item.name for item in path.iterdir()} - {LOCK} if path.is_dir() else set()
    if found and not overwrite:
        again = f"Go on with: hyotan resume {path}; or replace" if kind.goes_on else "Choose another --out, or replace"
        raise RunFolderError(f"{path} exists already.", f"{again} it with --overwrite.")
    if found and kind.mark not in found:
        raise RunFolderError(
            f"{path} holds other files than a {kind.whose}'s; it is not overwritten.", "Choose another --out."
        )


def _empty(kind: FolderKind, path: Path) -> None:
    """Take away what the folder's kind writes, and nothing else."""
    for name in kind.files:
        (path / name).unlink(missing_ok=True)
    for name in kind.folders:
        shutil.rmtree(path / name, ignore_errors=True)


def _make_next(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = parent / f"{name}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def write_json(path: Path, content: Any) -> None:
    """Write JSON, each file old or new, never half; what is not finite becomes null."""
    text = json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_text_atomically(path, text + "\n")


def finite(value: Any) -> Any:
    """The same with null for every number that is not finite, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
