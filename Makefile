# Every target does its own set-up: all that is needed is Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-deep bench lint clean

run: $(READY)            ## the seed comparison: copy_user against vmap, with its plots in out/seed
	$(BIN)/vhost-sim compare virtio-user-xdp1-tap --access copy_user,vmap --out out/seed

test: $(READY)           ## every test but the slow ones
	$(BIN)/pytest -n auto

test-deep: $(READY)      ## the slow tests too
	$(BIN)/pytest -n auto -m "deep or not deep"

bench: $(READY)          ## benchmarks of both engines, sweeps and start-up, as one table
	$(BIN)/pytest tests/bench -n 0 --benchmark-enable --benchmark-quiet

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vhost-sim needs Python 3.11 or later; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) out
