"""What a run's page shows of a table with several kinds of columns, each in its own units: columns and worst rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hyotan.anomalies.members import loss_by_part, usual_loss
from hyotan.figures.canvas import tidy
from hyotan.metrics import observed_mean
from hyotan.preprocessing.tabular import TablePreprocessor
from hyotan.report.bars import BarChart
from hyotan.report.markup import Html, join, table, tag
from hyotan.report.page import charts, figure
from hyotan.report.run import RunRecord
from hyotan.words import aligned, say

if TYPE_CHECKING:
    from hyotan.preprocessing.columns import Column

MOST_COLUMNS, MOST_NAMES = 24, 4
"""Columns in the chart, and values of a category that are named, at most."""

WORST_ROWS, SHOWN_COLUMNS, ODD_CELLS = 5, 6, 3
"""Rows that are shown, columns of theirs, and how many values of a row are marked."""


def by_column(record: RunRecord, scaling: TablePreprocessor, lang: str) -> Html:
    """What the reconstruction keeps of each column, and the rows that it explains worst.

    Parameters
    ----------
    record : of the run.
    scaling : of its table.
    lang : language of the page.
    """
    columns = [column for column in scaling.columns if column.width]
    kept = dict(zip(scaling.names, _kept(record, scaling), strict=True))
    order = sorted(columns, key=lambda column: math.inf if math.isnan(kept[column.name]) else kept[column.name])
    bars = [(c.name, max(-1.0, float(kept[c.name]))) for c in order if not math.isnan(kept[c.name])]
    chart = BarChart(say("columns.title", lang), say("columns.kept", lang), bars[:MOST_COLUMNS])
    note = say("columns.some", lang, n=MOST_COLUMNS, of=len(bars)) if len(bars) > MOST_COLUMNS else None
    head = [say(f"columns.{word}", lang) for word in ("column", "range", "error")]
    own = scaling.selected(record.rows.X).table
    made = scaling.to_frame(record.pair[1]).table
    rows = [[c.name, _range(c, own[c.name], lang), c.typical_error(own[c.name], made[c.name], lang)] for c in order]
    listing = tag("div", tag("h3", say("columns.table", lang)), table(head, rows, numbers=(1, 2)))
    # Below the chart, not beside it: the values of categories take the width.
    return join([charts([figure(chart, lang, note)]), listing, _worst(record, scaling, own, made, lang)])


def _kept(record: RunRecord, scaling: TablePreprocessor) -> np.ndarray:
    """Share of each column's variance that is kept, (columns,); of a category over all of its numbers."""
    before, after = record.pair
    squared = observed_mean(np.square(after - before, dtype=np.float64))
    total = observed_mean(np.square(before - observed_mean(before), dtype=np.float64))
    missed, whole = (scaling.by_part(part[None])[0] for part in (squared, total))
    return np.where(whole > 0, 1 - missed / np.where(whole > 0, whole, 1), np.nan)


def _range(column: Column, values: Any, lang: str) -> str:
    """Which values the column has, in its own units."""
    found = [_spelt(column, value) for value in column.extent(values)]
    if column.is_category:
        more = ", …" if len(found) > MOST_NAMES else ""
        return say("columns.values", lang, n=len(found), names=", ".join(found[:MOST_NAMES]) + more)
    return " … ".join(found) or "–"


def _worst(record: RunRecord, scaling: TablePreprocessor, own: Any, made: Any, lang: str) -> Html:
    """The rows with the largest loss, with their own values; marked are those that make them odd."""
    estimator, X = record.estimator, record.rows.X
    loss = loss_by_part(estimator, X).astype(np.float64)
    totals = np.nansum(loss, axis=1)
    worst = np.argsort(-totals, kind="stable")[:WORST_ROWS]
    excess = np.nan_to_num(loss[worst] - usual_loss(estimator, X), nan=-np.inf)
    shown_ones = np.sort(np.argsort(-excess.max(axis=0), kind="stable")[:SHOWN_COLUMNS])
    called, ids = record.rows.named_rows()
    rows = []
    for row, more in zip(worst, excess, strict=True):
        marked = {int(at) for at in np.argsort(-more, kind="stable")[:ODD_CELLS] if more[at] > 0}
        cells = [_cell_of(scaling.columns[at], own, made, int(row), at in marked, lang) for at in shown_ones]
        rows.append([tidy(ids[row], 24), aligned(totals[row], totals[worst[0]], 3), *cells])
    names = [tidy(scaling.names[at], 24) for at in shown_ones]
    first = say("columns.row", lang) if called == "row" else tidy(called, 24)
    listing = table([first, say("columns.nats", lang), *names], rows, numbers=range(1, 2 + len(names)))
    few = say("columns.shown", lang, n=len(names), of=len(scaling.columns)) if len(names) < len(scaling.columns) else ""
    notes = tag("p", join([say("columns.marked", lang), " ", few]), class_="quiet small")
    return join([tag("h3", say("columns.worst", lang)), listing, notes])


def _cell_of(column: Column, own: Any, made: Any, row: int, is_marked: bool, lang: str) -> Any:
    """A value as it is in the data; where it makes its row odd, with what the model makes of it."""
    was, becomes = (_spelt(column, rows[column.name][row].as_py()) for rows in (own, made))
    if not is_marked or was == becomes:
        return was
    return [tag("b", was), tag("span", say("columns.made", lang, value=becomes), class_="more")]


def _spelt(column: Column, value: Any) -> str:
    if value is None or value != value:
        return "–"
    return tidy(column.spelled(value), 24) if column.is_category else column.spelled(value)
