"""Hyotan: autoencoders that tell you which model and which latent size to choose.

Names are loaded when they are first used, so that ``import hyotan`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hyotan.files.version import __version__

if TYPE_CHECKING:
    from hyotan.analysis.embedding import embedding_quality
    from hyotan.analysis.evaluation import evaluate
    from hyotan.anomalies import AnomalyDetector, load
    from hyotan.compression.codec import compress, decompress
    from hyotan.estimators import CVAE, VAE, Autoencoder, DenoisingAutoencoder, VAEImputer
    from hyotan.estimators.wae import WAE
    from hyotan.study.comparison import Study

_HOMES = {
    "AnomalyDetector": "hyotan.anomalies",
    "Autoencoder": "hyotan.estimators",
    "DenoisingAutoencoder": "hyotan.estimators",
    "VAE": "hyotan.estimators",
    "CVAE": "hyotan.estimators",
    "WAE": "hyotan.estimators.wae",
    "VAEImputer": "hyotan.estimators",
    "load": "hyotan.anomalies",
    "compress": "hyotan.compression.codec",
    "decompress": "hyotan.compression.codec",
    "embedding_quality": "hyotan.analysis.embedding",
    "evaluate": "hyotan.analysis.evaluation",
    "Study": "hyotan.study.comparison",
}

__all__ = [
    "CVAE",
    "VAE",
    "WAE",
    "AnomalyDetector",
    "Autoencoder",
    "DenoisingAutoencoder",
    "Study",
    "VAEImputer",
    "__version__",
    "compress",
    "decompress",
    "embedding_quality",
    "evaluate",
    "load",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hyotan' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
