"""How the values of a row lie: one record a layout, which every other part of the package reads.

A new layout is a preprocessor, convolutional networks, and a record here. Where no layout is
asked for, the dimensions of X say which it is: a vector or an image. Tables with columns of several kinds have a
preprocessor of their own and no layout.
The module loads neither NumPy nor torch, for ``hyotan fit --help`` reads it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hyotan.errors import DataError

if TYPE_CHECKING:
    from hyotan.data.stored import Array
    from hyotan.preprocessing.numeric import NumericPreprocessor
    from hyotan.preprocessing.preprocessor import Preprocessor


@dataclass(frozen=True)
class Layout:
    """One layout.

    Attributes
    ----------
    name : as the parameter ``layout`` and ``--layout`` spell it.
    shapes : of X, by its number of dimensions; in words.
    preprocessor : the module and the class, ``module:class``.
    convolutions : the module, the encoder and the decoder of its convolutional networks, ``module:Encoder:Decoder``.
    convolved_above : so many values a row get convolutions by default.
    channel_axis : of a row's shape, where missing values are told beside the values themselves.
    is_guessed : whether X of such a shape is taken for one without being asked.
    """

    name: str
    shapes: Mapping[int, str]
    preprocessor: str
    convolutions: str
    convolved_above: float = float("inf")
    channel_axis: int = 0
    is_guessed: bool = True

    @property
    def preprocessor_class(self) -> type[NumericPreprocessor]:
        """Its preprocessor; imported now."""
        return _part(self.preprocessor, 1)

    @property
    def networks(self) -> tuple[Any, Any]:
        """The classes of its convolutional encoder and decoder; imported now."""
        return _part(self.convolutions, 1), _part(self.convolutions, 2)


def _part(home: str, number: int) -> Any:
    parts = home.split(":")
    return getattr(importlib.import_module(parts[0]), parts[number])


_NUMERIC = "hyotan.preprocessing.numeric:NumericPreprocessor"
_CONVOLUTIONS = "hyotan.models.convolutional:ConvEncoder:ConvDecoder"
"""Of images; they refuse vectors by name."""

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout("vector", {2: "(n, features)"}, _NUMERIC, _CONVOLUTIONS),
        Layout(
            "image",
            {3: "(n, height, width)", 4: "(n, channels, height, width)"},
            _NUMERIC,
            _CONVOLUTIONS,
            convolved_above=4096,  # an MLP's first layer grows with them
        ),
        Layout(
            "sequence",
            {3: "(n, length, channels)"},
            "hyotan.preprocessing.sequences:SequencePreprocessor",
            "hyotan.models.sequences:SequenceEncoder:SequenceDecoder",
            convolved_above=0,
            channel_axis=-1,
            is_guessed=False,
        ),
    )
}
"""Every layout, by name."""

NARROW, LONG = 8, 4
"""Images with a side of so few pixels and the other one so many times as long may be sequences."""


def layout_by_dimensions(asked: str, dimensions: int) -> Layout:
    """The layout of arrays with so many dimensions: the one that is asked for, or with ``auto`` the one they have."""
    if asked != "auto":
        return LAYOUTS[asked]
    return next(one for one in LAYOUTS.values() if one.is_guessed and dimensions in one.shapes)


def layout_of(X: Array, asked: str = "auto") -> str:
    """How the values of a row lie: a name of :data:`LAYOUTS`, or ``table`` for columns of several kinds."""
    return "table" if is_mixed(X) else layout_by_dimensions(asked, X.ndim).name


def fit_preprocessor(
    X: Any, train: Any, settings: Mapping[str, Any], default: str, likelihoods: Mapping[str, Any]
) -> Preprocessor:
    """The preprocessor that suits some rows, fitted.

    Parameters
    ----------
    X, train : all rows, checked, and those trained on.
    settings : of the estimator.
    default : the name of the likelihood of numbers that are no shares of black and white.
    likelihoods : by name; each knows the interval of its values.

    Raises
    ------
    SettingsError, DataError
        Parameters that do not suit the rows, rows of another layout than was asked for, or values that the likelihood
        cannot explain.
    """
    asked = settings["layout"]
    if is_mixed(X):
        from hyotan.preprocessing.tabular import TablePreprocessor

        if asked != "auto":
            fix = "Leave layout out, or keep the columns that are numbers."
            raise DataError(f"layout='{asked}' takes an array; X is a table with columns of several kinds.", fix)
        return TablePreprocessor.fit(X, train, settings)
    layout = layout_by_dimensions(asked, X.ndim)
    if X.ndim not in layout.shapes:
        wanted = " or ".join(layout.shapes.values())
        raise DataError(f"layout='{asked}' takes X of shape {wanted}; X has shape {X.shape}.", "Reshape X.")
    if asked == "auto" and X.ndim == 3:
        _hint_at_sequences(X.shape)
    return layout.preprocessor_class.fit(X, train, settings, default, likelihoods)


def is_mixed(X: Array) -> bool:
    """Whether X is a table with columns of several kinds, and no array of numbers."""
    from hyotan.data.frames import Frame

    return isinstance(X, Frame)


def _hint_at_sequences(shape: tuple[int, ...]) -> None:
    """Say what narrow images may be, since a layout is not guessed; Python shows a warning once."""
    height, width = shape[1:]
    narrow, long = sorted((height, width))
    if narrow <= NARROW and long >= LONG * narrow:
        turned = "" if height == long else ", after X.transpose(0, 2, 1)"
        warnings.warn(
            f"X of shape {shape} is taken for grey images of {height}×{width} pixels. For sequences of {long} steps "
            f"and {narrow} channels pass layout='sequence' (--layout sequence){turned}; layout='image' ends this hint.",
            UserWarning,
            stacklevel=2,
        )
