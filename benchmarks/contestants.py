"""Who trains: each makes a function that trains a network for so many epochs, from the same rows.

A contestant's packages are imported where it begins, so that those of the others need not be installed.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.networks import FEATURES, Network, Plain

RATE = 1e-3

Train = Callable[[int], None]
"""From a number of epochs to a finished training."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be trained.

    Attributes
    ----------
    network : the layers.
    rows : (n, 784), uint8.
    batch : rows a step.
    """

    network: Network
    rows: np.ndarray
    batch: int

    def scaled(self) -> torch.Tensor:
        """The rows in [0, 1], float32."""
        return torch.from_numpy(self.rows).float().div_(255)

    def loader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        """The rows as an ordinary loader gives them, fetched one by one."""
        return DataLoader(TensorDataset(self.scaled()), self.batch, shuffle=True)


def limit(task: Task, dtype: torch.dtype = torch.float32) -> Train:
    """The matrix products of a step alone, into outputs that are there already."""
    products: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for number, (n_in, n_out) in enumerate(task.network.layers()):
        shapes = (task.batch, n_in), (n_out, n_in), (task.batch, n_out)
        x, weight, gradient = (torch.randn(shape).to(dtype) for shape in shapes)
        products.append((x, weight.t(), torch.empty_like(gradient)))
        products.append((gradient.t(), x, torch.empty_like(weight)))
        if number > 0:  # nobody asks for the gradient of the rows
            products.append((gradient, weight, torch.empty_like(x)))

    def train(epochs: int) -> None:
        for _ in range(epochs * -(-len(task.rows) // task.batch)):
            for a, b, out in products:
                torch.mm(a, b, out=out)

    return train


def limit_bf16(task: Task) -> Train:
    """The same products in bfloat16."""
    return limit(task, torch.bfloat16)


def bare(task: Task) -> Train:
    """A tensor loop with fused Adam, as short as it can be written."""

    def train(epochs: int) -> None:
        rows, model = torch.from_numpy(task.rows), Plain(task.network)
        optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
        for _ in range(epochs):
            for index in torch.randperm(len(rows)).split(task.batch):
                optimizer.zero_grad()
                model(rows[index].float().mul_(1 / 255)).backward()
                optimizer.step()

    return train


def loader(task: Task) -> Train:
    """The ordinary loop: a data loader that fetches row by row, Adam."""

    def train(epochs: int) -> None:
        model = Plain(task.network)
        optimizer = torch.optim.Adam(model.parameters(), RATE)
        batches = task.loader()
        for _ in range(epochs):
            for (x,) in batches:
                optimizer.zero_grad()
                model(x).backward()
                optimizer.step()

    return train


def hyotan(task: Task, precision: str = "fp32") -> Train:
    """This package, through its estimators."""
    from hyotan import VAE, Autoencoder

    network = task.network
    kind = VAE if network.variational else Autoencoder

    def train(epochs: int) -> None:
        kind(
            latent_dim=network.latent,
            hidden_dims=network.hidden,
            activation="relu",
            likelihood="bernoulli",
            optimizer="adam",
            schedule="constant",
            learning_rate=RATE,
            batch_size=task.batch,
            max_epochs=epochs,
            validation_fraction=0,
            precision=precision,
            random_state=0,
        ).fit(task.rows.reshape(-1, 28, 28))

    return train


def hyotan_bf16(task: Task) -> Train:
    """This package with bfloat16 products."""
    return hyotan(task, "bf16")


def pythae(task: Task) -> Train:
    """pythae's trainer, without workers."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, VAE, AEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    network = task.network

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = Plain(network).encoder

        def forward(self, x: torch.Tensor) -> ModelOutput:
            code = self.layers(x)
            if not network.variational:
                return ModelOutput(embedding=code)
            mean, log_variance = code.chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = Plain(network).decoder

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)))

    data = BaseDataset(task.scaled(), torch.zeros(len(task.rows)))

    def train(epochs: int) -> None:
        shape = {"input_dim": (FEATURES,), "latent_dim": network.latent}
        if network.variational:
            model = VAE(VAEConfig(**shape, reconstruction_loss="bce"), encoder=Encoder(), decoder=Decoder())
        else:
            model = AE(AEConfig(**shape), encoder=Encoder(), decoder=Decoder())
        with tempfile.TemporaryDirectory() as folder:
            config = BaseTrainerConfig(
                output_dir=folder,
                num_epochs=epochs,
                learning_rate=RATE,
                per_device_train_batch_size=task.batch,
                keep_best_on_train=True,
                no_cuda=True,
            )
            BaseTrainer(model=model, train_dataset=data, training_config=config).train()

    return train


def skorch(task: Task) -> Train:
    """skorch's NeuralNet."""
    from skorch import NeuralNet

    class Loss(torch.nn.Module):
        def forward(self, found: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return found

    rows = task.scaled()

    def train(epochs: int) -> None:
        NeuralNet(
            Plain,
            criterion=Loss,
            module__network=task.network,
            optimizer=torch.optim.Adam,
            lr=RATE,
            batch_size=task.batch,
            max_epochs=epochs,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
        ).fit(rows, rows[:, 0])

    return train


def lightning(task: Task) -> Train:
    """Lightning's Trainer, everything that can be turned off turned off."""
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = Plain(task.network)

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            return self.model(batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), RATE)

    batches = task.loader()

    def train(epochs: int) -> None:
        L.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), batches)

    return train


def pyod(task: Task) -> Train:
    """PyOD's VAE or autoencoder; it scores the rows at the end, which the difference of two trainings leaves out."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.vae import VAE

    network, rows = task.network, task.scaled().numpy()
    same = {"preprocessing": False, "lr": RATE, "batch_size": task.batch, "dropout_rate": 0.0, "verbose": 0}

    def train(epochs: int) -> None:
        if network.variational:
            model = VAE(
                **same,
                epoch_num=epochs,
                batch_norm=False,
                encoder_neuron_list=list(network.hidden),
                decoder_neuron_list=list(network.hidden[::-1]),
                latent_dim=network.latent,
            )
        else:
            widths = [*network.hidden, network.latent]
            model = AutoEncoder(**same, epoch_num=epochs, batch_norm=False, hidden_neuron_list=widths)
        with contextlib.redirect_stdout(io.StringIO()):
            model.fit(rows)

    return train


CONTESTANTS: dict[str, Callable[[Task], Train]] = {
    "limit": limit,
    "limit bf16": limit_bf16,
    "bare loop": bare,
    "loader loop": loader,
    "hyotan": hyotan,
    "hyotan bf16": hyotan_bf16,
    "pythae": pythae,
    "skorch": skorch,
    "lightning": lightning,
    "pyod": pyod,
}
"""Everyone, by the name in the table."""

PEERS = ("pythae", "skorch", "lightning", "pyod")
"""Those that need packages of their own."""
