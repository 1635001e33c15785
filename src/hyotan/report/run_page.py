"""The page of a run: verdict, warnings, numbers, curves, pictures, codes, data, model, how to do it again."""

from __future__ import annotations

import math
import platform
from collections import Counter
from hashlib import sha256
from math import prod
from typing import Any

from hyotan.analysis.diagnosis import GOOD, NOTICE, WARNING
from hyotan.data.arrays import value_range
from hyotan.data.frames import Frame
from hyotan.data.stored import StoredRows
from hyotan.estimators.splits import count_held_out
from hyotan.figures.canvas import tidy
from hyotan.figures.charts import BarChart
from hyotan.figures.chosen import label_key
from hyotan.files.container import read_settings
from hyotan.report.denoised import denoising
from hyotan.report.findings import finding_values, notes_of
from hyotan.report.latent_page import latent
from hyotan.report.markup import Html, html_table, join, pairs, tag
from hyotan.report.page import (
    Page,
    PageNote,
    Section,
    bytes_of,
    command,
    glossary,
    html_figure,
    html_notes,
    side_by_side,
    tiles,
    within_limits,
)
from hyotan.report.pictures import Thumbnails
from hyotan.report.run import Bounds, RunRecord, fit_command
from hyotan.report.run_figures import curves, reconstructions, samples
from hyotan.runs.run_folder import MODEL, TEST_FRACTION, RunFolder
from hyotan.words import aligned, say, shown

FEW_TEST_ROWS = 100
MOST_CLASSES = 30
MEMORISED, MEMORISED_MUCH = 1.25, 2.0
"""Error on new rows over that on rows trained on: from here on the model knows these rows, or knows them by heart."""

WORDS = ("mse", "loss", "reconstruction", "kl", "latent", "active", "held_out", "pca", "interval", "plane")


def run_page(folder: RunFolder, lang: str = "en") -> str:
    """The page of a finished run.

    Parameters
    ----------
    folder : the run's.
    lang : language of the page.

    Raises
    ------
    RunFolderError
        The run is not finished.
    DataError
        The data have changed since the run was made.
    """
    record = RunRecord.open(folder)
    return within_limits(lambda thumbnails: _page_of(record, thumbnails, lang), lang)


def _page_of(record: RunRecord, thumbnails: Thumbnails, lang: str) -> Page:
    """The page with pictures of one size."""
    found = _all_notes(record, lang)
    grave = [note for note in found if note.level != GOOD]
    level = next((level for level in (WARNING, NOTICE) if any(note.level == level for note in grave)), GOOD)
    parts = {
        "warnings": html_notes(grave, lang) if grave else tag("p", say("warnings.none", lang)),
        "numbers": _numbers(record, lang),
        "curves": curves(record, thumbnails, lang),
        "pictures" if record.is_image else "columns": reconstructions(record, thumbnails, lang),
        "denoising": denoising(record, thumbnails, lang),
        "samples": samples(record, thumbnails, lang),
        "latent": latent(record, lang),
        "data": _data(record, lang),
        "model": _model(record, lang),
        "reproduce": _reproduce(record, lang),
        "words": glossary(_words(record), lang),
    }
    return Page(
        lang=lang,
        title=say("run.title", lang, data=tidy(record.train.name, 60), model=record.family.names[lang]),
        facts=_facts(record, lang),
        level=level,
        verdict=_verdict(record, lang),
        sections=[Section(name, say(f"section.{name}", lang), body) for name, body in parts.items()],
        data=machine_readable(record),
    )


def _words(record: RunRecord) -> list[str]:
    """What the page's glossary explains."""
    words = [name for name in WORDS if name != "kl" or record.family.probabilistic]
    found = record.metrics.get("denoising") or {}
    return [*words, *(name for name in ("psnr", "ssim") if found.get(name) is not None)]


def _facts(record: RunRecord, lang: str) -> str:
    """The line below the heading."""
    n = record.estimator.model_code_size
    words = [
        say("count.dimensions", lang, n=n),
        say("count.parameters", lang, n=int(record.metrics.get("parameters", 0))),
        say("count.epochs", lang, n=int(record.metrics.get("epochs", 0))),
        record.folder.path.name,
    ]
    return " · ".join(words)


