"""Start-up: what users wait for before anything happens, compared with the Python interpreter alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = {
    "python alone": ["-c", "pass"],
    "import hyotan": ["-c", "import hyotan"],
    "hyotan --help": ["-c", "from hyotan.cli import main; main(['--help'])"],
    "hyotan fit --help": ["-c", "from hyotan.cli import main; main(['fit', '--help'])"],
    "from hyotan import VAE": ["-c", "from hyotan import VAE"],
}


@pytest.mark.benchmark(group="start-up")
@pytest.mark.parametrize("name", COMMANDS)
def test_startup(benchmark, name):
    command = [sys.executable, *COMMANDS[name]]
    benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True), rounds=7, warmup_rounds=1)
