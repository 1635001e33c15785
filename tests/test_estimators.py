"""One contract over all estimators: scikit-learn's own checks, and what they leave out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from hyotan import CVAE, VAE, Autoencoder, DenoisingAutoencoder, load
from hyotan.errors import DataError, DivergenceError, SettingsError
from hyotan.estimators import ESTIMATORS
from hyotan.estimators.estimator import LatentEstimator
from hyotan.models.inference import BATCH_ROWS as CHUNK
from hyotan.sampling.code_sampler import SAMPLERS

DIGITS = load_digits()
IMAGES = (DIGITS.images[:200] / 16).astype(np.float32)
TABLE = DIGITS.data[:200]
COLOURED = np.random.default_rng(0).random((60, 3, 9, 7)).astype(np.float32)
CONV: dict[str, Any] = {"architecture": "conv", "channels": (4, 8), "hidden_dims": (16,)}
DATA: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "table": (TABLE, {}),
    "narrow": (TABLE[:, 20:33], {"hidden_dims": (7,)}),  # widths at which rows begin anywhere in memory
    "images": (IMAGES, {}),
    "conv": (IMAGES, CONV),
    "colour": (COLOURED, {}),
    "conv-colour": (COLOURED, CONV),
}
SMALL: dict[str, Any] = {"latent_dim": 3, "hidden_dims": (24,), "max_epochs": 2, "random_state": 0}

EVERY = pytest.mark.parametrize("family", ESTIMATORS.values(), ids=ESTIMATORS.keys())
VAES_AND_AES = pytest.mark.parametrize("family", [Autoencoder, VAE], ids=["ae", "vae"])

_fitted: dict[tuple[type, str], LatentEstimator] = {}


def labels(X: np.ndarray) -> np.ndarray:
    """Labels for rows, every third of them unknown; models without labels make nothing of them."""
    return np.where(np.arange(len(X)) % 3 == 0, -1, np.resize(DIGITS.target, len(X)))


def fitted(family: type[LatentEstimator], data: str = "images") -> LatentEstimator:
    """A small estimator fitted on one of DATA; made once, so tests must not change it."""
    if (family, data) not in _fitted:
        X, settings = DATA[data]
        _fitted[family, data] = family(**{**SMALL, **settings}).fit(X, labels(X))
    return _fitted[family, data]


def named(estimator: LatentEstimator, X: np.ndarray) -> dict[str, np.ndarray]:
    """The labels by which a model that needs them decodes rows: those that it predicts."""
    return {"y": estimator.predict(X)} if isinstance(estimator, CVAE) else {}


def weights(estimator: LatentEstimator) -> dict[str, torch.Tensor]:
    return estimator.model_.state_dict()


def same_weights(a: LatentEstimator, b: LatentEstimator) -> bool:
    return all(torch.equal(tensor, weights(b)[name]) for name, tensor in weights(a).items())


def check_all(estimator: LatentEstimator) -> None:
    results = check_estimator(estimator, on_fail="raise")
    counts = {status: sum(r["status"] == status for r in results) for status in ("passed", "failed", "xfail")}
    assert counts["passed"] >= 40
    assert (counts["failed"], counts["xfail"]) == (0, 0)


@EVERY
class TestScikitLearn:
    def test_finds_nothing_wrong(self, family: type[LatentEstimator]) -> None:
        check_all(family(max_epochs=3))

    @pytest.mark.slow
    def test_finds_nothing_wrong_with_the_plain_defaults(self, family: type[LatentEstimator]) -> None:
        check_all(family())

    def test_clones_and_sets_parameters(self, family: type[LatentEstimator]) -> None:
        copy = clone(
            family(latent_dim=5, hidden_dims=[8]).set_params(beta=2.0) if family.family.probabilistic else family(5)
        )
        assert copy.latent_dim == 5
        assert not hasattr(copy, "model_")
        assert copy.set_params(latent_dim=2, activation="relu").get_params()["activation"] == "relu"
        with pytest.raises(ValueError, match="Invalid parameter 'latent'"):
            copy.set_params(latent=3)

    def test_runs_it_in_a_pipeline_there_and_back(self, family: type[LatentEstimator]) -> None:
        pipeline = make_pipeline(StandardScaler(), family(**SMALL))
        codes = pipeline.fit_transform(TABLE, labels(TABLE))
        assert codes.shape == (200, 3)
        assert np.array_equal(codes, pipeline.transform(TABLE))
        assert pipeline.inverse_transform(codes).shape == TABLE.shape
        assert pipeline.score(TABLE) == pipeline[-1].score(pipeline[:-1].transform(TABLE))

    def test_searches_over_it(self, family: type[LatentEstimator]) -> None:
        search = GridSearchCV(family(**SMALL), {"latent_dim": [1, 4]}, cv=2).fit(TABLE, labels(TABLE))
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.best_params_["latent_dim"] == 4

    def test_takes_its_codes_as_a_frame(self, family: type[LatentEstimator]) -> None:
        estimator = clone(fitted(family)).set_output(transform="pandas").fit(IMAGES, labels(IMAGES))
        name = family.__name__.lower()
        frame = estimator.transform(IMAGES)
        assert list(frame.columns) == [f"{name}0", f"{name}1", f"{name}2"] == list(estimator.get_feature_names_out())
        assert np.array_equal(frame.to_numpy(), fitted(family).transform(IMAGES))
        assert np.array_equal(estimator.reconstruct(IMAGES), fitted(family).reconstruct(IMAGES))
        assert estimator.interpolate(IMAGES[0], IMAGES[1], steps=3).shape == (3, 8, 8)

    def test_shows_it_as_html(self, family: type[LatentEstimator]) -> None:
        assert family.__name__ in family()._repr_html_()
        assert "latent_dim" in fitted(family)._repr_html_()

    @pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples", "score", "in_range"])
    def test_hears_that_it_is_not_fitted(self, family: type[LatentEstimator], method: str) -> None:
        with pytest.raises(NotFittedError, match=f"This {family.__name__} instance is not fitted yet"):
            getattr(family(), method)(IMAGES)
        for call in (
            family().sample,
            lambda: family().inverse_transform(np.zeros((1, 16))),
            lambda: family().save("x"),
        ):
            with pytest.raises(NotFittedError, match="is not fitted yet"):
                call()


@EVERY
class TestEveryRow:
    @pytest.mark.parametrize("data", DATA)
    @pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples", "in_range"])
    def test_has_the_same_bits_in_any_company(self, family: type[LatentEstimator], data: str, method: str) -> None:
        X, call = DATA[data][0], getattr(fitted(family, data), method)
        whole = call(X)
        for part in (slice(0, 1), slice(3, 7), slice(5, 22), slice(0, 33), slice(len(X) - 1, None)):
            assert np.array_equal(call(X[part]), whole[part]), part

    def test_has_the_same_bits_as_a_decoded_code(self, family: type[LatentEstimator]) -> None:
        codes = np.random.default_rng(1).normal(size=(90, 3))
        whole = fitted(family).inverse_transform(codes)
        for part in (slice(0, 1), slice(3, 7), slice(40, 90)):
            assert np.array_equal(fitted(family).inverse_transform(codes[part]), whole[part]), part

    def test_has_the_same_bits_beyond_the_first_chunk(self, family: type[LatentEstimator]) -> None:
        X = np.resize(IMAGES, (CHUNK + 5, 8, 8))
        whole = fitted(family).transform(X)
        assert np.array_equal(whole[-7:], fitted(family).transform(X[-7:]))
        assert np.array_equal(whole[:200], fitted(family).transform(IMAGES))

    @pytest.mark.slow
    @pytest.mark.parametrize("data", DATA)
    @pytest.mark.parametrize("hidden", [(), (25,), (33, 7), (256,)], ids=str)
    def test_has_the_same_bits_wherever_a_window_is_cut(
        self, family: type[LatentEstimator], data: str, hidden: tuple[int, ...]
    ) -> None:
        X, settings = DATA[data]
        estimator = family(**{**SMALL, **settings, "hidden_dims": hidden}).fit(X, labels(X))
        X = np.resize(X, (300, *X.shape[1:]))
        windows = [slice(start, start + size) for size in (1, 2, 16, 33, 100) for start in range(0, 300, 67)]
        for call in (estimator.transform, estimator.score_samples, estimator.reconstruct):
            whole = call(X)
            assert [part for part in windows if not np.array_equal(call(X[part]), whole[part])] == []


@EVERY
class TestTheCode:
    @pytest.mark.parametrize("data", DATA)
    def test_has_the_shapes_that_the_data_had(self, family: type[LatentEstimator], data: str) -> None:
        X, estimator = DATA[data][0], fitted(family, data)
        codes, back = estimator.transform(X), estimator.reconstruct(X)
        assert (codes.shape, codes.dtype) == ((len(X), 3), np.float32)
        assert (back.shape, back.dtype) == (X.shape, np.float32)
        assert estimator.score_samples(X).shape == (len(X),)
        assert estimator.sample(5, random_state=0).shape == (5, *X.shape[1:])
        assert (estimator.feature_shape_, estimator.n_features_in_) == (X.shape[1:], X[0].size)

    @pytest.mark.parametrize("data", DATA)
    def test_is_decoded_to_the_reconstruction(self, family: type[LatentEstimator], data: str) -> None:
        X, estimator = DATA[data][0], fitted(family, data)
        assert np.array_equal(estimator.transform(X), estimator.transform(X))
        known = named(estimator, X)
        codes = estimator.transform(X, **known)
        assert np.array_equal(estimator.inverse_transform(codes, **known), estimator.reconstruct(X))

    def test_is_walked_from_one_reconstruction_to_the_other(self, family: type[LatentEstimator]) -> None:
        estimator = fitted(family)
        assert np.array_equal(estimator.interpolate(*IMAGES[:2], steps=5)[[0, -1]], estimator.reconstruct(IMAGES[:2]))
        known = {"y": 3} if isinstance(estimator, CVAE) else {}
        walk = estimator.interpolate(IMAGES[0], IMAGES[1], steps=5, **known)
        codes = estimator.transform(IMAGES[:2], **known)
        middle = estimator.inverse_transform(codes.mean(axis=0, keepdims=True), **known)
        np.testing.assert_allclose(walk[2], middle[0], atol=1e-6)
        assert len(estimator.interpolate(IMAGES[0], IMAGES[1])) == 11

    def test_says_what_it_cannot_walk_or_draw(self, family: type[LatentEstimator]) -> None:
        estimator = fitted(family)
        with pytest.raises(DataError, match=r"a has shape \(8, 8\), b \(4, 8\); expected two samples of one shape"):
            estimator.interpolate(IMAGES[0], IMAGES[1, :4])
        with pytest.raises(SettingsError, match=r"steps cannot be 0\. Expected an integer of at least 1"):
            estimator.interpolate(IMAGES[0], IMAGES[1], steps=0)
        for n in (0, -1, 1.5, "3"):
            with pytest.raises(SettingsError, match=rf"n_samples cannot be {n!r}\. Expected an integer of at least 1"):
                estimator.sample(n)

    def test_is_drawn_from_the_random_state_alone(self, family: type[LatentEstimator]) -> None:
        estimator = fitted(family)
        first = estimator.sample(4, random_state=1)
        assert np.array_equal(first, estimator.sample(4, random_state=1))
        assert np.array_equal(first, estimator.sample(4, random_state=np.random.RandomState(1)))
        assert not np.array_equal(first, estimator.sample(4, random_state=2))
        known = {"y": 3} if isinstance(estimator, CVAE) else {}
        codes = estimator.sample_codes(4, random_state=1, **known)
        drawn = estimator.sample(4, random_state=1, **known)
        assert np.array_equal(drawn, estimator.inverse_transform(codes, **known))

    @pytest.mark.parametrize("sampler", SAMPLERS)
    def test_is_drawn_where_codes_are_expected(self, family: type[LatentEstimator], sampler: str) -> None:
        estimator = fitted(family)
        drawn = estimator.sample_codes(20_000, random_state=0, sampler=sampler)
        mean, covariance = np.zeros(3), np.eye(3)
        if sampler == "density" or not family.family.prior:  # an autoencoder has no prior, but a Gaussian
            is_vae = estimator.family.probabilistic
            codes = estimator.posterior_sample(IMAGES, random_state=0)[0] if is_vae else estimator.transform(IMAGES)
            mean, covariance = codes.mean(axis=0), np.cov(codes.T)
        deviation = np.sqrt(np.diag(covariance))
        assert np.all(np.abs(drawn.mean(axis=0) - mean) < 0.15 * deviation)
        assert np.all(np.abs(np.cov(drawn.T) - covariance) < 0.2 * np.outer(deviation, deviation))

    def test_scores_rows_and_means_of_them_alike(self, family: type[LatentEstimator]) -> None:
        estimator = fitted(family)
        scores = estimator.score_samples(IMAGES)
        assert estimator.score(IMAGES) == pytest.approx(scores.mean(dtype=np.float64), rel=1e-12)
        noisy = np.random.default_rng(0).permuted(IMAGES.reshape(200, -1), axis=1).reshape(IMAGES.shape)
        assert estimator.score(noisy) < estimator.score(IMAGES)  # higher is more like the training data


@EVERY
class TestTheSeed:
    def test_gives_the_same_bits_twice_and_others_for_another(self, family: type[LatentEstimator]) -> None:
        again, other = (
            clone(fitted(family)).fit(IMAGES, labels(IMAGES)),
            clone(fitted(family)).set_params(random_state=1).fit(IMAGES, labels(IMAGES)),
        )
        assert same_weights(again, fitted(family))
        assert [row["loss"] for row in again.history_] == [row["loss"] for row in fitted(family).history_]
        assert not same_weights(other, again)

    def test_gives_the_same_bits_when_one_object_is_fitted_again(self, family: type[LatentEstimator]) -> None:
        estimator = clone(fitted(family)).fit(IMAGES[:50], labels(IMAGES[:50])).fit(IMAGES, labels(IMAGES))
        assert same_weights(estimator, fitted(family))

    def test_leaves_the_global_generators_alone(self, family: type[LatentEstimator]) -> None:
        def states() -> list[object]:  # not Python's own: the tests' checks of shapes draw from that
            numpy = np.random.get_state(legacy=False)["state"]
            return [torch.get_rng_state().tolist(), numpy["key"].tolist(), numpy["pos"]]

        before = states()
        estimator = clone(fitted(family)).set_params(binarise="dynamic").fit(IMAGES[:60], labels(IMAGES[:60]))
        estimator.sample(3, random_state=0)
        estimator.score_samples(IMAGES)
        estimator.loss_samples(IMAGES)
        assert states() == before

    def test_none_draws_from_numpys_as_scikit_learn_does(self, family: type[LatentEstimator]) -> None:
        def fit() -> LatentEstimator:
            np.random.seed(5)
            return family(**{**SMALL, "max_epochs": 1, "random_state": None}).fit(IMAGES[:40], labels(IMAGES[:40]))

        assert same_weights(fit(), fit())


class TestAgainstNumpy:
    def test_the_posterior_is_what_the_encoder_says(self) -> None:
        vae = VAE(latent_dim=2, hidden_dims=(), max_epochs=3, random_state=0).fit(TABLE)
        weight, bias = (weights(vae)[f"encoder.0.{name}"].numpy() for name in ("weight", "bias"))
        mean, log_variance = np.split(vae.in_range(TABLE) @ weight.T + bias, 2, axis=1)
        np.testing.assert_allclose(vae.transform(TABLE), mean, atol=1e-5)
        draws = vae.posterior_sample(TABLE[:20], n_samples=8000, random_state=0)
        deviation = np.exp(log_variance[:20] / 2)
        assert draws.shape == (8000, 20, 2)
        assert np.all(np.abs(draws.mean(axis=0) - mean[:20]) < 5 * deviation / np.sqrt(8000))
        np.testing.assert_allclose(draws.std(axis=0), deviation, rtol=0.05)
        assert np.array_equal(draws, vae.posterior_sample(TABLE[:20], 8000, random_state=0))

    @pytest.mark.parametrize("scale", [0.5, 1.0])
    def test_a_gaussian_score_is_the_density_at_the_reconstruction(self, scale: float) -> None:
        ae = Autoencoder(**SMALL, likelihood="gaussian", likelihood_scale=scale).fit(TABLE)
        error = np.square(
            ae.in_range(TABLE)
            - (ae.reconstruct(TABLE) - ae.preprocessor_.scaling.offset) * ae.preprocessor_.scaling.factor
        )
        expected = -0.5 * error.sum(axis=1) / scale**2 - 64 * np.log(scale * np.sqrt(2 * np.pi))
        np.testing.assert_allclose(ae.score_samples(TABLE), expected, rtol=1e-4)

    def test_a_bernoulli_score_is_the_cross_entropy_at_the_reconstruction(self) -> None:
        ae = fitted(Autoencoder)
        x, p = IMAGES.astype(np.float64), ae.reconstruct(IMAGES).astype(np.float64)
        expected = (x * np.log(p) + (1 - x) * np.log1p(-p)).sum(axis=(1, 2))
        np.testing.assert_allclose(ae.score_samples(IMAGES), expected, rtol=1e-4)

    def test_a_linear_autoencoder_finds_what_pca_finds(self) -> None:
        ae = Autoencoder(4, hidden_dims=(), max_epochs=200, scaling="none", likelihood="gaussian", weight_decay=0)
        ae.set_params(validation_fraction=0, random_state=0, learning_rate=0.02).fit(IMAGES)
        flat = IMAGES.reshape(200, -1)
        centred = flat - flat.mean(axis=0)
        left_over = np.square(np.linalg.svd(centred, compute_uv=False)[4:]).sum() / flat.size
        mse = np.square(ae.reconstruct(IMAGES) - IMAGES).mean()
        assert left_over < mse < 1.05 * left_over

    def test_the_kept_weights_are_those_of_the_best_epoch(self) -> None:
        estimator = Autoencoder(4, hidden_dims=(128,), max_epochs=40, learning_rate=0.02, random_state=0)
        estimator.set_params(schedule="constant", likelihood="gaussian").fit(TABLE[:60])
        held_out = [row["val_loss"] for row in estimator.history_]
        assert estimator.best_epoch_ == 1 + int(np.argmin(held_out)) < 40
        stopped = clone(estimator).set_params(max_epochs=estimator.best_epoch_).fit(TABLE[:60])
        assert same_weights(stopped, estimator)

    def test_early_stopping_ends_so_many_epochs_after_the_best(self) -> None:
        estimator = Autoencoder(4, hidden_dims=(128,), max_epochs=200, learning_rate=0.02, random_state=0)
        estimator.set_params(schedule="constant", likelihood="gaussian", early_stopping=3).fit(TABLE[:60])
        assert estimator.n_iter_ == estimator.best_epoch_ + 3 == len(estimator.history_) < 200

    def test_the_history_holds_the_terms_in_nats(self) -> None:
        row = fitted(VAE).history_[-1]
        assert row["loss"] == pytest.approx(row["reconstruction"] + row["kl"], rel=1e-6)
        assert row["val_loss"] == pytest.approx(row["val_reconstruction"] + row["val_kl"], rel=1e-6)
        assert sum(row["val_kl_per_dimension"]) == pytest.approx(row["val_kl"])
        assert {"epoch", "step", "active_units", "val_mse", "learning_rate", "seconds"} <= set(row)
        assert "kl" not in fitted(Autoencoder).history_[-1]


def own_modules(outputs: int) -> tuple[nn.Module, nn.Module]:
    """An encoder with batch normalisation and dropout, and a decoder, for images of 8 × 8 and a code of 3."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, outputs)
    )
    return encoder, nn.Sequential(nn.Linear(3, 64), nn.Unflatten(-1, (8, 8)))


