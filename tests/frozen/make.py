"""How the files in this folder were made: by commit 0e7823c, and those called ``first-…`` by the commits that wrote
a file of such a layout first.

``python tests/frozen/make.py`` makes them again, in a folder of its own: each commit's code is checked out beside it
and writes its files, then 0e7823c opens them all, and what it says of a few rows is kept beside each in an ``.npz``.
So the answers are those of 0e7823c, for old files too. Trainings take other times and other machines round otherwise:
what comes out is alike, not the same. Where a file here is replaced, what older versions wrote is no longer tested.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

BASE = "0e7823c"
FIRST, CVAES, ORDERED, TABLES = "01181f7", "35ecc1f", "8c34baf", "429cb1f"
GAPS, DETECTORS, RESUMABLE = "91c5d85", "d4337bb", "bd6385d"
"""The first commits with models, models of labels, ordered codes, tables, gaps, and detectors; and the first whose
checkpoints 0e7823c can go on with."""

TRAINED, ASKED = 48, 4
"""Rows that a model is trained on, and further ones that it is asked about."""

SMALL: dict[str, Any] = {"latent_dim": 2, "hidden_dims": (4,), "max_epochs": 2, "batch_size": 16, "random_state": 0}


# -- rows: those to train on, then those to be asked about -------------------------------------------------------------


def numbers(rows: int = TRAINED + ASKED, features: int = 5) -> np.ndarray:
    """Numbers that hang together."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(rows, 2)) @ random.normal(size=(2, features))
    return (10 + hidden + 0.1 * random.normal(size=(rows, features))).round(3)


def labels(rows: int = TRAINED) -> np.ndarray:
    """A label for each row of :func:`numbers`, which says something of it."""
    return (numbers()[:rows, 0] > 10).astype(int)


def named_numbers() -> Any:
    """The same as a data frame with Japanese names."""
    import pandas as pd

    return pd.DataFrame(numbers(), columns=["身長", "体重", "胸囲", "握力", "年齢"])


def images(*shape: int) -> np.ndarray:
    """Pixels, uint8, of bars at some height."""
    random, rows = np.random.default_rng(1), TRAINED + ASKED
    pixels = random.integers(0, 40, size=(rows, *(shape or (8, 8))))
    for row, at in enumerate(random.integers(0, pixels.shape[-2], size=rows)):
        pixels[row, ..., at, :] += 200
    return pixels.astype(np.uint8)


def with_gaps(X: np.ndarray, share: float = 0.15) -> np.ndarray:
    """The same with values missing."""
    X = X.astype(np.float64)
    X[np.random.default_rng(2).random(X.shape) < share] = np.nan
    return X


def table(gaps: float = 0.15, rows: int = TRAINED + ASKED) -> pa.Table:
    """Orders of two shops: categories, skewed and heavy-tailed numbers, counts, dates, yes and no, a constant."""
    random = np.random.default_rng(3)
    shop = random.random(rows) < 0.5
    days = random.integers(0, 300, rows)
    columns = {
        "店": np.where(shop, "渋谷", "梅田"),
        "品": random.choice(["本", "紙", "茶"], rows),
        "金額": np.where(shop, random.lognormal(3, 1.0, rows), random.lognormal(5, 1.0, rows)).round(2),
        "差額": (random.normal(size=rows) * np.where(np.arange(rows) % 9, 1, 10)).round(3),
        "回数": random.geometric(np.where(shop, 0.3, 0.1)) - 1,
        "来店": pa.array([datetime.datetime(2024, 1, 1) + datetime.timedelta(int(day)) for day in days]),
        "会員": shop ^ (random.random(rows) < 0.1),
        "国": np.full(rows, "日本"),
    }
    whole = pa.table(columns)
    return pa.table({name: _hollowed(whole[name], random.random(rows) < gaps) for name in columns})


def _hollowed(column: pa.ChunkedArray, is_gap: np.ndarray) -> pa.Array:
    return pa.array([None if gone else v for v, gone in zip(column.to_pylist(), is_gap, strict=True)], column.type)


