"""Missing values filled: by Gaussians, by factors, and by how far a model's own guess is to be trusted."""
