"""Ordered codes: prefixes against PCA, against brute force, and against models of each size."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

from hyotan import VAE, Autoencoder, DenoisingAutoencoder, load
from hyotan.errors import DataError, SettingsError
from hyotan.estimators.build import training_settings
from hyotan.estimators.estimator import LatentEstimator
from hyotan.models.mlp import mlp_decoder, mlp_encoder
from hyotan.models.ordered import Cuts, OrderedDecoder, ReadinDecoder, ReadoutEncoder

DIGITS = (load_digits().images / 16).astype(np.float32)
SMALL: dict[str, Any] = {"latent_dim": 5, "hidden_dims": (24, 16), "max_epochs": 2, "random_state": 0, "ordered": True}
CASES: dict[str, tuple[type[LatentEstimator], dict[str, Any]]] = {
    "ae": (Autoencoder, {}),
    "ae tied": (Autoencoder, {"tied": True}),
    "ae conv": (Autoencoder, {"architecture": "conv", "channels": (4, 8)}),
    "ae contractive": (Autoencoder, {"penalty": "contractive", "latent_activation": "tanh"}),
    "ae two outputs": (Autoencoder, {"likelihood": "gaussian-heteroscedastic"}),
    "dae": (DenoisingAutoencoder, {}),
    "vae": (VAE, {"n_samples": 3}),
    "vae conv": (VAE, {"architecture": "conv", "channels": (4, 8), "n_samples": 2}),
    "vae iwae": (VAE, {"objective": "iwae", "n_samples": 3}),
}
_fitted: dict[str, LatentEstimator] = {}


def fitted(name: str) -> LatentEstimator:
    """Each case, fitted once on 300 digits."""
    if name not in _fitted:
        family, settings = CASES[name]
        _fitted[name] = family(**SMALL | settings).fit(DIGITS[:300])
    return _fitted[name]


@pytest.mark.parametrize("name", CASES)
class TestEveryOrderedCode:
    def test_is_cut_by_taking_its_first_values(self, name: str) -> None:
        estimator, X = fitted(name), DIGITS[300:320]
        codes = estimator.transform(X)
        assert codes.shape == (20, 5)
        for size in range(1, 6):
            assert np.array_equal(estimator.reconstruct(X, size=size), estimator.inverse_transform(codes[:, :size]))
        assert np.array_equal(estimator.reconstruct(X, size=5), estimator.reconstruct(X))
        assert not np.array_equal(estimator.reconstruct(X, size=1), estimator.reconstruct(X))

    def test_does_not_look_beyond_the_cut(self, name: str) -> None:
        model = fitted(name).model_
        z, size = torch.randn(30, 5), torch.arange(30) % 5 + 1
        other = torch.where(torch.arange(5) < size[:, None], z, 100 * torch.randn(30, 5))
        with torch.no_grad():
            together = model.decode_prefix(z, size).mean
            assert torch.equal(together, model.decode_prefix(other, size).mean)
            for k in range(1, 6):
                rows = size == k
                torch.testing.assert_close(together[rows], model.decode(z[rows][:, :k]).mean)

    def test_has_an_error_for_each_size(self, name: str) -> None:
        estimator, X = fitted(name), DIGITS[300:420]
        errors = estimator.reconstruction_errors_by_size(X)
        scaled = estimator.in_range(X)
        decoded = [estimator.preprocessor_.to_model(estimator.reconstruct(X, size=k)) for k in range(1, 6)]
        expected = [np.square(rows - scaled, dtype=np.float64).mean() for rows in decoded]
        assert errors.shape == (5,)
        np.testing.assert_allclose(errors, expected, rtol=1e-5)

    def test_comes_back_from_its_file(self, name: str, tmp_path: Path) -> None:
        estimator, X = fitted(name), DIGITS[300:320]
        estimator.save(tmp_path / "model.hyotan")
        back = load(tmp_path / "model.hyotan")
        assert back.get_params()["ordered"] is True
        assert np.array_equal(back.reconstruct(X, size=2), estimator.reconstruct(X, size=2))

    def test_trains_every_weight_on_prefixes_and_reports_the_whole_code(self, name: str) -> None:
        family, settings = CASES[name]
        model = family(**SMALL | settings | {"max_epochs": 1}).fit(DIGITS[:100]).model_.train()
        x = torch.from_numpy(fitted(name).in_range(DIGITS[:64]))
        torch.manual_seed(0)
        model.objective(x).loss.mean().backward()
        assert [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
        if name not in ("dae", "vae", "vae conv", "vae iwae"):
            with torch.no_grad():
                terms = model.eval().objective(x)
                torch.testing.assert_close(terms.reconstruction, -model.decode(terms.code).log_prob(x))


@functools.cache
def gaussian_rows() -> np.ndarray:
    """Rows whose principal components have clearly different variances."""
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    return (rng.normal(size=(1000, 9)) * [3, 2.4, 1.9, 1.5, 0.5, 0.4, 0.3, 0.2, 0.1]) @ mixing + rng.normal(size=9)


@functools.cache
def linear(ordered: bool) -> Autoencoder:
    """An autoencoder without hidden layers, fitted on them."""
    settings: dict[str, Any] = {"hidden_dims": (), "likelihood": "gaussian", "scaling": "none", "weight_decay": 0}
    schedule: dict[str, Any] = {"max_epochs": 150, "learning_rate": 0.02, "batch_size": 64, "random_state": 0}
    return Autoencoder(4, ordered=ordered, validation_fraction=0, **settings, **schedule).fit(gaussian_rows())


class TestAgainstPrincipalComponents:
    """A linear ordered autoencoder finds the principal components, each in its place (Rippel et al. 2014)."""

    def test_has_their_errors_at_every_size(self) -> None:
        rows = gaussian_rows()
        pca, errors = PCA(4).fit(rows), linear(ordered=True).reconstruction_errors_by_size(rows)
        for size in range(1, 5):
            kept = (rows - pca.mean_) @ pca.components_[:size].T @ pca.components_[:size] + pca.mean_
            assert errors[size - 1] == pytest.approx(np.square(rows - kept).mean(), rel=0.03)

    def test_has_them_in_their_order(self) -> None:
        scores, codes = PCA(4).fit_transform(gaussian_rows()), linear(ordered=True).transform(gaussian_rows())
        for size in range(1, 5):  # the first values span what the first components span
            known = np.c_[codes[:, :size], np.ones(len(codes))]
            left = scores[:, :size] - known @ np.linalg.lstsq(known, scores[:, :size], rcond=None)[0]
            assert (left.var(0) / scores[:, :size].var(0)).max() < 0.02

    def test_has_them_in_no_order_without_being_asked(self) -> None:
        first = PCA(1).fit_transform(gaussian_rows())[:, 0]
        ordered, plain = (linear(ordered).transform(gaussian_rows())[:, 0] for ordered in (True, False))
        assert abs(np.corrcoef(ordered, first)[0, 1]) > 0.99 > abs(np.corrcoef(plain, first)[0, 1])


class FixedCuts(Cuts):
    """Cuts that a test knows: two a row."""

    def draw(self, n: int, device: torch.device) -> torch.Tensor:
        """Sizes 1, 2, … 5, 1, … and the other way round, (2, n)."""
        sizes = torch.arange(n) % self.latent_dim + 1
        return torch.stack([sizes, self.latent_dim + 1 - sizes])


class TestTheLoss:
    """Row by row and cut by cut, from the model's parts and SciPy's densities."""

    def parts(self, name: str, beta: float = 0.7) -> tuple[Any, torch.Tensor, np.ndarray]:
        model = type(fitted(name).model_).__new__(type(fitted(name).model_))
        model.__dict__.update(fitted(name).model_.__dict__)
        model.cuts = FixedCuts(5)
        if isinstance(fitted(name), VAE):
            model.beta = beta
        x = torch.from_numpy(fitted(name).in_range(DIGITS[:7]))
        return model, x, model.cuts.draw(7, torch.device("cpu")).numpy()

    def test_of_an_autoencoder_is_the_mean_over_its_prefixes(self) -> None:
        model, x, sizes = self.parts("ae")
        with torch.no_grad():
            loss, code = model.objective(x).loss, model.code(x)
            for row in range(7):
                of_cuts = [-model.decode(code[row : row + 1, :k]).log_prob(x[row : row + 1]) for k in sizes[:, row]]
                assert loss[row] == pytest.approx(float(sum(of_cuts)) / 2, rel=1e-5)

    def posterior_and_draws(
        self, model: Any, x: torch.Tensor, samples: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        q = model.posterior(x)
        torch.manual_seed(5)
        z = q.rsample(torch.Size([samples]))
        return q.mean.double().numpy(), q.stddev.double().numpy(), z.double().numpy()

    def test_of_a_vae_counts_the_divergence_of_the_prefix_alone(self) -> None:
        model, x, sizes = self.parts("vae")
        with torch.no_grad():
            mean, deviation, z = self.posterior_and_draws(model, x, 3)
            kl = 0.5 * (mean**2 + deviation**2 - 1) - np.log(deviation)
            torch.manual_seed(5)
            terms = model.objective(x)
            for row in range(7):
                bounds = []
                for k in sizes[:, row]:
                    drawn = torch.from_numpy(z[:, row, :k]).float()
                    error = -model.decode(drawn).log_prob(x[row]).double().mean()
                    bounds.append(float(error) + 0.7 * kl[row, :k].sum())
                assert float(terms.loss[row]) == pytest.approx(np.mean(bounds), rel=1e-5)
        np.testing.assert_allclose(terms.kl, kl, rtol=1e-4, atol=1e-6)

    def test_of_an_importance_weighted_vae_weighs_the_prefix_alone(self) -> None:
        model, x, sizes = self.parts("vae iwae")
        with torch.no_grad():
            mean, deviation, z = self.posterior_and_draws(model, x, 3)
            torch.manual_seed(5)
            loss = model.objective(x).loss
            for row in range(7):
                bounds = []
                for k in sizes[:, row]:
                    prior = stats.norm.logpdf(z[:, row, :k]).sum(1)
                    posterior = stats.norm.logpdf(z[:, row, :k], mean[row, :k], deviation[row, :k]).sum(1)
                    drawn = torch.from_numpy(z[:, row, :k]).float()
                    log_w = model.decode(drawn).log_prob(x[row]).double().numpy() + prior - posterior
                    bounds.append(-np.log(np.exp(log_w - log_w.max()).mean()) - log_w.max())
                assert float(loss[row]) == pytest.approx(np.mean(bounds), rel=1e-5)


class TestTheCuts:
    def test_are_drawn_as_often_as_they_say(self) -> None:
        cuts = Cuts(12)
        shares = cuts.probabilities().numpy()
        torch.manual_seed(1)
        drawn = np.stack([cuts.draw(128, torch.device("cpu")).numpy() for _ in range(200)])
        assert drawn.shape == (200, 2, 128)
        counts = np.array([np.bincount(step.ravel(), minlength=13)[1:] for step in drawn])
        assert shares.sum() == pytest.approx(1)
        assert (np.abs(counts - 256 * shares) <= 1).all()  # in every batch, to one
        np.testing.assert_allclose(counts.mean(0), 256 * shares, atol=0.2)

    def test_fall_on_any_row(self) -> None:
        torch.manual_seed(1)
        drawn = np.concatenate([Cuts(4).draw(8, torch.device("cpu")).numpy() for _ in range(500)])
        assert drawn.std(0).min() > 0.9 * drawn.std(0).max() > 0

    def test_of_one_value_are_whole(self) -> None:
        assert torch.equal(Cuts(1).draw(3, torch.device("cpu")), torch.ones(2, 3, dtype=torch.int64))


def test_training_is_a_little_longer_and_faster_by_default() -> None:
    plain, ordered = (training_settings(Autoencoder(ordered=o).settings(), 54_000, 0) for o in (False, True))
    assert (plain.max_epochs, plain.learning_rate) == (15, 0.004)
    assert (ordered.max_epochs, ordered.learning_rate) == (17, pytest.approx(0.006))
    given = Autoencoder(ordered=True, max_epochs=7, learning_rate=0.01).settings()
    assert (training_settings(given, 54_000, 0).max_epochs, training_settings(given, 54_000, 0).learning_rate) == (
        7,
        0.01,
    )


class TestTheNetworks:
    def test_decoder_is_told_the_size_beside_the_values(self) -> None:
        decoder = OrderedDecoder(nn.Identity(), 3)
        z = torch.tensor([[7.0, 8.0, 9.0]])
        assert decoder(z, torch.tensor([2])).tolist() == [[7, 8, 0, 1, 1, 0]]
        assert decoder(z[:, :1]).tolist() == [[7, 0, 0, 1, 0, 0]]
        assert decoder(z).tolist() == [[7, 8, 9, 1, 1, 1]]
        assert OrderedDecoder(nn.Identity(), 3, is_told=False)(z[:, :2]).tolist() == [[7, 8, 0]]

    def test_decoder_takes_any_leading_dimensions(self) -> None:
        decoder = OrderedDecoder(nn.Linear(6, 4), 3)
        z, size = torch.randn(5, 2, 3), torch.tensor([1, 3])
        out = decoder(z, size)
        assert out.shape == (5, 2, 4)
        torch.testing.assert_close(out[:, 0], decoder(z[:, 0, :1]))
        assert decoder(z, torch.ones(4, 1, 1, dtype=torch.int64)).shape == (4, 5, 2, 4)

    def test_encoder_reads_every_layers_input(self) -> None:
        torch.manual_seed(0)
        encoder = ReadoutEncoder(mlp_encoder((2, 3), (5, 4), 3, nn.Tanh))
        x = torch.randn(8, 2, 3)
        flat, first, _, second, _, last = encoder.layers
        hidden = torch.tanh(first(flat(x)))
        from_input, from_hidden = encoder.readouts
        expected = last(torch.tanh(second(hidden))) + flat(x) @ from_input.weight.T + hidden @ from_hidden.weight.T
        torch.testing.assert_close(encoder(x), expected)

    def test_decoder_reads_the_code_at_every_hidden_layer(self) -> None:
        torch.manual_seed(0)
        decoder = ReadinDecoder(mlp_decoder(3, (4, 5), (2, 3), nn.Tanh))
        z = torch.randn(8, 3)
        first, _, second, _, last, unflatten = decoder.layers
        (at_second,) = decoder.readins
        hidden = torch.tanh(second(torch.tanh(first(z))) + z @ at_second.weight.T)
        torch.testing.assert_close(decoder(z), unflatten(last(hidden)))

    def test_your_own_ones_see_zeros_beyond_the_cut(self) -> None:
        seen: list[torch.Tensor] = []

        class Decoder(nn.Linear):
            def forward(self, input: torch.Tensor) -> torch.Tensor:
                seen.append(input.detach())
                return super().forward(input)

        own = {"encoder": nn.Linear(64, 3), "decoder": Decoder(3, 64)}
        estimator = Autoencoder(3, ordered=True, **own, max_epochs=1, random_state=0).fit(DIGITS[:100].reshape(-1, 64))
        seen.clear()
        estimator.reconstruct(DIGITS[:4].reshape(-1, 64), size=1)
        assert (seen[0][:4, 0] != 0).all() and (seen[0][:, 1:] == 0).all()


class TestMistakes:
    @pytest.mark.parametrize("size", [0, -1, 6, 2.5, True, "3"])
    def test_a_size_that_is_none(self, size: Any) -> None:
        with pytest.raises(
            SettingsError, match=r"size cannot be .*\. Expected an integer from 1 to 5, the code's size\."
        ):
            fitted("ae").reconstruct(DIGITS[:2], size=size)

    @pytest.mark.parametrize("family", [Autoencoder, VAE])
    def test_a_code_that_cannot_be_cut(self, family: type[LatentEstimator]) -> None:
        plain = family(3, max_epochs=1, random_state=0).fit(DIGITS[:100])
        match = (
            rf"size=2 needs an ordered code; the code of this {family.__name__} cannot be cut\. Fit it with ordered="
        )
        with pytest.raises(SettingsError, match=match):
            plain.reconstruct(DIGITS[:2], size=2)
        with pytest.raises(SettingsError, match=r"The error of each size needs an ordered code"):
            plain.reconstruction_errors_by_size(DIGITS[:2])
        with pytest.raises(DataError, match=r"Z has shape \(1, 2\); expected \(n, 3\): one code of size 3 a row\."):
            plain.inverse_transform(np.zeros((1, 2)))

    @pytest.mark.parametrize("shape", [(2, 0), (2, 6), (0, 3), (3,)])
    def test_codes_of_no_size_that_there_is(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(DataError, match=r"expected \(n, k\): the first k values of a code a row, 1 to 5\."):
            fitted("ae").inverse_transform(np.zeros(shape))


@pytest.mark.slow
def test_one_training_stands_for_all_sizes() -> None:
    """On digits, held out: no prefix is far worse than a model of its own size, and each value helps."""
    train, test = DIGITS[:1500], DIGITS[1500:]
    ordered = Autoencoder(16, ordered=True, max_epochs=60, random_state=0).fit(train)
    errors = ordered.reconstruction_errors_by_size(test)
    assert (np.diff(errors) < 0.02 * errors[1:]).all()
    for size in (2, 8, 16):
        alone = Autoencoder(size, max_epochs=40, random_state=0).fit(train)
        scaled, decoded = alone.reconstruct_in_range(test)
        assert errors[size - 1] < 1.5 * np.square(decoded - scaled).mean()


@pytest.mark.parametrize("family", [Autoencoder, VAE])
def test_scikit_learn_finds_nothing_wrong(family: type[LatentEstimator]) -> None:
    from sklearn.utils.estimator_checks import check_estimator

    results = check_estimator(family(ordered=True, max_epochs=2), on_fail="raise")
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "passed" for result in results) >= 40