# -- the verdict -------------------------------------------------------------------------------------------------------


def _verdict(record: RunRecord, lang: str) -> list[str]:
    """Three sentences: beside the baselines, how much of the code is used, whether rows are known by heart."""
    first = _beside_baselines(record, lang)
    if {"POSTERIOR_COLLAPSE", "CODE_NOT_LEARNED", "NO_BETTER_THAN_MEAN"} & _found_codes(record):
        last = say("verdict.see_warnings", lang)  # What learned nothing has memorised nothing either.
    else:
        last = _memory(record, lang)
    return [sentence for sentence in (first, _units(record, lang), last) if sentence]


def _found_codes(record: RunRecord) -> set[str]:
    """The codes of what the diagnosis found."""
    return {finding["code"] for finding in record.metrics.get("diagnosis", [])}


def _values(record: RunRecord) -> dict[str, Any]:
    """What sentences about the run can name."""
    return finding_values(record.metrics, record.history, len(record.train.X), record.estimator.range_)


def _beside_baselines(record: RunRecord, lang: str) -> str | None:
    codes = _found_codes(record)
    keys = {
        "NO_BETTER_THAN_MEAN": "verdict.mean",
        "ADDS_NOISE": "verdict.adds_noise",
        "LIKE_AFFINE": "verdict.like_affine",
        "WORSE_THAN_AFFINE": "verdict.worse_than_affine",
        "BETTER_THAN_AFFINE": "verdict.better_than_affine",
        "LESS_NOISE": "verdict.less_noise",
        "LIKE_PCA": "verdict.like_pca",
        "WORSE_THAN_PCA": "verdict.worse_than_pca",
        "BETTER_THAN_PCA": "verdict.better_than_pca",
        "POSTERIOR_COLLAPSE": "verdict.collapse",
        "CODE_NOT_LEARNED": "verdict.collapse",
        "NO_BOTTLENECK": "verdict.no_bottleneck",
    }
    known, key = _values(record), next((keys[code] for code in keys if code in codes), None)
    if key == "verdict.worse_than_pca" and known["share"] > 100:
        return say("verdict.far_worse_than_pca", lang, times=round(known["mse"] / known["pca"], 1), **known)
    return None if key is None else say(key, lang, **known)


def _units(record: RunRecord, lang: str) -> str:
    known = _values(record)
    if known["active"] == known["total"]:
        return say("verdict.all_units", lang, n=known["total"], features=known["features"])
    return say("verdict.some_units", lang, **known)


def _memory(record: RunRecord, lang: str) -> str:
    if record.no_test_rows:
        return say("verdict.no_test_rows", lang)
    ratio, beyond_chance = record.memorising
    share = round(100 * (ratio - 1))
    if not beyond_chance or ratio < MEMORISED:
        return say("verdict.no_memorising", lang)
    return say("verdict.memorising", lang, share=share)


# -- warnings ----------------------------------------------------------------------------------------------------------


def _all_notes(record: RunRecord, lang: str) -> list[PageNote]:
    """What the diagnosis found, and what only a report can see."""
    found = notes_of(record.metrics.get("diagnosis", []), _values(record), lang)
    ratio, beyond_chance = record.memorising
    if record.no_test_rows:
        found.append(
            PageNote(WARNING, say("alert.no_test.title", lang), say("alert.no_test.text", lang, n=len(record.test.X)))
        )
    elif beyond_chance and ratio >= MEMORISED:
        level = WARNING if ratio >= MEMORISED_MUCH else NOTICE
        text = say("alert.memorising.text", lang, share=round(100 * (ratio - 1)))
        found.append(PageNote(level, say("alert.memorising.title", lang), text))
    if len(record.test.X) < FEW_TEST_ROWS and not record.no_test_rows:
        found.append(
            PageNote(NOTICE, say("alert.few_test.title", lang), say("alert.few_test.text", lang, n=len(record.test.X)))
        )
    order = {WARNING: 0, NOTICE: 1, GOOD: 2}
    return sorted(found, key=lambda note: order.get(note.level, 1))


# -- numbers -----------------------------------------------------------------------------------------------------------


