PYTHON ?= python3
BIN := .venv/bin
# Of tests, side by side: they wait for locks to end and processes to start, so they outnumber the cores.
WORKERS := 5
# The tests start hundreds of processes; no need that each compiles the project for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run local services test chaos check format clean

run: .venv/installed ## one real job through the whole local stack
	$(BIN)/python -m local run

local: .venv/installed ## keep the local stack up, for use with curl
	$(BIN)/python -m local up

services: .venv/installed ## PostgreSQL and Service Bus alone, on fixed ports, for use with func start
	$(BIN)/python -m local services

test: .venv/installed ## every test, with the real PostgreSQL and the real AMQP socket
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

chaos: WORKERS := 4
chaos: .venv/installed ## the long forms of the fault tests; figures in .local/chaos.jsonl
	LOCKSTEP_CHAOS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) tests/faults tests/contract/service_bus/test_soak.py

check: .venv/installed ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## forget the local stack's data and the installed packages
	rm -rf .local .venv

.venv/installed: requirements.txt requirements-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lockstep needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@
