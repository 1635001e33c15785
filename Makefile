# Everything a developer runs. Each target sets up .venv first, once, from nothing but Python 3.11 and pip.

.PHONY: demo test check docs bench soak quality clean help
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.11 python3 python; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
PIP := -m pip --disable-pip-version-check --no-input -qq

# The stamp holds this folder's path, for an environment that was moved or copied still points at the old place. It is
# dropped when the environment no longer works, and then everything is set up anew.
HEALTH := import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, ("torch", "hyotan", "pytest", "ruff"))))
ifneq ($(wildcard $(VENV)),)
  WORKS := $(shell test "$$(cat $(READY) 2>/dev/null)" = "$(CURDIR)" && $(BIN)/python -c '$(HEALTH)' 2>/dev/null && echo yes)
  ifneq ($(WORKS),yes)
    $(shell rm -f $(READY))
  endif
endif

help:
	@echo "make demo    the study on digits: which model, which latent size, and a report"
	@echo "make test    style, types and tests: what every change has to pass"
	@echo "make check   style and types alone"
	@echo "make docs    run the tutorials, and rewrite what they show"
	@echo "make bench   speed, beside other trainers and the matrix products alone"
	@echo "make soak    the long versions of the tests"
	@echo "make quality figures that take minutes to hours: python -m quality --help"
	@echo "make clean   remove .venv and the caches"

# torch comes first and pinned, so that nothing else chooses its version. Without a stamp there is no telling what an
# interrupted set-up left, so it starts over.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer with venv and pip was found."; \
	  echo "fix: install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; } >&2
	@echo "Setting up $(VENV), once: this takes a few minutes." >&2
	@test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	@rm -f $@
	@$(BIN)/python $(PIP) install -c constraints.txt torch
	@$(BIN)/python $(PIP) install -c constraints.txt -e '.[dev,tensorboard]'
	@echo "$(CURDIR)" > $@

demo: $(READY)
	@$(BIN)/hyotan study digits --sizes 2,4,16 --epochs 80

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python

# Two processes with one thread each: more threads would only wait for each other.
test: export OMP_NUM_THREADS = 1
test: check
	@$(BIN)/python -m pytest -q -n 2 -p no:benchmark

docs: export OMP_NUM_THREADS = 1
docs: $(READY)
	@$(BIN)/python docs/pages.py

# The trainers that others wrote live in an environment of their own, made at the first benchmark.
$(PEERS)/.ready: benchmarks/peers.txt pyproject.toml
	@echo "Setting up $(PEERS), once: this takes a few minutes." >&2
	@$(PYTHON) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python $(PIP) install -r benchmarks/peers.txt
	@$(PEERS)/bin/python $(PIP) install --no-deps -e .
	@touch $@

# Half an hour or more on an idle machine. The last command fails where training fell below its share of the bare loop's
# speed. Shorter: make bench SPEED=--quick
SPEED ?=
bench: $(READY) $(PEERS)/.ready
	@$(BIN)/python -m pytest -q benchmarks --benchmark-only
	@mkdir -p .benchmarks
	@$(PEERS)/bin/python -m benchmarks.speed --out .benchmarks/speed.json $(SPEED)

soak: export OMP_NUM_THREADS = 1
soak: $(READY)
	@$(BIN)/python -m pytest -q -n 2 -p no:benchmark -m slow

quality: $(READY)
	@for measure in dimensions stability labels clusters ordered findings compression embedding \
	    anomalies alarms one_class table_anomalies denoising imputation generation synthetic; do \
	  echo "$$measure"; $(BIN)/python -m quality $$measure || exit 1; done

clean:
	@rm -rf $(VENV) $(PEERS) build dist .pytest_cache .ruff_cache .hypothesis .benchmarks
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
