"""The sets with a name: digits, which scikit-learn brings, and MNIST and its kin, found, or downloaded once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyotan.data.dataset import Dataset
from hyotan.data.idx import GZIP_MAGIC, idx_array, unpacked
from hyotan.errors import DataError, SourceNotFoundError
from hyotan.words.terminal import ChangingLine, changing_line

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
LARGEST_FILE = 2**26
TIMEOUT = (10, 60)
"""Seconds to wait for a connection, and for the next bytes."""


@dataclass(frozen=True)
class NamedSet:
    """An entry of :data:`NAMES`: a caption of one line, and the function that loads the set."""

    caption: str
    load: Callable[[], Dataset]


@dataclass(frozen=True)
class Checksum:
    """What was published about a set's files; `of` gives ``None`` for bytes that it says nothing about."""

    caption: str
    of: Callable[[bytes], str | None]


def _unpacked_sha256(content: bytes) -> str:
    return hashlib.sha256(unpacked(content, LARGEST_FILE)).hexdigest()


def _packed_md5(content: bytes) -> str | None:
    packed = content.startswith(GZIP_MAGIC)
    return hashlib.md5(content, usedforsecurity=False).hexdigest() if packed else None


# Mirrors pack the files anew, so that only the unpacked bytes are the same everywhere.
UNPACKED_SHA256 = Checksum("SHA-256 of the unpacked bytes", _unpacked_sha256)
PACKED_MD5 = Checksum("MD5 of the .gz file", _packed_md5)


@dataclass(frozen=True)
class IdxSet:
    """Four IDX files: training images and labels, test images and labels.

    Each file is looked for in ``$HYOTAN_DATA/<name>/``, then in the cache, then fetched from the mirrors in order;
    wherever it comes from, it must match its digest. Digests stand in the order of :data:`FILES`.
    """

    name: str
    mirrors: tuple[str, ...]
    checksum: Checksum
    digests: tuple[str, str, str, str]

    def load(self) -> Dataset:
        """The set with its test split, images (n, 28, 28) uint8, labels int64.

        Raises
        ------
        DataError
            A file is damaged, or is another file than its name says.
        SourceNotFoundError
            A file is not on this machine and could not be downloaded; says which, and where to put them.
        """
        notes: list[str] = []
        X, y, X_test, y_test = (idx_array(self._content(name, notes)) for name in FILES)
        y, y_test = y.astype(np.int64), y_test.astype(np.int64)
        return Dataset.from_arrays(X, y, self.name, X_test=X_test, y_test=y_test, notes=notes)

    def missing(self) -> list[str]:
        """The files that lie neither in ``$HYOTAN_DATA`` nor in the cache."""
        return [name for name in FILES if self._provided(name) is None and not self._cached(name).is_file()]

    def _content(self, name: str, notes: list[str]) -> bytes:
        if (provided := self._provided(name)) is not None:
            return self._checked(provided, name, notes)
        cached = self._cached(name)
        if not cached.is_file():
            self._download(name, cached)
        return self._checked(cached, name, notes)

    def _provided(self, name: str) -> Path | None:
        folder = data_folder()
        if folder is None:
            return None
        either = (folder / self.name / name, folder / self.name / name.removesuffix(".gz"))
        return next((path for path in either if path.is_file()), None)

    def _cached(self, name: str) -> Path:
        return cache_folder() / "data" / self.name / name

    def _checked(self, path: Path, name: str, notes: list[str]) -> bytes:
        content = path.read_bytes()
        expected, found = self.digests[FILES.index(name)], self.checksum.of(content)
        if found is None:
            notes.append(f"{path.name} is not checked: its publishers gave only the {self.checksum.caption}.")
        elif found != expected:
            raise DataError(
                f"{path} is not the published {name}: the {self.checksum.caption} is {found[:16]}…, "
                f"expected {expected[:16]}….",
                "Delete the file and fetch it again.",
            )
        return content

    def _download(self, name: str, target: Path) -> None:
        reasons = []
        for mirror in self.mirrors:
            try:
                return self._fetch(mirror + name, name, target)
            except (OSError, DataError) as error:
                reasons.append(f"{mirror}: {_short(error)}")
        raise SourceNotFoundError(
            f"The set '{self.name}' is not complete on this machine, and {name} could not be downloaded "
            f"({'; '.join(reasons)}).",
            self._where_to_put(),
        )

    def _fetch(self, url: str, name: str, target: Path) -> None:
        """Download beside the target, check, then move: the cache never holds half a file."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            path = _retrieved(url, name, Path(folder))
            self._checked(path, name, [])
            path.replace(target)

    def _where_to_put(self) -> str:
        folder = data_folder()
        where = f"{folder / self.name}" if folder else f"<folder>/{self.name}, and set HYOTAN_DATA=<folder>"
        also = ", where HYOTAN_DATA points" if folder else ""
        return f"Put {', '.join(self.missing())} into {where}{also}."


def data_folder() -> Path | None:
    """The folder that ``$HYOTAN_DATA`` names, or ``None``."""
    name = os.environ.get("HYOTAN_DATA")
    return Path(name).expanduser() if name else None


def cache_folder() -> Path:
    """``$HYOTAN_CACHE``, or the system's place for caches."""
    if name := os.environ.get("HYOTAN_CACHE"):
        return Path(name).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("hyotan"))


