# Two commands: `make run` and `make test`. Everything else is a convenience.
PYTHON ?= python3
BIN := .venv/bin
# Compiled ahead, as pip does: where Python may not keep what it compiled, each start would take 16 s more.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --system-certs --python $(BIN)/python

.PHONY: setup run test test-fast coverage check lint lock bench train space

setup: .venv/runtime
	$(BIN)/python -m personal.tiny

run: setup
	$(BIN)/python app.py

test: setup .venv/development
	$(BIN)/python tests/chromium.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Without a browser, a server process, a model or training.
test-fast: .venv/development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile -m "not slow"

coverage: setup .venv/development
	$(BIN)/python tests/chromium.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --cov --cov-report term:skip-covered

check: lint test

lint: .venv/development
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

lock: .venv/development
	$(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --no-header pyproject.toml -o requirements.txt

bench: setup
	$(BIN)/python -m benchmarks

train: setup .venv/development
	$(BIN)/python -m personal.learn all $(or $(PHOTOS),$(error PHOTOS=FOLDER, which holds captions.jsonl and the images))

# A folder to push to a Hugging Face Space; HARDWARE is cpu, gpu or zero.
space:
	$(PYTHON) deploy/space.py $(or $(FOLDER),out/space) $(or $(HARDWARE),cpu)

# uv installs several times as fast as pip; pip is the way out where uv has no wheel or does not know the index.
.venv/runtime: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	-$(BIN)/python -m pip install --quiet uv==0.13.9
	$(UV) -r requirements.txt || $(BIN)/python -m pip install --quiet -r requirements.txt
	$(UV) --no-deps -e . || $(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

.venv/development: requirements-dev.txt .venv/runtime
	$(UV) -r requirements-dev.txt || $(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@
