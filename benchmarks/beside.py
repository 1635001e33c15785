"""Two source trees side by side: training, a study, start-up and peak memory, each measured in turns.

``python -m benchmarks.beside --src OLD/src --beside NEW/src`` runs each task in a process of its own, with one tree and
then with the other, and prints medians and the median of the ratios, new over old. Tasks use the public face alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PREPARE = """
import json, resource, sys, time
import numpy as np
from sklearn.datasets import load_digits
rows = np.random.default_rng(0).random((20_000, 784), dtype=np.float32)
digits, labels = load_digits(return_X_y=True)
def done(seconds):
    print(json.dumps({"seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

FIT = """
model = {make}
model.fit({rows})
done(model.train_seconds_)
"""

TASKS: dict[str, str | list[str]] = {
    "training: VAE 784-400-20": PREPARE
    + "from hyotan import VAE\n"
    + FIT.format(make="VAE(20, hidden_dims=(400,), batch_size=128, max_epochs=4, random_state=0)", rows="rows"),
    "training: autoencoder 784-512-256-20": PREPARE
    + "from hyotan import Autoencoder\n"
    + FIT.format(make="Autoencoder(20, batch_size=128, max_epochs=4, random_state=0)", rows="rows"),
    "training: small VAE on digits": PREPARE
    + "from hyotan import VAE\n"
    + FIT.format(make="VAE(4, max_epochs=40, random_state=0)", rows="digits"),
    "training: CVAE on digits": PREPARE
    + "from hyotan import CVAE\n"
    + FIT.format(make="CVAE(4, max_epochs=10, random_state=0)", rows="digits, labels"),
    "fit, whole: detector on digits": PREPARE
    + "from hyotan import AnomalyDetector\n"
    + "start = time.perf_counter()\nAnomalyDetector(random_state=0).fit(digits)\ndone(time.perf_counter() - start)",
    "transform and score": PREPARE
    + "from hyotan import VAE\nmodel = VAE(20, max_epochs=1, random_state=0).fit(rows[:5000])\n"
    + "start = time.perf_counter()\nmodel.transform(rows)\nmodel.reconstruct(rows)\nmodel.score_samples(rows[:2000])\n"
    + "done(time.perf_counter() - start)",
    "study of digits": ["study", "digits", "--sizes", "2,8", "--repeats", "2", "--epochs", "15", "--out", "{folder}"],
    "command: --help": ["--help"],
    "command: fit --help": ["fit", "--help"],
    "command: info digits": ["info", "digits"],
    "command: fit digits": ["fit", "digits", "--max-epochs", "3", "--out", "{folder}"],
}
"""What is measured: a program that calls ``done``, or a command's words, of which the whole process is timed."""

COMMAND = """
import resource, subprocess, sys, time, json
start = time.perf_counter()
words = [sys.executable, "-c", "from hyotan.cli import main; main()", *sys.argv[1:]]
subprocess.run(words, check=True, capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"seconds": time.perf_counter() - start, "mb": used.ru_maxrss / 1024}))
"""


def measured(task: str | list[str], source: Path) -> dict[str, float]:
    """Seconds and megabytes of a task with the package of a source tree."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-c", task]
        if isinstance(task, list):
            words = [sys.executable, "-c", COMMAND, *(word.format(folder=Path(folder) / "out") for word in task)]
        environment = {**os.environ, "PYTHONPATH": str(source.resolve())}
        done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure in turns, print a row a task."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    parser.add_argument("--src", type=Path, required=True, help="the folder above the one package, such as OLD/src")
    parser.add_argument("--beside", type=Path, required=True, help="the folder above the other one")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each  [5]")
    parser.add_argument("--only", help="tasks whose name holds this")
    given = parser.parse_args()
    print(f"{'':38s} {'s, old':>8s} {'s, new':>8s} {'ratio':>6s}   {'MB, old':>8s} {'MB, new':>8s} {'ratio':>6s}")
    for name, task in TASKS.items():
        if given.only and given.only not in name:
            continue
        pairs = [(measured(task, given.src), measured(task, given.beside)) for _ in range(given.rounds)]
        cells = []
        for unit in ("seconds", "mb"):
            old, new = (statistics.median(pair[i][unit] for pair in pairs) for i in (0, 1))
            ratio = statistics.median(pair[1][unit] / pair[0][unit] for pair in pairs)
            cells.append(f"{old:8.2f} {new:8.2f} {ratio:6.3f}")
        print(f"{name:38s} {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
