"""What fit, resume and demo share: train, evaluate, draw, and say what came of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import click

from hyotan.analysis.diagnosis import Finding
from hyotan.analysis.evaluation import Evaluation
from hyotan.analysis.noise_removal import Denoising
from hyotan.cli.output import Printer
from hyotan.data import Dataset
from hyotan.errors import DataError
from hyotan.models.families import BY_KIND
from hyotan.runs.gallery import draw_figures
from hyotan.runs.run_folder import TEST_FRACTION, RunFolder
from hyotan.runs.run_training import FittedRun
from hyotan.runs.run_training import fit as fit_run
from hyotan.runs.settings import DataOptions, RunConfig, absolute_source
from hyotan.training.callbacks import Callback, Fitting, ProgressReporter, TensorBoardLogger
from hyotan.training.interruption import TrainingInterrupted
from hyotan.training.profiling import StepProfiler
from hyotan.words.phrases import counted

Train: TypeAlias = Callable[[list[Callback]], FittedRun]
"""A training that callbacks watch."""

MARKS = {"good": ("good   ", "green"), "notice": ("notice ", "yellow"), "warning": ("warning", "red")}


def train_new(
    printer: Printer,
    chosen: dict[str, Any],
    out: str | None,
    overwrite: bool,
    tensorboard: str | None = None,
    profile: bool = False,
) -> FittedRun:
    """Make a run folder for the settings chosen, train in it, and report; nothing is made where that is refused."""
    options = DataOptions(**chosen["data"])
    config = RunConfig(chosen["source"], chosen["kind"], chosen["parameters"], options, chosen["recipe"])
    dataset = config.load_data()
    train, test = dataset.split(TEST_FRACTION)
    printer.describe(dataset, train.notes)
    source, options = absolute_source(config.source), options.with_columns_of(dataset)
    noted = replace(config.with_defaults(), source=source, data=options, fingerprint=dataset.fingerprint())
    rehearse(noted, train)
    profiler = StepProfiler() if profile else None
    more: list[Callback] = [] if tensorboard is None else [TensorBoardLogger(tensorboard)]
    more += [profiler] if profiler else []
    folder = RunFolder.create(noted, run_name(source, chosen["model"]), out, overwrite)
    first = [f"run folder: {folder.path}"]
    return watched(printer, folder, lambda seen: fit_run(folder, [*seen, *more], data=(train, test)), first, profiler)


def run_name(source: str, model: str) -> str:
    """``<data>-<model>``: the name's or path's last part, in any script, without what a folder's name cannot hold."""
    stem = Path(source).name if Path(source).is_dir() else Path(source).name.split(".")[0]
    stem = stem or Path(source).resolve().name
    safe = "".join(c if unicodedata.category(c)[0] in "LNM" or c in "-_" else "-" for c in stem).strip("-")
    return f"{safe or 'data'}-{model}"


def rehearse(config: RunConfig, train: Dataset) -> None:
    """Refuse what training would refuse before its first step: before a folder is made, or an old run replaced.

    Raises
    ------
    SettingsError, DataError : settings that cannot work, or not with these rows.
    """
    if BY_KIND[config.kind].conditional and train.y is None:
        fix = "Name the column that holds them: --label COLUMN; or take --model vae, which needs none."
        raise DataError(f"{config.source} has no labels, which --model cvae needs for some rows.", fix)
    config.rehearse(train)


class Announcement(Callback):
    """Says something when training begins, and not when it is refused.

    Parameters
    ----------
    printer : who says it.
    lines : what.
    """

    def __init__(self, printer: Printer, lines: Sequence[str]) -> None:
        self.printer, self.lines = printer, lines

    def on_fit_start(self, fitting: Fitting) -> None:
        """Say it."""
        self.printer.notice(*self.lines)


