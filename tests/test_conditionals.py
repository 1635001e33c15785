"""Columns drawn given the others, beside distributions that are known and scikit-learn's own trees."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.tree import DecisionTreeRegressor

from hyotan.errors import DataError
from hyotan.sampling import conditionals
from hyotan.sampling.conditionals import LEAF_ROWS, CategoryTrees, Conditionals, NumberTree, fitted_rows

N = 3000


def drawn_rows(n: int = N, seed: int = 0) -> np.ndarray:
    """A number, a second one that follows it, and a category that hangs on both: (n, 3)."""
    random = np.random.default_rng(seed)
    first = random.normal(size=n)
    second = first + 0.3 * random.normal(size=n)
    return np.column_stack([first, second, random.random(n) < expit(3 * second)]).astype(np.float32)


@pytest.fixture(scope="module")
def trees() -> Conditionals:
    return Conditionals.fit(drawn_rows(), [False, False, True])


def random_state(seed: int = 0) -> np.random.RandomState:
    return np.random.RandomState(seed)


def test_the_example_of_the_module_runs() -> None:
    assert doctest.testmod(conditionals).failed == 0


class TestDraws:
    def test_bring_back_what_hangs_together(self, trees: Conditionals) -> None:
        alone = np.column_stack([np.random.default_rng(seed).permutation(c) for seed, c in enumerate(drawn_rows().T)])
        assert abs(np.corrcoef(alone[:, :2].T)[0, 1]) < 0.1
        rows, real = trees.refined(alone, random_state()), drawn_rows(seed=1)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.corrcoef(rows[:, :2].T)[0, 1], np.corrcoef(real[:, :2].T)[0, 1], atol=0.05)
        high = rows[:, 1] > 0.5
        expected = expit(3 * rows[high, 1]).mean()
        assert rows[high, 2].mean() == pytest.approx(expected, abs=0.05)

    def test_leave_the_distribution_of_real_rows_as_it_is(self, trees: Conditionals) -> None:
        rows, real = trees.refined(drawn_rows(seed=1), random_state()), drawn_rows(seed=2)
        assert stats.ks_2samp(rows[:, 0], real[:, 0]).statistic < 0.06
        assert stats.ks_2samp(rows[:, 1] - rows[:, 0], real[:, 1] - real[:, 0]).statistic < 0.08

    def test_hang_on_the_seed_alone(self, trees: Conditionals) -> None:
        first, again, other = (trees.refined(drawn_rows(), random_state(seed)) for seed in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
        grown = Conditionals.fit(drawn_rows(), [False, False, True])
        assert np.array_equal(grown.refined(drawn_rows(), random_state()), first)

    def test_of_two_names_of_one_thing_agree(self) -> None:
        kinds = np.random.default_rng(0).integers(4, size=1000)
        trees = Conditionals.fit(np.column_stack([kinds, 3 - kinds]), [True, True])
        rows = trees.refined(np.random.default_rng(1).integers(4, size=(500, 2)), random_state())
        assert np.mean(rows.sum(axis=1) == 3) > 0.99

    def test_have_missing_values_where_rows_had(self) -> None:
        random = np.random.default_rng(0)
        kind = random.integers(2, size=N)
        is_missing = random.random(N) < np.where(kind == 1, 0.6, 0.0)
        number, category = (
            np.where(is_missing, np.nan, v) for v in (random.normal(size=N), random.integers(3, size=N))
        )
        trees = Conditionals.fit(np.column_stack([kind, number, category]), [True, False, True])
        rows = trees.refined(np.nan_to_num(np.column_stack([kind, number, category])), random_state())
        missing = np.isnan(rows)
        assert not missing[:, 0].any()
        assert np.mean(missing[:, 1] == missing[:, 2]) > 0.99  # they hung together
        assert missing[rows[:, 0] == 0, 1].mean() < 0.01
        assert missing[rows[:, 0] == 1, 1].mean() == pytest.approx(0.6, abs=0.08)

    def test_repeat_numbers_that_many_rows_have_and_no_others(self) -> None:
        random = np.random.default_rng(0)
        own, common = random.normal(size=N), random.integers(10, size=N)
        rows = Conditionals.fit(np.column_stack([own, common]), [False, False]).refined(
            np.column_stack([own, common]), random_state()
        )
        assert np.isin(rows[:, 0], own.astype(np.float32)).mean() < 0.01
        assert set(np.unique(rows[:, 1])) == set(range(10))


class TestTrees:
    def test_lead_where_those_of_scikit_learn_lead(self) -> None:
        rows, fresh = drawn_rows(), drawn_rows(500, seed=3)
        ours = NumberTree.fit(rows[:, 1], rows[:, [0, 2]], 1)
        leaf_rows = next(size for size in (10, 20, 40, 80) if np.diff(ours.ends[ours.splits < 0]).min() < 2 * size)
        theirs = DecisionTreeRegressor(min_samples_leaf=leaf_rows, random_state=0).fit(rows[:, [0, 2]], rows[:, 1])
        assert np.array_equal(ours.leaves(fresh, 0), theirs.apply(fresh[:, [0, 2]]))
        starts, ends = ours.ends[ours.leaves(fresh, 0)].T
        means = [ours.values[start:end].mean() for start, end in zip(starts, ends, strict=True)]
        np.testing.assert_allclose(means, theirs.predict(fresh[:, [0, 2]]), rtol=1e-4, atol=1e-5)

    def test_hold_ten_values_in_a_leaf_at_least(self, trees: Conditionals) -> None:
        number = trees.columns[0]
        assert isinstance(number, NumberTree)
        held = np.diff(number.ends[number.splits < 0], axis=1)
        assert held.min() >= LEAF_ROWS == 10
        assert held.sum() == N

    def test_give_the_probabilities_that_are_known(self, trees: Conditionals) -> None:
        fresh, category = drawn_rows(seed=4), trees.columns[2]
        assert isinstance(category, CategoryTrees)
        found = category.probabilities(fresh)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert np.abs(found[:, 1] - expit(3 * fresh[:, 1])).mean() < 0.08

    @pytest.mark.parametrize(
        ("rows", "is_category"),
        [
            (np.ones((1, 2)), [True, False]),
            (np.ones((400, 1)), [False]),
            (np.arange(400)[:, None] % 3, [True]),
            (np.full((50, 2), np.nan), [True, False]),
            (np.repeat(np.arange(30.0), 2).reshape(-1, 2) * 1e6, [False, True]),
        ],
        ids=["one-row", "one-number", "one-category", "missing values-alone", "huge"],
    )
    def test_grow_on_any_rows(self, rows: np.ndarray, is_category: list[bool]) -> None:
        refined = Conditionals.fit(rows, is_category).refined(rows, random_state())
        assert refined.shape == rows.shape
        assert np.array_equal(np.isnan(refined), np.isnan(rows))
        assert np.nanmax(refined, initial=0) <= np.nanmax(rows, initial=0)

    def test_are_few_where_columns_tell_nothing_of_each_other(self) -> None:
        random = np.random.default_rng(0)
        rows = np.column_stack([random.normal(size=N), random.normal(size=N), random.integers(3, size=N)])
        number, _, category = Conditionals.fit(rows, [False, False, True]).columns
        assert len(number.splits) < 20
        assert len(category.roots) <= 1

    def test_of_wide_tables_are_grown_on_fewer_rows(self) -> None:
        assert [fitted_rows(columns) for columns in (1, 10, 16, 100, 10**6)] == [10_000, 10_000, 10_000, 2000, 1]


class TestItsArrays:
    def test_come_back_as_they_were(self, trees: Conditionals) -> None:
        again = Conditionals.from_arrays(trees.to_arrays(), [False, False, True])
        assert all(np.array_equal(again.to_arrays()[name], array) for name, array in trees.to_arrays().items())
        assert np.array_equal(again.refined(drawn_rows(), random_state()), trees.refined(drawn_rows(), random_state()))

    @pytest.mark.parametrize(
        ("name", "change", "match"),
        [
            ("order", lambda a: a[:2], r"'order' is none of 3 columns\."),
            ("patterns", lambda a: a[:, :2], r"'patterns' and 'shares' are not the missing values of 3 columns\."),
            ("shares", lambda a: a * 2, r"'patterns' and 'shares' are not the missing values of 3 columns\."),
            ("order", lambda a: None, r"'order' is missing\."),
            ("0/kinds", lambda a: np.ones(1), r"'0/kinds' is not expected\."),
            ("0/values", lambda a: a.astype(np.float64), r"'0/values' is float64; expected float32\."),
            ("0/children", lambda a: a[:-1], r"'0/children' has shape \(\d+, 2\); expected \(\d+, 2\)\."),
            ("0/children", lambda a: 0 * a, r"'0/children' points outside the trees, or back, or is not finite\."),
            ("0/children", lambda a: a + 10**6, r"'0/children' points outside the trees"),
            ("0/splits", lambda a: a + 3, r"'0/splits' points outside the trees"),
            ("0/roots", lambda a: a - 1, r"'0/roots' points outside the trees"),
            ("0/roots", lambda a: a[:0], r"'0/roots' has shape \(0,\); expected \(1,\)\."),
            ("0/ends", lambda a: a + 10**6, r"'0/ends' points outside the trees"),
            ("0/ends", lambda a: 0 * a, r"'0/ends' points outside the trees"),
            ("0/thresholds", lambda a: a * np.nan, r"'0/thresholds' points outside the trees, or back, or is not fin"),
            ("2/steps", lambda a: a[:, :1], r"'2/steps' has shape \(\d+, 1\); expected \(\d+, 2\)\."),
            ("2/steps", lambda a: a + np.inf, r"'2/steps' points outside the trees, or back, or is not finite\."),
            ("2/kinds", lambda a: a[:0], r"'2/base' has shape \(2,\); expected \(0,\)\."),
        ],
    )
    def test_are_refused_where_they_are_none(self, trees: Conditionals, name: str, change, match: str) -> None:
        arrays = trees.to_arrays()
        changed = {**arrays, name: change(arrays.get(name))}
        with np.errstate(invalid="ignore"), pytest.raises(DataError, match=match):
            Conditionals.from_arrays({n: a for n, a in changed.items() if a is not None}, [False, False, True])


def test_of_the_same_rows_are_grown_once() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    first = Conditionals.fit(rows, [False, False])
    assert Conditionals.fit(rows.copy(), [False, False]) is first
    assert Conditionals.fit(rows + 1, [False, False]) is not first
