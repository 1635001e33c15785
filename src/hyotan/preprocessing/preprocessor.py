"""What kind of rows the data are: the one place that asks, and what every kind answers.

A preprocessor is fitted once, to the training rows, and is kept in the model file. It turns rows into
:class:`~hyotan.preprocessing.encoded.EncodedRows`, which every model takes, and a model's numbers back into rows of the
kind that came. What differs between vectors, images, sequences and tables is a method here, never a question elsewhere
(docs/decisions/0030).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hyotan.data.stored import Array
from hyotan.preprocessing.encoded import EncodedRows


class Preprocessor(ABC):
    """Between the data's rows and the model's numbers.

    Attributes
    ----------
    layout : how a row's values lie: ``vector``, ``image``, ``sequence`` or ``table``.
    feature_shape : of a row's numbers, as the network takes them.
    likelihood : the name of the likelihood that the rows call for.
    range : the least and the greatest number of the training rows.
    draws_rows : whether new rows are drawn from the likelihood by default, and not its mean: a mean has no category.
    meets_new_values : whether rows to come may hold values that none of the training rows had, such as a new category.
    is_bounded : whether the likelihood takes values of an interval alone.
    names : of a table's columns that the model reads; empty for other rows.
    encoded_names : of a row's numbers in one line, where they have names of their own.
    has_one_scale : whether all numbers are of one kind, so that their squared errors can be added up.
    """

    layout: ClassVar[str]
    draws_rows: ClassVar[bool] = False
    meets_new_values: ClassVar[bool] = False
    has_one_scale: ClassVar[bool] = True
    names: Sequence[str] = ()
    encoded_names: Sequence[str] | None = None

    if TYPE_CHECKING:  # fields of the classes below, which no property may shadow

        @property
        def feature_shape(self) -> tuple[int, ...]: ...  # noqa: D102
        @property
        def likelihood(self) -> str: ...  # noqa: D102
        @property
        def range(self) -> tuple[float, float]: ...  # noqa: D102
        @property
        def is_bounded(self) -> bool: ...  # noqa: D102

    @property
    def is_image(self) -> bool:
        """Whether a row can be shown as a picture, and compared as one."""
        return self.layout == "image"

    # -- there and back ------------------------------------------------------------------------------------------------

    def encode(self, X: Array, slack: float = 0.0) -> EncodedRows:
        """Rows that are checked, (n, *features), for the model.

        Parameters
        ----------
        X : as :func:`hyotan.estimators.inputs.check_rows` gives them.
        slack : how far values may leave the range of a bounded likelihood.

        Raises
        ------
        DataError
            They are not on the scale of the training rows.
        """
        return EncodedRows.of(self, X)

    @abstractmethod
    def to_model(self, X: Any) -> np.ndarray:
        """The numbers of some rows in memory, (n, *feature_shape), float32; NaN where a value is missing."""

    @abstractmethod
    def to_data(self, numbers: np.ndarray, like: Any = None) -> Any:
        """Rows in the data's own units of numbers, (n, *feature_shape).

        Parameters
        ----------
        numbers : in the model's range.
        like : rows as they came, whose kind of container is wanted; None for that of the training rows.
        """

    @abstractmethod
    def with_values(self, X: Any, numbers: np.ndarray) -> Any:
        """Rows as they came, with values in the place of those that are missing.

        Parameters
        ----------
        X : (n, *features), of which some values are missing.
        numbers : (n, *feature_shape), the model's numbers for all of them.
        """

    def pixel_scale(self, X: Any) -> tuple[float, float] | None:
        """The offset and the factor that make pixels, 0 to 255, the model's numbers; None where X holds none."""
        return None

    # -- parts of a row: a value, a pixel, a column --------------------------------------------------------------------

    @property
    def parts_shape(self) -> tuple[int, ...]:
        """The shape of a row's parts."""
        return self.feature_shape

    @property
    def is_scaled_by_feature(self) -> bool:
        """Whether each number has a scale of its own, so that images look right in the data's own units alone."""
        return False

    @property
    def column_of_feature(self) -> tuple[int, ...] | None:
        """The column that each number belongs to, where a column has several; None where each number is its own."""
        return None

    @property
    def is_ordered(self) -> np.ndarray:
        """Which numbers are more or less of something, (*feature_shape), and no categories."""
        return np.ones(self.feature_shape, dtype=bool)

    def by_part(self, values: np.ndarray) -> np.ndarray:
        """What stands at each number, (n, *feature_shape), summed to parts, (n, *parts_shape)."""
        return values

    def in_order_of(self, parts: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """What stands at each part, (n, *parts_shape), for all features of the given names, 0 for ignored ones."""
        return parts

    def observed(self, numbers: np.ndarray) -> np.ndarray:
        """Which parts have a value, (n, *parts_shape), bool."""
        return ~np.isnan(numbers)

    def in_line(self, numbers: np.ndarray) -> np.ndarray:
        """What stands at each number, (n, *feature_shape), in one line a row, (n, features), as figures show it."""
        return numbers.reshape(len(numbers), -1)

    # -- the model file ------------------------------------------------------------------------------------------------

    def is_same(self, other: Preprocessor) -> bool:
        """Whether another one makes the same numbers of the same rows."""
        ours, theirs = self.arrays(), other.arrays()
        settings = self.to_settings() | {"range": None}, other.to_settings() | {"range": None}
        return settings[0] == settings[1] and all(
            name in theirs and np.array_equal(ours[name], theirs[name]) for name in ours
        )

    @abstractmethod
    def to_settings(self) -> dict[str, Any]:
        """What the model file says of it, as JSON can hold it."""

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """What the model file holds of it, by name."""

    # -- a table's columns, of which other rows have none --------------------------------------------------------------

    @property
    def is_category(self) -> list[bool] | None:
        """Which columns hold categories, where each column may be drawn again given the others; None where not."""
        return None

    def condensed(self, numbers: np.ndarray) -> np.ndarray:
        """One number a column, (n, columns)."""
        raise NotImplementedError

    def expanded(self, condensed: np.ndarray) -> np.ndarray:
        """Undo :meth:`condensed`: (n, *feature_shape)."""
        raise NotImplementedError
