"""What a run must remember to go on with the same bits: as plain settings and named arrays, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hyotan.errors import ModelFileError
from hyotan.files.tensors import below

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Snapshot:
    """The whole state of training at one moment.

    Attributes
    ----------
    settings : numbers and the history, as JSON can hold them.
    arrays : weights, best weights, optimizer state, random state, running sums, what callbacks keep.
    """

    settings: dict[str, Any]
    arrays: Arrays


class CheckpointStore(Protocol):
    """Where snapshots go: a run folder, or a test's list."""

    def is_due(self) -> bool:
        """Whether enough time has gone since the last one."""
        ...

    def save(self, snapshot: Snapshot) -> None:
        """Keep the snapshot, the old one staying whole until the new one is."""
        ...


def to_arrays(tensors: Mapping[str, Tensor], prefix: str) -> Arrays:
    """Tensors as NumPy arrays on the CPU, their names behind ``prefix/``."""
    return {f"{prefix}/{name}": tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def json_array(value: Any) -> np.ndarray:
    """JSON as bytes, (length,): for what would outgrow a file's header, such as a history."""
    return np.frombuffer(json.dumps(value, ensure_ascii=False).encode(), dtype=np.uint8)


def from_json_array(array: np.ndarray) -> Any:
    """Read back what :func:`json_array` wrote."""
    return json.loads(array.tobytes().decode())


def torch_below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, Tensor]:
    """The arrays whose names stand behind ``prefix/``, as torch's tensors."""
    # The copy keeps a read-only buffer of a file from becoming a tensor that training writes to.
    return {name: torch.from_numpy(array.copy()) for name, array in below(arrays, prefix + "/").items()}


def optimizer_arrays(optimizer: Optimizer) -> Arrays:
    """The optimizer's state of each parameter, by its running number."""
    state = optimizer.state_dict()["state"]
    tensors = {f"{i}/{name}": torch.as_tensor(value) for i, entries in state.items() for name, value in entries.items()}
    return to_arrays(tensors, "optimizer")


def restore_optimizer(optimizer: Optimizer, arrays: Mapping[str, np.ndarray]) -> None:
    """Put back what :func:`optimizer_arrays` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in torch_below(arrays, "optimizer").items():
        index, entry = name.split("/")
        state.setdefault(int(index), {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_arrays(device: torch.device) -> Arrays:
    """The state of torch's global generators: the CPU's, and the device's own."""
    arrays = {"random/cpu": torch.get_rng_state().numpy().copy()}
    if device.type == "cuda":
        arrays["random/cuda"] = torch.cuda.get_rng_state(device).cpu().numpy().copy()
    if device.type == "mps":
        arrays["random/mps"] = torch.mps.get_rng_state().cpu().numpy().copy()
    return arrays


def restore_random(arrays: Mapping[str, np.ndarray], device: torch.device) -> None:
    """Put back what :func:`random_arrays` took; a run moved to another kind of device keeps the CPU's state only."""
    states = torch_below(arrays, "random")
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
    if device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


def check_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Compare names, shapes and dtypes with those of a module, which may lie on torch's ``meta`` device.

    Raises
    ------
    ModelFileError
        Names the first tensor that is missing, not expected, or of another shape or dtype.
    """
    expected = module.state_dict()
    for name in sorted(set(expected) ^ set(tensors)):
        what = "is missing" if name in expected else "is not expected"
        raise ModelFileError(f"{source}: tensor '{name}' {what}.", "The file belongs to another network.")
    for name, tensor in tensors.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype:
            raise ModelFileError(
                f"{source}: tensor '{name}' is {tensor.dtype} {tuple(tensor.shape)}, "
                f"expected {want.dtype} {tuple(want.shape)}.",
                "The file belongs to another network.",
            )


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load weights whose names, shapes and dtypes must be exactly those of the module: see :func:`check_weights`."""
    check_weights(module, tensors, source)
    module.load_state_dict(dict(tensors))
