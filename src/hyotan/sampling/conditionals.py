"""How likely each value of a table's column is given the row's other columns: trees, and rows drawn again from them.

>>> import numpy as np
>>> random = np.random.default_rng(0)
>>> kind = random.integers(3, size=2000)
>>> rows = np.column_stack([kind, 10.0 * kind + random.normal(size=2000)])
>>> trees = Conditionals.fit(rows, is_category=[True, False])
>>> blurred = np.column_stack([random.integers(3, size=500), 10.0 * random.integers(3, size=500)])
>>> refined = trees.refined(blurred, np.random.RandomState(0))
>>> float(np.mean(np.abs(refined[:, 1] - 10 * refined[:, 0]) < 4)) > 0.98
True

A decoder draws the columns of a row independently given its code, and what the code gives up of how they hang together
is lost. Here each column gets trees that were grown on the training rows, with the other columns to split by, and a new
row is drawn again column by column, each given what the others hold by then: "dependency networks", Heckerman et al.
2000, sections 2 and 3. A number is drawn from the training values in the leaf that the row leads to (Reiter 2005,
section 3); a category by odds that many small trees add up to (Friedman 2001, algorithm 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hyotan.errors import DataError

Array = NDArray[Any]

LEAF_ROWS, LARGER_LEAVES, HELD_OUT = 10, 6, 0.2
"""A leaf of numbers holds those of so many training rows at least, or twice, four times, ... as many: what suits rows
that are held out. What is drawn hangs on no row alone, and a number that so many rows have may be drawn as it is."""
ROUNDS, LEAST_ROUNDS, CLASSES_TIMES_ROUNDS, WHOLE_STEP, PATIENCE = 40, 16, 320, 8.0, 5
"""Trees that odds are the sum of, at most, and fewer where there are many categories; what the sizes of so many steps
add up to; and how many trees without a gain, on rows that are held out, end the search for their number."""
ROUND_LEAVES, ROUND_LEAF_ROWS = 31, 20
"""Leaves of each of these trees, at most, and training rows in each, at least."""
FITTED_ROWS, MOST_CELLS, SPLIT_COLUMNS = 10_000, 3_200_000, 16
"""What growing costs: training rows, at most; rows times columns times those looked at for a split; and of these."""
SPAN = 6
"""A number is drawn evenly between two of a leaf's that are so many ranks apart."""
SWEEPS = 3
"""How often each column is drawn again."""
MOST_PATTERNS = 256
"""Patterns of missing values that are kept, the most frequent ones."""
_MISSING = np.float32(-1e4)  # what a missing value is to a tree: far below every scaled value
_TINY = 1e-1  # holds the step of a leaf whose rows are all but certain


