# `make` lists what there is. Everything runs in a virtual environment of its own, .venv.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help install run test demo example e2e generators client client-model client-schema cluster deployment faults check lint schemas test-services proof mutants fuzz fix coverage \
	bench bench-quick bench-devices bench-profile bench-search bench-days siege clean

help: ## Say what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

install: .venv/installed ## Create .venv and install what is pinned

.venv/installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.env:
	@$(PYTHON) scripts/write_env.py

run: .venv/installed .env ## Serve on SQLite and memory; PORT=8001 for another port
	@$(PY) manage.py migrate --verbosity 0
	@echo
	@echo "Get a first token and make a first call, in another terminal:"
	@echo
	@echo "    cd $(CURDIR)"
	@echo "    TOKEN=\$$($(PY) manage.py issue_token alice)"
	@echo "    curl -H \"Authorization: Bearer \$$TOKEN\" http://$(HOST):$(PORT)/me"
	@echo
	@echo "For the admin at http://$(HOST):$(PORT)/admin/ make a staff account first:"
	@echo
	@echo "    $(PY) manage.py createsuperuser"
	@echo
	@exec $(PY) scripts/run.py $(HOST):$(PORT)

# Processes that the suite is shared out to: more than cores, for much of its time is waiting.
WORKERS ?= 4
# Each of them compiles every test anew where the environment forbids to keep what is compiled.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(PY) -m pytest -q -n $(WORKERS)

test: .venv/installed ## Run the whole suite on SQLite and memory
	$(PYTEST)

proof: .venv/installed ## Prove isolation over every route; ISOLATION_EXAMPLES=1000 for more sequences
	$(PY) -m pytest -q todolist/tests/test_isolation_*.py tasks/tests/test_ownership.py

mutants: .venv/installed ## Take the guards of isolation away, and see which tests turn red
	$(PY) -m todolist.tests.mutants

DEMO_PORT ?= 3000
TOKEN_MODE ?= jwks

demo: .venv/installed .env demo/node_modules/installed ## Serve with a real Better Auth server and a page; TOKEN_MODE=secret for the other way
	@$(PY) manage.py migrate --verbosity 0
	@exec $(PY) scripts/run.py 127.0.0.1:$(PORT) $(DEMO_PORT) $(TOKEN_MODE)

demo/node_modules/installed: demo/package-lock.json client/node_modules/built
	cd demo && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

EXAMPLE_PORT ?= 3000
EXAMPLE := examples/nextjs

example: .venv/installed .env $(EXAMPLE)/.next/built ## Serve with examples/nextjs, a Next.js application; EXAMPLE_PORT=3001 for another port
	@$(PY) manage.py migrate --verbosity 0
	@exec $(PY) scripts/run.py 127.0.0.1:$(PORT) $(EXAMPLE_PORT) nextjs

$(EXAMPLE)/node_modules/installed: $(EXAMPLE)/package-lock.json client/node_modules/built
	cd $(EXAMPLE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Next.js loads `auth.ts` while it builds, which wants a secret; what serves has another one.
$(EXAMPLE)/.next/built: $(EXAMPLE)/node_modules/installed $(wildcard $(addprefix $(EXAMPLE)/,*.ts *.json app/*.* lib/* app/api/auth/*/*))
	cd $(EXAMPLE) && NEXT_TELEMETRY_DISABLED=1 BETTER_AUTH_SECRET=only-while-the-application-is-built-3fJ8s BETTER_AUTH_URL=http://localhost:$(EXAMPLE_PORT) \
		AUTH_DATABASE=:memory: npm run --silent build
	@touch $@

.venv/installed-e2e: .venv/installed e2e/requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r e2e/requirements.txt
	@touch $@

e2e/generators/node_modules/installed: e2e/generators/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js is missing: install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)." >&2; exit 1; }
	cd e2e/generators && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

generators: .venv/installed-e2e e2e/generators/node_modules/installed ## Make clients of the schema by three generators, and try them
	$(PY) -m pytest -q e2e/generators

client/node_modules/installed: client/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js is missing: install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)." >&2; exit 1; }
	cd client && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# What npm packs of the client for the demo and the example, without scripts of anybody, is what was built here.
client/node_modules/built: client/node_modules/installed $(shell find client/src -type f)
	cd client && npm run --silent build
	@touch $@

client: .venv/installed client/node_modules/installed ## Build the client of TypeScript, and test it against a real server
	cd client && npm test --silent

client-model: .venv/installed client/node_modules/installed ## Cut, reload, kill and freeze three of the client's stores for minutes; SECONDS=600, SEED=1, CLIENT_DATABASE_URL=postgresql://…
	cd client && SECONDS=$(or $(SECONDS),120) $(if $(SEED),SEED=$(SEED)) npm test --silent -- model

client-schema: client/node_modules/installed ## Make the types of the client anew, after `make schemas`
	cd client && npm run --silent schema

e2e: .venv/installed-e2e demo/node_modules/installed client/node_modules/installed $(EXAMPLE)/.next/built ## Run the tests with a real Better Auth and a real Chromium
	$(PY) -m pytest -q -n 2 e2e --ignore=e2e/generators

CLUSTER_PORT ?= 8080

