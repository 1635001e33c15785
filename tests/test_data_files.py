"""Numpy's files and IDX files: what is read, and what is refused unread."""

from __future__ import annotations

import gzip
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.format import write_array

from hyotan.data import Dataset, load, numpy_files, stored
from hyotan.data import arrays as array_limits
from hyotan.data.stored import StoredRows
from hyotan.errors import DataError

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(30, 5))
GREY = RNG.integers(0, 256, size=(12, 6, 5), dtype=np.uint8)


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    """The IDX format, written from its description: two zero bytes, type, axes, sizes, big-endian values."""
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


# --- numpy files


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "u1", "?"])
def test_npy_gives_the_saved_numbers(tmp_path: Path, dtype: str) -> None:
    X = (TABLE > 0).astype(dtype)
    np.save(tmp_path / "mine.npy", X)
    dataset = load(tmp_path / "mine.npy")
    np.testing.assert_array_equal(dataset.X, X)
    assert (dataset.name, dataset.source) == ("mine", str(tmp_path / "mine.npy"))


def test_one_axis_is_one_column(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4.0))
    dataset = load(tmp_path / "a.npy")
    assert dataset.X.tolist() == [[0], [1], [2], [3]]
    assert dataset.notes == ("The array has one axis and was read as one column.",)


def test_the_rows_of_a_large_npy_stay_in_it_and_test_rows_are_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numpy_files, "MAPPED_BYTES", 100)
    monkeypatch.setattr(stored, "STREAMED_BYTES", 100)
    np.save(tmp_path / "large.npy", TABLE)
    dataset = load(tmp_path / "large.npy")
    train, test = dataset.split()
    assert isinstance(dataset.X, StoredRows) and isinstance(train.X, StoredRows)
    assert isinstance(test.X, np.ndarray) and len(test.X) == 3
    rows = np.concatenate([train.X, test.X])
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, TABLE.tolist()))
    assert dataset.fingerprint() == Dataset.from_arrays(TABLE).fingerprint()
    assert test.notes == (
        "The rows stay on disk and are read as they are needed; 3 rows, in short runs spread over the file, are held "
        "out to test on.",
    )


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", X=np.array([Trap()], dtype=object))
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(Trap()))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match=r"holds Python objects, which could run code.*y\.astype\(str\)"):
            load(tmp_path / name)
    with pytest.raises(DataError, match=r"bare\.npy: The array has no readable numpy header"):
        load(tmp_path / "bare.npy")
    assert not (tmp_path / "sprung").exists()


def test_a_truncated_npy_names_both_sizes(tmp_path: Path) -> None:
    path = tmp_path / "cut.npy"
    np.save(path, TABLE)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(
        DataError, match=rf"cut\.npy: The array ends early: {len(whole):,} bytes expected, {len(whole) - 7:,} found"
    ):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no readable numpy header"):
        load(path)


@pytest.mark.parametrize(
    ("saved", "spare"),
    [
        ({"X": TABLE, "y": np.arange(30)}, ()),
        ({"X_train": TABLE, "y_train": np.arange(30)}, ()),
        ({"x_train": TABLE, "y_train": np.arange(30), "x_test": TABLE, "y_test": np.arange(30)}, ()),
        ({"data": TABLE, "target": np.arange(30)}, ()),
        ({"anything": TABLE, "labels": np.arange(30)}, ()),
        ({"X": TABLE, "y": np.arange(30), "w": np.ones(2)}, ("Ignored in the archive: 'w'.",)),
    ],
)
def test_npz_keys_are_understood(tmp_path: Path, saved: dict, spare: tuple) -> None:
    np.savez(tmp_path / "a.npz", **saved)
    dataset = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(dataset.X, TABLE)
    np.testing.assert_array_equal(dataset.y, np.arange(30))
    assert (dataset.X_test is not None) == ("x_test" in saved)
    assert dataset.notes == spare


def test_the_label_names_a_key_of_the_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=TABLE, colour=np.arange(30))
    assert load(tmp_path / "a.npz", label="colour").n_classes == 30
    with pytest.raises(DataError, match="no array 'color'. Did you mean 'colour'?"):
        load(tmp_path / "a.npz", label="color")


def test_npz_without_a_key_to_go_by_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=TABLE, right=TABLE)
    with pytest.raises(DataError, match=r"holds arrays 'left', 'right', none of them named X\. .*X=X, y=y"):
        load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", y=np.ones(3))
    with pytest.raises(DataError, match="holds no array of features"):
        load(tmp_path / "b.npz")


def test_an_archive_is_measured_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "zeros.npz", X=np.zeros((1000, 100)))
    monkeypatch.setattr(array_limits, "LARGEST_BYTES", 800_000)
    monkeypatch.setattr(np.lib.format, "read_array", pytest.fail)
    with pytest.raises(DataError, match=r"would take 800,128 bytes; the limit is 800,000\. .*np\.save"):
        load(tmp_path / "zeros.npz")


