"""Inference with a trained VAE: ``python -m benchmarks.encode``.

Encoding: rows per second of ``transform``, a bare loop, ONNX Runtime, pythae's ``embed`` (which runs the whole model,
decoder included) and the encoder's products alone. Likelihoods: seconds per row of ``log_likelihood`` with 500 samples,
pythae's ``get_nll`` and the decoder's products alone. All run in turns in one process.

ONNX Runtime runs the encoder of the bare loop, since this package does not export ONNX.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.limits import decoding
from benchmarks.machine import machine, table
from benchmarks.networks import NETWORKS, Plain
from benchmarks.peers import pythae_model
from benchmarks.tasks import rows_of, source

NETWORK = NETWORKS["784-400-20 VAE"]
CHUNK = 4096
"""Rows at once, for everyone."""


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encode", description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000, help="rows to encode")
    parser.add_argument("--scored", type=int, default=1000, help="rows whose likelihood is estimated")
    parser.add_argument("--scored-by-pythae", type=int, default=20)
    parser.add_argument("--samples", type=int, default=500, help="samples of the code per likelihood")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    print(f"{machine(arguments.threads)}; {arguments.rounds} rounds; rows: {source()}")
    print(f"\nEncoding {arguments.rows:,} rows, 784-400-20 VAE: rows a second\n\n{encoding(arguments)}", flush=True)
    print(f"\nlog p(x) of {arguments.samples} samples, milliseconds a row\n\n{likelihoods(arguments)}")


def fitted(rows: np.ndarray) -> Any:
    """This package's VAE, hardly trained: its work does not depend on the weights."""
    from hyotan import VAE

    estimator = VAE(
        NETWORK.latent, hidden_dims=NETWORK.hidden, activation="relu", likelihood="bernoulli", max_epochs=1,
        validation_fraction=0, device="cpu", random_state=0,
    )  # fmt: skip
    return estimator.fit(pictures(rows[:2048]))


def pictures(rows: np.ndarray) -> np.ndarray:
    """Rows as this package takes grey pictures, (n, 28, 28)."""
    return rows.reshape(-1, NETWORK.side, NETWORK.side)


def encoding(arguments: argparse.Namespace) -> str:
    """Who encodes how fast."""
    rows = rows_of(arguments.rows)
    scaled = torch.from_numpy(rows).float().div_(255)
    ours, plain, peer = fitted(rows), Plain(NETWORK), pythae_model(NETWORK).eval()
    layers = NETWORK.linear()
    work = decoding(CHUNK, layers[: len(layers) // 2])

    @torch.no_grad()
    def limit() -> None:
        for _ in range(-(-len(rows) // CHUNK)):
            for piece in work:
                piece()

    @torch.no_grad()
    def bare() -> None:
        for part in torch.from_numpy(rows).split(CHUNK):
            plain.encoder(part.float().mul_(1 / 255)).chunk(2, dim=1)[0].numpy()

    @torch.no_grad()
    def embed() -> None:
        for part in scaled.split(CHUNK):
            peer.embed(part).numpy()

    racers = {"limit": limit, "bare loop": bare, "hyotan": lambda: ours.transform(pictures(rows)), "pythae": embed}
    if (session := onnx_session(plain, arguments.threads)) is not None:
        racers["ONNX Runtime"] = lambda: [
            session.run(None, {"x": rows[at : at + CHUNK]}) for at in range(0, len(rows), CHUNK)
        ]
    seconds = turns(racers, arguments.rounds)
    fastest = statistics.median(seconds["limit"])
    lines = []
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        ends = f"{len(rows) / max(taken):,.0f} to {len(rows) / min(taken):,.0f}"
        lines.append([name, f"{len(rows) / middle:,.0f}", ends, f"{fastest / middle:.2f}"])
    return table(["", "median", "range", "of the limit"], lines)


def onnx_session(plain: Plain, threads: int) -> Any:
    """ONNX Runtime with the encoder's mean of grey pixels, (n, 784) uint8; None where it is not installed."""
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    layers = [layer for layer in plain.encoder if isinstance(layer, torch.nn.Linear)]
    weights = {"scale": np.float32(1 / 255)}
    nodes, x = [helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT)], "scaled"
    nodes.append(helper.make_node("Mul", ["float", "scale"], [x]))
    for number, layer in enumerate(layers):
        is_last = layer is layers[-1]
        kept = NETWORK.latent if is_last else layer.out_features  # of the last layer the means
        weights |= {
            f"w{number}": layer.weight.detach().numpy()[:kept].copy(),
            f"b{number}": layer.bias.detach().numpy()[:kept].copy(),
        }
        nodes.append(helper.make_node("Gemm", [x, f"w{number}", f"b{number}"], [f"h{number}"], transB=1))
        x = f"h{number}"
        if not is_last:
            nodes.append(helper.make_node("Relu", [x], [f"a{number}"]))
            x = f"a{number}"
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, NETWORK.side**2])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [None, NETWORK.latent])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def likelihoods(arguments: argparse.Namespace) -> str:
    """Who needs how long for a row's likelihood, and two ratios."""
    samples, many, few = arguments.samples, arguments.scored, arguments.scored_by_pythae
    rows = rows_of(max(many, few))
    scaled = torch.from_numpy(rows).float().div_(255)
    ours, peer = fitted(rows_of(2048)), pythae_model(NETWORK).eval()
    layers = NETWORK.linear()
    work = decoding(CHUNK, layers[len(layers) // 2 :])

    @torch.no_grad()
    def limit() -> None:
        for _ in range(-(-many * samples // CHUNK)):
            for piece in work:
                piece()

    @torch.no_grad()
    def nll() -> None:
        peer.get_nll(scaled[:few], n_samples=samples, batch_size=min(samples, 100))

    counts = {"limit": many, "hyotan": many, "pythae": few}
    racers = {
        "limit": limit,
        "hyotan": lambda: ours.log_likelihood(pictures(rows[:many]), n_samples=samples),
        "pythae": nll,
    }
    found = {
        name: [1000 * taken / counts[name] for taken in values]
        for name, values in turns(racers, arguments.rounds).items()
    }
    middles = {name: statistics.median(values) for name, values in found.items()}
    lines = [
        [name, f"{counts[name]:,}", f"{middles[name]:.2f}", f"{min(values):.2f} to {max(values):.2f}"]
        for name, values in found.items()
    ]
    ratios = (
        f"pythae by hyotan: {middles['pythae'] / middles['hyotan']:.1f}; "
        f"hyotan by the decoder's products alone: {middles['hyotan'] / middles['limit']:.2f}"
    )
    return table(["", "rows", "median", "range"], lines) + "\n\n" + ratios


def turns(racers: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each, round by round; a first round warms up and does not count."""
    found: dict[str, list[float]] = {name: [] for name in racers}
    for number in range(rounds + 1):
        for name, run in racers.items():
            started = time.perf_counter()
            run()
            if number:
                found[name].append(time.perf_counter() - started)
    return found


if __name__ == "__main__":
    main()
