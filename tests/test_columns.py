"""Columns of every kind, to the model's numbers and back."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv
from scipy import stats

from hyotan.data import load
from hyotan.data.frames import Frame, as_frame, mixed_frame
from hyotan.errors import DataError, SettingsError
from hyotan.preprocessing.column_kinds import KINDS, class_of, column_from, kind_of
from hyotan.preprocessing.number_columns import Count, Number
from hyotan.preprocessing.tabular import SCHEMA, SETTINGS, TablePreprocessor, UnseenCategory

RANDOM = np.random.default_rng(0)


def fit_table(frame: Frame, train: Frame, kinds: dict[str, str] | None = None) -> TablePreprocessor:
    return TablePreprocessor.fit(frame, train, {**SETTINGS, "column_kinds": kinds})


def column(values: object, kind: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, type=kind)])


KINDS_OF = [
    (["赤", "青", "赤", None, "緑", "青", "緑"], "category"),
    (["yes", "no", "yes"], "yes-no"),
    ([True, False, None, True], "yes-no"),
    ([0, 1, 1, 0], "yes-no"),
    ([1, 2, 3, 1, 2, 3], "category"),
    ([0.5, 1.25, 2.5, 9.75], "number"),
    ([7, 7, None, 7], "constant"),
    ([datetime.date(2020, 1, 1), datetime.date(2021, 5, 6), None], "date"),
    (list(range(100, 200)), "number"),
    ([0] * 50 + [1] * 20 + list(range(2, 15)), "count"),
]


@pytest.mark.parametrize(("values", "kind"), KINDS_OF)
def test_the_kind_is_found_from_the_values(values: list[object], kind: str) -> None:
    assert kind_of(column(values)) == kind


@pytest.mark.parametrize("values", [[f"id-{n}" for n in range(40)], [[1], [2]], [b"a", b"b", b"c"]])
def test_there_is_nothing_to_learn_from_names_lists_and_bytes(values: list[object]) -> None:
    assert kind_of(column(values)) is None


@pytest.mark.parametrize(("values", "kind"), KINDS_OF)
def test_what_was_seen_comes_back_as_it_was(values: list[object], kind: str) -> None:
    given_values = column(values)
    fitted = class_of(kind).fitted("x", given_values)
    encoded = fitted.encoded(given_values)
    assert encoded.shape == (len(values), fitted.width)
    assert encoded.dtype == np.float32
    back = fitted.decoded(np.nan_to_num(encoded)).cast(given_values.type).to_pylist()
    assert [b for a, b in zip(values, back, strict=True) if a is not None] == [a for a in values if a is not None]


@pytest.mark.parametrize(("values", "kind"), [pair for pair in KINDS_OF if None in pair[0] and pair[1] != "constant"])
def test_a_missing_value_is_nan_in_all_of_its_numbers(values: list[object], kind: str) -> None:
    encoded = class_of(kind).fitted("x", column(values)).encoded(column(values))
    is_missing = np.array([value is None for value in values])
    assert np.isnan(encoded[is_missing]).all()
    assert np.isfinite(encoded[~is_missing]).all()


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=5, max_size=60))
def test_numbers_are_decoded_to_what_they_were(values: list[float]) -> None:
    fitted = Number.fitted("x", column(values, pa.float64()))
    back = fitted.decoded(fitted.encoded(column(values, pa.float64()))).to_numpy()
    np.testing.assert_allclose(back, values, atol=2e-3 * max(1e-3, np.ptp(values)))


def test_the_bend_is_that_of_scipy() -> None:
    x = RANDOM.lognormal(sigma=1.0, size=2000)
    fitted = Number.fitted("x", column(x))
    assert fitted.power is not None
    bent, power = stats.yeojohnson((x - fitted.centre) / fitted.spread)
    assert fitted.power == pytest.approx(power, abs=1e-3)
    expected = (bent - bent.mean()) / bent.std()
    np.testing.assert_allclose(fitted.encoded(column(x))[:, 0], expected, atol=2e-3)


def test_decoded_numbers_stay_where_numbers_were_seen_with_as_many_decimals() -> None:
    fitted = Number.fitted("price", column([1.25, 2.5, 3.75, 9.0]))
    found = fitted.decoded(np.array([[-50.0], [0.1234], [50.0]])).to_numpy()
    assert found[0] == 1.25 and found[2] == 9.0
    assert found[1] == round(found[1], 2)


def test_heavy_tails_are_students() -> None:
    assert Number.fitted("x", column(RANDOM.standard_t(2.5, 3000))).family == "student-t"
    assert Number.fitted("x", column(RANDOM.normal(size=3000))).family == "gaussian"


def test_a_negative_number_is_no_count() -> None:
    with pytest.raises(SettingsError, match=r"Column 'n' holds -1, which is no count\. Take it as a number\."):
        class_of("count").fitted("n", column([0, 1, -1]))


def test_a_date_comes_back_to_the_day_and_a_time_to_the_second() -> None:
    days = [datetime.date(1969, 7, 20), datetime.date(2024, 2, 29), datetime.date(2026, 11, 25)]
    fitted = class_of("date").fitted("day", column(days))
    assert fitted.decoded(fitted.encoded(column(days))).cast(pa.date32()).to_pylist() == days
    times = [datetime.datetime(2026, 1, 1, 12, 30), datetime.datetime(2026, 1, 3), datetime.datetime(2026, 2, 1)]
    fitted = class_of("date").fitted("at", column(times))
    back = fitted.decoded(fitted.encoded(column(times))).to_pylist()
    assert all(abs(a - b) < datetime.timedelta(minutes=1) for a, b in zip(times, back, strict=True))


@pytest.mark.parametrize(("values", "kind"), KINDS_OF)
def test_what_was_learned_is_plain_data(values: list[object], kind: str) -> None:
    fitted = class_of(kind).fitted("x", column(values))
    assert column_from(json.loads(json.dumps(fitted.to_settings()))) == fitted


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "pickle"}, "not a column"),
        ({"kind": "yes-no"}, "a column of kind yes-no with 3 categories"),
        ({"more": 1}, "not a column"),
        ({"name": None, "kind": None}, "not a column"),
    ],
)
def test_settings_that_are_no_columns_are_refused(changed: dict[str, object], said: str) -> None:
    settings = class_of("category").fitted("x", column(["a", "b", "c", "a"])).to_settings()
    with pytest.raises(ValueError, match=said):
        column_from({**settings, **changed})


def test_a_scale_of_nothing_is_refused() -> None:
    settings = class_of("number").fitted("x", column([1.5, 2.0, 7.25])).to_settings()
    for broken in ({"factor": 0.0}, {"spread": 0.0}, {"offset": float("nan")}):
        with pytest.raises(ValueError, match="not finite"):
            column_from({**settings, **broken})


def test_another_type_is_refused_by_name() -> None:
    age = class_of("number").fitted("年齢", column([1.5, 20.0, 31.0]))
    with pytest.raises(
        DataError,
        match=r"Column '年齢' holds text \(such as '若い'\); the model was fitted on numbers there\. "
        r"Bring the column to the type that it had\.",
    ):
        age.refuse_other_type(column(["若い", None]))
    age.refuse_other_type(column([None, None], pa.null()))
    colour = class_of("yes-no").fitted("colour", column(["a", "b", "a"]))
    with pytest.raises(DataError, match="Column 'colour' holds dates"):
        colour.refuse_other_type(column([datetime.date(2020, 1, 1)]))


# -- whole tables ----------------------------------------------------------------------------------------------------


def some_table(n: int = 60) -> pa.Table:
    random = np.random.default_rng(1)
    return pa.table(
        {
            "身長": random.normal(170, 8, n).round(1),
            "血液型": random.choice(["A", "B", "AB", "O"], n),
            "会員": random.choice([True, False], n),
            "訪問": pa.array(random.negative_binomial(1, 0.1, n)),
            "登録日": pa.array(
                [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in random.integers(0, 900, n)]
            ),
            "国": ["日本"] * n,
            "備考": [f"自由記述 {k}" for k in range(n)],
        }
    )


def fitted_table(table: pa.Table) -> TablePreprocessor:
    with pytest.warns(UserWarning, match=r"Left out, for hardly a value stands there twice: '備考'\."):
        return fit_table(Frame(table), Frame(table))


def test_a_table_comes_back_with_its_columns_types_and_values() -> None:
    table = some_table()
    scaling = fitted_table(table)
    back = scaling.to_frame(scaling.to_model(Frame(table))).table
    kept = table.drop_columns(["備考"])
    assert back.schema.equals(kept.schema)
    assert back.to_pylist() == kept.to_pylist()


def test_columns_of_one_family_lie_side_by_side() -> None:
    scaling = fitted_table(some_table())
    families = [scaling.columns[place].family for place in scaling.order]
    assert families == sorted(families)
    assert len(scaling.encoded_names) == scaling.width == scaling.to_model(Frame(some_table())).shape[1]
    where = dict(zip(scaling.names, scaling.slices, strict=True))
    assert scaling.encoded_names[where["血液型"]] == ["血液型=A", "血液型=AB", "血液型=B", "血液型=O"]


def test_sums_by_column_leave_nothing_out() -> None:
    scaling = fitted_table(some_table())
    values = RANDOM.random((5, scaling.width))
    by_column = scaling.by_part(values)
    assert by_column.shape == (5, len(scaling.columns))
    np.testing.assert_allclose(by_column.sum(1), values.sum(1))
    blood = scaling.names.index("血液型")
    np.testing.assert_allclose(by_column[:, blood], values[:, scaling.slices[blood]].sum(1))


def test_pandas_polars_and_pyarrow_come_back_as_they_were() -> None:
    pandas = pytest.importorskip("pandas")
    table = some_table().drop_columns(["備考"])
    frame = as_frame(table.to_pandas())
    assert frame is not None
    scaling = fit_table(frame, frame)
    back = scaling.to_data(scaling.to_model(table))
    assert isinstance(back, pandas.DataFrame)
    assert list(back.columns) == table.column_names
    assert isinstance(scaling.to_frame(scaling.to_model(table)).given_back("pyarrow"), pa.Table)


def test_a_data_frames_categories_come_back() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"size": pandas.Categorical(["S", "M", "L", "M"], categories=["S", "M", "L"]), "n": [1.5, 2, 3, 4]}
    )
    scaling = fit_table(as_frame(frame), as_frame(frame))  # pyrefly: ignore[bad-argument-type]
    back = scaling.to_data(scaling.to_model(frame))
    assert back["size"].dtype.name == "category"
    assert back["size"].tolist() == ["S", "M", "L", "M"]


def test_a_table_of_numbers_alone_is_no_mixed_one() -> None:
    assert mixed_frame(pa.table({"a": [1, 2], "b": [0.5, None]})) is None
    assert mixed_frame(np.ones((3, 2))) is None
    assert mixed_frame(pa.table({"a": [1, 2], "b": ["x", "y"]})) is not None


def test_an_unseen_category_is_a_missing_value_and_is_said() -> None:
    scaling = fitted_table(some_table())
    new = some_table(2).set_column(1, "血液型", pa.array(["C", "A"]))
    message = r"Column '血液型' holds 'C', never seen when the model was fitted: counted as missing\."
    with pytest.warns(UnseenCategory, match=message):
        rows = scaling.encode(new).numbers
    where = scaling.slices[scaling.names.index("血液型")]
    assert np.isnan(rows[0, where]).all()
    assert rows[1, where].tolist() == [1, 0, 0, 0]


def test_a_missing_column_is_named() -> None:
    scaling = fitted_table(some_table())
    with pytest.raises(DataError, match=r"The table has no column '会員', which the model needs\."):
        scaling.to_model(some_table().drop_columns(["会員"]))


def test_an_array_in_place_of_a_table_is_refused() -> None:
    scaling = fitted_table(some_table())
    with pytest.raises(DataError, match=r"X is a ndarray; the model was fitted on a table with the columns '身長'"):
        scaling.to_model(np.ones((2, 7)))


def test_kinds_can_be_told() -> None:
    table = pa.table({"a": [1, 2, 3, 1, 2, 3], "b": ["x", "y", "x", "y", "x", "z"], "c": list("abcdef")})
    scaling = fit_table(Frame(table), Frame(table), {"a": "number", "c": "ignore"})
    assert [(column.name, column.kind) for column in scaling.columns] == [("a", "number"), ("b", "category")]
    with pytest.raises(SettingsError, match=r"No column is named 'd'\. Choose from: a, b, c\."):
        fit_table(Frame(table), Frame(table), {"d": "number"})
    with pytest.raises(SettingsError, match=r"Column 'a' cannot be taken for 'nummer'\. Did you mean 'number'\?"):
        fit_table(Frame(table), Frame(table), {"a": "nummer"})


def test_nothing_to_learn_from_is_refused() -> None:
    table = pa.table({"a": ["x"] * 4})
    with pytest.raises(DataError, match=r"None of the columns 'a' tells rows apart\."):
        fit_table(Frame(table), Frame(table))
    empty_columns = pa.table({"a": ["x", "y"], "b": pa.array([None, None], pa.string())})
    with pytest.raises(DataError, match=r"No value at all stands in 'b'\. Leave it out with --ignore b\."):
        fit_table(Frame(empty_columns), Frame(empty_columns))


def test_a_column_of_two_kinds_and_two_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=r"Give every column values of one kind: all text, all numbers or all dates\."):
        as_frame(pandas.DataFrame({"a": ["x", 3.5, None]}))
    with pytest.raises(DataError, match=r"Two columns are named 'a'\. Give every column a name of its own\."):
        as_frame(pa.table([pa.array([1]), pa.array(["x"])], names=["a", "a"]))


def test_rows_are_taken_by_slice_number_and_mask() -> None:
    frame = Frame(some_table(6))
    assert frame[1:3].table.equals(frame.table.slice(1, 2))
    assert frame[np.array([5, 0])].table["備考"].to_pylist() == ["自由記述 5", "自由記述 0"]
    assert len(frame[np.array([True, False] * 3)]) == 3
    assert frame[::2].table["備考"].to_pylist() == ["自由記述 0", "自由記述 2", "自由記述 4"]
    assert len(frame[4]) == 1
    assert frame[2:3].joined(frame[4]).table["備考"].to_pylist() == ["自由記述 2", "自由記述 4"]
    with pytest.raises(DataError, match=r"The two rows have different columns\. Pass two rows of one table\."):
        frame[0].joined(None)


def test_settings_and_schema_make_the_same_table_again() -> None:
    scaling = fitted_table(some_table())
    again = TablePreprocessor.from_settings(scaling.to_settings()["table"], scaling.arrays()[SCHEMA])
    assert again == scaling
    with pytest.raises(ValueError, match="not a table's schema"):
        TablePreprocessor.from_settings(scaling.to_settings()["table"], np.zeros(40, dtype=np.uint8))
    fewer = {**scaling.to_settings()["table"], "columns": scaling.to_settings()["table"]["columns"][1:]}
    with pytest.raises(ValueError, match="the columns are not those of the schema"):
        TablePreprocessor.from_settings(fewer, scaling.arrays()[SCHEMA])


def test_a_table_is_read_and_encoded_without_heavy_packages(tmp_path: Path) -> None:
    csv.write_csv(some_table(), tmp_path / "表.csv")
    frame = load(tmp_path / "表.csv").X
    with pytest.warns(UserWarning, match="備考"):
        fitted = fit_table(frame, frame)
    (tmp_path / "settings.json").write_text(json.dumps(fitted.to_settings()["table"]))
    np.save(tmp_path / "schema.npy", fitted.arrays()[SCHEMA])
    script = """
import json, sys, numpy
from hyotan.data import load
from hyotan.preprocessing.tabular import TablePreprocessor
fitted = TablePreprocessor.from_settings(json.load(open("settings.json")), numpy.load("schema.npy"))
encoded = fitted.encode(load("表.csv").X)
print(encoded.shape, fitted.to_data(encoded.numbers).shape, {"torch", "sklearn", "scipy"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"(60, {fitted.width}) (60, 6) set()"


def test_every_kind_is_tried_here() -> None:
    assert {kind for _, kind in KINDS_OF} == set(KINDS)
    assert all(class_of(kind).kind == kind for kind in KINDS)
    assert Count.family == "negative-binomial"
