"""Pages of runs and studies: what they say against the numbers behind them, and what a page must never do."""

from __future__ import annotations

import base64
import colorsys
import hashlib
import io
import json
import re
import shlex
import shutil
from html import escape
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from command_line import done, fitted, hyotan, sketch
from fake_study import HOSTILE, fake_folder, fake_study
from hyotan.errors import RunFolderError
from hyotan.figures import LatentScatterDisplay
from hyotan.figures.canvas import SHAPES
from hyotan.figures.charts import BarChart, BoxChart, Chart, Curve, ImageSheet, LineChart, ScatterChart, box_of
from hyotan.figures.images import to_rgb
from hyotan.report import page as pages
from hyotan.report.findings import notes_of
from hyotan.report.latent_page import eta_squared
from hyotan.report.markup import html_table, json_script, tag
from hyotan.report.pictures import Thumbnails
from hyotan.report.run import RunRecord, bootstrap, fit_command
from hyotan.report.run_page import gourd, machine_readable, run_page
from hyotan.report.study import study_command, study_report
from hyotan.report.study_page import study_page
from hyotan.report.svg import Axis, drawn, marker, tick_text, ticks_of
from hyotan.runs.gallery import RUN_FIGURES
from hyotan.runs.run_folder import RunFolder
from hyotan.study.cells import Cell
from hyotan.study.choices import VERDICTS
from hyotan.study.exhibits import Exchanged, Exhibits, Plane, Told, Walked
from hyotan.study.study_folder import StudyFolder
from hyotan.words import languages, say

VOID = {"meta", "br", "img", "hr", "col", "link", "input"}
LABELS = ("アデリー", "<i>ジェンツー</i>", "ヒゲ & \"'")


