"""Each finding of the articles on made-up numbers in which it is true, in which it is false, and without numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hyotan.study import sentences
from hyotan.study.cells import Cell, Scores
from hyotan.study.replications import CLAIMS, Experiments, Observations, Replication, findings
from hyotan.words import languages

FEATURES, ROWS = 784, 2000
Study = tuple[list[Cell], Experiments]


def scored(measure: str, values: dict[tuple[str, int], float], repeats: int = 3, spread: float = 0.001) -> Study:
    """Cells with one measure, each repeat a little off, alike for all models."""

    def scores(value: float) -> Scores:
        named: dict[str, Any] = {measure: value}
        return Scores(ROWS, **named)

    cells = [
        Cell(model, size, repeat, 0, Scores(ROWS), scores(value + spread * repeat), FEATURES)
        for (model, size), value in values.items()
        for repeat in range(repeats)
    ]
    return cells, Experiments()


def measured(name: str, values: dict[tuple[str, int, str], list[float]]) -> Study:
    """What an experiment measured, with empty cells of the same models and sizes."""
    series = [Observations(model, size, numbers, condition) for (model, size, condition), numbers in values.items()]
    cells = [Cell(model, size, 0, 0, Scores(ROWS), Scores(ROWS), FEATURES) for model, size, _ in values]
    return cells, Experiments(**{name: series})


def around(value: float) -> list[float]:
    """Numbers with this mean."""
    return [value - 0.01, value, value + 0.01]


def both(*studies: Study) -> Study:
    """One study of two: the scores of a cell that is in both are joined."""
    cells: dict[tuple[str, int, int], dict[str, Any]] = {}
    for cell in (cell for found, _ in studies for cell in found):
        known = cells.setdefault((cell.model, cell.latent_dim, cell.repeat), {})
        scores = {name: getattr(cell.test, name) for name in ("mse", "smoothness", "explained")}
        known.update({name: value for name, value in scores.items() if value is not None})
    joined = [Cell(*key, 0, Scores(ROWS), Scores(ROWS, **values), FEATURES) for key, values in cells.items()]
    return joined, studies[-1][1]


def sharper(by: float) -> Study:
    return scored("mse", {(m, k): 0.05 - by * k / 64 for m in ("ae", "vae", "cvae") for k in (4, 16, 64)})


def mistakes(small: float, large: float) -> Study:
    return measured("mistaken", {("vae", 4, "none"): around(small), ("vae", 64, "none"): around(large)})


def reconstructs(ae: float, vae: float, cvae: float) -> Study:
    values = {"ae": ae, "vae": vae, "cvae": cvae}
    return scored("mse", {(model, size): value for model, value in values.items() for size in (4, 16)})


def labelled(right: float, none: float) -> Study:
    values = {("cvae", k, c): around(v) for k in (4, 16) for c, v in (("right", right), ("none", none))}
    return measured("errors", {**values, **{(m, k, "none"): around(0.5) for m in ("ae", "vae") for k in (4, 16)}})


def pulls(wrong: float, none: float) -> Study:
    return measured(
        "pulled", {("cvae", k, c): around(v) for k in (4, 16) for c, v in (("wrong", wrong), ("none", none))}
    )


def passes(small: float, large: float) -> Study:
    return measured("passed", {("vae", 4, "none"): around(small), ("vae", 64, "none"): around(large)})


def centres(ae: float, vae: float) -> Study:
    return measured("centre", {("ae", 2, "none"): around(ae), **{(m, 2, "none"): around(vae) for m in ("vae", "cvae")}})


def separates(ae: float, vae: float) -> Study:
    return scored("knn_accuracy", {("ae", 2): ae, ("vae", 2): vae, ("cvae", 2): vae})


def clusters(size: int, ae: float, vae: float, cvae: float) -> Study:
    return scored("v_measure", {("ae", size): ae, ("vae", size): vae, ("cvae", size): cvae})


def trades(smooth: float, sharp: float) -> Study:
    return both(
        scored("smoothness", {("vae", 4): 0.5 + smooth, ("vae", 64): 0.5}),
        scored("explained", {("vae", 4): 0.5, ("vae", 64): 0.5 + sharp}),
    )


def planes(pixels: float, small: float, large: float) -> Study:
    return measured(
        "plane",
        {
            ("raw", FEATURES, "none"): around(pixels),
            ("article-simple-20", 2, "none"): around(small),
            ("article-simple-20", 20, "none"): around(large),
        },
    )


def keeps(simple: float, tied: float | None = None, size: int = 20) -> Study:
    values = {("article-simple-20", size, "none"): around(simple)}
    return measured("kept", values if tied is None else {**values, ("article-tied-20", size, "none"): around(tied)})


def settles(there: float) -> Study:
    return measured("curves", {("article-tied-20", 20, "none"): [0.05] * 39 + [there] * 10 + [0.03]})


CASES: dict[str, tuple[Study, Study]] = {
    "larger-is-sharper": (sharper(0.02), sharper(-0.02)),
    "small-mistakes-digits": (mistakes(0.4, 0.1), mistakes(0.1, 0.4)),
    "variational-reconstruct-better": (reconstructs(0.05, 0.03, 0.03), reconstructs(0.03, 0.05, 0.05)),
    "right-label-is-best": (labelled(0.1, 0.4), labelled(0.7, 0.4)),
    "wrong-label-pulls": (pulls(0.8, 0.1), pulls(0.1, 0.8)),
    "smaller-passes-more": (passes(2.0, 0.3), passes(0.3, 2.0)),
    "only-variational-codes-are-centred": (centres(3.0, 0.1), centres(0.1, 3.0)),
    "autoencoder-separates-better": (separates(0.8, 0.7), separates(0.7, 0.8)),
    "autoencoder-clusters-small": (clusters(4, 0.7, 0.5, 0.6), clusters(4, 0.4, 0.5, 0.6)),
    "variational-cluster-large": (clusters(16, 0.4, 0.5, 0.6), clusters(16, 0.7, 0.5, 0.6)),
    "cvae-clusters-above-vae": (clusters(64, 0.4, 0.5, 0.6), clusters(64, 0.4, 0.6, 0.5)),
    "size-is-what-matters": (trades(0.2, 0.2), trades(-0.2, -0.2)),
    "plane-separates-unless-small": (planes(0.95, 0.4, 0.9), planes(0.4, 0.95, 0.5)),
    "small-code-fails": (keeps(0.02, size=2), keeps(0.5, size=2)),
    "tied-expresses-less": (keeps(0.7, 0.5), keeps(0.5, 0.7)),
    "curves-settle": (settles(0.0302), settles(0.04)),
}


def found(study: Study, code: str) -> Replication:
    return next(finding for finding in findings(*study) if finding.code == code)


def test_every_finding_has_a_case() -> None:
    assert [finding.code for finding in findings([])] == list(CASES)
    assert len(CLAIMS) == len(CASES)


@pytest.mark.parametrize("code", CASES)
def test_a_finding_that_is_true_is_reproduced(code: str) -> None:
    finding = found(CASES[code][0], code)
    assert finding.outcome == "reproduced"
    assert finding.figures
    assert not finding.within_spread


@pytest.mark.parametrize("code", CASES)
def test_a_finding_that_is_false_is_not(code: str) -> None:
    finding = found(CASES[code][1], code)
    assert finding.outcome == "not-reproduced"
    assert set(finding.comparisons) == {"opposite"}


@pytest.mark.parametrize("code", CASES)
def test_a_finding_without_numbers_is_not_tested(code: str) -> None:
    finding = found(([], Experiments()), code)
    assert (finding.outcome, finding.figures, finding.comparisons) == ("untested", (), ())


@pytest.mark.parametrize("code", CASES)
def test_a_study_says_nothing_of_the_findings_that_it_did_not_test(code: str) -> None:
    others = {finding.code for finding in findings(*CASES[code][0]) if finding.outcome != "untested"}
    related = {
        "variational-reconstruct-better": {"larger-is-sharper"},
        "larger-is-sharper": {"variational-reconstruct-better"},
        "variational-cluster-large": {"cvae-clusters-above-vae"},
        "cvae-clusters-above-vae": {"variational-cluster-large"},
    }
    assert others <= {code} | related.get(code, set())


# -- honesty -----------------------------------------------------------------------------------------------------------


def repeated(ae: list[float], vae: list[float]) -> Study:
    values = {"ae": ae, "vae": vae}
    return [
        Cell(model, 2, repeat, 0, Scores(ROWS), Scores(ROWS, knn_accuracy=value), FEATURES)
        for model, by_repeat in values.items()
        for repeat, value in enumerate(by_repeat)
    ], Experiments()


def test_a_difference_that_changes_sign_is_within_the_spread() -> None:
    finding = found(repeated([0.80, 0.70, 0.76], [0.71, 0.77, 0.75]), "autoencoder-separates-better")
    assert (finding.outcome, finding.comparisons) == ("not-reproduced", ("spread",))
    assert "the differences are within the spread" in sentences.outcome(finding)


def test_repeats_are_compared_in_pairs() -> None:
    """The repeats differ by more than the models do, and every one of them agrees about these."""
    finding = found(repeated([0.60, 0.70, 0.81], [0.58, 0.68, 0.78]), "autoencoder-separates-better")
    assert finding.outcome == "reproduced"


@pytest.mark.parametrize(("gap", "outcome"), [(0.10, "reproduced"), (0.02, "not-reproduced")])
def test_a_single_repeat_is_judged_by_the_spread_over_its_rows(gap: float, outcome: str) -> None:
    """Of 2,000 rows a share near one half has a standard error of 0.011, and a difference of two one of 0.016."""
    finding = found(repeated([0.5 + gap], [0.5]), "autoencoder-separates-better")
    assert finding.outcome == outcome


@pytest.mark.parametrize(("spread", "outcome"), [(0.01, "reproduced"), (0.5, "not-reproduced")])
def test_a_single_repeat_of_clusters_is_judged_by_the_spread_over_the_runs(spread: float, outcome: str) -> None:
    cells = [
        Cell(m, 64, 0, 0, Scores(9), Scores(9, v_measure=v), 9, clusterings={"v_measure": [v - spread, v, v + spread]})
        for m, v in (("vae", 0.5), ("cvae", 0.6))
    ]
    assert found((cells, Experiments()), "cvae-clusters-above-vae").outcome == outcome


def test_a_finding_that_holds_in_part_says_so() -> None:
    finding = found(clusters(4, 0.55, 0.5, 0.6), "autoencoder-clusters-small")
    assert (finding.outcome, finding.comparisons) == ("partly", ("holds", "opposite"))


def test_the_articles_sizes_are_compared_where_they_are_there() -> None:
    sizes = {("vae", k): 0.5 / k for k in (2, 4, 8, 16, 64)}
    assert [f.latent_dim for f in found(scored("mse", sizes), "larger-is-sharper").figures] == [4, 16, 64]
    sizes = {("vae", k): 0.5 / k for k in (2, 3, 8)}
    assert [f.latent_dim for f in found(scored("mse", sizes), "larger-is-sharper").figures] == [3, 8]


def test_the_outcome_rests_on_the_test_rows() -> None:
    cells = [
        Cell(model, 2, repeat, 0, Scores(ROWS, knn_accuracy=shown), Scores(ROWS, knn_accuracy=true), FEATURES)
        for model, shown, true in (("ae", 0.9, 0.5), ("vae", 0.5, 0.9))
        for repeat in range(2)
    ]
    assert found((cells, Experiments()), "autoencoder-separates-better").outcome == "not-reproduced"


# -- written down ------------------------------------------------------------------------------------------------------


def test_experiments_survive_json() -> None:
    experiments = CASES["right-label-is-best"][0][1]
    assert Experiments.from_dict(json.loads(json.dumps(experiments.to_dict()))) == experiments


def test_a_finding_is_written_with_its_figures() -> None:
    cells, experiments = measured("passed", {("vae", 4, "none"): [3.0, 4.0], ("vae", 64, "none"): [0.0, 1.0]})
    finding = found((cells, experiments), "smaller-passes-more")
    assert json.loads(json.dumps(finding.to_dict()))["figures"][0]["value"]["mean"] == 3.5
    assert sentences.claim(finding) == "The smaller the code, the more other digits a walk passes."
    assert sentences.outcome(finding) == "Reproduced"
    assert sentences.figures_of(finding) == [
        "Other classes passed on a walk: VAE 4: 3.5 (−2.85 to 9.85), VAE 64: 0.5 (−5.85 to 6.85)."
    ]


WRITERS: list[Callable[[Replication, str], str]] = [sentences.claim, sentences.outcome]


@pytest.mark.parametrize("lang", languages())
@pytest.mark.parametrize("code", CASES)
def test_every_finding_has_its_sentences_in_every_language(code: str, lang: str) -> None:
    for study in (*CASES[code], ([], Experiments())):
        texts = [write(found(study, code), lang) for write in WRITERS]
        assert all(texts)
        assert not any("{" in text for text in texts)
