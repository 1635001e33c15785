"""Synthetic tables: accuracy of a classifier trained on them compared with real rows, fidelity, and privacy.

Each table is split at random several times: 60 % training rows, from which as many synthetic rows are made, 20 % held
out for the privacy check, and 20 % to test the classifiers. ``bootstrap`` resamples training rows and has to fail the
privacy check; ``columns`` samples each column independently and has to be useless.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from hyotan import VAE, Autoencoder
from hyotan.analysis.fidelity import compare_tables, compare_training
from hyotan.analysis.privacy import check_privacy
from hyotan.data.delimited import read_table
from hyotan.metrics import some_rows

TARGETS = {"penguins": "species", "titanic": "survived", "diamonds": "cut"}
"""The tables, and what a classifier is to learn of each."""
NOT_GIVEN = {"titanic": ["alive"]}
"""Columns that are the target under another name."""

Synthesise = Callable[[pa.Table, int, int], pa.Table]
"""Training rows, how many rows to make, and a seed, to new rows."""


def bootstrap(train: pa.Table, n: int, seed: int) -> pa.Table:
    """Training rows, drawn with replacement."""
    return train.take(np.random.default_rng(seed).integers(train.num_rows, size=n))


def columns(train: pa.Table, n: int, seed: int) -> pa.Table:
    """Each column drawn for itself."""
    random = np.random.default_rng(seed)
    drawn = [column.take(random.integers(train.num_rows, size=n)) for column in train.columns]
    return pa.table(drawn, names=train.column_names)


def by(family: type[Autoencoder | VAE]) -> Synthesise:
    """Rows of a model with its defaults."""

    def synthesise(train: pa.Table, n: int, seed: int) -> pa.Table:
        return family(random_state=seed).fit(train).sample(n, random_state=seed)

    return synthesise


MODELS: dict[str, Synthesise] = {
    "vae": by(VAE),
    "autoencoder": by(Autoencoder),
    "bootstrap": bootstrap,
    "columns": columns,
}
"""Every way to make a table; a model of tables is one more line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--tables", nargs="+", default=[*TARGETS], choices=TARGETS)
    parser.add_argument("--models", nargs="+", default=[*MODELS], choices=MODELS)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000, help="maximum number of rows per table")
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("HYOTAN_DATA", ".")) / "tables")


def split(table: pa.Table, seed: int) -> list[pa.Table]:
    """Training, held-out and test rows."""
    order = np.random.default_rng(seed).permutation(table.num_rows)
    ends = [round(share * table.num_rows) for share in (0.6, 0.8)]
    return [table.take(rows) for rows in np.split(order, ends)]


def measure(arguments: argparse.Namespace) -> None:
    """Make each table and judge it."""
    for name in arguments.tables:
        table = read_table((arguments.folder / f"{name}.csv").read_bytes(), ",")[0].drop_columns(
            NOT_GIVEN.get(name, [])
        )
        table = table.take(some_rows(table.num_rows, arguments.rows))
        for model in arguments.models:
            found = [judged(table, name, model, seed) for seed in range(arguments.splits)]
            real, made, distance, difference, detection, passed = np.mean(found, axis=0)
            print(
                f"== {name}, {model}: balanced accuracy {made:.3f} of {real:.3f} ({made / real:.1%}), "
                f"columns {distance:.3f}, pairs {difference:.3f}, told apart {detection:.3f}, "
                f"private {passed * arguments.splits:.0f} of {arguments.splits}",
                flush=True,
            )


def judged(table: pa.Table, name: str, model: str, seed: int) -> list[float]:
    """The figures of one split, which are printed too."""
    target = TARGETS[name]
    train, held_out, test = split(table, seed)
    made = MODELS[model](train, train.num_rows, seed)
    useful = compare_training(train, made, test, target, random_state=seed)
    like = compare_tables(train, made, categories=[target], random_state=seed)
    private = check_privacy(train, held_out, made, categories=[target], random_state=seed)
    print(
        f"{name}, {model}, split {seed}: balanced accuracy {useful.synthetic:.3f} of {useful.real:.3f}; "
        f"close {private.close:.3f}, expected {private.expected:.3f}, passed {private.passed}",
        flush=True,
    )
    return [useful.real, useful.synthetic, like.mean_distance, like.mean_difference, like.detection, private.passed]
