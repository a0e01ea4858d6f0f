# `make` lists what there is. Needs python3 (3.11 or newer), make, and a network for the first set-up.
# LGGSEG_DATA=<folder kaggle_3m> chooses the data; without it: data/kaggle_3m, else a download, else phantoms.
# CPU=1 installs PyTorch's CPU wheels, without 5 GB of CUDA.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
# Named after the content, not the time, of what was installed: a second run and a fresh checkout install nothing.
CONTENT := $(shell cat requirements.txt requirements-test.txt constraints.txt pyproject.toml | cksum | cut -d " " -f 1)
READY := .venv/.ready-$(CONTENT)
TEST_READY := .venv/.test-ready-$(CONTENT)
INSTALL := $(PY) -m pip install --constraint constraints.txt
ifdef CPU
INSTALL += --extra-index-url https://download.pytorch.org/whl/cpu
endif

LGGSEG_CACHE ?= $(CURDIR)/build/cache
export LGGSEG_CACHE
PHANTOM := LGGSEG_DATA=phantom

.PHONY: help setup run lab test check real-test browser-test colab-test notebooks frame images app genomics publish clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

$(PY):
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=...')"
	$(PYTHON) -m venv .venv

$(READY): | $(PY)
	$(INSTALL) --requirement requirements.txt
	$(PY) -m pip install --no-deps --editable .
	@rm -f .venv/.ready-* && touch $@

$(TEST_READY): | $(READY)
	$(INSTALL) --requirement requirements-test.txt
	@rm -f .venv/.test-ready-* && touch $@

setup: $(READY) ## create .venv and install, once

run: $(READY) ## run all notebooks; pages and a scoreboard in build/
	$(PY) tools/run_series.py

lab: $(READY) ## open JupyterLab
	$(BIN)/jupyter lab notebooks

test: $(TEST_READY) check ## unit tests, and every notebook compared with its stored outputs
	$(PHANTOM) $(PY) -m pytest tests --ignore tests/browser
	$(PHANTOM) $(PY) -m pytest --nbval notebooks

check: $(TEST_READY) ## style of the code, house rules of the notebooks
	$(BIN)/ruff check .
	$(PY) tools/lint.py
	$(PY) tools/frame.py --check

real-test: $(TEST_READY) ## tests on real patients; LGGSEG_DATA_REAL=<folder kaggle_3m>
	$(PY) -m pytest -m real tests

browser-test: $(TEST_READY) ## drag the sliders in a headless Chromium
	$(PHANTOM) $(PY) -m pytest tests/browser

notebooks: $(TEST_READY) ## re-execute the notebooks in place, on phantoms
	$(PHANTOM) $(PY) tools/run_series.py --in-place

frame: $(READY) ## stamp navigation and timings of tools/series.toml
	$(PY) tools/frame.py

clean: ## delete build/, caches and the environment
	rm -rf build dist *.egg-info .venv .pytest_cache .ruff_cache