def test_a_member_that_announces_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive, archive.open("X.npy", "w") as member:
        write_array(member, np.zeros(0))
    with zipfile.ZipFile(tmp_path / "lie.npz") as archive:
        header = archive.read("X.npy").replace(b"(0,)", b"(10,10)")
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("X.npy", header)
    with pytest.raises(DataError, match=r"'X' ends early: \d+ bytes expected, \d+ found"):
        load(tmp_path / "lie.npz")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=TABLE)
    whole = bytearray((tmp_path / "a.npz").read_bytes())
    whole[len(whole) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(whole)
    with pytest.raises(DataError, match=r"a\.npz: The archive is damaged or no \.npz \(Bad CRC-32"):
        load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(b"hello")
    with pytest.raises(DataError, match="not a zip file"):
        load(tmp_path / "a.npz")


def test_damaged_numpy_files_never_escape_as_anything_but_a_data_error(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", X=TABLE[:3], y=np.arange(3))
    np.save(tmp_path / "a.npy", TABLE[:3])
    rng = np.random.default_rng(5)
    silent = 0
    for name in ("a.npz", "a.npy"):
        whole = (tmp_path / name).read_bytes()
        for place in rng.integers(0, len(whole), 150):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << rng.integers(8)
            (tmp_path / f"flipped-{name}").write_bytes(flipped)
            try:
                load(tmp_path / f"flipped-{name}")
            except DataError:
                continue
            silent += 1
    assert silent < 300, "no flip was noticed"


# --- IDX


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (GREY, 0x08),
        (GREY.astype(np.int8), 0x09),
        (GREY.astype(np.int16) - 300, 0x0B),
        (GREY.astype(np.int32) * -70000, 0x0C),
        (GREY.astype(np.float32) / 7, 0x0D),
        (GREY.astype(np.float64) / 7, 0x0E),
        (GREY[:, 0], 0x08),
    ],
)
def test_idx_of_every_type_packed_or_not(tmp_path: Path, array: np.ndarray, code: int) -> None:
    (tmp_path / "a.idx").write_bytes(idx_bytes(array, code))
    (tmp_path / "a.idx.gz").write_bytes(gzip.compress(idx_bytes(array, code)))
    for name in ("a.idx", "a.idx.gz"):
        dataset = load(tmp_path / name)
        np.testing.assert_array_equal(dataset.X, array)
        assert (dataset.X.dtype, dataset.name) == (array.dtype, "a")


def test_images_in_mnists_own_names_find_their_labels(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(GREY)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(12, dtype=np.uint8)))
    dataset = load(tmp_path / "t10k-images-idx3-ubyte.gz")
    assert dataset.y.tolist() == list(range(12))
    assert dataset.notes == ("The labels come from t10k-labels-idx1-ubyte.",)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert load(tmp_path / "t10k-images-idx3-ubyte.gz").y is None


def test_a_truncated_idx_names_both_sizes(tmp_path: Path) -> None:
    whole = idx_bytes(GREY)
    (tmp_path / "a.idx").write_bytes(whole[:-60])
    with pytest.raises(DataError, match=r"a\.idx: The header announces 376 bytes \(unpacked\), but 316 were found"):
        load(tmp_path / "a.idx")
    (tmp_path / "a.idx").write_bytes(whole + b"x")
    with pytest.raises(DataError, match="376 bytes .*, but the file goes on or its end is damaged"):
        load(tmp_path / "a.idx")
    (tmp_path / "a.idx").write_bytes(whole[:9])
    with pytest.raises(DataError, match="The header has 16 bytes, but 9 were found"):
        load(tmp_path / "a.idx")


def test_a_truncated_or_damaged_gzip_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, size=(200, 30, 30), dtype=np.uint8)
    packed = gzip.compress(idx_bytes(noise))
    (tmp_path / "a.idx.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(
        DataError, match=r"a\.idx\.gz: The header announces 180,016 bytes \(unpacked\), but [\d,]+ were found"
    ):
        load(tmp_path / "a.idx.gz")
    (tmp_path / "a.idx.gz").write_bytes(packed[:-3])
    with pytest.raises(DataError, match="its end is damaged"):
        load(tmp_path / "a.idx.gz")
    (tmp_path / "a.idx.gz").write_bytes(packed[:10] + bytes(60))
    with pytest.raises(DataError, match=r"a\.idx\.gz: (The gzip wrapping is damaged|An IDX file starts)"):
        load(tmp_path / "a.idx.gz")


def test_what_is_no_idx_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "a.idx").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"two zero bytes, a type and the number of axes; found b'<htm'"):
        load(tmp_path / "a.idx")
    (tmp_path / "a.idx").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">III", 2**31, 2**31, 4))
    with pytest.raises(DataError, match="announces 18,446,744,073,709,551,616 bytes, too many to read"):
        load(tmp_path / "a.idx")
