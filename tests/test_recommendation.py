"""What a study recommends: the rule on sets whose dimension is known, and every answer on made-up records."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from quality import surfaces
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from hyotan import Autoencoder
from hyotan.data import Dataset
from hyotan.errors import DataError
from hyotan.study import sentences
from hyotan.study.cells import Cell, Interval, Scores
from hyotan.study.choices import CLUSTER, COMPRESS, GENERATE, PURPOSES, SEE, Advice, Recommendation
from hyotan.study.measures import baselines, measure_model
from hyotan.study.prediction import leverages, predicted
from hyotan.study.recommendation import q2_of, recommend
from hyotan.study.repeat_rows import rows_of_repeat
from hyotan.words import languages

FEATURES = 100


def cell(model: str, size: int, repeat: int = 0, test: dict[str, Any] | None = None, **values: Any) -> Cell:
    """A cell whose test scores are its selection scores, unless others are given; 100 features."""
    selection = Scores(200, **values)
    return Cell(model, size, repeat, repeat, selection, Scores(500, **(test or {**values, "kl": 1.0})), FEATURES)


def curve(model: str, kept: dict[int, float], repeats: int = 3, spread: float = 0.001, **values: Any) -> list[Cell]:
    """Cells that keep these shares of the variance, each repeat a little more or less of it."""
    return [
        cell(model, size, repeat, explained=share + spread * (repeat - (repeats - 1) / 2), **values)
        for repeat in range(repeats)
        for size, share in kept.items()
    ]


def compress(cells: Sequence[Cell]) -> Advice:
    return recommend(cells).of(COMPRESS)


def codes(choice: Advice | Recommendation) -> list[str]:
    return [note.code for note in choice.notes]


# -- the share of the variance that is predicted -----------------------------------------------------------------------


def projection(pca: PCA) -> Callable[[np.ndarray], np.ndarray]:
    """Rows to their nearest points of the plane."""
    return lambda rows: pca.inverse_transform(pca.transform(rows)).astype(np.float32)


def left_out_errors(pca: PCA, rows: np.ndarray) -> np.ndarray:
    """Squared error of each value predicted from the row's other values alone, by the plane that PCA found."""
    rows, W = rows - pca.mean_, pca.components_.T
    errors = []
    for column in range(rows.shape[1]):
        others = np.arange(rows.shape[1]) != column
        code = np.linalg.lstsq(W[others], rows[:, others].T, rcond=None)[0]
        errors.append(rows[:, column] - W[column] @ code)
    return np.square(errors).T


