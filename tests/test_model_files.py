"""Model files: everything comes back, and nothing in a file is believed, run, or opened beside it."""

from __future__ import annotations

import json
import pickle
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hyotan import CVAE, VAE, WAE, Autoencoder, DenoisingAutoencoder, load
from hyotan.distributions import LIKELIHOODS
from hyotan.errors import ModelFileError, SettingsError, SourceNotFoundError
from hyotan.estimators.estimator import LatentEstimator
from hyotan.files import container
from hyotan.files.container import Contents
from hyotan.models import NOISES
from hyotan.training.checkpoint import json_array

DIGITS = load_digits()
IMAGES = (DIGITS.images[:48] / 16).astype(np.float32)
TABLE = DIGITS.data[:48, :20]
LABELS = DIGITS.target[:48]
SMALL: dict[str, Any] = {"latent_dim": 3, "hidden_dims": (8,), "max_epochs": 2, "random_state": 0}


class Bend(nn.Module):
    """An own layer: pickles of it need this module, model files must not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def own_encoder(outputs: int = 3, wide: int = 9) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, wide), nn.BatchNorm1d(wide), Bend(), nn.Linear(wide, outputs))


def own_decoder() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 64), Bend(), nn.Unflatten(-1, (8, 8)))


VARIANTS: dict[str, Callable[[], LatentEstimator]] = {
    "ae": lambda: Autoencoder(**SMALL),
    "tied": lambda: Autoencoder(**SMALL, tied=True, latent_activation="sigmoid"),
    "sparse": lambda: Autoencoder(**SMALL, penalty="sparse"),
    "contractive": lambda: Autoencoder(**SMALL, penalty="contractive", penalty_weight=0.5),
    "conv": lambda: Autoencoder(**SMALL, architecture="conv", channels=(2, 4)),
    "linear": lambda: Autoencoder(3, hidden_dims=(), max_epochs=2, random_state=0),
    "tanh": lambda: Autoencoder(**SMALL, output_activation="tanh", scaling="symmetric", likelihood="gaussian"),
    "binarised": lambda: Autoencoder(**SMALL, binarise="dynamic"),
    "bf16": lambda: Autoencoder(**SMALL, precision="bf16"),
    **{f"dae-{noise}": lambda noise=noise: DenoisingAutoencoder(**SMALL, noise=noise) for noise in NOISES},
    **{f"ae-{name}": lambda name=name: Autoencoder(**SMALL, likelihood=name) for name in LIKELIHOODS},
    **{f"vae-{name}": lambda name=name: VAE(**SMALL, likelihood=name) for name in LIKELIHOODS},
    "vae-softplus": lambda: VAE(**SMALL, variance="softplus", beta=4.0, beta_warmup=1.0),
    "vae-iwae": lambda: VAE(**SMALL, objective="iwae", n_samples=3),
    "vae-free-bits": lambda: VAE(**SMALL, free_bits=0.2),
    "vae-conv": lambda: VAE(**SMALL, architecture="conv", channels=(2, 4)),
    "vae-scaled": lambda: VAE(**SMALL, scaling="standard", likelihood="gaussian-shared"),
    "vae-bf16": lambda: VAE(**SMALL, precision="bf16"),
    "cvae": lambda: CVAE(**SMALL),
    "cvae-half": lambda: CVAE(**SMALL, labelled_fraction=0.5, label_dim=7),
    "cvae-rare": lambda: CVAE(**SMALL, labelled_fraction=0.1, unlabelled="none"),
    "cvae-zero": lambda: CVAE(**SMALL, labelled_fraction=0.5, unlabelled_rows="zero"),
    "cvae-conv": lambda: CVAE(**SMALL, architecture="conv", channels=(2, 4)),
    "cvae-linear": lambda: CVAE(3, hidden_dims=(), max_epochs=2, random_state=0),
    "wae": lambda: WAE(**SMALL, mmd_weight=3.0),
    "all-settings": lambda: VAE(
        **SMALL,
        activation="silu",
        initialisation="orthogonal",
        optimizer="sgd",
        learning_rate=1e-4,
        schedule="cosine",
        grad_clip=1.0,
        shuffle=False,
        early_stopping=2,
        validation_rows="last",
        verbose=0,
    ),
}
EVERY = pytest.mark.parametrize("variant", VARIANTS)

_fitted: dict[str, LatentEstimator] = {}


def fitted(variant: str) -> LatentEstimator:
    """Fitted on the images; made once, so tests must not change it."""
    if variant not in _fitted:
        _fitted[variant] = VARIANTS[variant]().fit(IMAGES, LABELS)
    return _fitted[variant]


def outputs(estimator: LatentEstimator, X: np.ndarray = IMAGES) -> dict[str, np.ndarray]:
    """Every public answer of an estimator."""
    codes = estimator.transform(X)
    answers = {
        "transform": codes,
        "inverse_transform": estimator.inverse_transform(codes[:5]),
        "reconstruct": estimator.reconstruct(X),
        "in_range": estimator.in_range(X),
        "interpolate": estimator.interpolate(X[0], X[1], steps=4),
        "sample": estimator.sample(4, random_state=1),
        "sample/prior": estimator.sample(4, random_state=1, sampler="prior", drawn=True),
        "code_log_density": estimator.code_log_density(codes[:5]),
        "sample_codes": estimator.sample_codes(4, random_state=1),
        "score_samples": estimator.score_samples(X),
        "score": np.array(estimator.score(X)),
    }
    answers |= {f"loss_samples/{name}": values for name, values in estimator.loss_samples(X, 3).items()}
    if estimator.family.probabilistic:
        answers["posterior_sample"] = estimator.posterior_sample(X, 2, random_state=1)
        answers["log_likelihood"] = estimator.log_likelihood(X[:4], 20)
    if isinstance(estimator, CVAE):
        answers["predict"], answers["predict_proba"] = estimator.predict(X), estimator.predict_proba(X)
        answers["exchange_labels"] = estimator.exchange_labels(X[:3])
        answers["sample/label"] = estimator.sample(3, random_state=0, y=estimator.classes_[1])
    return answers


def assert_same(a: LatentEstimator, b: LatentEstimator, X: np.ndarray = IMAGES) -> None:
    ours, theirs = outputs(a, X), outputs(b, X)
    assert list(ours) == list(theirs)
    for name, values in ours.items():
        assert np.array_equal(values, theirs[name]), name
        assert values.dtype == theirs[name].dtype, name


class TestRoundTrip:
    @EVERY
    def test_through_a_file_gives_the_same_bits(self, variant: str, tmp_path: Path) -> None:
        fitted(variant).save(tmp_path / "m.hyotan")
        state = torch.get_rng_state()
        loaded = load(tmp_path / "m.hyotan")
        assert torch.equal(torch.get_rng_state(), state)
        assert type(loaded) is type(fitted(variant))
        assert not loaded.model_.training
        assert_same(fitted(variant), loaded)

    @EVERY
    def test_through_a_file_keeps_settings_and_what_was_learned(self, variant: str, tmp_path: Path) -> None:
        fitted(variant).save(tmp_path / "m.hyotan")
        loaded = load(tmp_path / "m.hyotan")
        assert loaded.settings() == fitted(variant).settings()
        for name in ("history_", "n_iter_", "best_epoch_", "train_seconds_", "feature_shape_", "n_features_in_"):
            assert getattr(loaded, name) == getattr(fitted(variant), name), name
        assert (loaded.likelihood_, loaded.range_) == (fitted(variant).likelihood_, fitted(variant).range_)

    @EVERY
    def test_through_a_pickle_gives_the_same_bits(self, variant: str) -> None:
        assert_same(fitted(variant), pickle.loads(pickle.dumps(fitted(variant))))

    @pytest.mark.parametrize("make", [Autoencoder, DenoisingAutoencoder, VAE])
    def test_of_tables_keeps_the_scaling(self, make: type[LatentEstimator], tmp_path: Path) -> None:
        estimator = make(**SMALL).fit(TABLE)
        estimator.save(tmp_path / "m.hyotan")
        assert_same(estimator, load(tmp_path / "m.hyotan"), TABLE)

    def test_a_loaded_estimator_can_be_saved_and_fitted_again(self, tmp_path: Path) -> None:
        fitted("vae-softplus").save(tmp_path / "a.hyotan")
        load(tmp_path / "a.hyotan").save(tmp_path / "b.hyotan")
        assert_same(load(tmp_path / "a.hyotan"), load(tmp_path / "b.hyotan"))
        assert_same(load(tmp_path / "a.hyotan").fit(IMAGES), fitted("vae-softplus"))

    def test_a_run_folder_stands_for_its_model(self, tmp_path: Path) -> None:
        fitted("ae").save(tmp_path / "model.hyotan")
        assert_same(load(tmp_path), fitted("ae"))

    def test_tied_weights_are_stored_once_and_tied_again(self, tmp_path: Path) -> None:
        fitted("tied").save(tmp_path / "m.hyotan")
        shapes = container.read(tmp_path / "m.hyotan").shapes
        assert sum(name.startswith("model/") and name.endswith("weight") for name in shapes) == 2
        model = load(tmp_path / "m.hyotan").model_
        assert model.decoder[0].source is model.encoder[3]


class TestYourOwnModules:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> tuple[LatentEstimator, Path]:
        estimator = Autoencoder(**SMALL, encoder=own_encoder(), decoder=own_decoder()).fit(IMAGES)
        estimator.save(tmp_path / "own.hyotan")
        return estimator, tmp_path / "own.hyotan"

    def test_are_passed_to_load_and_get_their_weights(self, saved: tuple[LatentEstimator, Path]) -> None:
        estimator, path = saved
        encoder, decoder = own_encoder(), own_decoder()
        before = encoder[1].weight.clone()
        assert_same(estimator, load(path, encoder=encoder, decoder=decoder))
        assert torch.equal(encoder[1].weight, before)

    def test_of_a_vae_too_and_one_alone(self, tmp_path: Path) -> None:
        estimator = VAE(**SMALL, encoder=own_encoder(6)).fit(IMAGES)
        estimator.save(tmp_path / "own.hyotan")
        assert_same(estimator, load(tmp_path / "own.hyotan", encoder=own_encoder(6)))

    def test_are_asked_for(self, saved: tuple[LatentEstimator, Path]) -> None:
        match = r"fitted with your own encoder and decoder; .*Type: load\(path, encoder=…, decoder=…\)"
        with pytest.raises(ModelFileError, match=match):
            load(saved[1])
        with pytest.raises(ModelFileError, match=r"fitted with your own decoder; .*Type: load\(path, decoder=…\)"):
            load(saved[1], encoder=own_encoder())

    def test_must_fit_the_weights(self, saved: tuple[LatentEstimator, Path]) -> None:
        with pytest.raises(
            ModelFileError, match=r"own\.hyotan: tensor 'encoder\.1\.weight' is .*\(9, 64\), expected .*\(7, 64\)"
        ):
            load(saved[1], encoder=own_encoder(wide=7), decoder=own_decoder())

    def test_survive_a_pickle(self, saved: tuple[LatentEstimator, Path]) -> None:
        assert_same(saved[0], pickle.loads(pickle.dumps(saved[0])))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as it should be."""
    path = tmp_path_factory.mktemp("good") / "good.hyotan"
    fitted("vae-gaussian").save(path)
    return path


