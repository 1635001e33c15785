"""Figures that take minutes or hours to measure, each by one command: ``python -m quality labels``."""
