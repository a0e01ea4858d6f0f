# `make` lists what there is. Needs python3 (3.11 or newer), make, and a network for the first set-up.
# LGGSEG_DATA=<folder kaggle_3m> chooses the data; without it: data/kaggle_3m, else a download, else phantoms.
# CPU=1 installs PyTorch's CPU wheels, without 5 GB of CUDA.

PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
# Named after the content, not the time, of what was installed: a second run and a fresh checkout install nothing.
CONTENT := $(shell cat requirements.txt constraints.txt pyproject.toml | cksum | cut -d " " -f 1)
READY := .venv/.ready-$(CONTENT)
TEST_READY := .venv/.test-ready-$(CONTENT)
INSTALL := $(PY) -m pip install --constraint constraints.txt
ifdef CPU
INSTALL += --extra-index-url https://download.pytorch.org/whl/cpu
endif

LGGSEG_CACHE ?= $(CURDIR)/build/cache
export LGGSEG_CACHE
PHANTOM := LGGSEG_DATA=phantom
CHROMIUM ?= chromium chromium-browser google-chrome google-chrome-stable

.PHONY: help setup run lab app test check real-test browser-test widgets7-test colab-test notebooks frame benchmark images \
        weights screen genomics publish clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

$(PY):
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make PYTHON=...')"
	$(PYTHON) -m venv .venv

$(READY): | $(PY)
	$(INSTALL) --requirement requirements.txt
	$(PY) -m pip install --no-deps --editable .
	@rm -f .venv/.ready-* && touch $@

$(TEST_READY): | $(READY)
	$(INSTALL) --editable ".[test]"
	@rm -f .venv/.test-ready-* && touch $@

setup: $(READY) ## create .venv and install, once

run: $(READY) ## run all notebooks; pages and a scoreboard in build/
	$(PY) tools/run_series.py

lab: $(READY) ## open JupyterLab
	$(BIN)/jupyter lab notebooks

app: $(READY) ## the viewer as a page of its own, in the browser
	@$(PY) -c "import voila" 2>/dev/null || $(INSTALL) --editable ".[app]"
	$(BIN)/voila tools/app.ipynb

test: $(TEST_READY) check ## unit tests, and every notebook compared with its stored outputs
	@command -v $(CHROMIUM) >/dev/null && echo "Browser tests: not part of this; run make browser-test" \
	    || echo "Browser tests: SKIPPED, no Chromium found here"
	$(PHANTOM) $(PY) -m pytest tests --ignore tests/browser
	$(PHANTOM) $(PY) -m pytest --nbval notebooks

check: $(TEST_READY) ## style of the code, house rules of the notebooks
	$(BIN)/ruff check .
	$(PY) tools/lint.py
	$(PY) tools/frame.py --check

real-test: $(TEST_READY) ## tests on real patients; LGGSEG_DATA_REAL=<folder kaggle_3m>
	$(PY) -m pytest -m real tests --ignore tests/browser

browser-test: $(TEST_READY) ## drag the sliders in a headless Chromium
	$(PHANTOM) $(PY) -m pytest tests/browser

widgets7-test: $(TEST_READY) ## the viewer under ipywidgets 7.7.1, as on Colab
	$(PHANTOM) $(PY) tools/environments.py widgets7

colab-test: $(TEST_READY) ## every notebook where it looks like Colab
	$(PHANTOM) $(PY) tools/environments.py colab

notebooks: $(READY) ## re-execute the notebooks in place, on phantoms
	$(PY) tools/frame.py
	$(PHANTOM) $(PY) tools/run_series.py --in-place

frame: $(READY) ## stamp navigation and timings of tools/series.toml
	$(PY) tools/frame.py

benchmark: $(READY) ## what a step of the viewer's slider costs, and what makes training faster
	$(PY) benchmarks/viewer.py
	$(PY) benchmarks/training.py

images: $(READY) ## the pictures in images/, from phantoms and the model
	$(PHANTOM) $(PY) tools/make_images.py

STAGE = $(PY) -m lggseg.crossval --no-robust --size 192 --coarse-size 128 --lr 2e-3 --augment 0.5
weights: $(READY) ## cross-validate on the data at hand, for hours; stopped, it goes on where it was; then tools/ship.py
	$(PY) -m lggseg.crossval --no-robust --out build/coarse
	$(STAGE) --out build/fine --start build/coarse --coarse-share 0.4 --epochs 20 --seed 10
	$(STAGE) --out build/mixed --start build/fine --epochs 14 --epoch-slices 1500 --graft 0.4 --cyst 0.2 --seed 70
	$(PY) -m lggseg.crossval --join build/fine build/mixed --out build/crossval

screen: $(READY) ## what each choice of the recipe was worth on real validation patients; the stored tables
	$(PY) tools/screen.py
	$(PY) tools/inference.py

genomics: $(READY) ## the paper's table of shape and genomic clusters, from the cohort's masks
	$(PY) -m lggseg.genomics

publish: $(READY) ## stamp badges and address; REPO=owner/name
	$(PY) tools/publish.py "$(REPO)"

clean: ## delete build/, caches and the environment
	rm -rf build dist *.egg-info .venv .pytest_cache .ruff_cache
