"""Columns with a few values in no order: categories, yes or no, and the same value in every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pyarrow import types

from hyotan.data.frames import is_number, is_text, value_type
from hyotan.preprocessing.columns import Column, distinct, simple_values
from hyotan.words import say

FEW_VALUES = 10
"""Whole numbers with at most so many different values are categories: classes, ranks, sizes."""

MOST_CATEGORIES, REPEATED = 100, 2
"""Text with more different values than this, or whose values stand less often than this on average, is ignored."""


@dataclass(frozen=True)
class Category(Column):
    """One of a few values: a number of 0 or 1 for each.

    Attributes
    ----------
    categories : the values seen, in order.
    n_categories : class attribute, how many there have to be; None for any number.
    implied : class attribute, how many of the first categories have no number of their own.
    """

    categories: tuple[str | int | float | bool, ...]

    kind: ClassVar[str] = "category"
    family: ClassVar[str] = "categorical"
    is_category: ClassVar[bool] = True
    n_categories: ClassVar[int | None] = None
    implied: ClassVar[int] = 0

    @property
    def encoded_names(self) -> list[str]:
        """Column and category."""
        return [f"{self.name}={value}" for value in self.categories[self.implied :]]

    @property
    def expected(self) -> str:  # pyrefly: ignore[bad-override]
        """As the categories are."""
        return "text" if isinstance(self.categories[0], str) else "numbers"

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether they are whole numbers with few different values, or text that repeats itself."""
        if is_text(values.type):
            n, filled = len(distinct(values)), len(values) - values.null_count
            is_told = types.is_dictionary(values.type)  # whoever made the table says that these are categories
            return n <= MOST_CATEGORIES and (is_told or filled >= REPEATED * n)
        return types.is_integer(value_type(values.type)) and len(distinct(values)) <= FEW_VALUES

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn the values there are, sorted."""
        return cls(name, tuple(sorted(distinct(values).to_pylist())))

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """A row of an identity matrix for each value, (n, width); a value not seen before is a missing value."""
        n = len(self.categories)
        table = np.vstack([np.eye(n), np.full(n, np.nan)]).astype(np.float32)
        return table[self.places(values), self.implied :]

    def places(self, values: pa.ChunkedArray) -> np.ndarray:
        """Which category each value is, (n,), int64; -1 for missing values and for values that were not seen."""
        coded = simple_values(values).combine_chunks().dictionary_encode()
        known = {value: place for place, value in enumerate(self.categories)}
        of_value = np.array([known.get(value, -1) for value in coded.dictionary.to_pylist()] + [-1])
        return of_value[np.asarray(coded.indices.fill_null(len(of_value) - 1))]

    def decoded(self, rows: np.ndarray) -> pa.Array:
        """The likeliest category."""
        return pa.array(self.categories).take(pa.array(self._likeliest(rows)))

    def _likeliest(self, rows: np.ndarray) -> np.ndarray:
        """Its place among the categories, (n,)."""
        return rows.argmax(axis=1)

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Values that are no category, as text."""
        return [str(value) for value in distinct(values).to_pylist() if value not in self.categories]

    def accepts(self, arrived: str) -> bool:
        """A number in place of a text is a new category."""
        return arrived in (self.expected, "numbers")

    def extent(self, values: pa.ChunkedArray) -> list[Any]:
        """The categories."""
        return list(self.categories)

    def spelled(self, value: Any) -> str:
        """The value itself."""
        return str(value)

    def typical_error(self, values: pa.ChunkedArray, made: pa.ChunkedArray, lang: str) -> str:
        """The share of the values that are wrong."""
        places, found = self.places(values), self.places(made)
        known = places >= 0
        share = float(np.mean(places[known] != found[known])) if known.any() else 0.0
        return say("columns.wrong", lang, share=f"{100 * share:.1f}")

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        """Refuses another number of categories than the kind has."""
        found = super().from_settings(settings | {"categories": tuple(settings["categories"])})
        if cls.n_categories not in (None, len(found.categories)):
            raise ValueError(f"a column of kind {cls.kind} with {len(found.categories)} categories")
        return found


@dataclass(frozen=True)
class YesNo(Category):
    """One of two values: the probability of the second."""

    kind: ClassVar[str] = "yes-no"
    family: ClassVar[str] = "bernoulli"
    n_categories: ClassVar[int | None] = 2
    implied: ClassVar[int] = 1

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether there are no more than two different ones."""
        return (is_number(values.type) or is_text(values.type)) and len(distinct(values)) <= 2

    def _likeliest(self, rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] >= 0.5).astype(np.int64)


@dataclass(frozen=True)
class Constant(Category):
    """A column that says the same in every row, and tells a model nothing; it comes back all the same."""

    kind: ClassVar[str] = "constant"
    family: ClassVar[str] = "none"
    n_categories: ClassVar[int | None] = 1
    implied: ClassVar[int] = 1

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether they are all the same."""
        return (is_number(values.type) or is_text(values.type)) and len(distinct(values)) == 1

    def _likeliest(self, rows: np.ndarray) -> np.ndarray:
        return np.zeros(len(rows), dtype=np.int64)

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Nothing is encoded, so nothing is lost."""
        return []

    def accepts(self, arrived: str) -> bool:
        """Whatever comes."""
        return True
