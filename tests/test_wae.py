"""The Wasserstein autoencoder: its MMD against the article's formula written out, and what its codes look like."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from hyotan import WAE, Autoencoder, load
from hyotan.errors import SettingsError
from hyotan.models.wae import SCALES, mmd_by_row

DIGITS = load_digits().images / 16


def normal(n: int, latent: int, seed: int, deviation: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return deviation * torch.randn(n, latent, generator=generator, dtype=torch.float64)


def mmd(codes: torch.Tensor, prior: torch.Tensor) -> float:
    return float(mmd_by_row(codes, prior).mean())


def article_s(z: np.ndarray, p: np.ndarray) -> float:
    """Algorithm 2 of Tolstikhin et al. 2018 by its indices, without the weight."""
    n, latent = z.shape

    def k(a: np.ndarray, b: np.ndarray) -> float:
        widths = [2 * latent * scale for scale in SCALES]
        return sum(width / (width + float(((a - b) ** 2).sum())) for width in widths)

    pairs = [(i, j) for i in range(n) for j in range(n)]
    within = sum(k(p[i], p[j]) + k(z[i], z[j]) for i, j in pairs if i != j)
    return within / (n * (n - 1)) - 2 / n**2 * sum(k(p[i], z[j]) for i, j in pairs)


class TestTheMMD:
    @pytest.mark.parametrize(("n", "latent"), [(2, 1), (5, 3), (16, 8)])
    def test_is_the_article_s_formula(self, n: int, latent: int) -> None:
        codes, prior = normal(n, latent, 0, 3.0), normal(n, latent, 1)
        assert mmd(codes, prior) == pytest.approx(article_s(codes.numpy(), prior.numpy()), rel=1e-10)

    def test_is_zero_on_average_where_codes_follow_the_prior(self) -> None:
        values = np.array([mmd(normal(8, 4, 2 * seed), normal(8, 4, 2 * seed + 1)) for seed in range(2000)])
        assert abs(values.mean()) < 4 * values.std() / 2000**0.5
        assert (values < 0).any()  # unbiased, not a distance

    def test_grows_with_the_distance_from_the_prior(self) -> None:
        prior = normal(200, 4, 1)
        values = [mmd(normal(200, 4, 0, deviation), prior) for deviation in (1.0, 1.5, 3.0, 10.0)]
        shifted = [mmd(normal(200, 4, 0) + shift, prior) for shift in (0.0, 0.5, 1.0, 4.0)]
        assert values == sorted(values) and shifted == sorted(shifted)
        assert max(*values, *shifted) < 2 * len(SCALES)

    def test_has_the_gradient_of_finite_differences(self) -> None:
        codes, prior = normal(5, 3, 0).requires_grad_(), normal(5, 3, 1)
        assert torch.autograd.gradcheck(lambda z: mmd_by_row(z, prior), codes)

    def test_of_models_of_a_stack_is_that_of_each(self) -> None:
        codes, prior = normal(12, 3, 0).view(3, 4, 3), normal(12, 3, 1).view(3, 4, 3)
        each = torch.stack([mmd_by_row(z, p) for z, p in zip(codes, prior, strict=True)])
        torch.testing.assert_close(mmd_by_row(codes, prior), each)

    def test_of_a_single_row_is_zero(self) -> None:
        codes = normal(1, 3, 0).requires_grad_()
        mmd_by_row(codes, normal(1, 3, 1)).sum().backward()
        assert codes.grad is not None and not codes.grad.any()

    def test_is_precise_under_bfloat16(self) -> None:
        codes, prior = normal(32, 4, 0, 20.0).float(), normal(32, 4, 1).float()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = mmd_by_row(codes, prior)
        torch.testing.assert_close(low, mmd_by_row(codes, prior))


@pytest.fixture(scope="module")
def fitted() -> WAE:
    return WAE(latent_dim=4, hidden_dims=(64,), max_epochs=20, random_state=0).fit(DIGITS)


class TestTheModel:
    def test_loss_is_the_reconstruction_plus_the_weighted_mmd(self, fitted: WAE) -> None:
        terms = fitted.loss_samples(DIGITS[:50], random_state=3)
        torch.manual_seed(3)
        codes = torch.from_numpy(fitted.transform(DIGITS[:50]))
        expected = article_s(codes.numpy(), torch.randn(50, 4).numpy())
        assert (terms["loss"] - terms["reconstruction"]).mean() == pytest.approx(10 * expected, rel=1e-3, abs=1e-3)

    def test_codes_follow_the_prior_and_rows_come_back_as_an_autoencoder_s_do(self, fitted: WAE) -> None:
        plain = Autoencoder(latent_dim=4, hidden_dims=(64,), max_epochs=20, random_state=0).fit(DIGITS)
        sizes = [float(np.square(np.cov(one.transform(DIGITS).T) - np.eye(4)).sum()) for one in (fitted, plain)]
        assert sizes[0] < 1 < sizes[1]
        assert np.abs(fitted.transform(DIGITS).mean(axis=0)).max() < 0.3
        errors = [float(np.square(one.reconstruct(DIGITS) - DIGITS).mean()) for one in (fitted, plain)]
        assert errors[0] < 1.15 * errors[1]

    def test_prior_is_standard_normal(self, fitted: WAE) -> None:
        codes = fitted.sample_codes(20_000, random_state=0, sampler="prior")
        np.testing.assert_allclose(np.cov(codes.T), np.eye(4), atol=0.05)
        assert fitted.sample(3, random_state=0, sampler="prior").shape == (3, 8, 8)

    def test_same_seed_gives_the_same_bits_also_after_saving(self, fitted: WAE, tmp_path) -> None:
        again = WAE(latent_dim=4, hidden_dims=(64,), max_epochs=20, random_state=0).fit(DIGITS)
        fitted.save(tmp_path / "wae.hyotan")
        for other in (again, load(tmp_path / "wae.hyotan")):
            assert np.array_equal(other.transform(DIGITS), fitted.transform(DIGITS))
            assert np.array_equal(other.sample(3, 1, sampler="prior"), fitted.sample(3, 1, sampler="prior"))

    def test_without_a_weight_is_an_autoencoder(self) -> None:
        settings = {"latent_dim": 2, "hidden_dims": (8,), "max_epochs": 2, "shuffle": False, "random_state": 0}
        here, there = WAE(mmd_weight=0, **settings).fit(DIGITS), Autoencoder(**settings).fit(DIGITS)
        assert np.array_equal(here.transform(DIGITS), there.transform(DIGITS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mmd_weight": -1}, r"mmd_weight cannot be -1: expected a number of at least 0"),
        ({"mmd_weight": "auto"}, r"mmd_weight cannot be 'auto': .* the default is 10\.0"),
    ],
)
def test_mistakes_are_named(settings: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        WAE(**settings).fit(DIGITS[:20])


def test_other_families_have_no_such_weight() -> None:
    with pytest.raises(TypeError, match="mmd_weight"):
        Autoencoder(mmd_weight=1.0)  # pyrefly: ignore[unexpected-keyword]
