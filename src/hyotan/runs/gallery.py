"""The figures of a run: one table, which the run's folder and its page are drawn from.

A new figure takes a record of its numbers (a :class:`hyotan.figures.Display` in a module of :mod:`hyotan.figures`), a
function and a line of RUN_FIGURES here. To show it on the page too, its record gives ``charts``, and RUN_FIGURES names
the section; words that are new go into the catalogues of :mod:`hyotan.words`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyotan.data import Dataset
from hyotan.data.frames import as_frame
from hyotan.data.stored import Array
from hyotan.estimators import Autoencoder
from hyotan.estimators.estimator import LatentEstimator
from hyotan.figures import (
    DenoisingDisplay,
    Display,
    ExchangeDisplay,
    InterpolationDisplay,
    KLPerDimensionDisplay,
    LatentScatterDisplay,
    LossCurvesDisplay,
    ManifoldDisplay,
    ReconstructionsDisplay,
    SamplesDisplay,
    TrainingAnimation,
    central_limits,
)
from hyotan.metrics import are_active
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.runs.run_folder import FIGURES
from hyotan.runs.run_training import FinishedRun, FittedRun, tracked_rows, without_missing
from hyotan.sampling.code_sampler import DENSITY, PRIOR

SCATTER_ROWS = 5000

EXCHANGED, MOST_LABELS = 8, 20
"""Rows whose style is shown under every label, and labels that are shown at most."""


class Shown:
    """The range in which an estimator's rows are drawn: the model's own, but for images that were standardised.

    Parameters
    ----------
    estimator : fitted.
    """

    def __init__(self, estimator: LatentEstimator) -> None:
        self.estimator: Any = estimator
        self.is_image = estimator.preprocessor_.is_image
        self.in_data_units = self.is_image and estimator.preprocessor_.is_scaled_by_feature
        low, high = estimator.range_
        if not estimator.preprocessor_.has_one_scale:  # columns of several kinds: on the model's side
            self.value_range = (low, high)
            return
        ends = estimator.preprocessor_.to_data(np.array([low, high])[:, *[None] * len(estimator.feature_shape_)])
        # A table has no one range; images need one, the same for all, so that grey means the same in each.
        self.value_range = (float(ends.min()), float(ends.max())) if self.in_data_units else (low, high)

    def rows(self, X: Any) -> np.ndarray:
        """Rows of data, (n, *features), in the range that is drawn; their missing values are drawn as the model fills
        them.

        Parameters
        ----------
        X : as the data are, or encoded.
        """
        rows = self.estimator.encode_rows(X)
        if np.isnan(rows.numbers).any():
            rows = self.estimator.encode_rows(self.estimator.impute(rows))
        return self._drawn(np.asarray(rows.original, dtype=np.float32) if self.in_data_units else rows.numbers)

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """Rows in the data's units that need not be data (samples, decoded codes), in the range that is drawn."""
        return self._drawn(rows if self.in_data_units else self.estimator.preprocessor_.to_model(rows))

    def _drawn(self, rows: np.ndarray) -> np.ndarray:
        """Images as they are; of other rows the values in one line, (n, features)."""
        return rows if self.is_image else self.estimator.preprocessor_.in_line(rows)

    def exchanged(self, X: Array, y: np.ndarray) -> np.ndarray:
        """The code of each row under every label, of a conditional model, in the range that is drawn.

        Parameters
        ----------
        X, y : (n, *features) and their labels, (n,).

        Returns
        -------
        (n, labels, *features)
        """
        images = self.estimator.exchange_labels(X, y)
        return self.scaled(images.reshape(-1, *images.shape[2:])).reshape(images.shape)


def _names_of(run: FinishedRun) -> Sequence[str] | None:
    """The columns' names, where the data are a table that has them."""
    return columns_of(run.estimator) or run.train.feature_names


def columns_of(estimator: LatentEstimator) -> Sequence[str] | None:
    """Names of the model's numbers for a table with several kinds of columns; None for everything else."""
    return estimator.preprocessor_.encoded_names


# -- the figures of a run ----------------------------------------------------------------------------------------------


def _loss(run: FinishedRun) -> LossCurvesDisplay:
    """Loss curves: both, and each alone."""
    return LossCurvesDisplay.from_history(run.history)


