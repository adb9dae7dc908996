# Every task of the project. `make help` lists them; what needs more than a line is a script in scripts/.

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS     += --no-builtin-rules

GO            ?= go
NPM           ?= npm
LINT_VERSION  := v2.15.0
VERSION       ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

export GOFLAGS ?= -mod=readonly

CONSOLE       := core/frontend
CONSOLE_FILES := $(shell find $(CONSOLE) -type d \( -name node_modules -o -name dist -o -name build -o -name test-results \) -prune -o -type f ! -name '*.go' -print)
MADE          := .make
LINTER        := .tools/golangci-lint-$(LINT_VERSION)
TEST_POSTGRES := scripts/maintenance/test-postgres.sh

# Packages where goroutines meet; race tests of everything would double the time for nothing.
RACE_PACKAGES := ./core/backend/... ./core/orchestrator/... ./services/... ./internal/... ./config/... ./cmd/...

.PHONY: help
help: ## list the targets
	@printf 'Usage: make TARGET\n\n'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build, bring up a model, start the server, give an agent a first task and keep serving
	@scripts/deployment/run.sh

.PHONY: build
build: $(MADE)/console ## build the console and bin/sutazai (reproducible, no cgo)
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sutazai ./cmd/sutazai
	@printf 'built  bin/sutazai %s, %s bytes\n' '$(VERSION)' "$$(wc -c < bin/sutazai)"

.PHONY: test
test: $(MADE)/node_modules ## run the tests of Go (SQLite and PostgreSQL) and of the console
	@code=0; (cd $(CONSOLE) && $(NPM) test) || code=1; $(TEST_POSTGRES) --fast $(GO) test ./... || code=1; exit $$code

.PHONY: check
check: check-format check-modules lint check-generated check-scripts check-console race ## format, lint, race tests, generated files, scripts, console

.PHONY: check-format
check-format:
	@unformatted="$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go'))"; \
	if [ -n "$$unformatted" ]; then printf 'not formatted; run gofmt -w on:\n%s\n' "$$unformatted"; exit 1; fi
	@echo 'ok  gofmt'

.PHONY: check-modules
check-modules:
	@$(GO) mod verify
	@$(GO) mod tidy -diff && $(GO) -C tests/sdk mod tidy -diff
	@echo 'ok  go.mod and go.sum'

.PHONY: lint
lint: $(LINTER) ## look for mistakes that the compiler does not see
	@$(GO) vet ./...
	@$(GO) vet -tags a2a,acp,bench,chaos,e2e,evals,gateway,hostile,mcp,mutate ./...
	@CGO_ENABLED=0 $(LINTER) run ./...

# Built from the Go module proxy, checked by the checksum database; about a minute on two cores, once.
$(LINTER):
	@echo 'building golangci-lint $(LINT_VERSION)'
	@mkdir -p .tools && rm -f .tools/golangci-lint*
	@GOFLAGS= GOBIN='$(CURDIR)/.tools' CGO_ENABLED=0 $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv .tools/golangci-lint $@

.PHONY: generate
generate: $(MADE)/node_modules ## write the generated files: the settings' schema, the API's description and types, docs/cli.md
	@$(GO) run ./cmd/sutazai config schema > $(MADE)/schema.json
	@mv $(MADE)/schema.json config/schema.json
	@SUTAZAI_GENERATE=1 $(GO) test ./tests -count=1 -run '^(TestOpenAPI|TestCLIReference)'
	@cd $(CONSOLE) && $(NPM) run --silent gen

.PHONY: check-generated
check-generated: $(MADE)/node_modules
	@$(GO) run ./cmd/sutazai config schema | diff -u config/schema.json - || { echo 'config/schema.json is out of date; run make generate'; exit 1; }
	@$(GO) test ./tests -count=1 -run '^(TestOpenAPI|TestCLIReference)'
	@cd $(CONSOLE) && $(NPM) run --silent gen -- --check || { echo 'the types of the API are out of date; run make generate'; exit 1; }
	@echo 'ok  generated files'

