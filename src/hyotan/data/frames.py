"""Tables whose columns are not all numbers: one thing to hold them, whoever made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from hyotan.errors import DataError
from hyotan.words.phrases import counted, listed

if TYPE_CHECKING:
    import pyarrow as pa

Places: TypeAlias = "int | slice | np.ndarray | Sequence[int]"

OWN, LIBRARIES = "hyotan", ("pandas", "polars", "pyarrow")
"""Who can have made a table; results go back as they came."""


class Frame:
    """The rows of a table, columns by name; numbers, text, dates and missing values as they are.

    Parameters
    ----------
    table : the columns.
    library : ``pandas``, ``polars`` or ``pyarrow``, whose table it was; ``hyotan`` for one that was read from a file.
    """

    ndim = 2
    dtype = np.dtype(object)

    def __init__(self, table: pa.Table, library: str = OWN) -> None:
        self.table, self.library = table, library

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.table.num_rows, self.table.num_columns

    @property
    def nbytes(self) -> int:
        """What the columns take in memory."""
        return self.table.nbytes

    @property
    def has_missing(self) -> bool:
        """Whether a value is missing."""
        return self.count_missing() > 0

    def count_missing(self) -> int:
        """How many values are missing; NaN among numbers is one."""
        return sum(int(column.is_null(nan_is_null=True).to_numpy().sum()) for column in self.table.columns)

    def filled(self, other: Frame) -> Self:
        """These rows with the values of another table where they have none; columns that it lacks stay as they are."""
        import pyarrow as pa

        columns = []
        for name, column in zip(self.names, self.table.columns, strict=True):
            if name in other.names:
                column = _chosen(column.is_null(nan_is_null=True), other.table[name].cast(column.type), column)
            columns.append(column)
        return type(self)(pa.Table.from_arrays(columns, schema=self.table.schema), self.library)

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return self.table.column_names

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, places: Places) -> Self:
        """Some rows, by slice, numbers or a mask; one row by its number, as a table of one."""
        if isinstance(places, int | np.integer):
            places = [int(places)]
        if isinstance(places, slice):
            start, stop, step = places.indices(len(self))
            if step == 1:
                return type(self)(self.table.slice(start, max(0, stop - start)), self.library)
            places = np.arange(start, stop, step)
        rows = np.asarray(places)
        return type(self)(self.table.take(np.flatnonzero(rows) if rows.dtype == bool else rows), self.library)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise DataError(
            f"Columns of several kinds ({listed(self.names, 4)}) are no array.", "Keep the columns that are numbers."
        )

    def __repr__(self) -> str:
        return f"Frame({len(self):,} rows: {', '.join(self.names)})"

    def describe(self) -> str:
        """How many columns hold numbers, and how many missing values there are."""
        from pyarrow import types

        schema = self.table.schema
        counts = {
            "of numbers": sum(is_number(kind) and not types.is_boolean(kind) for kind in schema.types),
            "of dates": sum(types.is_temporal(kind) for kind in schema.types),
        }
        counts["of categories or text"] = len(schema) - sum(counts.values())
        missing = self.count_missing()
        words = [f"{n} {what}" for what, n in counts.items() if n]
        words += [counted(missing, "missing value")] if missing else []
        return ", ".join(words)

    def joined(self, other: Frame | None) -> Self:
        """These rows, then those of another table with the same columns."""
        import pyarrow as pa

        if other is None or set(other.names) != set(self.names):
            raise DataError("The two rows have different columns.", "Pass two rows of one table.")
        both = pa.concat_tables([self.table, other.table.select(self.names)], promote_options="permissive")
        return type(self)(both, self.library)

    def given_back(self, like: str | None = None) -> Any:
        """The table as its user knows tables.

        Parameters
        ----------
        like : a library's name, instead of the one it came from; without that library, pyarrow's table.
        """
        library = self.library if like is None else like
        if library == OWN:
            return self
        if library == "pandas":
            try:
                return self.table.to_pandas()
            except ImportError:
                return self.table
        if library == "polars":
            try:
                import polars  # pyrefly: ignore[missing-import]
            except ImportError:
                return self.table
            return polars.from_arrow(self.table)
        return self.table

    def pieces(self) -> Iterator[bytes]:
        """Names, types and values as bytes, the same however the columns are cut into chunks."""
        import pyarrow as pa

        whole = self.table.combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, whole.schema.remove_metadata()) as writer:
            writer.write_table(pa.Table.from_arrays(whole.columns, names=whole.column_names))
        yield sink.getvalue().to_pybytes()


def as_frame(X: Any) -> Frame | None:
    """A table of pandas, polars, pyarrow or ours as a :class:`Frame`; None for anything else.

    Raises
    ------
    DataError
        A column holds values of several kinds; two columns share a name.
    """
    if isinstance(X, Frame):
        return X
    library = type(X).__module__.split(".")[0]
    if library not in LIBRARIES or not hasattr(X, "shape") or len(X.shape) != 2:
        return None
    import pyarrow as pa

    try:
        table = _arrow(X, library)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"The table cannot be read ({str(error).splitlines()[0]}).",
            "Give every column values of one kind: all text, all numbers or all dates.",
        ) from error
    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"Two columns are named '{twice[0]}'.", "Give every column a name of its own.")
    return Frame(table, library)


def _arrow(X: Any, library: str) -> pa.Table:
    import pyarrow as pa

    if library == "pyarrow":
        if not isinstance(X, pa.Table):
            raise TypeError(f"expected a pyarrow.Table, got {type(X).__name__}")
        return X
    if library == "polars":
        return X.to_arrow()
    renamed = X.set_axis([str(name) for name in X.columns], axis=1)
    return pa.Table.from_pandas(renamed, preserve_index=False).replace_schema_metadata(None)


def _chosen(first: pa.ChunkedArray, values: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values where ``first`` is true, others elsewhere."""
    import pyarrow as pa

    both = pa.chunked_array([*values.chunks, *others.chunks], type=values.type)
    places = np.where(first.to_numpy(), np.arange(len(values)), len(values) + np.arange(len(others)))
    return both.take(pa.array(places))


def plain_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of categories as the values that they stand for, any other one as it is."""
    kind = value_type(column.type)
    return column if kind == column.type else column.cast(kind)


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values: of categories that of what they stand for."""
    from pyarrow import types

    return kind.value_type if types.is_dictionary(kind) else kind


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers, or true and false."""
    from pyarrow import types

    kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
    return any(is_kind(value_type(kind)) for is_kind in kinds)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    from pyarrow import types

    return any(is_kind(value_type(kind)) for is_kind in (types.is_string, types.is_large_string, types.is_string_view))


def mixed_frame(X: Any) -> Frame | None:
    """X as a frame, where it is a table with a column that is no number; None for everything else."""
    frame = as_frame(X)
    if frame is None or frame is X:  # whoever made one has looked at its columns
        return frame
    return None if all(is_number(kind) for kind in frame.table.schema.types) else frame
