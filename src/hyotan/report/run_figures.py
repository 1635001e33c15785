"""What a run's page shows of its training and of its rows: curves, reconstructions, samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps

from hyotan.data.frames import as_frame
from hyotan.estimators import CVAE
from hyotan.estimators.estimator import LatentEstimator
from hyotan.figures.canvas import ERROR, tidy
from hyotan.figures.images import gap_of, to_rgb
from hyotan.figures.manifold import ManifoldDisplay, central_limits
from hyotan.metrics import observed_mean
from hyotan.preprocessing.scaling import ends
from hyotan.report.bars import BarChart
from hyotan.report.charts import LineChart, Series
from hyotan.report.data_uris import Pictures
from hyotan.report.grids import Grid, grids
from hyotan.report.markup import Html, join, table, tag
from hyotan.report.page import charts, figure
from hyotan.report.run import RunRecord
from hyotan.report.table_page import by_column
from hyotan.runs.gallery import columns_of, manifold_steps
from hyotan.words import aligned, say, shown

AT_RANDOM, BEST, WORST = 6, 3, 3
SAMPLES = 25
STRIPS, STEPS, REACH = 6, 11, 2.5
STYLES, MOST_LABELS = 5, 12
MOST_EPOCHS = 400
"""Points of a curve; longer histories are thinned."""

MOST_COLUMNS = 24
WORST_ROWS = 5


# -- curves ------------------------------------------------------------------------------------------------------------


def curves(record: RunRecord, lang: str) -> Html:
    """Reconstruction and KL apart, of rows trained on and held out; the learning rate; the epoch that was kept."""
    rows = _thinned(record.history)
    if len(rows) < 2:
        return Html("")
    best = record.metrics.get("best_epoch")
    mark = (float(best), say("curves.best", lang, n=best)) if best else None
    first = [_curve(rows, name, mark, lang) for name in ("reconstruction", "kl")]
    main = [chart for chart in first if chart is not None]
    rate = _curve(rows, "learning_rate", mark, lang)
    further = [_logarithmic(chart, lang) for chart in main] + [figure(rate, lang) if rate is not None else None]
    more = tag("details", tag("summary", say("curves.more", lang)), charts(further)) if any(further) else None
    return join([tag("p", say("curves.intro", lang)), charts([figure(chart, lang) for chart in main]), more])


def _thinned(history: Sequence[Any]) -> Sequence[Any]:
    step = -(-len(history) // MOST_EPOCHS) or 1
    return history[::step] if (len(history) - 1) % step == 0 else [*history[::step], history[-1]]


def _curve(rows: Sequence[Any], name: str, mark: tuple[float, str] | None, lang: str) -> LineChart | None:
    of_rows = [(name, say("curves.train", lang)), (f"val_{name}", say("curves.validation", lang))]
    series = [("learning_rate", say("curves.learning_rate", lang))] if name == "learning_rate" else of_rows
    lines = [
        Series(word, *_points(rows, key), slot=slot)
        for slot, (key, word) in enumerate(series)
        if any(row.get(key) is not None for row in rows)
    ]
    unit = say("curves.rate_unit" if name == "learning_rate" else "curves.nats", lang)
    return LineChart(say(f"curves.{name}", lang), say("curves.epoch", lang), unit, lines, mark) if lines else None


def _points(rows: Sequence[Any], key: str) -> tuple[list[float], list[float]]:
    return [row["epoch"] for row in rows], [math.nan if row.get(key) is None else row[key] for row in rows]


def _logarithmic(chart: LineChart, lang: str) -> Html | None:
    values = [value for one in chart.series for value in one.y if math.isfinite(value)]
    if min(values) <= 0 or max(values) < 1.5 * min(values):
        return None
    again = LineChart(
        say("curves.on_log", lang, title=chart.title),
        chart.x_label,
        chart.y_label,
        chart.series,
        chart.mark,
        log_y=True,
    )
    return figure(again, lang)


# -- rows and what becomes of them -------------------------------------------------------------------------------------


def reconstructions(record: RunRecord, pictures: Pictures, lang: str) -> Html:
    """Twelve rows, at random, best and worst, with what the model makes of them; of a table, its columns."""
    if record.is_image:
        return _images(record, pictures, lang)
    scaling: Any = record.estimator.preprocessor_
    return _columns(record, lang) if scaling.has_one_scale else by_column(record, scaling, lang)


def _images(record: RunRecord, pictures: Pictures, lang: str) -> Html:
    if pictures.are_dropped:
        return tag("p", say("page.dropped", lang), class_="quiet")
    order = np.argsort(record.errors, kind="stable")
    random = np.random.default_rng(0).permutation(len(order))[:AT_RANDOM]
    groups = [("pictures.random", random), ("pictures.best", order[:BEST]), ("pictures.worst", order[::-1][:WORST])]
    before, after = record.pair_drawn
    chosen = np.concatenate([rows for _, rows in groups])
    difference = np.abs(before[chosen] - after[chosen])
    top = float(difference.max()) or 1.0
    rows = {name: [_card(record, int(row), top, pictures, lang) for row in numbers] for name, numbers in groups}
    body = [tag("div", tag("h4", say(name, lang)), tag("ul", cards, class_="rows")) for name, cards in rows.items()]
    return join([tag("p", say("pictures.intro", lang, top=top)), tag("div", body, class_="pictures")])


def _card(record: RunRecord, row: int, top: float, pictures: Pictures, lang: str) -> Html:
    before, after = (part[row] for part in record.pair_drawn)
    labels = record.labels()
    name = say("pictures.row", lang, n=row) if labels is None else tidy(labels[row], 20)
    mse = aligned(float(record.errors[row]), float(np.median(record.errors)), 3)
    low, high = record.estimator.range_
    images = [
        pictures.one(before, (low, high), say("pictures.alt.original", lang, name=name)),
        pictures.one(after, (low, high), say("pictures.alt.reconstruction", lang, name=name, mse=mse)),
        pictures.rgb(_error(before - after, top), say("pictures.alt.error", lang, name=name)),
    ]
    return tag("li", images, tag("b", name), f"MSE {mse}")


def _error(difference: np.ndarray, top: float) -> np.ndarray:
    """Absolute error as colours, (height, width, 3); of colour images the mean over the channels."""
    size = np.abs(difference)
    size = size.mean(axis=0) if size.ndim == 3 else size
    return np.rint(colormaps[ERROR](np.clip(size / top, 0, 1))[..., :3] * 255).astype(np.uint8)


def names_of(record: RunRecord) -> Sequence[str]:
    """The columns' names of a table."""
    count = record.pair[0].shape[1]
    if (slots := columns_of(record.estimator)) is not None:
        return slots
    found = record.train.feature_names or record.config.data.columns
    return [str(name) for name in found] if len(found) == count else [f"x{index}" for index in range(count)]


