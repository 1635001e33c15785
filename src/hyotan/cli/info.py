"""``hyotan info``: describe a run, a study, a detector, a model file or a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from hyotan.cli.command import command
from hyotan.cli.options import data_options, given_data
from hyotan.cli.output import Printer, table
from hyotan.errors import DivergenceError
from hyotan.words.phrases import counted

if TYPE_CHECKING:
    from hyotan.files.container import Contents

Description: TypeAlias = tuple[dict[str, Any], list[str]]
"""The record, and the lines for a person."""


@command()
@click.argument("what")
@data_options
def info(printer: Printer, what: str, **options: Any) -> None:
    """Describe a run folder, a study, a detector, a model file or a SOURCE.

    Examples
    --------
    hyotan info runs/mnist-ae-1
    hyotan info runs/mnist-study-1
    hyotan info photos/ --size 64x64
    """
    path = Path(what)
    for mark, describe in FOLDERS.items():
        if (path / mark).is_file():
            printer.result(*describe(path))
            return
    printer.result(*(_file(path) if path.suffix == ".hyotan" else _source(what, options)))


def _run(path: Path) -> Description:
    from hyotan.runs.run_folder import RunFolder

    folder = RunFolder(path)
    config, metrics = folder.config, folder.read_metrics()
    snapshot = folder.read_snapshot()
    reached = snapshot.settings["epoch"] if snapshot is not None else 0
    state = _state(metrics, reached)
    rows = {
        "run": path,
        "model": config.kind,
        "data": config.source,
        "recipe": config.recipe or "none",
        "state": f"{state}, {counted(reached, 'epoch')}",
    }
    units = {"mse": "a feature"}
    rows |= {name: f"{value:.5g} {units.get(name, 'nats a row')}" for name, value in metrics.get("test", {}).items()}
    findings = [f"{finding['level']}: {finding['text']}" for finding in metrics.get("diagnosis", [])]
    record = {"run": path, "state": state, "epochs": reached, "config": asdict(config), "metrics": metrics}
    return record, [*_lines(rows, config.parameters), "", *findings]


def _state(metrics: Mapping[str, Any], reached: int) -> str:
    """Where a run stands: its metrics are written at its end, and by a training that diverged."""
    if any(finding["code"] == DivergenceError.code for finding in metrics.get("diagnosis", [])):
        return "diverged"
    if reached == 0:
        return "not started"
    return "finished" if metrics.get("epochs") == reached else "stopped"


def _study(path: Path) -> Description:
    from hyotan.cli.study import plan_line, summary
    from hyotan.study.sentences import of_recommendation
    from hyotan.study.study_folder import StudyFolder

    folder = StudyFolder(path)
    config, recommendation, cells = folder.config, folder.recommendation(), folder.cells()
    run = folder.recommended_run(recommendation)
    finished = sum(bool(folder.read_cells(plan)) for plan in folder.plans)
    failed = f", {len(failures)} failed" if (failures := folder.failures()) else ""
    state = "finished" if recommendation is not None else "stopped" if finished else "begun"
    rows = {
        "study": path,
        "data": config.source,
        "preset": config.preset,
        "grid": plan_line(config),
        "state": f"{state}: {finished} of {counted(len(folder.plans), 'training')} finished{failed}",
        **({} if run is None else {"model": run.path}),
    }
    record = {
        "study": path,
        "state": state,
        "config": asdict(config),
        "cells": [cell.to_dict() for cell in cells],
        "recommendation": None if recommendation is None else recommendation.to_dict(),
        "model": None if run is None else run.path,
    }
    verdict = [] if recommendation is None else ["", *of_recommendation(recommendation)]
    return record, [*_lines(rows, config.parameters), "", *(summary(cells) if cells else []), *verdict]


def _file(path: Path) -> Description:
    from hyotan.files.container import read_settings

    contents = read_settings(path)
    own, parts = (_detector if "members" in contents.settings else _model)(contents)
    rows = {
        "file": path,
        "kind": contents.kind,
        "format": contents.format_version,
        "made with": ", ".join(f"{name} {version}" for name, version in contents.versions.items()),
        **own,
    }
    record = {"file": path, "kind": contents.kind, "settings": contents.settings, **parts}
    return record, _lines(rows, contents.settings.get("parameters", {}))


def _model(contents: Contents) -> tuple[dict[str, str], dict[str, Any]]:
    """How large a model is, in words and as a record."""
    weights = sum(prod(shape) for name, (_, shape) in contents.shapes.items() if name.startswith("model/"))
    row = f"shape {tuple(contents.settings.get('feature_shape', ()))}"
    return {"weights": f"{weights:,}", "row": row}, {"weights": weights}


def _detector(contents: Contents) -> tuple[dict[str, str], dict[str, Any]]:
    """The models of a detector, the columns that it takes, and what it was measured with, in words and as a record."""
    settings, members = contents.settings, contents.settings["members"]
    first = members[0]["settings"]
    (measured,) = contents.shapes["calibration"][1]
    columns = settings["feature_names"]
    rows = {
        "models": f"{counted(len(members), members[0]['kind'])}, a code of {first['parameters']['latent_dim']}",
        "row": counted(len(columns), "column") if columns else f"shape {tuple(first['feature_shape'])}",
        **({"columns": ", ".join(columns)} if columns else {}),
        "measured": f"with {counted(measured, 'row')}; flagged below a score of {settings['offset']:.4g}",
    }
    return rows, {"measured_with": measured}


def _source(what: str, options: Mapping[str, Any]) -> Description:
    from hyotan.data import load as load_data

    dataset = load_data(what, **given_data(options))
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
    return record, [dataset.describe(), *names, *dataset.notes]


def _lines(rows: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """What is said under its name, then the parameters."""
    return table(
        [[name, str(value)] for name, value in {**rows, **{f"  {k}": v for k, v in parameters.items()}}.items()]
    )


FOLDERS = {"config.toml": _run, "study.toml": _study, "detector.hyotan": lambda path: _file(path / "detector.hyotan")}
"""The file that marks a kind of folder, and what describes such a folder."""
