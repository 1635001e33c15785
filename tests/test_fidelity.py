"""Synthetic tables beside real ones: each measure beside SciPy, scikit-learn or a count, on tables of known answer.

Privacy is tested on copies, which must fail, and on fresh draws, which must pass.
"""

from __future__ import annotations

import doctest
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from hyotan.analysis import fidelity, privacy
from hyotan.analysis.fidelity import ComparedTable, Fidelity, compare_tables, compare_training
from hyotan.analysis.privacy import check_privacy, closest_distances
from hyotan.errors import DataError

Table = dict[str, Any]


def drawn(n: int, seed: int, shift: float = 0.0, tie: float = 1.0) -> Table:
    """Rows of a mixed table; ``tie`` says how far size follows kind, ``shift`` moves it."""
    random = np.random.default_rng(seed)
    kind = random.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    size = random.normal(size=n) + tie * 3 * (kind == "b") + shift
    weight = 2 * size + random.normal(size=n)
    mark = np.where(random.random(n) < 0.8, kind, "other").astype(object)
    mark[random.random(n) < 0.1] = None
    weight[random.random(n) < 0.2] = np.nan
    return {"kind": kind, "size": size, "weight": weight, "mark": mark}


@pytest.fixture(scope="module")
def real() -> Table:
    return drawn(800, 0)


@pytest.fixture(scope="module")
def fresh() -> Table:
    return drawn(800, 1)


@pytest.fixture(scope="module")
def same(real: Table) -> Fidelity:
    return compare_tables(real, real)


@pytest.fixture(scope="module")
def other(real: Table, fresh: Table) -> Fidelity:
    return compare_tables(real, fresh)


