# Make is the only runner. `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3.11
BIN    := .venv/bin
READY  := .venv/.ready

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(READY): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY)  ## make the virtual environment from the hashed lock

lock:  ## renew requirements/dev.txt (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev --no-header \
	  --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements/dev.txt

test: $(READY)  ## the tests: domain, contracts, real git and real processes
	@command -v bwrap >/dev/null || echo "bubblewrap is not installed: its tests are skipped, the others go on."
	@command -v chromium >/dev/null || echo "Chromium is not installed: nobody looks at the report with a browser."
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m 'not system'

check: $(READY)  ## everything CI runs: format, lint, types, layers, sizes, docs, tests with coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_size.py
	$(BIN)/mkdocs build --strict
	@command -v bwrap >/dev/null || echo "bubblewrap is not installed: its tests are skipped, the others go on."
	@command -v chromium >/dev/null || echo "Chromium is not installed: nobody looks at the report with a browser."
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m 'not system' --cov --cov-report=
	$(BIN)/python -m coverage report --include='src/chargehand/domain/*,src/chargehand/engine/*' \
	  --fail-under=100 --show-missing --skip-covered

fix: $(READY)  ## format, and mend what the linter can mend
	$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

docs: $(READY)  ## build the documentation into site/
	$(BIN)/mkdocs build --strict

demo: $(READY)  ## a run that goes wrong in every common way, is killed and resumed, and lands (no key, no network)
	$(BIN)/chargehand demo $(ARGS)

bench: $(READY)  ## what coordination costs, against the floor of the same run (ARGS=--quick, ARGS="--only git")
	$(BIN)/python bench/run.py $(ARGS)

kills: $(READY)  ## kill a run at every effect, and at random times under each sandbox (about half an hour on two cores)
	CHARGEHAND_EVERY_CALL=1 $(BIN)/python -m pytest -q -n auto --timeout 1200 tests/crash/test_in_process.py
	$(BIN)/python -m tests.crash.sweep
	$(BIN)/python -m tests.crash.sweep --plan judged
	$(BIN)/python -m tests.crash.kills
	$(BIN)/python -m tests.crash.kills --plan judged
	CHARGEHAND_KILL_ROUNDS=5 $(BIN)/python -m pytest -q -n auto --timeout 1200 -m system tests/e2e/test_profile_kills.py

systems: $(READY)  ## whole runs in projects of other systems (about ten minutes on two cores)
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m system

e2e: $(READY) kills systems  ## the kills, then rebuild two published packages, module by module (needs the package index)
	$(BIN)/python examples/rebuild/rebuild.py sqlparse==0.5.3
	$(BIN)/python examples/rebuild/rebuild.py pyasn1-modules==0.4.2

e2e-agents: $(READY)  ## real agent programs, pinned, on a scripted model; writes docs/agents.md (needs npm and PyPI)
	$(BIN)/python -m tests.agents $(or $(ARGS),--write docs/agents.md)

clean:  ## remove what the targets made
	rm -rf .venv site .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.PHONY: help setup lock test check fix docs demo bench kills e2e e2e-agents clean
.DEFAULT_GOAL := help
