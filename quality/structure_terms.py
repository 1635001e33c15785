"""What the structure's parts are called: the names that a measurement looks for, of older and of newer trees.

A name that a tree does not have counts nothing there, so old and new names stand side by side. Add a new name here when
something is renamed; nothing else has to change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CONCEPTS: dict[str, frozenset[str]] = {
    "TablePreprocessor": frozenset({"TableScaling", "TablePreprocessor", "TablePreprocessing", "TableTransform"}),
    "Frame": frozenset({"Frame", "TableRows", "MixedTable", "DataFrame", "TableFrame", "ColumnTable"}),
    "StoredRows": frozenset({"StoredRows", "StoredArray", "FileRows", "MappedRows"}),
}
"""The classes that are asked for by type: the name in the first tree, and every name that the class has had."""


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes
    ----------
    classes : names of its classes; a file that defines one of them is the family's own.
    kinds : what it is called in settings and files.
    """

    classes: frozenset[str]
    kinds: frozenset[str]


FAMILIES: tuple[Family, ...] = (
    Family(frozenset({"Autoencoder", "AutoencoderModel"}), frozenset({"autoencoder", "ae"})),
    Family(frozenset({"DenoisingAutoencoder", "DenoisingModel"}), frozenset({"denoising-autoencoder", "dae"})),
    Family(frozenset({"VAE", "VAEModel"}), frozenset({"vae"})),
    Family(frozenset({"CVAE", "CVAEModel"}), frozenset({"cvae"})),
    Family(frozenset({"WAE", "WAEModel"}), frozenset({"wae"})),
)

FAMILY_QUESTION = re.compile(r"_?is_(a_)?(vae|cvae|dae|ae|autoencoder|variational|conditional|denoising|bayesian)")
"""Attributes, functions and variables that say of which family a model is."""

KIND_QUESTION = re.compile(
    r"_?is_(of_|a_|in_)?(tables?|tabular|frames?|mixed|stored|file|memory|mapped|streamed|lazy|resident|arrays?|numbers)"
)
"""Attributes that say of which class rows or a scaling are."""

LAYOUT_QUESTION = re.compile(r"_?is_(of_|a_)?(images?|pictures?|maps?|series|sequences?|signals?|volumes?|flat)")
"""Attributes that say how the values of a row lie."""

OF_PATHS = frozenset({"is_file"})
"""Of those, what any path says of itself."""

TORCH_MEMBERS = frozenset({"_schema"})
"""Private members of PyTorch's objects that cannot be told by the place they come from."""

LAYOUT_FIELDS = frozenset({"layout", "storage", "modality", "form", "structure", "source_kind", "layout_kind"})
"""Fields that are compared where a class would be asked for."""

ROW_CHECKS = (
    ("estimators/inputs.py", "check_rows"),
    ("", "check_rows"),
    ("", "checked_rows"),
    ("", "Preprocessor.checked"),
    ("", "Preprocessor.check"),
)
"""What checks X as it arrives: how a file's path ends, and a function or a method in it. Whatever of this a tree has is
counted; a call from within another one of them is not.
"""

CONVERSIONS = (
    ("scaling.py", "Scaling.to_model"),
    ("tabular.py", "TablePreprocessor.to_model"),
    ("", "_to_model"),
    ("", "to_model"),
    ("", "to_range"),
)
"""What takes rows to the model's range, in the same way."""

BY_HAND: dict[str, tuple[str, str]] = {
    "family": ("a new model family", "~20"),
    "column": ("a new kind of column", "6"),
    "figure": ("a new figure of the report", "4 to 7"),
    "layout": ("volumes or series", "~40"),
}
"""Files to touch, as counted by hand in the tree at commit 0e7823c."""
