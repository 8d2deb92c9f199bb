# Make is the only runner. `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3.11
BIN    := .venv/bin
READY  := .venv/.ready

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(READY): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY)  ## make the virtual environment from the hashed lock

lock:  ## renew requirements/dev.txt (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --extra dev --no-header \
	  --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements/dev.txt

.PHONY: help setup lock
.DEFAULT_GOAL := help
