"""``hyotan detect``: train an anomaly detector on a source, flag its anomalies, and save the detector."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import click

from hyotan.cli.command import command
from hyotan.cli.options import SEED, data_options, given_data, option, place, switch
from hyotan.cli.output import Printer
from hyotan.parameters.domains import Choice, Integer, Real

SETTINGS = ("method", "contamination", "false_alarm_rate", "n_estimators", "held_out", "random_state")

METHODS = ("combined", "reconstruction", "neighbours", "outskirts", "gaussian")
"""The detector's methods that need no model of p(x); loading this module must not load them."""


@command()
@click.argument("source")
@option("--false-alarm-rate", "Share of normal rows that may be flagged.", Real(0, 0.5, True), 0.05, metavar="RATE")
@option("--contamination", "Flag this share of the rows of SOURCE instead.", Real(0, 0.5, above=True), metavar="SHARE")
@option("--method", "How rows are scored.", Choice(METHODS), METHODS[0], hidden=True)
@option("--n-estimators", "Models in the ensemble.", Integer(1), 8)
@option("--held-out", "Share held out for calibration.  [0.2 from 1,000 rows on]", Real(0, 0.9), metavar="SHARE")
@SEED
@place("--out", "The detector's folder.  [runs/<name>-detector-<n>]", metavar="DIR")
@switch("--overwrite", "Replace the detector in --out.")
@data_options
def detect(printer: Printer, source: str, out: str | None, overwrite: bool, **options: Any) -> None:
    """Train an anomaly detector on SOURCE, flag its anomalies, and save the detector.

    The most anomalous rows are printed, each with the columns that make it anomalous. hyotan score uses the detector on
    other rows.

    Examples
    --------
    hyotan detect table.csv
    hyotan detect table.csv --id order --false-alarm-rate 0.01
    hyotan score runs/table-detector-1 new.csv
    """
    import numpy as np

    from hyotan.anomalies import AnomalyDetector
    from hyotan.cli.scores import explain_by_detector, flagged, judged, print_scores
    from hyotan.cli.training import run_name
    from hyotan.cli.written import write_rows
    from hyotan.data import load as load_data
    from hyotan.estimators.store import DETECTOR
    from hyotan.files.folders import Folder
    from hyotan.words.phrases import counted

    class DetectorFolder(Folder):
        """The folder of a detector: its file, and what it says of the rows that it was fitted on."""

        owner = noun = "detector"
        mark, files, can_resume = DETECTOR, (DETECTOR, "detected.csv"), False

    if out is not None:
        DetectorFolder.refuse_occupied(Path(out), overwrite)  # before the training, not after
    dataset = load_data(source, **given_data(options))
    printer.describe(dataset)
    detector = AnomalyDetector(**{name: options[name] for name in SETTINGS if options[name] is not None})
    printer.notice(f"training {counted(detector.n_estimators, 'autoencoder')} …")
    rows = detector.fit(dataset.X, dataset.y).encode_rows(dataset.X)
    columns = judged(detector, rows)
    named = copy.copy(detector)
    if dataset.feature_names is not None:  # rows came as a plain array, without them
        named.feature_names_in_ = np.array(dataset.feature_names, dtype=object)
    with DetectorFolder.making(run_name(source, "detector"), out, overwrite) as folder:
        named.save(folder / DETECTOR)
        table = np.column_stack([*columns.values()])
        file = write_rows(folder / "detected.csv", table, [*columns], dataset.named_rows())
    names = [str(name) for name in dataset.feature_names or ()]
    explain = explain_by_detector(detector, rows, dataset.X, names)
    record = print_scores(printer, flagged(detector, columns), columns, dataset, explain)
    printer.result({"detector": folder, **record, "file": file}, [str(file), str(folder)])
