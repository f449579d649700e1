# Every target does its own set-up: all that is needed is Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DOCS := $(VENV)/.ready-docs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := constraints.txt
# uv installs what is wanted in seconds; pip, where uv finds no registry, all that is locked in minutes. Both prove every file.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(LOCK) --build-constraint $(LOCK) --editable '.[$(EXTRAS)]' \
    || { $(PIP) --no-deps --require-hashes --requirement $(LOCK) && $(PIP) --no-deps --no-build-isolation --editable .; }

# Images of containers often forbid to keep bytecode: then each start of the command compiles its libraries anew (1 s).
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-deep mutate fuzz bench counts notebooks notebooks-write docs lint lock clean same-trace

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

MINUTES ?= 10

fuzz: $(READY)           ## hostile input for so many MINUTES: an answer or one clean line (FUZZ="--only settings --seed 2")
	$(BIN)/python -m tests.fuzz.run --minutes $(MINUTES) $(FUZZ)

bench: $(READY)          ## benchmarks of both engines, sweeps and start-up, as one table
	$(BIN)/pytest tests/bench -n 0 --benchmark-enable --benchmark-quiet

KERNELS ?= 5.10.262 6.1.192 6.12.95 6.18.15 7.3.4

counts: $(READY)         ## count again what the tabulated kernels execute, under emulation, beside what is cited (KERNELS=6.1.192: ten minutes each)
	for kernel in $(KERNELS); do \
	    $(BIN)/vhost-sim count --release $$kernel --tables out/counts/$$kernel --recording out/counts/$$kernel.json || exit; \
	done
	$(BIN)/python -m tests.count.cited out/counts

COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11.5 --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet --upgrade
KEEP ?=

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

lock: $(READY)           ## choose newer versions of what is installed (KEEP=constraints.txt: only what pyproject.toml has made necessary)
	$(COMPILE) pyproject.toml --extra dev --extra docs $(if $(KEEP),--constraint $(KEEP)) --output-file out/lock.txt
	{ head -2 $(LOCK); cat out/lock.txt; } >out/constraints.txt && mv out/constraints.txt $(LOCK)
	echo uv | $(COMPILE) - --output-file out/lock.txt
	{ head -1 uv.txt; cat out/lock.txt; } >out/uv.txt && mv out/uv.txt uv.txt

$(READY): EXTRAS := dev
$(READY): pyproject.toml $(LOCK) uv.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vhost-sim needs Python 3.11 or later; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --requirement uv.txt
	$(INSTALL)
	touch $@

$(READY_DOCS): EXTRAS := dev,docs
$(READY_DOCS): $(READY)
	$(INSTALL)
	touch $@

clean:
	rm -rf $(VENV) out
