"""What is left to do of a study, and how much of it is done."""

from __future__ import annotations

from hyotan.errors import DivergenceError
from hyotan.estimators.build import choose_batch_size, choose_epochs
from hyotan.models.families import BY_KIND
from hyotan.study.bundles import bundles
from hyotan.study.plan import CellPlan
from hyotan.study.study_folder import StudyFolder


class Agenda:
    """The cells of a study that are left, the longest first, and how much of the whole is done.

    Parameters
    ----------
    folder : the study's.
    rows : to train on.

    Attributes
    ----------
    pending : what was left at first, the longest first.
    total : cells of the study.
    """

    def __init__(self, folder: StudyFolder, rows: int) -> None:
        self.folder, self.rows, self.total = folder, rows, len(folder.plans)
        self._epochs = {plan.name: _epochs(plan, rows) for plan in folder.plans}
        self._costs = {plan.name: self._epochs[plan.name] * _step_cost(plan) for plan in folder.plans}
        left = [plan for plan in folder.plans if _is_left(folder, plan)]
        self.pending = sorted(left, key=lambda plan: -self._costs[plan.name])
        self._open = {plan.name: plan for plan in left}

    def bundles(self, shape: tuple[int, ...], jobs: int) -> list[list[str]]:
        """The names of the cells that are left, in bundles that are trained in one loop each, the longest first.

        Parameters
        ----------
        shape : of one sample.
        jobs : bundles at a time.
        """
        found = bundles(self.folder.plans, shape, self.rows, jobs)
        left = [[plan.name for plan in bundle if plan.name in self._open] for bundle in found]
        return sorted(filter(None, left), key=lambda names: -sum(self._costs[name] for name in names))

    @property
    def done(self) -> int:
        """Cells that are finished, or have failed."""
        return self.total - len(self._open)

    def note(self, name: str) -> None:
        """A cell has come to its end."""
        self._open.pop(name, None)

    def share(self) -> float:
        """How much of the work is done, in [0, 1]: epochs of running cells count."""
        left = sum(
            self._costs[name] * (1 - min(1.0, self.folder.epochs_done(plan) / self._epochs[name]))
            for name, plan in list(self._open.items())  # a thread that shows how far it is asks while cells end
        )
        return 1 - left / sum(self._costs.values())


def _is_left(folder: StudyFolder, plan: CellPlan) -> bool:
    """Whether a cell has to be worked on: a training that diverged would do so again."""
    if folder.read_cells(plan):
        return False
    failure = folder.read_failure(plan)
    return failure is None or failure.code != DivergenceError.code


def _epochs(plan: CellPlan, rows: int) -> int:
    settings = plan.settings
    trained = rows - int(rows * settings["validation_fraction"])
    return choose_epochs(settings, trained, choose_batch_size(settings, trained))


def _step_cost(plan: CellPlan) -> float:
    samples = plan.settings.get("n_samples", 1)
    return BY_KIND[plan.kind].cost * (1 + samples) / 2 * (1 + plan.latent_dim / 1000)
