"""What every figure shares: size, style and colours, the two kinds of Display, and a save that leaves no half file."""

from __future__ import annotations

import io
import os
import unicodedata
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from numpy.typing import ArrayLike, NDArray

from hyotan.errors import DataError, ResourceError, SettingsError, did_you_mean
from hyotan.figures.charts import Chart
from hyotan.figures.fonts import dress, font_families
from hyotan.files.atomic import write_bytes_atomically

Array = NDArray[Any]
Layout = Literal["constrained", "compressed"]

WIDTH = 8.0
"""Width of a full figure in inches: a report's column."""
DPI = 144
INK = "#222222"
QUIET = "#6B6B6B"
TRAINING, VALIDATION = "#0072B2", "#D55E00"
PALETTE = (
    "#0072B2",
    "#D55E00",
    "#007F5C",
    "#B5508A",
    "#222222",
    "#9A6700",
    "#2F86BE",
    "#7D7300",
    "#5B4BB7",
    "#8A4B2D",
)
"""Okabe and Ito's colours, the light ones darkened and two added, so that each keeps a contrast of 3:1 on white."""
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")
CONTINUOUS = "viridis"
ERROR = "magma_r"
"""Errors run from pale to dark: what is right leaves the paper nearly blank."""

_STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": "#8C8C8C",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 7.0,
    "axes.labelsize": 9.0,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "font.size": 9.0,
    "xtick.color": "#8C8C8C",
    "ytick.color": "#8C8C8C",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": True,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.9,
    "legend.fancybox": False,
    "legend.fontsize": 8.5,
    "hatch.linewidth": 0.8,
    "image.interpolation": "antialiased",
    "svg.hashsalt": "hyotan",
}
# Without a date, the same numbers give the same bytes.
_METADATA: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for the time of a drawing; the user's own come back afterwards."""
    with rc_context({**_STYLE, "font.family": list(font_families())}):
        yield


def new_figure(size: tuple[float, float], layout: Layout = "constrained") -> Figure:
    """An empty figure of ``size`` inches on an Agg canvas, unknown to pyplot."""
    figure = Figure(figsize=size, dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def frozen(values: ArrayLike, dtype: type[np.generic] | None = None) -> Array:
    """A read-only copy of ``values``."""
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array


def finite_numbers(values: ArrayLike, what: str) -> Array:
    """``values`` as numbers; raises DataError that names the first row that is not finite."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must be numbers in an array of equal rows; got {error}.") from error
    bad = (
        np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
        if array.size and array.ndim
        else np.array([])
    )
    if bad.size:
        raise DataError(
            f"{what} must be finite; {bad.size} of {len(array)} rows hold NaN or infinity, the first is row {bad[0]}.",
            "Leave these rows out, or look at what produced them.",
        )
    return array


def tidy(text: object, limit: int = 28) -> str:
    """``text`` on one line, control characters gone, shortened with an ellipsis past ``limit`` characters."""
    line = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in str(text)).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def write_atomically(path: Path, content: bytes) -> Path:
    """Put ``content`` at ``path`` whole or not at all, making its folder; raises ResourceError where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"Could not write '{path}': {error.strerror or error}.", "Choose another place, or free some space."
        ) from error
    write_bytes_atomically(path, content)
    return path


def suffix_of(path: Path, known: tuple[str, ...]) -> str:
    """The format that the file's name asks for; raises SettingsError for one that is not ``known``."""
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in known:
        raise SettingsError(
            f"A figure's name must end in one of {', '.join('.' + name for name in known)}; got '{path.name}'.",
            did_you_mean(suffix, known),
        )
    return suffix


class Display(ABC):
    """A frozen record of a figure's numbers, which draws itself.

    In a notebook a Display at the end of a cell shows its picture.
    """

    formats: ClassVar[tuple[str, ...]] = ("png", "svg", "pdf")

    @abstractmethod
    def figure(self) -> Figure:
        """A new figure with the drawing on it."""

    def charts(self, lang: str) -> Sequence[Chart]:
        """What a report's page shows of the same numbers, in words of its language; nothing by default."""
        return ()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Draw into a file, whole or not at all; its suffix names the format. Missing folders are made.

        Raises
        ------
        SettingsError
            The suffix is not one of ``formats``.
        ResourceError
            The file cannot be written.
        """
        target = Path(path)
        return write_atomically(target, self._encode(suffix_of(target, self.formats)))

    def _encode(self, suffix: str) -> bytes:
        """The file's bytes. A Display with formats of its own adds them here."""
        buffer = io.BytesIO()
        with styled(), warnings.catch_warnings():
            # Said already, once and with advice, when the figure was drawn.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.figure().savefig(buffer, format=suffix, dpi=DPI, metadata=_METADATA[suffix])
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self._encode("png")


class AxesDisplay(Display):
    """A Display on one set of axes."""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw on ``ax``, or on the axes of a new figure; returns the axes."""
        with styled():
            axes = new_figure(self._size()).add_subplot() if ax is None else ax
            self._draw(axes)
        dress(axes if ax is not None else axes.figure)
        return axes

    def figure(self) -> Figure:
        """A new figure with the drawing on it."""
        drawn = self.plot().get_figure(root=True)
        if not isinstance(drawn, Figure):
            raise TypeError("plot() must return axes that lie on a figure")
        return drawn

    @abstractmethod
    def _size(self) -> tuple[float, float]:
        """Width and height in inches."""

    @abstractmethod
    def _draw(self, ax: Axes) -> None:
        """Put the numbers on the axes."""


class FigureDisplay(Display):
    """A Display of several panels."""

    @property
    def _layout(self) -> Layout:
        """Matplotlib's layout engine: "compressed" for pictures of fixed shape."""
        return "constrained"

    def plot(self, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
        """Draw on ``figure`` (or a sub-figure), or on a new one; returns it."""
        with styled():
            canvas = new_figure(self._size(), self._layout) if figure is None else figure
            self._draw(canvas)
        dress(canvas)
        return canvas

    def figure(self) -> Figure:
        """A new figure with the drawing on it."""
        canvas = new_figure(self._size(), self._layout)
        self.plot(canvas)
        return canvas

    @abstractmethod
    def _size(self) -> tuple[float, float]:
        """Width and height in inches."""

    @abstractmethod
    def _draw(self, figure: Figure | SubFigure) -> None:
        """Put the numbers on the figure."""
