# `make demo` and `make test` need only Python 3.10-3.13: they make .venv and install into it, once.

SUITED := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))
# The first Python on the path that will do; another one: make PYTHON=/path/to/python3.12
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.10,\
	$(shell $(name) -c '$(SUITED)' 2>/dev/null && echo $(name))))
VENV ?= .venv
BIN := $(VENV)/bin
# What an installation depends on; the code itself is installed in place.
RECIPE := setup.py pyproject.toml
LOG_DIR ?= demo-log
MINUTES ?= 2
PYTEST_ARGS ?=

# XLA keeps every program that it compiled for as long as a process lives. So each group of tests has
# processes of its own, which stay small; the last group is all that the others leave.
# What a module's tests share is made once, where one process runs all of them: worksteal.
WORKERS := -n 2 --dist worksteal
TEXT := tests/examples/text
PROGRAMS := tests/examples/midi tests/examples/play tests/examples/series
CORES := tests/vae tests/bounds tests/codec
NETWORKS := tests/nn
TRAINING := tests/train tests/evaluate
REST := tests $(addprefix --ignore=,$(TEXT) $(PROGRAMS) $(CORES) $(NETWORKS) $(TRAINING))
# Given tests are one group.
RUN_TESTS = $(if $(PYTEST_ARGS),$(BIN)/python -m pytest $(WORKERS) $(1) $(PYTEST_ARGS),\
	failed=0; for group in '$(TEXT)' '$(PROGRAMS)' '$(CORES)' '$(NETWORKS)' '$(TRAINING)' \
	'$(REST)'; do \
	$(BIN)/python -m pytest $(WORKERS) $(1) $$group || failed=1; done; exit $$failed)

.PHONY: help demo test test-all docs lint format types clean

help:
	@echo 'make demo    train for two minutes on text that Python carries; samples and the score'
	@echo 'make test    the fast tests (PYTEST_ARGS="tests/nn -k name" for some of them,'
	@echo '             PYTEST_ARGS=--durations=50 for the slowest)'
	@echo 'make test-all  all tests, slow ones included, compiled by XLA as programs are'
	@echo 'make docs    the documentation, in docs/_build/html'
	@echo 'make lint    ruff; make format applies what it can'
	@echo 'make types   mypy'
	@echo 'make clean   remove .venv, the demonstration and caches'

demo: $(VENV)/.installed
	$(BIN)/vaeseq-text train --log-dir '$(LOG_DIR)' --max-minutes $(MINUTES)
	$(BIN)/vaeseq-text generate --log-dir '$(LOG_DIR)' --length 400 --num-samples 2
	$(BIN)/vaeseq-text evaluate --log-dir '$(LOG_DIR)'
	@echo
	@echo 'Go on from here:'
	@echo '  $(BIN)/vaeseq-text train --help'
	@echo '  $(BIN)/vaeseq-text train --log-dir my-log --train-corpus my-text.txt'
	@echo '  $(BIN)/vaeseq-text generate --log-dir $(LOG_DIR) --temperature 0.7 --prime "The "'
	@echo '  $(BIN)/tensorboard --logdir $(LOG_DIR)'

test: $(VENV)/.installed-dev
	@$(call RUN_TESTS)

# An empty expression of -m replaces the one of pyproject.toml, which leaves out the slow tests.
test-all: $(VENV)/.installed-dev
	@export HYPOTHESIS_PROFILE=thorough; $(call RUN_TESTS,--xla -m '')

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

clean:
	rm -rf '$(VENV)' '$(LOG_DIR)' build dist docs/_build *.egg-info .pytest_cache .ruff_cache .mypy_cache

$(VENV)/.made:
	@test -n '$(PYTHON)' || { echo 'Expected Python 3.10, 3.11, 3.12 or 3.13 on the path; found' \
	  'none of them. Name one: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) -c '$(SUITED)' || { echo 'Expected Python 3.10-3.13; $(PYTHON) is' \
	  "$$($(PYTHON) --version 2>&1)." >&2; exit 1; }
	$(PYTHON) -m venv '$(VENV)' || { echo 'Python cannot make an environment; on Debian and Ubuntu:' \
	  'apt install python3-venv' >&2; rm -rf '$(VENV)'; exit 1; }
	@touch $@

# The installation is about 2 GB, most of it TensorFlow; pip shows how far it is.
$(VENV)/.installed: $(VENV)/.made $(RECIPE)
	$(BIN)/python -m pip install --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.made $(RECIPE)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/.made $(RECIPE)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(VENV)/.installed
