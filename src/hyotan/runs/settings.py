"""What a run is made from: the source and how it is read, the model and its parameters."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hyotan.data import NAMES, Dataset
from hyotan.data import load as load_data
from hyotan.errors import DataError, SettingsError
from hyotan.estimators import ESTIMATORS
from hyotan.estimators.estimator import LatentEstimator
from hyotan.files.toml import from_toml, to_toml
from hyotan.parameters.table import check_settings, current_names, default_of, parameters_of
from hyotan.training.callbacks import Callback, Fitting


@dataclass(frozen=True)
class DataOptions:
    """How the source is read: the options of :func:`hyotan.data.load`."""

    label: str | None = None
    ignore: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    missing: str = "keep"
    size: tuple[int, int] | None = None
    limit: int | None = None
    id: str | None = None

    def with_columns_of(self, dataset: Dataset) -> DataOptions:
        """The same with a table's columns named in their order, so that another table can be read as this one was."""
        names = dataset.feature_names
        return self if names is None else replace(self, columns=list(names), ignore=[])


def absolute_source(source: str) -> str:
    """The name of named data, else the whole path."""
    return source if source.lower() in NAMES else str(Path(source).expanduser().resolve())


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made from; written to ``config.toml`` and read back from it.

    Attributes
    ----------
    source : name or path of the data.
    kind : the estimator's kind.
    parameters : of the estimator.
    data : how the source is read.
    recipe : the recipe that it started from, for the record.
    fingerprint : SHA-256 of the data when the run was made, so that a resumed run is refused other data.
    """

    source: str
    kind: str
    parameters: dict[str, Any] = field(default_factory=dict)
    data: DataOptions = field(default_factory=DataOptions)
    recipe: str | None = None
    fingerprint: str | None = None

    def to_toml(self) -> str:
        """As TOML, see :func:`hyotan.files.toml.to_toml`."""
        return to_toml(self)

    @staticmethod
    def from_toml(text: str, where: str) -> RunConfig:
        """Read a configuration.

        Raises
        ------
        SettingsError
            Not TOML, an unknown key, or a value outside its domain; ``where`` names the file.
        """
        config = from_toml(RunConfig, text, where, "a configuration", "a run's config.toml")
        if config.kind not in ESTIMATORS:
            raise SettingsError(
                f"{where}: kind '{config.kind}' is not known.", f"Choose from: {', '.join(ESTIMATORS)}."
            )
        return replace(config, parameters=check_settings(config.kind, current_names(config.parameters), where))

    def with_defaults(self) -> RunConfig:
        """The same with every default written out, so that the run stays what it was when defaults change."""
        parameters = {
            parameter.name: self.parameters.get(parameter.name, default_of(parameter, self.kind))
            for parameter in parameters_of(self.kind)
            if parameter.on_command_line and parameter.name != "verbose"
        }
        return replace(self, parameters=parameters)

    def load_data(self) -> Dataset:
        """Read the source."""
        return replace(load_data(self.source, **asdict(self.data)), layout=self.parameters.get("layout", "auto"))

    def make_estimator(self, **more: Any) -> LatentEstimator:
        """An unfitted estimator with these parameters."""
        return ESTIMATORS[self.kind](**{**self.parameters, **more})

    def rehearse(self, train: Dataset) -> None:
        """Refuse what training would refuse before its first step.

        Raises
        ------
        SettingsError, DataError : settings that cannot work, or not with these rows.
        """
        with suppress(Ready):
            self.make_estimator(callbacks=[Rehearsal()]).fit(train.X, train.y)


class Ready(Exception):
    """Training would begin now."""


class Rehearsal(Callback):
    """Ends a training where it would begin."""

    def on_fit_start(self, fitting: Fitting) -> None:
        """Stop."""
        raise Ready


def refuse_changed(dataset: Dataset, source: str, fingerprint: str | None, folder: Path, command: str) -> Dataset:
    """The dataset, if it is the one that a folder was made with.

    Parameters
    ----------
    dataset : as it is read now.
    source, fingerprint : as the folder's settings have them.
    folder : of a run or a study.
    command : makes another one.

    Raises
    ------
    DataError
        It is another one.
    """
    if fingerprint is not None and dataset.fingerprint() != fingerprint:
        raise DataError(
            f"The data under '{source}' have changed since {folder} was made.",
            f"Put the old data back, or start a new {command}",
        )
    return dataset
