"""Encoders and decoders, and the blocks they are made of.

An encoder takes x of shape (batch, *features) and puts out the parameters of the code, (batch, latent) or, for a VAE,
(batch, 2 * latent): the mean, then what becomes the variance. A decoder takes z, (..., latent), and puts out the
parameters of the likelihood, (..., *features), or (..., 2, *features) where it has two a feature.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyotan.errors import SettingsError

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky-relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}

Activation = Callable[[], nn.Module]
FeatureShape = Sequence[int]


def linear_by_row(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.linear`` whose results, for a row, do not depend on the row's place in the batch.

    Where the rows' width is no multiple of 4 they begin at changing distances from the 16-byte marks of memory, and
    products with few outputs then add up in an order that depends on it. Columns of zeros put every row on a mark.
    """
    if x.shape[-1] % 4 == 0:
        return F.linear(x, weight, bias)
    missing = -x.shape[-1] % 16
    return F.linear(F.pad(x, (0, missing)), F.pad(weight, (0, missing)), bias)


class Linear(nn.Linear):
    """torch's linear layer; out of training, a row's result does not depend on the row's place in the batch."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return super().forward(input) if self.training else linear_by_row(input, self.weight, self.bias)


class TiedLinear(nn.Module):
    """A linear layer that uses another one's weight, transposed, with a bias of its own.

    Making it draws the shared weight anew, Kaiming uniform (a = √5) on the transposed weight: the layer that expands a
    small code sets the bound 1/√(code size), not the one that reads many features.

    Parameters
    ----------
    source : nn.Linear
        The layer whose (out, in) weight is shared; this layer maps ``out`` to ``in``.
    """

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = source.out_features, source.in_features
        # In a list, so not registered as a sub-module: the weight must appear once in the state and in the optimizer.
        self._source = [source]
        self.bias = nn.Parameter(torch.empty(self.out_features))
        self.reset_parameters()

    @property
    def source(self) -> nn.Linear:
        """The layer whose weight is shared."""
        return self._source[0]

    def reset_parameters(self) -> None:
        """Draw the shared weight and the bias anew."""
        nn.init.kaiming_uniform_(self.source.weight.t(), a=math.sqrt(5))
        bound = 1 / math.sqrt(self.in_features)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        weight = self.source.weight.t()
        return F.linear(z, weight, self.bias) if self.training else linear_by_row(z, weight, self.bias)

    def extra_repr(self) -> str:
        """Print as nn.Linear prints."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias=True"


def mlp_layers(sizes: Sequence[int], activation: Activation) -> list[nn.Module]:
    """Linear layers of the given sizes with an activation between each two."""
    layers: list[nn.Module] = []
    for i, (wide, narrow) in enumerate(itertools.pairwise(sizes)):
        layers += [activation()] * (i > 0) + [Linear(wide, narrow)]
    return layers


def mlp_encoder(
    feature_shape: FeatureShape, hidden_dims: Sequence[int], n_out: int, activation: Activation
) -> nn.Sequential:
    """A fully connected encoder: (batch, *features) to (batch, n_out)."""
    flatten = [nn.Flatten()] if len(feature_shape) > 1 else []
    return nn.Sequential(*flatten, *mlp_layers([math.prod(feature_shape), *hidden_dims, n_out], activation))


def mlp_decoder(
    latent_dim: int, hidden_dims: Sequence[int], out_shape: FeatureShape, activation: Activation
) -> nn.Sequential:
    """A fully connected decoder: (..., latent) to (..., *out_shape); ``hidden_dims`` from the code outwards."""
    unflatten = [nn.Unflatten(-1, tuple(out_shape))] if len(out_shape) > 1 else []
    return nn.Sequential(*mlp_layers([latent_dim, *hidden_dims, math.prod(out_shape)], activation), *unflatten)


