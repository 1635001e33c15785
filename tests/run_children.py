"""Child processes to kill, interrupt and race: forked by a server that has torch in memory and has trained once.

Starting Python and torch anew takes seconds, a fork takes milliseconds, and only so can a test kill many of them. The
server is a process of its own with one thread: a fork of a test process with more of them could hang.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
TIMEOUT = 120.0
"""Seconds after which a child that does not end is a failure; far more than any of them takes."""

SMALL: dict[str, Any] = {
    "hidden_dims": [24],
    "latent_dim": 3,
    "batch_size": 16,
    "max_epochs": 6,
    "random_state": 7,
    "device": "cpu",
}
ROWS = 200
"""Rows of digits that the runs are made of: 180 to train on, of which 18 are held out, and 20 to test."""


# -- the side of the tests ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its exit code, negative for a signal, and all that it printed."""

    code: int
    text: str


@dataclass(frozen=True)
class Child:
    """A child at work."""

    nursery: Nursery
    pid: int
    log: Path

    def signal(self, number: int) -> None:
        """Send a signal; a child that has ended stays a zombie until :meth:`wait`, so its number is not used again."""
        os.kill(self.pid, number)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.nursery.ask({"alive": self.pid})["alive"]

    def wait_for(self, path: Path) -> bool:
        """Wait until a file is there; False where the child ends before."""
        return self.wait_until(path.exists)

    def wait_until(self, happened: Callable[[], bool]) -> bool:
        """Wait until something has happened; False where the child ends before."""
        deadline = time.monotonic() + TIMEOUT
        while not happened():
            if not self.is_alive():
                return happened()
            assert time.monotonic() < deadline, f"it never happened: {self.log.read_text()}"
            time.sleep(0.004)
        return True

    def wait(self) -> Outcome:
        """Wait for its end."""
        code = self.nursery.ask({"wait": self.pid})["code"]
        text = self.log.read_text(encoding="utf-8")
        assert code is not None, f"the child hangs: {text}"
        return Outcome(code, text)


class Nursery:
    """The server that forks, as the tests see it."""

    def __init__(self) -> None:
        quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        environment = {**os.environ, **quiet, "PYTHONPATH": str(SOURCE)}
        command = [sys.executable, __file__]
        pipe = subprocess.PIPE
        self._server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self._logs = tempfile.TemporaryDirectory(prefix="hyotan-children-")
        self._count = 0
        atexit.register(self.close)
        assert self._answer() == {"ready": True}

    def start(self, job: str, *arguments: Any, cwd: Path | None = None, **options: Any) -> Child:
        """Fork a child that does one of :data:`JOBS`; its changes are those of :func:`prepare`."""
        self._count += 1
        log = Path(self._logs.name) / f"{self._count}.log"
        log.touch()
        order = {"job": job, "arguments": arguments, "options": options, "log": str(log), "cwd": str(cwd or log.parent)}
        return Child(self, self.ask(order)["pid"], log)

    def run(self, job: str, *arguments: Any, **options: Any) -> Outcome:
        """Fork a child and wait for its end."""
        return self.start(job, *arguments, **options).wait()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order to the server, and its answer."""
        assert self._server.stdin is not None
        print(json.dumps(order, default=str), file=self._server.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the server; children of it are ended by their tests."""
        self._server.kill()
        self._server.wait()
        self._logs.cleanup()

    def _answer(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline())


@functools.cache
def nursery() -> Nursery:
    """The one server of this test process."""
    return Nursery()


def new_run(out: Path, kind: str = "autoencoder", rows: int = ROWS, **parameters: Any) -> Any:
    """A run folder on a few digits, ready to be trained in."""
    from hyotan.runs.run_folder import RunFolder
    from hyotan.runs.settings import DataOptions, RunConfig

    return RunFolder.create(RunConfig("digits", kind, {**SMALL, **parameters}, DataOptions(limit=rows)), "run", out)


def digests(folder: Path) -> dict[str, Any]:
    """What two runs must have in common: SHA-256 of every array and all settings, without what a clock measured."""
    from hyotan.files.container import read

    found: dict[str, Any] = {}
    for name in ("checkpoint.hyotan", "model.hyotan"):
        contents = read(folder / name)
        clocks = ("train_seconds", "epoch_seconds")
        found[name] = {key: value for key, value in contents.settings.items() if key not in clocks}
        for key, array in contents.tensors.items():
            timeless = _timeless(array.tobytes()) if key == "history" else array.tobytes()
            found[f"{name}/{key}"] = hashlib.sha256(timeless).hexdigest()
    return found


def _timeless(history: bytes) -> bytes:
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in json.loads(history)]
    return json.dumps(rows).encode()