def digits() -> Dataset:
    """scikit-learn's 1,797 digits, images (1797, 8, 8) float32 scaled to [0, 1], labels 0..9; needs no network."""
    from sklearn.datasets import load_digits

    rows, labels = load_digits(return_X_y=True)
    return Dataset.from_arrays((rows.reshape(-1, 8, 8) / 16).astype(np.float32), labels, "digits")


def _retrieved(url: str, name: str, folder: Path) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    line = changing_line()
    # pooch annotates its downloaders with other argument names than its own downloaders have.
    bar: Any = False if line is None else DownloadBar(name, line)
    downloader: Any = pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT)
    return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder, downloader=downloader))


class DownloadBar:
    """What pooch drives while it downloads.

    Parameters
    ----------
    name : of the file.
    line : where it is shown how much has arrived.
    """

    total = 0

    def __init__(self, name: str, line: ChangingLine) -> None:
        self.name, self.line, self.done = name, line, 0

    def update(self, count: int) -> None:
        """`count` more bytes have arrived."""
        self.done += count
        self.line.update(self._status())

    def reset(self) -> None:
        """Start over, which pooch does before it fills the bar at the end."""
        self.done = 0

    def close(self) -> None:
        """Leave the last line standing."""
        self.line.update(self._status(), keep=True)

    def _status(self) -> str:
        whole = f" of {self.total / 1e6:.1f}" if self.total else ""
        return f"{self.name}  {self.done / 1e6:.1f}{whole} MB"


def _short(error: Exception) -> str:
    """The error's kind and the first words of it; connection errors print whole object graphs."""
    text = error.message if isinstance(error, DataError) else str(error)
    return text if isinstance(error, DataError) or len(text) < 80 else type(error).__name__


MNIST = IdxSet(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    UNPACKED_SHA256,
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
FASHION_MNIST = IdxSet(
    "fashion-mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    UNPACKED_SHA256,
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
KMNIST = IdxSet(
    "kmnist",
    ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
    PACKED_MD5,
    (
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
)

NAMES: Mapping[str, NamedSet] = {
    "digits": NamedSet("1,797 handwritten digits, 8×8 grey, 10 labels; needs no download", digits),
    "mnist": NamedSet("70,000 handwritten digits, 28×28 grey, 10 labels", MNIST.load),
    "fashion-mnist": NamedSet("70,000 pictures of clothes, 28×28 grey, 10 labels", FASHION_MNIST.load),
    "kmnist": NamedSet("70,000 cursive Japanese characters, 28×28 grey, 10 labels", KMNIST.load),
}
"""Every set that :func:`hyotan.data.load` knows by name."""
