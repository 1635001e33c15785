"""The part of a run's page about its codes: where they lie, which dimensions carry something, what they go with."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from hyotan.figures.canvas import tidy
from hyotan.figures.charts import BarChart, ScatterChart
from hyotan.figures.scatter import OTHER, UNLABELLED, LatentScatterDisplay, principal_plane
from hyotan.metrics import ACTIVE_VARIANCE, mean_filled, observed_mean
from hyotan.report.markup import Html, html_table, join, tag
from hyotan.report.page import html_figure, side_by_side
from hyotan.report.run import RunRecord
from hyotan.report.run_figures import names_of
from hyotan.words import say, shown

MOST_BARS, MOST_POINTS = 32, 1500
SHOWN_UNITS, MOST_UNITS = 12, 256
BINS = 5


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
    title = say("latent.raw" if record.codes.shape[1] == 2 else "latent.plane", lang)
    return code_plot(record.codes, record.labels(), title, lang)


def code_plot(
    codes: np.ndarray, labels: Any, title: str, lang: str, axes: tuple[str, str] | None = None, caption: str = ""
) -> Html:
    """Codes (n, latent) as points, at most :data:`MOST_POINTS` of them, every class by its share.

    Parameters
    ----------
    codes : (n, latent); more than two dimensions are brought to their principal plane, one is spread at random.
    labels : n labels or None; numbers of many kinds are put in bins of equal counts.
    title : of the plot.
    lang : of the page.
    axes : names of the axes, where they are known.
    caption : what else to know.
    """
    display = LatentScatterDisplay.from_codes(codes, _binned(labels), max_points=MOST_POINTS)
    renamed = {OTHER: say("latent.other", lang), UNLABELLED: say("latent.unlabelled", lang)}
    classes = None if display.classes is None else [renamed.get(str(name), str(name)) for name in display.classes]
    first, second = axes or _axis_names(codes, lang)
    count = len(display.points)
    some = count < display.total
    note = say("latent.shown", lang, n=count, of=display.total) if some else say("latent.all", lang, n=count)
    chart = ScatterChart(
        title,
        first,
        second,
        display.points,
        classes,
        [renamed.get(name, name) for name in display.centroids],
        frozenset(renamed.values()),
        caption=f"{caption} {note}".strip(),
    )
    return html_figure(chart, lang)


def _binned(labels: Any) -> Any:
    """Labels, or, where they are numbers of more kinds than can be told apart, the bins that they fall in."""
    if labels is None:
        return None
    array = np.asarray(labels)
    if array.dtype.kind not in "iuf" or len(np.unique(array)) <= 20:
        return labels
    cuts = np.nanquantile(array, np.linspace(0, 1, BINS + 1))
    place = np.clip(np.searchsorted(cuts, array, side="right") - 1, 0, BINS - 1)
    names = [f"{shown(float(a), 3)} – {shown(float(b), 3)}" for a, b in pairwise(cuts)]
    return [names[index] if np.isfinite(value) else None for index, value in zip(place, array, strict=True)]


def _axis_names(codes: np.ndarray, lang: str) -> tuple[str, str]:
    latent_dim = codes.shape[1]
    if latent_dim == 1:
        return "z0", say("latent.jitter", lang)
    if latent_dim == 2:
        return "z0", "z1"
    _, shares = principal_plane(codes)
    first, second = (say("latent.component", lang, n=n, share=f"{share:.0%}") for n, share in enumerate(shares, 1))
    return first, second


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
