"""Named sets: found, downloaded once, checked against what was published."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import os
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hyotan.data import NAMES, Dataset, NamedSet, load, named
from hyotan.data.named import FILES, MNIST, PACKED_MD5, UNPACKED_SHA256, IdxSet
from hyotan.errors import DataError, SourceNotFoundError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, size=(12, 6, 5), dtype=np.uint8)
NOWHERE = ("http://127.0.0.1:9/",)


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    """The IDX format, written from its description: two zero bytes, type, axes, sizes, big-endian values."""
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def test_digits_are_scikit_learns_scaled_to_one() -> None:
    from sklearn.datasets import load_digits

    truth = load_digits()
    dataset = load("digits")
    np.testing.assert_allclose(dataset.X * 16, truth.images, atol=0)
    np.testing.assert_array_equal(dataset.y, truth.target)
    assert dataset.X.dtype == np.float32
    assert dataset.describe() == "1,797 images, 8×8 grey, 0..1, 10 labels"


def mnist_folder() -> Path | None:
    folder = Path(os.environ.get("HYOTAN_DATA", ""), "mnist")
    return folder if os.environ.get("HYOTAN_DATA") and folder.is_dir() else None


@pytest.mark.skipif(mnist_folder() is None, reason="HYOTAN_DATA names no folder that holds mnist/")
def test_mnist_as_it_was_published() -> None:
    dataset = load("mnist")
    assert dataset.describe() == "70,000 images, 28×28 grey, 0..255 scaled to [0,1], 10 labels"
    assert (dataset.X.shape, dataset.X_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    # Published figures: the first label is a 5, the training pixels' mean is 0.1307 and their deviation 0.3081.
    assert dataset.y[:3].tolist() == [5, 0, 4]
    pixels = dataset.X.astype(np.float32) / 255
    np.testing.assert_allclose(
        [pixels.mean(dtype=np.float64), pixels.std(dtype=np.float64)], [0.1307, 0.3081], atol=1e-4
    )


def test_every_name_has_a_caption_of_one_line() -> None:
    assert list(NAMES) == ["digits", "mnist", "fashion-mnist", "kmnist"]
    assert all(entry.caption and "\n" not in entry.caption for entry in NAMES.values())


@pytest.fixture
def files() -> dict[str, bytes]:
    """A small set under MNIST's file names, gzipped."""
    labels = np.arange(12, dtype=np.uint8) % 4
    contents = [GREY, labels, GREY[:5], labels[:5]]
    return {name: gzip.compress(idx_bytes(part)) for name, part in zip(FILES, contents, strict=True)}


