"""Rows in few bytes: codes on a grid, entropy-coded, and back."""
