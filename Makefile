# `make parity` and `make test` need Python 3.11+ with venv, and nothing else set up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One process more than there are processors: a third of the time a test waits for a server, a clock or Julia.
PARALLEL := --numprocesses $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)') --dist loadgroup
INSTALLED := $(VENV)/.installed

# Wherever it is forbidden to keep bytecode, each process of pytest would rewrite all tests: half of what it starts with.
test quick: export PYTHONDONTWRITEBYTECODE :=

.PHONY: parity test quick bench lint docs clean

parity: $(INSTALLED)  ## compare the port with every packaged recording and with live Julia; writes report/
	$(BIN)/sharnn parity run --live-if-possible --report report

test: $(INSTALLED)  ## all tests, in parallel
	$(BIN)/python -m pytest $(PARALLEL)

quick: $(INSTALLED)  ## the tests that need neither Julia, a browser nor minutes
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not julia and not browser"

bench: $(INSTALLED)  ## speed and memory, as ratios measured in one run, and ten minutes of faults; takes an hour
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --group bench
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.bridge
	$(BIN)/python -m tests.bench.serving
	$(BIN)/python -m tests.bench.engine
	$(BIN)/python -m tests.bench.over_http
	$(BIN)/python -m tests.bench.through_triton
	$(BIN)/python -m tests.bench.soak
	$(BIN)/python -m tests.bench.training

lint: $(INSTALLED)  ## the hooks of .pre-commit-config.yaml on every file
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

docs: $(INSTALLED)  ## the documentation site; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# pip older than 25.1, which a venv may come with, knows no dependency groups.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	touch $@

clean:
	rm -rf $(VENV) report site
