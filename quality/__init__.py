"""Results that take minutes to hours to measure, one command each: ``python -m quality labels``."""
