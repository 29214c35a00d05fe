# What a newcomer needs: `make demo`, `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: help demo load bench test test-quick test-timing lint browser screenshots proto format clean

help:
	@echo "make demo               Triton, index and gateway on a sample shop, on port 8080"
	@echo "make demo ARGS=--once   the same: three searches, then the end"
	@echo "make load               a two-minute load test of the demo; report in .lookalike/load"
	@echo "make bench              what all of it costs, part by part; table in .lookalike/bench"
	@echo "make test               lint, types, import contracts, all tests (real Triton included)"
	@echo "make test-quick         the same without the slow tests"
	@echo "make test-timing        overload by the clock, on a machine that does nothing else"
	@echo "make screenshots        the pictures in docs/screenshots, taken of the running demo"
	@echo "make format             put the code into the project's format"

demo: $(VENV)/.local
	@$(BIN)/lookalike demo $(ARGS)

load: $(VENV)/.load
	@$(BIN)/python -m loadtest.on_demo $(ARGS)

bench: $(VENV)/.load
	@$(BIN)/python -m loadtest.bench $(ARGS)

test: lint browser
	$(BIN)/pytest $(ARGS)

test-quick: lint
	$(BIN)/pytest -m "not slow and not timing" $(ARGS)

# Overload and deadlines by the clock: for a machine that does nothing else.
test-timing: $(VENV)/.test
	$(BIN)/pytest -m timing $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The page's tests drive a browser. Where there is none and it cannot be had, they are skipped.
browser:
	@command -v "$${CHROMIUM:-chromium}" >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
			&& echo "installing chromium for the page's tests (once)" \
			&& apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| echo "no chromium: the page's tests will be skipped (apt install chromium, or set CHROMIUM)"

screenshots: $(VENV)/.test browser
	$(BIN)/python -m tests.page.screenshots $(ARGS)

proto: $(VENV)/.test
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. \
		gateway/api/v1/lookalike.proto

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The demo needs no PyTorch; the tests do.
$(VENV)/.local: pyproject.toml | $(VENV)
	@echo "installing the demo's packages into $(VENV) (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/.load: pyproject.toml | $(VENV)
	@echo "installing the load test's packages into $(VENV) (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local,load]'
	@touch $@ $(VENV)/.local

$(VENV)/.test: pyproject.toml tests/constraints.txt | $(VENV)
	@echo "installing the tests' packages into $(VENV), PyTorch among them (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt \
		--editable '.[local,export,evaluate,parquet,load,otel,dev]'
	@touch $@ $(VENV)/.local $(VENV)/.load

$(VENV):
	@$(PYTHON) gateway/local/platform_check.py
	@$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .lookalike
