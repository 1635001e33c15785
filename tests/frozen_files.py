"""What models in frozen files are asked, and how their answers lie beside them.

`frozen/make.py` asks the code that froze the files, `test_frozen_files.py` the code of today. Both ask for what every
version has to have, and for nothing else.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from torch import nn

from command_line import done
from hyotan import load

FROZEN = Path(__file__).parent / "frozen"

TABLES = {"pandas": lambda table: table.to_pandas(), "pyarrow": lambda table: table}
"""Whose tables there are among rows and answers; the name stands behind that of an array, after a colon."""


def own_networks() -> dict[str, nn.Module]:
    """Encoder and decoder of a caller's own: a file holds their weights alone."""
    encoder = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    return {"encoder": encoder, "decoder": nn.Linear(2, 5)}


def opened(path: Path) -> Any:
    """The model or detector in a file."""
    return load(path, **(own_networks() if path.stem.startswith("own") else {}), device="cpu")


def weights(model: Any) -> np.ndarray:
    """A digest of each tensor of the network, with its type and shape, sorted: what it is called does not matter."""
    tensors = [tensor.detach().numpy() for tensor in model.model_.state_dict().values()]
    return np.array(sorted(f"{a.dtype} {a.shape} {hashlib.sha256(a.tobytes()).hexdigest()}" for a in tensors))


def answers(model: Any, X: Any) -> dict[str, Any]:
    """What a model, or a detector, says of rows; and what it makes of nothing."""
    if hasattr(model, "p_values"):
        return {name: getattr(model, name)(X) for name in ("score_samples", "p_values", "predict")}
    codes = model.transform(X)
    found = {
        "weights": weights(model),
        "transform": codes,
        "inverse_transform": model.inverse_transform(codes),
        "reconstruct": model.reconstruct(X),
        "score_samples": model.score_samples(X),
        "sample": model.sample(5, random_state=0),
    }
    if has_gaps(X):
        found["impute"] = model.impute(X)
    if hasattr(model, "predict"):
        found["predict"] = model.predict(X)
    return found


NUMBERS, ORDERS = "numbers.csv", "orders.csv"
"""Rows that runs were trained on; they lie beside a run, where its settings look for them."""

SOURCES = {"run": ORDERS}
"""What a run was trained on, where it is not `NUMBERS`."""

SETTINGS = ("config-dae", "config-cvae", "first-config", "run/config")
"""Settings of runs, which make a run again."""

STUDIES = ("study", "study-nested")


def copied(name: str, folder: Path) -> Path:
    """A frozen run or study in a folder that may be written to, beside its rows."""
    copy_sources(folder)
    return Path(shutil.copytree(FROZEN / name, folder / name))


def copy_sources(folder: Path) -> None:
    """Copy the rows that runs and studies are made of."""
    for source in (NUMBERS, ORDERS):
        shutil.copy(FROZEN / source, folder)


def said_of(run: Path) -> dict[str, np.ndarray]:
    """What the command line says of a run and of the rows beside it: a table as text, by command."""
    source = SOURCES.get(run.name, NUMBERS)
    asked = {"encode": [source], "score": [source], "sample": ["-n", 5]}
    if source == ORDERS:
        asked["impute"] = [source]
    return {command: _said(command, run, *words) for command, words in asked.items()}


def _said(command: str, run: Path, *words: object) -> np.ndarray:
    path = run.parent / f"{command}.csv"
    done(command, run, *words, "-o", path.name, "--quiet", cwd=run.parent)
    return np.array(path.read_text(encoding="utf-8"))


def gone_on(run: Path) -> dict[str, np.ndarray]:
    """Train a run to its end, or a finished one two epochs longer: its losses, and the codes of the rows beside it."""
    longer = ["--max-epochs", 4] if (run / "metrics.json").is_file() else []
    done("resume", run, *longer, "--quiet", cwd=run.parent)
    return _learned(run, SOURCES.get(run.name, NUMBERS))


def made_again(settings: str, folder: Path) -> dict[str, np.ndarray]:
    """Train a new run by settings: its losses, and the codes of its rows."""
    copy_sources(folder)
    done("fit", "--config", FROZEN / f"{settings}.toml", "--out", "new", "--quiet", cwd=folder)
    return _learned(folder / "new", ORDERS if settings == "run/config" else NUMBERS)


