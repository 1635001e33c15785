"""Benchmarks. Every module is a command: ``python -m benchmarks.speed``, in the environment that make bench creates.

speed    training, compared with other trainers and with the matrix products alone; fails if slower than it was
figure   a plot of the results, from the --out of speed
quality  time and memory needed to reach a given error
encode   encoding, and likelihoods
costs    time against rows, latent size and width
studies  a whole study, with one training at a time and with several
memory   training from files: memory, speed, and growth with the number of rows
"""
