"""``hyotan study``: compare models × latent sizes × repeats, and recommend one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import click

from hyotan.cli.command import command
from hyotan.cli.flags import (
    from_environment,
    parameter_options,
    resolve,
    settings_files,
    split_options,
    text_of_settings,
)
from hyotan.cli.options import data_options, names, option, place, switch
from hyotan.cli.output import Printer, table
from hyotan.errors import SettingsError, did_you_mean
from hyotan.models.families import BY_NAME
from hyotan.parameters.domains import Integer, Integers

SET_BY_STUDY = ("latent_dim", "ordered")
"""Flags of ``hyotan fit`` that the study sets for itself: they are read, so that the answer can say what to type."""

RARE = ("noise", "likelihood", "batch_size")
"""Flags that the first screen of help leaves to --help-all."""

Settings: TypeAlias = Mapping[str, Any]

GRID = ("models", "sizes", "repeats", "preset", "nested")
"""Flags that say what is trained."""


@command(hidden=(*SET_BY_STUDY, *RARE))
@click.argument("source", required=False)
@option("--models", f"Of {','.join(BY_NAME)}.  [ae,vae; with labels cvae]", metavar="A,B", callback=names)
@option("--sizes", "Latent sizes.  [2,4,8,16,32]", Integers())
@option("--repeats", "Trainings of each, with different seeds.  [3]", Integer(1))
@option("--preset", "default, or article: as an article compared them.", metavar="NAME")
@option("--epochs", "The same as --max-epochs.", Integer(1), hidden=True)
@switch("--nested", "One ordered code per model stands for all sizes.")
@option("--jobs", "Trainings in parallel.  [one per core]", Integer(1))
@place("--out", "The study's folder.  [runs/<name>-study-<n>]", metavar="DIR")
@switch("--overwrite", "Replace the study in --out.")
@switch("--resume", "Resume the study in the folder SOURCE.")
@place("--config", "Settings: a study's study.toml.")
@parameter_options
@data_options
def study(
    printer: Printer,
    source: str | None,
    epochs: int | None,
    jobs: int | None,
    out: str | None,
    overwrite: bool,
    resume: bool,
    config: str | None,
    **options: Any,
) -> None:
    """Compare models and latent sizes on SOURCE, and recommend one for each purpose.

    Every model is trained at every size, several times; each training is a run folder. What is finished is kept: a
    study that was stopped can be resumed.

    Examples
    --------
    hyotan study digits
    hyotan study table.csv --label species --models ae,vae --sizes 2,4
    hyotan study mnist --preset article --epochs 50
    """
    given = {name: options[name] for name in GRID if options[name] not in (None, [], False)}
    parameters, data = split_options(options | ({} if epochs is None else {"max_epochs": epochs}))
    if resume:
        typed = [*given, *parameters, *data, *(["config"] if config else [])]
        go_on(printer, _study_to_resume(source, out, typed), jobs)
        return
    if source is not None and (Path(source) / "study.toml").is_file():
        fix = f"Resume it: hyotan study --resume {source}"
        raise SettingsError(f"{source} is a study, not a source of data.", fix)
    begin(printer, study_settings(source, given, parameters, data, config), out, overwrite, jobs)


def study_settings(
    source: str | None, grid: Settings, parameters: Settings, data: Settings, config: str | None
) -> dict[str, Any]:
    """What was asked for, as :func:`hyotan.study.plan.configure` takes it: flags over --config, over settings files."""
    from hyotan.runs.settings import DataOptions

    files = settings_files(None)
    weaker = resolve(from_environment(), [file.get("parameters", {}) for file in files])
    options = resolve(data, [file.get("data", {}) for file in files])
    flags = dict(parameters)
    seeds = [flags.pop("random_state", None)]
    written = _written(Path(config), set(flags)) if config is not None else {}
    seeds += [written.get("seed"), weaker.get("random_state"), 0]
    chosen = {**written, **grid, "weaker": weaker, "seed": next(seed for seed in seeds if seed is not None)}
    chosen["parameters"] = {**written.get("parameters", {}), **flags}
    chosen["source"] = source or written.get("source") or next((f["source"] for f in files if "source" in f), None)
    chosen["data"] = DataOptions(**options) if options or "data" not in written else written["data"]
    if chosen["source"] is None:
        raise SettingsError("No SOURCE was given.", "For example: hyotan study digits")
    return chosen


def _written(path: Path, typed: set[str]) -> dict[str, Any]:
    """What a study.toml says, without what was typed as flags for all models."""
    from dataclasses import fields

    from hyotan.study.plan import StudyConfig

    config = StudyConfig.from_toml(text_of_settings(path), str(path))
    content = {member.name: getattr(config, member.name) for member in fields(config) if member.name != "fingerprint"}
    own = {model: {k: v for k, v in values.items() if k not in typed} for model, values in config.own.items()}
    return {**content, "own": own}


def begin(printer: Printer, chosen: dict[str, Any], out: str | None, overwrite: bool, jobs: int | None) -> None:
    """Make a study's folder for the settings chosen, and work in it."""
    from dataclasses import asdict, replace

    from hyotan.cli.training import run_name
    from hyotan.data import load as load_data
    from hyotan.study.engine import create_study
    from hyotan.study.plan import configure

    dataset = load_data(chosen["source"], **asdict(chosen["data"])).in_memory()
    dataset = replace(dataset, layout=chosen["parameters"].get("layout", "auto"))
    printer.describe(dataset)
    config = configure(dataset, **chosen)
    folder = create_study(config, dataset, run_name(config.source, "study"), out, overwrite)
    work(printer, folder, jobs)


