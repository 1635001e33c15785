"""``hyotan fit``: train a model on a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from hyotan.cli.command import command
from hyotan.cli.flags import from_environment, parameter_options, resolve, settings_files, split_options
from hyotan.cli.options import data_options, option, place, switch
from hyotan.cli.output import Printer
from hyotan.errors import SettingsError
from hyotan.models.families import BY_NAME
from hyotan.parameters.domains import Choice
from hyotan.parameters.table import PARAMETERS, check_settings, parameters_of


@command(hidden=("id",))  # the first screen of help is full
@click.argument("source", required=False)
@option("--model", f"The model family: {', '.join(BY_NAME)}.  [ae]", Choice(tuple(BY_NAME)))
@option("--recipe", "An article's settings; see: hyotan recipes", metavar="NAME")
@place("--out", "The run folder.  [runs/<name>-<n>]", metavar="DIR")
@switch("--overwrite", "Replace the run in --out.")
@place("--config", "Settings, such as a run's config.toml.")
@switch("--summary", "Print the network and stop.")
@switch("--profile", "Show where the time of a training step goes.")
@place("--tensorboard", "Write TensorBoard logs there.", metavar="DIR", hidden=True)
@parameter_options
@data_options
def fit(
    printer: Printer,
    source: str | None,
    model: str | None,
    recipe: str | None,
    out: str | None,
    overwrite: bool,
    config: str | None,
    summary: bool,
    profile: bool,
    tensorboard: str | None,
    **options: Any,
) -> None:
    """Train a model on SOURCE and write a run folder.

    SOURCE: digits, mnist, fashion-mnist, kmnist; a file: .npy .npz .csv .tsv .parquet .idx[.gz]; or a folder of images
    (sub-folders are labels).

    Examples
    --------
    hyotan fit mnist --latent-dim 20
    hyotan fit table.csv --model vae --label species --ignore id
    hyotan fit --recipe article-tied-20
    """
    chosen = fit_settings(source, model, recipe, config, options)
    if summary:
        print_summary(printer, chosen)
        return
    if chosen["source"] is None:
        raise SettingsError("No SOURCE was given.", "For example: hyotan fit digits; or see: hyotan recipes")
    from hyotan.cli.training import train_new

    train_new(printer, chosen, out, overwrite, tensorboard, profile)


def fit_settings(
    source: str | None, model: str | None, recipe: str | None, config: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Flags over the recipe, over the environment, over settings files: source, model, parameters, data options."""
    from hyotan.recipes import read

    flags, data = split_options(options)
    files = settings_files(config)
    typed = recipe is not None
    recipe = recipe or next((file["recipe"] for file in files if file.get("recipe")), None)
    own: list[dict[str, Any]] = [] if recipe is None else [asdict(read(recipe))]
    # A recipe that was typed goes over the files; one that a file names is what that file's own settings change.
    stronger, weaker = (own, files) if typed else ([], [*files, *own])
    layers = [*stronger, *weaker]
    source = source or next((layer["source"] for layer in layers if "source" in layer), None)
    name = model or next((layer["model"] for layer in layers if "model" in layer), "ae")
    if name not in BY_NAME:
        raise SettingsError(f"model '{name}' is not known.", f"Choose from: {', '.join(BY_NAME)}.")
    kind = BY_NAME[name].kind
    _refuse_strange(flags, name)
    known = {parameter.name for parameter in parameters_of(kind)}
    # What was typed must fit the model; what lies in a file for all models may speak of others too.
    for_all = [from_environment(), *(layer.get("parameters", {}) for layer in weaker)]
    fitting = [{key: value for key, value in layer.items() if key in known} for layer in for_all]
    parameters = check_settings(kind, resolve(flags, [*(layer["parameters"] for layer in stronger), *fitting]))
    parameters.setdefault("random_state", 0)
    return {
        "source": source,
        "model": name,
        "kind": kind,
        "recipe": recipe,
        "parameters": parameters,
        "data": resolve(data, [file.get("data", {}) for file in files]),
    }


def _refuse_strange(flags: Mapping[str, Any], model: str) -> None:
    """Refuse a flag that was typed and that this model does not have."""
    for parameter in (PARAMETERS[name] for name in flags):
        if BY_NAME[model] not in parameter.families:
            owners = " or ".join(family.name for family in parameter.families)
            raise SettingsError(
                f"{parameter.flag} is not a setting of --model {model}.",
                f"It belongs to --model {owners}: add that, or leave {parameter.flag} out.",
            )


def print_summary(printer: Printer, chosen: dict[str, Any]) -> None:
    """Print the network; data are only read where their shape is not known by name."""
    from hyotan.estimators import ESTIMATORS
    from hyotan.runs.settings import DataOptions, RunConfig

    known = {"digits": (8, 8), "mnist": (28, 28), "fashion-mnist": (28, 28), "kmnist": (28, 28), "": (28, 28)}
    shape = known.get((chosen["source"] or "").lower())
    if shape is None:
        config = RunConfig(chosen["source"], chosen["kind"], {}, DataOptions(**chosen["data"]))
        shape = config.load_data().X.shape[1:]
    summary = ESTIMATORS[chosen["kind"]](**chosen["parameters"]).summary(shape)
    record = {**asdict(summary), "total_mb": summary.total_mb}
    printer.result(record, str(summary).splitlines())
