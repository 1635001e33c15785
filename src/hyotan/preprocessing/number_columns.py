"""Columns whose values are more or less of something: measurements, dates, counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from pyarrow import types

from hyotan.data.frames import is_number, value_type
from hyotan.errors import SettingsError
from hyotan.preprocessing.columns import Column, simple_values
from hyotan.words import say, shown

SKEWED, HEAVY = 1.0, 3.0
"""From this skewness on numbers are bent straight; from this excess kurtosis on their noise is Student's."""

MOST_DECIMALS = 6
MICROSECOND, DAY = 1e-6, 86400.0


@dataclass(frozen=True)
class NumericColumn(Column):
    """What measurements, dates and counts have in common."""

    @staticmethod
    def numbers(values: pa.ChunkedArray) -> np.ndarray:
        """The values as float64, (n,), a missing value as NaN."""
        return simple_values(values).cast(pa.float64(), safe=False).to_numpy()

    @classmethod
    def known(cls, values: pa.ChunkedArray) -> np.ndarray:
        """The values that are not missing, (m,), float64."""
        x = cls.numbers(values)
        return x[~np.isnan(x)]

    def typical_error(self, values: pa.ChunkedArray, made: pa.ChunkedArray, lang: str) -> str:
        """The root of the mean squared difference."""
        off = self.numbers(made) - self.numbers(values)
        off = off[~np.isnan(off)]
        return shown(float(np.sqrt(np.mean(np.square(off)))) if len(off) else 0.0)


@dataclass(frozen=True)
class Number(NumericColumn):
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

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether they are numbers."""
        return is_number(values.type)

    @property
    def family(self) -> str:  # pyrefly: ignore[bad-override]
        """Student's t where extreme values are common."""
        return "student-t" if self.is_heavy else "gaussian"

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn scale and bend."""
        x = cls.known(values)
        centre, spread = _robust_scale(x)
        power = _power((x - centre) / spread)
        bent = _bent((x - centre) / spread, power)
        deviation = float(bent.std())
        factor = 1 / deviation if deviation > 1e-7 * max(1.0, abs(float(bent.mean()))) else 1.0
        learned = centre, spread, power, float(bent.mean()), factor, float(x.min()), float(x.max()), _decimals(x)
        return cls(name, *learned, is_heavy=_kurtosis(bent) > HEAVY)

    @staticmethod
    def restored(x: np.ndarray) -> pa.Array:
        """From float64, (n,), to values of the kind."""
        return pa.array(x)

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """The scaled numbers, (n, 1)."""
        return self._scaled(self.numbers(values))[:, None].astype(np.float32)

    def decoded(self, rows: np.ndarray) -> pa.Array:
        """Numbers with as many decimals as the column has, within the range that was seen."""
        ends = self._scaled(np.array([self.low, self.high]))
        inside = np.clip(rows[:, 0].astype(np.float64), *ends)
        x = _straightened(inside / self.factor + self.offset, self.power) * self.spread + self.centre
        x = np.clip(x, self.low, self.high)
        return self.restored(x if self.decimals is None else x.round(self.decimals))

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return (_bent((x - self.centre) / self.spread, self.power) - self.offset) * self.factor


@dataclass(frozen=True)
class Date(Number):
    """A date, or a date with a time: the number of days since 1970."""

    kind: ClassVar[str] = "date"
    expected: ClassVar[str] = "dates"

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether they are dates, with or without a time."""
        kind = value_type(values.type)
        return types.is_date(kind) or types.is_timestamp(kind)

    @staticmethod
    def numbers(values: pa.ChunkedArray) -> np.ndarray:
        """Days since 1970, (n,), float64, a missing value as NaN."""
        seconds = values.cast(pa.timestamp("us")).cast(pa.int64())
        return seconds.cast(pa.float64(), safe=False).to_numpy() * (MICROSECOND / DAY)

    @staticmethod
    def restored(x: np.ndarray) -> pa.Array:
        """Times, to the microsecond."""
        return pa.array(np.rint(x * (DAY / MICROSECOND)).astype(np.int64)).cast(pa.timestamp("us"))

    def spelled(self, value: Any) -> str:
        """A date as ISO 8601 writes it; a time at midnight as a date."""
        return (value.isoformat(sep=" ") if hasattr(value, "hour") else value.isoformat()).removesuffix(" 00:00:00")

    def typical_error(self, values: pa.ChunkedArray, made: pa.ChunkedArray, lang: str) -> str:
        """The root of the mean squared difference, in days."""
        return say("columns.days", lang, n=super().typical_error(values, made, lang))


@dataclass(frozen=True)
class Count(NumericColumn):
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
    expected: ClassVar[str] = "counts"

    @classmethod
    def suits(cls, values: pa.ChunkedArray) -> bool:
        """Whether they are whole numbers from 0 on, and skewed to the right."""
        if not types.is_integer(value_type(values.type)):
            return False
        x = cls.known(values)
        return float(x.min()) == 0.0 and _skewness(x) > SKEWED

    def accepts(self, arrived: str) -> bool:
        """Takes numbers."""
        return arrived == "numbers"

    @classmethod
    def fitted(cls, name: str, values: pa.ChunkedArray) -> Self:
        """Learn the scale."""
        x = cls.known(values)
        if (x < 0).any() or (x % 1 != 0).any():
            raise SettingsError(f"Column '{name}' holds {x.min():g}, which is no count.", "Take it as a number.")
        logs = np.log1p(x)
        return cls(name, float(logs.mean()), float(1 / max(logs.std(), 1e-6)), int(x.max()))

    def encoded(self, values: pa.ChunkedArray) -> np.ndarray:
        """The scaled logarithms, (n, 1); values that are no counts are missing values."""
        x = self.numbers(values)
        logs = np.log1p(np.where(x >= 0, np.rint(x), np.nan))
        return ((logs - self.offset) * self.factor)[:, None].astype(np.float32)

    def decoded(self, rows: np.ndarray) -> pa.Array:
        """Whole numbers, no greater than the greatest seen."""
        logs = rows[:, 0].astype(np.float64) / self.factor + self.offset
        return pa.array(np.rint(np.expm1(logs.clip(0, math.log1p(self.high)))).astype(np.int64))


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
