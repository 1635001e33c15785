"""Files that are replaced atomically: at every moment the old one or the new one, never half of it."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from hyotan.errors import ResourceError

_PAUSES = (0.05, 0.1, 0.2)  # seconds before each further try
_PASSING = {errno.EIO, errno.ESTALE, errno.EDQUOT}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNSYNCABLE = {errno.EINVAL, errno.ENOTSUP}


def write_text_atomically(path: str | os.PathLike[str], text: str) -> None:
    """`write_bytes_atomically` for text, as UTF-8."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file so that it is the old one or the new one at every moment, a loss of power included.

    The bytes go to ``.<name>.tmp`` in the same folder, are forced to the disk, and then take the file's name. A killed
    process leaves at most that one file behind, which the next save takes over. Two processes that save to one path
    take turns. The file's mode is 0666 less the umask. Errors of the disk that may pass are tried three times more.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written; names the path and the bytes needed and free.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    for pause in (*_PAUSES, None):
        try:
            _replace(target, data)
            return
        except OSError as error:
            if pause is None or error.errno not in _PASSING:
                raise _unwritable(target, len(data), error) from error
        time.sleep(pause)


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    handle = _open_alone(temporary)
    try:
        _write_all(handle, data)
        os.fsync(handle)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(handle)
    _sync_folder(target.parent)


def _open_alone(temporary: Path) -> int:
    """A fresh file under this name, locked until it is closed.

    Without the lock a second writer would empty the file that a first one is about to give its final name.
    """
    while True:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            if _is_fresh(handle, temporary):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_fresh(handle: int, temporary: Path) -> bool:
    """Lock the file; whether it still has its name and is empty. One that a killed process left is removed."""
    with suppress(OSError):  # some network disks have no locks
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        ours = os.path.samestat(os.fstat(handle), temporary.stat())
    except FileNotFoundError:
        return False
    if ours and os.fstat(handle).st_size:
        temporary.unlink()  # not emptied: it would keep its old mode
        return False
    return ours


def _write_all(handle: int, data: bytes) -> None:
    """Write every byte: the system may take fewer than offered."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk. Folders that may not be opened, or disks that cannot do this, are let be."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSYNCABLE:
            raise
    finally:
        os.close(handle)


def _unwritable(target: Path, needed: int, error: OSError) -> ResourceError:
    message = f"{target} could not be written: {error.strerror}"
    if error.errno in _FULL | _PASSING:
        room = f"{needed:,} bytes needed, {_free(target.parent)} free"
        return ResourceError(f"{message} ({room}).", "Free some space, or choose another folder.")
    if isinstance(error, FileNotFoundError):
        return ResourceError(f"{message}.", f"Make the folder first: mkdir -p {target.parent}")
    return ResourceError(f"{message}.", "Choose a file name and a folder that you may write to.")


def _free(folder: Path) -> str:
    """Free bytes, as far as a failing disk still tells."""
    try:
        return f"{shutil.disk_usage(folder).free:,}"
    except OSError:
        return "an unknown number"
