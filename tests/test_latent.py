"""Walks against closed forms and SciPy's rotations; what is met on the way against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import geometric_slerp
from sklearn.datasets import load_digits, make_blobs
from sklearn.neighbors import KNeighborsClassifier

from hyotan.analysis.latent import (
    WALKS,
    Probe,
    decoded,
    linear_walk,
    passages,
    random_pairs,
    smoothness,
    spherical_walk,
    step_lengths,
    tsne_plane,
)
from hyotan.errors import DataError, SettingsError

RNG = np.random.default_rng(0)
DIGITS = load_digits()
IMAGES = (DIGITS.images / 16).astype(np.float32)


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
class TestEveryWalk:
    """What holds for straight lines and arcs alike."""

    def test_begins_and_ends_at_its_ends(self, walk) -> None:
        a, b = RNG.normal(size=(2, 7, 5))
        path = walk(a, b, 9)
        assert path.shape == (7, 9, 5)
        np.testing.assert_allclose(path[:, 0], a, atol=1e-12)
        np.testing.assert_allclose(path[:, -1], b, atol=1e-12)

    def test_backwards_is_the_same_walk_reversed(self, walk) -> None:
        a, b = RNG.normal(size=(2, 5))
        np.testing.assert_allclose(walk(b, a, 8), walk(a, b, 8)[::-1], atol=1e-12)

    def test_of_many_pairs_are_those_of_each(self, walk) -> None:
        a, b = RNG.normal(size=(2, 6, 3))
        each = [walk(start, end, 5) for start, end in zip(a, b, strict=True)]
        np.testing.assert_allclose(walk(a, b, 5), each, atol=1e-12)

    def test_keeps_float32(self, walk) -> None:
        a, b = RNG.normal(size=(2, 6, 3)).astype(np.float32)
        assert walk(a, b, 5).dtype == np.float32

    @pytest.mark.parametrize(
        ("a", "b"),
        [([1.0, 2.0], [2.0, 4.0]), ([1.0, 2.0], [-3.0, -6.0]), ([0.0, 0.0], [1.0, 2.0]), ([0.0, 0.0], [0.0, 0.0])],
        ids=["parallel", "antiparallel", "from the origin", "nowhere"],
    )
    def test_without_a_plane_to_turn_in_is_the_line(self, walk, a, b) -> None:
        np.testing.assert_allclose(walk(a, b, 5), np.linspace(a, b, 5), atol=1e-12)

    def test_of_one_step_is_refused(self, walk) -> None:
        with pytest.raises(SettingsError, match=r"2 steps or more, both ends included; got 1\."):
            walk([0.0], [1.0], 1)

    def test_between_codes_of_different_sizes_is_refused(self, walk) -> None:
        with pytest.raises(DataError, match=r"of one shape; got \(2,\) and \(3,\)\. Pass single codes"):
            walk([0.0, 1.0], [1.0, 2.0, 3.0], 5)


class TestSphericalWalk:
    """Arcs about the origin."""

    @given(seed=st.integers(0, 10_000), latent=st.integers(2, 20))
    def test_on_the_unit_sphere_is_scipys(self, seed: int, latent: int) -> None:
        a, b = np.random.default_rng(seed).normal(size=(2, latent))
        a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
        expected = geometric_slerp(a, b, np.linspace(0, 1, 7))
        np.testing.assert_allclose(spherical_walk(a, b, 7), expected, atol=1e-8)

    def test_changes_its_distance_from_the_origin_evenly(self) -> None:
        walk = spherical_walk([3.0, 0.0], [0.0, 1.0], 5)
        np.testing.assert_allclose(np.linalg.norm(walk, axis=1), [3, 2.5, 2, 1.5, 1])
        np.testing.assert_allclose(np.degrees(np.arctan2(walk[:, 1], walk[:, 0])), [0, 22.5, 45, 67.5, 90])

    def test_a_batch_may_mix_arcs_and_lines(self) -> None:
        walk = spherical_walk([[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]], 3)
        np.testing.assert_allclose(walk[:, 1], [[0.5**0.5, 0.5**0.5], [0, 0]], atol=1e-12)

    def test_of_nearly_equal_directions_stays_finite_and_near_the_line(self) -> None:
        a, b = np.array([1.0, 0.0], np.float32), np.array([1.0, 1e-4], np.float32)
        np.testing.assert_allclose(spherical_walk(a, b, 5), np.linspace(a, b, 5), atol=1e-6)


class TestDecoding:
    """Many walks through a decoder."""

    def test_calls_the_decoder_once_and_keeps_the_order(self) -> None:
        calls = []

        def decode(codes: np.ndarray) -> np.ndarray:
            calls.append(codes.shape)
            return np.stack([codes.sum(-1), codes[:, 0]], -1)[:, None, :]

        walks = RNG.normal(size=(4, 5, 3))
        rows = decoded(walks, decode)
        assert calls == [(20, 3)] and rows.shape == (4, 5, 1, 2)
        np.testing.assert_allclose(rows[2, 3, 0], [walks[2, 3].sum(), walks[2, 3, 0]])


class TestPairs:
    """Ends drawn at random."""

    def test_join_rows_of_different_classes(self) -> None:
        labels = np.array(["a"] * 95 + ["b"] * 5)
        pairs = random_pairs(100, 300, labels)
        assert pairs.shape == (300, 2) and set(pairs.ravel()) <= set(range(100))
        assert (labels[pairs[:, 0]] != labels[pairs[:, 1]]).all()
        assert len(np.unique(pairs, axis=0)) > 200

    def test_without_labels_join_different_rows(self) -> None:
        pairs = random_pairs(3, 200)
        assert (pairs[:, 0] != pairs[:, 1]).all() and len(np.unique(pairs, axis=0)) == 6

    def test_follow_the_seed(self) -> None:
        assert (random_pairs(50, 20, random_state=1) == random_pairs(50, 20, random_state=1)).all()
        assert (random_pairs(50, 20, random_state=1) != random_pairs(50, 20, random_state=2)).any()

    @pytest.mark.parametrize("labels", [None, ["a"]], ids=["one row", "one class"])
    def test_need_two_ends(self, labels) -> None:
        with pytest.raises(DataError, match=r"two rows of different classes; got 1 rows"):
            random_pairs(1, 5, labels)

    def test_of_one_class_are_refused_and_not_waited_for(self) -> None:
        with pytest.raises(DataError, match=r"different classes; got 4 rows\. Pass more rows, or no labels\."):
            random_pairs(4, 5, ["a"] * 4)


class TestSmoothness:
    """How even the steps are in the data space."""

    def test_of_even_steps_is_one(self) -> None:
        line = linear_walk(RNG.normal(size=(3, 8)), RNG.normal(size=(3, 8)), 11)
        np.testing.assert_allclose(smoothness(line), 1, atol=1e-12)

    def test_of_one_jump_is_one_over_the_number_of_steps(self) -> None:
        walk = np.zeros((1, 11, 4, 4))
        walk[:, 6:] = 1
        np.testing.assert_allclose(smoothness(walk), 0.1)

    def test_of_steps_of_known_length(self) -> None:
        walk = np.array([[0.0, 1.0, 3.0, 6.0]])[..., None]
        np.testing.assert_allclose(step_lengths(walk), [[1, 2, 3]])
        np.testing.assert_allclose(smoothness(walk), 2 / 3)

    def test_knows_no_unit_and_no_direction(self) -> None:
        walk = RNG.normal(size=(4, 6, 3, 2))
        np.testing.assert_allclose(smoothness(1000 * walk + 5), smoothness(walk))
        np.testing.assert_allclose(smoothness(walk[:, ::-1]), smoothness(walk))

    def test_of_a_walk_that_never_moves_is_one(self) -> None:
        assert smoothness(np.ones((1, 5, 3))).tolist() == [1.0]

    @pytest.mark.parametrize("shape", [(3, 1, 4), (3, 5)], ids=str)
    def test_needs_steps(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(DataError, match=r"Walks must have shape \(walks, 2 or more steps, \*features\); got"):
            smoothness(np.zeros(shape))


class TestPassages:
    """Which classes are passed on the way."""

    def test_counts_each_stay_once_and_only_other_classes(self) -> None:
        classes = np.array([[1, 1, 8, 8, 6, 0], [1, 1, 1, 0, 0, 0], [3, 8, 3, 8, 9, 7], [5, 5, 5, 2, 5, 5]])
        found = passages(classes)
        assert found.runs == ((1, 8, 6, 0), (1, 0), (3, 8, 3, 8, 9, 7), (5, 2, 5))
        assert found.others.tolist() == [2, 0, 2, 1]

    def test_reads_as_the_article_writes_it(self) -> None:
        assert passages([[1, 8, 6, 0], [1, 1, 0, 0]]).captions() == ["1→8→6→0", "1→0"]

    def test_takes_names(self) -> None:
        assert passages(np.array([["猫", "猫", "犬"]])).captions() == ["猫→犬"]

    def test_needs_walks(self) -> None:
        with pytest.raises(DataError, match=r"shape \(walks, steps\), at least one of each; got \(3,\)"):
            passages([1, 2, 3])


class TestProbe:
    """The classifier that names decoded steps."""

    def test_is_five_nearest_neighbours(self) -> None:
        train, test = IMAGES[:1200], IMAGES[1200:]
        truth = KNeighborsClassifier(5).fit(train.reshape(1200, -1), DIGITS.target[:1200])
        probe = Probe.fit(train, DIGITS.target[:1200])
        assert probe.rows == 1200
        assert (probe.predict(test) == truth.predict(test.reshape(-1, 64))).all()

    def test_knows_at_most_so_many_rows_from_everywhere(self) -> None:
        order = np.argsort(DIGITS.target, kind="stable")  # sorted by class: the first rows would be zeros alone
        probe = Probe.fit(IMAGES[order], DIGITS.target[order], max_rows=300)
        assert probe.rows == 300
        assert np.mean(probe.predict(IMAGES) == DIGITS.target) > 0.9

    def test_names_every_step_of_every_walk(self) -> None:
        probe = Probe.fit(IMAGES, np.array([f"digit {label}" for label in DIGITS.target]))
        walks = linear_walk(IMAGES[:3].reshape(3, -1), IMAGES[3:6].reshape(3, -1), 5).reshape(3, 5, 8, 8)
        classes = probe.along(walks)
        assert classes.shape == (3, 5)
        assert classes[:, 0].tolist() == ["digit 0", "digit 1", "digit 2"]
        assert (classes[1] == probe.predict(walks[1])).all()

    def test_with_few_rows_takes_fewer_neighbours(self) -> None:
        assert Probe.fit([[0.0], [10.0]], ["a", "b"]).predict([[1.0]]).shape == (1,)

    def test_needs_a_label_a_row(self) -> None:
        with pytest.raises(DataError, match=r"There are 3 rows but 2 labels\. Give every row one label\."):
            Probe.fit(np.zeros((3, 2)), [0, 1])


class TestTSNE:
    """Rows in the plane."""

    @pytest.mark.parametrize("features", [1, 3, 120], ids=str)
    def test_keeps_what_is_apart_apart(self, features: int) -> None:
        rows, kinds = make_blobs(90, features, centers=[[0] * features, [30] * features], random_state=0)
        plane = tsne_plane(rows.reshape(90, features, 1))
        assert plane.shape == (90, 2)
        assert KNeighborsClassifier(5).fit(plane, kinds).score(plane, kinds) == 1

    def test_of_very_few_rows(self) -> None:
        assert np.isfinite(tsne_plane(RNG.normal(size=(5, 3)))).all()
        with pytest.raises(DataError, match=r"t-SNE needs 4 rows or more; got 3\."):
            tsne_plane(np.zeros((3, 2)))
