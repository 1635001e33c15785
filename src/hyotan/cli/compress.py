"""``hyotan compress``: rows to a small file of quantised codes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hyotan.cli.options import option
from hyotan.cli.output import table
from hyotan.cli.uses import Record, Used, use
from hyotan.parameters.domains import Real

COMPARED_ROWS, PCA_ROWS = 2000, 20_000
"""Rows, evenly spread, that PCA and lossless files are tried on, and training rows that PCA is fitted on."""


@use("compressed.hyc", endings=())
@option("--bits", "Mean bits per value of the code.  [6]", Real(0, 20, True), metavar="B")
@option("--mse", "Instead of --bits: the largest MSE per feature.", Real(above=True), metavar="E")
def compress(used: Used, bits: float | None, mse: float | None) -> Record:
    """Write the rows of SOURCE (by default the run's own test rows) as quantised, entropy-coded codes.

    hyotan decompress needs the model to restore them.

    Examples
    --------
    hyotan compress runs/mnist-ae-1
    hyotan compress runs/mnist-ae-1 new.npy --bits 4 -o new.hyc
    hyotan compress runs/table-ae-1 new.csv --mse 0.01 -o new.hyc
    """
    from hyotan.compression.codec import compress as to_bytes
    from hyotan.compression.codec import describe
    from hyotan.files.atomic import write_bytes_atomically

    X = used.dataset.X
    # Where the model lies, seen from the file's folder: both can be moved together.
    model = Path(os.path.relpath(used.path.resolve(), used.file.resolve().parent)).as_posix()
    blob = to_bytes(used.estimator, X, bits=bits, mse=mse, run=model)
    write_bytes_atomically(used.file, blob)
    used.files.append(used.file)
    described = describe(blob)
    size = 8 * len(blob) / described.rows
    record: Record = {
        "rows": described.rows,
        "bytes": len(blob),
        "bits_per_row": size,
        "coded_bits_per_row": described.coded_bits,
        "mse": described.mse,
        "mse_of_model": described.mse_of_model,
        "ratio": 8 * X.nbytes / described.rows / size,
    }
    if used.printer.talks or used.printer.as_json:
        record |= _beside_others(used, described.coded_bits, described.mse)
    used.say(*_lines(record))
    return record


def _beside_others(used: Used, bits: float, mse: float) -> Record:
    """What the model's file takes, what PCA does with as many bits or with the same error, what lossless files take."""
    import numpy as np

    from hyotan.compression.rate_distortion import bits_at, lossless_bits, mse_at, pca_rates
    from hyotan.data.stored import evenly
    from hyotan.estimators.store import file_of

    model = file_of(used.path)
    X = used.dataset.X
    rows = np.asarray(X)[evenly(len(X), COMPARED_ROWS)]
    found: dict[str, Any] = {"model_bytes": model.stat().st_size, "lossless_bits_per_row": lossless_bits(rows)}
    if used.run is None:
        return found
    train = used.run.split_data()[0].X
    train = train[evenly(len(train), PCA_ROWS)]
    estimator = used.estimator
    bounded = bool(estimator.range_[0] >= 0 and estimator.range_[1] <= 1)
    pca = pca_rates(estimator.in_range(train), estimator.in_range(rows), bounded)
    return found | {"pca_mse_at_same_bits": mse_at(pca, bits), "pca_bits_at_same_mse": bits_at(pca, mse)}


def _lines(record: Record) -> list[str]:
    rows, coded, mse = record["rows"], record["coded_bits_per_row"], record["mse"]
    beside = [
        ("this file", record["bits_per_row"], mse),
        ("its codes alone", coded, mse),
        ("PCA, as many bits", coded, record.get("pca_mse_at_same_bits")),
        ("PCA, the same error", record.get("pca_bits_at_same_mse"), mse),
        *((name, bits, 0) for name, bits in record.get("lossless_bits_per_row", {}).items()),
    ]
    known = [(name, bits, error) for name, bits, error in beside if bits is not None and error is not None]
    lines = [[name, _bits(bits), f"{error:.5f}" if error else "0"] for name, bits, error in known]
    said = [
        f"{rows:,} rows in {record['bytes']:,} bytes, 1/{record['ratio']:.0f} of their size in memory",
        f"MSE of the model itself, without quantisation: {record['mse_of_model']:.5f}",
    ]
    if model := record.get("model_bytes"):
        said.append(f"not counted: the model, {model:,} bytes ({_bits(8 * model / rows)} bits for each of these rows)")
    return [*table([["", "bits a row", "MSE a feature"], *lines], right=(1, 2)), *said]


def _bits(bits: float) -> str:
    return f"{bits:,.1f}" if bits < 1000 else f"{bits:,.0f}"