def fitted_rows(columns: int) -> int:
    """How many rows the trees of so many columns are grown on, at most."""
    return max(1, min(FITTED_ROWS, MOST_CELLS // max(1, columns * min(columns, SPLIT_COLUMNS))))


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees of one column, side by side; what stands at their leaves the kinds below add.

    Attributes
    ----------
    roots : (trees,), int32, the node where each starts.
    splits : (nodes,), int32, the column that a node looks at; -1 of a leaf.
    thresholds : (nodes,), float64; what is greater goes to the right.
    children : (nodes, 2), int32, the left and the right one, which come later.
    """

    roots: Array
    splits: Array
    thresholds: Array
    children: Array

    is_category: ClassVar[bool]
    types: ClassVar[Mapping[str, Any]] = {
        "roots": np.int32,
        "splits": np.int32,
        "thresholds": np.float64,
        "children": np.int32,
    }

    def to_arrays(self) -> dict[str, Array]:
        """The trees as plain arrays, by name."""
        return {name: getattr(self, name) for name in self.types}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each array must have, given the others."""
        nodes = self.splits.size
        return {"roots": (self.roots.size,), "splits": (nodes,), "thresholds": (nodes,), "children": (nodes, 2)}

    def is_sound(self, columns: int) -> dict[str, bool]:
        """Whether each array points to what is there, and never back, where a row would go round for ever."""
        inner = np.flatnonzero(self.splits >= 0)
        children = self.children[inner]
        return {
            "roots": bool(((self.roots >= 0) & (self.roots < len(self.splits))).all()),
            "splits": bool(((self.splits >= -1) & (self.splits < columns)).all()),
            "thresholds": bool(np.isfinite(self.thresholds).all()),
            "children": bool(((children > inner[:, None]) & (children < len(self.splits))).all()),
        }

    def leaves(self, seen: Array, root: int) -> Array:
        """The leaf that each row, (n, columns), comes to from a root, (n,)."""
        at, inside = np.full(len(seen), root), np.arange(len(seen))
        while len(inside := inside[self.splits[at[inside]] >= 0]):
            nodes = at[inside]
            is_right = seen[inside, self.splits[nodes]] > self.thresholds[nodes]
            at[inside] = self.children[nodes, is_right.astype(np.int64)]
        return at

    def drawn(self, seen: Array, random: np.random.RandomState) -> Array:
        """One value for each row, (n,), NaN where it is a missing value, given its other columns, (n, columns)."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class NumberTree(Trees):
    """One tree, with training values in its leaves.

    Attributes
    ----------
    ends : (nodes, 2), int32, where a node's values start and end.
    values : (rows,), float32, of the training rows: leaf by leaf, each leaf's in order, missing values (NaN) last.
    """

    ends: Array
    values: Array

    is_category: ClassVar[bool] = False
    types: ClassVar[Mapping[str, Any]] = {**Trees.types, "ends": np.int32, "values": np.float32}

    @classmethod
    def fit(cls, values: Array, others: Array, place: int) -> NumberTree:
        """The tree of values, (n,), by the other columns, (n, columns - 1), among which its own has a place."""
        outputs = _outputs(values)
        tree = _number_tree(others, _leaf_rows(others, outputs)).fit(others, outputs)
        leaves = tree.apply(others)
        order = np.lexsort((values, leaves))
        bounds = np.searchsorted(leaves[order], np.arange(tree.tree_.node_count + 1))
        ends = np.stack([bounds[:-1], bounds[1:]], axis=1).astype(np.int32)
        return cls(**_joined([tree.tree_], place), ends=ends, values=values[order])

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Those of the tree, and of what it holds."""
        return {**super().shapes(), "roots": (1,), "ends": (self.splits.size, 2), "values": (self.values.size,)}

    def is_sound(self, columns: int) -> dict[str, bool]:
        """Whether the tree is, and every leaf holds values."""
        starts, ends = self.ends[self.splits < 0].T
        held = bool(((starts >= 0) & (starts < ends) & (ends <= len(self.values))).all())
        return {**super().is_sound(columns), "ends": held, "values": not np.isinf(self.values).any()}

    def drawn(self, seen: Array, random: np.random.RandomState) -> Array:
        """A number of the leaf's where many rows have it in common, else one between two that are near each other."""
        starts, ends = self.ends[self.leaves(seen, self.roots[0])].T
        filled = np.concatenate([[0], np.cumsum(~np.isnan(self.values))])
        last = starts + filled[ends] - filled[starts] - 1  # the last number before the missing values
        place, between = random.random_sample((2, len(seen)))
        rank = starts + (place * (ends - starts)).astype(np.int64)
        # Between two neighbours alone, numbers would come too close to those of rows that lie near each other.
        low = np.minimum(np.maximum(rank - SPAN // 2, starts), np.maximum(last - SPAN, starts))
        high = np.minimum(low + SPAN, np.maximum(last, starts))
        drawn = self.values[low] + between * (self.values[high] - self.values[low])
        drawn = np.where(_counts(self.values)[rank] >= LEAF_ROWS, self.values[rank], drawn)
        return np.where(rank <= last, drawn, np.nan)


@dataclass(frozen=True, eq=False)
class CategoryTrees(Trees):
    """Trees that add up to the log odds of each category.

    Attributes
    ----------
    kinds : (categories,), float32, those that the training rows have; NaN where a missing value is one of them.
    base : (categories,), float64, the logs of their shares.
    steps : (nodes, categories), float32, what a leaf adds to these.
    """

    kinds: Array
    base: Array
    steps: Array

    is_category: ClassVar[bool] = True
    types: ClassVar[Mapping[str, Any]] = {**Trees.types, "kinds": np.float32, "base": np.float64, "steps": np.float32}

    @classmethod
    def fit(cls, values: Array, others: Array, place: int) -> CategoryTrees:
        """The trees of categories, (n,), by the other columns, (n, columns - 1), among which its own has a place.

        Each is fitted to the gradient of log p at the sum of those before it, and its leaves to a step of Newton's
        method: Friedman 2001, equations 32 and 33, with one tree for all categories.
        """
        kinds, which = np.unique(values, return_inverse=True)
        is_it = np.eye(len(kinds))[which]
        base, grown, steps = np.log(is_it.mean(axis=0)), [], [np.empty((0, len(kinds)))]
        odds = np.tile(base, (len(values), 1))
        for number in range(_rounds(others, is_it)):
            tree, step, leaves = _round(others, is_it, _shares(odds), number)
            steps.append(step)
            odds += step[leaves]
            grown.append(tree)
        return cls(**_joined(grown, place), kinds=kinds, base=base, steps=np.concatenate(steps).astype(np.float32))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Those of the trees, and of what they add up."""
        size = self.kinds.size
        return {**super().shapes(), "kinds": (size,), "base": (size,), "steps": (self.splits.size, size)}

    def is_sound(self, columns: int) -> dict[str, bool]:
        """Whether the trees are, and the odds are finite."""
        finite = {name: bool(np.isfinite(getattr(self, name)).all()) for name in ("base", "steps")}
        kinds = len(self.kinds) > 0 and not np.isinf(self.kinds).any()
        return {**super().is_sound(columns), "kinds": kinds, **finite}

    def probabilities(self, seen: Array) -> Array:
        """The probability of each category, (n, categories), given the other columns, (n, columns)."""
        odds = np.tile(self.base, (len(seen), 1))
        for root in self.roots:
            odds += self.steps[self.leaves(seen, root)]
        return _shares(odds)

    def drawn(self, seen: Array, random: np.random.RandomState) -> Array:
        """A category by its probability."""
        up_to = self.probabilities(seen).cumsum(axis=1)
        drawn = (random.random_sample((len(seen), 1)) >= up_to).sum(axis=1)
        return self.kinds[np.minimum(drawn, len(self.kinds) - 1)]


@dataclass(frozen=True)
class _Rows:
    """Rows to grow trees on, the same as others of the same digest."""

    shape: tuple[int, ...]
    digest: bytes
    is_category: tuple[bool, ...]
    values: Array = field(compare=False, repr=False)


@lru_cache(maxsize=1)
def _of_rows(rows: _Rows) -> Conditionals:
    """The trees; all models of a study are trained on the same rows, and they are grown once."""
    return Conditionals._grown(rows.values, rows.is_category)


@dataclass(frozen=True, eq=False)
class Conditionals:
    """The trees of all columns.

    Attributes
    ----------
    columns : each column's, in the table's order.
    order : (columns,), int32, in which they are drawn: numbers, then categories.
    patterns : (patterns, columns), bool, which columns have missing values together.
    shares : (patterns,), float64, of the training rows.
    """

    columns: tuple[NumberTree | CategoryTrees, ...]
    order: Array
    patterns: Array
    shares: Array

    @classmethod
    def fit(cls, rows: Array, is_category: Sequence[bool]) -> Conditionals:
        """Trees grown on rows.

        Parameters
        ----------
        rows : (n, columns), n at least 1: numbers, scaled, and the numbers of categories; NaN where there is a missing
            value.
        is_category : which is which, (columns,).
        """
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        return _of_rows(_Rows(rows.shape, sha256(rows.data).digest(), tuple(map(bool, is_category)), rows))

    @classmethod
    def _grown(cls, rows: Array, is_category: Sequence[bool]) -> Conditionals:
        from threadpoolctl import threadpool_limits

        seen, columns = _seen(rows), []
        with threadpool_limits(1):
            for place, kind in enumerate(is_category):
                others = np.delete(seen, place, axis=1)
                others = others if others.size else np.zeros((len(rows), 1), dtype=np.float32)
                columns.append((CategoryTrees if kind else NumberTree).fit(rows[:, place], others, place))
        patterns, counts = np.unique(np.isnan(rows), axis=0, return_counts=True)
        kept = np.argsort(-counts, kind="stable")[:MOST_PATTERNS]
        order = np.argsort(is_category, kind="stable").astype(np.int32)
        return cls(tuple(columns), order, patterns[kept], counts[kept] / counts[kept].sum())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], is_category: Sequence[bool]) -> Conditionals:
        """What :meth:`to_arrays` gave, for columns of these kinds.

        Raises
        ------
        DataError
            These are not the arrays of such trees: says which is not, and what was expected.
        """
        kinds = [CategoryTrees if kind else NumberTree for kind in is_category]
        expected: dict[str, Any] = {"order": np.int32, "patterns": np.bool_, "shares": np.float64}
        for place, kind in enumerate(kinds):
            expected |= {f"{place}/{name}": dtype for name, dtype in kind.types.items()}
        if wrong := sorted(set(expected) ^ set(arrays)):
            raise DataError(f"'{wrong[0]}' is {'missing' if wrong[0] in expected else 'not expected'}.")
        for name, array in arrays.items():
            if array.dtype != expected[name]:
                raise DataError(f"'{name}' is {array.dtype}; expected {np.dtype(expected[name])}.")
        columns = []
        for place, kind in enumerate(kinds):
            column = kind(**{name: np.array(arrays[f"{place}/{name}"]) for name in kind.types})
            _refuse_wild(column, place, len(kinds))
            columns.append(column)
        order, patterns, shares = (np.array(arrays[name]) for name in ("order", "patterns", "shares"))
        if not np.array_equal(np.sort(order, axis=None), np.arange(len(columns))):
            raise DataError(f"'order' is none of {len(columns)} columns.")
        if patterns.shape != (shares.size, len(columns)) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
            raise DataError(f"'patterns' and 'shares' are not the missing values of {len(columns)} columns.")
        return cls(tuple(columns), order, patterns, shares)

    def to_arrays(self) -> dict[str, Array]:
        """The trees as plain arrays, by the number of the column and their name."""
        named = {"order": self.order, "patterns": self.patterns, "shares": self.shares}
        for place, column in enumerate(self.columns):
            named |= {f"{place}/{name}": array for name, array in column.to_arrays().items()}
        return named

    def refined(self, rows: Array, random: np.random.RandomState, sweeps: int = SWEEPS) -> Array:
        """Rows, (n, columns), float32, each column in its turn drawn again given the others; NaN is a missing value.

        The first missing values are those of some training row's pattern: columns that have them together would never
        get any.

        Parameters
        ----------
        rows : (n, columns), without missing values, in the range of those that the trees were grown on.
        random : where chance comes from.
        sweeps : how often each column has its turn.
        """
        pattern = random.choice(len(self.shares), len(rows), p=self.shares)
        rows = np.where(self.patterns[pattern], np.float32(np.nan), np.asarray(rows, dtype=np.float32))
        for _ in range(sweeps):
            for place in self.order:
                rows[:, place] = self.columns[place].drawn(_seen(rows), random)
        return rows


def _round(others: Array, is_it: Array, shares: Array, number: int) -> tuple[Any, Array, Array]:
    """One tree of the categories' odds, its leaves' steps, (nodes, categories), and the rows' leaves, (n,)."""
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(
        max_leaf_nodes=ROUND_LEAVES,
        min_samples_leaf=ROUND_LEAF_ROWS,
        max_features=_looked_at(others),
        random_state=number,
    )
    gradient, curvature = is_it - shares, shares * (1 - shares)
    leaves = tree.fit(others, gradient).apply(others)
    sums = [[np.bincount(leaves, part, tree.tree_.node_count) for part in of.T] for of in (gradient, curvature)]
    above, below = (np.stack(parts, axis=1) for parts in sums)
    share = 1 - 1 / is_it.shape[1]
    newton = (share * above / (below + _TINY)).clip(-4, 4)
    return tree.tree_, newton * (WHOLE_STEP / _most_rounds(is_it)), leaves


def _rounds(others: Array, is_it: Array) -> int:
    """How many trees suit rows that are held out: more of them would repeat the rows that they were grown on."""
    unseen = _held_out(len(others))
    if is_it.shape[1] == 1 or unseen.all() or not unseen.any():
        return 0
    base = np.log(is_it.mean(axis=0))
    own, other = (np.tile(base, (part.sum(), 1)) for part in (~unseen, unseen))
    losses = [-np.log(_shares(other)[is_it[unseen] > 0]).mean()]
    for number in range(_most_rounds(is_it)):
        tree, step, leaves = _round(others[~unseen], is_it[~unseen], _shares(own), number)
        own += step[leaves]
        other += step[tree.apply(others[unseen])]
        losses.append(-np.log(_shares(other)[is_it[unseen] > 0] + 1e-12).mean())
        if len(losses) - np.argmin(losses) > PATIENCE:
            break
    return int(np.argmin(losses))


def _most_rounds(is_it: Array) -> int:
    return max(LEAST_ROUNDS, min(ROUNDS, CLASSES_TIMES_ROUNDS // is_it.shape[1]))


def _held_out(n: int) -> Array:
    """Which rows the size of trees is chosen by, (n,)."""
    return np.random.default_rng(0).random(n) < HELD_OUT


def _joined(trees: Sequence[Any], place: int) -> dict[str, Array]:
    """scikit-learn's trees of a column as arrays, the splits counted among all columns."""
    sizes = [tree.node_count for tree in trees]
    roots = np.cumsum([0, *sizes])[:-1]
    children = [np.stack([tree.children_left, tree.children_right], axis=1) for tree in trees]
    later = [np.where(pair < 0, 0, pair + root) for pair, root in zip(children, roots, strict=True)]
    splits = [np.where(tree.feature < 0, -1, tree.feature + (tree.feature >= place)) for tree in trees]
    thresholds = [np.where(tree.feature < 0, 0.0, tree.threshold) for tree in trees]
    return {
        "roots": roots.astype(np.int32),
        "splits": np.concatenate([*splits, []]).astype(np.int32),
        "thresholds": np.concatenate([*thresholds, []]),
        "children": np.concatenate([*later, np.empty((0, 2))]).astype(np.int32),
    }


def _number_tree(others: Array, leaf_rows: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(min_samples_leaf=leaf_rows, max_features=_looked_at(others), random_state=0)


def _leaf_rows(others: Array, outputs: Array) -> int:
    """How many rows a leaf is to hold at least: where columns tell each other little, small ones repeat their rows."""
    unseen = _held_out(len(others))
    if unseen.all() or not unseen.any():
        return LEAF_ROWS
    sizes = [LEAF_ROWS * 2**doubling for doubling in range(LARGER_LEAVES + 1)]
    sizes = [size for size in sizes if 2 * size <= len(others)] or [LEAF_ROWS]
    errors = []
    for size in sizes:
        found = _number_tree(others, size).fit(others[~unseen], outputs[~unseen]).predict(others[unseen])
        errors.append(np.square(found - outputs[unseen]).mean())
    return sizes[int(np.argmin(errors))]


def _outputs(values: Array) -> Array:
    """What a tree of numbers tells apart, (n,): the numbers; or (n, 2): with missing values among them, these too."""
    is_missing = np.isnan(values)
    if not is_missing.any():
        return values
    middle = 0.0 if is_missing.all() else values[~is_missing].mean()
    return np.column_stack([np.where(is_missing, middle, values), is_missing])


def _refuse_wild(column: Trees, place: int, columns: int) -> None:
    for name, shape in column.shapes().items():
        if getattr(column, name).shape != shape:
            raise DataError(f"'{place}/{name}' has shape {getattr(column, name).shape}; expected {shape}.")
    if wild := [name for name, sound in column.is_sound(columns).items() if not sound]:
        raise DataError(f"'{place}/{wild[0]}' points outside the trees, or back, or is not finite.")


def _shares(odds: Array) -> Array:
    """Probabilities, (n, categories), from their logs up to a constant."""
    raised = np.exp(odds - odds.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _counts(values: Array) -> Array:
    """How often each value stands there, (n,)."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[which]


def _looked_at(others: Array) -> int:
    return min(others.shape[1], SPLIT_COLUMNS)


def _seen(rows: Array) -> Array:
    return np.where(np.isnan(rows), _MISSING, rows)
