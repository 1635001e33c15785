"""How odd rows are, by a run's model or by a detector: their scores, and the values that make them odd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from hyotan.anomalies import AnomalyDetector, conformal
from hyotan.anomalies.members import loss_by_part
from hyotan.cli.output import Printer, table
from hyotan.cli.uses import Used
from hyotan.cli.written import arrow_table
from hyotan.data import Dataset
from hyotan.data.stored import Array
from hyotan.errors import SettingsError
from hyotan.words.phrases import counted

VALUES_SHOWN = 3
"""Of each row, those that add most to its loss."""

SHOWN = 5
"""Of the oddest rows."""

LEAST_NATS = 0.05
"""What a column adds at least, in nats, for a detector to name it: a row that is odd by its code alone has none."""

FORMATS = {"score": ".2f", "p_value": ".3g", "odd": ".0f"}
"""How a number of each column is shown."""

Columns: TypeAlias = dict[str, np.ndarray]
"""What is said of each row, by the name of its column, (n,) each."""

Values: TypeAlias = Callable[[Array], list[list[str]]]
"""Of each row the values that add most to its loss, as they are in the data, with their part in nats."""


# -- by a run's model --------------------------------------------------------------------------------------------------


def scored(used: Used, p_values: bool, fdr: float | None) -> Columns:
    """What a run's model says of each row of the source.

    Parameters
    ----------
    used : the model, and its run where there is one.
    p_values : whether to say how often one of the run's test rows is as odd.
    fdr : share of the rows marked as odd that may be usual; None marks none.
    """
    columns = {"score": used.estimator.score_samples(used.dataset.X)}
    if fdr is None and not p_values:
        return columns
    if used.source is None or used.run is None:
        raise SettingsError(
            "p-values are measured with a run's own test rows: they need a run, and other rows than those.",
            "Name both: hyotan score RUN NEW.csv --p-values",
        )
    measured = used.estimator.score_samples(used.run.split_data()[1].X)
    columns["p_value"] = conformal.p_values(-measured, -columns["score"])
    if fdr is not None:
        columns["odd"] = conformal.discoveries(columns["p_value"], fdr)
    return columns


def values_by(used: Used) -> Values:
    """The values that add most to a model's reconstruction loss."""

    def values(rows: Array) -> list[list[str]]:
        return most(np.nan_to_num(loss_by_part(used.estimator, rows)), used.table_columns or used.columns, rows)

    return values


# -- by a detector -----------------------------------------------------------------------------------------------------


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


def values_by_detector(detector: AnomalyDetector, names: Sequence[str]) -> Values:
    """The values that make a row odd beyond a usual row; of no row those that add nothing."""
    return lambda rows: most(detector.explain(rows), names, rows, over=LEAST_NATS)


def flagged(detector: AnomalyDetector, columns: Columns, fdr: float | None = None) -> str:
    """How many rows a detector flags, and what it means that it does."""
    rows, rate = len(detector.calibration_scores_), detector.false_alarm_rate
    if fdr is not None:
        meaning = f"odd together, at most {fdr:.0%} of them falsely"
    elif detector.contamination != "auto":
        meaning = f"the share that was asked for of the rows fitted on, {100 * float(detector.contamination):.3g} %"
    elif not conformal.alarms_allowed(rows, rate):
        meaning = f"odder than all {rows:,} rows that it was measured with"
    else:
        meaning = f"of usual rows, {100 * rate:.3g} % would be"
    return f"{counted(len(columns['odd']), 'row')}, {columns['odd'].sum():,} flagged ({meaning}); the oddest:"


# -- what is said of them ----------------------------------------------------------------------------------------------


def most(parts: np.ndarray, names: Sequence[str], X: Array, over: float = -np.inf) -> list[list[str]]:
    """Of each row the values that add most, as they are in the data, with their part in nats.

    Parameters
    ----------
    parts : (n, *features), or of a table (n, columns), in nats.
    names : of the columns; where there are not as many, places are named, such as ``3·4``.
    X : the rows, (n, *features).
    over : what is no more than this is not named.
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
    (values,) = arrow_table(X[row : row + 1], names).to_pylist()
    return [f"{name}={_spelt(values[name])}" for name in names]


def _spelt(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value is None else str(value)


def told(printer: Printer, head: str, columns: Columns, dataset: Dataset, values_of: Values) -> dict[str, Any]:
    """Print the oddest rows with what makes them odd; the same comes back as a record.

    Parameters
    ----------
    printer : prints.
    head : the line above them.
    columns : what is said of each row.
    dataset : the rows.
    values_of : gives the values that make rows odd.
    """
    oddest = np.argsort(columns["score"], kind="stable")[:SHOWN]
    values = values_of(dataset.X[oddest])
    called, ids = dataset.named_rows()
    numbers = [[f"{column[row]:{FORMATS[name]}}" for name, column in columns.items()] for row in oddest]
    shown = [[str(ids[row]), *own, ", ".join(of) or "–"] for row, own, of in zip(oddest, numbers, values, strict=True)]
    lines = table([[called, *columns, "odd values (nats)"], *shown], right=range(len(columns) + 1))
    printer.notice(head, *(f"  {line}" for line in lines))
    record = {"rows": len(dataset.X), "mean": float(columns["score"].mean()), "oddest": oddest, "odd_values": values}
    return record | ({"odd": int(columns["odd"].sum())} if "odd" in columns else {})
