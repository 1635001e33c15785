"""A step's forward and backward pass as a flat list of operations: recorded once, then run without autograd.

Small networks spend more time in Python and in autograd's bookkeeping than in arithmetic. Both are the same at every
step, so the operations are written down at one (``make_fx``) and called in a row at those that follow: the same kernels
in the same order, and the same bits. Whether they are is looked at before the recording is used, not assumed; where
torch has no ``make_fx`` that is known, training goes on by autograd. See docs/decisions/0013.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import functional_call

from hyotan.training.objective import Progress, TrainableModel
from hyotan.training.sums import Parts, parts_of
from hyotan.training.torch_internals import torch_internal

LEAST_STEPS = 300
"""Steps to come from which on a recording pays for itself: making one takes about as long as it saves in so many."""

Gradients = tuple[Tensor, ...]
Backward = Callable[[Tensor], tuple[Parts, Gradients]]
"""From a batch, (batch, *features), to what is summed over an epoch and each parameter's gradient of the mean loss."""

Differentiated = Callable[[Sequence[Tensor], Tensor], tuple[Parts, Gradients]]
"""The same of parameters that are given."""

DEVICES = ("cpu", "cuda")
"""Where recordings are made."""

aten = torch.ops.aten

FILLED = (aten.scalar_tensor.default, aten.zeros.default, aten.ones.default, aten.full.default)
FILLED_LIKE = {aten.ones_like.default: 1.0, aten.zeros_like.default: 0.0}
"""Operations whose value is the same at every step, whatever the batch holds."""


