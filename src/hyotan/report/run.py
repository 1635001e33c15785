"""What a report tells of a run: the fitted model beside rows that it has and has not seen, as plain numbers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hyotan import metrics
from hyotan.analysis.evaluation import as_trained
from hyotan.data import Dataset
from hyotan.errors import RunFolderError
from hyotan.figures import Display
from hyotan.figures.charts import Chart
from hyotan.models.families import BY_KIND, Family
from hyotan.parameters.parameter import Parameter
from hyotan.parameters.table import PARAMETERS, default_of
from hyotan.runs.gallery import RUN_FIGURES, Shown
from hyotan.runs.run_folder import HISTORY, RunFolder
from hyotan.runs.run_training import FinishedRun
from hyotan.runs.settings import RunConfig

MOST_ROWS = 10_000
"""Test rows that are looked at one by one; more are drawn at random, with a fixed seed."""

TRAIN_ROWS = 5_000
BOOTSTRAPS = 1_000

Bounds = tuple[float, float, float]
"""A mean and the ends of its interval."""


@dataclass(frozen=True, eq=False)
class RunRecord(FinishedRun):
    """A finished run, opened."""

    @staticmethod
    def open(folder: RunFolder) -> RunRecord:
        """Read a finished run.

        Raises
        ------
        RunFolderError
            The run is not finished.
        """
        found = folder.read_metrics()
        if "test" not in found:
            what = "diverged" if found else "is not finished"
            raise RunFolderError(
                f"{folder.path} {what}: there is nothing to report yet.",
                f"Look at it with: hyotan info {folder.path}"
                if found
                else f"Go on with its training: hyotan resume {folder.path}",
            )
        estimator = folder.load_model()
        train, test = folder.split_data()
        encoded = estimator.encode_rows(test.X)
        return RunRecord(folder, estimator, train, test, encoded, found, read_history(folder))

    @property
    def config(self) -> RunConfig:
        """The run's settings."""
        return self.folder.config

    @cached_property
    def model_name(self) -> str:
        """As ``--model`` spells it."""
        return BY_KIND[self.config.kind].name

    @cached_property
    def shown(self) -> Shown:
        """The range in which rows are drawn."""
        return Shown(self.estimator)

    @property
    def is_image(self) -> bool:
        """Whether a row is an image."""
        return self.shown.is_image

    @property
    def family(self) -> Family:
        """What the model's family can do."""
        return type(self.estimator).family

    @cached_property
    def _displays(self) -> list[tuple[str, Display | None]]:
        return [(one.section, one.compute(self)) for one in RUN_FIGURES if one.section]

    def charts(self, section: str, lang: str) -> list[Chart]:
        """What the run's figures have for a section of its page."""
        found = [display for its_section, display in self._displays if its_section == section and display is not None]
        return [chart for display in found for chart in display.charts(lang)]

    @property
    def no_test_rows(self) -> bool:
        """Whether the test rows are those trained on, for want of others."""
        return self.train is self.test

    @cached_property
    def rows(self) -> Dataset:
        """The test rows that are looked at one by one."""
        return self.test.take(sampled_rows(len(self.test.X), MOST_ROWS))

    @cached_property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Those rows, NaN at their missing values, and their reconstructions, (n, *features) each, in the model's
        range.
        """
        return self.estimator.reconstruct_in_range(as_trained(self.estimator, self.rows.X, 0))

    @cached_property
    def pair_drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as pictures: what is not observed is drawn as the model has it."""
        before, after = self.pair
        return np.where(np.isnan(before), after, before), after

    @cached_property
    def errors(self) -> np.ndarray:
        """MSE a feature of each of those rows, (n,)."""
        return metrics.row_errors(self.pair[1], self.pair[0])

    @cached_property
    def train_errors(self) -> np.ndarray:
        """The same of some rows that it was trained on, (m,)."""
        some = self.train.X[sampled_rows(len(self.train.X), TRAIN_ROWS)]
        scaled, reconstruction = self.estimator.reconstruct_in_range(as_trained(self.estimator, some, 1))
        return metrics.row_errors(reconstruction, scaled)

    @cached_property
    def codes(self) -> np.ndarray:
        """Codes of those rows, (n, latent)."""
        return self.estimator.transform(self.rows.X)

    @cached_property
    def active(self) -> np.ndarray:
        """Which dimensions of the code vary over the rows, (latent,)."""
        return metrics.are_active(self.codes.var(axis=0))

    @cached_property
    def dimensions(self) -> np.ndarray:
        """The code's dimensions from the most to the least used: by KL, else by variance."""
        use = self.kl_per_dimension or self.codes.var(axis=0)
        return np.argsort(-np.asarray(use), kind="stable")

    @cached_property
    def intervals(self) -> dict[str, Bounds]:
        """Mean and 95 % bootstrap interval over the rows: ``mse``, and in nats ``loss``, ``reconstruction``, ``kl``."""
        terms = self.estimator.loss_samples(as_trained(self.estimator, self.rows.X, 0))
        values = {name: value.reshape(len(value), -1).sum(axis=1) for name, value in terms.items()}
        return {name: bootstrap(value) for name, value in {"mse": self.errors, **values}.items()}

    @cached_property
    def memorising(self) -> tuple[float, bool]:
        """Error on new rows over that on rows trained on, and whether the difference is beyond chance."""
        new, old = self.errors, self.train_errors
        spread = np.hypot(metrics.standard_error(new), metrics.standard_error(old))
        ratio = float(new.mean() / old.mean()) if old.mean() > 0 else 1.0
        return ratio, bool(new.mean() - old.mean() > 3 * spread)

    @cached_property
    def label_error(self) -> float | None:
        """Share of those rows with a label whose label is predicted wrongly; None for models that predict none."""
        if not self.family.conditional or self.rows.y is None:
            return None
        known = np.isin(self.rows.y.astype(str), self.estimator.classes_.astype(str))
        if not known.any():
            return None
        predicted = self.estimator.predict(self.rows.X[known])  # pyrefly: ignore[missing-attribute]
        return float((predicted.astype(str) != self.rows.y[known].astype(str)).mean())

    def labels(self) -> list[Any] | None:
        """The labels of those rows."""
        return None if self.rows.y is None else self.rows.y.tolist()


