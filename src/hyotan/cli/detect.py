"""``hyotan detect``: learn what is usual in a source, flag its odd rows, and keep the detector."""

from __future__ import annotations

from typing import Any

import click

from hyotan.cli.command import Checked, Command
from hyotan.cli.flags import data_options
from hyotan.cli.output import Printer, output_options
from hyotan.parameters import Choice, Integer, Real

METHODS = ("combined", "reconstruction", "neighbours", "outskirts", "gaussian")
"""The detector's methods that need no model of p(x); loading this module must not load them."""


@click.command(
    cls=Command,
    examples=[
        "hyotan detect table.csv",
        "hyotan detect table.csv --id order --false-alarm-rate 0.01",
        "hyotan score runs/table-detector-1 new.csv",
    ],
)
@click.argument("source")
@click.option(
    "--false-alarm-rate",
    metavar="RATE",
    type=Checked(Real(0, 0.5, above=True)),
    default=0.05,
    help="Share of usual rows that may be flagged.  [0.05]",
)
@click.option(
    "--contamination",
    metavar="SHARE",
    type=Checked(Real(0, 0.5, above=True)),
    help="Flag this share of the rows of SOURCE instead.",
)
@click.option(
    "--method", metavar="NAME", type=Checked(Choice(METHODS)), default=METHODS[0], help="How.  [combined]", hidden=True
)
@click.option("--n-estimators", metavar="N", type=Checked(Integer(1)), default=8, help="Models in the ensemble.  [8]")
@click.option(
    "--held-out",
    metavar="SHARE",
    type=Checked(Real(0, 0.9)),
    help="Of the rows, to measure false alarms with.  [0.2 from 1,000 rows on]",
)
@click.option("--random-state", metavar="N", type=Checked(Integer(0)), default=0, help="Seed.  [0]")
@click.option("--out", metavar="DIR", type=click.Path(), help="The detector's folder.  [runs/<name>-detector-<n>]")
@click.option("--overwrite", is_flag=True, help="Replace the detector in --out.")
@data_options
@output_options
def detect(
    source: str,
    false_alarm_rate: float,
    contamination: float | None,
    method: str,
    n_estimators: int,
    held_out: float | None,
    random_state: int,
    out: str | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **options: Any,
) -> None:
    """Learn what is usual in SOURCE, flag its odd rows, and keep the detector.

    Beside each of the oddest rows stand the columns that make it odd. With hyotan score the detector judges other rows.
    """
    from hyotan.cli.detectors import fit_new

    parameters = {
        "method": method,
        "contamination": "auto" if contamination is None else contamination,
        "false_alarm_rate": false_alarm_rate,
        "n_estimators": n_estimators,
        "held_out": "auto" if held_out is None else held_out,
        "random_state": random_state,
    }
    fit_new(Printer(as_json, quiet), source, parameters, options, out, overwrite)
