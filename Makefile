# Thin: each line is a command that you could type. CORES limits the jobs, ARGS goes to Snakemake as it is:
#   make run CORES=2 ARGS="--configfile config/paper.yaml"
PYTHON ?= $(shell for p in python3.11 python3; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
CORES ?= all
ARGS ?=
TESTS ?= tests
WORKERS ?= logical
SECONDS ?= 20
KILLS ?= 20
KILL_SEED ?=
STAGES ?= tables figures
BUNDLE ?= archive/reference
FROM_ARCHIVE ?= from-archive
READER ?=
TABLE ?=
STAGE ?=
SEED ?=

# made with the model that config/reference.yaml starts from
BASE := results/models/wiki-2016/minilm-l6/softmax/seed~1/training.tsv

VENV := .venv
BIN := $(VENV)/bin
FIGURES_VENV := .venv-figures
# looking at tables and folders takes few packages, so the environment of the figures will do where it is the only one
LOOK := $(or $(wildcard $(VENV)/run.stamp),$(wildcard $(FIGURES_VENV)/stamp),$(VENV)/run.stamp)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
RUN := $(BIN)/python tools/run.py --cores $(CORES)
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run demo reference dry-run figures report archive publish figures-from-archive test test-fast test-all test-system test-kill test-slurm test-conda fuzz lint hooks format benchmark-grid benchmark-fitting benchmark-attention benchmark-encoder benchmark-certificates benchmark-pruning benchmark-dry-run estimate show-tokens docs deviations envs containers architecture show doctor clean clean-results

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' Makefile

run: $(VENV)/run.stamp ## set up, then run the workflow (unlocks after a crash)
	$(RUN) $(ARGS)

demo: $(VENV)/run.stamp ## a first look in minutes: both pipelines on a part of the data, in the folder demo/
	@mkdir -p demo resources && ln -sfn ../resources demo/resources
	$(RUN) --directory demo --configfile config/config.yaml config/demo.yaml $(ARGS)
	@echo "open demo/results/report.html"

reference: $(VENV)/run.stamp ## the study of docs/results.md, in the folder reference/: its base model, then everything else (hours)
	@mkdir -p reference resources && ln -sfn ../resources reference/resources
	$(RUN) --directory reference --configfile config/config.yaml config/reference-text.yaml $(ARGS) -- $(BASE)
	$(RUN) --directory reference --configfile config/config.yaml config/reference.yaml $(ARGS)
	@echo "open reference/results/report.html"

dry-run: $(VENV)/run.stamp ## show what would run, and why
	$(RUN) --dry-run $(ARGS)

figures: $(VENV)/run.stamp ## only the figures and what they need
	$(RUN) figures $(ARGS)

report: $(VENV)/run.stamp ## only results/report.html and what it needs
	$(RUN) results/report.html $(ARGS)

archive: $(VENV)/run.stamp ## pack results of a finished run into results/archive/bundle.zip (STAGES="tables models exports", ARGS as of make run)
	$(BIN)/python tools/archive.py --stages $(STAGES) $(ARGS)

publish: $(VENV)/run.stamp ## upload the bundle to a draft on Zenodo's sandbox (ZENODO_TOKEN; ARGS="--server https://zenodo.org")
	$(BIN)/python tools/publish.py $(ARGS)

figures-from-archive: $(FIGURES_VENV)/stamp ## draw figures and report of the reference study from the tables in the repository, without torch, into from-archive/
	$(FIGURES_VENV)/bin/python tools/run.py --cores $(CORES) --directory $(FROM_ARCHIVE) --configfile config/config.yaml $(BUNDLE)/config.yaml \
		--config 'start_from={stage: tables, path: "$(abspath $(BUNDLE))"}' $(ARGS)

test: $(VENV)/test.stamp ## set up, then run the tests (TESTS=tests/unit for a part, WORKERS=0 for one after another)
	$(PYTEST) -m "not again and not system" $(TESTS)

test-fast: $(VENV)/test.stamp ## the same without the tests that run Snakemake or are slow
	$(PYTEST) -m "not slow and not again and not system" $(TESTS)

test-all: $(VENV)/test.stamp ## the same with the tests that run the workflow again
	$(PYTEST) -m "not system" $(TESTS)

test-system: $(VENV)/test.stamp ## the tests with conda, Slurm and a browser, which install packages of Debian (as root)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore tests/system/test_kill.py tests/system

test-kill: $(VENV)/test.stamp ## kill runs of the tiny configuration at random moments and start them again (KILLS=50 KILL_SEED=3)
	KILLS=$(KILLS) $(if $(KILL_SEED),KILL_SEED=$(KILL_SEED)) $(BIN)/python -m pytest -s tests/system/test_kill.py

test-slurm: $(VENV)/test.stamp ## run the tiny configuration on a small Slurm of this machine (needs root and Debian's packages)
	$(BIN)/python -m pytest tests/system/test_slurm.py tests/system/test_schedulers.py

test-conda: $(VENV)/test.stamp ## run the tiny configuration with --use-conda, in real environments (needs a package index)
	$(BIN)/python -m pytest tests/system/test_conda.py tests/system/test_pins.py

fuzz: $(VENV)/test.stamp ## damage users' files at random and read them (SECONDS=60 each; READER=dump-new SEED=7 for one)
	FUZZ_SECONDS=$(SECONDS) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest tests/fuzz -k "$(if $(READER),[$(READER)],one_line)"

lint: $(VENV)/test.stamp ## check the style and the types
	$(BIN)/python -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/tests.yml
	$(BIN)/zizmor --quiet --offline .github
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	PYTHONPATH=workflow/scripts $(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules
	$(BIN)/python -m snakemake --lint

hooks: $(VENV)/test.stamp ## run the same checks on every commit (needs git)
	$(BIN)/python -m pre_commit install

format: $(VENV)/test.stamp ## mend the style
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
	$(BIN)/snakefmt Snakefile workflow/Snakefile rules

benchmark-grid: $(VENV)/run.stamp ## time one sweep of the grid against point by point (ARGS="--processes 2")
	$(BIN)/python benchmarks/grid.py $(ARGS)

benchmark-fitting: $(VENV)/run.stamp ## time fitting projections and clusters against plain loops and scikit-learn
	$(BIN)/python benchmarks/fitting.py $(ARGS)

benchmark-attention: $(VENV)/test.stamp ## time attention over block lists against dense attention (ARGS="--lengths 1024 --json FILE")
	$(BIN)/python benchmarks/attention.py $(ARGS)

benchmark-encoder: $(VENV)/test.stamp ## time a whole encoder over predicted blocks against its dense form (ARGS="--lengths 1024 --json FILE")
	$(BIN)/python benchmarks/encoder.py $(ARGS)

benchmark-certificates: $(VENV)/run.stamp ## measure what a proof of exact entmax attention takes (ARGS="--lengths 1024 --json FILE")
	$(BIN)/python benchmarks/certificates.py $(ARGS)

benchmark-pruning: $(VENV)/run.stamp ## time a classifier with pruned tokens hidden and removed against the dense one
	$(BIN)/python benchmarks/pruning.py $(ARGS)

benchmark-dry-run: $(VENV)/run.stamp ## time the dry runs of the study and of the published scale against their limits
	$(BIN)/python benchmarks/dry_run.py $(ARGS)

estimate: $(VENV)/run.stamp ## storage and time of a run before it starts (ARGS=config/study.yaml)
	$(BIN)/python tools/estimate.py $(ARGS)

show-tokens: $(VENV)/run.stamp ## show in the terminal which tokens survive (ARGS="--count 5")
	$(BIN)/python tools/show_tokens.py $(ARGS)

docs: $(VENV)/test.stamp ## build the site of the documents into site/; broken links are errors
	$(BIN)/python tools/build_docs.py

deviations: $(VENV)/run.stamp ## write the measured deviations from results/tables into docs/deviations.md
	$(BIN)/python tools/write_deviations.py

envs: $(VENV)/test.stamp ## write envs/<rule>.yaml and environment.yaml from the lock
	$(BIN)/python tools/make_envs.py

containers: $(VENV)/test.stamp ## write containers/ from envs/
	$(BIN)/python tools/make_containers.py

architecture: $(VENV)/test.stamp ## draw the pictures of docs/architecture.md and docs/rules.md from the code
	$(BIN)/python tools/draw_architecture.py
	$(BIN)/python tools/draw_rules.py

show: $(LOOK) ## show a table in the terminal (TABLE=pruning ARGS="--sort f1 --reverse"); without TABLE list them
	@$(dir $(LOOK))bin/python tools/show_table.py $(TABLE) $(ARGS)

doctor: ## say what this machine has for the workflow, what is missing, and for what
	@$(or $(wildcard $(BIN)/python),$(PYTHON),python3) tools/doctor.py

clean: $(LOOK) ## disk use of each stage; delete stages with STAGE="qk gold"
	@$(dir $(LOOK))bin/python tools/clean.py $(STAGE)

clean-results: $(VENV)/run.stamp ## delete what the workflow made; resources/ and logs stay
	$(BIN)/python -m snakemake --cores 1 --delete-all-output $(ARGS)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.txt constraints.txt | $(VENV)/bin/python
	$(INSTALL) --requirement requirements.txt
	@touch $@

$(VENV)/test.stamp: requirements-dev.txt requirements.txt constraints.txt | $(VENV)/bin/python
	$(INSTALL) --requirement requirements-dev.txt
	@touch $@ $(VENV)/run.stamp

# without pip of its own, compiled files, and the tests of packages, because all of it is meant to be small
$(FIGURES_VENV)/stamp: requirements-figures.txt constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv --clear --without-pip $(FIGURES_VENV)
	$(PYTHON) -m pip --python $(FIGURES_VENV)/bin/python install --disable-pip-version-check --no-compile \
		--constraint constraints.txt --requirement requirements-figures.txt
	find $(FIGURES_VENV)/lib -type d -name tests -prune -exec rm -r {} +
	@touch $@
