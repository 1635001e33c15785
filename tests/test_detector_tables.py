"""The detector of anomalies on tables of several kinds of columns, and on rows with missing values, whose truth is
planted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from hyotan import CVAE, VAE, AnomalyDetector, Autoencoder, load
from hyotan.errors import DataError, ModelFileError
from hyotan.files.container import read, write
from hyotan.preprocessing.tabular import UnseenCategory

SMALL: dict[str, Any] = {"hidden_dims": (32,), "max_epochs": 60, "batch_size": 64, "learning_rate": 4e-3}
AXES = np.random.default_rng(0).normal(size=(2, 6))


def customers(n: int, seed: int) -> pa.Table:
    """Customers of two shops: the shop decides what is bought, what is spent, how often and since when."""
    random = np.random.default_rng(seed)
    shop = random.random(n) < 0.5
    days = np.where(shop, random.integers(0, 300, n), random.integers(900, 1200, n))
    return pa.table(
        {
            "番号": [f"{seed}-{i}" for i in range(n)],
            "店": np.where(shop, "渋谷", "梅田"),
            "品": np.where(shop, random.choice(["本", "紙"], n), random.choice(["茶", "菓子"], n)),
            "金額": np.where(shop, random.lognormal(3, 0.2, n), random.lognormal(5, 0.2, n)).round(2),
            "回数": random.poisson(np.where(shop, 1, 9)),
            "初回": (np.datetime64("2020-01-01") + days.astype("timedelta64[D]")),
            "会員": shop,
        }
    )


CHANGED = ("店", "品", "金額", "会員")


def spoilt(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Each row with one value from the other shop, and in which column."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    other = {
        "渋谷": "梅田",
        "梅田": "渋谷",
        "本": "茶",
        "紙": "菓子",
        "茶": "紙",
        "菓子": "本",
        True: False,
        False: True,
    }
    names = [CHANGED[i % len(CHANGED)] for i in range(table.num_rows)]
    for row, name in enumerate(names):
        was = columns[name][row]
        columns[name][row] = (150.0 if was < 50 else 20.0) if name == "金額" else other[was]
    return pa.table([pa.array(columns[f.name], f.type) for f in table.schema], schema=table.schema), names


def with_missing(table: pa.Table, share: float, seed: int = 1) -> pa.Table:
    random = np.random.default_rng(seed)
    columns = [pa.array([None if random.random() < share else v for v in c.to_pylist()], c.type) for c in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def small(**settings: Any) -> AnomalyDetector:
    own = {"estimator": Autoencoder(2, **SMALL), "n_estimators": 2, "held_out": 0.4, "random_state": 0}
    return AnomalyDetector(**{**own, **settings})


@pytest.fixture(scope="module")
def fitted() -> AnomalyDetector:
    with pytest.warns(UserWarning, match="Left out, for hardly a value stands there twice: '番号'"):
        return small().fit(customers(500, 1))


@pytest.fixture(scope="module")
def with_holes() -> AnomalyDetector:
    return small().fit(with_missing(customers(600, 1).drop_columns("番号"), 0.3))


class TestTables:
    def test_of_odd_rows_are_told_from_usual_ones(self, fitted: AnomalyDetector) -> None:
        both = pa.concat_tables([customers(200, 2), spoilt(customers(200, 3))[0]])
        for method in ("combined", "reconstruction", "neighbours", "outskirts"):
            found = fitted.set_params(method=method).score_samples(both)
            assert roc_auc_score(np.repeat([0, 1], 200), -found) > 0.95, method
        fitted.set_params(method="combined")

    def test_are_explained_by_the_column_that_was_changed(self, fitted: AnomalyDetector) -> None:
        odd, names = spoilt(customers(100, 4))
        explained = fitted.explain(odd)
        assert fitted.feature_names_in_.tolist() == odd.column_names
        assert explained.shape == (100, len(odd.column_names))
        assert np.mean(fitted.feature_names_in_[explained.argmax(axis=1)] == names) > 0.8
        assert not explained[:, odd.column_names.index("番号")].any()

    def test_are_explained_by_columns_that_add_up_to_the_loss(self, fitted: AnomalyDetector) -> None:
        rows = customers(20, 5)
        each = [-member.model.score_samples(rows) - member.loss.sum() for member in fitted.members_]
        np.testing.assert_allclose(fitted.explain(rows).sum(axis=1), np.mean(each, axis=0), rtol=1e-3, atol=1e-3)

    def test_are_the_same_whoever_made_them(self, fitted: AnomalyDetector) -> None:
        rows = customers(30, 6)
        expected = fitted.score_samples(rows)
        assert np.array_equal(fitted.score_samples(rows.to_pandas()), expected)
        assert np.array_equal(fitted.score_samples(rows.select(rows.column_names[::-1])), expected)
        polars = pytest.importorskip("polars")
        assert np.array_equal(fitted.score_samples(polars.from_arrow(rows)), expected)

    def test_give_alarms_at_the_stated_rate(self, fitted: AnomalyDetector) -> None:
        fresh, rows = customers(1500, 7), len(fitted.calibration_scores_)
        p = fitted.p_values(fresh)
        for rate in (0.02, 0.05, 0.1):
            k = int(rate * (rows + 1))
            low, high = stats.betabinom(len(p), k, rows + 1 - k).interval(0.999)
            assert low <= (p <= rate).sum() <= high, rate
        assert np.array_equal(fitted.predict(fresh) == -1, p <= 0.05)
        assert fitted.discoveries(spoilt(customers(100, 8))[0]).mean() > 0.7

    def test_show_a_category_of_one_row_to_every_member(self) -> None:
        rows = customers(80, 1).drop_columns("番号").to_pandas()
        rows.loc[3, "品"] = "鯨"
        detector = small(held_out=0.0).fit(rows)
        assert detector.score_samples(rows).argmin() == 3
        assert detector.explain(rows.iloc[3:4])[0].argmax() == list(rows.columns).index("品")

    def test_take_the_default_model(self) -> None:
        rows = pd.DataFrame(
            {"a": ["x", "y"] * 10, "b": [1.5, -0.5] * 10, "c": [True, False] * 10, "d": list(range(20))}
        )
        detector = AnomalyDetector(n_estimators=1, held_out=0.2, contamination=0.1, random_state=0).fit(rows)
        model = detector.members_[0].model
        assert (model.latent_dim, tuple(model.hidden_dims), model.likelihood_) == (2, (64,), "mixed")
        assert (detector.predict(rows) == -1).sum() == 2

    def test_are_found_odd_by_their_likelihood(self) -> None:
        table = customers(300, 1).drop_columns("番号")
        detector = small(estimator=VAE(2, **SMALL), method="likelihood").fit(table)
        both = pa.concat_tables([customers(100, 2), spoilt(customers(100, 3))[0]]).drop_columns("番号")
        assert roc_auc_score(np.repeat([0, 1], 100), -detector.score_samples(both)) > 0.9


class TestAnswers:
    """What an estimator says of a table that is not as it was, the detector says too."""

    def test_to_a_category_never_seen(self, fitted: AnomalyDetector) -> None:
        rows = customers(5, 9)
        products = ["鯨", *rows["品"].to_pylist()[1:]]
        strange = rows.set_column(2, "品", pa.array(products))
        with pytest.warns(UnseenCategory, match="Column '品' holds '鯨', never seen when the model was fitted") as said:
            found = fitted.score_samples(strange)
        assert len(said) == 1
        missing = rows.set_column(2, "品", pa.array([None, *products[1:]]))
        assert np.array_equal(found, fitted.score_samples(missing))

    def test_to_columns_that_are_gone_or_changed(self, fitted: AnomalyDetector) -> None:
        rows = customers(5, 9)
        with pytest.raises(DataError, match="The table has no column '金額', which the model needs"):
            fitted.predict(rows.drop_columns("金額"))
        with pytest.raises(DataError, match="'金額'"):
            fitted.predict(rows.set_column(3, "金額", pa.array(["高い"] * 5)))
        with pytest.raises(DataError, match="X is a ndarray; the model was fitted on a table"):
            fitted.predict(np.zeros((5, 7)))
        assert np.isfinite(fitted.score_samples(rows.drop_columns("番号"))).all()

    def test_to_missing_values_that_a_model_does_not_take(self) -> None:
        holed = with_missing(customers(60, 1).drop_columns("番号"), 0.2)
        with pytest.raises(DataError, match="The table has missing values, which handle_missing='never' refuses"):
            small(estimator=Autoencoder(2, handle_missing="never", **SMALL)).fit(holed)
        with pytest.raises(
            DataError, match="The table has missing values; a AnomalyDetector cannot handle missing values"
        ):
            small(estimator=CVAE(2, **SMALL)).fit(holed, np.arange(60) % 2)

    def test_to_an_array_after_a_table(self) -> None:
        detector = small(estimator=Autoencoder(2, **{**SMALL, "max_epochs": 2}))
        detector.fit(customers(60, 1).drop_columns("番号"))
        X = np.random.default_rng(0).normal(size=(60, 4))
        again = small(estimator=Autoencoder(2, **{**SMALL, "max_epochs": 2})).fit(X).score_samples(X)
        assert np.array_equal(detector.fit(X).score_samples(X), again)


class TestMissingValues:
    def test_hide_no_odd_rows(self, with_holes: AnomalyDetector) -> None:
        usual, odd = customers(300, 2), spoilt(customers(300, 3))[0]
        both = with_missing(pa.concat_tables([usual, odd]).drop_columns("番号"), 0.3)
        assert roc_auc_score(np.repeat([0, 1], 300), -with_holes.score_samples(both)) > 0.75

    def test_add_nothing(self, with_holes: AnomalyDetector) -> None:
        rows = with_missing(customers(100, 4).drop_columns("番号"), 0.3)
        missing = np.stack([column.is_null().to_numpy() for column in rows.columns], axis=1)
        explained = with_holes.explain(rows)
        assert not explained[missing].any() and explained[~missing].all()

    def test_are_neither_odd_nor_usual_by_their_number(self, with_holes: AnomalyDetector) -> None:
        rows = with_missing(customers(2000, 5).drop_columns("番号"), 0.3)
        missing = sum(column.is_null().to_numpy().astype(int) for column in rows.columns)
        p = with_holes.p_values(rows)
        few, many = p[missing <= 1], p[missing >= 3]
        assert max((part <= 0.1).mean() for part in (few, many)) < 0.2
        assert abs(np.median(few) - np.median(many)) < 0.15

    def test_of_numbers_are_borne(self) -> None:
        random = np.random.default_rng(1)

        def rows(n: int) -> np.ndarray:
            return random.normal(size=(n, 2)) @ AXES + 0.1 * random.normal(size=(n, 6))

        def holed(X: np.ndarray) -> np.ndarray:
            return np.where(random.random(X.shape) < 0.2, np.nan, X)

        detector = small(held_out=0.2).fit(holed(rows(500)))
        odd, column = rows(120), np.arange(120) % 6
        odd[np.arange(120), column] += 4
        odd = holed(odd)
        seen = ~np.isnan(odd[np.arange(120), column])
        both = np.concatenate([holed(rows(120)), odd[seen]])
        truth = np.repeat([0, 1], [120, seen.sum()])
        assert roc_auc_score(truth, -detector.score_samples(both)) > 0.9
        explained = detector.explain(odd[seen])
        assert np.mean(explained.argmax(axis=1) == column[seen]) > 0.7
        assert (explained[np.isnan(odd[seen])] == 0).all()

    def test_that_a_model_can_bear_change_no_score_of_whole_rows(self) -> None:
        X = np.random.default_rng(2).normal(size=(60, 2)) @ AXES
        detector = small(estimator=Autoencoder(2, handle_missing="always", **SMALL)).fit(X)
        for member in detector.members_:
            scaled, mean = member.model.reconstruct_in_range(X)
            expected = np.square(scaled.astype(np.float64) - mean).sum(axis=1)
            assert np.array_equal(
                member.raw(member.model.encode_rows(X), ["reconstruction"])["reconstruction"], expected
            )

    def test_are_refused_after_whole_rows(self) -> None:
        X = np.random.default_rng(2).normal(size=(40, 6))
        detector = small(estimator=Autoencoder(2, **{**SMALL, "max_epochs": 2})).fit(X)
        X[3, 2] = np.nan
        with pytest.raises(
            DataError,
            match=r"1 missing values \(NaN\), the first in row 3, column 2; this AnomalyDetector was "
            "fitted on rows wi",
        ) as refused:
            detector.score_samples(X)
        assert refused.value.fix.startswith(
            "Leave out such rows (--missing drop), or fit it on rows with missing values"
        )

    def test_must_leave_every_member_something(self) -> None:
        X = np.random.default_rng(2).normal(size=(40, 3))
        X[1:, 1] = np.nan
        with pytest.raises(
            DataError, match=r"1 of 3 columns of X are observed in so few of 40 rows that a part .*: 1\."
        ):
            small(held_out=0.0).fit(X)


class TestFiles:
    def test_bring_back_the_same_bits(self, fitted: AnomalyDetector, tmp_path: Path) -> None:
        rows = with_missing(customers(50, 8), 0.1)
        fitted.save(tmp_path / "odd.hyotan")
        again = load(tmp_path / "odd.hyotan")
        for method in ("score_samples", "predict", "p_values", "explain"):
            assert np.array_equal(getattr(again, method)(rows), getattr(fitted, method)(rows)), method
        assert (again.n_features_in_, again.feature_shape_) == (7, (7,)) == (fitted.n_features_in_, (7,))

    def test_of_members_with_other_columns_are_refused(self, fitted: AnomalyDetector, tmp_path: Path) -> None:
        path = tmp_path / "odd.hyotan"
        fitted.save(path)
        contents = read(path)
        column = contents.settings["members"][1]["settings"]["table"]["columns"][0]
        column["categories"] = column["categories"][::-1]
        write(path, kind=contents.kind, settings=contents.settings, tensors=contents.tensors)
        with pytest.raises(ModelFileError, match="the members of the detector know different columns"):
            load(path)

    def test_without_what_stands_for_missing_values_are_refused(self, fitted: AnomalyDetector, tmp_path: Path) -> None:
        path = tmp_path / "odd.hyotan"
        fitted.save(path)
        contents = read(path)
        contents.tensors.pop("0/usual")
        write(path, kind=contents.kind, settings=contents.settings, tensors=contents.tensors)
        with pytest.raises(ModelFileError, match="tensor 'usual' is missing"):
            load(path)


def test_members_keep_nothing_to_sample_with(tmp_path: Path) -> None:
    detector = small(estimator=Autoencoder(2, **{**SMALL, "max_epochs": 2})).fit(customers(60, 1).drop_columns("番号"))
    assert not [name for name in detector.saved_arrays() if "trees/" in name]
    detector.save(tmp_path / "odd.hyotan")
    assert isinstance(load(tmp_path / "odd.hyotan"), AnomalyDetector)
