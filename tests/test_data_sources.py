"""The way from a source to its reader: endings, options, limits, and what is not found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyotan.data import FORMATS, load
from hyotan.errors import DataError, HyotanError, SettingsError, SourceNotFoundError

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(30, 5))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "faces.npy", TABLE)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("mnits", "No set is named 'mnits', and no file or folder. Did you mean 'mnist'?"),
        ("fashion_mnist", "Did you mean 'fashion-mnist'?"),
        ("zzz", "Choose from: digits, fashion-mnist, kmnist, mnist"),
        ("dta", "No file or folder lies at 'dta'. Did you mean 'data'?"),
        ("data/face.npy", "No file or folder lies at 'data/face.npy'. Did you mean 'data/faces.npy'?"),
        ("dat/faces.npy", "Did you mean 'data/faces.npy'?"),
        ("photo.npy", "No file or folder lies at 'photo.npy'. Check the path"),
        ("", "The source '' names nothing. Give a path, or one of digits, mnist"),
        ("a\0b", "names nothing"),
    ],
)
def test_what_is_not_found_is_answered_with_what_is_near(here: Path, source: str, text: str) -> None:
    with pytest.raises(SourceNotFoundError, match=text) as caught:
        load(source)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.exit_code == 2


def test_an_array_is_no_source() -> None:
    with pytest.raises(DataError, match=r"got a ndarray\. For arrays in memory: Dataset\.from_arrays"):
        load(TABLE)


def test_an_unknown_ending_lists_what_can_be_read(here: Path) -> None:
    Path("a.xlsx").touch()
    with pytest.raises(
        DataError,
        match=r"a\.xlsx: no reader .*'\.xlsx'\. What can be read: \.npy, \.npz, \.csv, \.tsv, \.parquet, \.idx",
    ):
        load("a.xlsx")
    Path("a.PNG").touch()
    with pytest.raises(DataError, match=r"One image is no dataset; give the folder that holds it: \."):
        load("a.PNG")


@pytest.mark.parametrize(
    ("source", "option", "text"),
    [
        ("digits", {"size": (9, 9)}, "'size' cannot be applied to the set 'digits'.*--limit"),
        ("data/faces.npy", {"label": "a"}, r"'label' cannot be applied to data/faces\.npy \(a numpy array\)"),
        ("data", {"missing": "drop"}, "'missing' cannot be applied to data .*--size --limit"),
        ("digits", {"missing": "dorp"}, "missing is one of keep, drop, mean, error; got 'dorp'. Did you mean 'drop'?"),
        ("digits", {"limit": 0}, "limit must be at least 1 row; got 0"),
        ("data", {"size": (0, 4)}, r"size is a height and a width in pixels; got \(0, 4\)"),
        ("data", {"size": (4,)}, r"size is a height and a width in pixels; got \(4,\)"),
    ],
)
def test_options_that_cannot_work_are_refused(here: Path, source: str, option: dict, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        load(source, **option)


def test_endings_ignore_case_and_tilde_is_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data/faces.npy").rename("UPPER.NPY")
    assert load("UPPER.NPY").name == "UPPER"
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    assert load("~/UPPER.NPY").X.shape == TABLE.shape


def test_a_limit_draws_rows_with_their_labels_and_leaves_the_test_split(tmp_path: Path) -> None:
    X = np.arange(200.0).reshape(-1, 1)
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(200), X_test=X, y_test=np.arange(200))
    dataset = load(tmp_path / "a.npz", limit=20)
    assert (len(dataset.X), len(dataset.X_test)) == (20, 200)
    np.testing.assert_array_equal(dataset.X[:, 0], dataset.y)
    assert dataset.y.max() > 100, "the rows should come from the whole file, not from its beginning"
    assert dataset.notes == ("20 of 200 rows were drawn at random (--limit 20).",)
    np.testing.assert_array_equal(load(tmp_path / "a.npz", limit=20).y, dataset.y)
    assert not load(tmp_path / "a.npz", limit=200).notes


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv", "a.tsv", "a.parquet", "a.idx", "a.idx.gz", "a-ubyte"])
@given(content=st.binary(max_size=200))
def test_no_bytes_make_a_reader_stumble(name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        dataset = load(path)
    except HyotanError as error:
        assert str(path) in error.message
        assert error.fix
    else:
        assert np.isfinite(dataset.X).all()


def test_every_format_has_a_caption_and_options_that_load_knows() -> None:
    for entry in FORMATS.values():
        assert entry.caption
        assert set(entry.takes) <= {"label", "ignore", "columns", "missing", "id", "size"}


def test_importing_loads_none_of_the_readers_packages() -> None:
    code = (
        "import sys, hyotan.data; heavy = {'torch', 'pyarrow', 'PIL', 'pooch', 'sklearn', 'rich', 'platformdirs'};"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
