"""How fast, beside whom. Every module is a command: ``python -m benchmarks.speed``, in the environment of make bench.

speed    training, beside other trainers and the products alone; fails where it fell behind the bare loop
figure   the picture of it, from its --out
quality  time and memory to a stated error
encode   encoding, and likelihoods
costs    against rows, latent size and width
studies  a whole study, with one training at a time and with many
"""