@pytest.fixture
def small(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IdxSet:
    """That set under the name ``mnist``, from mirrors that do not answer; the cache is empty."""
    monkeypatch.setenv("HYOTAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HYOTAN_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    digests = tuple(hashlib.sha256(gzip.decompress(content)).hexdigest() for content in files.values())
    return offer(monkeypatch, IdxSet("mnist", NOWHERE, UNPACKED_SHA256, digests))


def offer(monkeypatch: pytest.MonkeyPatch, idx_set: IdxSet) -> IdxSet:
    monkeypatch.setitem(NAMES, "mnist", NamedSet("a small stand-in", idx_set.load))
    return idx_set


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


@pytest.fixture
def mirror(tmp_path: Path, files: dict[str, bytes]) -> Iterator[str]:
    """A server on this machine that holds the small set."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    put(tmp_path / "mirror", files)
    handler = functools.partial(Quiet, directory=str(tmp_path / "mirror"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def check_small(dataset: Dataset) -> None:
    np.testing.assert_array_equal(dataset.X, GREY)
    np.testing.assert_array_equal(dataset.X_test, GREY[:5])
    assert dataset.y.tolist() == [0, 1, 2, 3] * 3
    assert (dataset.name, dataset.y.dtype, dataset.n_classes) == ("mnist", np.int64, 4)


def test_a_set_is_found_in_the_data_folder(
    small: IdxSet, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "data" / "mnist", files)
    monkeypatch.setenv("HYOTAN_DATA", str(tmp_path / "data"))
    check_small(load("mnist"))
    check_small(load("MNIST"))


def test_unpacked_and_repacked_files_are_the_same_set(
    small: IdxSet, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = {name.removesuffix(".gz"): gzip.decompress(content) for name, content in files.items()}
    unpacked[FILES[0]] = gzip.compress(unpacked.pop(FILES[0].removesuffix(".gz")), compresslevel=1)
    put(tmp_path / "data" / "mnist", unpacked)
    monkeypatch.setenv("HYOTAN_DATA", str(tmp_path / "data"))
    check_small(load("mnist"))


def test_a_set_is_found_in_the_cache(small: IdxSet, files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / "cache" / "data" / "mnist", files)
    check_small(load("mnist"))


def test_a_file_that_is_not_the_published_one_is_refused(
    small: IdxSet, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "data" / "mnist", {**files, FILES[2]: gzip.compress(idx_bytes(GREY[:5] ^ 1))})
    monkeypatch.setenv("HYOTAN_DATA", str(tmp_path / "data"))
    with pytest.raises(
        DataError, match=f"is not the published {FILES[2]}: the SHA-256 of the unpacked bytes is .* expected"
    ):
        load("mnist")


def test_the_md5_of_a_packed_file_says_nothing_about_an_unpacked_one(
    small: IdxSet, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = tuple(hashlib.md5(content).hexdigest() for content in files.values())
    offer(monkeypatch, replace(small, checksum=PACKED_MD5, digests=digests))
    monkeypatch.setenv("HYOTAN_DATA", str(tmp_path / "data"))
    bare = FILES[1].removesuffix(".gz")
    put(tmp_path / "data" / "mnist", {**files, bare: gzip.decompress(files[FILES[1]])})
    assert not load("mnist").notes
    (tmp_path / "data" / "mnist" / FILES[1]).unlink()
    assert load("mnist").notes == (f"{bare} is not checked: its publishers gave only the MD5 of the .gz file.",)
    put(tmp_path / "data" / "mnist", {FILES[1]: gzip.compress(b"other")})
    with pytest.raises(DataError, match=r"the MD5 of the \.gz file is"):
        load("mnist")


def test_a_set_is_downloaded_once(
    small: IdxSet, mirror: str, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, replace(small, mirrors=(*NOWHERE, mirror)))
    check_small(load("mnist"))
    assert sorted(p.name for p in (tmp_path / "cache" / "data" / "mnist").iterdir()) == sorted(FILES)
    for name in FILES:
        (tmp_path / "mirror" / name).unlink()
    check_small(load("mnist"))


def test_a_mirror_that_serves_something_else_fills_no_cache(
    small: IdxSet, mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, replace(small, mirrors=(mirror,)))
    put(tmp_path / "mirror", {FILES[0]: b"<html>please log in</html>"})
    with pytest.raises(SourceNotFoundError, match=f"{FILES[0]} could not be downloaded .*is not the published"):
        load("mnist")
    assert list((tmp_path / "cache" / "data" / "mnist").iterdir()) == []


def test_a_download_shows_its_progress_on_a_terminal(
    small: IdxSet, mirror: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    offer(monkeypatch, replace(small, mirrors=(mirror,)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    check_small(load("mnist"))
    shown = capsys.readouterr()
    assert FILES[0] in shown.err
    assert shown.out == ""


def test_without_a_network_the_error_says_what_to_put_where(
    small: IdxSet, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = ", ".join(FILES)
    with pytest.raises(
        SourceNotFoundError, match=f"'mnist' is not complete.*Put {every} into <folder>/mnist, and set HYOTAN_DATA"
    ):
        load("mnist")
    put(tmp_path / "data" / "mnist", {name: files[name] for name in FILES[:3]})
    monkeypatch.setenv("HYOTAN_DATA", str(tmp_path / "data"))
    with pytest.raises(SourceNotFoundError, match=rf"Put {FILES[3]} into .*data/mnist, where HYOTAN_DATA points"):
        load("mnist")


def test_the_published_digests_belong_to_four_files_each() -> None:
    for idx_set in (MNIST, named.FASHION_MNIST, named.KMNIST):
        length = 32 if idx_set.checksum is PACKED_MD5 else 64
        assert [len(digest) for digest in idx_set.digests] == [length] * 4
        assert len(set(idx_set.digests)) == 4
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in idx_set.mirrors)


def test_a_name_wins_over_a_folder_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    dataset = load("digits")
    assert len(dataset.X) == 1797
    assert dataset.notes == ("'digits' is the set of that name; for the file or folder write ./digits.",)
    with pytest.raises(DataError, match="The folder is empty"):
        load("./digits")
