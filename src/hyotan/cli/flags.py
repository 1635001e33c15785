"""Flags made from the table of parameters, and the order in which settings win over each other."""

from __future__ import annotations

import copy
import os
import sys
import tomllib
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from hyotan.cli.options import DATA_OPTIONS, Decorator, given_data, switch
from hyotan.errors import SettingsError
from hyotan.files.toml import refuse_unknown
from hyotan.models.families import BY_KIND, FAMILIES
from hyotan.parameters.domains import Flag
from hyotan.parameters.parameter import Parameter
from hyotan.parameters.table import PARAMETERS, TABLE, current_names

COMMON = frozenset(
    "latent_dim hidden_dims beta noise likelihood max_epochs batch_size learning_rate random_state device".split()
)
"""The parameters that help shows at first; the others with ``--help-all``."""

SECTIONS = ("source", "model", "recipe", "parameters", "data")

SET_HERE: Mapping[str, Any] = {"random_state": 0}
"""Defaults of the command line: what it does can be done again."""

MOST_NAMES = 4
"""How many names help lists; --help-all lists all of them."""


def _help_all(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    everything = copy.copy(ctx.command)
    everything.params = [_shown(option) for option in ctx.command.params]
    click.echo(everything.get_help(ctx))
    ctx.exit()


def _shown(option: click.Parameter) -> click.Parameter:
    if not isinstance(option, click.Option):
        return option
    shown = copy.copy(option)
    shown.hidden = False
    if option.name in PARAMETERS:
        shown.help = _help(PARAMETERS[option.name], most_names=sys.maxsize)
    return shown


def _option(parameter: Parameter) -> Decorator:
    def read(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parsed = parameter.parse(value)
        return "none" if parsed is None else parsed  # None itself says that the flag was not given

    settings: dict[str, Any] = {"default": None, "hidden": parameter.name not in COMMON, "help": _help(parameter)}
    if isinstance(parameter.domain, Flag):
        name = parameter.flag.removeprefix("--")
        return click.option(f"--{name}/--no-{name}", parameter.name, **settings | {"help": parameter.help})
    metavar = parameter.domain.metavar
    return click.option(parameter.flag, parameter.name, metavar=metavar, callback=read, **settings)


def _help(parameter: Parameter, most_names: int = MOST_NAMES) -> str:
    """The parameter's sentence, the names that it can take, and its defaults."""
    default = SET_HERE.get(parameter.name, parameter.default)
    defaults = [] if default is None else [parameter.spell(default)]
    own = [(family.name, family.defaults) for family in FAMILIES if parameter.name in family.defaults]
    defaults += [f"{model}: {parameter.spell(values[parameter.name])}" for model, values in own]
    names = parameter.domain.names
    some = names if len(names) <= most_names else (*names[:2], "…")
    listing = f" Of: {', '.join(some)}." if names else ""
    return parameter.help + listing + (f"  [{'; '.join(defaults)}]" if defaults else "")


def parameter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One flag for each parameter that has a spelling in text."""
    command = switch("--help-all", "Show every flag.", is_eager=True, expose_value=False, callback=_help_all)(command)
    for parameter in reversed(TABLE):
        if parameter.on_command_line and parameter.name != "verbose":
            command = _option(parameter)(command)
    return command


def split_options(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was given: parameters by name, and data options by name."""
    given = {name: values[name] for name in PARAMETERS if values.get(name) is not None}
    return given, given_data(values)


def from_environment() -> dict[str, Any]:
    """Parameters from variables such as HYOTAN_LATENT_DIM."""
    typed = [(parameter, os.environ.get(f"HYOTAN_{parameter.name.upper()}")) for parameter in TABLE]
    return {parameter.name: parameter.parse(text) for parameter, text in typed if text and parameter.on_command_line}


def text_of_settings(path: Path) -> str:
    """What a settings file says.

    Raises
    ------
    SettingsError
        There is no such file.
    """
    if not path.is_file():
        raise SettingsError(f"There is no settings file {path}.", "Check the path given to --config.")
    return path.read_text(encoding="utf-8")


def read_settings_file(path: Path) -> dict[str, Any]:
    """A settings file: ``source``, ``model``, ``recipe``, tables ``parameters`` and ``data``; a run's config.toml too.

    Raises
    ------
    SettingsError
        There is no such file, it is not TOML, or holds an unknown key (the nearest is named).
    """
    try:
        content = tomllib.loads(text_of_settings(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}.", "Compare it with a run's config.toml.") from error
    if path.name == "pyproject.toml":
        content = content.get("tool", {}).get("hyotan", {})
    if "kind" in content:
        kind = content.pop("kind")
        content["model"] = BY_KIND[kind].name if kind in BY_KIND else ""
    content.pop("fingerprint", None)
    refuse_unknown(content, SECTIONS, str(path))
    if "parameters" in content:
        content["parameters"] = current_names(content["parameters"])
    refuse_unknown(content.get("parameters", {}), PARAMETERS, str(path))
    refuse_unknown(content.get("data", {}), DATA_OPTIONS, str(path))
    return content


def settings_files(given: str | None) -> list[dict[str, Any]]:
    """All settings files that count, the strongest first: --config, ./hyotan.toml or pyproject.toml, the user's own."""
    from platformdirs import user_config_path

    here = [path for path in (Path("hyotan.toml"), Path("pyproject.toml")) if path.is_file()]
    user = user_config_path("hyotan") / "hyotan.toml"
    paths = [*([Path(given)] if given else []), *here[:1], *([user] if user.is_file() else [])]
    return [read_settings_file(path) for path in paths]


def resolve(flags: Mapping[str, Any], layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge, the strongest first: what a stronger layer sets, a weaker one does not change."""
    return dict(ChainMap(*(dict(layer) for layer in (flags, *layers))))
