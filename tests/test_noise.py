"""What each corruption does, by its statistics."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from hyotan.errors import SettingsError
from hyotan.models import NOISES
from hyotan.models.noise import HittingNoise, Level

LOW, HIGH = -1.0, 2.0
HITTING = [name for name, noise in NOISES.items() if issubclass(noise, HittingNoise)]


def rows(n: int = 4000, shape: tuple[int, ...] = (2, 5)) -> Tensor:
    """Rows strictly inside [LOW, HIGH], all values different from 0."""
    generator = torch.Generator().manual_seed(0)
    return LOW + 0.1 + (HIGH - LOW - 0.2) * torch.rand(n, *shape, generator=generator)


def corrupted(name: str, level: Level, x: Tensor, seed: int = 1) -> Tensor:
    """The rows after one draw of the noise."""
    torch.manual_seed(seed)
    return NOISES[name](level, LOW, HIGH)(x)


def is_share(hits: Tensor, share: float) -> bool:
    """Whether so many are hit, within five standard errors."""
    return abs(hits.double().mean().item() - share) < 5 * math.sqrt(share * (1 - share) / hits.numel())


@pytest.mark.parametrize("name", NOISES)
class TestEveryNoise:
    """One contract for all of them."""

    def test_keeps_shape_and_dtype_and_leaves_its_input(self, name: str) -> None:
        x = rows(20)
        before = x.clone()
        noisy = corrupted(name, 0.5, x)
        assert noisy.shape == x.shape and noisy.dtype == x.dtype
        assert torch.equal(x, before) and not torch.equal(noisy, x)

    def test_stays_in_the_range_of_the_data(self, name: str) -> None:
        noisy = corrupted(name, 0.9, rows())
        assert noisy.min() >= LOW and noisy.max() <= HIGH

    def test_of_level_zero_changes_nothing(self, name: str) -> None:
        x = rows(20)
        assert torch.equal(corrupted(name, 0.0, x), x)

    def test_draws_from_torchs_generator(self, name: str) -> None:
        x = rows(20)
        assert torch.equal(corrupted(name, 0.5, x, seed=3), corrupted(name, 0.5, x, seed=3))
        assert not torch.equal(corrupted(name, 0.5, x, seed=3), corrupted(name, 0.5, x, seed=4))

    def test_takes_a_single_row(self, name: str) -> None:
        assert corrupted(name, 0.5, rows(1)).shape == (1, 2, 5)


class TestGaussianNoise:
    """Adds N(0, level²), clipped."""

    def test_has_its_deviation_where_nothing_is_clipped(self) -> None:
        x = torch.full((4000, 10), 0.5)
        added = corrupted("gaussian", 0.2, x) - x
        assert stats.kstest(added.flatten().numpy(), stats.norm(0, 0.2).cdf).pvalue > 1e-3

    def test_clips_what_leaves_the_range(self) -> None:
        noisy = corrupted("gaussian", 1.0, torch.full((4000, 10), HIGH))
        assert is_share(noisy == HIGH, 0.5)
        assert is_share(noisy == LOW, stats.norm.sf(3))


class TestMaskingNoise:
    """Sets a share of the values to 0."""

    @pytest.mark.parametrize("level", [0.1, 0.3, 0.8])
    def test_hits_its_share_and_leaves_the_rest(self, level: float) -> None:
        x = rows()
        noisy = corrupted("masking", level, x)
        assert is_share(noisy == 0, level)
        assert ((noisy == 0) | (noisy == x)).all()

    def test_of_level_one_masks_everything(self) -> None:
        assert (corrupted("masking", 1.0, rows(20)) == 0).all()


class TestSaltAndPepperNoise:
    """Sets a share of the values to the lowest or the highest, half each."""

    @pytest.mark.parametrize("level", [0.1, 0.3, 0.8])
    def test_hits_half_its_share_at_each_end(self, level: float) -> None:
        x = rows()
        noisy = corrupted("salt-and-pepper", level, x)
        assert is_share(noisy == LOW, level / 2) and is_share(noisy == HIGH, level / 2)
        assert ((noisy == LOW) | (noisy == HIGH) | (noisy == x)).all()

    def test_of_level_one_leaves_nothing(self) -> None:
        noisy = corrupted("salt-and-pepper", 1.0, rows(200))
        assert ((noisy == LOW) | (noisy == HIGH)).all()


class TestSwapNoise:
    """Replaces a share of the values by those of other rows, column by column."""

    @pytest.mark.parametrize("level", [0.1, 0.3, 0.8])
    def test_hits_its_share(self, level: float) -> None:
        x = rows()
        # One value in 4,000 is swapped with itself.
        assert is_share(corrupted("swap", level, x) != x, level * (1 - 1 / 4000))

    def test_takes_each_value_from_its_own_column(self) -> None:
        x = rows(60).flatten(1)
        noisy = corrupted("swap", 0.7, x)
        for column in range(x.shape[1]):
            others = x[:, [other for other in range(x.shape[1]) if other != column]]
            assert torch.isin(noisy[:, column], x[:, column]).all()
            assert not torch.isin(noisy[:, column], others).any()

    def test_keeps_the_distribution_of_each_column(self) -> None:
        x = rows() * torch.linspace(0.1, 0.9, 5)
        noisy = corrupted("swap", 0.5, x)
        for a, b in zip(x.flatten(1).T, noisy.flatten(1).T, strict=True):
            assert stats.ks_2samp(a.numpy(), b.numpy()).pvalue > 1e-3

    def test_breaks_what_ties_columns_together(self) -> None:
        x = rows()[:, 0, :1].repeat(1, 2)
        noisy = corrupted("swap", 1.0, x)
        assert abs(stats.pearsonr(*noisy.T.numpy()).statistic) < 0.1


@pytest.mark.parametrize("name", NOISES)
class TestOfARange:
    """Each row draws its own level."""

    def test_gives_each_row_a_level_between_the_ends(self, name: str) -> None:
        x = rows(3000, (40,)) + 5.0  # so that no clipping to [low, high] hides how much was added
        torch.manual_seed(0)
        noisy = NOISES[name]((0.2, 0.6), LOW, HIGH + 100)(x)
        levels = (noisy != x).double().mean(dim=1) if name in HITTING else (noisy - x).std(dim=1)
        spread = levels.std().item()
        assert levels.mean().item() == pytest.approx(0.4, abs=0.02)
        assert spread > 0.4 / math.sqrt(12)  # that of the levels, and of chance within a row
        assert spread < 0.17

    def test_of_one_point_is_that_level(self, name: str) -> None:
        x = rows(20)
        torch.manual_seed(1)
        torch.rand(20, 1)  # the rows' levels
        expected = NOISES[name](0.3, LOW, HIGH)(x)
        assert torch.equal(corrupted(name, (0.3, 0.3), x), expected)


@pytest.mark.parametrize("name", HITTING)
def test_a_share_above_1_is_refused(name: str) -> None:
    for level in (1.5, (0.5, 1.5)):
        with pytest.raises(SettingsError, match="noise_level cannot be 1.5: for this noise it is the share of values"):
            NOISES[name](level, 0.0, 1.0)
