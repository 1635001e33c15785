"""Tables of names: what they name is there, and the names alone load nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hyotan.distributions import LIKELIHOODS
from hyotan.models import ACTIVATIONS, INITIALISATIONS, NOISES, PENALTIES, VARIANCES
from hyotan.parameters.domains import Choice
from hyotan.parameters.table import PARAMETERS
from hyotan.registry import Registry
from hyotan.training import OPTIMIZERS, SCHEDULES

TABLES: dict[str, Mapping[str, Any]] = {
    "activation": ACTIVATIONS,
    "latent_activation": ACTIVATIONS,
    "initialisation": INITIALISATIONS,
    "likelihood": LIKELIHOODS,
    "noise": NOISES,
    "optimizer": OPTIMIZERS,
    "penalty": PENALTIES,
    "schedule": SCHEDULES,
    "variance": VARIANCES,
}


@pytest.mark.parametrize("name", TABLES)
def test_a_parameter_takes_the_names_of_its_table(name: str) -> None:
    domain = PARAMETERS[name].domain
    assert isinstance(domain, Choice)
    assert domain.options == tuple(TABLES[name])


@pytest.mark.parametrize("name", TABLES)
def test_every_name_names_something(name: str) -> None:
    assert all(callable(thing) for key, thing in TABLES[name].items() if key != "default")


def test_likelihoods_are_called_what_the_table_calls_them() -> None:
    assert {name: likelihood.name for name, likelihood in LIKELIHOODS.items()} == {name: name for name in LIKELIHOODS}


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    table: Registry[Any] = Registry("math", {"root": "sqrt"})
    assert table["root"](4) == 2
    assert ("root" in table, "sqrt" in table, len(table)) == (True, False, 1)
    with pytest.raises(KeyError, match="sqrt"):
        table["sqrt"]


def test_the_table_of_parameters_loads_nothing_heavy(source_folder: Path) -> None:
    found = "import sys; sys.path.insert(0, sys.argv[1]); import hyotan.parameters.table; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", found, str(source_folder)], capture_output=True, text=True, check=True
    )
    assert not {"torch", "sklearn", "scipy", "matplotlib", "numpy"} & set(loaded.stdout.split())
