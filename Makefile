# Every target does all its own set-up: it needs Python >= 3.10, make and a network to PyPI, and no compiler.

PYTHON ?= python3
VENV ?= .venv
RUNS ?= runs/demo
DEMO_LEARNERS ?= finetune eclipse crisp joint
# A third of the iterations of the full schedule: under ten minutes on two cores. DEMO_ARGS= runs all of it.
DEMO_ARGS ?= --set schedule.scale=0.35
PYTEST_ARGS ?= -n 2

BIN := $(VENV)/bin
DONE := $(VENV)/.done

.PHONY: help setup demo test lint clean

help:
	@echo "make setup   make $(VENV) and install cvis with the tested versions of constraints.txt"
	@echo "make demo    set-up, then the synthetic 20-4 stream with every learner, and the result table"
	@echo "make test    set-up, then the tests"
	@echo "make lint    set-up, then ruff and mypy"
	@echo "make clean   remove $(VENV), $(RUNS) and the caches of the tools"

setup: $(DONE)

# Ordinary build isolation keeps torch out of the build of onedl-mmcv, which is then pure Python. Its
# dependencies bring both opencv-python and opencv-python-headless, which overwrite each other: the headless
# one goes last, because the other needs libGL, which servers and slim images do not have.
$(DONE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("cvis needs Python >= 3.10, or say make PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps --force-reinstall opencv-python-headless
	@touch $@

demo: $(DONE)
	set -e; for learner in $(DEMO_LEARNERS); do \
	  $(BIN)/cvis run synthetic-20-4 --learner $$learner --segmenter mask2former_tiny --runs $(RUNS) $(DEMO_ARGS); \
	done
	@echo
	$(BIN)/cvis compare $(RUNS)
	@echo "Synthetic videos, a tiny model from random weights, settings: $(or $(DEMO_ARGS),the full schedule)."

# One thread for each test process: two processes with two threads each only fight for two cores.
test: $(DONE)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(DONE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(RUNS) .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find cvis tests -name __pycache__ -type d -prune -exec rm -rf {} +
