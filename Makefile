# Each target stands alone: on a machine with only Python (3.11 or newer) and make, `make demo` or `make test` creates
# the environment, installs the package with pinned versions and does its job.

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell \
	$(p) -c 'import sys; print("$(p)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -c constraints.txt

.PHONY: demo test slow bench notebooks validation picture venv clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	@mkdir -p demo
	$(BIN)/hiddenpop estimate uk --plot demo/uk.png

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=2 --dist=loadfile

slow: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow

bench: $(STAMP)
	$(BIN)/pytest benchmarks

# What the notebooks and the README show, made again.
notebooks: $(STAMP)
	$(BIN)/python notebooks/execute.py

# How every estimator does where the answer is known: two hours on two cores, `make validation QUICK=--quick` minutes.
validation: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/hiddenpop validate --out docs/validation $(QUICK)

picture: $(STAMP)
	@mkdir -p docs/images
	$(BIN)/hiddenpop estimate uk --plot docs/images/uk-estimate.png

venv: $(STAMP)

# The build backend is installed first and build isolation switched off, so that the pins hold for the backend too.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Preparing $(VENV) (a minute or two, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find src tests benchmarks notebooks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The synthetic data that come along, byte for byte.
.PHONY: data
data: $(STAMP)
	$(BIN)/hiddenpop simulate --all
