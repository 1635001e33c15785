"""Tables: what becomes a feature, a label, a missing value, and how the text around the numbers is read."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from hyotan.data import Dataset, load
from hyotan.data import arrays as array_limits
from hyotan.data.frames import Frame
from hyotan.errors import DataError

Writer = Callable[..., Path]
BIRDS = """species,island,length,mass,sex
Adelie,Torgersen,39.1,3750,male
Gentoo,Biscoe,46.5,5200,
Adelie,Dream,,3800,female
Chinstrap,Dream,50.0,,male
"""


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def writer(text: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writer


def save_parquet(path: Path, **columns: object) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


# --- numbers


def test_numbers_stay_numbers(write: Writer) -> None:
    dataset = load(write("a,b,c\n0,255,true\n7,3,false\n"))
    assert dataset.X.tolist() == [[0, 255, 1], [7, 3, 0]]
    assert dataset.X.dtype == np.float32
    assert dataset.feature_names == ("a", "b", "c")
    assert dataset.describe() == "2 rows, 3 columns, 0..255, no labels"
    assert dataset.notes == ()
    assert dataset.name == "t"


def test_parquet_reads_like_the_same_text_table(tmp_path: Path, write: Writer) -> None:
    columns = {
        "a": pa.array([0, 255], pa.uint8()),
        "b": pa.array([True, False]),
        "c": pa.array(["1.5", "2.5"]).cast(pa.float32()),
        "d": pa.array([Decimal("1.0"), Decimal("2.0")]),
        "e": pa.array([10, 10]).dictionary_encode(),
    }
    dataset = load(save_parquet(tmp_path / "t.parquet", **columns))
    text = load(write("a,b,c,d,e\n0,true,1.5,1.0,10\n255,false,2.5,2.0,10\n"))
    np.testing.assert_array_equal(dataset.X, text.X)
    assert dataset.fingerprint() == text.fingerprint()


def test_a_column_that_turns_to_fractions_late_is_read_whole(write: Writer) -> None:
    dataset = load(write("a,b\n" + "1,2\n" * 5000 + "1.5,2\n"))
    assert dataset.X[-1].tolist() == [1.5, 2]


def test_whole_numbers_beyond_float32_stay_exact(write: Writer) -> None:
    dataset = load(write("a,b\n16777217,1\n16777216,2\n"))
    assert dataset.X.dtype == np.float64
    assert dataset.X[:, 0].tolist() == [16777217, 16777216]
    assert dataset.notes == ("The numbers stay float64, since float32 cannot hold those in 'a'.",)
    assert load(write("a,b\n16777216,1\n16777215,2\n")).X.dtype == np.float32


def test_whole_numbers_beyond_float64_are_rounded_and_said_so(write: Writer) -> None:
    dataset = load(write("a\n9007199254740993\n1\n"))
    assert dataset.notes[1] == "Whole numbers from 9,007,199,254,740,992 on were rounded to what float64 can hold."


@pytest.mark.parametrize("values", [("1e300", "1"), ("100000000.1", "100000000.2")])
def test_fractions_that_float32_would_lose_stay_float64(write: Writer, values: tuple[str, str]) -> None:
    dataset = load(write("a,b\n{},1\n{},2\n".format(*values)))
    assert dataset.X[:, 0].tolist() == [float(value) for value in values]
    assert "float32 cannot hold those in 'a'" in dataset.notes[0]


@given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=2, max_size=2), min_size=2)
)
def test_csv_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]) -> None:
    path = tmp_path_factory.getbasetemp() / "back.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["p", "q"], *rows])
    np.testing.assert_array_equal(load(path).X, np.array(rows))


def test_infinite_values_are_refused_by_column(write: Writer) -> None:
    with pytest.raises(DataError, match=r"t\.csv: 1 infinite value, the first in row 2 of column 'b'"):
        load(write("a,b\n1,2\n3,inf\n"))


# --- text columns and labels


def test_text_and_missing_values_stay_a_table(write: Writer) -> None:
    dataset = load(write(BIRDS))
    assert isinstance(dataset.X, Frame)
    assert dataset.X.names == list(dataset.feature_names or ()) == ["species", "island", "length", "mass", "sex"]
    assert "3 of categories or text" in dataset.describe()
    assert load(write(BIRDS), label="species").y.tolist()[0] == "Adelie"
    assert dataset.fingerprint() == load(write(BIRDS)).fingerprint()
    assert dataset.fingerprint() != load(write(BIRDS), ignore="sex").fingerprint()


def test_rows_with_missing_values_are_left_out_of_a_table(write: Writer) -> None:
    whole = load(write(BIRDS), missing="drop")
    assert isinstance(whole.X, Frame)
    assert all(column.null_count == 0 for column in whole.X.table.columns)
    assert any("had missing values and were ignored (--missing drop)" in note for note in whole.notes)
    with pytest.raises(DataError, match=r"Columns that are no numbers have no mean to fill in \(--missing mean\)\."):
        load(write(BIRDS), missing="mean")


def test_numbers_alone_stay_a_table_where_that_is_asked_for(write: Writer) -> None:
    path = write("a,b\n1,2\n3,4\n")
    assert isinstance(load(path).X, np.ndarray)
    kept = load(path, as_table=True).X
    assert isinstance(kept, Frame)
    assert kept.table.to_pydict() == {"a": [1, 3], "b": [2, 4]}


def test_the_fix_works_when_pasted(write: Writer) -> None:
    dataset = load(write(BIRDS), label="species", ignore="island,sex", missing="drop")
    assert dataset.y.tolist() == ["Adelie", "Gentoo"]
    assert dataset.X.tolist() == [[np.float32(39.1), 3750], [46.5, 5200]]
    assert dataset.feature_names == ("length", "mass")


def test_the_value_that_spoils_a_column_of_numbers_is_shown(write: Writer) -> None:
    numbers = "".join(f"{n},{n}\n" for n in range(20))
    with pytest.raises(
        DataError,
        match=r"Column 'bill power' holds numbers, but also '13O'\. Mend the values, or ignore the column with "
        r"--ignore 'bill power' \(in Python: ignore=\['bill power'\]\)\.",
    ):
        load(write(f"bill power,mass\n{numbers}13O,2\n"))


def test_numbers_stored_as_text_are_said_to_be_text(tmp_path: Path) -> None:
    values = [str(n) for n in range(20)]
    path = save_parquet(tmp_path / "t.parquet", a=pa.array(values), b=list(range(20)))
    with pytest.raises(DataError, match=r"Column 'a' holds numbers stored as text, such as '0'\."):
        load(path)


def test_dates_and_lists_stay_as_they_are(write: Writer, tmp_path: Path) -> None:
    dated = load(write("day,x\n2024-02-29,1\n2024-03-01,2\n")).X
    assert isinstance(dated, Frame)
    assert [str(day) for day in dated.table["day"].to_pylist()] == ["2024-02-29", "2024-03-01"]
    nested = load(save_parquet(tmp_path / "t.parquet", a=[[1], [2]], b=[1, 2])).X
    assert isinstance(nested, Frame)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["3", "1"], [3, 1]),
        (["0.5", "1.5"], [0.5, 1.5]),
        (["true", "false"], [True, False]),
        (["b", "a"], ["b", "a"]),
        (["2024-02-29", "2024-03-01"], ["2024-02-29", "2024-03-01"]),
    ],
)
def test_a_label_may_be_of_any_type(write: Writer, values: list[str], expected: list) -> None:
    dataset = load(write("k,x\n{},1\n{},2\n".format(*values)), label="k")
    assert dataset.y.tolist() == expected
    assert dataset.X.tolist() == [[1], [2]]
    assert dataset.n_classes == 2


def test_categories_are_labels_by_their_words(tmp_path: Path) -> None:
    path = save_parquet(tmp_path / "t.parquet", k=pa.array(["b", "a", "b"]).dictionary_encode(), x=[1, 2, 3])
    assert load(path, label="k").y.tolist() == ["b", "a", "b"]
    assert isinstance(load(path).X, Frame)


@pytest.mark.parametrize("option", ["label", "ignore", "columns"])
def test_a_mistyped_column_is_answered_with_the_near_one(write: Writer, option: str) -> None:
    value = "lenght" if option == "label" else ["lenght"]
    with pytest.raises(DataError, match=rf"No column is named 'lenght' \(--{option}\)\. Did you mean 'length'\?"):
        load(write(BIRDS), **{option: value})


def test_columns_are_kept_in_the_asked_order(write: Writer) -> None:
    dataset = load(write("a,b,c,d\n1,2,3,x\n"), columns=["c", "a"])
    assert dataset.X.tolist() == [[3, 1]]
    assert dataset.feature_names == ("c", "a")
    assert load(write("a,b,c,d\n1,2,3,x\n"), columns="c,d,b", label="d", ignore="b").X.tolist() == [[3]]


def test_no_column_left_is_refused(write: Writer) -> None:
    with pytest.raises(DataError, match="No column is left as a feature. The table has 'a', 'b'"):
        load(write("a,b\n1,2\n"), label="a", ignore=["b"])


# --- missing values


def test_missing_values_are_counted_by_column_with_the_ways_out(write: Writer) -> None:
    with pytest.raises(DataError, match=r"2 values missing in 2 of 4 rows: 'length' \(1\), 'mass' \(1\)\.") as caught:
        load(write(BIRDS), label="species", ignore=["island", "sex"], missing="error")
    assert "--missing keep" in caught.value.fix
    assert "--missing drop" in caught.value.fix
    assert "--missing mean" in caught.value.fix
    assert "missing='keep'" in caught.value.fix


def test_dropping_leaves_whole_rows_and_says_how_many(write: Writer) -> None:
    dataset = load(write("a,b\n1,2\n,4\n5,6\n"), missing="drop")
    assert dataset.X.tolist() == [[1, 2], [5, 6]]
    assert dataset.notes == ("1 of 3 rows had missing values and were ignored (--missing drop).",)


def test_filling_takes_the_mean_of_what_is_there(write: Writer) -> None:
    dataset = load(write("a,b\n1,2\nNA,4\n5,nan\n"), missing="mean")
    assert dataset.X.tolist() == [[1, 2], [3, 4], [5, 3]]
    assert dataset.notes == ("The column's mean was filled in for 2 missing values in 'a', 'b' (--missing mean).",)


def test_missing_values_can_be_kept(write: Writer) -> None:
    dataset = load(write("a,b\n1,2\nNA,4\n5,nan\n"), missing="keep")
    np.testing.assert_array_equal(dataset.X, np.array([[1, 2], [np.nan, 4], [5, np.nan]], dtype=np.float32))
    told = "2 missing values in 'a', 'b'; the model learns from those that are there (--missing keep)."
    assert dataset.X.dtype == np.float32 and dataset.notes == (told,) and "1..5" in dataset.describe()


@pytest.mark.parametrize("word", ["", "NA", "NaN", "null", "n/a", "None", "?", '""'])
def test_words_for_a_missing_value(write: Writer, word: str) -> None:
    with pytest.raises(DataError, match=r"1 value missing in 1 of 2 rows: 'a' \(1\)"):
        load(write(f"a,b\n1,2\n{word},4\n"), missing="error")
    kept = load(write(f"a,b\n1,2\n{word},4\n"))
    assert np.isnan(kept.X).tolist() == [[False, False], [True, False]]
    assert kept.notes == ("1 missing value in 'a'; the model learns from those that are there (--missing keep).",)


def test_nan_in_parquet_is_a_missing_value_like_null(tmp_path: Path) -> None:
    path = save_parquet(tmp_path / "t.parquet", a=[1.0, float("nan"), 3.0], b=pa.array([1, None, 3]))
    with pytest.raises(DataError, match=r"2 values missing in 1 of 3 rows: 'a' \(1\), 'b' \(1\)"):
        load(path, missing="error")
    assert load(path, missing="mean").X.tolist() == [[1, 1], [2, 2], [3, 3]]


def test_no_missing_values_no_note(write: Writer) -> None:
    assert load(write("a\n1\n2\n"), missing="drop").notes == ()


def test_no_row_left_is_refused(write: Writer) -> None:
    with pytest.raises(DataError, match="Every row has a missing value"):
        load(write("a,b\n1,\n,2\n"), missing="drop")


@pytest.mark.parametrize("missing", ["error", "drop", "mean"])
def test_a_column_without_any_value_is_refused(write: Writer, missing: str) -> None:
    with pytest.raises(DataError, match="Every value is missing in 'b'. Type: --ignore b"):
        load(write("a,b\n1,\n2,\n"), missing=missing)


def test_a_row_without_a_label_is_dropped_where_missing_values_are(write: Writer) -> None:
    path = write("k,x\n3,1\n,2\n4,3\n")
    dataset = load(path, label="k", missing="drop")
    assert dataset.y.tolist() == [3, 4]
    assert dataset.y.dtype == np.int64


@pytest.mark.parametrize("missing", ["error", "mean"])
@pytest.mark.parametrize(
    ("values", "expected", "mark"),
    [(("3", "4"), [3, -1, 4], "-1"), (("a", "b"), ["a", None, "b"], "None")],
)
def test_rows_without_a_label_are_marked_and_kept(
    write: Writer, values: tuple, expected: list, mark: str, missing: str
) -> None:
    dataset = load(write("k,x\n{},1\n,2\n{},3\n".format(*values)), label="k", missing=missing)
    assert dataset.y.tolist() == expected
    assert dataset.notes == (f"1 row without a label, now {mark}.",)
    with pytest.raises(DataError, match=r"1 value missing in 1 of 3 rows: 'x' \(1\)"):
        load(write("k,x\n{},1\n,\n{},3\n".format(*values)), label="k", missing="error")


def test_the_mark_for_unlabelled_rows_must_be_free(write: Writer) -> None:
    with pytest.raises(DataError, match="-1, which would mark them, is itself a label"):
        load(write("k,x\n-1,1\n,2\n"), label="k", missing="mean")


# --- how the text is written


def test_a_byte_order_mark_is_no_part_of_the_first_name(write: Writer) -> None:
    assert load(write(b"\xef\xbb\xbfa,b\n1,2\n")).feature_names == ("a", "b")


def test_japanese_names_labels_and_paths(write: Writer) -> None:
    path = write("身長,体重,種\n1.5,2,ペンギン\n2.5,3,犬\n", "動物の表.csv")
    dataset = load(path, label="種")
    assert (dataset.name, dataset.feature_names) == ("動物の表", ("身長", "体重"))
    assert dataset.y.tolist() == ["ペンギン", "犬"]


def test_shift_jis_is_read_and_said_so(write: Writer) -> None:
    dataset = load(write("身長,体重\n1,2\n".encode("cp932")))
    assert dataset.feature_names == ("身長", "体重")
    assert dataset.notes == ("The text was read as Shift_JIS (cp932); save it as UTF-8 if the names look wrong.",)


def test_utf16_of_spreadsheets_is_read(write: Writer) -> None:
    dataset = load(write("長さ\t幅\r\n1\t2\r\n".encode("utf-16"), "t.tsv"))
    assert dataset.feature_names == ("長さ", "幅")
    assert dataset.notes == ("The text was read as UTF-16.",)


def test_other_encodings_are_refused_with_the_line(write: Writer) -> None:
    with pytest.raises(DataError, match=r"neither UTF-8 nor Shift_JIS \(line 3, byte 0xe9\)\. Save it as UTF-8"):
        load(write("a,b\n1,2\ncafé,3\n".encode("latin-1")))


def test_binary_content_is_refused(write: Writer) -> None:
    with pytest.raises(DataError, match="holds zero bytes, so it is no text table"):
        load(write(b"a,b\n\0\0\0,1\n"))


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("t.csv", "a;b\n1;2\n", "The columns are separated by semicolons, not by commas."),
        ("t.csv", "a\tb\n1\t2\n", "The columns are separated by tabs, not by commas."),
        ("t.tsv", "a,b\n1,2\n", "The columns are separated by commas, not by tabs."),
        ("t.csv", "a|b\n1|2\n", "The columns are separated by vertical bars, not by commas."),
    ],
)
def test_other_delimiters_are_found_and_noted(write: Writer, name: str, text: str, note: str) -> None:
    dataset = load(write(text, name))
    assert dataset.X.tolist() == [[1, 2]]
    assert dataset.notes == (note,)


def test_tabs_in_a_tsv_need_no_note(write: Writer) -> None:
    assert load(write("a, wide\tb\n1\t2\n", "t.tsv")).notes == ()


def test_decimal_commas_come_with_semicolons(write: Writer) -> None:
    dataset = load(write("a;b\n1,5;2\n-2,25;3\n"))
    assert dataset.X.tolist() == [[1.5, 2], [-2.25, 3]]
    assert dataset.notes[1] == "Numbers such as 1,5 were read with a decimal comma."


def test_the_delimiter_is_not_taken_from_inside_names_or_quotes(write: Writer) -> None:
    assert load(write('height (cm, bare);"mass; dry"\n1;2\n3;4\n')).feature_names == ("height (cm, bare)", "mass; dry")
    quoted = load(write('k,x\n"a;b;c",1\n"d\ne",2\n'), label="k")
    assert quoted.y.tolist() == ["a;b;c", "d\ne"]


def test_spaces_around_names_and_numbers_do_not_count(write: Writer) -> None:
    dataset = load(write("a, b\n 1, 2.5\n3 ,4 \n"))
    assert dataset.feature_names == ("a", "b")
    assert dataset.X.tolist() == [[1, 2.5], [3, 4]]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_line_endings_and_empty_lines_do_not_count(write: Writer, ending: str) -> None:
    assert load(write(ending.join(["a,b", "1,2", "3,4", ""]))).X.tolist() == [[1, 2], [3, 4]]


def test_a_missing_header_is_noticed(write: Writer) -> None:
    dataset = load(write("0.5,1\n2.5,3\n"))
    assert dataset.X.tolist() == [[0.5, 1], [2.5, 3]]
    assert dataset.feature_names == ("column_1", "column_2")
    assert dataset.notes[0].startswith("The first row holds numbers, so the columns were named column_1, column_2, …")


def test_counting_names_of_a_nameless_array_are_names(write: Writer) -> None:
    dataset = load(write("0,1,2\n5,6,7\n"))
    assert dataset.feature_names == ("0", "1", "2")
    assert dataset.X.tolist() == [[5, 6, 7]]


def test_repeated_names_are_numbered(write: Writer) -> None:
    dataset = load(write("a,a,b,a\n1,2,3,4\n"))
    assert dataset.feature_names == ("a", "a_2", "b", "a_3")
    assert dataset.notes == ("Columns without a name, or with the name of another, are now 'a_2', 'a_3'.",)


def test_a_column_that_counts_the_rows_is_kept_and_noted(write: Writer) -> None:
    dataset = load(write(",x\n0,5\n1,6\n2,8\n"))
    assert dataset.feature_names == ("unnamed_1", "x")
    assert dataset.notes[-1] == "'unnamed_1' only counts the rows; ignore it with --ignore unnamed_1."
    assert "counts the rows" in load(write("id,x\n1,5\n2,6\n")).notes[0]
    assert load(write("x,y\n0,5\n1,6\n2,8\n")).notes == ()
    assert load(write("id,x\n4,5\n9,6\n")).notes == ()
    assert not any("counts" in note for note in load(write(",x\n0,5\n1,6\n"), ignore="unnamed_1").notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n5,6\n", "Line 3 has 1 field, but the first line has 2"),
        ("a,b\n1,2\n\n3,4,5\n", "Line 4 has 3 fields, but the first line has 2"),
        ('a,b\n1,"x\ny"\n3\n', "Line 4 has 1 field, but the first line has 2"),
    ],
)
def test_a_ragged_row_is_named_by_its_line(write: Writer, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"t\.csv: {message}\. Mend that line"):
        load(write(text))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \n"])
def test_an_empty_file_is_said_to_be_empty(write: Writer, content: bytes) -> None:
    with pytest.raises(DataError, match=r"t\.csv: The file is empty"):
        load(write(content))


def test_a_header_alone_is_no_table(write: Writer) -> None:
    with pytest.raises(DataError, match="The table has column names but no rows"):
        load(write("a,b\n"))


# --- Parquet files as files


def test_a_damaged_parquet_file_is_named(write: Writer) -> None:
    with pytest.raises(DataError, match=r"t\.parquet: The Parquet file cannot be read"):
        load(write(b"PAR1 not at all", "t.parquet"))


def test_a_parquet_file_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_parquet(tmp_path / "t.parquet", a=np.random.default_rng(0).normal(size=1000))
    monkeypatch.setattr(array_limits, "LARGEST_BYTES", 5000)
    with pytest.raises(DataError, match=r"the table would take [\d,]+ bytes; the limit is 5,000"):
        load(path)


# --- real tables


def table(name: str) -> Path:
    path = Path(os.environ.get("HYOTAN_DATA", "."), "tables", name)
    if not path.is_file():
        pytest.skip(f"HYOTAN_DATA names no folder that holds tables/{name}")
    return path


def test_penguins() -> None:
    dataset = load(table("penguins.csv"), label="species", ignore=["island", "sex"], missing="drop")
    assert dataset.describe() == "342 rows, 4 columns, 13.1..6,300, 3 labels"
    counts = dict(zip(*np.unique(dataset.y, return_counts=True), strict=True))
    assert counts == {"Adelie": 151, "Chinstrap": 68, "Gentoo": 123}


def test_diamonds_limited() -> None:
    dataset = load(table("diamonds.csv"), label="cut", ignore=["color", "clarity"], limit=500)
    assert dataset.X.shape == (500, 7)
    assert dataset.n_classes == 5
    assert isinstance(dataset, Dataset)