@pytest.fixture
def forge(good: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes the good file again with changes, every digest right."""

    def write(
        parameters: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        tensors: dict[str, np.ndarray | None] | None = None,
        kind: str | None = None,
    ) -> Path:
        contents: Contents = container.read(good)
        arrays = {name: array for name, array in {**contents.tensors, **(tensors or {})}.items() if array is not None}
        changed = {**contents.settings, **(settings or {})}
        changed["parameters"] = {**changed["parameters"], **(parameters or {})}
        changed = {name: value for name, value in changed.items() if value is not ...}
        path = tmp_path / "forged.hyotan"
        container.write(path, kind=kind or contents.kind, settings=changed, tensors=arrays)
        return path

    return write


class TestDamage:
    @pytest.mark.parametrize("share", np.linspace(0.001, 0.999, 40).round(3))
    def test_of_a_single_byte_is_noticed(self, good: Path, tmp_path: Path, share: float) -> None:
        blob = bytearray(good.read_bytes())
        blob[int(share * len(blob))] ^= 0x20
        (tmp_path / "flipped.hyotan").write_bytes(blob)
        with pytest.raises(ModelFileError, match=r"flipped\.hyotan"):
            load(tmp_path / "flipped.hyotan")

    def test_of_a_tensor_names_it(self, good: Path, tmp_path: Path) -> None:
        blob = bytearray(good.read_bytes())
        weights = fitted("vae-gaussian").model_.encoder[1].weight.detach().numpy().tobytes()
        blob[blob.index(weights) + 7] ^= 1
        (tmp_path / "flipped.hyotan").write_bytes(blob)
        with pytest.raises(
            ModelFileError, match=r"flipped\.hyotan is damaged: the bytes of 'model/encoder\.1\.weight'"
        ):
            load(tmp_path / "flipped.hyotan")

    @pytest.mark.parametrize("keep", [0, 1, 7, 8, 60, 500, 5000, -1])
    def test_by_cutting_off_the_end_is_noticed(self, good: Path, tmp_path: Path, keep: int) -> None:
        (tmp_path / "cut.hyotan").write_bytes(good.read_bytes()[:keep])
        with pytest.raises(ModelFileError, match=r"cut\.hyotan"):
            load(tmp_path / "cut.hyotan")

    def test_by_an_appended_byte_is_noticed(self, good: Path, tmp_path: Path) -> None:
        (tmp_path / "long.hyotan").write_bytes(good.read_bytes() + b"\0")
        with pytest.raises(ModelFileError, match=r"long\.hyotan is damaged.*something was appended"):
            load(tmp_path / "long.hyotan")


class TestForeignFiles:
    def test_pickles_are_not_opened(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple:
                return (Path.touch, (tmp_path / "sprung",))

        (tmp_path / "m.hyotan").write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ModelFileError, match=r"m\.hyotan is a pickle, not a hyotan model file; it was not opened"):
            load(tmp_path / "m.hyotan")
        torch.save({"a": Trap()}, tmp_path / "m.pt")
        with pytest.raises(ModelFileError, match=r"m\.pt is a zip archive, as torch\.save.* it was not opened"):
            load(tmp_path / "m.pt")
        assert not (tmp_path / "sprung").exists()

    def test_checkpoints_are_told_from_models(self, tmp_path: Path) -> None:
        container.write(tmp_path / "c.hyotan", kind="checkpoint", settings={}, tensors={"a": np.zeros(1)})
        with pytest.raises(
            ModelFileError, match=r"c\.hyotan holds 'checkpoint'; expected 'anomaly-detector' or 'autoencoder'"
        ):
            load(tmp_path / "c.hyotan")

    def test_of_a_newer_format_ask_for_an_upgrade(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Path
    ) -> None:
        monkeypatch.setattr(container, "FORMAT_VERSION", 2)
        fitted("ae").save(tmp_path / "new.hyotan")
        monkeypatch.undo()
        with pytest.raises(
            ModelFileError, match=r"new\.hyotan was made by hyotan .* in format 2; .*Upgrade: pip install"
        ):
            load(tmp_path / "new.hyotan")

    def test_that_are_not_there_are_missed(self, tmp_path: Path, good: Path) -> None:
        with pytest.raises(SourceNotFoundError, match=r"no file .*goood\.hyotan\. Did you mean 'good\.hyotan'\?"):
            load(good.parent / "goood.hyotan")
        with pytest.raises(SourceNotFoundError, match=r"no file .*model\.hyotan"):
            load(tmp_path)


class TestForgedSettings:
    """The digests are right, as anyone can make them: what the file says is checked all the same."""

    @pytest.mark.parametrize(
        ("parameters", "match"),
        [
            ({"latent_dmi": 3}, r"the settings are not those of a model: .*latent_dmi"),
            ({"tied": True}, r"the settings are not those of a model: .*tied"),
            ({"encoder": "os.system"}, r"the parameter 'encoder' cannot stand in a file"),
            ({"callbacks": ["print"]}, r"the parameter 'callbacks' cannot stand in a file"),
            ({"latent_dim": "3"}, r"latent_dim cannot be '3': expected an integer"),
            ({"latent_dim": -1}, r"latent_dim cannot be -1"),
            ({"latent_dim": True}, r"latent_dim cannot be True"),
            ({"hidden_dims": "os.system('x')"}, r"hidden_dims cannot be"),
            ({"activation": "__import__"}, r"activation cannot be '__import__'"),
            ({"beta": "1"}, r"beta cannot be '1'"),
            ({"architecture": "conv", "channels": [10**7]}, r"tensor 'decoder\.\S+' is (missing|not expected)"),
            ({"output_activation": "tanh", "likelihood": "zzz"}, r"likelihood cannot be 'zzz'"),
            ({"hidden_dims": [1] * 50_000}, r"the settings name more layers than the file has tensors"),
        ],
    )
    def test_of_parameters_are_named(self, forge: Callable[..., Path], parameters: dict, match: str) -> None:
        with pytest.raises(ModelFileError, match=rf"forged\.hyotan: .*{match}"):
            load(forge(parameters=parameters))

    def test_that_cannot_go_together_are_the_files_mistake(self, forge: Callable[..., Path]) -> None:
        with pytest.raises(ModelFileError, match=r"forged\.hyotan: output_activation='tanh' gives values in \[-1, 1\]"):
            load(forge(parameters={"output_activation": "tanh"}, settings={"likelihood": "bernoulli"}))
        with pytest.raises(ModelFileError, match=r"forged\.hyotan: A convolutional network expects images"):
            load(forge(parameters={"architecture": "conv"}, settings={"feature_shape": [64]}))

    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ({"likelihood": "os.system"}, r"likelihood 'os\.system' on samples of \[8, 8\] is not known"),
            (
                {"likelihood": 3},
                r"the settings are not those of a model: Expected `str`, got `int` - at `\$\.likelihood`",
            ),
            ({"feature_shape": []}, r"on samples of \[\] is not known"),
            ({"feature_shape": [8, 0]}, r"on samples of \[8, 0\] is not known"),
            ({"feature_shape": [8, -8]}, r"on samples of \[8, -8\] is not known"),
            ({"feature_shape": [8, 8.5]}, r"at `\$\.feature_shape"),
            ({"feature_shape": [10**6, 10**6, 10**6]}, r"network that cannot be built|is .*expected"),
            ({"feature_shape": [10**18] * 3}, r"network that cannot be built"),
            ({"feature_shape": [65]}, r"tensor 'encoder.* is (missing|not expected)"),
            ({"feature_names": ["a", "b"]}, r"2 names for 64 features"),
            ({"feature_names": [3]}, r"at `\$\.feature_names"),
            ({"own_modules": ["encoder"]}, r"fitted with your own encoder"),
            ({"own_modules": "encoder"}, r"at `\$\.own_modules`"),
            ({"range": [0]}, r"at `\$\.range`"),
            ({"n_iter": "2"}, r"at `\$\.n_iter`"),
            ({"n_iter": ...}, r"missing required field `n_iter`"),
            ({"parameters": {"latent_dim": None}}, r"latent_dim cannot be None"),
        ],
    )
    def test_of_the_data_are_named(self, forge: Callable[..., Path], settings: dict, match: str) -> None:
        with pytest.raises(ModelFileError, match=rf"forged\.hyotan: .*({match})"):
            load(forge(settings=settings))

    def test_of_another_kind_are_not_those_of_a_model(self, forge: Callable[..., Path]) -> None:
        with pytest.raises(
            ModelFileError, match=r"forged\.hyotan: the settings are not those of a model: .*variance|beta"
        ):
            load(forge(kind="autoencoder"))
        with pytest.raises(ModelFileError, match=r"forged\.hyotan holds 'os\.system'; expected 'anomaly-detector' or"):
            load(forge(kind="os.system"))

    @pytest.mark.parametrize(
        "parameters",
        [
            {"latent_dim": 10**9},
            {"latent_dim": 10**18},
            {"hidden_dims": [2 * 10**6]},
            {"hidden_dims": [10**5, 10**5]},
            {"hidden_dims": [10**18, 10**18]},
            {"architecture": "conv", "channels": [10**5, 10**5]},
            {"initialisation": "orthogonal", "hidden_dims": [10**5, 10**5]},
        ],
        ids=str,
    )
    def test_of_huge_networks_are_compared_before_memory_is_taken(
        self, forge: Callable[..., Path], parameters: dict
    ) -> None:
        path = forge(parameters=parameters)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ModelFileError, match=r"forged\.hyotan: (tensor '\S+' is |.*cannot be built)"):
            load(path)
        unit = 1 if sys.platform == "darwin" else 1024
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 50 * 2**20

    def test_the_callers_own_mistake_is_not_the_files(self, good: Path) -> None:
        with pytest.raises(
            SettingsError, match=r"device cannot be 'gpu': expected one of 'cpu', 'cuda', 'mps' or 'auto'"
        ):
            load(good, device="gpu")


ONE_GAUSSIAN = {
    "density/weights": np.ones(1),
    "density/means": np.zeros((1, 3)),
    "density/factors": np.eye(3)[None],
}


class TestForgedTensors:
    """The settings are good, the tensors are not theirs."""

    @pytest.mark.parametrize(
        ("tensors", "match"),
        [
            ({"model/encoder.1.weight": None}, r"tensor 'encoder\.1\.weight' is missing"),
            ({"model/encoder.9.weight": np.zeros((2, 2), np.float32)}, r"tensor 'encoder\.9\.weight' is not expected"),
            (
                {"model/encoder.1.bias": np.zeros(9, np.float32)},
                r"tensor 'encoder\.1\.bias' is .*\(9,\), expected .*\(8,\)",
            ),
            (
                {"model/encoder.1.bias": np.zeros(8)},
                r"tensor 'encoder\.1\.bias' is torch\.float64 .*expected torch\.float32",
            ),
            ({"scaling/offset": None}, r"tensor 'scaling/offset' is missing"),
            (
                {"scaling/offset": np.zeros(64)},
                r"tensor 'scaling/offset' is float64 \(64,\), expected float64 \(\) or \(8, 8",
            ),
            ({"scaling/factor": np.zeros((), np.int64)}, r"tensor 'scaling/factor' is int64 \(\), expected float64"),
            ({"codes/mean": None}, r"tensor 'codes/mean' is missing"),
            ({"codes/mean": np.zeros(4)}, r"tensor 'codes/mean' is float64 \(4,\), expected float64 \(3,\)"),
            (
                {"codes/covariance": np.zeros((3, 4))},
                r"tensor 'codes/covariance' is float64 \(3, 4\), expected float64 \(3,",
            ),
            (
                {**ONE_GAUSSIAN, "density/means": np.zeros((1, 4)), "density/factors": np.eye(4)[None]},
                r"the density of the codes cannot be used: it is of codes of size 4, the code has 3\.",
            ),
            (
                {"density/weights": None},
                r"the density of the codes cannot be used: expected weights, means, factors and perhaps groups; got",
            ),
            (
                {
                    "density/weights": np.full(1, 0.4),
                    "density/means": np.zeros((1, 3)),
                    "density/factors": np.eye(3)[None],
                },
                r"the density of the codes cannot be used: weights are not the shares of a mixture",
            ),
            (
                {**ONE_GAUSSIAN, "density/groups": np.zeros(1, np.int64)},
                r"the density of the codes cannot be used: its groups are not those of 0 classes\.",
            ),
            ({"history": None}, r"tensor 'history' is missing"),
            ({"history": np.zeros(5, np.uint8)}, r"tensor 'history' is not a history"),
            ({"history": np.full(5, 255, np.uint8)}, r"tensor 'history' is not a history"),
            (
                {"history": json_array({"epoch": 1})},
                r"tensor 'history' is not a history \(Expected `array`, got `object`",
            ),
            ({"history": np.frombuffer(b"[" * 100_000, np.uint8)}, r"tensor 'history' is not a history"),
            ({"os/system": np.zeros(1)}, r"tensor 'os/system' is not expected"),
        ],
    )
    def test_are_named(self, forge: Callable[..., Path], tensors: dict, match: str) -> None:
        with pytest.raises(ModelFileError, match=rf"forged\.hyotan: {match}"):
            load(forge(tensors=tensors))


_heard: list[tuple[str, str]] = []
_listening = False


def _listen(event: str, arguments: tuple) -> None:
    if _listening and event.split(".")[0] in (
        "open",
        "exec",
        "compile",
        "import",
        "subprocess",
        "socket",
        "os",
        "ctypes",
    ):
        _heard.append((event, str(arguments[0]) if arguments else ""))


class TestLoading:
    def test_opens_nothing_but_the_file_and_runs_no_code(self, good: Path) -> None:
        global _listening
        load(good)  # whatever is imported on first use is imported now
        sys.addaudithook(_listen)
        try:
            _listening = True
            load(good)
        finally:
            _listening = False
        assert [event for event in _heard if event[0] != "open"] == []
        assert {path for _, path in _heard} == {str(good)}

    def test_needs_no_file_of_the_settings_to_be_trusted_for_python(self, good: Path) -> None:
        description = json.dumps(container.read_settings(good).settings)
        assert not any(word in description for word in ("torch.", "nn.", "hyotan.", "import", "lambda", "<"))