def found_by(study: Path) -> dict[str, Any]:
    """What a finished study measured: models, sizes and errors."""
    record = done("info", study, "--json", cwd=study.parent).record
    assert record["state"] == "finished"
    cells = [(cell["model"], cell["latent_dim"], cell["test"]["mse"]) for cell in record["cells"]]
    models, sizes, errors = zip(*[cell for cell in cells if cell[2] is not None], strict=True)
    return {"models": np.array(models), "sizes": np.array(sizes), "errors": np.array(errors)}


def _learned(run: Path, source: str) -> dict[str, np.ndarray]:
    epochs = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [[epoch["loss"], epoch["val_loss"]] for epoch in epochs]
    return {"losses": np.array(losses), "codes": _said("encode", run, source)}


def has_gaps(X: Any) -> bool:
    """Whether a value is missing."""
    if isinstance(X, np.ndarray):
        return bool(np.isnan(X).any())
    return any(column.null_count for column in as_arrow(X).columns)


# -- how they are kept -------------------------------------------------------------------------------------------------


def write_answers(path: Path, **named: Any) -> None:
    """Write rows and answers, arrays and tables, to an ``.npz`` without pickles."""
    np.savez_compressed(path, **dict(kept(name, value) for name, value in named.items()))


def read_answers(path: Path) -> dict[str, Any]:
    """What :func:`write_answers` wrote, by name."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(restored(name, arrays[name]) for name in arrays.files)


def kept(name: str, value: Any) -> tuple[str, np.ndarray]:
    """A name and an array that stand for a value."""
    library = type(value).__module__.split(".")[0]
    if library not in TABLES:
        array = np.asarray(value)
        assert array.dtype != object, name
        return name, array
    sink, table = pa.BufferOutputStream(), as_arrow(value)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return f"{name}:{library}", np.frombuffer(sink.getvalue(), dtype=np.uint8)


def restored(name: str, array: np.ndarray) -> tuple[str, Any]:
    """Undo :func:`kept`."""
    name, _, library = name.partition(":")
    if not library:
        return name, array
    return name, TABLES[library](pa.ipc.open_stream(array.tobytes()).read_all())


def as_arrow(table: Any) -> pa.Table:
    """A table of either library as pyarrow's."""
    if isinstance(table, pa.Table):
        return table
    return pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)


# -- how they are compared ---------------------------------------------------------------------------------------------

# Another machine may add in another order, so numbers that were computed are near. What is chosen or copied is equal.
NEAR = {"rtol": 1e-5, "atol": 1e-6}


def assert_answers(found: Mapping[str, Any], expected: Mapping[str, Any], **near: float) -> None:
    """Compare answers by name; ``near`` is how far apart numbers may be, 0 for not at all."""
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert_same(found[name], value, name, **(near or NEAR))


def assert_same(found: Any, expected: Any, name: str, **near: float) -> None:
    """Compare two arrays or two tables."""
    if type(expected).__module__.split(".")[0] in TABLES:
        assert type(found) is type(expected), name
        ours, theirs = as_arrow(found), as_arrow(expected)
        assert ours.column_names == theirs.column_names, name
        # What pandas calls text differs from version to version.
        assert not isinstance(expected, pa.Table) or ours.schema.equals(theirs.schema), f"{name}: {ours.schema}"
        assert_same_tables(ours, theirs, name, **near)
        return
    if expected.dtype.kind == "U" and expected.ndim == 0:
        assert_same_text(str(found), str(expected), name, **near)
        return
    assert found.shape == expected.shape and found.dtype == expected.dtype, name
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, err_msg=name, **near)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=name)


def assert_same_tables(found: pa.Table, expected: pa.Table, name: str, **near: float) -> None:
    """Compare gaps and values, column by column."""
    for column in expected.column_names:
        ours, theirs = found[column].to_pylist(), expected[column].to_pylist()
        if not pa.types.is_floating(expected.schema.field(column).type):
            assert ours == theirs, f"{name}, {column}"
            continue
        assert [value is None for value in ours] == [value is None for value in theirs], f"{name}, {column}"
        np.testing.assert_allclose(
            np.array(ours, dtype=float), np.array(theirs, dtype=float), err_msg=f"{name}, {column}", **near
        )


def assert_same_text(found: str, expected: str, name: str, **near: float) -> None:
    """Compare two tables as CSV, cell by cell: the same text, or numbers near each other."""
    ours, theirs = (list(csv.reader(io.StringIO(text))) for text in (found, expected))
    assert [len(row) for row in ours] == [len(row) for row in theirs], name
    for number, (row, wanted) in enumerate(zip(ours, theirs, strict=True)):
        for one, other in zip(row, wanted, strict=True):
            if one != other:
                np.testing.assert_allclose(float(one), float(other), err_msg=f"{name}, line {number}", **near)
