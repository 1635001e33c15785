"""``hyotan study``: models × latent sizes × repeats compared, and what to choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options, from_environment, parameter_options, resolve, settings_files, split_options
from hyotan.cli.output import Printer, output_options, table
from hyotan.errors import SettingsError, did_you_mean
from hyotan.parameters import Integer, Integers

SET_BY_STUDY = ("latent_dim", "ordered")
"""Flags of ``hyotan fit`` that the study sets for itself: they are read, so that the answer can say what to type."""

RARE = ("noise", "likelihood", "batch_size")
"""Flags that the first screen of help leaves to --help-all."""

KEPT_BY_RESUME = ("models", "sizes", "repeats", "preset", "epochs", "nested", "config")


def _models(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


@click.command(
    cls=Command,
    examples=[
        "hyotan study digits",
        "hyotan study table.csv --label species --models ae,vae --sizes 2,4",
        "hyotan study mnist --preset article --epochs 50",
    ],
)
@click.argument("source", required=False)
@click.option("--models", metavar="A,B", callback=_models, help="Of ae, dae, vae, cvae.  [ae,vae; with labels cvae]")
@click.option("--sizes", metavar="N,N", type=Checked(Integers()), help="Latent sizes.  [2,4,8,16,32]")
@click.option("--repeats", metavar="N", type=Checked(Integer(1)), help="Trainings of each, other seeds.  [3]")
@click.option("--preset", metavar="NAME", help="default, or article: as an article compared them.")
@click.option("--epochs", metavar="N", type=Checked(Integer(1)), help="The same as --max-epochs.", hidden=True)
@click.option("--nested", is_flag=True, help="One ordered code a model stands for all sizes.")
@click.option("--jobs", metavar="N", type=Checked(Integer(1)), help="Trainings at a time.  [one a core]")
@click.option("--out", metavar="DIR", type=click.Path(), help="The study's folder.  [runs/<name>-study-<n>]")
@click.option("--overwrite", is_flag=True, help="Replace the study in --out.")
@click.option("--resume", is_flag=True, help="Go on with the study in the folder SOURCE.")
@click.option("--config", metavar="FILE", type=click.Path(), help="Settings: a study's study.toml.")
@parameter_options
@data_options
@output_options
def study(
    source: str | None,
    models: list[str] | None,
    sizes: tuple[int, ...] | None,
    repeats: int | None,
    preset: str | None,
    epochs: int | None,
    nested: bool,
    jobs: int | None,
    out: str | None,
    overwrite: bool,
    resume: bool,
    config: str | None,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Compare models and latent sizes on SOURCE, and say which to choose for what.

    Every model is trained at every size, several times; each training is a run folder. What is finished stays: a study
    that was stopped goes on where it was.
    """
    grid = {"models": models, "sizes": sizes, "repeats": repeats, "preset": preset, "nested": nested or None}
    given = {name: value for name, value in grid.items() if value is not None}
    parameters, data = split_options(options)
    if epochs is not None:
        parameters["max_epochs"] = epochs
    printer = Printer(as_json, quiet)
    if resume:
        place = _place_to_resume(source, out, [*given, *parameters, *data, *(["config"] if config else [])])
        go_on(printer, place, jobs)
        return
    _refuse_folder(source)
    begin(printer, choose(source, given, parameters, data, config), out, overwrite, jobs)


for option in study.params:
    if isinstance(option, click.Option) and option.name in (*SET_BY_STUDY, *RARE):
        option.hidden = True


def choose(
    source: str | None,
    grid: Mapping[str, Any],
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    config: str | None,
) -> dict[str, Any]:
    """What was asked for, as :func:`hyotan.study.plan.configure` takes it: flags over --config, over settings files."""
    from hyotan.runs.settings import DataOptions

    files = settings_files(None)
    weaker = resolve(from_environment(), [file.get("parameters", {}) for file in files])
    options = resolve(data, [file.get("data", {}) for file in files])
    flags = dict(parameters)
    seed = flags.pop("random_state", weaker.get("random_state", 0))
    written = _written(Path(config), set(flags)) if config is not None else {}
    chosen = {
        **written,
        **grid,
        "weaker": weaker,
        "seed": seed if "random_state" in parameters else written.get("seed", seed),
    }
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

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"There is no settings file {path}.", "Check the path given to --config.") from None
    config = StudyConfig.from_toml(text, str(path))
    content = {member.name: getattr(config, member.name) for member in fields(config) if member.name != "fingerprint"}
    own = {model: {k: v for k, v in values.items() if k not in typed} for model, values in config.own.items()}
    return {**content, "own": own}


