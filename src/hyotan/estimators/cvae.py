"""The conditional variational autoencoder: a VAE that knows the label of some rows, or of all."""

from __future__ import annotations

import functools
import math
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import Tags, check_random_state  # pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from hyotan.distributions.likelihoods import Likelihood
from hyotan.errors import DataError
from hyotan.estimators.build import build_classifier, build_labelled_networks
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.inputs import check_codes, check_count, paired
from hyotan.estimators.labels import UNKNOWN, asked_rows, find_classes, hide_labels, read_labels
from hyotan.estimators.probabilistic import (
    SCORE_SAMPLES,
    log_likelihood,
    own_draws,
    posterior_draws,
    same_draws,
)
from hyotan.estimators.splits import Split, dynamically_binarised, resident
from hyotan.metrics import some_rows
from hyotan.models import VARIANCES
from hyotan.models.cvae import CVAEModel
from hyotan.models.families import BY_KIND, Family
from hyotan.models.propagation import neighbour_graph, principal_components, spread_labels
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.sampling.code_sampler import DENSITY, CodeSampler
from hyotan.sampling.densities import FITTED_ROWS
from hyotan.training.resident import ResidentRows

COMPANION_SHARE = 0.25
"""Where fewer of the rows have labels, so many labelled ones join each batch, as a share of its size."""

SPREAD_ROWS = 10_000
"""Rows that the spread of the data is taken from."""