@VAES_AND_AES
class TestYourOwnModules:
    def outputs(self, family: type) -> int:
        return 6 if family is VAE else 3

    def test_are_trained_as_copies_and_stay_as_they_were(self, family: type[LatentEstimator]) -> None:
        encoder, decoder = own_modules(self.outputs(family))
        before = [{name: t.clone() for name, t in m.state_dict().items()} for m in (encoder, decoder)]
        estimator = family(**SMALL, encoder=encoder, decoder=decoder).fit(IMAGES)
        for module, state in zip((encoder, decoder), before, strict=True):
            assert module.training
            assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())
        assert not torch.equal(weights(estimator)["encoder.1.weight"], encoder[1].weight)
        assert not estimator.model_.training

    def test_give_each_row_its_own_result_though_they_normalise_batches(self, family: type[LatentEstimator]) -> None:
        encoder, decoder = own_modules(self.outputs(family))
        estimator = family(**SMALL, encoder=encoder, decoder=decoder).fit(IMAGES)
        assert np.array_equal(estimator.transform(IMAGES)[3:7], estimator.transform(IMAGES[3:7]))
        assert np.array_equal(estimator.transform(IMAGES), estimator.transform(IMAGES))

    def test_can_be_one_of_the_two(self, family: type[LatentEstimator]) -> None:
        encoder, decoder = own_modules(self.outputs(family))
        assert family(**SMALL, encoder=encoder).fit(IMAGES).reconstruct(IMAGES).shape == IMAGES.shape
        assert family(**SMALL, decoder=decoder).fit(IMAGES).reconstruct(IMAGES).shape == IMAGES.shape

    def test_are_cloned_with_the_estimator(self, family: type[LatentEstimator]) -> None:
        encoder, _ = own_modules(self.outputs(family))
        copy = clone(family(encoder=encoder))
        assert copy.encoder is not encoder
        assert torch.equal(copy.encoder[1].weight, encoder[1].weight)

    def test_are_told_which_shapes_they_must_have(self, family: type[LatentEstimator]) -> None:
        encoder, decoder = own_modules(5)
        n = self.outputs(family)
        with pytest.raises(SettingsError, match=rf"Your encoder gives \(2, 5\).*expected \(2, {n}\).*2 \* latent_dim"):
            family(**SMALL, encoder=encoder).fit(IMAGES)
        with pytest.raises(SettingsError, match=r"Your decoder gives \(2, 8, 8\).*expected \(2, 2, 8, 8\)"):
            family(**SMALL, decoder=decoder, likelihood="gaussian-heteroscedastic").fit(IMAGES)
        with pytest.raises(SettingsError, match=r"Your encoder cannot take samples of shape \(8, 8\).*It must map"):
            family(**SMALL, encoder=nn.Linear(64, n)).fit(IMAGES)

    @pytest.mark.parametrize("wrong", ["net", 3, lambda x: x], ids=["text", "number", "function"])
    def test_must_be_modules(self, family: type[LatentEstimator], wrong: object) -> None:
        with pytest.raises(SettingsError, match=r"decoder cannot be .*: expected an nn\.Module or None"):
            family(**SMALL, decoder=wrong).fit(IMAGES)

    def test_with_batch_normalisation_are_refused_batches_of_one_row(self, family: type[LatentEstimator]) -> None:
        encoder, _ = own_modules(self.outputs(family))
        with pytest.raises(SettingsError, match=r"'encoder\.2' normalises over the batch, .* \(1 to train on, batch_"):
            family(**SMALL, encoder=encoder).fit(IMAGES[:1])
        with pytest.raises(SettingsError, match=r"batches hold 1 row \(180 to train on, batch_size 1\)\. Pass more"):
            family(**SMALL, encoder=encoder, batch_size=1).fit(IMAGES)