def frame() -> Any:
    """The same as a data frame of pandas, one column of which is of categories."""
    return table().to_pandas().astype({"品": "category", "回数": "Int64"})


# -- models ------------------------------------------------------------------------------------------------------------


def some(name: str, **more: Any) -> Callable[[Any], Any]:
    """What fits an estimator of the package to rows."""

    def fitted(X: Any) -> Any:
        import hyotan

        return getattr(hyotan, name)(**SMALL | more).fit(X)

    return fitted


def of_labels(y: np.ndarray, **more: Any) -> Callable[[Any], Any]:
    """The same of a model of labels."""

    def fitted(X: Any) -> Any:
        import hyotan

        return hyotan.CVAE(**SMALL | {"label_dim": 3} | more).fit(X, y)

    return fitted


def own(X: Any) -> Any:
    """A model of the caller's own networks."""
    import hyotan
    from frozen_files import own_networks

    return hyotan.Autoencoder(**SMALL, **own_networks()).fit(X)


def detector(estimator: str | None = None, **more: Any) -> Callable[[Any], Any]:
    """A detector of few models; those of its own choice are made smaller, and trained for few steps."""

    def fitted(X: Any) -> Any:
        import hyotan.estimators.detector as module

        import hyotan

        choose, model = module.default_model, None if estimator is None else getattr(hyotan, estimator)(**SMALL)

        def smaller(shape: tuple[int, ...], rows: int) -> Any:
            return choose(shape, rows).set_params(hidden_dims=(8,), max_epochs=3)

        with mock.patch.object(module, "default_model", smaller):
            return hyotan.AnomalyDetector(model, n_estimators=2, random_state=0, **more).fit(X)

    return fitted


SHOPS = np.array(["渋谷", "梅田", "不明"])[np.arange(TRAINED) % 3]
MODELS: dict[str, tuple[str, Callable[[], Any], Callable[[Any], Any]]] = {
    "autoencoder": (BASE, named_numbers, some("Autoencoder")),
    "tied": (
        BASE,
        numbers,
        some("Autoencoder", tied=True, latent_activation="sigmoid", likelihood="gaussian-shared", penalty="sparse"),
    ),
    "own": (BASE, numbers, own),
    "conv": (BASE, lambda: images(3, 8, 8), some("Autoencoder", architecture="conv", channels=(2,))),
    "denoising": (BASE, images, some("DenoisingAutoencoder", noise_level=(0.1, 0.5))),
    "vae": (
        BASE,
        numbers,
        some("VAE", variance="softplus", objective="iwae", n_samples=2, likelihood="gaussian-heteroscedastic"),
    ),
    "ordered": (BASE, numbers, some("VAE", ordered=True, latent_dim=3, likelihood="gaussian-per-feature")),
    "cvae": (
        BASE,
        lambda: (images() / 255).astype(np.float32),
        of_labels(np.where(np.arange(TRAINED) % 4, np.arange(TRAINED) % 2, -1), likelihood="continuous-bernoulli"),
    ),
    "gaps": (BASE, lambda: with_gaps(numbers()), some("VAE")),
    "gaps-images": (BASE, lambda: with_gaps(images(10, 13)), some("VAE", output_activation="sigmoid")),
    "table": (BASE, frame, some("VAE", latent_dim=3)),
    "table-cvae": (BASE, lambda: table(gaps=0), of_labels(SHOPS, unlabelled="不明")),
    "detector": (BASE, named_numbers, detector()),
    "detector-table": (BASE, lambda: table().select(["店", "金額", "回数", "会員"]), detector()),
    "detector-images": (BASE, images, detector("VAE")),
    "first-autoencoder": (FIRST, numbers, some("Autoencoder")),
    "first-denoising": (FIRST, images, some("DenoisingAutoencoder")),
    "first-vae": (FIRST, numbers, some("VAE")),
    "first-cvae": (CVAES, numbers, of_labels(labels())),
    "first-ordered": (ORDERED, numbers, some("VAE", ordered=True)),
    "first-table": (TABLES, lambda: table(gaps=0), some("VAE")),
    "first-table-gaps": (GAPS, table, some("VAE")),
    "first-gaps-wide": (GAPS, lambda: with_gaps(numbers(features=130)), some("VAE")),
    "first-detector": (DETECTORS, numbers, detector(method="neighbours", contamination=0.1)),
}
"""By the name of the file: the commit that writes it, rows, and what is fitted to all of them but the last few."""