def _numbers(record: RunRecord, lang: str) -> Html:
    """The most important ones large, then all of them beside the baselines."""
    known, bounds = record.metrics, record.intervals
    n = say("count.rows", lang, n=len(record.test.X))
    intro = say("numbers.intro_seen" if record.no_test_rows else "numbers.intro", lang, rows=n)
    return join([tag("p", intro), tiles(_tiles(record, lang)), _table(known, bounds, lang)])


def _tiles(record: RunRecord, lang: str) -> list[tuple[str, str, str, str]]:
    known, bounds = record.metrics, record.intervals
    lower = say("numbers.lower", lang)
    found = [
        (
            say("numbers.mse", lang),
            shown(known["test"]["mse"], 3),
            "",
            say("numbers.both", lang, a=_interval(bounds["mse"], lang), b=lower),
        )
    ]
    if known.get("mse_pca"):
        found.append(_pca_tile(known["test"]["mse"], known["mse_pca"], known.get("pca_difference_error") or 0.0, lang))
    if "loss" in known["test"]:
        bits = say("numbers.bits", lang, bits=shown(known.get("bits_per_dimension", 0.0), 3))
        found.append(
            (
                say("numbers.loss", lang),
                shown(known["test"]["loss"]),
                "nats",
                say("numbers.both", lang, a=bits, b=lower),
            )
        )
    units = f"{known['active_units']} / {known['latent_dim']}"
    more = say("numbers.kl_more", lang, kl=shown(known["test"]["kl"], 3)) if known["test"].get("kl") is not None else ""
    found.append((say("numbers.units", lang), units, "", more))
    if record.label_error is not None:
        found.append((say("numbers.label_error", lang), f"{100 * record.label_error:.1f}", "%", lower))
    return found


def _pca_tile(mse: float, pca: float, error: float, lang: str) -> tuple[str, str, str, str]:
    """The error beside PCA's: in per cent, or, where it is far above, as a multiple."""
    ratio, reach = mse / pca, 1.96 * error / pca
    if ratio > 2:
        text, more = f"× {shown(ratio, 3)}", say("numbers.pca_times", lang, error=f"± {shown(reach, 2)}")
    else:
        text = f"{100 * (ratio - 1):+.0f} %".replace("-", "−")
        more = say("numbers.pca_more", lang, error=f"± {100 * reach:.0f} %")
    return say("numbers.beside_pca", lang), text, "", more


def _interval(bounds: Bounds, lang: str) -> str:
    low, high = (aligned(end, bounds[0], 3) for end in bounds[1:])
    return say("numbers.interval", lang, low=low, high=high)


def _table(known: Any, bounds: dict[str, Bounds], lang: str) -> Html:
    test = known["test"]
    head = [say(f"numbers.{word}", lang) for word in ("measure", "model", "pca", "mean_image", "direction")]
    lower, none = say("numbers.lower", lang), "–"
    rows: list[list[Any]] = [
        [
            say("numbers.mse", lang),
            _cell(test["mse"], bounds["mse"]),
            _baseline(known.get("mse_pca")),
            _baseline(known.get("mse_mean_image")),
            lower,
        ]
    ]
    for name in ("loss", "reconstruction", "kl"):
        if test.get(name) is not None:
            direction = say("numbers.neither", lang) if name == "kl" else lower
            rows.append([say(f"numbers.{name}", lang), _cell(test[name], bounds.get(name)), none, none, direction])
    if (likelihood := known.get("likelihood")) is not None:
        reach = 1.96 * likelihood["standard_error"]
        nll = likelihood["nll"]
        name = "numbers.bound" if "grey" in known.get("loss_name", "") else "numbers.nll"
        text = say(name, lang)
        of = say("numbers.nll_of", lang, rows=likelihood["rows"], samples=likelihood["samples"])
        rows.append(
            [[text, tag("span", of, class_="more")], _cell(nll, (nll, nll - reach, nll + reach)), none, none, lower]
        )
    return join([html_table(head, rows, numbers=(1, 2, 3)), tag("p", say("numbers.notes", lang), class_="quiet small")])


def _cell(value: float, bounds: Bounds | None) -> list[Any]:
    more = tag("span", f"{aligned(bounds[1], value)} … {aligned(bounds[2], value)}", class_="more") if bounds else None
    return [aligned(value, value), more]