def tied_decoder(encoder: nn.Sequential, out_shape: FeatureShape, activation: Activation) -> nn.Sequential:
    """The mirror image of a fully connected encoder, with its weights transposed."""
    linears = [layer for layer in encoder if isinstance(layer, nn.Linear)]
    layers: list[nn.Module] = []
    for i, linear in enumerate(reversed(linears)):
        layers += [activation()] * (i > 0) + [TiedLinear(linear)]
    unflatten = [nn.Unflatten(-1, tuple(out_shape))] if len(out_shape) > 1 else []
    return nn.Sequential(*layers, *unflatten)


def image_shape(feature_shape: FeatureShape) -> tuple[int, int, int]:
    """(channels, height, width) of an image's feature shape, (height, width) being one channel."""
    if len(feature_shape) == 2:
        return 1, feature_shape[0], feature_shape[1]
    if len(feature_shape) == 3:
        return feature_shape[0], feature_shape[1], feature_shape[2]
    raise SettingsError(
        f"A convolutional network expects images; got samples of shape {tuple(feature_shape)}.",
        "Pass X as (n, height, width) or (n, channels, height, width), or choose architecture='mlp'.",
    )


def halved_sizes(size: int, times: int) -> list[int]:
    """The sizes that stride-2 convolutions leave, from the image inwards: each half the last, rounded up."""
    sizes = [size]
    for _ in range(times):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


class ConvEncoder(nn.Sequential):
    """Stride-2 convolutions, then a fully connected part: (batch, *features) to (batch, n_out), any image size."""

    def __init__(
        self,
        feature_shape: FeatureShape,
        channels: Sequence[int],
        hidden_dims: Sequence[int],
        n_out: int,
        activation: Activation,
    ) -> None:
        n_channels, height, width = image_shape(feature_shape)
        layers: list[nn.Module] = [nn.Unflatten(1, (1, height))] if len(feature_shape) == 2 else []
        for narrow, wide in zip([n_channels, *channels], channels, strict=False):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), activation()]
        depth = len(channels)
        last = channels[-1] if channels else n_channels
        flat = last * halved_sizes(height, depth)[-1] * halved_sizes(width, depth)[-1]
        super().__init__(*layers, nn.Flatten(), *mlp_layers([flat, *hidden_dims, n_out], activation))


class ConvDecoder(nn.Module):
    """The mirror of :class:`ConvEncoder`: (..., latent) to (..., *out_shape); output sizes are exact for any image."""

    def __init__(
        self,
        latent_dim: int,
        channels: Sequence[int],
        hidden_dims: Sequence[int],
        feature_shape: FeatureShape,
        n_outputs: int,
        activation: Activation,
    ) -> None:
        super().__init__()
        n_channels, height, width = image_shape(feature_shape)
        depth = len(channels)
        heights, widths = halved_sizes(height, depth), halved_sizes(width, depth)
        inner = (channels[-1] if channels else n_channels * n_outputs, heights[-1], widths[-1])
        self.out_shape = (n_outputs, *feature_shape) if n_outputs > 1 else tuple(feature_shape)
        self.dense = nn.Sequential(*mlp_layers([latent_dim, *hidden_dims, math.prod(inner)], activation))
        layers: list[nn.Module] = [nn.Unflatten(1, inner)]
        outer = [n_channels * n_outputs, *channels]
        for i in reversed(range(depth)):
            # A stride-2 transposed convolution gives 2h - 1; one more row or column where the image was even.
            extra = (heights[i] - 2 * heights[i + 1] + 1, widths[i] - 2 * widths[i + 1] + 1)
            up = nn.ConvTranspose2d(outer[i + 1], outer[i], 3, stride=2, padding=1, output_padding=extra)
            layers += [activation(), up]
        self.grow = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., latent) to (..., *out_shape)."""
        hidden = self.dense(z)
        return self.grow(hidden.flatten(0, -2)).reshape(*z.shape[:-1], *self.out_shape)


def shape_with_mask(feature_shape: FeatureShape) -> tuple[int, ...]:
    """The shape of a sample that comes with a mask as large as itself: twice the columns, or the channels.

    >>> shape_with_mask((8,)), shape_with_mask((28, 28)), shape_with_mask((3, 32, 32))
    ((16,), (2, 28, 28), (6, 32, 32))
    """
    if len(feature_shape) == 2:
        return 2, *feature_shape
    return 2 * feature_shape[0], *feature_shape[1:]


class MaskedEncoder(nn.Module):
    """An encoder of samples of which some values, NaN, are not observed.

    Missing values are filled with 0, in the model's range the mean of a standardised column, and a mask says where they
    were: a value of zero and a missing value differ.  Mattei & Frellsen 2019, section 3; Nazábal et al. 2020, section
    3.1.

    Parameters
    ----------
    network : (batch, *features with mask) to (batch, n_out), see :func:`shape_with_mask`; or without the mask.
    is_told : whether the network gets the mask.
    """

    def __init__(self, network: nn.Module, is_told: bool = True) -> None:
        super().__init__()
        self.network, self.is_told = network, is_told

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, *features) to (batch, n_out)."""
        missing = x.isnan()
        filled = x.masked_fill(missing, 0.0)
        if not self.is_told:
            return self.network(filled)
        parts = (filled, (~missing).to(x.dtype))
        return self.network(torch.stack(parts, 1) if x.ndim == 3 else torch.cat(parts, 1))


