# `make up` runs the whole system on this machine, `make test` proves it. README.md says what else there is.
TOOLS ?= .tools
export ICACHE_TOOLS := $(abspath $(TOOLS))
PYTHON := $(TOOLS)/airflow/bin/python
FLINK_PYTHON := $(TOOLS)/flink/bin/python
PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider
UV := $(TOOLS)/uv/bin/uv
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links

# The kernel runs on two generations of redis-py: these tests run in Flink's environment too.
KERNEL_TESTS := tests/unit/instrument_cache tests/contract/test_store.py
FAST_TESTS := tests/unit tests/contract
SLOW_TESTS := tests/integration tests/e2e tests/faults

.PHONY: help
help:
	@sed -nE 's/^## ?//p' $(MAKEFILE_LIST)

##   make up [DATA=file]   install what is needed, start everything, publish DATA (NDJSON or CSV, .gz too)
##                         PROFILES=schema-registry runs that optional part too
.PHONY: up
up: setup
	@for part in $(PROFILES); do local_stack/setup/setup.sh $$part || exit 1; done
	@./icache up $(if $(DATA),--data "$(DATA)") $(PROFILES:%=--with %)

##   make down             stop everything; data stays
.PHONY: down
down:
	@./icache down

##   make test             lint, types and every test (≤ 60 minutes)
.PHONY: test
test: setup-test lint
	$(PYTEST) $(FAST_TESTS)
	$(FLINK_PYTHON) -m pytest -q -p no:cacheprovider $(KERNEL_TESTS)
	$(PYTEST) --durations=25 $(SLOW_TESTS)

##   make test-fast        lint, types, unit tests and the store's contract tests (≤ 2 minutes)
.PHONY: test-fast
test-fast: setup-test lint
	$(PYTEST) tests/unit tests/contract/test_store.py tests/contract/test_replay.py tests/contract/test_released_contracts.py

##   make test-faults [SEED=n] [ROUNDS=n] [FAULT=name]   each fault again and again; writes docs/reliability.md
.PHONY: test-faults
test-faults: setup-test
	$(PYTHON) -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(FAULT),--fault $(FAULT))

##   make lint             ruff and mypy
.PHONY: lint
lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy instrument_cache feed exporter flink_jobs lookup_app local_stack plugins/instrument_cache_airflow dags docker benchmarks

##   make setup            only install what the stack needs
.PHONY: setup
setup:
	@echo "Checking what is installed"
	@local_stack/setup/setup.sh stack

##   make proto            write the Python code of lookup_app/rpc/lookup.proto
.PHONY: proto
proto: setup-test
	$(PYTHON) -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. lookup_app/rpc/lookup.proto

.PHONY: setup-test
setup-test:
	@echo "Checking what is installed"
	@local_stack/setup/setup.sh test

##   make lock             write the lock of each runtime from its requirements.in
.PHONY: lock
lock:
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) flink_jobs/requirements.in -o flink_jobs/requirements.txt
	$(COMPILE) flink_jobs/requirements-test.in -c flink_jobs/requirements.txt -o flink_jobs/requirements-test.txt
	$(COMPILE) lookup_app/requirements.in -c requirements.txt -o lookup_app/requirements.txt
	$(COMPILE) benchmarks/lookup_load/feast.in -o benchmarks/lookup_load/feast.txt
	for lock in docker/locks/*.in; do $(COMPILE) $$lock -c requirements.txt -o $${lock%.in}.txt || exit 1; done