cluster: .venv/installed ## Start the deployment of deploy/ on this machine: nginx, two servers, PostgreSQL, Redis, worker
	@exec $(PY) deploy/cluster.py --port $(CLUSTER_PORT)

deployment: .venv/installed ## Check the files of deploy/, and break the cluster in the ways that take seconds
	$(PY) -m pytest -q deploy/tests

faults: .venv/installed ## Break the cluster in every way, under load; shows what was noticed; four minutes
	$(PY) -m pytest -q deploy/tests/test_faults.py -m ""

check: .venv/installed lint ## Run everything that CI runs
	$(PYTEST)
	$(MAKE) --no-print-directory test-services
	$(MAKE) --no-print-directory deployment
	$(MAKE) --no-print-directory generators
	$(MAKE) --no-print-directory client
	$(MAKE) --no-print-directory e2e

# Variables as a deployment sets them; nothing is connected to.
PRODUCTION = env DEBUG=False ALLOWED_HOSTS=api.example.com CORS_ORIGINS=https://app.example.com \
	SECRET_KEY=$(shell $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(50))') \
	BETTER_AUTH_SECRET=$(shell $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32))') \
	BETTER_AUTH_URL=https://auth.example.com REDIS_URL=redis://redis.example.com:6379/0 \
	DATABASE_URL=postgresql://todolist@db.example.com/todolist

lint: .venv/installed ## Check format, style, types, imports, settings, migrations
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy .
	.venv/bin/lint-imports
	@$(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	@$(PRODUCTION) $(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null
	@$(PRODUCTION) DATABASE_URL=sqlite:///:memory: $(PY) manage.py makemigrations --check --dry-run

# With everything switched on that has paths of its own.
schemas: .venv/installed ## Write docs/openapi.json and docs/asyncapi.json anew; CI compares them with what is served
	@$(PRODUCTION) VAPID_PRIVATE_KEY=$$($(PRODUCTION) $(PY) manage.py make_vapid_key) $(PY) manage.py write_schemas

# The same suite once more, against the services a deployment runs on.
TEST_DATABASE_URL ?= postgresql://postgres@127.0.0.1:5432/postgres
TEST_REDIS_URL ?= redis://127.0.0.1:6379/9

test-services: .venv/installed ## Run the whole suite against PostgreSQL and Redis
	DATABASE_URL=$(TEST_DATABASE_URL) REDIS_URL=$(TEST_REDIS_URL) $(PYTEST)

FUZZ_SECONDS ?= 180

fuzz: .venv/installed ## Make up calls and socket frames for minutes, other ones each time
	$(PY) -m pytest -q --fuzz=$(FUZZ_SECONDS) todolist/tests/test_fuzz_http.py todolist/tests/test_fuzz_sockets.py

fix: .venv/installed ## Format, and mend what can be mended automatically
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

coverage: .venv/installed ## Run the suite and show what it does not reach
	.venv/bin/coverage run -m pytest -q
	.venv/bin/coverage report

benchmarks/.venv/installed: benchmarks/requirements.txt
	@test -x benchmarks/.venv/bin/python || $(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

FASTIFY := benchmarks/peers/fastify_ts

benchmarks/.runtime/installed: requirements.txt
	@test -x benchmarks/.runtime/bin/python || $(PYTHON) -m venv benchmarks/.runtime
	benchmarks/.runtime/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	benchmarks/.runtime/bin/python -m compileall -q benchmarks/.runtime/lib || true
	@touch $@

$(FASTIFY)/node_modules/installed: $(FASTIFY)/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js is missing: install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)." >&2; exit 1; }
	cd $(FASTIFY) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

BENCH_READY = .venv/installed benchmarks/.runtime/installed benchmarks/.venv/installed $(FASTIFY)/node_modules/installed

bench: $(BENCH_READY) ## Measure beside FastAPI, DRF, django-ninja and Fastify; 20 minutes; BENCH="--before HEAD~9" for an earlier revision too
	@$(PY) -m benchmarks.run $(BENCH)

bench-quick: $(BENCH_READY) ## The same roughly, in two minutes; BENCH="--servers ours,fastapi" for fewer
	@$(PY) -m benchmarks.run --quick $(BENCH)

bench-devices: .venv/installed benchmarks/.runtime/installed ## Show what each device that exists for speed gains; three minutes for each
	@$(PY) -m benchmarks.devices $(BENCH)

bench-search: .venv/installed ## Measure search among 100,000 tasks of one person, and what its index costs; two minutes
	@$(PY) -m benchmarks.search

bench-days: .venv/installed ## Measure what is done with many tasks at once: reminders, counts, bulk, export, import; two minutes
	@$(PY) -m benchmarks.days

siege: .venv/installed benchmarks/.runtime/installed ## Let one client do its worst, and see what others notice; four minutes; SIEGE="--before HEAD~9"
	@$(PY) -m benchmarks.siege $(SIEGE)

bench-profile: $(BENCH_READY) ## Show in which layer the time of each request goes
	@$(PY) -m benchmarks.where_time_goes $(BENCH)

clean: ## Remove .venv and caches; leave .env and the database
	rm -rf .venv benchmarks/.venv benchmarks/.runtime benchmarks/.before .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
