"""A model with a code: an encoder, a decoder and a likelihood."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from hyotan.distributions.likelihoods import Likelihood, Observed
from hyotan.models.layers import TiedLinear
from hyotan.models.noise import RandomMask
from hyotan.training.objective import StackLayout, TrainableModel


class LatentModel(TrainableModel):
    """An encoder, a decoder and a likelihood; the families add the code and the objective.

    Parameters
    ----------
    encoder : (batch, *features) to the parameters of the code.
    decoder : (..., latent) to the likelihood's parameters.
    likelihood : p(x|z).

    Attributes
    ----------
    is_ordered : whether the code can be cut after any prefix.
    samples_per_row : decoded samples of each row that :meth:`moments` holds at once.
    input_mask : hides values from the encoder in the objective, which counts them all the same; where it is not None,
        NaN in x says "not observed", and the encoder is a :class:`hyotan.models.masked.MaskedEncoder`.
    """

    is_ordered = False
    samples_per_row = 1
    outputs_per_dimension = 1
    """Numbers that the encoder puts out for each dimension of the code."""
    input_mask: RandomMask | None = None

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.likelihood: Likelihood = likelihood

    def code(self, x: Tensor) -> Tensor:
        """The deterministic code, (batch, latent)."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Distribution:
        """p(x|z) over (*features), batch shape that of z without its last dimension."""
        # Under autocast the networks give bfloat16; sums over hundreds of features need more digits.
        return self._of_what_is_observed(self.likelihood(self.decoder(z).float()))

    def decode_prefix(self, z: Tensor, size: Tensor) -> Distribution:
        """p(x|the first ``size`` values of z), of an ordered code alone; sizes (...) that z's leading ones fit.

        ``decode`` takes prefixes of one size, (..., size), as they are.
        """
        return self._of_what_is_observed(self.likelihood(self.decoder(z, size).float()))

    def seen(self, x: Tensor) -> Tensor:
        """What the encoder sees of a batch in the objective, (batch, *features)."""
        return x if self.input_mask is None else self.input_mask(x)

    def squared_errors(self, mean: Tensor, x: Tensor) -> Tensor:
        """Mean squared error a feature of each row, (batch,), over the values that are observed."""
        squares = (mean - x).square().flatten(1)
        if self.input_mask is None:
            return squares.mean(1)
        observed = (~squares.isnan()).sum(1).clamp(min=1)
        return squares.nansum(1) / observed

    def _of_what_is_observed(self, whole: Distribution) -> Distribution:
        return whole if self.input_mask is None else Observed(whole)

    def reconstruct(self, x: Tensor) -> Tensor:
        """x through the deterministic code and back, (batch, *features): the likelihood's mean."""
        return self.decode(self.code(x)).mean

    def explanation(self, x: Tensor) -> Distribution:
        """p(x|the deterministic code of x) over (*features): what :meth:`reconstruct` is the mean of."""
        return self.decode(self.code(x))

    def decode_like(self, z: Tensor, x: Tensor) -> Distribution:
        """p(x|z) over (*features), of codes that go with rows x: under their labels, where the model takes such."""
        return self.decode(z)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of every value of x given those that are observed, (batch, *features) each.

        A deterministic code says nothing of how sure it is; held-out rows do: see :mod:`hyotan.imputation.filling`.
        """
        mean = self.reconstruct(x)
        return mean, torch.ones_like(mean)

    def imputations(self, x: Tensor, count: int) -> Tensor:
        """Rows drawn given the values of x that are observed, (count, batch, *features)."""
        raise NotImplementedError

    def decayed(self) -> list[nn.Parameter]:
        """Matrices and kernels; a scale for each pixel has the shape of a matrix and is none."""
        scales = {id(p) for p in self.likelihood.parameters()}
        return [p for p in super().decayed() if id(p) not in scales]

    def stack_layout(self) -> StackLayout | None:
        """The code is written by the encoder's last fully connected layer, and read by the decoder's first one."""
        linears = [layer for layer in self.encoder.modules() if isinstance(layer, nn.Linear)]
        reads = next((p for p in self.decoder.modules() if isinstance(p, nn.Linear | TiedLinear)), None)
        if not linears or reads is None:
            return None
        writes = linears[-1]
        size = writes.out_features // self.outputs_per_dimension
        written = [name for name, p in self.named_parameters() if p is writes.weight or p is writes.bias]
        read = [name for name, p in self.named_parameters() if isinstance(reads, nn.Linear) and p is reads.weight]
        # A layer that reads more than the code has other columns behind it, which zeros would shift.
        is_padded = reads.in_features == size and self._ignores_zeros(writes)
        axes = {**dict.fromkeys(written, 0), **dict.fromkeys(read, 1)} if is_padded else {}
        return StackLayout(size, dict.fromkeys(written, self.outputs_per_dimension), axes)

    def _ignores_zeros(self, writes: nn.Linear) -> bool:
        """Whether zeros that the code's layer puts out change nothing and get no gradient."""
        layers = [layer for layer in self.encoder.modules() if not list(layer.children())]
        after = layers[layers.index(writes) + 1 :]
        zero = torch.zeros(1)
        return all(not layer(zero).any() for layer in after)
