# The commands of this project; `make` alone lists them.
VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TOOLS := .venv-tools
INSTALL := install --quiet --disable-pip-version-check --require-hashes
PIP := $(PY) -m pip
# One lock for every Python and system that we support; `make lock` again changes nothing by itself.
LOCK := $(TOOLS)/bin/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
FAST := not services and not browser and not on_postgresql and not slow
# Whatever ends it, no process of it stays behind.
CONTAINED := $(PY) scripts/contained.py
export PIP_ROOT_USER_ACTION := ignore
# Tests start many processes: without stored bytecode each compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install install-dev run test test-fast coverage lint types format bench faults rehearsal fuzz mutations pips screenshots messages outdated lock audit sbom clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Create .venv with what delivr needs at run time

run: install ## Start everything: web, sweeper, sandbox (PORT=8000, DELIVR_DATA_DIR=.data)
	@exec $(PY) -m delivr.run.up

test: install-dev ## Run all tests: on SQLite, PostgreSQL and Redis, and in Chromium
	@exec $(CONTAINED) $(PY) scripts/test.py

test-fast: install-dev ## Run the quick tests on SQLite, without services and browser, for daily work (ARGS=-x)
	@exec env DATABASE_URL=sqlite:///:memory: CELERY_BROKER_URL= \
	  $(CONTAINED) $(PY) -m pytest -q -n auto --dist worksteal --nomigrations -m "$(FAST)" $(ARGS)

coverage: install-dev ## Run the tests on SQLite and report the code that they do not reach (ARGS=delivr/effects)
	@exec $(CONTAINED) $(PY) -m pytest -q -m "not services and not browser" --cov=. $(ARGS)

lint: install-dev ## Check the style of Python, templates and the files for containers
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/djlint templates --lint --quiet
	$(VENV)/bin/hadolint Dockerfile
	$(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml

types: install-dev ## Check types
	$(VENV)/bin/mypy .

format: install-dev ## Fix what `make lint` can fix automatically
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: install-dev ## Measure webhooks, effects, open pages, tables, long lists and every request (bench/README.md)
	@$(CONTAINED) $(PY) bench/all.py
	@$(CONTAINED) $(PY) bench/lists.py
	@exec $(CONTAINED) $(PY) bench/explain.py

faults: install-dev ## Kill, freeze and flood the whole product, and check the invariants (docs/reliability.md)
	@exec $(CONTAINED) $(PY) faults/run.py $(ARGS)

rehearsal: install-dev ## Restart three web servers, three workers and two sweepers in turn under load (ARGS=--seconds=20)
	@exec $(CONTAINED) $(PY) faults/rehearsal.py $(ARGS)

fuzz: install-dev ## Try many inputs for every API operation, with each role and without one (ARGS=-x; takes minutes)
	@OPENAPI_EXAMPLES=$${OPENAPI_EXAMPLES:-50} exec $(CONTAINED) $(PY) -m pytest -q -o faulthandler_timeout=0 delivr/tests/test_openapi_fuzz.py delivr/tests/test_api_fuzz.py $(ARGS)

pips: install-dev ## Try the installation with the pip versions of Debian 12 and Python 3.11 to 3.13
	@for version in 22.3 23.0.1 23.2.1 24.2; do \
	  $(PIP) download --quiet --no-deps --dest .cache/pips pip==$$version || exit 1; done
	@PIPS=$(CURDIR)/.cache/pips exec $(PY) -m pytest -q delivr/tests/test_install.py $(ARGS)

screenshots: install-dev ## Render every page, light and dark, at three widths, into docs/screenshots
	@exec $(CONTAINED) $(PY) scripts/screenshots.py $(ARGS)

messages: install-dev ## Collect all texts for a translation: make messages LANGUAGE=de
	@mkdir -p locale && $(PY) manage.py makemessages --locale $(or $(LANGUAGE),en) --ignore .venv --ignore sandbox

mutations: install-dev ## Remove each safeguard from a copy of the code, and check that tests fail
	@exec $(CONTAINED) $(PY) faults/mutations.py

outdated: install-dev ## List newer releases of the pinned packages
	$(PY) -m pip list --outdated

lock: $(TOOLS)/installed ## Pin everything that requirements*.txt need, with hashes (ARGS=--upgrade)
	@$(LOCK) requirements-pip.txt -o requirements-pip.lock $(ARGS)
	@$(LOCK) requirements.txt -o requirements.lock $(ARGS)
	@$(LOCK) requirements-dev.txt -c requirements.lock -o requirements-dev.lock $(ARGS)
	@$(LOCK) requirements-tools.txt -c requirements-pip.lock -o requirements-tools.lock $(ARGS)

audit: $(TOOLS)/installed ## Check the pinned packages for known vulnerabilities
	@exec $(TOOLS)/bin/python scripts/advisories.py

sbom: $(TOOLS)/installed ## Write sbom.json (CycloneDX) from requirements.lock
	@$(TOOLS)/bin/cyclonedx-py requirements requirements.lock --of JSON -o sbom.json

clean: ## Remove .venv and all generated files, but not .data
	rm -rf $(VENV) $(TOOLS) sbom.json staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- The virtual environment, made again only when the requirements change -----------------------

install-dev: $(VENV)/installed-dev

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "delivr needs Python 3.11 to 3.13: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "On Debian: apt-get install python3-venv" >&2; exit 1; }

# The pinned pip, by the one that is there: a single file with its hash leaves nothing to resolve.
$(VENV)/installed-pip: requirements-pip.lock | $(PY)
	@$(PIP) $(INSTALL) --no-deps -r requirements-pip.lock
	@touch $@

$(VENV)/installed: requirements.lock $(VENV)/installed-pip
	@echo "Installing requirements.lock …"
	@$(PIP) $(INSTALL) -r requirements.lock
	@touch $@

# What comes as source alone (multi-key-dict) is built with the setuptools of the lock.
$(VENV)/installed-dev: requirements-dev.lock requirements.lock $(VENV)/installed-pip
	@echo "Installing requirements-dev.lock …"
	@$(PIP) $(INSTALL) --build-constraint requirements-dev.lock -r requirements-dev.lock
	@touch $@ $(VENV)/installed

$(TOOLS)/installed: requirements-tools.lock $(VENV)/installed-pip
	@$(PY) -m venv --without-pip $(TOOLS)
	@$(PIP) --python $(TOOLS)/bin/python $(INSTALL) -r requirements-tools.lock
	@touch $@
