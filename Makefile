# The verbs of the project; `make help` lists them. On a fresh machine only make and Python 3.11 or newer are needed.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PY := .venv/bin/python
# One stamp per content of a requirements file: a pull that changes it installs again, a mere checkout does not.
RUNTIME := .venv/.runtime-$(shell cksum < requirements.txt | tr -d ' ')
DEVELOP := .venv/.develop-$(shell cksum < requirements-dev.txt | tr -d ' ')
INSTALL := $(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r

help: ## list these verbs
	@grep -E '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(RUNTIME) ## import, mirror and text 1,200 made-up students; ONCE=1 stops after the table
	@$(PY) manage.py demo $(if $(ONCE),--once)

run: $(RUNTIME) ## the portal with the accounts in .env (the twins where there are none)
	@$(PY) manage.py runportal

test: lint types layers ready ## everything: lint, types, layers, tests on SQLite and on the services that are reachable
	@$(PY) -m smsportal.tests.everywhere

proof: $(DEVELOP) ## sending under kills, freezes and races, on both databases: a table, also in docs/proof.md; FULL=1: a million texts
	@$(PY) -m messaging.tests.proof

lint: $(DEVELOP) ## style and common mistakes (ruff)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

types: $(DEVELOP) ## types (mypy, strict)
	@$(PY) -m mypy smsportal contacts messaging

layers: $(DEVELOP) ## who may import whom (import-linter)
	@.venv/bin/lint-imports --no-logo

ready: $(DEVELOP) ## no migration is missing, and the settings of a public installation pass Django's checks
	@$(PY) manage.py makemigrations --check --dry-run
	@PUBLIC_URL=https://texts.example.edu ALLOWED_HOSTS=texts.example.edu DEBUG=no \
	  $(PY) manage.py check --deploy --fail-level WARNING

bench: $(RUNTIME) ## measure the portal against its limits, about ten minutes (QUICK=1: see that it runs; FULL=1: a million)
	@$(PY) -m benchmarks $(if $(QUICK),--quick) $(if $(FULL),--full)

lock: $(DEVELOP) ## compile requirements*.in into requirements*.txt, with hashes
	@.venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" requirements.in --output-file requirements.txt
	@.venv/bin/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" requirements-dev.in --output-file requirements-dev.txt

$(PY):
	@for each in "$$PYTHON" python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if [ -n "$$each" ] && "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making .venv with $$("$$each" --version)"; \
	    "$$each" -m venv .venv && exit 0; \
	    rm -rf .venv; \
	    echo "$$each cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	  fi; \
	done; \
	echo "Python 3.11 or newer was not found. Install it, or name it: make demo PYTHON=/path/to/python3" >&2; exit 1

$(RUNTIME): | $(PY)
	@echo "Installing what the portal runs on"
	@$(INSTALL) requirements.txt
	@rm -f .venv/.runtime-*
	@touch $@

$(DEVELOP): | $(PY)
	@echo "Installing what the tests and tools need besides"
	@$(INSTALL) requirements-dev.txt
	@rm -f .venv/.develop-* .venv/.runtime-*
	@touch $@ $(RUNTIME)

export PYTHON
.PHONY: help demo run test proof lint types layers ready bench lock
