"""Numpy's own files, read without pickle, their announced sizes checked before their bytes are read."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from hyotan.data import arrays
from hyotan.data.dataset import Dataset
from hyotan.data.request import Request
from hyotan.errors import DataError, SettingsError, did_you_mean
from hyotan.words.phrases import listed

MAPPED_BYTES = 2**30
"""A ``.npy`` larger than this is mapped into memory instead of being read."""

FEATURE_KEYS = ("X", "X_train", "x", "x_train", "data")
LABEL_KEYS = ("y", "y_train", "labels", "target")
TEST_FEATURE_KEYS = ("X_test", "x_test")
TEST_LABEL_KEYS = ("y_test",)
# numpy reads the header as Python source, and passes on whatever Python's tokenizer and parser say about it.
UNREADABLE = (ValueError, EOFError, SyntaxError, TypeError, RecursionError, tokenize.TokenError)


def read_npy(path: Path, request: Request) -> Dataset:
    """The array in a ``.npy`` file of 1 to 4 axes; above 1 GiB its rows stay in the file."""
    with path.open("rb") as stream:
        _check_header(stream, path.stat().st_size)
    X = np.load(path, mmap_mode="r" if path.stat().st_size > MAPPED_BYTES else None, allow_pickle=False)
    X, notes = arrays.as_rows(X)
    return Dataset.from_arrays(X, notes=notes, missing_allowed=_keeps_missing(request))


def read_npz(path: Path, request: Request) -> Dataset:
    """X and, where there are any, labels and test split of a ``.npz`` archive; ``label`` names the labels' key."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, request)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"The archive is damaged or no .npz ({error}).", "Write it again with np.savez.") from error


def _read_archive(archive: zipfile.ZipFile, request: Request) -> Dataset:
    total = sum(member.file_size for member in archive.infolist())
    if total > arrays.LARGEST_BYTES:
        raise DataError(
            f"Unpacked, the archive would take {total:,} bytes; the limit is {arrays.LARGEST_BYTES:,}.",
            "Save X alone with np.save: a .npy of any size is read from disk as it is needed.",
        )
    members = {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}
    keys = _roles(tuple(members), request)
    found = {role: _member(archive, members[key], key) for role, key in keys.items()}
    X, notes = arrays.as_rows(found["X"])
    used = {*keys.values()}
    if spare := [key for key in members if key not in used]:
        notes = [*notes, f"Ignored in the archive: {listed(spare)}."]
    test = {"X_test": found.get("X_test"), "y_test": found.get("y_test")}
    return Dataset.from_arrays(X, found.get("y"), **test, notes=notes, missing_allowed=_keeps_missing(request))


def _keeps_missing(request: Request) -> bool:
    if request.missing not in ("error", "keep"):
        raise SettingsError(
            f"--missing {request.missing} is for tables; the missing values of an array can be kept.",
            "Type: --missing keep",
        )
    return request.missing == "keep"


def _roles(keys: Sequence[str], request: Request) -> dict[str, str]:
    """Which key plays X, y, X_test and y_test; a role that nothing plays is omitted."""
    if request.label is not None and request.label not in keys:
        raise DataError(f"The archive holds no array '{request.label}'.", did_you_mean(request.label, keys))
    roles = {
        "y": request.label or _first(LABEL_KEYS, keys),
        "X_test": _first(TEST_FEATURE_KEYS, keys),
        "y_test": _first(TEST_LABEL_KEYS, keys),
    }
    roles = {role: key for role, key in roles.items() if key is not None}
    rest = [key for key in keys if key not in roles.values()]
    features = _first(FEATURE_KEYS, rest) or (rest[0] if len(rest) == 1 else None)
    if features is None:
        held = f"arrays {listed(rest)}, none of them named X" if rest else "no array of features"
        raise DataError(f"The archive holds {held}.", "Name them when saving: np.savez(path, X=X, y=y).")
    return {"X": features, **roles}


def _first(wanted: Sequence[str], keys: Sequence[str]) -> str | None:
    return next((key for key in wanted if key in keys), None)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str) -> np.ndarray:
    with archive.open(member) as stream:
        _check_header(stream, member.file_size, f"'{key}'")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_header(stream: IO[bytes], found: int, what: str = "The array") -> None:
    """Refuse objects and records, and a header that announces another number of bytes than there are."""
    try:
        shape, dtype = _header(stream)
    except UNREADABLE as error:
        raise DataError(f"{what} has no readable numpy header ({error}).", "Write it again with np.save.") from error
    if dtype.hasobject:
        raise DataError(
            f"{what} holds Python objects, which could run code when read.",
            "Save plain numbers, or labels as text: y.astype(str).",
        )
    expected = stream.tell() + math.prod(shape) * dtype.itemsize
    if found < expected:
        raise DataError(
            f"{what} ends early: {expected:,} bytes expected, {found:,} found.", "Copy or write the file again."
        )


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    readers: Mapping = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"format version {version}")
    shape, _, dtype = readers[version](stream)
    return shape, dtype