def _baseline(value: float | None) -> str:
    return "–" if value is None else shown(value)


# -- data, model, how to do it again -----------------------------------------------------------------------------------


def _data(record: RunRecord, lang: str) -> Html:
    """Counts, shape, ranges, classes, how the rows were split, digests."""
    train, estimator = record.train, record.estimator
    low, high = estimator.range_ if isinstance(train.X, Frame) else value_range(train.X)
    held_out = count_held_out(train.X, estimator.validation_fraction, estimator.settings()["validation_rows"])
    rows = [
        (say("data.source", lang), tag("code", record.config.source)),
        (say("data.trained", lang), say("data.trained_text", lang, n=len(train.X) - held_out, held=held_out)),
        (say("data.test", lang), say("data.test_text", lang, n=len(record.test.X))),
        (say("data.split", lang), _split(record, lang)),
        (say("data.row", lang), _row_shape(record, lang)),
        (
            say("data.range", lang),
            say("data.range_text", lang, low=low, high=high, a=estimator.range_[0], b=estimator.range_[1]),
        ),
        (say("data.missing", lang), say(f"data.missing_{record.config.data.missing}", lang)),
        (say("data.digest", lang), tag("code", record.config.fingerprint or record.config.load_data().fingerprint())),
    ]
    return join([pairs(rows), _classes(record, lang), _reader_notes(record, lang)])


def _split(record: RunRecord, lang: str) -> str:
    if record.no_test_rows:
        return say("data.split_none", lang)
    if isinstance(record.train.X, StoredRows):
        return say("data.split_stored", lang)
    drawn = round((len(record.train.X) + len(record.test.X)) * TEST_FRACTION) == len(record.test.X)
    return say("data.split_drawn" if drawn else "data.split_own", lang)


def _row_shape(record: RunRecord, lang: str) -> str:
    shape = record.train.feature_shape
    if not record.is_image:
        return say("count.columns", lang, n=prod(shape))
    channels = shape[0] if len(shape) == 3 else 1
    return say("data.image", lang, height=shape[-2], width=shape[-1], channels=channels)


def _classes(record: RunRecord, lang: str) -> Html | None:
    if record.train.y is None:
        return tag("p", say("data.no_labels", lang))
    counts = Counter(tidy(label) for label in record.train.y.tolist())
    if len(counts) > MOST_CLASSES:
        return tag("p", say("data.many_labels", lang, n=len(counts)))
    bars = [(name, float(counts[name])) for name in sorted(counts, key=label_key)]
    chart = BarChart(say("data.labels", lang), say("data.labels_unit", lang), bars)
    return side_by_side([html_figure(chart, lang)])


def _reader_notes(record: RunRecord, lang: str) -> Html | None:
    if not record.train.notes:
        return None
    items = [tag("li", note) for note in record.train.notes]
    return tag("details", tag("summary", say("data.notes", lang)), tag("ul", items, lang="en"))


def _model(record: RunRecord, lang: str) -> Html:
    """The layers with shapes in and out, the bottleneck to look at, the parameters."""
    summary = record.estimator.summary()
    head = [say(f"model.{word}", lang) for word in ("layer", "input", "output", "parameters")]
    rows = [
        [row.layer, _shape(row.input_shape), _shape(row.output_shape), f"{row.parameters:,}"] for row in summary.rows
    ]
    total = [tag("b", say("model.total", lang)), "", "", tag("b", f"{summary.parameters:,}")]
    memory = say("model.memory", lang, mb=summary.total_mb, weights=summary.parameters_mb)
    likelihood = say("model.likelihood", lang, name=record.estimator.likelihood_)
    features = record.metrics.get("n_features", prod(record.estimator.feature_shape_))
    layers = html_table(head, [*rows, total], numbers=(1, 2, 3))
    memory_text = tag("p", f"{likelihood} {memory}", class_="quiet small")
    picture = gourd([features, *_widths(summary)], lang)
    return join([tag("p", record.family.texts[lang]), side_by_side([layers, join([picture, memory_text])])])


