"""New rows of a table refined: each column is drawn again given the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.sampling.conditionals import Conditionals


class Refiner:
    """Draws the columns of new rows again given the others, so that what a code gives up of them is there again.

    Parameters
    ----------
    preprocessor : of the table.
    rows : (n, columns), training rows, one number a column; trees are grown on them when they are first asked for.
    trees : where they were grown before.
    """

    def __init__(
        self, preprocessor: Preprocessor, rows: np.ndarray | None = None, trees: Conditionals | None = None
    ) -> None:
        self.preprocessor, self.rows, self._trees = preprocessor, rows, trees

    @property
    def trees(self) -> Conditionals:
        """The trees that give each column by the others."""
        if self._trees is None:
            rows: Any = self.rows
            self._trees = Conditionals.fit(rows, self.preprocessor.is_category or ())
        return self._trees

    def refine(self, numbers: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Rows in the model's range, (n, *features), with each column drawn again."""
        refined = self.trees.refined(self.preprocessor.condensed(numbers), random)
        return self.preprocessor.expanded(refined)
