"""Training from data that stay in their file: ``python -m benchmarks.memory memory|speed|growth``.

``memory``: peak private memory of a training on a file of 20 GB, compared with one of 200 MB. Private memory excludes
the page cache of the file, which the system reclaims when needed.
``speed``: rows per second of training from a file and from an array, measured in turns.
``growth``: seconds per row of a whole fit of 10,000,000 rows and one of 100,000, from arrays and from files.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE, COLUMNS = 28, 16
WHAT = {
    "fit": "from hyotan import VAE; import numpy as np; VAE({settings}).fit(np.load({path!r}, mmap_mode='r'))",
    "command": "from hyotan.cli import main; main({words!r})",
}
SETTINGS = {
    "latent_dim": 2,
    "hidden_dims": (8,),
    "max_epochs": 1,
    "batch_size": 1024,
    "likelihood": "gaussian",
    "random_state": 0,
}
"""A network so small that reading and bookkeeping, not products, are what takes time and memory."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("measure", choices=("memory", "speed", "growth"))
    parser.add_argument("--gigabytes", nargs="+", type=float, default=[0.2, 20])
    parser.add_argument("--ways", nargs="+", choices=list(WHAT), default=list(WHAT))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="folder for the files; they are sparse and take no space")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        {"memory": memory, "speed": speed, "growth": growth}[arguments.measure](Path(folder), arguments)


# -- memory ------------------------------------------------------------------------------------------------------------


def memory(folder: Path, arguments: argparse.Namespace) -> None:
    """The peak of each way of training, for each size."""
    print("| | file | rows | most private memory | of it anonymous | seconds |\n|---|---|---|---|---|---|")
    for way in arguments.ways:
        for size in arguments.gigabytes:
            path = sparse(folder / f"{size:g}.npy", int(size * 1e9) // SIDE**2)
            private, anonymous, seconds = watched([sys.executable, "-c", program(way, path)])
            rows = len(np.load(path, mmap_mode="r"))
            print(f"| {way} | {size:g} GB | {rows:,} | {private:,} MB | {anonymous:,} MB | {seconds:.0f} |", flush=True)


def sparse(path: Path, rows: int) -> Path:
    """A file of black images that takes no room on the disk; a few are not black, or there were nothing to learn."""
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (rows, SIDE, SIDE))
    images[:: max(1, rows // 1000)] = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE))
    images.flush()
    return path


def program(way: str, path: Path) -> str:
    """What the process to be watched runs."""
    settings = ", ".join(f"{name}={value!r}" for name, value in SETTINGS.items())
    flags = [f"--{name.replace('_', '-')}={str(value).strip('(),')}" for name, value in SETTINGS.items()]
    words = ["fit", str(path), "--model", "vae", "--out", str(path.with_suffix("")), *flags]
    return WHAT[way].format(path=str(path), settings=settings, words=words)


def watched(command: list[str]) -> tuple[int, int, float]:
    """The most private and the most anonymous memory of a process, in MB, and how long it took."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most = {"Private": 0, "Anonymous": 0}
    while process.poll() is None:
        for name in most:
            most[name] = max(most[name], held(process.pid, name))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"failed: {command}")
    return most["Private"] // 1024, most["Anonymous"] // 1024, time.perf_counter() - started


def held(pid: int, name: str) -> int:
    """Memory of a kind that a process holds, in KiB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = [line for line in text.splitlines() if line.startswith((f"{name}_", f"{name}:"))]
    return sum(int(line.split()[1]) for line in lines if "Hugetlb" not in line)


# -- speed -------------------------------------------------------------------------------------------------------------


def speed(folder: Path, arguments: argparse.Namespace) -> None:
    """Rows a second, median of the rounds, of the default VAE and of one with hardly anything to compute."""
    from hyotan import VAE

    rows = int(arguments.gigabytes[0] * 1e9) // SIDE**2
    path = folder / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (rows, SIDE, SIDE), dtype=np.uint8))
    sources = {"array": np.load(path), "file": np.load(path, mmap_mode="r")}
    for name, network in {"784-512-256-16": {}, "784-8-2, batch 1024": SETTINGS}.items():
        how = {"max_epochs": 1, "random_state": 0, **network}
        found: dict[str, list[float]] = {source: [] for source in sources}
        for number in range(arguments.rounds + 1):
            for source, X in sources.items():
                fitted = VAE(**how).fit(X)
                if number:  # the first round warms up
                    found[source].append(0.9 * rows / fitted.train_seconds_)
        array, file = (statistics.median(found[source]) for source in sources)
        print(f"{name}: array {array:,.0f} rows/s, file {file:,.0f} rows/s, {file / array:.2f} of it", flush=True)


# -- growth ------------------------------------------------------------------------------------------------------------


def growth(folder: Path, arguments: argparse.Namespace) -> None:
    """Seconds of a whole fit a row, of many rows over few, in one process each, in turn."""
    sizes = (100_000, 10_000_000)
    for rows in sizes:
        np.save(folder / f"{rows}.npy", np.random.default_rng(0).normal(size=(rows, COLUMNS)).astype(np.float32))
    for mode in (None, "r"):
        found: dict[int, list[float]] = {rows: [] for rows in sizes}
        for _ in range(arguments.rounds):
            for rows in sizes:
                found[rows].append(_seconds_a_row(folder / f"{rows}.npy", rows, mode))
        few, many = (statistics.median(found[rows]) for rows in sizes)
        source, both = "file" if mode else "array", f"{1e6 * few:.2f} and {1e6 * many:.2f} µs a row"
        print(f"{source}: {both} of 100,000 and 10,000,000 rows, {many / few:.2f} times as much", flush=True)


def _seconds_a_row(path: Path, rows: int, mode: str | None) -> float:
    how = {**SETTINGS, "batch_size": 256}
    code = (
        "import time, numpy as np; from hyotan import Autoencoder\n"
        f"X = np.load({str(path)!r}, mmap_mode={mode!r})\nAutoencoder(**{how!r}).fit(np.array(X[:1000]))\n"
        f"started = time.perf_counter(); Autoencoder(**{how!r}).fit(X); print(time.perf_counter() - started)"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=os.environ)
    return float(answer.stdout) / rows


if __name__ == "__main__":
    main()
