"""Where a step's time goes: the kinds of work, and what the command line says of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hyotan import VAE
from hyotan.cli import cli
from hyotan.training.profiling import ELEMENTS, OPTIMIZER, PRODUCTS, REST, ROWS, STEPS, WARM_UP, StepProfiler

X = np.random.default_rng(0).random((240, 32)).astype(np.float32)


def profiled(max_epochs: int) -> StepProfiler:
    profiler = StepProfiler()
    VAE(2, hidden_dims=(256, 256), batch_size=60, max_epochs=max_epochs, callbacks=[profiler]).fit(X)
    return profiler


def test_shares_of_the_step_add_up_and_each_kind_is_seen() -> None:
    profiler = profiled(70)
    assert profiler.result is not None
    shares = profiler.result.shares
    assert list(shares) == [PRODUCTS, ELEMENTS, OPTIMIZER, ROWS, REST]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares[REST] >= 0
    assert all(shares[kind] > 0 for kind in (PRODUCTS, ELEMENTS, OPTIMIZER, ROWS))
    assert profiler.lines()[0].startswith(f"where a step's time goes ({STEPS} steps of ")
    assert len(profiler.lines()) == 6


def test_a_training_with_too_few_steps_has_none_and_says_why() -> None:
    profiler = profiled(3)
    assert profiler.result is None
    assert profiler.lines() == [f"no profile: it takes {WARM_UP + 2 * STEPS} steps, and training had 12."]


def test_it_changes_no_bit() -> None:
    watched, alone = StepProfiler(), VAE(2, max_epochs=70, batch_size=60, random_state=0).fit(X)
    same = VAE(2, max_epochs=70, batch_size=60, random_state=0, callbacks=[watched]).fit(X)
    assert watched.result is not None
    np.testing.assert_array_equal(alone.transform(X), same.transform(X))


def test_the_command_line_says_it_in_words_and_in_json(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", X)
    common = ["fit", str(tmp_path / "rows.npy"), "--latent-dim", "2", "--batch-size", "8", "--profile"]
    long = CliRunner().invoke(cli, [*common, "--max-epochs", "13", "--out", str(tmp_path / "long")])
    assert "where a step's time goes" in long.stderr
    short = CliRunner().invoke(cli, [*common, "--max-epochs", "1", "--json", "--out", str(tmp_path / "short")])
    assert json.loads(short.stdout)["profile"] is None
