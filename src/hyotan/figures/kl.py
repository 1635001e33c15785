"""Which latent dimensions carry anything: the KL to the prior, one bar a dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from hyotan.errors import DataError
from hyotan.figures.canvas import QUIET, TRAINING, WIDTH, Array, AxesDisplay, finite_numbers, frozen

THRESHOLD = 0.01
_MOST_NAMED = 64


@dataclass(frozen=True, eq=False)
class KLPerDimensionDisplay(AxesDisplay):
    """Bars from the most to the least used dimension; inactive ones are hatched.

    Attributes
    ----------
    kl : array of shape (latent,)
        Mean KL to the prior in nats per sample, in the model's own order.
    active : boolean array of shape (latent,)
    rule : str
        In words, what makes a dimension active.
    """

    kl: Array
    active: Array
    rule: str

    @classmethod
    def from_kl(cls, kl: ArrayLike, active: ArrayLike | None = None) -> KLPerDimensionDisplay:
        """From the KL of every dimension, (latent,), or of every sample and dimension, (n, latent), which is averaged.

        Parameters
        ----------
        kl : array
            Nats.
        active : boolean array of shape (latent,), optional
            Which dimensions are in use by the variance of the posterior mean. Without it, those with a KL above
            0.01 nats.

        Raises
        ------
        DataError
            The numbers are not finite, or ``active`` has another length.
        """
        values = finite_numbers(kl, "The KL")
        values = values.mean(axis=0) if values.ndim == 2 else values
        if values.ndim != 1 or not values.size:
            raise DataError(f"The KL must have shape (latent,) or (n, latent); got {np.shape(kl)}.")
        if active is None:
            return cls(frozen(values), frozen(values > THRESHOLD), f"KL above {THRESHOLD:g} nats")
        mask = np.asarray(active)
        if mask.shape != values.shape or mask.dtype != bool:
            raise DataError(
                f"active must be {len(values)} booleans, one a dimension; got shape {mask.shape} of {mask.dtype}."
            )
        return cls(frozen(values), frozen(mask), f"variance of the posterior mean above {THRESHOLD:g}")

    @property
    def order(self) -> Array:
        """The dimensions from the highest KL to the lowest."""
        return np.argsort(-self.kl, kind="stable")

    def _size(self) -> tuple[float, float]:
        return WIDTH, 2.9

    def _draw(self, ax: Axes) -> None:
        order = self.order
        self._draw_bars(ax, self.kl[order], self.active[order])
        ax.set_title(f"{int(self.active.sum())} of {len(order)} latent dimensions are used")
        ax.set_title(f"total KL {self.kl.sum():.4g} nats", loc="right", fontsize=8, color=QUIET)
        ax.set_ylabel("KL to the prior (nats per sample)")
        ax.set_ylim(min(0.0, float(self.kl.min()) * 1.1), max(float(self.kl.max()) * 1.12, 5 * THRESHOLD))
        ax.set_xlim(-0.7, len(order) - 0.3)
        ax.grid(axis="y")
        self._name(ax, order)
        ax.legend(loc="upper right")

    def _draw_bars(self, ax: Axes, bars: Array, on: Array) -> None:
        rank = np.arange(len(bars))
        off = {"facecolor": "white", "edgecolor": QUIET, "hatch": "/////", "linewidth": 0.8}
        ax.bar(rank[on], bars[on], color=TRAINING, width=0.78, label=f"active ({on.sum()}): {self.rule}")
        ax.bar(rank[~on], bars[~on], width=0.78, label=f"inactive ({(~on).sum()})", **off)
        for place in rank[~on]:  # the bar itself is often too low to see
            span = (place - 0.5, place + 0.5)
            ax.axvspan(*span, facecolor="none", edgecolor="#D9D9D9", hatch="/////", linewidth=0, zorder=0)
        if not self.rule.startswith("variance") and bars.max() < 60 * THRESHOLD:
            ax.axhline(THRESHOLD, color="#D55E00", linewidth=0.9, linestyle=(0, (4, 2)))

    def _name(self, ax: Axes, order: Array) -> None:
        ax.set_xlabel("latent dimension, by KL")
        if len(order) > _MOST_NAMED:
            ax.set_xlabel("rank of the latent dimension, by KL")
            ax.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
            return
        size = 8.5 if len(order) <= 32 else 6.5
        ax.set_xticks(range(len(order)), [f"z{index}" for index in order], fontsize=size)
        ax.tick_params(axis="x", length=0, rotation=0 if len(order) <= 24 else 90)