def _reconstructions(run: FinishedRun) -> ReconstructionsDisplay:
    """Rows of every label beside their reconstructions."""
    tracked = tracked_rows(run.test)
    labels = None if run.test.y is None else list(run.test.y[tracked])
    return _reconstructed(run.estimator, run.encoded.take(tracked), labels, _names_of(run))


def _denoising(run: FinishedRun) -> DenoisingDisplay | None:
    """Clean rows, the same with noise as in training, and what the model makes of them."""
    estimator: Any = run.estimator
    if not hasattr(estimator, "denoise"):
        return None
    some = run.test.take(tracked_rows(run.test))
    return denoising_display(estimator, some, estimator.corrupt(some.X))


def _samples(run: FinishedRun) -> SamplesDisplay:
    """New samples."""
    return samples_display(run.estimator, 64, 0, _names_of(run))


def _latent(run: FinishedRun) -> LatentScatterDisplay | None:
    """The codes of the test rows."""
    if run.estimator.latent_dim < 2:
        return None
    some = _some_rows(len(run.test.X))
    labels = None if run.test.y is None else list(run.test.y[some])
    return LatentScatterDisplay.from_codes(run.estimator.transform(run.encoded.take(some)), labels)


def _manifold(run: FinishedRun) -> ManifoldDisplay | None:
    """A grid of decoded codes over a code of size 2."""
    estimator, shown, family = run.estimator, Shown(run.estimator), type(run.estimator).family
    if estimator.latent_dim != 2 or not shown.is_image or family.conditional:
        return None
    rows = _some_rows(len(run.train.X))
    return ManifoldDisplay.from_decoder(
        lambda codes: shown.scaled(estimator.inverse_transform(codes)),
        latent_dim=2,
        steps=manifold_steps(max(estimator.feature_shape_)),
        spacing="normal" if family.prior else "linear",
        limits=None if family.prior else central_limits(estimator.transform(run.train.X[rows])),
        value_range=shown.value_range,
    )


def _exchange(run: FinishedRun) -> ExchangeDisplay | None:
    """The style of a few rows under every label."""
    estimator, shown = run.estimator, Shown(run.estimator)
    if not type(estimator).family.conditional or not shown.is_image or run.test.y is None:
        return None
    rows = tracked_rows(run.test)
    rows = rows[np.isin(run.test.y[rows], estimator.classes_)][:EXCHANGED]
    if len(rows) == 0:
        return None
    X, y = run.test.X[rows], run.test.y[rows]
    scaled = shown.exchanged(X, y)[:, :MOST_LABELS]
    labels = [str(label) for label in estimator.classes_[:MOST_LABELS]]
    return ExchangeDisplay.from_arrays(scaled, labels, shown.rows(X), y.tolist(), value_range=shown.value_range)


def _kl(run: FinishedRun) -> KLPerDimensionDisplay | None:
    """KL of each latent dimension."""
    if not run.kl_per_dimension:
        return None
    active = are_active(run.estimator.transform(run.encoded).var(axis=0))
    return KLPerDimensionDisplay.from_kl(run.kl_per_dimension, active)


def _animation(run: FinishedRun) -> TrainingAnimation | None:
    """Ten reconstructions, epoch by epoch."""
    if run.frames is None or not run.estimator.preprocessor_.is_image:
        return None
    originals, epochs, frames = run.frames
    by_epoch = {row["epoch"]: row.get("val_loss") for row in run.history}
    losses = [by_epoch.get(epoch) for epoch in epochs]
    return TrainingAnimation.from_frames(originals, frames, epochs, losses, value_range=run.estimator.range_)


@dataclass(frozen=True)
class RunFigure:
    """A figure that is made of a finished run.

    Attributes
    ----------
    name : of its files.
    compute : the figure's numbers; None where it does not suit the run.
    section : of the run's page that shows the figure's ``charts``; empty for none.
    suffixes : formats of its files.
    """

    name: str
    compute: Callable[[FinishedRun], Display | None]
    section: str = ""
    suffixes: tuple[str, ...] = ("png",)


RUN_FIGURES = (
    RunFigure("loss", _loss, "curves"),
    RunFigure("reconstructions", _reconstructions),
    RunFigure("denoising", _denoising, "denoising"),
    RunFigure("samples", _samples, "samples"),
    RunFigure("latent", _latent),
    RunFigure("manifold", _manifold, "samples"),
    RunFigure("exchange", _exchange, "samples"),
    RunFigure("kl", _kl),
    RunFigure("training", _animation, suffixes=("gif", "html")),
)
"""Every figure of a run, in its folder and on its page."""


