"""What a run's page shows of its training and of its rows: curves, reconstructions, samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from matplotlib import colormaps

from hyotan.data.frames import as_frame
from hyotan.estimators.estimator import LatentEstimator
from hyotan.figures.canvas import ERROR, tidy
from hyotan.figures.charts import ImageSheet
from hyotan.metrics import observed_mean
from hyotan.preprocessing.scaling import ends
from hyotan.report.markup import Html, html_table, join, tag
from hyotan.report.page import arranged, html_figure, side_by_side
from hyotan.report.pictures import Thumbnails
from hyotan.report.run import RunRecord
from hyotan.report.table_page import by_column, kept_chart, kept_share, squares
from hyotan.runs.gallery import columns_of
from hyotan.words import aligned, say, shown

AT_RANDOM, BEST, WORST = 6, 3, 3
STRIPS, STEPS, REACH = 6, 11, 2.5
WORST_ROWS = 5


def curves(record: RunRecord, thumbnails: Thumbnails, lang: str) -> Html:
    """Reconstruction and KL apart, of rows trained on and held out; the learning rate; the epoch that was kept."""
    found = record.charts("curves", lang)
    drawn = arranged(found, lang, thumbnails, say("curves.more", lang))
    return join([tag("p", say("curves.intro", lang)), drawn]) if found else Html("")


# -- rows and what becomes of them -------------------------------------------------------------------------------------


def reconstructions(record: RunRecord, thumbnails: Thumbnails, lang: str) -> Html:
    """Twelve rows, at random, best and worst, with what the model makes of them; of a table, its columns."""
    if record.is_image:
        return _images(record, thumbnails, lang)
    preprocessor: Any = record.estimator.preprocessor_
    return _columns(record, lang) if preprocessor.has_one_scale else by_column(record, preprocessor, lang)


def _images(record: RunRecord, thumbnails: Thumbnails, lang: str) -> Html:
    if thumbnails.are_dropped:
        return tag("p", say("page.dropped", lang), class_="quiet")
    order = np.argsort(record.errors, kind="stable")
    random = np.random.default_rng(0).permutation(len(order))[:AT_RANDOM]
    groups = [("pictures.random", random), ("pictures.best", order[:BEST]), ("pictures.worst", order[::-1][:WORST])]
    before, after = record.pair_drawn
    chosen = np.concatenate([rows for _, rows in groups])
    difference = np.abs(before[chosen] - after[chosen])
    top = float(difference.max()) or 1.0
    rows = {name: [_card(record, int(row), top, thumbnails, lang) for row in numbers] for name, numbers in groups}
    body = [tag("div", tag("h4", say(name, lang)), tag("ul", cards, class_="rows")) for name, cards in rows.items()]
    return join([tag("p", say("pictures.intro", lang, top=top)), tag("div", body, class_="pictures")])


def _card(record: RunRecord, row: int, top: float, thumbnails: Thumbnails, lang: str) -> Html:
    before, after = (part[row] for part in record.pair_drawn)
    labels = record.labels()
    name = say("pictures.row", lang, n=row) if labels is None else tidy(labels[row], 20)
    mse = aligned(float(record.errors[row]), float(np.median(record.errors)), 3)
    low, high = record.estimator.range_
    images = [
        thumbnails.of(before, (low, high), say("pictures.alt.original", lang, name=name)),
        thumbnails.of(after, (low, high), say("pictures.alt.reconstruction", lang, name=name, mse=mse)),
        thumbnails.of_rgb(_error(before - after, top), say("pictures.alt.error", lang, name=name)),
    ]
    return tag("li", images, tag("b", name), f"MSE {mse}")


def _error(difference: np.ndarray, top: float) -> np.ndarray:
    """Absolute error as colours, (height, width, 3); of colour images the mean over the channels."""
    size = np.abs(difference)
    size = size.mean(axis=0) if size.ndim == 3 else size
    return np.rint(colormaps[ERROR](np.clip(size / top, 0, 1))[..., :3] * 255).astype(np.uint8)


def names_of(record: RunRecord) -> Sequence[str]:
    """The columns' names of a table."""
    count = prod(record.pair[0].shape[1:])
    if (slots := columns_of(record.estimator)) is not None:
        return slots
    found = record.train.feature_names or record.config.data.columns
    return [str(name) for name in found] if len(found) == count else [f"x{index}" for index in range(count)]


