"""What can watch a training: a small typed interface, and the watchers that come with it.

Callbacks return arrays or write lines; they draw nothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

import numpy as np

from hyotan.errors import MissingExtraError
from hyotan.words.terminal import ChangingLine, changing_line


class Fitting(Protocol):
    """What a callback sees of the training that it watches."""

    history: list[dict[str, Any]]
    epoch: int

    @property
    def max_epochs(self) -> int:
        """The epoch after which training ends."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        ...

    @property
    def step(self) -> int:
        """Steps taken since the start."""
        ...

    def reconstruct(self, x: np.ndarray) -> np.ndarray:
        """Reconstruct rows, (n, *features), in the model's range, with the weights as they are now."""
        ...


class Callback:
    """Watches a training. Override what you need; every method does nothing by default."""

    def on_fit_start(self, fitting: Fitting) -> None:
        """Training starts, or goes on."""

    def on_step_end(self, fitting: Fitting) -> None:
        """A step of the optimizer was taken."""

    def on_epoch_end(self, fitting: Fitting) -> None:
        """An epoch is done and noted: ``fitting.history[-1]``."""

    def on_fit_end(self, fitting: Fitting) -> None:
        """Training ends, by its plan or by an error."""

    def state(self) -> dict[str, np.ndarray]:
        """Arrays to keep in a checkpoint, so that a resumed run goes on with them."""
        return {}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`state` gave."""


class ReconstructionTracker(Callback):
    """Reconstructs the same few rows after every epoch.

    Parameters
    ----------
    X : (n, *features), as the data are.
    max_bytes : once the frames would take more, every second one is dropped and every second epoch skipped.

    Attributes
    ----------
    epochs : the epochs noted.
    frames : one array (n, *features) an epoch, in the model's range.
    """

    def __init__(self, X: Any, max_bytes: int = 64 * 2**20) -> None:
        self.X = X if hasattr(X, "shape") else np.asarray(X)  # a table stays one
        self.max_bytes = max_bytes
        self.epochs: list[int] = []
        self.frames: list[np.ndarray] = []

    @property
    def stride(self) -> int:
        """Epochs between two frames."""
        return self.epochs[1] - self.epochs[0] if len(self.epochs) > 1 else 1

    def on_epoch_end(self, fitting: Fitting) -> None:
        """Reconstruct the rows with the weights as they are now."""
        if not self._is_wanted(fitting):
            return
        frame = fitting.reconstruct(self.X)
        if len(self.frames) > 1 and (len(self.frames) + 1) * frame.nbytes > self.max_bytes:
            self.epochs, self.frames = self.epochs[::2], self.frames[::2]
        # Asked again, since fewer frames mean a longer stride; the last epoch is noted in any case.
        if self._is_wanted(fitting):
            self.epochs.append(fitting.epoch)
            self.frames.append(frame)

    def _is_wanted(self, fitting: Fitting) -> bool:
        return (fitting.epoch - 1) % self.stride == 0 or fitting.epoch == fitting.max_epochs

    def state(self) -> dict[str, np.ndarray]:
        """The frames so far."""
        if not self.frames:
            return {}
        return {"epochs": np.array(self.epochs), "frames": np.stack(self.frames)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take the frames back."""
        if state:
            self.epochs, self.frames = state["epochs"].tolist(), list(state["frames"])


class TensorBoardLogger(Callback):
    """Writes each epoch's numbers for TensorBoard; needs the extra ``hyotan[tensorboard]``.

    Parameters
    ----------
    folder : where the event files go.
    """

    def __init__(self, folder: str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError(
                "TensorBoardLogger needs the package 'tensorboard', which is not installed.",
                "Type: pip install 'hyotan[tensorboard]'",
            ) from error
        self.folder = str(folder)
        self._open = SummaryWriter
        self._writer: Any = None

    def on_fit_start(self, fitting: Fitting) -> None:
        """Open the event file."""
        self._writer = self._open(self.folder)

    def on_epoch_end(self, fitting: Fitting) -> None:
        """Write each number of the epoch."""
        for name, value in fitting.history[-1].items():
            if isinstance(value, int | float) and name not in ("epoch", "step"):
                self._writer.add_scalar(name, value, fitting.epoch)

    def on_fit_end(self, fitting: Fitting) -> None:
        """Close the event file."""
        self._writer.close()


def epoch_line(row: Mapping[str, Any], max_epochs: int) -> str:
    """One epoch in one line: losses in nats a sample, MSE a feature, the time."""
    parts = [f"epoch {row['epoch']:>{len(str(max_epochs))}}/{max_epochs}", f"loss {row['loss']:.2f}"]
    if "val_loss" in row:
        parts.append(f"held-out {row['val_loss']:.2f}")
    if "val_kl" in row:
        parts.append(f"KL {row['val_kl']:.2f}")
    if "val_mse" in row:
        parts.append(f"MSE {row['val_mse']:.5f}")
    return "  ".join([*parts, f"{row['seconds']:.1f} s"])


class ProgressReporter(Callback):
    """Tells how training goes: one changing line in a terminal or a notebook, a line an epoch in a pipe.

    Parameters
    ----------
    stream : where lines go; standard error by default, so that results alone are on standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream
        self._line: ChangingLine | None = None
        self._shown = self._started = 0.0
        self._first_step = 0

    def on_fit_start(self, fitting: Fitting) -> None:
        """Find out where the lines go."""
        self._line = changing_line(self.stream)
        self._started, self._first_step = time.monotonic(), fitting.step

    def on_step_end(self, fitting: Fitting) -> None:
        """Refresh the changing line, at most ten times a second."""
        now = time.monotonic()
        if self._line is None or now - self._shown < 0.1:
            return
        self._shown = now
        self._line.update(self._status(fitting, now))

    def on_epoch_end(self, fitting: Fitting) -> None:
        """In a pipe: a line for the epoch."""
        if self._line is None:
            print(epoch_line(fitting.history[-1], fitting.max_epochs), file=self.stream or sys.stderr, flush=True)

    def on_fit_end(self, fitting: Fitting) -> None:
        """Leave the last epoch's numbers standing, or how far the first one came."""
        if self._line is not None:
            done = epoch_line(fitting.history[-1], fitting.max_epochs) if fitting.history else ""
            self._line.update(done or self._status(fitting, time.monotonic()), keep=True)

    def _status(self, fitting: Fitting, now: float) -> str:
        total = fitting.max_epochs * fitting.steps_per_epoch
        share = fitting.step / total
        bar = "█" * int(share * 20) + "·" * (20 - int(share * 20))
        pace = (now - self._started) / max(1, fitting.step - self._first_step)
        left = f"{pace * (total - fitting.step):.0f} s left"
        last = epoch_line(fitting.history[-1], fitting.max_epochs) if fitting.history else "epoch 1"
        return f"{bar} {share:4.0%}  {left:>10}  {last}"
