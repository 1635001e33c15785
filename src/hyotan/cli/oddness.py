"""How odd rows are to a run's model: p-values measured with the run's own test rows, and the values that stick out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyotan.anomalies import conformal
from hyotan.cli.rows import Used
from hyotan.data.stored import Array
from hyotan.errors import SettingsError
from hyotan.estimators.contract import LatentEstimator
from hyotan.estimators.members import feature_loss
from hyotan.tabular import TableScaling

VALUES_SHOWN = 3
"""Of each row, those that add most to its loss."""


def scored(used: Used, source: str | None, X: Array, p_values: bool, fdr: float | None) -> dict[str, np.ndarray]:
    """What is said of each row, by the name of its column, (n,) each.

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
    loss = feature_loss(estimator, X)
    flat = loss.reshape(len(loss), -1)
    if isinstance(estimator.scaling_, TableScaling):
        flat, names = estimator.scaling_.by_column(flat), estimator.scaling_.names
    most = np.argsort(-flat, axis=1)[:, :VALUES_SHOWN]
    if len(names) != flat.shape[1]:
        names = ["·".join(map(str, place)) for place in np.ndindex(loss.shape[1:])]
    return [[f"{names[i]} {row[i]:.1f}" for i in of] for row, of in zip(flat, most, strict=True)]
