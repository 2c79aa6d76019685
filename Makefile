# Every target sets up all it needs, in .venv. A machine needs Python 3.11 or newer with venv, and make.

PYTHON  ?= python3
# Of pytest: one more than there are processors, for many tests wait.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
ARGS    ?=

bin := .venv/bin

.PHONY: setup demo test lint format bench chaos soak nightly clean
.DEFAULT_GOAL := setup

setup: .venv/.stamp .venv/deno/.stamp

# Quick when nothing of this changed. setup.py fetches the libraries of the page.
.venv/.stamp: pyproject.toml setup.py app/static/vendor.json
	@test -x $(bin)/pip || $(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	  "wfg needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Say which: make PYTHON=python3.11")'
	@test -x $(bin)/pip || $(PYTHON) -m venv --clear .venv
	$(bin)/pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@touch $@

# Deno, for the edge functions: without it their tests are skipped.
.venv/deno/.stamp: .venv/.stamp tests/deno/package-lock.json $(wildcard supabase/functions/*/deno.lock)
	@if $(bin)/python -m tests.deno install; then touch $@; else echo "no Deno: the edge functions are not tested"; fi

# A real workflow file, run to its end on an embedded Postgres.
demo: .venv/.stamp
	$(bin)/wfg run workflows/ci.yml

# On the embedded Postgres; on another one with WFG_TEST_DSN=… (a superuser's).
# make test ARGS='tests/test_claim.py -k lane' runs some.
test: setup
	$(bin)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: setup
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/basedpyright --pythonpath $(bin)/python
	$(bin)/wfg db check
	$(bin)/python -m tests.deno lint

format: setup
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

# Prints a table and writes bench.json.
bench: .venv/.stamp
	$(bin)/python -m tests.bench $(ARGS)

# Breaks one thing after another under load, and prints what it cost: some minutes. A full disk needs root.
chaos: .venv/.stamp
	$(bin)/python -m tests.chaos $(ARGS)

# An hour of load, and what memory, files and latency do meanwhile. Prints a table of soak.jsonl.
soak: .venv/.stamp
	$(bin)/python -m tests.soak $(ARGS)

# All tests, those too long for every day too, with many more examples.
nightly: setup
	HYPOTHESIS_PROFILE=nightly $(bin)/pytest -n $(WORKERS) --dist worksteal -m '' $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis bench.json soak.jsonl
