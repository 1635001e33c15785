"""The comparison: models × latent sizes × repeats, everything else equal; and what to choose."""
