"""Encoders, decoders, the tied layer and the summary, against torch's own layers and the article's table."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hyotan import VAE, Autoencoder
from hyotan.errors import SettingsError
from hyotan.models import ACTIVATIONS, INITIALISATIONS
from hyotan.models.convolutional import ConvDecoder, ConvEncoder, image_shape
from hyotan.models.labelled import LabelEmbedding, LabelledDecoder
from hyotan.models.layers import TiedLinear, append_activation, initialise
from hyotan.models.mlp import mlp_decoder, mlp_encoder, tied_decoder
from hyotan.models.summary import Summary, summarise
from hyotan.recipes import read


def tied_pair(latent: int = 3, features: int = 7) -> tuple[nn.Linear, TiedLinear]:
    """A layer and the one that shares its weight."""
    torch.manual_seed(0)
    source = nn.Linear(features, latent)
    return source, TiedLinear(source)


def tied_network() -> nn.Sequential:
    """A fully connected autoencoder of two hidden layers, tied."""
    encoder = mlp_encoder((4, 5), (12, 8), 3, nn.Tanh)
    return nn.Sequential(encoder, tied_decoder(encoder, (4, 5), nn.Tanh))


class TestTheTiedLayer:
    """Uses another layer's weight, transposed, with a bias of its own."""

    def test_is_a_linear_layer_with_the_transposed_weight(self) -> None:
        source, tied = tied_pair()
        twin = nn.Linear(3, 7)
        with torch.no_grad():
            twin.weight.copy_(source.weight.t())
            twin.bias.copy_(tied.bias)
        z = torch.randn(2, 5, 3)
        torch.testing.assert_close(tied(z), twin(z))

    def test_gradients_of_both_uses_add_up(self) -> None:
        source, tied = tied_pair()
        twin = nn.Linear(3, 7)
        with torch.no_grad():
            twin.weight.copy_(source.weight.t())
            twin.bias.copy_(tied.bias)
        x = torch.randn(5, 7)
        both = torch.autograd.grad(tied(source(x)).square().sum(), [source.weight, tied.bias])
        first, second, bias = torch.autograd.grad(
            twin(source(x)).square().sum(), [source.weight, twin.weight, twin.bias]
        )
        torch.testing.assert_close(both[0], first + second.t())
        torch.testing.assert_close(both[1], bias)

    def test_prints_as_a_linear_layer(self) -> None:
        _, tied = tied_pair()
        assert repr(tied).removeprefix("Tied") == repr(nn.Linear(3, 7))

    def test_draws_the_shared_weight_anew_for_the_layer_that_expands(self) -> None:
        torch.manual_seed(0)
        source = nn.Linear(784, 20)
        before = source.weight.detach().clone()
        tied = TiedLinear(source)
        after = source.weight.detach()
        assert not torch.equal(before, after)
        assert before.abs().max() <= 1 / math.sqrt(784)
        # 15,680 uniform draws: the largest is within a thousandth of the bound.
        assert 0.999 / math.sqrt(20) < after.abs().max() <= 1 / math.sqrt(20)
        assert after.std().item() == pytest.approx(1 / math.sqrt(20) / math.sqrt(3), rel=0.02)
        assert 1 / math.sqrt(784) < tied.bias.abs().max() <= 1 / math.sqrt(20)

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
    def test_copies_keep_the_tie(self, duplicate: object) -> None:
        network = duplicate(tied_network())
        x = torch.randn(2, 4, 5)
        with torch.no_grad():
            before = network(x)
            for layer in network[0]:
                if isinstance(layer, nn.Linear):
                    layer.weight.mul_(0)
        linears = [layer for layer in network[0] if isinstance(layer, nn.Linear)]
        tied = [layer for layer in network[1] if isinstance(layer, TiedLinear)]
        assert [layer.source for layer in tied] == linears[::-1]
        assert not torch.equal(network(x), before)

    def test_survives_a_move_to_another_dtype(self) -> None:
        network = tied_network().double()
        assert network(torch.randn(2, 4, 5, dtype=torch.float64)).dtype == torch.float64

    def test_state_holds_each_weight_once(self) -> None:
        names = list(tied_network().state_dict())
        weights = [name for name in names if name.endswith("weight")]
        assert len(weights) == 3 and len(names) == 3 + 6

    def test_network_of_two_hidden_layers_is_the_mirror_image(self) -> None:
        network = tied_network()
        x = torch.randn(2, 4, 5)
        a, b, c = (layer for layer in network[0] if isinstance(layer, nn.Linear))
        d, e, f = (layer for layer in network[1] if isinstance(layer, TiedLinear))
        z = c(torch.tanh(b(torch.tanh(a(x.flatten(1))))))
        hidden = torch.tanh(z @ c.weight + d.bias)
        hidden = torch.tanh(hidden @ b.weight + e.bias)
        torch.testing.assert_close(network(x), (hidden @ a.weight + f.bias).reshape(2, 4, 5))


