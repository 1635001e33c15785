"""How far a study is: one line that changes in a terminal, a line a cell in a pipe."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from hyotan.study.agenda import Agenda
from hyotan.study.cells import Cell
from hyotan.study.worker import Outcome
from hyotan.words.terminal import changing_line

REFRESH, SIGN_OF_LIFE = 0.5, 60.0
"""Seconds between two looks at how far it is: in a terminal, and in a pipe where no cell has ended since."""

LEAST_SHARE = 0.01
"""Below this share of the work, how long the rest takes is not said."""


class StudyProgress:
    """Tells how far a study is.

    Parameters
    ----------
    stream : where lines go; standard error by default, so that results alone are on standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._line = changing_line(stream)
        self._lock, self._told = threading.Lock(), time.monotonic()

    @contextmanager
    def watching(self, agenda: Agenda) -> Iterator[None]:
        """Refresh what is shown, in a thread of its own, while entered."""
        over = threading.Event()
        started, at_first = time.monotonic(), agenda.share()

        def refresh() -> None:
            while not over.wait(REFRESH):
                self._show(status(agenda, at_first, time.monotonic() - started))

        watcher = threading.Thread(target=refresh, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            with self._lock:
                if self._line is not None:
                    self._line.update(status(agenda, at_first, time.monotonic() - started), keep=True)

    def finished(self, outcome: Outcome, done: int, total: int) -> None:
        """A cell has come to its end: in a pipe, a line for it; what failed is said everywhere."""
        if self._line is not None and outcome.failure is None:
            return
        line = f"cell {done:>{len(str(total))}} of {total}  {outcome_line(outcome)}"
        with self._lock:
            self._say(line)

    def concluding(self) -> None:
        """All cells are done; what they add up to is worked out."""
        with self._lock:
            if self._line is not None:
                self._line.update("drawing and writing down")

    def _show(self, text: str) -> None:
        with self._lock:
            if self._line is not None:
                self._line.update(text)
            elif time.monotonic() - self._told > SIGN_OF_LIFE:
                self._say(text)

    def _say(self, text: str) -> None:
        """A line that stays."""
        if self._line is not None:
            self._line.update(text, keep=True)
        else:
            print(text, file=self.stream, flush=True)
        self._told = time.monotonic()


def status(agenda: Agenda, at_first: float, seconds: float) -> str:
    """``cells 12 of 27, 3 min left``; how long is said from the pace since the start, once there is one.

    Parameters
    ----------
    agenda : what is watched.
    at_first : the share that was done when this run of it began.
    seconds : since then.
    """
    share = agenda.share()
    words = f"cells {agenda.done} of {agenda.total}"
    gained = share - at_first
    if agenda.done < agenda.total and gained >= LEAST_SHARE:
        words += f", {duration(seconds * (1 - share) / gained)} left"
    return words


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> duration(42), duration(190), duration(5400)
    ('42 s', '3 min', '1.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def outcome_line(outcome: Outcome) -> str:
    """One cell in one line: its main numbers on the test rows, or why it failed."""
    if outcome.failure is not None:
        return f"{outcome.name}  failed: {outcome.failure.message}"
    return f"{outcome.name}  {main_scores(outcome.cells[-1])}  {duration(outcome.seconds)}"


def main_scores(cell: Cell) -> str:
    """The main numbers of a cell on the test rows."""
    test = cell.test
    named = {
        "MSE": (test.mse, ".5f"),
        "bound": (test.bound, ".2f"),
        "5-NN": (test.knn_accuracy, ".3f"),
        "clusters": (test.accuracy, ".3f"),
        "label error": (test.label_error, ".3f"),
    }
    return "  ".join(f"{name} {value:{form}}" for name, (value, form) in named.items() if value is not None)
