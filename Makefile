PYTHON ?= python3
BIN := .venv/bin

# Two processes fill two cores: more are no faster, and the tests of processes that have
# to be back in some seconds then fail.
TEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: setup demo dev test coverage chaos bench-tasks bench-events conformance check clean

setup: .venv/.complete

# Python 3.11's pip in a new venv knows no dependency groups: it is upgraded first.
.venv/.complete: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e . --group dev
	touch $@

demo: setup
	$(BIN)/taskfish demo

dev: setup
	$(BIN)/taskfish dev

test: setup
	$(TEST)

# The same tests, half as slow again.
coverage: setup
	$(TEST) --cov --cov-report=term --cov-fail-under=90

chaos: setup
	$(BIN)/python -m tests.chaos $(CHAOS)

# What a list of 22,000 tasks costs beside Temporal's own: takes some minutes.
bench-tasks: setup
	$(BIN)/python -m tests.bench.lists $(BENCH)

# DMTF's validators: needs root, unshare and ip (docs/conformance.md).
conformance: setup
	$(BIN)/python -m tests.conformance

# From the end of a task to its subscribers, and from a source's event to that end.
bench-events: setup
	$(BIN)/python -m tests.bench.events
	$(BIN)/python -m tests.bench.detection

check: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf .venv .taskfish .conformance build dist *.egg-info .coverage .coverage.* .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
