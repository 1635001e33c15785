"""``python -m quality NAME …``: measure, print a line for each figure as it comes, and a table at the end."""

from __future__ import annotations

import argparse
import importlib

MEASURES = {
    "labels": "Label error of the CVAE on MNIST with 100, 1,000 and 3,000 labels, beside two baselines.",
    "clusters": "Clusters of MNIST through the codes of autoencoders, beside clusters of the pixels.",
    "dimensions": "The size that a study recommends for sets of known dimension.",
    "stability": "The size that a study recommends, over studies with other seeds.",
    "findings": "The articles' findings on MNIST: which are reproduced, with our figures.",
    "imputation": "Missing values of six tables and of MNIST filled, beside scikit-learn's imputers.",
    "generation": "How like MNIST's images new ones are: autoencoder and VAE, prior and density.",
    "synthetic": "Synthetic tables: what a classifier learns from them, how like they are, and privacy.",
    "denoising": "What denoising autoencoders make of noisy MNIST, beside the best affine map.",
    "compression": "Bits a row against error on MNIST, beside PCA's codes and files that lose nothing.",
    "embedding": "How well codes of MNIST keep neighbours and labels, beside PCA and UMAP.",
    "ordered": "The error of an ordered code's prefixes on MNIST, beside separately trained autoencoders.",
    "anomalies": "AUROC on 18 tables with anomalies, beside PyOD's detectors, PCA, k-NN and trees.",
    "alarms": "False alarms on those tables' usual rows, beside the stated rate.",
    "table_anomalies": "AUROC on mixed tables with planted anomalies, beside an isolation forest.",
    "one_class": "AUROC on MNIST, trained on one digit.",
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
