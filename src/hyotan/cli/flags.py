"""Flags made from the table of parameters, and the order in which settings win over each other."""

from __future__ import annotations

import copy
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from hyotan.cli.command import Checked
from hyotan.errors import SettingsError, did_you_mean
from hyotan.models.families import BY_KIND, FAMILIES
from hyotan.parameters import PARAMETERS, TABLE, Choice, Flag, Integer, Parameter

COMMON = (
    "latent_dim",
    "hidden_dims",
    "beta",
    "noise",
    "likelihood",
    "max_epochs",
    "batch_size",
    "learning_rate",
    "random_state",
    "device",
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


def _reader(parameter: Parameter) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def read(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parsed = parameter.parse(value)
        return "none" if parsed is None else parsed  # None itself says that the flag was not given

    return read


def _option(parameter: Parameter) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    hidden = parameter.name not in COMMON
    if isinstance(parameter.domain, Flag):
        name = parameter.flag.removeprefix("--")
        return click.option(f"--{name}/--no-{name}", parameter.name, default=None, help=parameter.help, hidden=hidden)
    return click.option(
        parameter.flag,
        parameter.name,
        metavar=parameter.domain.metavar,
        default=None,
        callback=_reader(parameter),
        help=_help(parameter),
        hidden=hidden,
    )


def _help(parameter: Parameter, most_names: int = MOST_NAMES) -> str:
    """The parameter's sentence, the names that it can take, and its defaults."""
    default = SET_HERE.get(parameter.name, parameter.default)
    defaults = [] if default is None else [parameter.spell(default)]
    own = [(family.name, family.defaults) for family in FAMILIES if parameter.name in family.defaults]
    defaults += [f"{model}: {parameter.spell(values[parameter.name])}" for model, values in own]
    names = getattr(parameter.domain, "options", ())
    some = names if len(names) <= most_names else (*names[:2], "…")
    listing = f" Of: {', '.join(some)}." if names else ""
    return parameter.help + listing + (f"  [{'; '.join(defaults)}]" if defaults else "")


def parameter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One flag for each parameter that has a spelling in text."""
    command = click.option(
        "--help-all", is_flag=True, is_eager=True, expose_value=False, callback=_help_all, help="Show every flag."
    )(command)
    for parameter in reversed(TABLE):
        if parameter.on_command_line and parameter.name != "verbose":
            command = _option(parameter)(command)
    return command


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    parts = value.lower().replace("×", "x").split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise SettingsError(
            f"--size cannot be '{value}': expected HEIGHTxWIDTH in pixels.", "For example: --size 64x64"
        )
    return int(parts[0]), int(parts[1])


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()] if value else []


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How SOURCE is read."""
    options = (
        click.option("--label", metavar="COLUMN", help="Column (of an archive: array) that holds labels."),
        click.option("--ignore", metavar="A,B", callback=_names, help="Columns to leave out."),
        click.option("--columns", metavar="A,B", callback=_names, help="Columns to keep, in this order."),
        click.option(
            "--missing",
            metavar="WHAT",
            type=Checked(Choice(("keep", "drop", "mean", "error"))),
            default=None,
            help="Missing values in a table: keep them, drop the row, fill in the column's mean, or error.  [keep]",
        ),
        click.option("--id", metavar="COLUMN", help="Column that names the rows; no feature."),
        click.option("--size", metavar="HxW", callback=_size, help="Bring images to this height and width: 64x64."),
        click.option("--limit", metavar="N", type=Checked(Integer(1)), help="At most so many rows, drawn at random."),
    )
    for option in reversed(options):
        command = option(command)
    return command


DATA_NAMES = ("label", "ignore", "columns", "missing", "id", "size", "limit")


def split_options(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was given: parameters by name, and data options by name."""
    given = {name: values[name] for name in PARAMETERS if values.get(name) is not None}
    return given, given_data(values)


def given_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """The data options that were given, by name."""
    return {name: values[name] for name in DATA_NAMES if values.get(name) not in (None, [], ())}


def from_environment() -> dict[str, Any]:
    """Parameters from variables such as HYOTAN_LATENT_DIM."""
    found = {}
    for parameter in TABLE:
        text = os.environ.get(f"HYOTAN_{parameter.name.upper()}")
        if text and parameter.on_command_line:
            found[parameter.name] = parameter.parse(text)
    return found


def read_settings_file(path: Path) -> dict[str, Any]:
    """A settings file: ``source``, ``model``, ``recipe``, tables ``parameters`` and ``data``; a run's config.toml too.

    Raises
    ------
    SettingsError
        There is no such file, it is not TOML, or holds an unknown key (the nearest is named).
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"There is no settings file {path}.", "Check the path given to --config.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}.", "Compare it with a run's config.toml.") from error
    if path.name == "pyproject.toml":
        content = content.get("tool", {}).get("hyotan", {})
    if "kind" in content:
        kind = content.pop("kind")
        content["model"] = BY_KIND[kind].name if kind in BY_KIND else ""
    content.pop("fingerprint", None)
    _refuse_unknown(content, SECTIONS, path)
    _refuse_unknown(content.get("parameters", {}), PARAMETERS, path)
    _refuse_unknown(content.get("data", {}), DATA_NAMES, path)
    return content


def _refuse_unknown(content: Mapping[str, Any], known: Iterable[str], path: Path) -> None:
    for key in content:
        if key not in known:
            raise SettingsError(f"{path}: '{key}' is not a setting.", did_you_mean(key, known))


def settings_files(given: str | None) -> list[dict[str, Any]]:
    """All settings files that count, the strongest first: --config, ./hyotan.toml or pyproject.toml, the user's own."""
    from platformdirs import user_config_path

    here = next((p for p in (Path("hyotan.toml"), Path("pyproject.toml")) if p.is_file()), None)
    user = user_config_path("hyotan") / "hyotan.toml"
    paths = [Path(given)] if given else []
    paths += [here] if here is not None else []
    paths += [user] if user.is_file() else []
    return [read_settings_file(path) for path in paths]


def resolve(flags: Mapping[str, Any], layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge, the strongest first: what a stronger layer sets, a weaker one does not change."""
    merged: dict[str, Any] = {}
    for layer in (flags, *layers):
        merged = {**layer, **merged}
    return merged
