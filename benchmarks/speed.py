"""Training speed, compared with other trainers and with the matrix products alone: ``python -m benchmarks.speed``.

Each contestant runs in a process of its own that stays alive, and they take turns round by round, so that any other
load affects all of them. A figure is the rows per second of the additional epochs of a longer training: set-up,
compilation and saving are excluded for everyone. Each trains for as many epochs as fill ``--seconds``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.guard import share, too_slow
from benchmarks.machine import machine, table
from benchmarks.networks import NETWORKS

ROOT = Path(__file__).parent.parent

TRIES = 10
"""How often a difference is taken that comes out negative."""

Rates = dict[str, list[float]]
"""Rows a second by contestant, a number a round."""


def main() -> None:
    """Measure and print, as a worker or as the one who asks them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--batches", nargs="+", type=int, help="batch sizes  [each network's own]")
    parser.add_argument("--contestants", nargs="+", help="default: all whose packages are installed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="shortest time of a measured difference")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--quick", action="store_true", help="a quick look: 3 short rounds with few rows, without the guard"
    )
    parser.add_argument("--out", type=Path, help="write the figures as JSON, for benchmarks.figure")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 3, 0.3
    if arguments.worker is not None:
        work(arguments)
    else:
        compare(arguments)


# -- one contestant ----------------------------------------------------------------------------------------------------


def work(arguments: argparse.Namespace) -> None:
    """Answer each line of standard input: first with how many steps an epoch had, then with rows a second."""
    import logging

    import torch

    from benchmarks.contestants import CONTESTANTS
    from benchmarks.tasks import Task, rows_of

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    network = NETWORKS[arguments.networks[0]]
    n_rows = network.rows // (4 if arguments.quick else 1)
    task = Task(network, rows_of(n_rows, network.side), arguments.batches[0])
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a trainer prints is no answer
    train = CONTESTANTS[arguments.worker](task)
    epochs = 0
    for _ in sys.stdin:
        if not epochs:
            answer: Any = steps_and_weights(train)
            epochs = enough_epochs(train, arguments.seconds)
        else:
            answer = epochs * len(task.rows) / difference(train, epochs)
        print(json.dumps(answer), file=answers, flush=True)


def steps_and_weights(train: Any) -> tuple[int, int]:
    """How often an optimizer stepped in one epoch, and how many numbers it changes."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from hyotan.training import optimizers

    found = []

    def count(optimizer: Any, *_: Any) -> None:
        found.append(sum(weight.numel() for group in optimizer.param_groups for weight in group["params"]))

    hook = register_optimizer_step_post_hook(count)
    with patch.dict(optimizers.FUSED, clear=True):  # hooks see the steps that torch itself takes
        train(1)
    hook.remove()
    return len(found), max(found, default=0)


def enough_epochs(train: Any, seconds: float) -> int:
    """So many more epochs as a difference must have to take that long; a pause of the machine must not stand in."""
    epochs = 1
    while (found := min(difference(train, epochs) for _ in range(2))) < seconds:
        epochs = math.ceil(epochs * min(8, 1.1 * seconds / found))
    return epochs


def difference(train: Any, epochs: int) -> float:
    """Seconds that so many epochs more take than one epoch; measured again where something else held up the one."""
    for _ in range(TRIES):
        shorter, longer = seconds_of(train, 1), seconds_of(train, 1 + epochs)
        if longer > shorter:
            return longer - shorter
    raise SystemExit("The machine is too busy: one epoch took longer than several.")


def seconds_of(train: Any, epochs: int) -> float:
    """Seconds that a whole training takes."""
    started = time.perf_counter()
    train(epochs)
    return time.perf_counter() - started


# -- all of them -------------------------------------------------------------------------------------------------------


def compare(arguments: argparse.Namespace) -> None:
    """Let them take turns, network by network; print a table each, then one for all, then what became too slow."""
    from benchmarks.contestants import able
    from benchmarks.tasks import source

    where = f"{machine(arguments.threads)}; {arguments.rounds} rounds of {arguments.seconds:g} s; rows: {source()}"
    print(where, flush=True)
    cases: list[dict[str, Any]] = []
    for name in arguments.networks:
        able_here = able(NETWORKS[name])
        names = [who for who in arguments.contestants or able_here if who in able_here]
        for batch in arguments.batches or NETWORKS[name].batches:
            rates = race(names, name, batch, arguments)
            cases.append({"network": name, "batch": batch, "rates": rates})
            print(f"\n{name}, batch {batch}: rows a second\n\n{detail(rates)}", flush=True)
            if arguments.out is not None:
                arguments.out.write_text(json.dumps({"where": where, "cases": cases}, indent=1), encoding="utf-8")
    print(f"\nAll, in thousand rows a second, and the share of the limit:\n\n{summary(cases)}")
    slow = [text for case in cases if (text := too_slow(case["network"], case["batch"], case["rates"]))]
    if slow and not arguments.quick:
        raise SystemExit("\n" + "\n".join(slow))


def race(names: list[str], network: str, batch: int, arguments: argparse.Namespace) -> Rates:
    """Everyone's figures, round by round, after one that counts their steps and warms up."""
    common = [sys.executable, "-m", "benchmarks.speed", "--networks", network, "--batches", str(batch)]
    common += ["--threads", str(arguments.threads), "--seconds", str(arguments.seconds)]
    common += [*(["--quick"] if arguments.quick else []), "--worker"]
    # Progress bars take time, and where workers share a terminal's output they would be taken for the table.
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "cwd": ROOT}
    how["env"] = {**os.environ, "TQDM_DISABLE": "1"}
    workers = {name: subprocess.Popen([*common, name], **how) for name in names}  # type: ignore[call-overload]

    def ask(name: str) -> Any:
        workers[name].stdin.write("again\n")
        workers[name].stdin.flush()
        answer = workers[name].stdout.readline()
        if not answer:
            raise SystemExit(f"{name} failed; see why: echo | {' '.join([*common, repr(name)])}")
        return json.loads(answer)

    try:
        counted = {name: tuple(ask(name)) for name in names}
        refuse_other_work(counted)
        rounds = [{name: ask(name) for name in names} for _ in range(arguments.rounds)]
    finally:
        for worker in workers.values():
            worker.kill()
    return {name: [rates[name] for rates in rounds] for name in names}


