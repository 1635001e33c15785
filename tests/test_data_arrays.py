"""Arrays in memory: what may become a Dataset, and what a Dataset says and does."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyotan.data import Dataset
from hyotan.data import arrays as array_limits
from hyotan.errors import DataError, SettingsError

RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(30, 5))
GREY = RNG.integers(0, 256, size=(12, 6, 5), dtype=np.uint8)


# --- arrays


def test_arrays_become_a_dataset_that_keeps_their_numbers() -> None:
    dataset = Dataset.from_arrays(TABLE, np.arange(30), name="mine")
    np.testing.assert_array_equal(dataset.X, TABLE)
    assert (dataset.name, dataset.feature_shape, dataset.is_image, dataset.n_classes) == ("mine", (5,), False, 30)


def test_small_integers_in_a_table_are_numbers() -> None:
    dataset = Dataset.from_arrays(np.array([[0, 255], [7, 3]], dtype=np.uint8))
    assert dataset.X.tolist() == [[0, 255], [7, 3]]
    assert dataset.describe() == "2 rows, 2 columns, 0..255, no labels"


def test_booleans_become_zero_and_one_in_float32() -> None:
    dataset = Dataset.from_arrays(np.array([[True, False]]))
    assert dataset.X.dtype == np.float32
    assert dataset.X.tolist() == [[1.0, 0.0]]


def test_foreign_byte_order_becomes_native() -> None:
    dataset = Dataset.from_arrays(TABLE.astype(">f4"))
    assert dataset.X.dtype.isnative
    np.testing.assert_array_equal(dataset.X, TABLE.astype(np.float32))


def test_a_data_frame_brings_its_column_names() -> None:
    class Frame:
        columns = ("長さ", "幅")

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.ones((2, 2))

    assert Dataset.from_arrays(Frame()).feature_names == ("長さ", "幅")


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (np.ones(4), r"X has one axis, of length 4; .*X\.reshape\(-1, 1\)"),
        (np.ones((2, 1, 3, 3, 3)), r"X has 5 axes.*expected \(n, features\)"),
        (np.ones((0, 4)), r"X holds no rows: its shape is \(0, 4\)"),
        (np.ones((4, 0)), r"X holds no features: its shape is \(4, 0\)"),
        (np.ones((9, 8, 7, 3)), r"shape \(9, 8, 7, 3\) has its channels last.*Use X\.transpose\(0, 3, 1, 2\)"),
        (np.ones((9, 8, 7, 1)), r"channels last.*X\.transpose\(0, 3, 1, 2\)"),
        (np.ones((2, 2), dtype=complex), "X holds complex numbers"),
        (np.array([["a", "b"]]), "X holds text"),
        (np.array([[1, None]], dtype=object), r"X holds Python objects \(dtype object\)"),
        (np.zeros((2, 2), dtype="M8[D]"), "X holds dates"),
        ([[1, 2], [3]], "X cannot be read as an array .*all rows of one length"),
        (np.ma.masked_equal([[1, 2]], 2), r"masked array with hidden values.*X\.filled"),
    ],
)
def test_arrays_that_cannot_be_features_are_refused(X: object, text: str) -> None:
    with pytest.raises(DataError, match=text):
        Dataset.from_arrays(X)


def test_a_sparse_matrix_is_refused_with_the_fix() -> None:
    sparse = pytest.importorskip("scipy.sparse").eye(3)
    with pytest.raises(DataError, match=r"sparse matrix.*X\.toarray\(\)"):
        Dataset.from_arrays(sparse)


def test_three_channels_first_are_no_mistake_even_where_the_width_is_three() -> None:
    assert Dataset.from_arrays(np.ones((2, 3, 8, 3))).feature_shape == (3, 8, 3)


@pytest.mark.parametrize(
    ("shape", "place", "text"),
    [
        ((20, 5), (17, 4), r"^X holds 1 NaN value, the first in row 17, column 4\. .*X\[17, 4\]"),
        ((9, 4, 4), (3, 2, 1), r"^X holds 1 NaN value, the first in image 3, row 2, column 1\."),
        ((9, 3, 4, 4), (8, 2, 0, 1), r"^X holds 1 NaN value, the first in image 8, channel 2, row 0, column 1\."),
    ],
)
def test_nan_is_refused_with_its_place(shape: tuple[int, ...], place: tuple[int, ...], text: str) -> None:
    X = np.zeros(shape)
    X[place] = np.nan
    with pytest.raises(DataError, match=text):
        Dataset.from_arrays(X)


def test_the_place_is_right_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_limits, "BLOCK_BYTES", 100)
    X = np.zeros((40, 5))
    X[33, 2], X[34, 0], X[39, 4] = np.inf, np.nan, np.nan
    with pytest.raises(DataError, match="X holds 2 NaN and 1 infinite value, the first in row 33, column 2"):
        Dataset.from_arrays(X)


def test_infinite_values_are_named_as_such() -> None:
    with pytest.raises(DataError, match="X holds 2 infinite values, the first in row 0, column 1"):
        Dataset.from_arrays([[0, np.inf], [-np.inf, 0]])


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.zeros(29), "X has 30 rows, but y has 29 labels"),
        (np.zeros((30, 3)), r"one label a row; its shape is \(30, 3\)\..*argmax"),
        (np.zeros(30, dtype=complex), "y has dtype complex128"),
        (np.array([{}] * 30, dtype=object), "y holds a dict"),
    ],
)
def test_labels_that_do_not_fit_are_refused(y: np.ndarray, text: str) -> None:
    with pytest.raises(DataError, match=text):
        Dataset.from_arrays(TABLE, y)


def test_labels_keep_their_kind() -> None:
    def labels(y: object) -> np.ndarray | None:
        return Dataset.from_arrays(np.ones((2, 1)), y).y

    assert labels(np.array(["a", "b"], dtype=object)).dtype.kind == "U"
    assert labels(np.array([b"a", b"b"])).tolist() == ["a", "b"]
    assert labels(np.array([3, 7], dtype=object)).dtype.kind == "i"
    assert labels([[1], [0]]).tolist() == [1, 0]
    assert labels(np.array(["a", None], dtype=object)).tolist() == ["a", None]


def test_unlabelled_rows_are_no_class() -> None:
    dataset = Dataset.from_arrays(np.ones((3, 1)), np.array(["a", None, "b"], dtype=object))
    assert dataset.n_classes == 2
    assert Dataset.from_arrays(np.ones((3, 1)), [1.0, np.nan, 1.0]).n_classes == 1
    assert Dataset.from_arrays(np.ones((3, 1))).n_classes is None


def test_splits_must_agree() -> None:
    with pytest.raises(DataError, match=r"X has rows of shape \(5,\), X_test of shape \(4,\)"):
        Dataset.from_arrays(TABLE, X_test=TABLE[:, :4])
    with pytest.raises(DataError, match="X_test has 30 rows, but y_test has 2 labels"):
        Dataset.from_arrays(TABLE, X_test=TABLE, y_test=[1, 2])
    with pytest.raises(DataError, match="y_test came without X_test"):
        Dataset.from_arrays(TABLE, y_test=[1, 2])
    with pytest.raises(DataError, match="4 feature names came for rows of shape"):
        Dataset.from_arrays(TABLE, feature_names=list("abcd"))


# --- what a dataset says and does


@pytest.mark.parametrize(
    ("X", "y", "text"),
    [
        (GREY, np.arange(12) % 3, "12 images, 6×5 grey, 0..255 scaled to [0,1], 3 labels"),
        (np.zeros((3, 3, 40, 56), np.uint8), None, "3 images, 40×56 RGB, 0..255 scaled to [0,1], no labels"),
        (np.full((1, 4, 4), 0.25), [7], "1 image, 4×4 grey, 0.25..0.25, 1 label"),
        (np.zeros((2, 2, 4, 5)), None, "2 images, 4×5 in 2 channels, 0..0, no labels"),
        (np.array([[-2.123456, 9.4]]), [0.5], "1 row, 2 columns, -2.123..9.4, labels 0.5..0.5"),
        (np.array([[6300.0], [1.0]]), ["a", "a"], "2 rows, 1 column, 1..6,300, 1 label"),
    ],
)
def test_describe(X: np.ndarray, y: object, text: str) -> None:
    dataset = Dataset.from_arrays(X, y)
    assert dataset.describe() == text
    assert repr(dataset) == f"Dataset('array': {text})"


def test_the_range_is_right_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_limits, "BLOCK_BYTES", 100)
    X = np.zeros((30, 5))
    X[29, 0], X[2, 3] = 4, -3
    assert "-3..4" in Dataset.from_arrays(X).describe()


def test_split_holds_out_a_share_and_keeps_rows_with_their_labels() -> None:
    dataset = Dataset.from_arrays(np.arange(100.0).reshape(-1, 1), np.arange(100))
    train, test = dataset.split(0.25, seed=3)
    assert (len(train.X), len(test.X)) == (75, 25)
    assert sorted([*train.y, *test.y]) == list(range(100))
    np.testing.assert_array_equal(test.X[:, 0], test.y)
    np.testing.assert_array_equal(train.X[:, 0], train.y)


def test_split_is_drawn_by_its_seed() -> None:
    dataset = Dataset.from_arrays(np.arange(100.0).reshape(-1, 1))
    held_out = [dataset.split(seed=seed)[1].X[:, 0].tolist() for seed in (1, 1, 2)]
    assert held_out[0] == held_out[1]
    assert held_out[0] != held_out[2]


def test_split_takes_the_sources_own_test_rows() -> None:
    train, test = Dataset.from_arrays(TABLE, X_test=TABLE[:4] + 1, y=np.ones(30), y_test=np.zeros(4)).split(0.5)
    assert (len(train.X), len(test.X), train.X_test, test.X_test) == (30, 4, None, None)
    np.testing.assert_array_equal(test.X, TABLE[:4] + 1)
    assert test.y.tolist() == [0] * 4


def test_too_few_rows_are_training_and_test_rows_alike() -> None:
    train, test = Dataset.from_arrays(TABLE[:9]).split()
    np.testing.assert_array_equal(train.X, test.X)
    assert train.notes == ("9 rows are too few to split: training and test rows are the same.",)
    assert not Dataset.from_arrays(TABLE[:10]).split()[0].notes


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1])
def test_a_share_outside_zero_to_one_is_refused(fraction: float) -> None:
    with pytest.raises(SettingsError, match=f"test_fraction must lie between 0 and 1; got {fraction}"):
        Dataset.from_arrays(TABLE).split(fraction)


@given(rows=st.integers(10, 60), fraction=st.floats(0.001, 0.999))
def test_a_split_loses_no_row_and_leaves_neither_part_empty(rows: int, fraction: float) -> None:
    train, test = Dataset.from_arrays(np.arange(rows).reshape(-1, 1)).split(fraction)
    assert sorted([*train.X[:, 0], *test.X[:, 0]]) == list(range(rows))
    assert len(train.X) and len(test.X)


def test_fingerprint_sees_every_part() -> None:
    whole = Dataset.from_arrays(TABLE, np.arange(30), X_test=TABLE, y_test=np.arange(30))
    changed = TABLE.copy()
    changed[29, 4] += 1e-9
    others = [
        replace(whole, X=changed),
        replace(whole, X=TABLE.astype(np.float32)),
        replace(whole, X=TABLE.reshape(30, 5, 1)),
        replace(whole, y=np.arange(30)[::-1]),
        replace(whole, y=None),
        replace(whole, X_test=changed),
        replace(whole, y_test=None),
    ]
    prints = [dataset.fingerprint() for dataset in [whole, *others]]
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 64 for text in prints)


def test_fingerprint_is_of_the_values_not_of_how_they_lie_in_memory() -> None:
    prints = {
        Dataset.from_arrays(X, y).fingerprint()
        for X in (TABLE, np.asfortranarray(TABLE), TABLE.astype(">f8"), np.repeat(TABLE, 2, axis=0)[::2])
        for y in (["a"] * 29 + ["bb"], np.array(["a"] * 29 + ["bb"], dtype="U9"))
    }
    assert len(prints) == 1


def test_fingerprint_tells_labels_apart() -> None:
    labels = [["a", "bc"], ["ab", "c"], np.array(["a", None], dtype=object), np.array(["a", "None"], dtype=object)]
    assert len({Dataset.from_arrays(np.ones((2, 1)), y).fingerprint() for y in labels}) == 4


def test_fingerprint_is_pinned() -> None:
    """Run folders store it: a change here makes them all look as if their data had changed."""
    body = b"X=<f4(2, 1);" + np.array([1, 2], "<f4").tobytes() + b"y=text(2,);str:1:a;str:2:bb;X_test=none;y_test=none;"
    dataset = Dataset.from_arrays(np.array([[1], [2]], np.float32), ["a", "bb"])
    assert dataset.fingerprint() == hashlib.sha256(body).hexdigest()