def _columns(record: RunRecord, lang: str) -> Html:
    """What the reconstruction keeps of each column, and the rows that it misses most."""
    before, after = record.pair
    names = names_of(record)
    squared = observed_mean(np.square(after - before, dtype=np.float64))
    total = observed_mean(np.square(before - observed_mean(before), dtype=np.float64))
    kept = np.where(total > 0, 1 - squared / np.where(total > 0, total, 1), np.nan)
    order = [int(index) for index in np.argsort(np.where(np.isnan(kept), np.inf, kept), kind="stable")]
    bars = [(names[index], max(-1.0, float(kept[index]))) for index in order if not math.isnan(kept[index])]
    chart = BarChart(say("columns.title", lang), say("columns.kept", lang), bars[:MOST_COLUMNS])
    head = [say(f"columns.{word}", lang) for word in ("column", "range", "error")]
    given, own = np.asarray(record.rows.X), record.estimator.reconstruct(record.rows.X)
    typical = np.sqrt(observed_mean(np.square(own - given, dtype=np.float64)))
    low, high = ends(given, axis=0)
    rows = [
        [
            names[i],
            f"{shown(float(low[i]))} … {shown(float(high[i]))}",
            shown(float(typical[i])),
        ]
        for i in order
    ]
    listing = tag("div", tag("h3", say("columns.table", lang)), table(head, rows, numbers=(1, 2)))
    note = say("columns.some", lang, n=MOST_COLUMNS, of=len(bars)) if len(bars) > MOST_COLUMNS else None
    return join([charts([figure(chart, lang, note), listing]), _worst(record, names, lang)])


def _worst(record: RunRecord, names: Sequence[str], lang: str) -> Html:
    before, after = record.pair
    missed = np.abs(after - before)
    given, own = np.asarray(record.rows.X).tolist(), record.estimator.reconstruct(record.rows.X).tolist()
    rows = []
    for row in np.argsort(-record.errors, kind="stable")[:WORST_ROWS]:
        columns = [
            column for column in np.argsort(-missed[row], kind="stable")[:3] if not np.isnan(missed[row, column])
        ]
        words = [say("columns.miss", lang, name=names[c], was=given[row][c], made=own[row][c]) for c in columns]
        rows.append([shown(int(row)), shown(float(record.errors[row]), 3), say("columns.between", lang).join(words)])
    head = [say(f"columns.{word}", lang) for word in ("row", "mse", "misses")]
    return join([tag("h3", say("columns.worst", lang)), table(head, rows, numbers=(1,))])


# -- what the model makes of codes -------------------------------------------------------------------------------------


def samples(record: RunRecord, pictures: Pictures, lang: str) -> Html:
    """New rows, the manifold of a code of size 2, walks along the dimensions of a larger one."""
    if not record.is_image:
        return _new_rows(record, lang)
    parts = [_sheet_of_samples(record, pictures, lang)]
    if isinstance(record.estimator, CVAE):
        return join([charts(parts), _exchange(record, record.estimator, pictures, lang)])
    if record.estimator.latent_dim == 2:
        return charts([*parts, _manifold(record, pictures, lang)])
    return join([charts(parts), _traversals(record, pictures, lang)])


