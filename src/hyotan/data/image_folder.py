"""A folder of pictures; its sub-folders, where it has them, are the labels."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyotan.data import arrays, decoded
from hyotan.data.dataset import Dataset
from hyotan.data.decoded import Decoded, key_of
from hyotan.data.request import Request
from hyotan.errors import DataError
from hyotan.words.phrases import counted, listed

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
DECODERS = ("PNG", "JPEG", "WEBP")
MOST_PIXELS = 16_000_000
SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")
GREY = ("1", "L", "LA", *SIXTEEN_BIT)
TRANSPARENT = ("LA", "PA", "RGBA", "La", "RGBa")
ORIENTATION = 0x0112
LYING = (5, 6, 7, 8)
"""Orientations that exchange height and width."""


def read_folder(path: Path, request: Request) -> Dataset:
    """The images as uint8, (n, height, width) where all are grey, else (n, 3, height, width).

    Sorted as people count (2 before 10), sub-folders first by name. `request.size` is (height, width). Images that
    take more than 512 MiB are decoded into the cache, once.

    Raises
    ------
    DataError
        There are no images, they differ in size, or one is damaged or too large.
    ResourceError
        The disk has no room for the decoded images.
    """
    files, others = _files(path)
    rows = arrays.drawn_rows(len(files), request.limit or len(files))
    chosen = [files[row] for row in rows]
    notes = others if len(chosen) == len(files) else [*others, arrays.drawn_note(len(chosen), len(files), "image")]
    names = np.array([file.relative_to(path).as_posix() for file in chosen], dtype=object)
    labelled = any(file.parent != path for file in chosen)
    y = np.array([file.parent.name for file in chosen]) if labelled else None
    kept = Decoded(key_of(path, chosen, size=request.size))
    if not kept.exists():
        look = Look(path, request.size)
        for file in chosen:
            look.add(file)
        rows = (_decoded(file, look.grey, request.size) for file in chosen)
        if np.prod(look.shape, dtype=np.int64) <= decoded.DECODED_BYTES:
            X = np.fromiter(rows, np.dtype((np.uint8, look.shape[1:])), len(chosen))
            return Dataset.from_arrays(X, y, notes=[*notes, *look.notes()], ids=names, id_name="file")
        kept.write(look.shape, np.dtype(np.uint8), rows, notes=look.notes())
    return Dataset.from_arrays(kept.rows(), y, notes=[*notes, *kept.notes()], ids=names, id_name="file")


def _files(path: Path) -> tuple[list[Path], list[str]]:
    """The image files in their order, and notes on what else lies there."""
    here, folders = _listing(path)
    below = {folder: _listing(folder)[0] for folder in folders}
    loose = [file for file in here if _is_image(file)]
    nested = [file for files in below.values() for file in files if _is_image(file)]
    if loose and nested:
        raise DataError(
            f"Beside sub-folders of images there are loose ones: {listed([file.name for file in loose], 3)}.",
            "Sub-folders are labels: move the loose images into one, or give one sub-folder alone.",
        )
    if not loose and not nested:
        raise _no_images(path, [*here, *(file for files in below.values() for file in files)], folders)
    other = [file.name for file in [*here, *(f for files in below.values() for f in files)] if not _is_image(file)]
    bare = [folder.name for folder, files in below.items() if not any(map(_is_image, files))]
    notes = [f"Ignored, as they are not images: {listed(other, 3)}."] if other else []
    notes += [f"Without images: the sub-folders {listed(bare, 3)}."] if bare else []
    return loose or nested, notes


def _listing(path: Path) -> tuple[list[Path], list[Path]]:
    """Files and folders, hidden ones ignored, each in natural order."""
    seen = sorted((p for p in path.iterdir() if not p.name.startswith((".", "__MACOSX"))), key=_natural)
    return [p for p in seen if p.is_file()], [p for p in seen if p.is_dir()]


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name.casefold())
    return [(0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts], path.name


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _no_images(path: Path, files: Sequence[Path], folders: Sequence[Path]) -> DataError:
    if not files and not folders:
        return DataError("The folder is empty.", "Put PNG, JPEG or WebP images into it.")
    deeper = next((folder for folder in folders if any(_listing(sub)[0] for sub in _listing(folder)[1])), None)
    if deeper is not None and not files:
        return DataError(
            "The images lie two folders down; labels are one folder down.", f"Give one folder, such as {deeper}."
        )
    if not files:
        return DataError("The sub-folders are empty.", "Put PNG, JPEG or WebP images into them.")
    suffix, count = Counter(file.suffix for file in files).most_common(1)[0]
    example = next(file for file in files if file.suffix == suffix)
    return DataError(
        f"The folder holds no PNG, JPEG or WebP images, but {counted(count, f'{suffix} file'.strip())}, "
        f"such as {example.name}.",
        f"To read that file, give its path: {example}.",
    )


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """The image file, decoded by the listed formats alone; whatever fails is a DataError that names the file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns of large images; our own limit below is smaller, and is an error.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=DECODERS) as image:
                yield image
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} is far too large an image ({error}).", "Remove it from the folder.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        reason = str(error).replace(f" {str(path)!r}", "")
        raise DataError(f"{path} is damaged or no image ({reason}).", "Mend it, or move it away.") from error


