"""Training speed beside others and beside the matrix products alone: ``python -m benchmarks.speed``.

Each contestant is a process of its own that stays alive; they take turns, round after round, so that whatever else the
machine does meets all of them. A figure is rows a second over the epochs that a longer training has beyond a shorter
one: building, compiling and saving are left out for everyone alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks.networks import NETWORKS

ROOT = Path(__file__).parent.parent
EPOCHS = (1, 3)


def main() -> None:
    """Measure and print, as a worker or as the one who asks them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, default=[128])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--contestants", nargs="+", help="default: all whose packages are installed")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        work(arguments)
    else:
        compare(arguments)


# -- one contestant ----------------------------------------------------------------------------------------------------


def work(arguments: argparse.Namespace) -> None:
    """Answer each line of standard input with a figure."""
    import logging

    import torch

    from benchmarks.contestants import CONTESTANTS, Task

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    rows = np.random.default_rng(0).integers(0, 256, (arguments.rows, 784), dtype=np.uint8)
    task = Task(NETWORKS[arguments.networks[0]], rows, arguments.batches[0])
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a trainer prints is no answer
    train = CONTESTANTS[arguments.worker](task)
    for _ in sys.stdin:
        times = [_seconds(train, epochs) for epochs in EPOCHS]
        print(json.dumps((EPOCHS[1] - EPOCHS[0]) * len(rows) / (times[1] - times[0])), file=answers, flush=True)


def _seconds(train: object, epochs: int) -> float:
    started = time.perf_counter()
    train(epochs)  # type: ignore[operator]
    return time.perf_counter() - started


# -- all of them -------------------------------------------------------------------------------------------------------


def compare(arguments: argparse.Namespace) -> None:
    """Let them take turns, network by network, and print a table each."""
    names = arguments.contestants or installed()
    print(f"{machine()}, {arguments.threads} threads, {arguments.rounds} rounds")
    for network in arguments.networks:
        for batch in arguments.batches:
            found = race(names, network, batch, arguments)
            print(f"\n{network}, batch {batch}: rows a second, median and range; of the limit\n")
            print("\n".join(lines(found)), flush=True)


def installed() -> list[str]:
    """The contestants whose packages are there."""
    import importlib.util

    from benchmarks.contestants import CONTESTANTS, PEERS

    return [name for name in CONTESTANTS if name not in PEERS or importlib.util.find_spec(name) is not None]


def machine() -> str:
    """The processor and the version of torch."""
    import torch

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), model)
    return f"{model}, torch {torch.__version__}"


def race(names: list[str], network: str, batch: int, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Every contestant's figures, round by round; the first round warms up and does not count."""
    common = [sys.executable, "-m", "benchmarks.speed", "--networks", network, "--batches", str(batch)]
    common += ["--rows", str(arguments.rows), "--threads", str(arguments.threads), "--worker"]
    # Where workers share a terminal's output, a peer's progress bar must not be taken for the table.
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "cwd": ROOT}
    workers = {name: subprocess.Popen([*common, name], **how) for name in names}  # type: ignore[call-overload]
    found: dict[str, list[float]] = {name: [] for name in names}
    try:
        for number in range(arguments.rounds + 1):
            for name, worker in workers.items():
                worker.stdin.write("again\n")
                worker.stdin.flush()
                answer = worker.stdout.readline()
                if not answer:
                    raise SystemExit(f"{name} failed; try: {' '.join([*common, name])}")
                if number:
                    found[name].append(json.loads(answer))
    finally:
        for worker in workers.values():
            worker.kill()
    return found


def lines(found: dict[str, list[float]]) -> list[str]:
    """A table in Markdown."""
    medians = {name: statistics.median(values) for name, values in found.items()}
    best = medians.get("limit")
    rows = ["| | rows/s | range | of the limit |", "|---|---|---|---|"]
    for name, values in found.items():
        share = f"{medians[name] / best:.2f}" if best else "–"
        rows.append(f"| {name} | {medians[name]:,.0f} | {min(values):,.0f} to {max(values):,.0f} | {share} |")
    return rows


if __name__ == "__main__":
    main()
