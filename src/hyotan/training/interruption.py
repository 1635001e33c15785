"""Ctrl-C and SIGTERM: finish the step, save, leave; a second Ctrl-C leaves at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """Training was asked to stop and has saved what it learned.

    Attributes
    ----------
    exit_code : 130 after Ctrl-C, 143 after SIGTERM.
    epoch, step : where training stood.
    fix : how to go on, where there is a way.
    """

    def __init__(self, signal_number: int, epoch: int, step: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name} in epoch {epoch}, step {step}")
        self.exit_code = 128 + signal_number
        self.epoch, self.step = epoch, step
        self.fix = ""


class StopRequests:
    """While entered, turns SIGINT (and SIGTERM, where asked) into a request that training reads between steps.

    Off the main thread it does nothing, since only the main thread may handle signals.
    """

    def __init__(self, terminate: bool) -> None:
        self.received: int | None = None
        self._signals = [signal.SIGINT, signal.SIGTERM] if terminate else [signal.SIGINT]
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequests:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                # A handler set from C reads as None and could not be put back.
                if signal.getsignal(number) is not None:
                    self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
