"""What fit, resume and demo share: train, evaluate, draw, and say what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hyotan.cli.fit import run_name
from hyotan.cli.output import Printer, plain
from hyotan.evaluation import Evaluation
from hyotan.gallery import draw
from hyotan.runs import DataOptions, FittedRun, RunConfig, RunFolder, create
from hyotan.runs import fit as fit_run
from hyotan.training.callbacks import Callback, ProgressReporter, TensorBoardLogger
from hyotan.training.interruption import TrainingInterrupted

MARKS = {"good": ("good   ", "green"), "notice": ("notice ", "yellow"), "warning": ("warning", "red")}


def train_new(
    printer: Printer, chosen: dict[str, Any], out: str | None, overwrite: bool, tensorboard: str | None = None
) -> FittedRun:
    """Make a run folder for the settings chosen, train in it, and report."""
    options = DataOptions(**{**chosen["data"]})
    config = RunConfig(chosen["source"], chosen["kind"], chosen["parameters"], options, chosen["recipe"])
    dataset = config.load_data()
    printer.notice(dataset.describe())
    for note in dataset.notes:
        printer.notice(f"  {note}")
    source = str(Path(config.source).resolve()) if Path(config.source).exists() else config.source
    if dataset.feature_names is not None:
        # The columns are noted in their order, so that another table can be read as this one was.
        options = replace(options, columns=list(dataset.feature_names), ignore=[])
    noted = replace(config, source=source, data=options, fingerprint=dataset.fingerprint())
    # Settings that cannot work are refused before a folder is made for them.
    noted.make_estimator().settings()
    folder = create(noted, run_name(source, chosen["model"]), out, overwrite)
    printer.notice(f"run folder: {folder.path}")
    return watched(printer, folder, lambda callbacks: fit_run(folder, callbacks), tensorboard)


def watched(printer: Printer, folder: RunFolder, train: Any, tensorboard: str | None = None) -> FittedRun:
    """Train with progress shown, then draw and report; an interruption says how to go on."""
    callbacks: list[Callback] = [] if printer.quiet or printer.as_json else [ProgressReporter()]
    if tensorboard is not None:
        callbacks.append(TensorBoardLogger(tensorboard))
    try:
        run = train(callbacks)
    except TrainingInterrupted as stop:
        stop.args = (f"saved epoch {stop.epoch}, step {stop.step} in {folder.path}.",)
        stop.fix = f"Go on with: hyotan resume {folder.path}"
        raise
    figures = draw(run)
    report(printer, run, figures)
    return run


def report(printer: Printer, run: FittedRun, figures: Sequence[Path]) -> None:
    """The verdict for a person, figures' paths, and the run folder as the last line of standard output."""
    for line in verdict_lines(run.evaluation):
        printer.notice(line)
    record = {"run": run.folder.path, "figures": list(figures), "metrics": run.folder.read_metrics()}
    printer.result(plain(record), [*map(str, figures), str(run.folder.path)])


def verdict_lines(evaluation: Evaluation) -> list[str]:
    """The numbers with their units and directions, and the findings in words."""
    e = evaluation
    lines = [
        "",
        f"on {e.n_rows:,} rows not seen in training (lower is better, but for units):",
        f"  reconstruction error  {e.mse:.5f} ± {e.mse_standard_error:.5f} MSE a feature" + _beside(e),
        f"  loss                  {e.loss:.2f} nats a row ({e.bits_per_dimension:.3f} bits a feature), {e.loss_name}",
    ]
    if e.kl is not None:
        lines.append(f"    reconstruction      {e.reconstruction:.2f} nats")
        lines.append(f"    KL                  {e.kl:.2f} nats, {e.active_units} of {e.latent_dim} units active")
    if e.likelihood is not None:
        nll = e.likelihood
        # On grey values there is no p(x): the same average of weights is a tighter cross-entropy bound, no likelihood.
        name = "importance bound" if "grey" in e.loss_name else "-log p(x)"
        lines.append(
            f"  {name:<20}  {nll.nll:.2f} ± {nll.standard_error:.2f} nats a row "
            f"({nll.samples} latent samples, {nll.rows:,} rows)"
        )
    lines.append("")
    for finding in e.diagnosis:
        mark, colour = MARKS[finding.level]
        lines.append(f"{click.style(mark, fg=colour)}  {finding.text}")
    return [*lines, ""]


def _beside(evaluation: Evaluation) -> str:
    if evaluation.mse_pca is None or evaluation.mse_mean_image is None:
        return ""
    return f"   (PCA of this size {evaluation.mse_pca:.5f}, the mean {evaluation.mse_mean_image:.5f})"
