"""Checkpoints of a run, written to its folder often enough to lose little, and seldom enough to cost little."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hyotan.files.atomic import write_text_atomically
from hyotan.files.container import write
from hyotan.files.folders import plain_json
from hyotan.runs.run_folder import CHECKPOINT, HISTORY
from hyotan.training.checkpoint import Snapshot, from_json_array


@dataclass
class FolderStore:
    """Checkpoints into a run folder, when enough time has gone for their cost not to matter.

    Attributes
    ----------
    folder : the run folder.
    interval : least time between two checkpoints, in seconds; the first is written as soon as it can be.
    share : a checkpoint waits until the last one's time is at most this share of the time since.
    """

    folder: Path
    interval: float = 5.0
    share: float = 0.03

    def __post_init__(self) -> None:
        self._last, self._cost = -float("inf"), 0.0

    def is_due(self) -> bool:
        """Whether enough time has gone since the last one."""
        return time.monotonic() - self._last >= max(self.interval, self._cost / self.share)

    def save(self, snapshot: Snapshot) -> None:
        """Write ``checkpoint.hyotan`` and ``history.jsonl``, each old or new, never half."""
        save_together([self], [snapshot])

    def write_checkpoint(self, snapshot: Snapshot) -> None:
        """Write ``checkpoint.hyotan``."""
        write(self.folder / CHECKPOINT, kind="checkpoint", settings=snapshot.settings, tensors=snapshot.arrays)

    def write_history(self, snapshot: Snapshot) -> None:
        """Write ``history.jsonl``."""
        rows = from_json_array(snapshot.arrays["history"])
        lines = "".join(json.dumps(plain_json(row), ensure_ascii=False) + "\n" for row in rows)
        write_text_atomically(self.folder / HISTORY, lines)

    def note_time(self, started: float) -> None:
        """Note when the last checkpoint was written, and what it has cost."""
        self._last = time.monotonic()
        self._cost = self._last - started


def save_together(stores: Sequence[FolderStore], snapshots: Sequence[Snapshot]) -> None:
    """Write the checkpoints of trainings that stand at one step, one right after the other, then their histories."""
    started = time.monotonic()
    for store, snapshot in zip(stores, snapshots, strict=True):
        store.write_checkpoint(snapshot)
    for store, snapshot in zip(stores, snapshots, strict=True):
        store.write_history(snapshot)
    for store in stores:
        store.note_time(started)
