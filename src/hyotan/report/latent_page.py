"""The part of a run's page about its codes: where they lie, which dimensions carry something, what they go with."""

from __future__ import annotations

import numpy as np

from hyotan.figures.canvas import tidy
from hyotan.figures.charts import BarChart
from hyotan.figures.scatter import MOST_ON_A_PAGE, LatentScatterDisplay
from hyotan.metrics import ACTIVE_VARIANCE, mean_filled, observed_mean
from hyotan.report.markup import Html, html_table, join, tag
from hyotan.report.page import html_figure, side_by_side
from hyotan.report.run import RunRecord
from hyotan.report.run_figures import names_of
from hyotan.words import say, shown

MOST_BARS = 32
SHOWN_UNITS, MOST_UNITS = 12, 256


def latent(record: RunRecord, lang: str) -> Html:
    """Scatter, KL or variance of each dimension, and a table of the dimensions."""
    return join(
        [
            tag("p", say("latent.intro", lang)),
            side_by_side([_scatter(record, lang), _bars(record, lang)]),
            _units(record, lang),
        ]
    )


def _scatter(record: RunRecord, lang: str) -> Html:
    display = LatentScatterDisplay.from_codes(record.codes, record.labels(), max_points=MOST_ON_A_PAGE)
    return html_figure(display.charts(lang)[0], lang)


def _bars(record: RunRecord, lang: str) -> Html:
    kl = record.kl_per_dimension
    values = np.asarray(kl) if kl else record.codes.var(axis=0)
    order = record.dimensions[:MOST_BARS].tolist()
    quiet = frozenset(f"z{index}" for index in order if not record.active[index])
    some = say("latent.some", lang, n=len(order), of=len(values)) if len(values) > len(order) else ""
    said = say("latent.counted", lang, n=int(record.active.sum()), of=len(values), least=ACTIVE_VARIANCE)
    chart = BarChart(
        say("latent.kl" if kl else "latent.variance", lang),
        say("latent.kl_unit" if kl else "latent.variance_unit", lang),
        [(f"z{index}", float(values[index])) for index in order],
        quiet,
        (say("latent.active", lang), say("latent.inactive", lang)),
        caption=f"{said} {some}".strip(),
    )
    return html_figure(chart, lang)


def _units(record: RunRecord, lang: str) -> Html:
    """Each dimension: how far it varies, whether all codes together look like the prior, what it goes with."""
    codes, kl = record.codes, record.kl_per_dimension
    order = record.dimensions[:MOST_UNITS].tolist()
    aggregate = _aggregate(record)
    goes_with = _goes_with(record, lang)
    head = ["", *([say("latent.kl_short", lang)] if kl else []), say("latent.mean", lang), say("latent.sd", lang)]
    head += [say("latent.aggregate", lang)] if aggregate is not None else []
    head += [goes_with[0]] if goes_with else []
    rows = []
    for index in order:
        row = [f"z{index}", *([shown(float(kl[index]), 3)] if kl else [])]
        row += [_hundredths(codes[:, index].mean()), _hundredths(codes[:, index].std())]
        row += [_hundredths(aggregate[index])] if aggregate is not None else []
        row += [goes_with[1][index]] if goes_with else []
        rows.append(row)
    why = tag("p", say("latent.aggregate_text", lang)) if aggregate is not None else None
    texts = goes_with is not None and not goes_with[1][0].endswith("%")
    columns = range(1, len(head) - texts)
    body = html_table(head, rows[:SHOWN_UNITS], numbers=columns, caption=say("latent.caption", lang))
    summary = tag("summary", say("latent.further", lang, n=len(rows) - SHOWN_UNITS))
    further = html_table(head, rows[SHOWN_UNITS:], numbers=columns)
    rest = tag("details", summary, further) if rows[SHOWN_UNITS:] else None
    return join([tag("h3", say("latent.units", lang)), why, body, rest])


def _hundredths(value: float) -> str:
    return f"{round(float(value), 2) + 0.0:.2f}".replace("-", "−")


def _aggregate(record: RunRecord) -> np.ndarray | None:
    """Standard deviation of codes drawn from the posterior, over all rows, (latent,): 1 where they fit the prior."""
    if not record.family.probabilistic:
        return None
    draws = record.estimator.posterior_sample(record.rows.X, 1, random_state=0)  # pyrefly: ignore[missing-attribute]
    return draws[0].std(axis=0)


def _goes_with(record: RunRecord, lang: str) -> tuple[str, list[str]] | None:
    """For each dimension the labels' share in its variance, or the column that it correlates with most."""
    labels = record.labels()
    if labels is not None and len(set(map(str, labels))) <= 50:
        kinds = np.array([str(label) for label in labels])
        return say("latent.explained", lang), [f"{100 * eta_squared(column, kinds):.0f} %" for column in record.codes.T]
    if record.is_image:
        return None
    names = names_of(record)
    flat = record.estimator.preprocessor_.in_line(record.pair[0]).astype(np.float64)
    flat = mean_filled(flat, observed_mean(flat))  # a missing value says nothing of what a column goes with
    both = _standard(record.codes.astype(np.float64)).T @ _standard(flat) / len(flat)
    best = np.abs(both).argmax(axis=1)
    words = [f"{tidy(names[b], 24)} (r = {both[i, b]:.2f})".replace("-", "−") for i, b in enumerate(best.tolist())]
    return say("latent.column", lang), words


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)


def eta_squared(values: np.ndarray, kinds: np.ndarray) -> float:
    """Share of the variance of values (n,) that lies between the groups that kinds (n,) makes."""
    total = float(values.var())
    if total == 0:
        return 0.0
    names, place = np.unique(kinds, return_inverse=True)
    counts = np.bincount(place)
    means = np.bincount(place, values, minlength=len(names)) / counts
    return float((counts * np.square(means - values.mean())).sum() / len(values) / total)
