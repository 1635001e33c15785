"""A source becomes a Dataset: names first, then the one table of formats.

A new format is a function ``read(path, request) -> Dataset`` and a line in :data:`FORMATS`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hyotan.data.arrays import drawn_note, drawn_rows
from hyotan.data.dataset import Dataset
from hyotan.data.idx import read_idx
from hyotan.data.image_folder import SUFFIXES, read_folder
from hyotan.data.named import NAMES, NamedSet
from hyotan.data.numpy_files import read_npy, read_npz
from hyotan.data.request import Request
from hyotan.data.tables import read_csv, read_parquet, read_tsv
from hyotan.errors import DataError, HyotanError, ResourceError, SettingsError, SourceNotFoundError, did_you_mean
from hyotan.words.phrases import listed


@dataclass(frozen=True)
class Format:
    """An entry of :data:`FORMATS`: what it is, who reads it, and which options of :func:`load` it knows."""

    caption: str
    read: Callable[[Path, Request], Dataset]
    takes: tuple[str, ...] = ()


TABLE_OPTIONS = ("label", "ignore", "columns", "missing", "id")
FOLDER = os.sep
FORMATS: dict[str, Format] = {
    ".npy": Format("a numpy array", read_npy, ("missing",)),
    ".npz": Format("numpy arrays, X and perhaps y", read_npz, ("label", "missing")),
    ".csv": Format("a table, comma-separated", read_csv, TABLE_OPTIONS),
    ".tsv": Format("a table, tab-separated", read_tsv, TABLE_OPTIONS),
    ".parquet": Format("a table", read_parquet, TABLE_OPTIONS),
    ".idx": Format("an array in MNIST's format", read_idx),
    ".idx.gz": Format("the same, gzipped", read_idx),
    "-ubyte": Format("the same, under MNIST's own file names", read_idx),
    "-ubyte.gz": Format("the same, gzipped", read_idx),
    FOLDER: Format("a folder of PNG, JPEG or WebP images; sub-folders are labels", read_folder, ("size",)),
}
"""How a path ends -> how it is read."""


def load(
    source: str | os.PathLike[str],
    *,
    label: str | None = None,
    ignore: Sequence[str] = (),
    columns: Sequence[str] = (),
    missing: str = "keep",
    size: tuple[int, int] | None = None,
    limit: int | None = None,
    as_table: bool = False,
    id: str | None = None,
) -> Dataset:
    """The dataset under a name of :data:`~hyotan.data.NAMES` or a path of :data:`FORMATS`.

    Parameters
    ----------
    source : str or path
        A name such as ``"mnist"``, a file, or a folder of images.
    label : str, optional
        The table's column, or the archive's array, that becomes `y`.
    ignore, columns : sequence of str
        Table columns to ignore; table columns to keep, in this order.
    missing : {"error", "drop", "mean", "keep"}
        What a table's missing values mean: refuse, leave the rows out, fill in the column's mean, or keep them as NaN,
        for models that learn from what is there. Of arrays, missing values are kept or refused.
    size : (height, width), optional
        Bring images to this size, in pixels.
    limit : int, optional
        At most so many rows, drawn at random with a fixed seed; a source's own test split stays whole.
    id : str, optional
        The table's column that names the rows: no feature, but kept in `ids`.

    as_table : bool
        Whether a table's columns keep their own types even where all of them are numbers, as a model of a table with
        several kinds of columns expects.

    Raises
    ------
    SourceNotFoundError
        Nothing lies under that name or path.
    DataError
        The data are there but cannot be used as they are.
    SettingsError
        An option that this source does not know, or a value that cannot work.
    """
    request = Request(label, ignore, columns, missing, size, limit, as_table, id)
    text = _source_text(source)
    known = NAMES.get(text.lower()) if isinstance(source, str) else None
    dataset = _load_path(text, request) if known is None else _load_named(text, known, request)
    return replace(_limited(dataset, request), source=text)


def _source_text(source: str | os.PathLike[str]) -> str:
    try:
        text = os.fsdecode(source)
    except TypeError as error:
        raise DataError(
            f"A source is a name or a path; got a {type(source).__name__}.",
            "For arrays in memory: Dataset.from_arrays(X, y).",
        ) from error
    if not text.strip() or "\0" in text:
        raise SourceNotFoundError(f"The source {text!r} names nothing.", f"Give a path, or one of {', '.join(NAMES)}.")
    return text


def _load_named(text: str, known: NamedSet, request: Request) -> Dataset:
    _check_options(request, (), f"the set '{text}'")
    dataset = known.load()
    if not Path(text).exists():
        return dataset
    note = f"'{text}' is the set of that name; for the file or folder write {os.path.join('.', text)}."  # noqa: PTH118
    return replace(dataset, notes=(*dataset.notes, note))


def _load_path(text: str, request: Request) -> Dataset:
    path = Path(text).expanduser()
    if not path.exists():
        raise _not_found(text, path)
    ending = _ending(path)
    entry = FORMATS[ending]
    _check_options(request, entry.takes, f"{text} ({entry.caption})")
    with _in_context(path):
        return replace(entry.read(path, request), name=_stem(path, ending))


def _ending(path: Path) -> str:
    if path.is_dir():
        return FOLDER
    # The longest ending wins, should one contain another.
    found = [ending for ending in FORMATS if path.name.lower().endswith(ending)]
    if found:
        return max(found, key=len)
    endings = ", ".join(ending for ending in FORMATS if ending != FOLDER)
    fix = f"What can be read: {endings}, or a folder of PNG, JPEG or WebP images."
    if path.suffix.lower() in SUFFIXES:
        fix = f"One image is no dataset; give the folder that holds it: {path.parent}."
    raise DataError(f"{path}: no reader is known for files that end in '{path.suffix or path.name}'.", fix)


def _stem(path: Path, ending: str) -> str:
    whole = path.resolve().name if ending == FOLDER else path.name[: -len(ending)]
    return whole or "data"


def _check_options(request: Request, takes: Sequence[str], what: str) -> None:
    strange = [option for option in request.given() if option not in (*takes, "limit", "as_table")]
    if strange:
        known = " ".join(f"--{option}" for option in (*takes, "limit"))
        raise SettingsError(
            f"{listed(strange)} cannot be applied to {what}.", f"Leave it out; what applies here: {known}."
        )


@contextmanager
def _in_context(path: Path) -> Iterator[None]:
    """Readers say what is wrong; where it is wrong is said here, once."""
    try:
        yield
    except HyotanError as error:
        if error.message.startswith(str(path)):
            raise
        raise type(error)(f"{path}: {error.message}", error.fix) from error
    except MemoryError as error:
        raise ResourceError(
            f"{path}: does not fit into memory.", "Read fewer rows, or save it as .npy, which is read from disk."
        ) from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}).", "Check the file's permissions."
        ) from error


def _not_found(text: str, path: Path) -> SourceNotFoundError:
    path_like = path.name != text or path.suffix != "" or text.startswith("~")
    if not path_like and not _similar(path):
        return SourceNotFoundError(
            f"No set is named '{text}', and no file or folder.", did_you_mean(text.lower(), NAMES)
        )
    near_name = [] if path_like else difflib.get_close_matches(text.lower(), NAMES, n=1)
    near = [*near_name, *_similar(path)]
    advice = f"Did you mean '{near[0]}'?" if near else "Check the path, or where you run this from."
    return SourceNotFoundError(f"No file or folder lies at '{text}'.", advice)


def _similar(path: Path) -> list[str]:
    """The path with its first wrong part mended by what lies beside it; empty where nothing is alike."""
    for part in (path, *path.parents):
        if not part.exists() and part.parent.is_dir():
            try:
                beside = [p.name for p in part.parent.iterdir()]
            except OSError:
                return []
            close = difflib.get_close_matches(part.name, beside, n=1)
            return [str(part.parent / name / path.relative_to(part)) for name in close]
    return []


def _limited(dataset: Dataset, request: Request) -> Dataset:
    rows = len(dataset.X)
    if request.limit is None or request.limit >= rows:
        return dataset
    drawn = dataset.take(drawn_rows(rows, request.limit))
    return replace(drawn, notes=(*dataset.notes, drawn_note(request.limit, rows, "row")))