class TestATiedAutoencoder:
    """The article's: three parameter tensors instead of four."""

    X = np.random.default_rng(0).random((40, 4, 5), dtype=np.float32)

    def fitted(self, **settings: object) -> Autoencoder:
        """One epoch on noise."""
        return Autoencoder(3, tied=True, max_epochs=1, random_state=0, **settings).fit(self.X)

    def test_has_three_parameter_tensors(self) -> None:
        shapes = sorted(tuple(p.shape) for p in self.fitted(hidden_dims=()).model_.parameters())
        assert shapes == [(3,), (3, 20), (20,)]

    def test_of_two_hidden_layers_has_nine(self) -> None:
        shapes = sorted(tuple(p.shape) for p in self.fitted(hidden_dims=(12, 8)).model_.parameters())
        assert shapes == [(3,), (3, 8), (8,), (8,), (8, 12), (12,), (12,), (12, 20), (20,)]

    def test_decodes_by_the_transposed_weight_after_training(self) -> None:
        model = self.fitted(hidden_dims=(), likelihood="gaussian", scaling="none")
        weights = {name: tensor.numpy() for name, tensor in model.model_.state_dict().items()}
        (matrix,) = (tensor for tensor in weights.values() if tensor.ndim == 2)
        bias, bias_out = (next(t for t in weights.values() if t.shape == shape) for shape in [(3,), (20,)])
        expected = (self.X.reshape(40, 20) @ matrix.T + bias) @ matrix + bias_out
        np.testing.assert_allclose(model.reconstruct(self.X).reshape(40, 20), expected, atol=1e-5)

    @pytest.mark.parametrize(
        "settings",
        [{"architecture": "conv"}, {"likelihood": "gaussian-heteroscedastic"}, {"encoder": nn.Linear(20, 3)}],
        ids=["conv", "two outputs", "own encoder"],
    )
    def test_is_refused_where_there_is_nothing_to_share(self, settings: dict) -> None:
        with pytest.raises(SettingsError, match=r"tied=True shares the weights .* Choose architecture='mlp'"):
            self.fitted(**settings)