# -- folders -----------------------------------------------------------------------------------------------------------

FIT = "--latent-dim 2 --hidden-dims 4 --max-epochs 2 --batch-size 16 --random-state 0 --device cpu"
DRAWN = "--beta 0.5 --beta-warmup 1 --free-bits 0.05 --n-samples 2 --variance softplus"
RUNS = {
    "run": (
        BASE,
        f"orders.csv --model vae --id 番号 --column-kinds 回数=number --gaps always {DRAWN} --activation silu "
        "--optimizer adam --learning-rate 0.01 --schedule cosine --grad-clip 5 --initialisation orthogonal "
        "--early-stopping 5 --validation-fraction 0.2 --validation-rows last",
    ),
    "run-stopped": (BASE, "numbers.csv --label 種類 --ordered"),
    "first-run": (RESUMABLE, "numbers.csv --label 種類 --model vae"),
}
"""By the name of the folder: the commit, and what ``hyotan fit`` is told. ``run-stopped`` stops after four steps."""

SETTINGS = {
    "config-dae": (
        BASE,
        "numbers.csv --model dae --ignore 種類 --tied --noise masking --noise-level 0.1:0.4 --penalty sparse "
        "--penalty-weight 0.2 --latent-activation tanh --output-activation sigmoid --scaling unit "
        "--likelihood gaussian --likelihood-scale 0.5 --optimizer sgd --schedule constant --no-shuffle",
    ),
    "config-cvae": (
        BASE,
        f"numbers.csv --model cvae --label 種類 --unlabelled 不明 --label-dim 3 --labelled-fraction 0.8 {DRAWN} "
        "--classifier-weight 5 --neighbour-weight 2 --consistency-weight 2 --consistency-radius 0.3",
    ),
    "first-config": (FIRST, "numbers.csv --ignore 種類"),
}
"""The same, of runs of which the ``config.toml`` alone is kept, under this name."""

STUDY = "numbers.csv --models ae --ignore 種類 --sizes 1,2 --repeats 1 --hidden-dims 4 --max-epochs 1 --jobs 1"
STUDIES = {"study": STUDY, "study-nested": f"{STUDY} --nested"}

UNREAD = ("figures", ".lock", "report.html", "cells/*/checkpoint.hyotan", "cells/*/history.jsonl")
"""What is not kept of runs and studies."""


def write_sources(folder: Path) -> None:
    """The tables that runs and studies are made of."""
    from pyarrow import csv

    orders = table()
    csv.write_csv(orders.add_column(0, "番号", pa.array(range(101, 101 + len(orders)))), folder / "orders.csv")
    values = pa.table(dict(zip("abcde", numbers().T, strict=True)))
    kinds = np.array(["瓢", "箪"])[labels(len(values))]
    kinds[::5] = "不明"
    csv.write_csv(values.append_column("種類", pa.array(kinds)), folder / "numbers.csv")


def write_run(name: str, folder: Path) -> None:
    """Train a run there."""
    from hyotan.training.callbacks import ProgressReporter

    def stop(reporter: ProgressReporter, fitting: Any) -> None:
        if fitting.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    stopping = mock.patch.object(ProgressReporter, "on_step_end", stop)
    with stopping if name == "run-stopped" else contextlib.nullcontext():
        call(f"fit {(RUNS | SETTINGS)[name][1]} {FIT} --out {name}", folder)
    tidy(folder / name)
    if name in SETTINGS:
        (folder / name / "config.toml").rename(folder / f"{name}.toml")
        shutil.rmtree(folder / name)


