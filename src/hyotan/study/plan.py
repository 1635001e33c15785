"""What a study trains: models × latent sizes × repeats, everything else equal; and the settings file that says so."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from typing import Any

import msgspec
import numpy as np

from hyotan.data import Dataset
from hyotan.data import load as load_data
from hyotan.errors import DataError, SettingsError, did_you_mean
from hyotan.files.toml import from_toml, names_in, read_named, to_toml
from hyotan.models.families import BY_NAME
from hyotan.parameters.table import PARAMETERS, check_settings, current_names, default_of, parameters_of
from hyotan.preprocessing.scaling import has_missing
from hyotan.runs.settings import DataOptions, absolute_source
from hyotan.study.classes import Classes
from hyotan.words.phrases import listed

PRESETS = resources.files("hyotan.study") / "presets"
DEFAULT = "default"
SET_BY_THE_STUDY = {
    "latent_dim": "Name the sizes: --sizes 2,4,16.",
    "random_state": "Name the first repeat's seed.",
    "ordered": "Ask for ordered codes of every model: --nested.",
}
"""Parameters that differ from cell to cell by the study's plan, and how that is said."""

ORDERED = [family.name for family in PARAMETERS["ordered"].families]
"""Models whose code can be ordered."""

SAME_FOR_ALL = ("scaling", "binarise", "validation_fraction", "validation_rows")
"""Parameters in which models cannot differ: their errors would not be comparable, or not be those of the same rows."""


@dataclass(frozen=True)
class Preset:
    """Settings of a study under a name.

    Attributes
    ----------
    title : one line.
    models, sizes, repeats : the grid; as :class:`StudyConfig` has them.
    test_rows, parameters, own : as :class:`StudyConfig` has them.
    article : where the settings come from.
    left_open : what that article does not state: the values are ours.
    """

    title: str
    models: list[str]
    sizes: list[int]
    repeats: int
    test_rows: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    article: str = ""
    left_open: list[str] = field(default_factory=list)


def preset_names() -> list[str]:
    """Names of all presets, sorted."""
    return names_in(PRESETS)


def read_preset(name: str, place: str = "") -> Preset:
    """Read a preset by its name; ``place`` is where the name stands, for errors.

    Raises
    ------
    SettingsError
        There is none of this name; names the nearest.
    """
    return msgspec.convert(read_named(PRESETS, name, "preset", place), Preset, strict=True)


@dataclass(frozen=True)
class CellPlan:
    """One training of a study.

    Attributes
    ----------
    model : as ``--model`` spells it; ``kind`` is the estimator's kind.
    latent_dim : size of the code.
    repeat : from 0.
    seed : random_state; the same for all models and sizes of a repeat, so that they hold the same rows out.
    parameters : of the estimator, all that were given.
    sizes : the sizes that are measured: ``latent_dim`` alone, or every prefix of an ordered code.
    """

    model: str
    latent_dim: int
    repeat: int
    seed: int
    kind: str
    parameters: dict[str, Any]
    sizes: tuple[int, ...]

    @property
    def name(self) -> str:
        """The name of its run folder."""
        return f"{self.model}-{self.latent_dim}-{self.repeat}"

    @property
    def nested(self) -> bool:
        """Whether its code is ordered, and stands for all sizes."""
        return bool(self.parameters.get("ordered", False))

    @property
    def settings(self) -> dict[str, Any]:
        """Every parameter of the estimator, defaults included."""
        return {p.name: default_of(p, self.kind) for p in parameters_of(self.kind)} | self.parameters


