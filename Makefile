PYTHON ?= python3
# The default Python has .venv. Another one has its own, so that no run takes the packages of another Python:
# `make test PYTHON=python3.13` runs in .venv-3.13.
ifeq ($(PYTHON),python3)
VENV := .venv
else
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv-$(or $(VERSION),$(error $(PYTHON) does not run))
endif
BIN := $(VENV)/bin
# Of tests, side by side: they wait for locks to end and processes to start, so they outnumber the cores. A
# worker of tests/e2e has about 0.5 GB, with its servers.
WORKERS := 7
# What `make test` runs, as in `make test TESTS=tests/unit`; all when empty.
TESTS :=
# Of `make bench`, about.
MINUTES := 30
# These run the app in the process of the test, or in one that ends by itself and saves what it covered.
COVERAGE_TESTS := tests/unit tests/property tests/contract/repositories tests/contract/blobs tests/integration
# Each file must have a hash of the lock; `make lock` renews it.
LOCKED := --quiet --disable-pip-version-check --require-hashes
# The tests start hundreds of processes; no need that each compiles the project for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install run local services chromium pgbouncer azurite pictures walkthrough test chaos bench coverage check style types layers container audit lock sbom licences queries format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/installed ## the packages and the command lockstep, in .venv

run: $(VENV)/installed ## one real job through the whole local stack
	$(BIN)/python -m local run

local: $(VENV)/installed ## keep the local stack up, for use with curl
	$(BIN)/python -m local up

services: $(VENV)/installed ## PostgreSQL and Service Bus alone, on fixed ports, for use with func start
	$(BIN)/python -m local services

chromium: ## the browser of tests/browser, by apt-get if it is missing; these tests are left out where it cannot be installed
	@.ci/install-debian chromium

pgbouncer: ## what LOCKSTEP_TEST_DATABASE=pgbouncer needs, by apt-get if it is missing
	@.ci/install-debian pgbouncer

azurite: ## the emulator of Azure Storage of the tests, by npm into .azurite; these tests are left out where it cannot be installed
	@.ci/install-azurite

pictures: $(VENV)/installed chromium ## the pictures and figures of docs/monitor.md, made anew in some minutes
	mkdir -p docs/monitor
	LOCKSTEP_PICTURES=docs/monitor $(BIN)/python -m pytest tests/browser/test_large_jobs.py tests/browser/test_memory.py \
	  -k "pictures or figures"

walkthrough: $(VENV)/installed chromium ## docs/walkthrough.md, recorded anew: what its commands print, and its pictures
	mkdir -p docs/walkthrough
	LOCKSTEP_WALKTHROUGH=1 $(BIN)/python -m pytest tests/e2e/test_walkthrough.py

test: $(VENV)/installed chromium azurite ## every test, with the real PostgreSQL and the real AMQP socket; PYTHON=python3.13, TESTS=tests/unit
	$(BIN)/python -m pytest --numprocesses $(WORKERS) $(TESTS)

chaos: WORKERS := 4
chaos: $(VENV)/installed ## the long forms of the fault tests; figures in .local/chaos.jsonl
	LOCKSTEP_CHAOS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) tests/faults tests/contract/service_bus/test_soak.py

bench: $(VENV)-bench/installed ## every table of benchmarks, in about MINUTES=30; JSON and PNG in .local/benchmarks
	$(VENV)-bench/bin/python -m benchmarks all --minutes $(MINUTES) || failed=1; \
	$(VENV)-bench/bin/python -m benchmarks plot && exit $${failed:-0}

coverage: $(VENV)/installed azurite ## branch coverage of the app by unit, property, repository and integration tests
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) $(COVERAGE_TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: style types layers container queries audit ## style, types, layers, Dockerfile, Kusto queries, known vulnerabilities

style: $(VENV)/installed ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed ## mypy, strict
	$(BIN)/mypy

layers: $(VENV)/installed ## import-linter: which package may import which
	$(BIN)/lint-imports --no-cache

queries: ## the Kusto queries of infra/queries, by Microsoft's parser, where npm can install it
	@.ci/check-queries

container: $(VENV)-tools/installed ## hadolint: the Dockerfile
	$(VENV)-tools/bin/hadolint Dockerfile

audit: $(VENV)-tools/installed ## pip-audit: known vulnerabilities of the locked packages, where the advisories can be reached
	@$(VENV)-tools/bin/python .ci/audit.py $(VENV)-tools/bin/pip-audit

lock: $(VENV)-tools/uv ## requirements*.lock of requirements*.txt; UPGRADE=1 takes the newest versions that fit
	.ci/lock $(VENV)-tools/bin/uv $(if $(UPGRADE),--upgrade)

sbom: $(VENV)-app/installed $(VENV)-tools/installed ## .local/sbom.json: what the app runs with, as CycloneDX
	mkdir -p .local
	$(VENV)-tools/bin/cyclonedx-py environment --output-reproducible --output-format JSON --output-file .local/sbom.json \
	  --pyproject pyproject.toml --mc-type application $(VENV)-app/bin/python

licences: $(VENV)-app/installed ## docs/licences.md of what the app runs with
	$(VENV)-app/bin/python .ci/licences.py

format: $(VENV)/installed ## repair what ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## delete the local stack's data and the installed packages
	rm -rf .local .azurite .venv .venv-* samples/delivery

$(VENV)/installed: requirements-dev.lock requirements-geo.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lockstep needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(LOCKED) --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip install $(LOCKED) --requirement requirements-geo.lock \
	  || echo 'rasterio does not install here: tile_raster refuses its jobs and its tests are skipped; all else works'
	touch $@

# The benchmarks have packages of their own, which neither the app nor its tests need.
$(VENV)-bench/installed: requirements.txt requirements-dev.txt requirements-bench.txt
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-bench.txt
	touch $@

# The tools read the packages of others, so they have an environment of their own.
$(VENV)-tools/installed: requirements-tools.lock
	$(PYTHON) -m venv $(VENV)-tools
	$(VENV)-tools/bin/python -m pip install $(LOCKED) --requirement requirements-tools.lock
	touch $@

# Without the lock, which may not exist yet or not fit.
$(VENV)-tools/uv: requirements-tools.txt
	$(PYTHON) -m venv $(VENV)-tools
	$(VENV)-tools/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep ^uv== requirements-tools.txt)"
	touch $@

# What runs in Azure, and nothing else.
$(VENV)-app/installed: requirements.lock
	$(PYTHON) -m venv --without-pip $(VENV)-app
	$(PYTHON) -m pip --python $(VENV)-app/bin/python install $(LOCKED) --requirement requirements.lock
	touch $@
