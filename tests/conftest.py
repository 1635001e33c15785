"""Set-up for every test: shapes in signatures are executed, one thread, no display, no cache but a temporary one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import matplotlib
import pytest
import torch
from jaxtyping import install_import_hook

# The hook only reaches modules that are imported after it, so it stands before any import of hyotan.
install_import_hook(
    [
        "hyotan.models.losses",
        "hyotan.distributions.likelihoods",
        "hyotan.models.convolutional",
        "hyotan.models.labelled",
        "hyotan.models.layers",
        "hyotan.models.masked",
        "hyotan.models.mlp",
        "hyotan.models.ordered",
        "hyotan.models.summary",
        "hyotan.models.noise",
        "hyotan.metrics",
    ],
    "beartype.beartype",
)
torch.set_num_threads(1)
matplotlib.use("Agg")
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


DATA = Path(__file__).parents[2] / "shared" / "data"
"""Public data sets beside the checkout, for the tests that need them; those are skipped where there are none."""


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests, and the commands that they start, an empty cache; hush scikit-learn's word on skipped checks."""
    if DATA.is_dir():
        os.environ.setdefault("HYOTAN_DATA", str(DATA))
    os.environ["HYOTAN_CACHE"] = tempfile.mkdtemp(prefix="hyotan-tests-")
    config.addinivalue_line("filterwarnings", "ignore:Skipping check:Warning")


def pytest_unconfigure() -> None:
    """Remove the cache."""
    shutil.rmtree(os.environ.pop("HYOTAN_CACHE", ""), ignore_errors=True)


@pytest.fixture
def source_folder() -> Path:
    """The folder to put on the path of a Python that a test starts."""
    return Path(__file__).parents[1] / "src"