def watched(
    printer: Printer, folder: RunFolder, train: Train, first: Sequence[str] = (), profiler: StepProfiler | None = None
) -> FittedRun:
    """Train with progress shown, then draw and report; an interruption says how to go on.

    The run folder is the last line of standard output.
    """
    callbacks: list[Callback] = [Announcement(printer, first), *([ProgressReporter()] if printer.talks else [])]
    try:
        run = train(callbacks)
    except TrainingInterrupted as stop:
        stop.args = (f"saved epoch {stop.epoch}, step {stop.step} in {folder.path}.",)
        stop.fix = f"Go on with: hyotan resume {folder.path}"
        raise
    figures = draw_figures(run)
    printer.notice(*verdict_lines(run.evaluation, run.train is run.test))
    record: dict[str, Any] = {"run": folder.path, "figures": figures, "metrics": folder.read_metrics()}
    if profiler is not None:
        printer.notice(*profiler.lines())
        record["profile"] = profiler.result.to_dict() if profiler.result else None
    printer.result(record, [*map(str, figures), str(folder.path)])
    return run


def verdict_lines(evaluation: Evaluation, seen: bool) -> list[str]:
    """The numbers with their units and directions, and the findings in words.

    Parameters
    ----------
    evaluation : the numbers.
    seen : whether the rows evaluated are those trained on, for want of others.
    """
    e = evaluation
    rows = counted(e.n_rows, "row")
    which = f"the {rows} trained on, too few to hold some out" if seen else f"{rows} not seen in training"
    lines = [
        "",
        f"on {which} (lower is better):",
        f"  reconstruction error  {e.mse:.5f} ± {e.mse_standard_error:.5f} MSE a feature" + _beside(e),
        f"  loss                  {e.loss:.2f} nats a row ({e.bits_per_dimension:.3f} bits a feature), {e.loss_name}",
    ]
    if e.kl is not None:
        lines.append(f"    reconstruction      {e.reconstruction:.2f} nats")
        lines.append(f"    KL                  {e.kl:.2f} nats, {e.active_units} of {e.latent_dim} units active")
    if e.denoising is not None:
        lines.append(denoising_line(e.denoising))
    if e.label_error is not None:
        lines.append(f"  label error           {100 * e.label_error:.2f} %")
    if e.likelihood is not None:
        nll = e.likelihood
        # On grey values there is no p(x): the same average of weights is a tighter cross-entropy bound, no likelihood.
        name = "importance bound" if "grey" in e.loss_name else "-log p(x)"
        lines.append(
            f"  {name:<20}  {nll.nll:.2f} ± {nll.standard_error:.2f} nats a row "
            f"({nll.samples} latent samples, {nll.rows:,} rows)"
        )
    lines.append("")
    return [*lines, *map(finding_line, e.diagnosis), ""]


def finding_line(finding: Finding) -> str:
    """How grave it is, and what is found."""
    mark, colour = MARKS[finding.level]
    return f"{click.style(mark, fg=colour)}  {finding.text}"


def denoising_line(found: Denoising) -> str:
    """Before and after, beside the best affine map."""
    level = f"{found.level:g}" if isinstance(found.level, float) else "{:g} to {:g}".format(*found.level)
    name = f"  noise of level {level}"
    affine, form = (found.mse_affine, ".5f") if found.psnr is None else (found.psnr_affine, ".2f")
    beside = "" if affine is None else f" (the best affine map {affine:{form}})"
    if found.psnr is None:
        return f"{name}: MSE a feature {found.mse_noisy:.5f} before, {found.mse_denoised:.5f} after{beside}"
    return (
        f"{name}: PSNR {found.psnr_noisy:.2f} dB before, {found.psnr:.2f} after{beside}, "
        f"SSIM {found.ssim_noisy:.3f} before, {found.ssim:.3f} after; higher is better"
    )


def _beside(evaluation: Evaluation) -> str:
    if evaluation.mse_pca is None or evaluation.mse_mean_image is None:
        return ""
    return f"   (PCA of this size {evaluation.mse_pca:.5f}, the mean {evaluation.mse_mean_image:.5f})"
