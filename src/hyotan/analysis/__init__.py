"""What fitted models and their codes show: evaluation, diagnosis, clusters, neighbours, fidelity."""
