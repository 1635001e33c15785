"""Scores of rows by a run's model or by a detector, and the values that make a row anomalous."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from hyotan.anomalies import AnomalyDetector, conformal
from hyotan.anomalies.members import loss_by_part
from hyotan.cli.output import Printer, table
from hyotan.cli.uses import Used
from hyotan.data import Dataset
from hyotan.data.frames import as_frame
from hyotan.data.stored import Array
from hyotan.errors import SettingsError
from hyotan.preprocessing.encoded import EncodedRows
from hyotan.words.phrases import counted

VALUES_SHOWN = 3
"""Values named for each row: those with the largest share of its loss."""

SHOWN = 5
"""Rows shown: those with the lowest scores."""

LEAST_NATS = 0.05
"""The least that a column must add, in nats, for a detector to name it: a row may be anomalous by its code alone."""

FORMATS = {"score": ".2f", "p_value": ".3g", "odd": ".0f"}
"""The format of each column in the terminal."""

RowScores: TypeAlias = dict[str, np.ndarray]
"""The columns of a scores file, (n,) each, by name."""

Explain: TypeAlias = Callable[[np.ndarray], list[list[str]]]
"""For each of the rows at some places, the values with the largest share of its loss, and that share in nats."""


# -- by a run's model --------------------------------------------------------------------------------------------------


def scored(used: Used, rows: EncodedRows, p_values: bool, fdr: float | None) -> RowScores:
    """The scores that a run's model gives to the rows of the source.

    Parameters
    ----------
    used : the model, and its run where there is one.
    rows : of the source.
    p_values : whether to add p-values, calibrated on the run's test rows.
    fdr : the false discovery rate at which rows are marked as anomalies; None marks none.
    """
    columns = {"score": used.estimator.score_samples(rows)}
    if fdr is None and not p_values:
        return columns
    if used.source is None or used.run is None:
        raise SettingsError(
            "p-values are calibrated on a run's own test rows: they need a run, and other rows than those.",
            "Name both: hyotan score RUN NEW.csv --p-values",
        )
    calibration = used.estimator.score_samples(used.run.split_data()[1].X)
    columns["p_value"] = conformal.p_values(-calibration, -columns["score"])
    if fdr is not None:
        columns["odd"] = conformal.discoveries(columns["p_value"], fdr)
    return columns


def explain_by_model(used: Used, rows: EncodedRows) -> Explain:
    """Explain rows by a model's reconstruction loss."""

    def explain(places: np.ndarray) -> list[list[str]]:
        parts = np.nan_to_num(loss_by_part(used.estimator, rows.take(places)))
        return _largest(parts, used.table_columns or used.columns, used.dataset.X[places])

    return explain


# -- by a detector -----------------------------------------------------------------------------------------------------


def judged(detector: AnomalyDetector, rows: EncodedRows, fdr: float | None = None) -> RowScores:
    """What a detector says of each row, (n,) each: its score, its p-value, and whether it is flagged.

    Parameters
    ----------
    detector : fitted.
    rows : (n, *features), as the detector encodes them.
    fdr : the false discovery rate at which rows are flagged; None flags by the detector's threshold.
    """
    score = detector.score_samples(rows)
    p = conformal.p_values(-detector.calibration_scores_, -score)
    odd = score < detector.offset_ if fdr is None else conformal.discoveries(p, fdr)
    return {"score": score, "p_value": p, "odd": odd}


def explain_by_detector(detector: AnomalyDetector, rows: EncodedRows, X: Array, names: Sequence[str]) -> Explain:
    """Explain rows by what their values add to the score of a normal row; values that add nothing are not named."""
    return lambda places: _largest(detector.explain(rows.take(places)), names, X[places], over=LEAST_NATS)


def flagged(detector: AnomalyDetector, columns: RowScores, fdr: float | None = None) -> str:
    """How many rows a detector flags, and what that means."""
    rows, rate = len(detector.calibration_scores_), detector.false_alarm_rate
    if fdr is not None:
        meaning = f"at most {fdr:.0%} of these are false alarms"
    elif detector.contamination != "auto":
        meaning = f"the contamination asked for, {100 * float(detector.contamination):.3g} % of the training rows"
    elif not conformal.alarms_allowed(rows, rate):
        meaning = f"more anomalous than all {rows:,} calibration rows"
    else:
        meaning = f"{100 * rate:.3g} % of normal rows would be"
    return f"{counted(len(columns['odd']), 'row')}, {columns['odd'].sum():,} flagged ({meaning}); the most anomalous:"


# -- what is printed ---------------------------------------------------------------------------------------------------


def _largest(parts: np.ndarray, names: Sequence[str], X: Array, over: float = -np.inf) -> list[list[str]]:
    """For each row the values with the largest parts of its loss, as they are in the data, with their part in nats.

    Parameters
    ----------
    parts : (n, *features), or of a table (n, columns), in nats.
    names : of the columns; where there are not as many, places are named, such as ``3·4``.
    X : the rows, (n, *features).
    over : smaller parts are not named.
    """
    flat = parts.reshape(len(parts), -1)
    places = ["·".join(map(str, place)) for place in np.ndindex(parts.shape[1:])]
    said = []
    for number, row in enumerate(flat):
        named = _spelt_row(X, number, names) if len(names) == len(row) else places
        said.append([f"{named[i]} {row[i]:.1f}" for i in np.argsort(-row)[:VALUES_SHOWN] if row[i] > over])
    return said


def _spelt_row(X: Array, row: int, names: Sequence[str]) -> list[str]:
    """The values of a row with the names of their columns, as text."""
    if (frame := as_frame(X)) is not None:
        values = frame[row].table.to_pylist()[0]
    else:
        values = dict(zip(names, np.asarray(X[row]).tolist(), strict=True))
    return [f"{name}={_spelt(values[name])}" for name in names]


def _spelt(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value is None else str(value)


def print_scores(printer: Printer, head: str, columns: RowScores, dataset: Dataset, explain: Explain) -> dict[str, Any]:
    """Print the rows with the lowest scores, each with its explanation; the same comes back as a record.

    Parameters
    ----------
    printer : prints.
    head : the line above them.
    columns : the scores.
    dataset : the rows.
    explain : names the values that make a row anomalous.
    """
    lowest = np.argsort(columns["score"], kind="stable")[:SHOWN]
    values = explain(lowest)
    called, ids = dataset.named_rows()
    numbers = [[f"{column[row]:{FORMATS[name]}}" for name, column in columns.items()] for row in lowest]
    shown = [[str(ids[row]), *own, ", ".join(of) or "–"] for row, own, of in zip(lowest, numbers, values, strict=True)]
    lines = table([[called, *columns, "unusual values (nats)"], *shown], right=range(len(columns) + 1))
    printer.notice(head, *(f"  {line}" for line in lines))
    record = {"rows": len(dataset.X), "mean": float(columns["score"].mean()), "oddest": lowest, "odd_values": values}
    return record | ({"odd": int(columns["odd"].sum())} if "odd" in columns else {})
