# The everyday commands. Each sets up what it needs; `make demo` and `make test` are all a
# newcomer needs, with Python 3.11 or newer, make and git.

VENV   ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := $(VENV)/bin

LOCK_RUN  := pyproject.toml --format requirements --extra all --group build --output lockfiles/run.txt
LOCK_DEV  := pyproject.toml --format requirements --extra all --group dev --output lockfiles/dev.txt
LOCK_DOCS := pyproject.toml --format requirements --extra all --group build --group docs --output lockfiles/docs.txt

.PHONY: demo test check bench services docs lock clean
.DEFAULT_GOAL := test

demo: $(VENV)/.run          ## the main job on a real model: lock, fingerprint, build, run, diff
	$(BIN)/python docs/tutorial/demo.py demo

test: $(VENV)/.dev check    ## static checks, then every test
	$(BIN)/pytest -n auto

check: $(VENV)/.dev         ## lint, format, types, import contracts, the project's own locks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/envguard lock --check --quiet $(LOCK_RUN)
	$(BIN)/envguard lock --check --quiet $(LOCK_DEV)
	$(BIN)/envguard lock --check --quiet $(LOCK_DOCS)

bench: $(VENV)/.dev         ## ratios against peers, measured side by side
	$(BIN)/python -m tests.benchmarks

services:                   ## install and start what marked tests need (Docker, registry), loopback only
	tests/support/services

docs: $(VENV)/.docs         ## the documentation as pages in site/
	$(BIN)/mkdocs build --strict

lock: $(VENV)/.run          ## make the project's own locks again where their inputs changed
	$(BIN)/envguard lock $(LOCK_RUN)
	$(BIN)/envguard lock $(LOCK_DEV)
	$(BIN)/envguard lock $(LOCK_DOCS)

clean:                      ## remove what the targets above made
	rm -rf $(VENV) demo site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.run: lockfiles/run.txt pyproject.toml
	$(call install,lockfiles/run.txt)

$(VENV)/.dev: lockfiles/dev.txt pyproject.toml
	$(call install,lockfiles/dev.txt)
	@touch $(VENV)/.run

$(VENV)/.docs: lockfiles/docs.txt pyproject.toml
	$(call install,lockfiles/docs.txt)

define install
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
endef
