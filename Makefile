SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
V := .venv
R := requirements
UV := $(V)/tools/bin/uv
BIN := $(V)/dev/bin
export UV_PYTHON_DOWNLOADS := never
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
# Without .pyc files every start of dbt and of ours takes two to three times as long.
unexport VIRTUAL_ENV PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME

.PHONY: help demo test test-all e2e check format lint types contracts bench bench-views bench-page bench-peers docs site pictures dag-picture fixtures lock clean

help: ## what can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(V)/dev.ok ## four mornings of the Greenery shop on real dbt and an embedded DuckDB
	@$(BIN)/python dbt/demo.py

ENVIRONMENTS = $(V)/dev.ok $(V)/emulator.ok $(V)/dbt-bigquery.ok $(V)/airflow.ok $(V)/lookml-parser.ok
AIRFLOW_TESTS = $(V)/airflow/bin/pytest -q -rs --dist load tests/on_airflow
test: $(ENVIRONMENTS) ## the tests: recorded and live dbt runs, DuckDB, a BigQuery emulator, Airflow
	$(BIN)/pytest -q -rs
	$(AIRFLOW_TESTS)
test-all: $(ENVIRONMENTS) ## also those that repeat them on more engines and at more points
	$(BIN)/pytest -q -rs -m ''
	$(AIRFLOW_TESTS) -m ''
e2e: $(ENVIRONMENTS) ## a scheduler of Airflow's that kills and is told to: two minutes and 2 GB of memory
	$(AIRFLOW_TESTS) -m e2e -n 0

check: format lint types contracts test ## everything that CI runs
format: $(V)/dev.ok
	$(BIN)/ruff format --check .
lint: $(V)/dev.ok
	$(BIN)/ruff check .
types: $(V)/dev.ok
	$(BIN)/mypy
contracts: $(V)/dev.ok
	$(BIN)/lint-imports --no-cache

bench: $(V)/dev.ok ## time the ingest of 10,000 models and 30,000 tests against its bounds
	$(BIN)/python benchmarks/run.py
bench-views: $(V)/dev.ok ## time every view over 400 loads of a 2,000-model project
	$(BIN)/python benchmarks/views.py
bench-page: demo ## time the triage page of 40,000 nodes, and weigh it; needs chromium
	$(BIN)/python benchmarks/page.py
bench-peers: $(V)/dev.ok $(V)/elementary.ok ## Elementary beside us on a project of 2,000 models and 3,000 tests
	$(BIN)/python benchmarks/elementary.py

docs: $(V)/dev.ok ## write what is generated in the documentation
	$(BIN)/python docs/write_docs.py
site: $(V)/dev.ok ## build the documentation as a site, strictly, into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
pictures: demo ## take the pictures in the documentation; needs chromium
	$(BIN)/python docs/write_pictures.py
dag-picture: $(V)/dev.ok $(V)/airflow.ok ## take the picture of Greenery's DAG in Airflow; needs chromium
	$(BIN)/python docs/write_dag_picture.py
fixtures: $(V)/dev.ok ## record the tests' dbt runs anew
	$(BIN)/python tests/record_fixtures.py

clean: ## remove what was made here, environments too
	rm -rf $(V) .demo .dbt_observe dbt/greenery/target dbt/greenery/logs dbt/greenery/.user.yml build dist benchmarks/.data .pytest_cache .ruff_cache .mypy_cache .hypothesis

# Environments: uv comes by hash from $(R)/uv.txt and syncs each of them to its lock.
$(UV): $(R)/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dbt-observability needs Python 3.11 or later; say which: make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv --clear $(V)/tools
	@$(V)/tools/bin/pip install -q --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r $<
	@touch $@
