"""Figures: each a frozen record of numbers that draws itself.

>>> from hyotan.plots import LossCurvesDisplay
>>> display = LossCurvesDisplay.from_history([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5}])
>>> display.panels()
('Training loss',)

``display.plot()`` draws, ``display.save("loss.png")`` writes a file. A new figure is one module and one line of
FIGURES.
"""

from __future__ import annotations

from .animation import TrainingAnimation
from .canvas import Display
from .clusterings import ClusteringDisplay
from .codes import CodePlotsDisplay
from .conditional import ConditionalReconstructionsDisplay, Way
from .curves import LossCurvesDisplay
from .denoising import DenoisingDisplay
from .exchange import ExchangeDisplay
from .interpolation import InterpolationDisplay
from .kl import KLPerDimensionDisplay
from .manifold import ManifoldDisplay, central_limits
from .rates import RatesDisplay
from .reconstructions import ReconstructionsDisplay
from .samples import SamplesDisplay
from .scatter import LatentScatterDisplay
from .sizes import SizeCurvesDisplay
from .walks import WalksDisplay

FIGURES: dict[str, type[Display]] = {
    "loss": LossCurvesDisplay,
    "reconstructions": ReconstructionsDisplay,
    "samples": SamplesDisplay,
    "latent": LatentScatterDisplay,
    "manifold": ManifoldDisplay,
    "interpolation": InterpolationDisplay,
    "animation": TrainingAnimation,
    "kl": KLPerDimensionDisplay,
    "sizes": SizeCurvesDisplay,
    "clustering": ClusteringDisplay,
    "conditional": ConditionalReconstructionsDisplay,
    "exchange": ExchangeDisplay,
    "walks": WalksDisplay,
    "codes": CodePlotsDisplay,
    "denoising": DenoisingDisplay,
    "rates": RatesDisplay,
}
"""Every figure by its name, which is also its file's name in a run's or a study's ``figures/``."""

__all__ = [
    "FIGURES",
    "ClusteringDisplay",
    "CodePlotsDisplay",
    "ConditionalReconstructionsDisplay",
    "DenoisingDisplay",
    "Display",
    "ExchangeDisplay",
    "InterpolationDisplay",
    "KLPerDimensionDisplay",
    "LatentScatterDisplay",
    "LossCurvesDisplay",
    "ManifoldDisplay",
    "RatesDisplay",
    "ReconstructionsDisplay",
    "SamplesDisplay",
    "SizeCurvesDisplay",
    "TrainingAnimation",
    "WalksDisplay",
    "Way",
    "central_limits",
]
