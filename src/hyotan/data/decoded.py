"""Rows that had to be decoded, kept as a ``.npy`` in the cache: decoded once, in a memory of a few megabytes.

What is decoded here is too large for memory, and would have to be decoded again in every epoch; from the ``.npy`` it is
read as fast as the disk gives it, in any order.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyotan.data.named import cache_folder
from hyotan.errors import ResourceError

DECODED_BYTES = 2**29
"""What is decoded to more than this goes into a file; less is decoded in memory."""

ROWS, KEPT, NOTES = "X.npy", "kept.npy", "notes.json"

VERSION = 1
"""Of the way in which rows are decoded: files of another version are not used."""


def key_of(source: Path, files: Iterable[Path], **options: Any) -> str:
    """What the decoded rows hang on, in hex: where the files lie, their sizes and times, and how they are read."""
    total = hashlib.sha256(json.dumps([VERSION, str(source.resolve()), options], default=str).encode())
    for file in files:
        stat = file.stat()
        total.update(f"{file.relative_to(source)}:{stat.st_size}:{stat.st_mtime_ns};".encode())
    return total.hexdigest()[:32]


class Decoded:
    """Decoded rows in the cache.

    Parameters
    ----------
    key : of :func:`key_of`.
    """

    def __init__(self, key: str) -> None:
        self.folder = cache_folder() / "decoded" / key

    def exists(self) -> bool:
        """Whether the cache holds them."""
        return (self.folder / ROWS).is_file()

    def write(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype,
        rows: Iterable[np.ndarray],
        kept: np.ndarray | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Decode the rows into the cache: a folder that is there whole or not at all.

        Parameters
        ----------
        shape, dtype : of all rows.
        rows : some at a time, in order.
        kept : which rows of the source these are; None for all.
        notes : what there is to say of them.

        Raises
        ------
        ResourceError
            The disk has no room for them.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        _refuse_full(self.folder.parent, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=".decoding-") as place:
            new = Path(place) / "new"
            new.mkdir()
            (new / NOTES).write_text(json.dumps(list(notes), ensure_ascii=False), encoding="utf-8")
            if kept is not None:
                np.save(new / KEPT, kept)
            _write(new / ROWS, shape, dtype, rows)
            try:
                new.rename(self.folder)
            except OSError:
                if not self.exists():  # else another process was faster, and has decoded the same rows
                    raise

    def rows(self) -> np.memmap:
        """The rows, mapped."""
        return np.load(self.folder / ROWS, mmap_mode="r", allow_pickle=False)

    def kept(self) -> np.ndarray | None:
        """Which rows of the source these are; None for all."""
        path = self.folder / KEPT
        return np.load(path, allow_pickle=False) if path.is_file() else None

    def notes(self) -> list[str]:
        """What there is to say of the rows, and where they lie."""
        size = (self.folder / ROWS).stat().st_size
        where = f"Decoded once, the rows lie in {self.folder} ({size / 1e9:.2g} GB)."
        return [*json.loads((self.folder / NOTES).read_text(encoding="utf-8")), where]


def _write(path: Path, shape: tuple[int, ...], dtype: np.dtype, rows: Iterable[np.ndarray]) -> None:
    # Written as a stream: pages of a map that is written to would stay in the process.
    with path.open("wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for some in rows:
            stream.write(np.ascontiguousarray(some, dtype=dtype).data)
        stream.flush()
        os.fsync(stream.fileno())


def _refuse_full(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ResourceError(
            f"Decoded, the rows take {needed:,} bytes; {folder} has room for {free:,}.",
            "Set HYOTAN_CACHE to a folder with more room, or read fewer with --limit.",
        )
