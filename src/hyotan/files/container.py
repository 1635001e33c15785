"""The file format: named tensors and plain settings in one file that is checked byte by byte and replaced atomically.

A file is a safetensors file, so any safetensors reader can open it. Its ``__metadata__`` holds one key, ``"hyotan"``,
whose value is JSON text::

    {"digest": "<64 hex>", "format": 1, "kind": "vae", "settings": {…}, "versions": {…},
     "tensors": {"encoder.0.weight": {"dtype": "float32", "shape": [512, 784], "sha256": "<64 hex>"}, …}}

``digest`` is the SHA-256 of the whole file with these 64 characters taken as zeros. It always stands at the same place
(byte `DIGEST_AT`), so every changed, missing or appended byte is noticed, the header's own included; the per-tensor
digests then say which tensor suffered. The digests detect accidents, not attackers: anyone can compute them anew.

Nothing in a file is ever executed or imported, and no length in it is believed before it was compared with the size of
the file. This module knows no model: what the settings and tensors mean is up to those who wrote them.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import io
import json
import math
import os
import platform
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import safetensors
import safetensors.numpy

from hyotan.errors import HyotanError, ModelFileError, SettingsError, SourceNotFoundError, did_you_mean
from hyotan.files.atomic import write_bytes_atomically
from hyotan.files.version import __version__

FORMAT_VERSION = 1
MAX_HEADER = 2**20  # bytes
MAX_TENSORS = 10_000
MAX_RANK = 8
MAX_ELEMENTS = 2**40  # of one tensor, where an axis of length 0 counts as 1

_PREFIX = rb'{"__metadata__":{"hyotan":"{\"digest\":\"'
_ZEROS = b"0" * 64
DIGEST_AT = 8 + len(_PREFIX)  # bytes from the start: after the header's length and the text above

_DTYPES = {"BOOL": "bool", "F16": "float16", "F32": "float32", "F64": "float64"} | {
    f"{letter}{bits}": f"{word}{bits}" for letter, word in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)
}
_FOREIGN = {
    b"PK": "a zip archive, as torch.save and numpy.savez write",
    **{bytes([0x80, protocol]): "a pickle" for protocol in range(2, 6)},
    b"\x93NUMPY": "a .npy array",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive",
}
AGAIN = "Use another copy of the file, or write it again."


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes
    ----------
    kind : str
        What the settings and tensors describe, for example ``"vae"`` or ``"checkpoint"``.
    settings : dict
        Plain JSON values.
    tensors : dict of str to ndarray
        Writable arrays of their own, in the order in which they were written. Empty after `read_settings`.
    versions : dict of str to str
        Package versions at the time of writing, ``"hyotan"`` and ``"python"`` among them.
    format_version : int
        The version of the file format.
    shapes : dict of str to (str, tuple of int)
        NumPy dtype name and shape of every tensor, after `read_settings` too.
    """

    kind: str
    settings: dict[str, Any]
    tensors: dict[str, np.ndarray]
    versions: dict[str, str]
    format_version: int
    shapes: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)


