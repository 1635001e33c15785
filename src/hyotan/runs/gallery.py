"""The figures of a run, drawn into its folder: what was learned, at a look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyotan.analysis.denoising import takes_noise_away
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
from hyotan.metrics import are_active, some_rows
from hyotan.runs.fitting import FittedRun, tracked_rows, without_missing
from hyotan.runs.run_folder import FIGURES
from hyotan.sampling.codes import DENSITY, PRIOR

SCATTER_ROWS = 5000

EXCHANGED, MOST_LABELS = 8, 20
"""Rows whose style is shown under every label, and labels from which on there are too many to show."""


class Shown:
    """The range in which an estimator's rows are drawn: the model's own, but for images that were standardised.

    Parameters
    ----------
    estimator : fitted.
    """

    def __init__(self, estimator: LatentEstimator) -> None:
        self.estimator: Any = estimator
        self.is_image = len(estimator.feature_shape_) > 1
        self.in_data_units = self.is_image and estimator.preprocessor_.is_scaled_by_feature
        low, high = estimator.range_
        if not estimator.preprocessor_.has_one_scale:  # columns of several kinds: on the model's side
            self.value_range = (low, high)
            return
        ends = estimator.preprocessor_.to_data(np.array([low, high])[:, *[None] * len(estimator.feature_shape_)])
        # A table has no one range; images need one, the same for all, so that grey means the same in each.
        self.value_range = (float(ends.min()), float(ends.max())) if self.in_data_units else (low, high)

    def rows(self, X: Array) -> np.ndarray:
        """Rows of data, (n, *features), in the range that is drawn; their missing values are drawn as the model fills
        them.
        """
        X = without_missing(self.estimator, X)
        return np.asarray(X, dtype=np.float32) if self.in_data_units else self.estimator.in_range(X)

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """Rows in the data's units that need not be data (samples, decoded codes), in the range that is drawn."""
        return rows if self.in_data_units else self.estimator.preprocessor_.to_model(rows)

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


def columns_of(estimator: LatentEstimator) -> Sequence[str] | None:
    """Names of the model's numbers for a table with several kinds of columns; None for everything else."""
    return estimator.preprocessor_.encoded_names


def _loss(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """Loss curves: both, and each alone."""
    yield "loss.png", LossCurvesDisplay.from_history(run.estimator.history_)


def _reconstructions(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """Originals above, reconstructions below, and the error."""
    some = run.test.take(tracked_rows(run.test))
    yield "reconstructions.png", reconstructions_display(run.estimator, some)


def _denoising(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """Clean rows, the same with noise as in training, and what the model makes of them."""
    if takes_noise_away(run.estimator):
        some = run.test.take(tracked_rows(run.test))
        yield "denoising.png", denoising_display(run.estimator, some, run.estimator.corrupt(some.X))


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


def _samples(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """New samples."""
    yield "samples.png", samples_display(run.estimator, 64, 0, run.train.feature_names)


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
        return "the prior" if estimator.family.prior else "a Gaussian fitted to the codes"
    return "the density of the codes"


def _latent(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """The codes of the test rows."""
    if run.estimator.latent_dim < 2:
        return
    rows = some_rows(len(run.test.X), SCATTER_ROWS)
    codes = run.estimator.transform(run.test.X[rows])
    labels = None if run.test.y is None else list(run.test.y[rows])
    yield "latent.png", LatentScatterDisplay.from_codes(codes, labels)


def _manifold(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """A grid of decoded codes over a code of size 2."""
    estimator, shown = run.estimator, Shown(run.estimator)
    if estimator.latent_dim != 2 or not shown.is_image or estimator.family.conditional:
        return
    has_prior, limits = estimator.family.prior, None
    if not has_prior:
        limits = central_limits(estimator.transform(run.train.X[some_rows(len(run.train.X), SCATTER_ROWS)]))
    yield (
        "manifold.png",
        ManifoldDisplay.from_decoder(
            lambda codes: shown.scaled(estimator.inverse_transform(codes)),
            latent_dim=2,
            steps=manifold_steps(max(estimator.feature_shape_)),
            spacing="normal" if has_prior else "linear",
            limits=limits,
            value_range=shown.value_range,
        ),
    )


def manifold_steps(side: int) -> int:
    """Images along each axis of a manifold, so that each is large enough to be read."""
    return 12 if side <= 16 else 20 if side <= 40 else 10


def _exchange(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """The style of a few rows under every label."""
    shown = Shown(run.estimator)
    if not run.estimator.family.conditional or not shown.is_image or run.test.y is None:
        return
    classes = shown.estimator.classes_
    rows = tracked_rows(run.test)
    rows = rows[np.isin(run.test.y[rows], classes)][:EXCHANGED]
    if len(rows) == 0 or len(classes) > MOST_LABELS:
        return
    X, y = run.test.X[rows], run.test.y[rows]
    images, labels = shown.exchanged(X, y), [str(label) for label in classes]
    yield (
        "exchange.png",
        ExchangeDisplay.from_arrays(images, labels, shown.rows(X), [str(k) for k in y], value_range=shown.value_range),
    )


def _kl(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """KL of each latent dimension."""
    if run.evaluation.kl_per_dimension:
        active = are_active(run.estimator.transform(run.test.X).var(axis=0))
        yield "kl.png", KLPerDimensionDisplay.from_kl(run.evaluation.kl_per_dimension, active)


def _animation(run: FittedRun) -> Iterator[tuple[str, Display]]:
    """Ten reconstructions, epoch by epoch."""
    if run.frames is None or len(run.estimator.feature_shape_) < 2:
        return
    originals, epochs, frames = run.frames
    by_epoch = {row["epoch"]: row.get("val_loss") for row in run.estimator.history_}
    film = TrainingAnimation.from_frames(
        originals, frames, epochs, [by_epoch.get(epoch) for epoch in epochs], value_range=run.estimator.range_
    )
    yield "training.gif", film
    yield "training.html", film


DRAWINGS: tuple[Callable[[FittedRun], Iterator[tuple[str, Display]]], ...] = (
    _loss,
    _reconstructions,
    _denoising,
    _samples,
    _latent,
    _manifold,
    _exchange,
    _kl,
    _animation,
)
"""What is drawn for a run: a new figure is one function here."""


def draw_figures(run: FittedRun) -> list[Path]:
    """Draw all figures that suit the run into its ``figures/``; their paths come back."""
    folder = run.folder.path / FIGURES
    folder.mkdir(exist_ok=True)
    return [display.save(folder / name) for drawing in DRAWINGS for name, display in drawing(run)]


def interpolation_display(estimator: LatentEstimator, a: Array, b: Array, steps: int) -> InterpolationDisplay:
    """The walk between the codes of two samples, as a figure."""
    shown = Shown(estimator)
    return InterpolationDisplay.from_arrays(
        shown.scaled(estimator.interpolate(a, b, steps)), value_range=shown.value_range
    )


def reconstructions_display(
    estimator: LatentEstimator, dataset: Dataset, n: int = 10, **label: Any
) -> ReconstructionsDisplay:
    """The first rows of a dataset beside their reconstructions; ``y`` is one label to tell the model, where given."""
    shown = Shown(estimator)
    X = dataset.X[:n]
    return ReconstructionsDisplay.from_arrays(
        shown.rows(X),
        shown.scaled(estimator.reconstruct(X, **label)),
        None if dataset.y is None else list(dataset.y[:n]),
        value_range=shown.value_range if shown.is_image else None,
        columns=columns_of(estimator) or dataset.feature_names,
    )
