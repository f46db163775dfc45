# Two commands do all the set-up: `make demo` and `make test`. Needs Python 3.11 or newer, make and a C compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := data

export DAGSTER_DISABLE_TELEMETRY := 1
export GX_ANALYTICS_ENABLED := false

.PHONY: demo test lint ui lock clean

demo: $(VENV)/.installed
	$(BIN)/crm-quality sample --to $(DEMO) --customers 10000 --seed 1
	$(BIN)/crm-quality run --project $(DEMO)

# Two files at a time, each whole on one worker: its tests share what they prepare.
test: $(VENV)/.installed
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ui: $(VENV)/.installed
	$(BIN)/crm-quality ui --project $(DEMO)

$(VENV)/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==0.13.9"
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# Versions and hashes of everything, without the address of an index.
lock: $(VENV)/.installed
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group dev --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --upgrade --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV)