class ReadoutEncoder(nn.Module):
    """An encoder whose code is read from every fully connected layer's input, not from the last hidden layer alone.

    An ordered code needs it: what the first values of the code ask of the hidden layers would leave the last values
    nothing to read.

    Parameters
    ----------
    layers : (batch, *features) to (batch, n_out); a fully connected layer is its last.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        *inner, last = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self.readouts = nn.ModuleList(Linear(layer.in_features, last.out_features, bias=False) for layer in inner)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, *features) to (batch, n_out)."""
        read, readouts = [], iter(self.readouts)
        for layer in self.layers:
            if isinstance(layer, nn.Linear) and (readout := next(readouts, None)) is not None:
                read.append(readout(x))
            x = layer(x)
        return sum(read, start=x)


class ReadinDecoder(nn.Module):
    """The mirror of :class:`ReadoutEncoder`: every hidden layer reads the code, not the first one alone.

    Parameters
    ----------
    layers : (n, n_in) to (n, *out_shape), a fully connected decoder.
    """

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        first, *later = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self.readins = nn.ModuleList(Linear(first.in_features, layer.out_features, bias=False) for layer in later[:-1])

    def forward(self, z: Tensor) -> Tensor:
        """Map (n, n_in) to (n, *out_shape)."""
        x, readins = z, iter(self.readins)
        for place, layer in enumerate(self.layers):
            x = layer(x)
            if place > 0 and isinstance(layer, nn.Linear) and (readin := next(readins, None)) is not None:
                x = x + readin(z)
        return x


def prefix_mask(size: Tensor, latent_dim: int) -> Tensor:
    """Of sizes (...), which values of a code belong to its prefix of that size: (..., latent), True or False."""
    return torch.arange(latent_dim, device=size.device) < size[..., None]


class OrderedDecoder(nn.Module):
    """A decoder whose code can be cut after any prefix: (..., k) to (..., *out_shape).  Rippel et al. 2014.

    What is cut off reads zero. A mask tells the network where the cut is: a value of zero and a missing value differ.

    Parameters
    ----------
    network : (n, 2 * latent), the code and its mask, to (n, *out_shape); (n, latent) where ``is_told`` is False.
    latent_dim : size of the whole code.
    is_told : whether the network gets the mask.
    """

    def __init__(self, network: nn.Module, latent_dim: int, is_told: bool = True) -> None:
        super().__init__()
        self.network, self.latent_dim, self.is_told = network, latent_dim, is_told

    def forward(self, z: Tensor, size: Tensor | None = None) -> Tensor:
        """Decode the first ``size`` values, (...), of codes (..., k); all k where no size is given."""
        given = z.shape[-1]
        size = torch.full(z.shape[:-1], given, device=z.device) if size is None else size
        mask = prefix_mask(size, self.latent_dim).to(z.dtype)
        z = F.pad(z, (0, self.latent_dim - given)) * mask
        told = torch.cat([z, mask.expand_as(z)], dim=-1) if self.is_told else z
        return self.network(told.flatten(0, -2)).unflatten(0, told.shape[:-1])