def tidy(place: Path) -> None:
    """Take away what nothing reads of a run or a study, and let settings name the source as it lies beside."""
    for path in [path for pattern in UNREAD for path in place.glob(f"**/{pattern}")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in [*place.glob("**/*.toml"), *place.glob("study.json")]:
        path.write_text(path.read_text().replace(f"{place.parent}/", ""))


def call(words: str, folder: Path) -> None:
    """Call ``hyotan WORDS`` in the folder."""
    from hyotan.cli import main

    with contextlib.chdir(folder), contextlib.suppress(SystemExit):
        main(words.split())


# -- all of it ---------------------------------------------------------------------------------------------------------


def write(commit: str, folder: Path) -> None:
    """Write the files of one commit, by its own code, which is on the path."""
    for name, (writer, rows, fit) in MODELS.items():
        if writer == commit:
            print(name)
            fit(rows()[:-ASKED]).save(folder / f"{name}.hyotan")
    for name in (name for name, (writer, *_) in (RUNS | SETTINGS).items() if writer == commit):
        print(name)
        write_run(name, folder)
    for name, words in STUDIES.items() if commit == BASE else ():
        print(name)
        call(f"study {words} --out {name}", folder)
        tidy(folder / name)


def answer(commit: str, folder: Path) -> None:
    """Ask the models, and compress rows by two of them, with the code of 0e7823c on the path."""
    import frozen_files
    import hyotan

    for name, (_, rows, _) in MODELS.items():
        X, model = rows()[-ASKED:], frozen_files.opened(folder / f"{name}.hyotan")
        frozen_files.write_answers(folder / f"{name}.npz", X=X, **frozen_files.answers(model, X))
        if name in ("vae", "conv"):
            file = folder / f"compressed-{name}.hyc"
            file.write_bytes(hyotan.compress(model, X, run=f"{name}.hyotan"))
            frozen_files.write_answers(file.with_suffix(".npz"), rows=hyotan.decompress(model, file))
    frozen_files.FROZEN = folder
    for name in RUNS:
        with tempfile.TemporaryDirectory() as place:
            run = frozen_files.copied(name, Path(place))
            if (run / "model.hyotan").is_file():
                frozen_files.write_answers(folder / f"{name}.npz", **frozen_files.said_of(run))
            frozen_files.write_answers(folder / f"{name}-later.npz", **frozen_files.gone_on(run))
    for name in frozen_files.SETTINGS:
        with tempfile.TemporaryDirectory() as place:
            found = frozen_files.made_again(name, Path(place))
            frozen_files.write_answers(folder / f"{name.replace('/', '-')}.npz", **found)
    for name in frozen_files.STUDIES:
        with tempfile.TemporaryDirectory() as place:
            found = frozen_files.found_by(frozen_files.copied(name, Path(place)))
            frozen_files.write_answers(folder / f"{name}.npz", **found)


def main() -> None:
    """Make everything in a new folder, and say where."""
    here = Path(__file__).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="hyotan-frozen-"))
    commits = dict.fromkeys([writer for writer, *_ in [*MODELS.values(), *RUNS.values(), *SETTINGS.values()]])
    write_sources(folder)
    with tempfile.TemporaryDirectory() as codes:
        for commit in commits:
            git = ["git", "-C", str(here), "worktree"]
            subprocess.run([*git, "add", "--quiet", "--detach", f"{codes}/{commit}", commit], check=True)
            run("write", commit, folder, code=f"{codes}/{commit}/src")
        run("answer", BASE, folder, code=f"{codes}/{BASE}/src")
    subprocess.run([*git, "prune"], check=True)
    print(folder)


def run(job: str, commit: str, folder: Path, code: str) -> None:
    """Do a job in a process whose code is that of a commit."""
    tests = str(Path(__file__).resolve().parents[1])
    settings = {"PYTHONPATH": f"{code}:{tests}", "OMP_NUM_THREADS": "1", "XDG_CONFIG_HOME": f"{code}/none"}
    command = [sys.executable, "-W", "ignore", __file__, job, commit, str(folder)]
    subprocess.run(command, env=os.environ | settings, check=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        {"write": write, "answer": answer}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
    else:
        main()
