"""From a study's folder to what its page shows: records, recommendation and experiments as plain values and words."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import msgspec

from hyotan.analysis.diagnosis import GOOD, NOTICE, WARNING
from hyotan.data import Dataset
from hyotan.errors import RunFolderError
from hyotan.models.families import short_name
from hyotan.report.page import PageNote
from hyotan.report.study_page import NO, PARTLY, UNTESTED, YES, Claim, Pick, StudyReport
from hyotan.study import sentences
from hyotan.study.cells import Cell
from hyotan.study.choices import ALONE, CHOSEN_ON_TEST, HELPS, NOTHING, Advice, Option, Recommendation
from hyotan.study.drawing import measures_of, model_name, study_figures
from hyotan.study.exhibits import Exhibits
from hyotan.study.plan import DEFAULT, StudyConfig
from hyotan.study.replications import NOT_REPRODUCED, REPRODUCED, Replication
from hyotan.study.replications import PARTLY as PARTLY_REPRODUCED
from hyotan.study.replications import UNTESTED as NOT_TESTED
from hyotan.study.study_folder import DATA, StudyFolder
from hyotan.words import has, say, shown

PICTURES = "pictures.hyotan"
"""What the experiments left, in the study's folder of data."""

STATUSES = {REPRODUCED: YES, PARTLY_REPRODUCED: PARTLY, NOT_REPRODUCED: NO, NOT_TESTED: UNTESTED}

ALARMING = frozenset({"POSTERIOR_COLLAPSE", "CODE_NOT_LEARNED", "NO_BETTER_THAN_MEAN", "DATA_RANGE", "CONSTANT_DATA"})
WORTH_KNOWING = frozenset({"UNUSED_UNITS", "OVERFITTING", "NOT_CONVERGED", "NO_VALIDATION", "FEW_ROWS"})
"""What a diagnosis of single cells is passed on; how they do beside PCA, the page shows anyway."""


def study_report(folder: StudyFolder, lang: str = "en") -> StudyReport:
    """What the page of a study shows.

    Parameters
    ----------
    folder : of a study that has come to its end.
    lang : of the page.

    Raises
    ------
    RunFolderError
        The study has not come to its end.
    """
    record = folder.read_record()
    if not record.get("recommendation"):
        fix = f"Go on with it: hyotan study --resume {folder.path}"
        raise RunFolderError(f"{folder.path} is not finished: there is nothing to report yet.", fix)
    cells = [Cell.from_dict(cell) for cell in record["cells"]]
    recommendation = Recommendation.from_dict(record["recommendation"])
    train, test = folder.load_data()
    config = folder.config
    path = folder.path / DATA / PICTURES
    pictures = Exhibits.load(path) if path.is_file() else None
    found = study_figures(cells, pictures, lang)
    return StudyReport(
        title=say("study.title", lang, data=train.name, models=_listed(config.models, lang)),
        facts=_facts(folder, lang),
        level=_level(recommendation.headline),
        verdict=_verdict(recommendation, lang),
        picks=[_pick(choice, lang) for choice in recommendation.choices],
        warnings=sorted(_warnings(recommendation, cells, record, lang), key=lambda note: note.level != WARNING),
        numbers=_numbers(recommendation, cells, record, lang),
        measures=measures_of(cells),
        repeats=config.repeats,
        figures={section: [display for _, display in named] for section, named in found.items()},
        claims=_claims(record, lang),
        data=_data(train, test, config, lang),
        settings=_settings(config, recommendation, lang),
        command=study_command(config),
        facts_to_reproduce=_facts_to_reproduce(config, record, lang),
        record=_machine_readable(record),
    )


def _listed(models: Sequence[str], lang: str) -> str:
    return say("study.comma", lang).join(short_name(model, lang) for model in models)


def _facts(folder: StudyFolder, lang: str) -> str:
    config = folder.config
    words = [
        say("count.models", lang, n=len(config.models)),
        say("count.sizes", lang, n=len(config.sizes)),
        say("count.repeats", lang, n=config.repeats),
        say("count.trainings", lang, n=len(folder.plans)),
        folder.path.name,
    ]
    return " · ".join(words)


# -- what to take ------------------------------------------------------------------------------------------------------


def _level(choice: Advice) -> str:
    if choice.verdict in (HELPS, ALONE):
        return GOOD
    return WARNING if choice.verdict == NOTHING else NOTICE