INITIALISATIONS: Mapping[str, Callable[[Tensor], Tensor] | None] = {
    "default": None,
    "xavier": nn.init.xavier_uniform_,
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
}


def initialise(module: nn.Module, scheme: Callable[[Tensor], Tensor] | None) -> None:
    """Draw the weights of all linear and convolutional layers anew, biases zero; None leaves torch's own draw."""
    if scheme is None:
        return
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            scheme(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, TiedLinear):
            nn.init.zeros_(layer.bias)


def is_fixed(network: nn.Module) -> bool:
    """Whether a network, put together of torch's and our layers alone, does the same operations for every batch.

    A layer of the user's own may not, and one that counts batches does not.
    """
    own = (nn.modules.batchnorm._NormBase, nn.modules.lazy.LazyModuleMixin)
    return all(
        type(layer).__module__.startswith(("torch.nn.", "hyotan.")) and not isinstance(layer, own)
        for layer in network.modules()
    )


@dataclass(frozen=True)
class SummaryRow:
    """One layer: its name with a running number, what went in, what came out (-1 is the batch), its parameters."""

    layer: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Summary:
    """What a network is made of, and how much memory one sample takes in fp32 (MB of 2**20 bytes)."""

    rows: tuple[SummaryRow, ...]
    parameters: int
    trainable: int
    input_mb: float
    pass_mb: float
    parameters_mb: float

    @property
    def total_mb(self) -> float:
        """Input, forward and backward pass, and parameters together."""
        return self.input_mb + self.pass_mb + self.parameters_mb

    def __str__(self) -> str:
        rule, thick = "-" * 74, "=" * 74
        lines = [rule, f"{'Layer (type)':24}{'Input shape':>18}{'Output shape':>18}{'Param #':>14}", thick]
        for row in self.rows:
            shapes = f"{list(row.input_shape)!s:>18}{list(row.output_shape)!s:>18}"
            lines.append(f"{row.layer:24}{shapes}{row.parameters:>14,}")
        lines += [thick, f"Total params: {self.parameters:,}", f"Trainable params: {self.trainable:,}"]
        lines += [f"Non-trainable params: {self.parameters - self.trainable:,}", rule]
        lines += [f"Input size (MB): {self.input_mb:.2f}", f"Forward/backward pass size (MB): {self.pass_mb:.2f}"]
        lines += [
            f"Params size (MB): {self.parameters_mb:.2f}",
            f"Estimated Total Size (MB): {self.total_mb:.2f}",
            rule,
        ]
        return "\n".join(lines)


def _shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Shape with -1 for the batch; a vector is written as one row, (-1, 1, d), as the field's summaries do."""
    inner = tuple(tensor.shape[1:])
    return (-1, 1, *inner) if len(inner) == 1 else (-1, *inner)


def _is_layer(module: nn.Module) -> bool:
    return not list(module.children()) and not isinstance(module, nn.Flatten | nn.Unflatten)


def summarise(network: nn.Module, feature_shape: FeatureShape) -> Summary:
    """Run one blank sample through a network and note each layer; pure reshapes get no row.

    Parameters
    ----------
    network : maps (batch, *features) to anything; it is run in evaluation mode and left as it was.
    feature_shape : shape of one sample.
    """
    rows: list[SummaryRow] = []
    elements: list[int] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        count = sum(p.numel() for p in layer.parameters())
        rows.append(
            SummaryRow(f"{type(layer).__name__}-{len(rows) + 1}", _shape_of(inputs[0]), _shape_of(output), count)
        )
        elements.append(output[0].numel())

    hooks = [layer.register_forward_hook(note) for layer in network.modules() if _is_layer(layer)]
    was_training = network.training
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *feature_shape, device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    parameters = sum(p.numel() for p in network.parameters())
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    megabytes = 4 / 2**20
    return Summary(
        rows=tuple(rows),
        parameters=parameters,
        trainable=trainable,
        input_mb=math.prod(feature_shape) * megabytes,
        pass_mb=2 * sum(elements) * megabytes,
        parameters_mb=parameters * megabytes,
    )


