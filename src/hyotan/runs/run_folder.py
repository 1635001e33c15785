"""The folder of a run: its settings, the best model, the last checkpoint, the history, metrics and figures.

It holds ``config.toml`` (all settings; can be fed back), ``model.hyotan`` (the best weights), ``checkpoint.hyotan``
(the last state, to go on from), ``history.jsonl``, ``metrics.json`` and ``figures/``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from hyotan.data import Dataset
from hyotan.errors import RunFolderError
from hyotan.estimators import load_model
from hyotan.estimators.estimator import LatentEstimator
from hyotan.files.atomic import write_text_atomically
from hyotan.files.container import read
from hyotan.files.folders import Folder, read_json, write_json
from hyotan.runs.settings import RunConfig, refuse_changed
from hyotan.training.checkpoint import Snapshot

CONFIG, MODEL, CHECKPOINT = "config.toml", "model.hyotan", "checkpoint.hyotan"
HISTORY, METRICS, FIGURES = "history.jsonl", "metrics.json", "figures"

TEST_FRACTION = 0.1


class RunFolder(Folder):
    """One run's folder.

    Parameters
    ----------
    path : the folder; it must exist (:meth:`create` makes one).
    """

    owner: ClassVar[str] = "run"
    noun: ClassVar[str] = "run folder"
    mark: ClassVar[str] = CONFIG
    files: ClassVar[tuple[str, ...]] = (CHECKPOINT, MODEL, HISTORY, METRICS)
    subfolders: ClassVar[tuple[str, ...]] = (FIGURES,)
    hint: ClassVar[str] = "Type: ls runs"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.config = RunConfig.from_toml((self.path / CONFIG).read_text(encoding="utf-8"), str(self.path / CONFIG))

    @classmethod
    def create(
        cls, config: RunConfig, name: str, out: str | os.PathLike[str] | None = None, overwrite: bool = False
    ) -> Self:
        """Make a run folder: ``out`` itself, or the next free ``runs/<name>-<n>``.

        Raises
        ------
        RunFolderError
            ``out`` exists and is not empty, without ``overwrite``; or it is not a run folder at all.
        ResourceError
            The folder cannot be written to.
        """
        with cls.making(name, out, overwrite) as path:
            write_text_atomically(path / CONFIG, config.to_toml())
        return cls(path)

    @property
    def is_trained(self) -> bool:
        """Whether training has ended and left a model."""
        return (self.path / MODEL).is_file()

    def load_model(self, device: str = "auto") -> LatentEstimator:
        """The fitted estimator with the best weights.

        Raises
        ------
        RunFolderError
            Training has not ended yet.
        """
        if not self.is_trained:
            raise RunFolderError(
                f"{self.path} has no finished model yet.", f"Go on with its training: hyotan resume {self.path}"
            )
        return load_model(self.path / MODEL, device=device)

    def read_snapshot(self) -> Snapshot | None:
        """The last checkpoint; None where there is none yet."""
        if not (self.path / CHECKPOINT).is_file():
            return None
        contents = read(self.path / CHECKPOINT, kinds=["checkpoint"])
        return Snapshot(contents.settings, contents.tensors)

    def read_metrics(self) -> dict[str, Any]:
        """What ``metrics.json`` says; empty where it is not written yet."""
        return read_json(self.path / METRICS)

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write ``metrics.json``; what is not finite becomes null."""
        write_json(self.path / METRICS, metrics)

    def split_data(self) -> tuple[Dataset, Dataset]:
        """Training and test rows: the source's own test split, else a held-out tenth.

        Raises
        ------
        DataError
            The data are not those that the run was made with.
        """
        config, command = self.config, "run with: hyotan fit"
        dataset = refuse_changed(config.load_data(), config.source, config.fingerprint, self.path, command)
        return dataset.split(TEST_FRACTION)
