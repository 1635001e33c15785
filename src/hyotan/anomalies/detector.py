"""The detector of anomalies, around any of the estimators."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from numbers import Real as RealNumber
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils import Tags, check_random_state  # pyrefly: ignore[missing-module-attribute]
from sklearn.utils.validation import check_is_fitted

from hyotan.anomalies import conformal
from hyotan.anomalies.members import RECOLLECTION, Member, combined, scores_of, train
from hyotan.anomalies.subsets import LEAST_ROWS, Subsets
from hyotan.anomalies.tails import Tails
from hyotan.data.stored import Resident
from hyotan.distributions import LIKELIHOODS
from hyotan.errors import DataError, SettingsError, did_you_mean
from hyotan.estimators.autoencoder import Autoencoder
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.inputs import check_count, check_rows, refuse_new_missing, refuse_rare_features
from hyotan.estimators.splits import in_memory
from hyotan.estimators.store import saved_arrays, saved_settings
from hyotan.files.container import write
from hyotan.models.families import FAMILIES
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.preprocessing.layouts import fit_preprocessor, layout_of
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.preprocessing.scaling import has_missing

METHODS = ("combined", "reconstruction", "neighbours", "outskirts", "gaussian", "likelihood", "recollection")

HELD_OUT_FROM, HELD_OUT, MOST_HELD_OUT = 1000, 0.2, 5000
"""Rows from which a share is kept from all members, the share, and its greatest size. Fewer rows are all trained on."""

MOST_ROWS = 4000
"""Rows that a member is trained on at most."""

LARGEST_CODE, NARROW_CODE = 16, 4
"""Size of the default ensemble's codes, at most; and up to which size a table's is half as large as a row."""

STEPS, LEARNING_RATE = 800, 4e-3
"""Training steps of a member of the default ensemble, and its learning rate."""

ROWS_AT_ONCE = 10_000
"""Rows whose scores are computed at once."""


class LearnedByDetector:
    """What :meth:`AnomalyDetector.fit` learns; no parameters, and so not among the fields of the class below."""

    members_: list[Member]
    calibration_scores_: np.ndarray
    offset_: float
    tails_: Tails | None
    preprocessor_: Preprocessor
    feature_shape_: tuple[int, ...]
    n_features_in_: int
    feature_names_in_: np.ndarray


@dataclass(repr=False, eq=False)
class AnomalyDetector(LearnedByDetector, OutlierMixin, BaseEstimator):
    """Finds odd rows, says how often a row as odd is met by chance, and which features make it odd.

    An ensemble of autoencoders, each trained on a part of the rows, judges a row by its reconstruction and by how far
    its code lies from those of training rows, of all and of a few drawn at random; an image by how well the codes of
    training rows near its own explain it. Each score becomes the probability
    that a usual row scores as high; ``score_samples`` is the mean of their logarithms. Rows that members were not
    trained on say how often usual rows score so high: p-values, and a threshold that is a rate of false alarms.

    Parameters
    ----------
    estimator : an estimator of any family, not fitted, of which copies are trained; None for an
        Autoencoder that suits the rows, and gets the columns of a table with their tails drawn in.
    method : ``combined``, or one of ``reconstruction``; ``neighbours``, the distance to the nearest training row's
        code, the error counted in; ``outskirts``, the same among a few rows drawn at random; ``gaussian``, the distance
        from where most codes are; ``likelihood``, log p(x) by importance sampling, of a VAE; and ``recollection``, the
        share of an image's contrast that its nearest training rows' codes leave unexplained.
    contamination : ``auto``, or the share of the training rows to flag, above 0 and at most 0.5.
    false_alarm_rate : with ``contamination="auto"``, the share of usual rows that may be flagged.
    n_estimators : members of the ensemble.
    held_out : share of the rows that no member sees, to measure false alarms with; 0: each row is measured by the
        members that did not see it; ``auto``: 0.2, from 1,000 rows on.
    random_state : seed; the same seed gives the same bits on the same machine.

    Attributes
    ----------
    members_ : list of Member
        The fitted models, and what is usual of their training rows.
    calibration_scores_ : (m,)
        Scores of rows by members that did not see them, as ``score_samples`` gives them.
    offset_ : float
        The score below which a row is flagged.
    tails_ : Tails or None
        Middle and spread of a table's columns, if their tails are drawn in before the members get them.
    feature_shape_ : tuple of int
        Shape of one sample.
    preprocessor_ : Preprocessor
        What kind of rows it was fitted on; the members share it, so that rows are encoded once.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 3)) @ np.ones((3, 6))
    >>> detector = AnomalyDetector(random_state=0).fit(X)
    >>> detector.predict(X[:1] + [[9, 0, 0, 0, 0, 0]])
    array([-1])
    >>> int(detector.explain(X[:1] + [[9, 0, 0, 0, 0, 0]])[0].argmax())
    0
    """

    kind: ClassVar[str] = "anomaly-detector"
    missing_fix: ClassVar[str] = (
        "Leave out such rows (--missing drop), or fit it on rows with missing values, or with "
        "Autoencoder(handle_missing='always')."
    )

    estimator: LatentEstimator | None = None
    _: KW_ONLY
    method: str = "combined"
    contamination: float | str = "auto"
    false_alarm_rate: float = 0.05
    n_estimators: int = 8
    held_out: float | str = "auto"
    random_state: Any = None

    # -- fitting -----------------------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train the members on X, and measure what is usual.

        Parameters
        ----------
        X : (n, features), (n, height, width) or (n, channels, height, width), or a table with columns of several
            kinds; anomalies among them are borne. NaN is a missing value: not observed.
        y : (n,), labels, for a model that uses them; the others make nothing of it.

        Raises
        ------
        SettingsError, DataError : before the first step.
        """
        self.check_settings()
        checked = in_memory(check_rows(self, X, reset=True), type(self).__name__)
        random = check_random_state(self.random_state)
        subsets = self._draw(len(checked), random)
        self.feature_shape_ = tuple(int(size) for size in checked.shape[1:])
        layout = layout_of(checked, "auto" if self.estimator is None else self.estimator.layout)
        if self.method == RECOLLECTION and layout != "image":
            found = "a table" if checked.ndim == 2 else f"made of {layout}s"
            raise SettingsError(f"method='recollection' compares images, X is {found}.", "Leave it out.")
        model = self._model(checked, len(subsets.members[0]), layout)
        is_drawn_in = layout == "vector" and self.estimator is None
        self.tails_ = Tails.of(np.delete(checked, subsets.held_out, axis=0)) if is_drawn_in else None
        if layout == "vector" and has_missing(checked):
            refuse_rare_features(self, checked, subsets.members)
        rows = self._encoded(checked, subsets, model).held()
        seeds = random.randint(2**31, size=self.n_estimators)
        models = [clone(model).set_params(random_state=int(seed)) for seed in seeds]
        train(models, rows, subsets.members, y)
        self.members_ = [
            Member.of(model, rows.take(own), np.random.RandomState(i))
            for i, (model, own) in enumerate(zip(models, subsets.members, strict=True))
        ]
        self.calibration_scores_ = self._unseen_scores(rows, subsets)
        self.offset_ = self._threshold(rows)
        return self

    def check_settings(self) -> None:
        """Refuse parameters that cannot be.

        Raises
        ------
        SettingsError
            Names the parameter, what arrived and what was expected.
        """
        model = self.estimator
        if model is not None and not isinstance(model, LatentEstimator):
            names = [family.class_name for family in FAMILIES]
            raise SettingsError(
                f"estimator cannot be {model!r}: expected an {', '.join(names)} or None.",
                "Pass an instance: AnomalyDetector(Autoencoder(8)).",
            )
        if self.method not in METHODS:
            expected = ", ".join(repr(name) for name in METHODS)
            raise SettingsError(
                f"method cannot be {self.method!r}: expected one of {expected}.",
                did_you_mean(str(self.method), METHODS),
            )
        if self.method == "likelihood" and "likelihood" not in scores_of(model or Autoencoder()):
            raise SettingsError(
                f"method='likelihood' needs a model of p(x), which {type(model or Autoencoder()).__name__} is not.",
                "Pass a VAE, or method='reconstruction'.",
            )
        check_count("n_estimators", self.n_estimators)
        _check_share("contamination", self.contamination, 0.5, "auto")
        _check_share("false_alarm_rate", self.false_alarm_rate, 0.5)
        if self.held_out != 0:
            _check_share("held_out", self.held_out, 0.9, "auto")

    def _draw(self, n: int, random: np.random.RandomState) -> Subsets:
        if n < LEAST_ROWS:
            raise DataError(f"n_samples = {n}: expected at least {LEAST_ROWS} rows.", "Pass more rows.")
        share = self.held_out
        if share == "auto":
            share = HELD_OUT if n >= HELD_OUT_FROM or self.n_estimators == 1 else 0.0
        held_out = min(math.ceil(n * float(share)), MOST_HELD_OUT, n - 2)
        if self.n_estimators == 1 and not held_out:
            raise SettingsError("n_estimators=1 with held_out=0 leaves no row to measure with.", "Raise either.")
        return Subsets.draw(n, self.n_estimators, held_out, MOST_ROWS, random)

    def _model(self, X: Resident, rows: int, layout: str) -> LatentEstimator:
        """What a member is a copy of; it handles missing values where any row of X has some."""
        own = default_model(self.feature_shape_, rows) if self.estimator is None else clone(self.estimator)
        if has_missing(X):
            own.set_params(handle_missing="always")
        if self.estimator is None and layout == "table":
            own.set_params(likelihood="auto", scaling="auto")  # which go by column
        return own

    def _encoded(self, X: Resident, subsets: Subsets, model: LatentEstimator) -> EncodedRows:
        """The rows encoded once for all members: what each saw alone would differ in its scale and its categories."""
        rows, seen = self._drawn_in(X), np.unique(np.concatenate(subsets.members))
        family, settings = model.family, model.settings()
        self.preprocessor_ = fit_preprocessor(rows, rows[seen], settings, family.likelihood, LIKELIHOODS)
        return self.preprocessor_.encode(rows)

    def _unseen_scores(self, X: EncodedRows, subsets: Subsets) -> np.ndarray:
        """Scores of rows by members that did not see them, (m,)."""
        if len(subsets.held_out):
            return self._scores(X.take(subsets.held_out)).mean(axis=0)
        return subsets.out_of_bag(self._scores(X))

    def _threshold(self, X: EncodedRows) -> float:
        if self.contamination != "auto":
            ordered = np.sort(self._scores(X).mean(axis=0))
            return float(ordered[min(round(float(self.contamination) * len(X)), len(X) - 1)])
        rows, rate = len(self.calibration_scores_), self.false_alarm_rate
        if not conformal.alarms_allowed(rows, rate):
            least = 1 / (rows + 1)
            warnings.warn(
                f"A false-alarm rate of {rate:g} needs {math.ceil(1 / rate) - 1:,} rows to measure it with, there are "
                f"{rows:,}: rows odder than all of them are flagged, at a rate of {least:.3g}.",
                stacklevel=3,
            )
            rate = least
        return -conformal.threshold(-self.calibration_scores_, rate)

    # -- using -------------------------------------------------------------------------------------------------------

    def encode_rows(self, X: ArrayLike | EncodedRows) -> EncodedRows:
        """X, checked, for the members: for those who ask for several things of the same rows.

        Parameters
        ----------
        X : (n, *features); what this method gave is taken as it is.

        Raises
        ------
        DataError
            Rows that the members cannot read: says why, and what to do.
        """
        check_is_fitted(self)
        if isinstance(X, EncodedRows):
            return X
        rows = in_memory(check_rows(self, X, reset=False), type(self).__name__)
        encoded = self.preprocessor_.encode(self._drawn_in(rows))
        refuse_new_missing(self, encoded)
        # Each member reads them: numbers are computed once where they all fit at once, else a block at a time.
        return encoded.held() if len(encoded) <= ROWS_AT_ONCE else encoded

    def score_samples(self, X: ArrayLike | EncodedRows) -> np.ndarray:
        """How usual each row is, (n,), float64, at most 0: in nats, the mean over members and scores of the logarithm
        of the probability that a usual row's score is as high. Lower is odder.
        """
        return self._scores(self.encode_rows(X)).mean(axis=0)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """:meth:`score_samples` less ``offset_``, (n,): negative where a row is flagged."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> np.ndarray:
        """-1 where a row is flagged, else 1: (n,)."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def p_values(self, X: ArrayLike | EncodedRows) -> np.ndarray:
        """How often a usual row is at least as odd, (n,), float64.

        Where the training rows are usual ones, p is at most a for a share of at most a of new usual rows. Exactly so
        where rows were held out from all members; nearly so where each was left out by some. Anomalies among the
        training rows make it larger, never smaller.
        """
        scores = self.score_samples(X)
        return conformal.p_values(-self.calibration_scores_, -scores)

    def discoveries(self, X: ArrayLike, rate: float = 0.1) -> np.ndarray:
        """The rows of a batch that are odd together, (n,), bool: at most a share ``rate`` of them is expected to be
        usual.

        Parameters
        ----------
        X : (n, *features)
        rate : of false discoveries, above 0 and at most 1.
        """
        return conformal.discoveries(self.p_values(X), _check_share("rate", rate, 1.0))

    def explain(self, X: ArrayLike | EncodedRows) -> np.ndarray:
        """What each value adds to its row's reconstruction loss beyond a usual row's, (n, *features), in nats.

        A row's values add up to what its -log p(x|code) lies above the training rows' mean; the mean over members. A
        row that is odd by its code alone has no value that sticks out, and a missing value adds nothing.

        Of a table with several kinds of columns, (n, columns): what each column adds, a category as one, in the order
        of ``feature_names_in_``; 0 for columns that the models leave out.
        """
        rows = self.encode_rows(X)
        found = np.mean([member.excess(rows) for member in self.members_], axis=0)
        return self.preprocessor_.in_order_of(found, getattr(self, "feature_names_in_", ()))

    def residual_map(self, X: ArrayLike) -> np.ndarray:
        """:meth:`explain` of images, summed over channels: (n, height, width), in nats.

        Raises
        ------
        DataError
            The rows are not images.
        """
        found = self.explain(X)
        if not self.preprocessor_.is_image:
            raise DataError(f"Rows of shape {found.shape[1:]} are no images.", "Use explain(X): it goes by value.")
        return found.sum(axis=1) if found.ndim == 4 else found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted detector, its models included, to one file; read it with :func:`hyotan.load`."""
        check_is_fitted(self)
        write(Path(path), kind=self.kind, settings=self.saved_settings(), tensors=self.saved_arrays())

    def saved_settings(self) -> dict[str, Any]:
        """What the file says of this detector, beside its tensors."""
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name != "estimator"}
        if not isinstance(self.random_state, Integral):
            parameters["random_state"] = None  # a generator's state is past: what it drew is in the members
        return {
            "parameters": {name: _plain(value) for name, value in parameters.items()},
            "has_default_model": self.estimator is None,
            "feature_names": [str(name) for name in getattr(self, "feature_names_in_", ())],
            "offset": self.offset_,
            "members": [
                {"kind": member.model.kind, "best": member.best, "settings": saved_settings(member.model)}
                for member in self.members_
            ],
        }

    def saved_arrays(self) -> dict[str, np.ndarray]:
        """What the file holds: each member's model and what is usual of its training rows, and the scores of rows by
        members that did not see them.
        """
        arrays = {"calibration": self.calibration_scores_}
        if self.tails_ is not None:
            arrays |= {"tails/middle": self.tails_.middle, "tails/spread": self.tails_.spread}
        for i, member in enumerate(self.members_):
            own = {f"model/{name}": array for name, array in saved_arrays(member.model).items()} | member.arrays()
            arrays |= {f"{i}/{name}": array for name, array in own.items()}
        return arrays

    # -- inside ------------------------------------------------------------------------------------------------------

    @property
    def _weights(self) -> Mapping[str, float]:
        return combined(self.preprocessor_.is_image) if self.method == "combined" else {self.method: 1}

    def _scores(self, rows: EncodedRows) -> np.ndarray:
        """Each member's score of each row, (members, n)."""
        weights, parts = self._weights, []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows.take(slice(start, start + ROWS_AT_ONCE)).held()
            parts.append(np.stack([-member.surprise(some, weights) for member in self.members_]))
        return np.concatenate(parts, axis=1)

    @property
    def handle_missing(self) -> str:
        """What the models make of missing values: see their parameter."""
        return "auto" if self.estimator is None else getattr(self.estimator, "handle_missing", "auto")

    @property
    def supports_missing(self) -> bool:
        """Whether its models can do with rows of which some values are missing."""
        return self.estimator is None or getattr(self.estimator, "supports_missing", True)

    @property
    def handles_missing_(self) -> bool:
        """Whether its models have learned to handle missing values."""
        return all(member.model.handles_missing_ for member in self.members_)

    def _drawn_in(self, X: Any) -> Any:
        """Rows of numbers as the members get them."""
        return X if self.tails_ is None else self.tails_.draw_in(X)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # pyrefly: ignore[missing-attribute]
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.supports_missing and self.handle_missing != "never"
        tags.non_deterministic = False
        return tags


