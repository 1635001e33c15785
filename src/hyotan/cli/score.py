"""``hyotan score``: how likely each row is, with p-values, and which values make it anomalous."""

from __future__ import annotations

from hyotan.cli.options import option, switch
from hyotan.cli.uses import Record, Used, use
from hyotan.parameters.domains import Real


@use("scores.csv", detectors=True)
@switch("--p-values", "Add p-values, calibrated on the run's own test rows.")
@option("--fdr", "Mark anomalies at this false discovery rate.", Real(0, 1, True), metavar="RATE")
def score(used: Used, p_values: bool, fdr: float | None) -> Record:
    """Score each row of SOURCE (by default the run's own test rows) in nats: higher is more like the training data.

    RUN is a run, a model file or a detector. The most anomalous rows are printed, each with the values that add most to
    its reconstruction loss.

    Examples
    --------
    hyotan score runs/mnist-vae-1
    hyotan score runs/table-ae-1 new.csv -o scores.csv
    hyotan score runs/table-detector-1 new.csv --fdr 0.1
    """
    import numpy as np

    from hyotan.cli.scores import explain_by_detector, explain_by_model, flagged, judged, print_scores, scored

    dataset = used.dataset
    rows = used.estimator.encode_rows(dataset.X)
    if used.is_detector:
        columns = judged(used.estimator, rows, fdr)
        explain = explain_by_detector(used.estimator, rows, dataset.X, used.columns)
        head = flagged(used.estimator, columns, fdr)
    else:
        columns, explain = scored(used, rows, p_values, fdr), explain_by_model(used, rows)
        head = f"{len(dataset.X):,} rows, mean {columns['score'].mean():.2f} nats; the most anomalous:"
    used.write(np.column_stack([*columns.values()]), [*columns], dataset.named_rows())
    record = print_scores(used.printer, head, columns, dataset, explain)
    if "odd" in columns and not used.is_detector:
        used.say(f"{record['odd']:,} rows are anomalies, at most {fdr:.0%} of them false alarms")
    return record
