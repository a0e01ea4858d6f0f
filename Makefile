# `make` lists what there is. Needs python3 (3.11 or newer), make, and a network for the first set-up.
# LGGSEG_DATA=<folder kaggle_3m> chooses the data; without it: data/kaggle_3m, else a download, else phantoms.
# PyTorch comes without its 5 GB of CUDA where there is no NVIDIA GPU; CPU=1 and GPU=1 force either build.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
# Named after the content, not the time, of what was installed: a second run and a fresh checkout install nothing.
CONTENT := $(shell cat requirements.txt constraints.txt pyproject.toml | cksum | cut -d " " -f 1)
READY := .venv/.ready-$(CONTENT)
TEST_READY := .venv/.test-ready-$(CONTENT)
SITE_READY := .venv/.docs-ready-$(CONTENT)
INSTALL := $(PY) -m pip install --no-compile --constraint constraints.txt
WHEELS := $(PY) dev/tools/pick_wheels.py $(if $(CPU),--cpu) $(if $(GPU),--gpu)
COMPILE := $(PY) -m compileall -qq -j 0 .venv/lib || true  # once, on every core, where pip would take one

LGGSEG_CACHE ?= $(CURDIR)/build/cache
export LGGSEG_CACHE
PHANTOM := LGGSEG_DATA=phantom
# On every core a process with one thread. What is in one file stays together: fixtures, the cells of a notebook.
PYTEST := pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
UNIT := tests --ignore tests/browser
QUICK := -m "not more"
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)  # JupyterLab refuses root without it
CHROMIUM ?= chromium chromium-browser google-chrome google-chrome-stable

.PHONY: help setup run lab site try test check more-test stress real-test browser-test widgets7-test colab-test test-oldest notebooks \
        stamp bench images weights genomics publish clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

$(PY):
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=...')"
	$(PYTHON) -m venv .venv

$(READY): | $(PY)
	wheels=$$($(WHEELS)) && $(INSTALL) $$wheels --requirement requirements.txt --editable .
	@$(COMPILE)
	@rm -f .venv/.ready-* && touch $@

.venv/.%-ready-$(CONTENT): | $(READY)
	$(INSTALL) --editable ".[$*]"
	@$(COMPILE)
	@rm -f .venv/.$*-ready-* && touch $@

setup: $(READY) ## create .venv and install, once

run: $(READY) ## run all notebooks, or ARGS="04 05"; pages and a scoreboard in build/
	$(PY) -m dev.tools.run_series $(ARGS)

lab: $(READY) ## open JupyterLab; ARGS="--no-browser --port 9999" are passed on
	$(BIN)/jupyter lab $(AS_ROOT) $(ARGS) notebooks

site: $(SITE_READY) ## the series as a site whose viewers live without a kernel, in build/site
	$(PY) -m dev.tools.build_site

try: $(SITE_READY) ## the page in which the network runs, alone, served on this machine; needs node and npm
	$(PY) -m dev.tools.try_page build/try --serve

test: $(TEST_READY) check ## unit tests, and notebooks compared with their stored outputs; COVERAGE=1: and the lines run
	@command -v $(CHROMIUM) >/dev/null && echo "Browser tests: not part of this; run make browser-test" \
	    || echo "Browser tests: SKIPPED, no Chromium found here"
	$(PHANTOM) $(PY) -c "import lggseg; lggseg.open_cohort()"  # drawn now, not by two notebooks at once
ifdef COVERAGE  # of the unit tests alone
	OMP_NUM_THREADS=1 $(PHANTOM) $(PY) -m coverage run -m $(PYTEST) $(QUICK) $(UNIT)
	OMP_NUM_THREADS=1 $(PHANTOM) $(PY) -m $(PYTEST) --nbval notebooks
	$(PY) -m coverage combine --quiet && $(PY) -m coverage report
else  # notebooks first, since they take longest
	OMP_NUM_THREADS=1 $(PHANTOM) $(PY) -m $(PYTEST) $(QUICK) --nbval notebooks $(UNIT)
endif

more-test: $(TEST_READY) ## tests for which the ten minutes of make test have no room
	OMP_NUM_THREADS=1 $(PHANTOM) $(PY) -m $(PYTEST) -m more $(UNIT)

stress: $(TEST_READY) ## kills, damaged files, long runs: ten minutes, or ARGS="--minutes 2"; see docs/reliability.md
	$(PY) -m dev.stress $(ARGS)

check: $(TEST_READY) ## style and types of the code, house rules of the notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PY) -m dev.tools.lint
	$(PY) -m dev.tools.stamp --check

real-test: $(TEST_READY) ## tests on real patients; LGGSEG_DATA_REAL=<folder kaggle_3m>
	[ -z "$$LGGSEG_DATA_REAL" ] || $(PY) -c "import os, lggseg; lggseg.open_cohort(os.environ['LGGSEG_DATA_REAL'])"
	OMP_NUM_THREADS=1 $(PY) -m $(PYTEST) -m real $(UNIT)

browser-test: $(TEST_READY) ## drag the sliders in a headless Chromium
	$(PHANTOM) $(PY) -m pytest tests/browser

widgets7-test: $(TEST_READY) ## the viewer under ipywidgets 7.7.1, as on Colab
	$(PHANTOM) $(PY) -m dev.tools.environments widgets7

colab-test: $(TEST_READY) ## every notebook where it looks like Colab
	$(PHANTOM) $(PY) -m dev.tools.environments colab

test-oldest: $(PY) ## unit tests with the oldest versions that requirements.txt allows
	$(PHANTOM) $(if $(CPU),UV_TORCH_BACKEND=cpu) $(PY) -m dev.tools.environments oldest

notebooks: $(READY) ## re-execute the notebooks in place, or ARGS="04 05", on phantoms
	$(PY) -m dev.tools.stamp
	$(PHANTOM) $(PY) -m dev.tools.run_series --in-place $(ARGS)

stamp: $(READY) ## stamp navigation and timings of dev/tools/series.toml
	$(PY) -m dev.tools.stamp

bench: $(READY) ## how fast all is, as ratios, in six minutes; ARGS="--real FOLDER --write"; see dev/benchmarks/README.md
	$(PY) -m dev.benchmarks $(ARGS)

images: $(READY) ## the pictures in images/, from phantoms and the model
	$(PHANTOM) $(PY) -m dev.tools.make_images

weights: $(READY) ## cross-validate on the data at hand, for hours; stopped, it goes on where it was
	$(PY) -m experiments.crossval --config experiments/recipes/base.toml --folds 5 --out build/crossval

genomics: $(READY) ## the paper's table of shape and genomic clusters, from the cohort's masks
	$(PY) -m lggseg.genomics

publish: $(READY) ## stamp badges and address; REPO=owner/name
	$(PY) -m dev.tools.publish "$(REPO)"

clean: ## delete build/, caches and the environment
	rm -rf build dist *.egg-info .venv mutants .mypy_cache .pytest_cache .ruff_cache