def read_history(folder: RunFolder) -> tuple[Mapping[str, Any], ...]:
    """The lines of ``history.jsonl``; none where there is no such file."""
    path = folder.path / HISTORY
    if not path.is_file():
        return ()
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line)


def sampled_rows(n: int, most: int, seed: int = 0) -> np.ndarray:
    """At most so many row numbers, in order, drawn at random with a fixed seed: the first ones may be sorted."""
    return np.sort(np.random.default_rng(seed).choice(n, min(n, most), replace=False))


def bootstrap(values: np.ndarray, share: float = 0.95, seed: int = 0) -> Bounds:
    """Mean of values (n,) and its percentile bootstrap interval.  Efron & Tibshirani 1993, chapter 13."""
    values = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(seed)
    per_pass = max(1, 2_000_000 // len(values))
    means = np.concatenate(
        [
            values[random.integers(0, len(values), (min(per_pass, BOOTSTRAPS - start), len(values)))].mean(axis=1)
            for start in range(0, BOOTSTRAPS, per_pass)
        ]
    )
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(values.mean()), float(low), float(high)


def fit_command(config: RunConfig) -> str:
    """The command line that trains this run again: what differs from the defaults, as flags."""
    model = BY_KIND[config.kind].name
    words = ["hyotan", "fit", config.source, "--model", model]
    for name, value in config.parameters.items():
        parameter = PARAMETERS[name]
        if parameter.on_command_line and not _same(value, default_of(parameter, config.kind)):
            words += _flag(parameter, value)
    data = config.data
    given = {"label": data.label, "ignore": ",".join(data.ignore), "columns": ",".join(data.columns)}
    given |= {"missing": data.missing if data.missing != "keep" else None, "limit": data.limit}
    given |= {"size": "x".join(map(str, data.size)) if data.size else None}
    for name, value in given.items():
        words += [f"--{name}", str(value)] if value else []
    return " ".join(shlex.quote(word) for word in words)


def _same(value: Any, default: Any) -> bool:
    return (
        (list(value) == list(default))
        if isinstance(value, list | tuple) and isinstance(default, list | tuple)
        else (value == default)
    )


def _flag(parameter: Parameter, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [parameter.flag if value else f"--no-{parameter.flag.removeprefix('--')}"]
    return [parameter.flag, parameter.spell(value)]
