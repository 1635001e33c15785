"""Text tables: the encoding, the delimiter, the header, then pyarrow reads the columns."""

from __future__ import annotations

import csv
import io
import itertools
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hyotan.errors import DataError
from hyotan.words.phrases import counted

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SAMPLE_CHARACTERS = 2**16
SAMPLE_ROWS = 20
ARROW_BLOCK_BYTES = 2**24
MORE_WORDS_FOR_MISSING = ["None", "?"]
DECIMAL_COMMA = re.compile(r"(?<![\d.,])-?\d+,\d+(?![\d.,])")
DECIMAL_POINT = re.compile(r"\d\.\d")


@dataclass(frozen=True)
class Dialect:
    """How a text table is written."""

    delimiter: str
    decimal_point: str
    has_header: bool

    def notes(self, usual: str) -> list[str]:
        """A sentence for each thing that is not as usual."""
        found = []
        if self.delimiter != usual:
            found.append(f"The columns are separated by {DELIMITERS[self.delimiter]}, not by {DELIMITERS[usual]}.")
        if self.decimal_point == ",":
            found.append("Numbers such as 1,5 were read with a decimal comma.")
        if not self.has_header:
            found.append(
                "The first row holds numbers, so the columns were named column_1, column_2, …; "
                "write a first line of names if it was a header."
            )
        return found


def read_table(content: bytes, usual: str, as_text: Sequence[str] = ()) -> tuple[pa.Table, list[str]]:
    """The columns of a text table, and notes on what was guessed.

    Parameters
    ----------
    content : of the file.
    usual : the delimiter of its kind of file.
    as_text : columns whose values are kept as they are written.
    """
    text, notes = _decoded(content)
    if "\0" in text:
        raise DataError("The file holds zero bytes, so it is no text table.", "Check that it is what its name says.")
    if not text.strip():
        raise DataError("The file is empty.", "Write a line of column names, then one row a line.")
    dialect = _dialect(text, usual)
    return _parsed(text, dialect, as_text), [*notes, *dialect.notes(usual)]


def _decoded(content: bytes) -> tuple[str, list[str]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace"), ["The text was read as UTF-16."]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        return _decoded_cp932(content, error)


def _decoded_cp932(content: bytes, error: UnicodeDecodeError) -> tuple[str, list[str]]:
    try:
        text = content.decode("cp932")
    except UnicodeDecodeError:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"The text is neither UTF-8 nor Shift_JIS (line {line}, byte 0x{content[error.start]:02x}).",
            "Save it as UTF-8 (in a spreadsheet: 'CSV UTF-8').",
        ) from error
    return text, ["The text was read as Shift_JIS (cp932); save it as UTF-8 if the names look wrong."]


def _dialect(text: str, usual: str) -> Dialect:
    sample = text[:SAMPLE_CHARACTERS]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    delimiter = _delimiter(sample, usual)
    comma = delimiter != "," and DECIMAL_COMMA.search(sample) and not DECIMAL_POINT.search(sample)
    header = _rows(sample, delimiter)[0]
    return Dialect(delimiter, "," if comma else ".", not _looks_like_data(header))


def _delimiter(sample: str, usual: str) -> str:
    """The delimiter that cuts the header and the typical row into most fields; the usual one where they draw."""
    order = [usual, *(d for d in DELIMITERS if d != usual)]
    return max(order, key=lambda delimiter: _fields(_rows(sample, delimiter)))


def _fields(rows: Sequence[Sequence[str]]) -> int:
    header, *rest = (len(row) for row in rows)
    return min(header, statistics.median_low(rest)) if rest else header


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    rows = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    return list(itertools.islice(filter(None, rows), SAMPLE_ROWS + 1))


def _looks_like_data(header: Sequence[str]) -> bool:
    # pandas writes a nameless array's columns as 0,1,2,…: those are names.
    counting = len(header) > 1 and list(header) == [str(n) for n in range(len(header))]
    return not counting and all(reads_as_number(field.replace(",", ".")) for field in header)


def reads_as_number(value: Any) -> bool:
    """Whether Python reads a value, or its text, as a number."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _parsed(text: str, dialect: Dialect, as_text: Sequence[str]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as arrow

    convert = arrow.ConvertOptions(strings_can_be_null=True, decimal_point=dialect.decimal_point)
    convert.null_values = [*convert.null_values, *MORE_WORDS_FOR_MISSING]
    convert.column_types = {name: pa.string() for name in as_text}
    try:
        table = arrow.read_csv(
            pa.BufferReader(text.encode("utf-8")),
            # Arrow's block must hold a whole row, and rows of wide tables are long. Arrow's threads bring no speed
            # where quoted values may hold line breaks, and where torch is loaded too they can abort the process at
            # its exit.
            arrow.ReadOptions(
                use_threads=False, block_size=ARROW_BLOCK_BYTES, autogenerate_column_names=not dialect.has_header
            ),
            arrow.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
            convert,
        )
    except pa.ArrowInvalid as error:
        raise _parse_error(text, dialect, error) from error
    if dialect.has_header:
        return table
    return table.rename_columns([f"column_{n}" for n in range(1, table.num_columns + 1)])


def _parse_error(text: str, dialect: Dialect, error: Exception) -> DataError:
    """Which line is ragged. Arrow reads in parallel and does not know its line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter)
    expected, line = 0, 1
    try:
        for row in reader:
            expected = expected or len(row)
            if row and len(row) != expected:
                return DataError(
                    f"Line {line} has {counted(len(row), 'field')}, but the first line has {expected}.",
                    "Mend that line; a field that holds the delimiter needs quotes.",
                )
            line = reader.line_num + 1
    except csv.Error:
        pass
    return DataError(f"The table cannot be read ({str(error).splitlines()[0]}).", "Check how the file was written.")
