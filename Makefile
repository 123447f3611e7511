# Every chore of this repository. Checks (test, lint) never write into the tree.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
ARGS ?=
# A machine may forbid compiled modules. Tests start hundreds of processes, and the demo ten: compiling anew would be most
# of what they do.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-17s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv from the hashed lock (skipped when nothing changed; PYTHON=... chooses the interpreter)
	@scripts/setup.sh

.PHONY: demo
demo: setup ## Start everything and show the main job; stays up until Ctrl-C (ARGS=--exit: leaves with 0 or 1)
	@exec $(BIN)/pyairtable-devkit demo $(ARGS)

.PHONY: up
up: setup ## Start everything without the show; stays up until Ctrl-C
	@exec $(BIN)/pyairtable-devkit up $(ARGS)

.PHONY: e2e-local
e2e-local: setup ## Start everything, use it as people do, and print six lines: what holds, and what does not
	@exec $(BIN)/pyairtable-devkit e2e-local $(ARGS)

.PHONY: cluster
cluster: setup ## Start a Kubernetes cluster with the chart, the platform beside it; until Ctrl-C (ARGS=--bare: empty)
	@exec $(BIN)/pyairtable-devkit cluster up $(ARGS)

.PHONY: cluster-programs
cluster-programs: setup ## Build etcd, Kubernetes and helm for it from their Go modules (once, ten minutes)
	@$(BIN)/pyairtable-devkit cluster programs

.PHONY: node-programs
node-programs: setup ## Get what `cluster up --node` needs more, to run pods: Debian's runc and nftables, Go modules
	@scripts/install-node-commands.sh
	@$(BIN)/pyairtable-devkit cluster programs --node

.PHONY: test-node
test-node: setup node-programs ## Run pods in a node of our own on this machine (needs root; ARGS are pytest's)
	@$(BIN)/pytest -m node tests/node $(ARGS)

.PHONY: images
images: setup ## Build the container images into .devkit/images, with docker, podman or buildah (ARGS=--help)
	@scripts/install-image-tools.sh
	@$(BIN)/pyairtable-devkit images build $(ARGS)

.PHONY: test-images
test-images: setup ## Build the images twice from nothing, compare, and start each as its users would
	@scripts/install-image-tools.sh
	@scripts/install-image-tools.sh runc
	@$(BIN)/pytest -m images $(ARGS) tests/images

.PHONY: test
test: setup test-deps ## Run every check that needs no account, key or cluster of yours (ARGS are pytest's)
	@echo "All tests. Less: make test-fast, or make test ARGS=tests/unit/devkit"
	@# More workers than cores: many tests wait for a time-out, a lease or a rate limit.
	@$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not torture and not node and not images" $(ARGS)

.PHONY: torture
torture: setup test-deps ## Run what `make test` leaves out: the rest of the exhaustive sweeps, 1,000 random transitions
	@$(BIN)/pytest -n 2 --dist loadscope -m "torture and not node" $(ARGS)
	@HISTORIES=70 $(BIN)/pytest --timeout 7200 tests/cluster/faults/test_histories.py

.PHONY: test-fast
test-fast: setup ## Run the tests that take no more than a few seconds and need no browser or cluster
	@$(BIN)/pytest -n 2 --dist loadscope -m "not slow and not browser and not conformance and not cluster and not node and not images" $(ARGS)

.PHONY: test-deps
test-deps: setup ## Get what tests need beside Python: Chromium, and the programs of a Kubernetes control plane
	@scripts/install-chromium.sh
	@# Without Go the tests that need a cluster are skipped, and say so; in CI that is a failure.
	@$(BIN)/pyairtable-devkit cluster programs || [ -z "$$CI$$PYAIRTABLE_REQUIRE_CLUSTER" ]

.PHONY: lint
lint: setup ## Check style, types, layers and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	scripts/protos.sh check

.PHONY: format
format: setup ## Rewrite the Python files in the common style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: protos
protos: setup ## Generate the Python of the contract anew
	scripts/protos.sh generate

.PHONY: docs
docs: setup ## Write the pages that are made from code: settings, errors, the chart's values
	@$(BIN)/python scripts/docs.py write
	@$(BIN)/python scripts/chart_readme.py write

.PHONY: lock
lock: setup ## Resolve the dependencies anew and write the hashed lock
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --no-emit-workspace --all-packages --all-groups --no-header -o requirements.txt
	@for part in services:platform operator:operator devkit:devkit; do \
		$(BIN)/uv export --quiet --frozen --no-emit-workspace --no-dev --no-header \
			--package "pyairtable-$${part#*:}" -o "$${part%:*}/requirements.txt" || exit 1; \
	done
	@$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header \
		-c requirements.txt scripts/image/requirements.in -o scripts/image/requirements.txt

.PHONY: bench
bench: setup ## Measure, print and store the figures in docs/benchmarks/
	@$(BIN)/python tests/benchmarks/run.py $(ARGS)

.PHONY: bench-operator
bench-operator: setup ## Measure the operator with 1,000 workspaces against a bare loop (ARGS="--number 50 --no-store")
	@$(BIN)/python tests/benchmarks/operator_run.py $(ARGS)

.PHONY: bench-kills
bench-kills: setup ## Kill sagas at every point there is and store what came of it (ARGS="--kinds send --no-store")
	@$(BIN)/python tests/benchmarks/saga_kills.py $(ARGS)

.PHONY: health
health: ## Ask every running service, PostgreSQL and Redis (ARGS=-v for details, -q for failures only)
	@scripts/health-check.sh $(ARGS)

.PHONY: chat
chat: ## Ask the running system to list the tables, through both doors
	@scripts/test-chat.sh

.PHONY: clean
clean: ## Remove caches and the demo's data
	rm -rf .devkit .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .schemathesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove .venv as well
	rm -rf .venv
