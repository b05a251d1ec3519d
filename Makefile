# make demo    set up and run the simulated genome from data to report
# make demo-full  the same with every experiment in tiny sizes, about 20 minutes on 2 idle cores
# make test    set up and run the test suite, but for tests that take very long
# make test-all  set up and run every test
# make test-fresh  the commands of the README on minimal Debians made for it (as root, with debootstrap)
# make lint    set up and run what a change must pass beside its tests: style, types, rules
# make site    set up and build the documentation site into build/site; a broken link fails
# CORES=N      cores to use (default: all)
CORES ?= $(shell nproc 2>/dev/null || echo 2)
SNAKEMAKE := .venv/bin/snakemake
## Two busy workers, and one that mostly waits for the clocks of a Slurm.
PYTEST := .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo demo-full test test-all test-fresh triton tools lint tree lock site

help:
	@sed -n 's/^# //p' Makefile

setup:
	@envs/setup.sh

demo: setup
	$(SNAKEMAKE) --cores $(CORES) --configfile config/demo.yaml

demo-full: setup
	$(SNAKEMAKE) --cores $(CORES) --configfile config/demo.yaml config/demo_full.yaml

test: setup triton tools
	CORES=$(CORES) $(PYTEST) -m "not long"
	@echo "left to make test-all:"; grep -rl --include="*.py" "mark\.long" tests || echo "nothing"

test-all: setup triton tools
	PRISMFLOW_MUTANTS=3000 CORES=$(CORES) $(PYTEST)

test-fresh: setup
	.venv/bin/python -m pytest -s tests/fresh

triton: setup
	@.venv/bin/python -c "import triton" 2>/dev/null || \
		.venv/bin/python -m pip install --quiet --require-hashes --no-deps -r envs/triton.lock || \
		echo "Triton has no build for this machine: the tests in its interpreter are skipped"

lint: setup tools
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/snakefmt --check Snakefile rules
	.venv/bin/mypy
	$(SNAKEMAKE) --lint --configfile config/demo.yaml

tools: setup
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r envs/dev.lock

site: setup
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r envs/docs.lock
	NO_MKDOCS_2_WARNING=1 .venv/bin/python docs/make_site.py

tree: setup
	.venv/bin/python docs/make_tree.py

lock: tools
	.venv/bin/python envs/make_lock.py