@pytest.mark.parametrize("module", [fidelity, privacy])
def test_the_examples_of_the_modules_run(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


class TestColumns:
    @pytest.mark.parametrize("build", [dict, pa.table, pd.DataFrame], ids=["mapping", "arrow", "pandas"])
    def test_are_read_alike_from_every_kind_of_table(self, real: Table, build: Callable[[Table], Any]) -> None:
        columns = ComparedTable.of(build(real))
        assert (list(columns.numbers), list(columns.categories), columns.rows) == (
            ["size", "weight"],
            ["kind", "mark"],
            800,
        )
        np.testing.assert_array_equal(columns.numbers["weight"], real["weight"])
        assert columns.categories["mark"].tolist() == real["mark"].tolist()

    def test_are_numbers_or_categories_by_what_they_hold(self) -> None:
        table = pa.table(
            {
                "whole": pa.array([1, None, 3]),
                "day": pa.array([0, 1, None], pa.date32()),
                "flag": [True, False, None],
                "coded": pa.array(["x", "y", None]).dictionary_encode(),
                "grade": [1, 2, 2],
                "empty": pa.nulls(3),
            }
        )
        columns = ComparedTable.of(table, categories=["grade"])
        assert list(columns.numbers) == ["whole", "day"]
        np.testing.assert_array_equal(columns.numbers["whole"], [1, np.nan, 3])
        np.testing.assert_array_equal(np.diff(columns.numbers["day"])[:1] > 0, [True])
        assert {name: column.tolist() for name, column in columns.categories.items()} == {
            "flag": ["True", "False", None],
            "coded": ["x", "y", None],
            "grade": ["1", "2", "2"],
            "empty": [None, None, None],
        }

    @pytest.mark.parametrize(
        ("tables", "match"),
        [
            (({"a": [1, 2]}, {"b": [1, 2]}), r"The synthetic table has no column 'a'\. Choose from: b\."),
            (({"age": [1, 2]}, {"ages": [1, 2]}), r"no column 'age'\. Did you mean 'ages'\?"),
            (
                ({"a": [1, 2]}, {"a": ["x", "y"]}),
                r"Column 'a' of the synthetic table holds text; the real one holds numbers\. Write it as numbers",
            ),
            (({}, {}), r"A table needs columns of one length, 1 or more; got \[\]"),
            (({"a": [], "b": []}, {}), r"A table needs columns of one length, 1 or more; got \[0\]"),
            (({"a": [1], "b": [1, 2]}, {}), r"A table needs columns of one length, 1 or more; got \[1, 2\]"),
            (({"a": [[1, 2]]}, {}), r"A column must have one dimension; got shape \(1, 2\)"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, tables: tuple[Table, Table], match: str) -> None:
        with pytest.raises(DataError, match=match):
            compare_tables(*tables)


class TestFidelity:
    def test_of_a_table_with_itself_is_perfect(self, same: Fidelity) -> None:
        assert same.mean_distance == same.mean_difference == 0
        assert all(column.wasserstein in (0, None) for column in same.columns)
        assert same.detection < 0.5  # every row has its twin on the other side

    def test_of_fresh_draws_is_near_it(self, other: Fidelity) -> None:
        assert other.mean_distance < 0.05
        assert other.mean_difference < 0.08
        assert abs(other.detection - 0.5) < 0.05

    def test_sees_a_column_that_is_off(self, real: Table) -> None:
        moved = drawn(800, 2, shift=1.0)
        found = {column.name: column for column in compare_tables(real, moved).columns}
        expected = stats.ks_2samp(real["size"], moved["size"]).statistic
        assert found["size"].distance == pytest.approx(expected)
        assert found["size"].wasserstein == pytest.approx(
            stats.wasserstein_distance(real["size"], moved["size"]) / np.std(real["size"])
        )
        assert found["kind"].distance < 0.05 < 0.2 < found["size"].distance

    def test_counts_categories_and_missing_values(self) -> None:
        real = {"x": ["a", "a", "b", None], "n": [1.0, 2.0, None, None]}
        made = {"x": ["a", "c", "c", "c"], "n": [1.0, 2.0, 1.0, 2.0]}
        n, x = compare_tables(real, made).columns
        assert (x.kind, x.distance, x.wasserstein) == (
            "category",
            pytest.approx(0.75),
            None,
        )  # half of 5/12 + 1/3 + 3/4
        assert (x.real_missing, x.synthetic_missing) == (0.25, 0)
        assert (n.distance, n.real_missing) == (0, 0.5)

    def test_sees_columns_that_no_longer_go_together(self, real: Table) -> None:
        loose = compare_tables(real, drawn(800, 3, tie=0.0))
        pairs = {(pair.a, pair.b): pair for pair in loose.pairs}
        measures = Counter(pair.measure for pair in loose.pairs)
        assert measures == {"correlation": 1, "correlation ratio": 4, "Cramér's V": 1}
        assert pairs["size", "kind"].real > 0.7
        assert pairs["size", "kind"].synthetic < 0.1
        assert pairs["size", "kind"].difference > 0.6
        assert loose.detection > 0.6

    def test_measures_pairs_as_others_do(self, real: Table, same: Fidelity) -> None:
        pairs = {(pair.a, pair.b): pair.real for pair in same.pairs}
        whole = ~np.isnan(real["weight"])
        assert pairs["size", "weight"] == pytest.approx(np.corrcoef(real["size"][whole], real["weight"][whole])[0, 1])
        known = np.array([mark is not None for mark in real["mark"]])
        counts = pd.crosstab(real["kind"][known], real["mark"][known])
        chi2 = stats.chi2_contingency(counts, correction=False).statistic
        assert pairs["kind", "mark"] == pytest.approx(np.sqrt(chi2 / known.sum() / (min(counts.shape) - 1)))
        groups = [real["size"][real["kind"] == kind] for kind in "abc"]
        f = stats.f_oneway(*groups).statistic
        expected = np.sqrt(2 * f / (2 * f + len(real["size"]) - 3))
        assert pairs["size", "kind"] == pytest.approx(expected)

    def test_gives_a_pair_that_does_not_vary_no_tie(self) -> None:
        table = {"a": [1.0, 1.0, 1.0], "b": ["x", "x", "x"], "c": [1.0, 2.0, 3.0]}
        assert [pair.real for pair in compare_tables(table, table).pairs] == [0, 0, 0]

    def test_can_be_written_as_json(self, other: Fidelity) -> None:
        record = json.loads(json.dumps(other.to_dict()))
        assert set(record) == {"columns", "pairs", "detection", "mean_distance", "mean_difference"}


class TestUsefulness:
    def test_of_fresh_draws_is_that_of_real_rows(self, real: Table, fresh: Table) -> None:
        found = compare_training(real, fresh, drawn(1000, 9), "kind")
        assert found.real > 0.7
        assert found.share == found.synthetic / found.real > 0.93

    def test_of_rows_without_ties_is_that_of_chance(self, real: Table) -> None:
        random = np.random.default_rng(0)
        loose = {name: random.permutation(column) for name, column in real.items()}
        found = compare_training(real, loose, drawn(1000, 9), "kind")
        assert found.synthetic < 0.45

    def test_of_one_class_alone_is_that_of_saying_it(self, real: Table) -> None:
        one = {**real, "kind": np.full(800, "a")}
        assert compare_training(real, one, drawn(500, 9), "kind").synthetic == pytest.approx(1 / 3)

    def test_takes_numbers_as_classes_and_leaves_missing_values_out(self) -> None:
        x = np.random.default_rng(0).normal(size=400)
        table = {"x": x, "y": np.where(np.arange(400) % 10 == 0, np.nan, x > 0)}
        assert compare_training(table, table, table, "y").synthetic > 0.98

    def test_needs_the_target(self, real: Table) -> None:
        with pytest.raises(DataError, match=r"The real table has no column 'kid'\. Did you mean 'kind'\?"):
            compare_training(real, real, real, "kid")
        with pytest.raises(DataError, match=r"No row of the test table has a value of 'kind'\. Pass rows"):
            compare_training(real, real, {**real, "kind": [None] * 800}, "kind")


class TestDistances:
    def test_are_those_of_a_count_by_hand(self) -> None:
        train = {"n": [0.0, 2.0], "x": ["a", "b"]}  # standard deviation 1
        rows = {"n": [0.0, 3.0, np.nan, 1.0], "x": ["a", "a", "b", None]}
        own = ComparedTable.of(train)
        expected = [0, np.sqrt(2), 1, np.sqrt(2)]
        np.testing.assert_allclose(closest_distances(own, own.like(rows, "other")), expected)

    def test_agree_with_a_loop_over_all_pairs(self, real: Table, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(privacy, "_AT_ONCE", 800 * 7)  # several blocks
        own, others = ComparedTable.of(real), ComparedTable.of(drawn(40, 5))
        found = closest_distances(own, others)
        units = {name: np.nanstd(column) for name, column in own.numbers.items()}

        def squared(i: int, j: int) -> float:
            total = 0.0
            for name, unit in units.items():
                a, b = others.numbers[name][i], own.numbers[name][j]
                total += float(np.isnan(a) != np.isnan(b)) if np.isnan(a) or np.isnan(b) else ((a - b) / unit) ** 2
            return total + sum(others.categories[k][i] != own.categories[k][j] for k in own.categories)

        expected = [np.sqrt(min(squared(i, j) for j in range(own.rows))) for i in range(40)]
        np.testing.assert_allclose(found, expected, atol=1e-7)


class TestPrivacy:
    def test_of_fresh_draws_is_kept(self, real: Table) -> None:
        passed = [check_privacy(real, drawn(300, 50 + s), drawn(500, 90 + s)).passed for s in range(12)]
        assert sum(passed) >= 11  # 2.5 % fail by chance

    def test_of_copies_is_not(self, real: Table) -> None:
        random = np.random.default_rng(0)
        rows = random.integers(800, size=800)
        copies = {name: column[rows] for name, column in real.items()}
        found = check_privacy(real, drawn(400, 7), copies)
        assert not found.passed
        assert (found.copies, found.close, found.median) == (1, 1, 0)
        assert found.expected == pytest.approx(0.05, abs=0.01)
        assert found.low > 0.9

    def test_of_copies_with_a_little_noise_is_not(self, real: Table) -> None:
        random = np.random.default_rng(0)
        noisy = {**real, **{k: real[k] + random.normal(0, 0.01, 800) for k in ("size", "weight")}}
        found = check_privacy(real, drawn(400, 7), noisy)
        assert not found.passed
        assert found.copies == 0

    def test_of_a_few_copies_among_fresh_rows_is_not(self, real: Table) -> None:
        mixed = {name: np.concatenate([column[:200], drawn(600, 8)[name]]) for name, column in real.items()}
        assert not check_privacy(real, drawn(400, 7), mixed).passed

    def test_is_judged_beside_real_rows_that_are_equal(self) -> None:
        random = np.random.default_rng(0)

        def few_kinds(n: int) -> Table:
            return {"a": random.choice(["x", "y"], n), "b": random.choice(["x", "y", "z"], n, p=[0.9, 0.09, 0.01])}

        train = few_kinds(300)
        found = check_privacy(train, few_kinds(300), few_kinds(300))
        assert found.passed
        assert found.expected_copies > 0.9

    def test_has_an_interval_that_holds_the_truth(self) -> None:
        low, high = privacy._difference_interval(56 / 70, 70, 48 / 80, 80)
        assert (low, high) == (
            pytest.approx(0.0524, abs=1e-4),
            pytest.approx(0.3339, abs=1e-4),
        )  # Newcombe 1998, table II
        assert privacy._difference_interval(0.05, 1000, 0.05, 500)[0] < 0

    def test_can_be_written_as_json(self, real: Table, fresh: Table) -> None:
        record = json.loads(json.dumps(check_privacy(real, drawn(400, 7), fresh).to_dict()))
        assert record["passed"] is True
        assert record["rows"] == 800
