"""What a training is made of: the order of the rows, batches, learning rates and optimizers, against torch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from hyotan.distributions.likelihoods import PerFeatureGaussianLikelihood
from hyotan.models.autoencoder import AutoencoderModel
from hyotan.training import OPTIMIZERS, SCHEDULES
from hyotan.training.resident import ResidentRows, batch_bounds, epoch_order


def autoencoder() -> AutoencoderModel:
    """A model with every kind of parameter: matrices, kernels, biases, gains, and a scale for each pixel."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(20, 3), nn.LayerNorm(3))
    decoder = nn.Sequential(nn.Linear(3, 20), nn.Unflatten(1, (1, 4, 5)), nn.Conv2d(1, 1, 1))
    return AutoencoderModel(encoder, decoder, PerFeatureGaussianLikelihood((4, 5), scale=0.3))


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Copies of all weights by name."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


class TestTheOrderOfTheRows:
    """A permutation that seed and epoch decide."""

    @given(n=st.integers(1, 200), seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 1000))
    def test_is_a_permutation_that_can_be_had_again(self, n: int, seed: int, epoch: int) -> None:
        order = epoch_order(n, seed, epoch)
        assert sorted(order.tolist()) == list(range(n))
        assert torch.equal(order, epoch_order(n, seed, epoch))

    def test_differs_between_epochs_and_between_seeds(self) -> None:
        orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(20) for epoch in range(20)}
        assert len(orders) == 400

    def test_puts_every_row_everywhere(self) -> None:
        first = [epoch_order(10, 3, epoch)[0].item() for epoch in range(2000)]
        counts = np.bincount(first, minlength=10)
        assert (np.abs(counts - 200) < 5 * math.sqrt(2000 * 0.1 * 0.9)).all()

    def test_leaves_torchs_generator_alone(self) -> None:
        before = torch.get_rng_state()
        epoch_order(10, 0, 0)
        assert torch.equal(before, torch.get_rng_state())


class TestTheBatches:
    """Cover every row once, and never leave one alone."""

    @given(n=st.integers(1, 300), batch_size=st.integers(2, 64))
    def test_cover_the_rows_in_order_and_leave_none_alone(self, n: int, batch_size: int) -> None:
        bounds = batch_bounds(n, batch_size)
        assert [i for start, end in bounds for i in range(start, end)] == list(range(n))
        sizes = [end - start for start, end in bounds]
        assert n == 1 or min(sizes) > 1
        assert max(sizes) <= batch_size + 1
        assert all(size == batch_size for size in sizes[:-1])

    @pytest.mark.parametrize(
        ("n", "batch_size", "bounds"),
        [(1, 4, [(0, 1)]), (4, 4, [(0, 4)]), (5, 4, [(0, 5)]), (6, 4, [(0, 4), (4, 6)]), (9, 4, [(0, 4), (4, 9)])],
    )
    def test_are_these(self, n: int, batch_size: int, bounds: list[tuple[int, int]]) -> None:
        assert batch_bounds(n, batch_size) == bounds

    def test_of_bytes_are_scaled_as_they_are_taken(self) -> None:
        values = torch.arange(256, dtype=torch.uint8).reshape(4, 64)
        taken = ResidentRows(values, offset=127.5, factor=1 / 127.5).take(torch.tensor([2, 0]))
        expected = (values[[2, 0]].double() - 127.5) / 127.5
        torch.testing.assert_close(taken, expected.float())
        assert values.dtype == torch.uint8 and values[0, 5] == 5

    def test_are_drawn_black_and_white_with_the_grey_value_as_probability(self) -> None:
        torch.manual_seed(0)
        grey = torch.linspace(0, 1, 11).repeat(1, 1)
        drawn = torch.stack([ResidentRows(grey, binarise=True).take(slice(0, 1)) for _ in range(4000)])
        assert ((drawn == 0) | (drawn == 1)).all()
        torch.testing.assert_close(drawn.mean(0), grey, atol=0.04, rtol=0)


class TestTheLearningRate:
    """Paths from the share done to a factor of the highest rate."""

    @pytest.mark.parametrize(
        ("name", "start", "third", "end"),
        [("one-cycle", 1 / 25, 1.0, 1e-4), ("cosine", 1.0, 0.79389, 1e-4), ("constant", 1.0, 1.0, 1.0)],
    )
    def test_has_these_values(self, name: str, start: float, third: float, end: float) -> None:
        values = [SCHEDULES[name](done) for done in (0.0, 0.3, 1.0)]
        assert values == pytest.approx([start, third, end], rel=1e-4)

    @given(a=st.floats(0, 1), b=st.floats(0, 1))
    def test_of_one_cycle_rises_then_falls(self, a: float, b: float) -> None:
        low, high = sorted((a, b))
        path = SCHEDULES["one-cycle"]
        if high <= 0.3:
            assert path(low) <= path(high)
        if low >= 0.3:
            assert path(low) >= path(high)

    @given(a=st.floats(0, 1), b=st.floats(0, 1))
    def test_of_the_cosine_falls(self, a: float, b: float) -> None:
        low, high = sorted((a, b))
        assert SCHEDULES["cosine"](low) >= SCHEDULES["cosine"](high)

    def test_of_one_cycle_is_torchs(self) -> None:
        # torch counts its phases in whole steps, one less than ours: the paths meet as the steps get many.
        steps = 20_000
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        theirs = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=steps, pct_start=0.3, div_factor=25, final_div_factor=400, cycle_momentum=False
        )
        rates = []
        for _ in range(steps):
            rates.append(theirs.get_last_lr()[0])
            optimizer.step()
            theirs.step() if len(rates) < steps else None
        ours = [SCHEDULES["one-cycle"](step / steps) for step in range(steps)]
        np.testing.assert_allclose(ours, rates, atol=3e-4)

    def test_of_the_cosine_is_torchs(self) -> None:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=1e-4)
        for step in range(50):
            assert SCHEDULES["cosine"](step / 50) == pytest.approx(theirs.get_last_lr()[0], rel=1e-6)
            optimizer.step()
            theirs.step()


class TestTheOptimizers:
    """What decays, and what does not."""

    @staticmethod
    def after_a_step_without_gradient(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights before and after, at a rate of 0.1 and a decay of 0.5."""
        model = autoencoder()
        before = weights(model)
        optimizer = OPTIMIZERS[name](model, 0.1, 0.5)
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        return before, weights(model)

    @pytest.mark.parametrize("name", ["adamw", "sgd"])
    def test_decay_matrices_alone(self, name: str) -> None:
        before, after = self.after_a_step_without_gradient(name)
        shrunk = {key for key in before if not torch.equal(before[key], after[key])}
        assert shrunk == {"encoder.1.weight", "decoder.0.weight", "decoder.2.weight"}
        for key in shrunk:
            torch.testing.assert_close(after[key], 0.95 * before[key])

    def test_of_plain_adam_decays_nothing(self) -> None:
        before, after = self.after_a_step_without_gradient("adam")
        torch.testing.assert_close(after, before, atol=0, rtol=0)

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_hold_every_trainable_weight_once(self, name: str) -> None:
        model = autoencoder()
        model.decoder[0].bias.requires_grad_(False)
        held = [id(p) for group in OPTIMIZERS[name](model, 0.1, 0.1).param_groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
