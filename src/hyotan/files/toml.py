"""TOML: settings as a dataclass and back, with every unknown key named; and the named files of a package."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import msgspec
import tomli_w

from hyotan.errors import SettingsError, did_you_mean

Settings = TypeVar("Settings")


def to_toml(settings: Any) -> str:
    """A dataclass as TOML, which has no None: a field that is None is omitted, and a parameter reads ``"none"``."""
    return tomli_w.dumps(_plain(settings))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        own = {member.name: getattr(value, member.name) for member in fields(value)}
        return {name: _plain(item) for name, item in own.items() if item is not None}
    if isinstance(value, Mapping):
        return {name: "none" if item is None else _plain(item) for name, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def from_toml(kind: type[Settings], text: str, where: str, what: str, example: str) -> Settings:
    """Read what :func:`to_toml` wrote.

    Parameters
    ----------
    kind : the dataclass.
    text : TOML.
    where : names the file in errors.
    what, example : what the file should be, and a file of this kind to compare it with.

    Raises
    ------
    SettingsError
        Not TOML, a value of another type, or an unknown key, with the nearest one.
    """
    try:
        content = tomllib.loads(text)
        settings = msgspec.convert(content, kind, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{where} is not {what}: {error}.", f"Compare it with {example}.") from error
    _refuse_unknown(content, settings, where)
    return settings


def _refuse_unknown(content: Mapping[str, Any], settings: Any, where: str) -> None:
    refuse_unknown(content, [member.name for member in fields(settings)], where)
    for name, value in content.items():
        if is_dataclass(getattr(settings, name)):
            _refuse_unknown(value, getattr(settings, name), where)


def refuse_unknown(content: Collection[str], known: Collection[str], where: str) -> None:
    """Refuse a key that is not known; SettingsError names the nearest one."""
    for name in content:
        if name not in known:
            raise SettingsError(f"{where}: '{name}' is not a setting.", did_you_mean(name, known))


def names_in(folder: Traversable) -> list[str]:
    """The names of a folder's TOML files, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def read_named(folder: Traversable, name: str, what: str, where: str = "") -> dict[str, Any]:
    """The content of a folder's TOML file.

    Parameters
    ----------
    folder : of a package.
    name : of the file, without its suffix.
    what, where : what such a file is, and where the name was found, for errors.

    Raises
    ------
    SettingsError
        There is no file of this name; names the nearest.
    """
    if name not in (known := names_in(folder)):
        raise SettingsError(f"There is no {what} '{name}'{where}.", did_you_mean(name, known))
    return tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
