"""Columns with a few values in no order: categories, yes or no, and the same value in every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from hyotan.data.frames import is_number, is_text, value_type
from hyotan.preprocessing.columns import Column, distinct, plain
from hyotan.words import say

if TYPE_CHECKING:
    import pyarrow as pa

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
    """

    categories: tuple[str | int | float | bool, ...]

    kind: ClassVar[str] = "category"
    family: ClassVar[str] = "categorical"
    is_category: ClassVar[bool] = True
    n_categories: ClassVar[int | None] = None

    @property
    def width(self) -> int:
        """One for each category."""
        return len(self.categories)

    @property
    def encoded_names(self) -> list[str]:
        """Column and category."""
        return [f"{self.name}={value}" for value in self.categories]

    @property
    def expected(self) -> str:  # pyrefly: ignore[bad-override]
        """As the categories are."""
        return "text" if isinstance(self.categories[0], str) else "numbers"

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether they are whole numbers with few different values, or text that repeats itself."""
        from pyarrow import types

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
        """One row of an identity matrix for each value, (n, categories); a value not seen before is a missing value."""
        places = self.places(values)
        table = np.vstack([np.eye(len(self.categories), dtype=np.float32), np.full(len(self.categories), np.nan)])
        return table[places].astype(np.float32)

    def places(self, values: pa.ChunkedArray) -> np.ndarray:
        """Which category each value is, (n,), int64; -1 for missing values and for values that were not seen."""
        coded = plain(values).combine_chunks().dictionary_encode()
        known = {_key(value): place for place, value in enumerate(self.categories)}
        of_value = np.array([known.get(_key(value), -1) for value in coded.dictionary.to_pylist()] + [-1])
        return of_value[np.asarray(coded.indices.fill_null(len(of_value) - 1))]

    def decoded(self, rows: np.ndarray) -> pa.Array:
        """The likeliest category."""
        import pyarrow as pa

        return pa.array(self.categories).take(pa.array(self._likeliest(rows)))

    def _likeliest(self, rows: np.ndarray) -> np.ndarray:
        """Its place among the categories, (n,)."""
        return rows.argmax(axis=1)

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Values that are no category, as text."""
        known = {_key(value) for value in self.categories}
        return [str(value) for value in distinct(values).to_pylist() if _key(value) not in known]

    def accepts(self, arrived: str) -> bool:
        """A number in place of a text is a new category."""
        return arrived == self.expected or (self.expected == "text" and arrived == "numbers")

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
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Refuses another number of categories than the kind has."""
        categories = tuple(settings["categories"])
        if cls.n_categories not in (None, len(categories)):
            raise ValueError(f"a column of kind {cls.kind} with {len(categories)} categories")
        return cls(settings["name"], categories)


@dataclass(frozen=True)
class YesNo(Category):
    """One of two values: the probability of the second."""

    kind: ClassVar[str] = "yes-no"
    family: ClassVar[str] = "bernoulli"
    n_categories: ClassVar[int | None] = 2

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether there are no more than two different ones."""
        return (is_number(values.type) or is_text(values.type)) and len(distinct(values)) <= 2

    @property
    def width(self) -> int:
        """One for both."""
        return 1

    @property
    def encoded_names(self) -> list[str]:
        """Column and second value."""
        return [f"{self.name}={self.categories[1]}"]

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """0 or 1, (n, 1)."""
        places = self.places(values)
        return np.where(places < 0, np.nan, places)[:, None].astype(np.float32)

    def _likeliest(self, rows: np.ndarray) -> np.ndarray:
        return (rows[:, 0] >= 0.5).astype(np.int64)


@dataclass(frozen=True)
class Constant(Category):
    """A column that says the same in every row, and tells a model nothing; it comes back all the same."""

    kind: ClassVar[str] = "constant"
    family: ClassVar[str] = "none"
    n_categories: ClassVar[int | None] = 1

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether they are all the same."""
        return (is_number(values.type) or is_text(values.type)) and len(distinct(values)) == 1

    @property
    def width(self) -> int:
        """None."""
        return 0

    @property
    def encoded_names(self) -> list[str]:
        """None."""
        return []

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """Nothing, (n, 0)."""
        return np.empty((len(values), 0), dtype=np.float32)

    def _likeliest(self, rows: np.ndarray) -> np.ndarray:
        return np.zeros(len(rows), dtype=np.int64)

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Nothing is encoded, so nothing is lost."""
        return []

    def accepts(self, arrived: str) -> bool:
        """Whatever comes."""
        return True


def _key(value: Any) -> Any:
    """What equal values share, whatever type a reader gave them: 3 and 3.0, not '3' and 3."""
    return str(value) if isinstance(value, str) else value
