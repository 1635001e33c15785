"""One family of errors: each says what was expected, what arrived, and what to do next.

Every error is also the builtin that a Python user would catch (``ValueError``, ``FileNotFoundError``, …), carries the
one-line ``message`` and ``fix`` that the command line prints, and knows the exit code that it leaves with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HyotanError(Exception):
    """An error with a fix.

    Parameters
    ----------
    message : str
        What happened: the value that arrived, where, and what was expected.
    fix : str
        What the user can type or change. May be empty where nothing can be advised.
    """

    code = "ERROR"
    exit_code = 2

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class DataError(HyotanError, ValueError):
    """The data are there but cannot be used as they are."""

    code = "DATA"


class SourceNotFoundError(DataError, FileNotFoundError):
    """No data were found under the name or path."""

    code = "SOURCE_NOT_FOUND"


class SettingsError(HyotanError, ValueError):
    """A parameter, a flag or a configuration key has a value that cannot work."""

    code = "SETTINGS"


class ModelFileError(HyotanError, ValueError):
    """A model or checkpoint file is damaged, foreign, or newer than this version."""

    code = "MODEL_FILE"


class MissingExtraError(HyotanError, ImportError):
    """A feature needs an optional package that is not installed."""

    code = "MISSING_EXTRA"


class DivergenceError(HyotanError, ArithmeticError):
    """Training left the finite numbers; the last good state was kept."""

    code = "DIVERGED"
    exit_code = 3


class ResourceError(HyotanError, OSError):
    """Disk, memory or device gave out."""

    code = "RESOURCES"
    exit_code = 4


class RunFolderError(HyotanError, OSError):
    """The run folder is busy, exists already, or is not a run folder."""

    code = "RUN_FOLDER"
    exit_code = 5


class RunNotFoundError(RunFolderError, FileNotFoundError):
    """There is no run under the path."""

    code = "RUN_NOT_FOUND"
    exit_code = 2


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """``"Did you mean 'vae'?"`` for a near miss, else the list of what there is.

    >>> did_you_mean("mnits", ["mnist", "digits"])
    "Did you mean 'mnist'?"
    >>> did_you_mean("zzz", ["mnist", "digits"])
    'Choose from: digits, mnist.'
    """
    known = sorted(options)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Choose from: {', '.join(known)}."
