"""A table's columns and the model's numbers: every kind of column, there and back, in one table of kinds.

What is learned of a column (its scale, its categories) is plain data and belongs to the model file. A missing value is
NaN on the model's side. Each kind names the family of distributions that explains it: see
:mod:`hyotan.distributions.mixed`.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from hyotan.data.frames import is_number, is_text
from hyotan.errors import DataError, SettingsError

if TYPE_CHECKING:
    import pyarrow as pa

FEW_VALUES = 10
"""Whole numbers with at most so many different values are categories: classes, ranks, sizes."""

MOST_CATEGORIES, REPEATED = 100, 2
"""Text with more different values than this, or whose values stand less often than this on average, is left out."""

SKEWED, HEAVY = 1.0, 3.0
"""From this skewness on numbers are bent straight; from this excess kurtosis on their noise is Student's."""

MOST_DECIMALS = 6
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
DAY = 86400.0
EPOCH = datetime.date(1970, 1, 1)


@dataclass(frozen=True)
class Column:
    """What is known of a column; the kinds below say how it becomes numbers.

    Attributes
    ----------
    name : the column's.
    """

    name: str

    kind: ClassVar[str]
    family: ClassVar[str]

    @property
    def width(self) -> int:
        """How many numbers a row takes."""
        return 1

    @property
    def encoded_names(self) -> list[str]:
        """A name for each of these numbers."""
        return [self.name]

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn what is to be known of a column from its values, missing values left out."""
        raise NotImplementedError

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """Map values to numbers, (n, width), float32; a missing value is NaN."""
        raise NotImplementedError

    def decoded(self, encoded_names: np.ndarray) -> pa.Array:
        """Map numbers, (n, width), to the nearest values that the column can hold."""
        raise NotImplementedError

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Values that the column did not have when it was fitted, and that cannot be encoded."""
        return []

    def to_settings(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class Number(Column):
    """A measurement: bent straight where it is skewed (Yeo & Johnson 2000), then mean 0 and deviation 1.

    Attributes
    ----------
    centre, spread : what is taken off, and divided by, first.
    power : exponent of the bend; None for none.
    offset, factor : ``(bent - offset) * factor`` is the model's number.
    low, high : ends of the values seen; decoded ones stay between them.
    decimals : places after the point; None for as many as float32 has.
    is_heavy : whether extreme values are common.
    """

    centre: float
    spread: float
    power: float | None
    offset: float
    factor: float
    low: float
    high: float
    decimals: int | None
    is_heavy: bool

    kind: ClassVar[str] = "number"

    @property
    def family(self) -> str:  # pyrefly: ignore[bad-override]
        """Student's t where extreme values are common."""
        return "student-t" if self.is_heavy else "gaussian"

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn scale and bend."""
        x = cls.numbers(values)
        x = x[~np.isnan(x)]
        centre, spread = _robust_scale(x)
        power = _power((x - centre) / spread)
        bent = _bent((x - centre) / spread, power)
        deviation = float(bent.std())
        factor = 1 / deviation if deviation > 1e-7 * max(1.0, abs(float(bent.mean()))) else 1.0
        return cls(
            name,
            centre,
            spread,
            power,
            float(bent.mean()),
            factor,
            float(x.min()),
            float(x.max()),
            _decimals(x),
            _kurtosis(bent) > HEAVY,
        )

    @staticmethod
    def numbers(values: pa.ChunkedArray) -> np.ndarray:
        """The values as float64, (n,), a missing value as NaN."""
        import pyarrow as pa

        return _plain(values).cast(pa.float64(), safe=False).to_numpy()

    @staticmethod
    def restored(x: np.ndarray) -> pa.Array:
        """From float64, (n,), to values of the kind."""
        import pyarrow as pa

        return pa.array(x)

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """The scaled numbers, (n, 1)."""
        return self._scaled(self.numbers(values))[:, None].astype(np.float32)

    def decoded(self, encoded_names: np.ndarray) -> pa.Array:
        """Numbers with as many decimals as the column has, within the range that was seen."""
        ends = self._scaled(np.array([self.low, self.high]))
        inside = np.clip(encoded_names[:, 0].astype(np.float64), *ends)
        x = _straightened(inside / self.factor + self.offset, self.power) * self.spread + self.centre
        x = np.clip(x, self.low, self.high)
        return self.restored(x if self.decimals is None else x.round(self.decimals))

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return (_bent((x - self.centre) / self.spread, self.power) - self.offset) * self.factor


@dataclass(frozen=True)
class Date(Number):
    """A date, or a date with a time: the number of days since 1970."""

    kind: ClassVar[str] = "date"

    @staticmethod
    def numbers(values: pa.ChunkedArray) -> np.ndarray:
        """Days since 1970, (n,), float64, a missing value as NaN."""
        import pyarrow as pa

        seconds = values.cast(pa.timestamp("us")).cast(pa.int64())
        return seconds.cast(pa.float64(), safe=False).to_numpy() * (SECONDS["us"] / DAY)

    @staticmethod
    def restored(x: np.ndarray) -> pa.Array:
        """Times, to the microsecond."""
        import pyarrow as pa

        return pa.array(np.rint(x * (DAY / SECONDS["us"])).astype(np.int64)).cast(pa.timestamp("us"))


@dataclass(frozen=True)
class Count(Column):
    """How many of something: 0, 1, 2, …, most of them small.

    Attributes
    ----------
    offset, factor : ``(log(1 + count) - offset) * factor`` is the model's number.
    high : the greatest count seen.
    """

    offset: float
    factor: float
    high: int

    kind: ClassVar[str] = "count"
    family: ClassVar[str] = "negative-binomial"

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn the scale."""
        x = Number.numbers(values)
        x = x[~np.isnan(x)]
        if (x < 0).any() or (x % 1 != 0).any():
            raise SettingsError(f"Column '{name}' holds {x.min():g}, which is no count.", "Take it as a number.")
        logs = np.log1p(x)
        return cls(name, float(logs.mean()), float(1 / max(logs.std(), 1e-6)), int(x.max()))

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """The scaled logarithms, (n, 1); values that are no counts are missing values."""
        x = Number.numbers(values)
        logs = np.log1p(np.where(x >= 0, np.rint(x), np.nan))
        return ((logs - self.offset) * self.factor)[:, None].astype(np.float32)

    def decoded(self, encoded_names: np.ndarray) -> pa.Array:
        """Whole numbers, no greater than the greatest seen."""
        import pyarrow as pa

        logs = encoded_names[:, 0].astype(np.float64) / self.factor + self.offset
        return pa.array(np.rint(np.expm1(logs.clip(0, math.log1p(self.high)))).astype(np.int64))


@dataclass(frozen=True)
class Category(Column):
    """One of a few values: a number of 0 or 1 for each.

    Attributes
    ----------
    categories : the values seen, in order.
    """

    categories: tuple[str | int | float | bool, ...]

    kind: ClassVar[str] = "category"
    family: ClassVar[str] = "categorical"

    @property
    def width(self) -> int:
        """One for each category."""
        return len(self.categories)

    @property
    def encoded_names(self) -> list[str]:
        """Column and category."""
        return [f"{self.name}={value}" for value in self.categories]

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn the values there are, sorted."""
        return cls(name, tuple(sorted(_distinct(values))))

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """One row of an identity matrix for each value, (n, categories); a value not seen before is a missing value."""
        places = self.places(values)
        table = np.vstack([np.eye(len(self.categories), dtype=np.float32), np.full(len(self.categories), np.nan)])
        return table[places].astype(np.float32)

    def places(self, values: pa.ChunkedArray) -> np.ndarray:
        """Which category each value is, (n,), int64; -1 for missing values and for values that were not seen."""
        coded = _plain(values).combine_chunks().dictionary_encode()
        known = {_key(value): place for place, value in enumerate(self.categories)}
        of_value = np.array([known.get(_key(value), -1) for value in coded.dictionary.to_pylist()] + [-1])
        return of_value[np.asarray(coded.indices.fill_null(len(of_value) - 1))]

    def decoded(self, encoded_names: np.ndarray) -> pa.Array:
        """The likeliest category."""
        import pyarrow as pa

        return pa.array(self.categories).take(pa.array(encoded_names.argmax(axis=1)))

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Values that are no category, as text."""
        known = {_key(value) for value in self.categories}
        return [str(value) for value in _distinct(values) if _key(value) not in known]


@dataclass(frozen=True)
class YesNo(Category):
    """One of two values: the probability of the second."""

    kind: ClassVar[str] = "yes-no"
    family: ClassVar[str] = "bernoulli"

    @property
    def width(self) -> int:
        """One for both."""
        return 1

    @property
    def encoded_names(self) -> list[str]:
        """Column and second value."""
        return [f"{self.name}={self.categories[1]}"]

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """0 or 1, (n, 1)."""
        places = self.places(values)
        return np.where(places < 0, np.nan, places)[:, None].astype(np.float32)

    def decoded(self, encoded_names: np.ndarray) -> pa.Array:
        """The likelier value."""
        import pyarrow as pa

        return pa.array(self.categories).take(pa.array((encoded_names[:, 0] >= 0.5).astype(np.int64)))


@dataclass(frozen=True)
class Constant(Category):
    """A column that says the same in every row, and tells a model nothing; it comes back all the same."""

    kind: ClassVar[str] = "constant"
    family: ClassVar[str] = "none"

    @property
    def width(self) -> int:
        """None."""
        return 0

    @property
    def encoded_names(self) -> list[str]:
        """None."""
        return []

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """Nothing, (n, 0)."""
        return np.empty((len(values), 0), dtype=np.float32)

    def decoded(self, encoded_names: np.ndarray) -> pa.Array:
        """The one value."""
        import pyarrow as pa

        return pa.array(self.categories).take(pa.array(np.zeros(len(encoded_names), dtype=np.int64)))

    def unseen(self, values: pa.ChunkedArray) -> list[str]:
        """Nothing is encoded, so nothing is lost."""
        return []


KINDS: Mapping[str, type[Column]] = {kind.kind: kind for kind in (Number, Date, Count, Category, YesNo, Constant)}
"""Every kind of column: a new one is a class above and its name here."""


def kind_of(values: pa.ChunkedArray) -> str | None:
    """The kind that suits a column; None where there is nothing to learn: text that hardly repeats itself, lists."""
    from pyarrow import types

    kind = _plain(values).type
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    if not is_number(kind) and not is_text(kind):
        return None
    distinct = len(_distinct(values))
    if distinct <= 2:
        return "constant" if distinct == 1 else "yes-no"
    if not is_number(kind):
        filled = len(values) - values.null_count
        is_told = types.is_dictionary(values.type)  # whoever made the table says that these are categories
        return "category" if distinct <= MOST_CATEGORIES and (is_told or filled >= REPEATED * distinct) else None
    if not types.is_integer(kind):
        return "number"
    if distinct <= FEW_VALUES:
        return "category"
    return "count" if _counts(Number.numbers(values)) else "number"


def fit_column(name: str, values: pa.ChunkedArray, kind: str) -> Column:
    """A column of a kind, fitted to its values."""
    return KINDS[kind].fitted(name, values)


def column_from(settings: Mapping[str, Any]) -> Column:
    """The column that :meth:`Column.to_settings` wrote down.

    Raises
    ------
    TypeError, ValueError
        It is none, or not whole.
    """
    given = dict(settings)
    kind = KINDS.get(str(given.pop("kind", None)))
    if kind is None or set(given) != {member.name for member in fields(kind)}:
        raise ValueError(f"not a column: {dict(settings)!r}")
    if "categories" in given:
        given["categories"] = tuple(given["categories"])
        least = {"yes-no": 2, "constant": 1}.get(kind.kind)
        if least is not None and len(given["categories"]) != least:
            raise ValueError(f"a column of kind {kind.kind} with {len(given['categories'])} categories")
    numbers = [value for value in given.values() if isinstance(value, float)]
    if not all(math.isfinite(value) for value in numbers) or given.get("factor") == 0 or given.get("spread") == 0:
        raise ValueError(f"a column whose scale is not finite: {dict(settings)!r}")
    return kind(**given)


def refuse_other_type(column: Column, values: pa.ChunkedArray) -> None:
    """Refuse values of another type than the column was fitted on.

    Raises
    ------
    DataError
        Names the column, what it held, and what it holds now.
    """
    from pyarrow import types

    kind = _plain(values).type
    if types.is_null(kind) or isinstance(column, Constant):
        return
    is_date = types.is_temporal(kind)
    if isinstance(column, Category):
        expected = "text" if isinstance(column.categories[0], str) else "numbers"
    else:
        expected = {"number": "numbers", "count": "counts"}.get(column.kind, "dates")
    arrived = "dates" if is_date else "numbers" if is_number(kind) else "text"
    fits = {"counts": "numbers"}.get(expected, expected) == arrived
    if not fits and not (expected == "text" and arrived == "numbers"):  # a number in place of a text is a new category
        example = next((value for value in values.to_pylist() if value is not None), None)
        raise DataError(
            f"Column '{column.name}' holds {arrived} (such as {example!r}); the model was fitted on {expected} there.",
            "Bring the column to the type that it had.",
        )


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of categories as the values that they stand for, exact decimals as floats."""
    import pyarrow as pa
    from pyarrow import types

    values = values.cast(values.type.value_type) if types.is_dictionary(values.type) else values
    return values.cast(pa.float64()) if types.is_decimal(values.type) else values


def _distinct(values: pa.ChunkedArray) -> list[Any]:
    found = _plain(values).unique().drop_null().to_pylist() if len(values) else []
    return [value for value in found if not (isinstance(value, float) and math.isnan(value))]


def _key(value: Any) -> Any:
    """What equal values share, whatever type a reader gave them: 3 and 3.0, not '3' and 3."""
    return str(value) if isinstance(value, str) else value


def _robust_scale(x: np.ndarray) -> tuple[float, float]:
    """Median, and the distance between the quartiles as a deviation; the plain deviation where that is nothing."""
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
    spread = (high - low) / 1.349
    spread = spread if spread > 1e-9 * max(1.0, abs(middle)) else x.std()
    return float(middle), float(spread) if spread > 0 else 1.0


def _power(x: np.ndarray) -> float | None:
    """Exponent of the Yeo-Johnson bend that makes scaled values most like a Gaussian; None where they need none."""
    from sklearn.preprocessing import PowerTransformer

    if abs(_skewness(x)) <= SKEWED:
        return None
    power = float(PowerTransformer(standardize=False).fit(x[:, None]).lambdas_[0])
    straight = math.isfinite(power) and abs(_skewness(_bent(x, power))) < abs(_skewness(x))
    return power if straight else None


def _bent(x: np.ndarray, power: float | None) -> np.ndarray:
    """The Yeo-Johnson transformation (Yeo & Johnson 2000, eq. 2.1), for any exponent."""
    if power is None:
        return x
    above, below = np.log1p(x.clip(0)), np.log1p((-x).clip(0))
    rising = above if abs(power) < 1e-9 else np.expm1(power * above) / power
    other = 2 - power
    falling = below if abs(other) < 1e-9 else np.expm1(other * below) / other
    return np.where(np.isnan(x), np.nan, rising - falling)


def _straightened(y: np.ndarray, power: float | None) -> np.ndarray:
    """Undo :func:`_bent`."""
    if power is None:
        return y
    above, below, other = y.clip(0), (-y).clip(0), 2 - power
    # Beyond the end that a negative exponent bends towards there is nothing to come back from: as far as it goes.
    tiny = np.finfo(np.float64).tiny
    rising = above if abs(power) < 1e-9 else np.log(np.maximum(1 + power * above, tiny)) / power
    falling = below if abs(other) < 1e-9 else np.log(np.maximum(1 + other * below, tiny)) / other
    return np.expm1(rising) - np.expm1(falling)


def _skewness(x: np.ndarray) -> float:
    centred = x - x.mean()
    deviation = centred.std()
    return float((centred**3).mean() / deviation**3) if deviation > 0 else 0.0


def _kurtosis(x: np.ndarray) -> float:
    """Excess kurtosis: 0 of a Gaussian."""
    centred = x - x.mean()
    variance = (centred**2).mean()
    return float((centred**4).mean() / variance**2 - 3) if variance > 0 else 0.0


def _decimals(x: np.ndarray) -> int | None:
    """The fewest decimals that hold all values; None where that takes more than float32 has."""
    for decimals in range(MOST_DECIMALS + 1):
        if np.allclose(x, x.round(decimals), rtol=1e-12, atol=1e-12):
            return decimals
    return None


def _counts(x: np.ndarray) -> bool:
    """Whether whole numbers are counts of something: from 0 on, and skewed to the right."""
    filled = x[~np.isnan(x)]
    return float(filled.min()) == 0.0 and _skewness(filled) > SKEWED
