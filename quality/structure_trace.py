"""Run a command of the package and note which of its functions are called: a script, in a process of its own.

``python structure_trace.py PACKAGE_FOLDER RESULT GROUPS ARGUMENT …``, the tree's ``src`` on ``PYTHONPATH``; GROUPS is
JSON, as :class:`Trace` takes it.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any


class Trace:
    """Counts calls.

    Parameters
    ----------
    folder : the package's own; only functions below it are counted.
    groups : by group how a file's path ends, and the name of a function or a method in it. A call counts where none of
        its group is under way in the same thread.
    """

    def __init__(self, folder: str, groups: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        self.folder = folder.rstrip(os.sep) + os.sep
        self.groups = groups
        self.known: dict[CodeType, str | None] = {}
        self.loaded: set[str] = set()
        self.called: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.depth: Counter[tuple[int, str]] = Counter()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """What Python tells of a call or a return."""
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(self.folder):
            return
        path = code.co_filename[len(self.folder) :].replace(os.sep, "/")
        if code not in self.known:
            self.known[code] = self.group_of(path, code.co_qualname)
        group = self.known[code]
        at = (threading.get_ident(), group or "")
        if event == "return":
            self.depth[at] -= group is not None
            return
        self.loaded.add(path)
        if code.co_flags & inspect.CO_OPTIMIZED:  # bodies of modules and of classes are not
            self.called.add(path)
        if group is not None:
            self.calls[group] += self.depth[at] == 0
            self.depth[at] += 1

    def group_of(self, path: str, name: str) -> str | None:
        """The group that a function belongs to."""
        for group, members in self.groups.items():
            if any(path.endswith(end) and f".{name}".endswith(f".{member}") for end, member in members):
                return group
        return None

    def result(self) -> dict[str, Any]:
        """What was counted."""
        return {"called": sorted(self.called), "loaded": sorted(self.loaded), "calls": dict(self.calls)}


def main(folder: str, result: str, groups: str, *arguments: str) -> None:
    """Trace a command from the first import on, and write what was counted."""
    trace = Trace(folder, json.loads(groups))
    threading.setprofile(trace)
    sys.setprofile(trace)
    try:
        from hyotan.cli import main as command

        command(arguments)
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
        Path(result).write_text(json.dumps(trace.result()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
