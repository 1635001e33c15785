"""A fitted estimator and rows it has not seen: a frozen record of how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hyotan import metrics
from hyotan.analysis.diagnosis import Facts, Finding, diagnose
from hyotan.analysis.noise_removal import Denoising, measure
from hyotan.data.stored import HELD_OUT_ROWS, Array, sample_of, stored
from hyotan.estimators.estimator import LatentEstimator
from hyotan.preprocessing.encoded import EncodedRows

NLL_ROWS, NLL_SAMPLES = 500, 200
"""What an evaluation spends on the likelihood by default: seconds, not minutes."""

BASELINE_ROWS = 60_000

STORED_BASELINE_ROWS = 20_000
"""Of training rows that stay in their file, so many, evenly spread, give the baselines."""


@dataclass(frozen=True)
class LikelihoodEstimate:
    """An importance-sampled estimate of -log p(x).

    Attributes
    ----------
    nll, standard_error : mean over the rows and its standard error, in nats a sample; lower is better.
    rows, samples : rows scored, and latent samples a row.
    elbo_gap : the negative bound minus ``nll`` on the same rows: what the posterior's shape costs.
    """

    nll: float
    standard_error: float
    rows: int
    samples: int
    elbo_gap: float


@dataclass(frozen=True)
class Evaluation:
    """How good a fitted estimator is on rows that it has not seen.

    Attributes
    ----------
    n_rows : rows evaluated.
    mse : mean squared error a feature of the deterministic reconstruction, in the model's range.
    mse_standard_error : over the rows.
    loss, reconstruction, kl : in nats a sample; kl None without one.
    loss_name : what the loss is; on grey values a Bernoulli's is a cross-entropy.
    bits_per_dimension : of the loss.
    active_units, latent_dim, n_features : counts.
    kl_per_dimension : nats.
    mse_mean_image, mse_pca : baselines fitted on the training rows; None where these were not given.
    pca_difference_error : standard error of the difference from PCA, row by row.
    likelihood : the importance-sampled estimate of a VAE; None otherwise.
    label_error : share of labels that a CVAE predicts wrongly; None for other models, or without labels.
    denoising : what becomes of noise such as the model was trained on; None for a model that was trained without.
    """

    n_rows: int
    mse: float
    mse_standard_error: float
    loss: float
    loss_name: str
    reconstruction: float
    kl: float | None
    bits_per_dimension: float
    active_units: int
    latent_dim: int
    n_features: int
    kl_per_dimension: tuple[float, ...]
    mse_mean_image: float | None
    mse_pca: float | None
    pca_difference_error: float | None
    likelihood: LikelihoodEstimate | None
    label_error: float | None = None
    denoising: Denoising | None = None
    diagnosis: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON can hold them."""
        return asdict(self)


def evaluate(
    estimator: LatentEstimator,
    X: Array | EncodedRows,
    train: Array | None = None,
    *,
    y: np.ndarray | None = None,
    nll_rows: int = NLL_ROWS,
    nll_samples: int = NLL_SAMPLES,
    random_state: int = 0,
) -> Evaluation:
    """Evaluate a fitted estimator.

    Parameters
    ----------
    estimator : fitted.
    X : (n, *features), rows that it has not seen; of rows that stay in their file 50,000 at most, evenly spread, or
        128 MiB of them in float32.
    train : (m, *features), the training rows, for the mean image and PCA of the same size, and for the affine map that
        denoising is compared with; None leaves them out.
    y : (n,), labels of X, for a model that predicts them.
    nll_rows, nll_samples : what to spend on a VAE's likelihood; 0 rows for none.
    random_state : seed of everything that is drawn: the objective's noise, binarised test rows, latent samples.
    """
    given, y = _in_memory(X, y)
    rows = estimator.encode_rows(as_trained(estimator, given, random_state)).held()
    scaled = rows.numbers
    errors = metrics.row_errors(estimator.inference_.reconstruct(rows), scaled)
    terms = {name: values.astype(np.float64) for name, values in estimator.loss_samples(rows, random_state).items()}
    known = None if train is None else _training_rows(estimator, train, random_state + 1)
    mean_image, pca = _baselines(estimator, known, scaled)
    n_features, loss = int(np.prod(estimator.feature_shape_)), float(terms["loss"].mean())
    kl = terms.get("kl")
    record = Evaluation(
        n_rows=len(rows),
        mse=float(errors.mean()),
        mse_standard_error=metrics.standard_error(errors),
        loss=loss,
        loss_name=_loss_name(estimator, scaled),
        reconstruction=float(terms["reconstruction"].mean()),
        kl=None if kl is None else float(kl.sum(axis=1).mean()),
        bits_per_dimension=metrics.bits_per_dimension(loss, n_features),
        active_units=metrics.active_units(estimator.transform(rows)),
        latent_dim=estimator.latent_dim,
        n_features=n_features,
        kl_per_dimension=() if kl is None else tuple(kl.mean(axis=0).tolist()),
        mse_mean_image=None if mean_image is None else float(mean_image.mean()),
        mse_pca=None if pca is None else float(pca.mean()),
        pca_difference_error=None if pca is None else metrics.standard_error(errors - pca),
        likelihood=_likelihood(estimator, _some(rows, nll_rows, random_state), nll_samples, random_state),
        label_error=_label_error(estimator, rows, y),
        denoising=_denoising(estimator, rows, known, random_state),
    )
    facts = _facts(estimator, record, len(rows) if train is None else len(train))
    return replace(record, diagnosis=tuple(diagnose(facts)))