def table(signal: float, seed: int, n: int = 3000, features: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Standardised rows with 3 dimensions of signal in noise, half of them new."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((n, features))
    rows += signal * random.standard_normal((n, 3)) @ random.standard_normal((3, features))
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32)
    return rows[: n // 2], rows[n // 2 :]


@pytest.mark.parametrize("size", [1, 3, 6])
def test_a_plane_owes_to_a_value_what_its_components_say(size: int) -> None:
    X, new = table(1.0, seed=0)
    pca = PCA(size).fit(X)
    truth = np.square(pca.components_).sum(axis=0)
    assert leverages(projection(pca), new) == pytest.approx(truth, abs=0.03)
    assert leverages(projection(pca), new).sum() == pytest.approx(size, abs=0.1)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_predicted_is_what_the_other_values_tell(size: int) -> None:
    X, new = table(1.0, seed=1)
    pca = PCA(size).fit(X)
    errors, alone = (np.sort(e.mean(axis=1))[:-150] for e in (left_out_errors(pca, new), np.square(new - pca.mean_)))
    truth = 1 - errors.mean() / alone.mean()
    assert predicted(projection(pca), new, pca.mean_) == pytest.approx(truth, abs=0.03)


def test_what_is_predicted_is_most_at_the_true_dimension() -> None:
    for seed in range(10):
        rows = StandardScaler().fit_transform(surfaces.linear(2000, seed)).astype(np.float32)
        X, new = rows[200:], rows[:200]
        by_size = [predicted(projection(PCA(k).fit(X)), new, X.mean(axis=0)) or 0.0 for k in range(1, 9)]
        assert by_size.index(max(by_size)) == 2


def test_nothing_is_predicted_of_noise() -> None:
    X, new = table(0.0, seed=0)
    by_size = [predicted(projection(PCA(k).fit(X)), new, X.mean(axis=0)) for k in range(1, 9)]
    assert all(value is not None and value < 0 for value in by_size)


def test_a_copy_predicts_nothing() -> None:
    """It keeps all of the variance, and owes every value to itself."""
    _, new = table(1.0, seed=0)
    assert leverages(lambda rows: rows, new) == pytest.approx(np.ones(12), abs=1e-3)
    assert predicted(lambda rows: rows, new, np.zeros(12)) == 0
    assert predicted(lambda rows: np.where(np.arange(12) < 6, rows, 0), new, np.zeros(12)) == 0


def test_a_tear_does_not_count() -> None:
    X, new = table(2.0, seed=0)
    pca = PCA(3).fit(X)
    torn = np.arange(len(new)) < len(new) // 12

    def tear(rows: np.ndarray) -> np.ndarray:
        return np.where(torn[:, None], -5, projection(pca)(rows))

    whole = predicted(projection(pca), new, pca.mean_)
    assert predicted(tear, new, pca.mean_) == pytest.approx(whole, abs=0.05)


def test_values_are_not_moved_past_their_range() -> None:
    _, new = table(1.0, seed=0)
    seen: list[np.ndarray] = []

    def watch(rows: np.ndarray) -> np.ndarray:
        seen.append(rows)
        return rows

    leverages(watch, new)
    assert min(rows.min() for rows in seen) >= new.min()
    assert max(rows.max() for rows in seen) <= new.max()


def test_rows_that_do_not_vary_have_no_variance_to_predict() -> None:
    assert predicted(lambda rows: rows, np.ones((20, 3), np.float32), np.ones(3)) is None


def test_what_was_not_measured_is_estimated() -> None:
    random = np.random.default_rng(0)
    rows = random.standard_normal((4000, 4)) @ random.standard_normal((4, 60)) + random.standard_normal((4000, 60))
    X, new = rows[:2000], rows[2000:]
    pca, total = PCA(4).fit(X), np.square(new - X.mean(axis=0)).mean()
    scores = Scores(2000, explained=float(1 - np.square(new - projection(pca)(new)).mean() / total))
    cell = Cell("pca", 4, 0, 0, scores, scores, 60)
    assert q2_of(cell, scores) == pytest.approx(1 - left_out_errors(pca, new).mean() / total, abs=0.01)


def test_what_was_measured_is_taken() -> None:
    scores = Scores(9, explained=0.5, q2=0.3)
    assert q2_of(Cell("ae", 2, 0, 0, scores, scores, 5), scores) == 0.3
    assert q2_of(Cell("ae", 5, 0, 0, scores, scores, 5), scores) is None  # as large as a row: a copy
    assert q2_of(Cell("ae", 2, 0, 0, scores, scores, 5), Scores(9)) is None


# -- to compress -------------------------------------------------------------------------------------------------------


def test_takes_the_smallest_size_that_predicts_nearly_as_much_as_the_best() -> None:
    choice = compress([*curve("ae", {1: 0.5, 2: 0.79, 4: 0.83, 8: 0.84}), *curve("pca", {1: 0.3, 2: 0.4, 4: 0.5})])
    assert choice.verdict == "helps"
    assert choice.chosen is not None
    assert (choice.chosen.model, choice.chosen.latent_dim) == ("ae", 2)


def test_what_is_reported_comes_from_the_test_rows() -> None:
    cells = [cell("ae", 2, r, explained=0.8, test={"explained": 0.7 + 0.01 * r}) for r in range(3)]
    cells += [cell("pca", 2, r, explained=0.5, test={"explained": 0.4}) for r in range(3)]
    choice = compress(cells)
    assert choice.chosen is not None
    assert choice.chosen.test == Interval.of([0.7, 0.71, 0.72])
    assert choice.gain is not None
    assert choice.gain.mean == pytest.approx(0.31)


def test_a_size_that_falls_short_by_less_than_its_standard_error_is_enough() -> None:
    shares = {2: (0.60, 0.70, 0.81), 4: (0.80, 0.80, 0.80)}
    cells = [cell("ae", size, r, explained=share) for size, by in shares.items() for r, share in enumerate(by)]
    assert compress(cells).ours == compress(cells).chosen
    choice = compress([*cells, *curve("ae", {8: 0.5})])
    assert choice.ours is not None
    assert choice.ours.latent_dim == 4
    wide = {2: (0.55, 0.95, 0.75), 4: (0.82, 0.80, 0.81)}
    cells = [cell("ae", size, r, explained=share) for size, by in wide.items() for r, share in enumerate(by)]
    choice = compress(cells)
    assert choice.ours is not None
    assert choice.ours.latent_dim == 2


def test_of_models_that_tie_the_first_is_taken_and_the_other_named() -> None:
    cells = [*curve("ae", {2: 0.8}, spread=0.01), *curve("vae", {2: 0.8003}, spread=-0.01), *curve("pca", {2: 0.5})]
    choice = compress(cells)
    assert choice.ours is not None
    assert choice.ours.model == "ae"
    tie = next(note for note in choice.notes if note.code == "tie")
    assert tie.values == {"models": ["vae"], "size": 2}
    assert [option.model for option in choice.runners_up] == ["vae"]


@pytest.mark.parametrize(
    ("pca", "verdict", "model"), [(0.5, "helps", "ae"), (0.798, "like-pca", "pca"), (0.85, "worse-than-pca", "pca")]
)
def test_says_whether_an_autoencoder_helps(pca: float, verdict: str, model: str) -> None:
    choice = compress([*curve("ae", {2: 0.8, 4: 0.81}), *curve("pca", {2: pca, 4: 0.86})])
    assert choice.verdict == verdict
    assert choice.chosen is not None
    assert (choice.chosen.model, choice.chosen.latent_dim) == (model, 2)
    assert choice.ours is not None
    assert choice.ours.model == "ae"


def test_a_gain_that_changes_sign_over_the_repeats_is_no_gain() -> None:
    cells = [cell("ae", 2, r, explained=share) for r, share in enumerate((0.9, 0.7, 0.85))]
    assert compress([*cells, *curve("pca", {2: 0.79})]).verdict == "like-pca"


def test_noise_is_nothing_to_compress() -> None:
    shares = {k: k / FEATURES for k in (1, 2, 4, 8)}
    recommendation = recommend([*curve("ae", shares), *curve("vae", shares, bound=90.0), *curve("pca", shares)])
    assert recommendation.headline.verdict == "nothing"
    assert recommendation.headline.chosen is None
    assert recommendation.of(GENERATE).verdict == "nothing"


def test_models_that_learned_nothing_where_pca_did_are_told_from_noise() -> None:
    choice = compress([*curve("ae", {1: 0.0, 2: 0.0}), *curve("pca", {1: 0.5, 2: 0.8})])
    assert choice.verdict == "worse-than-pca"
    assert choice.chosen is not None
    assert (choice.chosen.model, choice.chosen.latent_dim) == ("pca", 2)


def test_says_when_the_largest_size_is_not_enough() -> None:
    choice = compress(curve("ae", {2: 0.3, 4: 0.5, 8: 0.8}))
    note = next(note for note in choice.notes if note.code == "largest-size")
    assert note.values == {"size": 8, "next": 16}
    assert choice.verdict == "alone"


def test_says_which_sizes_were_not_tried() -> None:
    choice = compress(curve("ae", {2: 0.3, 8: 0.8, 16: 0.81}))
    assert [note.values for note in choice.notes if note.code == "untried"] == [{"low": 3, "high": 7, "n": 5}]
    assert codes(compress(curve("ae", {2: 0.3, 3: 0.8, 4: 0.81}))) == []


def test_says_when_pca_of_another_size_predicts_more() -> None:
    choice = compress([*curve("ae", {2: 0.7, 4: 0.71}), *curve("pca", {2: 0.5, 4: 0.95})])
    assert choice.verdict == "helps"
    assert [note.values for note in choice.notes if note.code == "pca-predicts-more"] == [{"size": 4}]


# -- to see, cluster, generate -----------------------------------------------------------------------------------------


def test_to_see_takes_the_small_code_with_the_best_neighbours() -> None:
    cells = [
        *curve("ae", {2: 0.5, 4: 0.8}, knn_accuracy=0.8, trustworthiness=0.9),
        *curve("vae", {2: 0.5, 4: 0.8}, knn_accuracy=0.9, trustworthiness=0.8),
        *curve("pca", {2: 0.3, 4: 0.4}, knn_accuracy=0.5, trustworthiness=0.7),
    ]
    choice = recommend(cells).of(SEE)
    assert (choice.rule, choice.verdict) == ("best-neighbours", "helps")
    assert choice.chosen is not None
    assert (choice.chosen.model, choice.chosen.latent_dim) == ("vae", 2)


def test_to_see_without_labels_asks_whether_neighbours_are_kept() -> None:
    cells = [*curve("ae", {2: 0.5}, trustworthiness=0.9), *curve("pca", {2: 0.3}, trustworthiness=0.89)]
    choice = recommend(cells).of(SEE)
    assert (choice.rule, choice.verdict) == ("best-neighbourhoods", "like-pca")


def test_to_see_needs_a_code_that_can_be_seen() -> None:
    choice = recommend(curve("ae", {4: 0.8}, trustworthiness=0.9)).of(SEE)
    assert choice.verdict == "unknown"
    assert codes(choice) == ["no-small-size"]


@pytest.mark.parametrize(
    ("raw", "pca", "verdict", "chosen"),
    [
        (0.5, 0.4, "helps", ("vae", 4)),
        (0.69, 0.4, "like-raw", ("raw", FEATURES)),
        (0.9, 0.4, "like-raw", ("raw", FEATURES)),
        (0.5, 0.69, "like-pca", ("pca", 8)),
        (0.5, 0.9, "worse-than-pca", ("pca", 8)),
    ],
)
def test_to_cluster_takes_the_best_code_unless_a_baseline_is_as_good(
    raw: float, pca: float, verdict: str, chosen: tuple[str, int]
) -> None:
    cells = [
        *curve("ae", {2: 0.5}, v_measure=0.6),
        *curve("vae", {4: 0.8}, v_measure=0.7),
        *curve("pca", {8: 0.9}, v_measure=pca),
        *curve("raw", {FEATURES: 1.0}, v_measure=raw),
    ]
    choice = recommend(cells).of(CLUSTER)
    assert choice.verdict == verdict
    assert choice.chosen is not None
    assert (choice.chosen.model, choice.chosen.latent_dim) == chosen
    assert choice.raw is not None
    assert choice.raw.test is not None
    assert choice.raw.test.mean == pytest.approx(raw)


def test_without_labels_there_is_no_word_on_clusters() -> None:
    choice = recommend(curve("ae", {2: 0.5})).of(CLUSTER)
    assert (choice.verdict, codes(choice)) == ("unknown", ["no-labels"])


def generators(bounds: dict[int, float], model: str = "vae", coverage: float = 0.8, spread: float = 0.1) -> list[Cell]:
    return [
        cell(model, size, r, explained=0.5, bound=bound + spread * (r - 1), coverage=coverage)
        for size, bound in bounds.items()
        for r in range(3)
    ]


def test_to_generate_takes_the_smallest_size_with_nearly_the_lowest_bound() -> None:
    cells = [*generators({2: 120.0, 4: 100.5, 8: 100.0}), *curve("pca", {2: 0.4, 4: 0.4, 8: 0.4}, coverage=0.3)]
    choice = recommend(cells).of(GENERATE)
    assert choice.verdict == "helps"
    assert choice.chosen is not None
    assert (choice.chosen.model, choice.chosen.latent_dim) == ("vae", 4)
    assert choice.chosen.selection is not None
    assert choice.chosen.selection.mean == pytest.approx(100.5)  # nats, as it is read, and not turned round


def test_to_generate_compares_models_by_what_their_samples_reach() -> None:
    """Bounds of p(x) and of p(x | y) are of different things."""
    cells = [*generators({2: 120.0, 4: 100.0}), *generators({2: 70.0, 4: 60.0}, "cvae", coverage=0.9)]
    choice = recommend(cells).of(GENERATE)
    assert choice.ours is not None
    assert choice.ours.model == "cvae"
    cells = [*generators({2: 120.0, 4: 100.0}), *generators({2: 70.0, 4: 60.0}, "cvae", coverage=0.7)]
    choice = recommend(cells).of(GENERATE)
    assert choice.ours is not None
    assert choice.ours.model == "vae"


def test_to_generate_a_model_without_a_likelihood_has_the_size_to_compress_with() -> None:
    """Blurred rows of a small code are near to many: what samples reach must not choose the size."""
    plain = [
        *curve("ae", {2: 0.3}, coverage=0.96),
        *curve("ae", {4: 0.6}, coverage=0.89),
        *curve("ae", {8: 0.61}, coverage=0.9),
    ]
    choice = recommend([*plain, *generators({2: 120.0, 4: 100.0})]).of(GENERATE)
    assert choice.ours is not None and choice.ours.test is not None
    assert (choice.ours.model, choice.ours.latent_dim, choice.ours.test.mean) == ("ae", 4, pytest.approx(0.89))
    assert [option.model for option in choice.runners_up] == ["vae"]


def test_without_samples_there_is_no_word_on_generating() -> None:
    choice = recommend(curve("ae", {2: 0.5})).of(GENERATE)
    assert (choice.verdict, codes(choice)) == ("unknown", ["no-samples"])


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_there_is_a_choice_for_each_purpose_and_the_headline_comes_first() -> None:
    recommendation = recommend(curve("ae", {2: 0.5}))
    assert tuple(choice.purpose for choice in recommendation.choices) == PURPOSES
    assert recommendation.headline is recommendation.choices[0]
    assert recommendation.repeats == 3


def test_one_repeat_has_no_interval_and_says_so() -> None:
    recommendation = recommend(curve("ae", {2: 0.5}, repeats=1))
    assert codes(recommendation) == ["one-repeat"]
    assert recommendation.headline.chosen is not None
    assert recommendation.headline.chosen.test == Interval(0.5, None, None, 0.0, 1)
    assert codes(recommend(curve("ae", {2: 0.5}))) == []


@pytest.mark.parametrize(("ours", "pca"), [(0.9, 0.5), (0.5, 0.9)])
def test_says_when_the_test_rows_disagree_with_the_rows_chosen_by(ours: float, pca: float) -> None:
    def cells(tested: float, tested_pca: float) -> list[Cell]:
        known = {"explained": 0.5, "q2": 0.5}
        return [
            cell("ae", 2, test={**known, "knn_accuracy": tested}, **known, knn_accuracy=ours),
            cell("pca", 2, test={**known, "knn_accuracy": tested_pca}, **known, knn_accuracy=pca),
        ]

    choice = recommend(cells(pca, ours)).of(SEE)
    assert choice.verdict == ("helps" if ours > pca else "worse-than-pca")
    assert codes(choice) == ["test-disagrees"]
    assert "The test rows, whose figures are shown, contradict the rows" in sentences.of_choice(choice)
    assert "逆の結果" in sentences.of_choice(choice, "ja")
    assert codes(recommend(cells(ours, pca)).of(SEE)) == []


def test_says_when_the_test_rows_were_all_there_was_to_choose_by() -> None:
    scores = Scores(500, explained=0.6)
    cells = [Cell("ae", 2, repeat, 0, scores, scores, FEATURES) for repeat in range(2)]
    assert codes(recommend(cells)) == ["chosen-on-test"]


def test_survives_json() -> None:
    cells = [*generators({2: 120.0, 4: 100.0}), *curve("pca", {2: 0.4}, knn_accuracy=0.9)]
    recommendation = recommend(cells)
    assert Recommendation.from_dict(json.loads(json.dumps(recommendation.to_dict()))) == recommendation


def test_a_cell_that_failed_is_left_out() -> None:
    cells = curve("ae", {2: 0.5, 4: 0.8})
    choice = compress([*cells[:1], *cells[2:]])
    assert choice.chosen is not None
    assert choice.chosen.latent_dim == 4


def test_baselines_alone_are_no_study() -> None:
    with pytest.raises(DataError, match="among 3 cells there are none") as raised:
        recommend(curve("pca", {2: 0.5}))
    assert "Train one of ae" in raised.value.fix


# -- sets whose dimension is known -------------------------------------------------------------------------------------


def near_rows(X: np.ndarray, row: int, n: int = 40) -> np.ndarray:
    """The rows nearest to one."""
    return X[np.argsort(np.square(X - X[row]).sum(axis=1))[:n]]


@pytest.mark.parametrize(
    ("X", "surface", "space"),
    [
        (surfaces.linear(4000, noise=0.0), 3, 3),
        (surfaces.swiss_roll(4000, noise=0.0), 2, 3),
        (surfaces.sphere(4000, dimensions=2, noise=0.0), 2, 3),
        (surfaces.torus(4000, noise=0.0), 2, 3),
        (surfaces.sphere(4000, noise=0.0), None, 5),
        (surfaces.mixture(4000, noise=0.0), None, 4),
        (surfaces.pure_noise(4000), None, surfaces.FEATURES),
    ],
)
def test_surfaces_have_the_dimension_that_they_claim(X: np.ndarray, surface: int | None, space: int) -> None:
    assert X.shape == (4000, surfaces.FEATURES)
    assert np.linalg.matrix_rank(X - X.mean(axis=0), tol=1e-6) == space
    assert np.square(X).mean() == pytest.approx(1, abs=0.05)
    if surface is not None:  # close by, a surface is a plane of its own dimension
        shares = [PCA(space).fit(near_rows(X, row)).explained_variance_ratio_.cumsum() for row in range(20)]
        assert np.median([share[surface - 1] for share in shares]) > 0.99
        assert np.median([share[surface - 2] for share in shares]) < 0.95


def test_noise_is_laid_on_every_feature() -> None:
    X = surfaces.linear(4000, noise=0.5)
    assert np.linalg.eigvalsh(np.cov(X.T))[:7] == pytest.approx(0.25, abs=0.05)


def study_of(X: np.ndarray, sizes: Sequence[int], seed: int) -> list[Cell]:
    """Autoencoders and baselines of these sizes on a table, a tenth of it tested on."""
    n = len(X) // 10
    parts = rows_of_repeat(Dataset("train", X[n:]), Dataset("test", X[:n]), fraction=0.1, rows="random", seed=seed)
    models = [Autoencoder(size, random_state=seed).fit(X[n:]) for size in sizes]
    found = [measure_model(model, parts, seed=seed) for model in models]
    pairs = zip(sizes, found, strict=True)
    cells = [Cell("ae", size, 0, seed, of.selection, of.test, X.shape[1]) for size, of in pairs]
    return [*cells, *baselines(models[0], sizes, parts, 0, seed)]


@pytest.mark.slow
@pytest.mark.parametrize("name", surfaces.KNOWN)
def test_trained_autoencoders_find_the_dimension(name: str) -> None:
    known = surfaces.KNOWN[name]
    choice = compress(study_of(known.make(1700, 0), range(1, 7), seed=0))
    assert ({choice.ours.latent_dim} if choice.ours else set()) <= known.sizes
    assert (choice.verdict == "nothing") == (not known.sizes)
    if known.sizes:
        assert choice.verdict == ("like-pca" if name == "linear" else "helps")


# -- in words ----------------------------------------------------------------------------------------------------------

STUDIES = {
    "full": [
        *curve("ae", {2: 0.5, 8: 0.8}, knn_accuracy=0.9, v_measure=0.7, coverage=0.8),
        *curve("vae", {2: 0.5, 8: 0.8}, knn_accuracy=0.9, v_measure=0.6, bound=90.0, coverage=0.9),
        *curve("pca", {2: 0.3, 8: 0.4}, knn_accuracy=0.4, v_measure=0.2, coverage=0.1),
        *curve("raw", {FEATURES: 1.0}, v_measure=0.3),
    ],
    "pca": [*curve("ae", {1: 0.4, 4: 0.4}), *curve("pca", {1: 0.4, 4: 0.95}, repeats=1)],
    "worse": [*curve("ae", {1: 0.4}, repeats=1), *curve("pca", {1: 0.9}, repeats=1)],
    "raw": [*curve("ae", {4: 0.4}, v_measure=0.5), *curve("raw", {FEATURES: 1.0}, v_measure=0.7)],
    "noise": [*curve("ae", {1: 0.01}), *curve("vae", {1: 0.01}, bound=90.0)],
    "few": [Cell("ae", 2, 0, 0, Scores(9, explained=0.5), Scores(9, explained=0.5), FEATURES)],
    "none": [Cell("ae", 2, 0, 0, Scores(9, trustworthiness=0.9), Scores(9, trustworthiness=0.9), 2)],
}


@pytest.mark.parametrize("lang", languages())
@pytest.mark.parametrize("study", STUDIES)
def test_every_answer_has_its_sentence_in_every_language(study: str, lang: str) -> None:
    recommendation = recommend(STUDIES[study])
    lines = sentences.of_recommendation(recommendation, lang)
    assert len(lines) == len(PURPOSES) + len(recommendation.notes)
    assert not any("{" in line or "None" in line for line in [*lines, *sentences.rules(recommendation, lang).values()])


def test_the_verdict_names_model_size_figures_and_pca() -> None:
    lines = sentences.of_recommendation(recommend(STUDIES["full"]))
    assert lines[0] == (
        "To compress: Use the autoencoder with a code of size 8. Explained variance on new rows: 80 % (80 to 80); PCA "
        "of the same size: 40 % (40 to 40). 8 is the largest size tried, and may not be enough: try 16 as well. Sizes "
        "3 to 7 were not tried, and one of them may be enough. As good within the spread over the repeats, at size 8: "
        "VAE."
    )


def test_an_autoencoder_that_does_not_help_is_not_recommended() -> None:
    line = sentences.of_recommendation(recommend(STUDIES["worse"]))[0]
    assert line.startswith("To compress: An autoencoder does not help here: PCA with one component is better.")


@pytest.mark.parametrize(("kept", "verdict"), [(0.95, "helps"), (0.85, "like-pca"), (0.6, "worse-than-pca")])
def test_who_predicts_more_but_keeps_less_is_no_better_than_pca(kept: float, verdict: str) -> None:
    cells = []
    for repeat in range(3):
        shift = 0.001 * repeat
        cells.append(cell("ae", 4, repeat, q2=0.8 + shift, explained=kept + shift))
        cells.append(cell("pca", 4, repeat, q2=0.5 + shift, explained=0.85 + shift))
    assert compress(cells).verdict == verdict
