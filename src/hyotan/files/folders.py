"""Folders of runs, studies and detectors: each made once, locked while in use, emptied of its own files alone."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from hyotan.errors import HyotanError, RunFolderError
from hyotan.files.atomic import write_text_atomically
from hyotan.files.lock import LOCK, held, not_writable

RUNS = "runs"
"""Where folders go that nobody named."""


class Folder:
    """A folder that a command makes atomically, locks while it works in it, fills, and can go on with.

    A subclass says what its folders hold.

    Parameters
    ----------
    path : the folder; it must exist (:meth:`making` makes one).

    Attributes
    ----------
    owner, noun : whose folder it is, and what errors call it.
    mark : the file that tells it from any other folder.
    files, subfolders : what is written into it, and deleted when it is replaced.
    hint : what to type to get or find one.
    can_resume : whether ``hyotan resume`` can go on with one.

    Raises
    ------
    RunFolderError
        There is no such folder, or it is another kind of folder.
    """

    owner: ClassVar[str]
    noun: ClassVar[str]
    mark: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    subfolders: ClassVar[tuple[str, ...]] = ()
    hint: ClassVar[str] = ""
    can_resume: ClassVar[bool] = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.is_at(path):
            what = f"holds no {self.mark}" if self.path.is_dir() else "does not exist"
            raise RunFolderError(f"{path} is not a {self.noun}: it {what}.", self.hint)

    @classmethod
    def is_at(cls, path: str | os.PathLike[str]) -> bool:
        """Whether there is such a folder at a path."""
        return (Path(path) / cls.mark).is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process; the lock ends with the process, however it ends.

        Raises
        ------
        RunFolderError
            Another process has locked it; names its PID.
        """
        with held(self.path):
            yield

    @classmethod
    @contextmanager
    def making(cls, name: str, out: str | os.PathLike[str] | None = None, overwrite: bool = False) -> Iterator[Path]:
        """Make a folder, ``out`` itself or the next free ``runs/<name>-<n>``, locked while its files are written.

        Raises
        ------
        RunFolderError
            ``out`` exists and is not empty, without ``overwrite``; or it holds something else.
        ResourceError
            The folder cannot be written to.
        """
        try:
            path = _make_next(Path(RUNS), name) if out is None else cls._make(Path(out), overwrite)
        except HyotanError:
            raise
        except OSError as error:
            raise not_writable(error.filename, error) from error
        with held(path):
            if out is not None:
                # Asked again: of two processes that came at once, the other may have been faster.
                cls.refuse_occupied(path, overwrite)
                cls._empty(path)
            yield path

    @classmethod
    def _make(cls, path: Path, overwrite: bool) -> Path:
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} is a file; --out names a folder.", "Choose another name.")
        cls.refuse_occupied(path, overwrite)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @classmethod
    def refuse_occupied(cls, path: Path, overwrite: bool) -> None:
        """Refuse a folder that is not empty, without ``overwrite``, or that holds something else.

        Raises
        ------
        RunFolderError
        """
        found = {item.name for item in path.iterdir()} - {LOCK} if path.is_dir() else set()
        if found and not overwrite:
            other = f"Go on with: hyotan resume {path};" if cls.can_resume else "Choose another --out,"
            raise RunFolderError(f"{path} exists already.", f"{other} or replace it with --overwrite.")
        if found and cls.mark not in found:
            raise RunFolderError(
                f"{path} holds other files than a {cls.owner}'s; it is not overwritten.", "Choose another --out."
            )

    @classmethod
    def _empty(cls, path: Path) -> None:
        """Delete what such a folder holds, and nothing else."""
        for name in cls.files:
            (path / name).unlink(missing_ok=True)
        for name in cls.subfolders:
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


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where the file is not written yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_json(path: Path, content: Any) -> None:
    """Write JSON, each file old or new, never half; what is not finite becomes null."""
    text = json.dumps(plain_json(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_text_atomically(path, text + "\n")


def plain_json(value: Any) -> Any:
    """As JSON can hold it: paths as text, NumPy's numbers as Python's, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain_json(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
