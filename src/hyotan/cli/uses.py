"""What the commands that use a model share; each command has a file of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from hyotan.cli.command import command
from hyotan.cli.options import DATA_OPTIONS, given_data, place
from hyotan.cli.output import Printer
from hyotan.errors import DataError, SettingsError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from hyotan.cli.written import RowIds
    from hyotan.data import Dataset
    from hyotan.data.frames import Frame

ROWS = (".npy", ".csv", ".tsv", ".parquet")
"""Endings of the files that rows can be written to."""

TABLES = ROWS[1:]

Record: TypeAlias = dict[str, Any]
"""What ``--json`` prints."""


def use(
    default: str, endings: Sequence[str] = ROWS, rows: bool = True, detectors: bool = False
) -> Callable[[Callable[..., Record]], click.Command]:
    """A command that uses a trained model: it reads RUN and SOURCE, computes, writes files, and says what was done.

    Its function takes a :class:`Used`, then its own arguments and flags by name. It gives back what ``--json`` prints
    beside the name of the file; otherwise the names of all files written are printed. This module loads nothing heavy,
    so that help answers at once.

    Parameters
    ----------
    default : the name of the file that it writes into the run folder where --out names no other.
    endings : what that file's name may end in; empty for anything.
    rows : whether it takes SOURCE, by default the run's own test rows.
    detectors : whether it takes a detector in the place of a run.
    """
    named = f"{' '.join(endings[:-1])} or {endings[-1]}" if endings else "The file to write."

    def made(function: Callable[..., Record]) -> click.Command:
        @functools.wraps(function)
        def call(printer: Printer, run: str, out: str | None, source: str | None = None, **values: Any) -> None:
            options = {name: values.pop(name) for name in DATA_OPTIONS} if rows else {}
            used = Used(run, printer, source, options, out, default, endings, detectors)
            record = function(used, **values)
            printer.result({"file": used.files[0], **record}, [str(file) for file in used.files])

        built = command()(call)
        own, built.params = built.params, []
        source = [click.argument("source", required=False)] if rows else []
        for add in (click.argument("run", type=click.Path()), *source):
            add(built)
        built.params += own
        for add in (place("--out -o", f"{named}  [RUN/{default}]"), *(DATA_OPTIONS.values() if rows else ())):
            add(built)
        return built

    return made


class Used:
    """A model and, where it is known, the run that it came from; the rows it is used on; the files that come of it.

    Parameters
    ----------
    place : a run folder, or a model file.
    printer : says what is done.
    source : where the rows come from; None for the run's own test rows.
    options : how the source is read.
    out : the file to write; None for ``default`` in the run folder.
    default : its name.
    endings : what its name may end in; empty for anything.
    detectors : whether the place may be a detector's.

    Attributes
    ----------
    estimator : the fitted model, or the detector.
    run : None of a model file and of a detector.
    is_detector : whether the model is a detector of anomalies.
    columns : the names of the columns that the model was fitted on, where they are known.
    table_columns : of a table of several kinds of columns, those that the model needs; else empty.
    files : what was written.
    """

    def __init__(
        self,
        place: str,
        printer: Printer,
        source: str | None = None,
        options: Mapping[str, Any] | None = None,
        out: str | None = None,
        default: str = "",
        endings: Sequence[str] = ROWS,
        detectors: bool = False,
    ) -> None:
        from hyotan.cli.written import refuse_unwritable
        from hyotan.runs.run_folder import RunFolder

        self.path, self.printer, self.source = Path(place), printer, source
        self.options, self.is_chosen = dict(options or {}), out is not None
        self.run = RunFolder(self.path) if RunFolder.is_at(self.path) else None
        self.estimator, self.is_detector = self._load(detectors)
        noted = self.run.config.data.columns if self.run else getattr(self.estimator, "feature_names_in_", ())
        self.columns = [str(name) for name in noted]
        self.table_columns = list(self.estimator.preprocessor_.names)
        if not (self.table_columns and self.is_detector):
            # Rows come in the order of these columns, as plain arrays: scikit-learn's word on names would mislead.
            vars(self.estimator).pop("feature_names_in_", None)
        self.file = Path(out) if out else (self.path if self.path.is_dir() else self.path.parent) / default
        self.files: list[Path] = []
        refuse_unwritable(self.file, endings)
        self.refuse_over(source)

    def _load(self, detectors: bool) -> tuple[Any, bool]:
        """What lies at the place, and whether it is a detector."""
        from hyotan.anomalies import load_detector
        from hyotan.cli.found import is_data, is_detector, no_run
        from hyotan.estimators import load_model

        if detectors and is_detector(self.path):
            return load_detector(self.path), True
        if self.run is not None:
            return self.run.load_model(), False
        if is_data(self.path) or not self.path.is_file():
            raise no_run(str(self.path), f"Name the run first, then the data: RUN {self.path}")
        return load_model(self.path), False

    # -- what it can do ------------------------------------------------------------------------------------------------

    def able(self, method: str, message: str, fix: str) -> Any:
        """A method or attribute of the model.

        Raises
        ------
        SettingsError
            It has none such; the message and the fix are those given.
        """
        if not hasattr(self.estimator, method):
            raise SettingsError(message, fix)
        return getattr(self.estimator, method)

    @property
    def kind(self) -> str:
        """The kind of the model with its article: "an autoencoder"."""
        kind = self.estimator.kind
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"

    def label(self, text: str | None, flag: str) -> dict[str, Any]:
        """The label that was typed, as ``y`` of a conditional model; nothing where none was.

        Raises
        ------
        SettingsError
            The model takes no labels, or knows no such label.
        """
        if text is None:
            return {}
        source = self.run.config.source if self.run is not None else "SOURCE"
        fix = f"Leave it out, or train one that does: hyotan fit {source} --model cvae"
        classes = self.able("classes_", f"{flag} {text}: {self.kind} takes no labels.", fix)
        known = {str(label): label for label in classes.tolist()}
        if text not in known:
            raise SettingsError(f"{flag} {text}: the model knows no such label.", did_you_mean(text, known))
        return {"y": known[text]}

    # -- the rows ------------------------------------------------------------------------------------------------------

    @cached_property
    def dataset(self) -> Dataset:
        """The rows of the source; the run's own test rows where none is given."""
        if self.source is not None:
            return self.read(self.source, **given_data(self.options))
        if self.run is None:
            raise SettingsError("A model file alone has no rows.", f"Name the data behind it: {self.path} SOURCE")
        return self.run.split_data()[1]

    @property
    def names(self) -> list[str]:
        """Column names of the rows, where they are known."""
        return list(self.dataset.feature_names or self.columns)

    def read(self, source: str, label: str | None = None, **given: Any) -> Dataset:
        """The rows of a source, their columns in the model's order; the options given override those of the run.

        Parameters
        ----------
        source : a name or a path.
        label : the column that holds the labels, as the run knows it.
        given : options of the command line.

        Raises
        ------
        DataError
            They are not such as the model takes.
        """
        from hyotan.data import load

        known = {name: value for name, value in self._known(source, label).items() if name not in given}
        try:
            dataset = load(source, **known, **given)
        except DataError as error:
            for option in ("columns", "label"):
                if option in known and error.message.endswith(f"(--{option})."):
                    message = error.message.replace(f" (--{option})", ", which the model needs")
                    needed = ", ".join([*known["columns"], *filter(None, [label])])
                    raise DataError(message, f"The model was fitted on: {needed}.") from error
            raise
        ours, needed = dataset.feature_shape, tuple(self.estimator.feature_shape_)
        if not self.table_columns and ours != needed:  # a table says itself what it needs
            resize = Path(source).is_dir() and ours[:-2] == needed[:-2]
            size = "x".join(map(str, needed[-2:]))
            fix = f"Bring them to its size: --size {size}" if resize else f"See what it needs: hyotan info {self.path}"
            raise DataError(f"{source} has rows of shape {ours}; the model was fitted on rows of shape {needed}.", fix)
        return dataset

    def _known(self, source: str, label: str | None) -> dict[str, Any]:
        """How the run read such a source: the columns in their order, the label, the size of images."""
        from hyotan.runs.settings import DataOptions

        data = self.run.config.data if self.run is not None else DataOptions()
        if Path(source).is_dir():
            return {} if data.size is None else {"size": data.size}
        if Path(source).suffix.lower() not in TABLES or not self.columns:
            return {}
        labels = {} if label is None else {"label": label}
        if self.table_columns:
            return labels | {"columns": self.table_columns, "as_table": True}
        return labels | {"columns": self.columns} | ({"missing": data.missing} if data.missing != "keep" else {})

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def refuse_over(self, source: str | None) -> None:
        """Refuse to write over the data themselves.

        Raises
        ------
        SettingsError
            The file to write is the one that is read.
        """
        if source is not None and self.file.exists() and Path(source).exists() and self.file.samefile(source):
            raise SettingsError(f"--out {self.file} is the file that is read.", "Choose another name for the result.")

    def write(
        self, array: np.ndarray | Frame, names: Sequence[str] = (), ids: RowIds | None = None, more: str = ""
    ) -> Path:
        """Write rows as :func:`~hyotan.cli.written.write_rows` does; ``more`` goes to the end of the file's stem."""
        from hyotan.cli.written import write_rows
        from hyotan.data.frames import as_frame

        if as_frame(array) is not None and not self.is_chosen and self.file.suffix == ".npy":
            self.file = self.file.with_suffix(".csv")
        self.files.append(write_rows(self.file.with_stem(self.file.stem + more), array, names, ids))
        return self.files[-1]

    def draw(self, display: Any, ending: str = ".png") -> Path:
        """Draw a picture beside the file."""
        save = display.save_gif if ending == ".gif" else display.save
        self.files.append(save(self.files[0].with_suffix(ending)))
        return self.files[-1]

    def say(self, *lines: str) -> None:
        """Lines for the person."""
        self.printer.notice(*lines)
