"""What training asks of a model: an objective for a batch, a reconstruction to validate, and what it can be sped up by.

Nothing in :mod:`hyotan.training` knows more of a model than this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Progress:
    """Where training stands when an objective is asked for: in epochs, fractions included."""

    epoch: float
    max_epochs: int


@dataclass(frozen=True)
class Labels:
    """What is known of a batch's classes, for models that use labels.

    Attributes
    ----------
    classes : (batch,), int64, -1 where the class is unknown.
    companions : (m, *features) and (m,), rows with known classes beside a batch that has too few of its own.
    beliefs : (batch, classes), what a row's neighbours say of its class; all zero where they say nothing.
    """

    classes: Int[Tensor, " batch"]
    companions: tuple[Float[Tensor, "m *features"], Int[Tensor, " m"]] | None = None
    beliefs: Float[Tensor, "batch classes"] | None = None


@dataclass(frozen=True)
class Terms:
    """What an objective gives back for a batch: one number a sample, in nats.

    Attributes
    ----------
    loss : (batch,), what is minimised.
    reconstruction : (batch,), -log p(x|z), summed over features, averaged over latent samples.
    code : (batch, latent), the deterministic code (the posterior mean).
    kl : (batch, latent) or None, KL of each dimension to the prior.
    label : (batch,) or None, what the class costs: -log p(y) where it is known, KL(q(y|x) || p(y)) where it is not.
    """

    loss: Float[Tensor, " batch"]
    reconstruction: Float[Tensor, " batch"]
    code: Float[Tensor, "batch latent"]
    kl: Float[Tensor, "batch latent"] | None = None
    label: Float[Tensor, " batch"] | None = None


@dataclass(frozen=True)
class StackLayout:
    """How a model lies in a stack: see :mod:`hyotan.training.stacking`.

    Attributes
    ----------
    code_size : size of its code.
    blocks : by name, the parameters that write the code, and how many numbers they write for each of its dimensions:
        for a VAE two, mean and variance.
    code_axes : by name, the axis along which a parameter is padded with zeros where a stack's code is wider than the
        model's; none at all where zeros would change the model.
    """

    code_size: int
    blocks: Mapping[str, int]
    code_axes: Mapping[str, int] = field(default_factory=dict)


class TrainableModel(nn.Module):
    """A model that can be trained.

    Attributes
    ----------
    stack_size : how many models its parameters and rows belong to, in equal parts: see :mod:`hyotan.training.stacking`.
    """

    stack_size = 1
    differs_in_stack: ClassVar[tuple[str, ...]] = ("training",)
    """Attributes in which the models of a stack may differ."""

    def objective(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """The loss and its parts, per sample; with the objective's final weights where no progress is given.

        Parameters
        ----------
        x : (batch, *features)
        progress : where training stands.
        labels : what is known of the rows' classes; models without labels make nothing of them.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, progress: Progress | None = None, labels: Labels | None = None) -> Terms:
        """The objective, for :func:`torch.func.functional_call`."""
        return self.objective(x, progress, labels)

    def reconstruct(self, x: Tensor) -> Tensor:
        """x through the deterministic code and back, (batch, *features)."""
        raise NotImplementedError

    def squared_errors(self, mean: Tensor, x: Tensor) -> Tensor:
        """Mean squared error a feature of each row, (batch,)."""
        raise NotImplementedError

    def is_same_each_step(self, progress: Progress) -> bool:
        """Whether, from ``progress`` on, a step of training does the same operations at every batch of one shape.

        Then it can be recorded. Networks of the user's own may do what they like, and are never taken to.
        """
        return False

    def decayed(self) -> list[nn.Parameter]:
        """The parameters that weight decay applies to: matrices and kernels; not biases and gains."""
        dimensions = 2 if self.stack_size == 1 else 3
        return [p for p in self.parameters() if p.requires_grad and p.ndim >= dimensions]

    def stack_layout(self) -> StackLayout | None:
        """How the model lies in a stack; None for a model whose objective cannot be computed for several at once."""
        return None

    def stacks_with(self, classes: Tensor | None) -> bool:
        """Whether a stack can be trained on rows of these classes, (n,), -1 where unknown; None: without labels."""
        return True
