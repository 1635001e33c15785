"""A study that nobody ran: plain numbers in every field of a report, for tests and for looking at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from hyotan.data import load
from hyotan.figures import (
    ClusteringDisplay,
    CodePlotsDisplay,
    ConditionalReconstructionsDisplay,
    ExchangeDisplay,
    WalksDisplay,
    Way,
)
from hyotan.report.page import PageNote
from hyotan.report.study_page import Claim, Pick, StudyReport
from hyotan.study.cells import Cell, Interval, Scores, interval
from hyotan.study.choices import (
    BEST_CLUSTERS,
    BEST_NEIGHBOURS,
    CLUSTER,
    COMPRESS,
    GENERATE,
    HELPS,
    LIKE_PCA,
    LIKE_RAW,
    SEE,
    SMALLEST_BOUND,
    SMALLEST_ENOUGH,
    UNKNOWN,
    Advice,
    Option,
    Recommendation,
)
from hyotan.study.drawing import Measure, size_curves
from hyotan.study.plan import configure
from hyotan.study.replications import findings
from hyotan.study.study_folder import StudyFolder

MODELS, SIZES = ("ae", "vae", "cvae", "pca"), (2, 4, 8, 16, 32)
HOSTILE = "<b>ヒゲ</b>&\"'"


def fake_study(repeats: int = 3, lang: str = "en") -> StudyReport:
    random = np.random.default_rng(0)
    digits = load_digits()
    images, labels = digits.images / 16, digits.target
    names = np.array([HOSTILE, "一", "二", "三", "四", "五", "六", "七", "八", "九"])[labels]

    def of(mean: float, spread: float) -> Interval:
        found = Interval.of(mean + spread * random.standard_normal(repeats))
        assert found is not None
        return found

    def curve(name: str, start: float, end: float, spread: float) -> Measure:
        values = {
            (model, size): of(end + (start - end) * (2 / size) ** (0.8 - 0.15 * index), spread)
            for index, model in enumerate(MODELS)
            for size in SIZES
        }
        return Measure(name, values)

    mse = curve("mse", 0.05, 0.008, 0.0008)
    mse = Measure("mse", {**mse.values, ("mean", 0): Interval(0.0734, None, None, 0.0, 1)})
    knn = curve("knn_accuracy", 0.6, 0.96, 0.01)
    knn = Measure("knn_accuracy", {**knn.values, ("raw", 64): Interval(0.975, None, None, 0.0, 1)})
    bound = curve("bound", 26, 21, 0.2)
    bound = Measure("bound", {pair: value for pair, value in bound.values.items() if pair[0] in ("vae", "cvae")})
    measures = [mse, bound, knn, curve("v_measure", 0.45, 0.75, 0.03), curve("active_units", 2, 12, 0.4)]
    measures += [curve("smoothness", 0.5, 0.8, 0.02)]
    groups = [("ae", 2), ("ae", 16), ("vae", 2), ("vae", 16), ("pca", 16), ("raw", 64)]
    runs = {
        pair: dict.fromkeys(
            ("v_measure", "accuracy"), np.clip(0.5 + 0.05 * i + 0.04 * random.standard_normal(50), 0, 1).tolist()
        )
        for i, pair in enumerate(groups)
    }
    references = {"raw": runs.pop(("raw", 64))}
    some = random.permutation(len(images))[:600]
    plane = np.stack([np.cos(labels[some]), np.sin(labels[some])], axis=1) * 3 + random.standard_normal((600, 2)) * 0.4
    walk = np.stack([(1 - t) * images[3] + t * images[8] for t in np.linspace(0, 1, 11)])
    ten = images[:10]
    return StudyReport(
        title="digits: AE, VAE and CVAE compared",
        facts="3 models · 5 sizes · 3 repeats · 45 trainings",
        level="good",
        verdict=[
            "Take a VAE of size 8: it predicts 21 % more of the variance than PCA of that size.",
            "Smaller codes lose more than 5 % of that; larger ones gain nothing that new rows confirm.",
            f"For clustering, the features themselves are as good as any code; see {HOSTILE}.",
        ],
        picks=[
            Pick("To compress", "VAE, size 8", "Better than PCA", ["The smallest size within 5 % of the best."]),
            Pick("To see", "AE, size 2", "Better than PCA", ["Right for 71 % of rows; PCA: 58 %."]),
            Pick("To cluster", "features", "As good", ["V-measure 0.74; the best code reaches 0.73."], "notice"),
            Pick("To generate", "nothing", "Nothing here", ["Nothing was trained. Add --models vae."], "warning"),
        ],
        warnings=[PageNote("notice", "Few repeats.", "Intervals over 3 repeats are wide. Set --repeats 5.")],
        numbers=[
            ("Error of the choice", "0.0121", "MSE", "0.0110 … 0.0132; lower is better"),
            ("Beside PCA of its size", "−21 %", "", "± 4 %; negative is better"),
            ("Active dimensions", "8 / 8", "", ""),
        ],
        measures=measures,
        repeats=repeats,
        figures={
            "sizes": [display for one in measures if (display := size_curves(one, lang)) is not None],
            "clusterings": [ClusteringDisplay.from_runs(runs, references, measures=("v_measure", "accuracy"))],
            "codes": [
                CodePlotsDisplay.from_planes({"VAE, size 2": plane}, names[some], raw=["VAE, size 2"]),
                CodePlotsDisplay.from_planes({"t-SNE of VAE codes, size 16": plane[::-1]}, labels[some]),
            ],
            "walks": [
                WalksDisplay.from_arrays(
                    walk[None], ["VAE, size 16"], [["3"] * 4 + ["9"] * 3 + ["8"] * 4], title="Straight"
                ),
                WalksDisplay.from_arrays(walk[None], ["AE"], title="On the sphere", is_aside=True),
            ],
            "conditions": [
                ConditionalReconstructionsDisplay.from_ways(
                    ten,
                    "0123456789",
                    [Way("right label", ten, "CVAE, size 4", "0123456789"), Way(HOSTILE, 1 - ten, "CVAE, size 4")],
                )
            ],
            "exchanges": [ExchangeDisplay.from_arrays(np.stack([ten] * 4), "0123456789")],
        },
        claims=[
            Claim("Walks through a CVAE pass fewer classes.", "yes", "1.2 against 2.9", "A4: figure 7"),
            Claim("Codes of size 64 cluster best.", "no", "V-measure 0.71 against 0.74 at size 16", "A4: table 2"),
            Claim("K-means varies over runs.", "partly", "SD 0.03"),
            Claim("Labels help.", "untested", "–"),
        ],
        data=[("Source", "digits"), ("Rows", "1,456 + 161 + 180")],
        settings=[("Preset", "default"), ("Epochs", "60")],
        command="hyotan study digits --sizes 2,4,8,16,32 --repeats 3",
        facts_to_reproduce=[("Seed", "0, 1, 2"), ("Time", "212 s")],
        record={"schema": 1, "kind": "study", "note": "</script>"},
    )


def fake_folder(path: Path, repeats: int = 3) -> StudyFolder:
    """A study's folder as the engine leaves it, its numbers drawn at random around plausible curves."""
    random = np.random.default_rng(0)
    config = configure(load("digits"), "digits", models=["ae", "vae", "cvae"], sizes=[2, 4, 16], repeats=repeats)
    path.mkdir(parents=True, exist_ok=True)
    (path / "study.toml").write_text(config.to_toml(), encoding="utf-8")
    cells = [
        _cell(random, model, size, repeat)
        for repeat in range(repeats)
        for model, sizes in [("ae", (2, 4, 16)), ("vae", (2, 4, 16)), ("cvae", (2, 4, 16)), ("pca", (2, 4, 16))]
        for size in sizes
    ]
    cells += [_cell(random, model, size, r) for r in range(repeats) for model, size in (("mean", 0), ("raw", 64))]
    record = {
        "schema": 1,
        "config": {},
        "cells": [cell.to_dict() for cell in cells],
        "failures": [
            {"cell": "ae-16-2", "model": "ae", "latent_dim": 16, "repeat": 2, "code": "X", "message": HOSTILE}
        ],
        "recommendation": _recommendation(cells, repeats).to_dict(),
        "findings": [finding.to_dict() for finding in findings(cells)],
        "seconds": 212.5,
    }
    (path / "study.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    return StudyFolder(path)


def _recommendation(cells: list[Cell], repeats: int) -> Recommendation:
    """One verdict of each kind."""

    def option(model: str, size: int, measure: str) -> Option:
        return Option(model, size, None, interval(cells, model, size, measure, "test"))

    vae, pca = option("vae", 4, "explained"), option("pca", 4, "explained")
    ae, flat = option("ae", 2, "knn_accuracy"), option("pca", 2, "knn_accuracy")
    code, raw = option("cvae", 16, "v_measure"), option("raw", 64, "v_measure")
    return Recommendation(
        (
            Advice(COMPRESS, HELPS, SMALLEST_ENOUGH, "q2", "explained", vae, vae, pca),
            Advice(SEE, LIKE_PCA, BEST_NEIGHBOURS, "knn_accuracy", "knn_accuracy", flat, ae, flat),
            Advice(CLUSTER, LIKE_RAW, BEST_CLUSTERS, "v_measure", "v_measure", raw, code, None, raw),
            Advice(GENERATE, UNKNOWN, SMALLEST_BOUND, "bound", "coverage"),
        ),
        repeats,
    )


def _cell(random: np.random.Generator, model: str, size: int, repeat: int) -> Cell:
    baseline = model in ("pca", "mean", "raw")
    gain = {"ae": 0.25, "vae": 0.2, "cvae": 0.3}.get(model, 0.0)
    kept = 0.0 if size == 0 else 1 - (1 - gain) * (2 / max(size, 2)) ** 0.6 * 0.7
    noise = 0.01 * float(random.standard_normal())
    runs = {} if model == "mean" else {"v_measure": (0.6 + kept / 4 + 0.03 * random.standard_normal(50)).tolist()}
    scores = Scores(
        n_rows=180,
        mse=None if model == "raw" else 0.074 * (1 - kept + noise / 5),
        explained=None if model == "raw" else kept - noise / 5,
        bound=30 - 8 * kept if model in ("vae", "cvae") else None,
        nll=29.5 - 8 * kept if model in ("vae", "cvae") else None,
        knn_accuracy=None if model == "mean" else min(0.98, 0.5 + kept / 2 + noise),
        v_measure=0.6 + kept / 4 + noise if runs else None,
        trustworthiness=None if model in ("raw", "mean") else 0.8 + kept / 6,
        smoothness=None if baseline else 0.7 + noise,
        coverage=None if baseline else 0.6 + kept / 4,
        active_units=None if baseline else min(size, 9),
        label_error=0.03 + abs(noise) if model == "cvae" else None,
    )
    warnings = [("UNUSED_UNITS", "…")] if model == "vae" and size == 16 else []
    trained = {} if baseline else {"parameters": 300_000, "epochs": 60, "best_epoch": 55, "train_seconds": 12.5}
    return Cell(model, size, repeat, repeat, scores, scores, 64, **trained, clusterings=runs, warnings=warnings)
