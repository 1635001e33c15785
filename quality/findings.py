"""The articles' findings on MNIST, reproduced or not, as a Markdown table.

The findings that compare AE, VAE and CVAE use a study with the article's preset. Those of the shallow networks use
trainings of their recipes, which are not part of the study.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from hyotan import Autoencoder, Study, recipes
from hyotan.data import load
from hyotan.study import sentences
from hyotan.study.replications import SIMPLE, TIED, Experiments, Observations, findings

SHALLOW = ((SIMPLE, 2), (SIMPLE, 20), (TIED, 20))
"""Recipes and sizes that the lecture notes compare."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--study", type=Path, help="a finished or stopped study with the article's preset")
    parser.add_argument("--epochs", type=int, default=180, help="epochs of the study, if none is given")
    parser.add_argument("--repeats", type=int, default=2, help="trainings of each recipe, with different seeds")


def measure(arguments: argparse.Namespace) -> None:
    """Study, train the recipes, compare with the articles."""
    if arguments.study is not None:
        study = Study.open(arguments.study)
    else:
        study = Study("mnist", preset="article", max_epochs=arguments.epochs, precision=arguments.precision)
    numbers = study.path / "data" / "experiments.json"
    if not numbers.is_file():
        study.run()
    known = json.loads(numbers.read_text(encoding="utf-8"))
    kept, curves = shallow(arguments.repeats)
    print("| article | finding | here | our figures |\n|---|---|---|---|")
    for finding in findings(study.cells, replace(Experiments.from_dict(known), kept=kept, curves=curves)):
        figures = " ".join(sentences.figures_of(finding)) or "–"
        print(f"| {finding.article} | {sentences.claim(finding)} | {sentences.outcome(finding)} | {figures} |")


def shallow(repeats: int) -> tuple[list[Observations], list[Observations]]:
    """The share of the variance that the recipes' networks keep, and their held-out error after each epoch."""
    kept, curves = [], []
    for name, size in SHALLOW:
        trained = list(trainings(name, size, repeats))
        kept.append(Observations(name, size, [share for share, _ in trained]))
        if size > 2:
            curves.append(Observations(name, size, trained[0][1]))
    return kept, curves


def trainings(name: str, size: int, repeats: int) -> Iterator[tuple[float, list[float]]]:
    """For each seed the share of the test rows' variance kept, and the held-out error after each epoch."""
    data = load("mnist")
    X_test = np.asarray(data.X_test)
    for seed in range(repeats):
        settings = {**recipes.read(name).parameters, "latent_dim": size, "random_state": seed}
        estimator = Autoencoder(**settings).fit(data.X)
        rows, reconstructed = estimator.reconstruct_in_range(X_test)
        left = np.square(rows - reconstructed).mean(dtype=np.float64) / np.square(rows - rows.mean(axis=0)).mean()
        yield 1 - float(left), [row["val_mse"] for row in estimator.history_]
