"""``hyotan evaluate``: how good a run's model is."""

from __future__ import annotations

import operator
import re
from typing import Any

import click

from hyotan.cli.output import Printer, output_options
from hyotan.errors import SettingsError, did_you_mean

COMPARISONS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


@click.command(short_help="Say how good a run's model is.")
@click.argument("run", type=click.Path())
@click.option("--nll-rows", type=click.IntRange(min=0), default=500, help="Rows for a VAE's -log p(x); 0: none.  [500]")
@click.option("--nll-samples", type=click.IntRange(min=1), default=200, help="Latent samples a row.  [200]")
@click.option("--fail-if", metavar="CHECK", help="Exit 1 if this holds, such as 'mse > 0.01'.")
@output_options
def evaluate(
    run: str, nll_rows: int, nll_samples: int, fail_if: str | None, as_json: bool, quiet: bool, debug: bool
) -> int:
    r"""Evaluate a run's model on rows that it has not seen, and write metrics.json anew.

    \b
    hyotan evaluate runs/mnist-vae-1
    hyotan evaluate runs/mnist-vae-1 --nll-rows 10000 --nll-samples 500
    hyotan evaluate runs/mnist-ae-1 --fail-if "mse > 0.01"
    """
    check = None if fail_if is None else parse_check(fail_if)
    from hyotan.cli.training import verdict_lines
    from hyotan.evaluation import evaluate as evaluate_estimator
    from hyotan.runs import RunFolder, metrics_of

    printer = Printer(as_json, quiet)
    folder = RunFolder(run)
    estimator = folder.load_model()
    train, test = folder.split_data()
    evaluation = evaluate_estimator(estimator, test.X, train.X, nll_rows=nll_rows, nll_samples=nll_samples)
    record = metrics_of(estimator, evaluation)
    with folder.locked():
        folder.write_metrics(record)
    failed = check is not None and check(evaluation.to_dict())
    printer.result({"run": run, "metrics": record, "failed": failed}, verdict_lines(evaluation))
    if failed:
        printer.notice(f"The check holds: {fail_if}")
    return int(failed)


def parse_check(text: str) -> Any:
    """A function of the evaluation's record that says whether the check holds.

    Raises
    ------
    SettingsError
        Not of the form NAME OPERATOR NUMBER.
    """
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*", text)
    if match is None:
        raise SettingsError(f"--fail-if cannot be '{text}'.", "Write it as: --fail-if 'mse > 0.01'")
    name, sign, number = match.groups()

    def check(record: dict[str, Any]) -> bool:
        numbers = {key for key, value in record.items() if isinstance(value, int | float)}
        if name not in numbers:
            raise SettingsError(
                f"--fail-if names '{name}', which an evaluation does not have.", did_you_mean(name, numbers)
            )
        return COMPARISONS[sign](record[name], float(number))

    return check
