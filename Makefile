# `make up` runs the whole system on this machine, `make test` proves it. README.md says what else there is.
TOOLS ?= .tools
PYTHON := $(TOOLS)/airflow/bin/python
UV := $(TOOLS)/uv/bin/uv
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links

.PHONY: lock
lock:
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) flink_jobs/requirements.in -o flink_jobs/requirements.txt
	$(COMPILE) flink_jobs/requirements-test.in -c flink_jobs/requirements.txt -o flink_jobs/requirements-test.txt
	$(COMPILE) lookup_app/requirements.in -c requirements.txt -o lookup_app/requirements.txt