def with_autograd(
    model: TrainableModel, progress: Progress, precision: Callable[[], AbstractContextManager[Any]]
) -> Differentiated:
    """What is to be recorded: parameters and a batch to sums and gradients, by way of autograd."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]

    def backward(parameters: Sequence[Tensor], x: Tensor) -> tuple[Parts, Gradients]:
        with precision():
            terms = functional_call(model, dict(zip(names, parameters, strict=True)), (x, progress))
        gradients = torch.autograd.grad(terms.loss.mean(), parameters)
        return parts_of(terms), gradients

    return backward


@dataclass(frozen=True)
class Reference:
    """What autograd gave for one batch, to hold others against.

    Attributes
    ----------
    x : (batch, *features), the batch.
    start, end : state of torch's generator on the CPU before and after.
    parts, gradients : what came.
    """

    x: Tensor
    start: Tensor
    end: Tensor
    parts: Parts
    gradients: Gradients

    def replay(self, backward: Backward) -> tuple[Parts, Gradients] | None:
        """What another one gives for the same batch and the same draws; None where it does not draw as much."""
        torch.set_rng_state(self.start)
        found = backward(self.x)
        return found if torch.equal(torch.get_rng_state(), self.end) else None

    def is_equalled_by(self, backward: Backward) -> bool:
        """Whether another one gives the same bits."""
        found = self.replay(backward)
        if found is None:
            return False
        pairs = zip([*found[0].values(), *found[1]], [*self.parts.values(), *self.gradients], strict=True)
        return all(torch.equal(a, b) for a, b in pairs)


@dataclass(frozen=True)
class Recording:
    """A step, written down.

    Attributes
    ----------
    module : its operations: from the parameters and a batch to sums and gradients, one after the other.
    parameters : what it is called with.
    names : of the sums, which come first.
    """

    module: fx.GraphModule
    parameters: Sequence[Tensor]
    names: Sequence[str]

    def run_by(self, run: Callable[..., Sequence[Tensor]]) -> Backward:
        """The step, its operations run by a function that takes what the module takes, and gives what it gives."""
        parameters, names, count = self.parameters, self.names, len(self.names)

        def backward(x: Tensor) -> tuple[Parts, Gradients]:
            with torch.no_grad():
                values = run(*parameters, x)
            return dict(zip(names, values[:count], strict=True)), tuple(values[count:])

        return backward


Improve = Callable[[Recording, Reference], Backward]
"""From a recording that is right, and what shows it, to a step that is faster."""


def record(
    model: TrainableModel,
    x: Tensor,
    progress: Progress,
    precision: Callable[[], AbstractContextManager[Any]],
    improve: Improve | None = None,
) -> Backward | None:
    """Record the step of batches shaped like ``x``; None where torch cannot, or where it does not give autograd's bits.

    Parameters
    ----------
    model : in training mode; :meth:`TrainableModel.is_same_each_step` holds.
    x : (batch, *features), one batch.
    progress : where training stands.
    precision : opens the context of the forward pass, autocast where it was asked for.
    improve : what to make of the recording, :func:`hyotan.training.compiling.compiled`; None for the recording itself.

    Notes
    -----
    torch's generators are left as they were.
    """
    backward = with_autograd(model, progress, precision)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        start = torch.get_rng_state()
        parts, gradients = backward(parameters, x)
        reference = Reference(x, start, torch.get_rng_state(), parts, gradients)
        torch.set_rng_state(start)
        try:
            recording = Recording(_module(backward, parameters, x), parameters, list(parts))
        except ImportError:
            return None
        recorded = recording.run_by(recording.module.forward)
        # Twice, for a recording that writes to what it keeps would give the right bits once.
        if not all(reference.is_equalled_by(recorded) for _ in range(2)):
            return None
        return recorded if improve is None else improve(recording, reference)


def _module(backward: Differentiated, parameters: Sequence[Tensor], x: Tensor) -> fx.GraphModule:
    # Loading it takes half a second, which only trainings that are long enough spend.
    make_fx = torch_internal("torch.fx.experimental.proxy_tensor:make_fx")

    def flat(*arguments: Tensor) -> list[Tensor]:
        parts, gradients = backward(list(arguments[:-1]), arguments[-1])
        return [*parts.values(), *gradients]

    module = make_fx(flat)(*parameters, x)
    shorten(module)
    module.graph.set_codegen(fx.graph.CodeGen())  # plain arguments: nothing is flattened at each call
    module.recompile()
    return module


def shorten(module: fx.GraphModule) -> None:
    """Drop what changes no bit: detaching, transposing twice, viewing anew, multiplying by one, computing constants."""
    graph = module.graph
    for node in list(graph.nodes):
        source = _same_as(node)
        if source is not None:
            node.replace_all_uses_with(source)
            graph.erase_node(node)
        elif _is_view(node) and _is_view(node.args[0]):
            node.args = (node.args[0].args[0], *node.args[1:])
    _compute_constants(module)
    graph.eliminate_dead_code()


def _compute_constants(module: fx.GraphModule) -> None:
    """Put values that are the same at every step in the place of the operations that give them."""
    values: dict[fx.Node, Tensor] = {}
    for node in module.graph.nodes:
        if _is_constant(node, values):
            values[node] = _value(node, values)
    for number, node in enumerate(values):
        if any(user not in values for user in node.users):
            name = f"constant_{number}"
            module.register_buffer(name, values[node])
            with module.graph.inserting_before(node):
                node.replace_all_uses_with(module.graph.get_attr(name), lambda user: user not in values)


def _is_constant(node: fx.Node, constants: Mapping[fx.Node, Tensor]) -> bool:
    tags = getattr(node.target, "tags", None)  # which torch's operations alone have
    if tags is None or torch.Tag.nondeterministic_seeded in tags or any(map(_writes, (node, *node.users))):
        return False
    inputs = node.all_input_nodes
    return node.target in (*FILLED, *FILLED_LIKE) or (bool(inputs) and all(known in constants for known in inputs))


def _value(node: fx.Node, constants: Mapping[fx.Node, Tensor]) -> Tensor:
    target: Any = node.target
    if target in FILLED_LIKE:  # of a tensor that is none, only the shape counts
        like = node.meta["val"]
        return torch.full(like.shape, FILLED_LIKE[target], dtype=like.dtype, device=like.device)
    arguments, named = fx.node.map_arg((node.args, node.kwargs), constants.__getitem__)
    return target(*arguments, **named)


def _writes(node: fx.Node) -> bool:
    """Whether an operation changes one of its inputs, which its name says: ``aten.mul_.Tensor``."""
    return getattr(node.target, "__name__", "").partition(".")[0].endswith("_")


def _same_as(node: fx.Node) -> fx.Node | None:
    """The node whose value a node repeats."""
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], fx.Node):
        return None
    source = node.args[0]
    if node.target == aten.detach.default:
        return source
    if node.target == aten.t.default and source.target == aten.t.default:
        return source.args[0]  # pyrefly: ignore[bad-return]
    if node.target in (aten.view.default, aten.expand.default) and _shape(node) == _shape(source):
        return source
    if node.target in (aten.mul.Tensor, aten.mul.Scalar, aten.div.Scalar, aten.pow.Tensor_Scalar):
        return source if isinstance(node.args[1], float | int) and node.args[1] == 1 else None
    return None


def _is_view(node: Any) -> bool:
    return isinstance(node, fx.Node) and node.target == aten.view.default


def _shape(node: fx.Node) -> Any:
    value = node.meta.get("tensor_meta", node.meta.get("val"))
    return None if value is None else tuple(value.shape)