def _verdict(recommendation: Recommendation, lang: str) -> list[str]:
    """The headline in words, and in one line what to take for the other purposes."""
    headline = recommendation.headline
    others = [choice for choice in recommendation.choices if choice is not headline]
    purposes = [say(f"recommendation.purpose.{choice.purpose}", lang) for choice in others]
    pairs = [
        say("study.for_purpose", lang, purpose=purpose, choice=_choice(choice, lang))
        for purpose, choice in zip(purposes, others, strict=True)
    ]
    return [sentences.of_verdict(headline, lang), say("study.between", lang).join(pairs)]


def _choice(choice: Advice, lang: str) -> str:
    if choice.chosen is None:
        return say("study.nothing" if choice.verdict == NOTHING else "study.unknown", lang)
    return model_name(choice.chosen.model, choice.chosen.latent_dim, lang)


def _pick(choice: Advice, lang: str) -> Pick:
    said = [sentences.of_verdict(choice, lang), *sentences.of_caveats(choice, lang)]
    purpose, status = say(f"recommendation.purpose.{choice.purpose}", lang), say(f"pick.{choice.verdict}", lang)
    return Pick(purpose, _choice(choice, lang), status, said, _level(choice))


# -- what to know first ------------------------------------------------------------------------------------------------


def _warnings(
    recommendation: Recommendation, cells: Sequence[Cell], record: Mapping[str, Any], lang: str
) -> Iterator[PageNote]:
    """What failed, what weakens every statement of the study, what was found wrong with single cells."""
    yield from _failures(record, lang)
    for text in sentences.of_recommendation(recommendation, lang)[len(recommendation.choices) :]:
        yield PageNote(NOTICE, "", text)
    yield from _of_cells(cells, lang)


def _of_cells(cells: Sequence[Cell], lang: str) -> Iterator[PageNote]:
    """What the diagnosis of single cells found, each kind once, with the cells that have it."""
    trained = [cell for cell in cells if not cell.is_baseline]
    found: dict[str, list[Cell]] = {}
    for cell in trained:
        for code in {code for code, _ in cell.warnings} & (ALARMING | WORTH_KNOWING):
            found.setdefault(code, []).append(cell)
    for code, which in sorted(found.items(), key=lambda item: (item[0] not in ALARMING, -len(item[1]))):
        if has(f"finding.{code}.title"):
            text = say("study.in_cells", lang, n=len(which), of=len(trained), names=_names(which, lang))
            yield PageNote(WARNING if code in ALARMING else NOTICE, say(f"finding.{code}.title", lang), text)


def _names(cells: Sequence[Cell], lang: str) -> str:
    """Models and sizes, each once, with how often where it is more."""
    counts = Counter(model_name(cell.model, cell.latent_dim, lang) for cell in cells)
    most = list(counts.items())[:8]
    words = [name if count == 1 else f"{name} ×{count}" for name, count in most]
    return say("study.semicolon", lang).join([*words, *(["…"] if len(counts) > len(most) else [])])


def _failures(record: Mapping[str, Any], lang: str) -> Iterator[PageNote]:
    for failure in record.get("failures", []):
        title = say("study.failed", lang, name=model_name(failure["model"], failure["latent_dim"], lang))
        yield PageNote(WARNING, title, failure["message"], None if lang == "en" else "en")


# -- numbers -----------------------------------------------------------------------------------------------------------


def _claims(record: Mapping[str, Any], lang: str) -> list[Claim]:
    """The articles' findings, those that could be tested first."""
    found = msgspec.convert(record.get("findings") or [], list[Replication])
    said = [
        Claim(
            sentences.claim(finding, lang),
            STATUSES[finding.outcome],
            say("recommendation.space", lang).join(sentences.figures_of(finding, lang)),
            finding.article,
            sentences.outcome(finding, lang),
        )
        for finding in found
    ]
    return sorted(said, key=lambda claim: claim.status == UNTESTED)


def _numbers(
    recommendation: Recommendation, cells: Sequence[Cell], record: Mapping[str, Any], lang: str
) -> list[tuple[str, str, str, str]]:
    headline, found = recommendation.headline, []
    if headline.ours is not None and headline.ours.test is not None:
        name = model_name(headline.ours.model, headline.ours.latent_dim, lang)
        found.append((f"{name}", *_figure(headline.ours, headline.measure), _measured(headline.measure, lang)))
    if headline.pca is not None and headline.pca.test is not None:
        name = model_name(headline.pca.model, headline.pca.latent_dim, lang)
        found.append((name, *_figure(headline.pca, headline.measure), _measured(headline.measure, lang)))
    trained = [cell for cell in cells if not cell.is_baseline]
    rows = max((cell.test.n_rows for cell in trained), default=0)
    chosen_on = any(note.code == CHOSEN_ON_TEST for note in recommendation.notes)
    use = say("study.test_rows_chosen_on" if chosen_on else "study.test_rows_more", lang)
    found.append((say("study.test_rows", lang), shown(rows), "", use))
    seconds = float(record.get("seconds") or 0.0)
    found.append((say("study.time", lang), *_time(seconds, lang), say("count.trainings", lang, n=len(trained))))
    return found


