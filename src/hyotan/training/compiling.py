"""The recorded step as machine code, by torch's compiler Inductor: where it is asked for, and where it pays.

What lies between two matrix products becomes one loop, so that values pass through memory once. That takes a C++
compiler and a wait at the first step; results differ from the recorded step's in their last bits, and are the same from
one compiled training to the next. torch keeps what it compiled in a folder of its own (``$TORCHINDUCTOR_CACHE_DIR``,
else ``torchinductor_USER`` in the folder for temporary files), so that the same step waits less the next time. Models,
checkpoints and run folders hold nothing of it.
"""

from __future__ import annotations

import copy
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from hyotan.errors import SettingsError
from hyotan.training.recording import Backward, Recording, Reference
from hyotan.training.torch_internals import torch_internal

LEAST_STEPS = 30_000
"""Steps of a training from which on compiling pays for itself: it takes some 15 s and saves 0.4 to 0.5 ms a step."""

LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-4
"""How far a compiled step may be from autograd's: of the loss, and of the whole gradient's norm."""

OPTIONS: dict[str, Any] = {"fallback_random": True, "emulate_precision_casts": True, "cpp_wrapper": True}
"""torch draws, and rounds to bfloat16, as it does without compiling; the calls between the loops are C++ too."""


def pays(steps: int, device: torch.device) -> bool:
    """Whether compiling makes a training of so many steps shorter; done on the CPU alone."""
    return device.type == "cpu" and steps >= LEAST_STEPS


def warn_of_no_effect(steps: int, device: torch.device, is_recordable: bool) -> None:
    """Say that steps are not compiled although it was asked for, and why; nothing where they are.

    Parameters
    ----------
    steps : of the training.
    device : where it computes.
    is_recordable : whether each step does the same, from some step on.
    """
    if device.type != "cpu":
        _warn(f"steps are compiled on the CPU alone, and this training computes on {device.type}")
    elif not is_recordable:
        _warn("what a step of this model does differs from step to step, so it cannot be compiled")
    elif steps < LEAST_STEPS:
        _warn(f"the wait pays from some {LEAST_STEPS:,} steps on, and this training has {steps:,}")


def refuse_without_compiler() -> None:
    """Refuse where no C++ compiler is found.

    Raises
    ------
    SettingsError
        Names the compiler that was looked for.
    """
    name = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")  # torch's own choice
    if shutil.which(name) is None:
        raise SettingsError(
            f"compile=True needs a C++ compiler, and none was found (looked for: {name}).",
            "Install one (g++ or clang++), name it in $CXX, or leave compile (--compile) out.",
        )


def compiled(recording: Recording, reference: Reference) -> Backward:
    """The recorded step, compiled; the recorded step itself, with a warning, where that fails or gives something else.

    Parameters
    ----------
    recording : of the step.
    reference : what autograd gave for one batch.
    """
    recorded = recording.run_by(recording.module.forward)
    try:
        found = recording.run_by(compile_step(recording, reference.x))
    # A compiler that is there may still fail in many ways, and none of them needs to end a training that can go on.
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        _warn(f"torch could not compile the step ({type(error).__name__}: {reason})")
        return recorded
    if wrong := _deviation(found, reference):
        _warn(wrong)
        return recorded
    return found


def compile_step(recording: Recording, x: Tensor) -> Callable[..., Sequence[Tensor]]:
    """Machine code for the operations of a recording, called as they are, for batches shaped like x.

    By what is behind ``torch.compile``, not by it: its checks before each call take a tenth of a small network's step.
    """
    patched = torch_internal("torch._inductor.config:patch")
    compile_fx = torch_internal("torch._inductor.compile_fx:compile_fx")
    fake_tensors = torch_internal("torch._subclasses:FakeTensorMode")
    arguments = [*(parameter.detach() for parameter in recording.parameters), x]
    module = copy.deepcopy(recording.module)  # the compiler may change it
    # Recording noted what each value looks like in a mode of its own; the compiler wants one for all.
    mode = fake_tensors(allow_non_fake_inputs=True)
    for node, argument in zip(module.graph.find_nodes(op="placeholder"), arguments, strict=True):
        node.meta["val"] = mode.from_tensor(argument)
    with torch.no_grad(), patched(OPTIONS):
        return compile_fx(module, arguments)


def warn_unrecorded() -> None:
    """Say that a recording was not autograd's to the bit, so that there was none to compile."""
    _warn("the step could not be recorded with autograd's bits, which comes before compiling")


def _deviation(backward: Backward, reference: Reference) -> str:
    """How a step differs from autograd's, in words; empty where it is the same but for rounding."""
    found = reference.replay(backward)
    if found is None:
        return "the compiled step does not draw the same random numbers"
    loss, expected = float(found[0]["loss"]), float(reference.parts["loss"])
    if not abs(loss - expected) <= LOSS_TOLERANCE * abs(expected):
        return f"the compiled step's loss is {loss:.8g} and should be {expected:.8g}"
    share = float(
        _norm([a - b for a, b in zip(found[1], reference.gradients, strict=True)]) / _norm(reference.gradients)
    )
    if not share <= GRADIENT_TOLERANCE:
        return f"the compiled step's gradient is off by {share:.1e} of its norm (at most {GRADIENT_TOLERANCE:.0e})"
    return ""


def _norm(gradients: Sequence[Tensor]) -> Tensor:
    """The Euclidean norm of all gradients as one vector, (), float64."""
    return torch.stack([gradient.double().square().sum() for gradient in gradients]).sum().sqrt()


def _warn(reason: str) -> None:
    warnings.warn(f"compile=True has no effect: {reason}.", UserWarning, stacklevel=2)
