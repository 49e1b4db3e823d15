# make run    serve config.toml, in a virtual environment that is made for it
# make test   format, lint, types, and all tests with the built wheel; `make tests` takes the checkout instead
# PYTHON=…    another interpreter than python3; VENV=… another place than .venv

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:

# python3, or where that one is too old the newest other that there is
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
endif
VENV ?= .venv
# what is installed for those who develop; to run the tests alone, "test" is enough
EXTRA ?= dev
BIN := $(abspath $(VENV))/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WHEEL := $(abspath $(VENV))-wheel
# what the tests of the built wheel need beside it
BESIDE := tests examples benchmarks docs README.md config.toml setup.cfg pyproject.toml
# two processes a processor: tests wait for signals, sockets and processes more than they compute
PYTEST ?= pytest -q -n $$(( 2 * $$(getconf _NPROCESSORS_ONLN) ))

# options for pytest: which of the tests
ONLY ?=

.PHONY: run test lint types tests wheel format coverage bench dev clean FORCE

run: $(VENV)/.run
	@exec $(BIN)/buvar run -c config.toml

test: lint types wheel

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python

# Hundreds of tests start an interpreter: where PYTHONDONTWRITEBYTECODE is set, each of them would compile all of buvar.
tests: $(VENV)/.dev
	$(BIN)/python -m compileall -q buvar buvar_aiohttp benchmarks examples
	$(BIN)/python -m $(PYTEST) $(ONLY)

# The sources are out of the way: the tests run in a folder of their own, where `import buvar` finds the installed wheel.
wheel: $(VENV)/.dev
	rm -rf $(WHEEL) dist
	$(BIN)/python -m build --outdir dist . > /dev/null
	$(BIN)/python -m venv $(WHEEL)
	$(WHEEL)/bin/python -m pip --disable-pip-version-check --quiet install "$$(echo dist/*.whl)[test]"
	mkdir $(WHEEL)/beside
	cp -R $(BESIDE) $(WHEEL)/beside
	cd $(WHEEL)/beside && $(WHEEL)/bin/python -c \
		'import buvar, buvar_aiohttp; assert all("site-packages" in m.__file__ for m in (buvar, buvar_aiohttp)), buvar'
	cd $(WHEEL)/beside && $(WHEEL)/bin/python -m $(PYTEST) $(ONLY)

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

dev: $(VENV)/.dev

$(VENV)/.run: $(VENV)/.python setup.cfg pyproject.toml buvar/__init__.py
	@echo "installing buvar into $(VENV)"
	@$(PIP) install --editable '.[aiohttp,uvloop,examples]'
	@touch $@

$(VENV)/.dev: $(VENV)/.python setup.cfg pyproject.toml buvar/__init__.py
	@echo "installing buvar and the tools of its developers into $(VENV)"
	@$(PIP) install --editable '.[$(EXTRA)]'
	@touch $@ $(VENV)/.run

# made anew when the interpreter is another one, or the folder was moved
$(VENV)/.python: FORCE
	@wanted="$$($(PYTHON) -c 'import sys; print(sys.base_prefix, sys.version_info[:3])') $(BIN)"; \
	if [ "$$(cat $@ 2>/dev/null)" != "$$wanted" ]; then \
		$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
			"buvar needs Python 3.11 or newer; this one is %d.%d. Name another: make PYTHON=…" % sys.version_info[:2])'; \
		rm -rf $(VENV); \
		$(PYTHON) -m venv $(VENV); \
		echo "$$wanted" > $@; \
	fi

clean:
	rm -rf $(VENV) $(WHEEL) build dist *.egg-info htmlcov .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
