"""``hyotan score``: how likely each row is, how often one as odd is met by chance, and which values make it odd."""

from __future__ import annotations

from hyotan.cli.options import option, switch
from hyotan.cli.uses import Record, Used, use
from hyotan.parameters.domains import Real


@use("scores.csv", detectors=True)
@switch("--p-values", "How often one of the run's own test rows is as odd.")
@option("--fdr", "Mark odd rows, at most this share of them falsely.", Real(0, 1, True), metavar="RATE")
def score(used: Used, p_values: bool, fdr: float | None) -> Record:
    """Score each row of SOURCE (by default the run's own test rows) in nats: higher is more like the training data.

    RUN is a run, a model file, or what hyotan detect has left. Beside each of the oddest rows stand the values that add
    most to its reconstruction loss.

    Examples
    --------
    hyotan score runs/mnist-vae-1
    hyotan score runs/table-ae-1 new.csv -o scores.csv
    hyotan score runs/table-detector-1 new.csv --fdr 0.1
    """
    import numpy as np

    from hyotan.cli.oddness import flagged, judged, scored, told, values_by, values_by_detector

    dataset = used.dataset
    rows = used.estimator.encode_rows(dataset.X)
    if used.is_detector:
        columns = judged(used.estimator, rows, fdr)
        values = values_by_detector(used.estimator, rows, dataset.X, used.columns)
        head = flagged(used.estimator, columns, fdr)
    else:
        columns, values = scored(used, rows, p_values, fdr), values_by(used, rows)
        head = f"{len(dataset.X):,} rows, mean {columns['score'].mean():.2f} nats; the oddest:"
    used.write(np.column_stack([*columns.values()]), [*columns], dataset.named_rows())
    record = told(used.printer, head, columns, dataset, values)
    if "odd" in columns and not used.is_detector:
        used.say(f"{record['odd']:,} rows are odd together, at most {fdr:.0%} of them falsely")
    return record