def append_activation(network: nn.Module, activation: Activation | None) -> nn.Module:
    """The network, followed by an activation where one is given."""
    if activation is None:
        return network
    layers = list(network) if type(network) is nn.Sequential else [network]
    return nn.Sequential(*layers, activation())


class LabelEmbedding(nn.Sequential):
    """Weights of the classes, (..., classes), to a vector, (..., size); all zero, "no label", becomes activation(0)."""

    def __init__(self, n_classes: int, size: int, activation: Activation) -> None:
        super().__init__(nn.Linear(n_classes, size, bias=False), activation())
        self.n_classes = n_classes


class LabelledEncoder(nn.Module):
    """An encoder whose last hidden layer is joined by a label: (batch, *features), (batch, classes) to (batch, n_out).

    Parameters
    ----------
    trunk : (batch, *features) to (batch, hidden).
    embedding : (batch, classes) to (batch, size).
    head : (batch, hidden + size) to (batch, n_out).
    """

    def __init__(self, trunk: nn.Module, embedding: LabelEmbedding, head: nn.Module) -> None:
        super().__init__()
        self.trunk, self.embedding, self.head = trunk, embedding, head

    def from_hidden(self, hidden: Tensor, label: Tensor) -> Tensor:
        """The parameters of the code, from what the trunk gave: one pass through it serves many labels."""
        return self.head(torch.cat([hidden, self.embedding(label)], dim=-1))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The parameters of the code, (batch, n_out); without a label where none is given."""
        hidden = self.trunk(x)
        return self.from_hidden(hidden, no_label(hidden, self.embedding) if label is None else label)


class LabelledDecoder(nn.Module):
    """A decoder whose first hidden layer is joined by a label: (..., latent), (..., classes) to (..., *out_shape).

    Parameters
    ----------
    inner : (..., latent) to (..., hidden).
    embedding : (..., classes) to (..., size).
    outer : (..., hidden + size) to (..., *out_shape).
    """

    def __init__(self, inner: nn.Module, embedding: LabelEmbedding, outer: nn.Module) -> None:
        super().__init__()
        self.inner, self.embedding, self.outer = inner, embedding, outer

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """The likelihood's parameters; without a label where none is given."""
        hidden = self.inner(z)
        embedded = self.embedding(no_label(hidden, self.embedding) if label is None else label)
        if (
            hidden.ndim > embedded.ndim
            and isinstance(self.outer, nn.Sequential)
            and isinstance(self.outer[0], nn.Linear)
        ):
            return self._joined_once(hidden, embedded, self.outer[0], self.outer[1:])
        return self.outer(torch.cat([hidden, embedded.expand(*hidden.shape[:-1], -1)], dim=-1))

    @staticmethod
    def _joined_once(hidden: Tensor, embedded: Tensor, first: nn.Linear, rest: nn.Module) -> Tensor:
        """Where several codes share a label, its part of the first product is computed once for all of them."""
        of_code, of_label = first.weight.split([hidden.shape[-1], embedded.shape[-1]], dim=1)
        return rest(nn.functional.linear(hidden, of_code) + nn.functional.linear(embedded, of_label, first.bias))


def no_label(like: Tensor, embedding: LabelEmbedding) -> Tensor:
    """Weights of the classes that say nothing, (..., classes), for values of shape (..., any)."""
    return like.new_zeros(*like.shape[:-1], embedding.n_classes)