def stamp(path: Path) -> tuple[int, int] | None:
    """Which file this is: another one after each save; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def weights(digest: dict[str, Any], file: str = "checkpoint.hyotan") -> dict[str, Any]:
    """Of :func:`digests`, the weights alone."""
    return {name: value for name, value in digest.items() if name.startswith(f"{file}/model/")}


def timeless_metrics(folder: Path) -> dict[str, Any]:
    """``metrics.json`` without what a clock measured."""
    return {**json.loads((folder / "metrics.json").read_text(encoding="utf-8")), "train_seconds": None}


# -- the side of the server --------------------------------------------------------------------------------------------


def fit(folder: str) -> None:
    """Train a run."""
    from hyotan.runs import run_training as runs

    runs.fit(runs.RunFolder(folder))


def resume(folder: str, max_epochs: int | None = None) -> None:
    """Go on with a run."""
    from hyotan.runs import run_training as runs

    runs.resume(runs.RunFolder(folder), max_epochs)


def study(folder: str) -> None:
    """Bring a study to its end in this process, without what takes most of its time: pictures, runs of K-means."""
    from hyotan.study import engine, measures
    from hyotan.study.study_folder import StudyFolder

    measures.RUNS, measures.SELECTION_RUNS, measures.WALKS = 3, 2, 5
    engine.experiments = lambda folder: None
    engine.run(StudyFolder(folder), jobs=1)


def make(name: str, seed: int, out: str | None = None) -> None:
    """Make a run folder, and print its path."""
    from hyotan.runs.run_folder import RunFolder
    from hyotan.runs.settings import RunConfig

    print(RunFolder.create(RunConfig("digits", "autoencoder", {"random_state": seed}), name, out).path)


def hold(folder: str) -> None:
    """Hold a run folder's lock until killed."""
    from hyotan.runs.run_folder import RunFolder

    with RunFolder(folder).locked():
        print("held", flush=True)
        time.sleep(TIMEOUT)


def cli(*arguments: str) -> None:
    """The command line, without its figures: they take longer than the training that a test is about."""
    from hyotan.cli import main, training

    training.draw_figures = lambda run: []
    main(arguments)


JOBS: dict[str, Callable[..., None]] = {
    "fit": fit,
    "resume": resume,
    "study": study,
    "make": make,
    "hold": hold,
    "cli": cli,
}


def prepare(
    every: int | None = None,
    forget_random: bool = False,
    die_before: str | None = None,
    start_at: float | None = None,
    largest_file: int | None = None,
    unprivileged: bool = False,
    endless_step: int | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    """Change this process before its job.

    Parameters
    ----------
    every : take a checkpoint after so many steps, mid-epoch ones too.
    forget_random : sabotage: a resumed run does not get its random state back.
    die_before : kill this process before the training's result is ``save``d or ``evaluate``d, or ``metrics`` written.
    start_at : wait until this time of the system's clock, so that many children start at once.
    largest_file : bytes after which a write fails as on a full disk.
    unprivileged : give up root's power to write everywhere.
    endless_step : this step says so and never comes to its end.
    environment : variables to set.
    """
    from hyotan.estimators.estimator import LatentEstimator
    from hyotan.runs import run_training as runs
    from hyotan.training import trainer

    os.environ.update(environment or {})
    if every is not None:
        asked = itertools.count(1)
        runs.FolderStore.is_due = lambda store: next(asked) % every == 0
    if forget_random:
        trainer.restore_random = lambda arrays, device: None
    owners = {"save": LatentEstimator, "evaluate": runs, "write_metrics": runs.RunFolder}
    if die_before is not None:
        setattr(owners[die_before], die_before, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if unprivileged and os.geteuid() == 0:
        os.setegid(65534)
        os.seteuid(65534)
    if endless_step is not None:
        _stay_in_step(endless_step)
    if start_at is not None:
        while time.time() < start_at:
            pass


def _stay_in_step(number: int) -> None:
    from hyotan.training.trainer import Trainer

    step = Trainer.train_step

    def stay(trainer: Trainer, x: Any, labels: Any = None) -> None:
        if trainer.step + 1 == number:
            print(f"step {number} does not end", flush=True)
            time.sleep(2 * TIMEOUT)
        step(trainer, x, labels)

    Trainer.train_step = stay


def serve() -> None:
    """Fork a child for each order; answer with its number, whether it lives, and how it ended."""
    warm_up()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "job" in order:
            answer: dict[str, Any] = {"pid": fork(order)}
        elif "alive" in order:
            state = os.waitid(os.P_PID, order["alive"], os.WEXITED | os.WNOHANG | os.WNOWAIT)
            answer = {"alive": state is None}
        else:
            answer = {"code": end_of(order["wait"])}
        print(json.dumps(answer), flush=True)


def warm_up() -> None:
    """Import everything and train once, so that no child has to."""
    import torch

    import hyotan.cli.fit
    import hyotan.cli.resume
    import hyotan.cli.training

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        for kind in ("autoencoder", "vae"):
            hyotan.cli.training.fit_run(new_run(Path(place) / kind, kind, max_epochs=1))


def fork(order: dict[str, Any]) -> int:
    """Fork a child for the order, its output going to the log; gives its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        code = work(order)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def work(order: dict[str, Any]) -> int:
    """Do the job as the command line does it: errors in words, an exit code at the end."""
    from hyotan.cli.failures import answer

    os.chdir(order["cwd"])
    try:
        prepare(**order["options"])
        return answer(lambda: JOBS[order["job"]](*order["arguments"]), ["--debug"])
    except SystemExit as end:
        return int(end.code or 0)


def end_of(pid: int) -> int | None:
    """The child's exit code, negative for a signal; None where it had to be killed."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.004)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    serve()
