"""From a source (a name, a file, a folder, arrays) to a :class:`Dataset`.

``words``, ``arrays`` and ``dataset`` are the ground; one module a family of formats reads; ``named`` knows the sets
with a name; ``sources`` holds the table of formats and :func:`load`. Pillow, pyarrow, pooch and scikit-learn are
imported by the reader that needs them, at the moment it reads.
"""

from __future__ import annotations

from hyotan.data.dataset import Dataset
from hyotan.data.named import NAMES, NamedSet
from hyotan.data.sources import FORMATS, Format, load

__all__ = ["FORMATS", "NAMES", "Dataset", "Format", "NamedSet", "load"]
