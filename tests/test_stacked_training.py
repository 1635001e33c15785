"""Trainings in one loop: each ends as if it had been trained alone, which shares neither the loop nor the products."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hyotan import CVAE, VAE, WAE, Autoencoder, DenoisingAutoencoder
from hyotan.data import load
from hyotan.errors import DivergenceError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.runs import run_training as runs
from hyotan.runs.run_folder import RunFolder
from hyotan.runs.settings import RunConfig
from hyotan.study import bundles as study_bundles
from hyotan.study.bundles import bundles
from hyotan.study.plan import configure
from hyotan.training import draws
from hyotan.training.callbacks import Callback, ReconstructionTracker
from hyotan.training.checkpoint import Snapshot
from hyotan.training.stacked_trainer import StackedTrainer, grouped_by_stack
from hyotan.training.trainer import Trainer

DIGITS = load("digits", limit=150)
SMALL: dict[str, Any] = {"hidden_dims": (12, 9), "batch_size": 32, "max_epochs": 4, "device": "cpu"}
TOLERANCE = 1e-4
"""How far losses and weights may be from those of a training alone: rounding, grown over the steps."""

EACH_SIZE: list[tuple[int, int]] = [(3, 0), (2, 0), (5, 1)]
"""Size and seed of each cell."""
SAME_SIZE: list[tuple[int, int]] = [(3, 0), (3, 1)]

KINDS: dict[str, tuple[type[LatentEstimator], dict[str, Any], list[tuple[int, int]]]] = {
    "ae": (Autoencoder, {}, EACH_SIZE),
    "tied": (Autoencoder, {"tied": True, "activation": "tanh", "initialisation": "xavier"}, EACH_SIZE),
    "bounded code": (Autoencoder, {"latent_activation": "tanh"}, EACH_SIZE),
    "code that is never 0": (Autoencoder, {"latent_activation": "sigmoid"}, SAME_SIZE),
    "sparse": (Autoencoder, {"penalty": "sparse"}, EACH_SIZE),
    "no hidden layer": (Autoencoder, {"hidden_dims": ()}, EACH_SIZE),
    "gaussian noise": (DenoisingAutoencoder, {}, EACH_SIZE),
    "noise of a range": (DenoisingAutoencoder, {"noise_level": (0.1, 0.6)}, EACH_SIZE),
    "masking noise": (DenoisingAutoencoder, {"noise": "masking"}, EACH_SIZE),
    "swap noise": (DenoisingAutoencoder, {"noise": "swap"}, EACH_SIZE),
    "sgd": (Autoencoder, {"optimizer": "sgd", "learning_rate": 1e-3}, EACH_SIZE),
    "no validation": (Autoencoder, {"validation_fraction": 0.0, "shuffle": False}, EACH_SIZE),
    "vae": (VAE, {}, EACH_SIZE),
    "samples": (VAE, {"n_samples": 3, "beta": 0.5, "beta_warmup": 2.0}, EACH_SIZE),
    "softplus": (VAE, {"variance": "softplus"}, SAME_SIZE),
    "iwae": (VAE, {"objective": "iwae", "n_samples": 3}, SAME_SIZE),
    "one scale": (VAE, {"likelihood": "gaussian-shared"}, EACH_SIZE),
    "scale a pixel": (VAE, {"likelihood": "gaussian-per-feature"}, EACH_SIZE),
    "decay": (VAE, {"likelihood": "gaussian-per-feature", "weight_decay": 1.0}, EACH_SIZE),
    "two outputs": (VAE, {"likelihood": "gaussian-heteroscedastic"}, EACH_SIZE),
    "drawn images": (VAE, {"binarise": "dynamic"}, EACH_SIZE),
    "wae": (WAE, {}, SAME_SIZE),
    "cvae": (CVAE, {"label_dim": 4}, EACH_SIZE),
    "cvae without a classifier": (CVAE, {"label_dim": 4, "unlabelled_rows": "zero"}, EACH_SIZE),
}


def make(kind: str, **changes: Any) -> list[LatentEstimator]:
    family, parameters, cells = KINDS[kind]
    settings = {**SMALL, **parameters, **changes}
    return [family(latent_dim=size, random_state=seed, **settings) for size, seed in cells]


@contextmanager
def trainers_of(estimators: Sequence[LatentEstimator], **how: Any) -> Iterator[list[Trainer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(one.training(DIGITS.X, DIGITS.y, **how)) for one in estimators]


def train_together(estimators: Sequence[LatentEstimator]) -> None:
    with trainers_of(estimators) as trainers:
        assert len(grouped_by_stack(trainers)) == 1
        StackedTrainer(trainers).fit()


def assert_same(one: LatentEstimator, other: LatentEstimator) -> None:
    """Histories and weights agree up to the tolerance; what a clock measured does not count."""
    assert (one.best_epoch_, one.n_iter_) == (other.best_epoch_, other.n_iter_)
    for here, there in zip(one.history_, other.history_, strict=True):
        assert here.keys() == there.keys()
        for name in set(here) - {"seconds"}:
            assert here[name] == pytest.approx(there[name], rel=TOLERANCE, abs=1e-5), name
    for (name, here), there in zip(one.model_.state_dict().items(), other.model_.state_dict().values(), strict=True):
        torch.testing.assert_close(here, there, rtol=TOLERANCE, atol=TOLERANCE, msg=name)


class TestEveryCell:
    @pytest.mark.parametrize("kind", KINDS)
    def test_ends_as_if_it_had_been_trained_alone(self, kind: str) -> None:
        stacked, alone = make(kind), make(kind)
        train_together(stacked)
        for here, there in zip(stacked, alone, strict=True):
            assert_same(here, there.fit(DIGITS.X, DIGITS.y))
            np.testing.assert_allclose(here.transform(DIGITS.X), there.transform(DIGITS.X), rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("kind", ["ae", "tied", "sparse", "samples", "one scale", "cvae"])
    def test_has_nothing_but_zeros_beyond_its_own_code(self, kind: str) -> None:
        with trainers_of(make(kind)) as trainers:
            loop = StackedTrainer(trainers)
            loop.fit()
            mine = sum(p.count_nonzero() for trainer in trainers for p in trainer.model.parameters())
            loop.stack.take()  # the best weights, which training has ended with
            assert sum(p.count_nonzero() for p in loop.model.parameters()) == mine

    def test_gets_an_equal_part_of_the_time(self) -> None:
        estimators = make("vae")
        train_together(estimators)
        seconds = [one.train_seconds_ for one in estimators]
        assert min(seconds) > 0
        assert seconds == pytest.approx([seconds[0]] * 3)

    def test_leaves_the_global_generator_as_it_was(self) -> None:
        before = torch.get_rng_state()
        train_together(make("vae"))
        assert torch.equal(torch.get_rng_state(), before)

    def test_has_the_frames_that_it_would_have_alone(self) -> None:
        trackers = [ReconstructionTracker(DIGITS.X[:4]) for _ in range(2)]
        stacked, (alone, *_) = make("vae"), make("vae")
        stacked[0].callbacks, alone.callbacks = [trackers[0]], [trackers[1]]
        train_together(stacked)
        alone.fit(DIGITS.X, DIGITS.y)
        np.testing.assert_allclose(trackers[0].frames, trackers[1].frames, atol=1e-4)
        assert trackers[0].epochs == trackers[1].epochs == [1, 2, 3, 4]


class OwnLayer(nn.Linear):
    pass


class TestACompany:
    def groups(self, estimators: Sequence[LatentEstimator]) -> list[int]:
        with trainers_of(estimators) as trainers:
            return [len(group) for group in grouped_by_stack(trainers)]

    def test_is_made_of_one_family(self) -> None:
        assert self.groups([*make("ae"), *make("vae"), *make("ae", activation="relu")]) == [3, 3, 3]

    @pytest.mark.parametrize("kind", ["code that is never 0", "softplus", "iwae", "wae"])
    def test_is_of_one_size_where_zeros_would_count(self, kind: str) -> None:
        family, parameters, _ = KINDS[kind]
        cells = [family(latent_dim=size, random_state=0, **SMALL, **parameters) for size in (2, 3, 3)]
        assert self.groups(cells) == [1, 2]

    @pytest.mark.parametrize(
        ("family", "changes"),
        [
            (Autoencoder, {"grad_clip": 1.0}),
            (Autoencoder, {"early_stopping": 2}),
            (Autoencoder, {"precision": "bf16"}),
            (Autoencoder, {"ordered": True}),
            (Autoencoder, {"penalty": "contractive"}),
            (Autoencoder, {"architecture": "conv", "channels": (4,)}),
            (Autoencoder, {"encoder": nn.Sequential(nn.Flatten(), OwnLayer(64, 3))}),
            (Autoencoder, {"callbacks": [Callback()]}),
            (VAE, {"free_bits": 0.1}),
            (CVAE, {"labelled_fraction": 0.5}),
        ],
    )
    def test_leaves_out_what_no_loop_can_share(self, family: type[LatentEstimator], changes: dict[str, Any]) -> None:
        cells = [family(latent_dim=3, random_state=seed, **{**SMALL, **changes}) for seed in (0, 1)]
        assert self.groups(cells) == [1, 1]

    def test_has_one_step_to_take(self) -> None:
        first = replace_epochs(make("ae"), 2)
        snapshots = kept(first)
        cells = make("ae")
        with ExitStack() as stack:
            trainers = [
                stack.enter_context(one.training(DIGITS.X, snapshot=snapshot))
                for one, snapshot in zip(cells, [None, None, snapshots[2]], strict=True)
            ]
            assert [len(group) for group in grouped_by_stack(trainers)] == [2, 1]


def replace_epochs(cells: list[LatentEstimator], epochs: int) -> list[LatentEstimator]:
    return [one.set_params(max_epochs=epochs) for one in cells]


class Store:
    """Keeps the snapshot of one moment, and stops the training there."""

    def __init__(self, at: int | None) -> None:
        self.asked, self.at = itertools.count(1), at
        self.snapshot: Snapshot | None = None

    def is_due(self) -> bool:
        return next(self.asked) == self.at

    def save(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


def stop(stores: Sequence[Store], snapshots: Sequence[Snapshot]) -> None:
    for store, snapshot in zip(stores, snapshots, strict=True):
        store.save(snapshot)
    raise KeyboardInterrupt


def kept(cells: Sequence[LatentEstimator], at: int | None = None) -> list[Snapshot]:
    """Train in one loop up to a step, or to the end; the snapshots."""
    stores = [Store(at) for _ in cells]
    with ExitStack() as stack:
        trainers = [stack.enter_context(c.training(DIGITS.X, DIGITS.y, store=s)) for c, s in zip(cells, stores)]
        if at is None:
            StackedTrainer(trainers).fit()
        else:
            with pytest.raises(KeyboardInterrupt):
                StackedTrainer(trainers, stop).fit()
    return [store.snapshot for store in stores if store.snapshot is not None]


@pytest.mark.parametrize("kind", ["gaussian noise", "samples", "sgd", "cvae"])
class TestATrainingThatWasStopped:
    STEP = 7  # of 5 steps an epoch: within the second one

    def test_goes_on_alone(self, kind: str) -> None:
        snapshots = kept(make(kind), self.STEP)
        for cell, whole, snapshot in zip(make(kind), make(kind), snapshots, strict=True):
            with cell.training(DIGITS.X, DIGITS.y, snapshot=snapshot) as trainer:
                trainer.fit()
            assert_same(cell, whole.fit(DIGITS.X, DIGITS.y))

    def test_goes_on_in_one_loop_to_the_same_bits(self, kind: str) -> None:
        snapshots, cells, whole = kept(make(kind), self.STEP), make(kind), make(kind)
        train_together(whole)
        with ExitStack() as stack:
            pairs = zip(cells, snapshots, strict=True)
            trainers = [stack.enter_context(c.training(DIGITS.X, DIGITS.y, snapshot=s)) for c, s in pairs]
            assert len(grouped_by_stack(trainers)) == 1
            StackedTrainer(trainers).fit()
        for here, there in zip(cells, whole, strict=True):
            states = here.model_.state_dict(), there.model_.state_dict()
            assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
            clockless = [[{**row, "seconds": 0} for row in one.history_] for one in (here, there)]
            assert clockless[0] == clockless[1]

    def test_alone_goes_on_in_one_loop(self, kind: str) -> None:
        stores = [Store(self.STEP) for _ in make(kind)]
        for cell, store in zip(make(kind), stores, strict=True):
            with cell.training(DIGITS.X, DIGITS.y, store=KeptOnce(store)) as trainer:
                trainer.fit()
        cells = make(kind)
        with ExitStack() as stack:
            pairs = zip(cells, stores, strict=True)
            trainers = [stack.enter_context(c.training(DIGITS.X, DIGITS.y, snapshot=s.snapshot)) for c, s in pairs]
            StackedTrainer(trainers).fit()
        for here, there in zip(cells, make(kind), strict=True):
            assert_same(here, there.fit(DIGITS.X, DIGITS.y))


class KeptOnce(Store):
    """Passes the first snapshot on."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.at)
        self.store = store

    def save(self, snapshot: Snapshot) -> None:
        self.store.snapshot = self.store.snapshot or snapshot


