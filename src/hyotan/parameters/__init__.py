"""Every estimator parameter, once: default, domain, help. Python, command line and TOML files all read this table.

The package loads neither numpy nor torch, so that ``hyotan fit --help`` answers at once (docs/decisions/0002).
"""
