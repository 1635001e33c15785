"""Every estimator parameter, once: default, domain, help. Python, command line and TOML files all read this table.

The package loads neither numpy nor torch, so that ``hyotan fit --help`` answers at once (docs/decisions/0002).
"""

from hyotan.parameters.domains import (
    Anything,
    Choice,
    ChoiceByName,
    Domain,
    Flag,
    Integer,
    Integers,
    Marker,
    Real,
    RealOrRange,
    Seed,
)
from hyotan.parameters.parameter import Parameter
from hyotan.parameters.table import (
    PARAMETERS,
    TABLE,
    check_settings,
    current_names,
    default_of,
    parameters_of,
)

__all__ = [
    "PARAMETERS",
    "TABLE",
    "Anything",
    "Choice",
    "ChoiceByName",
    "Domain",
    "Flag",
    "Integer",
    "Integers",
    "Marker",
    "Parameter",
    "Real",
    "RealOrRange",
    "Seed",
    "check_settings",
    "current_names",
    "default_of",
    "parameters_of",
]