def go_on(printer: Printer, place: Path, jobs: int | None) -> None:
    """Resume the study in a folder."""
    from hyotan.study.study_folder import StudyFolder

    work(printer, StudyFolder(place), jobs)


def work(printer: Printer, folder: Any, jobs: int | None) -> None:
    """Complete a study with progress shown, then print its results."""
    from hyotan.cli.report import PAGE, page_of
    from hyotan.files.atomic import write_text_atomically
    from hyotan.study.engine import run
    from hyotan.study.progress import StudyProgress
    from hyotan.words import preferred

    printer.notice(plan_line(folder.config))
    printer.notice(f"study folder: {folder.path}")
    finished = run(folder, jobs, StudyProgress() if printer.talks else None)
    report = folder.path / PAGE
    write_text_atomically(report, page_of(folder.path, preferred()))
    printer.notice(*lines_of(finished))
    if (chosen := folder.recommended_run(finished.recommendation)) is not None:
        printer.notice(f"model to compress with: {chosen.path}")
    record = {
        "study": folder.path,
        "report": report,
        "recommendation": finished.recommendation.to_dict(),
        "cells": [cell.to_dict() for cell in finished.cells],
        "failures": [vars(failure) for failure in finished.failures],
    }
    printer.result(record, [str(report), str(folder.path)])


def plan_line(config: Any) -> str:
    """What will be trained, in one line."""
    from hyotan.words.phrases import counted

    sizes = ", ".join(map(str, config.sizes))
    each = "an ordered code for the sizes" if config.nested else counted(len(config.sizes), "size")
    models, total = ", ".join(config.models), counted(len(config.cells()), "training")
    return f"{models} × {each} {sizes} × {counted(config.repeats, 'repeat')}: {total}"


def lines_of(finished: Any) -> list[str]:
    """The numbers on the test rows, the verdict, and what failed."""
    from hyotan.study.sentences import of_recommendation

    mark = click.style("warning", fg="red")
    failed = [f"{mark}  {failure.cell} failed: {failure.message}" for failure in finished.failures]
    return ["", *summary(finished.cells), "", *of_recommendation(finished.recommendation), *failed, ""]


COLUMNS = {
    "MSE": ("mse", ".5f"),
    "-ELBO": ("bound", ".2f"),
    "5-NN": ("knn_accuracy", ".3f"),
    "K-means": ("accuracy", ".3f"),
    "label error": ("label_error", ".3f"),
}
"""What the terminal shows of each model and size: a heading, the measure and how it is written."""


def summary(cells: Sequence[Any]) -> list[str]:
    """A table of the means over repeats on the test rows, with half the 95 % interval; columns without numbers fall
    away.
    """
    from hyotan.study.cells import interval, models_of, sizes_of

    pairs = [(model, size) for model in models_of(cells) for size in sizes_of(cells, model)]
    found = {(pair, name): interval(cells, *pair, name, "test") for pair in pairs for name, _ in COLUMNS.values()}
    shown = {head: how for head, how in COLUMNS.items() if any(found[pair, how[0]] for pair in pairs)}
    numbers = [[_number(found[pair, name], form) for name, form in shown.values()] for pair in pairs]
    rows = [[model, str(size), *own] for (model, size), own in zip(pairs, numbers, strict=True)]
    return table([["model", "size", *shown], *rows], right=range(1, 2 + len(shown)))


def _number(value: Any, form: str) -> str:
    if value is None:
        return "–"
    reach = "" if value.high is None else f" ± {value.high - value.mean:{form}}"
    return f"{value.mean:{form}}{reach}"


def _study_to_resume(source: str | None, out: str | None, given: Sequence[str]) -> Path:
    """The study that --resume means; settings beside it are refused, since it keeps its own."""
    from hyotan.errors import RunNotFoundError
    from hyotan.study.study_folder import StudyFolder

    if given:
        name = "--" + given[0].replace("_", "-")
        raise SettingsError(
            f"{name} cannot change a study that is resumed.", f"Leave {name} out, or start a new study."
        )
    place = next((place for place in (source, out) if place is not None and StudyFolder.is_at(place)), None)
    if place is not None:
        return Path(place)
    known = [str(path.parent) for path in Path("runs").glob("*/study.toml")]
    fix = did_you_mean(str(source or ""), known) if known else "Start one: hyotan study digits"
    if source is None and out is None:
        raise SettingsError("--resume needs the folder of a study.", fix)
    raise RunNotFoundError(f"{source or out} is not a study.", fix)
