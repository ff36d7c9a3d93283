# Two commands: `make run` and `make test`. Everything else is a convenience.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test lint bench train

setup: .venv/runtime
	$(BIN)/python -m personal.tiny

run: setup
	$(BIN)/python app.py

test: setup .venv/development
	$(BIN)/python tests/chromium.py
	$(BIN)/python -m pytest

lint: .venv/development
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: setup
	$(BIN)/python -m benchmarks

train: setup .venv/development
	$(BIN)/python -m personal.learn all $(or $(PHOTOS),$(error PHOTOS=FOLDER, which holds captions.jsonl and the images))

.venv/runtime: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade -r requirements.txt
	touch $@

.venv/development: requirements-dev.txt .venv/runtime
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@
