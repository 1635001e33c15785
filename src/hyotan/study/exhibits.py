"""What the experiments of a study made to be looked at: arrays and a few words, kept in one file of the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hyotan.files.container import read, write

KIND = "study-pictures"


@dataclass(frozen=True, eq=False)
class Told:
    """Reconstructions of the rows shown, by one model.

    Attributes
    ----------
    model, latent_dim : whose.
    condition : what a conditional model was told: ``none``, ``right`` or ``wrong``; empty for others.
    given : the label told, of each row; None where none was.
    images : (n, *features), in the range that is drawn.
    """

    model: str
    latent_dim: int
    condition: str
    given: list[str] | None
    images: np.ndarray


@dataclass(frozen=True, eq=False)
class Walked:
    """A decoded walk between the codes of two rows.

    Attributes
    ----------
    model, latent_dim : whose.
    way : ``linear`` or ``spherical``.
    ends : labels of the rows at both ends.
    classes : what each step looks like to a classifier of the data, (steps,).
    images : (steps, *features), in the range that is drawn.
    """

    model: str
    latent_dim: int
    way: str
    ends: tuple[str, str]
    classes: list[str]
    images: np.ndarray


@dataclass(frozen=True, eq=False)
class Plane:
    """Rows in the plane.

    Attributes
    ----------
    model, latent_dim : whose codes; ``raw`` and 0 for the features.
    is_code : whether the axes are the code's own two; else t-SNE made them.
    points : (n, 2)
    """

    model: str
    latent_dim: int
    is_code: bool
    points: np.ndarray


@dataclass(frozen=True, eq=False)
class Exchanged:
    """Each row's code under every label.

    Attributes
    ----------
    model, latent_dim : whose.
    own : the rows' labels.
    images : (n, labels, *features), in the range that is drawn.
    originals : (n, *features)
    """

    model: str
    latent_dim: int
    own: list[str]
    images: np.ndarray
    originals: np.ndarray


@dataclass(frozen=True, eq=False)
class Exhibits:
    """All of it.

    Attributes
    ----------
    labels : every label, in order; empty without labels.
    shown : labels of the rows whose reconstructions are shown.
    originals : those rows, (n, *features); None for data that are no images.
    value_range : what is black and what is white.
    plane_labels : label of each point of the planes.
    """

    labels: list[str]
    shown: list[str]
    plane_labels: list[str]
    value_range: tuple[float, float]
    originals: np.ndarray | None
    told: list[Told]
    walks: list[Walked]
    planes: list[Plane]
    exchanged: list[Exchanged]

    def save(self, path: Path) -> None:
        """Write one file, atomically: arrays as tensors, the rest as settings."""
        tensors: dict[str, np.ndarray] = {}

        def moved(array: np.ndarray) -> dict[str, str]:
            """An array's name, the array itself moved to the tensors."""
            name = str(len(tensors))
            tensors[name] = np.ascontiguousarray(array)
            return {"array": name}

        write(path, kind=KIND, settings=msgspec.to_builtins(self, enc_hook=moved), tensors=tensors)

    @staticmethod
    def load(path: Path) -> Exhibits:
        """Read what :meth:`save` wrote; ModelFileError where it is something else."""
        contents = read(path, kinds=[KIND])
        return msgspec.convert(contents.settings, Exhibits, dec_hook=lambda kind, name: contents.tensors[name["array"]])
