# Each target stands alone: on a machine with only Python (3.11 or newer) and make, `make demo` or `make test` creates
# the environment, installs the package with pinned versions and does its job.

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell \
	$(p) -c 'import sys; print("$(p)" if sys.version_info >= (3, 11) else "")' 2>/dev/null)))

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# Whatever is compiled or kept between two runs lies in the clone, so that a fresh clone is a cold machine, here and in
# CI. Packages alone come from the user's own cache. A test compares these lines with tools/caches.py, which does the
# same for what is started by hand.
USER_CACHE := $(XDG_CACHE_HOME)
CACHE := $(CURDIR)/$(VENV)/cache
export NUMBA_CACHE_DIR := $(CACHE)/numba
export PYTENSOR_FLAGS := base_compiledir=$(CACHE)/pytensor
export MPLCONFIGDIR := $(CACHE)/matplotlib
export XDG_CACHE_HOME := $(CACHE)/xdg
export IPYTHONDIR := $(CACHE)/ipython
export JUPYTER_CONFIG_DIR := $(CACHE)/jupyter/config
export JUPYTER_DATA_DIR := $(CACHE)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(CACHE)/jupyter/runtime
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
export DASK_CONFIG := $(CACHE)/dask

PIP := XDG_CACHE_HOME="$(USER_CACHE)" PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet -c constraints.txt

# Two processes, a file of tests in one of them, in the order of the folders: files that compile the same loops are apart.
TWICE := --numprocesses=2 --dist=loadfile --no-loadscope-reorder

.PHONY: demo test slow lowest highest hooks freeze bench notebooks validation picture paper docs dist coverage browser data venv clean
.DELETE_ON_ERROR:

demo: $(STAMP)
	@mkdir -p demo
	$(BIN)/hiddenpop estimate uk --plot demo/uk.png
	$(BIN)/hiddenpop warm

test: $(STAMP) browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest $(TWICE)

slow: $(STAMP) browser
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow

# The quick tests with the oldest versions that pyproject.toml allows on the oldest Python, and with the newest of both.
# Slow: each installs an environment of its own beside the one that the other targets use.
lowest highest:
	rm -rf $(VENV)-$@
	$(if $(filter lowest,$@),python3.11,$(PYTHON)) -m venv $(VENV)-$@
	$(if $(filter lowest,$@),$(PYTHON) -m tools.lowest > $(VENV)-$@/pins.txt,touch $(VENV)-$@/pins.txt)
	$(VENV)-$@/bin/python -m pip install --quiet -c $(VENV)-$@/pins.txt -e ".[dev]"
	OMP_NUM_THREADS=1 $(VENV)-$@/bin/pytest $(TWICE)

# The checks of style and types before every commit.
hooks: $(STAMP)
	$(PIP) pre-commit==4.7.0
	$(BIN)/pre-commit install

# Every answer written down before files are moved; `make freeze WHAT=compare` says what answers otherwise since.
WHAT := write
freeze: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.freeze $(WHAT)

bench: $(STAMP)
	$(BIN)/pytest benchmarks

# What the notebooks and the README show, made again.
notebooks: $(STAMP)
	$(BIN)/python notebooks/execute.py

# The paper, with every number computed again: paper/build/hiddenpop.pdf.
paper: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python paper/make.py

# The documentation in docs/_build/html: a warning is an error, and so is a link that leads nowhere.
docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

# Wheel and source distribution, built, installed without extras in an empty environment, and tried there.
dist: $(STAMP)
	XDG_CACHE_HOME="$(USER_CACHE)" $(BIN)/python tools/check_distribution.py --out dist

# Which lines the quick tests run, by room. Compiled loops do not show.
coverage: $(STAMP) browser
	OMP_NUM_THREADS=1 $(BIN)/pytest $(TWICE) --cov --cov-report=term

# Tests look at the report in Chromium and read PDF files with pdftotext; where these cannot be installed they say so.
browser:
	@for name in chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null && command -v pdftotext >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium and pdftotext for the tests of pages"; \
	  apt-get update -qq >/dev/null && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core poppler-utils >/dev/null; \
	else echo "No Chromium or no pdftotext: the tests that look at pages with them will be skipped"; fi

# How every estimator does where the answer is known: two hours on two cores, `make validation QUICK=--quick` minutes.
validation: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/hiddenpop validate --out docs/validation $(QUICK)

picture: $(STAMP)
	@mkdir -p docs/images
	$(BIN)/hiddenpop estimate uk --seed 1 --plot docs/images/uk-estimate.png

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
	rm -rf $(VENV) demo dist $(addprefix docs/,_build _gallery notebooks api cli.md gallery.md changelog.md security.md) paper/build .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find src tests benchmarks notebooks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The synthetic data that come along, byte for byte.
data: $(STAMP)
	$(BIN)/hiddenpop simulate --all