def test_one_that_diverges_ends_the_loop() -> None:
    with trainers_of(make("ae")) as trainers:
        loop = StackedTrainer(trainers)
        next(iter(loop.model.parameters())).data[1, 0, 0] = torch.inf
        with pytest.raises(DivergenceError, match=r"A training of 3 in one loop diverged\. Train them one by one"):
            loop.fit()


class TestRunFolders:
    def test_are_as_if_each_run_had_been_trained_alone(self, tmp_path: Any) -> None:
        parameters = [{**SMALL, "hidden_dims": [12], "latent_dim": size, "random_state": 0} for size in (2, 4)]
        configs = [RunConfig("digits", "vae", one) for one in parameters]
        data = DIGITS.split(0.1)
        folders = [RunFolder.create(config, "run", tmp_path / f"together-{i}") for i, config in enumerate(configs)]
        for i, (config, fitted) in enumerate(zip(configs, runs.fit_together(folders, data), strict=True)):
            alone = runs.fit(RunFolder.create(config, "run", tmp_path / f"alone-{i}"), data=data)
            assert sorted(p.name for p in fitted.folder.path.iterdir()) == sorted(
                p.name for p in alone.folder.path.iterdir()
            )
            assert (fitted.folder.path / "config.toml").read_text() == (alone.folder.path / "config.toml").read_text()
            assert_same(fitted.estimator, alone.estimator)
            here, there = fitted.folder.read_metrics(), alone.folder.read_metrics()
            assert here.keys() == there.keys()
            assert here["test"] == pytest.approx(there["test"], rel=TOLERANCE)
            assert fitted.frames is not None and alone.frames is not None
            np.testing.assert_allclose(fitted.frames[2], alone.frames[2], atol=1e-4)
            snapshots = [folder.read_snapshot() for folder in (fitted.folder, alone.folder)]
            assert snapshots[0] is not None and snapshots[1] is not None
            assert snapshots[0].arrays.keys() == snapshots[1].arrays.keys()
            np.testing.assert_array_equal(snapshots[0].arrays["random/cpu"], snapshots[1].arrays["random/cpu"])