def default_model(feature_shape: tuple[int, ...], rows: int) -> Autoencoder:
    """The autoencoder that suits samples of a shape, and so many rows to train on.

    It is small, for it is one of several, and its code is a quarter as large as a row, up to 16 values. Of a narrow
    table it is half as large: a quarter of six columns is one number, on which all rows lie in a line.
    """
    features, is_table = math.prod(feature_shape), len(feature_shape) == 1
    batch = 128 if rows >= 1000 else 32
    narrow = min(NARROW_CODE, -(-features // 2)) if is_table else 1
    return Autoencoder(
        min(LARGEST_CODE, max(features // 4, narrow)),
        hidden_dims=(64,) if is_table else (256, 128),
        likelihood="gaussian" if is_table else "auto",
        scaling="standard" if is_table else "auto",
        batch_size=batch,
        max_epochs=-(-STEPS // max(1, rows // batch)),
        learning_rate=LEARNING_RATE,
        validation_fraction=0.0,
    )


def _check_share(name: str, value: Any, high: float, *words: str) -> Any:
    """A share above 0, or a word beside it; SettingsError where it is neither."""
    if isinstance(value, str) and value in words:
        return value
    is_number = isinstance(value, RealNumber) and not isinstance(value, bool)
    if not is_number or not 0 < float(value) <= high:
        beside = "".join(f" or {word!r}" for word in words)
        raise SettingsError(
            f"{name} cannot be {value!r}: expected a number above 0 and at most {high:g}{beside}.", "Change it."
        )
    return value


def _plain(value: Any) -> Any:
    """A parameter in Python's own types."""
    return value.item() if isinstance(value, np.generic) else value
