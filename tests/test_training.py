"""The training loop against loops written out by hand; schedules, optimizers, batches and what is kept."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from hyotan import VAE, Autoencoder, metrics
from hyotan.distributions.likelihoods import GaussianLikelihood
from hyotan.errors import DivergenceError, SettingsError
from hyotan.models.autoencoder import AutoencoderModel
from hyotan.models.latent_model import LatentModel
from hyotan.models.vae import VAEModel
from hyotan.training import OPTIMIZERS, SCHEDULES
from hyotan.training.callbacks import Callback, Fitting
from hyotan.training.resident import ResidentRows, epoch_order
from hyotan.training.schedules import constant
from hyotan.training.trainer import VALIDATION_ROWS, Trainer, TrainingSettings

DIGITS = (load_digits().images / 16).astype(np.float32)[:400]


def linear_model(seed: int = 0, features: int = 6, latent: int = 2) -> AutoencoderModel:
    """A linear autoencoder with squared errors."""
    torch.manual_seed(seed)
    likelihood = GaussianLikelihood((features,), scale=math.sqrt(0.5))
    return AutoencoderModel(nn.Linear(features, latent), nn.Linear(latent, features), likelihood)


def linear_vae() -> VAEModel:
    """A linear VAE with squared errors."""
    torch.manual_seed(1)
    return VAEModel(nn.Linear(6, 4), nn.Linear(2, 6), GaussianLikelihood((6,)), beta=3.0, beta_warmup=2.0)


def rows(n: int = 50, features: int = 6, seed: int = 0) -> ResidentRows:
    """Standard normal rows."""
    return ResidentRows(torch.randn(n, features, generator=torch.Generator().manual_seed(seed)))


def settings(**changes: Any) -> TrainingSettings:
    """Plain Adam: in order, without decay, at a constant rate."""
    plain: dict[str, Any] = {
        "max_epochs": 3,
        "batch_size": 16,
        "optimizer": OPTIMIZERS["adam"],
        "schedule": constant,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "seed": 0,
        "shuffle": False,
    }
    return TrainingSettings(**plain | changes)


def train(model: LatentModel, data: ResidentRows, validation: ResidentRows | None = None, **changes: Any) -> Trainer:
    """A finished training."""
    callbacks = changes.pop("callbacks", ())
    trainer = Trainer(model, data, validation, settings(**changes), callbacks)
    trainer.fit()
    return trainer


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Copies of all weights by name."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def assert_same_weights(a: dict[str, Tensor], b: dict[str, Tensor], **tolerance: float) -> None:
    """All weights agree."""
    assert set(a) == set(b)
    for name in a:
        torch.testing.assert_close(a[name], b[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def adam_by_hand(rate: float) -> Callable[[list[Tensor], list[Tensor]], None]:
    """Kingma & Ba 2015, algorithm 1."""
    first: list[Tensor] = []
    second: list[Tensor] = []
    count = itertools.count(1)

    def step(parameters: list[Tensor], gradients: list[Tensor]) -> None:
        t = next(count)
        if not first:
            first.extend(torch.zeros_like(p) for p in parameters)
            second.extend(torch.zeros_like(p) for p in parameters)
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            p -= rate * (first[i] / (1 - 0.9**t)) / ((second[i] / (1 - 0.999**t)).sqrt() + 1e-8)

    return step


class TestALoopWrittenOutByHand:
    """The trainer takes the same steps."""

    def test_of_plain_adam_on_a_linear_autoencoder_ends_at_the_same_weights(self) -> None:
        model, x = linear_model(), rows(50).values.double()
        by_hand = {name: tensor.double() for name, tensor in weights(model).items()}
        A, a, B, b = (by_hand[f"{part}.{name}"] for part in ("encoder", "decoder") for name in ("weight", "bias"))
        step = adam_by_hand(0.01)
        for _ in range(3):
            for batch in (x[:16], x[16:32], x[32:48], x[48:]):
                z = batch @ A.T + a
                error = 2 * (z @ B.T + b - batch) / len(batch)
                back = error @ B
                step([A, a, B, b], [back.T @ batch, back.sum(0), error.T @ z, error.sum(0)])
        train(model, rows(50))
        assert_same_weights(weights(model), {k: v.float() for k, v in by_hand.items()}, atol=2e-6, rtol=0)

    def test_of_torchs_adamw_on_a_vae_ends_at_the_same_weights(self) -> None:
        model, data = linear_vae(), rows(50)
        twin = copy.deepcopy(model)
        groups = [
            {"params": [twin.encoder.weight, twin.decoder.weight], "weight_decay": 0.1},
            {"params": [twin.encoder.bias, twin.decoder.bias], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=0.01, fused=True)
        torch.manual_seed(9)
        for epoch, (start, end) in itertools.product(range(3), [(0, 16), (16, 32), (32, 48), (48, 50)]):
            x = data.values[start:end]
            mean, log_variance = twin.encoder(x).chunk(2, 1)
            q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
            error = 0.5 * (x - twin.decoder(q.rsample((1,)))).square().sum(-1).mean(0)
            kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
            done = epoch + (start // 16) / 4
            optimizer.zero_grad()
            (error + 3 * min(1, done / 2) * kl).mean().backward()
            optimizer.step()
        train(model, data, optimizer=OPTIMIZERS["adamw"], weight_decay=0.1, seed=9)
        assert_same_weights(weights(model), weights(twin), atol=1e-6, rtol=0)

    def test_of_clipped_gradients_takes_steps_of_the_norm_allowed(self) -> None:
        model = linear_model()
        before = weights(model)
        train(
            model, rows(), max_epochs=1, batch_size=50, optimizer=OPTIMIZERS["sgd"], learning_rate=1.0, grad_clip=0.03
        )
        moved = sum((tensor - before[name]).square().sum() for name, tensor in weights(model).items())
        assert moved.sqrt().item() == pytest.approx(0.03, rel=1e-4)

    def test_does_not_feel_a_clip_above_its_gradients(self) -> None:
        free, clipped = linear_model(), linear_model()
        train(free, rows())
        train(clipped, rows(), grad_clip=1e6)
        assert_same_weights(weights(free), weights(clipped), atol=0, rtol=0)

    def test_takes_the_rows_in_the_order_of_the_epoch(self) -> None:
        seen: list[list[float]] = []

        class Watching(AutoencoderModel):
            def objective(self, x: Tensor, progress: Any = None, labels: Any = None) -> Any:
                seen.append(x[:, 0].tolist())
                return super().objective(x, progress, labels)

        model = linear_model()
        data = ResidentRows(torch.arange(7.0)[:, None].repeat(1, 6))
        train(Watching(model.encoder, model.decoder, model.likelihood), data, batch_size=3, shuffle=True, seed=5)
        epochs = [list(itertools.chain(*seen[i : i + 2])) for i in (0, 2, 4)]
        assert epochs == [epoch_order(7, 5, epoch).tolist() for epoch in range(3)]

    def test_sets_the_learning_rate_before_each_step(self) -> None:
        rates: list[float] = []

        class Watching(Callback):
            def on_step_end(self, fitting: Fitting) -> None:
                rates.append(trainer.optimizer.param_groups[0]["lr"])

        how = settings(schedule=SCHEDULES["one-cycle"], learning_rate=0.02)
        trainer = Trainer(linear_model(), rows(), None, how, [Watching()])
        trainer.fit()
        assert rates == pytest.approx([0.02 * SCHEDULES["one-cycle"](step / 12) for step in range(12)])


class TestTheHistory:
    """Means over all samples of an epoch, whatever the batches."""

    STILL = {"learning_rate": 1e-30, "max_epochs": 1}

    def test_of_training_is_the_mean_over_all_rows(self) -> None:
        model, data = linear_model(), rows(50)
        (row,) = train(model, data, **self.STILL).history
        with torch.no_grad():
            x = data.values.double().numpy()
            code = model.code(data.values).numpy()
            error = np.square(model.decoder(model.code(data.values)).double().numpy() - x).sum(1)
        expected = (error + 3 * math.log(math.pi)).mean()
        assert row["loss"] == pytest.approx(expected, rel=1e-6) and row["reconstruction"] == row["loss"]
        assert row["active_units"] == metrics.active_units(code) == 2

    @pytest.mark.parametrize("dead", [0, 1])
    def test_counts_active_units_over_the_whole_set(self, dead: int) -> None:
        model, data = linear_model(), rows(50)
        with torch.no_grad():
            # A code far from 0 that varies by a thousandth: the sums must not lose it.
            model.encoder.weight[:dead].mul_(1e-3)
            model.encoder.bias.fill_(50.0)
        (row,) = train(model, data, data, **self.STILL).history
        assert row["active_units"] == row["val_active_units"] == 2 - dead

    def test_of_a_vae_has_its_kl_by_dimension(self) -> None:
        model, data = linear_vae(), rows(50)
        (row,) = train(model, data, data, **self.STILL).history
        with torch.no_grad():
            mean, log_variance = model.encoder(data.values).double().numpy().T.reshape(2, 2, 50)
        expected = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).mean(1)
        np.testing.assert_allclose(row["kl_per_dimension"], expected, rtol=1e-5)
        np.testing.assert_allclose(row["val_kl_per_dimension"], expected, rtol=1e-5)
        assert [row["kl"], row["val_kl"]] == pytest.approx([expected.sum()] * 2, rel=1e-5)

    def test_of_validation_is_at_the_final_beta(self) -> None:
        (row,) = train(linear_vae(), rows(50), rows(30, seed=1), **self.STILL).history
        assert row["val_loss"] == pytest.approx(row["val_reconstruction"] + 3 * row["val_kl"], rel=1e-6)
        # Training's own loss was still warming up: four steps at beta 0, 0.375, 0.75 and 1.125.
        assert row["loss"] < row["reconstruction"] + 1.2 * row["kl"]

    def test_of_validation_has_numpys_mse(self) -> None:
        # More rows than are evaluated at once, so that parts of different sizes are put together.
        data = rows(VALIDATION_ROWS + 77, seed=1)
        model = linear_model()
        (row,) = train(model, rows(50), data, **self.STILL).history
        with torch.no_grad():
            reconstruction = model.decoder(model.encoder(data.values)).double().numpy()
        expected = np.square(reconstruction - data.values.double().numpy()).mean()
        assert row["val_mse"] == pytest.approx(expected, rel=1e-6)
        assert row["val_loss"] == pytest.approx(6 * expected + 3 * math.log(math.pi), rel=1e-6)

    def test_of_validation_meets_the_same_noise_at_each_epoch(self) -> None:
        history = train(linear_vae(), rows(50), rows(30, seed=1), **self.STILL | {"max_epochs": 3}).history
        assert len({row["val_loss"] for row in history}) == 1
        assert len({row["loss"] for row in history}) == 3

    def test_counts_epochs_and_steps(self) -> None:
        history = train(linear_model(), rows(50)).history
        assert [(row["epoch"], row["step"]) for row in history] == [(1, 4), (2, 8), (3, 12)]


def passing_model() -> tuple[AutoencoderModel, ResidentRows, ResidentRows]:
    """A model that goes from answering 0 to answering 1, and held-out rows of 0.3 that it passes on the way."""
    model = linear_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.encoder.requires_grad_(False)
    model.decoder.weight.requires_grad_(False)
    return model, ResidentRows(torch.ones(32, 6)), ResidentRows(torch.full((8, 6), 0.3))


class TestTheBestAndTheLast:
    """Kept apart: training goes on from the last, the model that comes out is the best."""

    SGD = {"optimizer": OPTIMIZERS["sgd"], "learning_rate": 0.002, "max_epochs": 40}

    def test_model_that_comes_out_is_the_best_on_the_held_out_rows(self) -> None:
        model, data, held_out = passing_model()
        trainer = train(model, data, held_out, **self.SGD)
        losses = [row["val_loss"] for row in trainer.history]
        assert 1 < trainer.best_epoch < 40 and trainer.best_epoch == 1 + int(np.argmin(losses))
        assert losses[-1] > min(losses) + 1
        errors = 6 * (model.decoder.bias - 0.3).square().mean() + 3 * math.log(math.pi)
        assert errors.item() == pytest.approx(min(losses), abs=1e-5)

    def test_last_state_stays_in_the_checkpoint(self) -> None:
        model, data, held_out = passing_model()
        snapshots: list[dict[str, np.ndarray]] = []

        class Store:
            def is_due(self) -> bool:
                return False

            def save(self, snapshot: Any) -> None:
                snapshots.append(snapshot.arrays)

        Trainer(model, data, held_out, settings(**self.SGD), store=Store()).fit()
        (arrays,) = snapshots
        assert arrays["model/decoder.bias"].mean() > 0.9
        np.testing.assert_array_equal(arrays["best/decoder.bias"], model.decoder.bias.detach())
        assert arrays["best/decoder.bias"].mean() == pytest.approx(0.3, abs=0.1)

    def test_without_held_out_rows_the_last_is_the_best(self) -> None:
        model, data, _ = passing_model()
        trainer = train(model, data, None, **self.SGD)
        assert trainer.best_epoch == 40 and model.decoder.bias.min() > 0.9

    @pytest.mark.parametrize("patience", [1, 4])
    def test_early_stopping_waits_so_many_epochs_for_a_better_one(self, patience: int) -> None:
        model, data, held_out = passing_model()
        best = train(*passing_model(), **self.SGD).best_epoch
        trainer = train(model, data, held_out, early_stopping=patience, **self.SGD)
        assert (trainer.best_epoch, trainer.epoch) == (best, best + patience)
        assert trainer.stopped_early and trainer.is_finished and len(trainer.history) == best + patience
        assert model.decoder.bias.mean().item() == pytest.approx(0.3, abs=0.1)

    def test_one_that_stopped_early_and_is_to_go_on_has_new_patience(self) -> None:
        model, data, held_out = passing_model()
        trainer = train(model, data, held_out, early_stopping=2, **self.SGD)
        stopped = len(trainer.history)
        trainer.extend(trainer.max_epochs + 20)
        trainer.fit()
        assert len(trainer.history) >= stopped + 2

    def test_early_stopping_lets_a_model_that_improves_go_on(self) -> None:
        model, data, _ = passing_model()
        trainer = train(model, data, data, early_stopping=1, **self.SGD | {"max_epochs": 6})
        assert not trainer.stopped_early and trainer.epoch == 6

    def test_comes_out_in_evaluation_mode(self) -> None:
        model, data, held_out = passing_model()
        train(model, data, held_out, **self.SGD)
        assert not model.training

    def test_divergence_leaves_the_last_good_state(self) -> None:
        model = linear_model()
        with pytest.raises(DivergenceError, match=r"Training diverged: .*(epoch|step) \d.*Lower the learning rate"):
            train(model, rows(), optimizer=OPTIMIZERS["sgd"], learning_rate=1e6, max_epochs=50)
        assert all(torch.isfinite(p).all() for p in model.parameters())


class Diary(Callback):
    """Writes down what it is told, and where training stands."""

    def __init__(self, name: str, pages: list[tuple[Any, ...]]) -> None:
        self.name, self.pages = name, pages

    def on_fit_start(self, fitting: Fitting) -> None:
        """Note the start."""
        self.pages.append((self.name, "start", fitting.epoch, fitting.step))

    def on_step_end(self, fitting: Fitting) -> None:
        """Note the step."""
        self.pages.append((self.name, "step", fitting.epoch, fitting.step))

    def on_epoch_end(self, fitting: Fitting) -> None:
        """Note the epoch."""
        self.pages.append((self.name, "epoch", fitting.epoch, len(fitting.history)))

    def on_fit_end(self, fitting: Fitting) -> None:
        """Note the end."""
        self.pages.append((self.name, "end", fitting.epoch, fitting.step))


class TestCallbacks:
    """Told of every step and epoch, in order."""

    def test_are_told_in_order(self) -> None:
        pages: list[tuple[Any, ...]] = []
        train(linear_model(), rows(30), max_epochs=2, callbacks=[Diary("a", pages), Diary("b", pages)])
        events = [("start", 0, 0), ("step", 0, 1), ("step", 0, 2), ("epoch", 1, 1)]
        events += [("step", 1, 3), ("step", 1, 4), ("epoch", 2, 2), ("end", 2, 4)]
        assert pages == [(name, *event) for event in events for name in ("a", "b")]

    def test_are_told_of_the_end_when_training_breaks_off(self) -> None:
        pages: list[tuple[Any, ...]] = []

        class Failing(Callback):
            def on_epoch_end(self, fitting: Fitting) -> None:
                raise RuntimeError("the disk is full")

        with pytest.raises(RuntimeError, match="the disk is full"):
            train(linear_model(), rows(30), callbacks=[Diary("a", pages), Failing()])
        assert [page[1] for page in pages] == ["start", "step", "step", "epoch", "end"]

    def test_see_reconstructions_by_the_weights_of_the_moment(self) -> None:
        model, data = linear_model(), rows(30)
        seen: list[tuple[np.ndarray, np.ndarray]] = []

        class Watching(Callback):
            def on_epoch_end(self, fitting: Fitting) -> None:
                with torch.no_grad():
                    expected = model.decoder(model.encoder(data.values)).numpy()
                seen.append((fitting.reconstruct(data.values.numpy()), expected))

        train(model, data, callbacks=[Watching()])
        assert len(seen) == 3 and not np.allclose(seen[0][0], seen[1][0])
        for ours, expected in seen:
            np.testing.assert_allclose(ours, expected, atol=1e-6)

    def test_do_not_change_what_is_learned(self) -> None:
        class Looking(Callback):
            def on_epoch_end(self, fitting: Fitting) -> None:
                fitting.reconstruct(rows(30).values.numpy())

        plain, watched = linear_vae(), linear_vae()
        train(plain, rows(30))
        train(watched, rows(30), callbacks=[Looking()])
        assert_same_weights(weights(plain), weights(watched), atol=0, rtol=0)


class TestThroughAnEstimator:
    """What a user sees of training."""

    SMALL = {"hidden_dims": (32,), "max_epochs": 4, "batch_size": 32, "learning_rate": 0.01, "random_state": 0}

    def test_leaves_the_global_generators_as_they_were(self) -> None:
        torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
        VAE(2, binarise="dynamic", **self.SMALL).fit(DIGITS).score_samples(DIGITS[:5])
        assert torch.equal(torch_state, torch.get_rng_state())
        np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)

    def test_does_not_depend_on_the_global_generators(self) -> None:
        codes = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            np.random.seed(seed)
            codes.append(VAE(2, **self.SMALL).fit_transform(DIGITS))
        np.testing.assert_array_equal(*codes)

    def test_another_seed_gives_another_model(self) -> None:
        codes = [Autoencoder(2, **self.SMALL | {"random_state": seed}).fit_transform(DIGITS) for seed in (0, 1)]
        assert not np.allclose(*codes)

    def test_learns(self) -> None:
        model = VAE(4, **self.SMALL | {"max_epochs": 30}).fit(DIGITS)
        mean_image = metrics.mean_image_errors(DIGITS, DIGITS).mean()
        assert metrics.mse(model.reconstruct(DIGITS), DIGITS) < 0.7 * mean_image
        assert model.history_[-1]["val_loss"] < model.history_[0]["val_loss"]

    @pytest.mark.parametrize("family", [Autoencoder, VAE])
    def test_in_bf16_is_close_to_fp32(self, family: type) -> None:
        fp32, bf16 = (family(4, precision=precision, **self.SMALL).fit(DIGITS) for precision in ("fp32", "bf16"))
        losses = [np.array([row["val_loss"] for row in model.history_]) for model in (fp32, bf16)]
        assert (losses[0] != losses[1]).all()
        np.testing.assert_allclose(losses[1], losses[0], rtol=0.01)
        np.testing.assert_allclose(bf16.reconstruct(DIGITS), fp32.reconstruct(DIGITS), atol=0.1)
        assert all(p.dtype == torch.float32 for p in bf16.model_.parameters())

    def test_keeps_the_best_epoch(self) -> None:
        model = Autoencoder(2, early_stopping=3, **self.SMALL | {"max_epochs": 12, "learning_rate": 0.05}).fit(DIGITS)
        losses = [row["val_loss"] for row in model.history_]
        assert model.best_epoch_ == 1 + int(np.argmin(losses)) and model.n_iter_ == len(losses)

    def test_trains_on_what_the_validation_leaves(self) -> None:
        model = Autoencoder(2, validation_fraction=0.25, **self.SMALL).fit(DIGITS)
        assert model.history_[0]["step"] == math.ceil(300 / 32)


def test_early_stopping_without_held_out_rows_is_refused() -> None:
    X = np.random.default_rng(0).random((40, 8))
    with pytest.raises(SettingsError, match="early_stopping needs held-out rows; of 40 rows none are held out"):
        Autoencoder(2, max_epochs=1, early_stopping=3, validation_fraction=0).fit(X)