class TestBundles:
    def names(self, shape: tuple[int, ...] = (8, 8), rows: int = 1617, jobs: int = 2, **grid: Any) -> list[list[str]]:
        config = configure(DIGITS, "digits", **{"parameters": {"device": "cpu"}, **grid})
        return [[plan.name for plan in bundle] for bundle in bundles(config.cells(), shape, rows, jobs)]

    def test_hold_the_sizes_of_a_repeat(self) -> None:
        found = self.names()
        assert len(found) == 9
        assert found[0] == ["ae-2-0", "ae-4-0", "ae-8-0", "ae-16-0", "ae-32-0"]
        assert sorted(itertools.chain(*found)) == sorted(
            f"{m}-{s}-{r}" for m in ("ae", "vae", "cvae") for s in (2, 4, 8, 16, 32) for r in range(3)
        )

    @pytest.mark.parametrize(("jobs", "sizes"), [(1, [5]), (2, [2, 3]), (3, [2, 1, 2]), (8, [1, 1, 1, 1, 1])])
    def test_leave_every_job_its_share(self, jobs: int, sizes: list[int]) -> None:
        assert [len(bundle) for bundle in self.names(jobs=jobs, models=["ae"], repeats=1)] == sizes

    def test_of_large_models_hold_one(self) -> None:
        assert {len(bundle) for bundle in self.names((28, 28), 60_000)} == {1}

    def test_of_convolutions_and_of_nested_codes_hold_one(self) -> None:
        conv = {"device": "cpu", "architecture": "conv"}
        assert {len(bundle) for bundle in self.names(models=["ae"], parameters=conv)} == {1}
        assert {len(bundle) for bundle in self.names(models=["ae"], nested=True)} == {1}

    def test_count_what_a_batch_multiplies(self) -> None:
        config = configure(DIGITS, "digits", models=["vae"], sizes=[4], parameters={**SMALL, "n_samples": 2})
        counted = study_bundles.products_a_batch(config.cells()[0], (8, 8), 100)
        encoder = decoder = 64 * 12 + 12 * 9 + 9 * 4
        assert counted == 32 * 2 * (encoder + decoder)


