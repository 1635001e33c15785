"""Which preprocessor suits some rows: the only place that asks what kind of rows came.

A new layout is a class and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyotan.data.frames import Frame
from hyotan.data.stored import Array
from hyotan.preprocessing.numeric import NumericPreprocessor
from hyotan.preprocessing.preprocessor import Preprocessor
from hyotan.preprocessing.tabular import TablePreprocessor


def layout_of(X: Array) -> str:
    """How the values of a row lie: ``vector``, ``image``, or ``table`` for columns of several kinds."""
    if isinstance(X, Frame):
        return TablePreprocessor.layout
    return "vector" if X.ndim == 2 else "image"


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
        Parameters that do not suit the rows, or values that the likelihood cannot explain.
    """
    if layout_of(X) == TablePreprocessor.layout:
        return TablePreprocessor.fit(X, train, settings)
    return NumericPreprocessor.fit(X, train, settings, default, likelihoods)
