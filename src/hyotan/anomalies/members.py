"""The members of an ensemble that looks for anomalies: fitted models, and how odd each finds a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hyotan.anomalies.observed import observed_parts, total_error, value_errors
from hyotan.anomalies.places import Coordinates, Neighbourhood, Outskirts, TrimmedGaussian
from hyotan.anomalies.recollection import Memory, unexplained
from hyotan.anomalies.surprise import Gauge
from hyotan.errors import DivergenceError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.files.tensors import check_tensors
from hyotan.metrics import observed_mean
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.training.stacked_trainer import StackedTrainer, grouped_by_stack

RECONSTRUCTION, NEIGHBOURS, OUTSKIRTS = "reconstruction", "neighbours", "outskirts"
GAUSSIAN, LIKELIHOOD, RECOLLECTION = "gaussian", "likelihood", "recollection"
COMBINED = {RECONSTRUCTION: 1, NEIGHBOURS: 1, OUTSKIRTS: 2}
"""The scores that are combined by default, and their weights: where one anomaly hides another, the outskirts tell."""

COMBINED_OF_IMAGES = {RECOLLECTION: 2, NEIGHBOURS: 1}
"""The same of images."""

NEIGHBOUR, NEIGHBOURHOOD_ROWS = 1, 1000
"""Which neighbour's distance counts, and among how many rows at most it is looked for."""

GAUGED_ROWS = 2000
"""Training rows, at most, that say what is usual."""


