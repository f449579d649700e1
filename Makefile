# Every target does its own set-up: all that is needed is Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY_RUN := $(VENV)/.ready-run
READY := $(VENV)/.ready
READY_DOCS := $(VENV)/.ready-docs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Versions with their digests: of everything, and of what `make run` needs.
LOCK := constraints.txt
LOCK_RUN := constraints-run.txt
# The machine's own uv, or the one that is installed first.
UV := $(shell command -v uv)
# uv installs what is wanted in seconds; pip, where uv finds no registry, all that is locked in minutes. Both prove every file.
INSTALL = $(or $(UV),$(BIN)/uv) pip install --quiet --python $(BIN)/python --constraint $(LOCK) --build-constraint $(LOCK) \
    --editable '.[$(EXTRAS)]' || { $(HAVE_PIP) && $(PIP) --no-deps --require-hashes --requirement $(LOCKED) \
    && $(PIP) --no-deps --no-build-isolation --editable .; }
HAVE_PIP = { $(BIN)/python -m pip --version || $(BIN)/python -m ensurepip; } >/dev/null 2>&1
# An environment of another interpreter than PYTHON is made anew.
ASKED := $(shell $(PYTHON) -c 'import sys; print(sys.version.split()[0], sys.base_prefix)' 2>/dev/null)
MADE_BY := $(VENV)/.python
ifneq ($(ASKED),$(shell cat $(MADE_BY) 2>/dev/null))
.PHONY: $(READY_RUN)
endif

# Images of containers often forbid to keep bytecode: then each start of the command compiles its libraries anew (1 s).
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-deep mutate fuzz bench counts notebooks notebooks-write docs lint lock clean same-trace

run: $(READY_RUN)        ## the seed comparison: copy_user against vmap, with its plots in out/seed
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
	    build=$$($(BIN)/python -m tests.count.cited --build $$kernel) || exit; \
	    $(BIN)/vhost-sim count --release $$build --tables out/counts/$$kernel --recording out/counts/$$kernel.json || exit; \
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
	$(BIN)/hadolint Containerfile

lock: $(READY)           ## choose newer versions of what is installed (KEEP=constraints.txt: only what pyproject.toml has made necessary)
	$(COMPILE) pyproject.toml --extra dev --extra docs $(if $(KEEP),--constraint $(KEEP)) --output-file out/lock.txt
	{ head -2 $(LOCK); cat out/lock.txt; } >out/constraints.txt && mv out/constraints.txt $(LOCK)
	$(COMPILE) pyproject.toml --extra plots --extra build --constraint $(LOCK) --output-file out/lock.txt
	{ head -2 $(LOCK_RUN); cat out/lock.txt; } >out/constraints.txt && mv out/constraints.txt $(LOCK_RUN)
	echo uv | $(COMPILE) - --output-file out/lock.txt
	{ head -1 uv.txt; cat out/lock.txt; } >out/uv.txt && mv out/uv.txt uv.txt

$(READY_RUN): EXTRAS := plots
$(READY_RUN): LOCKED := $(LOCK_RUN)
$(READY_RUN): pyproject.toml $(LOCK) $(LOCK_RUN) uv.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vhost-sim needs Python 3.11 or later; set PYTHON=...")'
	test "$$(cat $(MADE_BY) 2>/dev/null)" = '$(ASKED)' || rm -rf $(VENV)
	$(PYTHON) -m venv $(if $(UV),--without-pip) $(VENV)
	$(if $(UV),,$(PIP) --require-hashes --requirement uv.txt)
	$(INSTALL)
	echo '$(ASKED)' >$(MADE_BY)
	touch $@

$(READY): EXTRAS := dev
$(READY): LOCKED := $(LOCK)
$(READY): $(READY_RUN)
	$(HAVE_PIP)
	$(PIP) --require-hashes --requirement uv.txt
	$(INSTALL)
	touch $@

$(READY_DOCS): EXTRAS := dev,docs
$(READY_DOCS): LOCKED := $(LOCK)
$(READY_DOCS): $(READY)
	$(INSTALL)
	touch $@

clean:
	rm -rf $(VENV) out
