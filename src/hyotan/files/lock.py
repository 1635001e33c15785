"""A folder held by one process: the lock ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from hyotan.errors import ResourceError, RunFolderError

LOCK = ".lock"

HOLDER_TRIES = 20


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder for this process.

    Raises
    ------
    RunFolderError
        Another process holds it; names its PID.
    ResourceError
        The folder cannot be written to.
    """
    with _open_lock(folder / LOCK) as handle:
        _lock(handle, folder)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _open_lock(path: Path) -> IO[str]:
    # Opened without truncating: the PID of the holder must stay readable for those who come too late.
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
    except OSError as error:
        raise not_writable(path.parent, error) from error


def not_writable(place: Any, error: OSError) -> ResourceError:
    """The error for a place that cannot be written to."""
    return ResourceError(f"{place} cannot be written to: {error.strerror}.", "Choose another folder with --out.")


def _lock(handle: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RunFolderError(
            f"{folder} is in use by process {_holder(handle)}.", "Wait for it, or stop that process."
        ) from None


def _holder(handle: IO[str]) -> str:
    """The PID in a lock file. Who took the lock this moment has not noted it yet: what stands there may be old."""
    for _ in range(HOLDER_TRIES):
        handle.seek(0)
        noted = handle.read().strip()
        if noted.isdigit() and _is_alive(int(noted)):
            return noted
        time.sleep(0.01)
    return "unknown"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
