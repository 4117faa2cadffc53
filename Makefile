SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
MEMBERS := $(wildcard libs/*) $(wildcard services/*) $(wildcard clients/*)
READY := $(VENV)/.ready
PORT ?= 8087
DATA ?= .footfall
DEMO ?= 1
DURATION ?= 3600
SECONDS ?= 60
FUZZ := build/fuzz

.PHONY: help setup run check format lint imports types unit isolated test bench soak fuzz screenshots lock clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Create .venv with everything pinned in requirements.lock, and the members editable

$(READY): requirements.lock $(wildcard libs/*/pyproject.toml) $(wildcard services/*/pyproject.toml) $(wildcard clients/*/pyproject.toml) $(wildcard libs/*/src/*/*.pyx)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Footfall needs Python 3.11 or newer; this is %d.%d. Try: make setup PYTHON=python3.11" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@$(BIN)/python -c 'import ordinary.reader' 2>/dev/null || echo "Without a C compiler and Python's headers ingest works, but each event costs it more CPU (CONTRIBUTING.md)."
	@touch $@

run: setup ## Start Footfall on an embedded database, with a demo (PORT=8087 DATA=.footfall DEMO=1)
	@exec $(BIN)/footfall up --data $(DATA) --port $(PORT) $(if $(filter-out 0,$(DEMO)),--demo)

check: setup format lint imports types unit ## Format, lint, imports, types, unit tests, contract on memory (a minute or two)

format: setup
	@$(BIN)/ruff format --check -q . || { echo "Some files are not formatted. Run: $(BIN)/ruff format ."; exit 1; }

lint: setup
	@$(BIN)/ruff check -q .

imports: setup
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo

types: setup
	@$(BIN)/mypy
	@$(BIN)/mypy --python-version 3.10 clients/python/src

unit: setup
	@$(BIN)/pytest -q -n auto -m "not postgres and not kafka and not e2e and not browser and not sdk"

isolated: setup ## Import each member's modules with only what it declares installed
	@$(BIN)/python tests/support/isolated_members.py

test: setup ## Everything, on real Kafka and real PostgreSQL
	@$(BIN)/pytest -q

bench: setup ## Print the cost of admission, ingest (beside Bento, where there is Go), append, projection, fan-out and the pages
	@PYTHONPATH=tests/support $(BIN)/python tests/bench

soak: setup ## Load ingest with 80 % of what it can take and watch its memory (DURATION=3600 seconds)
	@PYTHONPATH=tests/support $(BIN)/python tests/bench/soak.py $(DURATION)

fuzz: setup ## Send every decoder of ingest what no sender would (SECONDS=60); what breaks one stays in build/fuzz
	@mkdir -p $(FUZZ)/corpus && $(BIN)/uv pip install -q --python $(BIN)/python --target $(FUZZ)/packages atheris==3.0.0
	@PYTHONPATH=$(FUZZ)/packages $(BIN)/python tests/fuzz/decoders.py -max_total_time=$(SECONDS) -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
		-artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus

screenshots: setup ## Photograph the pages of a fresh demo: build/screenshots, and docs/images for the README
	@PYTHONPATH=tests/support $(BIN)/python tests/support/screenshots.py --readme

lock: setup ## Resolve the dependencies again and write requirements.lock
	@$(BIN)/uv lock -q --upgrade && $(BIN)/uv export -q --all-packages --no-emit-workspace --no-header -o requirements.lock

clean: ## Remove the environment, caches and the embedded installation's data (asks first when data exists)
	@if [ -d $(DATA) ]; then read -r -p "Delete all data in $(DATA)? [y/N] " a; [ "$$a" = y ] && rm -rf $(DATA) || echo "kept $(DATA)"; fi
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