class Reader(HTMLParser):
    """Reads a page as a browser would: elements in order, balance, texts, attributes."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.strays: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.strays.append(tag)

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def text(self) -> str:
        parts = [text for element, text in self.texts if element not in ("style", "script")]
        return " ".join(" ".join(parts).split())

    @property
    def record(self) -> dict:
        return json.loads("".join(text for element, text in self.texts if element == "script" and text[0] == "{"))


def write_table(path: Path) -> Path:
    """Penguins with hostile names: three kinds, four columns of which two go together."""
    random = np.random.default_rng(0)
    lines = ["嘴の長さ,b<i>,c,d,種類"]
    for row in range(150):
        kind = row % 3
        quoted = '"' + LABELS[kind].replace('"', '""') + '"'
        a, b = random.normal(kind, 0.3), random.normal()
        lines.append(f"{a:.3f},{2 * a + 0.1 * b:.3f},{b:.3f},{random.normal():.3f},{quoted}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, RunFolder]:
    folder = tmp_path_factory.mktemp("report")
    write_table(folder / "鳥.csv")
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        return {
            "vae": RunFolder(fitted("digits", "--limit", 400, "--model", "vae", cwd=folder)),
            "ae": RunFolder(fitted("digits", "--limit", 300, "--latent-dim", 9, cwd=folder)),
            "table": RunFolder(fitted(folder / "鳥.csv", "--label", "種類", "--model", "vae", cwd=folder)),
        }


@pytest.fixture(scope="module")
def read(runs) -> dict[tuple[str, str], Reader]:
    """Every page that the tests look at, by what it is about and its language."""
    found = {(name, lang): Reader(run_page(run, lang)) for name, run in runs.items() for lang in languages()}
    return found | {("study", lang): Reader(study_page(fake_study(lang=lang), lang)) for lang in languages()}


ABOUT = [(name, lang) for name in ("vae", "ae", "table", "study") for lang in ("en", "ja")]


@pytest.mark.parametrize("about", ABOUT, ids="-".join)
class TestEveryPage:
    def test_is_well_formed(self, read, about):
        assert read[about].open == [] and read[about].strays == []

    def test_loads_nothing_from_outside(self, read, about):
        reader = read[about]
        sources = [a.get(k) for _, a in reader.elements for k in ("src", "href", "action", "poster", "srcset", "data")]
        assert {str(source)[:22] for source in sources if source and source[0] != "#"} <= {"data:image/png;base64,"}
        assert not {"link", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in reader.elements}
        assert "@import" not in str(reader.texts) and "url(" not in str(reader.texts)

    def test_its_policy_allows_its_own_style_and_script_and_nothing_else(self, read, about):
        reader = read[about]
        policy = next(a["content"] for a in reader.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
        assert "default-src 'none'" in policy and "unsafe" not in policy
        for element, directive in (("style", "style-src"), ("script", "script-src")):
            allowed = re.search(rf"{directive} 'sha256-([^']+)'", policy)
            texts = [text for name, text in reader.texts if name == element and text[0] != "{"]
            assert len(texts) == 1 and allowed is not None
            assert base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode() == allowed[1]
        # A policy of hashes forbids style attributes and handlers, so there must be none.
        assert not [k for _, attributes in reader.elements for k in attributes if k == "style" or k.startswith("on")]

    def test_names_within_it_are_there_once_and_links_lead_to_them(self, read, about):
        reader = read[about]
        names = [a["id"] for _, a in reader.elements if "id" in a]
        assert len(names) == len(set(names))
        targets = [a["href"][1:] for a in reader.of("a")] + [a["aria-labelledby"] for a in reader.of("section")]
        assert set(targets) <= set(names) and targets

    def test_every_picture_can_be_read_aloud(self, read, about):
        reader = read[about]
        assert all(a.get("alt") for a in reader.of("img"))
        assert all(a.get("aria-label") or a.get("aria-hidden") for a in reader.of("svg"))

    def test_every_chart_has_its_numbers_in_a_table(self, read, about):
        reader = read[about]
        charts = [a for a in reader.of("svg") if a.get("class") == "chart"]
        summaries = [text for element, text in reader.texts if element == "summary"]
        named = summaries.count(say("page.numbers", about[1]))
        gourds = sum("→" in (a["aria-label"] or "") for a in charts)
        assert named == len(charts) - gourds > 0

    def test_is_of_a_size_to_send(self, read, about):
        assert sum(len(text.encode()) for _, text in read[about].texts) < pages.TARGET

    def test_has_headings_in_order_and_a_glossary(self, read, about):
        reader = read[about]
        levels = [int(tag[1]) for tag, _ in reader.elements if re.fullmatch(r"h[1-4]", tag)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert [a["lang"] for a in reader.of("html")] == [about[1]]
        glossary = next(i for i, (tag, a) in enumerate(reader.elements) if a.get("class") == "pairs glossary")
        assert sum(tag == "dt" for tag, _ in reader.elements[glossary:]) >= 6

    def test_says_the_verdict_before_anything_else(self, read, about):
        reader = read[about]
        where = [a.get("class", "") for _, a in reader.elements]
        verdict = next(i for i, name in enumerate(where) if name and name.startswith("verdict"))
        assert verdict < where.index("scroll") and verdict < next(
            i for i, (tag, _) in enumerate(reader.elements) if tag == "section"
        )


class TestHostileText:
    def test_labels_and_names_of_columns_show_as_they_are(self, read):
        for lang in languages():
            shown = read["table", lang].text
            assert all(label in shown for label in LABELS) and "b<i>" in shown and "嘴の長さ" in shown
            assert "鳥" in shown
            assert not read["table", lang].of("i")
            assert HOSTILE in read["study", lang].text

    def test_is_escaped_wherever_it_goes(self):
        evil = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
        page = tag("p", evil, title=evil) + json_script({"a": evil}, "x") + html_table([evil], [[evil]])
        assert "<script>alert" not in page
        reader = Reader(tag("p", evil, title=evil))
        assert reader.elements == [("p", {"title": evil})] and reader.text == evil

    def test_control_characters_and_turned_text_leave_a_sign(self):
        assert tag("p", "a\x00b\u202ec\ud800d") == "<p>a\ufffdb\ufffdc\ufffdd</p>"
        assert json.loads(re.sub("<.*?>", "", json_script({"a": "\ud800"}, "x"))) == {"a": " "}

    def test_numbers_for_programs_come_back(self):
        given = {"a": [1, 2.5, float("nan")], "b": "<&>", "c": np.arange(3), "d": None, "e": True}
        text = re.fullmatch(r"<script[^>]*>(.*)</script>", json_script(given, "x"))
        assert text is not None and json.loads(text[1]) == {
            "a": [1, 2.5, None],
            "b": "<&>",
            "c": [0, 1, 2],
            "d": None,
            "e": True,
        }


class TestLanguages:
    def test_a_japanese_page_is_not_half_english(self, read):
        """Every heading, every caption and every sentence has Japanese in it, or is a name."""
        for name in ("vae", "ae", "table"):
            reader = read[name, "ja"]
            prose = [
                text for element, text in reader.texts if element in ("p", "h2", "h3", "figcaption", "summary", "dt")
            ]
            words = [text for text in prose if len(re.findall(r"[A-Za-z]{3,}", text)) > 3]
            assert [text for text in words if not re.search("[\u3040-\u30ff]", text)] == []

    def test_the_two_pages_hold_the_same_numbers(self, read):
        for name in ("vae", "ae", "table"):
            assert read[name, "en"].record == read[name, "ja"].record


class TestRunPage:
    def test_tells_the_metrics(self, runs, read):
        metrics = runs["vae"].read_metrics()
        record = read["vae", "en"].record
        assert record["metrics"]["test"]["mse"] == pytest.approx(metrics["test"]["mse"], rel=1e-5)
        for name in ("mse", "loss", "kl"):
            mean, low, high = record["intervals"][name]
            assert mean == pytest.approx(metrics["test"][name], rel=1e-3) and low < mean < high
        assert f"{metrics['test']['mse']:.4g}" in read["vae", "en"].text

    def test_shows_twelve_rows_with_what_became_of_them(self, read, runs):
        for name in ("vae", "ae"):
            alts = [a["alt"] for a in read[name, "en"].of("img")]
            assert sum(alt.startswith("Original") for alt in alts) == 12
            errors = [float(m[1]) for alt in alts if (m := re.search(r"mean squared error ([\d.]+)", alt))]
            own = np.sort(RunRecord.open(runs[name]).errors)
            assert errors[6:9] == pytest.approx(own[:3], rel=0.02) and errors[9:] == pytest.approx(
                own[::-1][:3], rel=0.02
            )

    def test_pictures_are_the_rows(self, runs, read):
        record = RunRecord.open(runs["ae"])
        worst = int(np.argmax(record.errors))
        images = [a for a in read["ae", "en"].of("img") if a["alt"].startswith("Original")]
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[9]["src"].split(",")[1]))))
        np.testing.assert_array_equal(
            decoded, to_rgb(record.pair[0][worst : worst + 1], record.estimator.range_)[0][..., 0]
        )

    def test_a_code_of_two_has_a_manifold_and_a_larger_one_walks(self, read):
        assert say("manifold.title") in read["vae", "en"].text and say("walks.title") not in read["vae", "en"].text
        assert say("walks.title") in read["ae", "en"].text and say("manifold.title") not in read["ae", "en"].text

    def test_a_table_has_columns_and_rows_and_no_pictures(self, runs, read):
        reader = read["table", "en"]
        assert not reader.of("img") and say("columns.table") in reader.text
        before, after = RunRecord.open(runs["table"]).pair
        kept = 1 - np.square(before - after).mean(axis=0) / before.var(axis=0)
        for value in kept:
            assert any(
                abs(float(n.replace("−", "-")) - max(-1, value)) < 6e-4 for n in re.findall(r"[−\d.]+\d", reader.text)
            )

    def test_names_the_data_and_the_model_by_their_digests(self, runs, read):
        for name, run in runs.items():
            text = read[name, "en"].text
            assert run.config.fingerprint in text
            assert hashlib.sha256((run.path / "model.hyotan").read_bytes()).hexdigest() in text

    def test_its_command_parses_to_the_run_s_own_settings(self, runs, tmp_path):
        """What the page says how to make the run, makes the same settings."""
        for name, run in runs.items():
            from hyotan.cli.fit import fit, fit_settings

            verb = shlex.split(fit_command(run.config))
            assert verb[:2] == ["hyotan", "fit"]
            options = fit.make_context("fit", verb[2:]).params
            given = {
                k: v for k, v in options.items() if k not in ("out", "overwrite", "summary", "tensorboard", "as_json")
            }
            source, model, recipe, config = (given.pop(k) for k in ("source", "model", "recipe", "config"))
            chosen = fit_settings(
                source, model, recipe, config, {k: v for k, v in given.items() if k not in ("quiet", "debug")}
            )
            assert chosen["source"] == run.config.source and chosen["kind"] == run.config.kind, name
            known = {k: v for k, v in run.config.parameters.items() if k in chosen["parameters"]}
            assert {k: list(v) if isinstance(v, tuple) else v for k, v in chosen["parameters"].items()} == {
                k: list(v) if isinstance(v, tuple) else v for k, v in known.items()
            }

    def test_figures_that_name_a_section_are_shown_there(self, runs):
        record = RunRecord.open(runs["vae"])
        page = run_page(runs["vae"])
        for section in {figure.section for figure in RUN_FIGURES} - {""}:
            found = record.charts(section, "en")
            part = page.partition(f'id="{section}"')[2].partition("</section>")[0]
            assert all(f">{escape(chart.title)}<" in part for chart in found)
            assert found or section == "denoising"

    def test_its_record_is_plain_and_holds_the_history(self, runs):
        record = machine_readable(RunRecord.open(runs["vae"]))
        assert [row["epoch"] for row in record["history"]] == [1, 2]

    def test_pictures_shrink_and_then_go_where_the_page_would_be_too_large(self, runs, monkeypatch):
        monkeypatch.setattr(pages, "TARGET", 10)
        monkeypatch.setattr(pages, "LIMIT", 20)
        reader = Reader(run_page(runs["vae"]))
        assert not reader.of("img") and say("page.dropped") in reader.text
        monkeypatch.setattr(pages, "LIMIT", 10**9)
        assert Reader(run_page(runs["vae"])).of("img")


class TestFindings:
    NAMES = (
        "active total features kl least mse pca mean share error epochs twice best lowest last "
        "noisy denoised affine left from_affine"
    )
    VALUES = dict.fromkeys(NAMES.split(), 1) | {"n_train": 5, "low": 0, "high": 1, "smaller": 1, "beta": 1.0}

    def test_every_code_of_the_diagnosis_has_words(self):
        source = (files("hyotan") / "analysis" / "diagnosis.py").read_text(encoding="utf-8")
        codes = set(re.findall(r'^\s+"([A-Z_]{5,})",$', source, re.M)) | set(
            re.findall(r'Finding\("([A-Z_]+)"', source)
        )
        assert len(codes) > 10
        for lang in languages():
            found = notes_of([{"code": c, "level": "notice", "text": "?"} for c in sorted(codes)], self.VALUES, lang)
            assert all(note.title and note.text != "?" for note in found)

    def test_collapse_under_a_heavy_kl_names_it(self):
        finding = [{"code": "POSTERIOR_COLLAPSE", "level": "warning", "text": "?"}]
        heavy = notes_of(finding, {**self.VALUES, "beta": 64.0}, "en")[0]
        assert "64 times" in heavy.text and "--beta 1" in heavy.text
        assert "64 times" not in notes_of(finding, self.VALUES, "en")[0].text

    def test_an_unknown_one_keeps_its_english_words_and_says_so(self):
        note = notes_of([{"code": "NEW", "level": "warning", "text": "New."}], self.VALUES, "ja")[0]
        assert (note.text, note.lang) == ("New.", "en")


class TestNumbers:
    def test_the_bootstrap_interval_agrees_with_theory(self):
        values = np.random.default_rng(1).normal(3, 2, 4000)
        mean, low, high = bootstrap(values)
        theory = stats.norm.interval(0.95, values.mean(), values.std(ddof=1) / np.sqrt(len(values)))
        assert mean == pytest.approx(values.mean()) and (low, high) == pytest.approx(theory, abs=0.012)

    def test_boxes_are_tukey_s(self):
        values = [*np.random.default_rng(2).normal(size=60), 9.0]
        from matplotlib.cbook import boxplot_stats

        theirs = boxplot_stats(values)[0]
        low, median, high, least, most, beyond = box_of(values)
        assert (low, median, high, least, most) == pytest.approx(
            [theirs[k] for k in ("q1", "med", "q3", "whislo", "whishi")]
        )
        assert sorted(beyond) == pytest.approx(sorted(theirs["fliers"]))

    def test_eta_squared_is_that_of_an_analysis_of_variance(self):
        random = np.random.default_rng(3)
        kinds = random.integers(0, 4, 200)
        values = random.normal(size=200) + kinds
        f = stats.f_oneway(*[values[kinds == k] for k in range(4)]).statistic
        assert eta_squared(values, kinds.astype(str)) == pytest.approx(3 * f / (3 * f + 196))


def code_plot(codes, labels) -> str:
    return pages.html_figure(LatentScatterDisplay.from_codes(codes, labels).charts("en")[0], "en")


def parse(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(drawn(chart)[0])


class TestCharts:
    @pytest.mark.parametrize(
        ("low", "high"), [(0, 1), (-3, 7), (0.0012, 0.0019), (1, 1000), (-1e-9, 1e-9), (26.29, 26.33)]
    )
    def test_ticks_are_round_inside_and_not_too_many(self, low, high):
        ticks = ticks_of(low, high)
        assert 2 <= len(ticks) <= 7 and all(low - 1e-12 <= t <= high + 1e-12 for t in ticks)
        assert np.ptp(np.diff(ticks)) < 1e-9 * max(1, high) and len({tick_text(t, ticks) for t in ticks}) == len(ticks)

    def test_what_is_counted_has_whole_ticks(self):
        assert all(float(t).is_integer() for t in ticks_of(1, 16, 7, whole=True))

    @pytest.mark.parametrize("logarithmic", [False, True])
    def test_an_axis_holds_its_values_in_order(self, logarithmic):
        axis = Axis.over([0.01, 0.5, 20], 10, 400, logarithmic)
        places = [axis.at(v) for v in (0.01, 0.5, 20)]
        assert places == sorted(places) and places[0] >= 10 and places[-1] <= 400

    def chart(self, **more) -> LineChart:
        a = Curve("AE", [2, 4, 8], [3.0, 2.0, 1.0], [2.5, None, 0.5], [3.5, None, 1.5])
        b = Curve("<VAE>", [2, 4, 8], [4.0, float("nan"), 2.0], color=1, marker="s")
        return LineChart("A & B", "size", "nats", [a, b], **more)

    def test_lines_pass_through_their_numbers(self):
        svg = parse(self.chart())
        lines = [e.get("d") for e in svg.iter("path") if e.get("class") == "ln"]
        points = [[tuple(map(float, p.split(","))) for p in d[1:].split("L")] for d in lines]
        (a, b) = points
        assert len(a) == 3 and len(b) == 2  # NaN leaves a missing value
        assert (a[0][1] - a[1][1]) == pytest.approx(a[1][1] - a[2][1], abs=0.2)  # equal steps
        assert a[1][0] - a[0][0] == pytest.approx((a[2][0] - a[1][0]) / 2, abs=0.2)

    def test_lines_differ_by_marker_and_not_by_colour_alone(self):
        shapes = {re.sub(r"[\d.]+", "0", marker(shape)) + marker(shape) for shape in SHAPES[:10]}
        assert len(shapes) == 10

    def test_wide_intervals_do_not_flatten_the_lines(self):
        def height(low, high):
            one = LineChart("t", "x", "y", [Curve("a", [1, 2], [1.0, 2.0], [low] * 2, [high] * 2)])
            line = next(e.get("d") for e in parse(one).iter("path") if e.get("class") == "ln")
            (_, a), (_, b) = [tuple(map(float, p.split(","))) for p in line[1:].split("L")]
            return a - b, one.cuts

        (narrow, whole), (wide, cut) = height(0.9, 2.1), height(-50.0, 60.0)
        assert not whole and cut and wide > 0.35 * narrow

    def test_numbers_of_a_chart_are_its_series(self):
        head, rows = self.chart().numbers()
        assert head == ["size", "AE", "<VAE>"]
        assert rows[0] == ["2", "3.000 [2.500, 3.500]", "4"] and rows[1] == ["4", "2", ""]

    @pytest.mark.parametrize(
        "more", [{}, {"log_x": True, "x_ticks": [2, 4, 8]}, {"log_y": True}, {"mark": (4, "hier & da")}]
    )
    def test_line_charts_are_valid_whatever_is_asked(self, more):
        svg = parse(self.chart(**more))
        assert svg.find("title").text == "A & B" and "nan" not in ElementTree.tostring(svg, "unicode")

    def test_extremes_are_drawn(self):
        one = LineChart("t", "x", "y", [Curve("a", [1], [5.0], [4.0], [6.0])])
        flat = LineChart("t", "x", "y", [Curve("a", [1, 2], [0.0, 0.0])])
        boxes = BoxChart("t", "x", [("a", [1.0], 0), ("b", [], 1), ("日本語の長い長い名前です", [2.0, 2.0], 2)])
        bars = BarChart("t", "x", [("a", 0.0), ("b", -1.0)])
        for chart in (one, flat, boxes, bars):
            drawn = parse(chart)
            numbers = re.findall(r"-?\d+\.?\d*", " ".join(e.get("d", "") for e in drawn.iter("path")))
            assert numbers and all(abs(float(n)) < 1e4 for n in numbers)

    def test_hollow_bars_are_outlines_and_named(self):
        chart = BarChart("t", "x", [("a", 2.0), ("b", 1.0)], frozenset("b"), ("used", "unused"))
        kinds = [e.get("class").split()[0] for e in parse(chart).iter("rect")]
        assert kinds == ["bar", "hollow"] and "used" in drawn(chart)[1] and "unused" in drawn(chart)[1]

    def test_points_lie_where_they_are_and_are_their_labels(self):
        points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        svg = parse(ScatterChart("t", "x", "y", points, ["一", "2", "一"], ["一", "2"]))
        texts = {e.text: e for e in svg.iter("text") if "glyph" in (e.get("class") or "")}
        x = [float(v) for v in texts["一一"].get("x").split()]
        y = [float(v) for v in texts["一一"].get("y").split()]
        other = float(texts["2"].get("x"))
        assert x[0] == pytest.approx(x[1], abs=0.1) and y[1] < y[0]
        assert other - x[0] == pytest.approx(y[0] - y[1], abs=0.3)  # one scale for both axes

    def test_many_points_are_drawn_by_their_share_and_it_is_said(self):
        labels = np.repeat(["a", "b"], [9000, 1000])
        figure = code_plot(np.random.default_rng(0).normal(size=(10_000, 2)), labels.tolist())
        assert "of 10,000 points" in figure and "(1,350)" in figure and "(150)" in figure

    def test_numbers_of_many_kinds_are_put_in_bins(self):
        figure = code_plot(np.random.default_rng(0).normal(size=(100, 3)), np.arange(100.0))
        assert figure.count("(20)") == 5

    def test_a_gourd_is_narrow_at_the_code(self):
        heights = [float(h) for h in re.findall(r'height="([\d.]+)" rx', gourd([64, 512, 2, 512, 64], "en"))]
        assert heights[1] == heights[3] > heights[0] == heights[4] > heights[2]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(a: str, b: str) -> float:
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def themes() -> list[dict[str, str]]:
    style = (files("hyotan.report") / "page.css").read_text(encoding="utf-8")
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", body))
        for body in re.findall(r"\{([^{}]*--paper:[^{}]*)\}", style)
    ]
    assert len(blocks) == 4
    return blocks


class TestColours:
    @pytest.mark.parametrize("theme", themes(), ids=["light", "dark", "dark by hand", "print"])
    def test_marks_and_words_can_be_seen_in_every_theme(self, theme):
        for name in (f"c{slot}" for slot in range(10)):
            assert contrast(theme[name], theme["paper"]) >= 3, name
        for name in ("ink", "quiet", "accent"):
            assert contrast(theme[name], theme["paper"]) >= 4.5 and contrast(theme[name], theme["card"]) >= 4.5, name
        for name in ("good", "notice", "warning"):
            assert contrast(theme[name], theme[f"{name}-tint"]) >= 4.5, name
            assert contrast(theme["ink"], theme[f"{name}-tint"]) >= 7
        assert contrast(theme["axis"], theme["paper"]) >= 3

    def test_the_dark_theme_is_one_however_it_is_asked_for(self):
        assert themes()[1] == themes()[2]

    def test_neighbouring_series_differ_in_hue_or_lightness(self):
        for theme in themes()[:2]:
            hues = [
                colorsys.rgb_to_hls(*[int(theme[f"c{s}"][i : i + 2], 16) / 255 for i in (1, 3, 5)]) for s in range(4)
            ]
            for a in range(4):
                for b in range(a):
                    apart = abs(hues[a][0] - hues[b][0])
                    assert min(apart, 1 - apart) > 0.06 or abs(hues[a][1] - hues[b][1]) > 0.2


class TestPictures:
    def test_nothing_shows_between_pictures(self):
        grey = np.random.default_rng(0).random((4, 8, 8))
        found = re.search(r"base64,([^\"]+)", drawn(ImageSheet("alt", grey, 2, (0, 1)), Thumbnails(112))[0])
        picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGBA")
        alpha = np.asarray(picture)[..., 3]
        assert picture.size == (17, 17) and (alpha[8] == 0).all() and (alpha[:8, :8] == 255).all()

    def test_large_ones_are_made_small(self):
        found = Thumbnails(40).of(np.zeros((3, 200, 100)), (0, 1), "alt")
        assert 'width="20" height="40"' in found


class TestStudyPage:
    def test_holds_every_part(self, read):
        text = read["study", "en"].text
        for word in (
            "VAE, size 8",
            "Better than PCA",
            "As good",
            "Nothing here",
            "Classes on the way: 3 → 9 → 8",
        ):
            assert word in text
        for word in ("✓ reproduced", "✗ not reproduced", "≈ partly", "– not tested"):
            assert word in text

    def test_its_table_has_every_mean_and_the_best_is_bold(self, read):
        reader = read["study", "en"]
        report = fake_study()
        mse = report.measures[0].values
        bold = [text for element, text in reader.texts if element == "b"]
        best = min(value.mean for pair, value in mse.items() if pair[0] not in ("pca", "mean"))
        assert f"{best:.4f}" in bold
        assert all(f"{value.mean:.4f}" in reader.text for value in mse.values())

    def test_without_repeats_it_speaks_of_no_intervals(self):
        text = Reader(study_page(fake_study(repeats=1))).text
        assert say("study.intro_once") in text and "±" not in text.split(say("study.intro_once"))[1].split(
            say("section.sizes")
        )[0].replace("± 4 %", "")

    def test_an_empty_study_has_no_empty_sections(self):
        from hyotan.report.study_page import StudyReport

        reader = Reader(study_page(StudyReport("t", "f", "good", ["v"])))
        assert [a["id"] for a in reader.of("section")] == ["warnings", "words"]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> StudyFolder:
    return fake_folder(tmp_path_factory.mktemp("study") / "digits-study-1")


class TestStudyFolder:
    @pytest.mark.parametrize("lang", languages())
    def test_its_page_is_whole(self, study, lang):
        reader = Reader(study_page(study_report(study, lang), lang))
        assert reader.open == [] and reader.strays == []
        sections = [a["id"] for a in reader.of("section")]
        assert sections[:4] == ["picks", "warnings", "numbers", "sizes"] and {"clusterings", "claims"} < set(sections)

    def test_a_japanese_one_is_not_half_english(self, study):
        reader = Reader(study_page(study_report(study, "ja"), "ja"))
        prose = [text for element, text in reader.texts if element in ("p", "h2", "h3", "th", "li", "b")]
        words = [text for text in prose if len(re.findall(r"[A-Za-z]{3,}", text)) > 3]
        assert [text for text in words if not re.search("[\u3040-\u30ff]", text)] == []

    def test_means_and_intervals_are_those_of_the_cells(self, study):
        cells = [Cell.from_dict(cell) for cell in study.read_record()["cells"]]
        report = study_report(study)
        mse = next(one for one in report.measures if one.name == "mse").values
        of_vae = [cell.test.mse for cell in cells if (cell.model, cell.latent_dim) == ("vae", 4)]
        reach = stats.t.ppf(0.975, 2) * stats.sem(of_vae)
        assert mse["vae", 4].mean == pytest.approx(np.mean(of_vae))
        assert mse["vae", 4].high - mse["vae", 4].mean == pytest.approx(reach)
        assert ("mean", 0) in mse and ("raw", 64) not in mse

    def test_clusterings_hold_every_run_of_every_repeat(self, study):
        (clusterings,) = study_report(study).figures["clusterings"]
        (chart,) = clusterings.charts("en")
        assert clusterings.measures == ("v_measure",)
        assert {name: len(values) for name, values, _ in chart.groups} == {
            **{f"{model}, size {size}": 150 for model in ("AE", "VAE", "CVAE", "PCA") for size in (2, 4, 16)},
            "features": 150,
        }

    def test_what_to_take_is_what_was_recommended(self, study):
        report = study_report(study)
        assert [pick.choice for pick in report.picks] == ["VAE, size 4", "PCA, size 2", "features", "no recommendation"]
        assert [pick.level for pick in report.picks] == [
            "good",
            "notice",
            "notice",
            "notice",
        ] and report.level == "good"
        assert "VAE" in report.verdict[0] and "size 4" in report.verdict[0] and "PCA, size 2" in report.verdict[1]

    def test_what_failed_and_what_is_wrong_with_cells_comes_as_warnings(self, study):
        first, *others = study_report(study).warnings
        assert first.level == "warning" and HOSTILE in first.text and "AE, size 16" in first.title
        assert any("In 3 of 27 trainings: VAE, size 16 ×3." in note.text for note in others)

    def test_its_command_parses(self, study):
        from hyotan.cli.study import study as command

        words = shlex.split(study_command(study.config))
        params = command.make_context("study", words[2:]).params
        assert params["source"] == "digits" and "ae" in str(params["models"]) and "16" in str(params["sizes"])

    def test_every_verdict_has_words_in_every_language(self):
        for lang in languages():
            assert len({say(f"pick.{verdict}", lang) for verdict in VERDICTS}) == len(VERDICTS)

    def test_one_that_is_not_finished_says_how_to_go_on(self, study, tmp_path):
        (tmp_path / "study.toml").write_bytes((study.path / "study.toml").read_bytes())
        with pytest.raises(RunFolderError, match=r"is not finished.*hyotan study --resume"):
            study_report(StudyFolder(tmp_path))

    @pytest.mark.parametrize("lang", languages())
    def test_pictures_of_experiments_become_parts_of_the_page(self, study, lang, tmp_path):
        random = np.random.default_rng(0)
        X, labels = random.random((3, 8, 8)).astype(np.float32), ["一", "二", HOSTILE]
        steps, seen = random.random((4, 8, 8)).astype(np.float32), ["一", "一", HOSTILE, "二"]
        pictures = Exhibits(
            labels=labels,
            shown=labels,
            plane_labels=labels * 3,
            value_range=(0.0, 1.0),
            originals=X,
            told=[Told("ae", 4, "", None, X), Told("cvae", 4, "wrong", labels[::-1], 1 - X)],
            walks=[Walked("vae", 4, way, ("一", "二"), seen, steps) for way in ("spherical", "linear")],
            planes=[Plane("ae", 2, True, random.random((9, 2))), Plane("raw", 0, False, random.random((9, 2)))],
            exchanged=[Exchanged("cvae", 4, ["一"], np.stack([X]), X[:1])],
        )
        copy = tmp_path / "digits-study-1"
        shutil.copytree(study.path, copy)
        (copy / "data").mkdir()
        pictures.save(copy / "data" / "pictures.hyotan")
        report = study_report(StudyFolder(copy), lang)
        plots, walks = ([c for d in report.figures[s] for c in d.charts(lang)] for s in ("codes", "walks"))
        assert [(plot.x_label, plot.y_label) for plot in plots] == [("z0", "z1"), ("", "")]
        assert sorted(walk.is_aside for walk in walks) == [False, True]
        reader = Reader(study_page(report, lang))
        assert reader.open == [] and {"codes", "walks", "conditions", "exchanges"} < {
            a["id"] for a in reader.of("section")
        }
        path = say("study.passed", lang, path=f"一 → {HOSTILE} → 二")
        words = [path, say("conditions.told", lang, label="一"), say("conditions.wrong", lang, model="CVAE")]
        assert all(" ".join(word.split()) in reader.text for word in words)
        assert len(reader.of("img")) == 9 + 2 + 4


class TestCommand:
    @pytest.fixture(autouse=True)
    def wired(self, monkeypatch):
        from hyotan import cli

        monkeypatch.setitem(cli.COMMANDS, "report", ("Look", "Write one HTML page about a run or a study."))

    def test_writes_the_page_into_the_run(self, runs):
        said = done("report", runs["vae"].path, "--lang", "ja")
        path = Path(said.out.strip())
        assert (
            path == runs["vae"].path / "report.html" and Reader(path.read_text("utf-8")).of("html")[0]["lang"] == "ja"
        )

    def test_writes_the_page_of_a_study_too(self, study):
        said = done("report", study.path)
        path = Path(said.out.strip())
        assert path == study.path / "report.html" and say("section.picks") in path.read_text("utf-8")

    def test_out_and_json(self, runs, tmp_path):
        said = done("report", runs["ae"].path, "--out", tmp_path / "p.html", "--json", HYOTAN_LANG="ja")
        assert said.record["report"] == str(tmp_path / "p.html")
        assert said.record["bytes"] == (tmp_path / "p.html").stat().st_size
        assert 'lang="ja"' in (tmp_path / "p.html").read_text("utf-8")

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (("nowhere",), "nowhere does not exist"),
            (("digits",), "digits is a SOURCE of data"),
            (("{run}", "--lang", "fr"), "--lang"),
            (("{run}", "--out", "no/such/page.html"), "The folder no/such does not exist."),
        ],
    )
    def test_mistakes_are_answered_in_a_line(self, runs, tmp_path, words, error):
        said = hyotan("report", *[w.format(run=runs["vae"].path) for w in words], cwd=tmp_path)
        assert said.code == 2 and error in said.err and len(said.begins("error:")) == len(said.begins("fix:")) == 1

    def test_a_run_that_is_not_finished_says_how_to_go_on(self, runs, tmp_path):
        (tmp_path / "config.toml").write_bytes((runs["vae"].path / "config.toml").read_bytes())
        said = hyotan("report", tmp_path)
        assert said.code == 5 and "is not finished" in said.err and f"hyotan resume {tmp_path}" in said.err
