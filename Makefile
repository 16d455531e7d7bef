# Schoolbell. `make` alone lists what there is to make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Stamps: as old as the last set-up, which is repeated when one of its sources is newer.
RUNS := $(VENV)/.set-up
TESTS := $(VENV)/.set-up-for-tests
SOURCES := pyproject.toml constraints.txt

# A file of tests stays in one worker, which starts the servers that it needs. More workers than
# four would start more servers than they save time.
SIDE_BY_SIDE := -n auto --maxprocesses=4 --dist loadfile --no-loadscope-reorder
QUICK_TESTS := tests/architecture tests/docs tests/rules tests/contracts/test_wire.py \
               tests/engine/secrets tests/engine/wire tests/engine/test_config.py

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo check test lint format docs pictures bench servers clean

help: ## list what there is to make
	@sed -nE 's/^([a-z]+):.* ## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(RUNS) ## see a change in a school's database reach the right phones (BRIEF=1: less of it)
	$(BIN)/schoolbell demo $(if $(BRIEF),--brief)

check: lint ## check style, types, imports and what needs no server, in two minutes
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(QUICK_TESTS)

test: servers lint ## check style, types, imports and behaviour
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

lint: $(TESTS) ## check style, types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(TESTS) ## bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(TESTS) ## write the tables that pages take from the code, and collect the portal's words
	$(BIN)/python -m docs.tables
	$(BIN)/python -m docs.words

pictures: $(TESTS) servers ## take the pictures of the documentation anew, in a browser
	$(BIN)/python -m tests.browser.pictures

bench: $(TESTS) servers ## measure speed and memory, beside a peer
	@$(INSTALL) -e '.[dev,bench]'
	$(BIN)/python -m tests.benchmarks

servers: ## install the servers and the browser that tests use, when missing (as root)
	@sh tests/servers/install.sh

clean: ## remove the set-up and what tools left behind
	rm -rf $(VENV) build dist *.egg-info screenshots
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNS): $(SOURCES) | $(BIN)/python
	@echo "Installing Schoolbell in $(VENV) ..."
	@$(INSTALL) -e .
	@touch $@

$(TESTS): $(SOURCES) | $(BIN)/python
	@echo "Installing Schoolbell and what its tests need in $(VENV) ..."
	@$(INSTALL) -e '.[dev]'
	@touch $(RUNS) $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Schoolbell needs Python 3.11 or newer, and '$(PYTHON)' is not." >&2; \
	    echo "Install it, or name one that is: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' cannot make virtual environments." >&2; \
	    echo "Install what is missing: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
