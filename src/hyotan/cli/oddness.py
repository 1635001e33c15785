"""How odd rows are to a run's model: p-values measured with the run's own test rows, and the values that stick out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from hyotan.anomalies import conformal
from hyotan.anomalies.members import loss_by_part
from hyotan.cli.output import Printer, table
from hyotan.cli.uses import Used
from hyotan.data import Dataset
from hyotan.data.frames import Frame
from hyotan.data.stored import Array
from hyotan.errors import SettingsError
from hyotan.estimators.estimator import LatentEstimator

VALUES_SHOWN = 3
"""Of each row, those that add most to its loss."""

SHOWN = 5
"""Of the oddest rows."""

FORMATS = {"score": ".2f", "p_value": ".3g", "odd": ".0f"}
"""How a number of each column is shown."""

Columns: TypeAlias = dict[str, np.ndarray]
"""What is said of each row, by the name of its column, (n,) each."""


def scored(used: Used, source: str | None, X: Array, p_values: bool, fdr: float | None) -> Columns:
    """What a run's model says of each row.

    Parameters
    ----------
    used : the model, and its run where there is one.
    source : where the rows come from; None for the run's own test rows.
    X : (n, *features)
    p_values : whether to say how often one of the run's test rows is as odd.
    fdr : share of the rows marked as odd that may be usual; None marks none.
    """
    columns = {"score": used.estimator.score_samples(X)}
    if fdr is None and not p_values:
        return columns
    if source is None or used.run is None:
        raise SettingsError(
            "p-values are measured with a run's own test rows: they need a run, and other rows than those.",
            "Name both: hyotan score RUN NEW.csv --p-values",
        )
    measured = used.estimator.score_samples(used.run.split_data()[1].X)
    columns["p_value"] = conformal.p_values(-measured, -columns["score"])
    if fdr is not None:
        columns["odd"] = conformal.discoveries(columns["p_value"], fdr)
    return columns


def odd_values(estimator: LatentEstimator, X: Array, names: Sequence[str]) -> list[list[str]]:
    """Of each row the values that add most to its reconstruction loss, with their part in nats."""
    preprocessor = estimator.preprocessor_
    return most(np.nan_to_num(loss_by_part(estimator, X)), preprocessor.names or names, X)


def most(parts: np.ndarray, names: Sequence[str], X: Array, over: float = -np.inf) -> list[list[str]]:
    """Of each row the values that add most, as they are in the data, with their part in nats.

    Parameters
    ----------
    parts : (n, *features), or of a table (n, columns), in nats.
    names : of the columns; where there are not as many, places are named, such as ``3·4``.
    X : the rows, (n, *features).
    over : what is no more than this is left out.
    """
    flat = parts.reshape(len(parts), -1)
    order = np.argsort(-flat, axis=1)[:, :VALUES_SHOWN]
    if len(names) != flat.shape[1]:
        names = ["·".join(map(str, place)) for place in np.ndindex(parts.shape[1:])]
        return [[f"{names[i]} {row[i]:.1f}" for i in of if row[i] > over] for row, of in zip(flat, order, strict=True)]
    said = []
    for number, (row, of) in enumerate(zip(flat, order, strict=True)):
        own = _values(X, number, names)
        said.append([f"{names[i]}={own[names[i]]} {row[i]:.1f}" for i in of if row[i] > over])
    return said


def _values(X: Array, row: int, names: Sequence[str]) -> dict[str, str]:
    """The values of a row by the names of their columns, as text."""
    if isinstance(X, Frame):
        return {name: _spelt(values[0]) for name, values in X[row].table.to_pydict().items()}
    return {name: _spelt(value) for name, value in zip(names, X[row].tolist(), strict=True)}


def _spelt(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value is None else str(value)


def show_oddest(
    printer: Printer, columns: Columns, dataset: Dataset, values_of: Callable[[Array], list[list[str]]]
) -> tuple[list[int], list[list[str]]]:
    """Print the oddest rows with what makes them odd; their places and these values come back.

    Parameters
    ----------
    printer : prints.
    columns : what is said of each row.
    dataset : the rows.
    values_of : gives the values that make rows odd.
    """
    oddest = [int(row) for row in np.argsort(columns["score"], kind="stable")[:SHOWN]]
    values = values_of(dataset.X[np.array(oddest)])
    called, ids = dataset.named_rows()
    numbers = [[f"{column[row]:{FORMATS[name]}}" for name, column in columns.items()] for row in oddest]
    shown = [[str(ids[row]), *own, ", ".join(of) or "–"] for row, own, of in zip(oddest, numbers, values, strict=True)]
    for line in table([[called, *columns, "odd values (nats)"], *shown], right=range(len(columns) + 1)):
        printer.notice(f"  {line}")
    return oddest, values