$(V)/%.ok: $(R)/%.txt pyproject.toml $(UV)
	@echo "setting up $(V)/$* from $<" >&2
	@[ -x $(V)/$*/bin/python ] || $(PYTHON) -m venv --without-pip $(V)/$*
	@$(UV) pip sync -q --compile-bytecode --require-hashes --no-build --python $(V)/$*/bin/python $<
	@$(UV) pip install -q --no-deps --no-build-isolation --offline --python $(V)/$*/bin/python -e .
	@touch $@

# The BigQuery emulator needs a later Python than we do. Where there is none, its tests are skipped and say why; with
# REQUIRE_EMULATOR set, as in CI, that is a failure.
$(V)/emulator.ok: $(R)/emulator.txt $(UV)
	@echo "setting up $(V)/emulator from $<" >&2
	@if python=$$($(PYTHON) tests/emulator/find_python.py 3.13 3.16 2>$(V)/emulator.missing); then \
	  rm $(V)/emulator.missing; [ -x $(V)/emulator/bin/python ] || $$python -m venv --without-pip $(V)/emulator; \
	  $(UV) pip sync -q --compile-bytecode --require-hashes --no-build --python $(V)/emulator/bin/python $<; touch $@; \
	else echo "without the BigQuery emulator: $$(cat $(V)/emulator.missing)" >&2; [ -z "$${REQUIRE_EMULATOR:-}" ]; fi
$(V)/dbt-bigquery.ok: $(R)/dbt-bigquery.txt $(UV)
	@echo "setting up $(V)/dbt-bigquery from $<" >&2
	@[ -x $(V)/dbt-bigquery/bin/python ] || $(PYTHON) -m venv --without-pip $(V)/dbt-bigquery
	@$(UV) pip sync -q --compile-bytecode --require-hashes --no-build --python $(V)/dbt-bigquery/bin/python $<
	@touch $@
# Two packages that Elementary needs have no wheels.
$(V)/elementary.ok: $(R)/elementary.txt $(UV)
	@echo "setting up $(V)/elementary from $<" >&2
	@[ -x $(V)/elementary/bin/python ] || $(PYTHON) -m venv --without-pip $(V)/elementary
	@$(UV) pip sync -q --compile-bytecode --require-hashes --only-binary :all: --no-binary grapheme --no-binary ratelimit --python $(V)/elementary/bin/python $<
	@touch $@

# A third opinion on the generated LookML, where node and npm are; where they are not, its test is skipped and says why.
$(V)/lookml-parser.ok: $(R)/lookml-parser/package-lock.json
	@mkdir -p $(V)/lookml-parser && cp $(R)/lookml-parser/*.json $(V)/lookml-parser/
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1; then \
	  echo "setting up $(V)/lookml-parser from $<" >&2; \
	  npm ci --prefix $(V)/lookml-parser --ignore-scripts --no-audit --no-fund --loglevel error >/dev/null \
	    && touch $@ || echo "without lookml-parser: npm could not fetch it" >&2; \
	else echo "without lookml-parser: there is no node of version 20 or later, with npm" >&2; fi

LOCK = $(UV) pip compile -q --universal --generate-hashes --custom-compile-command 'make lock' $(UPGRADE) --python-version
lock: $(UV) ## compile the locks anew (UPGRADE=--upgrade for newer versions)
	$(LOCK) 3.11 $(R)/core.in $(R)/dev.in -o $(R)/dev.txt
	$(LOCK) 3.11 -c $(R)/dev.txt $(R)/core.in -o $(R)/core.txt
	$(LOCK) 3.13 $(R)/emulator.in -o $(R)/emulator.txt
	$(LOCK) 3.11 $(R)/dbt-bigquery.in -o $(R)/dbt-bigquery.txt
	$(LOCK) 3.11 $(R)/elementary.in -o $(R)/elementary.txt
	$(LOCK) 3.11 $(R)/core.in $(R)/airflow.in -o $(R)/airflow.txt
	$(LOCK) 3.11 $(R)/uv.in -o $(R)/uv.txt
	! grep -nE '://|^-' $(R)/*.txt
