"""The model families: networks, objective, losses, noise.

The tables of names are here, since :mod:`hyotan.parameters` reads them without loading torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hyotan.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from hyotan.models.layers import Activation, Initialisation
    from hyotan.models.losses import Penalty
    from hyotan.models.noise import Noise

ACTIVATIONS: Mapping[str, Activation] = Registry(
    "torch.nn",
    {
        "relu": "ReLU",
        "gelu": "GELU",
        "silu": "SiLU",
        "elu": "ELU",
        "leaky-relu": "LeakyReLU",
        "tanh": "Tanh",
        "sigmoid": "Sigmoid",
        "softplus": "Softplus",
        "identity": "Identity",
    },
)
"""Layers without weights that treat each value alone."""

INITIALISATIONS: Mapping[str, Initialisation | None] = Registry(
    "hyotan.models.layers",
    {"default": "TORCHS_OWN", "xavier": "xavier", "kaiming": "kaiming", "orthogonal": "orthogonal"},
)
NOISES: Mapping[str, type[Noise]] = Registry(
    "hyotan.models.noise",
    {
        "gaussian": "GaussianNoise",
        "masking": "MaskingNoise",
        "salt-and-pepper": "SaltAndPepperNoise",
        "swap": "SwapNoise",
    },
)
PENALTIES: Mapping[str, Penalty] = Registry(
    "hyotan.models.losses", {"sparse": "sparse_penalty", "contractive": "contractive_penalty"}
)
VARIANCES: Mapping[str, Callable[[Tensor], Tensor]] = Registry(
    "hyotan.models.vae", {"exp": "from_log_variance", "softplus": "from_softplus"}
)
"""From the encoder's second output to the posterior's standard deviation."""