def write(
    path: str | os.PathLike[str], *, kind: str, settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> None:
    """Write settings and tensors to one file: afterwards it is the old file or the new one, never half of it.

    Tuples in the settings come back as lists. Numbers that JSON lacks (NaN and the infinities) are refused, since any
    stand-in would read back as something else; tensors may hold them.

    Parameters
    ----------
    path : path
        The file. A symbolic link is followed; the folder has to exist.
    kind : str
        What this is, for `read` to check.
    settings : mapping
        JSON values: text, finite numbers, booleans, None, lists and mappings with text keys. They share the header's
        limit of 1 MiB with the names of the tensors: long lists belong into tensors.
    tensors : mapping of str to ndarray
        Real, integer or boolean arrays of at most 8 axes, 0-d and empty ones too. Any memory layout and byte order.

    Raises
    ------
    SettingsError
        If something cannot be stored; the message names the key.
    ResourceError
        If the file cannot be written; what was there before is kept.
    """
    write_bytes_atomically(path, serialise(kind=kind, settings=settings, tensors=tensors))


def serialise(*, kind: str, settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> bytes:
    """The complete file that :func:`write` would write, as bytes; SettingsError as there."""
    arrays = {name: _storable(name, value) for name, value in tensors.items()}
    if len(arrays) > MAX_TENSORS:
        raise SettingsError(f"{len(arrays):,} tensors are too many for one file (at most {MAX_TENSORS:,}).")
    description = {
        "digest": _ZEROS.decode(),  # first, so that its place in the file is always the same
        "format": FORMAT_VERSION,
        "kind": kind,
        "settings": _plain(settings, "settings"),
        "versions": _versions(),
        "tensors": {name: _entry(array) for name, array in arrays.items()},
    }
    text = json.dumps(description, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _sealed(safetensors.numpy.save(arrays, metadata={"hyotan": text}))


def _sealed(blob: bytes) -> bytes:
    """The file with its digest filled in."""
    length = int.from_bytes(blob[:8], "little")
    if length > MAX_HEADER:
        raise SettingsError(
            f"The settings and tensor names take {length:,} bytes; a model file holds at most {MAX_HEADER:,}.",
            "Store long lists as tensors.",
        )
    if not blob.startswith(_PREFIX, 8):
        raise ModelFileError(
            f"safetensors {safetensors.__version__} arranges a file in a way that hyotan {__version__} does not know.",
            "Upgrade hyotan, or install an older safetensors.",
        )
    return blob[:DIGEST_AT] + _digest(blob).encode() + blob[DIGEST_AT + 64 :]


def _digest(blob: bytes) -> str:
    """SHA-256 of the whole file with its digest taken as zeros."""
    digest = hashlib.sha256(blob[:DIGEST_AT] + _ZEROS)
    digest.update(memoryview(blob)[DIGEST_AT + 64 :])
    return digest.hexdigest()


def _storable(name: str, value: np.ndarray) -> np.ndarray:
    """The array in C order and this machine's byte order, if a file can hold it."""
    array = np.asarray(value)
    _check_text(name, "the name of a tensor")
    if name == "__metadata__":
        raise SettingsError("A tensor cannot be called '__metadata__'.", "Choose another name.")
    if array.dtype.name not in _DTYPES.values():
        raise SettingsError(
            f"The tensor '{name}' has dtype {array.dtype}; a model file holds {', '.join(_DTYPES.values())}.",
            "Convert it first.",
        )
    if array.ndim > MAX_RANK:
        raise SettingsError(f"The tensor '{name}' has {array.ndim} axes; at most {MAX_RANK} are stored.", "Reshape it.")
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _entry(array: np.ndarray) -> dict[str, Any]:
    """How the JSON text describes one tensor."""
    flat = array.reshape(-1).view(np.uint8)  # hashlib takes one axis only
    return {"dtype": array.dtype.name, "shape": list(array.shape), "sha256": hashlib.sha256(flat.data).hexdigest()}


def _plain(value: object, where: str) -> object:
    """The value in JSON's own types; `where` is the path that an error names, such as ``settings['beta']``."""
    if isinstance(value, str):
        return _check_text(value, where)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SettingsError(f"{where} is {value}, which JSON cannot hold.", "Use a finite number or None.")
        return value
    if isinstance(value, Mapping):
        return {_key(key, where): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise SettingsError(
        f"{where} is of type {type(value).__name__}; a model file holds text, numbers, booleans, None, lists, dicts.",
        "Convert it first; arrays belong into the tensors.",
    )


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise SettingsError(f"{where} has the key {key!r} of type {type(key).__name__}; keys are text.", "Convert it.")
    return _check_text(key, f"a key of {where}")


def _check_text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(f"{where} is {text!r}, which is not valid Unicode.", "Use other characters.") from error
    return text


@functools.cache
def _versions() -> dict[str, str]:
    """Versions of what computes, from the installed packages' own notes: torch itself is not imported."""
    versions = {"hyotan": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "scikit-learn", "safetensors"):
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def read(path: str | os.PathLike[str], *, kinds: Collection[str] | None = None) -> Contents:
    """Read a file and check all of it.

    Parameters
    ----------
    path : path
        The file.
    kinds : collection of str, optional
        The kinds that will do; any kind by default.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    ModelFileError
        If it is damaged, foreign, of another kind, or of a newer format.
    """
    return _loaded(_read_checked(Path(path)), kinds)


def parse(blob: bytes, *, kinds: Collection[str] | None = None, name: str = "The file") -> Contents:
    """Like `read`, of a file whose bytes are here already; ``name`` is what errors call it."""
    return _loaded(_checked(Path(name), io.BytesIO(blob), len(blob)), kinds)


def _loaded(raw: _Raw, kinds: Collection[str] | None) -> Contents:
    contents = _contents(raw, kinds)
    try:
        loaded = safetensors.numpy.load(raw.blob)  # checks the layout once more
    except safetensors.SafetensorError as error:
        raise _broken(raw.path, f"safetensors refuses it ({error})") from error
    writable = {name: np.require(loaded[name], requirements="W") for name in contents.shapes}
    return replace(contents, tensors=writable)


def read_settings(path: str | os.PathLike[str], *, kinds: Collection[str] | None = None) -> Contents:
    """Like `read`, every byte checked, but builds no arrays: `Contents.shapes` tells dtypes and shapes."""
    return _contents(_read_checked(Path(path)), kinds)


@dataclass(frozen=True)
class _Slot:
    """Where the header says that a tensor lies: bytes ``begin`` to ``end`` behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class _Raw:
    """A file whose declared sizes agree with its true size."""

    path: Path
    blob: bytes
    header_end: int
    slots: dict[str, _Slot]
    text: str


def _read_checked(path: Path) -> _Raw:
    with _opened(path) as file:
        return _checked(path, file, os.fstat(file.fileno()).st_size)


def _checked(path: Path, file: BinaryIO, size: int) -> _Raw:
    """The whole file, its digest verified. What it claims is checked against its size before the tensors are read."""
    header = _read_header(path, file, size)
    slots, text = _layout(path, header, size)
    blob = header + file.read(size - len(header) + 1)
    if len(blob) != size:
        raise _broken(path, "it changed while it was read")
    raw = _Raw(path, blob, len(header), slots, text)
    _check_digest(raw)
    return raw


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file open for reading, every failure of the system told as ours."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ModelFileError(f"{path} is a folder, not a model file.", "Name a file in it, such as model.hyotan.")
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            raise ModelFileError(f"{path} is a device or a pipe, not a model file.", "Name a file.")
        with path.open("rb") as file:
            yield file
    except HyotanError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(path) from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.", "Check the file's permissions.") from error


def _missing(path: Path) -> SourceNotFoundError:
    """The error for a file that is not there, with the nearest name that is."""
    with suppress(OSError):
        if names := [other.name for other in path.parent.iterdir() if other.suffix in (".hyotan", path.suffix)]:
            return SourceNotFoundError(f"There is no file {path}.", did_you_mean(path.name, names))
    return SourceNotFoundError(f"There is no file {path}.", "Check the path.")


def _broken(path: Path, detail: str) -> ModelFileError:
    return ModelFileError(f"{path} is damaged: {detail}.", AGAIN)


def _read_header(path: Path, file: BinaryIO, size: int) -> bytes:
    """The header with its length in front, 8 + length bytes."""
    start = file.read(DIGEST_AT)
    length = int.from_bytes(start[:8], "little")
    if start[8:] != _PREFIX:
        _refuse_foreign(path, start)
    if length > MAX_HEADER:
        raise _broken(path, f"its header claims {length:,} bytes, more than the limit of {MAX_HEADER:,}")
    if 8 + length > size or length < len(_PREFIX):
        raise _broken(path, f"its header claims {length:,} bytes in a file of {size:,}")
    return start + file.read(8 + length - DIGEST_AT)


def _refuse_foreign(path: Path, start: bytes) -> NoReturn:
    """Say what the file seems to be instead."""
    if not start:
        raise ModelFileError(f"{path} is empty.", AGAIN)
    fix = "Name a file that hyotan saved."
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            raise ModelFileError(f"{path} is {what}, not a hyotan model file; it was not opened.", fix)
    if start[8:10] == b'{"':
        raise ModelFileError(f"{path} is a safetensors file that hyotan did not write, or its start is damaged.", fix)
    raise ModelFileError(f"{path} is not a hyotan model file, or its start is damaged.", fix)


def _layout(path: Path, header: bytes, size: int) -> tuple[dict[str, _Slot], str]:
    """The tensors' places and our JSON text, if the header keeps the limits and adds up to the size of the file."""
    table = _parsed(path, header[8:], "its header")
    metadata = table.pop("__metadata__", None)
    if not (isinstance(metadata, dict) and set(metadata) == {"hyotan"} and isinstance(metadata["hyotan"], str)):
        raise _broken(path, "its header lacks our description")
    if len(table) > MAX_TENSORS:
        raise _broken(path, f"its header lists {len(table):,} tensors, more than the limit of {MAX_TENSORS:,}")
    slots = {name: _slot(path, name, entry) for name, entry in table.items()}
    declared = len(header) + _covered(path, slots.values())
    if declared != size:
        what = "the end is missing" if size < declared else "something was appended"
        raise _broken(path, f"it has {size:,} bytes where its header promises {declared:,}; {what}")
    return slots, metadata["hyotan"]


def _covered(path: Path, slots: Collection[_Slot]) -> int:
    """How many bytes the tensors take together, if they lie one behind the other."""
    end = 0
    for slot in sorted(slots, key=lambda slot: (slot.begin, slot.end)):
        if slot.begin != end:
            raise _broken(path, "its tensors overlap or leave gaps")
        end = slot.end
    return end


def _slot(path: Path, name: str, entry: object) -> _Slot:
    """One tensor's entry in the header, if its shape, dtype and length agree."""
    if not (isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}):
        raise _broken(path, f"its header does not describe the tensor '{name}'")
    dtype, shape, offsets = _DTYPES.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
    if dtype is None or not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
        raise _broken(path, f"its header does not describe the tensor '{name}'")
    if len(shape) > MAX_RANK or math.prod(max(length, 1) for length in shape) > MAX_ELEMENTS:
        raise _broken(path, f"its tensor '{name}' claims an impossible shape")
    begin, end = offsets
    if end - begin != math.prod(shape) * np.dtype(dtype).itemsize:
        raise _broken(path, f"its tensor '{name}' claims {end - begin:,} bytes, which is not what its shape needs")
    return _Slot(dtype, tuple(shape), begin, end)


def _counts(value: object) -> bool:
    """Whether this is a list of whole numbers from 0; JSON's booleans would pass for numbers."""
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _parsed(path: Path, text: bytes | str, what: str) -> dict[str, Any]:
    """A JSON object without repeated keys and without NaN."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"{what} is not JSON that hyotan wrote") from error
    if not isinstance(value, dict):
        raise _broken(path, f"{what} is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is repeated")
    return table


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_digest(raw: _Raw) -> None:
    if _digest(raw.blob).encode() == raw.blob[DIGEST_AT : DIGEST_AT + 64]:
        return
    names = _damaged_tensors(raw)
    shown = ", ".join(f"'{name}'" for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    raise _broken(raw.path, f"the bytes of {shown} changed" if names else "bytes of its header changed")


def _damaged_tensors(raw: _Raw) -> list[str]:
    """The tensors whose own digests disagree; none where the description is no longer readable."""
    try:
        described = _parsed(raw.path, raw.text, "its description").get("tensors")
    except ModelFileError:
        return []
    recorded = described if isinstance(described, dict) else {}
    return [name for name, slot in raw.slots.items() if not _intact(raw, slot, recorded.get(name))]


def _intact(raw: _Raw, slot: _Slot, entry: object) -> bool:
    data = memoryview(raw.blob)[raw.header_end + slot.begin : raw.header_end + slot.end]
    return isinstance(entry, dict) and entry.get("sha256") == hashlib.sha256(data).hexdigest()


def _contents(raw: _Raw, kinds: Collection[str] | None) -> Contents:
    """What the description says, if it is of our format, complete and of a wanted kind."""
    table = _parsed(raw.path, raw.text, "its description")
    _check_format(raw.path, table)
    if not _follows_schema(table):
        raise _broken(raw.path, "its description lacks a part")
    shapes = {name: (slot.dtype, slot.shape) for name, slot in raw.slots.items()}
    described = {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in table["tensors"].items()}
    if described != shapes:
        raise _broken(raw.path, "its description and its header name different tensors")
    if kinds is not None and table["kind"] not in kinds:
        wanted = " or ".join(f"'{name}'" for name in sorted(kinds))
        raise ModelFileError(f"{raw.path} holds '{table['kind']}'; expected {wanted}.", "Name a file of that kind.")
    return Contents(table["kind"], table["settings"], {}, table["versions"], table["format"], described)


def _check_format(path: Path, table: dict[str, Any]) -> None:
    version, writers = table.get("format"), table.get("versions")
    if type(version) is not int or version < 1:
        raise _broken(path, "its description names no format version")
    if version > FORMAT_VERSION:
        writer = f"hyotan {writers.get('hyotan')}" if isinstance(writers, dict) else "a newer hyotan"
        raise ModelFileError(
            f"{path} was made by {writer} in format {version}; this hyotan {__version__} reads {FORMAT_VERSION}.",
            "Upgrade: pip install --upgrade hyotan",
        )


def _follows_schema(table: dict[str, Any]) -> bool:
    """Whether every part of the description is there and of the right type."""
    parts = {"digest": str, "format": int, "kind": str, "settings": dict, "versions": dict, "tensors": dict}
    return (
        set(table) == set(parts)
        and all(isinstance(table[name], kind) for name, kind in parts.items())
        and all(isinstance(version, str) for version in table["versions"].values())
        and all(_describes_tensor(entry) for entry in table["tensors"].values())
    )


def _describes_tensor(entry: object) -> bool:
    return isinstance(entry, dict) and set(entry) == {"dtype", "shape", "sha256"} and _counts(entry["shape"])