def _denoising(
    estimator: LatentEstimator, rows: EncodedRows, known: EncodedRows | None, random_state: int
) -> Denoising | None:
    """What becomes of noise; None for tables with several kinds of columns, whose rows have no common scale."""
    if not rows.preprocessor.has_one_scale:
        return None
    return measure(estimator, rows.original, None if known is None else known.original, random_state=random_state)


def _training_rows(estimator: LatentEstimator, train: Array, random_state: int) -> EncodedRows:
    """The training rows that baselines are fitted on."""
    some = sample_of(train, STORED_BASELINE_ROWS)[:BASELINE_ROWS]
    return estimator.encode_rows(as_trained(estimator, some, random_state))


def _baselines(
    estimator: LatentEstimator, train: EncodedRows | None, scaled: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Errors of the mean image and of PCA of the same size, fitted on the training rows; None without these."""
    if train is None:
        return None, None
    rows = train.numbers
    return metrics.mean_image_errors(rows, scaled), metrics.pca_errors(rows, scaled, estimator.latent_dim)


def _in_memory(X: Any, y: np.ndarray | None) -> tuple[Any, np.ndarray | None]:
    """The rows to evaluate: of those that stay in their file as many as may be held out, evenly spread."""
    if (in_file := stored(X)) is None:
        return X, y
    rows = in_file.some(HELD_OUT_ROWS)
    return in_file[rows], None if y is None else y[rows]


def _some(X: EncodedRows, rows: int, random_state: int) -> EncodedRows:
    """At most so many rows, drawn at random: the first ones of a set are often easier or harder than the rest."""
    if rows >= len(X):
        return X
    return X.take(np.sort(np.random.default_rng(random_state).choice(len(X), rows, replace=False)))


def _loss_name(estimator: LatentEstimator, scaled: np.ndarray) -> str:
    """What the loss is: on grey values, a Bernoulli's is a cross-entropy and no log-probability."""
    if estimator.likelihood_ == "bernoulli" and bool(((scaled > 0) & (scaled < 1)).any()):
        return "cross-entropy on grey values"
    return f"negative log-likelihood ({estimator.likelihood_})"


def _facts(estimator: LatentEstimator, record: Evaluation, n_train: int) -> Facts:
    return Facts(
        kind=estimator.kind,
        likelihood=estimator.likelihood_,
        latent_dim=estimator.latent_dim,
        active_units=record.active_units,
        n_features=record.n_features,
        n_train=n_train,
        mse=record.mse,
        low=estimator.range_[0],
        high=estimator.range_[1],
        mse_mean_image=record.mse_mean_image,
        mse_pca=record.mse_pca,
        pca_difference_error=record.pca_difference_error or 0.0,
        beta=getattr(estimator, "beta", None),
        kl_per_dimension=record.kl_per_dimension,
        history=estimator.history_,
        schedule=estimator.schedule,
        denoising=record.denoising,
    )


def _likelihood(estimator: Any, X: EncodedRows, samples: int, random_state: int) -> LikelihoodEstimate | None:
    if not estimator.family.probabilistic or len(X) == 0:
        return None
    nll = -estimator.log_likelihood(X, samples, random_state).astype(np.float64)
    terms = estimator.loss_samples(X, random_state)
    mean = float(nll.mean())
    return LikelihoodEstimate(mean, metrics.standard_error(nll), len(X), samples, mean_negative_elbo(terms) - mean)


def mean_negative_elbo(terms: Mapping[str, np.ndarray]) -> float:
    """The negative evidence lower bound at beta = 1, nats a row, with what the label costs where there is one."""
    return float((terms["reconstruction"] + terms["kl"].sum(axis=1) + terms.get("label", 0.0)).mean(dtype=np.float64))


def _label_error(estimator: Any, X: EncodedRows, y: np.ndarray | None) -> float | None:
    """Of the rows whose label the model knows at all."""
    if not estimator.family.conditional or y is None:
        return None
    known = np.isin(y, estimator.classes_)
    return float(np.mean(estimator.predict(X.take(known)) != y[known])) if known.any() else None


def as_trained(estimator: LatentEstimator, X: Any, random_state: int) -> Any:
    """The rows as the estimator was trained on them: black and white where it binarises, drawn once from the seed."""
    if estimator.binarise is None:
        return X
    X = np.asarray(estimator.encode_rows(X).original)
    grey = estimator.in_range(X)
    bits = np.random.default_rng(random_state).random(grey.shape, dtype=np.float32) < grey
    rows = estimator.preprocessor_.to_data(bits.astype(np.float32))
    return np.rint(rows).astype(X.dtype) if X.dtype.kind in "iu" else rows
