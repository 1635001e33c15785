"""One line of text that changes, in a terminal or a notebook, and how wide text is there."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from typing import Protocol, TextIO


def text_width(text: str) -> int:
    """How many columns of a terminal a text takes: Japanese letters take two, combining marks none.

    >>> text_width("shop"), text_width("渋谷")
    (4, 4)
    """
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def clipped(text: str, columns: int) -> str:
    """As much of a text as so many columns hold.

    >>> clipped("渋谷店", 5)
    '渋谷'
    """
    while text_width(text) > columns:
        text = text[: min(len(text) - 1, columns)]
    return text


def padded(text: str, columns: int, right: bool = False) -> str:
    """A text with blanks after it, or before it, up to so many columns.

    >>> padded("渋谷", 6), padded("7", 3, right=True)
    ('渋谷  ', '  7')
    """
    blanks = " " * (columns - text_width(text))
    return blanks + text if right else text + blanks


class ChangingLine(Protocol):
    """A place for one line that changes."""

    def update(self, text: str, keep: bool = False) -> None:
        """Show the text; with ``keep``, as the line that stays."""
        ...


class TerminalLine:
    """One line, rewritten in place; cut where the terminal is narrower, since a line that wraps cannot be."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.shown = stream, 0

    def update(self, text: str, keep: bool = False) -> None:
        """Rewrite the line."""
        room = max(1, terminal_width(self.stream) - 1)
        text = clipped(text, room)
        self.stream.write(f"\r{padded(text, min(self.shown, room))}" + ("\n" if keep else ""))
        self.shown = 0 if keep else text_width(text)
        self.stream.flush()


class NotebookLine:
    """One line of text below the cell, replaced in place."""

    def __init__(self) -> None:
        from IPython.display import display  # pyrefly: ignore[missing-import]

        self.handle = display({"text/plain": ""}, raw=True, display_id=True)

    def update(self, text: str, keep: bool = False) -> None:
        """Replace the line."""
        self.handle.update({"text/plain": text}, raw=True)


def changing_line(stream: TextIO | None = None) -> ChangingLine | None:
    """The place where progress is shown; None in a pipe, where lines can only follow each other.

    Parameters
    ----------
    stream : where it goes; None for a notebook's cell, or else standard error.
    """
    if stream is None and in_notebook():
        return NotebookLine()
    stream = stream or sys.stderr
    return TerminalLine(stream) if stream.isatty() else None


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def terminal_width(stream: TextIO) -> int:
    """Columns of the terminal that a stream leads to."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return shutil.get_terminal_size().columns
