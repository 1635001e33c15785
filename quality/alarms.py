"""False alarms on new normal rows of 18 tables, compared with the nominal rate: are the p-values valid?

The detector is trained on half of the normal rows of a dataset. Among the other half, rows with a p-value at or below
each rate are counted. For an exact p-value, this count is beta-binomial, since the rows that it is calibrated with are
a sample too. The result is the share of (dataset, rate, seed) within the 99 % interval; for exact p-values, it is 99 %.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import betabinom

from hyotan import AnomalyDetector
from quality.anomalies import CHOSEN_BY, HELD_BACK, parts

RATES = (0.01, 0.05, 0.1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--sets", type=int, nargs="+", default=[*CHOSEN_BY, *HELD_BACK])
    parser.add_argument("--seeds", type=int, default=5)


def measure(arguments: argparse.Namespace) -> None:
    """Fit, and count false alarms."""
    within, rates = [], {rate: [] for rate in RATES}
    for number in arguments.sets:
        for seed in range(arguments.seeds):
            train, test, truth = parts(number, "clean", seed)
            detector = AnomalyDetector(random_state=seed).fit(train)
            p, rows = detector.p_values(test[truth == 0]), len(detector.calibration_scores_)
            for rate in RATES:
                alarms, (low, high) = int((p <= rate).sum()), interval(len(p), rows, rate)
                within.append(low <= alarms <= high)
                rates[rate].append(alarms / len(p))
                print(
                    f"{number}, seed {seed}, {rate:.0%}: {alarms} of {len(p)} ({low} to {high}, {rows} rows to measure "
                    f"with){'' if within[-1] else ' OUTSIDE'}",
                    flush=True,
                )
    measured = ", ".join(f"{np.mean(found):.4f} at {rate:.0%}" for rate, found in rates.items())
    print(f"== within the 99 % interval: {np.mean(within):.4f} of {len(within)}; mean rate {measured}")


def interval(fresh: int, rows: int, rate: float) -> tuple[int, int]:
    """Where the count of alarms lies with 99 %, of exact p-values."""
    odder = int(rate * (rows + 1) + 1e-9)
    if odder == 0:
        return 0, 0
    low, high = betabinom(fresh, odder, rows + 1 - odder).ppf([0.005, 0.995])
    return int(low), int(high)
