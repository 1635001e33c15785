"""Where the time of a training step goes, by kind of work."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import profile

from hyotan.training.callbacks import Callback, Fitting

WARM_UP, STEPS = 20, 100
"""Steps left out at the start, where kernels are chosen and the step is recorded; steps timed, and then looked into."""

PRODUCTS, ELEMENTS, OPTIMIZER, ROWS, REST = (
    "products and convolutions",
    "element by element, sums",
    "optimizer",
    "gathering rows",
    "Python and bookkeeping",
)

KINDS: Mapping[str, tuple[str, ...]] = {
    PRODUCTS: ("mm", "conv2d", "convolution", "aten::mkldnn"),
    OPTIMIZER: ("aten::_fused_", "aten::_foreach_", "Optimizer."),
    ROWS: ("aten::index_select", "aten::index", "aten::randperm", "aten::gather"),
}
"""What the names of operations contain, by kind; whatever else runs is :data:`ELEMENTS`."""


@dataclass(frozen=True)
class StepProfile:
    """The time of a step.

    Attributes
    ----------
    steps : how many were timed.
    seconds : of one step, the mean.
    shares : of that time by kind of work, adding up to 1.
    """

    steps: int
    seconds: float
    shares: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"steps": self.steps, "seconds": self.seconds, "shares": dict(self.shares)}

    def lines(self) -> list[str]:
        """A small table."""
        head = f"where a step's time goes ({self.steps} steps of {1000 * self.seconds:.2f} ms, {_workers()}):"
        rows = [
            f"  {name:<27} {share:4.0%}  {1000 * share * self.seconds:6.2f} ms" for name, share in self.shares.items()
        ]
        return [head, *rows]


class StepProfiler(Callback):
    """Times some steps as they are, then looks into as many with torch's profiler, which slows those down.

    Attributes
    ----------
    result : the profile, once there is one; None where training ended before.
    """

    def __init__(self) -> None:
        self.result: StepProfile | None = None
        self._steps = 0
        self._last = self._seconds = 0.0
        self._times: list[float] = []
        self._profiler: profile | None = None

    def on_step_end(self, fitting: Fitting) -> None:
        """Begin to time, to look into, to end."""
        self._steps += 1
        if WARM_UP < self._steps <= WARM_UP + STEPS and fitting.step % fitting.steps_per_epoch != 1:
            self._times.append(time.perf_counter() - self._last)
        if self._steps == WARM_UP + STEPS:
            self._seconds = sum(self._times) / max(1, len(self._times))
            os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it writes to standard error that it starts and stops
            self._profiler = profile()  # of the CPU, and of a GPU where there is one
            self._profiler.start()
        if self._steps == WARM_UP + 2 * STEPS and self._profiler is not None:
            self._profiler.stop()
            self.result = profile_of(self._profiler, self._seconds)
            self._profiler = None
        self._last = time.perf_counter()

    def on_fit_end(self, fitting: Fitting) -> None:
        """Training may end before."""
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None

    def lines(self) -> list[str]:
        """The profile as a table, or why there is none."""
        if self.result is not None:
            return self.result.lines()
        return [f"no profile: it takes {WARM_UP + 2 * STEPS} steps, and training had {self._steps}."]


def profile_of(profiler: profile, seconds: float) -> StepProfile:
    """Sum what a profiler saw in :data:`STEPS` steps, beside the time that a step takes without it."""
    events = profiler.key_averages()
    of_device = sum(event.self_device_time_total for event in events) > 0
    found = dict.fromkeys((PRODUCTS, ELEMENTS, OPTIMIZER, ROWS), 0.0)
    for event in events:
        microseconds = event.self_device_time_total if of_device else event.self_cpu_time_total
        if of_device or event.key.startswith("aten::"):
            found[_kind(event.key)] += microseconds / 1e6 / STEPS
    busy = sum(found.values())
    whole = max(seconds, busy)
    shares = {name: value / whole for name, value in found.items()}
    return StepProfile(STEPS, whole, {**shares, REST: 1 - busy / whole})


def _kind(operation: str) -> str:
    return next((kind for kind, parts in KINDS.items() if any(part in operation for part in parts)), ELEMENTS)


def _workers() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return "1 thread" if threads == 1 else f"{threads} threads"