.PHONY: check-scripts
check-scripts:
	@scripts/maintenance/need.sh shellcheck shellcheck
	@shellcheck .ci/run $$(find scripts -name '*.sh')
	@echo 'ok  shellcheck'

.PHONY: check-console
check-console: $(MADE)/console
	@cd $(CONSOLE) && $(NPM) run --silent typecheck && $(NPM) run --silent lint && $(NPM) test && $(NPM) run --silent budget

.PHONY: race
race:
	@CGO_ENABLED=1 $(TEST_POSTGRES) --fast $(GO) test -race -short $(RACE_PACKAGES)

.PHONY: bench
bench: build ## measure size, start, idle memory, throughput and storage growth
	@$(TEST_POSTGRES) scripts/maintenance/gate.sh bench

.PHONY: bench-gateway
bench-gateway: build ## measure the gateway beside nginx, ReverseProxy, Bifrost's core and LiteLLM; the first run installs them
	@scripts/maintenance/gate.sh bench/gateway

.PHONY: e2e
e2e: build ## the real model through the browser, the command line and OpenAI clients
	@scripts/maintenance/gate.sh e2e

.PHONY: browser
browser: $(MADE)/console ## the console's pages in Chromium: accessibility, security policy, layout, streaming cost
	@scripts/maintenance/need.sh chromium chromium
	@cd $(CONSOLE) && $(NPM) run --silent test:browser

.PHONY: chaos
chaos: build ## kill the server at random moments under load, on both databases
	@$(TEST_POSTGRES) scripts/maintenance/gate.sh chaos

.PHONY: interop
interop: build sdk ## unmodified OpenAI, Anthropic and Ollama clients (npm, Python and Go), the official MCP suite, and clients and agents of ACP and A2A
	@scripts/maintenance/gate.sh e2e -run 'OpenAI|Responses|Anthropic|Ollama'
	@scripts/maintenance/gate.sh mcp
	@scripts/maintenance/gate.sh acp
	@scripts/maintenance/gate.sh a2a

.PHONY: sdk
sdk: ## the Go clients of OpenAI and Anthropic read what the gateway answers and sends
	@scripts/maintenance/gate.sh sdk

.PHONY: mutate
mutate: ## malformed messages of every protocol, to the server and from peers
	@scripts/maintenance/gate.sh mutate

.PHONY: evals
evals: build ## the evaluation sets of the agents that ship: with a scripted model all must pass, with a real one for its figures
	@scripts/maintenance/gate.sh evals

.PHONY: hostile
hostile: ## attacks that must fail, counted by class
	@scripts/maintenance/gate.sh hostile

.PHONY: hostile-gateway
hostile-gateway: ## model servers and clients that break in every way, and budgets over two replicas
	@$(TEST_POSTGRES) scripts/maintenance/gate.sh gateway

.PHONY: clean
clean: ## remove what was built; data of runs is not touched
	@rm -rf bin .make .tools $(CONSOLE)/node_modules $(CONSOLE)/build $(CONSOLE)/test-results
	@find $(CONSOLE)/dist -mindepth 1 ! -name .keep -delete

$(MADE):
	@mkdir -p $@

# The stamps tell make what is up to date.
$(MADE)/node_modules: $(CONSOLE)/package.json $(CONSOLE)/package-lock.json | $(MADE)
	@echo 'console: installing packages'
	@cd $(CONSOLE) && $(NPM) ci --no-audit --no-fund --loglevel=error > '$(CURDIR)/$(MADE)/npm.log' 2>&1 || { cat '$(CURDIR)/$(MADE)/npm.log'; exit 1; }
	@touch $@

$(MADE)/console: $(MADE)/node_modules $(CONSOLE_FILES)
	@echo 'console: building'
	@cd $(CONSOLE) && $(NPM) run --silent build > '$(CURDIR)/$(MADE)/console.log' 2>&1 || { cat '$(CURDIR)/$(MADE)/console.log'; exit 1; }
	@tail -n 1 $(MADE)/console.log
	@touch $@
