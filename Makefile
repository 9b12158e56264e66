# windfleet: every target installs what it needs, once.
#
#   make demo PYTHON=python3.13     any target takes another Python, from 3.11 on; changing it rebuilds the environments
#
# Two environments, because LocalStack pins boto3: .venv (windfleet and its tools) and .localstack/venv (the S3 server).
# Three more for whoever wants them: .spark/venv (Spark, for windfleet query --engine spark), .peers/venv (make peers), .docs/venv (make docs). Each carries a stamp: the checksum of its lock and the Python it was made by. Same stamp, nothing to do.

PYTHON ?= python3
VENV := .venv
SERVER := .localstack/venv
SPARK := .spark/venv
PEERS := .peers/venv
DOCS := .docs/venv
BIN := $(VENV)/bin
PIP := -m pip -qq --disable-pip-version-check --no-input
WORKERS ?= 3
RULES := $(addprefix tests/house/test_,floors.py prose.py tests.py)
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
# The tests start hundreds of processes, and each would compile windfleet again.
unexport PYTHONDONTWRITEBYTECODE

# LocalStack 4.14.0 loads S3 on Python 3.13 only, 4.13.1 on 3.11 and 3.12 (with a paging patch, see localstack/launcher.py).
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
# the interpreter behind a shim, a link or an active .venv (which is about to be removed when it must be rebuilt)
BASE_PYTHON := $(shell $(PYTHON) -c 'import os, sys; print(os.path.realpath(sys._base_executable))' 2>/dev/null)
PYTHON_MINOR := $(basename $(PYTHON_VERSION))
# On a newer Python windfleet runs, and the server takes another interpreter: localstack/install.py finds or fetches it.
SERVER_LOCK_3.11 := localstack/locks/4.13.1.txt
SERVER_LOCK_3.12 := localstack/locks/4.13.1.txt
SERVER_LOCK_3.13 := localstack/locks/4.14.0.txt
SERVER_LOCK := $(or $(SERVER_LOCK_$(PYTHON_MINOR)),$(wildcard localstack/locks/*.txt))

checksum = $(firstword $(shell cat /dev/null $(1) 2>/dev/null | cksum))
PYTHON_PATH := $(firstword $(shell echo $(BASE_PYTHON) | cksum))
VENV_STAMP := $(VENV)/.stamp-$(PYTHON_VERSION)-$(PYTHON_PATH)-$(call checksum,.lock/windfleet.txt)
# A change of pyproject.toml alone installs windfleet again, in two seconds, and no package.
PROJECT_STAMP := $(VENV)/.stamp-windfleet-$(call checksum,pyproject.toml sim/wheel/backend.py)
SERVER_STAMP := $(SERVER)/.stamp-$(PYTHON_VERSION)-$(PYTHON_PATH)-$(call checksum,$(SERVER_LOCK))
SPARK_STAMP := $(SPARK)/.stamp-$(PYTHON_VERSION)-$(PYTHON_PATH)-$(call checksum,.lock/spark.txt)
PEERS_STAMP := $(PEERS)/.stamp-$(PYTHON_VERSION)-$(PYTHON_PATH)-$(call checksum,.lock/peers.txt)
DOCS_STAMP := $(DOCS)/.stamp-$(PYTHON_VERSION)-$(PYTHON_PATH)-$(call checksum,.lock/docs.txt)
JARS_STAMP := .spark/jars/.stamp-$(call checksum,.lock/spark-jars.txt)
EXTENSION := $(wildcard sim/query/spark/*.java)
CLASSES_STAMP := .spark/classes/.stamp-$(call checksum,$(EXTENSION) .lock/spark.txt)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-fast test-all check bench peers docs docs-picture install localstack spark lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install localstack ## the whole fleet for ten minutes of virtual time, through the pipeline into LocalStack, judged
	@$(BIN)/windfleet run scenarios/quickstart.yaml --overwrite

test: install localstack ## all tests but the long campaigns
	$(PYTEST)

test-fast: install ## the inner loop: tests without a server, a process or a whole simulated world; the rules are in make check
	$(PYTEST) -m 'not campaign and not slow' $(addprefix --ignore=,$(RULES))

test-all: install localstack spark $(DOCS_STAMP) ## all tests, the long campaigns too
	WINDFLEET_TESTS=all $(PYTEST) -m ''

check: install ## lint, format, types, rules of the house (import floors, prose)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(BIN)/mypy & types=$$!; $(BIN)/python -m pytest -q $(RULES); rules=$$?; wait $$types && exit $$rules

bench: install localstack ## what a row and an object cost, part by part
	$(BIN)/windfleet bench

peers: install localstack $(PEERS_STAMP) ## plain copies of the same rows by polars, DuckDB, pandas and dlt, beside the pipeline (.peers)
	$(BIN)/python -m tests.peers

# Sphinx takes a link, anchor or picture that leads nowhere for an error.
docs: install $(DOCS_STAMP) ## the docs site, with the README as its front page; its links are checked (.docs/site)
	@$(BIN)/python .docs/generate.py .docs/build
	@rm -rf .docs/site
	@$(DOCS)/bin/python -m sphinx -q -W --keep-going -c .docs .docs/build .docs/site
	@echo "windfleet: docs in .docs/site; open it with any browser: file://$(CURDIR)/.docs/site/index.html"

docs-picture: install localstack ## run quickstart, and take the README's picture of its report (needs Chromium)
	@$(BIN)/windfleet run quickstart --overwrite --quiet
	@PYTHONPATH=. $(BIN)/python .docs/picture.py runs/quickstart-7 .docs/pages/report.png

install: $(PROJECT_STAMP) ## the windfleet environment (.venv)

localstack: $(SERVER_STAMP) ## the embedded LocalStack (.localstack/venv)

spark: $(SPARK_STAMP) $(JARS_STAMP) $(CLASSES_STAMP) ## Spark, for windfleet query --engine spark (.spark; 1.3 GB, needs Java 17)

define supported
	@test -n "$(PYTHON_VERSION)" || { echo "make: no Python found as '$(PYTHON)'; name one: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.11" >&2; exit 3; }
	@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: '$(PYTHON)' is Python $(PYTHON_VERSION); windfleet" \
	  "runs on 3.11 and newer. Name one: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.13" >&2; exit 3; }
endef

$(VENV_STAMP):
	$(supported)
	@echo "windfleet: installing .venv for Python $(PYTHON_VERSION), about a minute, this once"
	@rm -rf $(VENV)
	@$(BASE_PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) install --require-hashes -r .lock/windfleet.txt
	@touch $@

$(PROJECT_STAMP): $(VENV_STAMP)
	@$(BIN)/python $(PIP) install --no-build-isolation --no-deps --no-index -e .
	@rm -f $(VENV)/.stamp-windfleet-*
	@touch $@

$(SERVER_STAMP):
	$(supported)
	@$(BASE_PYTHON) localstack/install.py $(dir $(SERVER))
	@touch $@

$(PEERS_STAMP):
	$(supported)
	@echo "windfleet: installing the peers into .peers, a few minutes, this once"
	@rm -rf $(PEERS)
	@mkdir -p $(dir $(PEERS))
	@$(BASE_PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python $(PIP) install --require-hashes -r .lock/peers.txt
	@touch $@

$(DOCS_STAMP):
	$(supported)
	@echo "windfleet: installing Sphinx into .docs/venv, this once"
	@rm -rf $(DOCS)
	@$(BASE_PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python $(PIP) install --require-hashes -r .lock/docs.txt
	@touch $@

JAVAC := $(if $(JAVA_HOME),$(JAVA_HOME)/bin/javac,javac)

define java
	@"$(JAVAC)" -version >/dev/null 2>&1 || { echo "make: no Java compiler found as '$(JAVAC)'; Spark needs a JDK, 17 or later." \
	  "Install one, or name it: make $(or $(MAKECMDGOALS),spark) JAVA_HOME=/path/of/the/jdk" >&2; exit 3; }
	@test "$$("$(JAVAC)" -version 2>&1 | sed 's/[^0-9]*\([0-9]*\).*/\1/')" -ge 17 || { echo "make: $$("$(JAVAC)" -version 2>&1) is too old;" \
	  "Spark needs a JDK, 17 or later. Name one: make $(or $(MAKECMDGOALS),spark) JAVA_HOME=/path/of/the/jdk" >&2; exit 3; }
endef

# PySpark comes as source: the two packages that build it go first, from the same lock.
$(SPARK_STAMP):
	$(supported)
	$(java)
	@echo "windfleet: installing Spark into .spark, a few minutes, this once"
	@rm -rf $(SPARK)
	@mkdir -p $(dir $(SPARK))
	@$(BASE_PYTHON) -m venv $(SPARK)
	@awk '/^[a-z]/ {on = /^(setuptools|wheel|packaging)==/} on' .lock/spark.txt > .spark/build.txt
	@$(SPARK)/bin/python $(PIP) install --require-hashes -r .spark/build.txt
	@$(SPARK)/bin/python $(PIP) install --no-build-isolation --require-hashes -r .lock/spark.txt
	@rm -f .spark/build.txt
	@touch $@

# The S3A connector and its SDK come inside an sdist; nothing of it is run or installed.
$(JARS_STAMP): $(SPARK_STAMP)
	@rm -rf .spark/jars .spark/download
	@mkdir -p .spark/jars .spark/download
	@$(SPARK)/bin/python $(PIP) download --no-deps --no-binary :all: --no-build-isolation --require-hashes -r .lock/spark-jars.txt -d .spark/download
	@for jar in hadoop-aws-3.3.1 aws-java-sdk-bundle-1.11.901; do \
	  tar -xzf .spark/download/*.tar.gz -C .spark/jars --strip-components=3 --wildcards "*/deps/jars/$$jar.jar" || exit 3; done
	@rm -rf .spark/download
	@touch $@

$(CLASSES_STAMP): $(SPARK_STAMP)
	$(java)
	@rm -rf .spark/classes
	@mkdir -p .spark/classes
	@"$(JAVAC)" -nowarn -cp "$$(echo $(CURDIR)/$(SPARK)/lib/python*/site-packages/pyspark/jars)/*" -d .spark/classes $(EXTENSION)
	@touch $@

# The locks name exact versions and hashes, and no registry. Remake them after changing dependencies in pyproject.toml or a pin in
# localstack/locks/*.in; needs uv on the PATH (or UV=...).
UV ?= uv
COMPILE := pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --upgrade

lock: ## remake the locks (needs uv)
	@$(UV) $(COMPILE) --python-version 3.11 --extra dev pyproject.toml -o .lock/windfleet.txt
	@$(UV) $(COMPILE) --python-version 3.11 localstack/locks/4.13.1.in -o localstack/locks/4.13.1.txt
	@$(UV) $(COMPILE) --python-version 3.13 localstack/locks/4.14.0.in -o localstack/locks/4.14.0.txt
	@$(UV) $(COMPILE) --python-version 3.11 localstack/locks/uv.in -o localstack/locks/uv.txt
	@$(UV) $(COMPILE) --python-version 3.11 .lock/peers.in -o .lock/peers.txt
	@$(UV) $(COMPILE) --python-version 3.11 .lock/docs.in -o .lock/docs.txt
	@$(BASE_PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")' \
	  | $(UV) $(COMPILE) --python-version 3.11 - -o .lock/spark.txt
	@for lock in .lock/windfleet.txt .lock/spark.txt .lock/peers.txt .lock/docs.txt localstack/locks/*.txt; do \
	  { echo "# Exact versions and hashes; remade by: make lock"; cat $$lock; } > $$lock.new && mv $$lock.new $$lock; done

clean: ## remove the environments, runs and caches
	@if [ -f .localstack/server.json ] && [ -x $(BIN)/windfleet ]; then $(BIN)/windfleet store down; fi
	rm -rf $(VENV) .localstack .spark .peers $(DOCS) .docs/build .docs/site runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