class TestConvolutions:
    """Any image size, exactly."""

    @settings(max_examples=40)
    @given(
        height=st.integers(5, 40),
        width=st.integers(5, 40),
        colours=st.integers(1, 4),
        channels=st.lists(st.integers(1, 3), max_size=4),
    )
    def test_give_back_the_size_they_got(self, height: int, width: int, colours: int, channels: list[int]) -> None:
        shape = (colours, height, width)
        encoder = ConvEncoder(shape, channels, (6,), 2, nn.ReLU)
        decoder = ConvDecoder(2, channels, (6,), shape, 1, nn.ReLU)
        with torch.no_grad():
            z = encoder(torch.zeros(2, *shape))
            assert z.shape == (2, 2)
            assert decoder(z).shape == (2, *shape)

    @pytest.mark.parametrize("shape", [(9, 13), (1, 9, 13), (3, 10, 7)], ids=str)
    @pytest.mark.parametrize("outputs", [1, 2])
    @pytest.mark.parametrize("batch", [(4,), (5, 4)], ids=["rows", "samples of rows"])
    def test_take_grey_and_colour_and_latent_samples(
        self, shape: tuple[int, ...], outputs: int, batch: tuple[int, ...]
    ) -> None:
        torch.manual_seed(0)
        decoder = ConvDecoder(3, (4, 6), (8,), shape, outputs, nn.GELU)
        z = torch.randn(*batch, 3)
        out_shape = (2, *shape) if outputs == 2 else shape
        decoded = decoder(z)
        assert decoded.shape == (*batch, *out_shape)
        last = decoder(z.reshape(-1, 3)[-1:])
        torch.testing.assert_close(decoded.reshape(-1, *out_shape)[-1:], last)

    def test_halve_the_image_at_each_layer(self) -> None:
        encoder = ConvEncoder((1, 28, 21), (4, 8), (), 2, nn.ReLU)
        shapes = []
        for layer in encoder:
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[2:])))
        encoder(torch.zeros(1, 1, 28, 21))
        assert shapes == [(14, 11), (7, 6)]

    @pytest.mark.parametrize("shape", [(9, 13), (3, 10, 7)], ids=str)
    def test_train_end_to_end(self, shape: tuple[int, ...]) -> None:
        X = np.random.default_rng(0).random((20, *shape), dtype=np.float32)
        vae = VAE(2, architecture="conv", channels=(3, 4), hidden_dims=(), n_samples=3, max_epochs=1, random_state=0)
        assert vae.fit(X).reconstruct(X).shape == X.shape

    def test_refuse_a_table_and_say_what_to_do(self) -> None:
        with pytest.raises(SettingsError, match=r"expects images; got samples of shape \(20,\).*architecture='mlp'"):
            Autoencoder(2, architecture="conv").fit(np.zeros((10, 20)))

    def test_read_a_grey_image_as_one_channel(self) -> None:
        assert image_shape((9, 13)) == (1, 9, 13) and image_shape((3, 9, 13)) == (3, 9, 13)


