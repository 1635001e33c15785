"""What the model knows of a column of a table: what every kind of column has in common.

A column maps its values to encoded features and back. What is learned of it (its scale, its categories) is plain data
and belongs to the model file. A missing value is NaN once encoded. Each kind names the family of distributions that
explains it: see :mod:`hyotan.distributions.mixed`. They are listed in :mod:`hyotan.preprocessing.column_kinds`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pyarrow import types

from hyotan.data.frames import is_number, plain_values
from hyotan.errors import DataError
from hyotan.words import shown


@dataclass(frozen=True)
class Column:
    """What is known of a column.

    Attributes
    ----------
    name : the column's.
    kind : class attribute, what the kind is called in settings.
    family : class attribute, the family of distributions of its encoded features.
    expected : class attribute, what kind of values it holds, in a word: ``numbers``, ``dates`` or ``text``.
    is_category : class attribute. Categories have no order, and are learned from all rows; anything else is learned
        from the training rows.
    """

    name: str

    kind: ClassVar[str]
    family: ClassVar[str]
    expected: ClassVar[str] = "numbers"
    is_category: ClassVar[bool] = False

    @property
    def width(self) -> int:
        """The number of encoded features."""
        return len(self.encoded_names)

    @property
    def encoded_names(self) -> list[str]:
        """A name for each encoded feature."""
        return [self.name]

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether a column with these values is taken for this kind, where nobody says what it is."""
        return False

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn a column from its values; missing values are ignored."""
        raise NotImplementedError

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """Encode values, (n, width), float32; a missing value is NaN."""
        raise NotImplementedError

    def decoded(self, rows: np.ndarray) -> pa.Array:
        """Map encoded features, (n, width), to the nearest values that the column can hold."""
        raise NotImplementedError

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Values that the column did not have when it was fitted, and that cannot be encoded."""
        return []

    def accepts(self, arrived: str) -> bool:
        """Whether values can be encoded that are ``numbers``, ``dates`` or ``text``."""
        return arrived == self.expected

    def refuse_other_type(self, values: pa.ChunkedArray) -> None:
        """Refuse values of another type than the column was fitted on.

        Raises
        ------
        DataError
            Names the column, what it held, and what it holds now.
        """
        kind = simple_values(values).type
        arrived = "dates" if types.is_temporal(kind) else "numbers" if is_number(kind) else "text"
        if types.is_null(kind) or self.accepts(arrived):
            return
        example = next((value for value in values.to_pylist() if value is not None), None)
        raise DataError(
            f"Column '{self.name}' holds {arrived} (such as {example!r}); "
            f"the model was fitted on {self.expected} there.",
            "Bring the column to the type that it had.",
        )

    def extent(self, values: pa.ChunkedArray) -> list[Any]:
        """Which values the column has, for people: the least and the greatest; of categories all that were seen."""
        found = [value for value in values.to_pylist() if value is not None and value == value]
        return [min(found), max(found)] if found else []

    def spelled(self, value: Any) -> str:
        """A value that is not missing as text, in the column's own units."""
        return shown(value)

    def typical_error(self, values: pa.ChunkedArray, made: pa.ChunkedArray, lang: str) -> str:
        """How far values that a model made are from the column's own, in words of a language."""
        raise NotImplementedError

    def to_settings(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        """Undo :meth:`to_settings`, whose ``kind`` is not among the settings here.

        Raises
        ------
        ValueError
            The numbers are none that a column can have.
        """
        numbers = [value for value in settings.values() if isinstance(value, float)]
        if not all(map(math.isfinite, numbers)) or 0 in (settings.get("factor"), settings.get("spread")):
            raise ValueError(f"a column whose scale is not finite: {settings!r}")
        return cls(**settings)


def simple_values(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of categories as the values that they stand for, exact decimals as floats."""
    values = plain_values(values)
    return values.cast(pa.float64()) if types.is_decimal(values.type) else values


def distinct(values: pa.ChunkedArray) -> pa.Array:
    """The different values of a column, without missing ones."""
    found = simple_values(values).unique()
    return found.filter(pa.array(~found.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)))
