# Everything is done in .venv; nothing is installed outside of it, except by `make test` (see tests/parts).
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
CODE := libs services dabyl tests
WORKERS ?= 2

.PHONY: help
help: ## this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: .venv/.runtime ## everything in one process, simulated agencies, one sample alert shown live (PORT, DABYL_HOME)
	@exec $(BIN)/dabyl up --sample

.PHONY: install
install: .venv/.runtime .venv/.tools ## runtime and development tools, from the locks

.PHONY: check
check: install ## the inner loop: format, lint, types, walls, unit; under a minute from the second run on
	@$(MAKE) --keep-going -j2 --output-sync=target format lint types walls words unit

.PHONY: format
format: .venv/.tools
	@$(BIN)/ruff format --check --quiet .

.PHONY: lint
lint: .venv/.tools
	@$(BIN)/ruff check --quiet .
	@find services -name '*.html' -exec $(BIN)/djlint --quiet --lint {} +

.PHONY: types
types: .venv/.tools
	@$(BIN)/mypy --no-error-summary $(CODE)

.PHONY: walls
walls: .venv/.tools
	@$(BIN)/lint-imports --no-logo > .venv/walls.log || { cat .venv/walls.log; exit 1; }

.PHONY: words
words: .venv/.tools
	@$(BIN)/codespell

.PHONY: unit
unit: .venv/.tools
	@$(BIN)/pytest --quiet --no-header -n $(WORKERS) --hypothesis-profile quick tests/unit tests/law

.PHONY: test
test: check ## everything, on SQLite + PostgreSQL and memory + RabbitMQ, which it provides itself
	@$(BIN)/python -m tests.again --quiet -n $(WORKERS) --dist loadfile --db both --bus both --ignore tests/unit --ignore tests/law \
	    -m "not kill and not browser"
	@$(BIN)/python -m tests.again --quiet -n $(WORKERS) --dist loadgroup --db both --bus both -m "kill or browser"

SEEDS ?= 10000

.PHONY: simulation
simulation: .venv/.tools ## SEEDS stories out of seeds, one core; a failing one prints how to repeat it
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

.PHONY: bench
bench: .venv/.tools ## side by side with Celery, FastStream, Procrastinate and Node, at most 15 minutes (QUICK=1: fewer)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

ROUNDS ?= 10
KILLS ?= 50
ALERTS ?= 2000

.PHONY: faults
faults: simulation ## long, goes on where it was interrupted: seeds, planted bugs, each fault, kills in ROUNDS (SHORT=1: scaled time)
	@$(if $(FRESH),rm -rf var/faults)
	@$(BIN)/python -m tests.faults stories $(if $(SHORT),--short)
	@$(BIN)/python -m tests.faults planted
	@$(MAKE) kills FRESH=
	@DABYL_SIMULATION_POINTS=100000 $(BIN)/pytest --quiet --db both -rP tests/simulation tests/acceptance/kill/test_checker.py
	@$(BIN)/python -m tests.faults.cluster
	@$(BIN)/python -m tests.faults table

.PHONY: kills
kills: .venv/.tools ## ROUNDS rounds of KILLS random kills under ALERTS alerts each; var/faults keeps them (FRESH=1 forgets)
	@$(if $(FRESH),rm -rf var/faults)
	@$(BIN)/python -m tests.faults kills --rounds $(ROUNDS) --kills $(KILLS) --alerts $(ALERTS)

.PHONY: contracts
contracts: .venv/.runtime ## write contracts/ and docs/law.md again: schemas, descriptions, the law as a page
	@$(BIN)/python -m dabyl.contracting
	@$(BIN)/python -m notifier.lawbook docs/law.md

.PHONY: lock
lock: .venv/.tools ## resolve requirements*.in again (hashes, no host names)
	@for name in requirements requirements-dev requirements-build benchmarks/requirements; do \
	    $(BIN)/uv pip compile --quiet $$name.in --python-version 3.11 --generate-hashes \
	        --no-header --no-annotate -o $$name.lock; \
	done

.PHONY: secrets
secrets: .venv/.runtime ## keys by holder, passwords and broker users for docker compose, in var/secrets (PUBLIC_URL=https://…)
	@$(BIN)/python deploy/make_secrets.py $(if $(PUBLIC_URL),--public-url '$(PUBLIC_URL)')

.PHONY: fix
fix: .venv/.tools ## format, and repair what can be repaired
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

.PHONY: parts-up parts-down
parts-up: .venv/.tools ## keep a private PostgreSQL and RabbitMQ up between test runs
	@$(BIN)/python -m tests.parts up
parts-down: .venv/.tools ## end them
	@$(BIN)/python -m tests.parts down

.PHONY: clean
clean: ## remove caches and ./var; the virtual environment and var/secrets (keys of what is stored) stay
	@if [ -d var ]; then find var/ -mindepth 1 -maxdepth 1 ! -name secrets -exec rm -rf {} +; rmdir var 2>/dev/null || true; fi
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis build dist

# Stamps: the second run is instant, a changed lock installs again.
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Dabyl needs Python 3.11 or newer (set PYTHON=/path/to/python3.11)"; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.runtime: .venv/bin/python requirements.lock requirements-build.lock pyproject.toml
	@echo "installing into .venv (once) …"
	@$(PIP) -r requirements-build.lock
	@$(PIP) -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.tools: .venv/.runtime requirements-dev.lock
	@echo "installing development tools into .venv (once) …"
	@$(PIP) -r requirements-dev.lock
	@touch $@
