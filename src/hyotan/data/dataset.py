"""The Dataset: features, labels, the source's own test split, and what was guessed while reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from hyotan.data.arrays import checked_features, checked_labels, digest, drawn_rows, value_range
from hyotan.data.frames import as_frame, mixed_frame
from hyotan.data.stored import (
    COMPARED_BYTES,
    COMPARED_ROWS,
    Array,
    RowRanges,
    StoredRows,
    held_out_rows,
    spread,
    stored,
)
from hyotan.errors import DataError, SettingsError
from hyotan.words.phrases import counted, number

TOO_FEW_TO_SPLIT = 10
COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows to learn from.

    Parameters
    ----------
    name : str
        A named set's name, or the stem of the path; run folders carry it.
    X : ndarray
        (n, features), (n, height, width) for grey images, or (n, channels, height, width). Image-shaped uint8 means
        0..255; everything else means its numbers. Rows that are too many for memory are
        :class:`~hyotan.data.stored.StoredRows`; a table whose columns are not all numbers is a
        :class:`~hyotan.data.frames.Frame`.
    y : ndarray of shape (n,), optional
        Labels, whole numbers or text.
    X_test, y_test : ndarray, optional
        The test split that the source itself defines.
    feature_names : tuple of str, optional
        A table's columns.
    notes : tuple of str
        What was guessed or ignored, one sentence each, with the flag that changes it.
    source : str
        What was asked for.
    ids : ndarray of shape (n,), optional
        What each row of X is called, numbers or text; without them rows are numbered from 0.
    id_name : str
        What the ids are: the name of the table's column, ``"file"`` or ``"row"``.
    layout : str
        How the values of a row lie, where that was said; else the dimensions of X tell vectors from images.
    """

    name: str
    X: Array
    y: np.ndarray | None = None
    X_test: Array | None = None
    y_test: np.ndarray | None = None
    feature_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    ids: np.ndarray | None = None
    id_name: str = "row"
    layout: str = "auto"

    @classmethod
    def from_arrays(
        cls,
        X: ArrayLike | StoredRows,
        y: ArrayLike | None = None,
        name: str = "array",
        *,
        X_test: ArrayLike | None = None,
        y_test: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        missing_allowed: bool = False,
        ids: np.ndarray | None = None,
        id_name: str = "row",
    ) -> Dataset:
        """A dataset of arrays, or of what numpy takes for one; a data frame's column names are kept, and where some of
        its columns are no numbers, all of it.

        With ``missing_allowed``, NaN in X says that a value is missing.

        Raises
        ------
        DataError
            X is not made of finite real numbers, has an unusual number of axes, has its channels last, or y does not
            hold one label a row.
        """
        if y_test is not None and X_test is None:
            raise DataError("y_test came without X_test.", "Give both, or neither.")
        rows, labels = _checked_pair(X, y, "X", "y", missing_allowed)
        own_names = getattr(rows, "names", getattr(X, "columns", None))
        names = feature_names if feature_names is not None else own_names
        test_rows, test_labels = None, None
        if X_test is not None:
            test_rows, test_labels = _checked_pair(X_test, y_test, "X_test", "y_test", missing_allowed)
        if test_rows is not None and test_rows.shape[1:] != rows.shape[1:]:
            raise DataError(
                f"X has rows of shape {rows.shape[1:]}, X_test of shape {test_rows.shape[1:]}.",
                "Give both splits the same features.",
            )
        names = _checked_names(names, rows)
        return cls(name, rows, labels, test_rows, test_labels, names, tuple(notes), ids=ids, id_name=id_name)

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """The shape of one row of X."""
        return self.X.shape[1:]

    @property
    def is_image(self) -> bool:
        """Whether a row is an image."""
        return self.X.ndim >= 3 and self.layout in ("auto", "image")

    @property
    def n_classes(self) -> int | None:
        """The number of different labels, ``None`` and NaN not counted; ``None`` without labels."""
        if self.y is None:
            return None
        values = self.y.tolist() if self.y.dtype.kind == "O" else np.unique(self.y).tolist()
        return len({value for value in values if value is not None and value == value})

    def describe(self) -> str:
        """One line: how many, of what shape, in which range, with which labels."""
        return ", ".join([*self._sizes(), self._range(), self._labels()])

    def take(self, rows: np.ndarray | slice) -> Dataset:
        """The rows of X and y with these numbers, in memory; the test split stays as it is."""
        y = None if self.y is None else self.y[rows]
        return replace(self, X=self.X[rows], y=y, ids=self._ids_of(rows))

    def named_rows(self) -> tuple[str, np.ndarray]:
        """What the ids are, and the ids, (n,)."""
        return self.id_name, np.arange(len(self.X)) if self.ids is None else self.ids

    def in_memory(self) -> Dataset:
        """All rows in memory; of rows that stay in their file an evenly spread sample, and a note that says so.

        At most 100,000 rows, and no more than 512 MiB in float32.
        """
        if (in_file := stored(self.X)) is None:
            return self
        rows = in_file.some(COMPARED_ROWS, COMPARED_BYTES)
        note = f"{len(rows):,} of {counted(len(self.X), 'row')}, evenly spread, stand for the file, which is too large."
        return replace(self.take(rows), notes=(*self.notes, note))

    def split(self, test_fraction: float = 0.1, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Training rows and test rows.

        The source's own test split, where there is one; else `test_fraction` of the rows, drawn by `seed`, order
        kept. Of rows that stay in their file short runs are held out, evenly spread and at most 50,000 rows (fewer
        where these take more than 128 MiB in float32), which come into memory. Fewer than 10 rows are both training
        and test rows, and a note says so.
        """
        if not 0 < test_fraction < 1:
            raise SettingsError(f"test_fraction must lie between 0 and 1; got {test_fraction}.", "For a tenth: 0.1.")
        whole = replace(self, X_test=None, y_test=None)
        if self.X_test is not None:
            return whole, replace(whole, X=self.X_test, y=self.y_test, ids=None, id_name="row")
        if len(self.X) < TOO_FEW_TO_SPLIT:
            note = f"{counted(len(self.X), 'row')} are too few to split: training and test rows are the same."
            both = replace(whole, notes=(*self.notes, note))
            return both, both
        return whole._cut(min(len(self.X) - 1, max(1, round(len(self.X) * test_fraction))), seed)

    def fingerprint(self) -> str:
        """SHA-256, in hex, over dtypes, shapes and values of X, y, X_test and y_test."""
        return digest({"X": self.X, "y": self.y, "X_test": self.X_test, "y_test": self.y_test})

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}: {self.describe()})"

    def _cut(self, held_out: int, seed: int) -> tuple[Dataset, Dataset]:
        if (in_file := stored(self.X)) is not None:
            return self._cut_stored(in_file, held_out_rows(in_file, held_out / len(in_file)), seed)
        test_rows = drawn_rows(len(self.X), held_out, seed)
        return self.take(np.setdiff1d(np.arange(len(self.X)), test_rows)), self.take(test_rows)

    def _cut_stored(self, X: StoredRows, held_out: int, seed: int) -> tuple[Dataset, Dataset]:
        test = spread(len(X), held_out, np.random.default_rng(seed).random())
        note = (
            f"The rows stay on disk and are read as they are needed; {counted(len(test), 'row')}, "
            "in short runs spread over the file, are held out to test on."
        )
        noted = replace(self, notes=(*self.notes, note))
        y, ids = (None if each is None else _labels_at(each, test.others) for each in (self.y, self.ids))
        train = replace(noted, X=X[test.others], y=y, ids=ids)
        return train, noted.take(test[:])

    def _ids_of(self, rows: np.ndarray | slice) -> np.ndarray:
        if self.ids is not None:
            return self.ids[rows]
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "iu":
            return rows
        return np.arange(len(self.X))[rows]

    def _sizes(self) -> list[str]:
        total = len(self.X) + (0 if self.X_test is None else len(self.X_test))
        if self.X.ndim > 2 and not self.is_image:
            return [counted(total, self.layout), "×".join(map(str, self.feature_shape))]
        if not self.is_image:
            return [counted(total, "row"), counted(self.X.shape[1], "column")]
        *channels, height, width = self.feature_shape
        depth = channels[0] if channels else 1
        return [counted(total, "image"), f"{height}×{width} {COLOURS.get(depth, f'in {depth} channels')}"]

    def _range(self) -> str:
        if (frame := as_frame(self.X)) is not None:
            return frame.describe()
        if self.is_image and self.X.dtype == np.uint8:
            return "0..255 scaled to [0,1]"
        low, high = value_range(self.X)
        return f"{number(low)}..{number(high)}"

    def _labels(self) -> str:
        if self.y is None:
            return "no labels"
        if self.y.dtype.kind == "f" and not np.all(np.mod(self.y[np.isfinite(self.y)], 1) == 0):
            return f"labels {number(float(np.nanmin(self.y)))}..{number(float(np.nanmax(self.y)))}"
        return counted(self.n_classes or 0, "label")


def _labels_at(y: np.ndarray, rows: RowRanges) -> np.ndarray:
    return np.concatenate([y[start:stop] for start, stop in rows.pieces(0, len(rows))])


def _checked_pair(
    X: ArrayLike | StoredRows, y: ArrayLike | None, features: str, labels: str, missing_allowed: bool
) -> tuple[Array, np.ndarray | None]:
    frame = mixed_frame(X)
    rows = checked_features(X, features, missing_allowed) if frame is None else frame
    return rows, None if y is None else checked_labels(y, len(rows), labels, features)


def _checked_names(names: Sequence[str] | None, X: Array) -> tuple[str, ...] | None:
    if names is None:
        return None
    if X.ndim != 2 or len(names) != X.shape[1]:
        raise DataError(f"{len(names)} feature names came for rows of shape {X.shape[1:]}.", "Name every column once.")
    return tuple(str(name) for name in names)
