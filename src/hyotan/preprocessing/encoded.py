"""Rows as a model takes them: checked and encoded once; after that their type says that it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hyotan.data.stored import Array, RowRanges, StoredRows

if TYPE_CHECKING:
    from hyotan.preprocessing.preprocessor import Preprocessor


class EncodedRows:
    """Checked rows beside the model's numbers for them, which are computed as they are taken.

    ``rows[places]`` are numbers, (m, *feature_shape), float32; NaN where a value is missing.

    Attributes
    ----------
    preprocessor : made them; a model with another one encodes :attr:`original` anew.
    original : (n, *features), as they came.
    is_lazy : whether they stay in their file, and are to be read a block at a time.
    """

    is_lazy = False

    def __init__(self, preprocessor: Preprocessor, original: Any, numbers: np.ndarray | None = None) -> None:
        self.preprocessor, self.original, self._numbers = preprocessor, original, numbers

    @staticmethod
    def of(preprocessor: Preprocessor, original: Array) -> EncodedRows:
        """The rows in memory, or those of a file as a class whose blocks are read when they are needed."""
        kind = EncodedFile if isinstance(original, StoredRows) else EncodedRows
        return kind(preprocessor, original)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all numbers."""
        return (len(self), *self.preprocessor.feature_shape)

    def __len__(self) -> int:
        return len(self.original)

    def __getitem__(self, places: slice | np.ndarray) -> np.ndarray:
        if self._numbers is not None:
            return self._numbers[places]
        return self.preprocessor.to_model(self.original[places])

    @property
    def numbers(self) -> np.ndarray:
        """All numbers, (n, *feature_shape), float32, in memory."""
        return self._encoded() if self._numbers is None else self._numbers

    def _encoded(self) -> np.ndarray:
        return self.preprocessor.to_model(self.original)

    def held(self) -> Self:
        """The same rows with their numbers kept, for those who ask for them more than once."""
        return self if self._numbers is not None else type(self)(self.preprocessor, self.original, self.numbers)

    def take(self, places: slice | np.ndarray | RowRanges) -> EncodedRows:
        """Some of the rows."""
        rows = places[:] if isinstance(places, RowRanges) else places
        numbers = None if self._numbers is None else self._numbers[rows]
        return EncodedRows(self.preprocessor, self.original[rows], numbers)


class EncodedFile(EncodedRows):
    """Rows that stay in their file."""

    is_lazy = True

    def _encoded(self) -> np.ndarray:
        """A block at a time."""
        found, done = np.empty(self.shape, dtype=np.float32), 0
        for block in self.original.blocks():
            found[done : done + len(block)] = self.preprocessor.to_model(block)
            done += len(block)
        return found

    def take(self, places: slice | np.ndarray | RowRanges) -> EncodedRows:
        """Some of the rows: those of a pattern stay in the file, all others come into memory."""
        if self._numbers is not None:
            return super().take(places)
        return EncodedRows.of(self.preprocessor, self.original[places])
