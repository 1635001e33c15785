"""Recommendations of studies of one dataset that differ only in their seeds: sizes should agree within a factor of 2.

If the dataset has labels, the accuracy of K-means on the recommended codes of the test rows is given for each study.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from hyotan import Study
from hyotan.study.cells import interval
from hyotan.study.choices import Option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("source", nargs="?", default="digits")
    parser.add_argument("--studies", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=["ae", "vae"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 16, 32])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="save the studies in this folder, and resume those that are there")


def measure(arguments: argparse.Namespace) -> None:
    """Study again and again."""
    chosen: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        parent = arguments.keep or Path(temporary)
        for number in range(arguments.studies):
            folder = parent / f"study-{number}"
            grid: dict[str, Any] = {"models": arguments.models, "sizes": arguments.sizes, "repeats": arguments.repeats}
            grid["precision"] = arguments.precision
            seed = 100 * number
            exists = (folder / "study.toml").is_file()
            study = Study.open(folder) if exists else Study(arguments.source, **grid, random_state=seed, out=folder)
            study.run()
            for choice in study.recommendation.choices:
                option = choice.chosen
                said = choice.verdict if option is None else f"{option.model} {option.latent_dim}"
                chosen.setdefault(choice.purpose, []).append(said)
                print(
                    f"study {number}, to {choice.purpose}: {said} ({choice.verdict}{named(study, option)})", flush=True
                )
    for purpose, options in chosen.items():
        print(f"== to {purpose}: {', '.join(options)}")


def named(study: Study, option: Option | None) -> str:
    """The share of the test rows' labels that K-means on an option's codes names right; nothing where it is unknown."""
    if option is None:
        return ""
    found = interval(study.cells, option.model, option.latent_dim, "accuracy", "test")
    return "" if found is None else f", K-means names {found.mean:.3f} right"