def _exchange(record: RunRecord, estimator: CVAE, pictures: Pictures, lang: str) -> Html:
    """The style of a few test rows under every label."""
    labels = [tidy(label, 12) for label in estimator.classes_.tolist()[:MOST_LABELS]]
    some = record.rows.X[:STYLES]
    exchanged = estimator.exchange_labels(some)[:, : len(labels)]
    own, shown_as = record.shown.rows(some), record.shown
    rows = [
        (say("exchange.row", lang, n=n), np.concatenate([own[n : n + 1], shown_as.scaled(images)]))
        for n, images in enumerate(exchanged)
    ]
    grid = Grid(
        say("exchange.title", lang), [say("exchange.original", lang), *labels], rows, say("exchange.text", lang)
    )
    return grids([grid], shown_as.value_range, pictures, lang)


def _sheet_of_samples(record: RunRecord, pictures: Pictures, lang: str) -> Html:
    drawn = record.shown.scaled(record.estimator.sample(SAMPLES, random_state=0))
    title = say("samples.title", lang, n=SAMPLES)
    sheet = pictures.sheet(drawn, record.shown.value_range, 5, title)
    return tag("figure", tag("h3", title), sheet, tag("figcaption", say("samples.density", lang)), class_="sheet some")


def _manifold(record: RunRecord, pictures: Pictures, lang: str) -> Html:
    estimator, shown_as = record.estimator, record.shown
    display = ManifoldDisplay.from_decoder(
        lambda codes: shown_as.scaled(estimator.inverse_transform(codes)),
        latent_dim=2,
        steps=manifold_steps(max(estimator.feature_shape_)),
        spacing="normal" if record.is_vae else "linear",
        limits=None if record.is_vae else central_limits(record.codes),
        value_range=shown_as.value_range,
    )
    steps = len(display.images)
    upwards = display.images[::-1].reshape(-1, *display.images.shape[2:])
    gap = int(max(estimator.feature_shape_[-2:]) <= 16)
    title = say("manifold.title", lang)
    sheet = pictures.sheet(upwards, display.value_range, steps, title, gap)
    low, high = display.positions[:, 0].tolist(), display.positions[:, -1].tolist()
    ends = {"a": round(low[0], 2), "b": round(high[0], 2), "c": round(low[1], 2), "d": round(high[1], 2)}
    how = "manifold.normal" if record.is_vae else "manifold.linear"
    return tag("figure", tag("h3", title), sheet, tag("figcaption", say(how, lang, **ends)), class_="sheet")


def _traversals(record: RunRecord, pictures: Pictures, lang: str) -> Html:
    estimator = record.estimator
    spread = np.sqrt(np.diag(estimator.code_covariance_))
    kl = record.metrics.get("kl_per_dimension")
    strips = []
    used = [dimension for dimension in record.dimensions.tolist() if record.active[dimension]]
    for dimension in (used or record.dimensions.tolist())[:STRIPS]:
        codes = np.tile(estimator.code_mean_, (STEPS, 1))
        codes[:, dimension] += np.linspace(-REACH, REACH, STEPS) * spread[dimension]
        images = record.shown.scaled(estimator.inverse_transform(codes.astype(np.float32)))
        name = f"z{dimension}"
        more = f" · KL {shown(float(kl[dimension]), 3)} nats" if kl else ""
        alt = say("walks.alt", lang, name=name)
        sheet = pictures.sheet(images, record.shown.value_range, STEPS, alt, gap_of(to_rgb(images, (0, 1))))
        strips.append(tag("figure", tag("h4", name, tag("span", more, class_="quiet")), sheet, class_="strip"))
    if not strips:
        return Html("")
    intro = say("walks.intro", lang, n=len(strips), reach=REACH)
    return join([tag("h3", say("walks.title", lang)), tag("p", intro), strips])


def _cell(value: Any) -> str:
    """A value of any kind, as it stands in a table."""
    return shown(float(value)) if isinstance(value, float) else "–" if value is None else tidy(value, 24)


def _drawn_again(estimator: LatentEstimator, lang: str) -> list[str]:
    """What becomes of a table's rows after they are decoded, in a sentence."""
    return [] if estimator.refiner_ is None else [say("samples.refined", lang)]


def _new_rows(record: RunRecord, lang: str) -> Html:
    drawn = record.estimator.sample(8, random_state=0)
    if (as_table := as_frame(drawn)) is not None:
        names = as_table.names[:12]
        values = [list(row.values())[:12] for row in as_table.table.to_pylist()]
    else:
        names, values = names_of(record)[:12], drawn[:, :12].tolist()
    rows = [[str(index + 1), *[_cell(value) for value in row]] for index, row in enumerate(values)]
    return join(
        [
            tag("h3", say("samples.rows", lang, n=len(rows))),
            tag("p", " ".join([say("samples.density", lang), *_drawn_again(record.estimator, lang)])),
            table(["", *names], rows, numbers=range(1, 13), caption=say("samples.caption", lang)),
        ]
    )
