# Every target does all its own set-up: it needs Python >= 3.10, make and a network to PyPI, and no compiler.

PYTHON ?= python3
VENV ?= .venv
RUNS ?= runs/demo
ALL_LEARNERS = joint mib comformer combo balconpas pseudo replay finetune anchor crisp eclipse
# The longest first. All of them, DEMO_LEARNERS='$(ALL_LEARNERS)', would take some 40 minutes of one core.
DEMO_LEARNERS ?= joint finetune crisp eclipse
# The recipe of the README's table, whose step 0 comes with cvis; joint training is the longest, and gets half of its own.
DEMO_ARGS ?= --evaluate auto --set schedule.joint.iterations=3000
# Learners at a time, one thread each: two threads for one learner would be slower than two learners side by side.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
PYTEST_ARGS ?= -n 2
SITE ?= build/site

BIN := $(VENV)/bin
DONE := $(VENV)/.done

# Of data sets that are not here: CVIS_DATA=/data make leaderboard BUNDLES='leaderboard/results/*.zip'
BUNDLES ?= leaderboard/results/synthetic-*.zip

.PHONY: help setup demo test lint docs leaderboard bench clean

help:
	@echo "make setup   make $(VENV) and install cvis with the tested versions of constraints.txt"
	@echo "make demo    set-up, then the synthetic 20-4 stream with four learners, the result table and a report page"
	@echo "make test    set-up, then the tests"
	@echo "make lint    set-up, then ruff and mypy"
	@echo "make docs    set-up, then the documentation: $(SITE)/index.html (needs Python >= 3.11)"
	@echo "make leaderboard   set-up, then score its bundles again, and see that its page is theirs"
	@echo "make bench   set-up, then every ratio of speed and memory that is promised: benchmarks/RESULTS.md (on an idle machine)"
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
	$(DEMO_RUN) finetune --stop-after 0
	@mkdir -p $(RUNS)/logs
	@echo "$(DEMO_LEARNERS): $(JOBS) at a time, each with a log in $(RUNS)/logs"
	@printf '%s\n' $(DEMO_LEARNERS) | OMP_NUM_THREADS=1 xargs -P $(JOBS) -I {} sh -c \
	  '$(DEMO_RUN) {} > $(RUNS)/logs/{}.log 2>&1 && tail -n 2 $(RUNS)/logs/{}.log || { cat $(RUNS)/logs/{}.log; exit 255; }'
	@echo
	$(BIN)/cvis compare $(RUNS)
	$(BIN)/cvis report $(RUNS) --out $(RUNS)/report
	@echo "Synthetic videos, a tiny model from random weights; the README's recipe, but for: $(or $(DEMO_ARGS),nothing)."

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

bench: $(DONE)
	$(BIN)/python benchmarks/run_all.py $(BENCH_ARGS)

clean:
	rm -rf $(VENV) $(RUNS) $(SITE) .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find cvis tests -name __pycache__ -type d -prune -exec rm -rf {} +
