# make demo     watch the whole loop run on this machine
# make test     run the tests
# make install  set-up alone
# make lint     linters, types, import contracts

ARGS ?=
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
            $(shell $(name) -c 'import sys; print("$(name)" if (3, 11) <= sys.version_info < (3, 14) else "")' 2>/dev/null)))
BIN := .venv/bin
READY := .venv/.ready
unexport PYTHONDONTWRITEBYTECODE  # else each process of Airflow compiles it anew: twice the time of everything

.PHONY: demo test install lint format lock clean

demo: install
	@$(BIN)/sentiment demo $(ARGS)

test: install
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile $(ARGS)

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 is needed, with its venv module. Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Setting up .venv with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "error: $(PYTHON) cannot make virtual environments. On Debian: apt-get install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' constraints.txt)"
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --constraints constraints.txt --editable '.[dev]'
	@$(HELM)
	@touch $@

# Helm's engine, which only the tests of the chart use, asks for Python 3.12 but runs on 3.11 too. Same pin, same hash.
define HELM
case "$$(uname -sm)" in "Linux x86_64") \
  sed -n '/^helm-sdkpy==/,/[^\]$$/p' constraints.txt | sed 's/ ;[^\]*//' > .venv/helm.txt; \
  $(BIN)/python -m pip install --quiet --disable-pip-version-check --ignore-requires-python --no-deps --require-hashes \
    --requirement .venv/helm.txt || echo "note: without helm-sdkpy the tests of the chart skip" >&2;; esac
endef

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Choose the newest versions that pyproject.toml allows, for every supported Python; no registry address is written.
lock:
	@$(BIN)/uv pip compile --quiet --upgrade pyproject.toml --extra dev --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --no-header --generate-hashes --output-file constraints.txt

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache

# The platform in containers, with PostgreSQL, S3, Prometheus and Grafana (docs/compose.md). Needs Docker with Compose.
.PHONY: compose-env compose-up compose-down compose-logs
COMPOSE := docker compose --file docker-compose.airflow.yml

compose-env:
	@$(PYTHON) images/platform/env.py .env

compose-up: compose-env
	@$(COMPOSE) up --detach --build --wait
	@echo "Airflow http://127.0.0.1:8080, Grafana http://127.0.0.1:3001 (user admin, passwords in .env);" \
	  "API http://127.0.0.1:3000, MLflow http://127.0.0.1:5000, Prometheus http://127.0.0.1:9090"

# Data stays in the volumes; `make compose-down ARGS=--volumes` removes it too.
compose-down:
	@$(COMPOSE) down $(ARGS)

compose-logs:
	@$(COMPOSE) logs --follow --tail 100 $(ARGS)
