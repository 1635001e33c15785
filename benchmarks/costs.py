"""Training time against rows, latent size and width: ``python -m benchmarks.costs``.

Results are seconds per epoch and 100,000 rows, so that a cost proportional to the rows is constant. The network is an
autoencoder of 784-512-256-20 unless noted, with batch size 128. Each figure is the median epoch of one training without
the first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import machine, table
from benchmarks.tasks import rows_of, source

HIDDEN, LATENT = (512, 256), 20
ROWS = (10_000, 100_000, 1_000_000)
MAPPED = 10_000_000
"""Rows of --full, in a file of 7.8 GB that is mapped."""

LATENTS = (2, 8, 32, 128, 512)
WIDTHS = (64, 128, 256, 512, 1024, 2048)
PER = 100_000


def main() -> None:
    """Measure and print three tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="numbers of rows in the first table")
    parser.add_argument("--full", action="store_true", help=f"also {MAPPED:,} rows, mapped from a file")
    parser.add_argument("--folder", help="folder for that temporary file  [the system's]")
    parser.add_argument("--few", type=int, default=20_000, help="rows in the other tables")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{machine(arguments.threads)}; rows: {source()}; seconds an epoch for {PER:,} rows")
    for name in arguments.tables:
        print(f"\n{table([name, 'seconds', 'range', 'weights'], list(TABLES[name](arguments)))}", flush=True)


def against_rows(arguments: argparse.Namespace) -> Iterator[list[str]]:
    """More rows of the same network."""
    for n in arguments.rows:
        # A million rows make an epoch long enough by itself.
        yield line(f"{n:,}", pictures(n), HIDDEN, LATENT, 3 if n >= 10 * PER else arguments.epochs)
    if arguments.full:
        with mapped(MAPPED, arguments.folder) as rows:
            yield line(f"{MAPPED:,}, mapped", rows, HIDDEN, LATENT, 2)


def against_latent(arguments: argparse.Namespace) -> Iterator[list[str]]:
    """Larger codes."""
    rows = pictures(arguments.few)
    yield from (line(str(size), rows, HIDDEN, size, arguments.epochs) for size in LATENTS)


def against_width(arguments: argparse.Namespace) -> Iterator[list[str]]:
    """A wider hidden layer, one each side."""
    rows = pictures(arguments.few)
    yield from (line(str(width), rows, (width,), LATENT, arguments.epochs) for width in WIDTHS)


TABLES = {"rows": against_rows, "latent size": against_latent, "width": against_width}


def pictures(n: int) -> np.ndarray:
    """So many digits, (n, 28, 28), uint8."""
    return rows_of(n).reshape(n, 28, 28)


@contextmanager
def mapped(n: int, folder: str | None) -> Iterator[np.ndarray]:
    """So many digits in a file, mapped into memory for reading; the file is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "rows.npy"
        file = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, 28, 28))
        some = pictures(min(n, PER))
        for start in range(0, n, len(some)):
            file[start : start + len(some)] = some[: n - start]
        file.flush()
        del file
        yield np.load(path, mmap_mode="r")


def line(name: str, rows: np.ndarray, hidden: Iterable[int], latent: int, epochs: int) -> list[str]:
    """A line of a table: the median of the epochs after the first, their range, the number of weights."""
    from hyotan import Autoencoder

    found: Any = Autoencoder(
        latent, hidden_dims=tuple(hidden), architecture="mlp", batch_size=128, max_epochs=epochs,
        validation_fraction=0, device="cpu", random_state=0,
    ).fit(rows)  # fmt: skip
    seconds = [PER / len(rows) * epoch["seconds"] for epoch in found.history_][1:]
    weights = sum(weight.numel() for weight in found.model_.parameters())
    return [name, f"{statistics.median(seconds):.2f}", f"{min(seconds):.2f} to {max(seconds):.2f}", f"{weights:,}"]


if __name__ == "__main__":
    main()
