"""What the commands share that make or use a detector of anomalies: its folder, the rows it takes, what it says."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyotan.anomalies import AnomalyDetector, conformal, load_detector
from hyotan.cli.flags import given_data
from hyotan.cli.oddness import Columns, most, show_oddest
from hyotan.cli.output import Printer
from hyotan.cli.training import run_name
from hyotan.cli.uses import Used, write_rows
from hyotan.data import Dataset
from hyotan.data import load as load_data
from hyotan.data.stored import Array
from hyotan.estimators.store import DETECTOR
from hyotan.files.folders import Folder
from hyotan.runs.run_folder import RunFolder
from hyotan.words.phrases import counted

DETECTED = "detected.csv"


class DetectorFolder(Folder):
    """The folder of a detector: its file, and what it says of the rows that it was fitted on."""

    owner = noun = "detector"
    mark = DETECTOR
    files = (DETECTOR, DETECTED)
    can_resume = False


class UsedDetector(Used):
    """A detector, and the folder that it lies in.

    Parameters
    ----------
    place : the folder, or the file itself.
    """

    def __init__(self, place: str) -> None:
        self.path = Path(place)
        self.run: RunFolder | None = None
        self.folder = self.path if self.path.is_dir() else self.path.parent
        self.detector = load_detector(self.path)
        self._take(self.detector)
        if not self.table_columns:  # rows come as plain arrays, as to every used model
            vars(self.detector).pop("feature_names_in_", None)


def fit_new(
    printer: Printer,
    source: str,
    parameters: Mapping[str, Any],
    options: Mapping[str, Any],
    out: str | None,
    overwrite: bool,
) -> None:
    """Fit a detector on a source, write it and the rows' scores to its folder, and say which rows are odd.

    Parameters
    ----------
    printer : says it.
    source : name or path of the rows.
    parameters : of the detector.
    options : how the source is read.
    out, overwrite : the folder, and whether one that is there is replaced.
    """
    if out is not None:
        DetectorFolder.refuse_occupied(Path(out), overwrite)  # before the training, not after
    dataset = load_data(source, **given_data(options))
    for line in (dataset.describe(), *(f"  {note}" for note in dataset.notes)):
        printer.notice(line)
    detector = AnomalyDetector(**parameters)
    printer.notice(f"training {counted(detector.n_estimators, 'autoencoder')} …")
    detector.fit(dataset.X, dataset.y)
    columns = judged(detector, dataset.X)
    with DetectorFolder.making(run_name(source, "detector"), out, overwrite) as folder:
        _named(detector, dataset.feature_names).save(folder / DETECTOR)
        file = write_judged(folder / DETECTED, columns, dataset)
    record = {"detector": folder, **told(printer, detector, dataset, columns, None)}
    printer.result({**record, "file": file}, [str(file), str(folder)])


def _named(detector: AnomalyDetector, names: Sequence[str] | None) -> AnomalyDetector:
    """The detector, with the names of the columns that it was fitted on: rows came as a plain array without."""
    named = copy.copy(detector)
    if names is not None:
        named.feature_names_in_ = np.array(names, dtype=object)
    return named


def judged(detector: AnomalyDetector, X: Array, fdr: float | None = None) -> Columns:
    """What a detector says of each row, (n,) each: its score, its p-value, and whether it is flagged.

    Parameters
    ----------
    detector : fitted.
    X : (n, *features)
    fdr : the share of false discoveries among the rows that are called odd; None flags by the detector's threshold.
    """
    score = detector.score_samples(X)
    p = conformal.p_values(-detector.calibration_scores_, -score)
    odd = score < detector.offset_ if fdr is None else conformal.discoveries(p, fdr)
    return {"score": score, "p_value": p, "odd": odd}


def write_judged(path: Path, columns: Columns, dataset: Dataset) -> Path:
    """Write what is said of each row beside its name."""
    return write_rows(path, np.column_stack([*columns.values()]), [*columns], dataset.named_rows())


def told(
    printer: Printer, detector: AnomalyDetector, dataset: Dataset, columns: Columns, fdr: float | None
) -> dict[str, Any]:
    """Say which rows are odd, and by which columns; the same as a record."""
    n, odd = len(columns["score"]), int(columns["odd"].sum())
    printer.notice(f"{counted(n, 'row')}, {odd:,} flagged ({_meaning(detector, fdr)}); the oddest:")
    names = [str(name) for name in getattr(detector, "feature_names_in_", dataset.feature_names or ())]
    oddest, values = show_oddest(
        printer, columns, dataset, lambda rows: most(detector.explain(rows), names, rows, over=LEAST_NATS)
    )
    return {"rows": n, "odd": odd, "mean": float(columns["score"].mean()), "oddest": oddest, "odd_values": values}


LEAST_NATS = 0.05
"""What a column adds at least, in nats, to be named: a row that is odd by its code alone has no such column."""


def _meaning(detector: AnomalyDetector, fdr: float | None) -> str:
    """What it means that a row is flagged, in words."""
    if fdr is not None:
        return f"odd together, at most {fdr:.0%} of them falsely"
    if detector.contamination != "auto":
        return f"the share that was asked for of the rows fitted on, {100 * float(detector.contamination):.3g} %"
    rows, rate = len(detector.calibration_scores_), detector.false_alarm_rate
    if not conformal.alarms_allowed(rows, rate):
        return f"odder than all {rows:,} rows that it was measured with"
    return f"of usual rows, {100 * rate:.3g} % would be"