class NotANumberAt(nn.Module):
    """A linear layer that yields NaN in its k-th training step: in the output, or only in the gradient."""

    def __init__(self, step: int, in_gradient: bool, outputs: int) -> None:
        super().__init__()
        self.layer, self.step, self.in_gradient, self.taken = nn.Linear(64, outputs), step, in_gradient, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.layer(x)
        if not self.training:
            return z
        self.taken += 1
        if self.taken == self.step and self.in_gradient:
            z.register_hook(lambda gradient: gradient * float("nan"))
        return z * float("nan") if self.taken == self.step and not self.in_gradient else z


@VAES_AND_AES
class TestDivergence:
    STEPS = 5
    """Steps an epoch: 40 rows, 8 a batch."""

    def poisoned(self, family: type[LatentEstimator], step: int, in_gradient: bool = False) -> LatentEstimator:
        torch.manual_seed(1)
        encoder = NotANumberAt(step, in_gradient, 6 if family is VAE else 3)
        estimator = family(3, hidden_dims=(8,), max_epochs=3, batch_size=8, random_state=0, schedule="constant")
        return estimator.set_params(encoder=encoder, validation_fraction=0, learning_rate=1e-3)

    @pytest.mark.parametrize("step", [1, 4, 5, 6, 9, 15])
    def test_in_the_loss_is_named_with_step_epoch_and_rate(self, family: type[LatentEstimator], step: int) -> None:
        estimator = self.poisoned(family, step)
        place = (
            rf"the loss became nan at step {step} \(epoch {(step - 1) // 5 + 1}, batch of 8 rows, learning rate 0\.001"
        )
        with pytest.raises(
            DivergenceError, match=place + r"\)\. The last good state is kept\. Lower the learning rate"
        ):
            estimator.fit(TABLE[:40])
        assert all(torch.isfinite(tensor).all() for tensor in weights(estimator).values())
        assert len(estimator.history_) == (step - 1) // 5

    @pytest.mark.parametrize("step", [1, 3, 5, 7, 10, 15])
    def test_in_a_gradient_is_noticed_even_in_the_last_step(self, family: type[LatentEstimator], step: int) -> None:
        estimator = self.poisoned(family, step, in_gradient=True)
        told = rf"weights became NaN or infinite by step {step} |the loss became nan at step {step + 1} "
        with pytest.raises(DivergenceError, match=told):
            estimator.fit(TABLE[:40])
        assert all(torch.isfinite(tensor).all() for tensor in weights(estimator).values())
        assert len(estimator.history_) == (step - 1) // 5

    def test_keeps_the_weights_of_the_epoch_before(self, family: type[LatentEstimator]) -> None:
        estimator = self.poisoned(family, self.STEPS + 3)
        with pytest.raises(DivergenceError, match="epoch 2"):
            estimator.fit(TABLE[:40])
        assert same_weights(estimator, self.poisoned(family, 0).set_params(max_epochs=1).fit(TABLE[:40]))

    def test_keeps_the_first_weights_where_no_epoch_was_done(self, family: type[LatentEstimator]) -> None:
        estimator = self.poisoned(family, 2, in_gradient=True)
        with pytest.raises(DivergenceError, match="epoch 1"):
            estimator.fit(TABLE[:40])
        assert torch.equal(weights(estimator)["encoder.layer.weight"], estimator.encoder.layer.weight)

    def test_follows_a_learning_rate_of_a_million(self, family: type[LatentEstimator]) -> None:
        estimator = family(3, max_epochs=60, random_state=0, learning_rate=1e6, likelihood="gaussian")
        with pytest.raises(DivergenceError, match=r"at step \d+ \(epoch \d+, .*Lower the learning rate \(now 1e\+06\)"):
            estimator.fit(TABLE)
        assert all(torch.isfinite(tensor).all() for tensor in weights(estimator).values())


class TestNoWarnings:
    @EVERY
    def test_come_from_fitting_and_using(self, family: type[LatentEstimator]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            estimator = family(**SMALL).fit(IMAGES, labels(IMAGES))
            estimator.reconstruct(IMAGES)
            estimator.score(IMAGES)
            estimator.sample(2, random_state=0)

    def test_noise_is_on_by_default_only_where_the_name_says_so(self) -> None:
        assert [family().get_params().get("noise") for family in (Autoencoder, DenoisingAutoencoder)] == [
            None,
            "gaussian",
        ]


def test_a_random_state_can_be_a_generator_as_scikit_learn_allows(tmp_path: Path) -> None:
    one, two = (
        Autoencoder(2, max_epochs=1, random_state=np.random.RandomState(3)).fit(TABLE, labels(TABLE)).transform(TABLE)
        for _ in range(2)
    )
    assert (one == two).all()
    Autoencoder(2, max_epochs=1, random_state=np.random.RandomState(3)).fit(TABLE, labels(TABLE)).save(
        tmp_path / "model.hyotan"
    )
    assert load(tmp_path / "model.hyotan").random_state is None
