"""The latent size that a study of autoencoders and VAEs recommends for datasets of known dimension, over several draws.

Each draw is a whole study with sizes 1 to 8. The right answers are 3 for the linear dataset, 2 for the Swiss roll, 4 or
5 for the 4-sphere, and "nothing to compress" for noise.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from hyotan import Study
from quality import surfaces


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--sets", nargs="+", default=list(surfaces.KNOWN), choices=[*surfaces.KNOWN, *surfaces.MORE])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument(
        "--first-draw", type=int, default=0, help="number of the first draw, to continue an earlier call"
    )
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--models", nargs="+", default=["ae", "vae"])
    parser.add_argument("--repeats", type=int, default=1)


def measure(arguments: argparse.Namespace) -> None:
    """Make, study, compare."""
    known = {**surfaces.KNOWN, **surfaces.MORE}
    for name in arguments.sets:
        right = 0
        for draw in range(arguments.first_draw, arguments.first_draw + arguments.draws):
            X = known[name].make(arguments.rows, draw)
            with tempfile.TemporaryDirectory() as folder:
                study = Study(
                    X,
                    models=arguments.models,
                    sizes=range(1, 9),
                    repeats=arguments.repeats,
                    random_state=draw,
                    precision=arguments.precision,
                    out=Path(folder) / "study",
                ).run()
                headline = study.recommendation.headline
            chosen = None if headline.chosen is None else headline.chosen.latent_dim
            right += chosen in known[name].sizes if known[name].sizes else chosen is None
            print(f"{name}, draw {draw}: {headline.verdict}, size {chosen}", flush=True)
        wanted = " or ".join(map(str, sorted(known[name].sizes))) or "nothing"
        print(f"== {name}: right ({wanted}) in {right} of {arguments.draws} draws", flush=True)
