"""Likelihoods p(x|z) and the prior: of arrays, and of tables with several kinds of columns."""