def refuse_other_work(counted: dict[str, tuple[int, int]]) -> None:
    """Stop where one takes other steps, or trains another number of weights, than the bare loop."""
    expected = counted.get("bare loop")
    for name, found in counted.items():
        # The limits have no optimizer, and who steps without torch's cannot be counted.
        if expected is not None and found[0] and found != expected:
            raise SystemExit(
                f"{name} took {found[0]:,} steps with {found[1]:,} weights an epoch; the bare loop took "
                f"{expected[0]:,} with {expected[1]:,}: their speeds cannot be compared."
            )


# -- tables ------------------------------------------------------------------------------------------------------------


def limit_of(medians: dict[str, float]) -> float | None:
    """The faster of the float32 limits; None where none was measured."""
    from benchmarks.contestants import LIMITS

    return max((medians[name] for name in LIMITS if name in medians), default=None)


def detail(rates: Rates) -> str:
    """One network's table: medians, ranges, shares of the limit and of the bare loop."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    limit, bare = limit_of(medians), medians.get("bare loop")

    def of(whole: float | None, name: str) -> str:
        return "–" if whole is None else f"{medians[name] / whole:.2f}"

    rows = [
        [name, f"{medians[name]:,.0f}", f"{min(values):,.0f} to {max(values):,.0f}", of(limit, name), of(bare, name)]
        for name, values in rates.items()
    ]
    text = table(["", "median", "range", "of the limit", "of the bare loop"], rows)
    ours = share(rates)
    return text if ours is None else f"{text}\n\nhyotan by the bare loop, median of the rounds: {ours:.3f}"


def summary(cases: list[dict[str, Any]]) -> str:
    """The table for the README: contestants down, networks across."""
    names = list(dict.fromkeys(name for case in cases for name in case["rates"]))
    heads = [case["network"] + (f", batch {case['batch']:,}" if case["batch"] != 128 else "") for case in cases]
    rows = []
    for name in names:
        cells = []
        for case in cases:
            medians = {who: statistics.median(values) for who, values in case["rates"].items()}
            limit = limit_of(medians)
            rate = f"{medians[name] / 1000:.3g}" if name in medians else "–"
            cells.append(f"{rate} ({medians[name] / limit:.0%})" if limit and name in medians else rate)
        rows.append([f"**{name}**" if name == "hyotan" else name, *cells])
    return table(["", *heads], rows)


if __name__ == "__main__":
    main()
