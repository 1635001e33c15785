"""The latent space as points: raw where it has two dimensions, else its two principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from numpy.typing import ArrayLike

from hyotan.errors import DataError, SettingsError
from hyotan.figures.canvas import (
    CONTINUOUS,
    PALETTE,
    QUIET,
    SHAPES,
    TRAINING,
    Array,
    AxesDisplay,
    finite_numbers,
    frozen,
    tidy,
)
from hyotan.figures.charts import ScatterChart
from hyotan.figures.chosen import label_key, stratified
from hyotan.figures.fonts import font_families, warn_if_undrawable
from hyotan.words import say, shown

Method = Literal["auto", "raw", "pca"]
MOST_CLASSES = 20
"""More classes than these cannot be told apart: the rarest are drawn as one."""
MOST_POINTS, MOST_SHAPES, MOST_GLYPHS, MOST_ON_A_PAGE = 20_000, 3_000, 1_500, 1_500
OTHER, UNLABELLED = "other", "unlabelled"


@dataclass(frozen=True, eq=False)
class LatentScatterDisplay(AxesDisplay):
    """Codes in the plane, told apart by the label itself (or by shape) and by colour.

    Attributes
    ----------
    points : array of shape (shown, 2)
        The points that are drawn.
    total : int
        How many codes there were.
    classes : array of shape (shown,) of str, or None
    values : array of shape (shown,), or None
        Numbers to colour by, where the labels are numbers of more than 20 kinds.
    centroids : mapping of class to array (2,)
        Of all codes, not only of those shown.
    axis_names : (str, str)
        With each principal component's share of the codes' variance.
    one_dimensional : bool
        The second coordinate is a random scatter without meaning.
    shares : (float, float), or None
        Of the codes' variance, where the axes are principal components.
    """

    points: Array
    total: int
    classes: Array | None
    values: Array | None
    centroids: Mapping[str, Array]
    axis_names: tuple[str, str]
    one_dimensional: bool = False
    shares: tuple[float, float] | None = None

    @classmethod
    def from_codes(
        cls,
        codes: ArrayLike,
        labels: Sequence[Any] | None = None,
        dims: tuple[int, int] | None = None,
        method: Method = "auto",
        names: Mapping[Any, object] | Sequence[object] | None = None,
        *,
        axis_names: tuple[str, str] | None = None,
        max_points: int | None = None,
        random_state: int = 0,
    ) -> LatentScatterDisplay:
        """From codes of shape (n, latent).

        Parameters
        ----------
        labels : n labels, optional
            Numbers or text; None or NaN is drawn as unlabelled. Numbers of more than 20 kinds become a colour scale.
        dims : (int, int), optional
            The two dimensions to draw raw, counted from 0.
        method : "auto", "raw" or "pca"
            "auto" is raw for two dimensions or given ``dims``, else the first two principal components.
        names : mapping or sequence, optional
            What to write for a label: ``names[label]``.
        axis_names : (str, str), optional
            Instead of those found, e.g. for the coordinates of another projection.
        max_points : int, optional
            Draw at most so many, in proportion from every class: by default 1,500 where labels are written out, 3,000
            where classes have shapes, else 20,000.

        Raises
        ------
        DataError
            The codes are no finite matrix, or the labels are of another number.
        SettingsError
            ``dims`` or ``method`` do not fit the codes.
        """
        matrix = _matrix(codes)
        texts, values, order = _read_labels(labels, len(matrix), names)
        plane, found, shares = _plane(matrix, dims, method, random_state)
        limit = _most_points(texts) if max_points is None else max_points
        rows = stratified(texts, len(matrix), limit, random_state)
        return cls(
            frozen(plane[rows]),
            len(matrix),
            None if texts is None else frozen(texts[rows]),
            None if values is None else frozen(values[rows]),
            {name: frozen(plane[texts == name].mean(axis=0)) for name in order},
            axis_names or found,
            matrix.shape[1] == 1,
            shares,
        )

    @property
    def note(self) -> str:
        """How many points are shown, in words; empty where all are."""
        shown = len(self.points)
        if shown == self.total:
            return ""
        how = "at random" if self.classes is None else "in proportion from every class"
        return f"{shown:,} of {self.total:,} points shown, drawn {how}"

    def charts(self, lang: str) -> list[ScatterChart]:
        """The same points, at most MOST_ON_A_PAGE of them."""
        title = say("latent.plane" if self.shares else "latent.raw", lang)
        axes = self.axis_names
        if self.shares:
            first, second = (say("latent.component", lang, n=n, share=f"{s:.0%}") for n, s in enumerate(self.shares, 1))
            axes = first, second
        elif self.one_dimensional:
            axes = axes[0], say("latent.jitter", lang)
        classes, order = (self.classes, list(self.centroids)) if self.values is None else binned(self.values)
        return [scatter_chart(title, self.points, classes, order, axes, lang, self.total)]

    def _size(self) -> tuple[float, float]:
        return (7.0, 3.0) if self.one_dimensional else (7.0 if self._has_legend() else 6.0, 6.0)

    def _has_legend(self) -> bool:
        return self.values is not None or (self.classes is not None and not _are_short(self.classes))

    def _draw(self, ax: Axes) -> None:
        if self.values is not None:
            self._draw_values(ax, self.values)
        elif self.classes is None:
            self._draw_plain(ax)
        elif _are_short(self.classes):
            self._draw_glyphs(ax, self.classes)
        else:
            self._draw_shapes(ax, self.classes)
        self._finish(ax)

    def _finish(self, ax: Axes) -> None:
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        if self.one_dimensional:
            ax.set_yticks([])
        else:
            ax.set_aspect("equal", adjustable="datalim")
        ax.grid()
        ax.margins(0.05)
        ax.set_title(self.note or f"{self.total:,} points", fontsize=8, color=QUIET)

    def _draw_plain(self, ax: Axes) -> None:
        alpha = float(np.clip(60 / np.sqrt(len(self.points)) / 4, 0.12, 0.8))
        ax.scatter(*self.points.T, s=9, color=TRAINING, alpha=alpha, linewidths=0, rasterized=True)

    def _draw_values(self, ax: Axes, values: Array) -> None:
        known = np.isfinite(values)
        ax.scatter(*self.points[~known].T, s=9, color="#C4C4C4", linewidths=0, rasterized=True)
        drawn = ax.scatter(*self.points[known].T, c=values[known], s=9, cmap=CONTINUOUS, linewidths=0, rasterized=True)
        bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.03, pad=0.02, aspect=30)
        bar.set_label("label")
        bar.outline.set_visible(False)

    def _draw_glyphs(self, ax: Axes, classes: Array) -> None:
        warn_if_undrawable("".join(self.centroids))  # an outline is no text, so that dress() does not see it
        size = 34 if len(self.points) > 400 else 52
        for index, name in enumerate(self.centroids):
            glyph, extent = _glyph(name)
            ax.scatter(
                *self.points[classes == name].T,
                s=size * extent**2,
                marker=glyph,
                color=PALETTE[index % len(PALETTE)],
                linewidths=0,
                alpha=0.75,
                rasterized=True,
            )
        places = spread_out(np.array(list(self.centroids.values())), 0.055 * float(np.ptp(self.points, axis=0).max()))
        write_names(ax, tuple(self.centroids), places, 17, 4)

    def _draw_shapes(self, ax: Axes, classes: Array) -> None:
        handles, texts = [], []
        for index, name in enumerate(self.centroids):
            rest = name in (OTHER, UNLABELLED)
            shape = "." if rest else SHAPES[index % len(SHAPES)]
            color = "#9A9A9A" if rest else PALETTE[index % len(PALETTE)]
            size = 52 if shape == "*" else 26  # a star's area lies in its points
            inside = self.points[classes == name]
            ax.scatter(*inside.T, s=size, marker=shape, color=color, alpha=0.8, edgecolors="white", linewidths=0.3)
            handles.append(
                Line2D(
                    [], [], linestyle="none", marker=shape, color=color, markersize=1.3 * size**0.5, markeredgewidth=0
                )
            )
            texts.append(tidy(name).lstrip("_") or "_")  # Matplotlib leaves names that begin with _ out of legends
        ax.legend(handles, texts, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)


def scatter_chart(
    title: str,
    points: Array,
    classes: Array | None,
    order: Sequence[str],
    axes: tuple[str, str],
    lang: str,
    total: int,
) -> ScatterChart:
    """Points for a page, at most MOST_ON_A_PAGE of them, every class by its share.

    Parameters
    ----------
    title, axes : in words.
    points, classes : (n, 2) and (n,).
    order : the classes as they stand in the legend.
    lang : of the page.
    total : how many points there were.
    """
    rows = stratified(classes, len(points), MOST_ON_A_PAGE)
    key = "latent.all" if len(rows) == total else "latent.shown"
    renamed = {OTHER: say("latent.other", lang), UNLABELLED: say("latent.unlabelled", lang)}
    labels = None if classes is None else [renamed.get(str(name), str(name)) for name in classes[rows]]
    names = [renamed.get(name, name) for name in order]
    note = say(key, lang, n=len(rows), of=total)
    return ScatterChart(title, *axes, points[rows], labels, names, frozenset(renamed.values()), caption=note)


def binned(values: Array, bins: int = 5) -> tuple[Array, list[str]]:
    """Numbers, (n,), as text: the bins of equal counts that they fall in; and the bins in order."""
    cuts = np.nanquantile(values, np.linspace(0, 1, bins + 1))
    place = np.clip(np.searchsorted(cuts, values, side="right") - 1, 0, bins - 1)
    names = [f"{shown(float(a), 3)} – {shown(float(b), 3)}" for a, b in pairwise(cuts)]
    known = np.isfinite(values)
    texts = np.where(known, np.array(names)[place], UNLABELLED)
    return texts, names + [UNLABELLED] * (not known.all())


def principal_plane(codes: ArrayLike) -> tuple[Array, Array]:
    """The first two principal components of the codes, (n, 2), and their shares of the variance, (2,).

    Each component's sign is the one in which its largest loading is positive, so that pictures do not flip.
    """
    matrix = _matrix(codes)
    centred = matrix - matrix.mean(axis=0)
    _, variances, directions = np.linalg.svd(centred.T @ centred)
    loadings = directions[:2]
    largest = np.abs(loadings).argmax(axis=1)
    loadings = loadings * np.where(loadings[np.arange(2), largest] < 0, -1.0, 1.0)[:, None]
    return centred @ loadings.T, variances[:2] / (variances.sum() or 1.0)


def write_names(ax: Axes, names: Sequence[str], places: Array, size: float, rim: float) -> None:
    """Write each name in its colour at its place, (names, 2), with a white rim."""
    for index, (name, (x, y)) in enumerate(zip(names, places.tolist(), strict=True)):
        look: dict[str, Any] = {"color": PALETTE[index % len(PALETTE)], "fontsize": size, "fontweight": "bold"}
        effects = [withStroke(linewidth=rim, foreground="white")]
        ax.text(x, y, name, ha="center", va="center", path_effects=effects, zorder=6, **look)


def spread_out(places: Array, least: float, rounds: int = 40) -> Array:
    """Places (n, 2) pushed apart until none is nearer than ``least`` to another, as far as ``rounds`` allow."""
    moved = places.astype(np.float64).copy()
    for _ in range(rounds):
        away = moved[:, None] - moved[None]
        # Names on the very same spot part along a circle.
        angles = np.linspace(0, np.pi, len(moved), endpoint=False)
        tiebreak = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * 1e-6 * least
        away = away + (tiebreak[:, None] - tiebreak[None])
        distance = np.linalg.norm(away, axis=-1)
        push = np.where((distance < least) & (distance > 0), (least - distance) / 2, 0.0)
        moved += (away / np.where(distance > 0, distance, 1.0)[..., None] * push[..., None]).sum(axis=1)
    return moved


def _matrix(codes: ArrayLike) -> Array:
    matrix = finite_numbers(codes, "The codes")
    if matrix.ndim != 2 or not matrix.size:
        raise DataError(
            f"The codes must be a matrix (n, latent) with at least one row; got shape {matrix.shape}.",
            "Pass what transform(X) returns.",
        )
    return matrix


def _plane(
    codes: Array, dims: tuple[int, int] | None, method: Method, random_state: int
) -> tuple[Array, tuple[str, str], tuple[float, float] | None]:
    latent = codes.shape[1]
    if method not in ("auto", "raw", "pca"):
        raise SettingsError(f"method must be 'auto', 'raw' or 'pca'; got {method!r}.")
    if dims is not None and (len(dims) != 2 or not all(0 <= dim < latent for dim in dims)):
        raise SettingsError(f"dims must be two numbers from 0 to {latent - 1}; got {tuple(dims)}.")
    if latent == 1:
        scatter = np.random.default_rng(random_state).uniform(-1, 1, len(codes))
        return np.column_stack([codes[:, 0], scatter]), ("z0", "random scatter, no meaning"), None
    if dims is None and (method == "pca" or (method == "auto" and latent > 2)):
        plane, shares = principal_plane(codes)
        return plane, (_component(1, shares[0], latent), _component(2, shares[1], latent)), (shares[0], shares[1])
    first, second = dims or (0, 1)
    return codes[:, [first, second]], (f"z{first}", f"z{second}"), None


def _component(index: int, share: float, latent: int) -> str:
    return f"principal component {index} of {latent} latent dimensions ({share:.0%} of variance)"


def _read_labels(
    labels: Sequence[Any] | None, total: int, names: Mapping[Any, object] | Sequence[object] | None
) -> tuple[Array | None, Array | None, list[str]]:
    """The classes as text, or the numbers to colour by, at most one of the two; and the classes in order."""
    if labels is None:
        return None, None, []
    if len(labels) != total:
        raise DataError(f"There are {total} codes but {len(labels)} labels.", "Give one label a code.")
    given = [UNLABELLED if _is_missing(label) else label for label in labels]
    if names is None and _is_scale(given):
        return None, np.array([np.nan if label == UNLABELLED else float(label) for label in given]), []
    kinds = {label: _text(label, names) for label in dict.fromkeys(given)}
    texts = merge_rare(np.array([kinds[label] for label in given]))
    return texts, None, _ordered(texts, kinds)


def _is_missing(label: object) -> bool:
    return label is None or (isinstance(label, float | np.floating) and bool(np.isnan(label)))


def _is_scale(labels: list[Any]) -> bool:
    kinds = {label for label in labels if not isinstance(label, str)}
    has_text = any(isinstance(label, str) and label != UNLABELLED for label in labels)
    return len(kinds) > MOST_CLASSES and not has_text


def _text(label: Any, names: Mapping[Any, object] | Sequence[object] | None) -> str:
    if names is not None and label != UNLABELLED:
        try:
            label = names[label]
        except (KeyError, IndexError, TypeError) as error:
            raise DataError(f"names has no entry for the label {label!r}.", "Name every label.") from error
    whole = isinstance(label, float | np.floating) and float(label).is_integer()
    return tidy(int(label) if whole else label)


def merge_rare(texts: Array) -> Array:
    """Classes (n,), the rarest of them beyond MOST_CLASSES as one."""
    kinds, counts = np.unique(texts, return_counts=True)
    if len(kinds) <= MOST_CLASSES:
        return texts
    kept = set(kinds[np.argsort(-counts, kind="stable")][: MOST_CLASSES - 1])
    return np.array([text if text in kept else OTHER for text in texts])


def _ordered(texts: Array, kinds: Mapping[Any, str]) -> list[str]:
    """The classes in their labels' order, numbers by size, text by the alphabet, the two catch-alls last."""
    present = set(map(str, np.unique(texts)))
    by_label = [kinds[label] for label in sorted(kinds, key=label_key)]
    regular = [name for name in dict.fromkeys(by_label) if name in present - {OTHER, UNLABELLED}]
    return regular + [name for name in (OTHER, UNLABELLED) if name in present]


def _most_points(texts: Array | None) -> int:
    if texts is None:
        return MOST_POINTS
    return MOST_GLYPHS if _are_short(texts) else MOST_SHAPES


def _are_short(texts: Array) -> bool:
    return all(len(name) <= 2 for name in np.unique(texts))


def _glyph(name: str) -> tuple[Outline, float]:
    """A label's outline, centred, and its extent beside that of a digit, by which Matplotlib will shrink it."""
    outline = _outline(name)
    return outline, float(np.abs(outline.vertices).max() / np.abs(_outline("0").vertices).max())


def _outline(name: str) -> Outline:
    path = TextPath((0, 0), name or "?", size=10, prop=FontProperties(family=list(font_families(name)), weight="bold"))
    box = path.get_extents()
    return Outline(path.vertices - [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2], path.codes)
