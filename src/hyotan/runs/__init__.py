"""The folder of one training: made, locked, fitted, resumed, and its figures."""
