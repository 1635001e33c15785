"""The members of an ensemble that looks for anomalies: fitted models, and how odd each finds a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from hyotan.anomalies.places import Frame, Gaussian, Neighbourhood, Outskirts
from hyotan.anomalies.surprise import Gauge
from hyotan.data.stored import Array
from hyotan.errors import DataError, DivergenceError
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.rows import ScaledRows
from hyotan.estimators.vae import VAE
from hyotan.training.together import Together, together

RECONSTRUCTION, NEIGHBOURS, OUTSKIRTS = "reconstruction", "neighbours", "outskirts"
GAUSSIAN, LIKELIHOOD = "gaussian", "likelihood"
COMBINED = {RECONSTRUCTION: 1, NEIGHBOURS: 1, OUTSKIRTS: 2}
"""The scores that are combined by default, and their weights: where one anomaly hides another, the outskirts tell."""

NEIGHBOUR, NEIGHBOURHOOD_ROWS = 1, 1000
"""Which neighbour's distance counts, and among how many rows at most it is looked for."""

GAUGED_ROWS = 2000
"""Training rows, at most, that say what is usual."""


def train(members: Sequence[LatentEstimator], X: np.ndarray, subsets: Sequence[np.ndarray], y: Any = None) -> None:
    """Train each member on its rows, those that can share a loop in one.

    Parameters
    ----------
    members : not fitted yet.
    X : (n, *features)
    subsets : the rows of each member.
    y : (n,), labels, for models that use them.
    """
    labels = [None if y is None else np.asarray(y)[rows] for rows in subsets]
    parts = list(zip(members, subsets, labels, strict=True))
    try:
        with ExitStack() as trainings:
            trainers = [trainings.enter_context(member.training(X[rows], own)) for member, rows, own in parts]
            for group in together(trainers):
                if len(group) > 1:
                    Together(group).fit()
                else:
                    group[0].fit()
    except DivergenceError:  # of one of them: alone, each says for itself what became of it
        for member, rows, own in parts:
            member.fit(X[rows], own)


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted model, and what is usual of its training rows.

    Attributes
    ----------
    model : the fitted estimator.
    frame, neighbourhood, outskirts, gaussian : where codes and errors of training rows lie.
    gauges : what is usual of each score.
    best : of the likelihoods' negative logarithms, the lowest of a training row, in nats; 0 where there are none.
    loss : (*features), a training row's mean reconstruction loss in each feature, in nats.
    """

    model: LatentEstimator
    frame: Frame
    neighbourhood: Neighbourhood
    outskirts: Outskirts
    gaussian: Gaussian
    gauges: Mapping[str, Gauge]
    best: float
    loss: np.ndarray

    @classmethod
    def of(cls, model: LatentEstimator, X: np.ndarray, random: np.random.RandomState) -> Member:
        """Take the measure of a fitted model's training rows, (n, *features)."""
        rows = X[random.permutation(len(X))[:GAUGED_ROWS]]
        codes, errors = codes_and_errors(model, rows)
        frame = Frame.of(codes, errors)
        places = frame.place(codes, errors)
        neighbourhood = Neighbourhood(places[:NEIGHBOURHOOD_ROWS], NEIGHBOUR)
        loss = feature_loss(model, rows).mean(axis=0, dtype=np.float64)
        best = -float(model.score_samples(rows).max()) if isinstance(model, VAE) else 0.0
        outskirts = Outskirts.of(places, random)
        found = cls(model, frame, neighbourhood, outskirts, Gaussian.of(places[:, :-1]), {}, best, loss)
        raw = found.raw(rows, scores_of(model))
        return replace(found, gauges={name: Gauge.of(scores) for name, scores in raw.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """What is usual, as arrays by name: :meth:`from_arrays` reads them."""
        return {
            "frame/centre": self.frame.centre,
            "frame/scale": self.frame.scale,
            "neighbourhood": self.neighbourhood.rows,
            "outskirts": self.outskirts.rows,
            "gaussian/mean": self.gaussian.mean,
            "gaussian/precision": self.gaussian.precision,
            "gauges": np.array([[self.gauges[n].centre, self.gauges[n].spread] for n in scores_of(self.model)]),
            "loss": self.loss,
        }

    @classmethod
    def from_arrays(cls, model: LatentEstimator, best: float, arrays: Mapping[str, np.ndarray]) -> Member:
        """The member that :meth:`arrays` describe.

        Raises
        ------
        DataError
            An array is missing or of another shape than the model's.
        """
        places, names = model.model_code_size + 1, scores_of(model)
        shapes = {
            "frame/centre": (places,),
            "frame/scale": (places,),
            "neighbourhood": (-1, places),
            "outskirts": (-1, -1, places),
            "gaussian/mean": (places - 1,),
            "gaussian/precision": (places - 1, places - 1),
            "gauges": (len(names), 2),
            "loss": model.feature_shape_,
        }
        for name, shape in shapes.items():
            check_array(name, arrays.get(name), shape)
        gauges = {name: Gauge(*map(float, row)) for name, row in zip(names, arrays["gauges"], strict=True)}
        return cls(
            model,
            Frame(arrays["frame/centre"], arrays["frame/scale"]),
            Neighbourhood(arrays["neighbourhood"], NEIGHBOUR),
            Outskirts(arrays["outskirts"]),
            Gaussian(arrays["gaussian/mean"], arrays["gaussian/precision"]),
            gauges,
            best,
            arrays["loss"],
        )

    def raw(self, X: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Scores of each row by name, (n,) each, in units of their own: higher is odder, and none is negative."""
        codes, errors = codes_and_errors(self.model, X)
        places = self.frame.place(codes, errors)
        give = {
            RECONSTRUCTION: lambda: errors,
            NEIGHBOURS: lambda: self.neighbourhood.distance(places),
            OUTSKIRTS: lambda: self.outskirts.distance(places),
            GAUSSIAN: lambda: self.gaussian.distance(places[:, :-1]),
            LIKELIHOOD: lambda: np.maximum(-self.model.score_samples(X) - self.best, 0.0),
        }
        return {name: give[name]() for name in names}

    def surprise(self, X: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
        """How odd each row is, (n,), in nats: the mean over scores of -log of how rarely a usual row's is as high.

        Parameters
        ----------
        X : (n, *features)
        weights : of the scores, by name.
        """
        raw = self.raw(X, [*weights])
        each = [self.gauges[name].surprise(raw[name]) for name in weights]
        return np.average(each, axis=0, weights=[*weights.values()])

    def excess(self, X: np.ndarray) -> np.ndarray:
        """Reconstruction loss of each value beyond that of a usual one, (n, *features), in nats."""
        return feature_loss(self.model, X) - self.loss


def scores_of(model: LatentEstimator) -> tuple[str, ...]:
    """Names of the scores that a model can give."""
    return (*COMBINED, GAUSSIAN, LIKELIHOOD) if isinstance(model, VAE) else (*COMBINED, GAUSSIAN)


def codes_and_errors(model: LatentEstimator, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes, (n, latent), and squared errors in the model's range, (n,), of rows."""
    scaled, mean = model.reconstruct_in_range(X)
    errors = np.square(scaled.astype(np.float64) - mean).reshape(len(mean), -1).sum(axis=1)
    return model._encode(X), errors


def feature_loss(model: LatentEstimator, X: Array) -> np.ndarray:
    """-log p(x|code of x) of each value, (n, *features), in nats."""

    def loss(x: Tensor) -> Tensor:
        return -model.model_.explanation(x).log_prob_per_feature(x)  # pyrefly: ignore[missing-attribute]

    return model._batched(loss, ScaledRows(X, model._to_model))


def check_array(name: str, array: np.ndarray | None, shape: tuple[int, ...]) -> None:
    """Compare an array with the shape that it must have; -1 stands for any length of at least 2."""
    if array is None:
        raise DataError(f"tensor '{name}' is missing.", "Is it a detector's file?")
    fits = array.ndim == len(shape) and all(
        have == want or (want == -1 and have > 1) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != np.float64:
        expected = str(shape).replace("-1", "m")
        raise DataError(
            f"tensor '{name}' is {array.dtype} {array.shape}, expected float64 {expected}.",
            "The file belongs to another model.",
        )