@dataclass(frozen=True)
class StudyConfig:
    """Everything that a study is made from; written to ``study.toml`` and read back from it.

    Attributes
    ----------
    source : name or path of the data.
    models : as ``--model`` spells them.
    sizes : latent sizes, ascending.
    repeats : trainings of each model and size, each with its own seed and held-out rows.
    preset : what it started from, for the record.
    nested : one ordered code a model and repeat, of the largest size, stands for all sizes as its prefixes.
    seed : random_state of the first repeat; each further one adds 1.
    test_rows : so many test rows, the first ones; None for all.
    parameters : of the estimators; each model takes those that it has.
    own : parameters of one model alone, by model; they win over ``parameters``.
    data : how the source is read.
    fingerprint : SHA-256 of the data, noted when the study is made, so that a resumed one meets the same data.
    """

    source: str
    models: tuple[str, ...]
    sizes: tuple[int, ...]
    repeats: int = 3
    preset: str = DEFAULT
    nested: bool = False
    seed: int = 0
    test_rows: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    data: DataOptions = field(default_factory=DataOptions)
    fingerprint: str | None = None

    def checked(self, where: str = "") -> StudyConfig:
        """The same with every value in its plain type, sizes sorted.

        Raises
        ------
        SettingsError
            A value that cannot be: names it, what was expected, and ``where`` it stands.
        """
        place = f" in {where}" if where else ""
        _check_models(self.models, place)
        for name, low in (("repeats", 1), ("seed", 0)):
            if getattr(self, name) < low:
                raise SettingsError(f"{name}{place} cannot be {getattr(self, name)}.", f"Expected at least {low}.")
        if not self.sizes or min(self.sizes) < 1:
            raise SettingsError(
                f"sizes{place} cannot be {list(self.sizes)}: expected latent sizes of at least 1.",
                "For example: --sizes 2,4,16",
            )
        if self.test_rows is not None and self.test_rows < 1:
            raise SettingsError(f"test_rows{place} cannot be {self.test_rows}.", "Expected at least 1.")
        read_preset(self.preset, place)
        if self.nested:
            _refuse_unordered(self.models)
        _check_owners(self.own, self.models, place)
        _check_common(self.parameters, self.models, place)
        return replace(
            self,
            models=tuple(dict.fromkeys(self.models)),
            sizes=tuple(sorted(set(self.sizes))),
            parameters={name: PARAMETERS[name].check(value) for name, value in self.parameters.items()},
            own={model: check_settings(BY_NAME[model].kind, values, where) for model, values in self.own.items()},
        )

    def parameters_of(self, model: str) -> dict[str, Any]:
        """The parameters that were given for one model, checked: those for all that it has, then its own."""
        kind = BY_NAME[model].kind
        known = {parameter.name for parameter in parameters_of(kind)}
        common = {name: value for name, value in self.parameters.items() if name in known}
        return check_settings(kind, {**common, **self.own.get(model, {})})

    def cells(self) -> list[CellPlan]:
        """Every training, repeats outermost: a study that is stopped has whole repeats."""
        sizes = self.sizes[-1:] if self.nested else self.sizes
        measured = {size: self.sizes if self.nested else (size,) for size in sizes}
        ordered = {"ordered": True} if self.nested else {}
        found = []
        for repeat, size, model in itertools.product(range(self.repeats), sizes, self.models):
            seed = self.seed + repeat
            parameters = {**self.parameters_of(model), "latent_dim": size, "random_state": seed, **ordered}
            found.append(CellPlan(model, size, repeat, seed, BY_NAME[model].kind, parameters, measured[size]))
        return found

    def to_toml(self) -> str:
        """As TOML, see :func:`hyotan.files.toml.to_toml`."""
        return to_toml(self)

    @staticmethod
    def from_toml(text: str, where: str) -> StudyConfig:
        """Read a study's settings.

        Raises
        ------
        SettingsError
            Not TOML, an unknown key, or a value outside its domain; ``where`` names the file.
        """
        config = from_toml(StudyConfig, text, where, "a study's settings", "a study's study.toml")
        own = {model: current_names(values) for model, values in config.own.items()}
        return replace(config, parameters=current_names(config.parameters), own=own).checked(where)

    def load_data(self) -> Dataset:
        """Read the source."""
        dataset = load_data(self.source, **asdict(self.data)).in_memory()
        return replace(dataset, layout=self.parameters.get("layout", "auto"))


def configure(
    dataset: Dataset,
    source: str,
    *,
    models: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
    repeats: int | None = None,
    preset: str = DEFAULT,
    nested: bool = False,
    seed: int = 0,
    parameters: Mapping[str, Any] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    weaker: Mapping[str, Any] | None = None,
    test_rows: int | None = None,
    data: DataOptions | None = None,
) -> StudyConfig:
    """Settings for these data: what is not given comes from the preset, cut to what the data allow.

    The preset's models that need labels are ignored where there are none or values are missing; so are its sizes that
    are no smaller than a row.

    Parameters
    ----------
    dataset : the data behind ``source``.
    weaker : parameters that everything else wins over; those that no model of the study has are ignored.
    others : as :class:`StudyConfig` has them; ``parameters`` win over the preset's, those of one model included.

    Raises
    ------
    SettingsError
        A value that cannot be, or a model that needs labels where there are none.
    DataError
        A row has a single feature: there is nothing to compress.
    """
    base = read_preset(preset)
    common, single = dict(parameters or {}), {model: dict(values) for model, values in (own or {}).items()}
    chosen = tuple(models) if models is not None else _models_for(base.models, dataset, nested)
    kept = {m: {k: v for k, v in values.items() if k not in common} for m, values in base.own.items() if m in chosen}
    config = StudyConfig(
        source=absolute_source(source),
        models=chosen,
        sizes=tuple(sizes) if sizes is not None else _sizes_for(base.sizes, dataset),
        repeats=base.repeats if repeats is None else repeats,
        preset=preset,
        nested=nested,
        seed=seed,
        test_rows=base.test_rows if test_rows is None else test_rows,
        parameters={**_fitting(weaker or {}, chosen), **base.parameters, **common},
        own={model: {**kept.get(model, {}), **single.get(model, {})} for model in {**kept, **single}},
        data=(data or DataOptions()).with_columns_of(dataset),
        fingerprint=dataset.fingerprint(),
    ).checked()
    _refuse_unlabelled(config, dataset, source)
    return config


