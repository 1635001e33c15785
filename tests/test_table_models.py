"""Models of tables with several kinds of columns, through scikit-learn's face and the command line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from command_line import done, hyotan
from hyotan import CVAE, VAE, Autoencoder, load
from hyotan.analysis.fidelity import compare_tables
from hyotan.analysis.privacy import check_privacy
from hyotan.data.frames import Frame
from hyotan.errors import DataError, ModelFileError, SettingsError
from hyotan.estimators.store import saved_arrays, saved_settings
from hyotan.files import container
from hyotan.models import families
from hyotan.preprocessing.tabular import UnseenCategory

FAMILIES = [family.estimator for family in families.FAMILIES if "missing values" in family.traits]
FAST = {"latent_dim": 3, "hidden_dims": (32,), "max_epochs": 40, "batch_size": 64, "random_state": 0}


def customers(n: int = 300, seed: int = 0) -> pa.Table:
    """Customers of two shops: the shop decides what is bought, spent and how often."""
    random = np.random.default_rng(seed)
    shop = random.random(n) < 0.5
    spent = np.where(shop, random.lognormal(3, 0.3, n), random.lognormal(5, 0.3, n)).round(2)
    return pa.table(
        {
            "店": np.where(shop, "渋谷", "梅田"),
            "品": np.where(shop, random.choice(["本", "紙"], n), random.choice(["茶", "菓子"], n)),
            "金額": spent,
            "回数": random.poisson(np.where(shop, 1, 6)),
            "会員": shop ^ (random.random(n) < 0.05),
        }
    )


def with_missing(table: pa.Table, share: float, seed: int = 1) -> pa.Table:
    random = np.random.default_rng(seed)
    columns = [
        pa.array(
            [None if gone else v for v, gone in zip(c.to_pylist(), random.random(len(c)) < share, strict=True)], c.type
        )
        for c in table.columns
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.kind)
def fitted(request: pytest.FixtureRequest) -> Autoencoder:
    return request.param(**{**FAST, "max_epochs": 300}).fit(with_missing(customers(), 0.1))


@pytest.fixture(scope="module")
def vae() -> VAE:
    return VAE(**{**FAST, "max_epochs": 300}).fit(with_missing(customers(), 0.1))


def test_results_are_tables_with_the_same_columns_and_types(fitted: Autoencoder) -> None:
    table = customers(20, seed=2)
    for result in (
        fitted.reconstruct(table),
        fitted.sample(7, random_state=0),
        fitted.interpolate(table[:1], table[1:2], 4),
    ):
        assert isinstance(result, pa.Table)
        assert result.schema.equals(table.schema)
        assert set(result["店"].to_pylist()) <= {"渋谷", "梅田", None}
    assert fitted.transform(table).shape == (20, 3)
    assert fitted.feature_names_in_.tolist() == table.column_names
    assert fitted.n_features_in_ == 5
    assert fitted.likelihood_ == "mixed"


def test_what_belongs_together_is_learned(fitted: Autoencoder) -> None:
    table = customers(200, seed=3)
    back = fitted.reconstruct(table)
    right = np.mean(np.array(back["店"].to_pylist()) == np.array(table["店"].to_pylist()))
    assert right > 0.97
    logs = np.log(np.stack([back["金額"], table["金額"]]))
    assert np.corrcoef(logs)[0, 1] > 0.9


def test_samples_hold_together(vae: VAE) -> None:
    drawn = vae.impute(vae.sample(400, random_state=0)).to_pydict()
    shop = np.array(drawn["店"])
    assert 0.3 < np.mean(shop == "渋谷") < 0.7
    assert np.median(np.array(drawn["金額"])[shop == "梅田"]) > 2 * np.median(np.array(drawn["金額"])[shop == "渋谷"])
    assert np.mean([(s == "渋谷") == (i in ("本", "紙")) for s, i in zip(shop, drawn["品"], strict=True)]) > 0.8
    assert vae.sample(5, random_state=1).equals(vae.sample(5, random_state=1))
    assert not vae.sample(5, random_state=1).equals(vae.sample(5, random_state=2))


def test_samples_have_missing_values_where_rows_had_and_whole_ones_have_none(fitted: Autoencoder) -> None:
    drawn = fitted.sample(500, random_state=0)
    shares = [column.null_count / 500 for column in drawn.columns]
    np.testing.assert_allclose(shares, 0.1, atol=0.06)
    assert sum(column.null_count for column in fitted.sample(500, random_state=0, refined=False).columns) == 0
    whole = Autoencoder(**FAST).fit(customers())
    assert sum(column.null_count for column in whole.sample(500, random_state=0).columns) == 0


def test_columns_that_are_drawn_again_hang_together_as_those_of_rows_do() -> None:
    table, test = customers(600), customers(600, seed=1)
    model = Autoencoder(**{**FAST, "latent_dim": 1, "max_epochs": 5}).fit(table)  # one that has learned little
    alone, again = (model.sample(600, random_state=0, refined=refined) for refined in (False, True))
    assert again.equals(model.sample(600, random_state=0))
    shops = {"本": "渋谷", "紙": "渋谷", "茶": "梅田", "菓子": "梅田"}
    right = [np.mean([shops[item] == s for item, s in zip(t["品"].to_pylist(), t["店"].to_pylist())])
             for t in (alone, again)]  # fmt: skip
    assert right[0] < 0.95 < 0.98 < right[1]
    apart = [compare_tables(test, made).mean_difference for made in (alone, again)]
    assert apart[1] < 0.5 * apart[0]
    assert check_privacy(table, test, again).passed


def test_only_tables_of_several_kinds_are_drawn_again() -> None:
    model = Autoencoder(**FAST).fit(np.random.default_rng(0).normal(size=(200, 4)))
    assert model.refiner_ is None
    with pytest.raises(SettingsError, match="refined=True: this Autoencoder has no trees that give a column by the"):
        model.sample(3, refined=True)


def test_missing_values_are_filled_with_what_fits_and_the_rest_stays(fitted: Autoencoder) -> None:
    whole = customers(200, seed=4)
    holed = whole.set_column(0, "店", pa.array([None] * 200, pa.string()))
    filled = fitted.impute(holed)
    assert filled.schema.equals(whole.schema)
    assert np.mean(np.array(filled["店"].to_pylist()) == np.array(whole["店"].to_pylist())) > 0.95
    for name in whole.column_names[1:]:
        assert filled[name].to_pylist() == whole[name].to_pylist()


def test_intervals_of_numbers_hold_what_was_hidden(vae: VAE) -> None:
    whole = customers(300, seed=5)
    holed = whole.set_column(2, "金額", pa.array([None] * 300, pa.float64()))
    low, high = vae.impute_intervals(holed, level=0.9)
    inside = (np.array(low["金額"]) <= np.array(whole["金額"])) & (np.array(whole["金額"]) <= np.array(high["金額"]))
    assert 0.8 < inside.mean() <= 1.0
    drawn = vae.impute_samples(holed, 3, random_state=0)
    assert [type(table) for table in drawn] == [pa.Table] * 3
    assert drawn[0]["金額"].to_pylist() != drawn[1]["金額"].to_pylist()
    assert drawn[0]["店"].to_pylist() == whole["店"].to_pylist()


def test_a_row_that_does_not_hold_together_is_unlikely(fitted: Autoencoder) -> None:
    table = customers(100, seed=6)
    swapped = table.set_column(0, "店", pa.array(["梅田" if s == "渋谷" else "渋谷" for s in table["店"].to_pylist()]))
    assert fitted.score_samples(swapped).mean() < fitted.score_samples(table).mean() - 1


def test_the_order_of_columns_and_further_columns_do_not_matter(vae: VAE) -> None:
    table = customers(30, seed=7)
    other = table.select(table.column_names[::-1]).append_column("メモ", pa.array(["x"] * 30))
    np.testing.assert_array_equal(vae.transform(table), vae.transform(other))


def test_a_missing_value_and_a_category_never_seen_are_the_same(vae: VAE) -> None:
    table = customers(5, seed=8)
    missing_value = table.set_column(0, "店", pa.array([None] * 5, pa.string()))
    new = table.set_column(0, "店", pa.array(["札幌"] * 5))
    with pytest.warns(UnseenCategory, match="Column '店' holds '札幌'"):
        np.testing.assert_array_equal(vae.transform(missing_value), vae.transform(new))
    with pytest.warns(UnseenCategory):
        assert vae.impute(new)["店"].to_pylist() == ["札幌"] * 5


def test_mistakes_name_the_column(vae: VAE) -> None:
    table = customers(5)
    with pytest.raises(DataError, match=r"The table has no column '回数', which the model needs\."):
        vae.transform(table.drop_columns(["回数"]))
    with pytest.raises(
        DataError, match=r"Column '金額' holds text \(such as '高い'\); the model was fitted on numbers"
    ):
        vae.transform(table.set_column(2, "金額", pa.array(["高い"] * 5)))
    with pytest.raises(DataError, match="X is a ndarray; the model was fitted on a table with the columns '店'"):
        vae.transform(np.ones((3, 5)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"likelihood": "gaussian"}, "likelihood='gaussian' is for numbers alone"),
        ({"scaling": "unit"}, "scaling='unit' is for numbers alone"),
        ({"binarise": "static"}, "binarise='static' is for numbers alone"),
        ({"column_kinds": {"shop": "category"}}, "No column is named 'shop'"),
        ({"column_kinds": {"店": "Category"}}, "column_kinds cannot be {'店': 'Category'}: expected a name and one of"),
    ],
)
def test_settings_that_are_for_numbers_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        VAE(**{**FAST, **settings}).fit(customers(40))
    assert said in str(caught.value)


def test_missing_values_can_be_refused() -> None:
    with pytest.raises(DataError, match=r"The table has missing values, which handle_missing='never' refuses\."):
        VAE(handle_missing="never", **FAST).fit(with_missing(customers(40), 0.2))
    strict = VAE(handle_missing="never", **{**FAST, "max_epochs": 1}).fit(customers(40))
    with pytest.raises(
        DataError, match="The table has missing values, or categories never seen; this VAE was fitted without"
    ):
        strict.transform(with_missing(customers(20), 0.3))
    with pytest.raises(DataError, match=r"The table has missing values; a CVAE cannot handle missing values\."):
        CVAE(**FAST).fit(with_missing(customers(40), 0.2), [0, 1] * 20)


def test_a_conditional_model_of_a_table() -> None:
    table = customers(200)
    model = CVAE(**FAST).fit(table.drop_columns(["店"]), np.array(table["店"].to_pylist()))
    of_one = model.sample(60, random_state=0, y="梅田")
    assert set(of_one.column_names) == {"品", "金額", "回数", "会員"}
    assert np.median(np.array(of_one["金額"])) > 60
    assert np.mean(model.predict(table.drop_columns(["店"])) == np.array(table["店"].to_pylist())) > 0.9


def test_the_file_alone_knows_the_table(fitted: Autoencoder, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.hyotan")
    again, table = load(tmp_path / "m.hyotan"), with_missing(customers(30, seed=9), 0.2)
    np.testing.assert_array_equal(fitted.score_samples(table), again.score_samples(table))
    assert again.reconstruct(table).equals(fitted.reconstruct(table))
    assert again.impute(table).equals(fitted.impute(table))
    assert again.sample(40, random_state=0).equals(fitted.sample(40, random_state=0))


def test_files_from_before_rows_were_drawn_again_sample_as_they_did(fitted: Autoencoder, tmp_path: Path) -> None:
    arrays = {name: array for name, array in saved_arrays(fitted).items() if not name.startswith("trees/")}
    container.write(tmp_path / "old.hyotan", kind=fitted.kind, settings=saved_settings(fitted), tensors=arrays)
    old = load(tmp_path / "old.hyotan")
    assert old.refiner_ is None
    assert old.sample(40, random_state=0).equals(fitted.sample(40, random_state=0, refined=False))


def test_trees_of_another_table_are_refused(fitted: Autoencoder, tmp_path: Path) -> None:
    arrays = {**saved_arrays(fitted), "trees/0/kinds": np.zeros(9, np.float32)}
    container.write(tmp_path / "m.hyotan", kind=fitted.kind, settings=saved_settings(fitted), tensors=arrays)
    with pytest.raises(ModelFileError, match=r"the trees of the columns cannot be used: '0/base' has shape \(3,\)"):
        load(tmp_path / "m.hyotan")


def test_a_file_whose_columns_are_not_its_networks_is_refused(vae: VAE, tmp_path: Path) -> None:
    from hyotan.files.container import read, write

    vae.save(tmp_path / "m.hyotan")
    contents = read(tmp_path / "m.hyotan", kinds=[vae.kind])
    for change in (
        {"table": {**contents.settings["table"], "columns": contents.settings["table"]["columns"][1:]}},
        {"table": {"columns": 3, "library": "hyotan"}},
        {"table": {"columns": [], "library": "hyotan"}},
    ):
        write(tmp_path / "n.hyotan", kind=vae.kind, settings={**contents.settings, **change}, tensors=contents.tensors)
        with pytest.raises(ModelFileError, match="the table's columns cannot be read"):
            load(tmp_path / "n.hyotan")


def test_pandas_comes_back_as_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = customers(60).to_pandas()
    model = VAE(**{**FAST, "max_epochs": 2}).fit(frame)
    assert isinstance(model.sample(3), pandas.DataFrame)
    assert model.reconstruct(frame).dtypes.equals(frame.dtypes)
    assert isinstance(model.reconstruct(customers(5)), pa.Table)


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("表")
    csv.write_csv(with_missing(customers(), 0.1), folder / "顧客.csv")
    done(
        "fit",
        "顧客.csv",
        "--model",
        "vae",
        "--latent-dim",
        "3",
        "--hidden-dims",
        "32",
        "--max-epochs",
        "20",
        cwd=folder,
    )
    return folder


def read(path: Path) -> pa.Table:
    return csv.read_csv(path, convert_options=csv.ConvertOptions(strings_can_be_null=True))


def test_a_csv_goes_through_every_command_and_comes_back(place: Path) -> None:
    run, given = "runs/顧客-vae-1", read(place / "顧客.csv")
    for command in (
        ["sample", run, "-n", "20", "-o", "新.csv"],
        ["reconstruct", run, "顧客.csv", "-o", "再.csv"],
        ["impute", run, "顧客.csv", "-o", "補.csv"],
    ):
        done(*command, "--quiet", cwd=place)
        made = read(place / command[-1])
        assert made.column_names == given.column_names
        assert made.schema.types == given.schema.types
        assert (sum(column.null_count for column in made.columns) == 0) == (command[0] != "sample")
    assert done("score", run, "顧客.csv", "-o", "点.csv", "--json", cwd=place).record["rows"] == 300
    assert done("encode", run, "顧客.csv", "-o", "符号.csv", "--json", cwd=place).record["latent_dim"] == 3
    done("interpolate", run, "顧客.csv", cwd=place)
    page = Path(place / done("report", run, "--lang", "ja", "--quiet", cwd=place).out.splitlines()[-1])
    text = page.read_text(encoding="utf-8")
    assert "金額" in text and "品=茶" in text
    assert "nan" not in text.split("<main", 1)[-1].lower().replace("nanmean", "")
    assert re.search(r'<b>[^<]+</b><span class="more">モデル：', text)


def test_a_file_of_missing_values_alone_in_a_column_is_scored(place: Path) -> None:
    table = customers(6).set_column(1, "品", pa.array([None] * 6, pa.string())).drop_columns(["店"])
    csv.write_csv(table.add_column(0, "店", pa.array(["札幌"] * 6)), place / "空.csv")
    with pytest.warns(UnseenCategory, match="'札幌', never seen when the model was fitted: counted as missing"):
        done("score", "runs/顧客-vae-1", "空.csv", "-o", "空点.csv", cwd=place)


def test_each_mistake_is_answered(place: Path) -> None:
    run = "runs/顧客-vae-1"
    csv.write_csv(customers(5).drop_columns(["品"]), place / "欠.csv")
    said = hyotan("score", run, "欠.csv", cwd=place)
    assert said.code == 2 and "No column is named '品', which the model needs." in said.err
    csv.write_csv(customers(5).set_column(2, "金額", pa.array(["高い"] * 5)), place / "型.csv")
    said = hyotan("score", run, "型.csv", cwd=place)
    assert (
        said.code == 2
        and "Column '金額' holds text (such as '高い'); the model was fitted on numbers there." in said.err
    )
    said = hyotan("sample", run, "-o", "x.npy", cwd=place)
    assert said.code == 2 and "x.npy cannot be written: columns of several kinds are no array." in said.err
    said = hyotan("fit", "顧客.csv", "--column-kinds", "金額=text", cwd=place)
    assert said.code == 2 and "--column-kinds cannot be" in said.err


def test_kinds_are_told_on_the_command_line(place: Path) -> None:
    said = done(
        "fit", "顧客.csv", "--max-epochs", "1", "--column-kinds", "回数=category,会員=ignore", "--json", cwd=place
    )
    model = load(place / said.record["run"])
    kinds = {column.name: column.kind for column in model.preprocessor_.columns}  # pyrefly: ignore[missing-attribute]
    assert kinds["回数"] == "category" and "会員" not in kinds


def test_a_frame_is_no_array() -> None:
    with pytest.raises(
        DataError, match=r"Columns of several kinds \('店', '品', '金額', '回数' and 1 more\) are no array"
    ):
        np.asarray(Frame(customers(3)))
