"""Other trainers, with the same network, rows, batch size, optimizer and number of epochs.

Two of them differ in the loss: pythae's autoencoder and PyOD's models minimise the squared error, which costs no more
than the cross-entropy.
"""

from __future__ import annotations

import contextlib
import io
import tempfile

import torch

from benchmarks.networks import Network, Plain
from benchmarks.tasks import RATE, Task, Train


def pythae_model(network: Network) -> torch.nn.Module:
    """pythae's VAE or autoencoder of these layers."""
    from pythae.models import AE, VAE, AEConfig, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

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

    shape = {"input_dim": (network.features,), "latent_dim": network.latent}
    if network.variational:
        return VAE(VAEConfig(**shape, reconstruction_loss="bce"), encoder=Encoder(), decoder=Decoder())
    return AE(AEConfig(**shape), encoder=Encoder(), decoder=Decoder())


def pythae(task: Task) -> Train:
    """pythae's trainer, without workers."""
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    data = BaseDataset(task.scaled(), torch.zeros(len(task.rows)))

    def train(epochs: int) -> None:
        model = pythae_model(task.network)
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
