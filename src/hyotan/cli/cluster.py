"""``hyotan cluster``: clusters of rows, found in their codes."""

from __future__ import annotations

from hyotan.cli.options import SEED, option
from hyotan.cli.uses import Record, Used, use
from hyotan.errors import SettingsError
from hyotan.parameters.domains import Choice, Integer

METHODS = ("graph", "umap+mixture", "mixture", "kmeans")
"""The keys of hyotan.analysis.clustering.METHODS, which loading this module must not load."""


@use("clusters.csv")
@option("--clusters", "How many clusters.  [the number of labels]", Integer(1))
@option("--method", "graph follows neighbours; umap+mixture needs an extra; mixture; kmeans.", Choice(METHODS), "graph")
@SEED
def cluster(used: Used, clusters: int | None, method: str, random_state: int) -> Record:
    """Cluster the rows of SOURCE (by default the run's own test rows) by their codes, without using their labels.

    Examples
    --------
    hyotan cluster runs/mnist-ae-1
    hyotan cluster runs/table-ae-1 new.csv --clusters 5 -o clusters.csv
    """
    import numpy as np

    from hyotan.analysis.clustering import cluster_codes
    from hyotan.metrics import agreement
    from hyotan.study.classes import Classes

    y = used.dataset.y
    classes = Classes.of(y)
    clusters = clusters or len(classes or ())
    if not clusters:
        raise SettingsError("The rows have no labels, so the number of clusters is unknown.", "Give it: --clusters 5")
    found = cluster_codes(used.estimator.transform(used.dataset.X), clusters, method, random_state)
    used.write(found[:, None], ["cluster"])
    sizes = np.bincount(found, minlength=clusters).tolist()
    used.say(f"{len(found):,} rows in {clusters} clusters of {', '.join(f'{size:,}' for size in sizes)}")
    record: Record = {"rows": len(found), "sizes": sizes}
    if classes is not None and y is not None:
        numbers = classes.numbers(y)
        known = numbers >= 0
        agrees = agreement(numbers[known], found[known])
        record["agreement"] = {"accuracy": agrees.accuracy, "v_measure": agrees.v_measure}
        used.say(
            f"with each cluster named by its best label, {100 * agrees.accuracy:.1f} % of {known.sum():,} are right"
        )
    return record
