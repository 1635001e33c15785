"""The study in Python: ``Study("digits", sizes=(2, 4, 16)).run().recommendation``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from numpy.typing import ArrayLike

from hyotan.data import Dataset
from hyotan.data import load as load_data
from hyotan.errors import RunFolderError, SettingsError, did_you_mean
from hyotan.estimators.estimator import LatentEstimator
from hyotan.runs.settings import DataOptions
from hyotan.study.cells import Cell
from hyotan.study.engine import Finished, create_study, run
from hyotan.study.plan import DEFAULT, configure
from hyotan.study.progress import StudyProgress
from hyotan.study.study_folder import StudyFolder


class Study:
    """Models × latent sizes × repeats, everything else equal; and what to choose.

    Each training is a run folder below the study's own. What is finished stays: a study that was stopped goes on where
    it was, with :meth:`run` again or, from another process, ``Study.open(folder).run()``.

    Parameters
    ----------
    source : a name or a path, as for ``hyotan study``; or rows, (n, *features), which are kept in the study's folder.
    y : (n,) labels, where ``source`` is rows; None and NaN for no label.
    models : names of families, such as ``ae`` and ``vae``; by default the preset's, without those that need
        labels where there are none.
    sizes : latent sizes; by default the preset's that are smaller than a row.
    repeats : trainings of each, with other seeds and held-out rows.
    preset : ``default``, or ``article`` for the settings of the article that compared the three models.
    nested : one ordered code a model and repeat stands for all sizes as its prefixes.
    random_state : seed of the first repeat; each further one adds 1.
    out : the folder; by default the next free ``runs/<name>-study-<n>``.
    overwrite : whether a study in ``out`` is replaced.
    jobs : trainings at a time; by default one a core, on a GPU one.
    verbose : 0 is silent, 1 shows how far it is.
    data : options of :func:`hyotan.data.load`, by name.
    own : parameters of one model alone, by model.
    parameters : of the estimators; each model takes those that it has.

    Examples
    --------
    >>> study = Study("digits", models=["ae"], sizes=[2, 4], repeats=1, max_epochs=20)  # doctest: +SKIP
    >>> study.run().recommendation.headline.chosen.latent_dim  # doctest: +SKIP
    4
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | ArrayLike,
        y: ArrayLike | None = None,
        *,
        models: Sequence[str] | None = None,
        sizes: Sequence[int] | None = None,
        repeats: int | None = None,
        preset: str = DEFAULT,
        nested: bool = False,
        random_state: int = 0,
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        jobs: int | None = None,
        verbose: int = 0,
        data: Mapping[str, Any] | None = None,
        own: Mapping[str, Mapping[str, Any]] | None = None,
        **parameters: Any,
    ) -> None:
        options = DataOptions(**data) if data else DataOptions()
        dataset, name = _read(source, y, options)
        self.jobs, self.verbose = jobs, verbose
        config = configure(
            dataset,
            name,
            models=models,
            sizes=sizes,
            repeats=repeats,
            preset=preset,
            nested=nested,
            seed=random_state,
            parameters=parameters,
            own=own,
            data=options,
        )
        keep_rows = not isinstance(source, str | os.PathLike)
        self.folder = create_study(config, dataset, f"{dataset.name}-study", out, overwrite, keep_rows)
        self._finished: Finished | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str], jobs: int | None = None, verbose: int = 0) -> Self:
        """The study in a folder, finished or not.

        Raises
        ------
        RunFolderError
            The folder is no study.
        """
        study = cls.__new__(cls)
        study.folder, study.jobs, study.verbose, study._finished = StudyFolder(folder), jobs, verbose, None
        return study

    def run(self) -> Self:
        """Train and measure what is not finished yet, and say what it adds up to.

        Raises
        ------
        RunFolderError
            Another process is at work in the folder.
        DivergenceError, HyotanError
            No cell could be trained.
        """
        self._finished = run(self.folder, self.jobs, StudyProgress() if self.verbose else None)
        return self

    @property
    def path(self) -> Path:
        """The study's folder."""
        return self.folder.path

    @property
    def cells(self) -> list[Cell]:
        """Every record that there is by now: models in the plan's order, then baselines."""
        return self.folder.cells()

    @property
    def recommendation(self) -> Any:
        """What to take for each purpose: :class:`hyotan.study.recommendation.Recommendation`."""
        return self._done().recommendation

    @property
    def findings(self) -> Any:
        """What the articles found, and whether this study finds it too."""
        return self._done().findings

    def load(self, model: str, latent_dim: int, repeat: int = 0) -> LatentEstimator:
        """The fitted estimator of one cell; of a nested study the one whose code is cut to this size.

        Raises
        ------
        SettingsError
            The study has no such cell.
        RunFolderError
            Its training has not ended yet.
        """
        plans = {(plan.model, size, plan.repeat): plan for plan in self.folder.plans for size in plan.sizes}
        if (model, latent_dim, repeat) not in plans:
            known = [f"{name}-{size}-{number}" for name, size, number in plans]
            raise SettingsError(
                f"There is no cell {model}-{latent_dim}-{repeat} in {self.path}.",
                did_you_mean(f"{model}-{latent_dim}-{repeat}", known),
            )
        found = self.folder.load_run(plans[model, latent_dim, repeat])
        if found is None:
            raise RunFolderError(f"{model}-{latent_dim}-{repeat} in {self.path} is not trained yet.", "Call run().")
        return found.load_model()

    def to_rows(self) -> list[dict[str, Any]]:
        """The records as flat dicts, one a cell and part, for ``pandas.DataFrame(study.to_rows())``."""
        rows = []
        for cell in self.cells:
            where = {"model": cell.model, "latent_dim": cell.latent_dim, "repeat": cell.repeat}
            for part in ("selection", "test"):
                rows.append({**where, "rows": part, **vars(getattr(cell, part))})
        return rows

    def _done(self) -> Finished:
        if self._finished is None:
            raise RunFolderError(f"The study in {self.path} has not been brought to its end here.", "Call run().")
        return self._finished

    def __repr__(self) -> str:
        config = self.folder.config
        done = sum(bool(self.folder.read_cells(plan)) for plan in self.folder.plans)
        sizes = ",".join(map(str, config.sizes))
        return f"Study({str(self.path)!r}: {','.join(config.models)} × {sizes} × {config.repeats}, {done} finished)"


def _read(source: str | os.PathLike[str] | ArrayLike, y: ArrayLike | None, options: DataOptions) -> tuple[Dataset, str]:
    """The data, and the name of their source."""
    if isinstance(source, str | os.PathLike):
        if y is not None:
            raise SettingsError("y came with a source that has a name.", "Name its labels: data={'label': 'column'}.")
        return load_data(os.fspath(source), **asdict(options)).in_memory(), os.fspath(source)
    return Dataset.from_arrays(source, y, missing_allowed=True).in_memory(), "array"