class TestFullyConnected:
    """Linear layers with activations between them, none at the end."""

    def test_encoder_is_the_layers_written_out(self) -> None:
        encoder = mlp_encoder((4, 5), (12, 8), 3, nn.Tanh)
        a, b, c = (layer for layer in encoder if isinstance(layer, nn.Linear))
        x = torch.randn(2, 4, 5)
        torch.testing.assert_close(encoder(x), c(torch.tanh(b(torch.tanh(a(x.flatten(1)))))))

    @pytest.mark.parametrize("batch", [(6,), (5, 6)], ids=["rows", "samples of rows"])
    @pytest.mark.parametrize("out_shape", [(20,), (4, 5), (2, 4, 5)], ids=str)
    def test_decoder_gives_the_shape_of_a_sample(self, batch: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        decoder = mlp_decoder(3, (8, 12), out_shape, nn.Tanh)
        assert decoder(torch.randn(*batch, 3)).shape == (*batch, *out_shape)

    def test_without_hidden_layers_is_one_matrix(self) -> None:
        (layer,) = mlp_encoder((20,), (), 3, nn.Tanh)
        assert layer.weight.shape == (3, 20)

    @pytest.mark.parametrize("name", ACTIVATIONS)
    def test_takes_every_activation(self, name: str) -> None:
        encoder = append_activation(mlp_encoder((6,), (5,), 2, ACTIVATIONS[name]), ACTIVATIONS[name])
        assert type(encoder[1]) is type(encoder[-1]) is type(ACTIVATIONS[name]())
        assert torch.isfinite(encoder(torch.randn(3, 6))).all()

    def test_keeps_the_network_where_no_activation_follows(self) -> None:
        encoder = mlp_encoder((6,), (), 2, nn.ReLU)
        assert append_activation(encoder, None) is encoder


class TestInitialisation:
    """By the schemes of the papers: bounds, deviations, orthogonality, zero biases."""

    @staticmethod
    def layer(name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer from 300 values to 100."""
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(300, 100))
        initialise(network, INITIALISATIONS[name])
        return network[0].weight.detach(), network[0].bias.detach()

    def test_xavier_is_uniform_within_its_bound(self) -> None:
        weight, bias = self.layer("xavier")
        bound = math.sqrt(6 / 400)
        assert 0.999 * bound < weight.abs().max() <= bound and (bias == 0).all()

    def test_kaiming_keeps_the_scale_of_rectified_inputs(self) -> None:
        weight, bias = self.layer("kaiming")
        assert weight.std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02) and (bias == 0).all()

    def test_orthogonal_is(self) -> None:
        weight, bias = self.layer("orthogonal")
        torch.testing.assert_close(weight @ weight.t(), torch.eye(100), atol=1e-5, rtol=0)
        assert (bias == 0).all()

    def test_default_is_torchs_own(self) -> None:
        weight, bias = self.layer("default")
        torch.manual_seed(0)
        own = nn.Linear(300, 100)
        assert torch.equal(weight, own.weight) and torch.equal(bias, own.bias)


class TestTheSummary:
    """The article's table, layer by layer."""

    @staticmethod
    def table() -> Summary:
        """Of the recipe, before any data are seen."""
        return Autoencoder(**read("article-ae-200").parameters).summary((28, 28))

    def test_counts_the_parameters(self) -> None:
        summary = self.table()
        assert (summary.parameters, summary.trainable) == (314_584, 314_584)
        assert [(row.layer, row.parameters) for row in summary.rows] == [
            ("Linear-1", 157_000),
            ("ReLU-2", 0),
            ("Linear-3", 157_584),
            ("Sigmoid-4", 0),
        ]

    def test_states_the_output_shapes(self) -> None:
        shapes = [row.output_shape for row in self.table().rows]
        assert shapes == [(-1, 1, 200), (-1, 1, 200), (-1, 1, 784), (-1, 1, 784)]
        assert self.table().rows[0].input_shape == (-1, 1, 784)

    def test_states_the_memory(self) -> None:
        summary = self.table()
        sizes = [summary.input_mb, summary.pass_mb, summary.parameters_mb, summary.total_mb]
        assert [f"{size:.2f}" for size in sizes] == ["0.00", "0.02", "1.20", "1.22"]

    def test_prints_them_all(self) -> None:
        text = str(self.table())
        words = ["157,000", "157,584", "Total params: 314,584", "Trainable params: 314,584"]
        words += ["Non-trainable params: 0", "[-1, 1, 200]", "[-1, 1, 784]"]
        words += ["(MB): 0.00", "(MB): 0.02", "(MB): 1.20", "(MB): 1.22"]
        assert [word for word in words if word not in text] == []

    def test_tells_frozen_parameters_apart(self) -> None:
        network = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
        network[0].requires_grad_(False)
        summary = summarise(network, (5,))
        assert (summary.parameters, summary.trainable) == (39, 15)
        assert "Non-trainable params: 24" in str(summary)

    def test_leaves_the_network_as_it_was(self) -> None:
        network = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4)).train()
        before = copy.deepcopy(network.state_dict())
        summarise(network, (5,))
        assert network.training and not network[0]._forward_hooks
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_scheme_that_was_asked_for_has_the_last_word_over_tying() -> None:
    X = np.random.default_rng(0).random((40, 8))
    tied = Autoencoder(3, hidden_dims=(), tied=True, initialisation="orthogonal", learning_rate=1e-12, max_epochs=1)
    weight = tied.fit(X).model_.encoder[0].weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(3), atol=1e-4, rtol=0)


class TestADecoderWithLabels:
    """Joins the code's hidden layer with the label's embedding."""

    @pytest.mark.parametrize(
        "outer", [nn.Sequential(nn.Linear(9, 4), nn.Tanh()), nn.LayerNorm(9)], ids=["linear", "other"]
    )
    def test_several_codes_a_label_are_decoded_as_each_would_be_alone(self, outer: nn.Module) -> None:
        torch.manual_seed(0)
        decoder = LabelledDecoder(nn.Linear(3, 5), LabelEmbedding(2, 4, nn.Tanh), outer)
        z, label = torch.randn(6, 7, 3), torch.eye(2)[torch.tensor([0, 1, 1, 0, 1, 0, 0])]
        joined = torch.cat([decoder.inner(z), decoder.embedding(label).expand(6, 7, 4)], dim=-1)
        torch.testing.assert_close(decoder(z, label), outer(joined))
