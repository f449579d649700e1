# Every target does its own set-up: all that is needed is Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DOCS := $(VENV)/.ready-docs
# With UV=.../uv it installs in seconds what pip installs in minutes.
INSTALLER := $(if $(UV),$(UV) pip install --python $(BIN)/python,$(BIN)/python -m pip install --disable-pip-version-check)
INSTALL := $(INSTALLER) --quiet --constraint constraints.txt --editable

# Images of containers often forbid to keep bytecode: then each start of the command compiles its libraries anew (1 s).
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-deep mutate bench counts notebooks notebooks-write docs lint clean same-trace

run: $(READY)            ## the seed comparison: copy_user against vmap, with its plots in out/seed
	$(BIN)/vhost-sim compare virtio-user-xdp1-tap --access copy_user,vmap --out out/seed

test: $(READY)           ## every test but the slow ones
	$(BIN)/pytest -n auto --dist worksteal

test-deep: $(READY_DOCS) ## the slow tests too, with notebooks and documentation
	$(BIN)/pytest -n auto --dist worksteal -m "deep or not deep"

SAMPLE ?= 0
SEED ?= 1

mutate: $(READY)         ## change the model in one place at a time and see which tests notice (SAMPLE=200 of them by SEED)
	$(BIN)/python -m tests.mutation.run --sample $(SAMPLE) --seed $(SEED) $(MUTATE)

SCENARIOS ?= 10000
FIRST ?= 0

same-trace: $(READY)     ## both engines on SCENARIOS scenarios that combine features across kinds, from number FIRST on; goes on where it was
	$(BIN)/python -m tests.engine.combined --first $(FIRST) --count $(SCENARIOS)

bench: $(READY)          ## benchmarks of both engines, sweeps and start-up, as one table
	$(BIN)/pytest tests/bench -n 0 --benchmark-enable --benchmark-quiet

KERNELS ?= 5.10.262 6.1.192 6.12.95 6.18.15 7.3.4

counts: $(READY)         ## count again what the tabulated kernels execute, under emulation, beside what is cited (KERNELS=6.1.192: ten minutes each)
	for kernel in $(KERNELS); do \
	    $(BIN)/vhost-sim count --release $$kernel --tables out/counts/$$kernel --recording out/counts/$$kernel.json || exit; \
	done
	$(BIN)/python -m tests.count.cited out/counts

WHICH ?= deep or not deep

notebooks: $(READY_DOCS) ## run every notebook and compare it with what is kept (WHICH=deep: only what `make test` leaves out)
	$(BIN)/pytest -n auto --dist worksteal -m "$(WHICH)" tests/notebooks

notebooks-write: $(READY_DOCS) ## run every notebook, keep its outputs, and write it as a page into out/notebooks
	$(BIN)/python -m notebooks.write
	$(BIN)/python -m notebooks.pages out/notebooks

docs: $(READY_DOCS)      ## build the site in out/site, look at it, and run every command that it shows
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	SITE=out/site $(BIN)/pytest -n auto --dist worksteal -m "$(WHICH)" tests/docs

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vhost-sim needs Python 3.11 or later; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[dev]'
	touch $@

$(READY_DOCS): $(READY)
	$(INSTALL) '.[dev,docs]'
	touch $@

clean:
	rm -rf $(VENV) out
