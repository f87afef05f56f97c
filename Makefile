# Every target does all its own set-up: it needs Python >= 3.10, make and a network to PyPI, and no compiler.

PYTHON ?= python3
VENV ?= .venv
RUNS ?= runs/demo
# After fine-tuning, which trains the step 0 that all share. The upper bound takes longest, so it goes first.
DEMO_LEARNERS ?= joint mib comformer combo balconpas pseudo replay eclipse crisp anchor
# A quarter of the full schedule at step 0, less afterwards: some ten minutes on two cores. DEMO_ARGS= runs all of it.
DEMO_ARGS ?= --set schedule.base.iterations=1000 --set schedule.incremental.iterations=60
# Learners at a time, one thread each: two threads for one learner would be slower than two learners side by side.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
PYTEST_ARGS ?= -n 2
SITE ?= build/site

BIN := $(VENV)/bin
DONE := $(VENV)/.done

# Of data sets that are not here: CVIS_DATA=/data make leaderboard BUNDLES='leaderboard/results/*.zip'
BUNDLES ?= leaderboard/results/synthetic-*.zip

.PHONY: help setup demo test lint docs leaderboard clean

help:
	@echo "make setup   make $(VENV) and install cvis with the tested versions of constraints.txt"
	@echo "make demo    set-up, then the synthetic 20-4 stream with every learner, the result table and a report page"
	@echo "make test    set-up, then the tests"
	@echo "make lint    set-up, then ruff and mypy"
	@echo "make docs    set-up, then the documentation: $(SITE)/index.html (needs Python >= 3.11)"
	@echo "make leaderboard   set-up, then score its bundles again, and see that its page is theirs"
	@echo "make clean   remove $(VENV), $(RUNS) and the caches of the tools"

setup: $(DONE)

# Ordinary build isolation keeps torch out of the build of onedl-mmcv, which is then pure Python. Its
# dependencies bring both opencv-python and opencv-python-headless, which overwrite each other: the headless
# one goes last, because the other needs libGL, which servers and slim images do not have.
$(DONE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("cvis needs Python >= 3.10, or say make PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps --force-reinstall opencv-python-headless
	@touch $@

DEMO_RUN = $(BIN)/cvis run synthetic-20-4 --segmenter mask2former_tiny --runs $(RUNS) $(DEMO_ARGS) --learner

demo: $(DONE)
	$(DEMO_RUN) finetune
	@mkdir -p $(RUNS)/logs
	@echo "$(DEMO_LEARNERS): $(JOBS) at a time, each with a log in $(RUNS)/logs"
	@printf '%s\n' $(DEMO_LEARNERS) | OMP_NUM_THREADS=1 xargs -P $(JOBS) -I {} sh -c \
	  '$(DEMO_RUN) {} > $(RUNS)/logs/{}.log 2>&1 && tail -n 2 $(RUNS)/logs/{}.log || { cat $(RUNS)/logs/{}.log; exit 255; }'
	@echo
	$(BIN)/cvis compare $(RUNS)
	$(BIN)/cvis report $(RUNS) --out $(RUNS)/report
	@echo "Synthetic videos, a tiny model from random weights, settings: $(or $(DEMO_ARGS),the full schedule)."

# One thread for each test process: two processes with two threads each only fight for two cores.
test: $(DONE)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS) --ignore=tests/reliability
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS) tests/reliability

lint: $(DONE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What the pages take from the code is read again each time; warnings, such as of links that lead nowhere, are errors.
docs: $(DONE)
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -E -W --keep-going -c docs -d $(SITE)/.doctrees . $(SITE)

leaderboard: $(DONE)
	$(BIN)/cvis verify $(BUNDLES) --strict
	$(BIN)/cvis compare leaderboard/results --update leaderboard/README.md --check

clean:
	rm -rf $(VENV) $(RUNS) $(SITE) .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find cvis tests -name __pycache__ -type d -prune -exec rm -rf {} +