@dataclass(repr=False, eq=False)
class CVAE(LatentEstimator):
    """A VAE given the label (Sohn et al. 2015), of which some rows, or most, may have none (Kingma et al. 2014, M2).

    The code is what the label does not say, such as a digit's style: ``sample(n, y=3)`` draws threes,
    ``exchange_labels(X)`` shows each row's style under every label, ``predict(X)`` names the label.

    Parameters
    ----------
    latent_dim : size of the code.
    label_dim : size of the labels' embedding, which joins the encoder's last hidden layer and the decoder's first.
    unlabelled_rows : ``marginalise`` sums the bound over the classes that a row may have, by a classifier trained
        along; ``zero`` gives such rows a zero embedding: "no label" is one label more.
    classifier_weight : of the classifier's cross-entropy on labelled rows, in nats against nats.
    neighbour_weight : of the classifier's cross-entropy, on rows without a label, with what their nearest neighbours
        say: the labels, spread along the graph of neighbours (Zhou et al. 2004). This goes beyond M2; 0 leaves it out.
    consistency_weight, consistency_radius : keep the classifier's answer the same around rows without a label (virtual
        adversarial training, Miyato et al. 2018), within a share of the rows' distance from their mean. This goes
        beyond M2; 0 is M2 as published.
    unlabelled : the label that says none; None and NaN always do.
    labelled_fraction : share of each class's labels that training sees, the others hidden: for experiments.
    others : as for :class:`hyotan.VAE`.

    Attributes
    ----------
    classes_ : (classes,), the labels, sorted.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits().images / 16, load_digits().target.copy()
    >>> y[200:] = -1
    >>> cvae = CVAE(latent_dim=4, max_epochs=1, random_state=0).fit(X, y)
    >>> cvae.sample(8, y=3).shape, cvae.predict(X).shape
    ((8, 8, 8), (1797,))
    """

    _: KW_ONLY
    variance: str = "exp"
    beta: float = 1.0
    beta_warmup: float = 0.0
    free_bits: float = 0.0
    n_samples: int = 1
    label_dim: int = 64
    unlabelled_rows: str = "marginalise"
    classifier_weight: float = 10.0
    neighbour_weight: float = 50.0
    consistency_weight: float = 50.0
    consistency_radius: float = 0.5
    unlabelled: int | str = -1
    labelled_fraction: float = 1.0

    family: ClassVar[Family] = BY_KIND["cvae"]

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on X, and on the labels that are known.

        Parameters
        ----------
        X : (n, features), (n, height, width) or (n, channels, height, width)
        y : (n,), numbers or texts; ``unlabelled``, None and NaN stand for rows without a label.

        Raises
        ------
        SettingsError, DataError : before the first step; no row with a label is one of them.
        DivergenceError : with the best state before that kept in ``model_``.
        """
        return super().fit(X, y)

    # -- labels ------------------------------------------------------------------------------------------------------

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The most probable label of each row, (n,), of ``classes_``."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """The probability of each label, (n, classes), float32, in the order of ``classes_``.

        Of the classifier q(y|x); with ``unlabelled_rows="zero"``, by Bayes' rule from the bound of each label.
        """
        rows, model = self.encode_rows(X), self.model_
        return self.inference_.batched(lambda x: model.class_log_probabilities(x).exp(), rows)

    # -- codes and back, given labels ----------------------------------------------------------------------------------

    def transform(self, X: ArrayLike | EncodedRows, y: Any = None) -> np.ndarray:
        """Codes, (n, latent_dim), float32: the posterior mean given the label.

        Parameters
        ----------
        X : (n, *features)
        y : (n,) labels, or one for all; rows without one get the mean over the labels that they may have
            (with ``unlabelled_rows="zero"``, the code of a zero embedding).
        """
        rows = self.encode_rows(X)
        return self.inference_.encode(rows) if y is None else self.inference_.encode(rows, self._classes(y, len(rows)))

    def inverse_transform(self, Z: ArrayLike, y: Any = None) -> np.ndarray:
        """Decode codes to the likelihood's mean, (n, *features), float32, in the data's own units.

        Parameters
        ----------
        Z : (n, latent_dim)
        y : (n,) labels, or one for all; without, the mean over all labels by their frequency
            (with ``unlabelled_rows="zero"``, a zero embedding).
        """
        check_is_fitted(self)
        codes = check_codes(Z, self.model_code_size)
        if y is None:
            return self.preprocessor_.to_data(self.inference_.batched(self.model_.mean_without_label, codes))
        return self._decode(codes, self._labels(y, len(codes)))

    def reconstruct(self, X: ArrayLike, y: Any = None) -> np.ndarray:
        """X through the code and back, (n, *features), float32, in the data's own units. Deterministic.

        Parameters
        ----------
        X : (n, *features)
        y : (n,) labels for both ends, or one for all: other ones than the rows' own pull the picture their way. Rows
            without one get the predicted label (with ``unlabelled_rows="zero"``, a zero embedding).
        """
        rows = self.encode_rows(X)
        return self.preprocessor_.to_data(self.inference_.reconstruct(rows, self._given(y, len(rows))))

    def posterior_sample(self, X: ArrayLike, n_samples: int = 1, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Codes drawn from q(z|x, y), (n_samples, n, latent_dim).

        Parameters
        ----------
        X : (n, *features)
        n_samples : draws a row.
        random_state : int, RandomState or None.
        y : (n,) labels, or one for all; the predicted ones where not given.
        """
        rows = self.encode_rows(X)
        return self._posterior_draws(rows, self._given(y, len(rows)), n_samples, random_state)

    def _posterior_draws(self, rows: Any, classes: np.ndarray, n_samples: int, random_state: Any) -> np.ndarray:
        def of(part: str) -> np.ndarray:
            def compute(x: Tensor, classes: Tensor) -> Tensor:
                posterior = self.model_.posterior(x, self.model_.label_of(x, classes))
                return getattr(posterior.base_dist, part)

            return self.inference_.batched(compute, rows, classes)

        return posterior_draws(of("loc"), of("scale"), n_samples, random_state)

    def score_samples(self, X: ArrayLike | EncodedRows, n_samples: int = SCORE_SAMPLES) -> np.ndarray:
        """Estimate log p(x) by importance sampling, (n,), in nats on the model's range.

        Every row meets the same ``n_samples`` draws, so that its score depends on that row alone.
        """
        rows, noise = self.encode_rows(X), self.model_.noise_size(self.model_code_size)
        return log_likelihood(self.inference_, rows, same_draws(self.inference_, noise, n_samples), n_samples)

    def log_likelihood(self, X: ArrayLike, n_samples: int = 500, random_state: int = 0) -> np.ndarray:
        """Estimate log p(x) as :meth:`score_samples` does, (n,), with draws of its own for each row."""
        rows, noise = self.encode_rows(X), self.model_.noise_size(self.model_code_size)
        return log_likelihood(self.inference_, rows, own_draws(self.inference_, noise, random_state), n_samples)

    def exchange_labels(self, X: ArrayLike, y: Any = None) -> np.ndarray:
        """Each row's code under every label, (n, classes, *features), in the data's own units: style without label.

        Parameters
        ----------
        X : (n, *features)
        y : (n,), the rows' own labels, for their codes; the predicted ones where not given.
        """
        rows, model = self.encode_rows(X), self.model_
        given = self._given(y, len(rows))
        codes = self.inference_.batched(lambda x, c: model.posterior(x, model.label_of(x, c)).mean, rows, given)
        n_classes = len(self.classes_)
        labels = np.tile(np.eye(n_classes, dtype=np.float32), (len(rows), 1))
        decoded = self._decode(np.repeat(codes, n_classes, axis=0), labels)
        return decoded.reshape(len(rows), n_classes, *self.feature_shape_)

    def interpolate(self, a: ArrayLike, b: ArrayLike, steps: int = 11, y: Any = None) -> np.ndarray:
        """Decode the straight line between the codes of two samples, (steps, *features).

        Parameters
        ----------
        a, b : (*features)
        steps : samples on the way, both ends included.
        y : a label for the whole way; by default the label goes over from that of one end to that of the other.
        """
        rows = self.encode_rows(paired(a, b)).numbers
        share = np.linspace(0, 1, check_count("steps", steps), dtype=np.float32)[:, None]
        given = self._given(y, 2)
        start, end = self.inference_.batched(self.model_.label_of, rows, given)
        first, last = self.inference_.encode(rows, given if y is not None else self._predicted(rows))
        return self._decode((1 - share) * first + share * last, (1 - share) * start + share * end)

    def sample(  # pyrefly: ignore[bad-override]
        self,
        n_samples: int = 1,
        random_state: Any = None,
        y: Any = None,
        *,
        sampler: str = DENSITY,
        drawn: bool | None = None,
    ) -> np.ndarray:
        """New samples: the likelihood's mean at codes from :meth:`sample_codes`, (n_samples, *features).

        Parameters
        ----------
        n_samples : how many.
        random_state : int, RandomState or None.
        y : (n_samples,) labels, or one for all; by default drawn by their frequency
            (with ``unlabelled_rows="zero"``, a zero embedding).
        sampler : where the codes come from, as for :meth:`sample_codes`.
        drawn : draw each sample from the likelihood p(x|z, y) instead of giving its mean.
        """
        check_is_fitted(self)
        random, n = check_random_state(random_state), check_count("n_samples", n_samples)
        classes = self._drawn_classes(n, random) if y is None else self._classes(y, n)
        codes = self.sampler_.draw(n, random, sampler, classes)
        unnamed = self.model_.classifier is None and y is None
        given = (codes,) if unnamed else (codes, self._one_hot(classes))
        if self.preprocessor_.draws_rows if drawn is None else drawn:
            return self.preprocessor_.to_data(self.inference_.draws(self.model_.decode, random, *given))
        return self.inverse_transform(codes) if unnamed else self._decode(*given)

    def sample_codes(
        self, n_samples: int = 1, random_state: Any = None, y: Any = None, *, sampler: str = DENSITY
    ) -> np.ndarray:
        """New codes, (n_samples, latent_dim), float32.

        Parameters
        ----------
        n_samples : how many.
        random_state : int, RandomState or None.
        y : (n_samples,) labels, or one for all, whose codes these are to be; by default of all, by their frequency.
        sampler : ``density``, a mixture of Gaussians a class, fitted to the codes of the training rows; or ``prior``,
            N(0, I) for every class.
        """
        check_is_fitted(self)
        random, n = check_random_state(random_state), check_count("n_samples", n_samples)
        classes = self._drawn_classes(n, random) if y is None else self._classes(y, n)
        return self.sampler_.draw(n, random, sampler, classes)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _classes(self, y: Any, n: int) -> np.ndarray:
        return find_classes(y, n, self.classes_, self.unlabelled)

    def _given(self, y: Any, n: int) -> np.ndarray:
        """The classes of n labels, -1 for none; all -1 where no labels are given."""
        return np.full(n, UNKNOWN) if y is None else self._classes(y, n)

    def _labels(self, y: Any, n: int) -> np.ndarray:
        """Labels as rows of zeros and ones, (n, classes); all zero for none."""
        return self._one_hot(self._classes(y, n))

    def _one_hot(self, classes: np.ndarray) -> np.ndarray:
        return np.eye(len(self.classes_) + 1, len(self.classes_), dtype=np.float32)[classes]

    def _drawn_classes(self, n: int, random: np.random.RandomState) -> np.ndarray:
        """Classes by their frequency, (n,)."""
        prior = self._class_shares()
        return random.choice(len(prior), n, p=prior)

    def _class_shares(self) -> np.ndarray:
        prior = self.model_.log_prior.double().exp().cpu().numpy()
        return prior / prior.sum()

    def make_sampler(self, rows: EncodedRows, places: np.ndarray, codes: np.ndarray) -> CodeSampler:
        """A density for each class: the code is what the label does not say, but nothing makes it the same for all."""
        some = rows[places[some_rows(len(places), FITTED_ROWS)]]
        classes = self.inference_.batched(self.model_.class_log_probabilities, some).argmax(axis=1)
        drawn = self._posterior_draws(some, classes, 1, 0)[0]
        groups = [drawn[classes == kind] for kind in range(len(self.classes_))]
        return CodeSampler(self.prior(), groups, self._class_shares())

    def _predicted(self, rows: np.ndarray) -> np.ndarray:
        if self.model_.classifier is None:
            return np.full(len(rows), UNKNOWN)
        return self.inference_.batched(self.model_.class_log_probabilities, rows).argmax(axis=1)

    def _decode(self, codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return self.preprocessor_.to_data(self.inference_.decode(codes, labels))

    # -- fitting -------------------------------------------------------------------------------------------------------

    def read_labels(self, y: Any, n: int, settings: dict[str, Any], seed: int) -> np.ndarray:
        """The classes of the rows, (n,), -1 where unknown or kept from training."""
        self.classes_, classes = read_labels(y, n, settings["unlabelled"])
        classes = hide_labels(classes, settings["labelled_fraction"], seed)
        # One more of each than counted, so that a rare class is rare and not impossible.
        counts = np.bincount(classes[classes >= 0], minlength=len(self.classes_)) + 1.0
        self._log_prior = np.log(counts / counts.sum())
        return classes

    def with_classes(
        self,
        rows: EncodedRows,
        classes: np.ndarray,
        split: Split,
        train: Any,
        validation: ResidentRows | None,
        batch_size: int,
    ) -> tuple[ResidentRows, ResidentRows | None]:
        """The rows with what is known of their classes, and of their neighbours'."""
        spread = rows[split.train[:SPREAD_ROWS]].var(axis=0, dtype=np.float64).sum()
        # Within a share of the rows' root mean square distance from their mean.
        self.model_.radius = self.consistency_radius * float(np.sqrt(spread))
        own = split.train[:] if validation is not None else slice(None)
        here, held_out = classes[own], classes[split.validation[:]]
        labelled = np.flatnonzero(classes >= 0)
        train = replace(train, classes=self._on_device(here))
        if self.model_.classifier is not None and (here >= 0).mean() < COMPANION_SHARE:
            # Where labels are rare, those of held-out rows teach the classifier too, and validation does without them.
            held_out, count = np.full_like(held_out, UNKNOWN), max(1, round(COMPANION_SHARE * batch_size))
            companions = resident(rows.take(labelled), self.device_)
            companions = dynamically_binarised(companions) if self.binarise is not None else companions
            companions = replace(companions, classes=self._on_device(classes[labelled]))
            train = replace(train, companions=companions, companions_a_batch=min(count, len(labelled)))
            if self.neighbour_weight:
                asked = functools.cache(lambda: self._on_device(self._beliefs(rows, classes)[own]))
                train = replace(train, beliefs=asked)
        return train, None if validation is None else replace(validation, classes=self._on_device(held_out))

    def _beliefs(self, X: EncodedRows, classes: np.ndarray) -> np.ndarray:
        """What the neighbours of each row without a label say of its class, (n, classes); all zero of the others."""
        rows = asked_rows(classes, math.prod(self.feature_shape_))
        graph = neighbour_graph(principal_components(X[rows]))
        beliefs = np.zeros((len(X), len(self.classes_)), dtype=np.float32)
        beliefs[rows] = spread_labels(graph, classes[rows], len(self.classes_))
        beliefs[classes >= 0] = 0
        return beliefs

    def _on_device(self, classes: np.ndarray) -> Tensor:
        return torch.from_numpy(classes).to(self.device_)

    def make_model(
        self, likelihood: Likelihood, settings: dict[str, Any], shape: tuple[int, ...], with_missing: bool
    ) -> CVAEModel:
        """The CVAE, with new networks."""
        if not hasattr(self, "classes_"):
            raise DataError("This CVAE is not fitted: how many labels there are is not known.", "Fit it first.")
        n_classes = len(self.classes_)
        encoder, decoder = build_labelled_networks(settings, shape, n_classes, likelihood)
        classifier = None
        if settings["unlabelled_rows"] == "marginalise":
            classifier = build_classifier(settings, shape, n_classes)
        log_prior = vars(self).pop("_log_prior", np.zeros(n_classes))
        return CVAEModel(
            encoder,
            decoder,
            likelihood,
            classifier,
            torch.tensor(log_prior, dtype=torch.float32),
            classifier_weight=settings["classifier_weight"],
            neighbour_weight=settings["neighbour_weight"],
            consistency_weight=settings["consistency_weight"],
            standard_deviation=VARIANCES[settings["variance"]],
            beta=settings["beta"],
            beta_warmup=settings["beta_warmup"],
            free_bits=settings["free_bits"],
            n_samples=settings["n_samples"],
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
