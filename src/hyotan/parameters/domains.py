"""What values a parameter, or a flag of the command line, can take: described in words, read from text, and checked."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


class Domain:
    """A set of values.

    Attributes
    ----------
    metavar : class attribute, what help shows in the place of a value.
    separator : class attribute, what stands between the items of a value that has several.
    """

    metavar: ClassVar[str] = ""
    separator: ClassVar[str] = ","

    @property
    def names(self) -> tuple[str, ...]:
        """The names to choose from; empty where there is no such list."""
        return ()

    def describe(self) -> str:
        """Say what is expected, to follow "expected "."""
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """Turn text from the command line into a value; ValueError where that cannot be done."""
        return text

    def check(self, value: Any) -> Any:
        """Give the value back in its plain Python type; ValueError or TypeError where it does not belong here."""
        raise NotImplementedError


@dataclass(frozen=True)
class Integer(Domain):
    """An integer of at least ``low``."""

    metavar: ClassVar[str] = "N"
    low: int = 0

    def describe(self) -> str:
        """Say what is expected."""
        return f"an integer of at least {self.low}"

    def parse(self, text: str) -> int:
        """Read an integer."""
        return int(text)

    def check(self, value: Any) -> Any:
        """Refuse booleans, fractions, and values below ``low``."""
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < self.low:
            raise ValueError
        return int(value)


@dataclass(frozen=True)
class Seed(Integer):
    """An integer, or a NumPy RandomState that a Python caller passes."""

    def describe(self) -> str:
        """Say what is expected."""
        return f"{super().describe()} or a RandomState"

    def check(self, value: Any) -> Any:
        """Refuse what is neither."""
        # By name, since NumPy is not loaded here.
        return value if type(value).__name__ == "RandomState" else super().check(value)


@dataclass(frozen=True)
class Real(Domain):
    """A finite number from ``low`` to ``high``; ``above`` excludes ``low`` itself, ``below`` excludes ``high``."""

    metavar: ClassVar[str] = "NUMBER"
    low: float = 0.0
    high: float = math.inf
    above: bool = False
    below: bool = False

    def describe(self) -> str:
        """Say what is expected."""
        low = f"a number {'above' if self.above else 'of at least'} {self.low:g}"
        return low if math.isinf(self.high) else f"{low} and {'below' if self.below else 'at most'} {self.high:g}"

    def parse(self, text: str) -> float:
        """Read a number."""
        return float(text)

    def check(self, value: Any) -> float:
        """Refuse booleans, NaN, infinities and values outside the interval."""
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(float(value)):
            raise ValueError
        value = float(value)
        is_end = (self.above and value == self.low) or (self.below and value == self.high)
        if is_end or not self.low <= value <= self.high:
            raise ValueError
        return value


@dataclass(frozen=True)
class RealOrRange(Domain):
    """A finite number of at least ``low``, or the two ends of a range of such numbers."""

    metavar: ClassVar[str] = "NUMBER[:NUMBER]"
    separator: ClassVar[str] = ":"
    low: float = 0.0

    def describe(self) -> str:
        """Say what is expected."""
        one = Real(self.low).describe()
        return f"{one}, or the two ends of a range such as (0.1, 0.6), on the command line 0.1:0.6"

    def parse(self, text: str) -> float | tuple[float, ...]:
        """Read a number, or two with a colon between them."""
        ends = tuple(float(part) for part in text.split(self.separator))
        return ends if len(ends) > 1 else ends[0]

    def check(self, value: Any) -> float | tuple[float, float]:
        """Refuse what :class:`Real` does, and two numbers that do not rise."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            return Real(self.low).check(value)
        low, high = (Real(self.low).check(end) for end in value)
        if low >= high:
            raise ValueError
        return low, high


@dataclass(frozen=True)
class Choice(Domain):
    """One of a few names."""

    metavar: ClassVar[str] = "NAME"
    options: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The options."""
        return self.options

    def describe(self) -> str:
        """Say what is expected."""
        return "one of " + ", ".join(f"'{option}'" for option in self.options)

    def check(self, value: Any) -> str:
        """Refuse anything that is not on the list."""
        if not isinstance(value, str) or value not in self.options:
            raise ValueError
        return value


@dataclass(frozen=True)
class Flag(Domain):
    """True or false."""

    spellings: ClassVar[Mapping[str, bool]] = {
        **dict.fromkeys(("true", "yes", "1"), True),
        **dict.fromkeys(("false", "no", "0"), False),
    }

    def describe(self) -> str:
        """Say what is expected."""
        return "True or False"

    def parse(self, text: str) -> bool:
        """Read yes/no, true/false, 1/0."""
        if text.lower() not in self.spellings:
            raise ValueError
        return self.spellings[text.lower()]

    def check(self, value: Any) -> bool:
        """Refuse anything but a boolean, Python's or NumPy's."""
        if type(value).__name__ not in ("bool", "bool_"):
            raise ValueError
        return bool(value)


@dataclass(frozen=True)
class Integers(Domain):
    """A list of integers, each of at least 1; may be empty."""

    metavar: ClassVar[str] = "N,N"

    def describe(self) -> str:
        """Say what is expected."""
        return "integers of at least 1, such as 512,256 (an empty list, '-' on the command line, is allowed)"

    def parse(self, text: str) -> tuple[int, ...]:
        """Read comma-separated integers; ``-`` is the empty list."""
        return () if text.strip() in ("", "-") else tuple(int(part) for part in text.split(","))

    def check(self, value: Any) -> tuple[int, ...]:
        """Refuse anything but a sequence of integers of at least 1."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ValueError
        return tuple(Integer(1).check(item) for item in value)


@dataclass(frozen=True)
class ChoiceByName(Domain):
    """For some keys, such as columns, one of a few names each."""

    metavar: ClassVar[str] = "A=KIND,B=KIND"
    options: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The options."""
        return self.options

    def describe(self) -> str:
        """Say what is expected."""
        return f"a name and one of {', '.join(self.options)} for each, such as {{'age': '{self.options[0]}'}}"

    def parse(self, text: str) -> dict[str, str]:
        """Read comma-separated ``name=word``."""
        pairs = [part.rpartition("=") for part in text.split(",") if part.strip()]
        return {name.strip(): word.strip() for name, _, word in pairs}

    def check(self, value: Any) -> dict[str, str]:
        """Refuse anything but a mapping from text to words on the list."""
        if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
            raise ValueError
        return {name: Choice(self.options).check(word) for name, word in value.items()}


@dataclass(frozen=True)
class Marker(Domain):
    """A label that stands for something: an integer or a text."""

    metavar: ClassVar[str] = "LABEL"

    def describe(self) -> str:
        """Say what is expected."""
        return "an integer or a text"

    def parse(self, text: str) -> int | str:
        """Read an integer; what is none stays text."""
        try:
            return int(text)
        except ValueError:
            return text

    def check(self, value: Any) -> int | str:
        """Refuse what is neither."""
        return value if isinstance(value, str) else Integer(-(2**63)).check(value)


@dataclass(frozen=True)
class Anything(Domain):
    """A Python object that only a Python caller can pass (a module, callbacks)."""

    noun: str

    def describe(self) -> str:
        """Say what is expected."""
        return self.noun

    def parse(self, text: str) -> Any:
        """Refuse: there is no spelling in text."""
        raise ValueError(text)

    def check(self, value: Any) -> Any:
        """Leave the check to the place that uses the object."""
        return value
