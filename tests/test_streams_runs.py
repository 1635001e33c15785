"""Runs and studies of a file that is too large for memory: through the command line, and through Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from command_line import done
from hyotan import Study
from hyotan import load as load_model
from hyotan.data import dataset, numpy_files, stored
from hyotan.estimators.store import saved_arrays
from hyotan.runs.run_folder import RunFolder
from hyotan.runs.run_training import fit as fit_run
from hyotan.runs.run_training import resume as resume_run
from hyotan.runs.settings import RunConfig
from hyotan.training import streams
from hyotan.training.callbacks import Callback, Fitting
from hyotan.training.interruption import TrainingInterrupted

PIXELS = np.random.default_rng(0).integers(0, 256, (700, 5, 4), dtype=np.uint8)
SMALL = {"latent_dim": 2, "hidden_dims": [8], "max_epochs": 2, "batch_size": 50, "random_state": 0}


class Interrupt(Callback):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.at = step

    def on_step_end(self, fitting: Fitting) -> None:
        if fitting.step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that is too large, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for place, name, size in (
        (numpy_files, "MAPPED_BYTES", 100),
        (stored, "STREAMED_BYTES", 100),
        (streams, "BLOCK_BYTES", 300),
        (streams, "BUFFER_BYTES", 4000),
    ):
        monkeypatch.setattr(place, name, size)
    np.save("big.npy", PIXELS)
    return str(tmp_path / "big.npy")


def test_ctrl_c_within_an_epoch_and_resume_give_the_same_bits(source: str) -> None:
    config = RunConfig(source, "vae", SMALL)
    whole, stopped = RunFolder.create(config, "whole"), RunFolder.create(config, "stopped")
    fit_run(whole, [])
    with pytest.raises(TrainingInterrupted, match="epoch 2, step 18"):
        fit_run(stopped, [Interrupt(18)])
    resume_run(stopped)
    expected, found = saved_arrays(whole.load_model()), saved_arrays(stopped.load_model())
    assert all(np.array_equal(expected[name], found[name]) for name in expected if name != "history")
    assert whole.read_metrics()["test"] == stopped.read_metrics()["test"]


def test_fit_evaluate_report_and_encode() -> None:
    flags = ["--latent-dim=2", "--hidden-dims=8", "--max-epochs=1"]
    done("fit", "big.npy", "--model", "vae", "--out", "run", *flags)
    assert 60 <= json.loads(Path("run/metrics.json").read_text())["n_rows"] <= 70
    done("evaluate", "run")
    done("report", "run", "--lang", "en")
    assert "short runs of rows, spread over the file" in Path("run/report.html").read_text()
    done("encode", "run", "big.npy", "--out", "codes.npy")
    codes = np.load("codes.npy")
    np.testing.assert_array_equal(codes, load_model("run/model.hyotan").transform(PIXELS))


def test_a_study_takes_a_sample_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "COMPARED_ROWS", 300)
    study = Study("big.npy", models=["ae"], sizes=[2], repeats=1, max_epochs=1, hidden_dims=[4])
    train, test = study.folder.load_data()
    assert len(train.X) + len(test.X) == 300 and isinstance(train.X, np.ndarray)
    assert "300 of 700 rows, evenly spread, stand for the file, which is too large." in train.notes
