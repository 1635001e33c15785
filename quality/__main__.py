"""``python -m quality NAME …``: run a measurement, print each figure as it arrives, and a table at the end."""

from __future__ import annotations

import argparse
import importlib

MEASURES = {
    "labels": "Label error of the CVAE on MNIST with 100, 1,000 and 3,000 labels, and two baselines.",
    "clusters": "Clustering accuracy on MNIST, on the codes of autoencoders and on the pixels.",
    "dimensions": "The latent size that a study recommends for datasets of known dimension.",
    "stability": "The latent size that a study recommends, over several seeds.",
    "findings": "The articles' findings on MNIST: which are reproduced, with our figures.",
    "imputation": "Imputation on six tables and on MNIST, compared with scikit-learn's imputers.",
    "generation": "Fréchet distance of new MNIST images: autoencoder and VAE, prior and fitted density.",
    "synthetic": "Synthetic tables: usefulness for a classifier, fidelity and privacy.",
    "denoising": "Denoising autoencoders on noisy MNIST, compared with the best affine map.",
    "compression": "Bits per row against error on MNIST, compared with PCA and lossless files.",
    "embedding": "How well codes of MNIST preserve neighbours and labels, compared with PCA and UMAP.",
    "ordered": "The error of the prefixes of an ordered code on MNIST, compared with separate autoencoders.",
    "anomalies": "AUROC on 18 tables with anomalies, compared with PyOD, PCA, k-NN and isolation forest.",
    "alarms": "False alarms on the normal rows of these tables, compared with the nominal rate.",
    "table_anomalies": "AUROC on mixed tables with planted anomalies, compared with an isolation forest.",
    "one_class": "AUROC on MNIST of detectors trained on one digit.",
    "structure": "The structure of the package in figures: questions of class, files that run, sizes, names.",
}
"""Every measurement; the module of the same name holds it."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m quality", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    for name, line in MEASURES.items():
        module = importlib.import_module(f"quality.{name}")
        command = commands.add_parser(name, help=line, description=module.__doc__)
        module.add_arguments(command)
        command.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help="of the training's products")
        command.set_defaults(measure=module.measure)
    arguments = parser.parse_args()
    arguments.measure(arguments)


if __name__ == "__main__":
    main()
