"""New rows of a table beside real ones: what ``hyotan sample --check`` reads and says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from hyotan.analysis.sample_check import SampleCheck, check_sample
from hyotan.cli.output import table
from hyotan.cli.training import finding_line
from hyotan.cli.uses import Used
from hyotan.cli.written import arrow_table
from hyotan.errors import SettingsError, did_you_mean


class Check:
    """Real rows to compare with, and what a classifier is to learn.

    Parameters
    ----------
    used : the model, and its run.
    label : the one label that the new rows are to have, as ``y``; empty for rows of any.
    real : where the real rows come from.
    target : the column to learn; by default the label of a model with labels.

    Raises
    ------
    SettingsError
        The rows are images, the run is not known or held no rows out, or there is no such column.
    """

    def __init__(self, used: Used, label: Mapping[str, Any], real: str, target: str | None) -> None:
        if len(used.estimator.feature_shape_) > 1:
            fix = f"Look at the picture, or evaluate the model: hyotan evaluate {used.path}"
            raise SettingsError(f"--check compares tables; the rows of {used.path} are images.", fix)
        if used.run is None:
            fix = f"Name the run: hyotan sample RUN --check {real}"
            raise SettingsError("--check needs the rows that the model was trained on; a model file has none.", fix)
        train, held_out = used.run.split_data()
        if train is held_out:
            what = f"{used.path} was trained on too few rows to hold some out, with which --check measures privacy."
            raise SettingsError(what, "Train a model on 10 rows or more.")
        own = used.run.config.data.label if used.estimator.family.conditional and not label else None
        dataset = used.read(real, own)
        parts = [arrow_table(part.X, used.columns) for part in (dataset, train, held_out)]
        self.real, self.train, self.held_out = parts
        self.used, self.target, self.labels = used, target, {}
        if own is not None and target in (None, own) and dataset.y is not None and train.y is not None:
            self.target = own
            self.real = self.real.append_column(own, pa.array(dataset.y.tolist()))
            self.labels = {"y": train.y[np.isin(train.y, used.estimator.classes_)]}
        if self.target is not None and self.target not in self.real.column_names:
            near = did_you_mean(self.target, self.real.column_names)
            raise SettingsError(f"--target {self.target}: the new rows have no such column.", near)

    def drawn_labels(self, n: int, random_state: int) -> dict[str, np.ndarray]:
        """The labels of ``n`` new rows, as ``y``, where they are to be learned: those of training rows, at random."""
        random = np.random.default_rng(random_state)
        return {name: random.choice(known, n) for name, known in self.labels.items()}

    def told(self, rows: Any, labels: Mapping[str, np.ndarray], random_state: int) -> dict[str, Any]:
        """Compare new rows with the real ones, say what came of it, and give the record."""
        preprocessor, made = self.used.estimator.preprocessor_, arrow_table(rows, self.used.columns)
        for y in labels.values():
            made = made.append_column(self.target, pa.array(y.tolist()))
        columns = preprocessor.encoded_columns if self.used.table_columns else []
        categories = [column.name for column in columns if column.is_category]
        found = check_sample(made, self.real, self.train, self.held_out, self.target, categories, random_state)
        self.used.say(*_lines(found))
        return found.to_dict()


def _lines(found: SampleCheck) -> list[str]:
    """A row a column, and the findings in words."""
    rows = [["column", "kind", "distance", "of other real rows", "missing", "in real rows"]]
    for ours, real in zip(found.fidelity.columns, found.expected.columns, strict=True):
        missing = [f"{share:.1%}" for share in (ours.synthetic_missing, ours.real_missing)]
        rows.append([ours.name, ours.kind, f"{ours.distance:.3f}", f"{real.distance:.3f}", *missing])
    head = f"{found.rows:,} new rows beside {found.real_rows:,} real ones (distance: 0 the same, 1 nothing in common):"
    return [head, *(f"  {line}" for line in table(rows, right=range(2, 6))), "", *map(finding_line, found.findings)]