class TestDraws:
    def test_of_a_cell_are_those_of_its_generator(self) -> None:
        x = torch.zeros(6, 4)
        draw = [draws.normal_like, draws.uniform_like, lambda x: draws.bernoulli(x + 0.5), draws.rows_like]
        alone = []
        for seed in (5, 6):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                alone.append([one(x[:3]) for one in draw])
        with draws.by_model([torch.Generator().manual_seed(seed) for seed in (5, 6)], [1, 2]):
            for number, one in enumerate(draw):
                first, second = one(x).split(3)
                assert torch.equal(first, alone[0][number])
                assert torch.equal(second, alone[1][number] + (3 if one is draws.rows_like else 0))

    @pytest.mark.parametrize("samples", [None, 4])
    def test_for_a_code_are_zero_beyond_its_size(self, samples: int | None) -> None:
        mean = torch.zeros(6, 3)
        with draws.by_model([torch.Generator().manual_seed(seed) for seed in (5, 6)], [2, 3]):
            first, second = draws.code_noise(mean, samples).split(3, dim=-2)
        shape = () if samples is None else (samples,)
        assert torch.equal(first[..., :2], torch.randn(*shape, 3, 2, generator=torch.Generator().manual_seed(5)))
        assert torch.equal(second, torch.randn(*shape, 3, 3, generator=torch.Generator().manual_seed(6)))
        assert not first[..., 2].any()