def _shape_of(path: Path, image: Image) -> tuple[int, int]:
    """Height and width as they are to be seen."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise DataError(
            f"{path} has {height}×{width} pixels, {width * height / 1e6:.0f} million; "
            f"the limit is {MOST_PIXELS / 1e6:.0f} million.",
            "Make it smaller before reading it; a model needs far fewer.",
        )
    return (width, height) if image.getexif().get(ORIENTATION) in LYING else (height, width)


def _traits(image: Image) -> Iterator[str]:
    if image.mode in TRANSPARENT or "transparency" in image.info:
        yield "the transparency of {} was dropped"
    if image.mode in SIXTEEN_BIT:
        yield "16-bit values of {} were scaled to 0..255"
    if image.mode == "P":
        yield "the palette colours of {} were read as RGB"
    if image.mode == "CMYK":
        yield "the printing colours (CMYK) of {} were read as RGB"
    if getattr(image, "n_frames", 1) > 1:
        yield "only the first frame of {} was read"


class Look:
    """What the image files of a folder say of themselves, taken together.

    Parameters
    ----------
    folder : that they lie in.
    size : (height, width) that they are brought to; None to keep the size that they all have.
    """

    def __init__(self, folder: Path, size: tuple[int, int] | None) -> None:
        self.folder, self.size = folder, size
        self.count = self._grey = self._resized = 0
        self._first: tuple[Path, tuple[int, int]] | None = None
        self._traits: Counter[str] = Counter()

    def add(self, path: Path) -> None:
        """Take one more file into account; refuse one of another size, where none was asked for."""
        with _opened(path) as image:
            height, width = _shape_of(path, image)
            self._grey += image.mode in GREY
            self._traits.update(_traits(image))
        self._first = self._first or (path, (height, width))
        first, first_shape = self._first
        if self.size is None and (height, width) != first_shape:
            raise DataError(
                f"The images differ in size (height×width): {first.relative_to(self.folder)} is "
                f"{first_shape[0]}×{first_shape[1]}, {path.relative_to(self.folder)} is {height}×{width}.",
                "Bring them to one size with --size 64x64 (in Python: size=(64, 64), height then width).",
            )
        self.count += 1
        self._resized += (height, width) != self.size

    @property
    def grey(self) -> bool:
        """Whether all are."""
        return self._grey == self.count

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the decoded images: (n, height, width) where all are grey, else (n, 3, height, width)."""
        size = self.size or ((0, 0) if self._first is None else self._first[1])
        return (self.count, *size) if self.grey else (self.count, 3, *size)

    def notes(self) -> list[str]:
        """What is lost or changed on the way, a sentence each."""
        found = [trait.format(counted(count, "image")) for trait, count in self._traits.items()]
        if not self.grey and self._grey:
            found.append(f"{counted(self._grey, 'grey image')} became RGB, as the others are")
        if self.size is not None:
            height, width = self.size
            found.append(f"{counted(self._resized, 'image')} resized to {height}×{width} (--size)")
        return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in found]


def _decoded(path: Path, grey: bool, size: tuple[int, int] | None) -> np.ndarray:
    """(height, width) or (3, height, width), uint8."""
    from PIL import Image, ImageOps

    with _opened(path) as opened:
        image = _in_mode("L" if grey else "RGB", ImageOps.exif_transpose(opened))
    if size is not None and image.size != size[::-1]:
        # Pillow's filters widen with the reduction, so that fine patterns average out instead of aliasing.
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels if grey else pixels.transpose(2, 0, 1)


def _in_mode(mode: str, image: Image) -> Image:
    if image.mode in SIXTEEN_BIT:
        from PIL import Image

        # Pillow's own conversion clips at 255, which turns most 16-bit pictures white.
        values = np.asarray(image).astype(np.float64) / 65535
        image = Image.fromarray(np.round(values.clip(0, 1) * 255).astype(np.uint8))
    if "transparency" in image.info:
        # Without this step Pillow warns about palettes with an alpha table.
        image = image.convert("RGBA")
    return image.convert(mode)
