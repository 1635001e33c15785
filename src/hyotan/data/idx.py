"""The IDX format of MNIST and its kin: a header with type and shape, then big-endian numbers, often gzipped."""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from pathlib import Path

import numpy as np

from hyotan.data import arrays
from hyotan.data.dataset import Dataset
from hyotan.data.request import Request
from hyotan.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CHUNK_BYTES = 2**16

Stream = io.BytesIO | gzip.GzipFile


def read_idx(path: Path, request: Request) -> Dataset:
    """The array in an IDX file, with the labels from the matching ``labels`` file where one lies beside it."""
    X, notes = arrays.as_rows(idx_array(path.read_bytes()))
    if (beside := labels_beside(path)) is None:
        return Dataset.from_arrays(X, notes=notes)
    y = idx_array(beside.read_bytes()).astype(np.int64)
    return Dataset.from_arrays(X, y, notes=[f"The labels come from {beside.name}.", *notes])


def labels_beside(path: Path) -> Path | None:
    """The labels file of an images file: ``train-images-idx3-ubyte.gz`` -> ``train-labels-idx1-ubyte.gz``."""
    if "images" not in path.name:
        return None
    name = re.sub(r"idx\d", "idx1", path.name.replace("images", "labels"))
    either = (name, name.removesuffix(".gz"), f"{name}.gz")
    return next((path.with_name(n) for n in either if path.with_name(n).is_file()), None)


def idx_array(content: bytes) -> np.ndarray:
    """The array in the bytes of an IDX file, gzipped or not.

    Raises :class:`~hyotan.errors.DataError` where the bytes are no IDX file, end early, or go on too long.
    """
    packed = content.startswith(GZIP_MAGIC)
    stream: Stream = gzip.GzipFile(fileobj=io.BytesIO(content)) if packed else io.BytesIO(content)
    dtype, shape, header = _header(stream)
    expected = math.prod(shape) * dtype.itemsize
    if expected > arrays.LARGEST_BYTES:
        raise DataError(f"The header announces {expected:,} bytes, too many to read.", "Save it as .npy instead.")
    body = _read_up_to(stream, expected)
    announced = f"The header announces {header + expected:,} bytes (unpacked), but"
    if len(body) < expected:
        raise DataError(f"{announced} {header + len(body):,} were found.", "Fetch or write the file again.")
    if not _at_end(stream):
        raise DataError(f"{announced} the file goes on or its end is damaged.", "Fetch or write the file again.")
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def unpacked(content: bytes, most: int) -> bytes:
    """The content without its gzip wrapping, if it has one; at most `most` bytes."""
    if not content.startswith(GZIP_MAGIC):
        return content[:most]
    return bytes(_read_up_to(gzip.GzipFile(fileobj=io.BytesIO(content)), most))


def _header(stream: Stream) -> tuple[np.dtype, tuple[int, ...], int]:
    magic = _read_up_to(stream, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or magic[3] == 0:
        raise DataError(
            f"An IDX file starts with two zero bytes, a type and the number of axes; found {bytes(magic)!r}.",
            "Check that the file is what its name says.",
        )
    sizes = _read_up_to(stream, 4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(
            f"The header has {4 + 4 * magic[3]} bytes, but {4 + len(sizes)} were found.", "Fetch the file again."
        )
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    return np.dtype(TYPES[magic[2]]), shape, 4 + len(sizes)


def _at_end(stream: Stream) -> bool:
    """Whether nothing follows; a gzip stream compares its checksum here."""
    try:
        return stream.read(1) == b""
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False


def _read_up_to(stream: Stream, count: int) -> bytearray:
    """At most `count` bytes; fewer where the stream or its gzip wrapping ends early or is damaged."""
    found = bytearray()
    try:
        while len(found) < count and (chunk := stream.read(min(CHUNK_BYTES, count - len(found)))):
            found += chunk
    except EOFError:
        return found
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"The gzip wrapping is damaged after {len(found):,} unpacked bytes ({error}).", "Fetch the file again."
        ) from error
    return found
