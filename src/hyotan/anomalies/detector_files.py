"""A fitted detector of anomalies, read back from its file; and :func:`load`, which reads any file of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from torch import nn

from hyotan.anomalies.detector import AnomalyDetector
from hyotan.anomalies.members import Member
from hyotan.anomalies.tails import Tails
from hyotan.errors import DataError, ModelFileError, SettingsError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.estimators.store import file_of, from_contents
from hyotan.files.container import Contents, read
from hyotan.files.tensors import below, check_tensors
from hyotan.models.families import BY_KIND


@dataclass(frozen=True)
class SavedMember:
    """A member's part of the settings."""

    kind: str
    best: float
    settings: dict[str, Any]


@dataclass(frozen=True)
class SavedDetector:
    """The settings of a detector's file, as :meth:`AnomalyDetector.saved_settings` writes them."""

    parameters: dict[str, Any]
    has_default_model: bool
    feature_names: list[str]
    offset: float
    members: list[SavedMember]


def load(
    path: str | os.PathLike[str],
    *,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    device: str = "auto",
) -> LatentEstimator | AnomalyDetector:
    """Read a fitted estimator or detector from its file, checking every byte.

    Parameters
    ----------
    path : the file; or a run folder, whose ``model.hyotan`` is read; or a detector's, whose ``detector.hyotan`` is.
    encoder, decoder : your own modules, for a model that was fitted with such: the file holds their weights only.
    device : where to compute.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, foreign, newer than this version, or belongs to another network.
    """
    contents = read(file_of(path), kinds=[*BY_KIND, AnomalyDetector.kind])
    if contents.kind == AnomalyDetector.kind:
        return _detector(contents, str(path), encoder, decoder, device)
    return from_contents(contents, str(path), encoder, decoder, device)


def load_detector(path: str | os.PathLike[str], device: str = "auto") -> AnomalyDetector:
    """Like :func:`load`, but a model's file is refused."""
    return _detector(read(file_of(path), kinds=[AnomalyDetector.kind]), str(path), None, None, device)


def _detector(contents: Contents, source: str, *how: Any) -> AnomalyDetector:
    """The fitted detector that a file's contents describe; ``how`` is what :func:`from_contents` is told of a member.

    Raises
    ------
    ModelFileError
        The contents are not a detector's.
    """
    try:
        saved = msgspec.convert(contents.settings, SavedDetector, strict=True)
        detector = AnomalyDetector(**saved.parameters)
    except (msgspec.ValidationError, TypeError) as error:
        raise ModelFileError(f"{source}: the settings are not those of a detector: {error}.", "") from error
    if not saved.members or any(member.kind not in BY_KIND for member in saved.members):
        raise ModelFileError(f"{source}: the members of the detector are of no kind that is known.", "")
    try:
        detector.members_ = [_member(contents, i, own, source, *how) for i, own in enumerate(saved.members)]
        detector.calibration_scores_ = _calibration(contents.tensors)
        detector.tails_ = _tails(contents.tensors, detector.members_[0].model.feature_shape_)
    except DataError as error:
        raise ModelFileError(f"{source}: {error.message}", error.fix) from error
    _refuse_strangers(contents.tensors, len(saved.members), source)
    first = detector.members_[0].model
    detector.estimator = None if saved.has_default_model else _not_fitted(first)
    try:
        detector.check_settings()  # which depend on what the members are
    except SettingsError as error:
        raise ModelFileError(f"{source}: {error.message}", error.fix) from error
    detector.feature_shape_, detector.n_features_in_ = first.feature_shape_, first.n_features_in_
    _share_preprocessor(detector, saved.feature_names, source)
    if saved.feature_names:
        detector.feature_names_in_ = np.array(saved.feature_names, dtype=object)
    detector.offset_ = saved.offset
    return detector


def _share_preprocessor(detector: AnomalyDetector, names: Sequence[str], source: str) -> None:
    """Let members with one preprocessor share it, so that rows are encoded once.

    In files of earlier versions each member has a scale of its own; the columns of a table have always been shared.
    """
    models = [member.model for member in detector.members_]
    first = detector.preprocessor_ = models[0].preprocessor_
    for model in models:
        if model.preprocessor_.is_same(first):
            model.preprocessor_ = first
        elif not first.has_one_scale:
            raise ModelFileError(f"{source}: the members of the detector know different columns.", "")
    if not first.has_one_scale:
        detector.n_features_in_, detector.feature_shape_ = len(names), (len(names),)
        if not set(first.names) <= set(names):
            raise ModelFileError(f"{source}: the members of the detector know different columns.", "")


def _member(contents: Contents, i: int, saved: SavedMember, source: str, *how: Any) -> Member:
    own = below(contents.tensors, f"{i}/")
    part = replace(contents, kind=saved.kind, settings=saved.settings, tensors=below(own, "model/"))
    return Member.from_arrays(from_contents(part, f"{source}, member {i}", *how), saved.best, own)


def _calibration(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    scores = arrays.get("calibration")
    if scores is None or scores.ndim != 1 or len(scores) == 0 or scores.dtype != np.float64:
        raise DataError("tensor 'calibration' is missing, or no list of float64 scores.", "Is it a detector's file?")
    return scores


def _tails(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Tails | None:
    """What draws the columns' tails in; None where nothing does: other models than the default one, and old files."""
    own = below(arrays, "tails/")
    if not own:
        return None
    check_tensors(arrays, dict.fromkeys(("tails/middle", "tails/spread"), (shape,)), "a detector's")
    if not (own["spread"] > 0).all():
        raise DataError("tensor 'tails/spread' holds a number that is not above 0.", "Is it a detector's file?")
    return Tails(own["middle"], own["spread"])


def _refuse_strangers(arrays: Mapping[str, np.ndarray], members: int, source: str) -> None:
    parts = ("model/", "frame/", "neighbourhood", "outskirts", "gaussian/", "gauges", "loss", "usual", "memory")
    known = tuple(f"{i}/{part}" for i in range(members) for part in parts)
    for name in arrays:
        if name not in ("calibration", "tails/middle", "tails/spread") and not name.startswith(known):
            raise ModelFileError(f"{source}: tensor '{name}' is not expected.", "Is it a detector's file?")


def _not_fitted(model: LatentEstimator) -> LatentEstimator:
    """An estimator of the same parameters; the seed was a member's own."""
    return type(model)(**model.get_params(deep=False)).set_params(random_state=None)