def _columns(record: RunRecord, lang: str) -> Html:
    """What the reconstruction keeps of each column, and the rows that it misses most."""
    names = names_of(record)
    in_line = record.estimator.preprocessor_.in_line
    kept = kept_share(*(in_line(part[None])[0] for part in squares(record)))
    order = np.argsort(np.where(np.isnan(kept), np.inf, kept), kind="stable").tolist()
    chart = kept_chart([(names[index], float(kept[index])) for index in order], lang)
    head = [say(f"columns.{word}", lang) for word in ("column", "range", "error")]
    given, own = (in_line(np.asarray(rows)) for rows in (record.rows.X, record.estimator.reconstruct(record.rows.X)))
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
    listing = tag("div", tag("h3", say("columns.table", lang)), html_table(head, rows, numbers=(1, 2)))
    return join([side_by_side([html_figure(chart, lang), listing]), _worst(record, names, lang)])


def _worst(record: RunRecord, names: Sequence[str], lang: str) -> Html:
    in_line = record.estimator.preprocessor_.in_line
    before, after = (in_line(rows) for rows in record.pair)
    missed = np.abs(after - before)
    given, own = (
        in_line(np.asarray(rows)).tolist() for rows in (record.rows.X, record.estimator.reconstruct(record.rows.X))
    )
    rows = []
    for row in np.argsort(-record.errors, kind="stable")[:WORST_ROWS]:
        columns = [
            column for column in np.argsort(-missed[row], kind="stable")[:3] if not np.isnan(missed[row, column])
        ]
        words = [say("columns.miss", lang, name=names[c], was=given[row][c], made=own[row][c]) for c in columns]
        rows.append([shown(int(row)), shown(float(record.errors[row]), 3), say("columns.between", lang).join(words)])
    head = [say(f"columns.{word}", lang) for word in ("row", "mse", "misses")]
    return join([tag("h3", say("columns.worst", lang)), html_table(head, rows, numbers=(1,))])


# -- what the model makes of codes -------------------------------------------------------------------------------------


def samples(record: RunRecord, thumbnails: Thumbnails, lang: str) -> Html:
    """New rows, the manifold of a code of size 2, walks along the dimensions of a larger one."""
    if not record.is_image:
        return _new_rows(record, lang)
    drawn = arranged(record.charts("samples", lang), lang, thumbnails)
    has_walks = record.estimator.latent_dim != 2 and not record.family.conditional
    return join([drawn, _traversals(record, thumbnails, lang) if has_walks else None])


def _traversals(record: RunRecord, thumbnails: Thumbnails, lang: str) -> Html:
    estimator, kl = record.estimator, record.kl_per_dimension
    spread = np.sqrt(np.diag(estimator.code_covariance_))
    used = [dimension for dimension in record.dimensions.tolist() if record.active[dimension]]
    strips = []
    for dimension in (used or record.dimensions.tolist())[:STRIPS]:
        codes = np.tile(estimator.code_mean_, (STEPS, 1))
        codes[:, dimension] += np.linspace(-REACH, REACH, STEPS) * spread[dimension]
        images = record.shown.scaled(estimator.inverse_transform(codes.astype(np.float32)))
        more = f" · KL {shown(float(kl[dimension]), 3)} nats" if kl else ""
        alt = say("walks.alt", lang, name=f"z{dimension}")
        strip = ImageSheet(f"z{dimension}{more}", images, STEPS, record.shown.value_range, alt=alt)
        strips.append(html_figure(strip, lang, thumbnails, "h4"))
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
        names, values = names_of(record)[:12], record.estimator.preprocessor_.in_line(drawn)[:, :12].tolist()
    rows = [[str(index + 1), *[_cell(value) for value in row]] for index, row in enumerate(values)]
    return join(
        [
            tag("h3", say("samples.rows", lang, n=len(rows))),
            tag("p", " ".join([say("samples.density", lang), *_drawn_again(record.estimator, lang)])),
            html_table(["", *names], rows, numbers=range(1, 13), caption=say("samples.caption", lang)),
        ]
    )
