"""Figures: each a frozen record of numbers, which Matplotlib draws into files and a report shows on its page.

>>> from hyotan.figures import LossCurvesDisplay
>>> display = LossCurvesDisplay.from_history([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.5}])
>>> display.panels()
('Training loss',)

``display.plot()`` draws, ``display.save("loss.png")`` writes a file, ``display.charts("en")`` is for a page. A new
figure is one module and one line of FIGURES; :mod:`hyotan.runs.gallery` makes it of every run.
"""

from __future__ import annotations

from hyotan.figures.animation import TrainingAnimation
from hyotan.figures.canvas import Display
from hyotan.figures.clusterings import ClusteringDisplay
from hyotan.figures.codes import CodePlotsDisplay
from hyotan.figures.conditional import ConditionalReconstructionsDisplay, Way
from hyotan.figures.curves import LossCurvesDisplay
from hyotan.figures.denoising import DenoisingDisplay
from hyotan.figures.exchange import ExchangeDisplay
from hyotan.figures.interpolation import InterpolationDisplay
from hyotan.figures.kl import KLPerDimensionDisplay
from hyotan.figures.manifold import ManifoldDisplay, central_limits
from hyotan.figures.rates import RatesDisplay
from hyotan.figures.reconstructions import ReconstructionsDisplay
from hyotan.figures.samples import SamplesDisplay
from hyotan.figures.scatter import LatentScatterDisplay
from hyotan.figures.sizes import SizeCurvesDisplay
from hyotan.figures.walks import WalksDisplay

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