def train(members: Sequence[LatentEstimator], X: EncodedRows, subsets: Sequence[np.ndarray], y: Any = None) -> None:
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
            # Nobody samples from a member: what refines new rows would be most of its file.
            works = [member.training(X.take(rows), own, refine=False) for member, rows, own in parts]
            trainers = [trainings.enter_context(work) for work in works]
            for group in grouped_by_stack(trainers):
                if len(group) > 1:
                    StackedTrainer(group).fit()
                else:
                    group[0].fit()
    except DivergenceError:  # of one of them: alone, each says for itself what became of it
        for member, rows, own in parts:
            with member.training(X.take(rows), own, refine=False) as trainer:
                trainer.fit()


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted model, and what is usual of its training rows.

    Attributes
    ----------
    model : the fitted estimator.
    coordinates, neighbourhood, outskirts, gaussian : where codes and errors of training rows lie.
    gauges : what is usual of each score.
    best : of the likelihoods' negative logarithms, the lowest of a training row, in nats; 0 where there are none.
    loss : (*features), a training row's mean reconstruction loss in each feature, in nats; of a table (columns,).
    usual : of the same shape, a training row's mean error in each, which a row with missing values is compared with;
        None for whole rows of numbers.
    memory : of images, codes of training rows; None for a table.
    """

    model: LatentEstimator
    coordinates: Coordinates
    neighbourhood: Neighbourhood
    outskirts: Outskirts
    gaussian: TrimmedGaussian
    gauges: Mapping[str, Gauge]
    best: float
    loss: np.ndarray
    usual: np.ndarray | None = None
    memory: Memory | None = None

    @classmethod
    def of(cls, model: LatentEstimator, X: EncodedRows, random: np.random.RandomState) -> Member:
        """Take the measure of a fitted model's training rows, (n, *features)."""
        rows = X.take(random.permutation(len(X))[:GAUGED_ROWS]).held()
        usual = observed_mean(value_errors(model, rows)) if is_partial(model) else None
        codes, errors = codes_and_errors(model, rows, usual)
        coordinates = Coordinates.of(codes, errors)
        places = coordinates.place(codes, errors)
        neighbourhood = Neighbourhood(places[:NEIGHBOURHOOD_ROWS], NEIGHBOUR)
        loss = usual_loss(model, rows)
        best = float(negative_likelihood(model, rows, loss).min()) if model.family.probabilistic else 0.0
        outskirts = Outskirts.of(places, random)
        found = cls(
            model, coordinates, neighbourhood, outskirts, TrimmedGaussian.of(places[:, :-1]), {}, best, loss, usual
        )
        if is_of_images(model):
            found = replace(found, memory=Memory(places[:, :-1], codes.astype(np.float64)))
        raw = found.raw(rows, scores_of(model))
        return replace(found, gauges={name: Gauge.of(scores) for name, scores in raw.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """What is usual, as arrays by name: :meth:`from_arrays` reads them."""
        return {
            "frame/centre": self.coordinates.centre,
            "frame/scale": self.coordinates.scale,
            "neighbourhood": self.neighbourhood.rows,
            "outskirts": self.outskirts.rows,
            "gaussian/mean": self.gaussian.mean,
            "gaussian/precision": self.gaussian.precision,
            "gauges": np.array([[self.gauges[n].centre, self.gauges[n].spread] for n in scores_of(self.model)]),
            "loss": self.loss,
            **({} if self.usual is None else {"usual": self.usual}),
            **({} if self.memory is None else {"memory": self.memory.codes}),
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
        parts = model.preprocessor_.parts_shape
        shapes = {
            **dict.fromkeys(("frame/centre", "frame/scale"), ((places,),)),
            "neighbourhood": [(-1, places)],
            "outskirts": [(-1, -1, places)],
            "gaussian/mean": [(places - 1,)],
            "gaussian/precision": [(places - 1, places - 1)],
            "gauges": [(len(names), 2)],
            "loss": [parts],
            **({"usual": [parts]} if is_partial(model) else {}),
            **({"memory": [(-1, places - 1)]} if is_of_images(model) else {}),
        }
        check_tensors(arrays, shapes, "a detector's")
        gauges = {name: Gauge(*map(float, row)) for name, row in zip(names, arrays["gauges"], strict=True)}
        coordinates, memory = Coordinates(arrays["frame/centre"], arrays["frame/scale"]), None
        if is_of_images(model):
            memory = Memory(coordinates.place_codes(arrays["memory"]), arrays["memory"])
        return cls(
            model,
            coordinates,
            Neighbourhood(arrays["neighbourhood"], NEIGHBOUR),
            Outskirts(arrays["outskirts"]),
            TrimmedGaussian(arrays["gaussian/mean"], arrays["gaussian/precision"]),
            gauges,
            best,
            arrays["loss"],
            arrays.get("usual"),
            memory,
        )

    def raw(self, rows: EncodedRows, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Scores of each row by name, (n,) each, in units of their own: higher is odder, and none is negative."""
        codes, errors = codes_and_errors(self.model, rows, self.usual)
        places = self.coordinates.place(codes, errors)
        give = {
            RECONSTRUCTION: lambda: errors,
            NEIGHBOURS: lambda: self.neighbourhood.distance(places),
            OUTSKIRTS: lambda: self.outskirts.distance(places),
            GAUSSIAN: lambda: self.gaussian.distance(places[:, :-1]),
            LIKELIHOOD: lambda: np.maximum(negative_likelihood(self.model, rows, self.loss) - self.best, 0.0),
            RECOLLECTION: lambda: unexplained(rows.numbers, self.recalled(rows, places[:, :-1])),
        }
        return {name: give[name]() for name in names}

    def recalled(self, rows: EncodedRows, places: np.ndarray) -> np.ndarray:
        """Images, (n, *features), as they come back from codes near theirs, in the model's range.

        Parameters
        ----------
        rows : (n, *features)
        places : (n, latent), where their codes lie.
        """
        codes = self.memory.recall(places)  # pyrefly: ignore[missing-attribute]
        network = self.model.model_
        return self.model.inference_.batched(lambda z, x: network.decode_like(z, x).mean, codes, rows)

    def surprise(self, rows: EncodedRows, weights: Mapping[str, float]) -> np.ndarray:
        """How odd each row is, (n,), in nats: the mean over scores of -log of how rarely a usual row's is as high.

        Parameters
        ----------
        rows : (n, *features)
        weights : of the scores, by name.
        """
        raw = self.raw(self.model.encode_rows(rows).held(), [*weights])
        each = [self.gauges[name].surprise(raw[name]) for name in weights]
        return np.average(each, axis=0, weights=[*weights.values()])

    def excess(self, rows: EncodedRows) -> np.ndarray:
        """Reconstruction loss of each value beyond that of a usual one, (n, *parts), in nats; 0 where it is missing."""
        excess = loss_by_part(self.model, self.model.encode_rows(rows)) - self.loss
        return excess if self.usual is None else np.where(np.isnan(excess), 0.0, excess)


def scores_of(model: LatentEstimator) -> tuple[str, ...]:
    """Names of the scores that a model can give; of images, once it is fitted."""
    names = (*COMBINED, GAUSSIAN, LIKELIHOOD) if model.family.probabilistic else (*COMBINED, GAUSSIAN)
    return (*names, RECOLLECTION) if is_of_images(model) else names


def combined(is_image: bool) -> Mapping[str, float]:
    """The scores that are combined for images or for other rows, and their weights."""
    return COMBINED_OF_IMAGES if is_image else COMBINED


def is_of_images(model: LatentEstimator) -> bool:
    """Whether a model was fitted on images."""
    return hasattr(model, "preprocessor_") and model.preprocessor_.is_image


def is_partial(model: LatentEstimator) -> bool:
    """Whether rows are judged by what is observed of them: where values may be missing, and of tables."""
    return model.handles_missing_ or not model.preprocessor_.has_one_scale


def codes_and_errors(
    model: LatentEstimator, rows: EncodedRows, usual: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Codes, (n, latent), and errors, (n,), of rows: squared in the model's range, or as ``value_errors`` has them.

    Parameters
    ----------
    model, rows : fitted, and (n, *features).
    usual : (*parts), errors that rows with missing values are compared with; None for whole rows of numbers.
    """
    codes = model.inference_.encode(rows)
    if usual is not None:
        return codes, total_error(value_errors(model, rows), usual)
    mean = model.inference_.reconstruct(rows)
    return codes, np.square(rows.numbers.astype(np.float64) - mean).reshape(len(mean), -1).sum(axis=1)


def loss_by_part(model: LatentEstimator, X: Any) -> np.ndarray:
    """-log p(x|code of x) of each value, or of each column of a table, (n, *parts), in nats; NaN where it is missing.

    Parameters
    ----------
    model : fitted.
    X : (n, *features), encoded or not.
    """
    rows = model.encode_rows(X)
    loss = -model.inference_.log_prob_per_feature(rows)
    return observed_parts(model, rows, loss) if is_partial(model) else loss


def usual_loss(model: LatentEstimator, X: Any) -> np.ndarray:
    """The mean of :func:`loss_by_part` over rows, (*parts), float64; of those that have a value there."""
    loss = loss_by_part(model, X)
    return observed_mean(loss.astype(np.float64)) if is_partial(model) else loss.mean(axis=0, dtype=np.float64)


def negative_likelihood(model: LatentEstimator, rows: EncodedRows, loss: np.ndarray) -> np.ndarray:
    """-log p(x), (n,), in nats; what is missing counts as much as the usual ``loss``, (*parts), of its value."""
    found = -model.score_samples(rows)
    if not is_partial(model):
        return found
    missing = ~model.preprocessor_.observed(rows.numbers)
    return found + (missing * loss).reshape(len(missing), -1).sum(axis=1)