def begin(printer: Printer, chosen: dict[str, Any], out: str | None, overwrite: bool, jobs: int | None) -> None:
    """Make a study's folder for the settings chosen, and work in it."""
    from dataclasses import asdict

    from hyotan.cli.training import run_name
    from hyotan.data import load as load_data
    from hyotan.study.engine import create_study
    from hyotan.study.plan import configure

    dataset = load_data(chosen["source"], **asdict(chosen["data"])).in_memory()
    printer.notice(dataset.describe())
    for note in dataset.notes:
        printer.notice(f"  {note}")
    config = configure(dataset, **chosen)
    folder = create_study(config, dataset, run_name(config.source, "study"), out, overwrite)
    work(printer, folder, jobs)


def go_on(printer: Printer, place: Path, jobs: int | None) -> None:
    """Go on with the study in a folder."""
    from hyotan.study.study_folder import StudyFolder

    work(printer, StudyFolder(place), jobs)


def work(printer: Printer, folder: Any, jobs: int | None) -> None:
    """Bring a study to its end with progress shown, then print what came of it."""
    from hyotan.study.engine import run
    from hyotan.study.progress import StudyProgress

    printer.notice(plan_line(folder.config))
    printer.notice(f"study folder: {folder.path}")
    finished = run(folder, jobs, StudyProgress() if printer.talks else None)
    report = _write_report(folder.path)
    for line in lines_of(finished):
        printer.notice(line)
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

    lines = ["", *summary(finished.cells), "", *of_recommendation(finished.recommendation)]
    for failure in finished.failures:
        lines.append(f"{click.style('warning', fg='red')}  {failure.cell} failed: {failure.message}")
    return [*lines, ""]


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
    rows = [["model", "size", *shown]]
    for pair in pairs:
        numbers = [_number(found[pair, name], form) for name, form in shown.values()]
        rows.append([pair[0], str(pair[1]), *numbers])
    return table(rows, right=range(1, len(rows[0])))


def _number(value: Any, form: str) -> str:
    if value is None:
        return "–"
    reach = "" if value.high is None else f" ± {value.high - value.mean:{form}}"
    return f"{value.mean:{form}}{reach}"


def _write_report(folder: Path) -> Path:
    from hyotan.cli.report import PAGE, page_of
    from hyotan.files.atomic import write_text_atomically
    from hyotan.words import preferred

    write_text_atomically(folder / PAGE, page_of(folder, preferred()))
    return folder / PAGE


def _place_to_resume(source: str | None, out: str | None, given: Sequence[str]) -> Path:
    """The study that --resume means; settings beside it are refused, since it keeps its own."""
    from hyotan.errors import RunNotFoundError
    from hyotan.study.study_folder import StudyFolder

    if given:
        name = "--" + given[0].replace("_", "-")
        raise SettingsError(f"{name} cannot change a study that goes on.", f"Leave {name} out, or start a new study.")
    place = next((place for place in (source, out) if place is not None and StudyFolder.is_at(place)), None)
    if place is not None:
        return Path(place)
    known = [str(path.parent) for path in Path("runs").glob("*/study.toml")]
    fix = did_you_mean(str(source or ""), known) if known else "Start one: hyotan study digits"
    if source is None and out is None:
        raise SettingsError("--resume needs the folder of a study.", fix)
    raise RunNotFoundError(f"{source or out} is not a study.", fix)


def _refuse_folder(source: str | None) -> None:
    if source is not None and (Path(source) / "study.toml").is_file():
        raise SettingsError(
            f"{source} is a study already, no source of data.", f"Go on: hyotan study --resume {source}"
        )