def _shape(shape: tuple[int, ...]) -> str:
    """A shape without the batch."""
    inner = [size for index, size in enumerate(shape) if index > 0]
    inner = inner[1:] if len(inner) > 1 and inner[0] == 1 else inner
    return " × ".join(map(str, inner))


def _widths(summary: Any) -> list[int]:
    """Values at each layer that has weights; where a layer picks the code out of the encoder's output, the code's."""
    widths: list[int] = []
    for row in summary.rows:
        width = prod(size for size in row.output_shape if size > 0)
        if row.parameters:
            widths.append(width)
        elif widths and width < widths[-1]:
            widths[-1] = width
    return widths


def gourd(widths: list[int], lang: str) -> Html:
    """The network from left to right: each bar as high as a layer is wide, on a logarithmic scale."""
    pitch, most = 440 / len(widths), math.log2(max(widths) + 1)
    places = [((index + 0.5) * pitch, 48 * math.log2(width + 1) / most) for index, width in enumerate(widths)]
    above = [f"{x:.1f},{56 - half:.1f}" for x, half in places]
    below = [f"{x:.1f},{56 + half:.1f}" for x, half in reversed(places)]
    bars = [
        [
            tag(
                "rect",
                x=f"{x - 5:.1f}",
                y=f"{56 - half:.1f}",
                width="10",
                height=f"{2 * half:.1f}",
                rx="3",
                class_="bar s0",
            ),
            tag("text", shown(width), x=f"{x:.1f}", y="124", text_anchor="middle"),
        ]
        for width, (x, half) in zip(widths, places, strict=True)
    ]
    body = tag("path", d=f"M{'L'.join(above + below)}Z", class_="bd s0")
    title = say("model.gourd", lang, widths=" → ".join(map(str, widths)))
    drawing = tag(
        "svg", tag("title", title), body, bars, viewBox="0 0 440 130", role="img", aria_label=title, class_="chart"
    )
    return tag("figure", drawing, tag("figcaption", say("model.gourd_text", lang)))


def _reproduce(record: RunRecord, lang: str) -> Html:
    """The command, seed, versions, device, times, the files."""
    path = record.folder.path / MODEL
    versions = ", ".join(f"{name} {version}" for name, version in read_settings(path).versions.items())
    parameters = record.config.parameters
    rows = [
        (say("reproduce.seed", lang), str(parameters.get("random_state", "–"))),
        (say("reproduce.versions", lang), versions),
        (say("reproduce.device", lang), f"{parameters.get('device', 'auto')}, {parameters.get('precision', 'fp32')}"),
        (say("reproduce.time", lang), _seconds(record, lang)),
        (
            say("reproduce.report", lang),
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        ),
        (say("reproduce.model", lang), say("reproduce.model_text", lang, size=bytes_of(path.stat().st_size))),
        (say("reproduce.digest", lang), tag("code", sha256(path.read_bytes()).hexdigest())),
    ]
    if record.config.recipe:
        rows.insert(0, (say("reproduce.recipe", lang), record.config.recipe))
    settings = tag(
        "details", tag("summary", say("reproduce.settings", lang)), tag("pre", tag("code", record.config.to_toml()))
    )
    place = record.folder.path
    return join(
        [
            command(fit_command(record.config), lang),
            pairs([row for row in rows if row[1]]),
            settings,
            tag("h3", say("reproduce.next", lang)),
            command(f"hyotan evaluate {place}\nhyotan sample {place}\nhyotan score {place}", lang),
        ]
    )


def _seconds(record: RunRecord, lang: str) -> str:
    seconds, epochs = record.metrics.get("train_seconds"), record.metrics.get("epochs")
    return say("reproduce.seconds", lang, seconds=float(seconds), epochs=int(epochs)) if seconds and epochs else ""


def machine_readable(record: RunRecord) -> dict[str, Any]:
    """The numbers of the page, for programs; keys stay English."""
    history = [
        {key: value for key, value in row.items() if not key.endswith("per_dimension")} for row in record.history
    ]
    return {
        "schema": 1,
        "kind": "run",
        "source": record.config.source,
        "model": record.model_name,
        "parameters": record.config.parameters,
        "metrics": record.metrics,
        "intervals": record.intervals,
        "history": history if len(history) <= 2000 else history[:: -(-len(history) // 2000)],
    }
