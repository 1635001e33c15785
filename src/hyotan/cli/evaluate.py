"""``hyotan evaluate``: a run's model on held-out rows."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from hyotan.cli.command import command
from hyotan.cli.options import option
from hyotan.cli.output import Printer
from hyotan.errors import SettingsError, did_you_mean
from hyotan.parameters.domains import Integer

if TYPE_CHECKING:
    from hyotan.data import Dataset
    from hyotan.estimators.estimator import LatentEstimator

FEWEST_ROWS = 20
"""Of fewer test rows, neighbours say nothing."""

PCA_ROWS = 20_000
"""Training rows, evenly spread, that PCA is fitted on."""

COMPARISONS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


@command()
@click.argument("run", type=click.Path())
@option("--nll-rows", "Rows for a VAE's -log p(x); 0: none.", Integer(0), 500)
@option("--nll-samples", "Latent samples per row.", Integer(1), 200)
@option("--fail-if", "Exit 1 if this holds, such as 'mse > 0.01'.", metavar="CHECK")
def evaluate(printer: Printer, run: str, nll_rows: int, nll_samples: int, fail_if: str | None) -> int:
    """Evaluate a run's model on held-out rows, and rewrite metrics.json.

    Examples
    --------
    hyotan evaluate runs/mnist-vae-1
    hyotan evaluate runs/mnist-vae-1 --nll-rows 10000 --nll-samples 500
    hyotan evaluate runs/mnist-ae-1 --fail-if "mse > 0.01"
    """
    check = None if fail_if is None else parse_check(fail_if)
    from hyotan.analysis.evaluation import evaluate as evaluate_estimator
    from hyotan.cli.found import open_run
    from hyotan.cli.training import verdict_lines
    from hyotan.runs.run_training import metrics_of

    folder = open_run(run, "evaluate")
    estimator = folder.load_model()
    train, test = folder.split_data()
    evaluation = evaluate_estimator(estimator, test.X, train.X, y=test.y, nll_rows=nll_rows, nll_samples=nll_samples)
    record = metrics_of(estimator, evaluation)
    with folder.locked():
        folder.write_metrics(record)
    failed = check is not None and check(evaluation.to_dict())
    kept = neighbours_kept(estimator, train, test)
    lines = [*verdict_lines(evaluation, train is test), *_neighbour_lines(kept)]
    printer.result({"run": run, "metrics": record, "embedding": kept, "failed": failed}, lines)
    if failed:
        printer.notice(f"The check holds: {fail_if}")
    return int(failed)


def neighbours_kept(estimator: LatentEstimator, train: Dataset, test: Dataset) -> dict[str, Any]:
    """How well the codes of test rows, and those of PCA of the same size, keep neighbours; empty for too few rows."""
    from hyotan.analysis.embedding import beside_pca
    from hyotan.data.stored import evenly
    from hyotan.runs.run_training import without_missing
    from hyotan.study.classes import Classes

    if len(test.X) < FEWEST_ROWS:
        return {}
    classes = Classes.of(test.y)
    numbers = None if classes is None or test.y is None else classes.numbers(test.y)
    labels = None if numbers is None or (numbers < 0).any() else numbers
    some = without_missing(estimator, train.X[evenly(len(train.X), PCA_ROWS)])
    ours, pca = beside_pca(estimator, without_missing(estimator, test.X), some, labels)
    return {"ours": ours.to_dict(), "pca": pca.to_dict()}


def _neighbour_lines(kept: Mapping[str, Any]) -> list[str]:
    if not kept:
        return []
    ours, pca = kept["ours"], kept["pca"]
    measures = {"trustworthiness": "trustworthiness", "continuity": "continuity", "knn_accuracy": "5-NN accuracy"}
    said = [f"{name} {ours[key]:.3f} ({pca[key]:.3f})" for key, name in measures.items() if ours[key] is not None]
    return [f"neighbours in the code (PCA's of this size): {', '.join(said)}", ""]


def parse_check(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """A function of the evaluation's record that says whether the check holds.

    Raises
    ------
    SettingsError
        Not of the form NAME OPERATOR NUMBER.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*", text)
    if match is None:
        raise SettingsError(f"--fail-if cannot be '{text}'.", "Write it as: --fail-if 'mse > 0.01'")
    name, sign, number = match.groups()

    def check(record: Mapping[str, Any]) -> bool:
        everything = {**record, **(record.get("likelihood") or {}), **(record.get("denoising") or {})}
        numbers = {key for key, value in everything.items() if isinstance(value, int | float)}
        if name not in numbers:
            raise SettingsError(
                f"--fail-if names '{name}', which this evaluation does not have.", did_you_mean(name, numbers)
            )
        # What is not a number is no number to be content with.
        return math.isnan(everything[name]) or COMPARISONS[sign](everything[name], float(number))

    return check
