"""Tables with columns of several kinds: to the model's numbers and back, column by column.

Columns of one family of distributions lie side by side, so that a likelihood takes each family at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from hyotan.data.frames import OWN, Frame, as_frame
from hyotan.errors import DataError, SettingsError, did_you_mean
from hyotan.preprocessing.column_kinds import CHOICES, IGNORE, class_of, column_from, kind_of
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.words.phrases import flag, listed

if TYPE_CHECKING:
    import pyarrow as pa

    from hyotan.preprocessing.columns import Column

SHOWN_CATEGORIES = 5

SCHEMA = "table/schema"
"""The array that holds the names and types of a table's columns in a model file."""

SETTINGS = {"likelihood": "auto", "scaling": "auto", "binarise": None, "output_activation": None}
"""Parameters of an estimator that a table decides column by column."""


class UnseenCategory(UserWarning):
    """Rows hold categories that were not there when the model was fitted; they count as missing."""


@dataclass(frozen=True)
class TablePreprocessor(Preprocessor):
    """From a table to the model's numbers, and back to a table with the same columns, types and categories.

    Attributes
    ----------
    columns : in the table's order.
    schema : names and types of the columns, as they came.
    library : whose tables come back where none is given: ``pandas``, ``polars``, ``pyarrow``, or ``hyotan``.
    """

    columns: tuple[Column, ...]
    schema: pa.Schema
    library: str = OWN
    range: tuple[float, float] = field(default=(0.0, 0.0), compare=False)

    layout: ClassVar[str] = "table"
    likelihood: ClassVar[str] = "mixed"  # pyrefly: ignore[bad-override]
    is_bounded: ClassVar[bool] = False  # pyrefly: ignore[bad-override]
    draws_rows: ClassVar[bool] = True
    meets_new_values: ClassVar[bool] = True
    has_one_scale: ClassVar[bool] = False

    @classmethod
    def fit(cls, X: Frame, train: Frame, settings: Mapping[str, Any]) -> Self:
        """Learn the columns of a table: categories from all rows, scales from those trained on.

        Parameters
        ----------
        X, train : all rows, and those trained on.
        settings : of the estimator; ``column_kinds`` says what a column is, by name, where it shall not be guessed: one
            of :data:`hyotan.preprocessing.column_kinds.CHOICES`.

        Raises
        ------
        SettingsError
            A parameter that a table decides by column; a kind that is not known, or of a column that is not there.
        DataError
            A column without a value, or nothing to learn from at all.
        """
        for name, default in SETTINGS.items():
            if settings[name] != default:
                raise SettingsError(
                    f"{name}={settings[name]!r} is for numbers alone; of these columns each has a likelihood of its "
                    "own.",
                    f"Leave {name} out, or keep the columns that are numbers.",
                )
        columns = _fitted_columns(X, train, dict(settings["column_kinds"] or {}))
        kept = X.table.select([column.name for column in columns])
        found = cls(tuple(columns), kept.schema.remove_metadata(), X.library)
        numbers = found.to_model(train)
        return replace(found, range=(float(np.nanmin(numbers)), float(np.nanmax(numbers))))

    @cached_property
    def order(self) -> list[int]:
        """The columns' places, those of one family side by side."""
        return sorted(range(len(self.columns)), key=lambda place: self.columns[place].family)

    @cached_property
    def slices(self) -> list[slice]:
        """Where each column's numbers stand in the model's row, in the table's order."""
        found: dict[int, slice] = {}
        start = 0
        for place in self.order:
            found[place] = slice(start, start + self.columns[place].width)
            start = found[place].stop
        return [found[place] for place in range(len(self.columns))]

    @property
    def width(self) -> int:
        """Numbers in the model's row."""
        return sum(column.width for column in self.columns)

    @property
    def names(self) -> list[str]:  # pyrefly: ignore[bad-override]
        """The columns' names."""
        return [column.name for column in self.columns]

    @property
    def encoded_columns(self) -> list[Column]:
        """The columns that have numbers, in the order of these."""
        return [self.columns[place] for place in self.order if self.columns[place].width]

    @property
    def encoded_names(self) -> list[str]:  # pyrefly: ignore[bad-override]
        """A name for each number in the model's row."""
        return [slot for place in self.order for slot in self.columns[place].encoded_names]

    def encode(self, X: Any, slack: float = 0.0) -> EncodedRows:
        """A table for the model, encoded now; X keeps the columns that the model ignores.

        Parameters
        ----------
        X : a table with at least these columns, in any order.
        slack : of no concern to a table.

        Raises
        ------
        DataError
            X is no table; a column is missing, or of another type.
        """
        frame = self.selected(X)
        self._warn_of_unseen(frame)
        return EncodedRows(self, as_frame(X), self.to_model(frame))

    def to_model(self, X: Any) -> np.ndarray:
        """The numbers of a table, (n, width), float32; NaN where a value is missing."""
        table = self.selected(X).table
        rows = np.empty((table.num_rows, self.width), dtype=np.float32)
        for column, place in zip(self.columns, self.slices, strict=True):
            rows[:, place] = column.encoded(table[column.name])
        return rows

    def to_frame(self, rows: np.ndarray) -> Frame:
        """Decode the model's numbers, (n, width), to a table: each to the nearest value of its column, NaN to a missing
        value.
        """
        import pyarrow as pa

        arrays, is_missing = [], np.isnan(rows)
        rows = np.where(is_missing, 0.0, rows) if is_missing.any() else rows
        for column, place, known in zip(self.columns, self.slices, self.schema, strict=True):
            values = column.decoded(rows[:, place])
            arrays.append(_cast(_with_missing_values(values, np.asarray(is_missing[:, place].any(axis=1))), known.type))
        return Frame(pa.Table.from_arrays(arrays, schema=self.schema), self.library)

    def to_data(self, numbers: np.ndarray, like: Any = None) -> Any:
        """A table of the library that made ``like``, or of the one that made the training rows."""
        library = getattr(like, "library", None)
        return self.to_frame(numbers).given_back(library)

    def with_values(self, X: Any, numbers: np.ndarray) -> Any:
        """The table with values where it had none; a category that was never seen stays."""
        known = self.to_model(X)
        frame: Any = as_frame(X)
        return frame.filled(self.to_frame(np.where(np.isnan(known), numbers, known))).given_back()

    def selected(self, X: Any) -> Frame:
        """The columns that the model knows, checked, in its order.

        Raises
        ------
        DataError
            X is no table; a column is missing, or of another type.
        """
        frame = as_frame(X)
        if frame is None:
            raise DataError(
                f"X is a {type(X).__name__}; the model was fitted on a table with the columns {listed(self.names)}.",
                "Pass a table of pandas, polars or pyarrow with these columns.",
            )
        if missing := [name for name in self.names if name not in frame.names]:
            raise DataError(
                f"The table has no column {listed(missing)}, which the model needs.",
                did_you_mean(missing[0], frame.names),
            )
        for column in self.columns:
            column.refuse_other_type(frame.table[column.name])
        return Frame(frame.table.select(self.names), frame.library)

    def _warn_of_unseen(self, frame: Frame) -> None:
        """Warn of categories that were not there when the model was fitted."""
        for column in self.columns:
            if unseen := column.unseen(frame.table[column.name]):
                warnings.warn(
                    f"Column '{column.name}' holds {listed(unseen, SHOWN_CATEGORIES)}, never seen when the model was "
                    "fitted: counted as missing.",
                    UnseenCategory,
                    stacklevel=2,
                )

    @property
    def feature_shape(self) -> tuple[int]:  # pyrefly: ignore[bad-override]
        """Numbers in the model's row."""
        return (self.width,)

    @property
    def parts_shape(self) -> tuple[int]:
        """The columns."""
        return (len(self.columns),)

    @property
    def is_ordered(self) -> np.ndarray:
        """Which numbers of the model's row are more or less of something, (width,), and no categories."""
        return np.array([not self.columns[p].is_category for p in self.order for _ in self.columns[p].encoded_names])

    @property
    def column_of_feature(self) -> tuple[int, ...] | None:
        """For each number in the model's row the place of its column among those that have numbers."""
        widths = [self.columns[place].width for place in self.order if self.columns[place].width]
        return tuple(number for number, width in enumerate(widths) for _ in range(width))

    def by_part(self, values: np.ndarray) -> np.ndarray:
        """What stands at each number of the model's row, (n, width), summed to (n, columns), in the table's order."""
        return np.stack([values[:, place].sum(axis=1) for place in self.slices], axis=1)

    def in_order_of(self, parts: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Of the columns that the model knows, (n, columns), to all columns of the table, (n, len(names))."""
        place = {str(name): at for at, name in enumerate(names)}
        whole = np.zeros((len(parts), len(place)))
        whole[:, [place[name] for name in self.names]] = parts
        return whole

    def observed(self, numbers: np.ndarray) -> np.ndarray:
        """Which columns have a value, (n, columns), bool, in rows of the model's numbers, (n, width), NaN at missing
        values.
        """
        return np.stack([~np.isnan(numbers[:, place]).all(axis=1) for place in self.slices], axis=1)

    @property
    def is_category(self) -> list[bool] | None:
        """Which of the columns that have numbers hold categories, in the table's order."""
        return [column.is_category for column in self.columns if column.width]

    def condensed(self, numbers: np.ndarray) -> np.ndarray:
        """The model's numbers, (n, width), as one a column, (n, columns that have numbers), float32; missing values are
        NaN.

        A category becomes its place among those that the column has, the likeliest one where several have a share.
        """
        parts = [numbers[:, place] for column, place in zip(self.columns, self.slices, strict=True) if column.width]
        chosen = [part.argmax(axis=1, keepdims=True) if part.shape[1] > 1 else part for part in parts]
        is_missing = [np.isnan(part).any(axis=1, keepdims=True) for part in parts]
        return np.where(np.hstack(is_missing), np.nan, np.hstack(chosen)).astype(np.float32)

    def expanded(self, condensed: np.ndarray) -> np.ndarray:
        """Undo :meth:`condensed`: the model's numbers, (n, width), float32."""
        rows, numbers = np.empty((len(condensed), self.width), dtype=np.float32), iter(condensed.T)
        for column, place in zip(self.columns, self.slices, strict=True):
            if column.width == 1:
                rows[:, place.start] = next(numbers)
            elif column.width:
                number = next(numbers)[:, None]
                rows[:, place] = np.where(np.isnan(number), np.nan, number == np.arange(column.width))
        return rows

    def to_settings(self) -> dict[str, Any]:
        """As JSON can hold it; the schema is kept beside it, in :meth:`arrays`."""
        table = {"columns": [column.to_settings() for column in self.columns], "library": self.library}
        return {
            "table": table,
            "feature_shape": list(self.feature_shape),
            "likelihood": self.likelihood,
            "range": list(self.range),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The schema as bytes, (m,), uint8."""
        return {SCHEMA: np.frombuffer(self.schema.serialize().to_pybytes(), dtype=np.uint8)}

    @classmethod
    def from_settings(
        cls, settings: Mapping[str, Any], schema: np.ndarray, limits: tuple[float, float] = (0.0, 0.0)
    ) -> TablePreprocessor:
        """Undo ``to_settings()["table"]`` and :meth:`arrays`; ``limits`` are the :attr:`range`.

        Raises
        ------
        TypeError, ValueError, KeyError
            They are no table's.
        """
        import pyarrow as pa

        try:
            read = pa.ipc.read_schema(pa.py_buffer(np.ascontiguousarray(schema, dtype=np.uint8).tobytes()))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"not a table's schema: {error}") from error
        columns = tuple(column_from(column) for column in settings["columns"])
        if [column.name for column in columns] != read.names:
            raise ValueError("the columns are not those of the schema")
        return cls(columns, read, str(settings["library"]), limits)


def _fitted_columns(frame: Frame, train: Frame, kinds: Mapping[str, str]) -> list[Column]:
    _check_kinds(kinds, frame.names)
    columns, ignored = [], []
    for name in frame.names:
        values = frame.table[name]
        _refuse_empty(name, values)
        kind = kinds.get(name) or kind_of(values)
        if kind is None:
            ignored.append(name)
        elif kind != IGNORE:
            from_all = class_of(kind).is_category or not _is_filled(train.table[name])
            columns.append(class_of(kind).fitted(name, values if from_all else train.table[name]))
    if ignored:
        warnings.warn(f"Left out, for hardly a value stands there twice: {listed(ignored)}.", UserWarning, stacklevel=2)
    if not any(column.width for column in columns):
        raise DataError(
            f"None of the columns {listed(frame.names)} tells rows apart.", "Give at least one column that varies."
        )
    return columns


def _is_filled(values: pa.ChunkedArray) -> bool:
    return values.null_count < len(values)


def _check_kinds(kinds: Mapping[str, str], names: Sequence[str]) -> None:
    for name, kind in kinds.items():
        if name not in names:
            raise SettingsError(f"No column is named '{name}'.", did_you_mean(name, names))
        if kind not in CHOICES:
            raise SettingsError(f"Column '{name}' cannot be taken for '{kind}'.", did_you_mean(kind, CHOICES))


def _refuse_empty(name: str, values: pa.ChunkedArray) -> None:
    if not _is_filled(values):
        raise DataError(f"No value at all stands in '{name}'.", f"Leave it out with {flag('ignore', [name])}.")


def _with_missing_values(values: pa.Array, is_missing: np.ndarray) -> pa.Array:
    """Values with missing values, (n,), among them."""
    import pyarrow as pa
    from pyarrow import compute

    if not is_missing.any():
        return values
    return compute.if_else(pa.array(~is_missing), values, pa.scalar(None, values.type))  # pyrefly: ignore[missing-attribute]


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values in the type that the column came in, categories of a data frame included."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return values.cast(kind.value_type).dictionary_encode().cast(kind)
    return values.cast(kind, safe=False)
