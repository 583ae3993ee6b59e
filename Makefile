# One recipe for people and CI. Every target sets up what it needs: python3 (3.11 or later) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Engines beside MiniStack that the tests fetch and run against: none, all, or names with commas.
ENGINES ?=
# How long `make fuzz` runs: five kinds of expressions, and sequences of requests in 12 cases.
EXAMPLES ?= 4000
SEQUENCES ?= 40
READY := $(VENV)/.ready
# The seeds that `make simulate` runs: one, or the first and the last one.
SEEDS ?= 1000..1049

.PHONY: setup rehearse test fuzz check docs bench bench-consumers soak simulate mutations clean lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dualwrite needs Python 3.11 or later, and $(PYTHON) is %d.%d; say: make PYTHON=python3.11" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY)  ## install what is needed into .venv

rehearse: $(READY)  ## set up everything, then rehearse the whole migration
	$(BIN)/dualwrite rehearse $(ARGS)

check: $(READY)  ## style, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## set up everything, then check and run the whole test suite; ENGINES=all on every engine
	ENGINES=$(ENGINES) $(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

fuzz: $(READY)  ## our expressions, and the proxy, against DynamoDB Local: EXAMPLES each kind, SEQUENCES each phase
	ENGINES=dynamodb-local DIFFERENTIAL_EXAMPLES=$(EXAMPLES) FUZZ_SEQUENCES=$(SEQUENCES) \
	  $(BIN)/pytest -n 2 --timeout 0 tests/unit/core/test_expressions_engine.py \
	  tests/contract/test_sequences.py $(ARGS)

docs: $(READY)  ## renew what the documents take from the code
	$(BIN)/python -m docs.generate

bench: $(READY)  ## measure the proxy against a constant-answer backend, beside boto3 and nginx
	$(BIN)/python -m bench $(ARGS)

bench-consumers: $(READY)  ## measure consumers and sweep on one core, beside the plan's script and boto3
	$(BIN)/python -m bench.consumers $(ARGS)

soak: $(READY)  ## ten minutes of full load: does a worker's memory stay flat?
	$(BIN)/python -m bench.soak $(ARGS)

simulate: $(READY)  ## live through bad days, drawn from seeds: make simulate SEEDS=1000..1049
	$(BIN)/python -m tests.simulation $(SEEDS) $(ARGS)

mutations: $(READY)  ## plant mistakes, and renew the table that says which check caught each
	$(BIN)/python -m tests.simulation.mutations --write $(ARGS)

lock: $(READY)  ## renew requirements.lock from pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	$(BIN)/pip-compile --quiet --generate-hashes --extra dev --strip-extras --allow-unsafe \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
