"""Parquet files that are decoded into the cache: the same rows, notes and refusals as of the table in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as files

from hyotan import VAE
from hyotan.data import decoded, load, parquet, stored
from hyotan.errors import DataError

RNG = np.random.default_rng(0)
ROWS = 500


def holed(values: np.ndarray, *rows: int) -> pa.Array:
    return pa.array(values, mask=np.isin(np.arange(len(values)), rows))


NUMBERS = {"a": RNG.normal(size=ROWS), "b": RNG.integers(0, 9, ROWS), "c": RNG.random(ROWS) > 0.5}
TEXT = np.array(["x", "y", "z"])[RNG.integers(0, 3, ROWS)]
TABLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "numbers": (NUMBERS, {}),
    "some columns": (NUMBERS, {"columns": ["b", "a"]}),
    "labels of text": ({**NUMBERS, "kind": TEXT}, {"label": "kind"}),
    "labels that are numbers": (NUMBERS, {"label": "b", "ignore": ["c"]}),
    "labels with missing values": ({**NUMBERS, "kind": holed(TEXT, 3, 200)}, {"label": "kind"}),
    "numbered labels with missing values": ({**NUMBERS, "b": holed(NUMBERS["b"], 3, 200)}, {"label": "b"}),
    "missing values to fill": ({**NUMBERS, "b": holed(NUMBERS["b"], 0, 7, 400)}, {"missing": "mean"}),
    "missing values to leave out": (
        {**NUMBERS, "b": holed(NUMBERS["b"], 0, 7, 400), "kind": holed(TEXT, 9)},
        {"missing": "drop", "label": "kind"},
    ),
    "a column that counts": ({"id": np.arange(1, ROWS + 1), **NUMBERS}, {}),
    "large whole numbers": ({**NUMBERS, "big": RNG.integers(2**55, 2**60, ROWS)}, {}),
    "a difference that float32 does not hold": ({**NUMBERS, "near": 1e6 + RNG.random(ROWS) * 1e-6}, {}),
    "names for the lack of names": ({" ": NUMBERS["a"], "": NUMBERS["b"]}, {}),
    "categories": ({**NUMBERS, "e": pa.array(NUMBERS["b"]).dictionary_encode()}, {}),
}
MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "missing": (
        {**NUMBERS, "b": holed(NUMBERS["b"], 0, 7, 400), "a": holed(NUMBERS["a"], 7)},
        {"missing": "error"},
    ),
    "nothing but missing values": ({**NUMBERS, "d": pa.array([None] * ROWS, pa.float64())}, {}),
    "no row without a missing value": (
        {"a": holed(NUMBERS["a"], *range(250)), "b": holed(NUMBERS["b"], *range(250, ROWS))},
        {"missing": "error"},
    ),
    "no row left": (
        {"a": holed(NUMBERS["a"], *range(250)), "b": holed(NUMBERS["b"], *range(250, ROWS))},
        {"missing": "drop"},
    ),
    "infinity": ({**NUMBERS, "a": np.where(np.isin(np.arange(ROWS), [321, 400]), np.inf, NUMBERS["a"])}, {}),
    "no such column": (NUMBERS, {"ignore": ["z"]}),
}


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes whatever is read from now on too large for memory."""

    def set_limits() -> None:
        monkeypatch.setenv("HYOTAN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(decoded, "DECODED_BYTES", 100)
        monkeypatch.setattr(stored, "STREAMED_BYTES", 100)
        monkeypatch.setattr(parquet, "BATCH_ROWS", 64)

    return set_limits


def save(folder: Path, columns: dict[str, Any]) -> Path:
    files.write_table(pa.table(columns), folder / "t.parquet", row_group_size=150)
    return folder / "t.parquet"


def test_text_in_a_table_too_large_for_memory_is_refused(tmp_path: Path, large: Any) -> None:
    path = save(tmp_path, {**NUMBERS, "kind": TEXT})
    large()
    with pytest.raises(
        DataError,
        match=r"Tables as large as this are read as numbers alone, and 1 column is not a number: 'kind' \(such as .*"
        r"Name it as the label with --label kind, or ignore it with --ignore kind",
    ):
        load(path)


@pytest.mark.parametrize("name", TABLES)
def test_rows_labels_and_notes_are_those_of_the_table_in_memory(name: str, tmp_path: Path, large: Any) -> None:
    columns, options = TABLES[name]
    path = save(tmp_path, columns)
    here = load(path, **options)
    large()
    for there in (load(path, **options), load(path, **options)):  # decoded now, and found in the cache
        assert isinstance(there.X, stored.StoredRows)
        np.testing.assert_allclose(np.asarray(there.X), here.X, rtol=1e-7)
        assert there.X.dtype == here.X.dtype
        assert there.feature_names == here.feature_names
        assert (there.y is None) == (here.y is None)
        if here.y is not None and there.y is not None:
            assert there.y.tolist() == here.y.tolist() and there.y.dtype == here.y.dtype
        assert sorted(note for note in there.notes if not note.startswith("Decoded once")) == sorted(here.notes)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_those_of_the_table_in_memory(name: str, tmp_path: Path, large: Any) -> None:
    columns, options = MISTAKES[name]
    path = save(tmp_path, columns)
    with pytest.raises(DataError) as here:
        load(path, **options)
    large()
    with pytest.raises(DataError) as there:
        load(path, **options)
    assert str(there.value) == str(here.value)
    assert not list(tmp_path.glob("cache/decoded/*"))


def test_other_options_are_decoded_anew(tmp_path: Path, large: Any) -> None:
    path = save(tmp_path, NUMBERS)
    large()
    assert load(path).X.shape == (ROWS, 3)
    assert load(path, columns=["c", "a"]).X.shape == (ROWS, 2)
    assert len(list((tmp_path / "cache" / "decoded").iterdir())) == 2


def test_a_model_learns_from_them(tmp_path: Path, large: Any) -> None:
    path = save(tmp_path, {**NUMBERS, "kind": TEXT})
    large()
    train, test = load(path, label="kind").split()
    vae = VAE(latent_dim=2, hidden_dims=(8,), max_epochs=2, random_state=0).fit(train.X)
    assert vae.transform(test.X).shape == (len(test.X), 2)
