# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
# How many tests run at a time.
JOBS   ?= 2
# Locks carry hashes; the package itself is installed without an index.
PIP     = $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test test-chaos lint docs bench lock wheel clean

demo: $(VENV)/.ready
	@$(BIN)/publisher demo

test: $(VENV)/.ready-dev lint
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# Kills the worker between its effects: make test-chaos ROUNDS=1000 SEED=7 DATABASE=postgresql
test-chaos: $(VENV)/.ready-dev
	@$(BIN)/python -m tests.chaos --rounds $(or $(ROUNDS),200) $(if $(SEED),--seed $(SEED)) $(if $(DATABASE),--database $(DATABASE))

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

# README's tables and .env.example are made from the code; a test holds them to it.
docs: $(VENV)/.ready-dev
	@$(BIN)/python -m docs.write

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks

# A newsletter to 100,000 subscribers beside smtp-source and nodemailer; needs Postfix and npm, and ten minutes.
bench-newsletter: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks.newsletter $(if $(SUBSCRIBERS),--subscribers $(SUBSCRIBERS))

.PHONY: bench-newsletter

wheel: $(VENV)/.ready-dev
	@$(BIN)/python -m hatchling build -t wheel

# uv is only needed here; nobody who installs from the lock needs it.
lock:
	uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --group dev --all-extras --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements.lock -o requirements-dev.lock
	uv pip compile --group pyproject.toml:real --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -c requirements-dev.lock -o requirements-real.lock

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: $(VENV)/bin/python requirements.lock pyproject.toml
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/bin/python requirements-dev.lock pyproject.toml
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(VENV)/.ready $@

clean:
	rm -rf $(VENV) dist publisher-demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# Adapters against real servers. As root on Debian it installs what is missing; else it says what is.
REAL = $(BIN)/python -m pytest tests/real -n $(JOBS) --dist loadscope

test-real: $(VENV)/.ready-real
	@$(BIN)/python -m tests.real.install quick
	@$(REAL) -m "not slow"

# Ghost, and Debian's WordPress on MariaDB, too: minutes more to install, the first time.
test-real-all: $(VENV)/.ready-real
	@$(BIN)/python -m tests.real.install all
	@$(REAL)

$(VENV)/.ready-real: $(VENV)/.ready-dev requirements-real.lock
	@$(PIP) install --require-hashes -r requirements-real.lock
	@touch $@

.PHONY: test-real test-real-all
