"""One parameter of an estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hyotan.errors import SettingsError, did_you_mean
from hyotan.models.families import FAMILIES, Family
from hyotan.parameters.domains import Anything, Choice, Domain


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name in Python, its default, what it may be, and a sentence of help.

    Attributes
    ----------
    trait : of the families that have it (:attr:`hyotan.models.families.Family.traits`); None where all have it.
    """

    name: str
    default: Any
    domain: Domain
    help: str
    trait: str | None = None

    @property
    def words(self) -> tuple[Any, ...]:
        """What it may be beside its domain: ``"auto"`` or None, where that is the default."""
        return (self.default,) if self.default in (None, "auto") else ()

    @property
    def families(self) -> list[Family]:
        """The families that have it."""
        return [family for family in FAMILIES if self.trait is None or self.trait in family.traits]

    @property
    def flag(self) -> str:
        """The name on the command line: ``latent_dim`` is ``--latent-dim``."""
        return "--" + self.name.replace("_", "-")

    @property
    def on_command_line(self) -> bool:
        """Whether the value has a spelling in text."""
        return not isinstance(self.domain, Anything)

    def spell(self, value: Any) -> str:
        """A value as text that :meth:`parse` reads back; of a flag, True or False."""
        if isinstance(value, list | tuple):
            return self.domain.separator.join(map(str, value))
        return "none" if value is None else str(value)

    def describe(self) -> str:
        """Say what is expected: the domain, and the words allowed beside it."""
        return " or ".join([self.domain.describe(), *map(repr, self.words)])

    def parse(self, text: str) -> Any:
        """Read a value from the command line; SettingsError where it cannot be one."""
        for word in self.words:
            if text.lower() == str(word).lower():
                return word
        try:
            value = self.domain.parse(text)
        except ValueError:
            raise self._refusal(text, spelled=self.flag) from None
        return self.check(value, spelled=self.flag)

    def check(self, value: Any, spelled: str | None = None) -> Any:
        """Give the value back in its plain type; SettingsError where it cannot be one."""
        if value is None or isinstance(value, str):
            # TOML has no word for None but "none".
            for word in self.words:
                if value == word or (word is None and value == "none"):
                    return word
        try:
            return self.domain.check(value)
        except (ValueError, TypeError):
            raise self._refusal(value, spelled or self.name) from None

    def _refusal(self, value: Any, spelled: str) -> SettingsError:
        is_name = isinstance(self.domain, Choice) and isinstance(value, str)
        hint = did_you_mean(value, self.domain.names) if is_name else ""
        fix = hint or f"Leave it out: the default is {self.default!r}."
        return SettingsError(f"{spelled} cannot be {value!r}: expected {self.describe()}.", fix)