def _fitting(parameters: Mapping[str, Any], models: Iterable[str]) -> dict[str, Any]:
    known = {parameter.name for model in models if model in BY_NAME for parameter in parameters_of(BY_NAME[model].kind)}
    return {name: value for name, value in parameters.items() if name in known - set(SET_BY_THE_STUDY)}


def _models_for(models: Iterable[str], dataset: Dataset, nested: bool) -> tuple[str, ...]:
    # Models of labels do not know what to do with a value that is missing.
    can_use_labels = Classes.of(dataset.y) is not None and not has_missing(dataset.X)
    fitting = [model for model in models if can_use_labels or not BY_NAME[model].conditional]
    return tuple(model for model in fitting if not nested or model in ORDERED)


def _sizes_for(sizes: Iterable[int], dataset: Dataset) -> tuple[int, ...]:
    features = int(np.prod(dataset.feature_shape))
    if features < 2:
        raise DataError(
            f"{dataset.name} has a single feature a row: there is nothing to compress.", "Pass rows of 2 or more."
        )
    return tuple(size for size in sizes if size < features) or (1,)


def _refuse_unlabelled(config: StudyConfig, dataset: Dataset, source: str) -> None:
    if Classes.of(dataset.y) is not None:
        return
    why = "has no labels" if dataset.y is None else f"has labels that are no classes ({dataset.describe()})"
    for model in (model for model in config.models if BY_NAME[model].conditional):
        raise SettingsError(
            f"--models {model} needs labels; {source} {why}.",
            f"Leave {model} out, or name the column that holds the classes: --label COLUMN",
        )


def _refuse_unordered(models: Sequence[str]) -> None:
    for model in models:
        if model not in ORDERED:
            raise SettingsError(
                f"--nested needs models with an ordered code, which {model} is not.",
                f"Choose from: {', '.join(ORDERED)}.",
            )


def _check_models(models: Sequence[str], place: str) -> None:
    if not models:
        raise SettingsError(f"models{place} cannot be empty.", f"Choose from: {', '.join(BY_NAME)}.")
    for model in models:
        if model not in BY_NAME:
            raise SettingsError(f"model '{model}'{place} is not known.", did_you_mean(model, BY_NAME))


def _check_owners(own: Mapping[str, Mapping[str, Any]], models: Sequence[str], place: str) -> None:
    for model, parameters in own.items():
        if model not in models:
            raise SettingsError(
                f"own.{model}{place} speaks of a model that the study does not have.", did_you_mean(model, models)
            )
        for name in parameters:
            _refuse_set_by_the_study(name, place)
            if name in SAME_FOR_ALL:
                raise SettingsError(
                    f"{name}{place} cannot be set for {model} alone: the models would not be comparable.",
                    "Set it for all of them.",
                )


def _check_common(parameters: Mapping[str, Any], models: Sequence[str], place: str) -> None:
    """Refuse a parameter that none of the models has; one that some have is theirs alone."""
    kinds = [BY_NAME[model].kind for model in models]
    known = {parameter.name for kind in kinds for parameter in parameters_of(kind)}
    for name in parameters:
        _refuse_set_by_the_study(name, place)
        if name not in known:
            owners = [family.name for family in PARAMETERS[name].families] if name in PARAMETERS else []
            fix = f"It belongs to: {', '.join(owners)}." if owners else did_you_mean(name, known)
            raise SettingsError(f"'{name}'{place} is not a setting of {listed(list(models))}.", fix)


def _refuse_set_by_the_study(name: str, place: str) -> None:
    if name in SET_BY_THE_STUDY:
        raise SettingsError(f"{name}{place} is set by the study itself, for each cell.", SET_BY_THE_STUDY[name])