def draw_figures(run: FittedRun) -> list[Path]:
    """Draw all figures that suit the run into its ``figures/``; their paths come back."""
    folder = run.folder.path / FIGURES
    folder.mkdir(exist_ok=True)
    computed = ((figure, figure.compute(run)) for figure in RUN_FIGURES)
    return [
        display.save(folder / f"{figure.name}.{suffix}")
        for figure, display in computed
        if display is not None
        for suffix in figure.suffixes
    ]


# -- figures of single commands too ------------------------------------------------------------------------------------


def _some_rows(n: int) -> np.ndarray:
    """At most SCATTER_ROWS of n rows, drawn at random with a fixed seed: the first ones may be sorted by something."""
    return np.sort(np.random.default_rng(0).choice(n, min(n, SCATTER_ROWS), replace=False))


def manifold_steps(side: int) -> int:
    """Images along each axis of a manifold, so that each is large enough to be read."""
    return 12 if side <= 16 else 20 if side <= 40 else 10


def denoising_display(
    estimator: Autoencoder, dataset: Dataset, corrupted: np.ndarray | None = None
) -> DenoisingDisplay:
    """Rows of a dataset denoised, as a figure.

    Parameters
    ----------
    estimator : trained on noise.
    dataset : the rows, noisy as they are, or clean where ``corrupted`` is given.
    corrupted : the same rows with noise.
    """
    shown, X = Shown(estimator), np.asarray(dataset.X)
    noisy = X if corrupted is None else corrupted
    return DenoisingDisplay.from_arrays(
        shown.scaled(noisy),
        shown.scaled(estimator.denoise(noisy)),
        None if corrupted is None else shown.rows(X),
        None if dataset.y is None else list(dataset.y),
        value_range=shown.value_range if shown.is_image else None,
        columns=dataset.feature_names,
    )


def samples_display(
    estimator: LatentEstimator, n: int, random_state: int, columns: Sequence[str] | None = None, **how: Any
) -> SamplesDisplay:
    """New samples as a figure; ``how`` is what else ``sample`` is told, such as ``y``, of which label they are.

    Missing values, which samples of a table have where its rows had, are drawn as the model fills them.
    """
    shown = Shown(estimator)
    drawn = estimator.sample(n, random_state=random_state, **how)
    table = as_frame(drawn)
    return SamplesDisplay.from_arrays(
        shown.scaled(drawn if table is None else without_missing(estimator, table)),
        value_range=shown.value_range if shown.is_image else None,
        columns=columns_of(estimator) or columns,
        origin=origin_of(estimator, how.get("sampler", DENSITY)),
    )


def origin_of(estimator: LatentEstimator, sampler: str) -> str:
    """Where codes come from, in words."""
    if sampler == PRIOR:
        return "the prior" if type(estimator).family.prior else "a Gaussian fitted to the codes"
    return "the density of the codes"


def interpolation_display(estimator: LatentEstimator, a: Array, b: Array, steps: int) -> InterpolationDisplay:
    """The walk between the codes of two samples, as a figure."""
    shown = Shown(estimator)
    return InterpolationDisplay.from_arrays(
        shown.scaled(estimator.interpolate(a, b, steps)), value_range=shown.value_range
    )


def reconstructions_display(
    estimator: LatentEstimator,
    dataset: Dataset,
    n: int = 10,
    columns: Sequence[str] | None = None,
    **label: Any,
) -> ReconstructionsDisplay:
    """The first rows of a dataset beside their reconstructions; ``y`` is one label to tell the model, where given."""
    labels = None if dataset.y is None else list(dataset.y[:n])
    columns = columns or columns_of(estimator) or dataset.feature_names
    return _reconstructed(estimator, estimator.encode_rows(dataset.X[:n]), labels, columns, **label)


def _reconstructed(
    estimator: LatentEstimator,
    rows: EncodedRows,
    labels: list[Any] | None,
    columns: Sequence[str] | None,
    **label: Any,
) -> ReconstructionsDisplay:
    shown = Shown(estimator)
    made = estimator.reconstruct(rows, **label)  # pyrefly: ignore[bad-argument-type]
    return ReconstructionsDisplay.from_arrays(
        shown.rows(rows),
        shown.scaled(made),
        labels,
        value_range=shown.value_range if shown.is_image else None,
        columns=columns,
    )
