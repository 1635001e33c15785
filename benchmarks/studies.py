"""Duration of a study, with one training at a time and with the default number: ``python -m benchmarks.studies``.

Each study is ``hyotan study digits``, or of other data, in a process and a folder of its own, timed from the command to
the finished report.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine, table

COMMAND = "from hyotan.cli import main; main()"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies", description=__doc__)
    parser.add_argument("source", nargs="?", default="digits", help="data to study  [digits]")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1], help="numbers of jobs to compare with the default")
    parser.add_argument("--epochs", type=int, help="epochs, instead of the default")
    parser.add_argument("--sizes", help="latent sizes, instead of the default: 2,4")
    parser.add_argument("--models", help="models, instead of the default: ae,vae")
    arguments = parser.parse_args()
    more = [*(["--epochs", str(arguments.epochs)] if arguments.epochs else [])]
    more += ["--sizes", arguments.sizes] if arguments.sizes else []
    more += ["--models", arguments.models] if arguments.models else []
    ways = {f"--jobs {jobs}": ["--jobs", str(jobs)] for jobs in arguments.jobs} | {"default jobs": []}
    print(f"{machine(os.cpu_count() or 1)}; hyotan study {arguments.source} {' '.join(more)}".rstrip(), flush=True)
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, jobs in ways.items():
            found[name].append(studied([arguments.source, *jobs, *more]))
    rows = []
    for name, values in found.items():
        seconds, trainings = [taken for taken, _ in values], values[0][1]
        middle = statistics.median(seconds)
        ends = f"{min(seconds):.1f} to {max(seconds):.1f}"
        rows.append([name, f"{middle:.1f}", ends, str(trainings), f"{trainings / middle:.2f}"])
    print("\n" + table(["", "seconds", "range", "trainings", "trainings a second"], rows))


def studied(flags: list[str]) -> tuple[float, int]:
    """Seconds from the command to its end, and how many trainings it made."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", COMMAND, "study", "--json", "--out", str(Path(folder) / "study")]
        started = time.perf_counter()
        ended = subprocess.run([*command, *flags], capture_output=True, text=True)
        seconds = time.perf_counter() - started
    if ended.returncode:
        raise SystemExit(f"The study failed:\n{ended.stderr}")
    return seconds, len(json.loads(ended.stdout)["cells"])


if __name__ == "__main__":
    main()
