"""The model families: parts put together, and the objective; nothing else."""
