"""``hyotan info``: what a run, a study, a model file or a source is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyotan.cli.command import Command
from hyotan.cli.flags import data_options, given_data
from hyotan.cli.output import Printer, output_options, table
from hyotan.errors import DivergenceError

if TYPE_CHECKING:
    from hyotan.files.container import Contents


@click.command(
    cls=Command,
    examples=[
        "hyotan info runs/mnist-ae-1",
        "hyotan info runs/mnist-study-1",
        "hyotan info photos/ --size 64x64",
    ],
)
@click.argument("what")
@data_options
@output_options
def info(what: str, as_json: bool, quiet: bool, debug: bool, **options: Any) -> None:
    """Say what a run folder, a study, a detector, a model file or a SOURCE is."""
    printer = Printer(as_json, quiet)
    path = Path(what)
    if (path / "config.toml").is_file():
        _run(printer, path)
    elif (path / "study.toml").is_file():
        _study(printer, path)
    elif (path / "detector.hyotan").is_file():
        _file(printer, path / "detector.hyotan")
    elif path.suffix == ".hyotan":
        _file(printer, path)
    else:
        _source(printer, what, options)


def _run(printer: Printer, path: Path) -> None:
    from dataclasses import asdict

    from hyotan.runs.run_folder import RunFolder
    from hyotan.words.phrases import counted

    folder = RunFolder(path)
    config, metrics = folder.config, folder.read_metrics()
    snapshot = folder.read_snapshot()
    reached = snapshot.settings["epoch"] if snapshot is not None else 0
    state = _state(metrics, reached)
    rows = [["run", str(path)], ["model", config.kind], ["data", config.source], ["recipe", config.recipe or "none"]]
    rows += [["state", f"{state}, {counted(reached, 'epoch')}"]]
    rows += [
        [name, f"{value:.5g} {'a feature' if name == 'mse' else 'nats a row'}"]
        for name, value in metrics.get("test", {}).items()
    ]
    rows += [[f"  {name}", str(value)] for name, value in config.parameters.items()]
    findings = [f"{finding['level']}: {finding['text']}" for finding in metrics.get("diagnosis", [])]
    record = {"run": path, "state": state, "epochs": reached, "config": asdict(config), "metrics": metrics}
    printer.result(record, [*table(rows), "", *findings])


def _study(printer: Printer, path: Path) -> None:
    from dataclasses import asdict

    from hyotan.cli.study import plan_line, summary
    from hyotan.study.sentences import of_recommendation
    from hyotan.study.study_folder import StudyFolder
    from hyotan.words.phrases import counted

    folder = StudyFolder(path)
    config, recommendation = folder.config, folder.recommendation()
    run = folder.recommended_run(recommendation)
    finished = sum(bool(folder.read_cells(plan)) for plan in folder.plans)
    failed, total = len(folder.failures()), len(folder.plans)
    state = "finished" if recommendation is not None else "stopped" if finished else "begun"
    shares = [f"{finished} of {counted(total, 'training')} finished", *([f"{failed} failed"] if failed else [])]
    rows = [["study", str(path)], ["data", config.source], ["preset", config.preset], ["grid", plan_line(config)]]
    rows += [["state", f"{state}: {', '.join(shares)}"], *([["model", str(run.path)]] if run is not None else [])]
    rows += [[f"  {name}", str(value)] for name, value in config.parameters.items()]
    cells = folder.cells()
    lines = [*table(rows), "", *(summary(cells) if cells else [])]
    lines += ["", *of_recommendation(recommendation)] if recommendation is not None else []
    record = {
        "study": path,
        "state": state,
        "config": asdict(config),
        "cells": [cell.to_dict() for cell in cells],
        "recommendation": None if recommendation is None else recommendation.to_dict(),
        "model": None if run is None else run.path,
    }
    printer.result(record, lines)


def _state(metrics: Mapping[str, Any], reached: int) -> str:
    """Where a run stands: its metrics are written at its end, and by a training that diverged."""
    if any(finding["code"] == DivergenceError.code for finding in metrics.get("diagnosis", [])):
        return "diverged"
    if reached == 0:
        return "not started"
    return "finished" if metrics.get("epochs") == reached else "stopped"


def _file(printer: Printer, path: Path) -> None:
    from math import prod

    from hyotan.files.container import read_settings

    contents = read_settings(path)
    if contents.kind == "anomaly-detector":
        _detector(printer, path, contents)
        return
    counts = {name: prod(shape) for name, (_, shape) in contents.shapes.items()}
    weights = sum(count for name, count in counts.items() if name.startswith("model/"))
    settings = contents.settings
    rows = [["file", str(path)], ["kind", contents.kind], ["format", str(contents.format_version)]]
    rows += [["made with", ", ".join(f"{name} {version}" for name, version in contents.versions.items())]]
    rows += [["weights", f"{weights:,}"], ["row", f"shape {tuple(settings.get('feature_shape', ()))}"]]
    rows += [[f"  {name}", str(value)] for name, value in settings.get("parameters", {}).items()]
    record = {"file": path, "kind": contents.kind, "settings": settings, "weights": weights}
    printer.result(record, table(rows))


def _detector(printer: Printer, path: Path, contents: Contents) -> None:
    """What the detector of anomalies in a file is: its models, the columns it takes, what it was measured with."""
    from hyotan.words.phrases import counted

    settings, members = contents.settings, contents.settings["members"]
    first = members[0]["settings"]
    (measured,) = contents.shapes["calibration"][1]
    columns = settings["feature_names"]
    rows = [["file", str(path)], ["kind", contents.kind], ["format", str(contents.format_version)]]
    rows += [["made with", ", ".join(f"{name} {version}" for name, version in contents.versions.items())]]
    rows += [["models", f"{counted(len(members), members[0]['kind'])}, a code of {first['parameters']['latent_dim']}"]]
    rows += [["row", f"{counted(len(columns), 'column')}" if columns else f"shape {tuple(first['feature_shape'])}"]]
    rows += [["columns", ", ".join(columns)]] if columns else []
    rows += [["measured", f"with {counted(measured, 'row')}; flagged below a score of {settings['offset']:.4g}"]]
    rows += [[f"  {name}", str(value)] for name, value in settings["parameters"].items()]
    record = {"file": path, "kind": contents.kind, "settings": settings, "measured_with": measured}
    printer.result(record, table(rows))


def _source(printer: Printer, what: str, options: dict[str, Any]) -> None:
    from hyotan.data import load as load_data

    given = given_data(options)
    dataset = load_data(what, **given)
    record = {
        "source": what,
        "description": dataset.describe(),
        "rows": len(dataset.X),
        "feature_shape": dataset.feature_shape,
        "dtype": str(dataset.X.dtype),
        "classes": dataset.n_classes,
        "feature_names": dataset.feature_names,
        "notes": dataset.notes,
    }
    names = [", ".join(dataset.feature_names)] if dataset.feature_names else []
    printer.result(record, [dataset.describe(), *names, *dataset.notes])