def _figure(option: Option, measure: str) -> tuple[str, str]:
    """Value and unit."""
    value = option.test.mean if option.test is not None else float("nan")
    if measure in sentences.SHARES:
        return f"{100 * value:.1f}", "%"
    return shown(value, 3), ""


def _measured(measure: str, lang: str) -> str:
    return say("numbers.both", lang, a=say(f"measure.{measure}", lang), b=say("study.higher", lang))


def _time(seconds: float, lang: str) -> tuple[str, str]:
    if seconds < 120:
        return shown(seconds, 3), say("study.seconds", lang)
    return shown(seconds / 60, 3), say("study.minutes", lang)


# -- data, settings, how to do it again --------------------------------------------------------------------------------


def _data(train: Dataset, test: Dataset, config: StudyConfig, lang: str) -> list[tuple[str, str]]:
    shape = train.feature_shape
    row = say("count.columns", lang, n=prod(shape))
    if train.is_image:
        channels = shape[0] if len(shape) == 3 else 1
        row = say("data.image", lang, height=shape[-2], width=shape[-1], channels=channels)
    classes = train.n_classes
    return [
        (say("data.source", lang), config.source),
        (say("study.train_rows", lang), say("count.rows", lang, n=len(train.X))),
        (say("data.test", lang), say("count.rows", lang, n=len(test.X))),
        (say("data.row", lang), row),
        (say("study.classes", lang), say("study.no_classes", lang) if classes is None else shown(classes)),
        (say("data.missing", lang), say(f"data.missing_{config.data.missing}", lang)),
        (say("data.digest", lang), config.fingerprint or train.fingerprint()),
    ]


def _settings(config: StudyConfig, recommendation: Recommendation, lang: str) -> list[tuple[str, str]]:
    spelled = [f"{name} = {value}" for name, value in config.parameters.items()]
    spelled += [f"{model}.{name} = {value}" for model, own in config.own.items() for name, value in own.items()]
    rows = [
        (say("study.preset", lang), config.preset),
        (say("study.models", lang), _listed(config.models, lang)),
        (say("study.sizes_tried", lang), ", ".join(map(str, config.sizes))),
        (say("study.repeats", lang), shown(config.repeats)),
        (say("study.parameters", lang), ", ".join(spelled) or say("study.defaults", lang)),
    ]
    chosen = sentences.rules(recommendation, lang).items()
    return rows + [(say("study.rule", lang, purpose=purpose), text) for purpose, text in chosen]


def study_command(config: StudyConfig) -> str:
    """The command line that makes this study again."""
    words = ["hyotan", "study", config.source, "--models", ",".join(config.models)]
    words += ["--sizes", ",".join(map(str, config.sizes)), "--repeats", str(config.repeats)]
    words += ["--preset", config.preset] if config.preset != DEFAULT else []
    words += ["--nested"] if config.nested else []
    for name, value in config.parameters.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else "none" if value is None else str(value)
        words += [f"--{name.replace('_', '-')}", text]
    data = config.data
    given = {"label": data.label, "ignore": ",".join(data.ignore), "columns": ",".join(data.columns)}
    given |= {"missing": data.missing if data.missing != "keep" else None, "limit": data.limit}
    given |= {"size": "x".join(map(str, data.size)) if data.size else None}
    for name, value in given.items():
        words += [f"--{name}", str(value)] if value else []
    return " ".join(shlex.quote(word) for word in words)


def _facts_to_reproduce(config: StudyConfig, record: Mapping[str, Any], lang: str) -> list[tuple[str, str]]:
    seeds = [str(config.seed + repeat) for repeat in range(config.repeats)]
    return [
        (say("reproduce.seed", lang), ", ".join(seeds)),
        (say("study.time", lang), " ".join(_time(float(record.get("seconds") or 0.0), lang))),
        (say("study.files", lang), "study.toml, study.json, cells/, data/, figures/"),
    ]


def _machine_readable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The study's own record; the single runs of K-means stay in its folder."""
    cells = [{key: value for key, value in cell.items() if key != "clusterings"} for cell in record["cells"]]
    return {"kind": "study", **record, "cells": cells}
