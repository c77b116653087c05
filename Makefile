# Every target makes the virtual environment it needs. PYTHON chooses the interpreter it is made with, RESOLUTION=lowest or newest
# other versions of what is installed than the locked ones, in an environment of their own.

PYTHON ?= python3
RESOLUTION ?=
VENV := .venv$(if $(RESOLUTION),-$(RESOLUTION))
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SCENARIO ?= philly
BASE ?= HEAD
ARGS ?=
PYTEST_ARGS ?=

# One thread: figures and results do not depend on the width of the machine.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help lock kernels profile reports quotes screenshots bench bench-smoke gate same tapes test check lint format types layers quick tests nightly \
  browser clean
.DEFAULT_GOAL := help

help:  ## Say what there is.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

profile: $(RUN_STAMP)  ## Simulate at Philly scale, profile it, and say where the report is.
	@$(BIN)/phasewise profile $(SCENARIO) $(ARGS)

reports: $(RUN_STAMP)  ## Measure every scale and publish docs/reports (ARGS=--pages: only make the pages anew).
	@$(BIN)/python -P -m phasewise.bench.publish $(ARGS)

quotes: $(RUN_STAMP)  ## Make the outputs that the documentation quotes anew, where they have changed (ARGS=--all: times, too).
	@$(BIN)/python -P -m phasewise.bench.quoting $(ARGS)

screenshots: $(RUN_STAMP) browser  ## Take the pictures of docs/reports anew, of the page that is there, and those of the viewer, of new runs.
	@node tests/browser/inspect_published.mjs "$$(command -v chromium)" docs/reports/index.html docs/reports >/dev/null
	@tests/browser/picture_viewer.sh $(BIN)/phasewise docs/images

SUITE := $(BIN)/pytest bench/suite.py -p phasewise.bench.suite -q --benchmark-timer=time.process_time

bench: $(DEV_STAMP)  ## Measure every case of the benchmark suite; the figures go to .bench/results.json.
	@mkdir -p .bench
	$(SUITE) --benchmark-json=.bench/results.json --benchmark-columns=median,iqr,iterations,rounds --benchmark-sort=fullname $(PYTEST_ARGS)

bench-smoke: $(DEV_STAMP)  ## Run every case of the benchmark suite once, and check its answer.
	$(SUITE) --benchmark-disable $(PYTEST_ARGS)

gate: $(DEV_STAMP)  ## Compare the CPU time and the work of this tree with the base commit in bench/gate.toml.
	@$(BIN)/phasewise gate $(ARGS)

same: $(DEV_STAMP)  ## Whether runs write what those of a commit wrote: make same BASE=REV, for a change that is to move code alone.
	@$(BIN)/python -P -m phasewise.bench.same_bytes --base $(BASE) $(ARGS)

tapes: $(RUN_STAMP)  ## Make the tapes of the benchmark suite, those that are not there yet.
	@$(BIN)/python -P -m phasewise.bench.suite_tapes $(ARGS)

test: check browser tests  ## All checks: lint, types, layers, tests; a few minutes.

check: lint types layers

lint: $(DEV_STAMP)  ## Style and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV_STAMP)  ## Format in place.
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: $(DEV_STAMP)  ## Static types, strict.
	$(BIN)/mypy

layers: $(DEV_STAMP)  ## Who may import whom.
	@cd .namespace && ../$(BIN)/lint-imports ../pyproject.toml --cache-dir ../.import_linter_cache  # as one package

kernels: $(DEV_STAMP)  ## Compile every kernel ahead of time; otherwise each is compiled when it is first needed.
	@$(BIN)/python -P -m phasewise.bench.precompile

# Three tiers by markers, each within the next: see docs/howto/run-the-tests.md. A bare `pytest` leaves `nightly` out, too.
# What judges by seconds is marked `alone`, and comes first, in one process, with nothing beside it. pytest's 5 says that
# PYTEST_ARGS leaves none of these.
PYTEST := $(BIN)/pytest -q
BESIDE_EACH_OTHER := -n auto --maxprocesses 4 --dist loadscope
define alone
$(PYTEST) -n 0 -m "alone$(1)" $(PYTEST_ARGS) || [ $$? = 5 ]
endef

# pytest rewrites every test module, which takes longer than importing it: what it made is kept, for each of the processes.
quick tests nightly: export PYTHONDONTWRITEBYTECODE :=
quick: kernels  ## The tests of the inner loop: no browser, no long runs, nothing that judges by seconds.
	$(PYTEST) $(BESIDE_EACH_OTHER) -m "not (thorough or alone or nightly)" $(PYTEST_ARGS)

tests: kernels  ## The tests of `make test` without the checks.
	$(call alone, and not nightly)
	$(PYTEST) $(BESIDE_EACH_OTHER) -m "not (alone or nightly)" $(PYTEST_ARGS)

nightly: export HYPOTHESIS_PROFILE := nightly
nightly: check browser kernels  ## All there is: many more random instances, and every case in ../shared if that is there.
	$(call alone)
	$(PYTEST) $(BESIDE_EACH_OTHER) -m "not alone" $(PYTEST_ARGS)

browser:  ## Chromium and playwright-core for the browser tests, where this machine can have them.
	@.ci/browser tests/browser

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "phasewise needs Python 3.11 or later; name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment (on Debian: apt-get install python3-venv)" >&2; exit 2; }

$(RUN_STAMP): pyproject.toml requirements.txt | $(VENV)/bin/python
	@.ci/install $(VENV) run $(RESOLUTION)
	@touch $@

$(DEV_STAMP): pyproject.toml requirements-dev.txt | $(VENV)/bin/python
	@.ci/install $(VENV) dev $(RESOLUTION)
	@touch $@ $(RUN_STAMP)

lock: $(DEV_STAMP)  ## Lock the newest versions that pyproject.toml allows: requirements.txt and requirements-dev.txt.
	@.ci/lock $(BIN)/uv

clean:  ## Remove the virtual environment and everything that was generated, but not runs/.
	rm -rf .venv .venv-lowest .venv-newest build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis .benchmarks .bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
