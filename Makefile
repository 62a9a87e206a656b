# `make` lists the targets. Everything but `lock` and `clean` first sees to it that .venv holds the locked versions.
# Written for GNU make 3.81 and later.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# PYTHON=/path/to/python chooses the interpreter, ARGS="..." is passed on to the command.
PYTHON ?=
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# An older openai library cannot live beside the current one, so it has a folder of its own; and so has what is npm's.
WITNESS := .witness/openai-2.8.0
WITNESS_NODE := .witness/node
NPM := npm --loglevel error --no-audit --no-fund --no-update-notifier

.PHONY: help demo serve test witness check format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## the whole story on this machine, without an account
	@$(BIN)/reelhook demo $(ARGS)

serve: $(READY) ## run the service
	@$(BIN)/reelhook serve $(ARGS)

test: $(READY) ## run the tests; ARGS="-k sweep" runs some of them
	@$(BIN)/python -m pytest $(ARGS)

witness: $(READY) $(WITNESS)/.ready ## fetch client libraries that some tests run; without them they are skipped
	@if command -v npm >/dev/null; then $(MAKE) $(WITNESS_NODE)/.ready; \
	else echo "npm is not installed, so what Node verifies with is not fetched" >&2; fi

check: $(READY) ## style, types, and the order of the floors
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_floors.py

format: $(READY) ## put the code into shape
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

lock: ## write .locks/ anew; ARGS=--upgrade also moves to newer versions
	@$(find_python); tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && \
	echo "Locking ..." && "$$python" -m venv "$$tmp" && \
	"$$tmp/bin/python" -m pip --quiet --disable-pip-version-check install uv && \
	compile() { "$$tmp/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" $(ARGS) pyproject.toml "$$@"; } && \
	compile --extra postgres --output-file .locks/runtime.txt >/dev/null && \
	compile --extra dev --constraint .locks/runtime.txt --output-file .locks/dev.txt >/dev/null && \
	echo "openai==2.8.0" | "$$tmp/bin/uv" pip compile --quiet --no-config --universal --python-version 3.11 \
	  --generate-hashes --custom-compile-command "make lock" $(ARGS) - --output-file .locks/openai-2.8.0.txt >/dev/null && \
	if command -v npm >/dev/null; then \
	  $(NPM) install --prefix .locks/node --package-lock-only --omit-lockfile-registry-resolved; fi

clean: ## remove .venv, caches and build output
	@rm -rf .venv .witness .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp comes last, so an install that broke off is not taken for a finished one; without a stamp it starts afresh.
$(READY): .locks/dev.txt pyproject.toml
	@$(find_python); \
	if test -e $(READY); then echo "Updating .venv ..."; \
	else echo "Setting up .venv with $$python (once, about a minute) ..."; "$$python" -m venv --clear .venv; fi && \
	$(PIP) install --require-hashes -r .locks/dev.txt && \
	$(PIP) install --no-deps --no-build-isolation --editable . && \
	touch $@

$(WITNESS)/.ready: .locks/openai-2.8.0.txt $(READY)
	@rm -rf $(WITNESS) && $(PIP) install --require-hashes --target $(WITNESS) -r .locks/openai-2.8.0.txt && touch $@

$(WITNESS_NODE)/.ready: .locks/node/package.json .locks/node/package-lock.json
	@rm -rf $(WITNESS_NODE) && mkdir -p $(WITNESS_NODE) && cp .locks/node/*.json $(WITNESS_NODE) && \
	$(NPM) ci --prefix $(WITNESS_NODE) --ignore-scripts && touch $@

# A name on PATH is not yet an interpreter that runs (pyenv), and one that runs may lack venv (Debian): so try it.
define find_python
python=; bare=; \
for name in $(if $(PYTHON),"$(PYTHON)",python3.13 python3.12 python3.11 python3 python); do \
  "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
  if "$$name" -c 'import ensurepip, venv' 2>/dev/null; then python=$$name; break; fi; bare=$$name; \
done; \
if test -z "$$python"; then \
  if test -n "$$bare"; then echo "$$bare cannot create environments; on Debian: apt install python3-venv" >&2; \
  else echo "Reelhook needs Python 3.11 or newer, and none was found. Install one, or name it: make PYTHON=/path/to/python3" >&2; fi; \
  exit 1; \
fi
endef
