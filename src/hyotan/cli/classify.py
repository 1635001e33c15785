"""``hyotan classify``: the label of each row."""

from __future__ import annotations

from hyotan.cli.uses import Record, Used, use


@use("labels.csv", endings=(".csv", ".tsv"))
def classify(used: Used) -> Record:
    """Predict the label of each row of SOURCE (by default the run's own test rows), with its probability (cvae).

    Examples
    --------
    hyotan classify runs/mnist-cvae-1
    hyotan classify runs/table-cvae-1 new.csv -o labels.csv
    """
    import numpy as np
    import pyarrow as pa

    from hyotan.data.frames import Frame

    classes = used.able(
        "classes_",
        f"{used.path} holds {used.kind}, which predicts no labels.",
        "Train a model that does: hyotan fit SOURCE --model cvae",
    )
    probabilities = used.estimator.predict_proba(used.dataset.X)
    labels = classes[probabilities.argmax(axis=1)]
    used.write(Frame(pa.table({"label": labels.tolist(), "probability": probabilities.max(axis=1)})))
    used.say(f"{len(labels):,} rows, {len(np.unique(labels)):,} different labels")
    record: Record = {"rows": len(labels)}
    if (y := used.dataset.y) is not None and (known := np.isin(y, classes)).any():
        record["error"] = float(np.mean(labels[known] != y[known]))
        used.say(f"{100 * record['error']:.2f} % of {known.sum():,} known labels are predicted wrongly")
    return record
